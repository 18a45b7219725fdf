//! Vendors' transcripts against golden answers, facts and failures.

use serde_json::{Value, json};

use crate::adapter::{self, Received};
use crate::fixtures::{Transcript, events, golden, pretty, transcripts};

/// The answer to the client's request, sent in one piece.
pub fn received(transcript: &Transcript) -> Received {
    let request = transcript.request().to_string();
    adapter::receive(transcript.vendor, &transcript.endpoint, request.as_bytes(), transcript.whole_reply())
}

#[test]
fn every_transcript_becomes_what_its_golden_files_say() {
    let mut differences: Vec<String> = Vec::new();
    for transcript in transcripts().iter() {
        let answer = received(transcript);
        let mut found = Vec::new();
        if transcript.stream {
            found.push(golden(&transcript.expectation("sse"), &String::from_utf8(answer.bytes).unwrap()));
        } else if answer.failure.is_none() {
            let body: Value = serde_json::from_slice(&answer.bytes).unwrap();
            found.push(golden(&transcript.expectation("json"), &pretty(&body)));
        }
        if let Some(failure) = answer.failure {
            let error = json!({
                "kind": failure.kind, "message": failure.message, "param": failure.param, "code": failure.code
            });
            found.push(golden(&transcript.expectation("error.json"), &pretty(&error)));
        } else if transcript.expectation("error.json").exists() {
            found.push(Some(format!("{}: must fail, and did not", transcript.label())));
        }
        if !answer.facts.is_null() {
            found.push(golden(&transcript.expectation("facts.json"), &pretty(&answer.facts)));
        }
        differences.extend(found.into_iter().flatten());
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// Many clients read `choices[0]` of every chunk: the usage chunk only goes to those who asked.
#[test]
fn a_client_that_did_not_ask_gets_no_chunk_without_choices_and_the_same_facts() {
    for transcript in transcripts().iter().filter(|it| it.stream && it.endpoint == "chat") {
        let asked = received(transcript);
        let mut request = transcript.request();
        request.as_object_mut().unwrap().shift_remove("stream_options");
        let request = request.to_string();
        let quiet = adapter::receive(transcript.vendor, "chat", request.as_bytes(), transcript.whole_reply());
        let empty = |chunk: &Value| chunk["choices"].as_array().is_some_and(Vec::is_empty);
        assert!(!events(&quiet.bytes).iter().any(empty), "{}", transcript.label());
        assert_eq!((asked.facts, asked.failure), (quiet.facts, quiet.failure), "{}", transcript.label());
    }
}

/// Streams end with one `[DONE]`, or with a failure: a client must be able to tell.
#[test]
fn a_chat_stream_ends_with_its_marker_exactly_when_it_did_not_fail() {
    for transcript in transcripts().iter().filter(|it| it.stream && it.endpoint == "chat") {
        let answer = received(transcript);
        let text = String::from_utf8(answer.bytes).unwrap();
        let markers = text.matches("data: [DONE]\n\n").count();
        assert_eq!(markers, usize::from(answer.failure.is_none()), "{}", transcript.label());
        assert!(markers == 0 || text.ends_with("data: [DONE]\n\n"), "{}", transcript.label());
    }
}
