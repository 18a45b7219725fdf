//! One small document to an address of the operator's own, with a deadline: webhooks, a collector of traces.
//!
//! It must not know what is told, nor try again.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};

use super::client::install_crypto;
use super::{BodyStream, read_whole};
use crate::error::{ErrorKind, ProviderError};

/// Longest answer that is read, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Documents are JSON, unless it is said otherwise.
const JSON: &str = "application/json";

/// What a receiver said to a document.
#[derive(Clone, Debug)]
pub struct Taken {
    /// HTTP status.
    pub status: u16,
    /// How long it asks to wait, where it does so in seconds.
    pub retry_after: Option<Duration>,
    /// What it answers.
    pub body: Bytes,
}

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
        Self::built(Self::builder(deadline))
    }

    /// A sender to a process of ours: the system's proxy is not asked, and no certificate is looked for or trusted, so that
    /// none need be installed.
    ///
    /// # Errors
    /// As [`Notifier::new`].
    pub fn to_ourselves(deadline: Duration) -> Result<Self, String> {
        Self::built(Self::builder(deadline).no_proxy().tls_certs_only([]))
    }

    fn builder(deadline: Duration) -> reqwest::ClientBuilder {
        install_crypto();
        reqwest::Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .timeout(deadline)
            // The signature is for the address that was configured, and no other.
            .redirect(reqwest::redirect::Policy::none())
    }

    fn built(builder: reqwest::ClientBuilder) -> Result<Self, String> {
        let client = builder.build();
        client.map(|client| Self { client }).map_err(|error| format!("the HTTP client cannot be built: {error}"))
    }

    /// Posts `body` with these headers beside its media type; gives the status.
    ///
    /// # Errors
    /// A sentence without the address, which may hold a secret.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: Bytes) -> Result<u16, String> {
        Ok(self.send(Method::POST, url, JSON, headers, body).await?.status().as_u16())
    }

    /// Posts `body`, or gets the document where there is none; gives the status and what is answered.
    ///
    /// # Errors
    /// A sentence without the address, which may hold a secret; also for an answer longer than a mebibyte.
    pub async fn call(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: Option<Bytes>,
    ) -> Result<(u16, Bytes), String> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let body = body.unwrap_or_default();
        let answer = self.send(method, url, JSON, headers, body).await?;
        Ok((answer.status().as_u16(), read(answer).await?))
    }

    /// Posts `body` as that media type; gives everything that is to be known of the answer.
    ///
    /// # Errors
    /// As [`Notifier::call`].
    pub async fn hand_over(
        &self,
        url: &str,
        media_type: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Taken, String> {
        let answer = self.send(Method::POST, url, media_type, headers, body).await?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
        Ok(Taken { status, retry_after, body: read(answer).await? })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        media_type: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<reqwest::Response, String> {
        let mut request = self.client.request(method, url).header(CONTENT_TYPE, media_type).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.map_err(|error| error.without_url().to_string())
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn read(answer: reqwest::Response) -> Result<Bytes, String> {
    let cut = |_| ProviderError::new(ErrorKind::Cut, "The answer was cut.");
    let stream: BodyStream = Box::pin(answer.bytes_stream().map_err(cut));
    read_whole(stream, MOST_BYTES).await.map_err(|error| error.message)
}
