//! A canonical chat request to what OpenAI, or a host that speaks its dialect, accepts.

use serde_json::{Map, Value, json};

use crate::chat::{ChatRequest, InvalidRequest};
use crate::upstream::CallContext;

/// Fields that never reach the vendor: they identify the client, choose a dearer tier, or ask for
/// storage.
const WITHHELD: &[&str] = &[
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_options",
    "prompt_cache_retention",
];
/// Fields of Mistral's dialect that have no meaning here.
const MISTRAL_ONLY: &[&str] = &["safe_prompt", "prompt_mode", "guardrails"];
/// Keys of messages that other dialects have, or answers, which clients send back as they got them; OpenAI's published
/// request has none of them.
const FOREIGN_MESSAGE_KEYS: &[&str] = &["prefix", "reasoning_content", "reasoning", "annotations"];

/// Builds the body for OpenAI.
///
/// # Errors
/// [`InvalidRequest`] for a part that this dialect cannot express.
pub(crate) fn chat_body(
    request: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, InvalidRequest> {
    let mut body = common_fields(request, context, dropped)?;
    body.insert("max_completion_tokens".into(), context.max_output_tokens.into());
    body.insert("store".into(), false.into());
    if let Some(tier) = context.service_tier {
        dropped.retain(|name| name != "service_tier");
        body.insert("service_tier".into(), tier.into());
    } else {
        body.insert("service_tier".into(), "default".into());
    }
    body.insert("safety_identifier".into(), context.safety_identifier.into());
    if request.stream {
        // The noise against listeners on the wire costs bytes and says nothing.
        body.insert("stream_options".into(), json!({"include_usage": true, "include_obfuscation": false}));
    }
    Ok(body)
}

/// Builds the body for a compatible host: the older name of the output limit, without what only OpenAI itself knows.
///
/// # Errors
/// As [`chat_body`], and for an image by its address.
pub(crate) fn compatible_chat_body(
    request: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, InvalidRequest> {
    refuse_addresses(request)?;
    let mut body = common_fields(request, context, dropped)?;
    body.insert("max_tokens".into(), context.max_output_tokens.into());
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    for role in messages.into_iter().flatten().filter_map(|message| message.get_mut("role")) {
        if role == "developer" {
            // Newer than many hosts.
            *role = "system".into();
        }
    }
    if request.stream {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    Ok(body)
}

/// A host of this kind often runs in the town's own network, and fetches whatever address it is given: a resident must
/// not reach what is behind the town's walls through it.
fn refuse_addresses(request: &ChatRequest) -> Result<(), InvalidRequest> {
    for (index, message) in request.messages.iter().enumerate() {
        let parts = message.get("content").and_then(Value::as_array);
        for (part_index, part) in parts.into_iter().flatten().enumerate() {
            let image = part.get("image_url");
            let url = image.and_then(|image| image.as_str().or_else(|| image.get("url")?.as_str()));
            if url.is_some_and(|url| !url.starts_with("data:")) {
                let place = format!("messages[{index}].content[{part_index}].image_url");
                let text = "The host of this model fetches no addresses: send the image itself, as a data: URL.";
                return Err(InvalidRequest::unsupported(&place, text));
            }
        }
    }
    Ok(())
}

/// The part that every OpenAI-shaped host takes: model, messages, and the client's other fields as they came.
fn common_fields(
    request: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, InvalidRequest> {
    let mut body = Map::new();
    body.insert("model".into(), context.model_id.into());
    let messages: Result<Vec<Value>, _> =
        request.messages.iter().enumerate().map(|(index, found)| message(index, found, dropped)).collect();
    body.insert("messages".into(), messages?.into());
    body.insert("stream".into(), request.stream.into());
    if request.choices > 1 {
        body.insert("n".into(), request.choices.into());
    }
    for (key, value) in &request.rest {
        match key.as_str() {
            _ if value.is_null() => {}
            name if WITHHELD.contains(&name) || MISTRAL_ONLY.contains(&name) => dropped.push(key.clone()),
            "random_seed" => drop(body.insert("seed".into(), value.clone())),
            "prompt_cache_key" => drop(body.insert(key.clone(), context.cache_key(value))),
            "tool_choice" if value == "any" => drop(body.insert(key.clone(), "required".into())),
            "tools" if value.as_array().is_some_and(Vec::is_empty) => {}
            "tools" => {
                let tools = value.as_array().into_iter().flatten().map(|tool| without_nulls(tool, "function"));
                body.insert(key.clone(), tools.collect());
            }
            "response_format" => drop(body.insert(key.clone(), without_nulls(value, "json_schema"))),
            _ => drop(body.insert(key.clone(), value.clone())),
        }
    }
    if !body.contains_key("tools") {
        // OpenAI refuses them where there is nothing to choose from.
        body.shift_remove("tool_choice");
        body.shift_remove("parallel_tool_calls");
    }
    Ok(body)
}

/// An object without the nulls of one of its parts: some clients write them where OpenAI wants a value or nothing.
fn without_nulls(object: &Value, part: &str) -> Value {
    let mut object = object.clone();
    if let Some(part) = object.get_mut(part).and_then(Value::as_object_mut) {
        part.retain(|_, value| !value.is_null());
    }
    object
}

fn message(index: usize, message: &Map<String, Value>, dropped: &mut Vec<String>) -> Result<Value, InvalidRequest> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    for (key, value) in message {
        match (key.as_str(), value) {
            (name, _) if FOREIGN_MESSAGE_KEYS.contains(&name) || (name == "name" && role == "tool") => {
                let name = format!("messages.{key}");
                let says_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                if !says_nothing && !dropped.contains(&name) {
                    dropped.push(name);
                }
            }
            ("content", Value::Array(parts)) => {
                out.insert(key.clone(), content(&format!("messages[{index}].content"), parts)?);
            }
            ("tool_calls", Value::Array(calls)) if !calls.is_empty() => {
                out.insert(key.clone(), calls.iter().map(call).collect());
            }
            ("tool_calls", _) => {}
            ("content", _) => drop(out.insert(key.clone(), value.clone())),
            (_, Value::Null) => {}
            _ => drop(out.insert(key.clone(), value.clone())),
        }
    }
    Ok(out.into())
}

/// A tool call without the keys that only Mistral has, its arguments as text.
fn call(call: &Value) -> Value {
    let mut out = call.clone();
    if let Some(object) = out.as_object_mut() {
        object.shift_remove("index");
        if object.get("function").is_some_and(Value::is_object) {
            object.entry("type").or_insert_with(|| "function".into());
        }
        if let Some(arguments) = object.get_mut("function").and_then(|function| function.get_mut("arguments"))
            && arguments.is_object()
        {
            *arguments = arguments.to_string().into();
        }
    }
    out
}

/// Parts in OpenAI's form, whichever client wrote them.
fn content(place: &str, parts: &[Value]) -> Result<Value, InvalidRequest> {
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let mut part = part.clone();
        match part.get("type").and_then(Value::as_str) {
            // A Mistral client sends back what it was given.
            Some("thinking" | "reference") => continue,
            Some("image_url") => {
                if let Some(image) = part.get_mut("image_url").filter(|image| image.is_string()) {
                    *image = json!({"url": image.take()});
                }
            }
            Some("input_audio") if part.get("input_audio").is_some_and(Value::is_string) => {
                let text = "This model needs `input_audio` as an object with `data` (base64) and `format`.";
                return Err(InvalidRequest::new(place, text));
            }
            _ => {}
        }
        if let Some(object) = part.as_object_mut() {
            object.shift_remove("cache_control");
        }
        out.push(part);
    }
    Ok(out.into())
}
