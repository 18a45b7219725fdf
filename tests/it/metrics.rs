//! What operators read on `/metrics`: every series is declared, none is made by what somebody sends, each moves when what
//! it tells of happens, and nothing of a resident is in it.

use std::io::Write;
use std::time::Duration;

use axum::http::Request;
use passerelle::telemetry::declared::{Kind, Metric, Values};
use passerelle::telemetry::{markdown, metrics, names};
use providers::error::ErrorKind;
use serde_json::json;

use crate::support::exposition::{self, Families, Sample};
use crate::support::program::PROGRAM;
use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

/// What Prometheus 2.42 accepts.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const QUESTION: &str = "canari-question-2207";
const ANSWER: &str = "canari-reponse-2207";

/// Both formats, each read strictly: text, then OpenMetrics.
async fn scraped(gateway: &TestGateway) -> [Families; 2] {
    let (text, openmetrics) = (gateway.scrape("").await, gateway.scrape(PROMETHEUS).await);
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(openmetrics.header("content-type"), Some(kind));
    [exposition::text(&text.text()), exposition::openmetrics(&openmetrics.text())]
}

fn series(families: &Families) -> usize {
    families.values().map(|family| family.samples.len()).sum()
}

fn rejected(status: u16, kind: &str) -> Step {
    let body = json!({"error": {"message": kind, "type": kind, "param": kind, "code": kind}});
    Step::Status(status, body.to_string())
}

/// Answers, refusals and failures of most kinds, streamed and not.
async fn story(gateway: &TestGateway) -> String {
    let key = gateway.resident();
    let say = || Step::Say { text: ANSWER.to_owned(), input: 10, output: 20, model: None };
    gateway.openai.script([say(), say(), rejected(401, "bad key"), rejected(500, "x"), Step::Garbage]);
    gateway.openai.script([Step::Stream { pieces: 3, gap: Duration::ZERO, end: End::Cut }]);
    for stream in [false, true, false, false, false, true] {
        gateway.ask(&key, "gpt-6-luna", QUESTION, stream).await;
    }
    gateway.mistral.script([
        rejected(429, "slow"),
        rejected(402, "spent"),
        rejected(404, "gone"),
        rejected(503, "full"),
    ]);
    for _ in 0..4 {
        gateway.ask(&key, "mistral-small-latest", QUESTION, false).await;
    }
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "mistral-embed", "input": [QUESTION]})),
        ("/v1/moderations", json!({"input": QUESTION})),
    ] {
        gateway.send(TestGateway::post(path, &key, &body)).await;
    }
    gateway.openai.script([Step::Stream { pieces: 20, gap: Duration::from_millis(2), end: End::Proper }]);
    gateway.ask_and_leave(&key, "gpt-6-luna", 2).await;
    gateway.settled().await;
    key
}

#[test]
fn the_page_in_the_tree_is_what_the_program_prints() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/doc/metrics.md");
    let again = "make it again: passerelle metrics --format markdown > deploy/doc/metrics.md";
    assert!(std::fs::read_to_string(file).unwrap() == markdown(), "{again}");
    let printed = |arguments: &[&str]| {
        let output = std::process::Command::new(PROGRAM).arg("metrics").args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(printed(&["--format", "markdown"]), markdown());
    let listed = printed(&[]);
    for metric in names::ALL {
        let here = listed.lines().any(|line| line.starts_with(metric.name) && line.ends_with(metric.help));
        assert!(here && markdown().contains(&format!("| `{}` |", metric.name)), "{}", metric.name);
    }
}

#[tokio::test]
async fn every_series_is_declared_with_labels_of_its_closed_sets() {
    let gateway = TestGateway::start().await;
    story(&gateway).await;
    let [text, openmetrics] = scraped(&gateway).await;
    for metric in names::ALL {
        for (family, name) in
            [(text.get(metric.name), metric.name), (openmetrics.get(metric.family()), metric.family())]
        {
            // What nobody has said yet is absent, with its description.
            let Some(family) = family else { continue };
            assert_eq!(
                (family.kind.as_str(), family.help.replace("\\\"", "\"")),
                (metric.kind.as_str(), metric.help.into())
            );
            family.samples.iter().for_each(|sample| check_labels(metric, sample, name));
        }
    }
    let declared = |family: &str| names::ALL.iter().any(|metric| metric.family() == family);
    assert_eq!(openmetrics.keys().find(|family| !declared(family)), None);
    // Both formats say the same numbers, of what a scrape itself does not move.
    for (family, name) in [
        ("passerelle_attempts", "passerelle_attempts_total"),
        ("passerelle_ledger_commit_duration_seconds", "passerelle_ledger_commit_duration_seconds"),
    ] {
        let values = |samples: &[Sample]| samples.iter().map(|sample| sample.value).sum::<f64>();
        assert_eq!(values(&openmetrics[family].samples), values(&text[name].samples), "{name}");
    }
}

