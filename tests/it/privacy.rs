//! Nothing personal leaks: a canary is put into everything a resident sends, and looked for everywhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::duels::offering;
use crate::support::{Step, TestGateway};

const QUESTION: &str = "canari-question-7391";
const ANSWER: &str = "canari-reponse-7391";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_prompt_answer_or_key_is_found_in_logs_metrics_errors_or_the_ledger() {
    let logs = Captured::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("passerelle=trace,providers=trace,info")
        .with_writer(move || writer.clone());
    // One process per test under nextest; elsewhere another test's logs would only add lines to search.
    let _already_set = subscriber.try_init();
    let gateway = TestGateway::with(&offering(&["openai/gpt-6-luna", "mistral_ai/mistral-small-latest"], "10")).await;
    let key = gateway.resident();
    let say = Step::Say { text: ANSWER.to_owned(), input: 10, output: 20, model: None };
    let fail = Step::Status(
        400,
        format!(r#"{{"error":{{"message":"cannot read {QUESTION}","type":"invalid_request_error","code":null}}}}"#),
    );
    gateway.openai.script([say.clone(), say, fail, Step::Status(500, QUESTION.to_owned())]);
    let mut errors = String::new();
    for stream in [false, true, false, false] {
        let answer = gateway.ask(&key, "gpt-6-luna", QUESTION, stream).await;
        if answer.status != 200 && answer.status != 400 {
            errors += &answer.text();
        }
    }
    errors += &gateway.ask(&format!("{key}x"), "gpt-6-luna", QUESTION, false).await.text();
    errors +=
        &gateway.send(TestGateway::request(&key, &json!({"model": "gpt-6-luna", "messages": QUESTION}))).await.text();
    errors += &every_other_endpoint(&gateway, &key).await;
    errors += &duels(&gateway, &key).await;
    gateway.settled().await;
    gateway.ledger().close().await.unwrap();

    let mut places = vec![
        ("errors", errors.into_bytes()),
        ("metrics", passerelle::telemetry::metrics().render(passerelle::telemetry::Format::Text).into_bytes()),
    ];
    places.push(("logs", logs.0.lock().unwrap().clone()));
    for file in std::fs::read_dir(&gateway.folder).unwrap() {
        places.push(("files", std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(
        places.iter().any(|(name, bytes)| *name == "logs" && !bytes.is_empty()),
        "the search must have something to search"
    );
    for (place, bytes) in places {
        for secret in [QUESTION, ANSWER, &key, "vendor-key-openai", "Bearer "] {
            assert!(!contains(&bytes, secret.as_bytes()), "{secret} was found in {place}");
        }
    }
}

/// Has the canary asked and answered in a duel that is judged, and in one that breaks off; gives the bodies of refusals.
async fn duels(gateway: &TestGateway, key: &str) -> String {
    let ask = || {
        gateway.send(TestGateway::post("/v1/duels", key, &json!({"messages": [{"role": "user", "content": QUESTION}]})))
    };
    let say = || Step::Say { text: format!("# {ANSWER}\n\n**{ANSWER}**"), input: 10, output: 20, model: None };
    let refusal = format!(r#"{{"error":{{"message":"{QUESTION}","type":"{QUESTION}","code":"{QUESTION}"}}}}"#);
    let broken = Step::Body("text/event-stream", format!("data: {{\"error\":{{\"message\":\"{QUESTION}\"}}}}\n\n"));
    gateway.openai.script([say(), Step::Status(400, refusal), broken]);
    gateway.mistral.script([say()]);
    let answer = ask().await;
    assert_eq!(answer.text().matches(ANSWER).count(), 4, "both are shown");
    let vote = json!({"choice": "left", "left": ["useful"]});
    let path = format!("/v1/duels/{}/vote", crate::duels::ready(&answer));
    assert_eq!(gateway.send(TestGateway::post(&path, key, &vote)).await.status, 200);
    ask().await.text() + &ask().await.text()
}

/// Sends the canary to every endpoint that reaches a vendor; gives the bodies of refusals.
async fn every_other_endpoint(gateway: &TestGateway, key: &str) -> String {
    let mut errors = String::new();
    for (path, body) in [
        ("/v1/responses", json!({"model": "mistral-small-latest", "input": QUESTION, "stream": true})),
        ("/v1/responses", json!({"model": "gpt-6-luna", "input": QUESTION, "previous_response_id": QUESTION})),
        ("/v1/embeddings", json!({"model": "mistral-embed", "input": [QUESTION]})),
        ("/v1/moderations", json!({"input": QUESTION})),
    ] {
        let answer = gateway.send(TestGateway::post(path, key, &body)).await;
        if answer.status != 200 {
            errors += &answer.text();
        }
    }
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{QUESTION}.wav\"\r\n\r\n{QUESTION}\r\n--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{QUESTION}\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n"
    );
    let request = axum::http::Request::post("/v1/audio/transcriptions")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(axum::body::Body::from(form))
        .unwrap();
    errors + &gateway.send(request).await.text()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
