//! What a question is compared within: how its vendor was chosen, how long it was, whether it came with local passages, at
//! which time of the day; and, by chance that nobody can guess, in which group its resident is counted that week.
//!
//! It must not know times, costs or answers.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Assignment, Entry, LengthClass};

/// Groups that residents are counted in, for intervals: a person is in one of them for a week, then perhaps in another.
pub const GROUPS: u8 = 64;

/// A draw with this probability, in millionths, was none.
const CERTAIN_PPM: u32 = 1_000_000;

/// The kind of evidence that an attempt is. They are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The resident chose the vendor, or there was no other to be drawn: counted and shown, and left out of causal claims.
    Chosen,
    /// The vendor was drawn for the conversation.
    Conversation,
    /// The vendor was drawn for a block of time.
    Block,
    /// The town's own question.
    Probe,
    /// One of the two answers of a blind duel.
    Duel,
}

impl Evidence {
    /// Of an attempt. One that took over from another belongs to the draw of the question.
    pub fn of(entry: &Entry) -> Self {
        let is_certain = entry.probability_ppm.is_some_and(|ppm| ppm >= CERTAIN_PPM);
        match entry.assignment {
            Assignment::Chosen => Self::Chosen,
            Assignment::Block | Assignment::Drawn | Assignment::Fallback if is_certain => Self::Chosen,
            Assignment::Block => Self::Block,
            Assignment::Probe => Self::Probe,
            Assignment::Duel => Self::Duel,
            Assignment::Drawn | Assignment::Fallback if entry.time_block.is_some() => Self::Block,
            Assignment::Drawn | Assignment::Fallback => Self::Conversation,
        }
    }

    /// Its name in the store and the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Conversation => "conversation",
            Self::Block => "block",
            Self::Probe => "probe",
            Self::Duel => "duel",
        }
    }

    /// Whether a resident asked: what the town asks itself is no use of the service.
    pub fn is_residents(self) -> bool {
        matches!(self, Self::Chosen | Self::Conversation | Self::Block)
    }
}

impl FromStr for Evidence {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Chosen, Self::Conversation, Self::Block, Self::Probe, Self::Duel]
            .into_iter()
            .find(|evidence| evidence.as_str() == text)
            .ok_or(())
    }
}

/// A quarter of the local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HourBand {
    /// Before 6.
    Night,
    /// From 6 to before 12.
    Morning,
    /// From 12 to before 18.
    Afternoon,
    /// From 18 on.
    Evening,
    /// Not kept, as in entries from before the hour was.
    Unknown,
}

impl HourBand {
    fn of(hour: Option<u16>) -> Self {
        match hour {
            Some(0..6) => Self::Night,
            Some(6..12) => Self::Morning,
            Some(12..18) => Self::Afternoon,
            Some(_) => Self::Evening,
            None => Self::Unknown,
        }
    }
}

/// Questions that may be compared with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stratum {
    /// Length of the question.
    pub length: LengthClass,
    /// Whether it came with passages of the town's own pages.
    pub local_passages: bool,
    /// Time of the day.
    pub hours: HourBand,
}

impl Stratum {
    /// Of an attempt.
    pub fn of(entry: &Entry) -> Self {
        Self { length: entry.length_class, local_passages: entry.local_passages, hours: HourBand::of(entry.local_hour) }
    }

    /// Its number in the store.
    pub(super) fn code(self) -> u8 {
        let length = match self.length {
            LengthClass::Short => 0,
            LengthClass::Medium => 1,
            LengthClass::Long => 2,
        };
        let hours = match self.hours {
            HourBand::Night => 0,
            HourBand::Morning => 1,
            HourBand::Afternoon => 2,
            HourBand::Evening => 3,
            HourBand::Unknown => 4,
        };
        length * 10 + u8::from(self.local_passages) * 5 + hours
    }

    /// The stratum of a number.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        let length = match code / 10 {
            0 => LengthClass::Short,
            1 => LengthClass::Medium,
            2 => LengthClass::Long,
            _ => return None,
        };
        let hours = match code % 5 {
            0 => HourBand::Night,
            1 => HourBand::Morning,
            2 => HourBand::Afternoon,
            3 => HourBand::Evening,
            _ => HourBand::Unknown,
        };
        Some(Self { length, local_passages: code % 10 >= 5, hours })
    }
}

impl fmt::Display for Stratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = if self.local_passages { "local" } else { "general" };
        let hours = match self.hours {
            HourBand::Night => "night",
            HourBand::Morning => "morning",
            HourBand::Afternoon => "afternoon",
            HourBand::Evening => "evening",
            HourBand::Unknown => "any hour",
        };
        write!(f, "{} · {local} · {hours}", self.length.as_str())
    }
}

/// Different people, counted without knowing who: each sets one of 64 bits. The count is never more than there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People(pub u64);

impl People {
    /// At least so many people.
    pub fn at_least(self) -> u32 {
        self.0.count_ones()
    }

