//! Traces reach a real collector, continue their callers', and cost nothing where nobody takes them.

use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry_proto::tonic::trace::v1::Span;
use passerelle::probes::Wish;
use passerelle::telemetry::{LogFormat, metrics};
use serde_json::{Value, json};

use crate::duels::offering;
use crate::support::captured::Captured;
use crate::support::collector::{Collector, attribute};
use crate::support::gateway::question_body;
use crate::support::{Answer, Step, TestGateway, Vendor};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Kinds of spans, as OTLP numbers them.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

async fn recorded(overrides: &str) -> (Collector, TestGateway) {
    let collector = Collector::start().await;
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{}\"\n", collector.endpoint);
    let gateway = TestGateway::with(&(telemetry + overrides)).await;
    (collector, gateway)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_kind(spans: &[Span], kind: i32) -> Vec<Span> {
    spans.iter().filter(|span| span.kind == kind).cloned().collect()
}

async fn ask_within(gateway: &TestGateway, key: &str, model: &str, headers: &[(&'static str, &'static str)]) -> Answer {
    let mut request = TestGateway::request(key, &question_body(model, "x", false));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    gateway.send(request).await
}

#[tokio::test]
async fn a_request_is_a_server_span_with_a_client_span_for_each_attempt() {
    let (collector, gateway) = recorded("otlp_headers = \"x-scope-orgid=arcachon,authorization=Basic%20dTpw\"\nservice_name = \"passerelle-arcachon\"\nresource_attributes = \"deployment.environment.name=test\"\n[upstream]\nmax_attempts = 2\n").await;
    let key = gateway.resident();
    let refusal = r#"{"error":{"message":"busy","type":"server_error","code":null}}"#;
    gateway.openai.script([Step::Status(503, refusal.to_owned())]);
    let answer = gateway.ask(&key, "gpt-6-luna", "x", true).await;
    gateway.settled().await;
    gateway.traced().await;

    let spans = collector.spans();
    let [server] = &of_kind(&spans, SERVER)[..] else { panic!("{spans:?}") };
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert!(server.parent_span_id.is_empty());
    assert_eq!(attribute(server, "passerelle.request.id"), answer.header("x-request-id").unwrap());
    assert_eq!(attribute(server, "http.response.status_code"), "200");
    let clients = of_kind(&spans, CLIENT);
    let [failed, good] = &clients[..] else { panic!("{clients:?}") };
    for client in [failed, good] {
        assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
        assert_eq!(client.name, "chat gpt-6-luna");
        for (name, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-6-luna"),
            ("gen_ai.request.stream", "true"),
            ("server.address", "127.0.0.1"),
        ] {
            assert_eq!(attribute(client, name), value, "{name}");
        }
    }
    assert_eq!(
        (attribute(failed, "error.type"), attribute(failed, "http.response.status_code")),
        ("overloaded".into(), "503".into())
    );
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    assert_eq!(
        (attribute(good, "gen_ai.usage.input_tokens"), attribute(good, "gen_ai.usage.output_tokens")),
        ("10".into(), "20".into())
    );
    assert_eq!(attribute(good, "gen_ai.response.finish_reasons"), "stop");
    assert!(!attribute(good, "gen_ai.response.time_to_first_chunk").is_empty());
    let around: Vec<_> = of_kind(&spans, INTERNAL).iter().map(|span| span.name.clone()).collect();
    assert_eq!(around, ["admission", "settlement"]);
    assert!(spans.iter().all(|span| span.end_time_unix_nano >= span.start_time_unix_nano));

    let (path, headers) = collector.attempts().remove(0);
    assert_eq!((path.as_str(), &headers["content-type"]), ("/v1/traces", &"application/x-protobuf".parse().unwrap()));
    assert_eq!(
        (&headers["x-scope-orgid"], &headers["authorization"]),
        (&"arcachon".parse().unwrap(), &"Basic dTpw".parse().unwrap())
    );
    let resource = collector.resource();
    for pair in [("service.name", "passerelle-arcachon"), ("deployment.environment.name", "test")] {
        assert!(resource.contains(&(pair.0.to_owned(), pair.1.to_owned())), "{resource:?}");
    }
}

#[tokio::test]
async fn a_callers_trace_goes_on_here_and_its_id_is_in_the_line() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let (collector, gateway) = recorded("trace_sample_ratio = 0.0").await;
    let key = gateway.resident();
    ask_within(&gateway, &key, "gpt-6-luna", &[("traceparent", CALLER), ("tracestate", "a=1"), ("tracestate", "b=2")])
        .await;
    // Of these none is recorded: nobody's trace, one that its caller does not record, and what is no trace.
    ask_within(&gateway, &key, "gpt-6-luna", &[]).await;
    ask_within(
        &gateway,
        &key,
        "gpt-6-luna",
        &[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")],
    )
    .await;
    ask_within(&gateway, &key, "gpt-6-luna", &[("traceparent", CALLER), ("traceparent", CALLER)]).await;
    ask_within(
        &gateway,
        &key,
        "gpt-6-luna",
        &[("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")],
    )
    .await;
    gateway.settled().await;
    gateway.traced().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "a=1,b=2"), "{spans:?}");
    let [server] = &of_kind(&spans, SERVER)[..] else { panic!("{spans:?}") };
    assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7");
    assert_ne!(hex(&server.span_id), "00f067aa0ba902b7");
    let ids: Vec<Value> = logs.requests().iter().map(|line| line["trace.id"].clone()).collect();
    assert_eq!(ids, [json!(TRACE), Value::Null, json!(TRACE), Value::Null, Value::Null]);
}

