//! The canonical chat request, in OpenAI's shape, with unknown fields kept in their order.
//!
//! Only what the gateway acts on is typed. It must not know vendors, prices or residents: adapters turn this into what
//! a vendor accepts.

mod content;

use serde_json::{Map, Value};

use crate::catalogue::{Model, UsageBound};
use crate::{responses, to_json};

pub use content::{Media, text_chars};

/// A request that cannot be served, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// What is wrong.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// OpenAI's code for it, where there is one.
    pub code: Option<&'static str>,
}

impl InvalidRequest {
    /// A refusal that names a parameter.
    pub fn new(param: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.to_owned()), code: None }
    }

    /// A parameter this gateway or the chosen vendor does not support.
    pub fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self { code: Some("unsupported_parameter"), ..Self::new(param, message) }
    }
}

/// Largest number of choices that may be asked for at once (OpenAI's own limit).
pub(crate) const MAX_CHOICES: u64 = 128;

/// Fields that only Mistral's own clients send. Mistral sends tool calls whole, and these clients take every fragment
/// for a call.
const MISTRAL_WORDS: &[&str] = &["random_seed", "safe_prompt", "prompt_mode"];

/// A parsed chat request.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The model or route asked for.
    pub model: String,
    /// The messages, each with its own keys.
    pub messages: Vec<Map<String, Value>>,
    /// Whether the answer is wanted as a stream.
    pub stream: bool,
    /// Whether the client asked for the usage chunk of a stream.
    pub include_usage: bool,
    /// The output limit the client asked for, in tokens per choice.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for.
    pub choices: u64,
    /// The client cannot join a tool call that comes in fragments.
    pub whole_calls: bool,
    /// Everything else, untouched.
    pub rest: Map<String, Value>,
    /// What it carries beside text.
    pub media: Media,
    /// Length of the body as received, in bytes.
    pub body_bytes: u64,
}

