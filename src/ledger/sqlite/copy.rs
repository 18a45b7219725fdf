//! A copy of the file as it is at one moment, made while another process writes it; what a copy holds, and whether it is
//! whole.
//!
//! The pages are copied by SQLite's online backup within one open reading. Without that a writer in another process starts
//! the copy again with each of its commits; with it, the writer waits for nothing: its write-ahead log grows until the copy is
//! done. `VACUUM INTO` reads the same snapshot, but writes every row anew, at several times the processor's work.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{connect_to_existing, create, failed, read, schema, unavailable, verify, with_end};
use crate::clock::Clock;
use crate::ledger::{ChainHead, StoreError, Verification};

/// Pages copied at one step, a mebibyte.
const STEP_PAGES: i32 = 256;
/// The longest rest after a step.
const LONGEST_REST: Duration = Duration::from_millis(250);

/// What a ledger's file holds, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Version of its schema.
    pub schema_version: u32,
    /// End of the chain.
    pub head: ChainHead,
    /// When the last record was written.
    pub last_record_at: Option<Timestamp>,
    /// Holds that are open.
    pub open_reservations: u64,
    /// When the lease of the last of them ends.
    pub last_lease_ends: Option<Timestamp>,
    /// Keys issued, revoked ones included.
    pub keys: u64,
    /// Whether its figures are simulated, where that was decided.
    pub simulated: Option<bool>,
}

/// What was found in a file that nobody writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What SQLite finds wrong with its pages; the first hundred findings.
    pub pages: Vec<String>,
    /// What is wrong with the chain and the counters; absent where the file is of another version.
    pub chain: Option<Verification>,
}

impl Inspection {
    /// True when nothing is wrong with what could be looked at.
    pub fn is_clean(&self) -> bool {
        self.pages.is_empty() && self.chain.as_ref().is_none_or(Verification::is_clean)
    }
}

/// Copies `from` as it is now to the new file `to`, flushed to the disk; tells `progress` how many bytes of how many are
/// copied. With `gently` it leaves room for a gateway that serves.
pub(in crate::ledger) fn copy(
    from: &Path,
    to: &Path,
    gently: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let source = connect_to_existing(from)?;
    schema::check_not_newer(&source, from)?;
    create(to)?;
    let written = File::open(to).map_err(|error| failed(to, &error))?;
    copy_pages(&source, to, &written, gently, progress)?;
    // One file that needs no other beside it.
    let copied = connect_to_existing(to)?;
    copied.pragma_update(None, "journal_mode", "delete").map_err(|error| unavailable(&error))?;
    drop(copied);
    written.sync_all().map_err(|error| failed(to, &error))
}

fn copy_pages(
    source: &Connection,
    to: &Path,
    written: &File,
    gently: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let lost = |error: rusqlite::Error| unavailable(&error);
    let mut target = connect_to_existing(to)?;
    // Nobody waits for the copy, and a half one is thrown away.
    target.pragma_update(None, "journal_mode", "off").map_err(lost)?;
    target.pragma_update(None, "synchronous", "off").map_err(lost)?;
    let page: u64 = source.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(lost)?;
    let _snapshot = source.unchecked_transaction().map_err(lost)?;
    read::chain_head(source).map_err(lost)?;
    let backup = Backup::new(source, &mut target).map_err(lost)?;
    let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * page;
    let clock = Clock::system();
    loop {
        let start = clock.tick();
        let step = backup.step(STEP_PAGES).map_err(lost)?;
        let at = backup.progress();
        progress(bytes(at.pagecount - at.remaining), bytes(at.pagecount));
        if step == StepResult::Done {
            return Ok(());
        }
        if gently {
            // A flush of the gateway's waits for what is in the disk's queue before it, so that is never much; and half of the
            // time the disk is its own.
            written.sync_data().map_err(|error| failed(to, &error))?;
            std::thread::sleep(clock.tick().since(start).min(LONGEST_REST));
        }
    }
}

/// A connection that writes nothing, to a file that nobody writes.
fn connect_to_still(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))
}

/// What a file holds that nobody writes.
pub(in crate::ledger) fn census_of(path: &Path) -> Result<Census, StoreError> {
    let connection = connect_to_still(path)?;
    schema::check_not_newer(&connection, path)?;
    census(&connection)
}

/// What a file holds.
pub(super) fn census(connection: &Connection) -> Result<Census, StoreError> {
    let last = |head: ChainHead| match read::record(connection, head.seq)? {
        Some(record) => Ok(Timestamp::from_microsecond(record.at()).ok()),
        None => Ok(None),
    };
    let counted = || {
        let head = read::chain_head(connection)?;
        let lease: Option<i64> = connection
            .query_row("SELECT max(expires_at) FROM reservations", [], |row| row.get(0))
            .optional()?
            .flatten();
        Ok(Census {
            schema_version: schema::version(connection)?,
            head,
            last_record_at: None,
            open_reservations: read::open_reservations(connection)?,
            last_lease_ends: lease.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
            keys: connection.query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?,
            simulated: read::meta(connection, "simulated")?.map(|value| value == "true"),
        })
    };
    let counted = counted().map_err(|error: rusqlite::Error| unavailable(&error))?;
    Ok(Census { last_record_at: last(counted.head)?, ..counted })
}

/// Looks through a file that nobody writes: its pages, and its chain and counters where it is of this program's version.
pub(in crate::ledger) fn inspect(
    path: &Path,
    noted: ChainHead,
    progress: &mut dyn FnMut(u64),
) -> Result<Inspection, StoreError> {
    let connection = connect_to_still(path)?;
    schema::check_not_newer(&connection, path)?;
    let pages = check_pages(&connection, "PRAGMA integrity_check")?;
    let current = schema::version(&connection).map_err(|error| unavailable(&error))? == schema::VERSION;
    let chain = (current && pages.is_empty()).then(|| verify::verify(&connection, Some(noted), progress));
    Ok(Inspection { pages, chain: chain.transpose()? })
}

/// What SQLite finds wrong, by one of its two checks.
pub(super) fn check_pages(connection: &Connection, check: &str) -> Result<Vec<String>, StoreError> {
    let found = || {
        let mut statement = connection.prepare(check)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    };
    let mut found = found().map_err(|error| unavailable(&error))?;
    found.retain(|line| line != "ok");
    Ok(found)
}

/// Puts the file `new` where the ledger is, or where there is none yet. What was there goes to `aside` first, whole: a
/// write-ahead log that stayed behind would be read into the new file. Whoever calls this holds the lock.
pub(in crate::ledger) fn replace(path: &Path, new: &Path, aside: Option<&Path>) -> Result<(), StoreError> {
    let beside = |end: &str| with_end(path, end);
    if let Some(aside) = aside {
        // Linked and not moved, so that a ledger stands there at every moment.
        for end in ["", "-wal"] {
            match std::fs::hard_link(beside(end), with_end(aside, end)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&beside(end), &error)),
                _linked_or_not_there => {}
            }
        }
    }
    for end in ["-wal", "-shm", "-journal"] {
        match std::fs::remove_file(beside(end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&beside(end), &error)),
            _removed_or_not_there => {}
        }
    }
    std::fs::rename(new, path).map_err(|error| failed(path, &error))
}

/// Makes a copy of this program's version, so that it can be looked through; the copy is nobody else's.
pub(in crate::ledger) fn bring_up_to_date(path: &Path) -> Result<(), StoreError> {
    let mut connection = connect_to_existing(path)?;
    schema::migrate(&mut connection, path)?;
    connection.pragma_update(None, "journal_mode", "delete").map_err(|error| unavailable(&error))
}
