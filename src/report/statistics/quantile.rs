//! Weighted quantile of a distribution given as cells.
//!
//! It must not know units, nor why a weight lies beyond every limit.

use super::number::{ceiling, real};

/// Smallest value at which the weighted distribution function reaches `q`.
///
/// `cells` are values with their weights, sorted by value; `beyond` is the weight of what lies above every value:
/// failures, which count as longer than the limit and never vanish. `None` when the quantile lies there, when there
/// is no weight, or unless `0 < q ≤ 1`. This is definition 1 of Hyndman & Fan (1996), "Sample quantiles in statistical
/// packages", The American Statistician 50: no interpolation, so the result is an observed value.
#[must_use]
pub fn quantile(cells: &[(u64, u64)], beyond: u64, q: f64) -> Option<u64> {
    if !(q > 0.0 && q <= 1.0) {
        return None;
    }
    let within: u128 = cells.iter().map(|&(_, weight)| u128::from(weight)).sum();
    let target = rank(within + u128::from(beyond), q)?;
    let mut reached: u128 = 0;
    cells.iter().find_map(|&(value, weight)| {
        reached += u128::from(weight);
        (reached >= target).then_some(value)
    })
}

/// Smallest whole weight not below `q · total`; at least one.
fn rank(total: u128, q: f64) -> Option<u128> {
    let total = u64::try_from(total).ok().filter(|&total| total > 0)?;
    // 0.07 · 100 must be 7 although the product of the nearest doubles is a hair above it: `ceiling` sees to that.
    ceiling(q * real(total)).map(|target| u128::from(target.clamp(1, total)))
}
