//! A Responses request as a chat request.

use serde_json::{Map, Value, json};

use super::{input, tools};
use crate::chat::{InvalidRequest, wrong_type};

/// Where the body was posted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// `/v1/responses`: keys that only chat knows mean nothing.
    Responses,
    /// `/v1/chat/completions`: keys of chat count too.
    Chat,
}

/// A request as chat, and the names of what was lost on the way.
#[derive(Default)]
pub(super) struct Translated {
    pub(super) chat: Map<String, Value>,
    pub(super) dropped: Vec<String>,
}

/// Fields with the same name and meaning in both.
const SHARED: &[&str] = &[
    "model",
    "temperature",
    "top_p",
    "prompt_cache_key",
    "service_tier",
    "user",
    "safety_identifier",
    "metadata",
    "stream",
];
/// What asks for the log probabilities of the text.
const LOGPROBS: &str = "message.output_text.logprobs";

/// The chat request that a Responses request means, as JSON.
///
/// # Errors
/// [`InvalidRequest`] for what needs state or runs at a vendor, and for input that cannot be read.
pub fn chat_map(body: &Map<String, Value>) -> Result<Map<String, Value>, InvalidRequest> {
    Ok(translate(body, Surface::Responses)?.chat)
}

pub(super) fn translate(body: &Map<String, Value>, surface: Surface) -> Result<Translated, InvalidRequest> {
    refuse_state(body, surface)?;
    let mut translation = Translation { body, surface, out: Translated::default() };
    let messages = input::messages(body)?;
    translation.out.chat.insert("messages".into(), Value::Array(messages));
    translation.tools()?;
    for (key, value) in body {
        if !value.is_null() {
            translation.field(key, value)?;
        }
    }
    Ok(translation.out)
}

/// Refuses what refers to something stored, or would store something.
fn refuse_state(body: &Map<String, Value>, surface: Surface) -> Result<(), InvalidRequest> {
    let is_set = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    let is_on = |key: &str| is_set(key) && body.get(key) != Some(&Value::Bool(false));
    let refusals = [
        (
            "previous_response_id",
            is_set("previous_response_id"),
            "Answers are not stored here: send the whole conversation in `input` instead of `previous_response_id`.",
        ),
        (
            "conversation",
            is_set("conversation"),
            "Conversations are not stored here: send the whole conversation in `input`.",
        ),
        ("prompt", is_set("prompt"), "Prompts are not stored here: send their text in `instructions` or `input`."),
        (
            "store",
            is_on("store") && surface == Surface::Responses,
            "Answers are not stored here: send `store` as false or leave it out.",
        ),
        (
            "background",
            is_on("background"),
            "Answers are not made in the background: send `background` as false or leave it out.",
        ),
    ];
    match refusals.into_iter().find(|(_, refused, _)| *refused) {
        Some((param, _, message)) => Err(InvalidRequest::unsupported(param, message)),
        None => Ok(()),
    }
}

struct Translation<'a> {
    body: &'a Map<String, Value>,
    surface: Surface,
    out: Translated,
}

