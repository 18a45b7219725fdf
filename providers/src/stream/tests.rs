use super::*;
use crate::Dialect;
use crate::request::{ApiRequest, Endpoint};
use crate::upstream::{encode, tests::with_context};
use futures_util::stream;
use serde_json::json;

type Outcome = (Vec<u8>, AnswerFacts, Option<ErrorKind>);

fn run(dialect: Dialect, include_usage: bool, text: &'static str, cut: usize) -> Outcome {
    let asked = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": include_usage},
        "messages": [{"role": "user", "content": "x"}],
    });
    answer_to(&asked, "", dialect, text, cut)
}

/// What the client `user_agent` gets for `text`, which arrives in two parts.
fn answer_to(asked: &Value, user_agent: &str, dialect: Dialect, text: &'static str, cut: usize) -> Outcome {
    let (head, tail) = text.as_bytes().split_at(cut.min(text.len()));
    let body = stream::iter([Ok(Bytes::from_static(head)), Ok(Bytes::from_static(tail))]);
    let request = ApiRequest::parse(Endpoint::Chat, asked.to_string().as_bytes()).unwrap().for_client(user_agent);
    let encoded = with_context(|context| encode(dialect, &request, context)).unwrap();
    let mut chat = encoded.stream(Box::pin(body), None);
    block_on(async {
        let mut out = Vec::new();
        while let Some(item) = chat.next().await {
            match item {
                Ok(piece) => out.extend_from_slice(&piece.bytes),
                Err(error) => return (out, chat.facts().clone(), Some(error.kind)),
            }
        }
        (out, chat.facts().clone(), None)
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

const OPENAI: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\u{c9}t\u{e9}\"},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-6-luna\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";
const MISTRAL: &str = "data: {\"id\":\"ab\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"mistral-small-latest\",\"p\":\"xxxx\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"ab\",\"created\":1,\"model\":\"mistral-small-latest\",\"p\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]},\"finish_reason\":null}]}\n\ndata: {\"id\":\"ab\",\"created\":1,\"model\":\"mistral-small-latest\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Oui.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\ndata: [DONE]\n\n";

#[test]
fn same_dialect_frames_leave_as_they_came() {
    for cut in [0, 7, 211, OPENAI.len()] {
        let (out, facts, error) = run(Dialect::Openai, true, OPENAI, cut);
        assert_eq!((String::from_utf8(out).unwrap().as_str(), error), (OPENAI, None));
        assert_eq!((facts.output_chars, facts.usage.unwrap().usage.total_tokens()), (3, 5));
    }
}

#[test]
fn the_usage_chunk_is_hidden_from_a_client_that_did_not_ask() {
    let (out, facts, _) = run(Dialect::Openai, false, OPENAI, 0);
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("prompt_tokens") && out.ends_with("[DONE]\n\n"));
    assert!(facts.usage.is_some());
    let (out, facts, _) = run(Dialect::Mistral, false, MISTRAL, 0);
    assert!(!String::from_utf8(out).unwrap().contains("prompt_tokens"));
    assert!(facts.usage.is_some());
}

#[test]
fn mistral_becomes_role_reasoning_text_finish_usage_done() {
    let (out, facts, error) = run(Dialect::Mistral, true, MISTRAL, 130);
    assert_eq!(error, None);
    let text = String::from_utf8(out).unwrap();
    let data: Vec<&str> = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).collect();
    let chunks: Vec<Value> = data[..data.len() - 1].iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let deltas: Vec<String> = chunks.iter().map(|chunk| chunk["choices"][0]["delta"].to_string()).collect();
    assert_eq!(
        deltas,
        [
            r#"{"role":"assistant","content":"","refusal":null}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"content":"Oui."}"#,
            "{}",
            "null"
        ]
    );
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[4]["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
    assert!(chunks[..4].iter().all(|chunk| chunk["usage"].is_null() && chunk["id"] == "chatcmpl-ab"));
    assert_eq!(data.last(), Some(&"[DONE]"));
    assert!(!text.contains("\"p\""));
    assert_eq!((facts.output_chars, facts.response_model.as_deref()), (4, Some("mistral-small-latest")));
}

#[test]
fn a_cut_stream_is_an_error_and_a_missing_marker_is_not() {
    let cut = OPENAI
        .find("data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{},")
        .unwrap();
    let (_, facts, error) = run(Dialect::Openai, false, &OPENAI[..cut], 5);
    assert_eq!((error, facts.usage), (Some(ErrorKind::Cut), None));
    let unmarked = OPENAI.len() - "data: [DONE]\n\n".len();
    let (out, _, error) = run(Dialect::Openai, false, &OPENAI[..unmarked], 5);
    assert!(error.is_none() && out.ends_with(DONE_FRAME));
}

#[test]
fn noise_is_accepted_and_kept_from_the_client() {
    let noisy: &'static str = ": ping\r\n\r\nid: 3\r\nevent: message\r\ndata:{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let (out, _, error) = run(Dialect::Compatible, false, noisy, 3);
    let expected = "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!((String::from_utf8(out).unwrap().as_str(), error), (expected, None));
}

#[test]
fn an_error_event_or_bad_json_ends_the_stream() {
    let (_, _, error) = run(
        Dialect::Openai,
        false,
        "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\"code\":null}}\n\n",
        4,
    );
    assert_eq!(error, Some(ErrorKind::Server));
    let (_, _, error) = run(Dialect::Mistral, false, "data: {\"object\":\"error\",\"message\":\"boom\"}\n\n", 4);
    assert_eq!(error, Some(ErrorKind::Server));
    let (_, _, error) = run(Dialect::Mistral, false, "data: {oops\n\n", 4);
    assert_eq!(error, Some(ErrorKind::Protocol));
}

#[test]
fn usage_on_every_chunk_is_never_added_up() {
    let text = "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,\"total_tokens\":11}}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12}}\n\ndata: [DONE]\n\n";
    let (_, facts, _) = run(Dialect::Compatible, false, text, 4);
    assert_eq!(facts.usage.unwrap().usage.total_tokens(), 12);
}

#[test]
fn usage_that_rides_on_content_is_shown_once_at_the_end() {
    let text = "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,\"total_tokens\":11}}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12}}\n\ndata: [DONE]\n\n";
    for (asked, shown) in [(true, 1), (false, 0)] {
        let (out, _, error) = run(Dialect::Compatible, asked, text, 4);
        let out = String::from_utf8(out).unwrap();
        assert_eq!((error, out.matches("\"prompt_tokens\":10").count()), (None, shown), "{out}");
        assert!(!asked || out.contains("\"completion_tokens\":2"), "the last one: {out}");
        assert!(out.ends_with("data: [DONE]\n\n") && out.contains("\"content\":\"b\""));
    }
}

#[test]
fn a_failure_after_the_head_is_understood_in_every_form() {
    for text in [
        "error: {\"code\":400,\"message\":\"too long\",\"type\":\"invalid_request_error\"}\n\n",
        "data: {\"object\":\"error\",\"message\":\"too long\",\"code\":400}\n\n",
        "data: {\"error\":{\"message\":\"too long\"}}\n\n",
    ] {
        assert_eq!(run(Dialect::Compatible, false, text, 9).2, Some(ErrorKind::Server), "{text}");
    }
}

const FRAGMENTS: &str = "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

#[test]
fn a_client_that_cannot_join_fragments_gets_every_call_whole_and_others_get_them_as_they_came() {
    let mut asked = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let (out, ..) = answer_to(&asked, "OpenAI/Python 3.54.0", Dialect::Openai, FRAGMENTS, 300);
    assert_eq!(out, FRAGMENTS.as_bytes());
    let by_name = answer_to(&asked, "mistral-client-python/3.7.0", Dialect::Openai, FRAGMENTS, 300).0;
    asked["safe_prompt"] = false.into();
    let by_words = answer_to(&asked, "", Dialect::Openai, FRAGMENTS, 300).0;
    assert_eq!(by_name, by_words);
    let out = String::from_utf8(by_name).unwrap();
    let calls: Vec<Value> = out
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0").cloned())
        .collect();
    let call = |index, id, name, arguments| json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(calls, [call(0, "call_a", "f", "{\"a\":1}"), call(1, "call_b", "g", "{}")]);
    assert!(out.ends_with("\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"), "{out}");
}

#[test]
fn a_forwarded_frame_is_a_piece_of_what_arrived_and_no_copy() {
    let segment = Bytes::from_static(OPENAI.as_bytes());
    let asked = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "x"}],
    });
    let request = ApiRequest::parse(Endpoint::Chat, asked.to_string().as_bytes()).unwrap();
    let encoded = with_context(|context| encode(Dialect::Openai, &request, context)).unwrap();
    let mut chat = encoded.stream(Box::pin(stream::iter([Ok(segment.clone())])), None);
    let within = segment.as_ptr_range();
    block_on(async {
        let mut pieces = 0;
        while let Some(piece) = chat.next().await {
            assert!(within.contains(&piece.unwrap().bytes.as_ptr()));
            pieces += 1;
        }
        assert_eq!(pieces, 5);
    });
}
