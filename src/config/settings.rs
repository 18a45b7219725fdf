//! What was set, key by key, so that two readings of the same files can be compared. Secrets are compared, never shown.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::secrets::is_secret;

/// Keys, or sections up to a dot, that are put into force while the process serves; a `*` stands for one name.
const IN_FORCE_AT_ONCE: &[&str] = &[
    "comparison.",
    "mairie.token",
    "mairie.token_file",
    "money.",
    "plans.",
    "providers.*.api_key",
    "providers.*.api_key_file",
    "providers.*.base_url",
    "providers.*.catalogue",
    "providers.*.host_urls.",
    "routes.",
    "server.tls.",
    "telemetry.log_level",
    "town.euros_per_month",
    "town.euros_per_year",
];

/// Every key with its value, all layers together.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, Setting>);

#[derive(Clone, Debug)]
enum Setting {
    Shown(String),
    Secret(SecretString),
}

impl Setting {
    fn is(&self, other: Option<&Self>) -> bool {
        match (self, other) {
            (Self::Shown(one), Some(Self::Shown(other))) => one == other,
            (Self::Secret(one), Some(Self::Secret(other))) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

/// A key that was set otherwise before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resetting {
    /// Path of the key.
    pub key: String,
    /// Whether it is a secret: then neither value is told.
    pub secret: bool,
    /// Its value before, where it had one; stars for a secret.
    pub before: Option<String>,
    /// Its value now, where it has one; stars for a secret.
    pub after: Option<String>,
    /// Whether it takes effect while the process serves, or at its next start.
    pub at_once: bool,
}

impl fmt::Display for Resetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            return write!(f, "{}: changed", self.key);
        }
        let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} -> {}", self.key, text(&self.before), text(&self.after))
    }
}

impl Settings {
    pub(super) fn of(table: &Table) -> Self {
        let mut settings = BTreeMap::new();
        flatten(table, "", &mut settings);
        Self(settings)
    }

    /// What `self` sets otherwise than `before` did.
    pub fn since(&self, before: &Self) -> Vec<Resetting> {
        let shown = |setting: Option<&Setting>| match setting {
            Some(Setting::Shown(text)) => Some(text.clone()),
            Some(Setting::Secret(_)) => Some(super::show::STARS.to_owned()),
            None => None,
        };
        let mut keys: Vec<&String> = self.0.keys().chain(before.0.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let changed = keys.into_iter().filter(|key| match (self.0.get(*key), before.0.get(*key)) {
            (Some(now), then) => !now.is(then),
            (None, then) => then.is_some(),
        });
        changed
            .map(|key| {
                let (now, then) = (self.0.get(key), before.0.get(key));
                let secret = [now, then].iter().any(|side| matches!(side, Some(Setting::Secret(_))));
                let at_once = IN_FORCE_AT_ONCE.iter().any(|pattern| covers(pattern, key));
                Resetting { key: key.clone(), secret, before: shown(then), after: shown(now), at_once }
            })
            .collect()
    }
}

/// Whether a pattern names the key, or a section that it stands in.
fn covers(pattern: &str, key: &str) -> bool {
    let (mut pattern, mut key) = (pattern.split('.'), key.split('.'));
    loop {
        match (pattern.next(), key.next()) {
            (Some(""), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

fn flatten(table: &Table, above: &str, settings: &mut BTreeMap<String, Setting>) {
    for (key, value) in table {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Table(below) => flatten(below, &path, settings),
            Value::String(text) if is_secret(key) => {
                drop(settings.insert(path, Setting::Secret(text.clone().into())));
            }
            value => drop(settings.insert(path, Setting::Shown(value.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::of(&text.parse().unwrap())
    }

    #[test]
    fn what_differs_is_told_with_both_values_and_a_secret_only_that_it_does() {
        let before =
            settings("[server]\nmax_requests = 1\n[plans.a]\nburst = 1\n[mairie]\ntoken = 'old'\n[gone]\nx = 1");
        let after = settings("[server]\nmax_requests = 2\n[plans.a]\nburst = 2\n[mairie]\ntoken = 'new'");
        let changes = after.since(&before);
        let told: Vec<_> = changes.iter().map(|change| (change.to_string(), change.at_once)).collect();
        assert_eq!(
            told,
            [
                ("gone.x: 1 -> not set".to_owned(), false),
                ("mairie.token: changed".to_owned(), true),
                ("plans.a.burst: 1 -> 2".to_owned(), true),
                ("server.max_requests: 1 -> 2".to_owned(), false),
            ]
        );
        assert!(!format!("{changes:?} {after:?}").contains("new"));
        assert!(after.since(&after).is_empty());
    }

    #[test]
    fn a_pattern_names_a_key_a_section_or_every_vendor() {
        assert!(covers("providers.*.api_key", "providers.openai.api_key"));
        assert!(!covers("providers.*.api_key", "providers.openai.api_key_file"));
        assert!(covers("plans.", "plans.resident.burst") && !covers("plans.", "plan"));
        assert!(covers("town.euros_per_month", "town.euros_per_month") && !covers("town.euros_per_month", "town"));
    }
}
