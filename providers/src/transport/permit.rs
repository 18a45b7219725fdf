//! A bound on the calls open towards one vendor. The permit moves into the body: tower's own concurrency limit gives it
//! back at the response head, when a stream has only begun.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::{UpstreamRequest, UpstreamResponse};
use crate::error::{ErrorKind, ProviderError};

/// Makes [`PermitService`]s that share one semaphore.
#[derive(Clone)]
pub(super) struct PermitLayer {
    permits: Arc<Semaphore>,
    wait: Duration,
}

impl PermitLayer {
    pub(super) fn new(max: usize, wait: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(max)), wait }
    }
}

impl<S> Layer<S> for PermitLayer {
    type Service = PermitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PermitService { inner, permits: Arc::clone(&self.permits), wait: self.wait }
    }
}

/// Holds one permit per call until its body is dropped.
#[derive(Clone)]
pub(super) struct PermitService<S> {
    inner: S,
    permits: Arc<Semaphore>,
    wait: Duration,
}

impl<S, B> Service<UpstreamRequest> for PermitService<S>
where
    S: Service<UpstreamRequest, Response = UpstreamResponse<B>, Error = ProviderError> + Clone + Send + 'static,
    S::Future: Send,
    B: 'static,
{
    type Response = UpstreamResponse<Held<B>>;
    type Error = ProviderError;
    type Future = PermittedCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        // Permits go to who waits first: there is none to be had here while somebody does.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return PermittedCall::Made { answer: self.inner.call(request), permit: Some(permit) };
        }
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let permits = Arc::clone(&self.permits);
        let wait = self.wait;
        let waiting = async move {
            let busy = || ProviderError::new(ErrorKind::Busy, "Too many calls to this vendor are open.");
            let permit =
                tokio::time::timeout(wait, permits.acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
            Ok((inner.call(request), permit))
        };
        PermittedCall::Waits { waiting: Box::pin(waiting) }
    }
}

type Waiting<F> = BoxFuture<'static, Result<(F, OwnedSemaphorePermit), ProviderError>>;

pin_project! {
    /// A call that has its permit, or waits for one: that takes a box, the usual case none.
    #[project = PermittedCallProjected]
    pub(super) enum PermittedCall<F> {
        Waits { waiting: Waiting<F> },
        Made { #[pin] answer: F, permit: Option<OwnedSemaphorePermit> },
    }
}

impl<F, B> Future for PermittedCall<F>
where
    F: Future<Output = Result<UpstreamResponse<B>, ProviderError>>,
{
    type Output = Result<UpstreamResponse<Held<B>>, ProviderError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let made = match self.as_mut().project() {
                PermittedCallProjected::Waits { waiting } => ready!(waiting.as_mut().poll(context))?,
                PermittedCallProjected::Made { answer, permit } => {
                    let UpstreamResponse { status, headers, body } = ready!(answer.poll(context))?;
                    let body = Held { body, _permit: permit.take() };
                    return Poll::Ready(Ok(UpstreamResponse { status, headers, body }));
                }
            };
            self.set(Self::Made { answer: made.0, permit: Some(made.1) });
        }
    }
}

/// A body that holds a permit until it is dropped.
pub(super) struct Held<B> {
    body: B,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<B: Stream + Unpin> Stream for Held<B> {
    type Item = B::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<B::Item>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
