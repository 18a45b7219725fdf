//! The frames of a streamed answer, byte for byte in each vendor's order and shape.
//!
//! Written by hand rather than through a JSON tree: under load a simulator writes far more of these than of anything
//! else. It must not know time, HTTP or the books.

use std::fmt::Write as _;

use providers::Dialect;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::answer::Answer;

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
        Self { head, tail, include_usage, obfuscate, noise: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// Writes the frames of one step: at the first step the openings, then a token of each unfinished choice, then
    /// what ends a choice that is finished; after the last step what ends the stream.
    pub(super) fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        match answer.dialect {
            Dialect::Mistral => self.mistral_step(answer, step, last, out),
            Dialect::Openai | Dialect::Compatible => self.openai_step(answer, step, last, out),
        }
        if last {
            out.push_str("data: [DONE]\n\n");
        }
    }

    fn openai_step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        if step == 0 {
            for index in 0..answer.choices.len() {
                self.openai_frame(index, r#""role":"assistant","content":"","refusal":null"#, "null", out);
            }
        }
        for (index, choice) in answer.choices.iter().enumerate() {
            if step < choice.len() {
                let content = format!(r#""content":{}"#, Value::from(choice.piece(step)));
                self.openai_frame(index, &content, "null", out);
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
            let content = format!(r#""content":{}"#, Value::from(choice.piece(step)));
            if ends(&index) {
                let usage = (very_last == Some(index)).then(|| answer.usage());
                self.mistral_frame(index, &content, &format!(r#""{}""#, choice.finish_reason), usage.as_ref(), out);
            } else if step < choice.len() {
                self.mistral_frame(index, &content, "null", None, out);
            }
        }
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
