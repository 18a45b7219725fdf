//! When rounds begin: from midnight UTC on at even distances, each later by a random part of the jitter.
//!
//! A round that was missed (a pause of the machine, another still under way) is not made up for. It must not know what a
//! round is.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt;

use super::{ProbeError, Probes, Wish, chance};
use crate::telemetry::metrics;

/// How often to look whether other terms are in force, or the clock was set.
const LOOK: Duration = Duration::from_secs(30);
/// A round that could begin only so much later is missed.
const LATE: Duration = Duration::from_secs(90);

/// The first moment after `now` at which a round is due, before jitter: the distances are counted anew from each midnight.
pub fn slot_after(now: Timestamp, every: Duration) -> Timestamp {
    let midnight = now.to_zoned_datetime(TimeZone::UTC).date().to_zoned_datetime(TimeZone::UTC);
    let Ok(midnight) = midnight else { return Timestamp::MAX };
    let tomorrow = midnight.checked_add(SignedDuration::from_hours(24)).map_or(Timestamp::MAX, |next| next.timestamp());
    let every = every.as_secs().max(1);
    let passed = u64::try_from(now.duration_since(midnight.timestamp()).as_secs()).unwrap_or(0);
    let next = Duration::from_secs((passed / every).saturating_add(1).saturating_mul(every));
    midnight.timestamp().checked_add(next).map_or(tomorrow, |slot| slot.min(tomorrow))
}

pub(super) async fn keep(probes: Probes) {
    let parts = probes.0.parts.clone();
    let mut chance = chance();
    while !parts.shutdown.has_retired() {
        let plan = plan(&probes);
        let (every, jitter) = plan;
        let late = jitter.mul_f64(chance.random::<f64>());
        let slot = slot_after(parts.clock.now(), every);
        let due = slot.checked_add(late).unwrap_or(slot);
        if !wait(&probes, due, plan).await || !parts.terms.get().comparison.has_probes() {
            continue;
        }
        let missed = |reason: &str| {
            metrics().probe_rounds.with_label_values(&["missed"]).inc();
            tracing::warn!(due = %due, reason, "a round of probes was missed, and is not made up for");
        };
        if parts.clock.now().duration_since(due) > SignedDuration::try_from(LATE).unwrap_or_default() {
            missed("the process did not run at its time");
            continue;
        }
        match probes.begin(Wish { at: Some(due), ..Wish::default() }) {
            Ok(_) => probes.ended().await,
            Err(ProbeError::ShuttingDown) => return,
            Err(error) => missed(&error.to_string()),
        }
    }
}

fn plan(probes: &Probes) -> (Duration, Duration) {
    let comparison = std::sync::Arc::clone(&probes.0.parts.terms.get().comparison);
    (comparison.probe_every, comparison.probe_jitter)
}

/// Waits until a round is due; false when the plan has changed or the process stops meanwhile.
async fn wait(probes: &Probes, due: Timestamp, planned: (Duration, Duration)) -> bool {
    let (clock, shutdown) = (&probes.0.parts.clock, &probes.0.parts.shutdown);
    loop {
        let Ok(left) = Duration::try_from(due.duration_since(clock.now())) else { return true };
        if left.is_zero() {
            return true;
        }
        tokio::select! {
            () = shutdown.retired() => return false,
            () = clock.sleep_until(clock.tick().plus(left.min(LOOK))) => {}
        }
        if plan(probes) != planned {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slots_are_counted_from_midnight_utc() {
        let every = Duration::from_secs(3 * HOUR);
        for (now, next) in [
            ("2026-11-24T00:00:00Z", "2026-11-24T03:00:00Z"),
            ("2026-11-24T02:59:59.999Z", "2026-11-24T03:00:00Z"),
            ("2026-11-24T21:00:01Z", "2026-11-25T00:00:00Z"),
            // The clocks of the town change at one in the morning, UTC: its probes do not.
            ("2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z"),
        ] {
            assert_eq!(slot_after(at(now), every), at(next), "{now}");
        }
        let uneven = Duration::from_secs(7 * HOUR);
        assert_eq!(slot_after(at("2026-11-24T21:30:00Z"), uneven), at("2026-11-25T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn the_next_slot_is_later_and_no_later_than_the_distance(second in 0_i64..4_000_000_000, minutes in 1_u64..3_000) {
            let (now, every) = (Timestamp::from_second(second).unwrap(), Duration::from_secs(60 * minutes));
            let slot = slot_after(now, every);
            prop_assert!(slot > now);
            prop_assert!(slot.duration_since(now) <= SignedDuration::try_from(every).unwrap());
            prop_assert!(slot_after(slot, every) > slot, "the same slot never comes twice");
        }
    }
}
