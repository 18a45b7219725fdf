//! Requests per minute and simultaneous calls of each resident, in memory, on the injected clock.
//!
//! Maps keyed by residents are trimmed: those at rest take no room for long.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{HashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota as GovernorRate, RateLimiter};

use super::Rate;
use crate::clock::{Clock, Tick};

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.since(earlier).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        self.minus(Duration::from(duration))
    }
}

impl std::ops::Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, duration: Nanos) -> Self {
        self.plus(Duration::from(duration))
    }
}

impl GovernorClock for Clock {
    type Instant = Tick;

    fn now(&self) -> Tick {
        self.tick()
    }
}

type Limiter = RateLimiter<Arc<str>, Store, Clock, StateInformationMiddleware>;

/// Governor's own store, shared with its limiter, so that its states can be told to another process.
#[derive(Clone, Default)]
struct Store(Arc<HashMapStateStore<Arc<str>>>);

impl StateStore for Store {
    type Key = Arc<str>;

    fn measure_and_replace<T, F, E>(&self, key: &Arc<str>, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<Arc<str>> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How far ahead of now each resident's rate is used up, in nanoseconds: what another process needs to go on counting.
pub type UsedRates = HashMap<Arc<str>, u64>;

/// Residents in one limiter before those at rest are forgotten for the first time. Then twice as many as were found busy:
/// whoever asks never looks through all of them for each request.
const TRIM_ABOVE: usize = 10_000;

/// A rate was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateRefusal {
    /// Too many requests per minute; the next one may come after this long.
    RequestsPerMinute(Duration),
    /// Too many calls open at once.
    Simultaneous(u32),
}

impl RateRefusal {
    /// The label used in metrics, the report and error messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerMinute(_) => "requests_per_minute",
            Self::Simultaneous(_) => "simultaneous_requests",
        }
    }
}

/// Where a resident stands with the rate after a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Requests per minute of the plan.
    pub requests_per_minute: NonZeroU32,
    /// Requests that may follow at once.
    pub remaining: u32,
}

/// The rates of one plan.
pub struct RateGuard {
    rate: Rate,
    limiter: Limiter,
    store: Store,
    /// When the limiter was made: its states are times since then.
    start: Tick,
    trim_above: AtomicUsize,
    clock: Clock,
    open: OpenCalls,
}

/// How many calls each resident has open, whatever the plan.
pub type OpenCalls = Arc<Mutex<HashMap<Arc<str>, u32>>>;

/// One open call of a resident; dropping it closes the call. It lives as long as the answer's body.
#[derive(Debug)]
pub struct SimultaneousPermit {
    resident: Arc<str>,
    open: OpenCalls,
}

impl Drop for SimultaneousPermit {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&*self.resident) {
            *count -= 1;
            if *count == 0 {
                open.remove(&*self.resident);
            }
        }
    }
}

impl RateGuard {
    /// A guard for one plan; all plans count open calls in one place.
    pub fn new(rate: Rate, clock: Clock, open: OpenCalls) -> Self {
        let quota = GovernorRate::per_minute(rate.requests_per_minute).allow_burst(rate.burst);
        let (store, start) = (Store::default(), clock.tick());
        let limiter = RateLimiter::<_, _, _, governor::middleware::NoOpMiddleware<Tick>>::new(
            quota,
            store.clone(),
            clock.clone(),
        )
        .with_middleware::<StateInformationMiddleware>();
        Self { rate, limiter, store, start, trim_above: AtomicUsize::new(TRIM_ABOVE), clock, open }
    }

    /// Where each resident stands who is not at rest.
    pub fn used(&self) -> UsedRates {
        let elapsed = self.elapsed();
        let residents: Vec<Arc<str>> = self.store.0.lock().keys().cloned().collect();
        let ahead = |resident: &Arc<str>| {
            let read = |state: Option<Nanos>| Err::<((), Nanos), _>(state);
            self.store.measure_and_replace(resident, read).err().flatten()?.as_u64().checked_sub(elapsed)
        };
        residents.into_iter().filter_map(|resident| Some((ahead(&resident)?, resident))).map(|(n, r)| (r, n)).collect()
    }

