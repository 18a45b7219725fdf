//! The door: rate and simultaneous calls, before a byte of the body is read or a word of it understood.
//!
//! A request that is malformed, too long or for no known model has come in all the same: it counts like any other, so that
//! nobody can make the gateway read as fast as a connection allows. What accumulates is [`super::admit`]'s to hold.

use super::{Pipeline, PipelineError};
use crate::identity::Authenticated;
use crate::quota::{RateState, SimultaneousPermit};

/// Somebody whose rate allows a request, and who has one more call open.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    pub(super) who: Authenticated,
    pub(super) rate: RateState,
    pub(super) permit: SimultaneousPermit,
}

pub(super) fn enter(pipeline: &Pipeline, who: Authenticated) -> Result<Entered, PipelineError> {
    if pipeline.shutdown.has_begun() {
        return Err(PipelineError::ShuttingDown);
    }
    let guard = who.terms().rate_guard(&who.plan().name).ok_or(PipelineError::Internal("a plan has no rate guard"))?;
    let (rate, permit) = guard.enter(who.resident()).map_err(PipelineError::Rate)?;
    Ok(Entered { who, rate, permit })
}
