//! The frames of a streamed chat answer, byte for byte in each vendor's order and shape.
//!
//! Written by hand rather than through a JSON tree: under load a simulator writes far more of these than of anything
//! else. It must not know time, HTTP or the books.

use std::fmt::Write as _;

use providers::Dialect;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Kind};
use super::stream::Frames;

/// What OpenAI calls the build that answered.
pub(super) const FINGERPRINT: &str = "fp_simulator";
/// Alphabet of the noise on chunks; Mistral sends its first letters.
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Writes the frames of one answer.
#[derive(Debug)]
pub(super) struct Framer {
    /// Everything up to the choices.
    head: String,
    /// Everything after the choices and before the noise: OpenAI's null usage, where usage was asked for.
    tail: &'static str,
    include_usage: bool,
    obfuscate: bool,
    /// Mistral: whether a single call comes without its index.
    bare_call: bool,
    noise: Xoshiro256PlusPlus,
}

impl Framer {
    /// A writer for that answer; `noise` is the seed of its padding.
    pub(super) fn new(answer: &Answer, include_usage: bool, obfuscate: bool, noise: u128) -> Self {
        let (id, model) = (Value::from(answer.id.as_str()), Value::from(answer.model.as_str()));
        let created = answer.created;
        let mut head =
            format!(r#"data: {{"id":{id},"object":"chat.completion.chunk","created":{created},"model":{model},"#);
        if answer.dialect != Dialect::Mistral {
            let _ = write!(head, r#""service_tier":"default","system_fingerprint":"{FINGERPRINT}","#);
        }
        let tail = if include_usage { r#","usage":null"# } else { "" };
        // The low half of the id is as good a seed as any.
        let seed = u64::try_from(noise & u128::from(u64::MAX)).unwrap_or_default();
        let bare_call = seed % 2 == 1;
        Self { head, tail, include_usage, obfuscate, bare_call, noise: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    fn openai_step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        if step == 0 {
            for (index, choice) in answer.choices.iter().enumerate() {
                let opening = match choice.segments.first().map(|segment| &segment.kind) {
                    Some(Kind::Call { .. }) => r#""role":"assistant","content":null,"refusal":null"#,
                    _ => r#""role":"assistant","content":"","refusal":null"#,
                };
                self.openai_frame(index, opening, "null", out);
            }
        }
        for (index, choice) in answer.choices.iter().enumerate() {
            if let Some((number, segment, place)) = choice.at(step) {
                let piece = segment.piece(place);
                if let Kind::Call { id, name } = &segment.kind {
                    if place == 0 {
                        let (id, name) = (Value::from(id.as_str()), Value::from(name.as_str()));
                        let call = format!(
                            r#""tool_calls":[{{"index":{number},"id":{id},"type":"function","function":{{"name":{name},"arguments":""}}}}]"#
                        );
                        self.openai_frame(index, &call, "null", out);
                    }
                    if !piece.is_empty() {
                        let piece = Value::from(piece);
                        let call = format!(r#""tool_calls":[{{"index":{number},"function":{{"arguments":{piece}}}}}]"#);
                        self.openai_frame(index, &call, "null", out);
                    }
                } else {
                    self.openai_frame(index, &format!(r#""content":{}"#, Value::from(piece)), "null", out);
                }
            }
            if step + 1 == choice.len().max(1) {
                self.openai_frame(index, "", &format!(r#""{}""#, choice.finish_reason), out);
            }
        }
        if last && self.include_usage {
            let _ = write!(out, r#"{}"choices":[],"usage":{}}}"#, self.head, answer.usage());
            out.push_str("\n\n");
        }
    }

    fn openai_frame(&mut self, index: usize, delta: &str, finish: &str, out: &mut String) {
        let (head, tail) = (&self.head, self.tail);
        let _ = write!(
            out,
            r#"{head}"choices":[{{"index":{index},"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}]"#
        );
        out.push_str(tail);
        if self.obfuscate {
            let start = self.noise.random_range(0..ALPHABET.len() - 12);
            let end = start + self.noise.random_range(1..=12);
            let _ = write!(out, r#","obfuscation":"{}""#, &ALPHABET[start..end]);
        }
        out.push_str("}\n\n");
    }

    fn mistral_step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        if step == 0 {
            for index in 0..answer.choices.len() {
                self.mistral_frame(index, r#""role":"assistant","content":"""#, "null", None, out);
            }
        }
        let ends = |index: &usize| answer.choices.get(*index).is_some_and(|choice| step + 1 == choice.len().max(1));
        let very_last = (0..answer.choices.len()).rev().find(ends).filter(|_| last);
        for (index, choice) in answer.choices.iter().enumerate() {
            let content = mistral_content(choice, step);
            if ends(&index) {
                let usage = (very_last == Some(index)).then(|| answer.usage());
                let delta = content.unwrap_or_else(|| r#""content":"""#.to_owned()) + &self.mistral_calls(choice);
                self.mistral_frame(index, &delta, &format!(r#""{}""#, choice.finish_reason), usage.as_ref(), out);
            } else if let Some(content) = content {
                self.mistral_frame(index, &content, "null", None, out);
            }
        }
    }

    /// All calls of a choice at once; nothing where there are none.
    fn mistral_calls(&self, choice: &Choice) -> String {
        let whole = |(number, (id, name, arguments)): (usize, (&str, &str, &str))| {
            let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            let single = choice.calls().nth(1).is_none();
            if !(single && self.bare_call) {
                call["index"] = number.into();
            }
            call
        };
        let calls: Vec<Value> = choice.calls().enumerate().map(whole).collect();
        if calls.is_empty() { String::new() } else { format!(r#","tool_calls":{}"#, Value::Array(calls)) }
    }

    fn mistral_frame(&mut self, index: usize, delta: &str, finish: &str, usage: Option<&Value>, out: &mut String) {
        let head = &self.head;
        let _ = write!(out, r#"{head}"choices":[{{"index":{index},"delta":{{{delta}}},"finish_reason":{finish}}}]"#);
        if let Some(usage) = usage {
            let _ = write!(out, r#","usage":{usage}"#);
        }
        let padding = self.noise.random_range(1..=ALPHABET.len());
        let _ = write!(out, r#","p":"{}"}}"#, &ALPHABET[..padding]);
        out.push_str("\n\n");
    }
}

impl Frames for Framer {
    fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        match answer.dialect {
            Dialect::Mistral => self.mistral_step(answer, step, last, out),
            Dialect::Openai | Dialect::Compatible => self.openai_step(answer, step, last, out),
        }
        if last {
            out.push_str("data: [DONE]\n\n");
        }
    }
}

/// Mistral's content of one token: a text; an array for thinking and for the first text after it. Calls come whole,
/// with the end of their choice.
fn mistral_content(choice: &Choice, step: usize) -> Option<String> {
    let (_, segment, place) = choice.at(step)?;
    let piece = Value::from(segment.piece(place));
    match segment.kind {
        Kind::Thinking => {
            Some(format!(r#""content":[{{"type":"thinking","thinking":[{{"type":"text","text":{piece}}}]}}]"#))
        }
        Kind::Text if place == 0 && choice.thinks() => Some(format!(r#""content":[{{"type":"text","text":{piece}}}]"#)),
        Kind::Text => Some(format!(r#""content":{piece}"#)),
        Kind::Call { .. } => None,
    }
}
