//! A chat request to what was asked, or to the vendor's refusal.
//!
//! It must not draw chance, wait, or write the books.

use std::sync::Arc;

use jiff::civil::Date;
use providers::Dialect;
use providers::catalogue::{Model, Operation, PriceRow, ProviderCatalogue};
use serde_json::{Map, Value};

use super::forms;
use super::media::Media;
use super::refusal::{Refusal, detail};
use super::rules;
use super::shape::{self, Field};
use super::tokens::{self, PromptCache};
use super::wish::Wish;

/// Tokens that every message costs beside its text.
const MESSAGE_OVERHEAD: u64 = 4;
/// Tokens that every prompt costs beside its messages.
const PROMPT_OVERHEAD: u64 = 3;
/// Mistral's model that gives one choice only, by its documentation.
const SINGLE_CHOICE: &str = "mistral-large-2512";
/// Shortest prompt that the vendors cache, exclusive.
const CACHED_ABOVE: u64 = 1024;

/// What was asked of a model that writes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) priced: Priced,
    pub(super) stream: bool,
    /// OpenAI: a last chunk with the usage.
    pub(super) include_usage: bool,
    /// OpenAI: noise on every chunk.
    pub(super) obfuscate: bool,
    pub(super) choices: usize,
    /// Most tokens of one choice, reasoning included.
    pub(super) limit: u64,
    /// Whether hidden reasoning tokens are spent.
    pub(super) reasons: bool,
    /// Mistral: whether the thinking is shown.
    pub(super) thinks: bool,
    /// Mistral: the text that the answer must begin with.
    pub(super) opening: String,
    pub(super) wish: Wish,
    pub(super) prompt: Prompt,
}

/// A model, the id it was asked by, and its price today.
#[derive(Debug)]
pub(super) struct Priced {
    pub(super) model: Arc<Model>,
    pub(super) row: Arc<PriceRow>,
    /// The id that was asked for.
    pub(super) asked_id: String,
}

/// A prompt, counted.
#[derive(Debug)]
pub(super) struct Prompt {
    /// All input tokens.
    pub(super) input_tokens: u64,
    /// Prefixes that the prompt cache may know.
    pub(super) prefixes: Vec<(u64, u64)>,
    pub(super) media: Media,
}

/// A vendor's catalogue on a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) dialect: Dialect,
    pub(super) catalogue: &'a ProviderCatalogue,
    pub(super) date: Date,
}

impl Offer<'_> {
    /// A JSON body of that form.
    ///
    /// # Errors
    /// What the vendor would answer to one that is not.
    pub(super) fn read(&self, body: &[u8], form: &'static [Field]) -> Result<Map<String, Value>, Refusal> {
        let body = match serde_json::from_slice(body) {
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(Refusal::not_json(self.dialect, "the body is not an object")),
            Err(error) => return Err(Refusal::not_json(self.dialect, &error.to_string())),
        };
        Refusal::of_flaws(self.dialect, &shape::flaws(&body, form))?;
        Ok(body)
    }

    /// The model that `id` stands for, and its price.
    ///
    /// # Errors
    /// The vendor's refusal of an unknown model, one that was switched off, or one that is for something else.
    pub(super) fn model(&self, id: &str, operation: Operation) -> Result<Priced, Refusal> {
        let unknown = || Refusal::unknown_model(self.dialect, id);
        let model = self.catalogue.resolve(id, self.date).filter(|model| !model.is_retired(self.date));
        let model = model.ok_or_else(unknown)?;
        let row = model.price_at(self.date).ok_or_else(unknown)?;
        if model.operation != operation {
            return Err(Refusal::other_operation(self.dialect, id, operation));
        }
        Ok(Priced { model: Arc::clone(model), row: Arc::clone(row), asked_id: id.to_owned() })
    }
}

