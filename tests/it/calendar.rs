//! The town's calendar at the gateway's door: days of 23 and 25 hours, midnight, New Year, and when a refusal says that
//! its limit comes back.

use std::time::Duration;

use futures_util::future::join;
use jiff::Timestamp;
use passerelle::ledger::{Outcome, ResidentUse};
use passerelle::quota::Calendar;

use crate::support::gateway::question_body;
use crate::support::{TestGateway, Vendor};

/// Every vendor, streamed and not.
const WAYS: [(&str, bool); 4] =
    [("gpt-6-luna", false), ("gpt-6-luna", true), ("mistral-small-latest", false), ("mistral-small-latest", true)];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Moves the gateway's clock on to `moment`.
fn go_to(gateway: &TestGateway, moment: &str) {
    let ahead = at(moment).duration_since(gateway.clock.now());
    gateway.clock.advance(Duration::try_from(ahead).unwrap());
}

fn vendor<'a>(gateway: &'a TestGateway, model: &str) -> &'a Vendor {
    if model.starts_with("gpt") { &gateway.openai } else { &gateway.mistral }
}

fn use_at(gateway: &TestGateway, moment: &str) -> ResidentUse {
    let resident = gateway.ledger().list_keys().unwrap().remove(0).resident;
    gateway.ledger().resident_use(&resident, &Calendar::new("Europe/Paris").unwrap().windows(at(moment))).unwrap()
}

/// One question a day, on the night of a clock change: refused until the last second of the local day, whose length is
/// `hours`, and answered from the first of the next.
async fn a_day_of(hours: i64, first: &str, last: &str, next: &str, returns: &str) {
    assert_eq!(at(next).duration_since(at(first)).as_hours(), hours);
    for (model, stream) in WAYS {
        let gateway = TestGateway::with("[plans.resident]\nquestions_per_day = 1").await;
        let key = gateway.resident();
        go_to(&gateway, first);
        assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 200);
        for moment in [first, last] {
            go_to(&gateway, moment);
            let refused = gateway.ask(&key, model, "x", stream).await;
            assert_eq!(refused.refusal(), (429, "insufficient_quota".to_owned(), false), "{moment}");
            let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&format!("retour le {returns}")), "{message}");
            let limit = &gateway.get(&key, "/v1/usage").await.json()["limits"][0];
            assert_eq!((limit["used"].as_str(), limit["resets_at_local"].as_str()), (Some("1"), Some(returns)));
            assert_eq!(at(limit["resets_at"].as_str().unwrap()), at(next), "{moment}");
        }
        go_to(&gateway, next);
        assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 200, "at local midnight, not an hour later");
        gateway.settled().await;
        let days: Vec<String> = gateway.entries().into_iter().map(|entry| entry.day).collect();
        assert_eq!(days, [&first[..10], &next[..10]]);
    }
}

#[tokio::test]
async fn the_day_of_23_hours_ends_at_its_midnight() {
    let (first, last) = ("2027-03-28T00:00:00+01:00", "2027-03-28T23:59:59+02:00");
    a_day_of(23, first, last, "2027-03-29T00:00:00+02:00", "29/03/2027 00:00").await;
}

#[tokio::test]
async fn the_day_of_25_hours_ends_at_its_midnight() {
    let (first, last) = ("2027-10-31T00:00:00+02:00", "2027-10-31T23:59:59+01:00");
    a_day_of(25, first, last, "2027-11-01T00:00:00+01:00", "01/11/2027 00:00").await;
}

