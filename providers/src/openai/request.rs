//! A canonical chat request to what OpenAI, or a host that speaks its dialect, accepts.

use serde::{Serialize, Serializer};
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
/// Fields that are ours to set, at most.
const OWN_FIELDS: usize = 9;

/// A body as it is sent, in the order of its fields. What the client wrote and need not be changed is borrowed.
#[derive(Default)]
pub(crate) struct ChatBody<'a>(Vec<(&'a str, Field<'a>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    Given(&'a Value),
    Own(Value),
    Text(&'a str),
    Count(u64),
    Flag(bool),
    Messages(Vec<Message<'a>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Given(&'a Map<String, Value>),
    Own(Map<String, Value>),
}

impl<'a> ChatBody<'a> {
    /// Adds a field that is not there yet.
    fn push(&mut self, name: &'a str, field: Field<'a>) {
        self.0.push((name, field));
    }

    /// Sets a field that may be there.
    fn set(&mut self, name: &'a str, field: Field<'a>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = field,
            None => self.push(name, field),
        }
    }
}

impl Serialize for ChatBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

/// Builds the body for OpenAI.
///
/// # Errors
/// [`InvalidRequest`] for a part that this dialect cannot express.
pub(crate) fn chat_body<'a>(
    request: &'a ChatRequest,
    context: &CallContext<'a>,
    dropped: &mut Vec<String>,
) -> Result<ChatBody<'a>, InvalidRequest> {
    let mut body = common_fields(request, context, Roles::All, dropped)?;
    body.push("max_completion_tokens", Field::Count(context.max_output_tokens));
    body.push("store", Field::Flag(false));
    if context.service_tier.is_some() {
        dropped.retain(|name| name != "service_tier");
    }
    body.push("service_tier", Field::Text(context.service_tier.unwrap_or("default")));
    body.push("safety_identifier", Field::Text(context.safety_identifier));
    if request.stream {
        // The noise against listeners on the wire costs bytes and says nothing.
        body.push("stream_options", Field::Own(json!({"include_usage": true, "include_obfuscation": false})));
    }
    Ok(body)
}

/// Builds the body for a compatible host: the older name of the output limit, without what only OpenAI itself knows.
///
/// # Errors
/// As [`chat_body`], and for an image by its address.
pub(crate) fn compatible_chat_body<'a>(
    request: &'a ChatRequest,
    context: &CallContext<'a>,
    dropped: &mut Vec<String>,
) -> Result<ChatBody<'a>, InvalidRequest> {
    refuse_addresses(request)?;
    let mut body = common_fields(request, context, Roles::WithoutDeveloper, dropped)?;
    body.push("max_tokens", Field::Count(context.max_output_tokens));
    if request.stream {
        body.push("stream_options", Field::Own(json!({"include_usage": true})));
    }
    Ok(body)
}

/// Which roles a host knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roles {
    All,
    /// The role is newer than many hosts: it goes by its older name, `system`.
    WithoutDeveloper,
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
fn common_fields<'a>(
    request: &'a ChatRequest,
    context: &CallContext<'a>,
    roles: Roles,
    dropped: &mut Vec<String>,
) -> Result<ChatBody<'a>, InvalidRequest> {
    let mut body = ChatBody(Vec::with_capacity(request.rest.len() + OWN_FIELDS));
    body.push("model", Field::Text(context.model_id));
    let messages: Result<Vec<Message<'a>>, _> =
        request.messages.iter().enumerate().map(|(index, found)| message(index, found, roles, dropped)).collect();
    body.push("messages", Field::Messages(messages?));
    body.push("stream", Field::Flag(request.stream));
    if request.choices > 1 {
        body.push("n", Field::Count(request.choices));
    }
    for (key, value) in &request.rest {
        match key.as_str() {
            _ if value.is_null() => {}
            name if WITHHELD.contains(&name) || MISTRAL_ONLY.contains(&name) => dropped.push(key.clone()),
            // Two names of one field: the later wins.
            "random_seed" | "seed" => body.set("seed", Field::Given(value)),
            "prompt_cache_key" => body.push(key, Field::Own(context.cache_key(value))),
            "tool_choice" if value == "any" => body.push(key, Field::Text("required")),
            "tools" if value.as_array().is_some_and(Vec::is_empty) => {}
            "tools" => {
                let tools = value.as_array().into_iter().flatten().map(|tool| without_nulls(tool, "function"));
                body.push(key, Field::Own(tools.collect()));
            }
            "response_format" => body.push(key, Field::Own(without_nulls(value, "json_schema"))),
            _ => body.push(key, Field::Given(value)),
        }
    }
    if !body.0.iter().any(|(name, _)| *name == "tools") {
        // OpenAI refuses them where there is nothing to choose from.
        body.0.retain(|(name, _)| !matches!(*name, "tool_choice" | "parallel_tool_calls"));
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

fn message<'a>(
    index: usize,
    message: &'a Map<String, Value>,
    roles: Roles,
    dropped: &mut Vec<String>,
) -> Result<Message<'a>, InvalidRequest> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    let renamed = role == "developer" && roles == Roles::WithoutDeveloper;
    if !renamed && message.iter().all(|(key, value)| stays(key, value)) {
        return Ok(Message::Given(message));
    }
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
            ("role", _) if renamed => drop(out.insert(key.clone(), "system".into())),
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
    Ok(Message::Own(out))
}

/// Whether a part of a message is for every host what the client wrote.
fn stays(key: &str, value: &Value) -> bool {
    matches!((key, value), ("role" | "content", Value::String(_)) | ("content", Value::Null))
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
