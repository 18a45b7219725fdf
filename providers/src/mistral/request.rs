//! A canonical request to the fields that Mistral accepts.

use serde_json::{Map, Value, json};

use super::messages::{Translated, translate};
use super::tools;
use crate::chat::{ChatRequest, InvalidRequest};
use crate::normalise::Shape;
use crate::upstream::CallContext;

/// Fields passed as they come.
const PASSED: &[&str] = &[
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
    "prompt_mode",
    "safe_prompt",
    "random_seed",
];
/// Fields that change the answer and that Mistral does not have: dropping them silently would deceive the client.
const REFUSED: &[&str] =
    &["logit_bias", "logprobs", "top_logprobs", "modalities", "verbosity", "moderation", "guardrails"];
/// Highest temperature of Mistral's schema.
const MAX_TEMPERATURE: f64 = 1.5;

/// Builds the body for Mistral, and says what shape the client expects of the answer.
///
/// # Errors
/// [`InvalidRequest`] for a field that Mistral cannot honour and that cannot be left out without changing the answer.
pub(crate) fn chat_body(
    request: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<(Map<String, Value>, Shape), InvalidRequest> {
    let Translated { messages, prefix } = translate(request, context.model, dropped)?;
    let mut body = Map::new();
    body.insert("model".into(), context.model_id.into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), request.stream.into());
    // At the window or above Mistral refuses it.
    let below_window = context.model.context_window.saturating_sub(1);
    body.insert("max_tokens".into(), context.max_output_tokens.min(below_window).into());
    if request.choices > 1 {
        body.insert("n".into(), request.choices.into());
    }
    let mut fields = request.rest.clone();
    let functions = tools::adopt_functions(&mut fields)?;
    tools::allowed_only(&mut fields)?;
    for (key, value) in &fields {
        if !value.is_null() {
            field(&mut body, dropped, context, key, value)?;
        }
    }
    if !body.contains_key("tools") {
        body.shift_remove("tool_choice");
        body.shift_remove("parallel_tool_calls");
    }
    let whole_calls = request.whole_calls && request.stream;
    Ok((body, Shape { include_usage: request.include_usage, functions, prefix, whole_calls, own_ids: true }))
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
        "seed" => ("random_seed", seed(value)),
        "tools" => match tools::tools(value)? {
            Some(tools) => (key, tools),
            None => return Ok(()),
        },
        "tool_choice" => (key, tools::tool_choice(value)?),
        "response_format" => (key, response_format(value)),
        "prediction" => (key, prediction(value)),
        "reasoning_effort" if context.model.reasoning => (key, effort(value)),
        "reasoning_effort" if value == "none" => return Ok(()),
        "prompt_cache_key" => (key, context.cache_key(value)),
        // Anything dearer than the standard tier is the town's to decide, not the client's.
        "service_tier" if matches!(value.as_str(), Some("default" | "flex" | "auto" | "standard_only")) => {
            (key, "standard_only".into())
        }
        _ => {
            if REFUSED.contains(&key) {
                return if asks_for_nothing(value) { Ok(()) } else { Err(unsupported(key)) };
            }
            dropped.push(key.to_owned());
            return Ok(());
        }
    };
    body.insert(name.to_owned(), value);
    Ok(())
}

/// Whether a field has the value that it would have anyway.
fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty() || *value == json!(["text"]),
        Value::String(text) => text == "medium",
        _ => *value == json!(false) || *value == json!(0),
    }
}

fn unsupported(key: &str) -> InvalidRequest {
    InvalidRequest::unsupported(key, format!("`{key}` is not supported with this model."))
}

/// A seed of zero or more; a decimal without a fraction is whole to JSON.
fn seed(value: &Value) -> Value {
    let magnitude = value.as_i64().map(i64::unsigned_abs).or_else(|| value.as_u64());
    magnitude.or_else(|| format!("{:.0}", value.as_f64()?.abs()).parse().ok()).unwrap_or_default().into()
}

/// Mistral's scale has no `max`.
fn effort(value: &Value) -> Value {
    if value == "max" { "xhigh".into() } else { value.clone() }
}

/// A predicted answer, which Mistral takes as one text.
fn prediction(value: &Value) -> Value {
    let content = value.get("content");
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    let joined: String = parts.filter_map(|part| part.get("text")?.as_str()).collect();
    json!({"type": "content", "content": content.and_then(Value::as_str).unwrap_or(&joined)})
}

/// The form of the answer, with the parts that Mistral requires and no others.
fn response_format(value: &Value) -> Value {
    let mut format = Map::from_iter([("type".to_owned(), value.get("type").cloned().unwrap_or_else(|| "text".into()))]);
    if let Some(wanted) = value.get("json_schema").filter(|wanted| !wanted.is_null()) {
        let mut kept = wanted.as_object().cloned().unwrap_or_default();
        kept.retain(|key, value| {
            ["name", "description", "schema", "strict"].contains(&key.as_str()) && !value.is_null()
        });
        // Without a schema any object will do.
        kept.entry("schema").or_insert_with(|| json!({"type": "object"}));
        format.insert("json_schema".to_owned(), kept.into());
    }
    format.into()
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::with_context;

    fn encode_text(body: &str) -> Result<(Value, Vec<String>), InvalidRequest> {
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        with_context(|context| {
            let mut dropped = Vec::new();
            let (body, _) = chat_body(&request, context, &mut dropped)?;
            Ok((Value::Object(body), dropped))
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
            "stream": true, "max_tokens": 500, "random_seed": 7, "temperature": 1.5,
            "service_tier": "standard_only"
        });
        assert_eq!(body, expected);
        assert_eq!(dropped, ["messages.name", "user", "store"]);
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

    #[test]
    fn the_older_functions_become_tools_and_a_result_finds_its_call() {
        let (body, _) = encode_text(
            r#"{"model":"x","messages":[{"role":"user","content":"a"},
                {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
                {"role":"function","name":"f","content":"42"}],
               "functions":[{"name":"f"}],"function_call":{"name":"f"}}"#,
        )
        .unwrap();
        assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
        assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
        let call = &body["messages"][1]["tool_calls"][0];
        assert_eq!((&body["messages"][2]["role"], &body["messages"][2]["tool_call_id"]), (&json!("tool"), &call["id"]));
    }

    #[test]
    fn among_allowed_tools_only_those_are_sent() {
        let (body, _) = encode_text(
            r#"{"model":"x","messages":[{"role":"user","content":"a"}],
               "tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","description":null,"strict":null}}],
               "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}}"#,
        )
        .unwrap();
        assert_eq!(
            body["tools"],
            json!([{"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}])
        );
        assert_eq!(body["tool_choice"], "required");
    }

    #[test]
    fn reasoning_that_comes_back_is_given_back_and_parts_take_mistrals_form() {
        let (body, dropped) = encode_text(
            r#"{"model":"x","messages":[
                {"role":"user","content":[{"type":"image_url","image_url":{"url":"https://ville.test/a.png","detail":"low"}},{"type":"text","text":"quoi ?"}]},
                {"role":"assistant","content":"b","reasoning_content":"hm"},
                {"role":"user","content":"c"}]}"#,
        )
        .unwrap();
        assert_eq!(body["messages"][1]["content"][0]["thinking"][0]["text"], "hm");
        assert_eq!(body["messages"][1]["content"][1], json!({"type": "text", "text": "b"}));
        assert_eq!(body["messages"][0]["content"][0]["image_url"]["detail"], "low");
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}
