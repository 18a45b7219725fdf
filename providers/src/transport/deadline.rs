//! First-byte, idle and total deadlines of a call. The connect deadline is the HTTP client's.
//!
//! A single timeout around a call ends at the response head; these go on inside the body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, Timeout, sleep_until, timeout_at};
use tower::{Layer, Service};

use super::{UpstreamRequest, UpstreamResponse};
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

impl<S, B> Service<UpstreamRequest> for DeadlineService<S>
where
    S: Service<UpstreamRequest, Response = UpstreamResponse<B>, Error = ProviderError>,
{
    type Response = UpstreamResponse<Guarded<B>>;
    type Error = ProviderError;
    type Future = TimedCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        let deadlines = self.deadlines;
        let started = Instant::now();
        let first_byte = started + deadlines.first_byte.min(deadlines.total);
        TimedCall { answer: timeout_at(first_byte, self.inner.call(request)), deadlines, started }
    }
}

pin_project! {
    /// A call whose head must come in time.
    pub(super) struct TimedCall<F> {
        #[pin]
        answer: Timeout<F>,
        deadlines: Deadlines,
        started: Instant,
    }
}

impl<F, B> Future for TimedCall<F>
where
    F: Future<Output = Result<UpstreamResponse<B>, ProviderError>>,
{
    type Output = Result<UpstreamResponse<Guarded<B>>, ProviderError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let late = "The vendor did not begin to answer in time.";
        Poll::Ready(match ready!(this.answer.poll(context)) {
            Ok(Ok(UpstreamResponse { status, headers, body })) => {
                Ok(UpstreamResponse { status, headers, body: Guarded::new(body, this.deadlines, *this.started) })
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(ProviderError::new(ErrorKind::FirstByteTimeout, late)),
        })
    }
}

/// A body whose pieces must come in time.
pub(super) struct Guarded<B> {
    body: B,
    /// When the next piece must have come, and what it means if it has not.
    next: (Instant, ErrorKind),
    idle: Duration,
    total: Instant,
    /// Armed at the first wait, and set again only when it rings or the deadline comes nearer: a piece every few
    /// milliseconds must not cost a timer each.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<B> Guarded<B> {
    fn new(body: B, deadlines: &Deadlines, started: Instant) -> Self {
        Self {
            body,
            next: (started + deadlines.first_byte, ErrorKind::FirstByteTimeout),
            idle: deadlines.idle,
            total: started + deadlines.total,
            timer: None,
            ended: false,
        }
    }

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

impl<B: Stream<Item = Result<Bytes, ProviderError>> + Unpin> Stream for Guarded<B> {
    type Item = Result<Bytes, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let item = match Pin::new(&mut this.body).poll_next(context) {
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