impl Asked {
    /// Reads the body of a chat request.
    ///
    /// # Errors
    /// What the vendor would answer to it.
    pub(super) fn read(offer: Offer<'_>, body: &[u8]) -> Result<Self, Refusal> {
        let dialect = offer.dialect;
        let form = if dialect == Dialect::Mistral { forms::MISTRAL_CHAT } else { forms::OPENAI_CHAT };
        let body = offer.read(body, form)?;
        let messages: Vec<&Map<String, Value>> =
            body.get("messages").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect();
        rules::check(dialect, &body, &messages)?;
        let priced = offer.model(text(&body, "model"), Operation::Chat)?;
        let fields = Fields { dialect, body: &body };
        fields.model_takes(&priced.model)?;
        let media = Media::of(dialect, &priced.model, ("messages", 0), &messages)?;
        fields.sound_is_there(&priced.model, &media)?;
        let texts = || messages.iter().flat_map(|message| texts(message).chain(arguments(message)));
        let prompt = Prompt::measure(dialect, &priced.model, texts, messages.len(), body.get("tools"), media)?;
        Ok(Self {
            stream: fields.switch("stream"),
            include_usage: fields.stream_option("include_usage", false),
            obfuscate: fields.stream_option("include_obfuscation", true),
            choices: usize::try_from(fields.number("n").unwrap_or(1)).unwrap_or(usize::MAX),
            limit: fields.limit(&priced.model)?,
            reasons: fields.reasons(&priced.model),
            thinks: fields.thinks(),
            opening: fields.opening(&messages),
            wish: Wish::of_chat(dialect, &body, &messages),
            priced,
            prompt,
        })
    }
}

impl Prompt {
    /// Counts a prompt of so many messages.
    ///
    /// # Errors
    /// The vendor's refusal of a prompt that is longer than the model's window.
    pub(super) fn measure<'a, I: Iterator<Item = &'a str>>(
        dialect: Dialect,
        model: &Model,
        texts: impl Fn() -> I,
        messages: usize,
        tools: Option<&Value>,
        media: Media,
    ) -> Result<Self, Refusal> {
        let overhead = MESSAGE_OVERHEAD * messages as u64 + PROMPT_OVERHEAD;
        let tools: u64 =
            tools.and_then(Value::as_array).into_iter().flatten().map(|tool| tokens::count(&tool.to_string())).sum();
        let written: u64 = texts().map(tokens::count).sum();
        let input_tokens = written + overhead + tools + media.input_tokens();
        if input_tokens > model.context_window {
            return Err(Refusal::too_long(dialect, input_tokens, model.context_window));
        }
        let block = if dialect == Dialect::Mistral { 64 } else { 128 };
        let prefixes = match written + overhead > CACHED_ABOVE {
            true => PromptCache::prefixes(&model.id, texts(), block),
            false => Vec::new(),
        };
        Ok(Self { input_tokens, prefixes, media })
    }
}

