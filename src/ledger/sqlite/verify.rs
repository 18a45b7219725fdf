//! Does the ledger say what it said? Recomputes the chain, and compares the counters with the sum of the records.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::{read, unavailable};
use crate::ledger::record::Listed;
use crate::ledger::{ChainHead, Record, StoreError, Totals, Verification, chain};

/// Findings listed before the rest is only counted.
const MOST_FINDINGS: usize = 100;
/// Records between two words about the progress.
const PROGRESS: u64 = 1_024;

struct Checker<'a> {
    verification: Verification,
    /// The hash of the last record as stored, and of the one before it.
    previous: [u8; 32],
    before_previous: Option<[u8; 32]>,
    last_seq: u64,
    sums: HashMap<(String, String), Totals>,
    others: BTreeMap<u64, Listed>,
    noted: Option<ChainHead>,
    progress: &'a mut dyn FnMut(u64),
}

impl Checker<'_> {
    fn finding(&mut self, text: String) {
        self.verification.count += 1;
        if self.verification.findings.len() < MOST_FINDINGS {
            self.verification.findings.push(text);
        }
    }

    fn record(&mut self, seq: u64, body: &[u8], hash: &[u8]) {
        self.verification.entries += 1;
        if self.verification.entries.is_multiple_of(PROGRESS) {
            (self.progress)(self.verification.entries);
        }
        self.link(seq, body, hash);
        match Record::parse(seq, body) {
            Ok(record) => {
                if let Some(listed) = record.other() {
                    self.others.insert(seq, listed);
                }
                for (account, window, charged) in record.charges() {
                    self.sums.entry((account, window)).or_default().add(charged);
                }
            }
            Err(error) => self.finding(error.to_string()),
        }
        self.last_seq = seq;
    }

    fn link(&mut self, seq: u64, body: &[u8], hash: &[u8]) {
        let follows = |previous: &[u8; 32]| chain::link(previous, body).as_slice() == hash;
        let gap = seq != self.last_seq + 1;
        if gap {
            let (first, last) = (self.last_seq + 1, seq - 1);
            let which =
                if first == last { format!("entry {first} is") } else { format!("entries {first} to {last} are") };
            self.finding(format!("{which} missing"));
        }
        if !follows(&self.previous) && !gap {
            if self.before_previous.as_ref().is_some_and(follows) {
                self.finding(format!("entry {} was inserted", seq - 1));
            } else {
                self.finding(format!("entry {seq} was changed, or does not follow the one before it"));
            }
        }
        // Go on from the hash as stored, so that one changed entry is one finding.
        self.before_previous = Some(self.previous);
        self.previous = hash.try_into().unwrap_or_else(|_| chain::link(&self.previous, body));
        if self.noted.is_some_and(|noted| noted.seq == seq && noted.hash != self.previous) {
            self.finding(format!("entry {seq} has another hash than the one noted: the chain was written again"));
        }
    }

    fn end(&mut self, highest: u64) {
        if highest > self.last_seq {
            self.finding(format!("entries {} to {highest} are missing at the end", self.last_seq + 1));
        }
        if let Some(noted) = self.noted.filter(|noted| noted.seq > self.last_seq.max(highest)) {
            self.finding(format!("entries {} to {} are missing at the end", self.last_seq + 1, noted.seq));
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
        let mut left: Vec<_> = std::mem::take(&mut self.sums).into_iter().collect();
        left.sort_by(|one, other| one.0.cmp(&other.0));
        for ((account, window), sum) in left {
            if sum != Totals::default() {
                self.finding(format!("the counter of {account} for {window} is missing"));
            }
        }
        Ok(())
    }

    /// The list of what is no attempt is made from the chain, and must say the same.
    fn others(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare("SELECT seq, kind, corrects, day FROM other_records")?;
        let mut rows = statement.query([])?;
        let mut listed = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let found = Listed { kind: row.get(1)?, corrects: row.get(2)?, day: row.get(3)? };
            listed.insert(row.get::<_, u64>(0)?, found);
        }
        if listed != self.others {
            self.finding("the list of what is no attempt does not say what the entries say".to_owned());
        }
        Ok(())
    }
}

pub(super) fn verify(
    connection: &Connection,
    noted: Option<ChainHead>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verification, StoreError> {
    let snapshot = connection.unchecked_transaction().map_err(|error| unavailable(&error))?;
    let mut checker = Checker {
        verification: Verification::default(),
        previous: [0; 32],
        before_previous: None,
        last_seq: 0,
        sums: HashMap::new(),
        others: BTreeMap::new(),
        noted,
        progress,
    };
    read::scan(&snapshot, 0, |seq, body, hash| {
        checker.record(seq, body, hash);
        Ok(())
    })?;
    // The numbering remembers the last entry even after it was removed.
    let highest: Option<u64> = snapshot
        .query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'entries'", [], |row| row.get(0))
        .map_err(|error| unavailable(&error))?;
    checker.end(highest.unwrap_or(0));
    checker.counters(&snapshot).map_err(|error| unavailable(&error))?;
    checker.others(&snapshot).map_err(|error| unavailable(&error))?;
    let mut verification = checker.verification;
    verification.head = ChainHead { seq: checker.last_seq, hash: checker.previous };
    verification.open_reservations = read::open_reservations(&snapshot).map_err(|error| unavailable(&error))?;
    Ok(verification)
}
