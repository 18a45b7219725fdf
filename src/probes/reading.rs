//! What a probe sees of a streamed answer: its text, and when the first and the last of it came.
//!
//! It must not know which vendor answers.

use providers::sse::FrameSplitter;

use crate::clock::{Clock, Tick};
use crate::pipeline::{Frames, Said};

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

impl Reading {
    /// Reads an answer to its end.
    pub(super) async fn of(mut frames: Frames, clock: &Clock) -> Self {
        let mut reading = Self::default();
        let mut splitter = FrameSplitter::new();
        while let Some(bytes) = std::future::poll_fn(|context| frames.poll_next(context)).await {
            let now = clock.tick();
            splitter.push(bytes);
            reading.add(&Said::read(&mut splitter), now);
        }
        reading
    }

    /// Takes in what came at once.
    fn add(&mut self, said: &Said, now: Tick) {
        if !said.text.is_empty() {
            self.first_text.get_or_insert(now);
            self.text.push_str(&said.text);
        }
        if said.is_content {
            self.last = Some(now);
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
        let mut say = |text: &str, is_content| {
            clock.advance(Duration::from_secs(1));
            reading.add(&Said { text: text.to_owned(), is_content }, clock.tick());
        };
        say("", false);
        say("", true);
        say("Bon", true);
        say("jour.", true);
        say("", false);
        let seconds = |tick: Option<Tick>| tick.map(|tick| tick.nanos() / 1_000_000_000);
        assert_eq!((seconds(reading.first_text), seconds(reading.last)), (Some(3), Some(4)));
        assert_eq!(reading.text, "Bonjour.");
    }
}
