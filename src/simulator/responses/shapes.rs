//! A response object and its items, at any moment of their making.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Choice, Kind, Segment};
use super::super::rules::present;

/// How far an item or a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Builds the objects of one answer.
#[derive(Debug)]
pub(super) struct Shaper {
    /// What comes back of the request.
    echo: Map<String, Value>,
    /// 128 random bits for the ids of the items.
    id: u128,
    searches: u64,
    stores: bool,
    summarises: bool,
    encrypts: bool,
}

impl Shaper {
    /// A builder for the answer to that body, after that many searches.
    pub(super) fn new(body: &Map<String, Value>, id: u128, searches: u64) -> Self {
        let stores = body.get("store").and_then(Value::as_bool).unwrap_or(true);
        let reasoning = |name: &str| body.get("reasoning").and_then(|reasoning| reasoning.get(name)).cloned();
        let summary = reasoning("summary").filter(|summary| !summary.is_null());
        let included = body.get("include").and_then(Value::as_array).into_iter().flatten();
        let mut echo = Map::new();
        let defaults = [
            ("background", json!(false)),
            ("instructions", Value::Null),
            ("max_output_tokens", Value::Null),
            ("max_tool_calls", Value::Null),
            ("metadata", json!({})),
            ("parallel_tool_calls", json!(true)),
            ("previous_response_id", Value::Null),
            ("prompt_cache_key", Value::Null),
            ("safety_identifier", Value::Null),
            ("service_tier", json!("default")),
            ("temperature", json!(1.0)),
            ("tool_choice", json!("auto")),
            ("top_logprobs", json!(0)),
            ("top_p", json!(1.0)),
            ("truncation", json!("disabled")),
        ];
        for (name, default) in defaults {
            let given = body.get(name).filter(|given| !given.is_null() && name != "service_tier");
            echo.insert(name.to_owned(), given.cloned().unwrap_or(default));
        }
        if present(body, "user") {
            echo.insert("user".to_owned(), body.get("user").cloned().unwrap_or_default());
        }
        echo.insert("store".to_owned(), stores.into());
        echo.insert("reasoning".to_owned(), json!({"effort": reasoning("effort"), "summary": reasoning("summary")}));
        echo.insert("text".to_owned(), text_of(body));
        echo.insert("tools".to_owned(), tools_of(body));
        Self {
            echo,
            id,
            searches,
            stores,
            summarises: summary.is_some(),
            encrypts: included.into_iter().any(|name| name == "reasoning.encrypted_content"),
        }
    }

    /// Whether the vendor would keep the answer.
    pub(super) fn stores(&self) -> bool {
        self.stores
    }

    /// Whether the reasoning is summed up.
    pub(super) fn summarises(&self) -> bool {
        self.summarises
    }

    /// The response with these items.
    pub(super) fn response(&self, answer: &Answer, status: Status, output: &[Value]) -> Value {
        let done = status != Status::InProgress;
        let incomplete = (status == Status::Incomplete).then(|| json!({"reason": "max_output_tokens"}));
        let mut response = json!({
            "id": answer.id,
            "object": "response",
            "created_at": answer.created,
            "status": status.as_str(),
            "completed_at": (status == Status::Completed).then_some(answer.created),
            "error": null,
            "incomplete_details": incomplete,
            "model": answer.model,
            "output": output,
        });
        if let Some(object) = response.as_object_mut() {
            object.extend(self.echo.clone());
            if done {
                object.insert("usage".to_owned(), usage(answer));
            }
        }
        response
    }

    /// The response once all is generated.
    pub(super) fn finished(&self, answer: &Answer) -> Value {
        let Some(choice) = answer.choices.first() else { return Value::Null };
        self.response(answer, status_of(choice), &self.items(choice))
    }