fn check_labels(metric: &Metric, sample: &Sample, name: &str) {
    let mut labels: Vec<_> = sample.labels.iter().map(|(label, _)| label.as_str()).collect();
    if matches!(metric.kind, Kind::Histogram(_)) {
        labels.retain(|label| *label != "le");
    }
    let mut declared: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
    declared.sort_unstable();
    assert_eq!(labels, declared, "{name}");
    for label in metric.labels {
        if let Values::Set(values) = label.values {
            let said = sample.label(label.name).unwrap();
            assert!(values.contains(&said), "{name}: {} is `{said}`", label.name);
        }
    }
}

#[test]
fn every_failure_of_a_vendor_has_its_place_among_the_error_types() {
    let declared = names::ATTEMPTS.labels.iter().find(|label| label.name == names::ERROR_TYPE).unwrap();
    let Values::Set(values) = declared.values else { panic!("a closed set") };
    use ErrorKind::*;
    for kind in [
        Connect,
        Busy,
        CircuitOpen,
        FirstByteTimeout,
        IdleTimeout,
        TotalTimeout,
        RateLimited,
        QuotaExhausted,
        Auth,
        InvalidRequest,
        ContextLength,
        ModelNotFound,
        Overloaded,
        Server,
        Protocol,
        Cut,
    ] {
        assert!(values.contains(&kind.label()), "{}", kind.label());
    }
}

#[tokio::test]
async fn a_thousand_invented_names_make_no_series() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let round = async |number: u32| {
        let name = format!("invente-{number}");
        gateway.ask(&key, &name, "x", false).await;
        gateway.send(TestGateway::post(&format!("/v1/{name}"), &key, &json!({"model": name}))).await;
        // What a vendor invents: types, codes, statuses, headers.
        gateway.openai.script([rejected(u16::try_from(400 + number % 100).unwrap(), &name)]);
        gateway.openai.says([("x-ratelimit-limit-requests", name.clone())]);
        gateway.ask(&key, "gpt-6-luna", "x", false).await;
        if !number.is_multiple_of(10) {
            return;
        }
        // The name of the model that answered, methods, ids, keys.
        let model = Some(format!("{name}-model"));
        gateway.openai.script([Step::Say { text: "Bonjour.".to_owned(), input: 1, output: 1, model }]);
        gateway.ask(&key, "gpt-6-luna", "x", false).await;
        gateway.send(TestGateway::post(&format!("/v1/models/{name}"), &key, &json!({}))).await;
        gateway.get(&key, &format!("/v1/models/{name}")).await;
        gateway.get(&format!("psk-{name}"), "/v1/usage").await;
        let method = Request::builder().method(name.to_uppercase().as_str()).uri("/v1/chat/completions");
        gateway.send(method.body(axum::body::Body::empty()).unwrap()).await;
    };
    // Scraping is a request too. Then each status once: there are a hundred of them, and eight kinds of failure.
    scraped(&gateway).await;
    for number in 0..100 {
        round(number).await;
    }
    let before = scraped(&gateway).await.map(|families| series(&families));
    for number in 100..1_100 {
        round(number).await;
    }
    assert_eq!(scraped(&gateway).await.map(|families| series(&families)), before);
    for format in ["", PROMETHEUS] {
        let text = gateway.scrape(format).await.text();
        assert!(!text.to_lowercase().contains("invente"), "{text}");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn an_exemplar_leads_from_a_bucket_to_the_request_and_to_nobody() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.close_gate();
    let slow = async {
        gateway.openai.reached_by(1).await;
        gateway.clock.advance(Duration::from_secs(3));
        gateway.openai.open_gate();
    };
    let (answer, ()) = tokio::join!(gateway.ask(&key, "gpt-6-luna", QUESTION, false), slow);
    let quick = gateway.ask(&key, "gpt-6-luna", QUESTION, false).await;
    gateway.settled().await;
    let [text, openmetrics] = scraped(&gateway).await;
    assert!(text.values().flat_map(|family| &family.samples).all(|sample| sample.exemplar.is_none()));
    for family in [&names::OPERATION_DURATION, &names::TIME_TO_FIRST_CHUNK] {
        let ids = exemplars(&openmetrics, family.name);
        let of = |le: &str, answer: &crate::support::Answer| {
            let id = answer.header("x-request-id").unwrap().to_owned();
            (le.to_owned(), id)
        };
        assert_eq!(ids, [of("0.01", &quick), of("5.12", &answer)], "{}", family.name);
    }
    assert_eq!(exemplars(&openmetrics, names::OVERHEAD.name).len(), 1, "the first of two in the same bucket");
    // After that scrape the next one takes the place of the one that was read.
    let next = gateway.ask(&key, "gpt-6-luna", QUESTION, false).await;
    gateway.settled().await;
    let [_, openmetrics] = scraped(&gateway).await;
    let ids = exemplars(&openmetrics, names::OPERATION_DURATION.name);
    assert_eq!(ids[0].1, next.header("x-request-id").unwrap());
}

