//! The named events of a streamed response, numbered, in the published order.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::answer::{Answer, Kind, Segment};
use super::super::stream::Frames;
use super::shapes::{SUMMARY, Shaper, Status, status_of, summary_part, text_part};

/// Noise on deltas.
const NOISE: &str = "k3Jq8vXa0PzL";

/// Writes the events of one response.
#[derive(Debug)]
pub(super) struct Events {
    shaper: Shaper,
    obfuscate: bool,
    sequence: u64,
}

impl Events {
    /// A writer of events.
    pub(super) fn new(shaper: Shaper, obfuscate: bool) -> Self {
        Self { shaper, obfuscate, sequence: 0 }
    }

    fn event(&mut self, name: &str, data: Value, out: &mut String) {
        let mut event = json!({"type": name, "sequence_number": self.sequence});
        if let (Some(event), Value::Object(data)) = (event.as_object_mut(), data) {
            event.extend(data);
        }
        self.sequence += 1;
        let _ = write!(out, "event: {name}\ndata: {event}\n\n");
    }

    fn delta(&mut self, name: &str, mut data: Value, out: &mut String) {
        if self.obfuscate {
            let length = 1 + usize::try_from(self.sequence).unwrap_or(0) % (NOISE.len() - 1);
            data["obfuscation"] = NOISE.get(..length).unwrap_or(NOISE).into();
        }
        self.event(name, data, out);
    }

    fn opening(&mut self, answer: &Answer, out: &mut String) {
        for name in ["response.created", "response.in_progress"] {
            let response = self.shaper.response(answer, Status::InProgress, &[]);
            self.event(name, json!({"response": response}), out);
        }
        if answer.reasoning() > 0 {
            let item = self.shaper.reasoning(false);
            self.event("response.output_item.added", json!({"output_index": 0, "item": item}), out);
            if self.shaper.summarises() {
                self.summary(out);
            }
            let item = self.shaper.reasoning(true);
            self.event("response.output_item.done", json!({"output_index": 0, "item": item}), out);
        }
        self.searches(u64::from(answer.reasoning() > 0), out);
    }

    /// The searches, which all come before the first word.
    fn searches(&mut self, before: u64, out: &mut String) {
        for number in 0..self.shaper.searches() {
            let index = before + number;
            let item = self.shaper.search(number, Status::InProgress);
            let id = item.get("id").cloned();
            self.event("response.output_item.added", json!({"output_index": index, "item": item}), out);
            for stage in ["in_progress", "searching", "completed"] {
                let data = json!({"output_index": index, "item_id": id});
                self.event(&format!("response.web_search_call.{stage}"), data, out);
            }
            let item = self.shaper.search(number, Status::Completed);
            self.event("response.output_item.done", json!({"output_index": index, "item": item}), out);
        }
    }

    fn summary(&mut self, out: &mut String) {
        let id = self.shaper.item_id("rs", 0);
        let at = |more: Value| {
            let mut data = json!({"item_id": id, "output_index": 0, "summary_index": 0});
            if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
                data.extend(more);
            }
            data
        };
        let name = |end: &str| format!("response.reasoning_summary_{end}");
        self.event(&name("part.added"), at(json!({"part": summary_part("")})), out);
        self.delta(&name("text.delta"), at(json!({"delta": SUMMARY})), out);
        self.event(&name("text.done"), at(json!({"text": SUMMARY})), out);
        self.event(&name("part.done"), at(json!({"part": summary_part(SUMMARY)})), out);
    }

    fn token(&mut self, at: &Place<'_>, out: &mut String) {
        let Place { index, number, segment, place, status } = *at;
        let piece = segment.piece(place);
        let (first, last) = (place == 0, place + 1 == segment.len());
        if first {
            let item = self.shaper.item(number, segment, Status::InProgress);
            self.event("response.output_item.added", json!({"output_index": index, "item": item}), out);
        }
        match &segment.kind {
            Kind::Call { name, .. } => {
                let id = self.shaper.item_id("fc", number);
                if !piece.is_empty() {
                    let data = json!({"item_id": id, "output_index": index, "delta": piece});
                    self.delta("response.function_call_arguments.delta", data, out);
                }
                // A call that was cut has no end.
                if last && status == Status::Completed {
                    let data = json!({"item_id": id, "output_index": index, "name": name, "arguments": segment.text});
                    self.event("response.function_call_arguments.done", data, out);
                }
            }
            Kind::Text | Kind::Thinking => {
                let id = self.shaper.item_id("msg", number);
                if first {
                    let data = json!({"item_id": id, "output_index": index, "content_index": 0, "part": text_part("")});
                    self.event("response.content_part.added", data, out);
                }
                let data = json!({
                    "item_id": id, "output_index": index, "content_index": 0, "delta": piece, "logprobs": [],
                });
                self.delta("response.output_text.delta", data, out);
                if last {
                    let text = &segment.text;
                    let data = json!({
                        "item_id": id, "output_index": index, "content_index": 0, "text": text, "logprobs": [],
                    });
                    self.event("response.output_text.done", data, out);
                    let part = text_part(text);
                    let data = json!({"item_id": id, "output_index": index, "content_index": 0, "part": part});
                    self.event("response.content_part.done", data, out);
                }
            }
        }
        if last {
            let item = self.shaper.item(number, segment, status);
            self.event("response.output_item.done", json!({"output_index": index, "item": item}), out);
        }
    }
}

/// A token's place in the answer.
struct Place<'a> {
    /// Of the item among all.
    index: usize,
    /// Of the segment among the segments.
    number: usize,
    segment: &'a Segment,
    /// Of the token in its segment.
    place: usize,
    /// How the item will end.
    status: Status,
}

impl Frames for Events {
    fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        if step == 0 {
            self.opening(answer, out);
        }
        let Some(choice) = answer.choices.first() else { return };
        if let Some((number, segment, place)) = choice.at(step) {
            let index = number + self.shaper.items_before(choice);
            let final_one = number + 1 == choice.segments.len();
            let status = if final_one { status_of(choice) } else { Status::Completed };
            self.token(&Place { index, number, segment, place, status }, out);
        }
        if last {
            let name = match status_of(choice) {
                Status::Incomplete => "response.incomplete",
                Status::Completed | Status::InProgress => "response.completed",
            };
            let response = self.shaper.finished(answer);
            self.event(name, json!({"response": response}), out);
        }
    }
}
