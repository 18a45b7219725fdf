//! Messages with Mistral's roles, keys, parts and order.

use serde_json::{Map, Value, json};

use super::tool_id::{calls_for_mistral, for_mistral};
use crate::catalogue::Model;
use crate::chat::{ChatRequest, InvalidRequest};

/// Messages for Mistral, and the beginning of the answer where the client wrote it.
pub(super) struct Translated {
    pub(super) messages: Vec<Value>,
    /// Text that Mistral will repeat and that an OpenAI client does not expect again.
    pub(super) prefix: Option<String>,
}

/// Translates the messages of a request. A system message after the first turn is an error at Mistral, so late ones
/// are moved up to the leading ones; a trailing assistant message is marked as the prefix of the answer.
///
/// # Errors
/// [`InvalidRequest`] for what Mistral has no form for.
pub(super) fn translate(
    request: &ChatRequest,
    model: &Model,
    dropped: &mut Vec<String>,
) -> Result<Translated, InvalidRequest> {
    let mut leading = Vec::new();
    let mut turns: Vec<Map<String, Value>> = Vec::new();
    let mut last_function = String::new();
    for (index, message) in request.messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("user");
        let place = format!("messages[{index}]");
        match role {
            "developer" | "system" => {
                leading.push(json!({"role": "system", "content": text_content(message.get("content"))}));
                note_dropped(message, &["role", "content"], dropped);
            }
            "assistant" => turns.push(assistant(&place, message, model, &mut last_function, dropped)?),
            "tool" | "function" => turns.push(tool(message, role, &last_function, dropped)),
            _ => {
                note_dropped(message, &["role", "content"], dropped);
                let content = user_content(&place, message.get("content"))?;
                turns.push(Map::from_iter([("role".to_owned(), "user".into()), ("content".to_owned(), content)]));
            }
        }
    }
    let prefix = mark_prefix(request, &mut turns);
    let messages = leading.into_iter().chain(turns.into_iter().map(Value::Object)).collect();
    Ok(Translated { messages, prefix })
}

/// Marks a trailing assistant message as the prefix of the answer. A client of Mistral's, which marked it itself,
/// expects it to be repeated; one of OpenAI's does not.
fn mark_prefix(request: &ChatRequest, turns: &mut [Map<String, Value>]) -> Option<String> {
    let last = turns.last_mut().filter(|last| last.get("role").is_some_and(|role| role == "assistant"))?;
    last.insert("prefix".into(), true.into());
    let marked = request.messages.last().is_some_and(|message| message.get("prefix") == Some(&Value::Bool(true)));
    let text = last.get("content").and_then(Value::as_str).filter(|text| !text.is_empty() && !marked)?;
    Some(text.to_owned())
}

fn note_dropped(message: &Map<String, Value>, kept: &[&str], dropped: &mut Vec<String>) {
    for (key, value) in message {
        let name = format!("messages.{key}");
        let says_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !kept.contains(&key.as_str()) && !says_nothing && !dropped.contains(&name) {
            dropped.push(name);
        }
    }
}

fn assistant(
    place: &str,
    message: &Map<String, Value>,
    model: &Model,
    last_function: &mut String,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, InvalidRequest> {
    let mut kept = vec!["role", "content", "tool_calls", "function_call", "refusal", "prefix"];
    let reasoning = message.get("reasoning_content").and_then(Value::as_str).filter(|_| model.reasoning);
    if reasoning.is_some() {
        kept.push("reasoning_content");
    }
    note_dropped(message, &kept, dropped);
    let mut out = Map::from_iter([("role".to_owned(), "assistant".into())]);
    let refusal = message.get("refusal").and_then(Value::as_str).unwrap_or_default();
    let content = assistant_content(message.get("content"), model.reasoning);
    let content = if content == "" { refusal.into() } else { content };
    let calls = message.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty());
    let called = match (calls, message.get("function_call").filter(|call| call.is_object())) {
        (Some(calls), _) => Some(calls_for_mistral(&format!("{place}.tool_calls"), calls)?),
        (None, Some(function)) => {
            let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
            *last_function = for_mistral(&format!("{place}:{name}"));
            let arguments = function.get("arguments").cloned().unwrap_or_else(|| "{}".into());
            Some(json!([{"id": last_function, "type": "function", "function": {"name": name, "arguments": arguments}}]))
        }
        (None, None) => None,
    };
    // Text beside calls was refused by older models where it is empty.
    if called.is_none() || content != "" {
        out.insert("content".into(), with_reasoning(content, reasoning));
    }
    if let Some(called) = called {
        out.insert("tool_calls".into(), called);
    }
    Ok(out)
}

