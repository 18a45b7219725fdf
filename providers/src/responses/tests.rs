//! Requests of both shapes, whole answers, and OpenAI's own.

use serde_json::json;

use super::*;
use crate::error::ErrorKind;
use crate::upstream::CallContext;
use crate::upstream::tests::with_context;

fn chat_of(body: &Value) -> Map<String, Value> {
    chat_map(body.as_object().unwrap()).unwrap()
}

fn refused(body: &Value) -> InvalidRequest {
    let Err(error) = ResponsesRequest::parse(body.to_string().as_bytes()) else { panic!("accepted: {body}") };
    error
}

fn parsed(body: &Value) -> ResponsesRequest {
    ResponsesRequest::parse(body.to_string().as_bytes()).unwrap()
}

#[test]
fn a_text_with_instructions_is_two_messages() {
    let request = parsed(&json!({
        "zeta": {"b": 1, "a": 2}, "model": "m", "instructions": "Réponds en français.", "input": "Bonjour",
        "stream": true, "max_output_tokens": 40, "temperature": 0.5, "store": false, "alpha": 1,
    }));
    assert_eq!((request.model.as_str(), request.stream, request.max_output_tokens), ("m", true, Some(40)));
    let kept: Vec<&str> = request.body.keys().map(String::as_str).collect();
    assert_eq!(kept, ["zeta", "instructions", "input", "temperature", "store", "alpha"]);
    let messages = serde_json::to_value(&request.chat.messages).unwrap();
    assert_eq!(
        messages,
        json!([{"role": "developer", "content": "Réponds en français."}, {"role": "user", "content": "Bonjour"}])
    );
    assert!(request.chat.stream && request.chat.include_usage);
    assert_eq!(request.chat.max_output_tokens, Some(40));
    assert_eq!(request.chat.body_bytes, request.body_bytes);
    assert_eq!(request.dropped, ["zeta", "alpha"]);
}

#[test]
fn what_one_answer_said_becomes_one_message() {
    let chat = chat_of(&json!({"model": "m", "input": [
        {"role": "user", "content": "Quel temps ?"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Two towns."}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Je ", "annotations": []}, {"type": "output_text", "text": "regarde."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"c\":\"Lyon\"}"},
        {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "weather", "arguments": "{\"c\":\"Brest\"}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "12 °C"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "9 °C"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "xyz"},
        {"role": "assistant", "content": "12 et 9."},
        {"role": "user", "content": [{"type": "input_text", "text": "Merci"}]}
    ]}));
    assert_eq!(
        chat["messages"],
        json!([
            {"role": "user", "content": "Quel temps ?"},
            {"role": "assistant", "reasoning_content": "Two towns.", "content": "Je regarde.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"c\":\"Lyon\"}"}},
                {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{\"c\":\"Brest\"}"}}
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"},
            {"role": "tool", "tool_call_id": "call_2", "content": "9 °C"},
            {"role": "assistant", "content": "12 et 9."},
            {"role": "user", "content": "Merci"}
        ])
    );
}

#[test]
fn calls_alone_and_custom_calls_are_a_message_without_content() {
    let chat = chat_of(&json!({"model": "m", "input": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look it up."}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "It led to nothing."}]},
        {"role": "user", "content": "Et ?"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Non."}]}
    ]}));
    assert_eq!(
        chat["messages"],
        json!([
            {"role": "assistant", "reasoning_content": "Look it up.", "content": null,
             "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "user", "content": "Et ?"},
            {"role": "assistant", "content": "Non."}
        ])
    );
}

#[test]
fn a_message_after_its_calls_joins_them_so_that_results_still_follow() {
    let chat = chat_of(&json!({"model": "m", "input": [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "Je regarde."},
        {"type": "function_call_output", "call_id": "c", "output": "1"}
    ]}));
    assert_eq!(chat["messages"][0]["content"], "Je regarde.");
    assert_eq!(chat["messages"][0]["tool_calls"][0]["id"], "c");
    assert_eq!(chat["messages"][1]["role"], "tool");
}

