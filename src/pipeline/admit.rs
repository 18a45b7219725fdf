//! The one way in: rate, simultaneous calls, questions, tokens, euros and the town's envelope, all or none, durably.

use tokio::time::Instant;

use super::{Pipeline, PipelineError, Routed, Standing, settle};
use crate::clock::Tick;
use crate::ledger::{Decision, Reservation, ReservationRequest};
use crate::quota::SimultaneousPermit;

/// A call for which the money is held. It is resolved by [`super::Settled`], through an answer or a failure.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    pub(super) routed: Routed,
    pub(super) reservation: Reservation,
    pub(super) permit: SimultaneousPermit,
    pub(super) standing: Standing,
    pub(super) received: Tick,
    /// When the client must have taken its answer: a lease outlives it.
    pub(super) deadline: Instant,
}

pub(super) async fn admit(pipeline: &Pipeline, routed: Routed, received: Tick) -> Result<Admitted, PipelineError> {
    let plan = routed.who.plan();
    let guard = routed.who.terms().rate_guard(&plan.name).ok_or(PipelineError::Internal("a plan has no rate guard"))?;
    let (rate, permit) = guard.enter(routed.who.resident()).map_err(PipelineError::Rate)?;
    let deadline = Instant::now() + pipeline.total;
    let entry = settle::unknown_entry(pipeline, &routed)?;
    let request = ReservationRequest {
        ceiling: routed.ceiling,
        allowance: plan.allowance,
        envelope: routed.who.terms().envelope,
        windows: routed.windows.clone(),
        now: routed.received_at,
        lease: pipeline.lease,
        entry,
    };
    match pipeline.ledger.reserve(request).await? {
        Decision::Held(reservation) => {
            let standing = Standing {
                rate,
                tokens_per_day: plan.allowance.tokens_per_day,
                tokens_left: reservation.tokens_left(),
                day_ends: routed.windows.day.end,
            };
            Ok(Admitted { routed, reservation, permit, standing, received, deadline })
        }
        Decision::Refused(refusal) => Err(PipelineError::Quota(refusal)),
        Decision::Stopped(stop) => Err(PipelineError::Stopped(stop)),
    }
}
