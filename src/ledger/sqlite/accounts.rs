//! What each account has used and holds, kept in memory by the writer: counters loaded by key on first touch, open holds
//! read once.
//!
//! The writer is alone and decides one request after the other, so a check and its hold cannot be separated. What a batch
//! adds to the counters is written once per counter, at its end.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::{Entry, ReservationRequest, TOWN, Totals, bounded, micros, record};
use crate::quota::{Limit, Refusal, Window};

/// Counters in memory before they are forgotten and loaded again by key.
const FORGET_ABOVE: usize = 200_000;

/// One limit to be kept: account, window, limit, what it allows, and which of the totals it is about.
type Check<'a> = (&'a str, &'a Window, Limit, i64, fn(&Totals) -> i64);

/// Totals by account and window, looked up without making a key.
#[derive(Debug, Default)]
struct Sums {
    /// An account has few windows: its days and months since it was loaded.
    by_account: HashMap<Box<str>, Vec<(Box<str>, Totals)>>,
    count: usize,
}

impl Sums {
    fn get(&self, account: &str, window: &str) -> Option<&Totals> {
        let windows = self.by_account.get(account)?;
        windows.iter().find(|(name, _)| **name == *window).map(|(_, totals)| totals)
    }

    fn get_mut(&mut self, account: &str, window: &str) -> Option<&mut Totals> {
        let windows = self.by_account.get_mut(account)?;
        windows.iter_mut().find(|(name, _)| **name == *window).map(|(_, totals)| totals)
    }

    /// Adds to what is there, or to nothing.
    fn add(&mut self, account: &str, window: &str, totals: Totals) {
        if let Some(sum) = self.get_mut(account, window) {
            return sum.add(totals);
        }
        self.count += 1;
        let entry = (window.into(), totals);
        match self.by_account.get_mut(account) {
            Some(windows) => windows.push(entry),
            None => drop(self.by_account.insert(account.into(), vec![entry])),
        }
    }

    /// Takes away again; an account that holds nothing takes no room.
    fn subtract(&mut self, account: &str, window: &str, totals: Totals) {
        let Some(windows) = self.by_account.get_mut(account) else { return };
        let Some(place) = windows.iter().position(|(name, _)| **name == *window) else { return };
        windows[place].1.subtract(totals);
        if windows[place].1 == Totals::default() {
            windows.swap_remove(place);
            self.count -= 1;
            if windows.is_empty() {
                self.by_account.remove(account);
            }
        }
    }

    fn clear(&mut self) {
        self.by_account.clear();
        self.count = 0;
    }
}

/// Accounts by (account, window), and every open hold.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// What was settled, as the file says it or will say it with the end of this batch.
    used: Sums,
    held: Sums,
    holds: HashMap<String, Holding>,
    /// What they hold together, nano-euros.
    held_nanos: i64,
    /// What this batch adds to the counters.
    added: Sums,
}

/// An open hold, and the windows that it concerns.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    /// Its row.
    pub(super) number: i64,
    pub(super) resident: String,
    pub(super) day: String,
    pub(super) month: String,
    pub(super) year: String,
    pub(super) tokens: i64,
    pub(super) euro_nanos: i64,
    /// When its lease ends, microseconds since 1970 (UTC).
    pub(super) expires_at: i64,
}

impl Holding {
    /// The hold that a request asks for; it has a row once it is written.
    pub(super) fn of(request: &ReservationRequest) -> Self {
        let lease = i64::try_from(request.lease.as_micros()).unwrap_or(i64::MAX);
        Self {
            number: 0,
            resident: request.entry.resident.clone(),
            day: request.windows.day.label.clone(),
            month: request.windows.month.label.clone(),
            year: request.windows.year.label.clone(),
            tokens: bounded(request.ceiling.tokens),
            euro_nanos: request.ceiling.euro_nanos,
            expires_at: micros(request.now).saturating_add(lease),
        }
    }