impl ChatRequest {
    /// Reads a request body. A body in the shape of the Responses API (`input` instead of `messages`, flat tools), which
    /// some editors post here, is read as the chat request it means.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a body that is not a JSON object, or as [`ChatRequest::from_map`].
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut map = parse_object(body, "a chat request")?;
        if responses::is_responses_shaped(&map) {
            map = responses::chat_from_responses_shape(&map)?;
        } else if let Some(tools) = map.get_mut("tools") {
            *tools = responses::nest_tools(tools.take());
        }
        Self::from_map(map, length(body))
    }

    /// Reads a request that is already an object; `body_bytes` is the length of what was received.
    ///
    /// # Errors
    /// [`InvalidRequest`] when `model` or `messages` are missing, or for values of the wrong type where the gateway has
    /// to act on them.
    pub fn from_map(map: Map<String, Value>, body_bytes: u64) -> Result<Self, InvalidRequest> {
        let mut known = Known::default();
        // In one pass: what is taken out of a map one by one moves all that follows.
        let rest: Map<String, Value> = map.into_iter().filter_map(|(key, value)| known.keep(key, value)).collect();
        let model = model_of(known.model)?;
        let mut media = Media::default();
        let messages = content::parse_messages(known.messages, &mut media)?;
        let stream = flag_of("stream", known.stream.as_ref())?.unwrap_or(false);
        let include_usage = parse_stream_options(known.stream_options)?;
        let old_limit = count_of("max_tokens", known.max_tokens)?;
        let max_output_tokens = count_of("max_completion_tokens", known.max_completion_tokens)?.or(old_limit);
        if max_output_tokens == Some(0) {
            return Err(InvalidRequest::new("max_completion_tokens", "The output limit must be at least 1 token."));
        }
        let choices = count_of("n", known.n)?.unwrap_or(1);
        if !(1..=MAX_CHOICES).contains(&choices) {
            return Err(InvalidRequest::new("n", format!("`n` must be between 1 and {MAX_CHOICES}.")));
        }
        refuse_what_costs_beyond_tokens(&rest)?;
        let whole_calls = MISTRAL_WORDS.iter().any(|key| rest.contains_key(*key));
        Ok(Self {
            model,
            messages,
            stream,
            include_usage,
            max_output_tokens,
            choices,
            whole_calls,
            rest,
            media,
            body_bytes,
        })
    }

    /// Bytes of the body that are text, and JSON around it.
    pub fn text_bytes(&self) -> u64 {
        self.body_bytes.saturating_sub(self.media.payload_bytes)
    }

    /// The same without what models said before: a question is not longer because an earlier answer was.
    pub fn asked_bytes(&self) -> u64 {
        let is_answer =
            |message: &&Map<String, Value>| message.get("role").and_then(Value::as_str) == Some("assistant");
        let said = |message: &Map<String, Value>| -> u64 {
            message
                .values()
                .map(|value| value.as_str().map_or_else(|| length(&to_json(value)), |text| length(text.as_bytes())))
                .sum()
        };
        self.text_bytes().saturating_sub(self.messages.iter().filter(is_answer).map(said).sum())
    }

    /// The most the call can use with `model`, at that output limit per choice.
    ///
    /// Input: a token is at least one byte, JSON only lengthens a text, and the JSON around a message is longer than
    /// the template tokens a vendor adds to it; a margin covers the preamble. What has no rule is bounded by the window.
    /// Output: a prediction that is not met is billed on top of the answer.
    ///
    /// # Errors
    /// [`InvalidRequest`] when the model cannot take what the request carries.
    pub fn bound(&self, model: &Model, max_output_tokens: u64) -> Result<UsageBound, InvalidRequest> {
        self.media.check(model)?;
        let prediction = self.rest.get("prediction").map_or(0, |prediction| length(&to_json(prediction)));
        let sound = model.max_audio_seconds.unwrap_or(0).saturating_mul(1_000);
        Ok(UsageBound {
            // A text is bounded by its own bytes, and not by a window that the catalogue may have from another day.
            input_tokens: text_bound(self.text_bytes())
                .saturating_add(self.media.token_bound(model).min(model.context_window)),
            output_tokens: max_output_tokens.saturating_add(prediction).saturating_mul(self.choices),
            audio_millis: if self.media.sounds > 0 { sound } else { 0 },
            tool_calls: 0,
        })
    }

    /// What stays the same over the turns of one conversation: everything up to the first message of the user.
    pub fn conversation_seed(&self) -> Vec<u8> {
        let mut seed = Vec::new();
        for message in &self.messages {
            let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
            seed.extend_from_slice(role.as_bytes());
            seed.push(0);
            if let Some(content) = message.get("content") {
                seed.extend_from_slice(&to_json(content));
            }
            seed.push(0);
            if role == "user" {
                break;
            }
        }
        seed
    }
}

/// The fields that the gateway acts on, as they came.
#[derive(Default)]
struct Known {
    model: Option<Value>,
    messages: Option<Value>,
    stream: Option<Value>,
    stream_options: Option<Value>,
    max_tokens: Option<Value>,
    max_completion_tokens: Option<Value>,
    n: Option<Value>,
}

impl Known {
    /// Keeps a field that is one of them, and gives back any other.
    fn keep(&mut self, key: String, value: Value) -> Option<(String, Value)> {
        let field = match key.as_str() {
            "model" => &mut self.model,
            "messages" => &mut self.messages,
            "stream" => &mut self.stream,
            "stream_options" => &mut self.stream_options,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "n" => &mut self.n,
            _ => return Some((key, value)),
        };
        *field = Some(value);
        None
    }
}

/// Most input tokens of that many bytes of a request.
pub(crate) fn text_bound(bytes: u64) -> u64 {
    const PREAMBLE_TOKENS: u64 = 64;
    bytes.saturating_add(PREAMBLE_TOKENS)
}

