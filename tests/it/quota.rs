//! Quotas hold: one after the other, all at once, streamed and not; and a refusal says which limit and until when.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_question_too_many_is_refused_until_tomorrow() {
    let gateway = TestGateway::with("[plans.resident]\nquestions_per_day = 2").await;
    let key = gateway.resident();
    for _ in 0..2 {
        assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", true).await.status, 200);
    }
    let refused = gateway.ask(&key, "gpt-6-luna", "x", true).await;
    assert_eq!(refused.refusal(), (429, "insufficient_quota".to_owned(), false));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("les 2 prévus sont épuisés, retour le 25/11/2026 00:00"), "{message}");
    // Paris is an hour ahead: its midnight comes at 23:00 UTC.
    gateway.clock.advance(13 * HOUR);
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", true).await.status, 429);
    gateway.clock.advance(HOUR);
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", true).await.status, 200);
    gateway.settled().await;
}

#[tokio::test]
async fn thirty_at_once_on_a_quota_of_ten_reach_the_vendor_ten_times() {
    for stream in [false, true] {
        for limit in ["questions_per_day = 10", "tokens_per_day = 2_560"] {
            let gateway = TestGateway::with(&format!("[plans.resident]\n{limit}")).await;
            let key = gateway.resident();
            // Each holds about 256 tokens at most, and takes its time to give them back.
            gateway.openai.script(std::iter::repeat_n(
                Step::Stream { pieces: 3, gap: Duration::from_millis(30), end: End::Proper },
                if stream { 30 } else { 0 },
            ));
            let answers = join_all((0..30).map(|_| gateway.ask(&key, "gpt-6-luna", "x", stream))).await;
            let answered = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(gateway.openai.calls().len(), answered);
            if limit.starts_with("questions") {
                assert_eq!(answered, 10);
            }
            let usage = gateway.get(&key, "/v1/usage").await.json();
            for line in usage["limits"].as_array().unwrap() {
                let number = |key: &str| line[key].as_str().unwrap().parse::<f64>().unwrap();
                assert!(number("used") + number("held") <= number("allowed"), "{line}");
            }
            gateway.settled().await;
        }
    }
}

#[tokio::test]
async fn euros_are_held_at_the_ceiling_and_given_back() {
    // A question to gpt-6-luna holds at most (about 170 bytes × 0.125 + 100 tokens × 0.50) / 1.1684 a million: 0.000061 EUR.
    let gateway = TestGateway::with("[plans.resident]\neuros_per_month = \"0.0001\"").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 2, gap: Duration::from_millis(250), end: End::Proper }]);
    let (first, second) = tokio::join!(gateway.ask(&key, "gpt-6-luna", "x", true), async {
        while gateway.openai.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        gateway.ask(&key, "gpt-6-luna", "x", true).await
    });
    assert_eq!((first.status.as_u16(), second.refusal().1.as_str()), (200, "insufficient_quota"));
    assert!(
        second.json()["error"]["message"].as_str().unwrap().contains("il reste"),
        "not spent, only too little left"
    );
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", true).await.status, 200, "what was not used came back");
    gateway.settled().await;
}

#[tokio::test]
async fn the_towns_envelope_stops_everybody_with_503() {
    let gateway = TestGateway::with("[town]\neuros_per_month = \"0.00012\"").await;
    let keys: Vec<String> = (0..12).map(|_| gateway.resident()).collect();
    let answers = join_all(keys.iter().map(|key| gateway.ask(key, "gpt-6-luna", "x", false))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        assert_eq!(answer.refusal(), (503, "town_envelope_exhausted".to_owned(), false));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    let spent: i64 = gateway.entries().iter().filter_map(|entry| entry.cost_euro_nanos).sum();
    assert!(spent <= 120_000);
    gateway.settled().await;
}

#[tokio::test]
async fn a_rate_passed_says_when_to_come_back() {
    let gateway = TestGateway::with("[plans.resident]\nrequests_per_minute = 6\nburst = 1\nsimultaneous = 1").await;
    let key = gateway.resident();
    let first = gateway.ask(&key, "gpt-6-luna", "x", false).await;
    assert_eq!(
        (first.header("x-ratelimit-limit-requests"), first.header("x-ratelimit-remaining-requests")),
        (Some("6"), Some("0"))
    );
    let refused = gateway.ask(&key, "gpt-6-luna", "x", false).await;
    assert_eq!(refused.refusal(), (429, "rate_limit_exceeded".to_owned(), true));
    assert_eq!(refused.header("retry-after"), Some("10"));
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200);
    assert_eq!(gateway.entries().len(), 2);
}