    fn totals(&self) -> Totals {
        Totals { questions: 1, tokens: self.tokens, euro_nanos: self.euro_nanos }
    }

    fn accounts(&self) -> [(&str, &str); 4] {
        [(&self.resident, &self.day), (&self.resident, &self.month), (TOWN, &self.month), (TOWN, &self.year)]
    }
}

impl Accounts {
    /// Forgets everything, and reads the open holds again: memory may be ahead of the file, or behind it.
    pub(super) fn reload(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        *self = Self::default();
        for (id, holding) in open_holds(connection)? {
            self.open(id, holding);
        }
        Ok(())
    }

    /// Keeps memory bounded: counters that are needed again are loaded by key. Open holds are as many as open calls.
    pub(super) fn trim(&mut self) {
        if self.used.count > FORGET_ABOVE {
            self.used.clear();
        }
    }

    fn used(&mut self, connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Totals> {
        if let Some(totals) = self.used.get(account, window) {
            return Ok(*totals);
        }
        let mut loaded = used(connection, account, window)?;
        // What this batch has added already is not in the file yet.
        loaded.add(self.added.get(account, window).copied().unwrap_or_default());
        self.used.add(account, window, loaded);
        Ok(loaded)
    }

    fn held(&self, account: &str, window: &str) -> Totals {
        self.held.get(account, window).copied().unwrap_or_default()
    }

    /// Checks every limit; gives the tokens of the day that would be left beside the hold.
    pub(super) fn check(
        &mut self,
        connection: &Connection,
        request: &ReservationRequest,
        holding: &Holding,
    ) -> rusqlite::Result<Result<u64, Refusal>> {
        let (resident, amount) = (&*holding.resident, holding.totals());
        let windows = &request.windows;
        let (allowance, envelope) = (&request.allowance, &request.envelope);
        let euros = |totals: &Totals| totals.euro_nanos;
        let checks: [Check<'_>; 5] = [
            (resident, &windows.day, Limit::QuestionsPerDay, bounded(allowance.questions_per_day), |t| t.questions),
            (resident, &windows.day, Limit::TokensPerDay, bounded(allowance.tokens_per_day), |t| t.tokens),
            (resident, &windows.month, Limit::EurosPerMonth, allowance.euro_nanos_per_month, euros),
            (TOWN, &windows.month, Limit::TownEurosPerMonth, envelope.euro_nanos_per_month, euros),
            (TOWN, &windows.year, Limit::TownEurosPerYear, envelope.euro_nanos_per_year, euros),
        ];
        for (account, window, limit, allowed, of) in checks {
            let used = of(&self.used(connection, account, &window.label)?);
            let (held, asked) = (of(&self.held(account, &window.label)), of(&amount));
            if used.saturating_add(held).saturating_add(asked) > allowed {
                return Ok(Err(Refusal { limit, allowed, used, held, asked, resets_at: window.end }));
            }
        }
        let today = &windows.day.label;
        let mut taken = self.used(connection, resident, today)?;
        taken.add(self.held(resident, today));
        taken.add(amount);
        let left = bounded(allowance.tokens_per_day).saturating_sub(taken.tokens);
        Ok(Ok(u64::try_from(left).unwrap_or(0)))
    }

    /// How many holds are open, and what they hold together in nano-euros.
    pub(super) fn open_holds(&self) -> (usize, i64) {
        (self.holds.len(), self.held_nanos)
    }

    /// Whether a hold of that id is open.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.holds.contains_key(id)
    }

    /// Notes a hold in all its windows.
    pub(super) fn open(&mut self, id: String, holding: Holding) {
        for (account, window) in holding.accounts() {
            self.held.add(account, window, holding.totals());
        }
        self.held_nanos = self.held_nanos.saturating_add(holding.euro_nanos);
        self.holds.insert(id, holding);
    }

    /// Gives a hold back; `None` when it was resolved before.
    pub(super) fn close(&mut self, id: &str) -> Option<Holding> {
        let holding = self.holds.remove(id)?;
        self.held_nanos = self.held_nanos.saturating_sub(holding.euro_nanos);
        for (account, window) in holding.accounts() {
            self.held.subtract(account, window, holding.totals());
        }
        Some(holding)
    }

