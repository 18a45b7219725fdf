//! OpenAI's chat answers and chunks: read on the side, forwarded as they came.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::repeat::Form;
use crate::chat::text_chars;
use crate::error::{ErrorKind, ProviderError};
use crate::normalise::{ChunkTranslator, FINISH_REASONS, Shape, whole};
use crate::sse::Frame;
use crate::stream::{AnswerFacts, DONE_FRAME, Decoded, FrameReader, data_frame, error_frame, failure_in, unreadable};
use crate::to_json;
use crate::usage::{ReportedUsage, has_null_details};

/// A text of a chunk, borrowed where it has no escapes. A type of its own, because serde makes a copy of every
/// `Option<Cow<str>>`, whatever it is told to borrow.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn chars(&self) -> u64 {
        chars(&self.0)
    }
}

fn chars(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// The parts of a chunk that matter here, borrowed from the frame.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Vec<ChunkChoice<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(default)]
    reasoning: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    tool_calls: Option<Vec<CallHead>>,
    #[serde(default)]
    function_call: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct CallHead {
    index: Option<u64>,
}

impl<'a> Chunk<'a> {
    /// The text, where it is all that the chunk says: one of the same form says the same but for its text.
    fn text_alone(&self) -> Option<&'a str> {
        let [ChunkChoice { delta, finish_reason: None }] = &self.choices[..] else { return None };
        let Delta { content: Some(Text(Cow::Borrowed(text))), tool_calls: None, function_call: None, .. } = delta
        else {
            return None;
        };
        (self.usage.is_none() && delta.reasoning_content.is_none()).then_some(text)
    }

    /// Whether an OpenAI client can take it as it is.
    fn is_in_shape(&self) -> bool {
        let choices_fit = self.choices.iter().all(|choice| {
            let known = choice.finish_reason.as_ref().is_none_or(|reason| FINISH_REASONS.contains(&&*reason.0));
            let numbered = choice.delta.tool_calls.iter().flatten().all(|call| call.index.is_some());
            known && numbered && choice.delta.reasoning.is_none()
        });
        let usage_apart = self.choices.is_empty() || self.usage.is_none();
        let usage_apart = usage_apart && !self.usage.is_some_and(has_null_details);
        self.error.is_none() && choices_fit && usage_apart
    }
}

/// Reads frames on the side and decides which of them the client gets.
pub(crate) struct ChatReader {
    include_usage: bool,
    /// No chunk is forwarded as it came: its client cannot take it so.
    translate_all: bool,
    translator: ChunkTranslator,
    /// The client has had its chunk of usage.
    usage_shown: bool,
    /// The last usage that rode on a chunk with content, as a chunk of its own for the end.
    usage_held: Option<Bytes>,
    /// What stands around the text of chunks that hold nothing else and are forwarded as they came.
    form: Form,
}

