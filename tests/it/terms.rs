//! Prices, plans and the envelope are replaced while the gateway serves, and the ledger says who did.

use std::time::Duration;

use passerelle::ledger::Record;
use passerelle::telemetry::metrics;
use passerelle::terms::Terms;
use providers::catalogue::OPENAI_TOML;

use crate::support::TestGateway;

/// OpenAI's catalogue with another price of gpt-6-luna's output.
fn catalogue(gateway: &TestGateway, output: &str) -> String {
    let mut table: toml::Table = OPENAI_TOML.parse().unwrap();
    let models = table["models"].as_array_mut().unwrap();
    let luna = models.iter_mut().find(|model| model["id"].as_str() == Some("gpt-6-luna")).unwrap();
    let rows = luna["prices"].as_array_mut().unwrap();
    rows.last_mut().unwrap()["output"] = output.into();
    let file = gateway.folder.join("openai.toml");
    std::fs::write(&file, table.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_price_list_replaced_while_running_prices_the_next_answer_and_leaves_the_last() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let file = catalogue(&gateway, "100");
    gateway.rewrite(&format!("[providers.openai]\ncatalogue = \"{file}\""));
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let differences = gateway.reloader().reload("Claire, DSI", "price list of December").unwrap();
    gateway.ask(&key, "gpt-6-luna", "x", true).await;
    let costs: Vec<_> = gateway.entries().iter().map(|entry| entry.cost_nanos.unwrap()).collect();
    assert_eq!(costs[0], costs[1], "a file that nobody applied changes nothing");
    // Twenty tokens of output at 100 USD a million, beside the input.
    assert!(costs[2] > 20 * 100_000 && costs[2] - costs[0] > 1_900_000, "{costs:?}");
    assert_eq!(differences.len(), 1, "{differences:?}");
    let (_, change) = gateway.ledger().changes().unwrap().pop().unwrap();
    assert_eq!((change.actor.as_str(), change.reason.as_str()), ("Claire, DSI", "price list of December"));
    let [difference] = &change.differences[..] else { panic!("{change:?}") };
    assert!(difference.subject.starts_with("price openai/gpt-6-luna@"), "{difference:?}");
    assert!(difference.after.as_ref().unwrap().contains("output 100.00"), "{difference:?}");
    assert!(
        gateway.reloader().reload("Claire, DSI", "again").unwrap().is_empty(),
        "nothing changed, nothing is written"
    );
    gateway.settled().await;
}

#[tokio::test]
async fn a_price_list_with_a_mistake_changes_nothing_and_says_where() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    // Per token typed for per million: the peers found it on the invoice.
    let file = catalogue(&gateway, "0.0000005");
    gateway.rewrite(&format!("[providers.openai]\ncatalogue = \"{file}\""));
    let error = gateway.reloader().reload("Claire", "").unwrap_err();
    assert!(error.contains("gpt-6-luna") && error.contains("not plausible"), "{error}");
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200);
    assert_eq!(gateway.ledger().changes().unwrap().len(), 1, "only the terms of the start");
    gateway.settled().await;
}

#[tokio::test(start_paused = true)]
async fn files_that_could_not_be_read_are_read_again_until_they_can() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    // Somebody applies other terms, and the file is spoilt before the gateway has looked at it.
    gateway.rewrite("[plans.resident]\nquestions_per_day = 7");
    let applied = std::fs::read_to_string(gateway.file()).unwrap();
    let terms = Terms::new(&gateway.config().unwrap(), &gateway.clock);
    terms.record(gateway.ledger(), "Claire", "fewer", gateway.clock.now()).unwrap();
    std::fs::write(gateway.file(), "[plans.resident]\nquestions_per_day = \"seven").unwrap();
    gateway.shutdown.spawn(gateway.reloader().clone().watch(gateway.shutdown.clone()));
    let refused = metrics().terms_reloads.with_label_values(&["refused"]);
    while refused.get() == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let allowed = async || gateway.get(&key, "/v1/usage").await.json()["limits"][0]["allowed"].clone();
    assert_eq!(allowed().await, "10000", "a spoilt file changes nothing");
    std::fs::write(gateway.file(), applied).unwrap();
    let mut seconds = 0;
    while allowed().await != "7" {
        seconds += 1;
        assert!(seconds < 60, "the repaired file is never read");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    gateway.shutdown.begin();
}

