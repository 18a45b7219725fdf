//! Whose turn it is on a connection, the client's or ours, and what a client still sends once it is answered.
//!
//! It must not look into what is sent.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures_util::StreamExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::super::gate::Pass;

/// Shortest time for which what a client still sends is read on and thrown away: nginx's lingering_timeout.
const READ_ON: Duration = Duration::from_secs(5);
/// Most bytes of it.
const READ_ON_BYTES: u64 = 64 << 20;

/// Whether a connection moves. Counted and not timed: a clock read for each frame would cost more than all the rest.
#[derive(Default)]
pub(super) struct Activity {
    /// Requests begun, frames of bodies in either direction, and answers ended, round and round.
    steps: AtomicU32,
    /// Requests that wait for us, …
    ours: AtomicU32,
    /// … if it is not for their own bodies: these wait for the client.
    awaited: AtomicU32,
    /// Another process answers: after the answer in progress, this connection ends.
    leaves: Notify,
}

impl Activity {
    pub(super) fn steps(&self) -> u32 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Says that the connection ends after the answer in progress.
    pub(super) fn leave(&self) {
        self.leaves.notify_one();
    }

    pub(super) async fn left(&self) {
        self.leaves.notified().await;
    }

    pub(super) fn waits_for_us(&self) -> bool {
        self.ours.load(Ordering::Relaxed) > self.awaited.load(Ordering::Relaxed)
    }
}

/// Whose turn it is with one request: ours until the answer begins and between its frames, the client's otherwise.
pub(super) struct Turn {
    activity: Arc<Activity>,
    ours: bool,
}

impl Turn {
    pub(super) fn ours(activity: &Arc<Activity>) -> Self {
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

    pub(super) fn watch(mut self, body: Body, pass: Option<Pass>) -> WatchedBody {
        self.set(false);
        WatchedBody { body, turn: self, _pass: pass }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// What is left of a request's body that was answered before it was read, as one with a wrong key is.
pub(super) struct Unread {
    body: Incoming,
    /// When the request's head was there.
    since: Instant,
    /// The client sends nothing before it is told to (`Expect: 100-continue`), and it was not.
    unasked: bool,
}

impl Unread {
    /// Reads the rest and throws it away, so that the client can ask again on this connection, and is not cut before it has
    /// heard why it was refused: within `patience` from the request's head on. False when that would take too long: the
    /// connection then ends with the answer.
    pub(super) async fn read_on(self, patience: Duration) -> bool {
        if self.unasked || self.body.size_hint().lower() > READ_ON_BYTES {
            return false;
        }
        let rest = async {
            let mut chunks = Body::new(self.body).into_data_stream();
            let mut bytes = 0;
            while let Some(chunk) = chunks.next().await {
                let Ok(chunk) = chunk else { return false };
                bytes += chunk.len() as u64;
                if bytes > READ_ON_BYTES {
                    return false;
                }
            }
            true
        };
        let until = (self.since + patience).max(Instant::now() + READ_ON);
        timeout_at(until, rest).await.unwrap_or(false)
    }
}

/// Where a request's body leaves what nobody read of it.
#[derive(Clone, Default)]
pub(super) struct Remains(Arc<Mutex<Option<Unread>>>);

impl Remains {
    /// What was not read, once the request is answered.
    pub(super) fn unread(&self) -> Option<Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn leave(&self, unread: Unread) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(unread);
    }
}

/// A request's body that tells whether we wait for its next frame.
pub(super) struct AwaitedBody {
    /// Until it is read to its end.
    body: Option<Incoming>,
    activity: Arc<Activity>,
    awaited: bool,
    remains: Remains,
    since: Instant,
    unasked: bool,
}

impl AwaitedBody {
    /// The request with its body watched, and where that will leave what nobody reads of it: nowhere without a body.
    pub(super) fn of(request: hyper::Request<Incoming>, activity: &Arc<Activity>) -> (Request, Option<Remains>) {
        if request.body().is_end_stream() {
            return (request.map(|_| Body::empty()), None);
        }
        let remains = Remains::default();
        let (activity, left) = (Arc::clone(activity), remains.clone());
        let unasked = request.headers().contains_key(EXPECT);
        let since = Instant::now();
        let watched =
            |body| Body::new(Self { body: Some(body), activity, awaited: false, remains: left, since, unasked });
        (request.map(watched), Some(remains))
    }

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
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
        {
            self.remains.leave(Unread { body, since: self.since, unasked: self.unasked });
        }
    }
}

impl HttpBody for AwaitedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.unasked = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        self.note(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// An answer's body that tells whether its next frame is asked for: it is not while the client reads nothing.
pub(super) struct WatchedBody {
    body: Body,
    turn: Turn,
    _pass: Option<Pass>,
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