impl Translation<'_> {
    /// Tools, and what is said about them; without tools nothing may be said.
    fn tools(&mut self) -> Result<(), InvalidRequest> {
        let value = |key: &str| self.body.get(key).filter(|value| !value.is_null());
        let search = self.surface == Surface::Responses;
        let mut kept = value("tools").map_or_else(|| Ok(Vec::new()), |tools| tools::chat_tools(tools, search))?;
        if kept.is_empty() {
            return Ok(());
        }
        // Chat cannot search, so a request that does is never sent as one and its choice need not be understood.
        let searches = value("tools").and_then(Value::as_array).into_iter().flatten().any(tools::is_search);
        let choice = value("tool_choice").filter(|_| !searches);
        let choice = choice.map(|choice| tools::chat_tool_choice(choice, &mut kept)).transpose()?;
        let parallel = value("parallel_tool_calls").cloned();
        let fields = [("tools", Some(Value::Array(kept))), ("tool_choice", choice), ("parallel_tool_calls", parallel)];
        for (name, value) in fields {
            if let Some(value) = value {
                self.out.chat.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn field(&mut self, key: &str, value: &Value) -> Result<(), InvalidRequest> {
        match key {
            // Read already, or of no meaning where nothing is stored.
            "input" | "instructions" | "tools" | "tool_choice" | "parallel_tool_calls" => {}
            "previous_response_id" | "conversation" | "prompt" | "store" | "background" => {}
            "max_output_tokens" => self.output_limit(value),
            "text" => self.text(value)?,
            "reasoning" => self.reasoning(value)?,
            "include" => self.include(value),
            "truncation" if value == "disabled" => {}
            "truncation" | "max_tool_calls" | "context_management" => self.drop(key),
            "top_logprobs" if *value == json!(0) => {}
            "top_logprobs" => {
                self.derive("logprobs", true.into());
                self.keep(key, value);
            }
            "stream_options" if self.surface == Surface::Responses => {
                if value.get("include_obfuscation") == Some(&Value::Bool(true)) {
                    self.drop("stream_options.include_obfuscation");
                }
            }
            _ if SHARED.contains(&key) => {
                self.keep(key, value);
                if key == "stream" && *value == Value::Bool(true) && self.surface == Surface::Responses {
                    // A Response ends with its usage.
                    self.keep("stream_options", &json!({"include_usage": true}));
                }
            }
            _ if self.surface == Surface::Chat => self.keep(key, value),
            _ => self.drop(key),
        }
        Ok(())
    }

    fn keep(&mut self, key: &str, value: &Value) {
        self.out.chat.insert(key.to_owned(), value.clone());
    }

    fn drop(&mut self, name: &str) {
        self.out.dropped.push(name.to_owned());
    }

    /// Sets a field of chat, unless the client of the chat path has set it itself.
    fn derive(&mut self, name: &str, value: Value) {
        if self.surface == Surface::Responses || self.body.get(name).is_none_or(Value::is_null) {
            self.out.chat.insert(name.to_owned(), value);
        }
    }

    fn output_limit(&mut self, value: &Value) {
        if self.surface == Surface::Responses || self.body.get("max_tokens").is_none_or(Value::is_null) {
            self.derive("max_completion_tokens", value.clone());
        }
    }

    fn text(&mut self, value: &Value) -> Result<(), InvalidRequest> {
        let Some(text) = value.as_object() else { return Err(wrong_type("text", "an object")) };
        for (key, value) in text.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "verbosity" => self.derive("verbosity", value.clone()),
                "format" => {
                    if let Some(format) = response_format(value)? {
                        self.derive("response_format", format);
                    }
                }
                other => self.drop(&format!("text.{other}")),
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, value: &Value) -> Result<(), InvalidRequest> {
        let Some(reasoning) = value.as_object() else { return Err(wrong_type("reasoning", "an object")) };
        for (key, value) in reasoning.iter().filter(|(_, value)| !value.is_null()) {
            match (key.as_str(), value.as_str()) {
                ("effort", _) => self.derive("reasoning_effort", value.clone()),
                ("context", Some("auto")) | ("mode", Some("standard")) => {}
                (other, _) => self.drop(&format!("reasoning.{other}")),
            }
        }
        Ok(())
    }

    fn include(&mut self, value: &Value) {
        let wanted = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if wanted.iter().any(|name| name == LOGPROBS) {
            self.derive("logprobs", true.into());
        }
        if wanted.iter().any(|name| name != LOGPROBS) {
            self.drop("include");
        }
    }
}

/// `text.format` as chat's `response_format`; plain text is what chat gives without being asked.
fn response_format(format: &Value) -> Result<Option<Value>, InvalidRequest> {
    let Some(object) = format.as_object() else { return Err(wrong_type("text.format", "an object")) };
    match object.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_schema") if !object.contains_key("json_schema") => {
            let mut schema = object.clone();
            schema.shift_remove("type");
            schema.retain(|_, value| !value.is_null());
            Ok(Some(json!({"type": "json_schema", "json_schema": schema})))
        }
        Some("json_schema" | "json_object") => Ok(Some(format.clone())),
        _ => Err(wrong_type("text.format.type", "text, json_schema or json_object")),
    }
}
