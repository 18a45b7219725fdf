//! Paired differences: their centre, its interval, and a test that assumes nothing but symmetry.
//!
//! It must not know what is compared. Differences come in blocks, such as the probes of one round, which share the
//! state of the network and of the vendors at that minute.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Generator, Resampled, Resampling};
use super::number::{count, real};

/// Largest number of sign patterns that are all looked at; beyond it they are drawn.
const ALL_PATTERNS: u64 = 1 << 16;

/// Sums that may be listed, for each entry of the sample; listing costs about as much as counting then.
const LISTED_PER_ENTRY: u64 = 1;

/// Hodges–Lehmann estimate: the median of the averages of all pairs, each difference with itself included.
///
/// In the unit of the differences. Exact: the middle averages are found by narrowing the range of sums and counting
/// with two pointers, `O(n)` for each count, without writing down the `n(n+1)/2` averages. `None` without a difference,
/// or when twice a difference is not finite. Source: Hodges & Lehmann (1963), "Estimates of location based on rank
/// tests", Annals of Mathematical Statistics 34.
#[must_use]
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    let mut sorted = differences.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut sums = WalshSums::default();
    sums.fill(sorted.iter().map(|&value| (value, 1)));
    sums.median_average()
}

/// Hodges–Lehmann estimate with its interval, by drawing whole blocks.
///
/// `resampling.clusters` is taken from the number of blocks. Empty blocks are blocks: they count as clusters.
#[must_use]
pub fn hodges_lehmann_interval<B: AsRef<[f64]>>(blocks: &[B], resampling: &Resampling) -> Resampled {
    let of_block = |(index, block): (usize, &B)| block.as_ref().iter().map(|&x| (x, index)).collect::<Vec<_>>();
    let mut sorted: Vec<(f64, usize)> = blocks.iter().enumerate().flat_map(of_block).collect();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut sums = WalshSums::default();
    let resampling = Resampling { clusters: blocks.len(), ..*resampling };
    resampling.interval(|multiplicities| {
        let times = |block: usize| u64::from(multiplicities.get(block).copied().unwrap_or(0));
        sums.fill(sorted.iter().map(|&(value, block)| (value, times(block))));
        Some(sums.median_average().unwrap_or(f64::NAN))
    })
}

/// Sums of pairs of a sorted multiset, counted but never listed.
#[derive(Default)]
struct WalshSums {
    /// Distinct entries in ascending order.
    values: Vec<f64>,
    /// Entries before each position, and all of them at the end.
    before: Vec<u64>,
}

impl WalshSums {
    /// Takes sorted values with their multiplicities.
    fn fill(&mut self, entries: impl Iterator<Item = (f64, u64)>) {
        self.values.clear();
        self.before.clear();
        let mut total = 0;
        for (value, times) in entries.filter(|&(_, times)| times > 0) {
            self.values.push(value);
            self.before.push(total);
            total += times;
        }
        self.before.push(total);
    }

    /// Half the median of the sums.
    fn median_average(&self) -> Option<f64> {
        let (&first, &last) = (self.values.first()?, self.values.last()?);
        if !((first + first).is_finite() && (last + last).is_finite()) {
            return None;
        }
        let n = self.before.last().copied()?;
        let pairs = n * (n + 1) / 2;
        let lower = self.select(pairs.div_ceil(2));
        let upper = if pairs % 2 == 0 { self.select_after(lower, pairs / 2 + 1) } else { lower };
        // Adding zero turns −0 into +0.
        Some(f64::midpoint(lower / 2.0, upper / 2.0) + 0.0)
    }

    /// The `rank`-th smallest sum.
    ///
    /// Narrows a bracket until few sums are left in it, then lists and sorts those. Guesses alternate between a
    /// straight line through the counts, fast on smooth data, and the middle of the bracket's floating-point numbers,
    /// which ends after 64 halvings whatever the data.
    fn select(&self, rank: u64) -> f64 {
        let double = |value: Option<&f64>| value.map_or(0.0, |&x| x + x);
        let n = self.before.last().copied().unwrap_or(0);
        // `next_down` and not the key below: under the key of +0 lies −0, which is no smaller.
        let (mut low, mut up_to_low) = (key(double(self.values.first()).next_down()), 0);
        let (mut high, mut up_to_high) = (key(double(self.values.last())), n * (n + 1) / 2);
        let mut straight = true;
        while high - low > 1 && up_to_high - up_to_low > LISTED_PER_ENTRY * n {
            let middle = if straight {
                let share = real(rank - up_to_low) / real(up_to_high - up_to_low);
                let (from, to) = (from_key(low), from_key(high));
                key(from + (to - from) * share).clamp(low + 1, high - 1)
            } else {
                low + (high - low) / 2
            };
            straight = !straight;
            let counted = self.up_to(from_key(middle));
            if counted >= rank { (high, up_to_high) = (middle, counted) } else { (low, up_to_low) = (middle, counted) }
        }
        if high - low <= 1 {
            return from_key(high);
        }
        let mut reached = up_to_low;
        let within = self.between(from_key(low), from_key(high));
        let found = within.iter().find(|(_, times)| {
            reached += times;
            reached >= rank
        });
        found.map_or_else(|| from_key(high), |&(sum, _)| sum)
    }

