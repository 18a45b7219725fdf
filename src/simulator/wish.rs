//! What an answer has to be: a text, JSON that fits a schema, or calls of the functions that were offered.
//!
//! It must not draw chance; a request always gets the same kind of answer.

use providers::Dialect;
use serde_json::{Map, Value, json};

use super::instance::instance;

/// Words in the last question that make a model call a tool it may call.
const TOOL_WORDS: [&str; 2] = ["outil", "tool"];
/// Words in the last question that make it call two at once.
const PARALLEL_WORDS: [&str; 2] = ["parallèle", "parallel"];

/// What an answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Sentences.
    Text,
    /// This JSON.
    Json(String),
    /// These calls, each a name and its arguments.
    Calls(Vec<(String, String)>),
}

/// A function that may be called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Option<&'a Value>,
}

/// Whether functions are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    Never,
    Auto,
    Always,
    Named(&'a str),
}

/// What in a request decides on the kind of its answer.
#[derive(Debug)]
pub(super) struct Signals<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Choice<'a>,
    pub(super) parallel: bool,
    /// The text of the last user message.
    pub(super) question: String,
    /// Whether results of calls are the last thing that was said.
    pub(super) answered: bool,
    /// `json_object` or `json_schema` with its schema; null for text.
    pub(super) format: &'a Value,
    pub(super) schema: Option<&'a Value>,
}

impl Wish {
    /// Decides.
    pub(super) fn of(signals: &Signals<'_>) -> Self {
        let question = signals.question.to_lowercase();
        let says = |words: [&str; 2]| words.iter().any(|word| question.contains(word));
        let calls = match signals.choice {
            Choice::Never => false,
            Choice::Auto => says(TOOL_WORDS),
            Choice::Always | Choice::Named(_) => true,
        };
        let tool = match signals.choice {
            Choice::Named(name) => signals.tools.iter().find(|tool| tool.name == name),
            _ => signals.tools.first(),
        };
        if let (Some(tool), true, false) = (tool, calls, signals.answered) {
            let number = if signals.parallel && says(PARALLEL_WORDS) { 2 } else { 1 };
            return Self::Calls((0..number).map(|salt| (tool.name.to_owned(), tool.arguments(salt))).collect());
        }
        match signals.format.as_str() {
            Some("json_object") => Self::Json(json!({"reponse": "La mairie est ouverte.", "sources": []}).to_string()),
            Some("json_schema") => Self::Json(instance(signals.schema.unwrap_or(&json!({})), 0).to_string()),
            _ => Self::Text,
        }
    }

    /// Decides for a chat request whose shape is good.
    pub(super) fn of_chat(dialect: Dialect, body: &Map<String, Value>, messages: &[&Map<String, Value>]) -> Self {
        let format = body.get("response_format");
        let role = |message: &&&Map<String, Value>, wanted: &str| super::rules::role(message) == wanted;
        let question = messages.iter().rev().find(|message| role(message, "user"));
        let mut signals = Signals {
            tools: functions(body, |tool| tool.get("function")),
            choice: choice(body, |choice| choice.get("function")?.get("name")),
            parallel: body.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true),
            question: question.map(|message| super::request::texts(message).collect()).unwrap_or_default(),
            answered: messages.last().is_some_and(|last| role(&last, "tool")),
            format: format.and_then(|format| format.get("type")).unwrap_or(&Value::Null),
            schema: format.and_then(|format| format.get("json_schema")?.get("schema")),
        };
        if dialect != Dialect::Mistral {
            signals.allow(body.get("tool_choice").and_then(|choice| choice.get("allowed_tools")), |tool| {
                tool.get("function")?.get("name")
            });
        }
        Self::of(&signals)
    }
}

impl<'a> Signals<'a> {
    /// Narrows the offer to OpenAI's `allowed_tools`.
    pub(super) fn allow(&mut self, allowed: Option<&'a Value>, name: impl Fn(&'a Value) -> Option<&'a Value>) {
        let Some(allowed) = allowed else { return };
        let entries = allowed.get("tools").and_then(Value::as_array);
        let names: Vec<&str> = entries.into_iter().flatten().filter_map(|tool| name(tool)?.as_str()).collect();
        self.tools.retain(|tool| names.contains(&tool.name));
        self.choice =
            if allowed.get("mode").is_some_and(|mode| mode == "required") { Choice::Always } else { Choice::Auto };
    }
}

impl Tool<'_> {
    fn arguments(&self, salt: u64) -> String {
        match self.parameters {
            Some(schema) if schema.is_object() => match instance(schema, salt) {
                Value::Object(arguments) => Value::Object(arguments).to_string(),
                _ => "{}".to_owned(),
            },
            _ => "{}".to_owned(),
        }
    }
}

/// The functions among the tools; `inner` is where a vendor keeps a tool's function.
pub(super) fn functions<'a>(
    body: &'a Map<String, Value>,
    inner: impl Fn(&'a Value) -> Option<&'a Value>,
) -> Vec<Tool<'a>> {
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let functions = tools.filter(|tool| tool.get("type").is_none_or(|kind| kind == "function")).filter_map(inner);
    let named = functions.filter_map(|function| {
        Some(Tool { name: function.get("name")?.as_str()?, parameters: function.get("parameters") })
    });
    named.collect()
}

/// The choice among the tools; `name` is where a vendor keeps the name of a function that must be called.
pub(super) fn choice<'a>(body: &'a Map<String, Value>, name: impl Fn(&'a Value) -> Option<&'a Value>) -> Choice<'a> {
    match body.get("tool_choice") {
        None | Some(Value::Null) => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "none" => Choice::Never,
            "required" | "any" => Choice::Always,
            _ => Choice::Auto,
        },
        Some(choice) => name(choice).and_then(Value::as_str).map_or(Choice::Auto, Choice::Named),
    }
}
