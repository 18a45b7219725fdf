//! Whether a vendor's host answers, to whom, and how its clock stands: for whoever looks after the gateway. Nothing that
//! costs is asked.
//!
//! It must not know what a state of affairs means, nor try again.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use futures_util::TryStreamExt;
use http::header::{AUTHORIZATION, DATE};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::ClientPool;
use super::{BodyStream, authorization, read_whole};
use crate::error::{ErrorKind, ProviderError};

/// Longest list of models that is read, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// A host that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// HTTP status.
    pub status: u16,
    /// Time until the head of the answer, the connection included.
    pub latency: Duration,
    /// The host's time, to the second, where it says it.
    pub date: Option<Timestamp>,
    /// Ids and aliases of the models that it offers, where it lists them.
    pub models: Option<BTreeSet<String>>,
}

/// Why a host did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The address is none, or the key cannot be sent.
    #[error("the address or the key cannot be used: {0}")]
    Unusable(String),
    /// Its name is not known.
    #[error("its name is not found: {0}")]
    Name(String),
    /// Its certificate is not accepted.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// It speaks no TLS, or none that is accepted.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// No connection, or one that broke.
    #[error("no connection: {0}")]
    Connection(String),
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
}

/// Visits hosts.
pub struct Visitor {
    pool: ClientPool,
    patience: Duration,
}

impl Visitor {
    /// A visitor that waits for so long at each host.
    pub fn new(patience: Duration) -> Self {
        Self { pool: ClientPool::new(patience), patience }
    }

    /// Asks a host, by its base address, which models it offers to whoever has `key`.
    ///
    /// # Errors
    /// [`Unreachable`], which names neither key nor address, when no answer came.
    pub async fn models(&self, base_url: &str, key: &SecretString) -> Result<Visit, Unreachable> {
        let url = parse(&format!("{base_url}/models"))?;
        let start = Instant::now();
        let visit = async {
            resolve(&url).await?;
            let unusable = |error: ProviderError| Unreachable::Unusable(error.message);
            let (client, _counted) = self.pool.take().map_err(unusable)?;
            let mut request = client.get(url.clone());
            if let Some(value) = authorization(key).map_err(unusable)? {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = request.send().await.map_err(|error| reason(&error))?;
            let latency = start.elapsed();
            let status = answer.status();
            let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
            let date = date.and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
            let body: BodyStream = Box::pin(
                answer.bytes_stream().map_err(|_| ProviderError::new(ErrorKind::Cut, "The vendor's answer was cut.")),
            );
            // Read also when it is a refusal, but what that says may quote the key.
            let body = read_whole(body, MOST_BYTES).await.ok().filter(|_| status.is_success());
            Ok(Visit { status: status.as_u16(), latency, date, models: body.and_then(|body| names(&body)) })
        };
        tokio::time::timeout(self.patience, visit).await.unwrap_or(Err(Unreachable::Late(self.patience)))
    }

    /// Whether a connection to the host of an address is accepted; nothing is sent.
    ///
    /// # Errors
    /// [`Unreachable`], which does not name the address.
    pub async fn knock(&self, address: &str) -> Result<(), Unreachable> {
        let url = parse(address)?;
        let knock = async {
            let addresses = resolve(&url).await?;
            let connected = tokio::net::TcpStream::connect(addresses.as_slice()).await;
            connected.map(drop).map_err(|error| Unreachable::Connection(error.to_string()))
        };
        tokio::time::timeout(self.patience, knock).await.unwrap_or(Err(Unreachable::Late(self.patience)))
    }
}

fn parse(address: &str) -> Result<Url, Unreachable> {
    Url::parse(address).map_err(|error| Unreachable::Unusable(error.to_string()))
}

/// The host's addresses. Asked for by itself, so that a name that is not known is told from a host that is not there.
async fn resolve(url: &Url) -> Result<Vec<std::net::SocketAddr>, Unreachable> {
    let host = url.host_str().ok_or_else(|| Unreachable::Unusable("it has no host".to_owned()))?;
    let port = url.port_or_known_default().unwrap_or_default();
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    found.map(Iterator::collect).map_err(|error| Unreachable::Name(error.to_string()))
}

/// What is at the bottom of a failed request.
fn reason(error: &reqwest::Error) -> Unreachable {
    let mut last = String::new();
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        // An I/O error holds what it is made of, and names the source of that as its own.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inside = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = error.downcast_ref::<rustls::Error>().or(inside) {
            return match tls {
                rustls::Error::InvalidCertificate(what) => Unreachable::Certificate(what.to_string()),
                other => Unreachable::Tls(other.to_string()),
            };
        }
        last = error.to_string();
        next = error.source();
    }
    Unreachable::Connection(last)
}

fn names(body: &[u8]) -> Option<BTreeSet<String>> {
    let listed: Listed = serde_json::from_slice(body).ok()?;
    Some(listed.data.into_iter().flat_map(|model| std::iter::once(model.id).chain(model.aliases)).collect())
}
