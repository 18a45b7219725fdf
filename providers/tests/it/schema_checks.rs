//! Every document that crosses the gateway against the published schemas.

use serde_json::{Value, json};

use crate::adapter::{self, DIALECTS};
use crate::answers::received;
use crate::fixtures::{Transcript, client_requests, events, transcripts};
use crate::schemas::{mistakes, request_schema};

/// Counts checked documents and collects what is wrong with them.
#[derive(Default)]
struct Tally {
    checked: usize,
    failing: Vec<String>,
}

impl Tally {
    fn check(&mut self, label: &str, book: &str, schema: &str, document: &Value) {
        self.checked += 1;
        let found = mistakes(book, schema, document);
        let lines: Vec<String> =
            found.iter().map(|mistake| format!("  {}: {}", mistake.place, mistake.message)).collect();
        if !lines.is_empty() {
            self.failing.push(format!("{label} is no {book} {schema}\n{}", lines.join("\n")));
        }
    }
}

/// The schema of what a client gets from an endpoint: whole, or one event.
fn client_schema(endpoint: &str, name: &str, stream: bool) -> &'static str {
    match (endpoint, stream) {
        ("chat", false) => "CreateChatCompletionResponse",
        ("chat", true) => "CreateChatCompletionStreamResponse",
        ("responses", false) => "Response",
        ("responses", true) => "ResponseStreamEvent",
        ("embeddings", _) => "CreateEmbeddingResponse",
        ("moderations", _) => "CreateModerationResponse",
        ("transcription", true) => "CreateTranscriptionResponseStreamEvent",
        ("transcription", false) if name.contains("verbose") => "CreateTranscriptionResponseVerboseJson",
        ("transcription", false) => "CreateTranscriptionResponseJson",
        (other, _) => panic!("no schema for answers of {other}"),
    }
}

/// The schema of what a vendor sends. Compatible hosts publish none.
fn vendor_schema(transcript: &Transcript) -> Option<&'static str> {
    match (transcript.vendor, transcript.endpoint.as_str(), transcript.stream) {
        ("openai", ..) if transcript.status != 200 => Some("ErrorResponse"),
        ("openai", endpoint, stream) => Some(client_schema(endpoint, &transcript.name, stream)),
        ("mistral", ..) if transcript.name == "error_422_detail" => Some("HTTPValidationError"),
        ("mistral", ..) if transcript.status != 200 => None,
        ("mistral", "chat", false) => Some("ChatCompletionResponse"),
        ("mistral", "chat", true) => Some("CompletionChunk"),
        ("mistral", "embeddings", _) => Some("EmbeddingResponse"),
        ("mistral", "moderations", _) => Some("ModerationResponse"),
        ("mistral", "transcription", false) => Some("TranscriptionResponse"),
        ("mistral", "transcription", true) => Some("TranscriptionStreamEvents"),
        _ => None,
    }
}

/// Error events have a shape of their own; at Mistral, several and none of them published.
fn is_error_event(document: &Value) -> bool {
    document.get("error").is_some_and(Value::is_object) && document.get("object").is_none()
        || document["object"] == "error"
}

fn check_requests(tally: &mut Tally) {
    for request in client_requests().iter() {
        for dialect in DIALECTS {
            let Some((book, schema)) = request_schema(dialect, &request.endpoint) else { continue };
            if let Ok(sent) = adapter::send(dialect, &request.endpoint, request.body.to_string().as_bytes()) {
                tally.check(&format!("requests/{}.{dialect}", request.name), book, schema, &sent.body);
            }
        }
    }
}

fn check_transcripts(tally: &mut Tally) {
    for transcript in transcripts() {
        let Some(schema) = vendor_schema(&transcript) else { continue };
        for document in transcript.documents() {
            let label = format!("the vendor's {}", transcript.label());
            match (transcript.vendor, is_error_event(&document)) {
                ("openai", true) => tally.check(&label, "openai", "ErrorResponse", &document),
                (_, true) => {}
                (_, false) if schema == "TranscriptionStreamEvents" => {
                    let event = json!({"event": document["type"], "data": document});
                    tally.check(&label, "mistral", schema, &event);
                }
                (vendor, false) => tally.check(&label, vendor, schema, &document),
            }
        }
    }
}

fn check_answers(tally: &mut Tally) {
    for transcript in transcripts().iter() {
        let answer = received(transcript);
        let schema = client_schema(&transcript.endpoint, &transcript.name, transcript.stream);
        if transcript.stream {
            for event in events(&answer.bytes) {
                tally.check(&transcript.label(), "openai", schema, &event);
            }
        } else if answer.failure.is_none() {
            let body = serde_json::from_slice(&answer.bytes).unwrap();
            tally.check(&transcript.label(), "openai", schema, &body);
        }
    }
}

/// What a reviewer accepted as golden must itself be what clients are promised.
fn check_expectations(tally: &mut Tally) {
    for transcript in transcripts() {
        let schema = client_schema(&transcript.endpoint, &transcript.name, transcript.stream);
        let path = transcript.expectation(if transcript.stream { "sse" } else { "json" });
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let label = format!("the expectation of {}", transcript.label());
        let documents = if transcript.stream { events(&bytes) } else { vec![serde_json::from_slice(&bytes).unwrap()] };
        for document in documents {
            tally.check(&label, "openai", schema, &document);
        }
    }
}

#[test]
fn every_document_is_what_the_published_schemas_say() {
    let mut tally = Tally::default();
    check_requests(&mut tally);
    check_transcripts(&mut tally);
    check_answers(&mut tally);
    check_expectations(&mut tally);
    println!("schema checks: {} documents checked, {} failing", tally.checked, tally.failing.len());
    assert!(tally.failing.is_empty(), "{}", tally.failing.join("\n"));
    assert!(tally.checked > 300, "only {} documents were found", tally.checked);
}
