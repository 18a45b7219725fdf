//! Vendors fail in every way; another takes over where that is safe, and nobody is charged for nothing.

use std::time::Duration;

use passerelle::ledger::{Assignment, Outcome};

use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const ONLY_OPENAI_FIRST: &str = "[routes.first]\ntargets = [{ model = \"openai/gpt-6-luna\", weight = 1 }, { model = \"mistral-small-latest\", weight = 0 }]\nhosts = \"any\"\nfallback = true";

fn status(status: u16) -> Step {
    Step::Status(status, r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#.to_owned())
}

#[tokio::test]
async fn another_vendor_takes_over_before_the_first_byte() {
    for stream in [false, true] {
        let gateway = TestGateway::with(ONLY_OPENAI_FIRST).await;
        let key = gateway.resident();
        gateway.openai.script([status(503)]);
        let answer = gateway.ask(&key, "first", "x", stream).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-passerelle-provider")), (200, Some("mistral_ai")));
        let entries = gateway.entries();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].outcome, entries[0].assignment, entries[0].cost_nanos),
            (Outcome::Rejected, Assignment::Drawn, Some(0))
        );
        assert_eq!(
            (entries[1].outcome, entries[1].assignment, entries[1].attempt),
            (Outcome::Completed, Assignment::Fallback, 2)
        );
        assert_eq!(entries[0].request_id, entries[1].request_id);
        gateway.settled().await;
        let today = entries[0].day.clone();
        let data = gateway.ledger().report_data(&today, &today).unwrap();
        let openai = data.rollups.iter().find(|(key, _)| key.provider == "openai").unwrap();
        assert_eq!(
            (openai.1.figures.questions, openai.1.figures.failed),
            (1, 1),
            "the failure stays with the vendor that failed"
        );
    }
}

#[tokio::test]
async fn a_short_failure_is_tried_again_at_the_same_vendor() {
    let gateway = TestGateway::with("[upstream]\nmax_attempts = 2").await;
    let key = gateway.resident();
    gateway.openai.script([status(500)]);
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200);
    let entries = gateway.entries();
    assert_eq!((entries.len(), entries[0].retried, entries[0].charged.euro_nanos), (2, true, 0));
    gateway.settled().await;
}

#[tokio::test]
async fn what_may_have_been_billed_is_never_repeated() {
    let gateway =
        TestGateway::with(&format!("{ONLY_OPENAI_FIRST}\n[upstream]\nfirst_byte_seconds = 1\nmax_attempts = 3")).await;
    let key = gateway.resident();
    gateway.openai.script([Step::Hang]);
    let answer = gateway.ask(&key, "first", "x", true).await;
    assert_eq!(answer.refusal(), (504, "first_byte_timeout".to_owned(), false));
    assert_eq!((gateway.openai.calls().len(), gateway.mistral.calls().len()), (1, 0));
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.cost_nanos), (Outcome::Unknown, None), "absent is not zero");
    assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
    gateway.settled().await;
}

#[tokio::test]
async fn a_refused_request_is_the_clients_and_costs_nothing() {
    let gateway = TestGateway::with(ONLY_OPENAI_FIRST).await;
    let key = gateway.resident();
    let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    gateway.openai.script([Step::Status(400, body.to_owned())]);
    assert_eq!(gateway.ask(&key, "first", "x", false).await.refusal().1, "context_length_exceeded");
    assert!(gateway.mistral.calls().is_empty(), "another vendor would refuse it as well");
    let usage = gateway.get(&key, "/v1/usage").await.json();
    assert_eq!(usage["limits"][0]["used"], "0", "the question is given back");
    gateway.settled().await;
}

#[tokio::test]
async fn our_own_trouble_with_a_vendor_is_never_the_residents() {
    for (step, expected) in [
        (status(401), (502, "upstream_auth_error", false)),
        (
            Step::Status(
                429,
                r#"{"error":{"message":"spent","type":"insufficient_quota","code":"insufficient_quota"}}"#.to_owned(),
            ),
            (503, "upstream_quota_exhausted", false),
        ),
        (status(429), (429, "rate_limit_exceeded", true)),
        (status(503), (503, "server_is_overloaded", true)),
        (status(504), (502, "server", false)),
        (Step::Garbage, (502, "protocol", false)),
    ] {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        gateway.openai.script([step]);
        let refusal = gateway.ask(&key, "gpt-6-luna", "x", false).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str(), refusal.2), expected);
        gateway.settled().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_is_charged_at_its_upper_bound() {
    let gateway = TestGateway::with(ONLY_OPENAI_FIRST).await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 3, gap: Duration::ZERO, end: End::Cut }]);
    let answer = gateway.ask(&key, "first", "x", true).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains(r#"{"error":{"message""#) && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(gateway.mistral.calls().is_empty(), "after the first byte nobody takes over");
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.error_type.as_deref()), (Outcome::Interrupted, Some("cut")));
    assert!(entry.cost_lower_nanos <= entry.cost_upper_nanos && entry.charged.euro_nanos == entry.ceiling_euro_nanos);
    gateway.settled().await;
}

#[tokio::test]
async fn a_vendor_that_keeps_failing_is_left_alone() {
    let gateway = TestGateway::with("[upstream]\nbreaker_failures = 3").await;
    let key = gateway.resident();
    gateway.openai.script(std::iter::repeat_n(status(500), 10));
    for _ in 0..6 {
        gateway.ask(&key, "gpt-6-luna", "x", false).await;
    }
    assert_eq!(gateway.openai.calls().len(), 3);
    gateway.settled().await;
}
