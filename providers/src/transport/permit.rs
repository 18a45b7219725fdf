//! A bound on the calls open towards one vendor. The permit moves into the body: tower's own concurrency limit gives it
//! back at the response head, when a stream has only begun.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
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

impl<S> Service<UpstreamRequest> for PermitService<S>
where
    S: Service<UpstreamRequest, Response = UpstreamResponse, Error = ProviderError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = UpstreamResponse;
    type Error = ProviderError;
    type Future = BoxFuture<'static, Result<UpstreamResponse, ProviderError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let permits = Arc::clone(&self.permits);
        let wait = self.wait;
        Box::pin(async move {
            let busy = || ProviderError::new(ErrorKind::Busy, "Too many calls to this vendor are open.");
            let permit =
                tokio::time::timeout(wait, permits.acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
            let mut response = inner.call(request).await?;
            response.body = Box::pin(response.body.map(move |chunk| {
                let _held_until_the_body_is_dropped = &permit;
                chunk
            }));
            Ok(response)
        })
    }
}
