//! Streams, checked against the whole answer that says the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{ResponsesRequest, answer_from_chat};
use super::*;

fn echo() -> Echo {
    let body = r#"{"model":"m","input":"Bonjour","stream":true,"tools":[{"type":"function","name":"f"}]}"#;
    Echo::of(&ResponsesRequest::parse(body.as_bytes()).unwrap())
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.split_terminator("\n\n")
        .map(|frame| {
            let (event, data) = frame.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(event.strip_prefix("event: ").unwrap(), data["type"]);
            data
        })
        .collect()
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-A1", "object": "chat.completion.chunk", "created": 7, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}], "usage": null,
    })
}

fn usage() -> Value {
    json!({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
           "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}})
}

fn stream(chunks: &[Value]) -> Vec<Value> {
    let mut writer = EventWriter::new(echo());
    let mut out = BytesMut::new();
    for chunk in chunks {
        writer.chunk(chunk, &mut out);
    }
    let head = json!({"id": "chatcmpl-A1", "created": 7, "model": "m-1", "choices": [], "usage": usage()});
    writer.chunk(&head, &mut out);
    writer.finish(&mut out);
    events(&out)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn a_text_is_announced_grown_and_ended_in_order() {
    let events = stream(&[
        chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None),
        chunk(&json!({"content": "Bon"}), None),
        chunk(&json!({"content": "jour"}), None),
        chunk(&json!({}), Some("stop")),
    ]);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(events[0]["response"]["status"], "in_progress");
    let whole = &events[9]["response"];
    assert_eq!(whole["id"], "resp_A1");
    assert_eq!(whole["output"][0]["content"][0]["text"], "Bonjour");
    assert_eq!(whole["usage"]["input_tokens_details"], json!({"cached_tokens": 4, "cache_write_tokens": 0}));
    assert_eq!(whole["usage"]["output_tokens_details"], json!({"reasoning_tokens": 2}));
}

#[test]
fn reasoning_then_two_calls_one_after_the_other() {
    let call = |index: u64, id: &str, arguments: &str| {
        chunk(
            &json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}]}),
            None,
        )
    };
    let more = |index: u64, arguments: &str| {
        chunk(&json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}), None)
    };
    let events = stream(&[
        chunk(&json!({"reasoning_content": "Hm."}), None),
        call(0, "call_a", ""),
        more(0, "{\"x\":"),
        more(0, "1}"),
        call(1, "call_b", "{}"),
        chunk(&json!({}), Some("tool_calls")),
    ]);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&events), expected);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[1]["arguments"], "{\"x\":1}");
    assert_eq!(output[2]["call_id"], "call_b");
    assert_eq!(events[11]["name"], "f");
}

#[test]
fn a_cut_answer_is_incomplete_and_so_is_its_last_item() {
    for (finish, reason) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let events = stream(&[chunk(&json!({"content": "Il était"}), None), chunk(&json!({}), Some(finish))]);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], reason);
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
    }
}

#[test]
fn an_answer_without_content_still_has_a_message() {
    let events = stream(&[chunk(&json!({"role": "assistant"}), Some("stop"))]);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[0]["content"][0]["text"], "");
    assert!(!kinds(&events).contains(&"response.output_text.delta"));
}

#[test]
fn a_failure_carries_on_the_numbers_and_is_an_error_to_every_reader() {
    let mut writer = EventWriter::new(echo());
    let mut out = BytesMut::new();
    writer.chunk(&chunk(&json!({"content": "Bon"}), None), &mut out);
    out.extend_from_slice(&writer.error("The vendor failed.", "server_error"));
    let events = events(&out);
    let last = events.last().unwrap();
    assert_eq!(last["sequence_number"], events.len() - 1);
    assert_eq!((&last["type"], &last["code"], &last["param"]), (&json!("error"), &json!("server_error"), &Value::Null));
    assert_eq!(last["message"], last["error"]["message"]);
}

#[test]
fn a_stream_that_never_said_how_it_ended_is_not_completed() {
    let mut writer = EventWriter::new(echo());
    let mut out = BytesMut::new();
    writer.chunk(&chunk(&json!({"content": "Bon"}), None), &mut out);
    writer.finish(&mut out);
    assert_eq!(events(&out).last().unwrap()["type"], "error");
}

#[test]
fn hosts_that_number_every_call_0_or_none_do_not_merge_them() {
    for index in [json!(0), Value::Null] {
        let call = |id: &str, arguments: &str| {
            chunk(
                &json!({"tool_calls": [{"index": index, "id": id, "function": {"name": "f", "arguments": arguments}}]}),
                None,
            )
        };
        let more = chunk(&json!({"tool_calls": [{"index": index, "function": {"arguments": "\"b\":2}"}}]}), None);
        let events = stream(&[call("one", "{\"a\":1}"), call("two", "{"), more, chunk(&json!({}), Some("tool_calls"))]);
        let output = &events.last().unwrap()["response"]["output"];
        assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{\"a\":1}"), &json!("{\"b\":2}")));
        assert_eq!((&output[0]["call_id"], &output[1]["call_id"]), (&json!("one"), &json!("two")));
    }
}

