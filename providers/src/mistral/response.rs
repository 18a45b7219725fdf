//! Mistral's answers and chunks, in OpenAI's shape: content arrays flattened, the last chunk taken apart, padding
//! dropped, usage shown only to those who asked.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::error::{ErrorKind, ProviderError};
use crate::openai::{data_frame, facts_of};
use crate::sse::Frame;
use crate::stream::{AnswerFacts, DONE_FRAME, Decoded, error_event, unreadable};
use crate::usage::ReportedUsage;

/// Visible text and reasoning of a `content` that may be text or a list of chunks.
fn flatten(content: Option<&Value>) -> (String, String) {
    let mut visible = String::new();
    let mut reasoning = String::new();
    match content {
        Some(Value::String(text)) => visible.push_str(text),
        Some(Value::Array(chunks)) => {
            for chunk in chunks {
                match chunk.get("thinking") {
                    Some(Value::String(text)) => reasoning.push_str(text),
                    Some(Value::Array(parts)) => {
                        parts
                            .iter()
                            .filter_map(|part| part.get("text")?.as_str())
                            .for_each(|text| reasoning.push_str(text));
                    }
                    _ => visible.push_str(chunk.get("text").and_then(Value::as_str).unwrap_or_default()),
                }
            }
        }
        _ => {}
    }
    (visible, reasoning)
}

fn openai_id(id: Option<&Value>) -> String {
    format!("chatcmpl-{}", id.and_then(Value::as_str).unwrap_or_default())
}

/// Mistral's finish reasons in OpenAI's closed set.
fn finish_reason(reason: &str) -> &str {
    match reason {
        "model_length" => "length",
        "error" => "stop",
        other => other,
    }
}

/// OpenAI names the tier at the top and calls the standard one `default`.
fn service_tier(usage: Option<&ReportedUsage>) -> Option<String> {
    let tier = usage?.service_tier.as_deref()?;
    Some(if tier == "standard" { "default" } else { tier }.to_owned())
}

/// The usage without what OpenAI's shape does not have.
fn client_usage(usage: &ReportedUsage) -> Value {
    let tokens = &usage.usage;
    json!({
        "prompt_tokens": tokens.input_tokens(),
        "completion_tokens": tokens.output_tokens(),
        "total_tokens": tokens.total_tokens(),
        "prompt_tokens_details": {"cached_tokens": tokens.input_cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

/// A whole answer in OpenAI's shape, and what the ledger needs of it.
pub(crate) fn decode_answer(body: &Bytes) -> Result<(Bytes, AnswerFacts), ProviderError> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let mut facts = facts_of(&answer)?;
    let mut choices = Vec::new();
    facts.output_chars = 0;
    for (index, choice) in answer.get("choices").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let message = choice.get("message");
        let (visible, reasoning) = flatten(message.and_then(|message| message.get("content")));
        let raw_reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or("stop");
        if raw_reason == "error" && visible.is_empty() {
            return Err(ProviderError::new(ErrorKind::Server, "The vendor failed to answer."));
        }
        facts.output_chars += u64::try_from(visible.chars().count()).unwrap_or(u64::MAX);
        let tool_calls =
            message.and_then(|message| message.get("tool_calls")?.as_array()).filter(|calls| !calls.is_empty());
        let content = if visible.is_empty() && tool_calls.is_some() { Value::Null } else { visible.into() };
        let mut out = Map::from_iter([
            ("role".to_owned(), "assistant".into()),
            ("content".to_owned(), content),
            ("refusal".to_owned(), Value::Null),
        ]);
        if !reasoning.is_empty() {
            out.insert("reasoning_content".into(), reasoning.into());
        }
        if let Some(calls) = tool_calls {
            out.insert("tool_calls".into(), calls.clone().into());
        }
        let index = choice.get("index").cloned().unwrap_or_else(|| index.into());
        choices.push(
            json!({"index": index, "message": out, "logprobs": null, "finish_reason": finish_reason(raw_reason)}),
        );
    }
    facts.finish_reason = facts.finish_reason.map(|reason| finish_reason(&reason).to_owned());
    facts.service_tier = service_tier(facts.usage.as_ref());
    let mut out = json!({
        "id": openai_id(answer.get("id")),
        "object": "chat.completion",
        "created": answer.get("created").cloned().unwrap_or_else(|| 0.into()),
        "model": answer.get("model").cloned().unwrap_or_default(),
        "choices": choices,
        "usage": facts.usage.as_ref().map(client_usage),
    });
    if let (Some(tier), Some(object)) = (&facts.service_tier, out.as_object_mut()) {
        object.insert("service_tier".into(), tier.as_str().into());
    }
    Ok((out.to_string().into(), facts))
}

/// Translates chunks one by one.
pub(crate) struct StreamDecoder {
    include_usage: bool,
}

impl StreamDecoder {
    pub(crate) fn new(include_usage: bool) -> Self {
        Self { include_usage }
    }

    pub(crate) fn decode(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        let Some(data) = frame.data().filter(|data| !data.is_empty()) else { return Ok(Decoded::default()) };
        if &data[..] == b"[DONE]" {
            return Ok(Decoded { bytes: Bytes::from_static(DONE_FRAME), done: true, ..Decoded::default() });
        }
        let chunk: Value = serde_json::from_slice(&data).map_err(|_| unreadable())?;
        let is_error = chunk.get("error").is_some_and(|error| !error.is_null())
            || chunk.get("object").is_some_and(|object| object == "error");
        if is_error {
            return Err(error_event(chunk.get("error").unwrap_or(&chunk)));
        }
        if facts.upstream_id.is_none() {
            facts.upstream_id = chunk.get("id").and_then(Value::as_str).map(str::to_owned);
            facts.response_model = chunk.get("model").and_then(Value::as_str).map(str::to_owned);
        }
        let reported = chunk.get("usage").and_then(ReportedUsage::from_chat);
        let mut writer = ChunkWriter { chunk: &chunk, include_usage: self.include_usage, out: BytesMut::new() };
        let mut decoded = Decoded::default();
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            writer.choice(choice, &mut decoded, facts)?;
        }
        if let Some(usage) = reported {
            if self.include_usage {
                writer.write(&json!([]), client_usage(&usage));
            }
            facts.service_tier = service_tier(Some(&usage));
            facts.usage = Some(usage);
        }
        decoded.bytes = writer.out.freeze();
        Ok(decoded)
    }
}

/// Writes the chunks that one of Mistral's becomes.
struct ChunkWriter<'a> {
    chunk: &'a Value,
    include_usage: bool,
    out: BytesMut,
}

