//! What OpenAI refuses in a chat request, field by field.

use super::*;

/// Each of these is refused for that parameter, with that code.
async fn refused_by_openai(router: &Router, cases: impl IntoIterator<Item = (Value, &str, &str)>) {
    for (body, param, code) in cases {
        let (status, answer) = ask(router, &body).await;
        let error = &answer["error"];
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(
            (error["param"].as_str().unwrap(), error["code"].as_str().unwrap_or_default()),
            (param, code),
            "{answer}"
        );
    }
}

fn openai(change: Value) -> Value {
    with(question(Dialect::Openai), change)
}

#[tokio::test]
async fn openai_names_the_place_of_a_mistake_in_the_messages() {
    let (router, _) = simulated(fast(Dialect::Openai));
    let text = json!({"type": "text", "text": "x"});
    let user = json!({"role": "user", "content": "x"});
    let tool = json!({"role": "tool", "tool_call_id": "call_1", "content": "x"});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let cases = [
        (openai(json!({"safe_prompt": true})), "safe_prompt", "unknown_parameter"),
        (
            parts(Dialect::Openai, json!([with(text.clone(), json!({"cache_control": {}}))])),
            "messages[0].content[0].cache_control",
            "unknown_parameter",
        ),
        (
            parts(Dialect::Openai, json!([{"type": "document_url", "document_url": "x"}])),
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            conversation(
                Dialect::Openai,
                json!([{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, user]),
            ),
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            conversation(Dialect::Openai, json!([{"role": "user", "content": null}])),
            "messages[0].content",
            "invalid_type",
        ),
        (parts(Dialect::Openai, json!([])), "messages[0].content", "empty_array"),
    ];
    refused_by_openai(&router, cases).await;
    let whole = [
        openai(json!({"tools": null, "stop": "x", "seed": -1, "user": null, "store": false, "metadata": {"a": "b"}})),
        parts(Dialect::Openai, json!([text, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}])),
        conversation(
            Dialect::Openai,
            json!([user, {"role": "assistant", "content": null, "tool_calls": [call]}, tool]),
        ),
    ];
    for body in whole {
        let (status, answer) = ask(&router, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test]
async fn openai_names_the_field_and_the_kind_of_a_mistake() {
    let (router, _) = simulated(fast(Dialect::Openai));
    let schema = |schema: Value| openai(json!({"response_format": {"type": "json_schema", "json_schema": schema}}));
    let user = json!({"role": "user", "content": "x"});
    let tool = json!({"role": "tool", "tool_call_id": "call_1", "content": "x"});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let cases = [
        (
            openai(json!({"tools": [{"type": "function", "function": {}}]})),
            "tools[0].function.name",
            "missing_required_parameter",
        ),
        (openai(json!({"tools": [{"type": "function", "name": "f"}]})), "tools[0].name", "unknown_parameter"),
        (openai(function(json!({"name": "deux mots"}))), "tools[0].function.name", "invalid_value"),
        (openai(json!({"tool_choice": "any"})), "tool_choice", "invalid_value"),
        (openai(json!({"tool_choice": "auto"})), "tool_choice", ""),
        (schema(json!({"schema": {}})), "response_format.json_schema.name", "missing_required_parameter"),
        (schema(json!({"name": "a b", "schema": {}})), "response_format.json_schema.name", "invalid_value"),
        (openai(json!({"response_format": {"type": "json_object"}})), "messages", ""),
        (conversation(Dialect::Openai, json!([{"role": "assistant"}, user])), "messages.[0].content", ""),
        (conversation(Dialect::Openai, json!([user, tool])), "messages.[1].role", ""),
        (
            conversation(Dialect::Openai, json!([user, {"role": "assistant", "tool_calls": [call]}, user])),
            "messages.[2].role",
            "",
        ),
        (openai(json!({"stream_options": {"include_usage": true}})), "stream_options", ""),
        (openai(json!({"n": 129})), "n", "integer_above_max_value"),
        (openai(json!({"stop": ["a", "b", "c", "d", "e"]})), "stop", "array_above_max_length"),
        (openai(json!({"logprobs": 1})), "logprobs", "invalid_type"),
        (openai(json!({"top_logprobs": 2})), "top_logprobs", ""),
        (openai(json!({"top_logprobs": 21, "logprobs": true})), "top_logprobs", "integer_above_max_value"),
        (openai(json!({"temperature": 2.5})), "temperature", "decimal_above_max_value"),
        (openai(json!({"safety_identifier": "x".repeat(65)})), "safety_identifier", "string_above_max_length"),
    ];
    refused_by_openai(&router, cases).await;
}
