//! The stop switch: at once, for the town, a vendor or a plan, and never in the middle of an answer.

use std::time::Duration;

use passerelle::clock::Clock;
use passerelle::ledger::{Decision, Ledger, Record, Stop, StopScope};

use crate::support::ledgers::{Store, each_store, entries, question};
use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

/// Somebody in another process, with the same file.
fn beside(gateway: &TestGateway) -> Ledger {
    Ledger::open_sqlite_beside(&gateway.folder.join("ledger.sqlite")).unwrap()
}

fn stop(scope: StopScope, name: &str) -> Stop {
    Stop { scope, name: name.to_owned(), since: Clock::system().now(), reason: "a strange bill".to_owned() }
}

#[tokio::test]
async fn a_stopped_town_asks_nobody_from_the_next_question_on() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let town = stop(StopScope::Town, "");
    assert!(beside(&gateway).set_stop(&town, true, "Claire").unwrap());
    for stream in [false, true] {
        for model in ["gpt-6-luna", "mistral-small-latest", "auto"] {
            let refused = gateway.ask(&key, model, "x", stream).await;
            assert_eq!(refused.refusal(), (503, "service_stopped".to_owned(), false));
            assert_eq!(refused.header("x-should-retry"), Some("false"));
            assert!(!refused.text().contains("strange bill"), "the reason is the mairie's");
        }
    }
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
    assert!(beside(&gateway).set_stop(&town, false, "Claire").unwrap());
    assert_eq!(gateway.ask(&key, "auto", "x", false).await.status, 200);
    gateway.settled().await;
}

#[tokio::test]
async fn a_stopped_vendor_is_left_out_of_routes_and_refused_by_name() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    beside(&gateway).set_stop(&stop(StopScope::Provider, "openai"), true, "Claire").unwrap();
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.refusal().1, "service_stopped");
    for question in 0..12 {
        let answer = gateway.ask(&key, "auto", &format!("Question {question}"), true).await;
        assert_eq!(answer.header("x-passerelle-provider"), Some("mistral_ai"));
    }
    assert!(gateway.openai.calls().is_empty());
    let probability = gateway.entries()[0].probability_ppm;
    assert_eq!(probability, Some(1_000_000), "the draw had one candidate, and the entry says so");
    gateway.settled().await;
}

#[tokio::test]
async fn a_stopped_plan_stops_its_residents_only() {
    let plan = "requests_per_minute = 100\nburst = 100\nsimultaneous = 9\nquestions_per_day = 9\ntokens_per_day = 90000\neuros_per_month = \"1\"\nmax_output_tokens = 100\nhosts = \"any\"\nmodels = []";
    let gateway = TestGateway::with(&format!("[plans.visitor]\n{plan}")).await;
    let (resident, visitor) = (gateway.resident(), gateway.resident_of("visitor"));
    beside(&gateway).set_stop(&stop(StopScope::Plan, "visitor"), true, "Claire").unwrap();
    assert_eq!(gateway.ask(&visitor, "auto", "x", false).await.refusal().1, "service_stopped");
    assert_eq!(gateway.ask(&resident, "auto", "x", false).await.status, 200);
    gateway.settled().await;
}

#[tokio::test]
async fn an_answer_in_progress_is_never_cut_and_gets_no_second_attempt() {
    let route = "[routes.first]\ntargets = [{ model = \"openai/gpt-6-luna\", weight = 1 }, { model = \"mistral-small-latest\", weight = 0 }]\nhosts = \"any\"\nfallback = true";
    let gateway = TestGateway::with(route).await;
    let key = gateway.resident();
    let slow = Step::Stream { pieces: 8, gap: Duration::from_millis(30), end: End::Proper };
    gateway.openai.script([slow]);
    let stopping = async {
        while gateway.openai.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        beside(&gateway).set_stop(&stop(StopScope::Town, ""), true, "Claire").unwrap();
    };
    let (answer, ()) = tokio::join!(gateway.ask(&key, "first", "x", true), stopping);
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());

    beside(&gateway).set_stop(&stop(StopScope::Town, ""), false, "Claire").unwrap();
    let unavailable = r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#;
    gateway.openai.script([Step::Status(503, unavailable.to_owned())]);
    gateway.openai.close_gate();
    let stopping = async {
        while gateway.openai.calls().len() < 2 {
            tokio::task::yield_now().await;
        }
        beside(&gateway).set_stop(&stop(StopScope::Provider, "mistral_ai"), true, "Claire").unwrap();
        gateway.openai.open_gate();
    };
    let (answer, ()) = tokio::join!(gateway.ask(&key, "first", "y", true), stopping);
    assert_eq!(answer.refusal().1, "service_stopped");
    assert!(gateway.mistral.calls().is_empty(), "what was stopped takes nothing over");
    gateway.settled().await;
}

#[tokio::test]
async fn a_hold_asked_for_after_a_stop_is_refused_whoever_routed_it_before() {
    each_store(async |store: &Store| {
        let (ledger, desk) = (store.open(), store.open_beside());
        for (scope, name) in [(StopScope::Town, ""), (StopScope::Provider, "mistral_ai"), (StopScope::Plan, "habitant")]
        {
            question("rose").answered(&ledger, 10, 1).await;
            let stopped = stop(scope, name);
            desk.set_stop(&stopped, true, "Claire").unwrap();
            let decision = ledger.reserve(question("rose").request()).await.unwrap();
            assert!(
                matches!(&decision, Decision::Stopped(stop) if stop.subject() == stopped.subject()),
                "{decision:?}"
            );
            assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
            desk.set_stop(&stopped, false, "Claire").unwrap();
        }
        // Another vendor's stop, or another plan's, is nothing to this call.
        for (scope, name) in [(StopScope::Provider, "openai"), (StopScope::Plan, "visitor")] {
            desk.set_stop(&stop(scope, name), true, "Claire").unwrap();
            question("rose").answered(&ledger, 10, 1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_stopped_what_is_in_the_chain() {
    each_store(async |store: &Store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 10, 1).await;
        let (desk, town) = (store.open_beside(), stop(StopScope::Town, ""));
        assert!(desk.set_stop(&town, true, "Claire").unwrap());
        assert!(!desk.set_stop(&town, true, "Claire").unwrap(), "it was stopped already");
        assert_eq!(ledger.stops().unwrap().0.len(), 1);
        assert!(desk.set_stop(&town, false, "Paul").unwrap());
        // The serving process goes on from what the desk wrote.
        question("rose").answered(&ledger, 10, 1).await;
        let changes = ledger.changes().unwrap();
        let told: Vec<_> = changes.iter().map(|(seq, change)| (*seq, change.actor.as_str())).collect();
        assert_eq!(told, [(2, "Claire"), (3, "Paul")]);
        assert!(matches!(ledger.record(4).unwrap(), Some(Record::Attempt(_))));
        assert_eq!(entries(&ledger).len(), 2);
        let verification = ledger.verify().unwrap();
        assert!(verification.is_clean(), "{:?}", verification.findings);
    })
    .await;
}
