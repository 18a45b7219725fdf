//! From `Authorization: Bearer psk-…` to [`Authenticated`].

mod door;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::{ApiKey, Authenticated};
use crate::ledger::{Assignment, KeyRecord, Ledger, Sighting, StoreError};
use crate::terms::CurrentTerms;

pub use door::Door;

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key was sent.
    #[error("no key was sent")]
    Missing,
    /// The key is unknown or revoked, or its resident suspended. Which of them is nobody's business.
    #[error("the key is not valid")]
    Invalid,
    /// Too many wrong keys came from the same address: this one is not looked at for as long.
    #[error("too many wrong keys came from this address")]
    TooManyWrong(Duration),
    /// The store could not be asked: that is not the resident's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The resident's plan is no longer configured.
    #[error("the plan `{0}` is not configured")]
    UnknownPlan(String),
}

/// Where keys are looked up.
#[derive(Clone, Debug)]
pub struct Directory {
    ledger: Ledger,
    terms: CurrentTerms,
    door: Door,
}

impl Directory {
    /// A directory over the ledger's keys and the plans in force, open to everybody.
    pub fn new(ledger: Ledger, terms: CurrentTerms) -> Self {
        Self { ledger, terms, door: Door::default() }
    }

    /// The same behind a door.
    pub fn behind(self, door: Door) -> Self {
        Self { door, ..self }
    }

    /// What it stands behind.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Lets `look` look the key of a request up, unless too many wrong ones came from the same address. A key that was
    /// right lately passes all the same: a house does not wait for its neighbour's mistakes.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn look_up(
        &self,
        parts: &Parts,
        look: impl FnOnce(&ApiKey) -> Result<Authenticated, IdentityError>,
    ) -> Result<Authenticated, IdentityError> {
        let key = bearer(parts)?;
        if let Some(wait) = self.door.closed_for(parts, || self.ledger.remembers_key(&key.hash())) {
            return Err(IdentityError::TooManyWrong(wait));
        }
        let found = look(&key);
        if matches!(found, Err(IdentityError::Invalid)) {
            self.door.count_wrong(parts);
        }
        found
    }

    /// Recognises a key. The store is asked every time, so a key revoked a moment ago is refused.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn authenticate(&self, key: &ApiKey) -> Result<Authenticated, IdentityError> {
        self.live(self.ledger.find_key(&key.hash())?.map(|key| (Arc::new(key), Sighting::default())))
    }

    /// The same for somebody who is about to ask a vendor. A live key may be remembered from the last time: one revoked
    /// since is refused when the money is to be held.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn recognise(&self, key: &ApiKey) -> Result<Authenticated, IdentityError> {
        self.live(self.ledger.find_recent_key(&key.hash())?)
    }

    fn live(&self, found: Option<(Arc<KeyRecord>, Sighting)>) -> Result<Authenticated, IdentityError> {
        let (key, key_seen) = found.filter(|(key, _)| key.is_live()).ok_or(IdentityError::Invalid)?;
        let terms = self.terms.get();
        let plan = terms.plans.get(&key.plan).cloned().ok_or_else(|| IdentityError::UnknownPlan(key.plan.clone()))?;
        Ok(Authenticated { key, key_seen, plan, terms, assignment: Assignment::Chosen })
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Directory: FromRef<S>,
{
    type Rejection = IdentityError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, IdentityError> {
        let directory = Directory::from_ref(state);
        directory.look_up(parts, |key| directory.authenticate(key))
    }
}

/// The key that a request carries.
///
/// # Errors
/// [`IdentityError::Missing`] without one, [`IdentityError::Invalid`] for what cannot be one.
pub fn bearer(parts: &Parts) -> Result<ApiKey, IdentityError> {
    let header = parts.headers.get(AUTHORIZATION).ok_or(IdentityError::Missing)?;
    let text = header.to_str().map_err(|_| IdentityError::Invalid)?;
    let (scheme, token) = text.split_once(' ').ok_or(IdentityError::Invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentityError::Invalid);
    }
    ApiKey::parse(token.trim()).ok_or(IdentityError::Invalid)
}