/// Bounds and request ids of the exemplars of a histogram.
fn exemplars(families: &Families, name: &str) -> Vec<(String, String)> {
    let exemplar = |sample: &Sample| {
        let (labels, _, at) = sample.exemplar.clone()?;
        assert_eq!(labels.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["request_id"]);
        assert!((1_795_510_800.0..1_795_510_900.0).contains(&at), "the time of the story, not {at}");
        Some((sample.label("le").unwrap().to_owned(), labels[0].1.clone()))
    };
    families[name].samples.iter().filter_map(exemplar).collect()
}

#[tokio::test]
async fn nothing_of_a_resident_is_in_either_format() {
    let gateway = TestGateway::start().await;
    let key = story(&gateway).await;
    for accept in ["", PROMETHEUS] {
        let text = gateway.scrape(accept).await.text();
        assert!(text.contains("gen_ai_client_operation_duration_seconds_bucket"), "there is something to search");
        let entry = &gateway.entries()[0];
        for secret in [
            QUESTION,
            ANSWER,
            &key,
            &entry.resident,
            &entry.key_id,
            "canari",
            "psk-",
            "vendor-key",
            "Bearer",
            "127.0.0.1",
            "http://",
            "bad key",
            gateway.folder.to_str().unwrap(),
        ] {
            assert!(!text.contains(secret), "{secret} was found");
        }
    }
}

#[tokio::test]
async fn a_vendor_that_refuses_the_key_and_one_that_takes_over_are_counted() {
    let gateway = TestGateway::with("[upstream]\nbreaker_failures = 3").await;
    let key = gateway.resident();
    gateway.openai.script([rejected(401, "bad key")]);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let refused = "passerelle_attempts_total{error_type=\"auth\",gen_ai_provider_name=\"openai\",outcome=\"rejected\"}";
    assert_eq!(gateway.metric(refused).await, Some(1.0));
    let fallbacks = "passerelle_fallbacks_total{gen_ai_provider_name=\"openai\"}";
    assert_eq!(gateway.metric(fallbacks).await, Some(0.0), "a model asked by name has no other vendor");
    let broken = "passerelle_breaker_open{gen_ai_provider_name=\"openai\"}";
    assert_eq!(gateway.metric(broken).await, Some(0.0));
    gateway.openai.script([rejected(500, "x"), rejected(500, "x")]);
    // Conversations are drawn: go on until OpenAI was asked twice and the others took over.
    for number in 0.. {
        assert!(number < 200, "OpenAI is never drawn");
        if gateway.openai.calls().len() == 3 {
            break;
        }
        let answer = gateway.ask(&key, "auto", &format!("Question {number}"), false).await;
        assert_eq!(answer.header("x-passerelle-provider"), Some("mistral_ai"));
    }
    assert_eq!((gateway.metric(fallbacks).await, gateway.metric(broken).await), (Some(2.0), Some(1.0)));
    let sent = |outcome: &str| {
        format!("passerelle_attempt_duration_seconds_count{{gen_ai_provider_name=\"openai\",outcome=\"{outcome}\"}}")
    };
    assert_eq!(gateway.metric(&sent("rejected")).await, Some(3.0));
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 503);
    assert_eq!(gateway.metric(&sent("rejected")).await, Some(3.0), "what was never sent took no time at the vendor");
    gateway.settled().await;
}

