//! The configuration in force, for people: every layer together, secrets as stars.

use toml::{Table, Value};

use super::Loaded;

/// Keys that hold secrets.
const SECRETS: &[&str] = &["api_key", "token", "webhook_secret", "webhook_url", "otlp_headers"];
const STARS: &str = "********";

/// The configuration in force as TOML. A secret that is set shows as stars, one that is not as an empty text.
pub fn show(loaded: &Loaded) -> String {
    let mut table = loaded.table.clone();
    hide(&mut table);
    table.to_string()
}

/// Whether a key of that name holds a secret.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

fn hide(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(below) => hide(below),
            Value::String(text) if is_secret(key) && !text.is_empty() => STARS.clone_into(text),
            _ => {}
        }
    }
}
