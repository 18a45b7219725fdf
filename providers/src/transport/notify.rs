//! One small JSON document to an address of the operator's own, with a deadline: webhooks.
//!
//! It must not know what is told, nor try again.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::client::install_crypto;

/// Sends documents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    client: reqwest::Client,
}

impl Notifier {
    /// A sender that gives up after `deadline`, the connection included.
    ///
    /// # Errors
    /// A sentence when the client cannot be built.
    pub fn new(deadline: Duration) -> Result<Self, String> {
        install_crypto();
        let client = reqwest::Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .timeout(deadline)
            // The signature is for the address that was configured, and no other.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        client.map(|client| Self { client }).map_err(|error| format!("the HTTP client cannot be built: {error}"))
    }

    /// Posts `body` with these headers beside its media type; gives the status.
    ///
    /// # Errors
    /// A sentence without the address, which may hold a secret.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: Bytes) -> Result<u16, String> {
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        Ok(answer.status().as_u16())
    }
}
