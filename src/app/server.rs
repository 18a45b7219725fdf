//! The accept loop of a listener: how many connections may be open, how long each may stand still, what each may buffer.
//!
//! It must not look into requests: which of them are answered, and with what, is the router's.

mod turns;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Version};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use self::turns::{Activity, AwaitedBody, Turn};
use super::gate::{Entering, Gate, Pass, Place};
use super::relay::{self, Door, pass_on};
use super::tls::Tls;
use crate::config::ConnectionConfig;
use crate::http::ApiError;
use crate::telemetry::{Counted, metrics};

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

/// What the connections of one listener share.
pub(super) struct Hall {
    door: Door,
    tls: Option<Tls>,
    router: Router,
    protocols: Builder<TokioExecutor>,
    limits: ConnectionConfig,
    gate: Gate,
    settled: CancellationToken,
    places: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Hall {
    /// Of a listener whose requests `router` answers while `gate` is open, until `settled`; within TLS where there is some.
    pub(super) fn new(
        door: Door,
        tls: Option<Tls>,
        router: Router,
        limits: &ConnectionConfig,
        gate: &Gate,
        settled: &CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            door,
            tls,
            router,
            protocols: protocols(),
            limits: limits.clone(),
            gate: gate.clone(),
            settled: settled.clone(),
            places: Arc::new(Semaphore::new(limits.max.min(Semaphore::MAX_PERMITS))),
            connections: TaskTracker::new(),
        })
    }

    /// Accepts on `listener` until all is settled or another process accepts there, then lets each connection end its
    /// last answer.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, peer, place) = tokio::select! {
                biased;
                () = self.settled.cancelled() => break,
                () = self.gate.closed() => {
                    tokio::select! {
                        () = self.gate.opened() => continue,
                        () = self.gate.passed_on() => break,
                        () = self.settled.cancelled() => break,
                    }
                }
                accepted = accept(&listener, &self.places) => match accepted {
                    Some(accepted) => accepted,
                    None => break,
                },
            };
            // A token must not wait for the next one.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused");
            }
            let until = Instant::now() + self.limits.header_read;
            match &self.tls {
                None => self.welcome(stream, peer, until, place),
                Some(tls) => self.welcome_within_tls(tls.clone(), stream, peer, until, place),
            }
        }
        drop(listener);
        self.connections.close();
        self.connections.wait().await;
    }

    /// Serves a connection; `place` is dropped at its end.
    fn welcome<S>(self: &Arc<Self>, stream: S, peer: SocketAddr, until: Instant, place: impl Send + 'static)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (hall, counted) = (Arc::clone(self), self.counted());
        self.connections.spawn(async move {
            hall.hold(stream, peer, until).await;
            drop((place, counted));
        });
    }

    /// The same once the client has shaken hands: within this connection's task and its place, so that who is slow keeps
    /// nobody else waiting.
    fn welcome_within_tls(
        self: &Arc<Self>,
        tls: Tls,
        stream: TcpStream,
        peer: SocketAddr,
        until: Instant,
        place: impl Send + 'static,
    ) {
        let (hall, counted) = (Arc::clone(self), self.counted());
        self.connections.spawn(async move {
            let shaken = tokio::select! {
                shaken = tls.accept(stream, until) => shaken,
                () = hall.settled.cancelled() => None,
            };
            if let Some(stream) = shaken {
                hall.hold(stream, peer, until).await;
            }
            drop((place, counted));
        });
    }

    fn counted(&self) -> Counted {
        Counted::one(&metrics().connections_open.with_label_values(&[self.door.as_str()]))
    }

    /// The answer to one request: ours, or that of the process that took over.
    fn answer(
        self: &Arc<Self>,
        request: Request,
        peer: SocketAddr,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Answered> + use<> {
        // A router is always ready.
        match self.gate.enter() {
            Some(pass) => Entering::new(self.router.clone().call(request), pass).left_future(),
            None => {
                let (hall, activity) = (Arc::clone(self), Arc::clone(activity));
                let elsewhere = async move {
                    match hall.gate.decided().await {
                        Place::There(path) => {
                            activity.leave();
                            let passed_on = pass_on(path, hall.door, peer, request).await;
                            (passed_on.map_or_else(|error| Ok(unreachable(&error)), Ok), None)
                        }
                        // Nobody took over.
                        Place::Here | Place::Undecided => {
                            let pass = hall.gate.enter();
                            (hall.router.clone().call(request).await, pass)
                        }
                    }
                };
                elsewhere.boxed().right_future()
            }
        }
    }
}

/// An answer, and the pass that is held until its end where it was made here.
type Answered = (Result<Response, Infallible>, Option<Pass>);

/// The process that took over does not answer.
fn unreachable(error: &io::Error) -> Response {
    tracing::error!(%error, "a request could not be passed on to the process that took over");
    ApiError::shutting_down().into_response()
}

/// Serves what another process passes on, by the hall of the door that it came in by, until all is settled or the next
/// process takes over.
pub(super) async fn serve_relayed(listener: UnixListener, halls: [Arc<Hall>; 3]) {
    let Some(Hall { gate, settled, .. }) = halls.first().map(|hall| &**hall) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = relay::accept(&listener) => accepted,
            () = settled.cancelled() => return,
            // The next process listens at the same path.
            () = gate.passed_on() => return,
        };
        match accepted {
            Ok((stream, door, peer)) => {
                if let Some(hall) = halls.iter().find(|hall| hall.door == door) {
                    hall.welcome(stream, peer, Instant::now() + hall.limits.header_read, ());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of the former process cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
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

impl Hall {
    /// Serves one connection until it ends, asks nothing for too long (at first `until` then), or leaves an answer unread for
    /// too long.
    async fn hold<S>(self: &Arc<Self>, stream: S, peer: SocketAddr, until: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let (hall, watched) = (Arc::clone(self), Arc::clone(&activity));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let turn = Turn::ours(&watched);
            let (mut request, remains) = AwaitedBody::of(request, &watched);
            // The door counts wrong keys by it; routers are shared by all connections, so there is no typed way.
            request.extensions_mut().insert(ConnectInfo(peer));
            let (over_http1, patience) = (request.version() < Version::HTTP_2, hall.limits.request_read);
            let answering = hall.answer(request, peer, &watched);
            async move {
                let (answer, pass) = answering.await;
                let mut answer = answer?;
                if let Some(unread) = remains.and_then(|remains| remains.unread())
                    && !unread.read_on(patience).boxed().await
                    && over_http1
                {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer.map(|body| turn.watch(body, pass)))
            }
        });
        let mut connection = pin!(self.protocols.serve_connection(TokioIo::new(stream), service));
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
                () = self.settled.cancelled(), if !last => {
                    last = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = activity.left(), if !last => {
                    // The client comes back to the process that answers now.
                    last = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = look.as_mut() => {
                    let before = std::mem::replace(&mut steps, activity.steps());
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
                    look.as_mut().reset(Instant::now() + self.limits.idle);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
