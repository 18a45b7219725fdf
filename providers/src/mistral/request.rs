//! A canonical request to the fields and roles that Mistral accepts.

use serde_json::{Map, Value, json};

use super::tool_id::{calls_for_mistral, for_mistral};
use crate::chat::{ChatRequest, InvalidRequest};
use crate::upstream::{CallContext, Encoded};

/// Fields passed as they come.
const PASSED: &[&str] = &[
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
    "prediction",
    "prompt_mode",
    "safe_prompt",
    "random_seed",
];
/// Fields that change the answer and that Mistral does not have: dropping them silently would deceive the client.
const REFUSED: &[&str] = &["logit_bias", "audio", "web_search_options", "functions", "function_call", "top_logprobs"];
/// Highest temperature of Mistral's schema.
const MAX_TEMPERATURE: f64 = 1.5;

/// Builds the body for Mistral.
///
/// # Errors
/// [`InvalidRequest`] for a field that Mistral cannot honour and that cannot be left out without changing the answer.
pub(crate) fn encode(request: &ChatRequest, context: &CallContext<'_>) -> Result<Encoded, InvalidRequest> {
    let mut body = Map::new();
    let mut dropped = Vec::new();
    body.insert("model".into(), context.model_id.into());
    body.insert("messages".into(), Value::Array(messages(request, &mut dropped)));
    body.insert("stream".into(), request.stream.into());
    body.insert("max_tokens".into(), context.max_output_tokens.into());
    if request.choices > 1 {
        body.insert("n".into(), request.choices.into());
    }
    for (key, value) in &request.rest {
        if !value.is_null() {
            field(&mut body, &mut dropped, context, key, value)?;
        }
    }
    if !body.contains_key("tools") {
        body.shift_remove("tool_choice");
        body.shift_remove("parallel_tool_calls");
    }
    Ok(Encoded { body: Value::Object(body).to_string().into(), dropped })
}

fn field(
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
    context: &CallContext<'_>,
    key: &str,
    value: &Value,
) -> Result<(), InvalidRequest> {
    let (name, value) = match key {
        _ if PASSED.contains(&key) => (key, value.clone()),
        "temperature" => (key, value.as_f64().map_or_else(|| value.clone(), |t| t.min(MAX_TEMPERATURE).into())),
        // Mistral wants more than zero; zero means "the default" to those who send it.
        "top_p" if value.as_f64() == Some(0.0) => return Ok(()),
        "top_p" => (key, value.clone()),
        "seed" => ("random_seed", json!(value.as_i64().unwrap_or_default().unsigned_abs())),
        "tools" => match tools(value)? {
            Some(tools) => (key, tools),
            None => return Ok(()),
        },
        "tool_choice" => (key, value.clone()),
        "response_format" => (key, response_format(value)),
        "reasoning_effort" if context.model.reasoning => (key, value.clone()),
        "prompt_cache_key" => (key, context.cache_key(value)),
        "modalities" if *value == json!(["text"]) => return Ok(()),
        "logprobs" if *value == Value::Bool(false) => return Ok(()),
        "modalities" | "logprobs" => return Err(unsupported(key)),
        _ if REFUSED.contains(&key) => return Err(unsupported(key)),
        _ => {
            dropped.push(key.to_owned());
            return Ok(());
        }
    };
    body.insert(name.to_owned(), value);
    Ok(())
}

fn unsupported(key: &str) -> InvalidRequest {
    InvalidRequest::unsupported(key, format!("`{key}` is not supported with this model."))
}

/// Function tools with the parts that Mistral requires; an empty list is left out.
fn tools(value: &Value) -> Result<Option<Value>, InvalidRequest> {
    let Some(tools) = value.as_array() else { return Err(InvalidRequest::new("tools", "`tools` must be a list.")) };
    let mut kept = Vec::with_capacity(tools.len());
    for tool in tools {
        let Some(function) = tool.get("function").and_then(Value::as_object) else {
            return Err(InvalidRequest::unsupported("tools", "Only function tools are supported with this model."));
        };
        let mut function = function.clone();
        function.retain(|_, value| !value.is_null());
        function.entry("parameters").or_insert_with(|| json!({"type": "object", "properties": {}}));
        kept.push(json!({"type": "function", "function": function}));
    }
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

fn response_format(value: &Value) -> Value {
    let mut format = value.clone();
    if let Some(schema) = format.get_mut("json_schema").and_then(Value::as_object_mut) {
        schema.retain(|_, value| !value.is_null());
    }
    format
}

/// The keys Mistral allows on a message of each role.
fn allowed_keys(role: &str) -> &'static [&'static str] {
    match role {
        "assistant" => &["role", "content", "tool_calls", "prefix"],
        "tool" => &["role", "content", "tool_call_id", "name"],
        _ => &["role", "content"],
    }
}