#[test]
fn a_call_is_announced_only_once_its_name_is_known() {
    let events = stream(&[
        chunk(&json!({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{\"a\""}}]}), None),
        chunk(&json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ":1}"}}]}), None),
        chunk(&json!({}), Some("tool_calls")),
    ]);
    let added = events.iter().find(|event| event["type"] == "response.output_item.added").unwrap();
    assert_eq!((&added["item"]["name"], &added["item"]["arguments"]), (&json!("f"), &json!("")));
    assert_eq!(events.last().unwrap()["response"]["output"][0]["arguments"], "{\"a\":1}");
}

/// A text in pieces of at most `size` characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// Everything that must hold for any stream: numbers, and each item's life from its announcement to its end.
fn check_lives(events: &[Value]) -> Result<(), TestCaseError> {
    let mut lives: BTreeMap<u64, (Value, String, Option<Value>)> = BTreeMap::new();
    for (number, event) in events.iter().enumerate() {
        prop_assert_eq!(event["sequence_number"].as_u64(), u64::try_from(number).ok());
        let kind = event["type"].as_str().unwrap_or_default();
        let Some(index) = event["output_index"].as_u64() else { continue };
        if kind == "response.output_item.added" {
            prop_assert_eq!(index, u64::try_from(lives.len()).unwrap(), "announced in order");
            lives.insert(index, (event["item"]["id"].clone(), String::new(), None));
            continue;
        }
        let (id, grown, ended) = lives.get_mut(&index).unwrap();
        prop_assert!(ended.is_none(), "{kind} after the end");
        if kind == "response.output_item.done" {
            prop_assert_eq!(&event["item"]["id"], &*id);
            *ended = Some(event["item"].clone());
            continue;
        }
        prop_assert_eq!(&event["item_id"], &*id);
        if kind.ends_with(".delta") {
            grown.push_str(event["delta"].as_str().unwrap());
        } else if kind.ends_with(".done") && kind != "response.content_part.done" {
            let whole = ["text", "refusal", "arguments"].iter().find_map(|key| event[key].as_str());
            prop_assert_eq!(whole, Some(grown.as_str()));
        }
    }
    let ended: Option<Vec<Value>> = lives.into_values().map(|(_, _, ended)| ended).collect();
    let last = events.last().unwrap();
    prop_assert_eq!(ended.map(Value::from), Some(last["response"]["output"].clone()));
    Ok(())
}

proptest! {
    #[test]
    fn any_cut_says_what_the_whole_answer_says(
        reasoning in ".{0,12}", content in ".{0,20}", refusal in "[a-z]{0,6}",
        arguments in prop::collection::vec("[a-zé\"{} \\\\]{0,10}", 0..4),
        size in 1usize..6, mixed: bool,
        finish in prop::sample::select(vec!["stop", "tool_calls", "length", "content_filter"]),
    ) {
        let calls: Vec<Value> = arguments.iter().enumerate().map(|(index, argument)| {
            json!({"id": format!("call_{index}"), "type": "function",
                   "function": {"name": "f", "arguments": json!({"a": argument}).to_string()}})
        }).collect();
        let whole = json!({
            "id": "chatcmpl-A1", "created": 7, "model": "m-1", "usage": usage(),
            "choices": [{"index": 0, "finish_reason": finish, "message": {
                "role": "assistant", "content": content, "refusal": refusal, "reasoning_content": reasoning, "tool_calls": calls}}],
        });

        let mut chunks = Vec::new();
        for (key, text) in [("reasoning_content", &reasoning), ("content", &content), ("refusal", &refusal)] {
            chunks.extend(pieces(text, size).into_iter().map(|piece| chunk(&json!({key: piece}), None)));
        }
        let mut fragments: Vec<(usize, Value)> = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let mut head = call.clone();
            head["index"] = index.into();
            head["function"]["arguments"] = "".into();
            let text = call["function"]["arguments"].as_str().unwrap();
            let rest = pieces(text, size).into_iter().map(|piece| json!({"index": index, "function": {"arguments": piece}}));
            fragments.extend(std::iter::once(head).chain(rest).enumerate());
        }
        if mixed {
            // The first fragment of every call, then the second of every call, and so on.
            fragments.sort_by_key(|(position, _)| *position);
        }
        chunks.extend(fragments.into_iter().map(|(_, call)| chunk(&json!({"tool_calls": [call]}), None)));
        chunks.push(chunk(&json!({}), Some(finish)));

        let events = stream(&chunks);
        check_lives(&events)?;
        prop_assert_eq!(&events.last().unwrap()["response"], &answer_from_chat(&whole, &echo()));
    }
}
