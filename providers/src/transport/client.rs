//! The pooled HTTP client, sharded, and the innermost service of the stack.
//!
//! hyper opens one HTTP/2 connection per host and vendors allow about 100 streams on it; more would queue inside the
//! client. Each shard has its own connections, and a call takes the first shard with room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::multipart::{Form as Multipart, Part};
use tower::Service;

use super::{BodyStream, Form, UpstreamBody, UpstreamRequest, UpstreamResponse};
use crate::Dialect;
use crate::error::{ErrorKind, ProviderError};

/// Streams per shard: below the 100 that vendors advertise.
const STREAMS_PER_SHARD: usize = 90;
/// Shards per vendor; past `STREAMS_PER_SHARD × MAX_SHARDS` streams the emptiest shard is shared.
const MAX_SHARDS: usize = 128;
/// An error body is a sentence; more is not read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

#[derive(Default)]
struct Shard {
    client: OnceLock<reqwest::Client>,
    open: AtomicUsize,
}

/// HTTP clients towards one vendor, built as they are needed.
pub struct ClientPool {
    shards: Vec<Arc<Shard>>,
    connect: Duration,
}

/// Counts one open call on a shard until it is dropped.
pub(super) struct ShardGuard(Arc<Shard>);

impl Drop for ShardGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Chooses the process's cryptography. Installing twice is harmless: the first one stays.
pub(super) fn install_crypto() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}

impl ClientPool {
    /// An empty pool with that connect deadline.
    pub fn new(connect: Duration) -> Self {
        install_crypto();
        Self { shards: std::iter::repeat_with(Arc::default).take(MAX_SHARDS).collect(), connect }
    }

    /// Shards in use so far.
    pub fn shards_built(&self) -> usize {
        self.shards.iter().filter(|shard| shard.client.get().is_some()).count()
    }

    pub(super) fn take(&self) -> Result<(reqwest::Client, ShardGuard), ProviderError> {
        let free = |shard: &&Arc<Shard>| {
            let taken = shard.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < STREAMS_PER_SHARD).then_some(open + 1)
            });
            taken.is_ok()
        };
        let shard = match self.shards.iter().find(free) {
            Some(shard) => shard,
            None => {
                let emptiest = self.shards.iter().min_by_key(|shard| shard.open.load(Ordering::Relaxed));
                let shard = emptiest.ok_or_else(|| ProviderError::new(ErrorKind::Busy, "No client."))?;
                shard.open.fetch_add(1, Ordering::Relaxed);
                shard
            }
        };
        let guard = ShardGuard(Arc::clone(shard));
        if let Some(client) = shard.client.get() {
            return Ok((client.clone(), guard));
        }
        let client = self.build()?;
        Ok((shard.client.get_or_init(|| client).clone(), guard))
    }

    fn build(&self) -> Result<reqwest::Client, ProviderError> {
        reqwest::Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect)
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_secs(60))
            .http2_adaptive_window(true)
            // A redirect would carry the vendor's key to an address that the configuration never named.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| ProviderError::new(ErrorKind::Connect, "The HTTP client could not be built."))
    }
}

/// Sends a call and reads the head of the answer; a status that is not a success becomes an error.
#[derive(Clone)]
pub struct HttpService {
    pool: Arc<ClientPool>,
    dialect: Dialect,
}

impl HttpService {
    /// A service over `pool` that reads errors in `dialect`.
    pub fn new(pool: Arc<ClientPool>, dialect: Dialect) -> Self {
        Self { pool, dialect }
    }
}

impl Service<UpstreamRequest> for HttpService {
    type Response = UpstreamResponse;
    type Error = ProviderError;
    type Future = BoxFuture<'static, Result<UpstreamResponse, ProviderError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        let pool = Arc::clone(&self.pool);
        let dialect = self.dialect;
        Box::pin(async move { send(&pool, dialect, request).await })
    }
}

async fn send(
    pool: &ClientPool,
    dialect: Dialect,
    request: UpstreamRequest,
) -> Result<UpstreamResponse, ProviderError> {
    let (client, guard) = pool.take()?;
    let mut outgoing = client
        .post(request.url)
        .header(ACCEPT, HeaderValue::from_static(if request.stream { "text/event-stream" } else { "application/json" }))
        .header("x-client-request-id", request.request_id);
    outgoing = match request.body {
        UpstreamBody::Json(body) => {
            outgoing.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body)
        }
        UpstreamBody::Form(form) => outgoing.multipart(multipart(form)),
    };
    if let Some(key) = request.authorization {
        outgoing = outgoing.header(AUTHORIZATION, key);
    }
    let answer = outgoing.send().await.map_err(|error| transport_error(&error))?;
    let status = answer.status();
    let headers = answer.headers().clone();
    let body: BodyStream = Box::pin(answer.bytes_stream().map(move |chunk| {
        let _counted_until_the_body_is_dropped = &guard;
        chunk.map_err(|_| ProviderError::new(ErrorKind::Cut, "The vendor's answer was cut."))
    }));
    if status.is_success() {
        return Ok(UpstreamResponse { status, headers, body });
    }
    let text = read_bounded(body, MAX_ERROR_BODY_BYTES).await.unwrap_or_default();
    Err(crate::upstream::status_error(dialect, status, &headers, &text))
}

/// A form as it goes over the wire.
fn multipart(form: Form) -> Multipart {
    let Form { fields, file } = form;
    let body = reqwest::Body::wrap_stream(file.read());
    let mut part = Part::stream_with_length(body, file.length()).file_name(file.vendor_name());
    if let Some(kind) = file.content_type() {
        let headers = HeaderValue::from_str(kind).map(|kind| HeaderMap::from_iter([(CONTENT_TYPE, kind)]));
        part = part.headers(headers.unwrap_or_default());
    }
    // The fields first: who reads them knows what to do with the file when it comes.
    fields.into_iter().fold(Multipart::new(), |form, (name, value)| form.text(name, value)).part("file", part)
}

/// Sentences only: reqwest's own text would carry the address.
pub(super) fn transport_error(error: &reqwest::Error) -> ProviderError {
    if error.is_connect() {
        ProviderError::new(ErrorKind::Connect, "The vendor cannot be reached.")
    } else {
        // Sent, or perhaps sent: it may have been billed.
        ProviderError::new(ErrorKind::Cut, "The connection to the vendor broke before it answered.")
    }
}

/// Reads at most `limit` bytes of a body; what is beyond is dropped.
async fn read_bounded(mut body: BodyStream, limit: usize) -> Result<BytesMut, ProviderError> {
    let mut text = BytesMut::new();
    while let Some(chunk) = body.try_next().await? {
        let room = limit.saturating_sub(text.len()).min(chunk.len());
        text.extend_from_slice(&chunk[..room]);
        if room < chunk.len() {
            break;
        }
    }
    Ok(text)
}