#[test]
fn images_files_and_sounds_take_chats_form() {
    let chat = chat_of(&json!({"model": "m", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "Regarde", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low", "file_id": null},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    ]}]}));
    assert_eq!(
        chat["messages"][0]["content"],
        json!([
            {"type": "text", "text": "Regarde", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
        ])
    );
}

#[test]
fn images_of_tool_outputs_follow_the_outputs() {
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AA=="});
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let chat = chat_of(&json!({"model": "m", "input": [
        call("a"), call("b"),
        {"type": "function_call_output", "call_id": "a", "output": [image]},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "vu"}, image]}
    ]}));
    let roles: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user"]);
    assert_eq!(chat["messages"][2]["content"], "vu");
    assert_eq!(chat["messages"][3]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn settings_take_chats_names() {
    let chat = chat_of(&json!({
        "model": "m", "input": "x", "top_p": 0.9, "top_logprobs": 3, "parallel_tool_calls": false,
        "prompt_cache_key": "k", "service_tier": "flex", "user": "u", "safety_identifier": "s", "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": null},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
        "tools": [
            {"type": "function", "name": "f", "description": null, "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}}
        ],
        "tool_choice": {"type": "function", "name": "f"}
    }));
    assert_eq!(
        Value::Object(chat),
        json!({
            "model": "m", "messages": [{"role": "user", "content": "x"}], "top_p": 0.9, "top_logprobs": 3, "logprobs": true,
            "parallel_tool_calls": false, "prompt_cache_key": "k", "service_tier": "flex", "user": "u",
            "safety_identifier": "s", "metadata": {"a": "b"}, "reasoning_effort": "low", "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}},
                {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}}}
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}}
        })
    );
}

#[test]
fn a_choice_among_some_tools_leaves_the_others_out() {
    let tools = json!([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    let choice = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]});
    let chat = chat_of(&json!({"model": "m", "input": "x", "tools": tools, "tool_choice": choice}));
    assert_eq!(chat["tools"], json!([{"type": "function", "function": {"name": "g"}}]));
    assert_eq!(chat["tool_choice"], "required");
    // A choice without tools is an error at the vendors.
    let chat =
        chat_of(&json!({"model": "m", "input": "x", "tools": [], "tool_choice": "auto", "parallel_tool_calls": true}));
    assert!(["tools", "tool_choice", "parallel_tool_calls"].iter().all(|key| !chat.contains_key(*key)));
}

