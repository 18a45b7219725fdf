//! Calls of functions, answers that fit a schema, and thinking that is shown.

use super::instance::instance;
use super::*;

fn weather() -> Value {
    json!({
        "type": "object",
        "properties": {
            "ville": {"type": "string"},
            "jour": {"enum": ["lundi", "mardi"]},
            "jours": {"type": "integer", "minimum": 2, "maximum": 7},
        },
        "required": ["ville"],
    })
}

fn tools(names: &[&str]) -> Value {
    let tool = |name: &&str| json!({"type": "function", "function": {"name": name, "parameters": weather()}});
    names.iter().map(tool).collect()
}

fn asks(dialect: Dialect, content: &str, more: Value) -> Value {
    let body = with(question(dialect), json!({"messages": [{"role": "user", "content": content}]}));
    with(with(body, json!({"tools": tools(&["meteo", "horaires"])})), more)
}

/// The calls of a whole answer.
async fn calls(router: &Router, body: &Value) -> Vec<Value> {
    let (status, answer) = ask(router, body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default()
}

/// Joins OpenAI's fragments: id, name, arguments by index.
fn joined(chunks: &[Value]) -> Vec<(String, String, String)> {
    let mut calls: Vec<(String, String, String)> = Vec::new();
    let deltas = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    for fragment in deltas.filter_map(|choice| choice["delta"]["tool_calls"].as_array()).flatten() {
        let index = usize::try_from(fragment["index"].as_u64().unwrap()).unwrap();
        let function = &fragment["function"];
        if let Some(id) = fragment["id"].as_str() {
            assert_eq!((calls.len(), &fragment["type"]), (index, &json!("function")));
            calls.push((id.to_owned(), function["name"].as_str().unwrap().to_owned(), String::new()));
        } else {
            assert_eq!((fragment.get("type"), function.get("name")), (None, None));
        }
        calls[index].2.push_str(function["arguments"].as_str().unwrap());
    }
    calls
}

#[tokio::test]
async fn functions_are_called_when_they_must_be_or_when_the_question_names_a_tool() {
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        let (router, _) = simulated(fast(dialect));
        let required = if dialect == Dialect::Mistral { "any" } else { "required" };
        let named = json!({"tool_choice": {"type": "function", "function": {"name": "horaires"}}});
        let cases = [
            ("Quel temps ?", json!({}), vec![]),
            ("Utilise un OUTIL.", json!({}), vec!["meteo"]),
            ("Utilise un outil.", json!({"tool_choice": "none"}), vec![]),
            ("Quel temps ?", json!({"tool_choice": required}), vec!["meteo"]),
            ("Quel temps ?", named, vec!["horaires"]),
            ("Use a tool, in parallel.", json!({}), vec!["meteo", "meteo"]),
            ("Utilise un outil en parallèle.", json!({"parallel_tool_calls": false}), vec!["meteo"]),
        ];
        for (content, more, names) in cases {
            let called = calls(&router, &asks(dialect, content, more)).await;
            assert_eq!(called.iter().map(|call| call["function"]["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
            for call in &called {
                let id = call["id"].as_str().unwrap();
                assert_eq!(
                    id.strip_prefix("call_").unwrap_or(id).len(),
                    if dialect == Dialect::Mistral { 9 } else { 24 }
                );
                let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
                assert!(arguments["ville"].is_string() && (2..=7).contains(&arguments["jours"].as_i64().unwrap()));
                assert!(["lundi", "mardi"].contains(&arguments["jour"].as_str().unwrap()));
            }
        }
        // The result of a call is answered in words, whatever the question said.
        let (_, first) = ask(&router, &asks(dialect, "Utilise un outil.", json!({}))).await;
        let mut turn = first["choices"][0]["message"].clone();
        turn.as_object_mut().unwrap().retain(|key, _| ["role", "content", "tool_calls"].contains(&key.as_str()));
        let result = json!({"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": "Il pleut."});
        let messages = json!([{"role": "user", "content": "Utilise un outil."}, turn, result]);
        let (status, second) = ask(&router, &asks(dialect, "", json!({"messages": messages}))).await;
        assert_eq!(status, StatusCode::OK, "{second}");
        assert_eq!(second["choices"][0]["finish_reason"], "stop");
        assert!(!second["choices"][0]["message"]["content"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn openai_streams_arguments_in_fragments() {
    let body = asks(Dialect::Openai, "Un outil, en parallèle.", json!({"stream_options": {"include_usage": true}}));
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let chunks = stream(&router, &body).await;
    assert_eq!(chunks[0]["choices"][0]["delta"]["content"], Value::Null);
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    let streamed = joined(&chunks);
    assert_eq!(streamed.len(), 2);
    assert_ne!(streamed[0].2, streamed[1].2);
    let usage = usage_of(&chunks.last().unwrap()["usage"]);
    let counted: u64 = streamed.iter().map(|(_, name, arguments)| tokens::count(name) + tokens::count(arguments)).sum();
    assert_eq!(usage.output_visible, counted);
    assert_eq!(vendor.books().output_tokens, usage.output_tokens());
    let (twin, _) = simulated(fast(Dialect::Openai));
    let whole = calls(&twin, &with(body, json!({"stream_options": null}))).await;
    for (call, (id, name, arguments)) in whole.iter().zip(&streamed) {
        let expected = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        assert_eq!(*call, expected);
    }
    assert_eq!(whole.len(), 2);
}

#[tokio::test]
async fn mistral_sends_whole_calls_in_its_last_chunk() {
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let chunks = stream(&router, &asks(Dialect::Mistral, "Un outil, en parallèle.", json!({}))).await;
    assert_eq!(chunks.len(), 2);
    let choice = &chunks[1]["choices"][0];
    let called = choice["delta"]["tool_calls"].as_array().unwrap();
    assert_eq!((called.len(), &called[1]["index"]), (2, &json!(1)));
    assert_eq!((&choice["delta"]["content"], &choice["finish_reason"]), (&json!(""), &json!("tool_calls")));
    assert_eq!(vendor.books().output_tokens, usage_of(&chunks[1]["usage"]).output_tokens());
    let mut bare = 0;
    for _ in 0..20 {
        let chunks = stream(&router, &asks(Dialect::Mistral, "Un outil.", json!({}))).await;
        bare += usize::from(chunks[1]["choices"][0]["delta"]["tool_calls"][0].get("index").is_none());
    }
    assert!((1..20).contains(&bare), "{bare} of 20 without an index");
    let (_, whole) = ask(&router, &asks(Dialect::Mistral, "Un outil.", json!({}))).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "");
}

#[tokio::test]
async fn a_call_can_be_cut_by_the_limit() {
    for (dialect, name) in [(Dialect::Openai, "max_completion_tokens"), (Dialect::Mistral, "max_tokens")] {
        let (router, _) = simulated(fast(dialect));
        let mut more = json!({(name): 4});
        if dialect == Dialect::Openai {
            more["reasoning_effort"] = json!("none");
        }
        let (_, answer) = ask(&router, &asks(dialect, "Un outil.", more)).await;
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "length");
        assert_eq!(usage_of(&answer["usage"]).output_tokens(), 4);
        let arguments = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(arguments).is_err());
    }
}

#[tokio::test]
async fn structured_answers_fit_their_schema() {
    let schema = json!({
        "type": "object",
        "properties": {"fiche": {"$ref": "#/$defs/fiche"}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
        "required": ["fiche", "tags"],
        "$defs": {"fiche": {"type": "object", "properties": {"suite": {"anyOf": [{"$ref": "#/$defs/fiche"}, {"type": "null"}]}, "note": {"type": ["number", "null"], "minimum": 1}}, "required": ["suite", "note"]}},
    });
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        let (router, _) = simulated(fast(dialect));
        let ask_as = |format: Value| {
            let messages = json!([{"role": "user", "content": "Réponds en JSON."}]);
            with(question(dialect), json!({"response_format": format, "messages": messages}))
        };
        let content = |answer: &Value| -> Value {
            serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
        };
        let (_, answer) = ask(&router, &ask_as(json!({"type": "json_object"}))).await;
        assert!(content(&answer).is_object());
        let body = ask_as(json!({"type": "json_schema", "json_schema": {"name": "fiche", "schema": schema}}));
        let (_, answer) = ask(&router, &body).await;
        let made = content(&answer);
        assert!(made["tags"].as_array().unwrap().len() == 2 && made["fiche"]["note"].as_f64().unwrap() >= 1.0);
        let chunks = stream(&router, &body).await;
        assert_eq!(serde_json::from_str::<Value>(&text_of(&chunks, 0)).unwrap(), made);
    }
}

#[tokio::test]
async fn mistral_shows_its_thinking() {
    let body = with(question(Dialect::Mistral), json!({"reasoning_effort": "high"}));
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let (_, whole) = ask(&router, &body).await;
    let content = &whole["choices"][0]["message"]["content"];
    assert_eq!((&content[0]["type"], &content[0]["closed"]), (&json!("thinking"), &json!(true)));
    let thought = content[0]["thinking"][0]["text"].as_str().unwrap();
    let said = content[1]["text"].as_str().unwrap();
    assert_eq!(usage_of(&whole["usage"]).output_tokens(), tokens::count(thought) + tokens::count(said));
    assert_eq!(vendor.books().output_tokens, usage_of(&whole["usage"]).output_tokens());
    let (twin, _) = simulated(fast(Dialect::Mistral));
    let chunks = stream(&twin, &body).await;
    let (mut thinking, mut first) = (String::new(), String::new());
    for part in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_array()).flatten() {
        match part["type"].as_str() {
            Some("thinking") => thinking.push_str(part["thinking"][0]["text"].as_str().unwrap()),
            _ => first.push_str(part["text"].as_str().unwrap()),
        }
    }
    assert_eq!(thinking, thought);
    assert_eq!(first + &text_of(&chunks, 0), said);
    let old = with(question(Dialect::Mistral), json!({"prompt_mode": "reasoning", "max_tokens": 3}));
    let (_, cut) = ask(&router, &old).await;
    assert_eq!(
        (&cut["choices"][0]["finish_reason"], &cut["choices"][0]["message"]["content"][0]["closed"]),
        (&json!("length"), &json!(false))
    );
}

#[test]
fn instances_respect_bounds_formats_and_recursion() {
    let cases = [
        (json!({"type": "integer", "minimum": 3, "multipleOf": 5}), json!(5)),
        (json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}), json!(1.0)),
        (json!({"type": "string", "maxLength": 3}), json!("val")),
        (json!({"type": "string", "format": "date"}), json!("2026-11-24")),
        (json!({"const": [1]}), json!([1])),
        (json!({"oneOf": [{"type": "boolean"}, {"type": "string"}]}), json!(true)),
        (
            json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}),
            json!({"a": 1, "b": 2}),
        ),
        (json!({"type": "array", "maxItems": 0}), json!([])),
        (json!({"type": "object", "required": ["x"]}), json!({"x": "x"})),
    ];
    for (schema, expected) in cases {
        assert_eq!(instance(&schema, 0), expected, "{schema}");
    }
    let endless = json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]});
    assert!(instance(&endless, 0).is_object());
}
