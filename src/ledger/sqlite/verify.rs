//! Does the ledger say what it said? Recomputes the chain, and compares the counters with the sum of the entries.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{read, unavailable};
use crate::ledger::{StoreError, Totals, Verification, chain};

/// Findings listed before the rest is only counted.
const MOST_FINDINGS: usize = 100;

struct Checker {
    verification: Verification,
    previous: [u8; 32],
    last_seq: u64,
    sums: BTreeMap<(String, String), Totals>,
}

impl Checker {
    fn finding(&mut self, text: String) {
        if self.verification.findings.len() < MOST_FINDINGS {
            self.verification.findings.push(text);
        }
    }

    fn entry(&mut self, seq: u64, body: &str, hash: &[u8]) {
        self.verification.entries += 1;
        if seq != self.last_seq + 1 {
            self.finding(format!("entries {} to {} are missing", self.last_seq + 1, seq - 1));
        }
        self.last_seq = seq;
        let expected = chain::link(&self.previous, body);
        if expected.as_slice() != hash {
            self.finding(format!("entry {seq} was changed, or one before it was removed or inserted"));
        }
        // Go on from the hash as stored, so that one changed entry is one finding.
        self.previous = hash.try_into().unwrap_or(expected);
        match read::parse_entry(seq, body) {
            Ok(entry) => {
                let town = "town".to_owned();
                for (account, window) in [
                    (&entry.resident, &entry.day),
                    (&entry.resident, &entry.month),
                    (&town, &entry.month),
                    (&town, &entry.year),
                ] {
                    self.sums.entry((account.clone(), window.clone())).or_default().add(Totals::of(entry.charged));
                }
            }
            Err(error) => self.finding(error.to_string()),
        }
    }

    fn counters(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare("SELECT account, window, questions, tokens, euro_nanos FROM counters")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: (String, String) = (row.get(0)?, row.get(1)?);
            let counted = Totals { questions: row.get(2)?, tokens: row.get(3)?, euro_nanos: row.get(4)? };
            let summed = self.sums.remove(&key).unwrap_or_default();
            if counted != summed {
                let (account, window) = key;
                self.finding(format!("the counter of {account} for {window} says {counted:?}, its entries {summed:?}"));
            }
        }
        for ((account, window), sum) in std::mem::take(&mut self.sums) {
            if sum != Totals::default() {
                self.finding(format!("the counter of {account} for {window} is missing"));
            }
        }
        Ok(())
    }
}

pub(super) fn verify(connection: &Connection) -> Result<Verification, StoreError> {
    let snapshot = connection.unchecked_transaction().map_err(|error| unavailable(&error))?;
    let mut checker =
        Checker { verification: Verification::default(), previous: [0; 32], last_seq: 0, sums: BTreeMap::new() };
    read::scan(&snapshot, 0, |seq, body, hash| {
        checker.entry(seq, body, hash);
        Ok(())
    })?;
    // The numbering remembers the last entry even after it was removed.
    let highest: Option<u64> = snapshot
        .query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'entries'", [], |row| row.get(0))
        .map_err(|error| unavailable(&error))?;
    if highest.unwrap_or(0) > checker.last_seq {
        checker.finding(format!("entries {} to {} are missing at the end", checker.last_seq + 1, highest.unwrap_or(0)));
    }
    checker.counters(&snapshot).map_err(|error| unavailable(&error))?;
    checker.verification.open_reservations = read::open_reservations(&snapshot).map_err(|error| unavailable(&error))?;
    Ok(checker.verification)
}
