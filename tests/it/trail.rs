//! Every request leaves one line, whatever became of it, and who logs never waits.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::{StreamExt, stream};
use passerelle::clock::Clock;
use passerelle::ledger::{ATTEMPTS, ExportFormat, export};
use passerelle::telemetry::LogFormat;
use serde_json::{Value, json};

use crate::duels::offering;
use crate::support::captured::Captured;
use crate::support::gateway::question_body;
use crate::support::program::{GatewayProcess, Running, Socket, Town, VendorProcess, ask};
use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

/// The one line of a request.
fn line(lines: &[Value], request_id: &str) -> Value {
    let found: Vec<_> = lines.iter().filter(|line| line["request.id"] == request_id).collect();
    assert_eq!(found.len(), 1, "{request_id}: {found:?}");
    found[0].clone()
}

fn fails(status: u16) -> Step {
    Step::Status(status, r#"{"error":{"message":"no","type":"server_error","code":null}}"#.to_owned())
}

#[tokio::test]
async fn a_line_says_what_the_ledger_says() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let gateway = TestGateway::with("[upstream]\nmax_attempts = 2").await;
    let key = gateway.resident();
    gateway.openai.script([fails(503)]);
    let answer = gateway.ask(&key, "gpt-6-luna", "x", true).await;
    gateway.settled().await;
    let entries = gateway.entries();
    let entry = entries.last().unwrap();
    assert_eq!((entries.len(), entry.attempt), (2, 2));
    let line = line(&logs.requests(), answer.header("x-request-id").unwrap());
    assert_eq!(line["request.id"], entry.request_id, "log, header and ledger know it by one id");
    for (field, expected) in [
        ("message", json!("answered")),
        ("level", json!("INFO")),
        ("listener", json!("public")),
        ("http.method", json!("POST")),
        ("http.route", json!("/v1/chat/completions")),
        ("http.status", json!(200)),
        ("ended", json!("whole")),
        ("outcome", json!("completed")),
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!(entry.sent_model)),
        ("gen_ai.response.model", json!(entry.response_model)),
        ("host", json!("global")),
        ("plan", json!("resident")),
        ("stream", json!(true)),
        ("attempts", json!(2)),
        ("gen_ai.usage.input_tokens", json!(10)),
        ("gen_ai.usage.output_tokens", json!(20)),
        ("cost.euro_nanos", json!(entry.cost_euro_nanos)),
        ("overhead.micros", json!(entries[0].overhead_micros)),
        ("first_chunk.micros", json!(entry.first_chunk_micros)),
    ] {
        assert_eq!(line[field], expected, "{field} of {line}");
        assert!(!line[field].is_null(), "{field}");
    }
    for absent in ["error.type", "refusal", "trace.id", "calls", "resident", "key_id"] {
        assert!(line.get(absent).is_none(), "{absent} of {line}");
    }
    let time = line["timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    // What was said between belongs to the same request.
    let warned = logs.objects().into_iter().find(|line| line["message"] == "an attempt failed").unwrap();
    assert_eq!((&warned["request.id"], &warned["http.status"]), (&line["request.id"], &json!(503)));
}

/// Sends a question whose body panics where it is read.
async fn panics(gateway: &TestGateway, key: &str) -> String {
    let body = stream::once(async { Ok::<Bytes, std::io::Error>(Bytes::from_static(b"{")) })
        .chain(stream::once(async { panic!("a mistake of ours") }));
    let request = Request::post("/v1/chat/completions").header("authorization", format!("Bearer {key}"));
    let request = request.header("content-length", 7).body(Body::from_stream(body)).unwrap();
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 500);
    answer.header("x-request-id").unwrap().to_owned()
}

