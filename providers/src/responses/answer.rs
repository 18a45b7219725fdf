//! A chat answer as a Response.

use serde_json::{Map, Value, json};

use super::Echo;
use super::item::{Item, Kind, call_parts, logprobs, reasoning_of};

/// What a Response takes from the head of a chat answer or of its first chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// The chat answer's id without its prefix.
    pub(super) id: String,
    created: Value,
    model: Value,
    pub(super) service_tier: Value,
}

impl Head {
    pub(super) fn of(chat: &Value) -> Self {
        let id = chat.get("id").and_then(Value::as_str).unwrap_or_default();
        Self {
            id: id.strip_prefix("chatcmpl-").unwrap_or(id).to_owned(),
            created: chat.get("created").filter(|created| created.is_number()).cloned().unwrap_or_else(|| 0.into()),
            model: chat.get("model").filter(|model| model.is_string()).cloned().unwrap_or_else(|| "".into()),
            service_tier: chat.get("service_tier").cloned().unwrap_or_default(),
        }
    }
}

/// How an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
}

impl Status {
    /// The status that a finish reason of chat means.
    pub(super) fn of_finish(reason: &str) -> Self {
        match reason {
            "length" => Self::Incomplete("max_output_tokens"),
            "content_filter" => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }

    /// Whether an answer that ended so says something even when it is empty.
    pub(super) fn needs_message(self, items: &[Item]) -> bool {
        self == Self::Completed && items.iter().all(|item| item.kind == Kind::Reasoning)
    }
}

/// A Response object of the published schema.
pub(super) fn response(head: &Head, echo: &Echo, status: Status, output: &[Value], usage: Option<Value>) -> Value {
    let reason = match status {
        Status::Incomplete(reason) => json!({"reason": reason}),
        _ => Value::Null,
    };
    let mut out = Map::new();
    for (key, value) in [
        ("id", format!("resp_{}", head.id).into()),
        ("object", "response".into()),
        ("created_at", head.created.clone()),
        ("status", status.name().into()),
        ("error", Value::Null),
        ("incomplete_details", reason),
        ("model", head.model.clone()),
        ("output", output.into()),
        ("service_tier", head.service_tier.clone()),
    ] {
        out.insert(key.to_owned(), value);
    }
    out.extend(echo.fields());
    if let Some(usage) = usage {
        out.insert("usage".to_owned(), usage);
    }
    Value::Object(out)
}

/// The items of an answer: each completed, the last one as the answer itself.
pub(super) fn output(items: &[Item], status: Status) -> Vec<Value> {
    let last = items.len().saturating_sub(1);
    let one = |(index, item): (usize, &Item)| item.with_status(if index == last { status.name() } else { "completed" });
    items.iter().enumerate().map(one).collect()
}

/// Chat's usage in the words of the Responses API; `None` when there is none.
pub(super) fn usage_of(chat: &Value) -> Option<Value> {
    let usage = chat.get("usage")?;
    let count = |value: Option<&Value>| value.and_then(Value::as_u64);
    let detail = |group: &str, key: &str| count(usage.get(group).and_then(|group| group.get(key))).unwrap_or(0);
    let input = count(usage.get("prompt_tokens"))?;
    let output = count(usage.get("completion_tokens")).unwrap_or(0);
    Some(json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": detail("prompt_tokens_details", "cached_tokens"),
            "cache_write_tokens": detail("prompt_tokens_details", "cache_write_tokens"),
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": detail("completion_tokens_details", "reasoning_tokens")},
        "total_tokens": count(usage.get("total_tokens")).unwrap_or_else(|| input.saturating_add(output)),
    }))
}

/// A whole chat answer, in OpenAI's shape, as the Response that the client of `echo`'s request waits for. Only the
/// first choice counts: the Responses API has no others.
pub(crate) fn answer_from_chat(chat: &Value, echo: &Echo) -> Value {
    let head = Head::of(chat);
    let choice = chat.get("choices").and_then(|choices| choices.get(0)).unwrap_or(&Value::Null);
    let message = choice.get("message").unwrap_or(&Value::Null);
    let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or("stop");
    let status = Status::of_finish(reason);
    let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut items: Vec<Item> = Vec::new();
    for (kind, body) in
        [(Kind::Reasoning, reasoning_of(message)), (Kind::Text, text("content")), (Kind::Refusal, text("refusal"))]
    {
        if !body.is_empty() {
            let mut item = Item::new(kind, &head.id, items.len());
            body.clone_into(&mut item.body);
            if kind == Kind::Text {
                item.logprobs = logprobs(choice);
            }
            items.push(item);
        }
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let (kind, name, arguments) = call_parts(call);
        let mut item = Item::new(kind, &head.id, items.len());
        name.clone_into(&mut item.name);
        arguments.clone_into(&mut item.body);
        item.call_id =
            call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).unwrap_or(&item.id).to_owned();
        items.push(item);
    }
    if status.needs_message(&items) {
        items.push(Item::new(Kind::Text, &head.id, items.len()));
    }
    response(&head, echo, status, &output(&items, status), usage_of(chat))
}
