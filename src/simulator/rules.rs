//! What the vendors check across fields and messages, once every field has its shape.
//!
//! It must not know models: what a model lacks is refused in `request`.

use std::collections::BTreeSet;

use providers::Dialect;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Most pairs of metadata.
const METADATA_PAIRS: usize = 16;

/// Checks a chat request whose shape is good.
///
/// # Errors
/// What the vendor would answer.
pub(super) fn check(
    dialect: Dialect,
    body: &Map<String, Value>,
    messages: &[&Map<String, Value>],
) -> Result<(), Refusal> {
    if dialect == Dialect::Mistral {
        json_schema_is_there(body)?;
        if silent_assistant(messages, &["tool_calls"]).is_some() {
            let message = "Assistant message must have either content or tool_calls, but not none.";
            return Err(Refusal::mistral(400, message, "invalid_request_assistant_message", "3240"));
        }
        tool_call_ids(messages)?;
        order(messages)?;
        answered_calls(messages)?;
        return last_role(messages);
    }
    openai_fields(body, "messages")?;
    let streams = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    if present(body, "stream_options") && !streams {
        return Err(only_with("stream_options", "stream", "enabled"));
    }
    let json_object =
        body.get("response_format").and_then(|format| format.get("type")?.as_str()) == Some("json_object");
    if json_object && !messages.iter().any(|message| mentions_json(message.get("content"))) {
        let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                       'json_object'.";
        return Err(Refusal::openai(400, message, Some("messages"), None));
    }
    if let Some(index) = silent_assistant(messages, &["tool_calls", "function_call", "refusal", "audio"]) {
        let message = "Invalid value for 'content': expected a string, got null.";
        return Err(Refusal::openai(400, message, Some(&format!("messages.[{index}].content")), None));
    }
    preceding_calls(messages)
}

/// Where the assistant says nothing at all: no content, and none of `others` in its place.
fn silent_assistant(messages: &[&Map<String, Value>], others: &[&str]) -> Option<usize> {
    let speaks = |message: &Map<String, Value>| {
        present(message, "content") || others.iter().any(|other| present(message, other))
    };
    messages.iter().position(|message| role(message) == "assistant" && !speaks(message))
}

/// OpenAI's rules that chat and Responses share.
pub(super) fn openai_fields(body: &Map<String, Value>, endpoint_field: &str) -> Result<(), Refusal> {
    if !present(body, "tools") {
        for name in ["tool_choice", "parallel_tool_calls"] {
            // Responses echoes its defaults, and takes them.
            if present(body, name) && endpoint_field == "messages" {
                return Err(only_with(name, "tools", "specified"));
            }
        }
    }
    let logprobs = body.get("logprobs").and_then(Value::as_bool).unwrap_or(false);
    if endpoint_field == "messages" && present(body, "top_logprobs") && !logprobs {
        return Err(only_with("top_logprobs", "logprobs", "enabled"));
    }
    let pairs = body.get("metadata").and_then(Value::as_object).map_or(0, Map::len);
    if pairs > METADATA_PAIRS {
        let message = format!("Invalid 'metadata': too many properties. Expected at most {METADATA_PAIRS}.");
        return Err(Refusal::openai(400, &message, Some("metadata"), Some("object_above_max_properties")));
    }
    Ok(())
}

