//! What each account has used and holds, kept in memory by the writer and loaded by key on first touch.
//!
//! The writer is alone and decides one request after the other, so a check and its hold cannot be separated.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::{Entry, ReservationRequest, TOWN, Totals, bounded, record};
use crate::quota::{Limit, Refusal, Window};

/// Accounts in memory before they are forgotten and loaded again by key.
const FORGET_ABOVE: usize = 200_000;

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    used: Totals,
    held: Totals,
}

/// One limit to be kept: account, window, limit, what it allows, and which of the totals it is about.
type Check<'a> = (&'a str, &'a Window, Limit, i64, fn(&Totals) -> i64);

/// Accounts by (account, window).
#[derive(Debug, Default)]
pub(super) struct Accounts {
    known: HashMap<(String, String), Account>,
}

/// The windows a hold or a charge concerns.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) resident: String,
    pub(super) day: String,
    pub(super) month: String,
    pub(super) year: String,
    pub(super) tokens: i64,
    pub(super) euro_nanos: i64,
}

impl Holding {
    pub(super) fn of(request: &ReservationRequest) -> Self {
        Self {
            resident: request.entry.resident.clone(),
            day: request.windows.day.label.clone(),
            month: request.windows.month.label.clone(),
            year: request.windows.year.label.clone(),
            tokens: bounded(request.ceiling.tokens),
            euro_nanos: request.ceiling.euro_nanos,
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
    /// Forgets everything: after a failed commit memory may be ahead of the file.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Keeps memory bounded; what is needed again is loaded by key.
    pub(super) fn trim(&mut self) {
        if self.known.len() > FORGET_ABOVE {
            self.forget();
        }
    }

    fn get(&mut self, connection: &Connection, account: &str, window: &str) -> rusqlite::Result<&mut Account> {
        let key = (account.to_owned(), window.to_owned());
        if !self.known.contains_key(&key) {
            let loaded = load(connection, account, window)?;
            self.known.insert(key.clone(), loaded);
        }
        Ok(self.known.entry(key).or_default())
    }

    /// Makes sure that the accounts of a holding are in memory.
    pub(super) fn load(&mut self, connection: &Connection, holding: &Holding) -> rusqlite::Result<()> {
        for (account, window) in holding.accounts() {
            self.get(connection, account, window)?;
        }
        Ok(())
    }

    /// Checks every limit, and holds in all windows or in none. Gives the hold, and the tokens of the day that are left
    /// beside it.
    pub(super) fn hold(
        &mut self,
        connection: &Connection,
        request: &ReservationRequest,
    ) -> rusqlite::Result<Result<(Holding, u64), Refusal>> {
        let holding = Holding::of(request);
        let amount = holding.totals();
        let windows = &request.windows;
        let (allowance, envelope) = (&request.allowance, &request.envelope);
        let euros = |totals: &Totals| totals.euro_nanos;
        let checks: [Check<'_>; 5] = [
            (&holding.resident, &windows.day, Limit::QuestionsPerDay, bounded(allowance.questions_per_day), |t| {
                t.questions
            }),
            (&holding.resident, &windows.day, Limit::TokensPerDay, bounded(allowance.tokens_per_day), |t| t.tokens),
            (&holding.resident, &windows.month, Limit::EurosPerMonth, allowance.euro_nanos_per_month, euros),
            (TOWN, &windows.month, Limit::TownEurosPerMonth, envelope.euro_nanos_per_month, euros),
            (TOWN, &windows.year, Limit::TownEurosPerYear, envelope.euro_nanos_per_year, euros),
        ];
        for (account, window, limit, allowed, of) in checks {
            let account = self.get(connection, account, &window.label)?;
            let (used, held, asked) = (of(&account.used), of(&account.held), of(&amount));
            if used.saturating_add(held).saturating_add(asked) > allowed {
                return Ok(Err(Refusal { limit, allowed, used, held, asked, resets_at: window.end }));
            }
        }
        for (account, window) in holding.accounts() {
            self.get(connection, account, window)?.held.add(amount);
        }
        let today = self.get(connection, &holding.resident, &windows.day.label)?;
        let taken = today.used.tokens.saturating_add(today.held.tokens);
        let left = bounded(allowance.tokens_per_day).saturating_sub(taken);
        Ok(Ok((holding, u64::try_from(left).unwrap_or(0))))
    }

    /// Gives a hold back.
    pub(super) fn release(&mut self, connection: &Connection, holding: &Holding) -> rusqlite::Result<()> {
        for (account, window) in holding.accounts() {
            self.get(connection, account, window)?.held.subtract(holding.totals());
        }
        Ok(())
    }

    /// Gives a hold back and charges what its entries used, in the windows of admission, and in the hour they ended.
    pub(super) fn charge(
        &mut self,
        connection: &Connection,
        holding: &Holding,
        entries: &[Entry],
    ) -> rusqlite::Result<()> {
        self.release(connection, holding)?;
        let mut used = Totals::default();
        for entry in entries {
            let charged = Totals::of(entry.charged);
            used.add(charged);
            if charged != Totals::default() {
                add(connection, TOWN, &record::hour(entry.ended_at), charged)?;
            }
        }
        for (account, window) in holding.accounts() {
            self.get(connection, account, window)?.used.add(used);
            add(connection, account, window, used)?;
        }
        Ok(())
    }
}

/// Adds to a counter in the file.
pub(super) fn add(connection: &Connection, account: &str, window: &str, used: Totals) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO counters (account, window, questions, tokens, euro_nanos) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account, window) DO UPDATE SET questions = questions + excluded.questions,
                 tokens = tokens + excluded.tokens, euro_nanos = euro_nanos + excluded.euro_nanos",
        )?
        .execute(params![account, window, used.questions, used.tokens, used.euro_nanos])?;
    Ok(())
}

/// Reads one account: its counter by key, its open holds by index.
fn load(connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Account> {
    Ok(Account { used: used(connection, account, window)?, held: held(connection, account, window)? })
}

fn totals(row: &rusqlite::Row<'_>) -> rusqlite::Result<Totals> {
    Ok(Totals { questions: row.get(0)?, tokens: row.get(1)?, euro_nanos: row.get(2)? })
}

/// What was settled in a window.
pub(super) fn used(connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Totals> {
    let found = connection
        .prepare_cached("SELECT questions, tokens, euro_nanos FROM counters WHERE account = ?1 AND window = ?2")?
        .query_row([account, window], totals)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// What open reservations hold in a window. For the town that reads all of them, once per window and process: they are
/// as many as calls are open.
pub(super) fn held(connection: &Connection, account: &str, window: &str) -> rusqlite::Result<Totals> {
    let filter = if account == TOWN { "?1 = 'town'" } else { "resident_id = ?1" };
    connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(euro_nanos), 0) FROM reservations
             WHERE {filter} AND ?2 IN (day, month, year)"
        ))?
        .query_row([account, window], totals)
}
