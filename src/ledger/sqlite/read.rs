//! Questions to the file that need no writer.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{accounts, control, unavailable};
use crate::ledger::{
    ChainHead, DUELS_ACCOUNT, DaySpend, PROBES_ACCOUNT, People, Record, ReportData, ResidentUse, Rollup, RollupKey,
    StoreError, Stratum, TOWN, person,
};
use crate::quota::Windows;

/// The key in `meta` of the last entry that the rollups hold.
pub(super) const ROLLUP_SEQ: &str = "rollup_seq";

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([key, value])?;
    Ok(())
}

/// Marks the database, unless it is marked or holds entries (which are then real ones); gives what it holds.
pub(super) fn mark_simulated(connection: &mut Connection, simulated: bool) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let marked = match meta(&transaction, "simulated")? {
        Some(value) => value == "true",
        None => {
            let used: bool = transaction.query_row("SELECT EXISTS (SELECT 1 FROM entries)", [], |row| row.get(0))?;
            let kind = simulated && !used;
            set_meta(&transaction, "simulated", &kind.to_string())?;
            kind
        }
    };
    transaction.commit()?;
    Ok(marked)
}

pub(super) fn rollup_seq(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta(connection, ROLLUP_SEQ)?.and_then(|value| value.parse().ok()).unwrap_or(0))
}

pub(super) fn open_reservations(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM reservations")?.query_row([], |row| row.get(0))
}

