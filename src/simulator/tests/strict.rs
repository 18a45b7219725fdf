//! What Mistral refuses in a chat request, field by field, and what a model lacks at either vendor.

use super::*;

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
        (json!([user, {"role": "assistant", "content": null}, user]), "3240", "Assistant message must have"),
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
async fn what_a_model_lacks_is_refused_by_mistral() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let blind = json!({"model": "codestral-latest"});
    let picture = json!([{"type": "image_url", "image_url": PIXEL}]);
    let cases = [
        with(parts(Dialect::Mistral, picture), blind.clone()),
        with(with(question(Dialect::Mistral), blind), json!({"reasoning_effort": "high"})),
        parts(Dialect::Mistral, json!([{"type": "input_audio", "input_audio": "AAAA"}])),
        parts(Dialect::Mistral, json!([{"type": "image_url", "image_url": "data:image/png;base64,~"}])),
        with(question(Dialect::Mistral), json!({"model": "mistral-embed"})),
        with(question(Dialect::Mistral), json!({"model": "mistral-large-latest", "n": 2})),
        with(question(Dialect::Mistral), json!({"model": "zai-glm-5-2"})),
    ];
    for body in cases {
        assert_eq!(ask(&router, &body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn what_a_model_lacks_is_refused_by_openai() {
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
