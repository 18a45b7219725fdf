//! A whole chat answer in OpenAI's shape.

use serde_json::{Map, Value, json};

use super::calls::whole_call;
use super::{SERVICE_TIERS, Shape, client_usage, finish_reason, flatten, reasoning_beside, service_tier};
use crate::error::{ErrorKind, ProviderError};
use crate::openai::facts_of;
use crate::stream::AnswerFacts;

/// Gives an answer the client's shape, and what the ledger needs of it.
///
/// # Errors
/// The failure that the answer speaks of, or [`ErrorKind::Protocol`] for one without choices.
pub(crate) fn whole(answer: &Value, shape: &Shape) -> Result<(Value, AnswerFacts), ProviderError> {
    let mut facts = facts_of(answer)?;
    facts.output_chars = 0;
    let mut choices = Vec::new();
    for (number, choice) in answer.get("choices").and_then(Value::as_array).into_iter().flatten().enumerate() {
        choices.push(whole_choice(choice, number, answer, shape, &mut facts)?);
    }
    facts.finish_reason = facts.finish_reason.map(|reason| finish_reason(&reason, shape.functions).to_owned());
    facts.service_tier = service_tier(answer, facts.usage.as_ref());
    let mut out = json!({
        "id": shape.id(answer.get("id")),
        "object": "chat.completion",
        "created": answer.get("created").cloned().unwrap_or_else(|| 0.into()),
        "model": answer.get("model").cloned().unwrap_or_default(),
        "choices": choices,
    });
    if let Some(object) = out.as_object_mut() {
        if let Some(usage) = &facts.usage {
            object.insert("usage".into(), client_usage(usage));
        }
        if let Some(tier) = facts.service_tier.as_ref().filter(|tier| SERVICE_TIERS.contains(&tier.as_str())) {
            object.insert("service_tier".into(), tier.as_str().into());
        }
    }
    Ok((out, facts))
}

fn whole_choice(
    choice: &Value,
    number: usize,
    answer: &Value,
    shape: &Shape,
    facts: &mut AnswerFacts,
) -> Result<Value, ProviderError> {
    let message = choice.get("message").unwrap_or(&Value::Null);
    let (mut visible, mut reasoning) = flatten(message.get("content"));
    reasoning.push_str(reasoning_beside(message));
    if let Some(rest) = shape.prefix.as_deref().and_then(|prefix| visible.strip_prefix(prefix)) {
        visible = rest.to_owned();
    }
    let raw_reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or("stop");
    if raw_reason == "error" && visible.is_empty() {
        return Err(ProviderError::new(ErrorKind::Server, "The vendor failed to answer."));
    }
    facts.output_chars += u64::try_from(visible.chars().count()).unwrap_or(u64::MAX);
    let calls = message.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty());
    let content = if visible.is_empty() && calls.is_some() { Value::Null } else { visible.into() };
    let mut out = Map::from_iter([
        ("role".to_owned(), "assistant".into()),
        ("content".to_owned(), content),
        ("refusal".to_owned(), message.get("refusal").cloned().unwrap_or_default()),
    ]);
    if !reasoning.is_empty() {
        out.insert("reasoning_content".into(), reasoning.into());
    }
    if let Some(calls) = calls {
        let answer_id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut calls = calls.iter().enumerate().map(|(place, call)| whole_call(call, answer_id, place));
        if shape.functions {
            let call = calls.next().and_then(|mut call| call.get_mut("function").map(Value::take));
            out.insert("function_call".into(), call.unwrap_or_default());
        } else {
            out.insert("tool_calls".into(), calls.collect());
        }
    }
    let index = choice.get("index").cloned().unwrap_or_else(|| number.into());
    let reason = finish_reason(raw_reason, shape.functions);
    let logprobs = choice.get("logprobs").cloned().unwrap_or_default();
    Ok(json!({"index": index, "message": out, "logprobs": logprobs, "finish_reason": reason}))
}
