//! OpenAI's dialect: what its Chat Completions accepts, and its answers read on the side.
//!
//! The client speaks this dialect too, so answers and frames are forwarded as they came.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chat::{ChatRequest, text_chars};
use crate::error::{ErrorKind, ProviderError};
use crate::sse::Frame;
use crate::stream::{AnswerFacts, Decoded, error_event, unreadable};
use crate::upstream::{CallContext, Encoded};
use crate::usage::ReportedUsage;

/// Fields that never reach the vendor: they identify the client, choose a dearer tier, or ask for storage.
const WITHHELD: &[&str] = &["user", "safety_identifier", "metadata", "store", "service_tier"];
/// Fields of Mistral's dialect that have no meaning here.
const MISTRAL_ONLY: &[&str] = &["safe_prompt", "prompt_mode", "guardrails"];

/// Builds the body for OpenAI.
pub(crate) fn encode(request: &ChatRequest, context: &CallContext<'_>) -> Encoded {
    let mut dropped = Vec::new();
    let mut body = common_fields(request, context, &mut dropped);
    body.insert("max_completion_tokens".into(), context.max_output_tokens.into());
    body.insert("store".into(), false.into());
    body.insert("service_tier".into(), "default".into());
    body.insert("safety_identifier".into(), context.safety_identifier.into());
    Encoded { body: Value::Object(body).to_string().into(), dropped }
}

/// The part of the body that every OpenAI-shaped host takes: model, messages, stream with usage, and the client's other
/// fields as they came.
pub(crate) fn common_fields(
    request: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), context.model_id.into());
    let messages = request.messages.iter().map(|message| {
        let mut message = message.clone();
        message.shift_remove("prefix");
        Value::Object(message)
    });
    body.insert("messages".into(), messages.collect());
    body.insert("stream".into(), request.stream.into());
    if request.stream {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if request.choices > 1 {
        body.insert("n".into(), request.choices.into());
    }
    for (key, value) in &request.rest {
        match key.as_str() {
            _ if value.is_null() => {}
            name if WITHHELD.contains(&name) || MISTRAL_ONLY.contains(&name) => dropped.push(key.clone()),
            "random_seed" => drop(body.insert("seed".into(), value.clone())),
            "prompt_cache_key" => drop(body.insert(key.clone(), context.cache_key(value))),
            "tool_choice" if value == "any" => drop(body.insert(key.clone(), "required".into())),
            _ => drop(body.insert(key.clone(), value.clone())),
        }
    }
    body
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    choices: Vec<ChunkChoice<'a>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(borrow, default)]
    delta: Delta<'a>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(default)]
    tool_calls: Option<Vec<serde::de::IgnoredAny>>,
}

/// Reads frames on the side and decides which of them the client gets.
pub(crate) struct StreamDecoder {
    include_usage: bool,
}

impl StreamDecoder {
    pub(crate) fn new(include_usage: bool) -> Self {
        Self { include_usage }
    }

    pub(crate) fn decode(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        // Comments are the vendor's keep-alive: they carry nothing, and must never be passed on as data.
        let Some(data) = frame.data().filter(|data| !data.is_empty()) else { return Ok(Decoded::default()) };
        if &data[..] == b"[DONE]" {
            return Ok(Decoded { bytes: forwarded(frame, &data), done: true, ..Decoded::default() });
        }
        let chunk: Chunk<'_> = serde_json::from_slice(&data).map_err(|_| unreadable())?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(error_event(&error));
        }
        let mut decoded = Decoded::default();
        for choice in &chunk.choices {
            let delta = &choice.delta;
            let visible = delta.content.as_deref().or(delta.refusal.as_deref()).unwrap_or_default();
            decoded.visible_chars += u64::try_from(visible.chars().count()).unwrap_or(u64::MAX);
            let reasoning = delta.reasoning_content.as_deref().is_some_and(|text| !text.is_empty());
            let tools = delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
            decoded.has_content |= !visible.is_empty() || reasoning || tools;
            if let Some(reason) = &choice.finish_reason {
                facts.finish_reason = Some(reason.clone());
            }
        }
        let hidden = chunk.choices.is_empty() && chunk.usage.is_some() && !self.include_usage;
        if let Some(usage) = chunk.usage.as_ref().and_then(ReportedUsage::from_chat) {
            facts.usage = Some(usage);
        }
        if facts.upstream_id.is_none() {
            facts.upstream_id = chunk.id.map(Cow::into_owned);
            facts.response_model = chunk.model.map(Cow::into_owned);
        }
        if chunk.service_tier.is_some() {
            facts.service_tier = chunk.service_tier;
        }
        if !hidden {
            decoded.bytes = forwarded(frame, &data);
        }
        Ok(decoded)
    }
}

/// The frame as it came, or its data alone when it carries fields that break clients (`id:` above all).
fn forwarded(frame: &Frame, data: &[u8]) -> Bytes {
    if frame.has_extra_fields() || !frame.raw.ends_with(b"\n\n") {
        return data_frame(data);
    }
    frame.raw.clone()
}

/// One `data:` event.
pub(crate) fn data_frame(data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(data.len() + 8);
    bytes.put_slice(b"data: ");
    bytes.put_slice(data);
    bytes.put_slice(b"\n\n");
    bytes.freeze()
}

/// Reads a whole answer on the side; the bytes are forwarded as they came.
pub(crate) fn decode_answer(body: &Bytes) -> Result<(Bytes, AnswerFacts), ProviderError> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    Ok((body.clone(), facts_of(&answer)?))
}

/// What the ledger needs of an answer in OpenAI's shape.
pub(crate) fn facts_of(answer: &Value) -> Result<AnswerFacts, ProviderError> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(error_event(error));
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
