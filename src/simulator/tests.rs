//! The simulator as a client sees it: over a router for shapes and sums, over TCP for what only a connection shows.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use jiff::Timestamp;
use providers::usage::{ReportedUsage, Usage};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

const OPENAI_MODEL: &str = "gpt-6-luna";
const MISTRAL_MODEL: &str = "mistral-small-latest";

const PIXEL: &str = "data:image/png;base64,iVBORw0KGgo=";

fn clock() -> Clock {
    Clock::manual("2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap())
}

fn fast(dialect: Dialect) -> SimulatorSettings {
    SimulatorSettings::new(dialect).fast()
}

fn simulated(settings: SimulatorSettings) -> (Router, Arc<server::Vendor>) {
    let vendor = Arc::new(server::Vendor::new(settings, clock()).unwrap());
    (server::router(&vendor), vendor)
}

fn model_of(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Mistral { MISTRAL_MODEL } else { OPENAI_MODEL }
}

fn question(dialect: Dialect) -> Value {
    json!({"model": model_of(dialect), "messages": [{"role": "user", "content": "Quand ouvre la mairie ?"}]})
}

fn with(mut body: Value, more: impl Into<Value>) -> Value {
    for (key, value) in more.into().as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

async fn send_to(router: &Router, path: &str, key: Option<&str>, body: String) -> (StatusCode, Bytes) {
    let mut request = Request::post(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let response = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap())
}

async fn ask(router: &Router, body: &Value) -> (StatusCode, Value) {
    let (status, bytes) = send_to(router, "/v1/chat/completions", Some("sk-x"), body.to_string()).await;
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn post(router: &Router, path: &str, body: &Value) -> (StatusCode, Value) {
    let (status, bytes) = send_to(router, path, Some("sk-x"), body.to_string()).await;
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// The JSON of each frame; the stream must end with `[DONE]`.
async fn stream(router: &Router, body: &Value) -> Vec<Value> {
    let body = with(body.clone(), json!({"stream": true}));
    let (status, bytes) = send_to(router, "/v1/chat/completions", Some("sk-x"), body.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut data: Vec<&str> =
        text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(data.pop(), Some("[DONE]"));
    data.into_iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn text_of(chunks: &[Value], choice: u64) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    choices.filter(|entry| entry["index"] == choice).filter_map(|entry| entry["delta"]["content"].as_str()).collect()
}

fn usage_of(value: &Value) -> Usage {
    let reported = ReportedUsage::from_chat(value).unwrap();
    assert!(reported.consistent);
    reported.usage
}

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

mod chat;
mod connection;
mod embeddings;
mod moderations;
mod responses;
mod strict;
mod strict_openai;
mod tools;
mod transcriptions;