    /// Goes on from where another process stood.
    pub fn go_on_from(&self, used: &UsedRates) {
        let elapsed = self.elapsed();
        for (resident, ahead) in used {
            let state = Nanos::new(elapsed.saturating_add(*ahead));
            let _set = self.store.measure_and_replace(resident, |_| Ok::<_, ()>(((), state)));
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.clock.tick().since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens one call of `resident` whatever the plan allows: one that another process has open.
    pub fn open_elsewhere(&self, resident: &str) -> SimultaneousPermit {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let resident: Arc<str> = resident.into();
        *open.entry(Arc::clone(&resident)).or_insert(0) += 1;
        SimultaneousPermit { resident, open: Arc::clone(&self.open) }
    }

    /// Calls open now, by resident.
    pub fn open_calls(&self) -> HashMap<Arc<str>, u32> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rate that is guarded.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// A guard for another rate that knows the calls open now; this one itself where the rate is the same.
    pub fn with_rate(self: &Arc<Self>, rate: Rate) -> Arc<Self> {
        if rate == self.rate {
            return Arc::clone(self);
        }
        Arc::new(Self::new(rate, self.clock.clone(), Arc::clone(&self.open)))
    }

    /// Counts one request of `resident` and opens one call.
    ///
    /// # Errors
    /// [`RateRefusal`] when either is above the plan; a refused request opens nothing.
    pub fn enter(&self, resident: &str) -> Result<(RateState, SimultaneousPermit), RateRefusal> {
        let permit = self.open_one(resident)?;
        self.trim();
        match self.limiter.check_key(&permit.resident) {
            Ok(snapshot) => {
                let state = RateState {
                    requests_per_minute: self.rate.requests_per_minute,
                    remaining: snapshot.remaining_burst_capacity(),
                };
                Ok((state, permit))
            }
            Err(not_until) => {
                Err(RateRefusal::RequestsPerMinute(not_until.wait_time_from(self.limiter.clock().tick())))
            }
        }
    }

    fn trim(&self) {
        if self.limiter.len() > self.trim_above.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.trim_above.store(TRIM_ABOVE.max(2 * self.limiter.len()), Ordering::Relaxed);
        }
    }

    fn open_one(&self, resident: &str) -> Result<SimultaneousPermit, RateRefusal> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // One name for the two maps and the permit.
        let resident: Arc<str> = resident.into();
        let count = open.entry(Arc::clone(&resident)).or_insert(0);
        if *count >= self.rate.simultaneous {
            return Err(RateRefusal::Simultaneous(self.rate.simultaneous));
        }
        *count += 1;
        Ok(SimultaneousPermit { resident, open: Arc::clone(&self.open) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(clock: &Clock) -> RateGuard {
        let number = |n| NonZeroU32::new(n).unwrap();
        RateGuard::new(
            Rate { requests_per_minute: number(6), burst: number(2), simultaneous: 3 },
            clock.clone(),
            OpenCalls::default(),
        )
    }

    #[test]
    fn a_burst_is_followed_by_the_rate_and_nobody_pays_for_another() {
        let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
        let guard = guard(&clock);
        assert_eq!(guard.enter("a").unwrap().0.remaining, 1);
        guard.enter("a").unwrap();
        let Err(RateRefusal::RequestsPerMinute(wait)) = guard.enter("a") else { panic!("the burst is two") };
        assert_eq!(wait, Duration::from_secs(10));
        assert!(guard.enter("b").is_ok());
        clock.advance(wait);
        assert!(guard.enter("a").is_ok());
    }

    #[test]
    fn busy_residents_are_not_looked_through_at_every_request_and_those_at_rest_are_forgotten() {
        let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
        let guard = guard(&clock);
        let ask = |resident: usize| drop(guard.enter(&format!("resident {resident}")).unwrap());
        (0..=TRIM_ABOVE).for_each(ask);
        ask(TRIM_ABOVE + 1);
        let next = guard.trim_above.load(Ordering::Relaxed);
        assert!(next >= 2 * TRIM_ABOVE, "all of them are busy: the next to ask would look through {next} in vain");

        clock.advance(Duration::from_secs(60));
        (0..=next).for_each(|resident| ask(TRIM_ABOVE + 2 + resident));
        assert!(guard.limiter.len() <= next + 1, "those at rest take no room");
    }

    #[test]
    fn another_process_goes_on_counting_where_this_one_stood() {
        let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
        let former = guard(&clock);
        clock.advance(Duration::from_secs(1_000));
        drop(former.enter("at rest").unwrap());
        clock.advance(Duration::from_secs(60));
        let _first = former.enter("a").unwrap();
        former.enter("a").unwrap();

        // Its clock began at another time.
        let other = Clock::manual("2026-11-24T11:00:00Z".parse().unwrap());
        other.advance(Duration::from_secs(7));
        let next = guard(&other);
        other.advance(Duration::from_secs(5));
        assert_eq!(former.used().len(), 1, "who is at rest needs no memory");
        next.go_on_from(&former.used());
        let elsewhere: Vec<_> = former.open_calls().into_keys().map(|name| next.open_elsewhere(&name)).collect();
        assert_eq!(next.open_calls(), former.open_calls());
        let Err(RateRefusal::RequestsPerMinute(wait)) = next.enter("a") else { panic!("the burst was used up there") };
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(next.enter("at rest").unwrap().0.remaining, 1);
        drop(elsewhere);
        assert!(next.open_calls().is_empty());
    }

    #[test]
    fn a_call_is_open_until_its_permit_is_dropped() {
        let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
        let guard = guard(&clock);
        let held: Vec<_> = (0..3).map(|_| guard.open_one("a").unwrap()).collect();
        assert_eq!(guard.enter("a").unwrap_err(), RateRefusal::Simultaneous(3));
        drop(held);
        assert!(guard.enter("a").is_ok());
        assert!(guard.open.lock().unwrap().is_empty(), "residents at rest take no room");
    }
}
