//! The ledger in one SQLite file: one thread writes and commits for many waiters at once, others read beside it (WAL).
//!
//! SQL only: what may be held and what is charged is decided on the counters it keeps, by the rules in `accounts`.

mod accounts;
mod batch;
mod control;
mod copy;
mod duels;
pub(super) mod files;
mod health;
mod keys;
mod memory;
mod read;
mod recent;
mod schema;
mod trouble;
mod verify;
mod writer;

pub use copy::{Census, Inspection};
pub use health::Health;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use super::{
    Alert, ChainHead, Change, DaySpend, Decision, DiskUse, Duel, FoundDuel, KeyRecord, NewKey, OpenDuel, Record,
    ReportData, ReservationRequest, ResidentUse, Settlement, Sighting, Stop, Stops, StoreError, StoreGauges, Totals,
    TownSpend, Verification, disk,
};
use crate::quota::Windows;
use recent::{Generation, Recent};
use writer::WriterHandle;

/// What a commit must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A power cut: every commit is flushed to the disk (`synchronous = FULL`).
    Full,
    /// A crash of the process; a power cut may lose the last commits (`synchronous = NORMAL`).
    Normal,
}

/// How to open a SQLite ledger.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The file.
    pub path: PathBuf,
    /// What a commit must survive.
    pub durability: Durability,
    /// Writes that may wait; more are refused.
    pub queue: usize,
    /// Most writes in one commit.
    pub batch: usize,
}

/// Reading connections; more readers than this wait for one another.
const READERS: usize = 4;
/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pages in the WAL before it is copied into the database, 16 MB: a page that many commits touch is copied once.
const CHECKPOINT_PAGES: u32 = 4_000;
/// Longest write-ahead log that stays on the disk once everybody has read past it, in bytes. It is a few megabytes; under
/// a long reading (an export, a verification) it grows with every call, and without a limit it would keep that size.
const LONGEST_LOG: i64 = 64 << 20;
/// Number of the form that this program keeps a store in. A program of another number cannot write beside it.
pub const SCHEMA: u32 = schema::VERSION;

/// Rights of the ledger and of what stands beside it: it knows who asked when, if not what.
const OWNER_ONLY: u32 = 0o600;

/// A SQLite ledger, cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    readers: Arc<Readers>,
    /// What they read lately; absent beside a serving process, whose writer would notice what others write.
    recent: Option<Arc<Recent>>,
    /// Absent when opened beside a serving process.
    writer: Option<WriterHandle>,
    /// Writes keys; those need no counters, so any process may.
    path: Arc<PathBuf>,
}

/// How the writer's connection is made, at the start and after trouble.
#[derive(Debug)]
struct Connector {
    path: PathBuf,
    durability: Durability,
}

impl Connector {
    fn connect(&self) -> Result<Connection, StoreError> {
        self.set_up(connect(&self.path)?)
    }

    /// A connection to the file that was there: one that has gone must not be made anew, with empty counters.
    fn connect_again(&self) -> Result<Connection, StoreError> {
        self.set_up(connect_to_existing(&self.path)?)
    }

    fn set_up(&self, connection: Connection) -> Result<Connection, StoreError> {
        let level = match self.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        let set = || {
            connection.pragma_update(None, "synchronous", level)?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        };
        set().map_err(|error| unavailable(&error))?;
        Ok(connection)
    }
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    connections: Vec<Mutex<Connection>>,
}

impl Readers {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let connections = std::iter::repeat_with(|| connect(path).map(Mutex::new)).take(READERS);
        Ok(Self { path: path.to_owned(), connections: connections.collect::<Result<_, _>>()? })
    }

    /// Runs `query` on a free connection, or waits for the first.
    fn with<T>(&self, query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        let free = self.connections.iter().find_map(|connection| connection.try_lock().ok());
        let mut guard = match (free, self.connections.first()) {
            (Some(guard), _) => guard,
            (None, Some(first)) => first.lock().unwrap_or_else(PoisonError::into_inner),
            (None, None) => return Err(StoreError::Unavailable("no connection".to_owned())),
        };
        query(&guard).map_err(|error| {
            if trouble::wants_new_connection(&error)
                && let Ok(fresh) = connect_to_existing(&self.path)
            {
                *guard = fresh;
            }
            unavailable(&error)
        })
    }
}

/// A text for a column, of bytes that are one: JSON as it was written.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

fn unavailable(error: &rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    open_file(path, OpenFlags::SQLITE_OPEN_CREATE)
}

fn connect_to_existing(path: &Path) -> Result<Connection, StoreError> {
    open_file(path, OpenFlags::empty())
}

fn open_file(path: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update_and_check(None, "journal_size_limit", LONGEST_LOG, |_| Ok(()))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| StoreError::Unavailable(format!("{}: {error}", path.display())))
}

