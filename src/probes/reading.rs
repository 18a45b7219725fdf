//! What a probe sees of a streamed answer: its text, and when the first and the last of it came.
//!
//! Frames are read as any client reads them. It must not know which vendor answers.

use providers::sse::FrameSplitter;
use serde::Deserialize;

use crate::clock::{Clock, Tick};
use crate::pipeline::Frames;

/// An answer as it was read. The text lives no longer than its check takes.
#[derive(Default)]
pub(super) struct Reading {
    /// Visible text.
    pub(super) text: String,
    /// When the first visible text came.
    pub(super) first_text: Option<Tick>,
    /// When the last content came.
    pub(super) last: Option<Tick>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    /// What a model thinks is content, and no visible text.
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

impl Reading {
    /// Reads an answer to its end.
    pub(super) async fn of(mut frames: Frames, clock: &Clock) -> Self {
        let mut reading = Self::default();
        let mut splitter = FrameSplitter::new();
        while let Some(bytes) = std::future::poll_fn(|context| frames.poll_next(context)).await {
            let now = clock.tick();
            splitter.push(bytes);
            // A frame that is too long for the splitter is too long for every client: what came before counts.
            while let Ok(Some(frame)) = splitter.next_frame() {
                if let Some(data) = frame.data() {
                    reading.add(&data, now);
                }
            }
        }
        reading
    }

    /// Takes one event in; what is no chunk (`[DONE]`, a failure) has no content.
    fn add(&mut self, data: &[u8], now: Tick) {
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else { return };
        for Choice { delta } in chunk.choices {
            let text = delta.content.unwrap_or_default();
            if !text.is_empty() {
                self.first_text.get_or_insert(now);
                self.text.push_str(&text);
            }
            if !text.is_empty() || delta.reasoning_content.is_some_and(|thought| !thought.is_empty()) {
                self.last = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn thoughts_are_content_and_no_visible_text() {
        let clock = Clock::manual("2026-11-24T09:00:00Z".parse().unwrap());
        let mut reading = Reading::default();
        let mut say = |data: &str| {
            clock.advance(Duration::from_secs(1));
            reading.add(data.as_bytes(), clock.tick());
        };
        say(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#);
        say(r#"{"choices":[{"delta":{"reasoning_content":"Hm."}}]}"#);
        say(r#"{"choices":[{"delta":{"content":"Bon"}}]}"#);
        say(r#"{"choices":[{"delta":{"content":"jour."}}]}"#);
        say(r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#);
        say(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#);
        say(r#"{"error":{"message":"late","type":"server_error","param":null,"code":null}}"#);
        say("[DONE]");
        let seconds = |tick: Option<Tick>| tick.map(|tick| tick.nanos() / 1_000_000_000);
        assert_eq!((seconds(reading.first_text), seconds(reading.last)), (Some(3), Some(4)));
        assert_eq!(reading.text, "Bonjour.");
    }
}