/// How many holds are open, and what they hold together in nano-euros. Reads each: once, at the start.
pub(super) fn open_holds(connection: &Connection) -> rusqlite::Result<(usize, i64)> {
    connection.query_row("SELECT count(*), coalesce(sum(euro_nanos), 0) FROM reservations", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

pub(super) fn resident_use(
    connection: &Connection,
    resident: &str,
    windows: &Windows,
) -> rusqlite::Result<ResidentUse> {
    // One snapshot: a call settled between two statements would be counted twice, or not at all.
    let snapshot = connection.unchecked_transaction()?;
    Ok(ResidentUse {
        day_used: accounts::used(&snapshot, resident, &windows.day.label)?,
        day_held: accounts::held(&snapshot, resident, &windows.day.label)?,
        month_used: accounts::used(&snapshot, resident, &windows.month.label)?,
        month_held: accounts::held(&snapshot, resident, &windows.month.label)?,
    })
}

/// Every record after `after`, oldest first, with its body and hash as stored.
pub(super) fn scan(
    connection: &Connection,
    after: u64,
    visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    scan_some(connection, after, i64::MAX, visit)
}

/// The same for the next `limit` records at most.
pub(super) fn scan_some(
    connection: &Connection,
    after: u64,
    limit: i64,
    mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, body, hash FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2")
        .map_err(|error| unavailable(&error))?;
    let mut rows = statement.query(params![after, limit]).map_err(|error| unavailable(&error))?;
    while let Some(row) = rows.next().map_err(|error| unavailable(&error))? {
        let damaged = |error: rusqlite::types::FromSqlError| StoreError::Damaged(error.to_string());
        let seq: u64 = row.get(0).map_err(|error| unavailable(&error))?;
        // As bytes: a text that is none any more is for the reader to tell of.
        let body = row.get_ref(1).map_err(|error| unavailable(&error))?.as_bytes().map_err(damaged)?;
        let hash = row.get_ref(2).map_err(|error| unavailable(&error))?.as_blob().map_err(damaged)?;
        visit(seq, body, hash)?;
    }
    Ok(())
}

pub(super) fn visit_records(connection: &Connection, visit: &mut dyn FnMut(u64, Record)) -> Result<(), StoreError> {
    scan(connection, 0, |seq, body, _| {
        visit(seq, Record::parse(seq, body)?);
        Ok(())
    })
}

/// One record by its number.
pub(super) fn record(connection: &Connection, seq: u64) -> Result<Option<Record>, StoreError> {
    let found: Option<String> = connection
        .query_row("SELECT body FROM entries WHERE seq = ?1", [seq], |row| row.get(0))
        .optional()
        .map_err(|error| unavailable(&error))?;
    found.map(|body| Record::parse(seq, body.as_bytes())).transpose()
}

/// The end of the chain.
pub(super) fn chain_head(connection: &Connection) -> rusqlite::Result<ChainHead> {
    let last = connection
        .prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok(ChainHead { seq: row.get(0)?, hash: row.get::<_, [u8; 32]>(1)? }));
    Ok(last.optional()?.unwrap_or_default())
}

const ROLLUP_OF: &str = "SELECT body FROM rollups WHERE day = ?1 AND provider = ?2 AND model = ?3 AND host = ?4
                         AND operation = ?5 AND evidence = ?6 AND stratum = ?7";

/// Empties the aggregates: they are made again from the first record on.
pub(super) fn forget_rollups(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM rollups", [])?;
    set_meta(&transaction, ROLLUP_SEQ, "0")?;
    transaction.commit()
}

/// One stored rollup, or an empty one.
pub(super) fn rollup(connection: &Connection, key: &RollupKey) -> Result<Rollup, StoreError> {
    let RollupKey { day, provider, model, host, operation, evidence, stratum } = key;
    let found: Option<Vec<u8>> = connection
        .prepare_cached(ROLLUP_OF)
        .and_then(|mut statement| {
            let values = params![day, provider, model, host, operation, evidence.as_str(), stratum.code()];
            statement.query_row(values, |row| row.get(0)).optional()
        })
        .map_err(|error| unavailable(&error))?;
    found.map_or_else(|| Ok(Rollup::default()), |bytes| Rollup::from_bytes(&bytes))
}

/// Writes one rollup in the place of the stored one.
pub(super) fn set_rollup(connection: &Connection, key: &RollupKey, rollup: &Rollup) -> Result<(), StoreError> {
    let RollupKey { day, provider, model, host, operation, evidence, stratum } = key;
    let bytes = rollup.to_bytes()?;
    connection
        .prepare_cached(
            "INSERT INTO rollups (day, provider, model, host, operation, evidence, stratum, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (day, provider, model, host, operation, evidence, stratum)
             DO UPDATE SET body = excluded.body",
        )
        .and_then(|mut statement| {
            statement.execute(params![day, provider, model, host, operation, evidence.as_str(), stratum.code(), bytes])
        })
        .map_err(|error| unavailable(&error))?;
    Ok(())
}

pub(super) fn report_data(connection: &Connection, from: &str, to: &str) -> Result<ReportData, StoreError> {
    let snapshot = connection.unchecked_transaction().map_err(|error| unavailable(&error))?;
    let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    // Added up as they come: those of all days at once would take thirty times the memory.
    let stored = stored_rollups(&snapshot, from, to, |key, rollup| {
        rollups.entry(key.of_all_days()).or_default().merge(&rollup);
    });
    let mut rolled_up = rollup_seq(&snapshot).map_err(|error| unavailable(&error))?;
    match stored {
        // They are made of the records, which are all there: the report takes longer and says the same.
        Err(StoreError::Damaged(what)) => {
            tracing::error!(%what, "the report is made from all records: `passerelle ledger rebuild` mends the aggregates");
            rollups.clear();
            rolled_up = 0;
        }
        stored => stored?,
    }
    scan(&snapshot, rolled_up, |seq, body, _| {
        let record = Record::parse(seq, body)?;
        if let Some(key) = RollupKey::of(&record).filter(|key| (from..=to).contains(&key.day.as_str())) {
            rollups.entry(key.of_all_days()).or_default().add(&record);
        }
        Ok(())
    })?;
    let (mut probes, mut duels) = (Vec::new(), Vec::new());
    for record in control::of_days(&snapshot, from, to)? {
        match record {
            Record::Probe(probe) => probes.push(*probe),
            Record::Duel(duel) => duels.push(*duel),
            Record::Attempt(_) | Record::Adjustment(_) | Record::Change(_) => {}
        }
    }
    Ok(ReportData {
        rollups: rollups.into_iter().collect(),
        probes,
        duels,
        residents: residents(&snapshot, from, to).map_err(|error| unavailable(&error))?,
        head: chain_head(&snapshot).map_err(|error| unavailable(&error))?,
        refusals: refusals(&snapshot, from, to).map_err(|error| unavailable(&error))?,
        open_reservations: open_reservations(&snapshot).map_err(|error| unavailable(&error))?,
    })
}

/// Residents who asked something, by month. The counters stand together by window: a month's are read, never an entry.
fn residents(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<Vec<(String, u64)>> {
    let month = |day: &str| day.get(..MONTH).unwrap_or(day).to_owned();
    let mut statement = connection.prepare(
        "SELECT window, count(*) FROM counters
         WHERE window BETWEEN ?1 AND ?2 AND length(window) = ?3 AND questions > 0 AND account NOT IN (?4, ?5, ?6)
         GROUP BY window ORDER BY window",
    )?;
    let values = params![month(from), month(to), MONTH, TOWN, PROBES_ACCOUNT, DUELS_ACCOUNT];
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Accounts of a day that are looked at one by one: enough to know that they are not few.
const FEW: u32 = 64;

/// What was charged by local day, by the counters: they stand together by window, and so do days.
pub(super) fn spend_by_day(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<Vec<DaySpend>> {
    let mut statement = connection.prepare(
        "SELECT window, sum(euro_nanos), coalesce(sum(euro_nanos) FILTER (WHERE account NOT IN (?5, ?6)), 0)
         FROM counters
         WHERE window BETWEEN ?1 AND ?2 AND length(window) = ?3 AND account <> ?4 GROUP BY window ORDER BY window",
    )?;
    let values = params![from, to, DAY, TOWN, PROBES_ACCOUNT, DUELS_ACCOUNT];
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut accounts = connection.prepare(
        "SELECT account FROM counters WHERE window = ?1 AND questions > 0 AND account NOT IN (?2, ?3, ?4) LIMIT ?5",
    )?;
    let mut days = Vec::new();
    for row in rows {
        let (day, euro_nanos, residents_euro_nanos): (String, i64, i64) = row?;
        let mut people = People::default();
        let mut rows = accounts.query(params![day, TOWN, PROBES_ACCOUNT, DUELS_ACCOUNT, FEW])?;
        while let Some(row) = rows.next()? {
            people.merge(person(&row.get::<_, String>(0)?));
        }
        days.push(DaySpend { day, euro_nanos, residents_euro_nanos, people });
    }
    Ok(days)
}

/// Length of the name of a day, `2026-11-24`.
const DAY: usize = 10;
/// Length of the name of a month, `2026-11`.
const MONTH: usize = 7;

/// Hands every stored rollup of the days to `take`, one after the other: together they are as long as a small ledger.
fn stored_rollups(
    connection: &Connection,
    from: &str,
    to: &str,
    mut take: impl FnMut(RollupKey, Rollup),
) -> Result<(), StoreError> {
    let sql = "SELECT day, provider, model, host, operation, evidence, stratum, body FROM rollups
               WHERE day BETWEEN ?1 AND ?2";
    let mut statement = connection.prepare(sql).map_err(|error| unavailable(&error))?;
    let mut rows = statement.query([from, to]).map_err(|error| unavailable(&error))?;
    while let Some(row) = rows.next().map_err(|error| unavailable(&error))? {
        let text = |column: usize| row.get::<_, String>(column).map_err(|error| unavailable(&error));
        let damaged = || StoreError::Damaged("a rollup has a key that is not known".to_owned());
        let key = RollupKey {
            day: text(0)?,
            provider: text(1)?,
            model: text(2)?,
            host: text(3)?,
            operation: text(4)?,
            evidence: text(5)?.parse().map_err(|()| damaged())?,
            stratum: row.get(6).ok().and_then(Stratum::of_code).ok_or_else(damaged)?,
        };
        let body = row.get_ref(7).map_err(|error| unavailable(&error))?;
        take(key, Rollup::from_bytes(body.as_blob().map_err(|_| damaged())?)?);
    }
    Ok(())
}

fn refusals(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare(
        "SELECT reason, sum(count) FROM refusals WHERE day BETWEEN ?1 AND ?2 GROUP BY reason ORDER BY reason",
    )?;
    let rows = statement.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
