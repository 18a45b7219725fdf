//! What the vendors refuse in a chat request, field by field.

use super::*;

const PIXEL: &str = "data:image/png;base64,iVBORw0KGgo=";

/// A question with one user message of these parts.
fn parts(dialect: Dialect, parts: impl Into<Value>) -> Value {
    let parts: Value = parts.into();
    with(question(dialect), json!({"messages": [{"role": "user", "content": parts}]}))
}

fn conversation(dialect: Dialect, messages: impl Into<Value>) -> Value {
    let messages: Value = messages.into();
    with(question(dialect), json!({"messages": messages}))
}

fn function(change: Value) -> Value {
    let function = json!({"name": "horaires", "parameters": {"type": "object", "properties": {}}});
    json!({"tools": [{"type": "function", "function": with(function, change)}]})
}

/// The place and kind of Mistral's first detail.
async fn detail_of(router: &Router, body: &Value) -> (String, String) {
    let (status, answer) = ask(router, body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body} gave {answer}");
    let first = &answer["detail"][0];
    let place =
        first["loc"].as_array().unwrap().iter().map(|step| step.as_str().map_or(step.to_string(), str::to_owned));
    (place.collect::<Vec<_>>().join("."), first["type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn mistral_is_closed_in_the_depth_of_its_messages() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let text = json!({"type": "text", "text": "x"});
    let call = |function: Value| {
        let call = json!({"id": "abcdefghi", "function": function});
        let turn = json!({"role": "assistant", "content": "", "tool_calls": [call]});
        let result = json!({"role": "tool", "tool_call_id": "abcdefghi", "content": "x"});
        conversation(Dialect::Mistral, json!([{"role": "user", "content": "x"}, turn, result]))
    };
    let cases = [
        (
            parts(Dialect::Mistral, json!([with(text.clone(), json!({"cache_control": {}}))])),
            "body.messages.0.user.content.0.text.cache_control",
            "extra_forbidden",
        ),
        (
            parts(Dialect::Mistral, json!([text, {"type": "input_text", "text": "x"}])),
            "body.messages.0.user.content.1",
            "union_tag_invalid",
        ),
        (
            parts(Dialect::Mistral, json!([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}])),
            "body.messages.0.user.content.0.input_audio.input_audio",
            "string_type",
        ),
        (
            parts(Dialect::Mistral, json!([{"type": "file", "file": {"file_data": "x"}}])),
            "body.messages.0.user.content.0.file.file",
            "extra_forbidden",
        ),
        (
            call(json!({"name": "f", "arguments": "{}", "extra": 1})),
            "body.messages.1.assistant.tool_calls.0.function.extra",
            "extra_forbidden",
        ),
        (
            conversation(Dialect::Mistral, json!([{"role": "developer", "content": "x"}])),
            "body.messages.0",
            "union_tag_invalid",
        ),
    ];
    for (body, place, kind) in cases {
        assert_eq!(detail_of(&router, &body).await, (place.to_owned(), kind.to_owned()));
    }
}

#[tokio::test]
async fn mistral_is_closed_in_the_depth_of_its_fields() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let mistral = |change: Value| with(question(Dialect::Mistral), change);
    let schema = |change: Value| {
        let schema = with(json!({"name": "fiche", "schema": {"type": "object"}}), change);
        mistral(json!({"response_format": {"type": "json_schema", "json_schema": schema}}))
    };
    let cases = [
        (mistral(json!({"tools": []})), "body.tools", "too_short"),
        (mistral(function(json!({"description": null}))), "body.tools.0.function.function.description", "string_type"),
        (mistral(function(json!({"strict": null}))), "body.tools.0.function.function.strict", "bool_type"),
        (
            mistral(function(json!({"name": "deux mots"}))),
            "body.tools.0.function.function.name",
            "string_pattern_mismatch",
        ),
        (mistral(function(json!({"parameters": null}))), "body.tools.0.function.function.parameters", "dict_type"),
        (
            mistral(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})),
            "body.tools.0.function.function.parameters",
            "missing",
        ),
        (mistral(json!({"tools": [{"type": "custom", "custom": {}}]})), "body.tools.0", "union_tag_invalid"),
        (
            mistral(json!({"tool_choice": {"type": "allowed_tools", "function": {"name": "f"}}})),
            "body.tool_choice.type",
            "enum",
        ),
        (mistral(json!({"tool_choice": "all"})), "body.tool_choice", "enum"),
        (schema(json!({"extra": 1})), "body.response_format.json_schema.extra", "extra_forbidden"),
        (schema(json!({"strict": null})), "body.response_format.json_schema.strict", "bool_type"),
        (
            mistral(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}})),
            "body.response_format.json_schema.schema",
            "missing",
        ),
        (
            mistral(json!({"prediction": {"type": "content", "content": [{"type": "text", "text": "x"}]}})),
            "body.prediction.content",
            "string_type",
        ),
        (mistral(json!({"temperature": 1.6})), "body.temperature", "less_than_equal"),
        (mistral(json!({"top_p": 0})), "body.top_p", "greater_than"),
        (mistral(json!({"random_seed": -1})), "body.random_seed", "greater_than_equal"),
        (mistral(json!({"max_tokens": 262_144})), "body.max_tokens", "less_than"),
        (mistral(json!({"stream": null})), "body.stream", "bool_type"),
    ];
    for (body, place, kind) in cases {
        assert_eq!(detail_of(&router, &body).await, (place.to_owned(), kind.to_owned()));
    }
    let many: Vec<Value> =
        (0..129).map(|number| function(json!({"name": format!("f{number}")}))["tools"][0].clone()).collect();
    assert_eq!(detail_of(&router, &mistral(json!({"tools": many}))).await.1, "too_long");
}

