//! How many wrong keys may come from one address, in memory, on the injected clock.
//!
//! It keeps addresses away from the directory that send wrong keys all the time: a client with a key of last year in its
//! settings, somebody who tries. It must not know keys: who was wrong is decided elsewhere.
//!
//! Addresses are in memory only, for as long as they matter, and never printed.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota as GovernorRate, RateLimiter};

use crate::clock::{Clock, Tick};

/// Addresses counted at once. Beyond them an address is not counted: so many are no mistake and no guard's match, and
/// memory stays bounded (about 10 MB).
const MOST_NETWORKS: usize = 50_000;

/// How often, at most, all addresses are looked through for those at rest.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// Bits of an IPv6 address that are one household or one site; the rest changes at its owner's pleasure.
const HOUSEHOLD_BITS: u32 = 64;

/// How many wrong keys may come from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKeyRate {
    /// On average.
    pub per_minute: NonZeroU32,
    /// At once after a pause.
    pub burst: NonZeroU32,
}

/// Where a request comes from, as finely as wrong keys are counted: an address of IPv4, a /64 of IPv6. It does not print.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(u128);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            // Within ::ffff:0:0/96, which no /64 of IPv6 is.
            IpAddr::V4(address) => Self(u128::from(address.to_ipv6_mapped())),
            IpAddr::V6(address) => Self(u128::from(address) >> HOUSEHOLD_BITS << HOUSEHOLD_BITS),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

type Limiter = RateLimiter<Network, HashMapStateStore<Network>, Clock, NoOpMiddleware<Tick>>;

/// Counts wrong keys by where they come from. Cheap to clone.
#[derive(Clone)]
pub struct WrongKeyGuard(Arc<Inner>);

struct Inner {
    clock: Clock,
    limiter: Limiter,
    closed: Mutex<Closed>,
    /// How many are closed out: none almost always, which costs one read then.
    count: AtomicUsize,
}

#[derive(Default)]
struct Closed {
    until: HashMap<Network, Tick>,
    trimmed: Option<Tick>,
}

impl fmt::Debug for WrongKeyGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrongKeyGuard").finish_non_exhaustive()
    }
}

impl WrongKeyGuard {
    /// A guard that has seen nobody.
    pub fn new(rate: WrongKeyRate, clock: Clock) -> Self {
        let quota = GovernorRate::per_minute(rate.per_minute).allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self(Arc::new(Inner { clock, limiter, closed: Mutex::default(), count: AtomicUsize::new(0) }))
    }

    /// Whether anybody at all is closed out: if not, nobody needs to be placed.
    pub fn is_calm(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) == 0
    }

    /// How long an address still has to wait because of the wrong keys that came from it.
    pub fn closed_for(&self, network: Network) -> Option<Duration> {
        if self.is_calm() {
            return None;
        }
        let now = self.0.clock.tick();
        let mut closed = self.closed();
        let until = *closed.until.get(&network)?;
        if until > now {
            return Some(until.since(now));
        }
        closed.until.remove(&network);
        self.0.count.store(closed.until.len(), Ordering::Relaxed);
        None
    }

    /// Counts a wrong key; the address is closed out once there were too many, until one more may come.
    pub fn count(&self, network: Network) {
        if !self.has_room() {
            return;
        }
        if let Err(too_many) = self.0.limiter.check_key(&network) {
            let now = self.0.clock.tick();
            let until = now.plus(too_many.wait_time_from(now));
            let mut closed = self.closed();
            closed.until.insert(network, until);
            self.0.count.store(closed.until.len(), Ordering::Relaxed);
        }
    }

    /// Addresses that are counted now.
    pub fn counted(&self) -> usize {
        self.0.limiter.len()
    }

    /// Forgets those at rest when there are many; false when there are too many all the same.
    fn has_room(&self) -> bool {
        if self.0.limiter.len() < MOST_NETWORKS {
            return true;
        }
        let now = self.0.clock.tick();
        let mut closed = self.closed();
        if closed.trimmed.is_some_and(|last| now.since(last) < TRIM_EVERY) {
            return false;
        }
        closed.trimmed = Some(now);
        closed.until.retain(|_, until| *until > now);
        self.0.count.store(closed.until.len(), Ordering::Relaxed);
        drop(closed);
        self.0.limiter.retain_recent();
        self.0.limiter.shrink_to_fit();
        self.0.limiter.len() < MOST_NETWORKS
    }

    fn closed(&self) -> MutexGuard<'_, Closed> {
        self.0.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> (WrongKeyGuard, Clock) {
        let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
        let number = |n| NonZeroU32::new(n).unwrap();
        (WrongKeyGuard::new(WrongKeyRate { per_minute: number(60), burst: number(3) }, clock.clone()), clock)
    }

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_address_is_closed_out_after_its_burst_until_one_more_may_come() {
        let (guard, clock) = guard();
        let (house, other) = (network("192.0.2.1"), network("192.0.2.2"));
        (0..3).for_each(|_| guard.count(house));
        assert!(guard.is_calm() && guard.closed_for(house).is_none(), "the burst is three");
        guard.count(house);
        let wait = guard.closed_for(house).unwrap();
        assert_eq!(wait, Duration::from_secs(1));
        assert!(guard.closed_for(other).is_none(), "nobody pays for another house");
        clock.advance(wait);
        assert!(guard.closed_for(house).is_none() && guard.is_calm());
    }

    #[test]
    fn a_household_is_one_64_of_ipv6_and_mapped_addresses_are_those_of_ipv4() {
        assert!(network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1"));
        assert!(network("2001:db8:1:2::") != network("2001:db8:1:3::"));
        assert!(network("::ffff:192.0.2.1") == network("192.0.2.1"));
        assert!(network("192.0.2.1") != network("192.0.2.2"));
        assert!(!format!("{:?}", network("192.0.2.1")).contains("192"));
    }

    #[test]
    fn more_addresses_than_can_be_counted_take_no_more_room_and_those_at_rest_make_way() {
        let (guard, clock) = guard();
        let many = |from: u32| (from..).take(MOST_NETWORKS + 5_000).map(|n| IpAddr::from(n.to_be_bytes()).into());
        many(0).for_each(|network| guard.count(network));
        assert_eq!(guard.counted(), MOST_NETWORKS);
        clock.advance(Duration::from_secs(3_600));
        many(1 << 24).for_each(|network| guard.count(network));
        assert!(guard.counted() <= MOST_NETWORKS, "{}", guard.counted());
        assert!(guard.counted() >= MOST_NETWORKS - 5_000, "the new ones are counted");
    }
}