/// Whether a key is there and not null.
pub(super) fn present(body: &Map<String, Value>, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

/// Whether the word JSON is in a content, which OpenAI wants before it answers in JSON.
pub(super) fn mentions_json(content: Option<&Value>) -> bool {
    match content {
        Some(Value::String(text)) => text.to_lowercase().contains("json"),
        Some(Value::Array(parts)) => parts.iter().any(|part| mentions_json(part.get("text"))),
        _ => false,
    }
}

fn only_with(name: &str, other: &str, state: &str) -> Refusal {
    let verb = if other.ends_with('s') && other != "logprobs" { "are" } else { "is" };
    let message = format!("The '{name}' parameter is only allowed when '{other}' {verb} {state}.");
    Refusal::openai(400, &message, Some(name), None)
}

fn preceding_calls(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let mut open = BTreeSet::new();
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages.[{index}].role");
        if role(message) == "tool" {
            let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
            if !open.remove(id) {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                               with 'tool_calls'.";
                return Err(Refusal::openai(400, message, Some(&place), None));
            }
            continue;
        }
        without_answer(&open, &place)?;
        open = calls_of(message).filter_map(|call| call.get("id")?.as_str()).collect();
    }
    without_answer(&open, &format!("messages.[{}].role", messages.len()))
}

fn without_answer(open: &BTreeSet<&str>, place: &str) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = open.iter().copied().collect();
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        ids.join(", ")
    );
    Err(Refusal::openai(400, &message, Some(place), None))
}

/// Mistral's schema lets `json_schema` be null; its API does not when that is the format asked for.
fn json_schema_is_there(body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(format) = body.get("response_format").and_then(Value::as_object) else { return Ok(()) };
    let asked = format.get("type").is_some_and(|kind| kind == "json_schema");
    if asked && !present(format, "json_schema") {
        return Err(Refusal::invalid(
            Dialect::Mistral,
            "response_format",
            "a format with its `json_schema`",
            &Value::Object(format.clone()),
        ));
    }
    Ok(())
}

/// Mistral wants ids of nine letters or digits, on every call and on every result.
fn tool_call_ids(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let good = |id: &str| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let ids = messages.iter().flat_map(|message| {
        let answered = (role(message) == "tool").then(|| message.get("tool_call_id"));
        calls_of(message).map(|call| call.get("id")).chain(answered)
    });
    for id in ids {
        let id = id.and_then(Value::as_str).unwrap_or("null");
        if !good(id) {
            let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.");
            return Err(Refusal::mistral(400, &message, "invalid_function_call", "3280"));
        }
    }
    Ok(())
}

/// Which role may follow which. A user directly after a tool has been allowed since 2026.
fn order(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    if let [only] = messages
        && !matches!(role(only), "user" | "system")
    {
        return Err(misplaced(&format!("Expected first role User or System but got {}", role(only))));
    }
    for pair in messages.windows(2) {
        let [before, message] = pair else { continue };
        let (before, now) = (role(before), role(message));
        let allowed = match before {
            "system" | "user" => now != "tool",
            "assistant" | "tool" => now != "system",
            _ => false,
        };
        if !allowed {
            return Err(misplaced(&format!("Unexpected role '{now}' after role '{before}'")));
        }
    }
    Ok(())
}

/// As many results as calls before the next turn of the assistant.
fn answered_calls(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let mut expected = 0_usize;
    let uneven = || misplaced("Not the same number of function calls and responses");
    for message in messages {
        match role(message) {
            "tool" => expected = expected.checked_sub(1).ok_or_else(uneven)?,
            "assistant" if expected != 0 => return Err(uneven()),
            "assistant" => expected = calls_of(message).count(),
            _ => {}
        }
    }
    if expected == 0 { Ok(()) } else { Err(uneven()) }
}

fn last_role(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let Some(last) = messages.last() else { return Ok(()) };
    let prefix = last.get("prefix").and_then(Value::as_bool).unwrap_or(false);
    match role(last) {
        "user" | "tool" => Ok(()),
        "assistant" if prefix => Ok(()),
        other => Err(misplaced(&format!(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got {other}"
        ))),
    }
}

fn misplaced(message: &str) -> Refusal {
    Refusal::mistral(400, message, "invalid_request_message_order", "3230")
}

fn calls_of(message: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    message.get("tool_calls").and_then(Value::as_array).into_iter().flatten()
}

/// The role of a message, empty when it has none.
pub(super) fn role(message: &Map<String, Value>) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}