/// The length of a body.
pub(crate) fn length(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

/// Reads a body as the JSON object of `what`. The complaint names a place, never the content.
pub(crate) fn parse_object(body: &[u8], what: &str) -> Result<Map<String, Value>, InvalidRequest> {
    serde_json::from_slice(body).map_err(|error| InvalidRequest {
        message: format!("The body is not a JSON object of {what} (line {}, column {}).", error.line(), error.column()),
        param: None,
        code: None,
    })
}

/// Takes the model asked for out of a request.
pub(crate) fn take_model(rest: &mut Map<String, Value>) -> Result<String, InvalidRequest> {
    model_of(rest.shift_remove("model"))
}

fn model_of(model: Option<Value>) -> Result<String, InvalidRequest> {
    match model {
        Some(Value::String(model)) if !model.is_empty() => Ok(model),
        Some(_) => Err(InvalidRequest::new("model", "`model` must be a text that is not empty.")),
        None => Err(InvalidRequest::new("model", "You must provide a `model` parameter.")),
    }
}

/// Searches, spoken answers and tools that run at the vendor are billed beside the tokens, so a ceiling made of tokens
/// would not hold: they are refused, never sent.
fn refuse_what_costs_beyond_tokens(rest: &Map<String, Value>) -> Result<(), InvalidRequest> {
    let set = |key: &str| rest.get(key).filter(|value| !value.is_null());
    let spoken = set("modalities").is_some_and(|modes| *modes != serde_json::json!(["text"]));
    let priced_apart = [("web_search_options", set("web_search_options").is_some()), ("audio", set("audio").is_some())];
    let refused = priced_apart.iter().find(|(_, is_set)| *is_set).map(|(key, _)| *key);
    if let Some(key) = refused.or(spoken.then_some("modalities")) {
        return Err(InvalidRequest::unsupported(
            key,
            format!("`{key}` is not offered here: it is billed beside tokens."),
        ));
    }
    let tools = match set("tools") {
        None => return Ok(()),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(wrong_type("tools", "a list")),
    };
    for (index, tool) in tools.iter().enumerate() {
        if !matches!(tool.get("type").and_then(Value::as_str), Some("function" | "custom")) {
            let text =
                "Only function and custom tools are offered here: others run at the vendor and are billed apart.";
            return Err(InvalidRequest::unsupported(&format!("tools[{index}]"), text));
        }
    }
    Ok(())
}

pub(crate) fn wrong_type(param: &str, wanted: &str) -> InvalidRequest {
    InvalidRequest::new(param, format!("`{param}` must be {wanted}."))
}

fn flag_of(key: &str, value: Option<&Value>) -> Result<Option<bool>, InvalidRequest> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong_type(key, "true or false")),
    }
}

pub(crate) fn take_u64(rest: &mut Map<String, Value>, key: &str) -> Result<Option<u64>, InvalidRequest> {
    count_of(key, rest.shift_remove(key))
}

fn count_of(key: &str, value: Option<Value>) -> Result<Option<u64>, InvalidRequest> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong_type(key, "a whole number that is not negative")),
    }
}

