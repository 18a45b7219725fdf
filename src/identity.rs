//! Who asks: keys, the residents behind them, and the proof of it that later stages hold.
//!
//! A resident is a random pseudonym with a plan. A key has 256 bits of chance, is shown once and kept as a hash. It must
//! not know quotas in use, routing or vendors.

mod extractor;
mod key;
mod secret;

pub use extractor::{Directory, Door, IdentityError, bearer};
pub use key::{ApiKey, new_resident_key};
pub use secret::InstanceSecret;

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Plan, Residency};
use crate::ledger::{Assignment, DUELS_ACCOUNT, KeyRecord, PROBES_ACCOUNT, Sighting};
use crate::terms::Terms;

/// Proof of a live key and a resident who is not suspended, which only the extractor makes; or an account of the town's
/// own, which only the town's comparison asks with.
#[derive(Debug)]
#[must_use]
pub struct Authenticated {
    key: Arc<KeyRecord>,
    key_seen: Sighting,
    plan: Arc<Plan>,
    terms: Arc<Terms>,
    assignment: Assignment,
}

/// What the town itself asks vendors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TownAccount {
    /// Questions of its basket.
    Probes,
    /// The two answers of a blind duel.
    Duels,
}

impl Authenticated {
    /// The town, with an account whose budget is its own. It has no key: nothing is to be revoked.
    pub fn town(account: TownAccount, terms: Arc<Terms>) -> Self {
        let (name, plan, assignment) = match account {
            TownAccount::Probes => (PROBES_ACCOUNT, &terms.comparison.probes, Assignment::Probe),
            TownAccount::Duels => (DUELS_ACCOUNT, &terms.comparison.duels, Assignment::Duel),
        };
        let key = KeyRecord {
            key_id: name.to_owned(),
            resident: name.to_owned(),
            plan: plan.name.clone(),
            created_at: Timestamp::UNIX_EPOCH,
            revoked_at: None,
            suspended_at: None,
        };
        let plan = Arc::clone(plan);
        Self { key: Arc::new(key), key_seen: Sighting::default(), plan, terms, assignment }
    }

    /// The same, for somebody whose own plan may require a region: the stricter rule holds.
    pub fn within(mut self, hosts: Residency) -> Self {
        let stricter = self.plan.hosts.and(hosts);
        if stricter != self.plan.hosts {
            Arc::make_mut(&mut self.plan).hosts = stricter;
        }
        self
    }

    /// How a model asked for by name counts: chosen by a resident, or part of the town's comparison.
    pub fn assignment(&self) -> Assignment {
        self.assignment
    }

    /// Pseudonym of the resident.
    pub fn resident(&self) -> &str {
        &self.key.resident
    }

    /// Public id of the key.
    pub fn key_id(&self) -> &str {
        &self.key.key_id
    }

    /// When the key was found live.
    pub fn key_seen(&self) -> Sighting {
        self.key_seen
    }

    /// The resident's plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The terms under which the request came in.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }
}
