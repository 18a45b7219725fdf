//! Which vendor and which host: drawn, sticky, recorded, and never outside the required region.

use std::collections::BTreeMap;

use passerelle::ledger::Assignment;
use serde_json::json;

use crate::support::TestGateway;

#[tokio::test]
async fn a_conversation_stays_with_its_vendor_and_many_are_spread_over_both() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let mut drawn: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..40 {
        let first = json!({"role": "user", "content": format!("question {number}")});
        let turns = [
            json!([first]),
            json!([first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "encore"}]),
        ];
        let mut providers = Vec::new();
        for messages in turns {
            let answer =
                gateway.send(TestGateway::request(&key, &json!({"model": "auto", "messages": messages}))).await;
            providers.push(answer.header("x-passerelle-provider").unwrap().to_owned());
        }
        assert_eq!(providers[0], providers[1]);
        *drawn.entry(providers.remove(0)).or_default() += 1;
    }
    assert!(drawn.values().all(|count| *count >= 8), "{drawn:?}");
    for entry in gateway.entries() {
        assert_eq!(
            (entry.assignment, entry.probability_ppm, entry.route.as_deref()),
            (Assignment::Drawn, Some(500_000), Some("auto"))
        );
    }
}

#[tokio::test]
async fn a_plan_that_stays_in_europe_calls_only_european_hosts_at_their_price() {
    let gateway = TestGateway::with("[plans.resident]\nhosts = \"eu\"").await;
    let key = gateway.resident();
    for model in ["gpt-6-luna", "mistral-small-latest"] {
        let answer = gateway.ask(&key, model, "x", false).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-passerelle-host")), (200, Some("eu")));
    }
    let calls = [gateway.openai.calls(), gateway.mistral.calls()].concat();
    assert!(calls.iter().all(|call| call.path == "/eu/v1/chat/completions"));
    let entries = gateway.entries();
    assert_eq!(
        (entries[0].region.as_str(), entries[0].uplift_percent, entries[0].cost_nanos),
        ("eu", 10, Some(12_100))
    );
    assert_eq!(entries[1].cost_nanos, Some(14_850));
}

#[tokio::test]
async fn without_a_european_host_the_question_is_refused_not_sent() {
    let gateway = TestGateway::with("[plans.resident]\nhosts = \"eu\"\n[providers.openai]\nhosts = [\"global\"]").await;
    let key = gateway.resident();
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.refusal().1, "outside_region");
    assert!(gateway.openai.calls().is_empty());
    for number in 0..10 {
        let answer = gateway.ask(&key, "auto", &format!("q{number}"), false).await;
        assert_eq!(
            answer.header("x-passerelle-provider"),
            Some("mistral_ai"),
            "the route keeps to the vendor that may"
        );
    }
    assert_eq!(gateway.entries()[0].probability_ppm, Some(1_000_000));
}

#[tokio::test]
async fn a_compatible_host_needs_a_catalogue_file_and_no_code() {
    let vendor = crate::support::Vendor::openai().await;
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/maison.toml");
    let gateway = TestGateway::with(&format!(
        "[providers.maison]\nenabled = true\nhosts = [\"global\"]\ncatalogue = \"{catalogue}\"\nbase_url = \"{}\"\n[plans.resident]\nhosts = \"eu\"",
        vendor.base_url
    ))
    .await;
    let key = gateway.resident();
    for stream in [false, true] {
        let answer = gateway.ask(&key, "maison/petit-modele", "x", stream).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-passerelle-provider")), (200, Some("maison")));
    }
    let call = vendor.calls().pop().unwrap();
    assert!(!call.headers.contains_key("authorization"), "a host without a key gets none");
    assert_eq!((&call.body["model"], &call.body["max_tokens"]), (&json!("petit-modele"), &json!(100)));
    assert!(call.body.get("safety_identifier").is_none() && call.body.get("store").is_none());
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.currency.as_str(), entry.cost_nanos, entry.cost_euro_nanos), ("EUR", Some(5_000), Some(5_000)));
    gateway.settled().await;
}

#[tokio::test]
async fn a_model_that_its_vendor_switched_off_is_refused_and_left_out_of_routes() {
    let route = "[routes.ancien]\ntargets = [{ model = \"o4-mini\", weight = 9 }, { model = \"mistral-small-latest\", weight = 1 }]\nhosts = \"any\"\nfallback = true";
    let gateway = TestGateway::with(route).await;
    let key = gateway.resident();
    assert_eq!(gateway.ask(&key, "o4-mini", "x", false).await.refusal().1, "model_not_found");
    for number in 0..5 {
        let answer = gateway.ask(&key, "ancien", &format!("q{number}"), false).await;
        assert_eq!(answer.header("x-passerelle-provider"), Some("mistral_ai"));
    }
    assert!(gateway.openai.calls().is_empty());
}
