//! The one way in: rate, simultaneous calls, questions, tokens, euros and the town's envelope, all or none, durably.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Pipeline, PipelineError, Routed, settle};
use crate::clock::Tick;
use crate::ledger::{Decision, Reservation, ReservationRequest};
use crate::quota::{RateState, SimultaneousPermit, Windows};

/// A call for which the money is held. It is resolved by [`super::Settled`], through an answer or a failure.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    pub(super) routed: Routed,
    pub(super) reservation: Reservation,
    pub(super) permit: SimultaneousPermit,
    pub(super) rate: RateState,
    pub(super) windows: Windows,
    pub(super) received: Tick,
    /// Wall time of receipt.
    pub(super) received_at: Timestamp,
    /// When the client must have taken its answer: a lease outlives it.
    pub(super) deadline: Instant,
}

pub(super) async fn admit(pipeline: &Pipeline, routed: Routed, received: Tick) -> Result<Admitted, PipelineError> {
    let plan = routed.who.plan();
    let guard = pipeline.rates.get(&plan.name).ok_or(PipelineError::Internal("a plan has no rate guard"))?;
    let (rate, permit) = guard.enter(routed.who.resident()).map_err(PipelineError::Rate)?;
    let now = pipeline.clock.now();
    let deadline = Instant::now() + pipeline.total;
    let windows = pipeline.calendar.windows(now);
    let entry = settle::unknown_entry(pipeline, &routed, &windows, now)?;
    let request = ReservationRequest {
        ceiling: routed.ceiling,
        allowance: plan.allowance,
        envelope: pipeline.envelope,
        windows: windows.clone(),
        now,
        lease: pipeline.lease,
        entry,
    };
    match pipeline.ledger.reserve(request).await? {
        Decision::Held(reservation) => {
            Ok(Admitted { routed, reservation, permit, rate, windows, received, received_at: now, deadline })
        }
        Decision::Refused(refusal) => Err(PipelineError::Quota(refusal)),
    }
}
