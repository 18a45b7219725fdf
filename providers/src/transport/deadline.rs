//! First-byte, idle and total deadlines of a call. The connect deadline is the HTTP client's.
//!
//! A single timeout around a call ends at the response head; these go on inside the body.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
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

struct Guarded {
    body: BodyStream,
    /// When the next piece must have come, and what it means if it has not.
    next: (Instant, ErrorKind),
    total: Instant,
    ended: bool,
}

fn guard(body: BodyStream, deadlines: Deadlines, started: Instant) -> BodyStream {
    let total = started + deadlines.total;
    let state =
        Guarded { body, next: (started + deadlines.first_byte, ErrorKind::FirstByteTimeout), total, ended: false };
    Box::pin(stream::unfold(state, move |mut state| async move {
        if state.ended {
            return None;
        }
        let (at, kind) = if state.next.0 <= state.total { state.next } else { (state.total, ErrorKind::TotalTimeout) };
        let item: Result<Bytes, ProviderError> = match timeout_at(at, state.body.next()).await {
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => return None,
            Err(_) => Err(ProviderError::new(kind, "The vendor stopped answering.")),
        };
        state.ended = item.is_err();
        state.next = (Instant::now() + deadlines.idle, ErrorKind::IdleTimeout);
        Some((item, state))
    }))
}
