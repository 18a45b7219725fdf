//! What is written beside the calls, by any process: adjustments, changes, stops, alerts.
//!
//! Each is one transaction of its own; the writer goes on from there with its next one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{Text, accounts, read, unavailable};
use crate::ledger::record::Listed;
use crate::ledger::{
    Alert, ChainHead, Change, Difference, Record, Stop, StopScope, Stops, StoreError, TOWN, Totals, TownSpend, chain,
    micros, record,
};
use crate::quota::{Limit, Windows};

type Written<T> = Result<T, StoreError>;

/// Carries `work` out in a write transaction.
pub(super) fn written<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Written<T> {
    let run = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    };
    run().map_err(|error| unavailable(&error))
}

/// Appends one record that is no attempt, and lets the counters follow.
pub(super) fn append_to(transaction: &Connection, record: &Record) -> rusqlite::Result<u64> {
    let body = record.to_body().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let head = read::chain_head(transaction)?;
    let next = ChainHead { seq: head.seq + 1, hash: chain::link(&head.hash, &body) };
    transaction.prepare_cached("INSERT INTO entries (seq, body, hash) VALUES (?1, ?2, ?3)")?.execute(params![
        next.seq,
        Text(&body),
        next.hash.as_slice()
    ])?;
    if let Some(Listed { kind, corrects, day }) = record.other() {
        transaction.execute(
            "INSERT INTO other_records (seq, kind, corrects, day) VALUES (?1, ?2, ?3, ?4)",
            params![next.seq, kind, corrects, day],
        )?;
    }
    for (account, window, charged) in record.charges() {
        accounts::add(transaction, &account, &window, charged)?;
    }
    Ok(next.seq)
}

pub(super) fn append(connection: &mut Connection, record: &Record) -> Written<u64> {
    written(connection, |transaction| append_to(transaction, record))
}

pub(super) fn append_with_notes(connection: &mut Connection, change: Change, notes: &[(&str, &str)]) -> Written<u64> {
    written(connection, |transaction| {
        for (key, text) in notes {
            read::set_meta(transaction, key, text)?;
        }
        append_to(transaction, &Record::Change(Box::new(change)))
    })
}

/// The bodies of the records of one kind, oldest first. The join is crossed because SQLite takes its tables in that
/// order: left to choose, it walks through all entries, which come sorted, and looks each up in the short list.
fn others(connection: &Connection, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Written<Vec<(u64, Record)>> {
    let read = || {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT e.seq, e.body FROM other_records o CROSS JOIN entries e ON e.seq = o.seq
             WHERE {filter} ORDER BY o.seq"
        ))?;
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<(u64, String)>>>()
    };
    let bodies = read().map_err(|error| unavailable(&error))?;
    bodies.into_iter().map(|(seq, body)| Ok((seq, Record::parse(seq, body.as_bytes())?))).collect()
}

pub(super) fn changes(connection: &Connection) -> Written<Vec<(u64, Change)>> {
    let found = others(connection, "o.kind = ?1", params!["change"])?;
    let change = |(seq, record)| match record {
        Record::Change(change) => Some((seq, *change)),
        _ => None,
    };
    Ok(found.into_iter().filter_map(change).collect())
}

/// Probes and duels of the days from `from` to `to`, oldest first.
pub(super) fn of_days(connection: &Connection, from: &str, to: &str) -> Written<Vec<Record>> {
    let mut found = Vec::new();
    for kind in [record::PROBE, record::DUEL] {
        let filter = "o.kind = ?1 AND o.day BETWEEN ?2 AND ?3";
        found.extend(others(connection, filter, params![kind, from, to])?.into_iter().map(|(_, record)| record));
    }
    Ok(found)
}

pub(super) fn corrected_costs(connection: &Connection) -> Written<BTreeMap<u64, i64>> {
    let cost = |(_, record)| match record {
        Record::Adjustment(adjustment) => Some((adjustment.corrects?, adjustment.cost_nanos?)),
        _ => None,
    };
    // Oldest first, so that the last adjustment of an entry stays.
    Ok(others(connection, "o.kind = ?1", params!["adjustment"])?.into_iter().filter_map(cost).collect())
}

pub(super) fn adjusted(connection: &Connection, seq: u64) -> Written<Totals> {
    let mut sum = Totals::default();
    for (_, record) in others(connection, "o.corrects = ?1", params![seq])? {
        if let Record::Adjustment(adjustment) = record {
            sum.add(adjustment.charged);
        }
    }
    Ok(sum)
}

