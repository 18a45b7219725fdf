//! The mairie's token: who has it may read and stop, and it may be replaced while the process serves.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{ApiError, AppState};
use crate::identity::IdentityError;

/// The token in force, or none. Cheap to clone; it does not print.
#[derive(Clone, Debug, Default)]
pub struct MairieToken(Arc<RwLock<Option<SecretString>>>);

impl MairieToken {
    /// That token from now on.
    pub fn new(token: Option<SecretString>) -> Self {
        Self(Arc::new(RwLock::new(token)))
    }

    /// Another token, for requests that come from now on.
    pub fn replace(&self, token: Option<SecretString>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Whether `sent` is the token; nothing where there is none.
    fn is(&self, sent: &str) -> Option<bool> {
        let token = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let token = token.as_ref()?.expose_secret();
        // Comparing hashes tells nothing about the token by its timing.
        Some(Sha256::digest(sent.as_bytes()) == Sha256::digest(token.as_bytes()))
    }
}

/// Proof that a request carries the mairie's token, which only the extractor makes.
pub(super) struct Mairie(());

impl FromRequestParts<AppState> for Mairie {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let door = state.directory.door();
        // People choose tokens, and poor ones can be guessed: the right one waits too while somebody at its address tries.
        if let Some(wait) = door.closed_for(parts, || false) {
            return Err(IdentityError::TooManyWrong(wait).into());
        }
        let sent = parts.headers.get(header::AUTHORIZATION);
        let sent = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match state.mairie_token.is(sent.unwrap_or_default()) {
            None => Err(ApiError::forbidden(
                "This listener has no token yet: set mairie.token (or PASSERELLE__MAIRIE__TOKEN, or mairie.token_file).",
            )),
            Some(true) => Ok(Self(())),
            Some(false) => {
                if sent.is_some() {
                    door.count_wrong(parts);
                }
                Err(ApiError::forbidden("The mairie's token is missing or wrong (Authorization: Bearer …)."))
            }
        }
    }
}
