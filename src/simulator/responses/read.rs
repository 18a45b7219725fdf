//! The body of a Responses call to what was asked, or to the vendor's refusal.

use std::collections::BTreeSet;

use providers::catalogue::{Model, Operation};
use serde_json::{Map, Value, json};

use super::super::forms;
use super::super::media::Media;
use super::super::refusal::Refusal;
use super::super::request::{Asked, Offer, Prompt, text, texts};
use super::super::rules::{self, present};
use super::super::wish::{self, Signals, Wish};

/// What was asked, and the body it was asked with: most of it comes back in the answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: Asked,
    pub(super) body: Map<String, Value>,
    /// Searches of the web that the model may make.
    pub(super) most_searches: u64,
}

/// Searches where the caller sets no limit.
const SEARCHES: u64 = 3;

/// How many searches the caller lets the model make.
fn most_searches(body: &Map<String, Value>) -> u64 {
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let offered = tools.filter_map(|tool| tool.get("type")).any(|kind| kind == "web_search");
    let forbidden = body.get("tool_choice").is_some_and(|choice| choice == "none");
    if !offered || forbidden {
        return 0;
    }
    body.get("max_tool_calls").and_then(Value::as_u64).unwrap_or(SEARCHES).min(SEARCHES)
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// What the vendor would answer to it.
    pub(super) fn read(offer: Offer<'_>, body: &[u8]) -> Result<Self, Refusal> {
        let dialect = offer.dialect;
        let body = offer.read(body, forms::RESPONSES)?;
        let items = body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        stateless(&body, items)?;
        rules::openai_fields(&body, "input")?;
        parts_by_role(items)?;
        calls_and_outputs(items)?;
        let priced = offer.model(text(&body, "model"), Operation::Chat)?;
        let effort = body.get("reasoning").and_then(|reasoning| reasoning.get("effort")?.as_str());
        model_takes(&priced.model, effort)?;
        let messages = messages(&body, items);
        let messages: Vec<&Map<String, Value>> = messages.iter().filter_map(Value::as_object).collect();
        says_json(&body, &messages)?;
        let media =
            Media::of(dialect, &priced.model, ("input", messages.len() - items.len().min(messages.len())), &messages)?;
        let all = || messages.iter().flat_map(|message| texts(message));
        let prompt = Prompt::measure(dialect, &priced.model, all, messages.len(), body.get("tools"), media)?;
        let own = priced.model.max_output_tokens.unwrap_or(u64::MAX);
        let limit = body.get("max_output_tokens").and_then(Value::as_u64).unwrap_or(own).min(own);
        let option = body.get("stream_options").and_then(|options| options.get("include_obfuscation")?.as_bool());
        let asked = Asked {
            stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
            include_usage: true,
            obfuscate: option.unwrap_or(true),
            choices: 1,
            limit,
            reasons: priced.model.reasoning && effort != Some("none"),
            thinks: false,
            opening: String::new(),
            wish: wish(&body, &messages),
            priced,
            prompt,
        };
        let most_searches = most_searches(&body);
        Ok(Self { asked, body, most_searches })
    }
}

fn refused(status: u16, message: &str, param: &str, code: Option<&str>) -> Refusal {
    Refusal::openai(status, message, Some(param), code)
}

/// What would need the vendor's store.
fn stateless(body: &Map<String, Value>, items: &[Value]) -> Result<(), Refusal> {
    if let Some(id) = body.get("previous_response_id").and_then(Value::as_str) {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(refused(400, &message, "previous_response_id", Some("previous_response_not_found")));
    }
    for name in ["conversation", "prompt"] {
        if present(body, name) {
            return Err(refused(404, &format!("The {name} was not found."), name, None));
        }
    }
    if body.get("background").is_some_and(|background| *background == true) {
        let message = "Background mode is not available: a simulated vendor keeps nothing.";
        return Err(refused(400, message, "background", Some("unsupported_value")));
    }
    for (index, item) in items.iter().enumerate() {
        let kind = kind(item);
        let kept = kind == "reasoning" && item.get("encrypted_content").is_some_and(Value::is_string);
        if kind == "item_reference" || (kind == "reasoning" && !kept) {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let message = format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
                 `store` set to true, or remove this item from your input."
            );
            return Err(refused(404, &message, "input", None));
        }
        let follows = items.get(index + 1).is_some_and(|next| self::kind(next) == "reasoning" || from_model(next));
        if kind == "reasoning" && !follows {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let message = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
            return Err(refused(400, &message, "input", None));
        }
    }
    Ok(())
}

