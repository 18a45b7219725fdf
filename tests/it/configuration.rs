//! The configuration is checked whole, every mistake with its key, and every file that ships is valid.

use std::path::{Path, PathBuf};

use passerelle::config::{Environment, load, show};

fn keys() -> Environment {
    Environment::from_pairs([("OPENAI_API_KEY", "sk-secret"), ("MISTRAL_API_KEY", "m-secret")])
}

fn write(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("passerelle-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn every_file_that_ships_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["default.toml", "example.toml"] {
        let loaded = load(Some(&folder.join(name)), &keys());
        assert!(loaded.is_ok(), "{name}: {}", loaded.unwrap_err());
    }
}

#[test]
fn every_key_of_the_defaults_has_a_sentence() {
    let text = passerelle::config::DEFAULT_TOML;
    let mut commented = false;
    let mut seen: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(commented || seen.iter().any(|known| known == key), "`{key}` is not explained");
            seen.push(key.to_owned());
        }
        commented = line.starts_with('#');
    }
    assert!(seen.len() > 40);
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_keys() {
    let file = write(
        "mistakes",
        "[server]\npublic = \"here\"\npubic = 1\nmax_body_bytes = \"x\"\n[plans.mine]\nburst = 1\n[town]\neuros_per_month = \"1e3\"\n[providers.openai]\nbase_url = \"http://x\"\n",
    );
    let error = load(Some(&file), &Environment::default()).unwrap_err().to_string();
    for expected in [
        "server.public: `here` is not an address",
        "server.pubic: is not a key of Passerelle",
        "server.max_body_bytes: invalid type",
        "plans.mine: missing field",
        "town.euros_per_month: `1e3` is not a decimal",
        "providers.openai.base_url: `http://x` must be",
        "providers.openai.api_key: is missing: set OPENAI_API_KEY",
        "providers.mistral_ai.api_key: is missing: set MISTRAL_API_KEY",
    ] {
        assert!(error.contains(expected), "no `{expected}` in:\n{error}");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_environment_wins_over_the_file_and_secrets_are_never_shown() {
    let file = write(
        "layers",
        "[server]\nmax_requests = 7\n[telemetry]\nlog_level = \"warn\"\n[mairie]\ntoken = \"t-secret\"\n",
    );
    let environment = Environment::from_pairs([
        ("OPENAI_API_KEY", "sk-secret"),
        ("MISTRAL_API_KEY", "m-secret"),
        ("MISTRAL_BASE_URL", "http://127.0.0.1:1/v1"),
        ("PASSERELLE__SERVER__MAX_REQUESTS", "9"),
        ("PASSERELLE__TOWN__EUROS_PER_MONTH", "5.00"),
        ("PASSERELLE__PLANS__RESIDENT__MODELS", "[\"auto\"]"),
    ]);
    let loaded = load(Some(&file), &environment).unwrap();
    assert_eq!((loaded.config.server.max_requests, loaded.config.log_level.as_str()), (9, "warn"));
    assert_eq!(loaded.config.envelope.euro_nanos_per_month, 5_000_000_000);
    assert_eq!(loaded.config.plans["resident"].models, ["auto"]);
    let shown = show(&loaded);
    assert!(shown.contains("api_key = \"********\"") && shown.contains("http://127.0.0.1:1/v1"));
    for secret in ["sk-secret", "m-secret", "t-secret"] {
        assert!(!shown.contains(secret) && !format!("{:?}", loaded.config).contains(secret));
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_lease_shorter_than_a_call_is_refused() {
    let file = write("lease", "[ledger]\nlease_seconds = 600\n");
    assert!(load(Some(&file), &keys()).unwrap_err().to_string().contains("ledger.lease_seconds: must be longer"));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_route_to_a_model_that_goes_away_is_warned_about() {
    let file = write(
        "retiring",
        "[routes.vieux]\ntargets = [{ model = \"o4-mini\", weight = 1 }]\nhosts = \"any\"\nfallback = true\n",
    );
    let warnings = load(Some(&file), &keys()).unwrap().warnings;
    assert!(
        warnings.iter().any(|warning| warning.starts_with("routes.vieux.targets: the vendor switches `o4-mini` off")),
        "{warnings:?}"
    );
    std::fs::remove_file(file).unwrap();
}
