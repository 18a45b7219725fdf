//! Parts of content: the Responses API's to chat's.

use serde_json::{Map, Value, json};

use crate::chat::{InvalidRequest, wrong_type};

/// The parts of a `content` or an `output`, each in chat's form. `place` names them in a refusal.
pub(super) fn chat_parts(parts: &[Value], place: &str) -> Result<Vec<Value>, InvalidRequest> {
    parts.iter().enumerate().map(|(index, part)| chat_part(part, &format!("{place}[{index}]"))).collect()
}

fn chat_part(part: &Value, place: &str) -> Result<Value, InvalidRequest> {
    let text = |key: &str| part.get(key).and_then(Value::as_str);
    let needed = |key: &str| text(key).ok_or_else(|| wrong_type(&format!("{place}.{key}"), "a text"));
    // Chat's own form wraps a file once more.
    if [Some(part), part.get("file")]
        .into_iter()
        .flatten()
        .any(|file| file.get("file_id").is_some_and(|id| !id.is_null()))
    {
        let message = "No files are stored here: send the content itself instead of a `file_id`.";
        return Err(InvalidRequest::unsupported(&format!("{place}.file_id"), message));
    }
    let kind = needed("type")?;
    let mut chat = match kind {
        "input_text" | "output_text" | "text" => json!({"type": "text", "text": needed("text")?}),
        // Not every host knows refusals as such; all of them know what was said.
        "refusal" => json!({"type": "text", "text": needed("refusal")?}),
        "input_image" => {
            let mut image = Map::from_iter([("url".to_owned(), needed("image_url")?.into())]);
            if let Some(detail) = text("detail") {
                // Chat has no `original`.
                image.insert("detail".into(), if detail == "original" { "high" } else { detail }.into());
            }
            json!({"type": "image_url", "image_url": image})
        }
        "input_file" => {
            if text("file_url").is_some() {
                let message = "Files are not fetched from an address: send them as `file_data`.";
                return Err(InvalidRequest::unsupported(&format!("{place}.file_url"), message));
            }
            let mut file = Map::new();
            if let Some(name) = text("filename") {
                file.insert("filename".into(), name.into());
            }
            file.insert("file_data".into(), needed("file_data")?.into());
            json!({"type": "file", "file": file})
        }
        "input_audio" => match part.get("input_audio").filter(|audio| audio.is_object()) {
            Some(audio) => json!({"type": "input_audio", "input_audio": audio}),
            None => return Err(wrong_type(&format!("{place}.input_audio"), "an object")),
        },
        // Chat's own form, which some editors mix in.
        "image_url" | "file" => part.clone(),
        other => {
            let message = format!("Content of type `{other}` is not supported.");
            return Err(InvalidRequest::unsupported(&format!("{place}.type"), message));
        }
    };
    if let (Some(mark), Some(object)) = (part.get("prompt_cache_breakpoint"), chat.as_object_mut()) {
        object.insert("prompt_cache_breakpoint".into(), mark.clone());
    }
    Ok(chat)
}

/// The text of a plain text part: one without a mark on it.
fn plain_text(part: &Value) -> Option<&str> {
    part.as_object().filter(|part| part.len() == 2)?.get("text")?.as_str()
}

/// One plain text part is simply a text, which every host takes.
pub(super) fn simplified(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [only] => plain_text(only).map(Value::from).unwrap_or(Value::Array(parts)),
        _ => Value::Array(parts),
    }
}

/// All text of `parts`, as one.
pub(super) fn joined_text(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
}
