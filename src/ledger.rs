//! The record of what was asked, held and spent: reservations before a call, entries after it, counters in between.
//!
//! A reservation is durable before a vendor hears of it; every reservation is resolved exactly once; entries are only
//! ever appended. It must not know HTTP, routing or vendors' dialects, and it never holds a text of anybody's.

mod account;
mod adjust;
mod alert;
mod chain;
mod disk;
mod entry;
mod error;
mod exporting;
mod file;
mod key;
mod presence;
mod reading;
mod record;
mod reservation;
mod rollup;
mod schema;
mod spread;
mod sqlite;
mod stop;
mod stored;
mod stratum;
mod sweep;
mod trial;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

pub use account::{DUELS_ACCOUNT, PROBES_ACCOUNT, ResidentUse, Totals};
pub use adjust::Author;
pub use alert::{Alert, TownSpend};
pub use chain::{ChainHead, Verification};
pub use disk::DiskUse;
pub use entry::{Assignment, Entry, LengthClass, Outcome, micros};
pub use error::StoreError;
pub use exporting::{ExportFormat, export};
pub use file::{Free, LedgerFile};
pub use key::{KeyRecord, NewKey, Sighting};
pub use reading::{DaySpend, ReportData};
pub use record::{Adjustment, Change, Difference, Record};
pub use reservation::{Ceiling, Charge, Decision, Reservation, ReservationRequest, Settlement};
pub use rollup::{Figures, Group, PROMPT_END_MICROS, PROMPT_TEXT_MICROS, Rollup, RollupKey};
pub use schema::{ADJUSTMENTS, ATTEMPTS, Column, ColumnKind, DUELS, Export, PROBES};
pub use spread::Spread;
pub use sqlite::{Census, Durability, Health, Inspection, SCHEMA, SqliteSettings};
pub use stop::{Stop, StopScope, Stops};
pub use stratum::{Evidence, GROUPS, HourBand, People, Stratum, group_of, person};
pub use sweep::sweep_until_shutdown;
pub use trial::{Duel, DuelSide, FoundDuel, OpenDuel, Probe, Qualifier, Style, Vote};

use crate::quota::Windows;
use account::{TOWN, bounded};

/// Numbers about the store, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreGauges {
    /// Reservations open.
    pub open_reservations: u64,
    /// Commands waiting to be written.
    pub queue_depth: u64,
}

/// The ledger on one of its stores. A closed set: a second store is a second variant, and the contract suite runs on
/// both as it stands.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// One SQLite file.
    Sqlite(sqlite::SqliteStore),
}

impl Ledger {
    /// Opens (and if need be creates and migrates) a SQLite ledger for serving: this process becomes its only writer
    /// of reservations and entries.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process serves from it; [`StoreError::Unavailable`] when it cannot be opened.
    pub fn open_sqlite(settings: &SqliteSettings) -> Result<Self, StoreError> {
        sqlite::SqliteStore::open(settings).map(Self::Sqlite)
    }

    /// Opens a SQLite ledger beside a serving process: for reading, and for issuing and revoking keys.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be opened.
    pub fn open_sqlite_beside(path: &Path) -> Result<Self, StoreError> {
        sqlite::SqliteStore::open_beside(path).map(Self::Sqlite)
    }

    /// Holds the ceiling of a call in every window at once, durably, or says which limit it would pass.
    ///
    /// # Errors
    /// [`StoreError`] when nothing could be held; the vendor must then not be called.
    pub fn reserve(&self, request: ReservationRequest) -> impl Future<Output = Result<Decision, StoreError>> + Send {
        // Boxed here: each layer below would keep a copy of its own.
        let request = Box::new(request);
        async move {
            match self {
                Self::Sqlite(store) => store.reserve(request).await,
            }
        }
    }

