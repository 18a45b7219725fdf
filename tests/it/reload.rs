//! The configuration is read again by itself when its files change: all of it, or nothing.

use std::time::Duration;

use passerelle::telemetry::metrics;

use crate::support::TestGateway;
use crate::support::logs::Captured;

const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway that watches its files.
async fn watching(overrides: &str, secrets: &[(&str, &str)]) -> TestGateway {
    let gateway = TestGateway::with_files(overrides, secrets).await;
    gateway.shutdown.spawn(gateway.reloader().clone().watch_files(gateway.shutdown.clone()));
    gateway
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn reload_is(successful: i64) {
    until("the last reload", async || metrics().reload_successful.get() == successful).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_and_a_mended_one_is_in_force_without_a_word() {
    let logs = Captured::everything();
    let gateway = watching("", &[]).await;
    let key = gateway.resident();
    assert_eq!(metrics().reload_successful.get(), 1, "read at the start");

    gateway.rewrite("[plans.resident]\nquestions_per_day = \"seven\"");
    reload_is(0).await;
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200, "still serving");
    let allowed = async || gateway.get(&key, "/v1/usage").await.json()["limits"][0]["allowed"].clone();
    assert_eq!(allowed().await, "10000", "on the former terms");
    assert!(logs.text().contains("plans.resident.questions_per_day: invalid type"), "{}", logs.text());
    assert_eq!(gateway.ledger().changes().unwrap().len(), 1, "only the terms of the start");

    gateway.clock.advance(Duration::from_secs(90));
    gateway.rewrite(
        "[plans.resident]\nquestions_per_day = 7\n[server]\nmax_requests = 9\ncors_origins = [\"https://a.example\"]",
    );
    reload_is(1).await;
    assert_eq!(allowed().await, "7");
    assert_eq!(metrics().reloaded.get(), gateway.clock.now().as_second());
    let (_, change) = gateway.ledger().changes().unwrap().pop().unwrap();
    assert_eq!((change.actor.as_str(), change.differences.len()), ("file watch", 1));
    assert_eq!(change.differences[0].subject, "plan resident");
    let told = logs.text();
    assert!(told.contains("10000 questions") && told.contains("7 questions"), "both values: {told}");
    for key in ["server.max_requests: 4096 -> 9", "server.cors_origins"] {
        let warned = told.lines().filter(|line| line.contains(key) && line.contains("takes effect at the next start"));
        assert_eq!(warned.count(), 1, "{key}: {told}");
    }
    gateway.shutdown.begin();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_vendor_revoked_is_replaced_in_its_file_and_the_next_call_uses_it() {
    let logs = Captured::everything();
    let gateway = watching(
        "[providers.openai]\napi_key_file = \"openai.key\"\n[mairie]\ntoken_file = \"token\"",
        &[("openai.key", "key-of-spring\n"), ("token", "token-of-spring\n")],
    )
    .await;
    let resident = gateway.resident();
    let put = |name: &str, text: &str| {
        std::fs::write(gateway.folder.join("new"), text).unwrap();
        std::fs::rename(gateway.folder.join("new"), gateway.folder.join(name)).unwrap();
    };
    let sent = async || {
        assert_eq!(gateway.ask(&resident, "gpt-6-luna", "x", false).await.status, 200);
        gateway.openai.calls().last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
    };
    let mairie = async |token: &str| gateway.ask_mairie("GET", "/admin/v1/stops", token, "").await.status.as_u16();
    assert_eq!(sent().await, "Bearer key-of-spring");
    assert_eq!((mairie("token-of-spring").await, mairie("token-of-summer").await), (200, 401));

    put("openai.key", "key-of-summer\n");
    put("token", "token-of-summer\n");
    until("the new key is sent", async || sent().await == "Bearer key-of-summer").await;
    until("the new token is taken", async || mairie("token-of-summer").await == 200).await;
    assert_eq!(mairie("token-of-spring").await, 401);

    put("openai.key", "\n");
    reload_is(0).await;
    assert_eq!(sent().await, "Bearer key-of-summer", "an empty file takes nothing away");
    let told = logs.text();
    assert!(told.contains("providers.openai.api_key: changed") && told.contains("openai.key: is empty"), "{told}");
    assert!(!told.contains("-of-spring") && !told.contains("-of-summer"), "{told}");
    gateway.shutdown.begin();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missing_is_found_when_it_comes_and_the_same_mistake_is_told_once() {
    let logs = Captured::everything();
    let gateway = watching("", &[]).await;
    let rates = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/exchange-rates.toml")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("rates.toml");
    gateway.rewrite(&format!("[money]\nexchange_rates = \"{}\"", file.display()));
    reload_is(0).await;
    // Nobody could watch a file that was not there and in a folder that nothing was read from.
    let refused = metrics().terms_reloads.with_label_values(&["refused"]).get();
    std::fs::write(&file, rates).unwrap();
    reload_is(1).await;
    assert_eq!(metrics().terms_reloads.with_label_values(&["refused"]).get(), refused);
    assert_eq!(logs.text().matches("could not be read again").count(), 1, "{}", logs.text());
    gateway.shutdown.begin();
}