/// A gateway with a compatible host beside the two vendors.
async fn with_a_host_of_the_towns_own(overrides: &str) -> (Vendor, TestGateway) {
    let host = Vendor::openai().await;
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/maison.toml");
    let maison = format!(
        "[providers.maison]\nenabled = true\nhosts = [\"global\"]\ncatalogue = \"{catalogue}\"\nbase_url = \"{}\"\n",
        host.base_url
    );
    let gateway = TestGateway::with(&(maison + overrides)).await;
    (host, gateway)
}

fn parent(headers: &HeaderMap) -> Option<String> {
    headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_trace_is_told_to_a_host_of_the_towns_own_and_to_no_vendor() {
    let collector = Collector::start().await;
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{}\"\n", collector.endpoint);
    let (host, gateway) = with_a_host_of_the_towns_own(&telemetry).await;
    let key = gateway.resident();
    for model in ["maison/petit-modele", "gpt-6-luna", "mistral-small-latest"] {
        let answer = ask_within(&gateway, &key, model, &[("traceparent", CALLER), ("tracestate", "a=1")]).await;
        assert_eq!(answer.status, 200);
    }
    gateway.settled().await;
    gateway.traced().await;
    let call = host.calls().remove(0);
    let spans = collector.spans();
    let client =
        of_kind(&spans, CLIENT).into_iter().find(|span| attribute(span, "gen_ai.provider.name") == "maison").unwrap();
    assert_eq!(parent(&call.headers), Some(format!("00-{TRACE}-{}-01", hex(&client.span_id))));
    assert_eq!(call.headers["tracestate"], "a=1");
    for vendor in [&gateway.openai, &gateway.mistral] {
        let headers = vendor.calls().remove(0).headers;
        assert!(parent(&headers).is_none() && !headers.contains_key("tracestate"), "{headers:?}");
    }
}

#[tokio::test]
async fn where_nothing_is_recorded_a_trace_is_passed_on_as_it_came_unless_it_is_not_to_be() {
    for (overrides, expected) in [("", Some(CALLER.to_owned())), ("trace_context = false", None)] {
        let (host, gateway) = with_a_host_of_the_towns_own(overrides).await;
        let key = gateway.resident();
        ask_within(&gateway, &key, "maison/petit-modele", &[("traceparent", CALLER)]).await;
        assert_eq!(parent(&host.calls().remove(0).headers), expected);
        gateway.settled().await;
    }
}

#[tokio::test]
async fn duels_and_probes_have_their_spans() {
    let (collector, gateway) = recorded(
        &(offering(&["openai/gpt-6-luna", "mistral_ai/mistral-small-latest"], "10")
            + "probe_euros_per_month = \"25\"\n"),
    )
    .await;
    let key = gateway.resident();
    let question = json!({"messages": [{"role": "user", "content": "x"}]});
    crate::duels::ready(&gateway.send(TestGateway::post("/v1/duels", &key, &question)).await);
    gateway.probes().begin(Wish { questions: Some(1), seed: Some(7), ..Wish::default() }).unwrap();
    gateway.round_over().await;
    gateway.settled().await;
    gateway.traced().await;
    let spans = collector.spans();
    let [duel] = &of_kind(&spans, SERVER)[..] else { panic!("{spans:?}") };
    let below = |parent: &Span| {
        of_kind(&spans, CLIENT)
            .iter()
            .filter(|span| span.parent_span_id == parent.span_id && span.trace_id == parent.trace_id)
            .count()
    };
    assert_eq!(below(duel), 2);
    let probes: Vec<_> = spans.iter().filter(|span| span.name == "probe").collect();
    assert_eq!((probes.len(), below(probes[0]), below(probes[1])), (2, 1, 1));
}

#[tokio::test]
async fn a_batch_that_is_not_taken_is_sent_again_and_what_is_lost_is_counted() {
    let (collector, gateway) = recorded("").await;
    let key = gateway.resident();
    collector.refuse([503]);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    gateway.settled().await;
    gateway.traced().await;
    assert_eq!((collector.attempts().len(), collector.spans().len()), (2, 4));
    assert_eq!(metrics().spans_dropped.get(), 0);
    // What is wrong with it stays wrong: it is not sent again.
    collector.refuse([400]);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    gateway.settled().await;
    gateway.traced().await;
    assert_eq!((collector.attempts().len(), metrics().spans_dropped.get()), (3, 4));
    collector.reject(3);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    gateway.settled().await;
    gateway.traced().await;
    assert_eq!(metrics().spans_dropped.get(), 7);
}

#[tokio::test]
async fn a_collector_that_is_gone_stops_nobody_and_is_told_of_once() {
    let logs = Captured::lines(LogFormat::Json, "info");
    let gateway = TestGateway::with("[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"").await;
    let key = gateway.resident();
    for _ in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(5), gateway.ask(&key, "gpt-6-luna", "x", false)).await;
        assert_eq!(answer.unwrap().status, 200);
    }
    gateway.settled().await;
    gateway.end_traces(Duration::from_secs(5)).await;
    let warnings =
        logs.objects().iter().filter(|line| line["message"].as_str().unwrap().contains("otlp_endpoint")).count();
    assert_eq!((warnings, metrics().spans_dropped.get()), (1, 80));
}