#[tokio::test]
async fn attempts_last_from_the_call_to_their_end() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.mistral.close_gate();
    let slow = async {
        gateway.mistral.reached_by(1).await;
        gateway.clock.advance(Duration::from_secs(7));
        gateway.mistral.open_gate();
    };
    tokio::join!(gateway.ask(&key, "mistral-small-latest", "x", true), slow);
    gateway.settled().await;
    let sum = "passerelle_attempt_duration_seconds_sum{gen_ai_provider_name=\"mistral_ai\",outcome=\"completed\"}";
    assert_eq!(gateway.metric(sum).await, Some(7.0));
}

#[tokio::test]
async fn headroom_and_clock_are_what_the_vendors_last_answer_said() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let headroom = |provider: &str, resource: &str| {
        format!("passerelle_provider_headroom_ratio{{gen_ai_provider_name=\"{provider}\",resource=\"{resource}\"}}")
    };
    assert_eq!(gateway.metric(&headroom("openai", "requests")).await, None, "nobody said so yet");
    let head = |left: &str, tokens: &str| {
        let pairs = [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-remaining-requests", left)];
        let tokens = [("x-ratelimit-limit-tokens", "30000"), ("x-ratelimit-remaining-tokens", tokens)];
        pairs.into_iter().chain(tokens).map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    gateway.openai.says(head("450", "29970"));
    gateway.ask(&key, "gpt-6-luna", "x", true).await;
    assert_eq!(gateway.metric(&headroom("openai", "requests")).await, Some(0.9));
    assert_eq!(gateway.metric(&headroom("openai", "tokens")).await, Some(0.999));
    gateway.openai.says(head("0", "29970"));
    gateway.openai.script([rejected(429, "slow")]);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    assert_eq!(gateway.metric(&headroom("openai", "requests")).await, Some(0.0), "a refusal says so too");
    // Mistral's clock is half a minute ahead: ours is behind.
    gateway.mistral.says([
        ("x-ratelimit-limit-req-minute", "60".to_owned()),
        ("x-ratelimit-remaining-req-minute", "15".to_owned()),
        ("date", "Tue, 24 Nov 2026 09:00:30 GMT".to_owned()),
    ]);
    gateway.ask(&key, "mistral-small-latest", "x", false).await;
    assert_eq!(gateway.metric(&headroom("mistral_ai", "requests")).await, Some(0.25));
    assert_eq!(gateway.metric(&headroom("mistral_ai", "tokens")).await, None);
    let skew = "passerelle_provider_clock_skew_seconds{gen_ai_provider_name=\"mistral_ai\"}";
    let ahead = gateway.metric(skew).await.unwrap();
    assert!((30.0..45.0).contains(&ahead), "{ahead}");
    // Our clock jumps by an hour, and nobody has to ask the vendor again to see it.
    gateway.clock.advance(Duration::from_secs(3_600));
    let behind = gateway.metric(skew).await.unwrap();
    assert!((-3_570.0..-3_555.0).contains(&behind), "{behind}");
    gateway.settled().await;
}

#[tokio::test]
async fn money_and_streams_are_seen_while_they_are_open() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let open = async || {
        let of = async |name: &str| gateway.metric(name).await.unwrap();
        let held = of("passerelle_reservations_open_euro_nanos").await;
        let counts = [of("passerelle_reservations_open").await, of("passerelle_streams_open").await];
        (counts, of("passerelle_drains_open").await, held)
    };
    assert_eq!(open().await, ([0.0, 0.0], 0.0, 0.0));
    gateway.openai.script([
        Step::Stream { pieces: 2, gap: Duration::from_millis(1), end: End::Silence },
        Step::Stream { pieces: 2, gap: Duration::from_millis(1), end: End::Silence },
    ]);
    let first = gateway.open(&key, "gpt-6-luna").await;
    let second = gateway.open(&key, "gpt-6-luna").await;
    let (counts, drains, held) = open().await;
    assert_eq!((counts, drains), ([2.0, 2.0], 0.0));
    assert!(held > 0.0);
    drop(first);
    while open().await.1 == 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open().await, ([2.0, 1.0], 1.0, held), "read on, and still held");
    drop(second);
}

#[tokio::test]
async fn what_was_held_and_settled_is_given_back_in_the_gauges_too() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.close_gate();
    let held = async || gateway.metric("passerelle_reservations_open_euro_nanos").await.unwrap();
    let watched = async {
        gateway.openai.reached_by(1).await;
        let while_open = held().await;
        gateway.openai.open_gate();
        while_open
    };
    let (_answer, while_open) = tokio::join!(gateway.ask(&key, "gpt-6-luna", "x", false), watched);
    gateway.settled().await;
    let ceiling = gateway.entries()[0].ceiling_euro_nanos;
    assert_eq!(while_open as i64, ceiling);
    assert_eq!(held().await, 0.0);
    assert!(gateway.metric("passerelle_ledger_commit_duration_seconds_count").await.unwrap() >= 2.0);
}

