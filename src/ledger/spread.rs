//! A distribution that adds up over days: counts in buckets that are narrow for small values and wide for large ones.
//!
//! The buckets are those of an HdrHistogram with 64 to each power of two, so that a value is known to within 1/128; only
//! those that hold something are kept, because a report needs hundreds of distributions and most have few values. All is
//! integers: the same values give the same bytes and the same quantiles on every machine. It must not know what is measured.

use serde::{Deserialize, Serialize};

/// Buckets to each power of two, as a power of two.
const PRECISION: u32 = 6;
const BUCKETS: u64 = 1 << PRECISION;
/// Longest time kept apart, in microseconds: one hour. What is above counts as that.
pub(super) const LONGEST: u64 = 3_600_000_000;

/// A distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Buckets with their counts, in the order of their values.
    cells: Vec<(u16, u32)>,
    /// Sum of the values as they were recorded.
    sum: u64,
}

fn bucket_of(value: u64) -> u16 {
    let bucket = if value < BUCKETS {
        value
    } else {
        let shift = u64::from(value.ilog2() - PRECISION);
        (shift + 1) * BUCKETS + (value >> shift) - BUCKETS
    };
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// The middle of a bucket.
fn value_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < BUCKETS {
        return bucket;
    }
    let shift = bucket / BUCKETS - 1;
    let lowest = (BUCKETS + bucket % BUCKETS) << shift;
    lowest + ((1 << shift) - 1) / 2
}

impl Spread {
    /// Adds one value; above an hour of microseconds it counts as that.
    pub fn record(&mut self, value: u64) {
        let value = value.clamp(1, LONGEST);
        self.add(bucket_of(value), 1);
        self.sum = self.sum.saturating_add(value);
    }

    fn add(&mut self, bucket: u16, count: u32) {
        match self.cells.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(place) => self.cells[place].1 = self.cells[place].1.saturating_add(count),
            Err(place) => self.cells.insert(place, (bucket, count)),
        }
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.cells.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Sum of the values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Values with their counts, smallest first.
    pub fn values(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.cells.iter().map(|(bucket, count)| (value_of(*bucket), *count))
    }

    /// The value below which the share `q` (0 to 1) of all attempts fell, counting `beyond` more as longer than
    /// everything; `None` when that value is one of those, or there is nothing.
    pub fn quantile(&self, q: f64, beyond: u64) -> Option<u64> {
        let total = self.count() + beyond;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among at most 2^52 attempts"
        )]
        let rank = ((q * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.values().find_map(|(value, count)| {
            seen += u64::from(count);
            (seen >= rank).then_some(value)
        })
    }

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.cells {
            self.add(*bucket, *count);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// The stored form: the sum, the number of buckets, and each bucket with its count, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sum.to_le_bytes());
        let cells = u16::try_from(self.cells.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&cells.to_le_bytes());
        for (bucket, count) in self.cells.iter().take(usize::from(cells)) {
            out.extend_from_slice(&bucket.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    /// Reads the stored form from the front of `bytes`; `None` when it is damaged.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let sum = u64::from_le_bytes(take(bytes)?);
        let length = u16::from_le_bytes(take(bytes)?);
        let mut cells = Vec::with_capacity(usize::from(length));
        for _ in 0..length {
            cells.push((u16::from_le_bytes(take(bytes)?), u32::from_le_bytes(take(bytes)?)));
        }
        cells.is_sorted_by(|one, next| one.0 < next.0).then_some(Self { cells, sum })
    }
}

/// The next bytes, taken off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Spread {
        let mut spread = Spread::default();
        values.iter().for_each(|value| spread.record(*value));
        spread
    }

    #[test]
    fn attempts_that_never_arrived_push_the_quantiles_up() {
        let spread = of(&(1..=90).map(|n| n * 1000).collect::<Vec<_>>());
        let within =
            |q, beyond, expected: u64| spread.quantile(q, beyond).unwrap().abs_diff(expected) <= expected / 100;
        assert!(within(0.5, 0, 45_000));
        assert!(within(0.5, 10, 50_000));
        assert_eq!(spread.quantile(0.95, 10), None, "one in ten failed, so the 95th in a hundred did");
        assert_eq!(Spread::default().quantile(0.5, 0), None);
    }

    #[test]
    fn one_outlier_moves_no_median() {
        // The case that a property once failed on.
        let values = [vec![1; 16], vec![1_526_726_656], vec![3; 13]].concat();
        assert_eq!(of(&values).quantile(0.5, 0), Some(1));
    }

    proptest! {
        #[test]
        fn a_value_is_known_to_within_one_in_128(value in 1u64..LONGEST) {
            prop_assert!(value_of(bucket_of(value)).abs_diff(value) <= value / 128 + 1);
        }

        #[test]
        fn buckets_are_in_the_order_of_their_values(one in 1u64..LONGEST, other in 1u64..LONGEST) {
            prop_assert_eq!(bucket_of(one.min(other)) <= bucket_of(one.max(other)), true);
        }

        #[test]
        fn merging_and_storing_change_nothing(
            a in proptest::collection::vec(1u64..LONGEST, 0..50), b in proptest::collection::vec(1u64..LONGEST, 0..50)
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let mut bytes = Vec::new();
            merged.write(&mut bytes);
            let mut left = bytes.as_slice();
            prop_assert_eq!(Spread::read(&mut left), Some(of(&[a, b].concat())));
            prop_assert!(left.is_empty());
        }

        #[test]
        fn a_quantile_is_within_one_percent(mut values in proptest::collection::vec(1u64..LONGEST, 1..200)) {
            let spread = of(&values);
            values.sort_unstable();
            let exact = values[(values.len() - 1) / 2];
            let found = spread.quantile(0.5, 0).unwrap();
            prop_assert!(found.abs_diff(exact) <= exact / 100 + 1, "{} against {}", found, exact);
        }
    }
}
