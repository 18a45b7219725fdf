//! The accept loop of a listener: how many connections may be open, how long each may stand still, what each may buffer.
//!
//! It must not look into requests: which of them are answered, and with what, is the router's.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use futures_util::TryFutureExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::tls::Tls;
use crate::config::ConnectionConfig;

/// Most bytes that a connection of HTTP/1.1 buffers in each direction. The head of a request must fit.
const BUFFER_BYTES: usize = 64 << 10;
/// Longest head of a request over HTTP/2, in bytes.
const HTTP2_HEAD_BYTES: u32 = 64 << 10;
/// Requests open at once on one connection of HTTP/2.
const HTTP2_STREAMS: u32 = 128;
/// Bytes of one body that a client may send over HTTP/2 before they are read, …
const HTTP2_STREAM_WINDOW: u32 = 128 << 10;
/// … and of all bodies on one connection: several can stand still before the others there do.
const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;
/// How long to wait when the system gives no connection, for want of file descriptors most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener`, within TLS where there is some, until `settled`; then lets each connection end its last
/// answer.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: &ConnectionConfig,
    settled: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.max.min(Semaphore::MAX_PERMITS)));
    let protocols = Arc::new(protocols());
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = settled.cancelled() => None,
        };
        let Some((stream, peer, place)) = accepted else { break };
        let until = Instant::now() + limits.header_read;
        // A token must not wait for the next one.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let (tls, router, protocols) = (tls.clone(), router.clone(), Arc::clone(&protocols));
        let (limits, settled) = (limits.clone(), settled.clone());
        connections.spawn(async move {
            match tls {
                None => hold(stream, peer, until, router, &protocols, &limits, &settled).await,
                // In a box: connections without TLS are not to take the room of those with it.
                Some(tls) => {
                    Box::pin(async {
                        // Within this connection's task and its place: who is slow keeps nobody else waiting.
                        let shaken = tokio::select! {
                            shaken = tls.accept(stream, until) => shaken,
                            () = settled.cancelled() => None,
                        };
                        if let Some(stream) = shaken {
                            hold(stream, peer, until, router, &protocols, &limits, &settled).await;
                        }
                    })
                    .await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection, once there is a place for it: who comes when all are taken waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            // The client left before its turn.
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// HTTP/1.1 and HTTP/2, told apart by the first bytes, with buffers that many connections can afford.
fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // What stands still is seen by `hold`: one timer a connection, and none to be set for each request.
    builder.http1().header_read_timeout(None).max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .max_concurrent_streams(HTTP2_STREAMS)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_send_buf_size(BUFFER_BYTES)
        .max_header_list_size(HTTP2_HEAD_BYTES);
    builder
}

/// Serves one connection until it ends, asks nothing for too long (at first `until` then), or leaves an answer unread for
/// too long.
async fn hold<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    until: Instant,
    router: Router,
    protocols: &Builder<TokioExecutor>,
    limits: &ConnectionConfig,
    settled: &CancellationToken,
) {
    let activity = Arc::new(Activity::default());
    let watched = Arc::clone(&activity);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let turn = Turn::ours(&watched);
        let mut request =
            request.map(|body| Body::new(AwaitedBody { body, activity: Arc::clone(&watched), awaited: false }));
        // The door counts wrong keys by it; routers are shared by all connections, so there is no typed way.
        request.extensions_mut().insert(ConnectInfo(peer));
        // A router is always ready.
        router.clone().call(request).map_ok(move |response| response.map(|body| turn.watch(body)))
    });
    let mut connection = pin!(protocols.serve_connection(TokioIo::new(stream), service));
    let mut look = pin!(sleep_until(until));
    let (mut steps, mut ending, mut last) = (0, false, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke");
                }
                return;
            }
            () = settled.cancelled(), if !last => {
                last = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let before = std::mem::replace(&mut steps, activity.steps.load(Ordering::Relaxed));
                let still = steps == before && !activity.waits_for_us();
                if still && (steps == 0 || ending) {
                    tracing::debug!("a connection that stood still is cut");
                    return;
                }
                if still {
                    // An answer that the client is still reading may yet end.
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                look.as_mut().reset(Instant::now() + limits.idle);
            }
        }
    }
}

/// Whether a connection moves. Counted and not timed: a clock read for each frame would cost more than all the rest.
#[derive(Default)]
struct Activity {
    /// Requests begun, frames of bodies in either direction, and answers ended, round and round.
    steps: AtomicU32,
    /// Requests that wait for us, …
    ours: AtomicU32,
    /// … if it is not for their own bodies: these wait for the client.
    awaited: AtomicU32,
}

impl Activity {
    fn waits_for_us(&self) -> bool {
        self.ours.load(Ordering::Relaxed) > self.awaited.load(Ordering::Relaxed)
    }
}

/// Whose turn it is with one request: ours until the answer begins and between its frames, the client's otherwise.
struct Turn {
    activity: Arc<Activity>,
    ours: bool,
}

impl Turn {
    fn ours(activity: &Arc<Activity>) -> Self {
        let mut turn = Self { activity: Arc::clone(activity), ours: false };
        turn.set(true);
        turn
    }

    fn set(&mut self, ours: bool) {
        self.activity.steps.fetch_add(1, Ordering::Relaxed);
        if ours && !self.ours {
            self.activity.ours.fetch_add(1, Ordering::Relaxed);
        } else if !ours && self.ours {
            self.activity.ours.fetch_sub(1, Ordering::Relaxed);
        }
        self.ours = ours;
    }

    fn watch(mut self, body: Body) -> WatchedBody {
        self.set(false);
        WatchedBody { body, turn: self }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// A request's body that tells whether we wait for its next frame.
struct AwaitedBody {
    body: Incoming,
    activity: Arc<Activity>,
    awaited: bool,
}

impl AwaitedBody {
    fn note(&mut self, awaited: bool) {
        if awaited && self.awaited {
            // Asked again, and nothing has come.
            return;
        }
        self.activity.steps.fetch_add(1, Ordering::Relaxed);
        if awaited {
            self.activity.awaited.fetch_add(1, Ordering::Relaxed);
        } else if self.awaited {
            self.activity.awaited.fetch_sub(1, Ordering::Relaxed);
        }
        self.awaited = awaited;
    }
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        self.note(false);
    }
}

impl HttpBody for AwaitedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.note(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that tells whether its next frame is asked for: it is not while the client reads nothing.
struct WatchedBody {
    body: Body,
    turn: Turn,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.turn.set(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
