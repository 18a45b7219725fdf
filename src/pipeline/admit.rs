//! The one way to a vendor: questions, tokens, euros and the town's envelope, all or none, durably; rate and simultaneous
//! calls were passed at the door ([`super::enter`]).

use tokio::time::Instant;

use super::{Pipeline, PipelineError, Routed, Standing, settle};
use crate::clock::Tick;
use crate::ledger::{Decision, Reservation, ReservationRequest};
use crate::quota::{RateState, SimultaneousPermit};

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

/// What a call that came in has taken at the door.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rate: RateState,
    pub(super) permit: SimultaneousPermit,
    /// When its request was there whole.
    pub(super) received: Tick,
}

pub(super) async fn admit(pipeline: &Pipeline, routed: Routed, place: Place) -> Result<Admitted, PipelineError> {
    let Place { rate, permit, received } = place;
    let plan = routed.who.plan();
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
        key_seen: routed.who.key_seen(),
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
        Decision::Revoked => Err(PipelineError::Revoked),
        Decision::Stopped(stop) => Err(PipelineError::Stopped(stop)),
    }
}