#[test]
fn what_chat_has_no_place_for_is_named_when_it_was_set() {
    let defaults = parsed(&json!({
        "model": "m", "input": "x", "truncation": "disabled", "include": [], "max_tool_calls": null, "background": false,
        "reasoning": {"summary": null, "context": "auto"}, "text": {"format": {"type": "text"}}, "top_logprobs": 0,
        "stream_options": {"include_obfuscation": false}, "previous_response_id": null, "store": null,
    }));
    assert_eq!(defaults.dropped, [""; 0]);
    let set = parsed(&json!({
        "model": "m", "input": "x", "truncation": "auto", "include": ["reasoning.encrypted_content"], "max_tool_calls": 3,
        "reasoning": {"summary": "auto", "effort": "low"}, "stop": "x", "stream_options": {"include_obfuscation": true},
    }));
    assert_eq!(
        set.dropped,
        ["truncation", "include", "max_tool_calls", "reasoning.summary", "stop", "stream_options.include_obfuscation"]
    );
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let unsupported = Some("unsupported_parameter");
    let item = |item: Value| json!({"model": "m", "input": [{"role": "user", "content": "x"}, item]});
    let part = |part: Value| json!({"model": "m", "input": [{"role": "user", "content": [part]}]});
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "x"});
        body[key] = value;
        body
    };
    for (body, param, code) in [
        (with("previous_response_id", json!("resp_1")), "previous_response_id", unsupported),
        (with("store", json!(true)), "store", unsupported),
        (with("conversation", json!({"id": "c"})), "conversation", unsupported),
        (with("background", json!(true)), "background", unsupported),
        (with("prompt", json!({"id": "p"})), "prompt", unsupported),
        (
            with("tools", json!([{"type": "function", "name": "f"}, {"type": "file_search"}])),
            "tools[1].type",
            unsupported,
        ),
        (with("tools", json!([{"type": "mcp", "server_label": "s"}])), "tools[0].type", unsupported),
        (with("tools", json!([{"type": "function"}])), "tools[0].name", None),
        (item(json!({"type": "item_reference", "id": "msg_1"})), "input[1]", unsupported),
        (item(json!({"id": "msg_1"})), "input[1]", unsupported),
        (item(json!({"type": "file_search_call", "id": "fs_1"})), "input[1].type", unsupported),
        (item(json!({"role": "tool", "content": "x"})), "input[1].role", None),
        (item(json!({"type": "function_call", "name": "f", "arguments": "{}"})), "input[1].call_id", None),
        (part(json!({"type": "input_image", "file_id": "file_1"})), "input[0].content[0].file_id", unsupported),
        (part(json!({"type": "file", "file": {"file_id": "file_1"}})), "input[0].content[0].file_id", unsupported),
        (part(json!({"type": "input_file", "file_url": "https://x"})), "input[0].content[0].file_url", unsupported),
        (part(json!({"type": "input_video"})), "input[0].content[0].type", unsupported),
        (with("max_output_tokens", json!(15)), "max_output_tokens", None),
        (with("max_output_tokens", json!("many")), "max_output_tokens", None),
        (with("input", json!([])), "input", None),
        (with("input", Value::Null), "input", None),
        (with("model", json!("")), "model", None),
        (with("stream", json!("yes")), "stream", None),
        (with("instructions", json!([])), "instructions", None),
    ] {
        let error = refused(&body);
        assert_eq!((error.param.as_deref(), error.code), (Some(param), code), "{body}");
        assert!(error.message.ends_with('.'), "{}", error.message);
    }
    assert_eq!(ResponsesRequest::parse(b"[]").unwrap_err().param, None);
}

#[test]
fn an_editors_responses_body_on_the_chat_path_is_the_chat_request_it_means() {
    let body = json!({
        "model": "m", "user": "u", "stream": true, "stream_options": {"include_usage": true}, "store": true,
        "previous_response_id": null, "include": ["reasoning.encrypted_content"], "truncation": "auto",
        "reasoning": {"effort": "high", "summary": "auto"}, "reasoning_effort": "low", "max_output_tokens": 5, "stop": ["x"],
        "n": 2, "max_tokens": 100,
        "input": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "tools": [
            {"type": "function", "name": "flat", "parameters": {"type": "object"}},
            {"type": "function", "function": {"name": "nested"}},
            {"type": "custom", "name": "patch", "format": {"type": "text"}}
        ],
    });
    assert!(is_responses_shaped(body.as_object().unwrap()));
    let chat = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(chat.max_output_tokens, Some(100));
    assert!(chat.stream && chat.include_usage && chat.choices == 2);
    assert_eq!(
        Value::Object(chat.rest),
        json!({
            "tools": [
                {"type": "function", "function": {"name": "flat", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "nested"}},
                {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}
            ],
            "user": "u", "reasoning_effort": "low", "stop": ["x"]
        })
    );
}

#[test]
fn flat_tools_of_a_chat_request_are_nested_and_the_rest_stays() {
    let body = json!({"model": "m", "input": "ignored", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "name": "f", "parameters": {}}]});
    assert!(!is_responses_shaped(body.as_object().unwrap()));
    let chat = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(chat.rest["tools"], json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]));
    let others = json!([{"type": "file_search", "name": "w"}, 3]);
    assert_eq!(nest_tools(others.clone()), others);
    assert_eq!(nest_tools(json!("x")), json!("x"));
}