fn kind(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or("message")
}

/// Whether an item is something that the model said or called.
fn from_model(item: &Value) -> bool {
    kind(item) == "function_call"
        || (kind(item) == "message" && item.get("role").is_some_and(|role| role == "assistant"))
}

/// What the model says and what it is told have parts of their own.
fn parts_by_role(items: &[Value]) -> Result<(), Refusal> {
    for (index, item) in items.iter().enumerate() {
        let assistant = item.get("role").is_some_and(|role| role == "assistant");
        let parts = item.get("content").filter(|_| kind(item) == "message").and_then(Value::as_array);
        for (at, part) in parts.into_iter().flatten().enumerate() {
            let given = kind(part);
            let output = matches!(given, "output_text" | "refusal");
            if output != assistant {
                let known = if assistant {
                    "'output_text' and 'refusal'"
                } else {
                    "'input_text', 'input_image', and 'input_file'"
                };
                let message = format!("Invalid value: '{given}'. Supported values are: {known}.");
                return Err(refused(400, &message, &format!("input[{index}].content[{at}]"), Some("invalid_value")));
            }
        }
    }
    Ok(())
}

/// Every result belongs to a call, and every call has its result.
fn calls_and_outputs(items: &[Value]) -> Result<(), Refusal> {
    let id = |item: &Value| item.get("call_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut open = BTreeSet::new();
    for item in items {
        match kind(item) {
            "function_call" => {
                open.insert(id(item));
            }
            "function_call_output" if !open.remove(&id(item)) => {
                let message = format!("No tool call found for function call output with call_id {}.", id(item));
                return Err(refused(400, &message, "input", None));
            }
            _ => {}
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => Err(refused(400, &format!("No tool output found for function call {id}."), "input", None)),
    }
}

fn model_takes(model: &Model, effort: Option<&str>) -> Result<(), Refusal> {
    if effort.is_some() && !model.reasoning {
        let message = "Unsupported parameter: 'reasoning.effort' is not supported with this model.";
        return Err(refused(400, message, "reasoning.effort", Some("unsupported_parameter")));
    }
    if model.audio_input {
        let message = format!("The model '{}' is not supported with the Responses API.", model.id);
        return Err(refused(400, &message, "model", Some("unsupported_model")));
    }
    Ok(())
}

/// The items as chat messages, which is what the rest of the simulator counts and reads.
fn messages(body: &Map<String, Value>, items: &[Value]) -> Vec<Value> {
    let mut messages = Vec::new();
    if let Some(instructions) = body.get("instructions").filter(|instructions| instructions.is_string()) {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    if let Some(question) = body.get("input").filter(|input| input.is_string()) {
        messages.push(json!({"role": "user", "content": question}));
    }
    messages.extend(items.iter().map(|item| match kind(item) {
        "function_call" => json!({"role": "assistant", "content": item.get("arguments")}),
        "function_call_output" => json!({"role": "tool", "content": item.get("output")}),
        "reasoning" => json!({"role": "reasoning"}),
        _ => json!({"role": item.get("role"), "content": item.get("content")}),
    }));
    messages
}

fn format(body: &Map<String, Value>) -> Option<&Value> {
    body.get("text")?.get("format")
}

fn says_json(body: &Map<String, Value>, messages: &[&Map<String, Value>]) -> Result<(), Refusal> {
    let asked = format(body).is_some_and(|format| format.get("type").is_some_and(|kind| kind == "json_object"));
    if !asked || messages.iter().any(|message| rules::mentions_json(message.get("content"))) {
        return Ok(());
    }
    let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of type \
                   'json_object'.";
    Err(refused(400, message, "input", None))
}

fn wish(body: &Map<String, Value>, messages: &[&Map<String, Value>]) -> Wish {
    let question = messages.iter().rev().find(|message| rules::role(message) == "user");
    let mut signals = Signals {
        tools: wish::functions(body, Some),
        choice: wish::choice(body, |choice| choice.get("name")),
        parallel: body.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true),
        question: question.map(|message| texts(message).collect()).unwrap_or_default(),
        answered: messages.last().is_some_and(|last| rules::role(last) == "tool"),
        format: format(body).and_then(|format| format.get("type")).unwrap_or(&Value::Null),
        schema: format(body).and_then(|format| format.get("schema")),
    };
    let choice = body.get("tool_choice");
    let allowed = choice.filter(|choice| choice.get("type").is_some_and(|kind| kind == "allowed_tools"));
    signals.allow(allowed, |tool| tool.get("name"));
    Wish::of(&signals)
}
