//! Looks an instance over, serving or not, and says of each thing what was found and what to do about it. It changes nothing.
//!
//! It must not mend anything, nor name a key, a secret address or a resident.

mod books;
mod machine;
mod terms;
mod vendors;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::Loaded;
use crate::ledger::LedgerFile;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and deserves a look.
    Warning,
    /// It does not work, or money or people are at risk.
    Wrong,
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two from a closed set.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), advice: String::new() }
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Warning, found: found.into(), advice: advice.into() }
    }

    fn wrong(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Wrong, found: found.into(), advice: advice.into() }
    }
}

/// Who looks, at what, and with what in hand.
#[derive(Clone, Copy, Debug)]
pub struct Doctor<'a> {
    /// The configuration.
    pub loaded: &'a Loaded,
    /// Its file, where there is one.
    pub file: Option<&'a Path>,
    /// Whether the vendors' keys are known here; without them their hosts are visited all the same.
    pub has_keys: bool,
    /// Whether vendors and the webhook are left alone.
    pub offline: bool,
    /// What tells the time.
    pub clock: &'a Clock,
}

impl Doctor<'_> {
    /// Looks everything over. Tells `progress` what it looks at.
    pub async fn examine(&self, progress: &mut dyn FnMut(&'static str)) -> Vec<Finding> {
        let config = &self.loaded.config;
        let ledger = LedgerFile::new(&config.ledger.path);
        let mut findings = Vec::new();
        progress("ledger");
        let health = ledger.path().exists().then(|| ledger.health(self.now()));
        progress("configuration");
        terms::look(self, &mut findings);
        progress("files and disk");
        machine::files(self, &ledger, &mut findings);
        let growth = health.as_ref().and_then(|health| health.as_ref().ok()?.bytes_per_day);
        machine::disk(&ledger, growth, self.clock, &mut findings);
        books::look(&ledger, health, self.now(), &mut findings);
        progress("listeners and limits");
        machine::listeners(config, ledger.is_served(), &mut findings);
        machine::limits(config, &ledger, &mut findings);
        if !self.offline {
            progress("vendors");
            vendors::look(self, &mut findings).await;
        }
        findings
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The worst of them; everything is fine where there are none.
pub fn worst(findings: &[Finding]) -> State {
    findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok)
}