#[tokio::test]
async fn a_call_across_midnight_belongs_to_the_day_the_month_and_the_year_that_let_it_in() {
    let (before, after) = ("2026-12-31T23:59:59+01:00", "2027-01-01T00:00:30+01:00");
    for (model, stream) in WAYS {
        let gateway = TestGateway::with("[plans.resident]\nquestions_per_day = 1").await;
        let key = gateway.resident();
        go_to(&gateway, before);
        let vendor = vendor(&gateway, model);
        vendor.close_gate();
        let across = gateway.send(TestGateway::request(&key, &question_body(model, "x", stream)));
        let new_year = async {
            vendor.reached_by(1).await;
            go_to(&gateway, after);
            let (old, new) = (use_at(&gateway, before), use_at(&gateway, after));
            assert_eq!((old.day_held.questions, old.month_held.questions), (1, 1));
            assert_eq!(new, ResidentUse::default(), "what is held is held in the old year");
            // The new day's question is there, while the old one's answer is still to come.
            let (answer, ()) = join(gateway.ask(&key, model, "x", stream), async {
                vendor.reached_by(2).await;
                vendor.open_gate();
            })
            .await;
            assert_eq!(answer.status, 200);
            assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 429, "and there is only one");
        };
        let (answer, ()) = join(across, new_year).await;
        assert_eq!(answer.status, 200);
        gateway.settled().await;
        let mut entries = gateway.entries();
        entries.sort_by_key(|entry| entry.received_at);
        let windows: Vec<_> = entries.iter().map(|entry| [&*entry.day, &*entry.month, &*entry.year]).collect();
        assert_eq!(windows, [["2026-12-31", "2026-12", "2026"], ["2027-01-01", "2027-01", "2027"]]);
        for (entry, moment) in entries.iter().zip([before, after]) {
            assert_eq!(entry.outcome, Outcome::Completed);
            let counted = use_at(&gateway, moment);
            assert_eq!((counted.day_used.questions, counted.day_held.questions), (1, 0));
            assert_eq!(counted.month_used.euro_nanos, entry.charged.euro_nanos);
        }
    }
}

#[tokio::test]
async fn each_refusal_says_when_its_own_limit_comes_back() {
    for (overrides, returns) in [
        ("[plans.resident]\nquestions_per_day = 0", "25/11/2026 00:00"),
        ("[plans.resident]\ntokens_per_day = 1", "25/11/2026 00:00"),
        ("[plans.resident]\neuros_per_month = \"0.000001\"", "01/12/2026 00:00"),
        ("[town]\neuros_per_month = \"0.000001\"", "01/12/2026 00:00"),
        ("[town]\neuros_per_month = \"0.000001\"\neuros_per_year = \"0.000001\"", "01/12/2026 00:00"),
        ("[town]\neuros_per_month = \"1\"\neuros_per_year = \"0.000001\"", "01/01/2027 00:00"),
    ] {
        for (model, stream) in WAYS {
            let gateway = TestGateway::with(overrides).await;
            let key = gateway.resident();
            let refused = gateway.ask(&key, model, "x", stream).await;
            let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(returns), "{overrides}: {message}");
            assert!(vendor(&gateway, model).calls().is_empty());
        }
    }
}

#[tokio::test]
async fn a_month_is_a_month_and_not_thirty_days() {
    for (model, stream) in WAYS {
        // Enough for one question at a time, and too little for a second once the first is paid.
        let probe = TestGateway::start().await;
        let key = probe.resident();
        probe.ask(&key, model, "x", stream).await;
        let ceiling = probe.entries().remove(0).ceiling_euro_nanos;
        let euros = format!("[plans.resident]\neuros_per_month = \"0.{ceiling:09}\"");
        let gateway = TestGateway::with(&euros).await;
        let key = gateway.resident();
        go_to(&gateway, "2026-12-01T00:00:00+01:00");
        assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 200);
        for moment in ["2026-12-01T00:00:01+01:00", "2026-12-31T12:00:00+01:00", "2026-12-31T23:59:59+01:00"] {
            go_to(&gateway, moment);
            assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 429, "{moment}");
        }
        go_to(&gateway, "2027-01-01T00:00:00+01:00");
        assert_eq!(gateway.ask(&key, model, "x", stream).await.status, 200);
        gateway.settled().await;
    }
}