#[tokio::test]
async fn what_is_malformed_or_for_no_model_counts_against_the_rate_like_any_request() {
    let gateway = TestGateway::with("[plans.resident]\nrequests_per_minute = 6\nburst = 3\nsimultaneous = 1").await;
    let key = gateway.resident();
    let garbage = || TestGateway::post("/v1/chat/completions", &key, &serde_json::json!("no object"));
    assert_eq!(gateway.send(garbage()).await.status, 400);
    assert_eq!(gateway.ask(&key, "gpt-0", "x", false).await.status, 404);
    assert_eq!(gateway.send(garbage()).await.status, 400);
    for _ in 0..3 {
        assert_eq!(gateway.send(garbage()).await.refusal(), (429, "rate_limit_exceeded".to_owned(), true));
    }
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200, "no place is kept by what was refused");
    gateway.settled().await;
}

#[tokio::test]
async fn names_that_nobody_knows_leave_no_series_in_the_metrics() {
    let gateway = TestGateway::with("[plans.resident]\nrequests_per_minute = 1000\nburst = 1000").await;
    let key = gateway.resident();
    let series = || passerelle::telemetry::metrics().render(passerelle::telemetry::Format::Text).lines().count();
    let invented = async |number: u32| {
        assert_eq!(gateway.ask(&key, &format!("modele-{number}"), "x", false).await.status, 404);
        let nowhere = TestGateway::post(&format!("/v1/chemin-{number}"), &key, &serde_json::json!({}));
        assert_eq!(gateway.send(nowhere).await.status, 404);
    };
    invented(0).await;
    let before = series();
    for number in 1..50 {
        invented(number).await;
    }
    assert_eq!(series(), before);
    let text = passerelle::telemetry::metrics().render(passerelle::telemetry::Format::Text);
    assert!(!text.contains("modele-") && !text.contains("chemin-"), "{text}");
}

#[tokio::test]
async fn simultaneous_answers_are_counted_until_their_last_byte() {
    let gateway = TestGateway::with("[plans.resident]\nsimultaneous = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 3, gap: Duration::from_millis(250), end: End::Proper }]);
    let (first, second) = tokio::join!(gateway.ask(&key, "gpt-6-luna", "x", true), async {
        while gateway.openai.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        gateway.ask(&key, "gpt-6-luna", "x", true).await
    });
    assert_eq!((first.status.as_u16(), second.refusal()), (200, (429, "rate_limit_exceeded".to_owned(), true)));
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", true).await.status, 200);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_stops_questions_before_the_vendor_and_recovers_by_itself() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let blocker = rusqlite::Connection::open(gateway.folder.join("ledger.sqlite")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = gateway.ask(&key, "gpt-6-luna", "x", false).await;
    assert_eq!(refused.refusal(), (503, "ledger_unavailable".to_owned(), true));
    assert!(gateway.openai.calls().is_empty());
    blocker.execute_batch("ROLLBACK").unwrap();
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200);
    gateway.settled().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_settled_at_once_is_settled_as_soon_as_the_store_can_be_written() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 5, gap: Duration::from_millis(150), end: End::Proper }]);
    let blocker = rusqlite::Connection::open(gateway.folder.join("ledger.sqlite")).unwrap();
    let (answer, ()) = tokio::join!(gateway.ask(&key, "gpt-6-luna", "x", true), async {
        while gateway.openai.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    });
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "the resident has the answer all the same");
    assert_eq!(gateway.ledger().gauges().unwrap().open_reservations, 1);
    blocker.execute_batch("ROLLBACK").unwrap();
    gateway.settled().await;
    let entries = gateway.entries();
    assert_eq!((entries.len(), entries[0].charged.tokens), (1, 15));
}
