//! The canonical chat request, in OpenAI's shape, with unknown fields kept in their order.
//!
//! Only what the gateway acts on is typed. It must not know vendors, prices or residents: adapters turn this into what
//! a vendor accepts.

use serde_json::{Map, Value};

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
const MAX_CHOICES: u64 = 128;

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
    /// Everything else, untouched.
    pub rest: Map<String, Value>,
    /// Length of the body as received, in bytes.
    pub body_bytes: u64,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a body that is not a JSON object, lacks `model` or `messages`, or has values of the
    /// wrong type where the gateway has to act on them.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut rest: Map<String, Value> = serde_json::from_slice(body).map_err(|error| InvalidRequest {
            // serde_json's own sentence names a place, never the content.
            message: format!(
                "The body is not a JSON object of a chat request (line {}, column {}).",
                error.line(),
                error.column()
            ),
            param: None,
            code: None,
        })?;
        let model = match rest.shift_remove("model") {
            Some(Value::String(model)) if !model.is_empty() => model,
            Some(_) => return Err(InvalidRequest::new("model", "`model` must be a text that is not empty.")),
            None => return Err(InvalidRequest::new("model", "You must provide a `model` parameter.")),
        };
        let messages = parse_messages(rest.shift_remove("messages"))?;
        let stream = take_bool(&mut rest, "stream")?.unwrap_or(false);
        let include_usage = parse_stream_options(rest.shift_remove("stream_options"))?;
        let old_limit = take_u64(&mut rest, "max_tokens")?;
        let max_output_tokens = take_u64(&mut rest, "max_completion_tokens")?.or(old_limit);
        if max_output_tokens == Some(0) {
            return Err(InvalidRequest::new("max_completion_tokens", "The output limit must be at least 1 token."));
        }
        let choices = take_u64(&mut rest, "n")?.unwrap_or(1);
        if !(1..=MAX_CHOICES).contains(&choices) {
            return Err(InvalidRequest::new("n", format!("`n` must be between 1 and {MAX_CHOICES}.")));
        }
        let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        Ok(Self { model, messages, stream, include_usage, max_output_tokens, choices, rest, body_bytes })
    }

    /// A strict upper bound of the input tokens: a token is at least one byte, JSON only lengthens a text, and the
    /// JSON around a message is longer than the template tokens a vendor adds to it. A margin covers the preamble.
    pub fn input_bound(&self) -> u64 {
        const PREAMBLE_TOKENS: u64 = 64;
        self.body_bytes.saturating_add(PREAMBLE_TOKENS)
    }

    /// What stays the same over the turns of one conversation: everything up to the first message of the user.
    pub fn conversation_seed(&self) -> Vec<u8> {
        let mut seed = Vec::new();
        for message in &self.messages {
            let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
            seed.extend_from_slice(role.as_bytes());
            seed.push(0);
            if let Some(content) = message.get("content") {
                seed.extend_from_slice(content.to_string().as_bytes());
            }
            seed.push(0);
            if role == "user" {
                break;
            }
        }
        seed
    }
}

fn wrong_type(param: &str, wanted: &str) -> InvalidRequest {
    InvalidRequest::new(param, format!("`{param}` must be {wanted}."))
}

fn take_bool(rest: &mut Map<String, Value>, key: &str) -> Result<Option<bool>, InvalidRequest> {
    match rest.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(wrong_type(key, "true or false")),
    }
}

fn take_u64(rest: &mut Map<String, Value>, key: &str) -> Result<Option<u64>, InvalidRequest> {
    match rest.shift_remove(key) {
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

fn parse_messages(value: Option<Value>) -> Result<Vec<Map<String, Value>>, InvalidRequest> {
    let Some(Value::Array(items)) = value else {
        return Err(InvalidRequest::new("messages", "You must provide a list of `messages`."));
    };
    if items.is_empty() {
        return Err(InvalidRequest::new("messages", "`messages` must hold at least one message."));
    }
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::Object(message) => check_message(index, message),
            _ => Err(wrong_type(&format!("messages[{index}]"), "an object")),
        })
        .collect()
}

fn check_message(index: usize, message: Map<String, Value>) -> Result<Map<String, Value>, InvalidRequest> {
    if !message.get("role").is_some_and(Value::is_string) {
        return Err(wrong_type(&format!("messages[{index}].role"), "a text"));
    }
    let place = format!("messages[{index}].content");
    match message.get("content") {
        None | Some(Value::Null | Value::String(_)) => Ok(message),
        Some(Value::Array(parts)) => {
            // An image, a sound or a file has no bound in bytes yet, and a call without a bound is never made.
            let foreign =
                parts.iter().find(|part| !matches!(part.get("type").and_then(Value::as_str), Some("text" | "refusal")));
            match foreign {
                None => Ok(message),
                Some(_) => Err(InvalidRequest::unsupported(
                    &place,
                    "Only text content is accepted: images, audio and files are not.",
                )),
            }
        }
        Some(_) => Err(wrong_type(&place, "a text or a list of parts")),
    }
}

/// Characters of text in a message's `content`, whatever its form.
pub fn text_chars(content: &Value) -> u64 {
    let count = |text: &str| u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    match content {
        Value::String(text) => count(text),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).map(count).sum(),
        _ => 0,
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
                Some("messages[0].content"),
            ),
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