#[tokio::test]
async fn each_request_has_one_line_however_it_ends() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let gateway = TestGateway::with("[plans.small]\nrequests_per_minute = 1\nburst = 1\nsimultaneous = 1\nquestions_per_day = 9\ntokens_per_day = 9\neuros_per_month = \"1\"\nmax_output_tokens = 9\nhosts = \"any\"\nmodels = []\n[mairie]\ntoken = \"t\"").await;
    let (key, small) = (gateway.resident(), gateway.resident_of("small"));
    let mut expected: Vec<(String, &str, &str)> = Vec::new();
    for (key, model, message, error) in [
        (format!("{key}x"), "gpt-6-luna", "refused", "invalid_api_key"),
        (key.clone(), "no-such-model", "refused", "model_not_found"),
        (small.clone(), "gpt-6-luna", "refused", "tokens_per_day"),
        (small, "gpt-6-luna", "refused", "requests_per_minute"),
    ] {
        let answer = gateway.ask(&key, model, "x", false).await;
        expected.push((answer.header("x-request-id").unwrap().to_owned(), message, error));
    }
    let broken = TestGateway::post("/v1/chat/completions", &key, &json!("no question"));
    let nowhere = TestGateway::post("/v1/nowhere/canari", &key, &json!({}));
    for (request, error) in [(broken, "invalid_request"), (nowhere, "unknown_url")] {
        let answer = gateway.send(request).await;
        expected.push((answer.header("x-request-id").unwrap().to_owned(), "refused", error));
    }
    let cut = Step::Stream { pieces: 2, gap: Duration::from_millis(1), end: End::Cut };
    gateway.openai.script([fails(500), Step::Garbage, cut]);
    for (stream, message, error) in
        [(false, "failed", "server"), (false, "failed", "protocol"), (true, "answered", "cut")]
    {
        let answer = gateway.ask(&key, "gpt-6-luna", "x", stream).await;
        expected.push((answer.header("x-request-id").unwrap().to_owned(), message, error));
    }
    expected.push((panics(&gateway, &key).await, "failed", "panic"));
    for path in ["/v1/models", "/v1/usage"] {
        let answer = gateway.get(&key, path).await;
        expected.push((answer.header("x-request-id").unwrap().to_owned(), "answered", ""));
    }
    let stops = gateway.ask_mairie("GET", "/admin/v1/stops", "wrong", "").await;
    expected.push((stops.header("x-request-id").unwrap().to_owned(), "refused", "invalid_token"));
    gateway.settled().await;

    let lines = logs.requests();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (id, message, error) in expected {
        let line = line(&lines, &id);
        assert_eq!(
            (line["message"].as_str(), line["error.type"].as_str().unwrap_or_default()),
            (Some(message), error),
            "{line}"
        );
        assert_eq!(line.get("refusal").is_some(), message == "refused", "{line}");
        assert_eq!(line["ended"], "whole", "{line}");
    }
    assert!(!logs.text().contains("canari"), "a path is written as its route, or not at all");
}

#[tokio::test]
async fn a_client_that_leaves_has_its_line_once_its_answer_is_in_the_books() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let gateway = TestGateway::with("[upstream]\nfirst_byte_seconds = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 20, gap: Duration::from_millis(20), end: End::Proper }]);
    gateway.ask_and_leave(&key, "gpt-6-luna", 2).await;
    assert!(logs.requests().is_empty(), "its answer is still read on");
    gateway.settled().await;
    let lines = logs.requests();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&line["message"], &line["ended"], &line["outcome"]),
        (&json!("left"), &json!("client_left"), &json!("completed"))
    );
    assert_eq!((&line["http.status"], &line["gen_ai.usage.output_tokens"]), (&json!(200), &json!(20)));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_has_its_line_too() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let gateway = TestGateway::with("[upstream]\nfirst_byte_seconds = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Hang]);
    {
        let asked = gateway.ask(&key, "gpt-6-luna", "x", true);
        tokio::pin!(asked);
        while gateway.openai.calls().is_empty() {
            assert!(futures_util::poll!(&mut asked).is_pending());
            tokio::task::yield_now().await;
        }
    }
    gateway.settled().await;
    let lines = logs.requests();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["message"], &line["outcome"]), (&json!("left"), &json!("unknown")));
    assert!(line.get("http.status").is_none() && line["error.type"] == "first_byte_timeout", "{line}");
}

#[tokio::test]
async fn a_duel_is_one_request_and_its_sides_are_for_those_who_debug() {
    let logs = Captured::lines(LogFormat::Json, "debug");
    let gateway = TestGateway::with(&offering(&["openai/gpt-6-luna", "mistral_ai/mistral-small-latest"], "10")).await;
    let key = gateway.resident();
    let question = json!({"messages": [{"role": "user", "content": "x"}]});
    let answer = gateway.send(TestGateway::post("/v1/duels", &key, &question)).await;
    crate::duels::ready(&answer);
    gateway.settled().await;
    let id = answer.header("x-request-id").unwrap();
    let lines = logs.requests();
    let whole = line(&lines, id);
    let costs: i64 = gateway.entries().iter().map(|entry| entry.cost_euro_nanos.unwrap()).sum();
    assert_eq!((&whole["level"], &whole["calls"], &whole["attempts"]), (&json!("INFO"), &json!(2), &json!(2)));
    assert_eq!((&whole["cost.euro_nanos"], &whole["gen_ai.usage.output_tokens"]), (&json!(costs), &json!(40)));
    assert!(whole.get("gen_ai.provider.name").is_none(), "two vendors are not one: {whole}");
    for side in ["left", "right"] {
        let side = line(&lines, &format!("{id}-{side}"));
        assert_eq!((&side["level"], &side["outcome"]), (&json!("DEBUG"), &json!("completed")));
    }
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn a_line_for_people_is_one_line() {
    let logs = Captured::lines(LogFormat::Text, "info");
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let answer = gateway.ask(&key, "gpt-6-luna", "x", false).await;
    gateway.settled().await;
    let text = logs.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("passerelle::request")).collect();
    let [line] = lines[..] else { panic!("{text}") };
    let id = answer.header("x-request-id").unwrap();
    let start = format!(
        " INFO passerelle::request: answered request.id={id} listener=public http.method=POST http.route=/v1/chat/completions http.status=200 ended=whole "
    );
    assert!(line.contains(&start), "{line}");
}

