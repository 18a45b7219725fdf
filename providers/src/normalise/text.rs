//! The chunk that streams are made of, a piece of visible text and nothing else, translated without a tree: all others
//! go the long way, which says the same.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};

use super::chunks::ChunkTranslator;
use crate::stream::{AnswerFacts, Decoded};

/// By how much a translated chunk is longer than the vendor's, at most, in bytes: one allocation is enough then.
const LONGER: usize = 128;

/// A chunk without anything that needs a second look: whatever else it holds sends it the long way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    created: u64,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    choices: (Choice<'a>,),
    /// Padding, which Mistral adds against those who measure encrypted lengths.
    #[serde(rename = "p", default)]
    _padding: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
    finish_reason: Option<IgnoredAny>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// What the client gets, field by field as the long way writes it.
#[derive(Serialize)]
struct Translated<'a> {
    id: Id<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [TranslatedChoice<'a>; 1],
    /// Null until the end for a client that waits for usage, and not there for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<()>,
}

#[derive(Serialize)]
struct TranslatedChoice<'a> {
    index: u64,
    delta: Delta<'a>,
    logprobs: (),
    finish_reason: (),
}

struct Id<'a> {
    own: bool,
    id: &'a str,
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.own {
            return serializer.collect_str(&format_args!("chatcmpl-{}", self.id));
        }
        serializer.serialize_str(self.id)
    }
}

impl ChunkTranslator {
    /// Translates a chunk of plain text; `None` for any other, of which nothing was taken in.
    pub(crate) fn text(&mut self, data: &[u8], facts: &mut AnswerFacts) -> Option<Decoded> {
        let chunk: Chunk<'_> = serde_json::from_slice(data).ok()?;
        let (choice,) = chunk.choices;
        if chunk.object == "error"
            || choice.finish_reason.is_some()
            || choice.delta.content.is_empty()
            || !self.say(choice.index)
        {
            return None;
        }
        if facts.upstream_id.is_none() {
            facts.upstream_id = Some(chunk.id.clone().into_owned());
            facts.response_model = Some(chunk.model.clone().into_owned());
        }
        let visible_chars = u64::try_from(choice.delta.content.chars().count()).unwrap_or(u64::MAX);
        let out = Translated {
            id: Id { own: self.shape().own_ids, id: &chunk.id },
            object: "chat.completion.chunk",
            created: chunk.created,
            model: &chunk.model,
            choices: [TranslatedChoice { index: choice.index, delta: choice.delta, logprobs: (), finish_reason: () }],
            usage: self.shape().include_usage.then_some(()),
        };
        let mut bytes = BytesMut::with_capacity(data.len() + LONGER);
        bytes.put_slice(b"data: ");
        serde_json::to_writer((&mut bytes).writer(), &out).ok()?;
        bytes.put_slice(b"\n\n");
        let bytes: Bytes = bytes.freeze();
        Some(Decoded { bytes, visible_chars, has_content: true, ..Decoded::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::normalise::Shape;
    use crate::stream::data_frame;

    type Said<T> = (T, AnswerFacts);

    fn both_ways(data: &[u8], shape: &Shape) -> (Option<Said<Bytes>>, Said<Vec<u8>>) {
        let mut facts = AnswerFacts::default();
        // A choice begins with its role, the long way.
        let role = json!({"id": "a", "object": "o", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]});
        let begun = || {
            let mut translator = ChunkTranslator::new(shape.clone());
            translator.translate(&role, &mut AnswerFacts::default(), &mut drop).unwrap();
            translator
        };
        let fast = begun().text(data, &mut facts).map(|decoded| {
            assert!(decoded.has_content && decoded.visible_chars > 0);
            (decoded.bytes, facts)
        });
        let (mut out, mut facts) = (Vec::new(), AnswerFacts::default());
        let chunk: Value = serde_json::from_slice(data).unwrap();
        let mut sink = |chunk: Value| out.extend_from_slice(&data_frame(chunk.to_string().as_bytes()));
        let _failure = begun().translate(&chunk, &mut facts, &mut sink);
        (fast, (out, facts))
    }

    fn chunk(content: &Value) -> Value {
        json!({"id": "cmpl-1", "object": "chat.completion.chunk", "created": 17, "model": "mistral-small", "p": "abc",
               "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}]})
    }

    #[test]
    fn whatever_is_not_plain_text_goes_the_long_way() {
        let shape = Shape::default();
        assert!(both_ways(chunk(&json!("a")).to_string().as_bytes(), &shape).0.is_some());
        for content in [json!(""), json!([{"type": "text", "text": "a"}]), json!(null)] {
            assert!(both_ways(chunk(&content).to_string().as_bytes(), &shape).0.is_none(), "{content}");
        }
        for (pointer, value) in [
            ("/usage", json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})),
            ("/error", json!({"message": "no"})),
            ("/object", json!("error")),
            ("/choices/0/finish_reason", json!("stop")),
            ("/choices/0/delta/tool_calls", json!([])),
            ("/choices/0/delta/reasoning", json!("hm")),
            ("/choices/0/logprobs", json!({})),
        ] {
            let mut other = chunk(&json!("a"));
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            other.pointer_mut(parent).unwrap()[key] = value;
            assert!(both_ways(other.to_string().as_bytes(), &shape).0.is_none(), "{pointer}");
        }
        let mut two = chunk(&json!("a"));
        let choice = two["choices"][0].clone();
        two["choices"].as_array_mut().unwrap().push(choice);
        assert!(both_ways(two.to_string().as_bytes(), &shape).0.is_none());
    }

    #[test]
    fn a_beginning_that_the_client_wrote_itself_goes_the_long_way_until_it_is_off() {
        let mut translator = ChunkTranslator::new(Shape { prefix: Some("ab".to_owned()), ..Shape::default() });
        let data = chunk(&json!("a")).to_string();
        assert!(translator.text(data.as_bytes(), &mut AnswerFacts::default()).is_none());
    }

    proptest! {
        #[test]
        fn both_ways_say_the_same(content in "\\PC{1,20}|[\\x00-\\x1f\"\\\\/é€😀]{1,9}", ascii: bool, include_usage: bool, own_ids: bool) {
            let mut text = chunk(&json!(content)).to_string();
            if ascii {
                // Python's servers escape whatever is not ASCII.
                let escape = |unit: u16| format!("\\u{unit:04x}");
                text = text.chars().map(|c| if c.is_ascii() { c.to_string() } else { c.encode_utf16(&mut [0; 2]).iter().copied().map(escape).collect() }).collect();
            }
            let (fast, (out, facts)) = both_ways(text.as_bytes(), &Shape { include_usage, own_ids, ..Shape::default() });
            let (bytes, fast_facts) = fast.unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&out));
            prop_assert_eq!(fast_facts, facts);
        }
    }
}