#[test]
fn a_whole_answer_has_its_items_usage_and_what_was_asked() {
    let request = parsed(&json!({
        "model": "m", "input": "x", "instructions": "i", "temperature": 0.2, "metadata": {"a": "b"},
        "reasoning": {"effort": "low"}, "tools": [{"type": "function", "function": {"name": "f"}}],
    }));
    let chat = json!({
        "id": "chatcmpl-7", "created": 12, "model": "m-2", "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "tool_calls",
            "logprobs": {"content": [{"token": "B", "logprob": -0.5, "bytes": null, "top_logprobs": []}]},
            "message": {"role": "assistant", "content": "B", "refusal": null, "reasoning_content": "Hm.",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    });
    let response = answer_from_chat(&chat, &Echo::of(&request));
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_7"), &json!("completed")));
    assert_eq!(
        response["output"],
        json!([
            {"id": "rs_7_0", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}], "status": "completed"},
            {"id": "msg_7_1", "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text",
                "text": "B", "annotations": [], "logprobs": [{"token": "B", "logprob": -0.5, "bytes": [], "top_logprobs": []}]}]},
            {"id": "fc_7_2", "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"}
        ])
    );
    assert_eq!(response["usage"]["total_tokens"], 7);
    assert_eq!((&response["store"], &response["metadata"]), (&json!(false), &json!({})));
    assert_eq!((&response["temperature"], &response["top_p"]), (&json!(0.2), &Value::Null));
    assert_eq!(response["tools"], json!([{"type": "function", "name": "f", "parameters": null, "strict": null}]));
    assert_eq!(response["instructions"], "i");
}

#[test]
fn a_usage_that_is_absent_stays_absent() {
    let echo = Echo::of(&parsed(&json!({"model": "m", "input": "x"})));
    let chat =
        json!({"id": "x", "choices": [{"message": {"refusal": "Non."}, "finish_reason": "length"}], "usage": null});
    let response = answer_from_chat(&chat, &echo);
    assert!(response.get("usage").is_none());
    assert_eq!(response["output"][0]["content"], json!([{"type": "refusal", "refusal": "Non."}]));
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
}

#[test]
fn openai_gets_the_clients_body_less_what_must_not_leave() {
    let request = parsed(&json!({
        "model": "openai/m", "input": [
            {"role": "user", "content": "x"},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"}
        ],
        "stream": true, "stream_options": {"include_usage": true}, "user": "u", "metadata": {"a": "b"}, "service_tier": "priority",
        "safety_identifier": "mine", "prompt_cache_key": "k", "context_management": [{"type": "compaction"}],
        "include": ["reasoning.encrypted_content"], "future": {"z": 1, "a": 2}, "max_output_tokens": 16, "top_p": null,
        "previous_response_id": null, "background": false,
    }));
    let mut dropped = Vec::new();
    let body = with_context(|context| {
        let context = CallContext { model_id: "m", max_output_tokens: 900, ..*context };
        native_body(&request, &context, &mut dropped)
    });
    assert_eq!(
        Value::Object(body).to_string(),
        json!({
            "model": "m",
            "input": [{"role": "user", "content": "x"}, {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"}],
            "prompt_cache_key": "hash:k", "include": ["reasoning.encrypted_content"], "future": {"z": 1, "a": 2},
            "stream": true, "stream_options": {"include_obfuscation": false}, "max_output_tokens": 900, "store": false,
            "service_tier": "default", "safety_identifier": "hash"
        })
        .to_string()
    );
    assert_eq!(
        dropped,
        [
            "input.reasoning",
            "stream_options.include_usage",
            "user",
            "metadata",
            "service_tier",
            "safety_identifier",
            "context_management"
        ]
    );
}

fn whole(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "model": "m-1", "status": status, "service_tier": "default", "instructions": "long", "output": output,
        "incomplete_details": (status == "incomplete").then(|| json!({"reason": "max_output_tokens"})),
        "error": (status == "failed").then(|| json!({"code": "server_error", "message": "Oh."})),
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})
}

