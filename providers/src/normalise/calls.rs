//! Numbers for tool calls that come in fragments.
//!
//! OpenAI's clients join fragments by an integer index and fail without one; vendors leave it out, repeat zero, or repeat
//! the id on every fragment.

use serde_json::{Map, Value, json};

/// The calls of one choice so far.
#[derive(Debug, Default)]
pub(super) struct CallNumbers {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    index: Option<u64>,
    id: Option<String>,
}

impl CallNumbers {
    /// The place of a delta, and whether it opens it. An explicit index wins unless its id differs from the one open
    /// there; otherwise a new id (or a name) opens the next place, and a delta without either continues the last one.
    fn place(&mut self, index: Option<u64>, id: Option<&str>, named: bool) -> (usize, bool) {
        let known = match (index, id) {
            (Some(_), _) => self.slots.iter().rposition(|slot| slot.index == index),
            (None, Some(id)) => self.slots.iter().rposition(|slot| slot.id.as_deref() == Some(id)),
            (None, None) if named => None,
            (None, None) => self.slots.len().checked_sub(1),
        };
        let same = known.filter(|at| {
            let open = self.slots.get(*at).and_then(|slot| slot.id.as_deref());
            id.is_none() || open.is_none() || open == id
        });
        if let Some(at) = same {
            if let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.id.is_none()) {
                slot.id = id.map(str::to_owned);
            }
            return (at, false);
        }
        self.slots.push(Slot { index, id: id.map(str::to_owned) });
        (self.slots.len() - 1, true)
    }

    /// One delta in OpenAI's form: always a number; id, type and name on the first alone.
    pub(super) fn delta(&mut self, call: &Value, answer_id: &str) -> Value {
        let index = call.get("index").and_then(Value::as_u64);
        let id = id_of(call);
        let function = call.get("function");
        let name = function.and_then(|function| function.get("name")?.as_str()).filter(|name| !name.is_empty());
        let (place, first) = self.place(index, id, name.is_some());
        let mut out = Map::from_iter([("index".to_owned(), place.into())]);
        let mut fragment = Map::new();
        if first {
            out.insert("id".into(), id.map_or_else(|| made_id(answer_id, place), str::to_owned).into());
            out.insert("type".into(), "function".into());
            fragment.insert("name".into(), name.unwrap_or_default().into());
        }
        fragment.insert("arguments".into(), arguments(function).into());
        out.insert("function".into(), fragment.into());
        Value::Object(out)
    }
}

/// Whole calls out of the deltas of one choice.
#[derive(Debug, Default)]
pub(super) struct CallCollector {
    calls: Vec<Value>,
}

impl CallCollector {
    /// Adds a delta that [`CallNumbers`] has numbered.
    pub(super) fn add(&mut self, delta: Value) {
        let place = delta.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let open =
            place.and_then(|place| self.calls.get_mut(place)).and_then(|call| call.pointer_mut("/function/arguments"));
        match open {
            Some(Value::String(arguments)) => {
                arguments.push_str(delta.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default());
            }
            _ => self.calls.push(delta),
        }
    }

    /// Takes the calls, each whole.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.calls)
    }
}

/// The id of a call; third-party models at Mistral write the word "null" for none.
fn id_of(call: &Value) -> Option<&str> {
    call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && *id != "null")
}

/// An id for a call that has none: the same one whenever the same answer is read.
fn made_id(answer_id: &str, place: usize) -> String {
    crate::mistral::tool_id(&format!("{answer_id}:{place}"))
}

/// Arguments as text: some vendors send them as an object.
fn arguments(function: Option<&Value>) -> String {
    match function.and_then(|function| function.get("arguments")) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A whole call in OpenAI's form.
pub(super) fn whole_call(call: &Value, answer_id: &str, place: usize) -> Value {
    let function = call.get("function");
    let name = function.and_then(|function| function.get("name")?.as_str()).unwrap_or_default();
    json!({
        "id": id_of(call).map_or_else(|| made_id(answer_id, place), str::to_owned),
        "type": "function",
        "function": {"name": name, "arguments": arguments(function)},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(calls: &[Value]) -> Vec<(u64, bool, String)> {
        let mut numbers = CallNumbers::default();
        calls
            .iter()
            .map(|call| {
                let out = numbers.delta(call, "answer");
                let text = out["function"]["arguments"].as_str().unwrap().to_owned();
                (out["index"].as_u64().unwrap(), out.get("id").is_some(), text)
            })
            .collect()
    }

    fn call(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
    }

    #[test]
    fn calls_are_told_apart_however_they_are_numbered() {
        let whole_without_index = [call(None, Some("a"), Some("f"), "1"), call(None, Some("b"), Some("g"), "2")];
        let always_zero = [call(Some(0), Some("a"), Some("f"), "1"), call(Some(0), Some("b"), Some("g"), "2")];
        for calls in [whole_without_index, always_zero] {
            assert_eq!(run(&calls), [(0, true, "1".to_owned()), (1, true, "2".to_owned())]);
        }
        let fragments = [
            call(Some(0), Some("a"), Some("f"), "{"),
            call(Some(0), None, None, "}"),
            call(Some(1), Some("b"), Some("g"), "["),
            call(Some(0), Some("a"), Some("f"), "!"),
            call(None, Some("null"), None, "]"),
        ];
        let places: Vec<_> = run(&fragments).into_iter().map(|(place, first, _)| (place, first)).collect();
        assert_eq!(places, [(0, true), (0, false), (1, true), (0, false), (1, false)]);
    }

    #[test]
    fn a_call_without_an_id_gets_one_and_arguments_are_text() {
        let out =
            CallNumbers::default().delta(&json!({"id": "null", "function": {"name": "f", "arguments": {"a": 1}}}), "x");
        assert_eq!(out["id"].as_str().unwrap().len(), 9);
        assert_eq!(out["function"]["arguments"], r#"{"a":1}"#);
    }
}
