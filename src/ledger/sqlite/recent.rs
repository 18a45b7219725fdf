//! What was read lately of keys and stops, for as long as nobody else has written.
//!
//! It may be a moment old: another process's write is noticed with the writer's next transaction, and the writer, within
//! that transaction, refuses whoever was revoked or stopped since. So nothing reaches a vendor on the strength of what is
//! remembered here, and only what lets somebody through is remembered: a refusal is always read anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::{KeyRecord, Sighting, Stops};

/// Keys remembered, those asked with since the last write of others; more are forgotten all at once.
const MOST_KEYS: usize = 20_000;

/// Counts the writes of others as the writer notices them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Generation(Arc<AtomicU64>);

impl Generation {
    /// Another process, or another connection of this one, has written.
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// What was read now was read in this state.
    pub(super) fn sighting(&self) -> Sighting {
        Sighting(Some(self.now()))
    }
}

#[derive(Debug, Default)]
struct Seen {
    generation: u64,
    keys: HashMap<[u8; 32], Arc<KeyRecord>>,
    /// Nothing was stopped.
    nothing_stopped: bool,
}

/// What readers remember.
#[derive(Debug)]
pub(super) struct Recent {
    generation: Generation,
    seen: Mutex<Seen>,
}

impl Recent {
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, seen: Mutex::default() }
    }

    /// Runs `work` on what is remembered of this generation, and nothing older.
    fn with<T>(&self, generation: u64, work: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.generation < generation {
            *seen = Seen { generation, ..Seen::default() };
        }
        work(&mut seen)
    }

    /// A live key seen lately, or what `read` finds, and in which state at the latest; a live one is remembered.
    pub(super) fn key<E>(
        &self,
        hash: &[u8; 32],
        read: impl FnOnce() -> Result<Option<KeyRecord>, E>,
    ) -> Result<Option<(Arc<KeyRecord>, Sighting)>, E> {
        // Before reading: what is written meanwhile belongs to a later generation.
        let generation = self.generation.now();
        let sighting = Sighting(Some(generation));
        if let Some(found) = self.with(generation, |seen| seen.keys.get(hash).map(Arc::clone)) {
            return Ok(Some((found, sighting)));
        }
        let Some(found) = read()?.map(Arc::new) else { return Ok(None) };
        if found.is_live() {
            self.with(generation, |seen| {
                if seen.generation == generation {
                    if seen.keys.len() >= MOST_KEYS {
                        seen.keys.clear();
                    }
                    seen.keys.insert(*hash, Arc::clone(&found));
                }
            });
        }
        Ok(Some((found, sighting)))
    }

    /// Whether a live key was seen lately, without reading anything.
    pub(super) fn remembers(&self, hash: &[u8; 32]) -> bool {
        self.with(self.generation.now(), |seen| seen.keys.contains_key(hash))
    }

    /// What is stopped: nothing, if so it was lately, or what `read` finds. Only "nothing" is remembered.
    pub(super) fn stops<E>(&self, read: impl FnOnce() -> Result<Stops, E>) -> Result<Stops, E> {
        let generation = self.generation.now();
        if self.with(generation, |seen| seen.nothing_stopped) {
            return Ok(Stops::default());
        }
        let stops = read()?;
        self.with(generation, |seen| seen.nothing_stopped |= stops.0.is_empty() && seen.generation == generation);
        Ok(stops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Stop, StopScope};
    use jiff::Timestamp;

    fn record(name: &str) -> KeyRecord {
        KeyRecord {
            key_id: name.to_owned(),
            resident: name.to_owned(),
            plan: "resident".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            revoked_at: None,
            suspended_at: None,
        }
    }

    fn read(recent: &Recent, hash: [u8; 32], found: Option<KeyRecord>) -> (bool, Option<Arc<KeyRecord>>) {
        let mut asked = false;
        let key = recent.key(&hash, || {
            asked = true;
            Ok::<_, ()>(found)
        });
        (asked, key.unwrap().map(|(key, _)| key))
    }

    #[test]
    fn only_live_keys_are_remembered_and_only_until_somebody_writes() {
        let generation = Generation::default();
        let recent = Recent::new(generation.clone());
        assert_eq!(read(&recent, [1; 32], None), (true, None));
        assert!(read(&recent, [1; 32], Some(record("a"))).0, "an unknown key is looked for again");
        assert!(!read(&recent, [1; 32], None).0);
        let revoked = KeyRecord { revoked_at: Some(Timestamp::UNIX_EPOCH), ..record("b") };
        assert!(read(&recent, [2; 32], Some(revoked.clone())).0);
        assert!(read(&recent, [2; 32], Some(revoked)).0, "a revoked key is never remembered");
        generation.advance();
        assert_eq!(read(&recent, [1; 32], None), (true, None));
    }

    #[test]
    fn what_was_read_before_a_write_is_not_remembered_after_it() {
        let generation = Generation::default();
        let recent = Recent::new(generation.clone());
        let slow = recent.key(&[1; 32], || {
            generation.advance();
            // Another reader is of the new generation already.
            recent.stops(|| Ok::<_, ()>(Stops::default())).map(|_| Some(record("a")))
        });
        assert!(slow.unwrap().is_some());
        assert_eq!(read(&recent, [1; 32], None), (true, None));
    }

    #[test]
    fn a_stop_is_never_remembered() {
        let recent = Recent::new(Generation::default());
        let stop = Stop {
            scope: StopScope::Town,
            name: String::new(),
            since: Timestamp::UNIX_EPOCH,
            reason: "budget".to_owned(),
        };
        for _ in 0..2 {
            assert_eq!(recent.stops(|| Ok::<_, ()>(Stops(vec![stop.clone()]))).unwrap().0.len(), 1);
        }
        assert_eq!(recent.stops(|| Ok::<_, ()>(Stops::default())), Ok(Stops::default()));
        assert_eq!(recent.stops(|| Err("asked again")), Ok(Stops::default()));
    }

    #[test]
    fn the_memory_has_a_bound() {
        let recent = Recent::new(Generation::default());
        for number in 0..2 * MOST_KEYS as u64 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            read(&recent, hash, Some(record("a")));
        }
        assert!(recent.seen.lock().unwrap().keys.len() <= MOST_KEYS);
    }
}
