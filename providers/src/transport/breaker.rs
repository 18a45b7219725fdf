//! Stops calling a vendor that keeps failing, and tries again with one call after a pause.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{UpstreamRequest, UpstreamResponse};
use crate::error::{ErrorKind, ProviderError};

/// When the breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Unhealthy failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one call is let through.
    pub pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

/// The shared state of one vendor's breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::new(State::default()) }
    }

    /// True from the failure that opens it until a call succeeds: the trial after a pause may fail again.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open_until.is_some()
    }

    /// Lets a call through, or says how long the breaker stays open. After the pause one call goes ahead as a trial:
    /// the others wait for what becomes of it.
    fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                state.open_until = Some(now + self.settings.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn record(&self, healthy: bool, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if healthy {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            if state.failures >= self.settings.failures {
                state.open_until = Some(now + self.settings.pause);
            }
        }
    }
}

/// Makes [`BreakerService`]s that share one breaker.
#[derive(Clone)]
pub(super) struct BreakerLayer {
    breaker: Arc<Breaker>,
}

impl BreakerLayer {
    pub(super) fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = BreakerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, breaker: Arc::clone(&self.breaker) }
    }
}

/// Refuses calls while the breaker is open.
#[derive(Clone)]
pub(super) struct BreakerService<S> {
    inner: S,
    breaker: Arc<Breaker>,
}

impl<S, B> Service<UpstreamRequest> for BreakerService<S>
where
    S: Service<UpstreamRequest, Response = UpstreamResponse<B>, Error = ProviderError>,
{
    type Response = UpstreamResponse<B>;
    type Error = ProviderError;
    type Future = GuardedCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProviderError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: UpstreamRequest) -> Self::Future {
        if let Err(wait) = self.breaker.admit(Instant::now()) {
            let mut error =
                ProviderError::new(ErrorKind::CircuitOpen, "This vendor keeps failing and is left alone for a while.");
            error.retry_after = Some(wait);
            return GuardedCall::Refused { error: Some(error) };
        }
        GuardedCall::Made { answer: self.inner.call(request), breaker: Arc::clone(&self.breaker) }
    }
}

#[cfg(test)]
impl Breaker {
    /// One that lets every call through.
    pub(super) fn never_open() -> Self {
        Self::new(BreakerSettings { failures: u32::MAX, pause: Duration::ZERO })
    }
}

pin_project! {
    /// A call whose end the breaker hears of, or that it refused.
    #[project = GuardedCallProjected]
    pub(super) enum GuardedCall<F> {
        Refused { error: Option<ProviderError> },
        Made { #[pin] answer: F, breaker: Arc<Breaker> },
    }
}

impl<F, B> Future for GuardedCall<F>
where
    F: Future<Output = Result<UpstreamResponse<B>, ProviderError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            GuardedCallProjected::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // It has said so already, and is not to be asked again.
                None => Poll::Pending,
            },
            GuardedCallProjected::Made { answer, breaker } => {
                let answer = ready!(answer.poll(context));
                match &answer {
                    Ok(_) => breaker.record(true, Instant::now()),
                    Err(error) if error.is_unhealthy() => breaker.record(false, Instant::now()),
                    // A refused request or our own limit says nothing about the vendor's health.
                    Err(_) => {}
                }
                Poll::Ready(answer)
            }
        }
    }
}
