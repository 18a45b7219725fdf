//! A request body to what was asked, or to the vendor's refusal.
//!
//! It must not draw chance, wait, or write the books.

use std::sync::Arc;

use jiff::civil::Date;
use providers::Dialect;
use providers::catalogue::{Model, Operation, PriceRow, ProviderCatalogue};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::schema;
use super::tokens::{self, PromptCache};

/// Tokens that every message costs beside its text.
const MESSAGE_OVERHEAD: u64 = 4;
/// Tokens that every prompt costs beside its messages.
const PROMPT_OVERHEAD: u64 = 3;
/// Shortest prompt that the vendors cache, exclusive.
const CACHED_ABOVE: u64 = 1024;
/// Most choices of one call.
const MOST_CHOICES: u64 = 128;

/// A chat request that the vendor takes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: Arc<Model>,
    pub(super) row: Arc<PriceRow>,
    /// The id that was asked for.
    pub(super) asked_id: String,
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
    /// Mistral: the text that the answer must begin with.
    pub(super) opening: String,
    pub(super) input_tokens: u64,
    /// Prefixes that the prompt cache may know.
    pub(super) prefixes: Vec<(u64, u64)>,
}

impl Asked {
    /// Reads a request body.
    ///
    /// # Errors
    /// What the vendor would answer to it.
    pub(super) fn read(
        dialect: Dialect,
        catalogue: &ProviderCatalogue,
        date: Date,
        body: &[u8],
    ) -> Result<Self, Refusal> {
        let body = match serde_json::from_slice(body) {
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(Refusal::not_json(dialect, "the body is not an object")),
            Err(error) => return Err(Refusal::not_json(dialect, &error.to_string())),
        };
        let fields = Fields { dialect, body: &body };
        let asked_id = match body.get("model") {
            Some(Value::String(id)) => id.as_str(),
            _ => return Err(Refusal::missing(dialect, "model")),
        };
        let messages = schema::messages(dialect, &body)?;
        let (model, row) = catalogue
            .resolve(asked_id, date)
            .filter(|model| model.operation == Operation::Chat)
            .and_then(|model| Some((Arc::clone(model), Arc::clone(model.price_at(date)?))))
            .ok_or_else(|| Refusal::unknown_model(dialect, asked_id))?;
        let (input_tokens, prefixes) = measure(dialect, &model, &messages);
        if input_tokens > model.context_window {
            return Err(Refusal::too_long(dialect, input_tokens, model.context_window));
        }
        Ok(Self {
            asked_id: asked_id.to_owned(),
            stream: fields.switch("stream", false)?,
            include_usage: fields.stream_option("include_usage", false),
            obfuscate: fields.stream_option("include_obfuscation", true),
            choices: usize::try_from(fields.number("n", 1, MOST_CHOICES)?.unwrap_or(1)).unwrap_or(1),
            limit: fields.limit(&model)?,
            reasons: fields.reasons(&model),
            opening: fields.opening(&messages),
            model,
            row,
            input_tokens,
            prefixes,
        })
    }
}

/// The top level of a request, read with the vendor's refusals.
struct Fields<'a> {
    dialect: Dialect,
    body: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn switch(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(Refusal::invalid(self.dialect, name, "a valid boolean", other)),
        }
    }

    fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => {
                    let expected = format!("an integer greater than or equal to {least}");
                    Err(Refusal::invalid(self.dialect, name, &expected, value))
                }
            },
        }
    }

    fn stream_option(&self, name: &str, default: bool) -> bool {
        let options = self.body.get("stream_options");
        options.and_then(|options| options.get(name)?.as_bool()).unwrap_or(default)
    }

    /// The limit asked for, never above the model's own.
    fn limit(&self, model: &Model) -> Result<u64, Refusal> {
        let own = model.max_output_tokens.unwrap_or(u64::MAX);
        if self.dialect == Dialect::Mistral {
            return Ok(self.number("max_tokens", 0, u64::MAX)?.unwrap_or(own).min(own));
        }
        let old_name = self.number("max_tokens", 1, u64::MAX)?;
        if old_name.is_some() && model.reasoning {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                           'max_completion_tokens' instead.";
            return Err(Refusal::openai(400, message, Some("max_tokens"), Some("unsupported_parameter")));
        }
        let asked = self.number("max_completion_tokens", 1, u64::MAX)?;
        Ok(asked.or(old_name).unwrap_or(own).min(own))
    }

    /// Hidden reasoning is OpenAI's; Mistral shows or leaves out its thinking.
    fn reasons(&self, model: &Model) -> bool {
        let effort = self.body.get("reasoning_effort").and_then(Value::as_str);
        self.dialect != Dialect::Mistral && model.reasoning && effort != Some("none")
    }

    fn opening(&self, messages: &[&Map<String, Value>]) -> String {
        let last = messages.last().filter(|last| self.dialect == Dialect::Mistral && schema::role(last) == "assistant");
        last.map(|last| texts(last).collect()).unwrap_or_default()
    }
}

/// Input tokens of a prompt, and its prefixes that may be cached.
fn measure(dialect: Dialect, model: &Model, messages: &[&Map<String, Value>]) -> (u64, Vec<(u64, u64)>) {
    let all = || messages.iter().flat_map(|message| texts(message));
    let overhead = MESSAGE_OVERHEAD * messages.len() as u64 + PROMPT_OVERHEAD;
    let input_tokens = all().map(tokens::count).sum::<u64>() + overhead;
    let block = if dialect == Dialect::Mistral { 64 } else { 128 };
    let prefixes = match input_tokens > CACHED_ABOVE {
        true => PromptCache::prefixes(&model.id, all(), block),
        false => Vec::new(),
    };
    (input_tokens, prefixes)
}

/// The texts of a message: its content, or the text parts of it.
fn texts(message: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    content.and_then(Value::as_str).into_iter().chain(parts.filter_map(|part| part.get("text")?.as_str()))
}
