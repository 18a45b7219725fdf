//! Standardised figures: the same mix of strata for every vendor, under any resampling of clusters.
//!
//! It must not know what the strata or the values are. A vendor that happened to get the long questions looks slow in
//! plain figures (Simpson's paradox). Here each stratum weighs its common share, whatever the sample holds: an
//! observation of stratum `s` weighs `w_s / n_s`.

use super::number::real;

/// Observations of one value in one cluster and stratum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Index of the cluster.
    pub cluster: usize,
    /// Index of the stratum.
    pub stratum: usize,
    /// The value, in any unit; `None` for what lies beyond every limit, such as a failure.
    pub value: Option<u64>,
    /// How many such observations.
    pub count: u32,
}

/// One vendor's observations, ready to be weighed again for each draw.
#[derive(Clone, Debug)]
pub struct StandardisedSample {
    /// Share of each stratum; they sum to one.
    shares: Vec<f64>,
    /// Sorted by value, equal ones of a cell added up.
    entries: Vec<Entry>,
    /// One row of strata per cluster.
    cells: Vec<Cell>,
}

/// Observations of one value in one cell.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The value.
    value: u64,
    /// Index of the cell.
    cell: usize,
    /// How many.
    count: f64,
}

/// What one cluster holds of one stratum.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Observations, those beyond every limit included.
    count: u64,
    /// Observations beyond every limit.
    beyond: u64,
    /// Sum of the values of the others.
    sum: f64,
}

impl StandardisedSample {
    /// A sample with the common share of each stratum, in any unit, such as pooled counts.
    ///
    /// `None` when a share is negative, when they sum to nothing, or when an observation names another stratum.
    #[must_use]
    pub fn new(shares: &[f64], mut observations: Vec<Observation>) -> Option<Self> {
        let total: f64 = shares.iter().sum();
        let usable = total > 0.0 && total.is_finite() && shares.iter().all(|&share| share >= 0.0);
        if !usable || observations.iter().any(|o| o.stratum >= shares.len()) {
            return None;
        }
        observations.sort_unstable_by_key(|o| (o.value, o.cluster, o.stratum));
        let clusters = observations.iter().map(|o| o.cluster + 1).max().unwrap_or(0);
        let mut cells = vec![Cell::default(); clusters * shares.len()];
        let mut entries: Vec<Entry> = Vec::new();
        for o in &observations {
            let index = o.cluster * shares.len() + o.stratum;
            let Some(cell) = cells.get_mut(index) else { continue };
            cell.count += u64::from(o.count);
            let Some(value) = o.value else {
                cell.beyond += u64::from(o.count);
                continue;
            };
            cell.sum += real(value) * f64::from(o.count);
            match entries.last_mut() {
                Some(last) if last.value == value && last.cell == index => last.count += f64::from(o.count),
                _ => entries.push(Entry { value, cell: index, count: f64::from(o.count) }),
            }
        }
        Some(Self { shares: shares.iter().map(|share| share / total).collect(), entries, cells })
    }

    /// The sample as one draw weighs it: every figure of the draw shares these weights.
    ///
    /// Takes the number of times each cluster counts, as [`Resampling`](super::Resampling) draws them; all ones for the
    /// sample itself.
    #[must_use]
    pub fn drawn(&self, multiplicities: &[u32]) -> Drawn<'_> {
        Drawn { sample: self, weights: self.weights(multiplicities) }
    }

    /// Weight of one observation of each cell; `None` when a stratum with a share has none.
    fn weights(&self, multiplicities: &[u32]) -> Option<Vec<f64>> {
        let strata = self.shares.len();
        let mut sizes = vec![0_u64; strata];
        for (row, &times) in self.cells.chunks(strata).zip(multiplicities) {
            for (size, cell) in sizes.iter_mut().zip(row) {
                *size += cell.count * u64::from(times);
            }
        }
        let weight = |(&share, &size): (&f64, &u64)| match size {
            0 => (share <= 0.0).then_some(0.0),
            size => Some(share / real(size)),
        };
        let of_stratum: Vec<f64> = self.shares.iter().zip(&sizes).map(weight).collect::<Option<_>>()?;
        let mut weights = Vec::with_capacity(self.cells.len());
        for &times in multiplicities.iter().take(self.cells.len() / strata) {
            for weight in &of_stratum {
                weights.push(weight * f64::from(times));
            }
        }
        Some(weights)
    }
}

/// A sample under the weights of one draw.
///
/// Figures follow the convention of [`Resampling::intervals`](super::Resampling::intervals): `None` lies beyond every
/// limit, `NaN` is undefined because a stratum with a share is empty. A mean costs one step per cluster and stratum, a
/// quantile one per different value below it.
#[derive(Clone, Debug)]
pub struct Drawn<'a> {
    /// What was drawn from.
    sample: &'a StandardisedSample,
    /// Weight of one observation of each cell; absent when undefined.
    weights: Option<Vec<f64>>,
}

impl Drawn<'_> {
    /// Smallest value at which the standardised distribution function reaches `q`.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        // Weights are sums of fractions: a hair below the target is rounding.
        const HAIR: f64 = 1e-12;
        let Some(weights) = &self.weights else { return Some(f64::NAN) };
        let mut reached = 0.0;
        for entry in &self.sample.entries {
            let Some(weight) = weights.get(entry.cell) else { continue };
            reached += weight * entry.count;
            if reached >= q - HAIR {
                return Some(real(entry.value));
            }
        }
        None
    }

    /// Standardised mean; `None` as soon as one observation lies beyond every limit, since it has no value to add.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let Some(weights) = &self.weights else { return Some(f64::NAN) };
        let mut sum = 0.0;
        for (cell, &weight) in self.sample.cells.iter().zip(weights).filter(|&(_, &weight)| weight > 0.0) {
            if cell.beyond > 0 {
                return None;
            }
            sum += weight * cell.sum;
        }
        Some(sum)
    }

    /// Standardised share of observations at or below `limit`; what lies beyond every limit counts as above it.
    #[must_use]
    pub fn share_within(&self, limit: u64) -> f64 {
        let Some(weights) = &self.weights else { return f64::NAN };
        let within = self.sample.entries.iter().take_while(|entry| entry.value <= limit);
        within.filter_map(|entry| weights.get(entry.cell).map(|weight| weight * entry.count)).sum()
    }
}
