//! What the chain is made of: attempts at vendors, adjustments that correct them, changes of the terms, probes and duels.
//!
//! All are appended and never edited, and one hash covers the one before whatever its kind. How an attempt is
//! stored is said in [`super::stored`]; the others are objects that begin with their kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Duel, Entry, Probe, StoreError, Totals, stored};

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An attempt at a vendor.
    Attempt(Arc<Entry>),
    /// A correction.
    Adjustment(Box<Adjustment>),
    /// A change of prices, plans, the envelope, or what is stopped.
    Change(Box<Change>),
    /// A question of the basket.
    Probe(Box<Probe>),
    /// A blind duel that was judged.
    Duel(Box<Duel>),
}

/// A correction of what was booked. What was booked stays; the sums follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Identity of the adjustment.
    pub id: String,
    /// When it was booked, microseconds since 1970 (UTC).
    pub at: i64,
    /// Who booked it, in their own words.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Number of the entry that it corrects; absent for a correction of a whole period, which is the town's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
    /// Pseudonym of the resident whose windows follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<String>,
    /// The vendor.
    pub provider: String,
    /// The model, as reports name it.
    pub model: String,
    /// Billing currency of the vendor.
    pub currency: String,
    /// What the entry turned out to cost, nano-units of `currency`; absent for a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<i64>,
    /// What is added to the windows; negative for what is given back.
    pub charged: Totals,
    /// Day of the windows that follow.
    pub day: String,
    /// Their month.
    pub month: String,
    /// Their year.
    pub year: String,
}

/// One difference between what was in force and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What is concerned, such as `price openai/gpt-6-luna@2026-07-30`.
    pub subject: String,
    /// As it was; absent for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// As it is; absent for what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Who changed what, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Identity of the change.
    pub id: String,
    /// When, microseconds since 1970 (UTC).
    pub at: i64,
    /// Who, in their own words; `serve` where the gateway found it at its start.
    pub actor: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Digest of all terms in force from here on; absent when the terms stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// What changed.
    pub differences: Vec<Difference>,
}

/// The stored form of what is not an attempt.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Other {
    Adjustment(Box<Adjustment>),
    Change(Box<Change>),
    Probe(Box<Probe>),
    Duel(Box<Duel>),
}

/// The kinds of what is found by its day.
pub(super) const PROBE: &str = "probe";
pub(super) const DUEL: &str = "duel";

/// What is listed of a record that is no attempt, so that it is found without a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) kind: String,
    /// Number of the entry that it corrects.
    pub(super) corrects: Option<u64>,
    /// The day of what belongs to one.
    pub(super) day: Option<String>,
}

/// How every stored record begins that is not an attempt.
const OTHER: &str = "{\"kind\":";

impl Record {
    /// Understands a stored record.
    pub(super) fn parse(seq: u64, body: &[u8]) -> Result<Self, StoreError> {
        let damaged = |error: serde_json::Error| StoreError::Damaged(format!("entry {seq}: {error}"));
        if !body.starts_with(OTHER.as_bytes()) {
            return stored::parse(body).map(|entry| Self::Attempt(Arc::new(entry))).map_err(damaged);
        }
        Ok(match serde_json::from_slice(body).map_err(damaged)? {
            Other::Adjustment(adjustment) => Self::Adjustment(adjustment),
            Other::Change(change) => Self::Change(change),
            Other::Probe(probe) => Self::Probe(probe),
            Other::Duel(duel) => Self::Duel(duel),
        })
    }

    /// The stored form.
    pub(super) fn to_body(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Attempt(entry) => stored::to_body(entry),
            Self::Adjustment(adjustment) => serde_json::to_vec(&Other::Adjustment(adjustment.clone())),
            Self::Change(change) => serde_json::to_vec(&Other::Change(change.clone())),
            Self::Probe(probe) => serde_json::to_vec(&Other::Probe(probe.clone())),
            Self::Duel(duel) => serde_json::to_vec(&Other::Duel(duel.clone())),
        }
    }

    /// What is listed of what is no attempt.
    pub(super) fn other(&self) -> Option<Listed> {
        let listed = |kind: &str, corrects, day: Option<&String>| {
            Some(Listed { kind: kind.to_owned(), corrects, day: day.cloned() })
        };
        match self {
            Self::Attempt(_) => None,
            Self::Adjustment(adjustment) => listed("adjustment", adjustment.corrects, None),
            Self::Change(_) => listed("change", None, None),
            Self::Probe(probe) => listed(PROBE, None, Some(&probe.day)),
            Self::Duel(duel) => listed(DUEL, None, Some(&duel.day)),
        }
    }

    /// When it was written, microseconds since 1970 (UTC); a probe, when it was meant to start.
    pub(super) fn at(&self) -> i64 {
        match self {
            Self::Attempt(entry) => entry.ended_at,
            Self::Adjustment(adjustment) => adjustment.at,
            Self::Change(change) => change.at,
            Self::Probe(probe) => probe.intended_at,
            Self::Duel(duel) => duel.at,
        }
    }

    /// The attempt, if it is one.
    pub fn into_attempt(self) -> Option<Entry> {
        match self {
            Self::Attempt(entry) => Some(Arc::unwrap_or_clone(entry)),
            Self::Adjustment(_) | Self::Change(_) | Self::Probe(_) | Self::Duel(_) => None,
        }
    }

    /// What it adds to which account and window.
    pub(super) fn charges(&self) -> Vec<(String, String, Totals)> {
        let town = || super::TOWN.to_owned();
        match self {
            Self::Attempt(entry) => {
                let charged = Totals::of(entry.charged);
                vec![
                    (entry.resident.clone(), entry.day.clone(), charged),
                    (entry.resident.clone(), entry.month.clone(), charged),
                    (town(), entry.month.clone(), charged),
                    (town(), entry.year.clone(), charged),
                    (town(), hour(entry.ended_at), charged),
                ]
            }
            Self::Adjustment(adjustment) => {
                let charged = adjustment.charged;
                let mut all =
                    vec![(town(), adjustment.month.clone(), charged), (town(), adjustment.year.clone(), charged)];
                if let Some(resident) = &adjustment.resident {
                    all.push((resident.clone(), adjustment.day.clone(), charged));
                    all.push((resident.clone(), adjustment.month.clone(), charged));
                }
                all
            }
            // The entries of their calls are charged.
            Self::Change(_) | Self::Probe(_) | Self::Duel(_) => Vec::new(),
        }
    }
}

/// The window of the UTC hour in which something ended: `2026-11-24T09Z`.
pub(super) fn hour(micros: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%HZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_attempt_is_told_by_its_first_bytes() {
        let change = Change {
            id: "c1".to_owned(),
            at: 1,
            actor: "Claire".to_owned(),
            reason: "{\"kind\":".to_owned(),
            terms: None,
            differences: vec![Difference {
                subject: "stop town".to_owned(),
                before: None,
                after: Some("x".to_owned()),
            }],
        };
        let record = Record::Change(Box::new(change));
        let body = record.to_body().unwrap();
        assert!(body.starts_with(OTHER.as_bytes()), "{body:?}");
        assert_eq!(Record::parse(1, &body).unwrap(), record);
        assert!(Record::parse(1, b"{\"kind\":\"gift\"}").is_err());
        assert!(Record::parse(1, b"{}").is_err());
    }

    #[test]
    fn an_hour_is_named_in_utc() {
        let at: jiff::Timestamp = "2026-10-25T02:30:00+01:00".parse().unwrap();
        assert_eq!(hour(at.as_microsecond()), "2026-10-25T01Z");
    }
}