#[test]
fn openais_whole_answers_are_read_on_the_side() {
    let text = json!([{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text", "text": "été"}]}]);
    let call = json!([{"type": "function_call", "name": "f"}]);
    for (status, output, reason, visible) in [
        ("completed", text.clone(), Some("stop"), 3),
        ("completed", call, Some("tool_calls"), 0),
        ("incomplete", text, Some("length"), 3),
        ("failed", json!([]), None, 0),
    ] {
        let mut reader = NativeReader::default();
        let event = reader.answer(whole(status, &output).to_string().as_bytes()).unwrap();
        assert_eq!(reader.finish_reason.as_deref(), reason, "{status}");
        assert_eq!((event.visible_chars, reader.output_chars), (visible, visible));
        assert_eq!(event.error.is_some(), reason.is_none());
        assert_eq!(reader.usage.as_ref().unwrap()["output_tokens"], 4, "a failed answer has its usage too");
        assert_eq!((reader.response_model.as_deref(), reader.service_tier.as_deref()), (Some("m-1"), Some("default")));
    }
    assert_eq!(NativeReader::default().answer(b"<html>").unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn openais_events_are_read_on_the_side() {
    let mut reader = NativeReader::default();
    let mut read = |event: Value| {
        let event: NativeEvent = reader.event(event.to_string().as_bytes()).unwrap();
        (event.visible_chars, event.has_content, event.terminal, event.error.map(|error| error.message))
    };
    let started = json!({"id": "resp_1", "model": "m-1", "status": "in_progress", "output": [], "usage": null});
    assert_eq!(
        read(json!({"type": "response.created", "sequence_number": 0, "response": started})),
        (0, false, false, None)
    );
    assert_eq!(read(json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"})), (0, true, false, None));
    assert_eq!(
        read(json!({"type": "response.output_text.delta", "delta": "d\u{e9}\"", "obfuscation": "x"})),
        (3, true, false, None)
    );
    assert_eq!(read(json!({"type": "response.output_text.delta", "delta": ""})), (0, false, false, None));
    assert_eq!(read(json!({"type": "response.some_future.delta", "delta": {"a": 1}})), (0, true, false, None));
    assert_eq!(read(json!({"type": "response.output_text.done", "text": "dé"})), (0, false, false, None));
    let error = read(json!({"type": "error", "code": "server_error", "message": "Oh.", "param": null}));
    assert_eq!(error, (0, false, true, Some("Oh.".to_owned())));
    let failed = read(json!({"type": "response.failed", "response": whole("failed", &json!([]))}));
    assert_eq!(failed, (0, false, true, Some("Oh.".to_owned())));
    let ended = read(
        json!({"type": "response.completed", "response": whole("completed", &json!([{"type": "message", "content": []}]))}),
    );
    assert_eq!(ended, (0, false, true, None));
    assert_eq!((reader.finish_reason.as_deref(), reader.upstream_id.as_deref()), (Some("stop"), Some("resp_1")));
    assert_eq!((reader.output_chars, reader.usage.is_some()), (3, true));
    assert!(reader.event(b"{}").is_err() && reader.event(b"{\"type\":\"response.completed\"}").is_err());
}

#[test]
fn only_the_first_of_several_choices_is_told() {
    let mut writer = EventWriter::new(Echo::of(&parsed(&json!({"model": "m", "input": "x"}))));
    let mut out = bytes::BytesMut::new();
    let choice = |index: u64, text: &str| json!({"index": index, "delta": {"content": text}, "finish_reason": "stop"});
    writer.chunk(&json!({"id": "chatcmpl-1", "choices": [choice(0, "premier"), choice(1, "second")]}), &mut out);
    writer.finish(&mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(text.contains("premier") && !text.contains("second"), "{text}");
}

#[test]
fn an_answer_sent_back_as_input_is_the_message_it_was_made_of() {
    let message = json!({"role": "assistant", "reasoning_content": "Hm.", "content": "Je regarde.", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "select 1"}}
    ]});
    let chat = json!({"id": "chatcmpl-1", "choices": [{"message": message, "finish_reason": "tool_calls"}]});
    let echo = Echo::of(&parsed(&json!({"model": "m", "input": "x"})));
    let input = answer_from_chat(&chat, &echo)["output"].take();
    assert_eq!(chat_of(&json!({"model": "m", "input": input}))["messages"], json!([message]));
}

#[test]
fn a_search_is_kept_for_openai_with_its_limit_and_its_harmless_keys() {
    let tools = json!([
        {"type": "function", "name": "f"},
        {"type": "web_search", "search_context_size": "low", "return_token_budget": "unlimited"}
    ]);
    let body =
        json!({"model": "m", "input": "x", "tools": tools, "tool_choice": {"type": "web_search"}, "max_tool_calls": 9});
    let request = parsed(&body);
    assert_eq!(request.search, Some(Search { place: 1, max_calls: Some(9) }));
    assert_eq!(request.chat.rest["tools"].as_array().unwrap().len(), 1, "chat cannot search");
    let mut dropped = Vec::new();
    let sent = with_context(|context| native_body(&request, &CallContext { tool_calls: 2, ..*context }, &mut dropped));
    assert_eq!(sent["max_tool_calls"], 2, "what was reserved for, whatever was asked");
    assert_eq!(sent["tools"][1], json!({"type": "web_search", "search_context_size": "low"}));
    assert_eq!(
        (&sent["tool_choice"], dropped),
        (&body["tool_choice"], vec!["tools.web_search.return_token_budget".to_owned()])
    );
    for limit in [json!(0), json!(-1), json!("two")] {
        let body = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}], "max_tool_calls": limit});
        assert_eq!(refused(&body).param.as_deref(), Some("max_tool_calls"));
    }
    let posted_as_chat = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]});
    assert!(chat_from_responses_shape(posted_as_chat.as_object().unwrap()).is_err(), "chat has no such tool");
}