/// Mistral wants its thinking back; a client that returns our `reasoning_content` gives it.
fn with_reasoning(content: Value, reasoning: Option<&str>) -> Value {
    let Some(reasoning) = reasoning.filter(|text| !text.is_empty()) else { return content };
    let mut parts =
        vec![json!({"type": "thinking", "thinking": [{"type": "text", "text": reasoning}], "closed": true})];
    match content {
        Value::Array(others) => parts.extend(others),
        Value::String(text) if !text.is_empty() => parts.push(json!({"type": "text", "text": text})),
        _ => {}
    }
    parts.into()
}

fn assistant_content(content: Option<&Value>, thinks: bool) -> Value {
    let Some(parts) = content.and_then(Value::as_array) else {
        return content.filter(|content| content.is_string()).cloned().unwrap_or_else(|| "".into());
    };
    let parts: Vec<Value> = parts
        .iter()
        .filter_map(|part| match part.get("type").and_then(Value::as_str) {
            Some("thinking") if thinks => {
                let text: String = crate::normalise::flatten(Some(&json!([part]))).1;
                Some(json!({"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": true}))
            }
            _ => {
                let text = part.get("text").or_else(|| part.get("refusal")).filter(|text| text.is_string())?;
                Some(json!({"type": "text", "text": text}))
            }
        })
        .collect();
    if parts.is_empty() { "".into() } else { parts.into() }
}

fn tool(
    message: &Map<String, Value>,
    role: &str,
    last_function: &str,
    dropped: &mut Vec<String>,
) -> Map<String, Value> {
    note_dropped(message, &["role", "content", "tool_call_id", "name"], dropped);
    let id = match message.get("tool_call_id").and_then(Value::as_str) {
        Some(id) if role == "tool" => for_mistral(id),
        _ => last_function.to_owned(),
    };
    let mut out = Map::from_iter([
        ("role".to_owned(), "tool".into()),
        ("content".to_owned(), text_content(message.get("content"))),
        ("tool_call_id".to_owned(), id.into()),
    ]);
    if let Some(name) = message.get("name").filter(|name| name.is_string()) {
        out.insert("name".into(), name.clone());
    }
    out
}

/// Text parts reduced to the keys that Mistral knows (no `cache_control` and the like).
fn text_content(content: Option<&Value>) -> Value {
    match content {
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text").filter(|text| text.is_string()))
            .map(|text| json!({"type": "text", "text": text}))
            .collect(),
        Some(Value::String(text)) => text.as_str().into(),
        _ => "".into(),
    }
}

fn user_content(place: &str, content: Option<&Value>) -> Result<Value, InvalidRequest> {
    let Some(parts) = content.and_then(Value::as_array) else { return Ok(text_content(content)) };
    parts.iter().map(|part| user_part(place, part)).collect()
}

fn user_part(place: &str, part: &Value) -> Result<Value, InvalidRequest> {
    let unsupported = || {
        let text = "This part is not supported with this model.";
        Err(InvalidRequest::unsupported(&format!("{place}.content"), text))
    };
    match part.get("type").and_then(Value::as_str) {
        Some("text") => Ok(json!({"type": "text", "text": part.get("text")})),
        Some("image_url") => {
            let image = part.get("image_url").unwrap_or(&Value::Null);
            let url = image.as_str().or_else(|| image.get("url")?.as_str()).unwrap_or_default();
            let detail = image.get("detail").and_then(Value::as_str);
            Ok(match detail.filter(|detail| ["low", "auto", "high"].contains(detail)) {
                Some(detail) => json!({"type": "image_url", "image_url": {"url": url, "detail": detail}}),
                None => json!({"type": "image_url", "image_url": {"url": url}}),
            })
        }
        Some("input_audio") => {
            let sound = part.get("input_audio").unwrap_or(&Value::Null);
            let data = sound.as_str().or_else(|| sound.get("data")?.as_str()).unwrap_or_default();
            Ok(json!({"type": "input_audio", "input_audio": data}))
        }
        _ => unsupported(),
    }
}
