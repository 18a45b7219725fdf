//! The fields each vendor takes, and its refusal of all others.
//!
//! It must not know models: whether a model takes a field that its vendor knows is decided in `request`.

use providers::Dialect;
use serde_json::{Map, Value};

use super::refusal::{Refusal, detail};

const OPENAI_FIELDS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

const MISTRAL_FIELDS: &[&str] = &[
    "frequency_penalty",
    "guardrails",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_mode",
    "random_seed",
    "reasoning_effort",
    "response_format",
    "safe_prompt",
    "service_tier",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
];

/// Keys of a message by role; `None` for a role the vendor does not have.
fn message_fields(dialect: Dialect, role: &str) -> Option<&'static [&'static str]> {
    let mistral = dialect == Dialect::Mistral;
    Some(match role {
        "system" | "user" if mistral => &["role", "content"],
        "assistant" if mistral => &["role", "content", "tool_calls", "prefix"],
        "tool" if mistral => &["role", "content", "tool_call_id", "name"],
        _ if mistral => return None,
        "developer" | "system" | "user" => &["role", "content", "name"],
        "assistant" => &["role", "content", "refusal", "name", "audio", "tool_calls", "function_call"],
        "tool" => &["role", "content", "tool_call_id"],
        "function" => &["role", "content", "name"],
        _ => return None,
    })
}

/// Checks the names, and the messages' shape, of a chat request; gives its messages.
///
/// # Errors
/// What the vendor would answer.
pub(super) fn messages(dialect: Dialect, body: &Map<String, Value>) -> Result<Vec<&Map<String, Value>>, Refusal> {
    let messages = match body.get("messages") {
        None | Some(Value::Null) => return Err(Refusal::missing(dialect, "messages")),
        Some(Value::Array(messages)) if !messages.is_empty() => messages,
        Some(other) => return Err(Refusal::invalid(dialect, "messages", "a list with at least one message", other)),
    };
    let objects: Option<Vec<&Map<String, Value>>> = messages.iter().map(Value::as_object).collect();
    let Some(objects) = objects else {
        return Err(Refusal::invalid(dialect, "messages", "a list of objects", &Value::Null));
    };
    if dialect == Dialect::Mistral {
        mistral(body, &objects)?
    } else {
        openai(dialect, body, &objects)?
    }
    Ok(objects)
}

fn openai(dialect: Dialect, body: &Map<String, Value>, messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let unknown = |name: &str| {
        Refusal::openai(400, &format!("Unknown parameter: '{name}'."), Some(name), Some("unknown_parameter"))
    };
    if let Some(name) = body.keys().find(|name| !OPENAI_FIELDS.contains(&name.as_str())) {
        return Err(unknown(name));
    }
    for (index, message) in messages.iter().enumerate() {
        let role = role(message);
        let Some(fields) = message_fields(dialect, role) else {
            let place = format!("messages[{index}].role");
            return Err(Refusal::invalid(dialect, &place, "a known role", &role.into()));
        };
        if let Some(name) = message.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(unknown(&format!("messages[{index}].{name}")));
        }
    }
    Ok(())
}

fn mistral(body: &Map<String, Value>, messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let extra =
        |place: &[Value], input: &Value| detail("extra_forbidden", place, "Extra inputs are not permitted", input);
    let mut details: Vec<Value> = body
        .iter()
        .filter(|(name, _)| !MISTRAL_FIELDS.contains(&name.as_str()))
        .map(|(name, value)| extra(&[name.as_str().into()], value))
        .collect();
    for (index, message) in messages.iter().enumerate() {
        let role = role(message);
        let Some(fields) = message_fields(Dialect::Mistral, role) else {
            let problem = format!(
                "Input tag '{role}' found using 'role' does not match any of the expected tags: 'assistant', \
                 'system', 'tool', 'user'"
            );
            let input = Value::Object((*message).clone());
            details.push(detail("union_tag_invalid", &["messages".into(), index.into()], &problem, &input));
            continue;
        };
        let unknown = message.iter().filter(|(name, _)| !fields.contains(&name.as_str()));
        details.extend(
            unknown.map(|(name, value)| {
                extra(&["messages".into(), index.into(), role.into(), name.as_str().into()], value)
            }),
        );
    }
    if !details.is_empty() {
        return Err(Refusal::details(&details));
    }
    tool_call_ids(messages)?;
    last_role(messages)
}

/// Mistral wants ids of nine letters or digits.
fn tool_call_ids(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let calls = messages.iter().filter_map(|message| message.get("tool_calls")?.as_array()).flatten();
    let called = calls.filter_map(|call| call.get("id")?.as_str());
    let answered = messages.iter().filter_map(|message| message.get("tool_call_id")?.as_str());
    let good = |id: &str| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match called.chain(answered).find(|id| !good(id)) {
        None => Ok(()),
        Some(id) => {
            let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.");
            Err(Refusal::mistral(400, &message, "invalid_function_call", "3280"))
        }
    }
}

fn last_role(messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let Some(last) = messages.last() else { return Ok(()) };
    let prefix = last.get("prefix").and_then(Value::as_bool).unwrap_or(false);
    match role(last) {
        "user" | "tool" => Ok(()),
        "assistant" if prefix => Ok(()),
        other => {
            let message =
                format!("Expected last role User or Tool (or Assistant with prefix True) for serving but got {other}");
            Err(Refusal::mistral(400, &message, "invalid_request_message_order", "3230"))
        }
    }
}

/// The role of a message, empty when it has none.
pub(super) fn role(message: &Map<String, Value>) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}
