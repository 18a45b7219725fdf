//! Who asks: keys, the residents behind them, and the proof of it that later stages hold.
//!
//! A resident is a random pseudonym with a plan. A key has 256 bits of chance, is shown once and kept as a hash. It must
//! not know quotas in use, routing or vendors.

mod extractor;
mod key;
mod secret;

pub use extractor::{Directory, IdentityError, bearer};
pub use key::{ApiKey, new_resident_key};
pub use secret::InstanceSecret;

use std::sync::Arc;

use crate::config::Plan;
use crate::ledger::{KeyRecord, Sighting};
use crate::terms::Terms;

/// Proof of a live key and a resident who is not suspended. Only the extractor makes it.
#[derive(Debug)]
#[must_use]
pub struct Authenticated {
    key: Arc<KeyRecord>,
    key_seen: Sighting,
    plan: Arc<Plan>,
    terms: Arc<Terms>,
}

impl Authenticated {
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
