//! Addresses and the key of a vendor in the form in which they are sent, made once and not for every call.

use std::sync::{PoisonError, RwLock};

use http::HeaderValue;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{ErrorKind, ProviderError};

/// Whole addresses by base address and path: as many as the configuration's hosts have endpoints.
#[derive(Debug, Default)]
pub(crate) struct Addresses(RwLock<Vec<(String, &'static str, Url)>>);

impl Addresses {
    /// The address of `path` at a host.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] for a base address that is none.
    pub(crate) fn of(&self, base_url: &str, path: &'static str) -> Result<Url, ProviderError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let same = |(base, end, _): &&(String, &str, Url)| base == base_url && *end == path;
        if let Some((_, _, url)) = known.iter().find(same) {
            return Ok(url.clone());
        }
        drop(known);
        let url = Url::parse(&format!("{base_url}{path}"));
        let url = url.map_err(|_| ProviderError::new(ErrorKind::Connect, "The vendor's address is none."))?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((base_url.to_owned(), path, url.clone()));
        Ok(url)
    }
}

/// The header that carries a key; none for an empty one.
///
/// # Errors
/// [`ErrorKind::Auth`] for a key that a header cannot carry.
pub(crate) fn authorization(key: &SecretString) -> Result<Option<HeaderValue>, ProviderError> {
    if key.expose_secret().is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| {
        ProviderError::new(ErrorKind::Auth, "The vendor's key holds characters that a header cannot carry.")
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}