impl ChunkWriter<'_> {
    fn write(&mut self, choices: &Value, usage: Value) {
        let mut out = json!({
            "id": openai_id(self.chunk.get("id")),
            "object": "chat.completion.chunk",
            "created": self.chunk.get("created").cloned().unwrap_or_else(|| 0.into()),
            "model": self.chunk.get("model").cloned().unwrap_or_default(),
            "choices": choices,
        });
        if let (true, Some(object)) = (self.include_usage, out.as_object_mut()) {
            object.insert("usage".into(), usage);
        }
        self.out.extend_from_slice(&data_frame(out.to_string().as_bytes()));
    }

    fn delta(&mut self, index: &Value, delta: &Value, reason: Option<&str>) {
        self.write(&json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": reason}]), Value::Null);
    }

    fn choice(&mut self, choice: &Value, decoded: &mut Decoded, facts: &mut AnswerFacts) -> Result<(), ProviderError> {
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
        let delta = choice.get("delta");
        let (visible, reasoning) = flatten(delta.and_then(|delta| delta.get("content")));
        if delta.is_some_and(|delta| delta.get("role").is_some_and(Value::is_string)) {
            self.delta(&index, &json!({"role": "assistant", "content": "", "refusal": null}), None);
        }
        if !reasoning.is_empty() {
            self.delta(&index, &json!({"reasoning_content": reasoning}), None);
        }
        decoded.visible_chars += u64::try_from(visible.chars().count()).unwrap_or(u64::MAX);
        decoded.has_content |= !visible.is_empty() || !reasoning.is_empty();
        let said_nothing = visible.is_empty() && facts.output_chars + decoded.visible_chars == 0;
        if !visible.is_empty() {
            self.delta(&index, &json!({"content": visible}), None);
        }
        if let Some(calls) =
            delta.and_then(|delta| delta.get("tool_calls")?.as_array()).filter(|calls| !calls.is_empty())
        {
            decoded.has_content = true;
            self.delta(&index, &json!({"tool_calls": numbered(calls)}), None);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            if reason == "error" && said_nothing {
                return Err(ProviderError::new(ErrorKind::Server, "The vendor failed to answer."));
            }
            let reason = finish_reason(reason);
            self.delta(&index, &json!({}), Some(reason));
            facts.finish_reason = Some(reason.to_owned());
        }
        Ok(())
    }
}

/// Whole tool calls with the integer index that OpenAI's clients need.
fn numbered(calls: &[Value]) -> Value {
    let number = |(position, call): (usize, &Value)| {
        let mut call = call.as_object().cloned().unwrap_or_default();
        if calls.len() > 1 || !call.get("index").is_some_and(Value::is_u64) {
            call.insert("index".into(), position.into());
        }
        call.entry("type").or_insert_with(|| "function".into());
        Value::Object(call)
    };
    calls.iter().enumerate().map(number).collect()
}