fn gateway_that_logs(town: &Town, level: &str, stderr: Stdio) -> GatewayProcess {
    let mut command = town.command(&["serve"]);
    command.env("PASSERELLE__TELEMETRY__LOG_LEVEL", level).env("PASSERELLE__TELEMETRY__LOG_FORMAT", "json");
    Town::announced(Running::with_stderr(&mut command, stderr))
}

fn town() -> ([VendorProcess; 2], Town) {
    let pace = ["--first-token-ms", "0", "--inter-token-ms", "0"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
    (vendors, town)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_lines_that_has_stopped_stops_neither_answers_nor_the_end() {
    let (_vendors, town) = town();
    let key = town.key();
    let mut gateway = gateway_that_logs(&town, "trace", Stdio::piped());
    // Nobody reads it until the end: sixty-four kilobytes at most, and the pipe is full.
    let mut unread = gateway.running.stderr();
    let mut ids = BTreeSet::new();
    for _ in 0..400 {
        assert_eq!(Socket::get(&gateway.public, "/openapi.json").await.unwrap().status, 200);
    }
    for _ in 0..20 {
        let answer = ask(&gateway.public, &key, "gpt-6-luna", true).await.unwrap();
        assert!(answer.is_done(), "{}", answer.text());
        ids.insert(answer.header("x-request-id").unwrap().to_owned());
    }
    let (clock, metrics) = (Clock::system(), Socket::get(&gateway.ops, "/metrics").await.unwrap());
    assert!(metrics.text().contains("passerelle_log_lines_dropped_total 0"), "what waits is within the bound");
    let stopped = clock.tick();
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    assert!(clock.tick().since(stopped) < Duration::from_secs(20));
    let mut text = String::new();
    unread.read_to_string(&mut text).unwrap();
    assert!(text.len() <= 64 << 10 && ids.iter().any(|id| !text.contains(id)), "the pipe was full: {}", text.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_a_normal_end_and_every_line_is_json() {
    let (_vendors, town) = town();
    let key = town.key();
    let mut gateway = gateway_that_logs(&town, "debug", Stdio::piped());
    let mut stderr = gateway.running.stderr();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let mut ids = Vec::new();
    for number in 0..40 {
        let answer = ask(&gateway.public, &key, "gpt-6-luna", number % 2 == 0).await.unwrap();
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(Socket::get(&gateway.ops, "/readyz").await.unwrap().status, 200);
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let text = reader.join().unwrap().unwrap();
    let lines: Vec<Value> = text
        .lines()
        .filter(|line| !line.starts_with("warning: "))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for id in &ids {
        line(&lines, id);
    }
    let ops = lines.iter().find(|line| line["http.route"] == "/readyz").unwrap();
    assert_eq!((&ops["level"], &ops["listener"]), (&json!("DEBUG"), &json!("ops")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_for_a_closed_pipe_are_counted_and_answers_go_on() {
    let (_vendors, town) = town();
    let key = town.key();
    let mut gateway = gateway_that_logs(&town, "info", Stdio::piped());
    drop(gateway.running.stderr());
    for _ in 0..3 {
        assert!(ask(&gateway.public, &key, "gpt-6-luna", true).await.unwrap().is_done());
    }
    let counted = async {
        while Socket::get(&gateway.ops, "/metrics")
            .await
            .unwrap()
            .text()
            .contains("passerelle_log_lines_dropped_total 0")
        {}
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
}

#[tokio::test]
async fn questions_have_their_id_in_what_is_exported() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let request = TestGateway::request(&key, &question_body("gpt-6-luna", "x", false));
    let id = gateway.send(request).await.header("x-request-id").unwrap().to_owned();
    gateway.settled().await;
    let mut csv = Vec::new();
    export(gateway.ledger(), ATTEMPTS, ExportFormat::Csv, &mut csv).unwrap();
    assert!(String::from_utf8(csv).unwrap().contains(&id));
}