    /// Adds others.
    pub fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The group in which something is counted, and the bit that its person sets.
///
/// A pseudonym is random and long, so that its hash tells nobody who is in which group.
pub(super) fn place(entry: &Entry) -> (u8, People) {
    let hash: [u8; 32] = Sha256::digest(entry.resident.as_bytes()).into();
    let (person, bit) = (u64_at(&hash, 0), hash[8] % 64);
    let cluster = match (Evidence::of(entry), entry.time_block) {
        (Evidence::Conversation, _) => person ^ u64::from(week(&entry.day)).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        (Evidence::Block, Some(block)) => block.unsigned_abs(),
        _ => return (0, People(1 << bit)),
    };
    let group = u8::try_from(mixed(cluster) % u64::from(GROUPS)).unwrap_or(0);
    (group, People(1 << bit))
}

/// The group of a person in the week of a day, for what is no entry.
pub fn group_of(resident: &str, day: &str) -> u8 {
    let hash: [u8; 32] = Sha256::digest(resident.as_bytes()).into();
    let cluster = u64_at(&hash, 0) ^ u64::from(week(day)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u8::try_from(mixed(cluster) % u64::from(GROUPS)).unwrap_or(0)
}

/// The bit that a person sets, for what is no entry.
pub fn person(resident: &str) -> People {
    let hash: [u8; 32] = Sha256::digest(resident.as_bytes()).into();
    People(1 << (hash[8] % 64))
}

fn u64_at(hash: &[u8; 32], start: usize) -> u64 {
    hash.get(start..start + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Spreads every bit over all (the finaliser of MurmurHash3): weeks that follow one another share no group.
fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    value = (value ^ (value >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    value ^ (value >> 33)
}

/// Weeks from Monday to Sunday, numbered.
fn week(day: &str) -> u32 {
    let Ok(date) = day.parse::<Date>() else { return 0 };
    let monday = Date::constant(2020, 1, 6);
    let days = date.since(monday).map_or(0, |span| span.get_days());
    u32::try_from(days.div_euclid(7)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::samples::full;

    #[test]
    fn every_stratum_has_a_number_of_its_own() {
        let mut seen = Vec::new();
        for code in 0..30 {
            let stratum = Stratum::of_code(code).unwrap();
            assert_eq!(stratum.code(), code);
            seen.push(stratum);
        }
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), Stratum::of_code(30)), (30, None));
    }

    #[test]
    fn a_person_stays_in_a_group_from_monday_to_sunday() {
        let at = |day: &str, resident: &str| {
            let entry = Entry { day: day.into(), resident: resident.into(), time_block: None, ..full() };
            assert_eq!(place(&entry).0, group_of(resident, day));
            place(&entry)
        };
        assert_eq!(at("2026-11-23", "a"), at("2026-11-29", "a"));
        let other_weeks = (1..=20).filter(|week| {
            let day = Date::constant(2026, 11, 23) + jiff::Span::new().weeks(*week);
            at(&day.to_string(), "a").0 != at("2026-11-23", "a").0
        });
        assert!(other_weeks.count() >= 15);
        assert_eq!(at("2026-11-23", "a").1, at("2027-03-01", "a").1, "one person is one bit, whatever the week");
    }

    #[test]
    fn groups_are_of_much_the_same_size() {
        let mut sizes = [0u32; GROUPS as usize];
        for number in 0..6_400 {
            sizes[usize::from(group_of(&format!("resident-{number}"), "2026-11-24"))] += 1;
        }
        assert!(sizes.iter().all(|size| (55..=150).contains(size)), "{sizes:?}");
    }

    #[test]
    fn the_count_of_people_is_never_more_than_there_are() {
        for people in [1, 5, 10, 11, 40] {
            let mut counted = People::default();
            for number in 0..people {
                counted.merge(person(&format!("r{number}")));
                counted.merge(person(&format!("r{number}")));
            }
            assert!(counted.at_least() <= people && counted.at_least() >= people / 2);
        }
    }

    #[test]
    fn who_took_over_belongs_to_the_draw() {
        let of = |assignment, time_block| Evidence::of(&Entry { assignment, time_block, ..full() });
        assert_eq!(of(Assignment::Fallback, None), Evidence::Conversation);
        assert_eq!(of(Assignment::Fallback, Some(1)), Evidence::Block);
        assert_eq!(of(Assignment::Chosen, None), Evidence::Chosen);
        let only = Entry { probability_ppm: Some(CERTAIN_PPM), assignment: Assignment::Drawn, ..full() };
        assert_eq!(Evidence::of(&only), Evidence::Chosen, "the other vendor was stopped: nothing was drawn");
        for evidence in [Evidence::Chosen, Evidence::Block, Evidence::Probe, Evidence::Duel, Evidence::Conversation] {
            assert_eq!(evidence.as_str().parse(), Ok(evidence));
        }
    }
}
