//! Tools and the choice among them: flat in the Responses API, nested in chat.

use serde_json::{Map, Value, json};

use crate::chat::{InvalidRequest, wrong_type};

/// Flat tools in chat's nested form; what is nested already, or no tool at all, stays as it is.
pub(crate) fn nest_tools(tools: Value) -> Value {
    match tools {
        Value::Array(tools) => tools.into_iter().map(nest_tool).collect(),
        other => other,
    }
}

fn nest_tool(tool: Value) -> Value {
    let Some(flat) = tool.as_object().filter(|tool| tool.contains_key("name")) else { return tool };
    let pick = |keys: &[&str]| -> Map<String, Value> {
        let set = |key: &&str| Some(((*key).to_owned(), flat.get(*key).filter(|value| !value.is_null())?.clone()));
        keys.iter().filter_map(set).collect()
    };
    match flat.get("type").and_then(Value::as_str) {
        Some("function") if !flat.contains_key("function") => {
            json!({"type": "function", "function": pick(&["name", "description", "parameters", "strict"])})
        }
        Some("custom") if !flat.contains_key("custom") => {
            let mut custom = pick(&["name", "description", "format"]);
            if let Some(format) = custom.get_mut("format") {
                *format = nest_format(format.take());
            }
            json!({"type": "custom", "custom": custom})
        }
        _ => tool,
    }
}

fn nest_format(format: Value) -> Value {
    match (format.get("type").and_then(Value::as_str), format.get("definition")) {
        (Some("grammar"), Some(definition)) => {
            json!({"type": "grammar", "grammar": {"definition": definition, "syntax": format.get("syntax")}})
        }
        _ => format,
    }
}

/// The flat form of tools, with the keys that the published `Response` requires.
pub(super) fn flat_tools(tools: Option<&Value>) -> Value {
    tools.and_then(Value::as_array).into_iter().flatten().map(flat_tool).collect()
}

fn flat_tool(tool: &Value) -> Value {
    let Some(object) = tool.as_object() else { return tool.clone() };
    let mut flat = object.clone();
    for nested in ["function", "custom"] {
        if let Some(Value::Object(inner)) = flat.shift_remove(nested) {
            flat.extend(inner);
        }
    }
    if flat.get("type").is_some_and(|kind| kind == "function") {
        flat.entry("parameters").or_insert(Value::Null);
        flat.entry("strict").or_insert(Value::Null);
    }
    Value::Object(flat)
}

/// The keys of a search that change nothing in what it costs.
const SEARCH_KEYS: &[&str] = &["type", "filters", "user_location", "search_context_size"];

/// Whether a tool is a search of the web, which runs at the vendor.
pub(super) fn is_search(tool: &Value) -> bool {
    tool.get("type").is_some_and(|kind| kind == "web_search")
}

/// Tools for OpenAI's own Responses: flat, and of a search only what is known to cost nothing beside the search.
pub(super) fn native_tools(tools: &Value, dropped: &mut Vec<String>) -> Value {
    let mut flat = flat_tools(Some(tools));
    let searches = flat.as_array_mut().into_iter().flatten().filter(|tool| is_search(tool));
    for tool in searches.filter_map(Value::as_object_mut) {
        tool.retain(|key, _| {
            let known = SEARCH_KEYS.contains(&key.as_str());
            if !known {
                dropped.push(format!("tools.web_search.{key}"));
            }
            known
        });
    }
    flat
}

/// Nested tools for chat, without a search of the web where `search` says that its price is seen to elsewhere. Other
/// hosted tools are refused: they run at the vendor, at a price no ceiling covers.
pub(super) fn chat_tools(tools: &Value, search: bool) -> Result<Vec<Value>, InvalidRequest> {
    let Some(items) = tools.as_array() else { return Err(wrong_type("tools", "a list")) };
    for (index, tool) in items.iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str);
        let Some(kind) = kind else { return Err(wrong_type(&format!("tools[{index}].type"), "a text")) };
        if search && is_search(tool) {
            continue;
        }
        if !matches!(kind, "function" | "custom") {
            let message = format!(
                "Tools of type `{kind}` are not supported: only function and custom tools, which the client runs, are."
            );
            return Err(InvalidRequest::unsupported(&format!("tools[{index}].type"), message));
        }
        if tool_name(tool).is_none() {
            return Err(wrong_type(&format!("tools[{index}].name"), "a text"));
        }
    }
    Ok(items.iter().filter(|tool| !is_search(tool)).cloned().map(nest_tool).collect())
}

/// The name of a tool, or of a reference to one, in either form.
fn tool_name(tool: &Value) -> Option<&str> {
    [tool.get("function"), tool.get("custom"), Some(tool)]
        .into_iter()
        .flatten()
        .find_map(|place| place.get("name")?.as_str())
}

/// The choice among tools for chat. The form `allowed_tools` is honoured by leaving the other tools out, which every
/// host understands; few know the form itself.
pub(super) fn chat_tool_choice(choice: &Value, tools: &mut Vec<Value>) -> Result<Value, InvalidRequest> {
    if choice.is_string() {
        return Ok(choice.clone());
    }
    let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, tool_name(choice)) {
        ("function" | "custom", Some(name)) => Ok(json!({"type": kind, kind: {"name": name}})),
        ("allowed_tools", _) => {
            // Chat wraps mode and tools once more.
            let allowed = choice.get("allowed_tools").unwrap_or(choice);
            let Some(named) = allowed.get("tools").and_then(Value::as_array) else {
                return Err(wrong_type("tool_choice.tools", "a list"));
            };
            let names: Vec<&str> = named.iter().filter_map(tool_name).collect();
            tools.retain(|tool| tool_name(tool).is_some_and(|name| names.contains(&name)));
            if tools.is_empty() {
                return Err(InvalidRequest::new(
                    "tool_choice",
                    "None of the tools allowed by `tool_choice` is in `tools`.",
                ));
            }
            Ok(allowed.get("mode").cloned().unwrap_or_else(|| "auto".into()))
        }
        _ => {
            Err(InvalidRequest::unsupported("tool_choice", format!("`tool_choice` of type `{kind}` is not supported.")))
        }
    }
}
