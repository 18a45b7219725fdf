//! The real program while it serves: other prices by a command and by a signal, a stop by the mairie's listener.

use std::process::Command;
use std::time::Duration;

use passerelle::ledger::{Entry, Ledger};
use providers::catalogue::OPENAI_TOML;

use serde_json::{Value, json};

use crate::support::program::{Raw, Socket, Town, VendorProcess, ask, entries};

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until an answer is priced by `row`'s figures: the moment of a reload is the gateway's own.
async fn priced_at(gateway: &str, key: &str, ledger: &Ledger, is_new: impl Fn(&Entry) -> bool) {
    let asking = async {
        loop {
            assert_eq!(ask(gateway, key, "gpt-6-luna", false).await.unwrap().status, 200);
            if is_new(entries(ledger).last().unwrap()) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
}

fn per_output_token(entry: &Entry) -> i64 {
    entry.cost_nanos.unwrap() / i64::try_from(entry.usage.unwrap().output_tokens()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_change_under_a_running_gateway_by_command_and_by_signal() {
    let pace = ["--first-token-ms", "0", "--inter-token-ms", "0"];
    let (openai, mistral) = (VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace));
    // Who changed what is what this is about: nobody else is to notice the files.
    let town = Town::new(&openai.address, &mistral.address, "", "watch_files = false", "");
    let write = |output: &str| {
        let mut table: toml::Table = OPENAI_TOML.parse().unwrap();
        let models = table["models"].as_array_mut().unwrap();
        let luna = models.iter_mut().find(|model| model["id"].as_str() == Some("gpt-6-luna")).unwrap();
        luna["prices"].as_array_mut().unwrap().last_mut().unwrap()["output"] = output.into();
        std::fs::write(town.folder.join("openai.toml"), table.to_string()).unwrap();
    };
    write("0.50");
    let config = std::fs::read_to_string(&town.config).unwrap();
    let with_catalogue = config.replace("[providers.openai]", "[providers.openai]\ncatalogue = \"openai.toml\"");
    std::fs::write(&town.config, with_catalogue).unwrap();
    let (key, gateway) = (town.key(), town.serve());
    let ledger = town.ledger();
    priced_at(&gateway.public, &key, &ledger, |entry| per_output_token(entry) < 10_000).await;

    write("50");
    let apply = town.command(&["config", "apply", "--by", "Claire", "--reason", "new list"]).output().unwrap();
    assert!(apply.status.success(), "{apply:?}");
    assert!(String::from_utf8_lossy(&apply.stdout).contains("~ price openai/gpt-6-luna@"), "{apply:?}");
    priced_at(&gateway.public, &key, &ledger, |entry| per_output_token(entry) >= 50_000).await;

    write("500");
    let id = gateway.running.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    priced_at(&gateway.public, &key, &ledger, |entry| per_output_token(entry) >= 500_000).await;

    let actors: Vec<String> = ledger.changes().unwrap().into_iter().map(|(_, change)| change.actor).collect();
    assert_eq!(actors, ["serve", "Claire", "SIGHUP"]);
    let log = town.command(&["config", "changes"]).output().unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("Claire: new list") && log.contains("output 50.00"), "{log}");
}

/// A request to the mairie's listener.
async fn mairie(address: &str, token: &str, request: &str, body: &str) -> Raw {
    let bytes = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    Socket::send(address, &bytes).await.unwrap().rest().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mairie_stops_a_vendor_at_its_own_listener_and_sees_who_did() {
    let pace = ["--first-token-ms", "0", "--inter-token-ms", "0"];
    let (openai, mistral) = (VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace));
    let town = Town::new(&openai.address, &mistral.address, "", "", "");
    let key = town.key();
    let gateway = Town::serving(town.command(&["serve"]).env("PASSERELLE__MAIRIE__TOKEN", "of-the-mairie"));
    let stop = |name: &str, stopped: bool| {
        json!({"scope": "provider", "name": name, "stopped": stopped, "by": "Claire", "reason": "a bill"}).to_string()
    };
    for (token, body, status) in [
        ("wrong", stop("openai", true), 401),
        ("of-the-mairie", stop("nobody", true), 400),
        ("of-the-mairie", json!({"scope": "town", "stopped": true}).to_string(), 400),
        ("of-the-mairie", stop("openai", true), 200),
    ] {
        let answer = mairie(&gateway.mairie, token, "POST /admin/v1/stops", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let refused = ask(&gateway.public, &key, "gpt-6-luna", true).await.unwrap();
    assert_eq!(refused.refusal(), (503, "service_stopped".to_owned(), false));
    assert_eq!(ask(&gateway.public, &key, "auto", false).await.unwrap().status, 200);
    assert_eq!(openai.calls().await, 0);

    let stops: Value =
        serde_json::from_slice(&mairie(&gateway.mairie, "of-the-mairie", "GET /admin/v1/stops", "").await.body)
            .unwrap();
    assert_eq!((&stops["data"][0]["name"], &stops["data"][0]["reason"]), (&json!("openai"), &json!("a bill")));
    let resumed = mairie(&gateway.mairie, "of-the-mairie", "POST /admin/v1/stops", &stop("openai", false)).await;
    assert_eq!(resumed.status, 200);
    assert_eq!(ask(&gateway.public, &key, "gpt-6-luna", true).await.unwrap().status, 200);
    let changes = mairie(&gateway.mairie, "of-the-mairie", "GET /admin/v1/changes", "").await;
    let changes: Value = serde_json::from_slice(&changes.body).unwrap();
    let actors: Vec<_> = changes["data"].as_array().unwrap().iter().map(|change| &change["change"]["actor"]).collect();
    assert_eq!(actors, ["serve", "Claire", "Claire"]);
}
