//! Messages and their parts: checked by role, and what they carry beside text counted for the ceiling.
//!
//! It must not know vendors: what a model can see or hear is the catalogue's.

use serde_json::{Map, Value};

use super::{InvalidRequest, wrong_type};
use crate::catalogue::Model;

/// What a request carries beside text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Images.
    pub images: u64,
    /// Recordings.
    pub sounds: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the body that are their content, and no text.
    pub payload_bytes: u64,
}

impl Media {
    /// Whether there is anything beside text.
    pub fn is_empty(&self) -> bool {
        self.images + self.sounds + self.files == 0
    }

    /// Whether `model` can take all of it.
    ///
    /// # Errors
    /// [`InvalidRequest`] that names what it cannot take.
    pub fn check(&self, model: &Model) -> Result<(), InvalidRequest> {
        for (count, able, what) in [
            (self.images, model.vision, "images"),
            (self.sounds, model.audio_input, "audio"),
            (self.files, model.file_input, "files"),
        ] {
            if count > 0 && !able {
                return Err(InvalidRequest::unsupported("messages", format!("This model does not accept {what}.")));
            }
        }
        Ok(())
    }

    /// Most input tokens of it, with `model`: images by the vendor's rule; whatever has no rule may fill the window.
    pub fn token_bound(&self, model: &Model) -> u64 {
        if self.sounds + self.files > 0 {
            return model.context_window;
        }
        self.images.saturating_mul(model.image_tokens.unwrap_or(model.context_window))
    }

    fn add_payload(&mut self, text: &str) {
        self.payload_bytes = self.payload_bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }
}

/// Reads and checks the messages of a request.
pub(super) fn parse_messages(
    value: Option<Value>,
    media: &mut Media,
) -> Result<Vec<Map<String, Value>>, InvalidRequest> {
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
            Value::Object(message) => {
                check_message(&format!("messages[{index}]"), &message, media)?;
                Ok(message)
            }
            _ => Err(wrong_type(&format!("messages[{index}]"), "an object")),
        })
        .collect()
}

fn check_message(place: &str, message: &Map<String, Value>, media: &mut Media) -> Result<(), InvalidRequest> {
    let Some(role) = message.get("role").and_then(Value::as_str) else {
        return Err(wrong_type(&format!("{place}.role"), "a text"));
    };
    let calls = message.get("tool_calls").filter(|calls| !calls.is_null());
    let may_be_empty = match role {
        "system" | "developer" | "user" | "tool" => false,
        "assistant" | "function" => true,
        _ => {
            let text = format!("`{role}` is not a role: use system, developer, user, assistant or tool.");
            return Err(InvalidRequest::new(&format!("{place}.role"), text));
        }
    };
    if role == "tool" && !message.get("tool_call_id").is_some_and(Value::is_string) {
        return Err(wrong_type(&format!("{place}.tool_call_id"), "the id of the tool call that it answers"));
    }
    check_content(&format!("{place}.content"), role, message.get("content"), may_be_empty, media)?;
    calls.map_or(Ok(()), |calls| check_calls(&format!("{place}.tool_calls"), calls))
}

fn check_content(
    place: &str,
    role: &str,
    content: Option<&Value>,
    may_be_empty: bool,
    media: &mut Media,
) -> Result<(), InvalidRequest> {
    match content {
        Some(Value::String(_)) => Ok(()),
        None | Some(Value::Null) if may_be_empty => Ok(()),
        Some(Value::Array(parts)) => {
            for (index, part) in parts.iter().enumerate() {
                check_part(&format!("{place}[{index}]"), role, part, media)?;
            }
            Ok(())
        }
        _ => Err(wrong_type(place, "a text or a list of parts")),
    }
}

fn check_part(place: &str, role: &str, part: &Value, media: &mut Media) -> Result<(), InvalidRequest> {
    let text = |key: &str| part.get(key).and_then(Value::as_str);
    let missing = |key: &str| wrong_type(&format!("{place}.{key}"), "a text");
    let kind = text("type").unwrap_or_default();
    match kind {
        "text" => text("text").map(|_| ()).ok_or_else(|| missing("text")),
        "refusal" if role == "assistant" => text("refusal").map(|_| ()).ok_or_else(|| missing("refusal")),
        // Mistral's own, sent back by its clients.
        "thinking" | "reference" if role == "assistant" => Ok(()),
        "image_url" if role == "user" => {
            let image = part.get("image_url");
            let url = image.and_then(|image| image.as_str().or_else(|| image.get("url")?.as_str()));
            let url = url.ok_or_else(|| missing("image_url.url"))?;
            if url.starts_with("data:") {
                media.add_payload(url);
            } else if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(wrong_type(&format!("{place}.image_url.url"), "an http address or a data: URL"));
            }
            media.images += 1;
            Ok(())
        }
        "input_audio" if role == "user" => {
            let sound = part.get("input_audio");
            let data = sound.and_then(|sound| sound.as_str().or_else(|| sound.get("data")?.as_str()));
            media.add_payload(data.ok_or_else(|| missing("input_audio.data"))?);
            media.sounds += 1;
            Ok(())
        }
        "file" if role == "user" => {
            let data = part.get("file").and_then(|file| file.get("file_data")?.as_str());
            let Some(data) = data else {
                // The vendor's account is the town's: an id could name another resident's file.
                let text = "No files are stored here: send the content as `file_data`, not a `file_id`.";
                return Err(InvalidRequest::unsupported(&format!("{place}.file"), text));
            };
            media.add_payload(data);
            media.files += 1;
            Ok(())
        }
        _ => {
            let text = format!("A part of type `{kind}` is not accepted in a message of role `{role}`.");
            Err(InvalidRequest::unsupported(place, text))
        }
    }
}

fn check_calls(place: &str, calls: &Value) -> Result<(), InvalidRequest> {
    let Some(calls) = calls.as_array() else { return Err(wrong_type(place, "a list")) };
    for (index, call) in calls.iter().enumerate() {
        if call.get("custom").is_some_and(Value::is_object) {
            continue;
        }
        let function = call.get("function");
        let named = function.is_some_and(|function| function.get("name").is_some_and(Value::is_string));
        let argued = function.is_some_and(|function| {
            function.get("arguments").is_some_and(|arguments| arguments.is_string() || arguments.is_object())
        });
        if !named || !argued {
            return Err(wrong_type(&format!("{place}[{index}].function"), "an object with a name and arguments"));
        }
    }
    Ok(())
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
