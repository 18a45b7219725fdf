//! The real program takes other prices while it serves: from the command, and from a signal.

use std::process::Command;
use std::time::Duration;

use passerelle::ledger::{Entry, Ledger};
use providers::catalogue::OPENAI_TOML;

use crate::support::program::{Town, VendorProcess, ask, entries};

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
    let town = Town::new(&openai.address, &mistral.address, "", "", "");
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
