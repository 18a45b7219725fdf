//! The input of a Responses request as chat messages.
//!
//! What one answer said comes as several items here (reasoning, a message, each call); chat wants it as one message.

use serde_json::{Map, Value, json};

use super::parts::{chat_parts, joined_text, simplified};
use crate::chat::{InvalidRequest, wrong_type};

/// The messages of a request: its instructions, then its input.
pub(super) fn messages(body: &Map<String, Value>) -> Result<Vec<Value>, InvalidRequest> {
    let mut conversation = Conversation::default();
    match body.get("instructions") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => conversation.messages.push(json!({"role": "developer", "content": text})),
        Some(_) => return Err(wrong_type("instructions", "a text")),
    }
    match body.get("input") {
        Some(Value::String(text)) => conversation.messages.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                conversation.item(item, &format!("input[{index}]"))?;
            }
            conversation.close_turn();
            if items.is_empty() || conversation.messages.is_empty() {
                return Err(InvalidRequest::new("input", "`input` must hold at least one message."));
            }
        }
        None | Some(Value::Null) => return Err(InvalidRequest::new("input", "You must provide an `input`.")),
        Some(_) => return Err(wrong_type("input", "a text or a list of items")),
    }
    Ok(conversation.messages)
}

#[derive(Default)]
struct Conversation {
    messages: Vec<Value>,
    /// The assistant's message that items are still being added to.
    open: Option<Map<String, Value>>,
    /// Reasoning that waits for the assistant's message it led to.
    reasoning: Vec<String>,
    /// Images and files of tool outputs: chat's tool messages hold text only, and must not be taken apart.
    media: Vec<Value>,
}

impl Conversation {
    fn item(&mut self, item: &Value, place: &str) -> Result<(), InvalidRequest> {
        let Some(object) = item.as_object() else { return Err(wrong_type(place, "an object")) };
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            None | Some(Value::Null) if object.contains_key("role") => "message",
            None | Some(Value::Null) if object.contains_key("id") => "item_reference",
            _ => return Err(wrong_type(&format!("{place}.type"), "a text")),
        };
        match kind {
            "message" => self.message(object, place),
            "function_call" | "custom_tool_call" => self.call(object, kind, place),
            "function_call_output" | "custom_tool_call_output" => self.output(object, place),
            "reasoning" => {
                self.reasoning.extend(readable_reasoning(object));
                Ok(())
            }
            // It holds the words that were searched for, not what was found: the answer after it says that.
            "web_search_call" => Ok(()),
            "item_reference" => {
                let message = "Nothing is stored here, so items cannot be referred to: send them in full.";
                Err(InvalidRequest::unsupported(place, message))
            }
            other => {
                let message = format!("Input items of type `{other}` are not supported.");
                Err(InvalidRequest::unsupported(&format!("{place}.type"), message))
            }
        }
    }

    fn message(&mut self, item: &Map<String, Value>, place: &str) -> Result<(), InvalidRequest> {
        let role = match item.get("role").and_then(Value::as_str) {
            Some(role @ ("user" | "assistant" | "system" | "developer")) => role,
            _ => return Err(wrong_type(&format!("{place}.role"), "user, assistant, system or developer")),
        };
        let content_place = format!("{place}.content");
        let content = match item.get("content") {
            Some(Value::String(text)) => Value::from(text.as_str()),
            // What the assistant said is text, whatever its parts.
            Some(Value::Array(parts)) if role == "assistant" => joined_text(&chat_parts(parts, &content_place)?).into(),
            Some(Value::Array(parts)) => simplified(chat_parts(parts, &content_place)?),
            _ => return Err(wrong_type(&content_place, "a text or a list of parts")),
        };
        if role != "assistant" {
            self.close_turn();
            self.messages.push(json!({"role": role, "content": content}));
            return Ok(());
        }
        let joins_calls = self.open.as_ref().is_some_and(|open| !open.contains_key("content"));
        if !joins_calls {
            self.flush();
        }
        self.assistant().insert("content".to_owned(), content);
        Ok(())
    }

    fn call(&mut self, item: &Map<String, Value>, kind: &str, place: &str) -> Result<(), InvalidRequest> {
        let text = |key: &str| {
            item.get(key).and_then(Value::as_str).ok_or_else(|| wrong_type(&format!("{place}.{key}"), "a text"))
        };
        let (id, name) = (text("call_id")?, text("name")?);
        let call = if kind == "function_call" {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": text("arguments")?}})
        } else {
            json!({"id": id, "type": "custom", "custom": {"name": name, "input": text("input")?}})
        };
        let calls = self.assistant().entry("tool_calls").or_insert_with(|| json!([]));
        if let Some(calls) = calls.as_array_mut() {
            calls.push(call);
        }
        Ok(())
    }

    fn output(&mut self, item: &Map<String, Value>, place: &str) -> Result<(), InvalidRequest> {
        let Some(id) = item.get("call_id").and_then(Value::as_str) else {
            return Err(wrong_type(&format!("{place}.call_id"), "a text"));
        };
        let output_place = format!("{place}.output");
        let content = match item.get("output") {
            Some(Value::String(text)) => Value::from(text.as_str()),
            Some(Value::Array(parts)) => {
                let is_text = |part: &Value| part.get("type").is_some_and(|kind| kind == "text");
                let (texts, media): (Vec<_>, Vec<_>) = chat_parts(parts, &output_place)?.into_iter().partition(is_text);
                let only_media = texts.is_empty() && !media.is_empty();
                self.media.extend(media);
                // Shorter than the JSON around the parts, so the bytes received still bound the input.
                if only_media { "The output is in the message that follows.".into() } else { simplified(texts) }
            }
            _ => return Err(wrong_type(&output_place, "a text or a list of parts")),
        };
        self.flush();
        self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
        Ok(())
    }

    /// The open message of the assistant, with the reasoning that led to it.
    fn assistant(&mut self) -> &mut Map<String, Value> {
        if self.open.is_none() {
            self.show_media();
        }
        let open = self.open.get_or_insert_with(|| Map::from_iter([("role".to_owned(), "assistant".into())]));
        if !self.reasoning.is_empty() {
            let earlier = open.get("reasoning_content").and_then(Value::as_str).map(str::to_owned);
            let text: Vec<String> = earlier.into_iter().chain(self.reasoning.drain(..)).collect();
            open.insert("reasoning_content".into(), text.join("\n\n").into());
        }
        open
    }

    /// Ends the open message of the assistant.
    fn flush(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.entry("content").or_insert(Value::Null);
            self.messages.push(Value::Object(open));
        }
    }

    /// Ends what the assistant and its tools said; reasoning that led to nothing is forgotten.
    fn close_turn(&mut self) {
        self.flush();
        self.show_media();
        self.reasoning.clear();
    }

    fn show_media(&mut self) {
        if !self.media.is_empty() {
            let media = std::mem::take(&mut self.media);
            self.messages.push(json!({"role": "user", "content": media}));
        }
    }
}

/// The readable text of a reasoning item: its own words, else their summary. Encrypted reasoning has neither.
fn readable_reasoning(item: &Map<String, Value>) -> Option<String> {
    ["content", "summary"].iter().find_map(|key| {
        let parts = item.get(*key)?.as_array()?;
        let text = joined_text(parts);
        (!text.is_empty()).then_some(text)
    })
}
