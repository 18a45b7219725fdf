//! Tools as Mistral knows them: functions only, with parameters; the older `functions` become tools.

use serde_json::{Map, Value, json};

use crate::chat::{InvalidRequest, wrong_type};

/// The keys of a function.
const FUNCTION_KEYS: &[&str] = &["name", "description", "strict", "parameters"];

/// Function tools with the parts that Mistral requires; an empty list is left out.
pub(super) fn tools(value: &Value) -> Result<Option<Value>, InvalidRequest> {
    let Some(tools) = value.as_array() else { return Err(wrong_type("tools", "a list")) };
    let mut kept = Vec::with_capacity(tools.len());
    for tool in tools {
        let Some(function) = tool.get("function").and_then(Value::as_object) else {
            return Err(InvalidRequest::unsupported("tools", "Only function tools are supported with this model."));
        };
        let mut function = function.clone();
        function.retain(|key, value| FUNCTION_KEYS.contains(&key.as_str()) && !value.is_null());
        function.entry("parameters").or_insert_with(|| json!({"type": "object", "properties": {}}));
        kept.push(json!({"type": "function", "function": function}));
    }
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

/// Which tool is to be called, in Mistral's words.
pub(super) fn tool_choice(value: &Value) -> Result<Value, InvalidRequest> {
    let name = value.get("function").and_then(|function| function.get("name")?.as_str());
    match (value.as_str(), name) {
        (Some("none" | "auto" | "any" | "required"), _) => Ok(value.clone()),
        (None, Some(name)) => Ok(json!({"type": "function", "function": {"name": name}})),
        _ => Err(InvalidRequest::unsupported("tool_choice", "This `tool_choice` is not supported with this model.")),
    }
}

/// Turns `functions` and `function_call` into tools; true when there were any.
pub(super) fn adopt_functions(fields: &mut Map<String, Value>) -> Result<bool, InvalidRequest> {
    let functions = fields.shift_remove("functions").filter(|functions| !functions.is_null());
    let choice = fields.shift_remove("function_call").filter(|choice| !choice.is_null());
    let Some(functions) = functions else { return Ok(false) };
    let Some(list) = functions.as_array() else { return Err(wrong_type("functions", "a list")) };
    if fields.get("tools").is_some_and(|tools| !tools.is_null()) {
        return Err(InvalidRequest::new("functions", "Use `tools` or `functions`, not both."));
    }
    let tools: Vec<Value> = list.iter().map(|function| json!({"type": "function", "function": function})).collect();
    fields.insert("tools".to_owned(), tools.into());
    if let Some(choice) = choice {
        let choice = match choice.get("name") {
            Some(name) => json!({"type": "function", "function": {"name": name}}),
            None => choice,
        };
        fields.insert("tool_choice".to_owned(), choice);
    }
    Ok(true)
}

/// `allowed_tools` is a choice among some of the tools: the others are taken out, and its mode becomes the choice.
pub(super) fn allowed_only(fields: &mut Map<String, Value>) -> Result<(), InvalidRequest> {
    let Some(allowed) = fields.get("tool_choice").and_then(|choice| choice.get("allowed_tools")).cloned() else {
        return Ok(());
    };
    let name = |tool: &Value| tool.get("function").and_then(|function| function.get("name")).cloned();
    let names: Vec<Value> =
        allowed.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(name).collect();
    if let Some(tools) = fields.get_mut("tools").and_then(Value::as_array_mut) {
        tools.retain(|tool| name(tool).is_some_and(|name| names.contains(&name)));
        if tools.is_empty() {
            return Err(InvalidRequest::new("tool_choice", "None of the allowed tools is among `tools`."));
        }
    }
    fields.insert("tool_choice".to_owned(), allowed.get("mode").cloned().unwrap_or_else(|| "auto".into()));
    Ok(())
}