    /// Resolves a reservation: appends its entries and charges the windows in which it was admitted.
    ///
    /// # Errors
    /// [`StoreError::AlreadyResolved`] when its lease ended before; [`StoreError::Unavailable`] when nothing was
    /// written, and then the reservation is still open.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.settle(settlement).await,
        }
    }

    /// Settles as unknown every reservation whose lease has ended; says how many.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.sweep(now).await,
        }
    }

    /// Counts a question that was refused before any vendor heard of it. Never waits: under pressure the count is lost
    /// and false is returned.
    pub fn count_refusal(&self, day: &str, reason: &'static str) -> bool {
        match self {
            Self::Sqlite(store) => store.count_refusal(day, reason),
        }
    }

    /// Stores new residents with one key each.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written; then none is stored.
    pub fn add_keys(&self, keys: &[NewKey]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.add_keys(keys),
        }
    }

    /// The key of that hash. A point read: a key revoked a moment ago, by any process, is seen as revoked.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read: that is not the same as an unknown key.
    pub fn find_key(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        match self {
            Self::Sqlite(store) => store.find_key(hash),
        }
    }

    /// The same for somebody who is about to ask a vendor, with what [`Ledger::reserve`] needs to refuse a key revoked
    /// since: it may be remembered from the last time.
    ///
    /// # Errors
    /// As [`Ledger::find_key`].
    pub fn find_recent_key(&self, hash: &[u8; 32]) -> Result<Option<(Arc<KeyRecord>, Sighting)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.find_recent_key(hash),
        }
    }

    /// Whether a key was found live lately and no other process has written since; nothing is read for it.
    pub fn remembers_key(&self, hash: &[u8; 32]) -> bool {
        match self {
            Self::Sqlite(store) => store.remembers_key(hash),
        }
    }

    /// Every key, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn list_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_keys(),
        }
    }

    /// Revokes a key, found by its hash or its public id; false when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn revoke_key(&self, hash: Option<&[u8; 32]>, key_id: &str, at: Timestamp) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.revoke_key(hash, key_id, at),
        }
    }

    /// What a resident has used and holds in the windows.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn resident_use(&self, resident: &str, windows: &Windows) -> Result<ResidentUse, StoreError> {
        match self {
            Self::Sqlite(store) => store.resident_use(resident, windows),
        }
    }

    /// The aggregates of the days from `from` to `to`, both included (`2026-11-24`), with entries not yet rolled up.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn report_data(&self, from: &str, to: &str) -> Result<ReportData, StoreError> {
        match self {
            Self::Sqlite(store) => store.report_data(from, to),
        }
    }

    /// What the days from `from` to `to` cost; those without anything are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn spend_by_day(&self, from: &str, to: &str) -> Result<Vec<DaySpend>, StoreError> {
        match self {
            Self::Sqlite(store) => store.spend_by_day(from, to),
        }
    }

    /// Hands every attempt from the oldest on to `visit`, with its number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or an entry cannot be understood.
    pub fn visit_entries(&self, visit: &mut dyn FnMut(u64, Entry)) -> Result<(), StoreError> {
        self.visit_records(&mut |seq, record| {
            if let Some(entry) = record.into_attempt() {
                visit(seq, entry);
            }
        })
    }

    /// Hands every record of the chain from the oldest on to `visit`, with its number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or a record cannot be understood.
    pub fn visit_records(&self, visit: &mut dyn FnMut(u64, Record)) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.visit_records(visit),
        }
    }

    /// One record by its number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or the record cannot be understood.
    pub fn record(&self, seq: u64) -> Result<Option<Record>, StoreError> {
        match self {
            Self::Sqlite(store) => store.record(seq),
        }
    }

    /// What adjustments have added so far to the windows of the entry of that number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn adjusted(&self, seq: u64) -> Result<Totals, StoreError> {
        match self {
            Self::Sqlite(store) => store.adjusted(seq),
        }
    }

    /// What entries turned out to cost by the last adjustment of each, by their numbers, in the vendor's currency.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn corrected_costs(&self) -> Result<BTreeMap<u64, i64>, StoreError> {
        match self {
            Self::Sqlite(store) => store.corrected_costs(),
        }
    }

    /// Every change of the terms, oldest first, with its number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn changes(&self) -> Result<Vec<(u64, Change)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.changes(),
        }
    }

    /// Appends an adjustment or a change, whichever process serves; gives its number. The serving process goes on from
    /// there with its next write.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn append(&self, record: &Record) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.append(record),
        }
    }

    /// Keeps a duel that waits for its judgement, and forgets those that waited for too long.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn open_duel(&self, duel: &OpenDuel, now: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.open_duel(duel, now),
        }
    }

    /// The duel of that id, while it waits, and until it would have expired once it was judged. One that has waited for
    /// too long may be there still.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn find_duel(&self, id: &str) -> Result<Option<FoundDuel>, StoreError> {
        match self {
            Self::Sqlite(store) => store.find_duel(id),
        }
    }

    /// Appends the judgement of a duel that waits; false when it was judged before.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn judge_duel(&self, duel: Duel) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.judge_duel(duel),
        }
    }

    /// A short text kept beside the books, such as the terms in force.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(store) => store.note(key),
        }
    }

    /// Appends a change of the terms and keeps texts about them as notes by key, all or none.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn append_with_notes(&self, change: Change, notes: &[(&str, &str)]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.append_with_notes(change, notes),
        }
    }

    /// What is stopped now. A point read: a stop by any process is seen at once.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn stops(&self) -> Result<Stops, StoreError> {
        match self {
            Self::Sqlite(store) => store.stops(),
        }
    }

    /// The same for somebody who is about to reserve: that nothing is stopped may be remembered, where
    /// [`Ledger::reserve`] refuses what was stopped since.
    ///
    /// # Errors
    /// As [`Ledger::stops`].
    pub fn recent_stops(&self) -> Result<Stops, StoreError> {
        match self {
            Self::Sqlite(store) => store.recent_stops(),
        }
    }

    /// Stops something (`true`) or lets it go on, and writes down who did; false when it was so already.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn set_stop(&self, stop: &Stop, stopped: bool, actor: &str) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.set_stop(stop, stopped, actor),
        }
    }

    /// What the town has spent in the windows and in the hours, newest last, that end with `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn town_spend(&self, windows: &Windows, hours: &[Timestamp]) -> Result<TownSpend, StoreError> {
        match self {
            Self::Sqlite(store) => store.town_spend(windows, hours),
        }
    }

    /// Raises an alert unless one of that id was raised before; says whether it is new.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn raise_alert(&self, alert: &Alert) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.raise_alert(alert),
        }
    }

    /// Alerts that were raised and not delivered yet, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn undelivered_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        match self {
            Self::Sqlite(store) => store.undelivered_alerts(),
        }
    }

    /// Counts an attempt to deliver an alert, and marks it as delivered when it was.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn note_delivery(&self, id: &str, delivered_at: Option<Timestamp>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.note_delivery(id, delivered_at),
        }
    }

    /// Recomputes the chain of hashes over all records and compares what the counters say with their sum.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; damage is not an error but a finding.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        self.verify_against(None, &mut |_| {})
    }

    /// The same, against an end of the chain that was written down elsewhere, telling `progress` how many records were
    /// read: a chain that was rewritten as a whole is sound in itself, and only such a note tells.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; damage is not an error but a finding.
    pub fn verify_against(
        &self,
        noted: Option<ChainHead>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, StoreError> {
        match self {
            Self::Sqlite(store) => store.verify(noted, progress),
        }
    }

    /// The end of the chain: the number of records, and the hash that covers them all.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn chain_head(&self) -> Result<ChainHead, StoreError> {
        match self {
            Self::Sqlite(store) => store.chain_head(),
        }
    }

    /// Whether the database was marked as holding simulated figures (`Some`), and how.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn is_simulated(&self) -> Result<Option<bool>, StoreError> {
        match self {
            Self::Sqlite(store) => store.is_simulated(),
        }
    }

    /// Marks an empty database as holding simulated figures or real ones, once.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written, or was already marked as the other kind: the two never mix.
    pub fn mark_simulated(&self, simulated: bool) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.mark_simulated(simulated),
        }
    }

    /// Numbers for metrics.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn gauges(&self) -> Result<StoreGauges, StoreError> {
        match self {
            Self::Sqlite(store) => store.gauges(),
        }
    }

    /// Writes what is still waiting, brings the rollups up to date and ends the writer.
    ///
    /// # Errors
    /// [`StoreError`] when the last writes failed.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.close().await,
        }
    }
}

#[cfg(test)]
pub(crate) use entry::samples;