/// The top level of a chat request whose shape is good.
struct Fields<'a> {
    dialect: Dialect,
    body: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn switch(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.body.get(name).and_then(Value::as_u64)
    }

    fn stream_option(&self, name: &str, default: bool) -> bool {
        let options = self.body.get("stream_options");
        options.and_then(|options| options.get(name)?.as_bool()).unwrap_or(default)
    }

    /// Known fields that this model lacks.
    fn model_takes(&self, model: &Model) -> Result<(), Refusal> {
        let effort = self.body.get("reasoning_effort").and_then(Value::as_str);
        if self.dialect == Dialect::Mistral {
            let mode = rules::present(self.body, "prompt_mode");
            if (effort.is_some_and(|effort| effort != "none") || mode) && !model.reasoning {
                let message = format!("Reasoning is not supported by the model {}", model.id);
                return Err(Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051"));
            }
            if self.number("n").is_some_and(|choices| choices > 1) && &*model.id == SINGLE_CHOICE {
                let message = format!("n > 1 is not supported by the model {}", model.id);
                return Err(Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051"));
            }
            return Ok(());
        }
        let lacks = |name: &str| rules::present(self.body, name);
        let unsupported = if !model.reasoning && lacks("reasoning_effort") {
            "reasoning_effort"
        } else if (model.id.starts_with("o3") || model.id.starts_with("o4-mini")) && lacks("stop") {
            "stop"
        } else {
            return self.spoken(model);
        };
        Err(unsupported_parameter(unsupported, ""))
    }

    /// Spoken answers are not simulated; the vendor itself gives them to models of sound alone.
    fn spoken(&self, model: &Model) -> Result<(), Refusal> {
        let modalities = self.body.get("modalities").and_then(Value::as_array);
        let wants = modalities.is_some_and(|modalities| modalities.iter().any(|modality| modality == "audio"));
        if !wants && !rules::present(self.body, "audio") {
            return Ok(());
        }
        let message = format!("Spoken answers are not available with the model {}.", model.id);
        Err(Refusal::openai(400, &message, Some("modalities"), Some("unsupported_value")))
    }

    /// OpenAI's models of sound want some.
    fn sound_is_there(&self, model: &Model, media: &Media) -> Result<(), Refusal> {
        if self.dialect == Dialect::Mistral || !model.audio_input || media.audio_tokens > 0 {
            return Ok(());
        }
        let message = "This model requires that either input content or output modality contain audio.";
        Err(Refusal::openai(400, message, Some("model"), Some("invalid_value")))
    }

    /// The limit asked for, never above the model's own.
    fn limit(&self, model: &Model) -> Result<u64, Refusal> {
        let own = model.max_output_tokens.unwrap_or(u64::MAX);
        let old_name = self.number("max_tokens");
        if self.dialect == Dialect::Mistral {
            if let Some(asked) = old_name.filter(|asked| *asked >= model.context_window) {
                let message = format!("Input should be less than {}", model.context_window);
                return Err(Refusal::details(&[detail("less_than", &["max_tokens".into()], &message, &asked.into())]));
            }
            return Ok(old_name.unwrap_or(own).min(own));
        }
        if old_name.is_some() && model.reasoning {
            return Err(unsupported_parameter("max_tokens", " Use 'max_completion_tokens' instead."));
        }
        Ok(self.number("max_completion_tokens").or(old_name).unwrap_or(own).min(own))
    }

    /// Hidden reasoning is OpenAI's; Mistral shows or leaves out its thinking.
    fn reasons(&self, model: &Model) -> bool {
        let effort = self.body.get("reasoning_effort").and_then(Value::as_str);
        self.dialect != Dialect::Mistral && model.reasoning && effort != Some("none")
    }

    fn thinks(&self) -> bool {
        let is = |name: &str, wanted: &str| self.body.get(name).is_some_and(|value| value == wanted);
        self.dialect == Dialect::Mistral && (is("reasoning_effort", "high") || is("prompt_mode", "reasoning"))
    }

    fn opening(&self, messages: &[&Map<String, Value>]) -> String {
        let last = messages.last().filter(|last| self.dialect == Dialect::Mistral && rules::role(last) == "assistant");
        last.map(|last| texts(last).collect()).unwrap_or_default()
    }
}

/// OpenAI's refusal of a field that it knows and this model lacks.
fn unsupported_parameter(name: &str, hint: &str) -> Refusal {
    let message = format!("Unsupported parameter: '{name}' is not supported with this model.{hint}");
    Refusal::openai(400, &message, Some(name), Some("unsupported_parameter"))
}

/// A text of the top level, empty when it is absent.
pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a message: its content, or the text parts of it.
pub(super) fn texts(message: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    content.and_then(Value::as_str).into_iter().chain(parts.filter_map(|part| part.get("text")?.as_str()))
}

/// The arguments of a message's calls, where they are a text.
fn arguments(message: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    calls.filter_map(|call| call.get("function")?.get("arguments")?.as_str())
}