#[tokio::test]
async fn a_model_whose_price_was_taken_away_is_refused_and_never_free() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let file = catalogue(&gateway, "1");
    let mut table: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    for model in table["models"].as_array_mut().unwrap() {
        if model["id"].as_str() == Some("gpt-6-luna") {
            model["prices"].as_array_mut().unwrap().last_mut().unwrap()["from"] = "2027-01-01".into();
        }
    }
    std::fs::write(&file, table.to_string()).unwrap();
    gateway.rewrite(&format!("[providers.openai]\ncatalogue = \"{file}\""));
    gateway.reloader().reload("Claire", "").unwrap();
    let refused = gateway.ask(&key, "gpt-6-luna", "x", false).await;
    assert_eq!(refused.refusal(), (404, "model_not_found".to_owned(), false));
    assert!(gateway.openai.calls().is_empty());
}

#[tokio::test]
async fn a_plan_changed_in_mid_month_counts_what_was_used_before() {
    let gateway = TestGateway::with("[plans.resident]\nquestions_per_day = 3\nsimultaneous = 5").await;
    let key = gateway.resident();
    for _ in 0..2 {
        assert_eq!(gateway.ask(&key, "auto", "x", false).await.status, 200);
    }
    gateway.rewrite("[plans.resident]\nquestions_per_day = 2");
    gateway.reloader().reload("Claire", "fewer").unwrap();
    assert_eq!(gateway.ask(&key, "auto", "x", false).await.refusal().1, "insufficient_quota");
    gateway.rewrite("[plans.resident]\nquestions_per_day = 3\n[town]\neuros_per_month = \"2000\"");
    gateway.reloader().reload("Claire", "more").unwrap();
    assert_eq!(gateway.ask(&key, "auto", "x", false).await.status, 200);
    assert_eq!(gateway.ask(&key, "auto", "x", false).await.refusal().1, "insufficient_quota");
    let subjects: Vec<_> = gateway.ledger().changes().unwrap().into_iter().skip(1).collect();
    let subjects: Vec<_> = subjects.iter().flat_map(|(_, change)| &change.differences).map(|d| &*d.subject).collect();
    assert_eq!(subjects, ["plan resident", "envelope", "plan resident"]);
    gateway.settled().await;
}

#[tokio::test]
async fn a_reload_forgives_no_rate_and_no_open_call() {
    let gateway = TestGateway::with("[plans.resident]\nrequests_per_minute = 6\nburst = 2\nsimultaneous = 4").await;
    let key = gateway.resident();
    for _ in 0..2 {
        assert_eq!(gateway.ask(&key, "auto", "x", false).await.status, 200);
    }
    gateway.rewrite("[plans.resident]\nquestions_per_day = 500");
    gateway.reloader().reload("Claire", "").unwrap();
    assert_eq!(gateway.ask(&key, "auto", "x", false).await.refusal().1, "rate_limit_exceeded");
}

#[tokio::test]
async fn the_terms_of_the_start_are_written_once_for_all_starts() {
    let gateway = TestGateway::start().await;
    let mut records = Vec::new();
    gateway.ledger().visit_records(&mut |_, record| records.push(record)).unwrap();
    let [Record::Change(change)] = &records[..] else { panic!("{records:?}") };
    assert_eq!(change.actor, "serve");
    assert!(change.differences.iter().any(|difference| difference.subject == "envelope"));
    assert!(change.differences.iter().any(|difference| difference.subject == "plan resident"));
    let shown = serde_json::to_string(change).unwrap();
    assert!(!shown.contains("vendor-key"), "no key is part of the terms");
}
