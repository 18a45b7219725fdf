//! The pooled HTTP client, sharded, and the innermost service of the stack.
//!
//! hyper opens one HTTP/2 connection per host and vendors allow about 100 streams on it; more would queue inside the
//! client. Each shard has its own connections, and a call takes the first shard with room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use reqwest::RequestBuilder;
use reqwest::multipart::{Form as Multipart, Part};
use tokio::time::Instant;

use super::signs::Heads;
use super::{Form, TraceHeaders, UpstreamBody, UpstreamRequest, UpstreamResponse};
use crate::Dialect;
use crate::error::{ErrorKind, ProviderError};

/// Streams per shard: below the 100 that vendors advertise.
const STREAMS_PER_SHARD: usize = 90;
/// Bytes of one answer that may wait for a slow client, over HTTP/2: 4 MB/s at a distance of 30 ms. Not adaptive: that
/// gives a stream as much as its whole connection, and one answer that nobody reads then stops all others there.
const STREAM_WINDOW: u32 = 128 << 10;
/// Room for every stream of a shard at once.
const CONNECTION_WINDOW: u32 = STREAMS_PER_SHARD as u32 * STREAM_WINDOW;
/// Shards per vendor; past `STREAMS_PER_SHARD × MAX_SHARDS` streams the emptiest shard is shared.
const MAX_SHARDS: usize = 128;
/// Headers of a request, those that reqwest adds included.
const REQUEST_HEADERS: usize = 8;
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

    fn builder(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect)
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_secs(60))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            // A redirect would carry the vendor's key to an address that the configuration never named.
            .redirect(reqwest::redirect::Policy::none())
    }

    fn build(&self) -> Result<reqwest::Client, ProviderError> {
        self.builder()
            .build()
            .map_err(|_| ProviderError::new(ErrorKind::Connect, "The HTTP client could not be built."))
    }
}

/// Sends a call and reads the head of the answer; a status that is not a success becomes an error, read in `dialect`.
///
/// The innermost service of the stack. The request is put together by hand: a builder looks up each header's name anew.
pub(super) async fn send(
    pool: Arc<ClientPool>,
    heads: Arc<Heads>,
    dialect: Dialect,
    request: UpstreamRequest,
) -> Result<UpstreamResponse<impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + 'static>, ProviderError>
{
    let (client, guard) = pool.take()?;
    let outgoing = outgoing(&client, request).map_err(|error| transport_error(&error))?;
    let mut answer = client.execute(outgoing).await.map_err(|error| transport_error(&error))?;
    let status = answer.status();
    let headers = std::mem::take(answer.headers_mut());
    heads.note(&headers, Instant::now());
    let body = answer.bytes_stream().map(move |chunk| {
        let _counted_until_the_body_is_dropped = &guard;
        chunk.map_err(|_| ProviderError::new(ErrorKind::Cut, "The vendor's answer was cut."))
    });
    if status.is_success() {
        return Ok(UpstreamResponse { status, headers, body });
    }
    let text = read_bounded(body, MAX_ERROR_BODY_BYTES).await.unwrap_or_default();
    Err(crate::upstream::status_error(dialect, status, &headers, &text))
}

/// A call as reqwest sends it.
fn outgoing(client: &reqwest::Client, request: UpstreamRequest) -> reqwest::Result<reqwest::Request> {
    let mut outgoing = reqwest::Request::new(Method::POST, request.url);
    let headers = outgoing.headers_mut();
    headers.reserve(REQUEST_HEADERS);
    let accept = if request.stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Ok(id) = HeaderValue::try_from(request.request_id) {
        headers.insert(HeaderName::from_static("x-client-request-id"), id);
    }
    if let Some(key) = request.authorization {
        headers.insert(AUTHORIZATION, key);
    }
    if let Some(trace) = request.trace {
        put_trace(headers, trace);
    }
    match request.body {
        UpstreamBody::Json(body) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *outgoing.body_mut() = Some(body.into());
            Ok(outgoing)
        }
        UpstreamBody::Form(form) => {
            RequestBuilder::from_parts(client.clone(), outgoing).multipart(multipart(form)).build()
        }
    }
}

fn put_trace(headers: &mut HeaderMap, trace: TraceHeaders) {
    let TraceHeaders { traceparent, tracestate } = trace;
    for (name, value) in [("traceparent", traceparent), ("tracestate", tracestate)] {
        if let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
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
async fn read_bounded(
    mut body: impl Stream<Item = Result<Bytes, ProviderError>> + Unpin,
    limit: usize,
) -> Result<BytesMut, ProviderError> {
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// What a connection may hold before its client says otherwise (RFC 9113, 6.9.2).
    const FIRST_WINDOW: u32 = 65_535;

    fn number(bytes: &[u8]) -> u32 {
        bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// The windows, of a stream and of the connection, that our client announces.
    async fn announced() -> (u32, u32) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = ClientPool::new(Duration::from_secs(5)).builder().http2_prior_knowledge().build().unwrap();
        let read = async {
            let (mut vendor, _) = listener.accept().await.unwrap();
            let mut preface = vec![0; PREFACE.len()];
            vendor.read_exact(&mut preface).await.unwrap();
            assert_eq!(preface, PREFACE);
            let (mut stream, mut connection) = (FIRST_WINDOW, FIRST_WINDOW);
            loop {
                let mut head = [0; 9];
                vendor.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; usize::try_from(number(&head[..3])).unwrap()];
                vendor.read_exact(&mut payload).await.unwrap();
                match head[3] {
                    4 => {
                        let window = payload.chunks(6).find(|setting| setting[1] == 4);
                        stream = window.map_or(stream, |setting| number(&setting[2..]));
                    }
                    8 => connection += number(&payload),
                    // The question's own head: everything about the connection came before it.
                    1 => return (stream, connection),
                    _ => {}
                }
            }
        };
        let unanswered = client.get(format!("http://{address}/")).send();
        tokio::select! { announced = read => announced, answer = unanswered => panic!("nobody answered: {answer:?}") }
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_leave_the_others_on_their_connection_room() {
        let (stream, connection) = announced().await;
        let streams = u32::try_from(STREAMS_PER_SHARD).unwrap();
        assert!(connection / streams >= stream, "{stream} bytes a stream, {connection} for all {streams}");
    }
}