    /// Sums above `low` and up to `high` in ascending order, with their multiplicities.
    fn between(&self, low: f64, high: f64) -> Vec<(f64, u64)> {
        let times = |index: usize| match self.before.get(index..) {
            Some(&[start, end, ..]) => end - start,
            _ => 0,
        };
        let mut found = Vec::new();
        let (mut start, mut end) = (self.values.len(), self.values.len());
        for (index, &value) in self.values.iter().enumerate() {
            let exceeds = |other: usize, limit: f64| self.values.get(other).is_some_and(|&x| value + x > limit);
            while start > 0 && exceeds(start - 1, low) {
                start -= 1;
            }
            while end > index && exceeds(end - 1, high) {
                end -= 1;
            }
            let own = times(index);
            for (other, &x) in self.values.iter().enumerate().take(end).skip(start.max(index)) {
                let pairs = if other == index { own * (own + 1) / 2 } else { own * times(other) };
                found.push((value + x, pairs));
            }
        }
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    /// The `rank`-th smallest sum, where the one of the rank before is known.
    fn select_after(&self, previous: f64, rank: u64) -> f64 {
        if self.up_to(previous) >= rank { previous } else { self.next_above(previous) }
    }

    /// How many sums do not exceed `limit`.
    fn up_to(&self, limit: f64) -> u64 {
        let mut counted = 0;
        let mut end = self.values.len();
        for ((index, &value), bounds) in self.values.iter().enumerate().zip(self.before.windows(2)) {
            while end > index && self.values.get(end - 1).is_some_and(|&other| value + other > limit) {
                end -= 1;
            }
            if end <= index {
                break;
            }
            let &[start, next] = bounds else { break };
            let own = next - start;
            let others = self.before.get(end).copied().unwrap_or(next) - next;
            counted += own * others + own * (own + 1) / 2;
        }
        counted
    }

    /// Smallest sum above `limit`, or `limit` when there is none.
    fn next_above(&self, limit: f64) -> f64 {
        let mut best = f64::INFINITY;
        let mut end = self.values.len();
        for (index, &value) in self.values.iter().enumerate() {
            while end > index && self.values.get(end - 1).is_some_and(|&other| value + other > limit) {
                end -= 1;
            }
            if let Some(other) = self.values.get(end.max(index)) {
                best = best.min(value + other);
            }
        }
        if best.is_finite() { best } else { limit }
    }
}

/// A whole number that orders like the real number.
fn key(x: f64) -> u64 {
    // Adding zero turns −0 into +0, so that equal numbers have equal keys.
    let bits = (x + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The real number of a key.
fn from_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Result of a sign-flip test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignFlip {
    /// Two-sided probability of a mean at least this far from zero if the vendors were alike.
    pub p: f64,
    /// Whether all sign patterns were looked at; else `p` is drawn and never below `1/(1 + draws)`.
    pub exact: bool,
    /// Sign patterns looked at.
    pub patterns: u64,
    /// Blocks.
    pub blocks: u64,
}

/// Tests that paired differences are centred on zero, by flipping the sign of whole blocks.
///
/// One figure per block: its mean or median difference. If both vendors were alike, swapping their names in a block
/// would give an equally likely sample, and the statistic, the absolute mean of the block figures, would be as large
/// as observed in the share `p` of all such swaps. Whole blocks are flipped because the differences of one round share
/// their minute: flipping them one by one would take correlated differences for independent ones and make `p` too
/// small. All `2^C` patterns up to 16 blocks; beyond, `draws` random ones with `p = (1 + hits)/(1 + draws)`, after
/// Phipson & Smyth (2010), "Permutation p-values should never be zero". Test: Fisher (1935), "The Design of
/// Experiments", section 21. `None` without a block or when a figure is not finite.
#[must_use]
pub fn sign_flip_test(blocks: &[f64], draws: u32, seed: u64) -> Option<SignFlip> {
    // A sum as large as the observed one up to rounding counts as large.
    const HAIR: f64 = 1e-12;
    if blocks.is_empty() || blocks.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let size: f64 = blocks.iter().map(|x| x.abs()).sum();
    let bound = blocks.iter().sum::<f64>().abs() - HAIR * size;
    let exact = u32::try_from(blocks.len()).ok().and_then(|c| 1_u64.checked_shl(c)).filter(|&all| all <= ALL_PATTERNS);
    let (p, patterns) = if let Some(all) = exact {
        // A pattern and its opposite have the same absolute sum: half of them is enough.
        let hits = (0..all / 2).filter(|&pattern| flipped(blocks, || pattern).abs() >= bound).count();
        (real(count(hits)) / real(all / 2), all)
    } else {
        let mut generator = Generator::new(seed);
        let hits = (0..draws).filter(|_| flipped(blocks, || generator.bits()).abs() >= bound).count();
        (real(1 + count(hits)) / real(1 + u64::from(draws)), u64::from(draws))
    };
    Some(SignFlip { p, exact: exact.is_some(), patterns, blocks: count(blocks.len()) })
}

/// The sum with the sign of each block by one bit; asks for 64 new bits for every 64 blocks.
fn flipped(blocks: &[f64], mut bits: impl FnMut() -> u64) -> f64 {
    let signed = |word: u64, (place, x): (usize, &f64)| if word >> place & 1 == 1 { -x } else { *x };
    let of_chunk = |chunk: &[f64]| {
        let word = bits();
        chunk.iter().enumerate().map(|entry| signed(word, entry)).sum::<f64>()
    };
    blocks.chunks(64).map(of_chunk).sum()
}