fn parse_stream_options(value: Option<Value>) -> Result<bool, InvalidRequest> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(options)) => Ok(options.get("include_usage").and_then(Value::as_bool).unwrap_or(false)),
        Some(_) => Err(wrong_type("stream_options", "an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ChatRequest, InvalidRequest> {
        ChatRequest::parse(body.as_bytes())
    }

    #[test]
    fn unknown_fields_survive_in_their_order() {
        let request = parse(
            r#"{"zeta":1,"model":"m","messages":[{"role":"user","content":"x","name":"n"}],"alpha":{"b":2,"a":1}}"#,
        )
        .unwrap();
        assert_eq!(serde_json::to_string(&request.rest).unwrap(), r#"{"zeta":1,"alpha":{"b":2,"a":1}}"#);
        assert_eq!(request.messages[0]["name"], "n");
    }

    #[test]
    fn the_newer_output_limit_wins() {
        let request = parse(
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"max_completion_tokens":9}"#,
        )
        .unwrap();
        assert_eq!(request.max_output_tokens, Some(9));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            (r#"{"messages":[]}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("messages")),
            (r#"{"model":"m","messages":[]}"#, Some("messages")),
            (r#"{"model":"m","messages":[{"content":"x"}]}"#, Some("messages[0].role")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
                Some("messages[0].content[0].image_url.url"),
            ),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#,
                Some("messages[0].content[0].file"),
            ),
            (r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#, Some("messages[0].tool_call_id")),
            (r#"{"model":"m","messages":[{"role":"king","content":"x"}]}"#, Some("messages[0].role")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search"}]}"#,
                Some("tools[0]"),
            ),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"web_search_options":{}}"#,
                Some("web_search_options"),
            ),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"modalities":["audio"]}"#, Some("modalities")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, Some("max_tokens")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":0}"#, Some("n")),
            ("not json", None),
            ("[]", None),
        ] {
            assert_eq!(parse(body).unwrap_err().param.as_deref(), param, "{body}");
        }
    }

    #[test]
    fn what_is_no_text_is_bounded_by_the_models_rule_and_not_by_its_bytes() {
        let image =
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}"#, "A".repeat(90_000));
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{image},{image}]}}]}}"#);
        let request = parse(&body).unwrap();
        let bound = |provider: &str, id: &str| {
            let catalogue = crate::catalogue::ProviderCatalogue::parse(provider).unwrap();
            request.bound(catalogue.resolve(id, "2026-11-24".parse().unwrap()).unwrap(), 100)
        };
        let (openai, mistral) = (crate::catalogue::OPENAI_TOML, crate::catalogue::MISTRAL_TOML);
        let small = bound(mistral, "mistral-small-2603").unwrap();
        assert!((2 * 4160..2 * 4160 + 400).contains(&small.input_tokens), "{small:?}");
        let luna = bound(openai, "gpt-6-luna").unwrap();
        assert!((922_000..922_400).contains(&luna.input_tokens), "no rule known: the window, beside the text");
        assert!(bound(mistral, "codestral-2508").is_err(), "it cannot see");
    }

    #[test]
    fn a_text_longer_than_the_window_we_know_is_held_for_in_full() {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "é".repeat(200_000));
        let catalogue = crate::catalogue::ProviderCatalogue::parse(crate::catalogue::MISTRAL_TOML).unwrap();
        let model = catalogue.resolve("mistral-small-2603", "2026-11-24".parse().unwrap()).unwrap();
        assert!(model.context_window < 400_000);
        assert!(parse(&body).unwrap().bound(model, 100).unwrap().input_tokens >= 400_000);
    }

    #[test]
    fn a_prediction_that_is_not_met_is_paid_for_and_held_for() {
        let request = parse(
            r#"{"model":"m","n":2,"messages":[{"role":"user","content":"x"}],"prediction":{"type":"content","content":"12345"}}"#,
        )
        .unwrap();
        let catalogue = crate::catalogue::ProviderCatalogue::parse(crate::catalogue::MISTRAL_TOML).unwrap();
        let model = catalogue.resolve("mistral-small-2603", "2026-11-24".parse().unwrap()).unwrap();
        assert!(request.bound(model, 10).unwrap().output_tokens >= 2 * (10 + 5));
    }

    #[test]
    fn a_conversation_keeps_its_seed_over_its_turns() {
        let first =
            parse(r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#)
                .unwrap();
        let later = parse(r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#).unwrap();
        let other =
            parse(r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"z"}]}"#)
                .unwrap();
        assert_eq!(first.conversation_seed(), later.conversation_seed());
        assert_ne!(first.conversation_seed(), other.conversation_seed());
    }
}