#[test]
fn searches_are_counted_once_however_they_are_told() {
    let item =
        |status: &str| json!({"type": "web_search_call", "id": "ws", "status": status, "action": {"type": "search"}});
    let message = json!({"type": "message", "content": []});
    let output = json!([item("completed"), item("failed"), item("completed"), message]);
    let mut whole_reader = NativeReader::default();
    whole_reader.answer(whole("completed", &output).to_string().as_bytes()).unwrap();
    assert_eq!(whole_reader.tool_calls.web_search, 2, "a search that failed is not one");
    for last_output in [output.clone(), json!([])] {
        let mut reader = NativeReader::default();
        let mut read = |event: Value| reader.event(event.to_string().as_bytes()).unwrap();
        for (index, item) in output.as_array().unwrap().iter().enumerate() {
            read(json!({"type": "response.output_item.added", "output_index": index, "item": item}));
            read(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
        }
        read(json!({"type": "response.completed", "response": whole("completed", &last_output)}));
        assert_eq!(reader.tool_calls.web_search, 2, "never added up over events, never lost without the whole list");
    }
}

#[test]
fn the_last_usage_of_a_stream_wins_and_none_takes_nothing_away() {
    let mut reader = NativeReader::default();
    let mut read = |event: Value| reader.event(event.to_string().as_bytes()).unwrap();
    let usage = |tokens: u64| json!({"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens});
    for tokens in [1, 40] {
        read(
            json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "usage": usage(tokens)}}),
        );
    }
    read(json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "usage": null}}));
    assert_eq!(reader.usage.as_ref().unwrap()["input_tokens"], 40);
    let mut read = |event: Value| reader.event(event.to_string().as_bytes()).unwrap();
    read(json!({"type": "response.completed", "response": whole("completed", &json!([]))}));
    assert_eq!(reader.usage.as_ref().unwrap()["input_tokens"], 3, "never added up");
}
