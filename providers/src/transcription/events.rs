//! A transcript as it comes: OpenAI's events forwarded, Mistral's in OpenAI's words.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::answer::token_usage;
use crate::error::ProviderError;
use crate::sse::Frame;
use crate::stream::{AnswerFacts, Decoded, FrameReader, data_frame, error_event, error_frame, unreadable};
use crate::to_json;
use crate::usage::ReportedUsage;

/// One event, read; `None` for comments and the end marker, which need no reading.
fn event(frame: &Frame) -> Result<Option<Value>, ProviderError> {
    let Some(data) = frame.data().filter(|data| !data.is_empty() && &data[..] != b"[DONE]") else { return Ok(None) };
    let event: Value = serde_json::from_slice(&data).map_err(|_| unreadable())?;
    match event.get("error").filter(|error| !error.is_null()) {
        Some(error) => Err(error_event(error)),
        None => Ok(Some(event)),
    }
}

fn is_done_marker(frame: &Frame) -> bool {
    frame.data().is_some_and(|data| &data[..] == b"[DONE]")
}

fn note(event: &Value, facts: &mut AnswerFacts, done: bool, delta: &str) -> Decoded {
    if done {
        facts.usage = event.get("usage").and_then(ReportedUsage::from_transcription);
        facts.finish_reason = Some("stop".to_owned());
    }
    if facts.response_model.is_none() {
        facts.response_model = event.get("model").and_then(Value::as_str).map(str::to_owned);
    }
    Decoded {
        finished: u64::from(done),
        visible_chars: u64::try_from(delta.chars().count()).unwrap_or(u64::MAX),
        has_content: !delta.is_empty(),
        ..Decoded::default()
    }
}

/// OpenAI's own events.
pub(crate) struct OpenaiEvents;

impl FrameReader for OpenaiEvents {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        if is_done_marker(frame) {
            return Ok(Decoded { bytes: frame.raw.clone(), done: true, ..Decoded::default() });
        }
        let Some(event) = event(frame)? else { return Ok(Decoded::default()) };
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let delta = if text("type") == "transcript.text.delta" { text("delta") } else { "" };
        let decoded = note(&event, facts, text("type") == "transcript.text.done", delta);
        Ok(Decoded { bytes: frame.raw.clone(), ..decoded })
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        Bytes::new()
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        error_frame(error)
    }
}

/// Mistral's events.
pub(crate) struct MistralEvents;

impl FrameReader for MistralEvents {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        if is_done_marker(frame) {
            return Ok(Decoded { done: true, ..Decoded::default() });
        }
        let Some(event) = event(frame)? else { return Ok(Decoded::default()) };
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut out = BytesMut::new();
        match text("type") {
            "transcription.text.delta" => {
                let delta = json!({"type": "transcript.text.delta", "delta": text("text")});
                let decoded = note(&event, facts, false, text("text"));
                out.extend_from_slice(&data_frame(&to_json(&delta)));
                Ok(Decoded { bytes: out.freeze(), ..decoded })
            }
            "transcription.done" => {
                let decoded = note(&event, facts, true, "");
                let mut done = json!({"type": "transcript.text.done", "text": text("text")});
                if let (Some(usage), Some(object)) = (token_usage(facts), done.as_object_mut()) {
                    object.insert("usage".to_owned(), usage);
                }
                out.extend_from_slice(&data_frame(&to_json(&done)));
                Ok(Decoded { bytes: out.freeze(), ..decoded })
            }
            // The language and the segments have no event of OpenAI's.
            _ => Ok(Decoded::default()),
        }
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        Bytes::new()
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        error_frame(error)
    }
}