/// Messages with Mistral's roles and keys. A system message after the first turn is an error there, so late ones are
/// moved up to the leading ones; a trailing assistant message is marked as the prefix of the answer.
fn messages(request: &ChatRequest, dropped: &mut Vec<String>) -> Vec<Value> {
    let mut leading = Vec::new();
    let mut turns = Vec::new();
    for message in &request.messages {
        let role = match message.get("role").and_then(Value::as_str) {
            Some("developer" | "system") => "system",
            Some(role) => role,
            None => "user",
        };
        let mut kept = Map::new();
        for (key, value) in message {
            if !allowed_keys(role).contains(&key.as_str()) {
                let name = format!("messages.{key}");
                if !value.is_null() && !dropped.contains(&name) {
                    dropped.push(name);
                }
            } else if key == "content" {
                kept.insert(key.clone(), content(value));
            } else if key == "tool_calls" {
                if value.as_array().is_some_and(|calls| !calls.is_empty()) {
                    kept.insert(key.clone(), calls_for_mistral(value));
                }
            } else if let ("tool_call_id", Some(id)) = (key.as_str(), value.as_str()) {
                kept.insert(key.clone(), for_mistral(id).into());
            } else if !value.is_null() {
                kept.insert(key.clone(), value.clone());
            }
        }
        kept.insert("role".into(), role.into());
        if role == "system" { leading.push(Value::Object(kept)) } else { turns.push(kept) }
    }
    if let Some(last) = turns.last_mut()
        && last.get("role").is_some_and(|role| role == "assistant")
    {
        last.insert("prefix".into(), true.into());
    }
    leading.into_iter().chain(turns.into_iter().map(Value::Object)).collect()
}

/// Text parts reduced to the keys that Mistral knows (no `cache_control` and the like).
fn content(value: &Value) -> Value {
    let Some(parts) = value.as_array() else { return value.clone() };
    parts.iter().filter_map(|part| part.get("text")).map(|text| json!({"type": "text", "text": text})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::with_context;

    fn encode_text(body: &str) -> Result<(Value, Vec<String>), InvalidRequest> {
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        with_context(|context| {
            let encoded = encode(&request, context)?;
            Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
        })
    }

    #[test]
    fn only_what_mistral_knows_is_sent_and_the_rest_is_named() {
        let (body, dropped) = encode_text(
            r#"{"model":"x","messages":[{"role":"developer","content":"s"},{"role":"user","content":"a","name":"n"},{"role":"assistant","content":"b","refusal":null},{"role":"system","content":"late"},{"role":"user","content":[{"type":"text","text":"c","cache_control":{}}]}],
               "seed":-7,"temperature":2,"top_p":0,"user":"u","store":true,"stream":true,"stream_options":{"include_usage":true},"tools":[],"tool_choice":"auto","service_tier":"flex","logit_bias":null,"max_completion_tokens":5}"#,
        )
        .unwrap();
        let expected = json!({
            "model": "sent-model",
            "messages": [
                {"role": "system", "content": "s"}, {"role": "system", "content": "late"},
                {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": [{"type": "text", "text": "c"}]}
            ],
            "stream": true, "max_tokens": 500, "random_seed": 7, "temperature": 1.5
        });
        assert_eq!(body, expected);
        assert_eq!(dropped, ["messages.name", "user", "store", "service_tier"]);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let error = encode_text(r#"{"model":"x","messages":[{"role":"user","content":"a"}],"logit_bias":{"1":2}}"#)
            .unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some("logit_bias"), Some("unsupported_parameter")));
    }

    #[test]
    fn a_tool_call_and_its_result_keep_belonging_together() {
        let (body, _) = encode_text(
            r#"{"model":"x","messages":[{"role":"user","content":"a"},
                {"role":"assistant","content":null,"tool_calls":[{"id":"call_Xy12345678","type":"function","function":{"name":"f","arguments":"{}"},"extra":1}]},
                {"role":"tool","tool_call_id":"call_Xy12345678","content":"42"}]}"#,
        )
        .unwrap();
        let call = &body["messages"][1]["tool_calls"][0];
        assert_eq!(call["id"].as_str().unwrap().len(), 9);
        assert_eq!(call["id"], body["messages"][2]["tool_call_id"]);
        assert!(call.get("extra").is_none());
    }

    #[test]
    fn a_trailing_assistant_message_is_a_prefix() {
        let (body, _) = encode_text(
            r#"{"model":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
        )
        .unwrap();
        assert_eq!(body["messages"][1]["prefix"], true);
    }
}
