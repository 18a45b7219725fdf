//! Reading a document from a vendor's administration: one address, one key, deadlines and a bound on bytes.
//!
//! It must not know what the documents say.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::client::{ClientPool, transport_error};
use super::{BodyStream, read_whole};
use crate::error::{ErrorKind, ProviderError};

/// To connect.
const CONNECT: Duration = Duration::from_secs(10);
/// For a whole document.
const TOTAL: Duration = Duration::from_secs(60);
/// Longest document: a month of a large organisation is a few megabytes.
const MOST_BYTES: usize = 64 << 20;
/// Of a refusal only so much is read.
const MOST_REFUSAL_BYTES: usize = 64 << 10;

/// How the key of an administrator is sent.
pub enum AdminKey<'a> {
    /// As `Authorization: Bearer`.
    Bearer(&'a SecretString),
    /// In a header of that name.
    Header(&'static str, &'a SecretString),
}

/// Reads documents.
pub struct Getter {
    pool: ClientPool,
}

impl Getter {
    /// A reader with connections of its own.
    ///
    /// # Errors
    /// [`ProviderError`] when the client cannot be built.
    pub fn new() -> Result<Self, ProviderError> {
        let pool = ClientPool::new(CONNECT);
        pool.take()?;
        Ok(Self { pool })
    }

    /// Reads one document.
    ///
    /// # Errors
    /// [`ProviderError`]: not reached, refused, too slow, or longer than 64 MiB. Its message names neither key nor
    /// address.
    pub async fn get(&self, url: &str, query: &[(&str, &str)], key: &AdminKey<'_>) -> Result<Bytes, ProviderError> {
        tokio::time::timeout(TOTAL, self.read(url, query, key))
            .await
            .map_err(|_| ProviderError::new(ErrorKind::TotalTimeout, "The vendor did not answer within a minute."))?
    }

    async fn read(&self, url: &str, query: &[(&str, &str)], key: &AdminKey<'_>) -> Result<Bytes, ProviderError> {
        let wrong = |message: &str| ProviderError::new(ErrorKind::InvalidRequest, message);
        let (client, _counted) = self.pool.take()?;
        let url = reqwest::Url::parse_with_params(url, query).map_err(|_| wrong("The address is no URL."))?;
        let (name, secret) = match key {
            AdminKey::Bearer(secret) => (AUTHORIZATION, format!("Bearer {}", secret.expose_secret())),
            AdminKey::Header(name, secret) => (HeaderName::from_static(name), secret.expose_secret().to_owned()),
        };
        let mut value = HeaderValue::from_str(&secret)
            .map_err(|_| wrong("The key holds characters that a header cannot carry."))?;
        value.set_sensitive(true);
        let request = client.get(url).header(ACCEPT, HeaderValue::from_static("application/json")).header(name, value);
        let answer = request.send().await.map_err(|error| transport_error(&error))?;
        let status = answer.status();
        let body: BodyStream = Box::pin(
            answer.bytes_stream().map_err(|_| ProviderError::new(ErrorKind::Cut, "The vendor's answer was cut.")),
        );
        if status.is_success() {
            return read_whole(body, MOST_BYTES).await;
        }
        // The refusal is read to keep the connection; what it says may quote the key.
        let _refusal = read_whole(body, MOST_REFUSAL_BYTES).await;
        let mut error = ProviderError::new(
            if matches!(status.as_u16(), 401 | 403) { ErrorKind::Auth } else { ErrorKind::Server },
            if matches!(status.as_u16(), 401 | 403) {
                "The vendor refuses the key: an administrator's key is needed."
            } else {
                "The vendor refuses to show its figures."
            },
        );
        error.status = Some(status.as_u16());
        Err(error)
    }
}
