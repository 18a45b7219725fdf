//! The hold on questions, tokens and euros that a call needs before a vendor hears of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Entry, Sighting, Stop};
use crate::quota::{Allowance, Envelope, Refusal, Windows};

/// The most a call can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Tokens, input and output.
    pub tokens: u64,
    /// Nano-euros.
    pub euro_nanos: i64,
}

/// What the windows are charged when a reservation is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Questions: one, or none for a call that came to nothing.
    pub questions: u64,
    /// Tokens.
    pub tokens: u64,
    /// Nano-euros.
    pub euro_nanos: i64,
}

impl Charge {
    /// The whole ceiling, for a call of which nothing is known.
    pub fn of_ceiling(ceiling: Ceiling) -> Self {
        Self { questions: 1, tokens: ceiling.tokens, euro_nanos: ceiling.euro_nanos }
    }
}

/// A request to hold.
#[derive(Clone, Debug)]
pub struct ReservationRequest {
    /// The most the call can use.
    pub ceiling: Ceiling,
    /// The resident's limits.
    pub allowance: Allowance,
    /// The town's limits.
    pub envelope: Envelope,
    /// The windows of the moment of admission.
    pub windows: Windows,
    /// The moment of admission.
    pub now: Timestamp,
    /// How long the hold lasts if nobody resolves it.
    pub lease: Duration,
    /// What the entry says if nobody resolves it: outcome unknown.
    pub entry: Entry,
    /// When the key of the entry was found live.
    pub key_seen: Sighting,
}

/// What admission decided.
#[derive(Debug)]
pub enum Decision {
    /// The ceiling is held, durably.
    Held(Reservation),
    /// Nothing is held: a limit would be passed.
    Refused(Refusal),
    /// Nothing is held: the town, the vendor or the plan is stopped.
    Stopped(Stop),
    /// Nothing is held: the key was revoked, or its resident suspended, after it was looked up.
    Revoked,
}

/// An open hold. Resolved by value, so that it cannot be resolved twice; forgetting it is an alarm and the sweeper's
/// work, never the bookkeeping.
#[derive(Debug)]
#[must_use = "a hold is resolved by `settle`; dropped, it stays until its lease ends"]
pub struct Reservation {
    id: String,
    /// What the entry says if nobody resolves it.
    unknown: Option<Box<Entry>>,
    tokens_left: u64,
    resolved: bool,
}

impl Reservation {
    pub(super) fn new(unknown: Entry, tokens_left: u64) -> Self {
        Self { id: unknown.id.clone(), unknown: Some(Box::new(unknown)), tokens_left, resolved: false }
    }

    /// The entry that was handed in for the case that nobody resolves it, once: whoever resolves it may go on from there,
    /// instead of making all of it again.
    pub fn take_unknown(&mut self) -> Option<Entry> {
        self.unknown.take().map(|unknown| *unknown)
    }

    /// Tokens of the day that the resident has left beside everything held, this hold included.
    pub fn tokens_left(&self) -> u64 {
        self.tokens_left
    }

    /// Takes the id out for good: the hold is about to be resolved.
    pub(super) fn resolve(mut self) -> String {
        self.resolved = true;
        std::mem::take(&mut self.id)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.resolved {
            crate::telemetry::metrics().reservations_dropped.inc();
            let request = self.unknown.as_ref().map(|unknown| &*unknown.request_id);
            tracing::error!(request.id = request, reservation.id = %self.id, "a reservation was dropped without being settled; its lease will end");
        }
    }
}

/// How a reservation is resolved: the attempts it covered, oldest first, each with what it charges.
///
/// Cheap to clone, so that it can be tried again.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub(super) reservation: String,
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Settlement {
    /// Resolves `reservation` with its attempts.
    pub fn new(reservation: Reservation, entries: Vec<Entry>) -> Self {
        Self { reservation: reservation.resolve(), entries: entries.into_iter().map(Arc::new).collect() }
    }

    /// The attempts to be recorded.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }
}
