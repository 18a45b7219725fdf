//! OpenAI's Responses: items, events, and what a caller without the vendor's store may not send.

use super::*;

const PATH: &str = "/v1/responses";

fn body(more: Value) -> Value {
    with(json!({"model": OPENAI_MODEL, "input": "Quand ouvre la mairie ?", "store": false}), more)
}

fn item(role: &str, kind: &str, text: &str) -> Value {
    json!({"role": role, "content": [{"type": kind, "text": text}]})
}

async fn events(router: &Router, body: &Value) -> Vec<Value> {
    let body = with(body.clone(), json!({"stream": true}));
    let (status, bytes) = send_to(router, PATH, Some("sk-x"), body.to_string()).await;
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name);
            data
        })
        .collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    events
}

fn joined(events: &[Value], name: &str) -> String {
    events.iter().filter(|event| event["type"] == name).filter_map(|event| event["delta"].as_str()).collect()
}

fn responses_usage(response: &Value) -> Usage {
    let reported = ReportedUsage::from_responses(&response["usage"]).unwrap();
    assert!(reported.consistent);
    reported.usage
}

#[tokio::test]
async fn a_whole_answer_and_its_stream_say_the_same() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let asked = body(json!({"instructions": "Sois bref.", "reasoning": {"effort": "low", "summary": "auto"}}));
    let (status, whole) = post(&router, PATH, &asked).await;
    assert_eq!((status, &whole["status"], &whole["object"]), (StatusCode::OK, &json!("completed"), &json!("response")));
    let output = whole["output"].as_array().unwrap();
    assert_eq!((&output[0]["type"], &output[1]["type"]), (&json!("reasoning"), &json!("message")));
    let text = output[1]["content"][0]["text"].as_str().unwrap();
    let usage = responses_usage(&whole);
    assert_eq!(usage.output_visible, tokens::count(text));
    let read = tokens::count("Sois bref.") + tokens::count("Quand ouvre la mairie ?") + 2 * 4 + 3;
    assert_eq!((usage.input_tokens(), vendor.books().input_tokens), (read, read));
    assert_eq!((vendor.books().output_tokens, vendor.books().stored), (usage.output_tokens(), 0));
    let (twin, _) = simulated(fast(Dialect::Openai));
    let events = events(&twin, &asked).await;
    let names: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let mut short = names.clone();
    short.dedup();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(short, expected);
    assert_eq!(joined(&events, "response.output_text.delta"), text);
    assert_eq!(events.last().unwrap()["response"], whole);
    assert!(events[0]["response"].get("usage").is_none());
    assert!(events.iter().any(|event| event.get("obfuscation").is_some()));
}

#[tokio::test]
async fn functions_are_flat_and_their_results_come_back_as_items() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let parameters = json!({"type": "object", "properties": {"ville": {"type": "string"}}, "required": ["ville"]});
    let tool = json!({"type": "function", "name": "meteo", "parameters": parameters, "strict": true});
    let asked = body(json!({
        "input": [item("user", "input_text", "Utilise un outil, en parallèle.")], "tools": [tool],
        "reasoning": {"effort": "none"},
    }));
    let (_, whole) = post(&router, PATH, &asked).await;
    let calls = whole["output"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert!(calls[0]["call_id"].as_str().unwrap().starts_with("call_"));
    let usage = responses_usage(&whole);
    let text = |call: &Value, name: &str| tokens::count(call[name].as_str().unwrap());
    assert_eq!(
        usage.output_tokens(),
        calls.iter().map(|call| text(call, "name") + text(call, "arguments")).sum::<u64>()
    );
    assert_eq!(vendor.books().output_tokens, usage.output_tokens());
    let (twin, _) = simulated(fast(Dialect::Openai));
    let streamed = events(&twin, &asked).await;
    let said: String = calls.iter().map(|call| call["arguments"].as_str().unwrap()).collect();
    assert_eq!(joined(&streamed, "response.function_call_arguments.delta"), said);
    assert_eq!(streamed.last().unwrap()["response"], whole);
    let done = streamed.iter().filter(|event| event["type"] == "response.function_call_arguments.done");
    assert_eq!(done.map(|event| &event["output_index"]).collect::<Vec<_>>(), [&json!(0), &json!(1)]);
    let mut input = vec![item("user", "input_text", "Utilise un outil, en parallèle.")];
    input.extend(calls.iter().cloned());
    let result =
        |call: &Value| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "Il pleut."});
    input.extend(calls.iter().map(result));
    let (status, last) = post(&router, PATH, &with(asked.clone(), json!({"input": input}))).await;
    assert_eq!((status, &last["output"][0]["type"]), (StatusCode::OK, &json!("message")), "{last}");
    let choice = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "meteo"}]});
    let forced = with(asked, json!({"input": "Quel temps ?", "tool_choice": choice}));
    assert_eq!(post(&router, PATH, &forced).await.1["output"][0]["name"], "meteo");
}