/// Makes the file, readable by its owner only, unless it is there: what SQLite puts beside it takes its rights. A file that
/// is there is not touched: closing it would give up the locks that SQLite has on it in this process.
fn create(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(path, &error)),
        _made_or_there => Ok(()),
    }
}

fn create_folder_of(path: &Path) -> Result<(), StoreError> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error)),
        None => Ok(()),
    }
}

/// The name of a file beside the ledger: the write-ahead log, the lock.
fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Takes the lock that makes this process the only one that serves from the file.
fn lock(path: &Path) -> Result<File, StoreError> {
    let name = with_end(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(OWNER_ONLY)
        .open(&name)
        .map_err(|error| failed(&name, &error))?;
    file.try_lock().map_err(|_| StoreError::InUse(path.display().to_string()))?;
    Ok(file)
}

/// Whether a process serves from the file. Changes nothing, and waits for nobody.
pub(super) fn is_served(path: &Path) -> bool {
    File::open(with_end(path, ".lock"))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl SqliteStore {
    pub(super) fn open(settings: &SqliteSettings) -> Result<Self, StoreError> {
        create_folder_of(&settings.path)?;
        let lock = lock(&settings.path)?;
        create(&settings.path)?;
        schema::migrate(&mut connect(&settings.path)?, &settings.path)?;
        let readers = Arc::new(Readers::open(&settings.path)?);
        let connector = Connector { path: settings.path.clone(), durability: settings.durability };
        let generation = Generation::default();
        let recent = Some(Arc::new(Recent::new(generation.clone())));
        let writer = WriterHandle::start(connector, lock, (settings.queue, settings.batch), generation)?;
        Ok(Self { readers, recent, writer: Some(writer), path: Arc::new(settings.path.clone()) })
    }

    pub(super) fn open_beside(path: &Path) -> Result<Self, StoreError> {
        create_folder_of(path)?;
        if is_served(path) && !path.exists() {
            // Made anew, it would be empty, and its gateway would find it so.
            return Err(StoreError::Unavailable(format!("{} is gone, and a gateway serves from it", path.display())));
        }
        create(path)?;
        schema::migrate_beside(&mut connect(path)?, path, || is_served(path))?;
        Ok(Self {
            readers: Arc::new(Readers::open(path)?),
            recent: None,
            writer: None,
            path: Arc::new(path.to_owned()),
        })
    }

    fn writer(&self) -> Result<&WriterHandle, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::Unavailable("opened beside a serving process".to_owned()))
    }

    pub(super) async fn reserve(&self, request: Box<ReservationRequest>) -> Result<Decision, StoreError> {
        self.writer()?.reserve(request).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.writer()?.settle(settlement).await
    }

    pub(super) async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.writer()?.sweep(now).await
    }

    pub(super) fn count_refusal(&self, day: &str, reason: &'static str) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.count_refusal(day, reason))
    }

    pub(super) async fn hand_over(&self) -> Result<(), StoreError> {
        self.writer()?.hand_over().await
    }

    pub(super) async fn take_back(&self) -> Result<(), StoreError> {
        self.writer()?.take_back().await
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }

    pub(super) fn add_keys(&self, new: &[NewKey]) -> Result<(), StoreError> {
        keys::add(&mut connect(&self.path)?, new).map_err(|error| unavailable(&error))
    }

    pub(super) fn find_key(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.readers.with(|connection| keys::find(connection, hash))
    }

    pub(super) fn find_recent_key(&self, hash: &[u8; 32]) -> Result<Option<(Arc<KeyRecord>, Sighting)>, StoreError> {
        match &self.recent {
            Some(recent) => recent.key(hash, || self.find_key(hash)),
            None => Ok(self.find_key(hash)?.map(|key| (Arc::new(key), Sighting::default()))),
        }
    }

    pub(super) fn remembers_key(&self, hash: &[u8; 32]) -> bool {
        self.recent.as_ref().is_some_and(|recent| recent.remembers(hash))
    }

    pub(super) fn list_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.readers.with(keys::list)
    }

    pub(super) fn revoke_key(&self, hash: Option<&[u8; 32]>, key_id: &str, at: Timestamp) -> Result<bool, StoreError> {
        keys::revoke(&connect(&self.path)?, hash, key_id, at).map_err(|error| unavailable(&error))
    }

    pub(super) fn resident_use(&self, resident: &str, windows: &Windows) -> Result<ResidentUse, StoreError> {
        self.readers.with(|connection| read::resident_use(connection, resident, windows))
    }

    pub(super) fn report_data(&self, from: &str, to: &str) -> Result<ReportData, StoreError> {
        read::report_data(&connect(&self.path)?, from, to)
    }

    pub(super) fn spend_by_day(&self, from: &str, to: &str) -> Result<Vec<DaySpend>, StoreError> {
        self.readers.with(|connection| read::spend_by_day(connection, from, to))
    }

    pub(super) fn visit_records(&self, visit: &mut dyn FnMut(u64, Record)) -> Result<(), StoreError> {
        read::visit_records(&connect(&self.path)?, visit)
    }

    pub(super) fn record(&self, seq: u64) -> Result<Option<Record>, StoreError> {
        read::record(&connect(&self.path)?, seq)
    }

    pub(super) fn adjusted(&self, seq: u64) -> Result<Totals, StoreError> {
        control::adjusted(&connect(&self.path)?, seq)
    }

    pub(super) fn corrected_costs(&self) -> Result<BTreeMap<u64, i64>, StoreError> {
        control::corrected_costs(&connect(&self.path)?)
    }

    pub(super) fn changes(&self) -> Result<Vec<(u64, Change)>, StoreError> {
        control::changes(&connect(&self.path)?)
    }

    pub(super) fn append(&self, record: &Record) -> Result<u64, StoreError> {
        control::append(&mut connect(&self.path)?, record)
    }

    pub(super) fn open_duel(&self, duel: &OpenDuel, now: Timestamp) -> Result<(), StoreError> {
        duels::open(&mut connect(&self.path)?, duel, now)
    }

    pub(super) fn find_duel(&self, id: &str) -> Result<Option<FoundDuel>, StoreError> {
        self.readers.with(|connection| duels::find(connection, id))
    }

    pub(super) fn judge_duel(&self, duel: Duel) -> Result<bool, StoreError> {
        duels::judge(&mut connect(&self.path)?, duel)
    }

    pub(super) fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.readers.with(|connection| read::meta(connection, key))
    }

    pub(super) fn append_with_notes(&self, change: Change, notes: &[(&str, &str)]) -> Result<u64, StoreError> {
        control::append_with_notes(&mut connect(&self.path)?, change, notes)
    }

    pub(super) fn stops(&self) -> Result<Stops, StoreError> {
        self.readers.with(control::stops)
    }

    pub(super) fn recent_stops(&self) -> Result<Stops, StoreError> {
        match &self.recent {
            Some(recent) => recent.stops(|| self.stops()),
            None => self.stops(),
        }
    }

    pub(super) fn set_stop(&self, stop: &Stop, stopped: bool, actor: &str) -> Result<bool, StoreError> {
        control::set_stop(&mut connect(&self.path)?, stop, stopped, actor)
    }

    pub(super) fn town_spend(&self, windows: &Windows, hours: &[Timestamp]) -> Result<TownSpend, StoreError> {
        self.readers.with(|connection| control::town_spend(connection, windows, hours))
    }

    pub(super) fn raise_alert(&self, alert: &Alert) -> Result<bool, StoreError> {
        control::raise_alert(&connect(&self.path)?, alert).map_err(|error| unavailable(&error))
    }

    pub(super) fn undelivered_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.readers.with(control::undelivered_alerts)
    }

    pub(super) fn note_delivery(&self, id: &str, delivered_at: Option<Timestamp>) -> Result<(), StoreError> {
        control::note_delivery(&connect(&self.path)?, id, delivered_at).map_err(|error| unavailable(&error))
    }

    pub(super) fn verify(
        &self,
        noted: Option<ChainHead>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, StoreError> {
        verify::verify(&connect(&self.path)?, noted, progress)
    }

    pub(super) fn chain_head(&self) -> Result<ChainHead, StoreError> {
        self.readers.with(read::chain_head)
    }

    pub(super) fn is_simulated(&self) -> Result<Option<bool>, StoreError> {
        self.readers.with(|connection| Ok(read::meta(connection, "simulated")?.map(|value| value == "true")))
    }

    pub(super) fn mark_simulated(&self, simulated: bool) -> Result<(), StoreError> {
        let marked = read::mark_simulated(&mut connect(&self.path)?, simulated).map_err(|error| unavailable(&error))?;
        if marked == simulated {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{} holds {} figures: simulated and real ones never share a database",
            self.path.display(),
            if marked { "simulated" } else { "real" }
        )))
    }

    pub(super) fn gauges(&self) -> Result<StoreGauges, StoreError> {
        let open_reservations = self.readers.with(read::open_reservations)?;
        Ok(StoreGauges { open_reservations, queue_depth: self.queue_depth() })
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writer.as_ref().is_some_and(WriterHandle::is_writable)
    }

    pub(super) fn queue_depth(&self) -> u64 {
        self.writer.as_ref().map_or(0, WriterHandle::queue_depth)
    }

    pub(super) fn disk_use(&self) -> DiskUse {
        disk::look(&self.path)
    }
}

#[cfg(test)]
mod tests;