pub(super) fn stops(connection: &Connection) -> rusqlite::Result<Stops> {
    let mut statement =
        connection.prepare_cached("SELECT scope, name, since, reason FROM stops ORDER BY scope, name")?;
    let mut rows = statement.query([])?;
    let mut stops = Vec::new();
    while let Some(row) = rows.next()? {
        let scope: String = row.get(0)?;
        // A scope of a later version is not known here: better to stop everything than nothing.
        let scope = StopScope::of(&scope).unwrap_or(StopScope::Town);
        let since = Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::MIN);
        stops.push(Stop { scope, name: row.get(1)?, since, reason: row.get(3)? });
    }
    Ok(Stops(stops))
}

pub(super) fn set_stop(connection: &mut Connection, stop: &Stop, stopped: bool, actor: &str) -> Written<bool> {
    written(connection, |transaction| {
        let key = params![stop.scope.as_str(), stop.name];
        let before: Option<String> = transaction
            .query_row("SELECT reason FROM stops WHERE scope = ?1 AND name = ?2", key, |row| row.get(0))
            .optional()?;
        if before.is_some() == stopped {
            return Ok(false);
        }
        if stopped {
            transaction.execute(
                "INSERT INTO stops (scope, name, since, reason) VALUES (?1, ?2, ?3, ?4)",
                params![stop.scope.as_str(), stop.name, micros(stop.since), stop.reason],
            )?;
        } else {
            transaction.execute("DELETE FROM stops WHERE scope = ?1 AND name = ?2", key)?;
        }
        let state = |stopped: bool| Some(if stopped { "stopped" } else { "open" }.to_owned());
        let change = Change {
            id: Uuid::now_v7().to_string(),
            at: micros(stop.since),
            actor: actor.to_owned(),
            reason: stop.reason.clone(),
            terms: None,
            differences: vec![Difference { subject: stop.subject(), before: state(!stopped), after: state(stopped) }],
        };
        append_to(transaction, &Record::Change(Box::new(change)))?;
        Ok(true)
    })
}

pub(super) fn town_spend(
    connection: &Connection,
    windows: &Windows,
    hours: &[Timestamp],
) -> rusqlite::Result<TownSpend> {
    let snapshot = connection.unchecked_transaction()?;
    let used = |window: &str| accounts::used(&snapshot, TOWN, window);
    let refused = |limit: Limit| -> rusqlite::Result<bool> {
        snapshot
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM refusals WHERE day = ?1 AND reason = ?2)")?
            .query_row([&windows.day.label, limit.as_str()], |row| row.get(0))
    };
    let hours = hours.iter().map(|hour| Ok(used(&record::hour(micros(*hour)))?.euro_nanos));
    Ok(TownSpend {
        month_used: used(&windows.month.label)?,
        month_held: accounts::held(&snapshot, TOWN, &windows.month.label)?,
        year_used: used(&windows.year.label)?,
        year_held: accounts::held(&snapshot, TOWN, &windows.year.label)?,
        month_refused: refused(Limit::TownEurosPerMonth)?,
        year_refused: refused(Limit::TownEurosPerYear)?,
        hours: hours.collect::<rusqlite::Result<_>>()?,
    })
}

pub(super) fn raise_alert(connection: &Connection, alert: &Alert) -> rusqlite::Result<bool> {
    let raised = connection.execute(
        "INSERT INTO alerts (id, raised_at, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
        params![alert.id, micros(alert.raised_at), alert.body],
    )?;
    Ok(raised > 0)
}

pub(super) fn undelivered_alerts(connection: &Connection) -> rusqlite::Result<Vec<Alert>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, raised_at, body, attempts FROM alerts WHERE delivered_at IS NULL ORDER BY raised_at, id",
    )?;
    let rows = statement.query_map([], |row| {
        let raised_at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Alert { id: row.get(0)?, raised_at, body: row.get(2)?, attempts: row.get(3)? })
    })?;
    rows.collect()
}

pub(super) fn note_delivery(
    connection: &Connection,
    id: &str,
    delivered_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE alerts SET attempts = attempts + 1, delivered_at = coalesce(delivered_at, ?2) WHERE id = ?1",
        params![id, delivered_at.map(micros)],
    )?;
    Ok(())
}
