//! The record of what was asked, held and spent: reservations before a call, entries after it, counters in between.
//!
//! A reservation is durable before a vendor hears of it; every reservation is resolved exactly once; entries are only
//! ever appended. It must not know HTTP, routing or vendors' dialects, and it never holds a text of anybody's.

mod chain;
mod entry;
mod exporting;
mod reservation;
mod rollup;
mod schema;
mod sqlite;
mod sweep;

use std::path::Path;

use jiff::Timestamp;

pub use chain::{ChainHead, Verification};
pub use entry::{Assignment, Entry, LengthClass, Outcome, micros};
pub use exporting::{ExportFormat, export};
pub use reservation::{Ceiling, Charge, Decision, Reservation, ReservationRequest, Settlement};
pub use rollup::{Figures, Rollup, RollupKey, Spread};
pub use schema::{COLUMNS, Column, ColumnKind, schema_json, schema_sql, schema_text};
pub use sqlite::{Durability, SqliteSettings};
pub use sweep::sweep_until_shutdown;

use crate::quota::Windows;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be read or written now; the text says what it answered.
    #[error("the ledger's store is not available: {0}")]
    Unavailable(String),
    /// Too many writes are waiting.
    #[error("the ledger's queue is full")]
    Busy,
    /// Another process serves from the same store.
    #[error("{0} is already in use by another passerelle: stop it first, or choose another ledger.path")]
    InUse(String),
    /// The reservation is no longer open: its lease ended and it was settled as unknown.
    #[error("the reservation was already resolved")]
    AlreadyResolved,
    /// Something in the store cannot be read as what it should be.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
}

/// A resident's key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyRecord {
    /// Public id of the key.
    pub key_id: String,
    /// Pseudonym of the resident.
    pub resident: String,
    /// The resident's plan.
    pub plan: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When the resident was suspended, if so.
    pub suspended_at: Option<Timestamp>,
}

/// A key to be stored: its hash, never itself.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Public id of the key.
    pub key_id: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Pseudonym of a new resident.
    pub resident: String,
    /// Plan of the resident.
    pub plan: String,
    /// When it is issued.
    pub created_at: Timestamp,
}

/// What was settled and what is held in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Questions.
    pub questions: i64,
    /// Tokens.
    pub tokens: i64,
    /// Nano-euros.
    pub euro_nanos: i64,
}

/// Largest amount counted at once: a thousand of them fit into a counter, so that one absurd figure cannot make the
/// counters unwritable.
const MOST_AT_ONCE: i64 = 1 << 53;

/// A count as counters keep it.
fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).min(MOST_AT_ONCE)
}

impl Totals {
    /// What a charge adds to a counter.
    pub fn of(charge: Charge) -> Self {
        Self {
            questions: bounded(charge.questions),
            tokens: bounded(charge.tokens),
            euro_nanos: charge.euro_nanos.min(MOST_AT_ONCE),
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.questions = self.questions.saturating_add(other.questions);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.euro_nanos = self.euro_nanos.saturating_add(other.euro_nanos);
    }

    /// Takes `other` away.
    pub fn subtract(&mut self, other: Self) {
        self.questions = self.questions.saturating_sub(other.questions);
        self.tokens = self.tokens.saturating_sub(other.tokens);
        self.euro_nanos = self.euro_nanos.saturating_sub(other.euro_nanos);
    }
}

/// A resident's use of the current windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentUse {
    /// Settled today.
    pub day_used: Totals,
    /// Held by calls in progress, of today.
    pub day_held: Totals,
    /// Settled this month.
    pub month_used: Totals,
    /// Held by calls in progress, of this month.
    pub month_held: Totals,
}

/// What the report reads.
#[derive(Debug, Default)]
pub struct ReportData {
    /// Aggregates by day, provider and model.
    pub rollups: Vec<(RollupKey, Rollup)>,
    /// Refused questions by reason.
    pub refusals: Vec<(String, u64)>,
    /// Reservations open at the moment of reading.
    pub open_reservations: u64,
}

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
    pub async fn reserve(&self, request: ReservationRequest) -> Result<Decision, StoreError> {
        match self {
            Self::Sqlite(store) => store.reserve(request).await,
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

    /// Hands every entry from the oldest on to `visit`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or an entry cannot be understood.
    pub fn visit_entries(&self, visit: &mut dyn FnMut(u64, Entry)) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.visit_entries(visit),
        }
    }

    /// Recomputes the chain of hashes over all entries and compares what the counters say with their sum.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; damage is not an error but a finding.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        match self {
            Self::Sqlite(store) => store.verify(),
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
