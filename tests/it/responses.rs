//! The Responses API, natively at OpenAI and made of chat at Mistral; nothing is ever stored.

use axum::body::Body;
use axum::http::Request;
use passerelle::ledger::Outcome;
use serde_json::{Value, json};

use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const EVENTS: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-6-luna\",\"status\":\"in_progress\",\"output\":[]}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"Oui.\",\"logprobs\":[]}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-6-luna\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":20,\"output_tokens_details\":{\"reasoning_tokens\":5},\"total_tokens\":30}}}\n\n";

fn ask(key: &str, body: &Value) -> Request<Body> {
    TestGateway::post("/v1/responses", key, body)
}

#[tokio::test]
async fn openais_events_are_forwarded_as_they_came_and_their_usage_is_read() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.script([Step::Body("text/event-stream", EVENTS.to_owned())]);
    let asked =
        json!({"model": "gpt-6-luna", "input": "Bonjour", "stream": true, "user": "jean", "max_output_tokens": 100});
    let answer = gateway.send(ask(&key, &asked)).await;
    assert_eq!(answer.text(), EVENTS);
    let call = gateway.openai.calls().pop().unwrap();
    assert_eq!((call.path.as_str(), &call.body["store"]), ("/v1/responses", &json!(false)));
    assert_eq!(call.body["max_output_tokens"], 100);
    assert!(!call.body.to_string().contains("jean") && call.body["safety_identifier"].is_string());
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.operation.as_str(), entry.outcome, entry.output_chars), ("chat", Outcome::Completed, Some(4)));
    let usage = entry.usage.unwrap();
    assert_eq!((usage.input_cached, usage.reasoning, usage.total_tokens()), (4, 5, 30));
    gateway.settled().await;
}

#[tokio::test]
async fn mistrals_chat_becomes_a_response_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let asked = json!({"model": "mistral-small-latest", "input": "Bonjour", "instructions": "Sois bref."});
    let answer = gateway.send(ask(&key, &asked)).await;
    let body = answer.json();
    assert_eq!(
        (&body["object"], &body["status"], &body["store"]),
        (&json!("response"), &json!("completed"), &json!(false))
    );
    assert_eq!(body["output"][0]["content"][0]["text"], "Bonjour.");
    assert_eq!(body["usage"]["total_tokens"], 30);
    let sent = gateway.mistral.calls().pop().unwrap();
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.body["messages"][0], json!({"role": "system", "content": "Sois bref."}));

    let streamed = json!({"model": "mistral-small-latest", "input": "Bonjour", "stream": true});
    let text = gateway.send(ask(&key, &streamed)).await.text();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert!(!text.contains("[DONE]"));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["usage"]["output_tokens"]),
        (&json!("response.completed"), &json!(20))
    );
    assert!(gateway.entries().iter().all(|entry| entry.outcome == Outcome::Completed));
    gateway.settled().await;
}

#[tokio::test]
async fn what_needs_something_stored_is_refused_clearly_and_reaches_nobody() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("store", json!(true)),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
        ("tools", json!([{"type": "web_search"}])),
    ] {
        for model in ["gpt-6-luna", "mistral-small-latest"] {
            let mut asked = json!({"model": model, "input": "x"});
            asked[field] = value.clone();
            let answer = gateway.send(ask(&key, &asked)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.refusal().1.as_str()),
                (400, "unsupported_parameter"),
                "{field}"
            );
            assert!(answer.json()["error"]["param"].as_str().unwrap().starts_with(field));
        }
    }
    for method in ["GET", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/v1/responses/resp_1")
            .header("authorization", format!("Bearer {key}"));
        assert_eq!(gateway.send(request.body(Body::empty()).unwrap()).await.refusal().1, "response_not_found");
    }
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_of_the_protocol() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.mistral.script([Step::Stream { pieces: 2, gap: std::time::Duration::ZERO, end: End::Cut }]);
    let cut = EVENTS.find("event: response.completed").unwrap();
    gateway.openai.script([Step::Body("text/event-stream", EVENTS[..cut].to_owned())]);
    for model in ["mistral-small-latest", "gpt-6-luna"] {
        let asked = json!({"model": model, "input": "x", "stream": true});
        let text = gateway.send(ask(&key, &asked)).await.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("event: error\ndata: "), "{last}");
        assert!(last.contains("\"code\":\"cut\"") && !text.contains("[DONE]"), "{last}");
        assert_eq!(gateway.entries().pop().unwrap().outcome, Outcome::Interrupted);
    }
    gateway.settled().await;
}

#[tokio::test]
async fn a_client_that_leaves_a_response_is_charged_what_was_used() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let slow = Step::Stream { pieces: 10, gap: std::time::Duration::from_millis(20), end: End::Proper };
    gateway.mistral.script([slow]);
    let asked = json!({"model": "mistral-small-latest", "input": "x", "stream": true});
    let response = tower::ServiceExt::oneshot(gateway.router(), ask(&key, &asked)).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    futures_util::StreamExt::next(&mut body).await.unwrap().unwrap();
    drop(body);
    gateway.settled().await;
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.client_left, entry.charged.tokens), (Outcome::Completed, true, 20));
}