    /// All items, as they end.
    pub(super) fn items(&self, choice: &Choice) -> Vec<Value> {
        let mut items = Vec::new();
        if choice.reasoning > 0 {
            items.push(self.reasoning(true));
        }
        items.extend((0..self.searches).map(|number| self.search(number, Status::Completed)));
        for (number, segment) in choice.segments.iter().enumerate() {
            let last = number + 1 == choice.segments.len();
            let status = if last { status_of(choice) } else { Status::Completed };
            items.push(self.item(number, segment, status));
        }
        items
    }

    /// The id of an item: `rs`, `ws`, `msg` or `fc`, and its number.
    pub(super) fn item_id(&self, kind: &str, number: usize) -> String {
        format!("{kind}_{:032x}{number:02x}", self.id)
    }

    /// How many items come before the first segment.
    pub(super) fn items_before(&self, choice: &Choice) -> usize {
        usize::from(choice.reasoning > 0) + usize::try_from(self.searches).unwrap_or(usize::MAX)
    }

    /// How often the web was searched.
    pub(super) fn searches(&self) -> u64 {
        self.searches
    }

    /// A search of the web, at that status.
    pub(super) fn search(&self, number: u64, status: Status) -> Value {
        let query = format!("mairie recherche {}", number + 1);
        json!({
            "id": self.item_id("ws", usize::try_from(number).unwrap_or(usize::MAX)), "type": "web_search_call",
            "status": status.as_str(), "action": {"type": "search", "query": query, "queries": [query]},
        })
    }

    /// The reasoning item, before or after its summary.
    pub(super) fn reasoning(&self, done: bool) -> Value {
        let summary = if done && self.summarises { json!([summary_part(SUMMARY)]) } else { json!([]) };
        let mut item = json!({"id": self.item_id("rs", 0), "type": "reasoning", "summary": summary});
        if self.encrypts {
            item["encrypted_content"] = format!("simulated{:032x}", self.id).into();
        }
        item
    }

    /// A message or a call, at that status; one in progress is still empty.
    pub(super) fn item(&self, number: usize, segment: &Segment, status: Status) -> Value {
        let empty = status == Status::InProgress;
        match &segment.kind {
            Kind::Call { id, name } => json!({
                "id": self.item_id("fc", number), "type": "function_call", "status": status.as_str(), "call_id": id,
                "name": name, "arguments": if empty { "" } else { &segment.text },
            }),
            Kind::Text | Kind::Thinking => {
                let content = if empty { json!([]) } else { json!([text_part(&segment.text)]) };
                json!({
                    "id": self.item_id("msg", number), "type": "message", "status": status.as_str(),
                    "role": "assistant", "content": content,
                })
            }
        }
    }
}

/// What stands for a summary of hidden reasoning.
pub(super) const SUMMARY: &str = "La question est relue, puis la réponse est ordonnée.";

/// Whether a choice came to its end.
pub(super) fn status_of(choice: &Choice) -> Status {
    if choice.finish_reason == "length" { Status::Incomplete } else { Status::Completed }
}

/// A part of a message.
pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// A part of a summary.
pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn usage(answer: &Answer) -> Value {
    let used = &answer.tokens;
    json!({
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning()},
        "total_tokens": used.input + used.output,
    })
}

fn text_of(body: &Map<String, Value>) -> Value {
    let text = body.get("text");
    let given = |name: &str| text.and_then(|text| text.get(name)).filter(|given| !given.is_null()).cloned();
    json!({
        "format": given("format").unwrap_or_else(|| json!({"type": "text"})),
        "verbosity": given("verbosity").unwrap_or_else(|| "medium".into()),
    })
}

/// The tools with what was left out.
fn tools_of(body: &Map<String, Value>) -> Value {
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten().cloned();
    let whole = tools.map(|mut tool| {
        if let Some(object) =
            tool.as_object_mut().filter(|tool| tool.get("type").is_some_and(|kind| kind == "function"))
        {
            for (name, default) in [("description", Value::Null), ("parameters", Value::Null), ("strict", json!(true))]
            {
                if !present(object, name) {
                    object.insert(name.to_owned(), default);
                }
            }
        }
        tool
    });
    whole.collect()
}
