//! The process's only source of time: wall time for the calendar, monotonic time for durations.
//!
//! Tests inject a clock that they move by hand. A leaf: it knows nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

/// A clock, cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { origin: Instant },
    Manual { nanos: Arc<watch::Sender<i64>>, start: Timestamp },
}

/// A point on the monotonic clock, in nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// Nanoseconds since the clock was made.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this point; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The point `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The point `by` earlier, not before the clock was made.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn system() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual { nanos: Arc::new(watch::Sender::new(0)), start })
    }

    /// Wall time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => Timestamp::now(),
            Source::Manual { nanos, start } => {
                let elapsed = jiff::SignedDuration::from_nanos(*nanos.borrow());
                start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Monotonic time.
    pub fn tick(&self) -> Tick {
        match &self.0 {
            Source::System { origin } => Tick(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Source::Manual { nanos, .. } => Tick(nanos.borrow().unsigned_abs()),
        }
    }

    /// Moves a manual clock; a system clock goes on by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { nanos, .. } = &self.0 {
            nanos.send_modify(|nanos| *nanos += i64::try_from(by.as_nanos()).unwrap_or(i64::MAX));
        }
    }

    /// Waits until that point: of the system's time, or until a clock moved by hand has been moved there.
    pub async fn sleep_until(&self, at: Tick) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(at.since(self.tick())).await,
            Source::Manual { nanos, .. } => {
                // The sender is this clock's own: it is not dropped while somebody waits here.
                let mut moved = nanos.subscribe();
                let _reached = moved.wait_for(|nanos| nanos.unsigned_abs() >= at.0).await.is_ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_on_a_clock_moved_by_hand_is_woken_by_the_hand() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let at = clock.tick().plus(Duration::from_secs(10));
        let mut waiting = Box::pin(clock.sleep_until(at));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        clock.advance(Duration::from_secs(9));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        clock.advance(Duration::from_secs(1));
        waiting.await;
        clock.sleep_until(at).await;
    }
}