#[tokio::test]
async fn limits_schemas_and_storage() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let cut = body(json!({"max_output_tokens": 16, "reasoning": {"effort": "none"}}));
    let (_, whole) = post(&router, PATH, &cut).await;
    assert_eq!(
        (&whole["status"], &whole["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!((&whole["output"][0]["status"], responses_usage(&whole).output_tokens()), (&json!("incomplete"), 16));
    let streamed = events(&router, &cut).await;
    assert_eq!(streamed.last().unwrap()["type"], "response.incomplete");
    let schema = json!({"type": "object", "properties": {"jour": {"enum": ["lundi"]}}, "required": ["jour"]});
    let format = json!({"text": {"format": {"type": "json_schema", "name": "fiche", "schema": schema}}});
    let (_, whole) = post(&router, PATH, &body(format)).await;
    let message = whole["output"].as_array().unwrap().last().unwrap();
    assert_eq!(message["content"][0]["text"], r#"{"jour":"lundi"}"#);
    assert_eq!(vendor.books().stored, 0);
    for more in [json!({"store": null}), json!({"store": true})] {
        assert_eq!(post(&router, PATH, &body(more)).await.1["store"], true);
    }
    assert_eq!(vendor.books().stored, 2);
}

#[tokio::test]
async fn what_needs_a_store_and_what_is_misplaced_is_refused() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
    let result = json!({"type": "function_call_output", "call_id": "call_1", "output": "x"});
    let user = item("user", "input_text", "x");
    let sealed = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
    let bare = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let cases = [
        (json!({"messages": []}), 400, "messages", "unknown_parameter"),
        (json!({"max_output_tokens": 15}), 400, "max_output_tokens", "integer_below_min_value"),
        (json!({"previous_response_id": "resp_1"}), 400, "previous_response_id", "previous_response_not_found"),
        (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), 404, "input", ""),
        (json!({"input": [user, bare, item("assistant", "output_text", "x")]}), 404, "input", ""),
        (json!({"input": [user, sealed]}), 400, "input", ""),
        (json!({"input": [user, result]}), 400, "input", ""),
        (json!({"input": [user, call]}), 400, "input", ""),
        (json!({"input": [item("user", "output_text", "x")]}), 400, "input[0].content[0]", "invalid_value"),
        (json!({"input": [user, item("assistant", "input_text", "x")]}), 400, "input[1].content[0]", "invalid_value"),
        (json!({"input": [item("user", "text", "x")]}), 400, "input[0].content[0].type", "invalid_value"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            400,
            "tools[0].function",
            "unknown_parameter",
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "json_schema": {}}}}),
            400,
            "text.format.json_schema",
            "unknown_parameter",
        ),
        (json!({"text": {"format": {"type": "json_object"}}}), 400, "input", ""),
        (json!({"model": "gpt-4.1", "reasoning": {"effort": "low"}}), 400, "reasoning.effort", "unsupported_parameter"),
        (json!({"background": true}), 400, "background", "unsupported_value"),
        (json!({"model": "inconnu"}), 404, "", "model_not_found"),
    ];
    let count = cases.len() as u64;
    for (change, status, param, code) in cases {
        let (given, answer) = post(&router, PATH, &body(change)).await;
        let of = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!((given.as_u16(), of("param").as_str(), of("code").as_str()), (status, param, code), "{answer}");
    }
    assert_eq!(vendor.books(), Books { calls: count, errors: count, ..Books::default() });
    let pixel = json!([{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,~"}]}]);
    let (_, answer) = post(&router, PATH, &body(json!({"instructions": "x", "input": pixel}))).await;
    assert_eq!(answer["error"]["param"], "input[0].content[0]");
    let whole = json!({"input": [user, sealed, item("assistant", "output_text", "x"), user]});
    assert_eq!(post(&router, PATH, &body(whole)).await.0, StatusCode::OK);
    let (router, _) = simulated(fast(Dialect::Mistral));
    let (status, answer) = post(&router, PATH, &body(json!({}))).await;
    assert_eq!((status, &answer["message"]), (StatusCode::NOT_FOUND, &json!("no Route matched with those values")));
}

#[tokio::test]
async fn searches_come_as_items_up_to_the_limit_and_are_billed_by_the_call() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let asked = |limit: Option<u64>, choice: &str| {
        body(json!({"tools": [{"type": "web_search"}], "max_tool_calls": limit, "tool_choice": choice}))
    };
    let is_search = |item: &&Value| item["type"] == "web_search_call";
    let mut billed = 0;
    for _ in 0..10 {
        let (status, whole) = post(&router, PATH, &asked(Some(2), "auto")).await;
        assert_eq!((status, &whole["max_tool_calls"]), (StatusCode::OK, &json!(2)));
        let searches = whole["output"].as_array().unwrap().iter().filter(is_search).count() as u64;
        assert!((1..=2).contains(&searches));
        let prompt = tokens::count("Quand ouvre la mairie ?") + 4 + 3;
        assert!(responses_usage(&whole).input_tokens() > (searches + 1) * prompt, "what is found is read again");
        billed += searches;
    }
    assert_eq!(vendor.books().web_searches, billed);
    let (_, none) = post(&router, PATH, &asked(None, "none")).await;
    assert!(!none["output"].as_array().unwrap().iter().any(|item| is_search(&item)));

    let events = events(&router, &asked(Some(1), "auto")).await;
    let count = |name: &str| events.iter().filter(|event| event["type"] == name).count();
    assert_eq!((count("response.web_search_call.completed"), count("response.web_search_call.searching")), (1, 1));
    let last = &events.last().unwrap()["response"];
    for event in events.iter().filter(|event| event["type"] == "response.output_item.done") {
        let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        assert_eq!(event["item"], last["output"][index], "the items are those of the whole, in their places");
    }
}
