//! The configuration in force, for people: every layer together, secrets as stars.

use toml::{Table, Value};

use super::Loaded;
use super::secrets::is_secret;

pub(super) const STARS: &str = "********";

/// The configuration in force as TOML. A secret that is set shows as stars, one that is not as an empty text.
pub fn show(loaded: &Loaded) -> String {
    let mut table = loaded.table.clone();
    hide(&mut table);
    table.to_string()
}

/// Whether a configuration's text holds a secret of its own: whoever may read it then has it.
pub fn has_secrets(text: &str) -> bool {
    fn holds(table: &Table) -> bool {
        table.iter().any(|(key, value)| match value {
            Value::Table(below) => holds(below),
            Value::String(text) => is_secret(key) && !text.is_empty(),
            _ => false,
        })
    }
    text.parse::<Table>().is_ok_and(|table| holds(&table))
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
