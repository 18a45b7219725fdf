//! First-byte, idle and total deadlines of a call. The connect deadline is the HTTP client's.
//!
//! A single timeout around a call ends at the response head; these go on inside the body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::{Layer, Service};

use super::{BodyStream, UpstreamRequest, UpstreamResponse};
use crate::error::{ErrorKind, ProviderError};

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect.
    pub connect: Duration,
    /// From sending to the first byte of the body.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// For the whole call.
    pub total: Duration,
}

/// Makes [`DeadlineService`]s.
#[derive(Clone, Copy)]
pub(super) struct DeadlineLayer {
    deadlines: Deadlines,
}

impl DeadlineLayer {
    pub(super) fn new(deadlines: Deadlines) -> Self {
        Self { deadlines }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, deadlines: self.deadlines }
    }
}

/// Ends calls that do not begin, stop moving, or never end.
#[derive(Clone)]
pub(super) struct DeadlineService<S> {
    inner: S,
    deadlines: Deadlines,
}

impl<S> Service<UpstreamRequest> for DeadlineService<S>
where
    S: Service<UpstreamRequest, Response = UpstreamResponse, Error = ProviderError>,
    S::Future: Send + 'static,
{
    type Response = UpstreamResponse;
    type Error = ProviderError;
    type Future = BoxFuture<'static, Result<UpstreamResponse, ProviderError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        let deadlines = self.deadlines;
        let started = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let first_byte = started + deadlines.first_byte.min(deadlines.total);
            let mut response = timeout_at(first_byte, answer).await.map_err(|_| {
                ProviderError::new(ErrorKind::FirstByteTimeout, "The vendor did not begin to answer in time.")
            })??;
            response.body = guard(response.body, deadlines, started);
            Ok(response)
        })
    }
}

/// A body whose pieces must come in time.
struct Guarded {
    body: BodyStream,
    /// When the next piece must have come, and what it means if it has not.
    next: (Instant, ErrorKind),
    idle: Duration,
    total: Instant,
    /// Armed at the first wait, and set again only when it rings or the deadline comes nearer: a piece every few
    /// milliseconds must not cost a timer each.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

fn guard(body: BodyStream, deadlines: Deadlines, started: Instant) -> BodyStream {
    Box::pin(Guarded {
        body,
        next: (started + deadlines.first_byte, ErrorKind::FirstByteTimeout),
        idle: deadlines.idle,
        total: started + deadlines.total,
        timer: None,
        ended: false,
    })
}

impl Guarded {
    /// The nearest deadline.
    fn due(&self) -> (Instant, ErrorKind) {
        if self.next.0 <= self.total { self.next } else { (self.total, ErrorKind::TotalTimeout) }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<ErrorKind> {
        let (due, kind) = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= due {
                return Poll::Ready(kind);
            }
            timer.as_mut().reset(due);
        }
    }
}

impl Stream for Guarded {
    type Item = Result<Bytes, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let item = match this.body.as_mut().poll_next(context) {
            Poll::Ready(item) => item,
            Poll::Pending => {
                let kind = ready!(this.poll_late(context));
                Some(Err(ProviderError::new(kind, "The vendor stopped answering.")))
            }
        };
        this.ended = !matches!(item, Some(Ok(_)));
        this.next = (Instant::now() + this.idle, ErrorKind::IdleTimeout);
        Poll::Ready(item)
    }
}
