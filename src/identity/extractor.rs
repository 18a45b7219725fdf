//! From `Authorization: Bearer psk-…` to [`Authenticated`].

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::{ApiKey, Authenticated};
use crate::ledger::{Ledger, StoreError};
use crate::terms::CurrentTerms;

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key was sent.
    #[error("no key was sent")]
    Missing,
    /// The key is unknown or revoked, or its resident suspended. Which of them is nobody's business.
    #[error("the key is not valid")]
    Invalid,
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
}

impl Directory {
    /// A directory over the ledger's keys and the plans in force.
    pub fn new(ledger: Ledger, terms: CurrentTerms) -> Self {
        Self { ledger, terms }
    }

    /// Recognises a key. The store is asked every time, so a key revoked a moment ago is refused.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn authenticate(&self, key: &ApiKey) -> Result<Authenticated, IdentityError> {
        let record = self.ledger.find_key(&key.hash())?.ok_or(IdentityError::Invalid)?;
        if record.revoked_at.is_some() || record.suspended_at.is_some() {
            return Err(IdentityError::Invalid);
        }
        let terms = self.terms.get();
        let plan = terms.plans.get(&record.plan).cloned().ok_or(IdentityError::UnknownPlan(record.plan))?;
        Ok(Authenticated { resident: record.resident, key_id: record.key_id, plan, terms })
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Directory: FromRef<S>,
{
    type Rejection = IdentityError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, IdentityError> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(IdentityError::Missing)?;
        let text = header.to_str().map_err(|_| IdentityError::Invalid)?;
        let (scheme, token) = text.split_once(' ').ok_or(IdentityError::Invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(IdentityError::Invalid);
        }
        let key = ApiKey::parse(token.trim()).ok_or(IdentityError::Invalid)?;
        Directory::from_ref(state).authenticate(&key)
    }
}
