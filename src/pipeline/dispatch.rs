//! Calls the vendor, and another when it fails before its first byte and cannot have billed.
//!
//! Retries and fallbacks are bounded by a budget, and every attempt leaves its own entry.

use std::sync::Arc;
use std::time::Duration;

use providers::error::ProviderError;
use providers::stream::{AnswerStream, Piece};
use providers::upstream::{Answer, Encoded, Reply as UpstreamReply};

use super::admit::Admitted;
use super::settle::{Attempt, Failed, Times};
use super::{Call, Leg, Pipeline, PipelineError, Routed};
use crate::ledger::{Assignment, Entry, micros};
use crate::telemetry::{Exemplar, metrics};

/// First pause before a retry; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A vendor that asks to wait longer is not waited for: another takes over, or the client hears of it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a vendor has begun to answer.
pub(super) enum Reply {
    /// Whole.
    Whole(Box<Answer>),
    /// Streamed, with the first piece where it came soon: an error before it still has a status of its own.
    Stream(Box<AnswerStream>, Option<Piece>),
}

/// A call that a vendor is answering.
#[must_use]
pub struct Dispatched {
    pub(super) admitted: Admitted,
    pub(super) reply: Reply,
    pub(super) attempt: Attempt,
    /// Entries of attempts that failed before.
    pub(super) earlier: Vec<Entry>,
}

pub(super) async fn dispatch(pipeline: &Pipeline, mut admitted: Admitted) -> Result<Dispatched, Box<Failed>> {
    let mut earlier = Vec::new();
    let mut number = 0;
    let mut assignment = admitted.routed.draw.assignment;
    let mut calls = std::mem::take(&mut admitted.routed.calls).into_iter().peekable();
    while let Some(Call { leg, encoded }) = calls.next() {
        let mut pause = FIRST_PAUSE;
        for try_number in 1.. {
            if number > 0
                && let Err(error) = still_open(pipeline, &admitted, &leg)
            {
                return Err(Failed::without_attempt(admitted, earlier, error));
            }
            number += 1;
            let mut attempt = Attempt {
                number,
                leg: Arc::clone(&leg),
                dropped: encoded.dropped.clone(),
                assignment,
                times: Times::start(admitted.received, pipeline.clock.tick()),
            };
            if number == 1 {
                let Routed { request_id, received_at, trail, .. } = &admitted.routed;
                let trace = trail.recorded_trace();
                let exemplar = Exemplar::new(request_id, micros(*received_at)).with_trace(trace.as_deref());
                metrics().overhead.observe(&[], attempt.times.overhead().as_secs_f64(), exemplar);
            }
            let error = match attempt_call(pipeline, &admitted, &encoded, &mut attempt, try_number).await {
                Ok(reply) => return Ok(Dispatched { admitted, reply, attempt, earlier }),
                Err(CallError::Provider(error)) => error,
                Err(CallError::Ours(error)) => return Err(Failed::without_attempt(admitted, earlier, error)),
            };
            tracing::warn!(
                request.id = %admitted.routed.request_id, gen_ai.provider.name = %leg.provider, attempt = number,
                error.r#type = error.kind.label(), http.status = error.status, "an attempt failed"
            );
            let retry =
                may_retry(pipeline, &leg, &error, try_number).then(|| error.retry_after.unwrap_or(pause).max(pause));
            if let Some(wait) = retry.filter(|wait| *wait <= LONGEST_PAUSE) {
                earlier.push(attempt.failed_entry(pipeline, &admitted, &error, true));
                tokio::time::sleep(wait).await;
                pause *= 2;
                continue;
            }
            if error.may_fall_back() && calls.peek().is_some() {
                earlier.push(attempt.failed_entry(pipeline, &admitted, &error, false));
                metrics().fallbacks.with_label_values(&[leg.provider.as_str()]).inc();
                break;
            }
            return Err(Failed::after_attempt(admitted, earlier, attempt, error));
        }
        assignment = Assignment::Fallback;
    }
    Err(Failed::without_attempt(admitted, earlier, PipelineError::Internal("a routed request has no target")))
}

/// Admission was before the first attempt: what was stopped since gets no second one.
fn still_open(pipeline: &Pipeline, admitted: &Admitted, leg: &Leg) -> Result<(), PipelineError> {
    let stops = pipeline.ledger.stops()?;
    let checked = stops.check_plan(&admitted.routed.who.plan().name);
    checked.and_then(|()| stops.check_provider(leg.provider.as_str())).map_err(PipelineError::Stopped)
}

fn may_retry(pipeline: &Pipeline, leg: &Leg, error: &ProviderError, try_number: u32) -> bool {
    try_number < pipeline.max_attempts
        && error.retryable()
        && pipeline.upstreams.get(&leg.provider).is_some_and(providers::upstream::Upstream::may_retry)
}

enum CallError {
    Provider(ProviderError),
    Ours(PipelineError),
}

async fn attempt_call(
    pipeline: &Pipeline,
    admitted: &Admitted,
    encoded: &Encoded,
    attempt: &mut Attempt,
    try_number: u32,
) -> Result<Reply, CallError> {
    let leg = &attempt.leg;
    let Some(upstream) = pipeline.upstreams.get(&leg.provider) else {
        return Err(CallError::Ours(PipelineError::Internal("a routed provider is not configured")));
    };
    if try_number == 1 {
        upstream.note_first_attempt();
    }
    let Routed { request_id, trail, .. } = &admitted.routed;
    let span = trail.attempt(attempt.number, &leg.host.base_url);
    // A trace ties the questions of one client together: only hosts that the town trusts with it are told.
    let told = pipeline.providers.get(&leg.provider).is_some_and(|provider| provider.trace_context);
    let trace = trail.trace().filter(|_| told).map(|trace| trace.headers(span));
    let reply = upstream.call(&leg.host.base_url, encoded, request_id, trace).await;
    match reply.map_err(CallError::Provider)? {
        UpstreamReply::Whole(answer) => {
            let now = pipeline.clock.tick();
            attempt.times.content(now, answer.facts.output_chars > 0);
            Ok(Reply::Whole(Box::new(answer)))
        }
        // A vendor that thinks for long before its first event must not leave the client without a sign of life: past
        // this wait the answer begins, and a failure after it is told in an event.
        UpstreamReply::Stream(mut stream) => match tokio::time::timeout(pipeline.keep_alive, stream.next()).await {
            Err(_still_thinking) => Ok(Reply::Stream(Box::new(stream), None)),
            Ok(Some(Ok(piece))) => Ok(Reply::Stream(Box::new(stream), Some(piece))),
            Ok(Some(Err(error))) => Err(CallError::Provider(error)),
            Ok(None) => Err(CallError::Provider(ProviderError::new(
                providers::error::ErrorKind::Cut,
                "The vendor sent nothing.",
            ))),
        },
    }
}
