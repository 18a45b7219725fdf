//! Chat chunks in OpenAI's shape and order: role, content, one chunk that ends a choice, usage to those who asked.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::calls::{CallCollector, CallNumbers};
use super::{PrefixStripper, Shape, client_usage, finish_reason, flatten, reasoning_beside, service_tier};
use crate::chat::MAX_CHOICES;
use crate::error::{ErrorKind, ProviderError};
use crate::stream::{AnswerFacts, Decoded, failure_in};
use crate::usage::ReportedUsage;

/// Translates chunk by chunk.
#[derive(Debug)]
pub(crate) struct ChunkTranslator {
    shape: Shape,
    choices: BTreeMap<u64, ChoiceState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    calls: CallNumbers,
    whole_calls: CallCollector,
    prefix: Option<PrefixStripper>,
    /// Something of it was visible, or called: an error at the end does not take that away.
    said: bool,
}

impl ChunkTranslator {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, choices: BTreeMap::new() }
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Notes that a choice says something visible; false when it has not begun, or when its beginning may still have to
    /// be taken off.
    pub(super) fn say(&mut self, index: u64) -> bool {
        let Some(state) = self.choices.get_mut(&index).filter(|state| state.prefix.is_none()) else { return false };
        state.said = true;
        true
    }

    /// Translates one chunk; what the client gets goes to `sink`, in order.
    ///
    /// # Errors
    /// The failure that the chunk speaks of.
    pub(crate) fn translate(
        &mut self,
        chunk: &Value,
        facts: &mut AnswerFacts,
        sink: &mut dyn FnMut(Value),
    ) -> Result<Decoded, ProviderError> {
        if let Some(error) = failure_in(chunk) {
            return Err(error);
        }
        let text = |key: &str| chunk.get(key).and_then(Value::as_str).map(str::to_owned);
        if facts.upstream_id.is_none() {
            facts.upstream_id = text("id");
            facts.response_model = text("model");
        }
        let reported = chunk.get("usage").and_then(ReportedUsage::from_chat);
        // The last word counts, but silence is none.
        if let Some(tier) = service_tier(chunk, reported.as_ref()) {
            facts.service_tier = Some(tier);
        }
        let mut decoded = Decoded::default();
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            self.choice(chunk, choice, facts, &mut decoded, sink)?;
        }
        if let Some(usage) = reported {
            if self.shape.include_usage {
                sink(self.chunk(chunk, &json!([]), client_usage(&usage)));
            }
            facts.usage = Some(usage);
        }
        Ok(decoded)
    }

    fn chunk(&self, chunk: &Value, choices: &Value, usage: Value) -> Value {
        let mut out = json!({
            "id": self.shape.id(chunk.get("id")),
            "object": "chat.completion.chunk",
            "created": chunk.get("created").cloned().unwrap_or_else(|| 0.into()),
            "model": chunk.get("model").cloned().unwrap_or_default(),
            "choices": choices,
        });
        if let (true, Some(object)) = (self.shape.include_usage, out.as_object_mut()) {
            object.insert("usage".into(), usage);
        }
        out
    }

    fn choice(
        &mut self,
        chunk: &Value,
        choice: &Value,
        facts: &mut AnswerFacts,
        decoded: &mut Decoded,
        sink: &mut dyn FnMut(Value),
    ) -> Result<(), ProviderError> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if index >= MAX_CHOICES {
            // Each takes memory until the stream ends, and nobody can have asked for so many.
            return Err(ProviderError::new(ErrorKind::Protocol, "The vendor's answer has too many choices."));
        }
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        let mut deltas: Vec<Value> = Vec::new();
        if delta.get("role").is_some_and(Value::is_string) {
            deltas.push(json!({"role": "assistant", "content": "", "refusal": null}));
        }
        let (visible, mut reasoning) = flatten(delta.get("content"));
        reasoning.push_str(reasoning_beside(delta));
        if !reasoning.is_empty() {
            decoded.has_content = true;
            deltas.push(json!({"reasoning_content": reasoning}));
        }
        let shape = &self.shape;
        let state = self.choices.entry(index).or_insert_with(|| ChoiceState {
            prefix: shape.prefix.clone().map(PrefixStripper::new),
            ..ChoiceState::default()
        });
        let visible = state.pass(&visible, reason.is_some());
        if !visible.is_empty() {
            state.said = true;
            decoded.has_content = true;
            decoded.visible_chars += u64::try_from(visible.chars().count()).unwrap_or(u64::MAX);
            deltas.push(json!({"content": visible}));
        }
        if let Some(refusal) = delta.get("refusal").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            decoded.has_content = true;
            deltas.push(json!({"refusal": refusal}));
        }
        let answer_id = chunk.get("id").and_then(Value::as_str).unwrap_or_default();
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            state.said = true;
            decoded.has_content = true;
            let call = state.calls.delta(call, answer_id);
            if shape.whole_calls {
                state.whole_calls.add(call);
            } else {
                deltas.extend(call_delta(call, shape.functions));
            }
        }
        if reason.is_some() {
            deltas.extend(state.whole_calls.take().into_iter().filter_map(|call| call_delta(call, shape.functions)));
        }
        let said = state.said;
        for delta in deltas {
            sink(self.chunk(chunk, &json!([choice_of(index, &delta, None)]), Value::Null));
        }
        if let Some(reason) = reason {
            if reason == "error" && !said {
                return Err(ProviderError::new(ErrorKind::Server, "The vendor failed to answer."));
            }
            let reason = finish_reason(reason, self.shape.functions);
            sink(self.chunk(chunk, &json!([choice_of(index, &json!({}), Some(reason))]), Value::Null));
            decoded.finished += 1;
            facts.finish_reason = Some(reason.to_owned());
        }
        Ok(())
    }
}

impl ChoiceState {
    /// What of the text may be passed on now: all of it, once the prefix is off.
    fn pass(&mut self, text: &str, last: bool) -> String {
        let Some(mut prefix) = self.prefix.take() else { return text.to_owned() };
        match prefix.push(text) {
            Some(rest) => rest,
            None if last => prefix.finish(),
            None => {
                self.prefix = Some(prefix);
                String::new()
            }
        }
    }
}

fn choice_of(index: u64, delta: &Value, reason: Option<&str>) -> Value {
    json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": reason})
}

/// The delta of a tool call; for a client that offered the older `functions`, as a `function_call`, of which there is
/// only one.
fn call_delta(mut call: Value, functions: bool) -> Option<Value> {
    if !functions {
        return Some(json!({"tool_calls": [call]}));
    }
    let first = call.get("index").and_then(Value::as_u64) == Some(0);
    let function = call.get_mut("function").map(Value::take).filter(|_| first)?;
    Some(Value::Object(Map::from_iter([("function_call".to_owned(), function)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_that_numbers_its_choices_without_end_is_not_followed() {
        let mut translator = ChunkTranslator::new(Shape::default());
        let mut say = |index: u64| {
            let choice = json!({"index": index, "delta": {"content": "a"}, "finish_reason": null});
            translator.translate(&json!({"choices": [choice]}), &mut AnswerFacts::default(), &mut drop)
        };
        assert!(say(MAX_CHOICES - 1).is_ok());
        assert_eq!(say(MAX_CHOICES).unwrap_err().kind, ErrorKind::Protocol);
    }
}