#[tokio::test]
async fn the_terms_in_force_show_their_age_and_what_will_be_gone() {
    let gateway = TestGateway::start().await;
    let at = |day: &str| format!("{day}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second() as f64;
    let checked = "passerelle_catalogue_checked_timestamp_seconds{gen_ai_provider_name=\"openai\"}";
    assert_eq!(gateway.metric(checked).await, Some(at("2026-11-23")));
    let rate = "passerelle_exchange_rate_timestamp_seconds{currency=\"USD\"}";
    assert_eq!(gateway.metric(rate).await, Some(at("2026-04-13")));
    let retires = "passerelle_model_retires_timestamp_seconds{gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-5-mini-2025-08-07\"}";
    assert_eq!(gateway.metric(retires).await, None, "no route leads there");
    let reloaded = "passerelle_config_last_reload_success_timestamp_seconds";
    let started = gateway.metric(reloaded).await.unwrap();
    assert_eq!(gateway.metric("passerelle_config_last_reload_successful").await, Some(1.0));

    let target = "[[routes.auto.targets]]\nmodel = \"openai/gpt-5-mini-2025-08-07\"\nweight = 1";
    gateway.rewrite(target);
    gateway.clock.advance(Duration::from_secs(60));
    gateway.reloader().reload("Claire", "").unwrap();
    assert_eq!(gateway.metric(retires).await, Some(at("2026-12-11")));
    assert_eq!(gateway.metric(reloaded).await, Some(started + 60.0));

    let good = std::fs::read_to_string(gateway.file()).unwrap();
    std::fs::write(gateway.file(), "[town").unwrap();
    gateway.clock.advance(Duration::from_secs(60));
    gateway.reloader().reload("Claire", "").unwrap_err();
    assert_eq!(gateway.metric("passerelle_config_last_reload_successful").await, Some(0.0));
    assert_eq!(gateway.metric(reloaded).await, Some(started + 60.0), "what was put into force last");
    std::fs::write(gateway.file(), good).unwrap();
    gateway.rewrite("[[routes.auto.targets]]\nmodel = \"openai/gpt-6-luna\"\nweight = 1");
    gateway.reloader().reload("Claire", "").unwrap();
    assert_eq!(gateway.metric("passerelle_config_last_reload_successful").await, Some(1.0));
    assert_eq!(gateway.metric(retires).await, None, "no route leads there any more");
}

#[tokio::test]
async fn metrics_are_told_while_the_ledger_cannot_be_read() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.metric("passerelle_ready").await, Some(1.0));
    assert_eq!(gateway.metric("passerelle_ledger_writable").await, Some(1.0));
    let file = gateway.folder.join("ledger.sqlite");
    let bytes = gateway.metric("passerelle_ledger_file_bytes").await.unwrap();
    assert!(bytes >= std::fs::metadata(&file).unwrap().len() as f64);
    // In place: the gateway has the files open.
    for file in [&file, &gateway.folder.join("ledger.sqlite-wal")] {
        let length = std::fs::metadata(file).unwrap().len();
        let mut open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        open.write_all(&vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    }
    assert!(gateway.ledger().verify().is_err(), "it cannot be read any more");
    assert_eq!(gateway.scrape("").await.status, 200);
    assert_eq!(gateway.scrape(PROMETHEUS).await.status, 200);
    for told in ["passerelle_disk_free_bytes", "process_resident_memory_bytes", "process_open_fds", "process_threads"] {
        assert!(gateway.metric(told).await.unwrap() > 0.0, "{told}");
    }
    let version = format!("passerelle_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(gateway.metric(&version).await, Some(1.0));
    let started = gateway.metric("process_start_time_seconds").await.unwrap();
    let cpu = gateway.metric("process_cpu_seconds_total").await.unwrap();
    assert!(started > 1.7e9 && cpu > 0.0 && cpu < 600.0, "{started} {cpu}");
    assert!(gateway.metric("process_max_fds").await.unwrap() >= gateway.metric("process_open_fds").await.unwrap());
}

#[tokio::test]
async fn a_process_that_stops_is_not_ready() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.metric("passerelle_ready").await, Some(1.0));
    gateway.shutdown.begin();
    assert_eq!(gateway.metric("passerelle_ready").await, Some(0.0));
    assert_eq!(metrics().handovers.with_label_values(&["completed"]).get(), 0);
}