impl ChatReader {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            include_usage: shape.include_usage,
            translate_all: shape.whole_calls,
            translator: ChunkTranslator::new(shape),
            usage_shown: false,
            usage_held: None,
            form: Form::default(),
        }
    }

    /// A chunk in OpenAI's own shape: forwarded, unless it is the usage that the client did not ask for.
    fn forward(&mut self, frame: &Frame, data: &[u8], chunk: Chunk<'_>, facts: &mut AnswerFacts) -> Decoded {
        let mut decoded = Decoded::default();
        for choice in &chunk.choices {
            let delta = &choice.delta;
            let visible = delta.content.as_ref().or(delta.refusal.as_ref()).map_or(0, Text::chars);
            decoded.visible_chars += visible;
            let reasoning = delta.reasoning_content.as_ref().is_some_and(|text| !text.0.is_empty());
            let calls = delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
            decoded.has_content |= visible > 0 || reasoning || calls || delta.function_call.is_some();
            if let Some(reason) = &choice.finish_reason {
                decoded.finished += 1;
                facts.finish_reason = Some(reason.0.clone().into_owned());
            }
        }
        let is_usage = chunk.choices.is_empty() && chunk.usage.is_some();
        if let Some(usage) = chunk.usage.and_then(ReportedUsage::from_chat_text) {
            facts.usage = Some(usage);
        }
        if facts.upstream_id.is_none() {
            facts.upstream_id = chunk.id.map(|id| id.0.into_owned());
            facts.response_model = chunk.model.map(|model| model.0.into_owned());
        }
        if chunk.service_tier.is_some() {
            facts.service_tier = chunk.service_tier;
        }
        if is_usage && (!self.include_usage || self.usage_shown) {
            return decoded;
        }
        self.usage_shown |= is_usage;
        Decoded { bytes: forwarded(frame, data), ..decoded }
    }

    /// Anything else that is JSON: a compatible host's own way, put right chunk by chunk.
    fn translate(&mut self, data: &[u8], facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        let chunk: Value = serde_json::from_slice(data).map_err(|_| unreadable())?;
        let mut out = BytesMut::new();
        let held = &mut self.usage_held;
        let decoded = self.translator.translate(&chunk, facts, &mut |chunk| {
            let frame = data_frame(&to_json(&chunk));
            if chunk.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                // It may grow with every chunk: only the last one is true.
                *held = Some(frame);
            } else {
                out.extend_from_slice(&frame);
            }
        })?;
        Ok(Decoded { bytes: out.freeze(), ..decoded })
    }

    /// The end of the stream, with the usage before it where the client waits for it still.
    fn last(&mut self, marker: Bytes) -> Bytes {
        match self.usage_held.take().filter(|_| self.include_usage && !self.usage_shown) {
            Some(usage) => [usage, marker].concat().into(),
            None => marker,
        }
    }
}

impl FrameReader for ChatReader {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        if let Some(text) = self.form.text(&frame.raw) {
            let visible_chars = chars(text);
            return Ok(Decoded { bytes: frame.raw.clone(), visible_chars, has_content: true, ..Decoded::default() });
        }
        // Comments are the vendor's keep-alive: they carry nothing, and must never be passed on as data.
        let Some(data) = frame.data().filter(|data| !data.is_empty()) else { return Ok(Decoded::default()) };
        if &data[..] == b"[DONE]" {
            return Ok(Decoded { bytes: self.last(forwarded(frame, &data)), done: true, ..Decoded::default() });
        }
        match serde_json::from_slice::<Chunk<'_>>(&data) {
            Ok(chunk) if chunk.is_in_shape() && !self.translate_all => {
                let text = chunk.text_alone();
                let decoded = self.forward(frame, &data, chunk, facts);
                if let Some(text) = text.filter(|_| decoded.bytes.as_ptr() == frame.raw.as_ptr()) {
                    self.form.learn(&frame.raw, text);
                }
                Ok(decoded)
            }
            _ => self.translate(&data, facts),
        }
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        self.last(Bytes::from_static(DONE_FRAME))
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        error_frame(error)
    }
}

/// The frame as it came, or its data alone when it carries fields that break clients (`id:` above all).
fn forwarded(frame: &Frame, data: &[u8]) -> Bytes {
    if frame.has_extra_fields() || !frame.raw.ends_with(b"\n\n") {
        // A line end within JSON is space; in an event it would begin another field.
        let line: Vec<u8> = data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
        return data_frame(&line);
    }
    frame.raw.clone()
}

/// The parts of a whole answer that matter here, borrowed from it. What is not in OpenAI's own shape is not read so.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Vec<WholeChoice<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default)]
    object: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(borrow)]
    message: WholeMessage<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
    #[serde(default, deserialize_with = "is_there")]
    logprobs: bool,
}

#[derive(Deserialize)]
struct WholeMessage<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(default, deserialize_with = "is_there")]
    refusal: bool,
}