#[tokio::test]
async fn mistral_takes_what_it_publishes() {
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let content = json!([
        {"type": "text", "text": "Que vois-tu ?"},
        {"type": "image_url", "image_url": PIXEL},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "document_url", "document_url": "https://example.org/a.pdf", "document_name": null},
        {"type": "reference", "reference_ids": [1, "b"]},
    ]);
    let body = with(
        parts(Dialect::Mistral, content),
        json!({"temperature": 1.5, "top_p": 1, "random_seed": 0, "stop": ["x"], "n": null, "reasoning_effort": "none",
               "service_tier": "standard_only", "safe_prompt": true, "prompt_cache_key": "k", "metadata": {"a": 1},
               "prediction": {"type": "content", "content": ""}, "tool_choice": "auto", "parallel_tool_calls": true}),
    );
    let (status, answer) = ask(&router, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    // An image, one in low detail, a document.
    assert_eq!(usage_of(&answer["usage"]).input_tokens(), tokens::count("Que vois-tu ?") + 7 + 765 + 85 + 1000);
    assert_eq!(vendor.books().input_tokens, usage_of(&answer["usage"]).input_tokens());
}

#[tokio::test]
async fn mistral_wants_its_order_of_messages() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let user = json!({"role": "user", "content": "x"});
    let system = json!({"role": "system", "content": "x"});
    let assistant = json!({"role": "assistant", "content": "x"});
    let call = |id: &str| json!({"id": id, "function": {"name": "f", "arguments": "{}"}});
    let calls = |ids: &[&str]| {
        let calls: Vec<Value> = ids.iter().map(|id| call(id)).collect();
        json!({"role": "assistant", "content": "", "tool_calls": calls})
    };
    let tool = |id: &str| json!({"role": "tool", "content": "x", "tool_call_id": id});
    let (one, two) = ("aaaaaaaaa", "bbbbbbbbb");
    let refused = [
        (json!([assistant]), "3230", "Expected first role"),
        (json!([user, assistant, system, user]), "3230", "Unexpected role 'system' after role 'assistant'"),
        (json!([user, tool(one)]), "3230", "Unexpected role 'tool' after role 'user'"),
        (json!([user, assistant]), "3230", "Expected last role"),
        (json!([user, calls(&[one, two]), tool(one)]), "3230", "Not the same number of function calls and responses"),
        (json!([user, calls(&[one]), tool(one), tool(two)]), "3230", "Not the same number"),
        (json!([user, calls(&["call_1"]), tool("call_1")]), "3280", "Tool call id was call_1"),
        (json!([user, calls(&[one]), {"role": "tool", "content": "x"}]), "3280", "Tool call id was null"),
    ];
    for (messages, code, message) in refused {
        let (status, body) = ask(&router, &conversation(Dialect::Mistral, messages)).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}");
        assert!(body["message"].as_str().unwrap().starts_with(message), "{body}");
    }
    for messages in [
        json!([system, user]),
        json!([system, system, user, user]),
        json!([user, calls(&[one, two]), tool(two), tool(one)]),
        json!([user, calls(&[one]), tool(one), user]),
    ] {
        assert_eq!(ask(&router, &conversation(Dialect::Mistral, messages)).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_a_model_lacks_is_refused() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let blind = json!({"model": "codestral-latest"});
    let picture = json!([{"type": "image_url", "image_url": PIXEL}]);
    let cases = [
        with(parts(Dialect::Mistral, picture), blind.clone()),
        with(with(question(Dialect::Mistral), blind), json!({"reasoning_effort": "high"})),
        parts(Dialect::Mistral, json!([{"type": "input_audio", "input_audio": "AAAA"}])),
        parts(Dialect::Mistral, json!([{"type": "image_url", "image_url": "data:image/png;base64,~"}])),
        with(question(Dialect::Mistral), json!({"model": "mistral-embed"})),
        with(question(Dialect::Mistral), json!({"model": "zai-glm-5-2"})),
    ];
    for body in cases {
        assert_eq!(ask(&router, &body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let (router, _) = simulated(fast(Dialect::Openai));
    let sound = json!([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]);
    let file = |file: Value| json!([{"type": "file", "file": file}]);
    let cases = [
        (with(question(Dialect::Openai), json!({"model": "o3-mini"})), 404, "model_not_found"),
        (parts(Dialect::Openai, sound.clone()), 400, ""),
        (
            parts(Dialect::Openai, json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,~~"}}])),
            400,
            "invalid_base64",
        ),
        (
            parts(Dialect::Openai, json!([{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}])),
            400,
            "invalid_image_format",
        ),
        (
            parts(Dialect::Openai, json!([{"type": "image_url", "image_url": {"url": "image.png"}}])),
            400,
            "invalid_value",
        ),
        (parts(Dialect::Openai, file(json!({"file_id": "file-1"}))), 404, ""),
        (
            parts(Dialect::Openai, file(json!({"file_data": "data:application/pdf;base64,AAAA"}))),
            400,
            "missing_required_parameter",
        ),
        (with(question(Dialect::Openai), json!({"model": "gpt-audio-1.5"})), 400, "invalid_value"),
        (with(question(Dialect::Openai), json!({"model": "text-embedding-3-small"})), 404, ""),
        (with(question(Dialect::Openai), json!({"modalities": ["text", "audio"]})), 400, "unsupported_value"),
        (
            with(question(Dialect::Openai), json!({"model": "gpt-4.1", "reasoning_effort": "low"})),
            400,
            "unsupported_parameter",
        ),
    ];
    for (body, status, code) in cases {
        let (given, answer) = ask(&router, &body).await;
        assert_eq!(
            (given.as_u16(), answer["error"]["code"].as_str().unwrap_or_default()),
            (status, code),
            "{body} {answer}"
        );
    }
    let heard = with(parts(Dialect::Openai, sound), json!({"model": "gpt-audio-1.5"}));
    assert_eq!(usage_of(&ask(&router, &heard).await.1["usage"]).input_audio, 10);
}

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

#[tokio::test]
async fn mistral_can_vary_the_shape_of_its_422() {
    let (router, _) = simulated(SimulatorSettings { varied_refusals: true, ..fast(Dialect::Mistral) });
    let body = with(question(Dialect::Mistral), json!({"store": false}));
    let mut shapes = Vec::new();
    for _ in 0..3 {
        let (status, answer) = ask(&router, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        shapes.push(answer);
    }
    assert_eq!(shapes[0]["detail"][0]["loc"][1], "store");
    assert_eq!(shapes[1]["message"]["detail"][0]["loc"][1], "store");
    assert_eq!((&shapes[2]["message"][0]["loc"][1], &shapes[2]["code"]), (&json!("store"), &json!(3001)));
}