    /// Charges what the entries of a hold used, in the windows of admission, and in the hour they ended.
    pub(super) fn charge<'a>(&mut self, holding: &Holding, entries: impl Iterator<Item = &'a Entry>) {
        let mut used = Totals::default();
        for entry in entries {
            let charged = Totals::of(entry.charged);
            used.add(charged);
            if charged != Totals::default() {
                self.added.add(TOWN, &record::hour(entry.ended_at), charged);
            }
        }
        for (account, window) in holding.accounts() {
            if let Some(totals) = self.used.get_mut(account, window) {
                totals.add(used);
            }
            self.added.add(account, window, used);
        }
    }

    /// Ids of at most `limit` holds whose lease has ended, those that ended first first.
    pub(super) fn expired(&self, now: i64, limit: usize) -> Vec<String> {
        let mut expired: Vec<_> = self.holds.iter().filter(|(_, holding)| holding.expires_at <= now).collect();
        expired.sort_unstable_by_key(|(_, holding)| (holding.expires_at, holding.number));
        expired.into_iter().take(limit).map(|(id, _)| id.clone()).collect()
    }

    /// The row of an open hold.
    pub(super) fn number(&self, id: &str) -> Option<i64> {
        self.holds.get(id).map(|holding| holding.number)
    }

    /// Writes what the batch added to the counters.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(ADD)?;
        for (account, windows) in &self.added.by_account {
            for (window, used) in windows {
                statement.execute(params![account, window, used.questions, used.tokens, used.euro_nanos])?;
            }
        }
        self.added.clear();
        Ok(())
    }
}

const ADD: &str = "INSERT INTO counters (account, window, questions, tokens, euro_nanos) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (account, window) DO UPDATE SET questions = questions + excluded.questions,
                       tokens = tokens + excluded.tokens, euro_nanos = euro_nanos + excluded.euro_nanos";

/// Adds to a counter in the file.
pub(super) fn add(connection: &Connection, account: &str, window: &str, used: Totals) -> rusqlite::Result<()> {
    connection.prepare_cached(ADD)?.execute(params![account, window, used.questions, used.tokens, used.euro_nanos])?;
    Ok(())
}

fn totals(row: &rusqlite::Row<'_>) -> rusqlite::Result<Totals> {
    Ok(Totals { questions: row.get(0)?, tokens: row.get(1)?, euro_nanos: row.get(2)? })
}

/// Every open hold, once per process and after trouble: they are as many as calls are open.
fn open_holds(connection: &Connection) -> rusqlite::Result<Vec<(String, Holding)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, number, resident_id, day, month, year, tokens, euro_nanos, expires_at FROM reservations",
    )?;
    let rows = statement.query_map([], |row| {
        let holding = Holding {
            number: row.get(1)?,
            resident: row.get(2)?,
            day: row.get(3)?,
            month: row.get(4)?,
            year: row.get(5)?,
            tokens: row.get(6)?,
            euro_nanos: row.get(7)?,
            expires_at: row.get(8)?,
        };
        Ok((row.get(0)?, holding))
    })?;
    rows.collect()
}

/// What was settled in a window.
pub(super) fn used(connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Totals> {
    let found = connection
        .prepare_cached("SELECT questions, tokens, euro_nanos FROM counters WHERE account = ?1 AND window = ?2")?
        .query_row([account, window], totals)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// What open reservations hold in a window, as the file says it. For the town that reads all of them, for a resident
/// those of the resident.
pub(super) fn held(connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Totals> {
    let filter = if account == TOWN { "?1 = 'town'" } else { "resident_id = ?1" };
    connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(euro_nanos), 0) FROM reservations
             WHERE {filter} AND ?2 IN (day, month, year)"
        ))?
        .query_row([account, window], totals)
}