/// True for a key that is there, whatever it holds.
fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Whole<'_> {
    /// Whether an OpenAI client can take it as it is.
    fn is_in_shape(&self) -> bool {
        let complete = |choice: &WholeChoice<'_>| {
            choice.message.refusal && choice.logprobs && FINISH_REASONS.contains(&&*choice.finish_reason.0)
        };
        let failed = self.error.is_some() || self.object.as_ref().is_some_and(|object| object.0 == "error");
        !failed && self.choices.iter().all(complete) && !self.usage.is_some_and(has_null_details)
    }

    fn facts(self) -> AnswerFacts {
        let owned = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned());
        let chars = |choice: &WholeChoice<'_>| choice.message.content.as_ref().map_or(0, Text::chars);
        AnswerFacts {
            response_model: owned(self.model),
            upstream_id: owned(self.id),
            upstream_request_id: None,
            output_chars: self.choices.iter().map(chars).sum(),
            finish_reason: self.choices.into_iter().next().map(|choice| choice.finish_reason.0.into_owned()),
            usage: self.usage.and_then(ReportedUsage::from_chat_text),
            service_tier: owned(self.service_tier),
        }
    }
}

/// Reads a whole answer on the side. The bytes are forwarded as they came, unless a compatible host departs from the
/// shape in a way that breaks clients.
pub(crate) fn chat_answer(body: &Bytes, shape: &Shape) -> Result<(Bytes, AnswerFacts), ProviderError> {
    if let Ok(answer) = serde_json::from_slice::<Whole<'_>>(body)
        && answer.is_in_shape()
    {
        return Ok((body.clone(), answer.facts()));
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let (out, facts) = whole(&answer, shape)?;
    Ok((to_json(&out).into(), facts))
}

/// What the ledger needs of a chat answer in OpenAI's shape.
///
/// # Errors
/// The failure that the answer speaks of, or [`ErrorKind::Protocol`] for one without choices.
pub(crate) fn facts_of(answer: &Value) -> Result<AnswerFacts, ProviderError> {
    if let Some(error) = failure_in(answer) {
        return Err(error);
    }
    let Some(choices) = answer.get("choices").and_then(Value::as_array) else {
        return Err(ProviderError::new(ErrorKind::Protocol, "The vendor's answer has no choices."));
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(AnswerFacts {
        response_model: text("model"),
        upstream_id: text("id"),
        upstream_request_id: None,
        finish_reason: choices.first().and_then(|choice| choice.get("finish_reason")?.as_str()).map(str::to_owned),
        usage: answer.get("usage").and_then(ReportedUsage::from_chat),
        service_tier: text("service_tier"),
        output_chars: choices.iter().filter_map(|choice| choice.get("message")?.get("content")).map(text_chars).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Both ways of reading a whole answer say the same of it.
    #[test]
    fn what_is_read_on_the_side_is_what_the_whole_answer_says() {
        let answer = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna", "service_tier": "flex",
            "choices": [
                {"index": 0, "finish_reason": "stop", "logprobs": null, "message": {"role": "assistant", "content": "L\u{e9}a \"x\"", "refusal": null}},
                {"index": 1, "finish_reason": "length", "logprobs": null, "message": {"role": "assistant", "content": null, "refusal": "non"}},
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        });
        let bytes = Bytes::from(answer.to_string());
        let read = serde_json::from_slice::<Whole<'_>>(&bytes).unwrap();
        assert!(read.is_in_shape());
        assert_eq!(read.facts(), facts_of(&answer).unwrap());
        let (given, _) = chat_answer(&bytes, &Shape::default()).unwrap();
        assert_eq!(given.as_ptr(), bytes.as_ptr(), "no copy");
        for (pointer, value) in [
            ("/choices/0/finish_reason", json!("eos")),
            ("/choices/0/message/content", json!([{"type": "text", "text": "a"}])),
            ("/usage/prompt_tokens_details", json!(null)),
            ("/error", json!({"message": "no"})),
            ("/object", json!("error")),
        ] {
            let mut other = answer.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            other.pointer_mut(parent).unwrap()[key] = value;
            let text = other.to_string();
            let fits = serde_json::from_str::<Whole<'_>>(&text).is_ok_and(|answer| answer.is_in_shape());
            assert!(!fits, "{pointer}");
        }
        let mut bare = answer.clone();
        bare["choices"][0].as_object_mut().unwrap().remove("logprobs");
        let text = bare.to_string();
        assert!(!serde_json::from_str::<Whole<'_>>(&text).unwrap().is_in_shape());
    }
}
