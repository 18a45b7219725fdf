//! The output items of a Response, as far as chat can say them.

use serde_json::{Value, json};

/// What an item holds. A message holds one part here: its text, or a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
    Refusal,
    Function,
    Custom,
}

impl Kind {
    /// Whether it is a call of one of the client's tools.
    pub(super) fn is_call(self) -> bool {
        matches!(self, Self::Function | Self::Custom)
    }

    /// How ids of such items begin.
    fn id_prefix(self) -> &'static str {
        match self {
            Self::Reasoning => "rs",
            Self::Text | Self::Refusal => "msg",
            Self::Function => "fc",
            Self::Custom => "ctc",
        }
    }

    /// The stem of the events that grow an item, and the key that their last one holds it under.
    pub(super) fn event_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Reasoning => ("response.reasoning_text", "text"),
            Self::Text => ("response.output_text", "text"),
            Self::Refusal => ("response.refusal", "refusal"),
            Self::Function => ("response.function_call_arguments", "arguments"),
            Self::Custom => ("response.custom_tool_call_input", "input"),
        }
    }
}

/// One output item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// Text, or the arguments of a call, as far as known.
    pub(super) body: String,
    /// Calls only: the id that the client answers to.
    pub(super) call_id: String,
    /// Calls only: the tool's name.
    pub(super) name: String,
    /// Text only: log probabilities, in the API's shape.
    pub(super) logprobs: Vec<Value>,
}

impl Item {
    /// An empty item. Its id is made of the answer's and its place, so it is the same streamed or whole.
    pub(super) fn new(kind: Kind, answer_id: &str, index: usize) -> Self {
        Self {
            kind,
            id: format!("{}_{answer_id}_{index}", kind.id_prefix()),
            body: String::new(),
            call_id: String::new(),
            name: String::new(),
            logprobs: Vec::new(),
        }
    }

    /// The one part of an item that has parts.
    pub(super) fn part(&self) -> Option<Value> {
        let body = self.body.as_str();
        match self.kind {
            Kind::Reasoning => Some(json!({"type": "reasoning_text", "text": body})),
            Kind::Text => {
                Some(json!({"type": "output_text", "text": body, "annotations": [], "logprobs": self.logprobs}))
            }
            Kind::Refusal => Some(json!({"type": "refusal", "refusal": body})),
            Kind::Function | Kind::Custom => None,
        }
    }

    /// The item with what it holds.
    pub(super) fn with_status(&self, status: &str) -> Value {
        self.as_json(status, self.part().as_slice(), &self.body)
    }

    /// The item as it is announced: without content, which the events after it bring.
    pub(super) fn announced(&self) -> Value {
        self.as_json("in_progress", &[], "")
    }

    fn as_json(&self, status: &str, parts: &[Value], body: &str) -> Value {
        let id = self.id.as_str();
        match self.kind {
            Kind::Reasoning => {
                json!({"id": id, "type": "reasoning", "summary": [], "content": parts, "status": status})
            }
            Kind::Text | Kind::Refusal => {
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": parts})
            }
            Kind::Function => json!({
                "id": id, "type": "function_call", "status": status,
                "call_id": self.call_id, "name": self.name, "arguments": body,
            }),
            Kind::Custom => json!({
                "id": id, "type": "custom_tool_call", "status": status,
                "call_id": self.call_id, "name": self.name, "input": body,
            }),
        }
    }
}

/// Chat's log probabilities of a choice in the API's shape, where a token's bytes are never null.
pub(super) fn logprobs(choice: &Value) -> Vec<Value> {
    let tokens = choice.get("logprobs").and_then(|logprobs| logprobs.get("content")?.as_array());
    let with_bytes = |token: &Value| -> Value {
        let bytes = token.get("bytes").filter(|bytes| bytes.is_array()).cloned().unwrap_or_else(|| json!([]));
        json!({"token": token.get("token"), "logprob": token.get("logprob"), "bytes": bytes})
    };
    let one = |token: &Value| {
        let top = token.get("top_logprobs").and_then(Value::as_array);
        let mut out = with_bytes(token);
        out["top_logprobs"] = top.into_iter().flatten().map(with_bytes).collect();
        out
    };
    tokens.into_iter().flatten().map(one).collect()
}

/// Text of the reasoning in a message or delta, under the names that hosts give it.
pub(super) fn reasoning_of(message: &Value) -> &str {
    ["reasoning_content", "reasoning"].iter().find_map(|key| message.get(*key)?.as_str()).unwrap_or_default()
}

/// Kind, name and arguments of a chat tool call, or of a fragment of one.
pub(super) fn call_parts(call: &Value) -> (Kind, &str, &str) {
    let (kind, inner, body) = match call.get("custom") {
        Some(custom) => (Kind::Custom, Some(custom), "input"),
        None => (Kind::Function, call.get("function"), "arguments"),
    };
    let text = |key: &str| inner.and_then(|inner| inner.get(key)?.as_str()).unwrap_or_default();
    (kind, text("name"), text(body))
}
