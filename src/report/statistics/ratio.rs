//! Ratios of sums over clusters: a share, a mean, a cost per question; and the difference of two of them.
//!
//! It must not know what is summed. A ratio is linearised (delta method): `R = ΣY/ΣX` varies like the sum of the
//! residuals `(Y_c − R·X_c)/ΣX` of its clusters. Sources: Cochran (1977), "Sampling Techniques", 3rd ed., chapter 6;
//! Deng, Knoblich & Lu (2018), "Applying the delta method in metric analytics", KDD.

use super::distribution::student_quantile;
use super::number::{count, real_length};
use super::{Estimate, Interval, Level};

/// One ratio: numerators and denominators per cluster, in the same order of clusters.
#[derive(Clone, Copy, Debug)]
pub struct Sums<'a> {
    /// Sum of the numerator in each cluster.
    pub numerators: &'a [f64],
    /// Sum of the denominator in each cluster.
    pub denominators: &'a [f64],
}

/// The ratio of two sums with an interval over clusters: Student's, with one degree of freedom less than clusters.
///
/// In the unit of the numerator per unit of the denominator. Student's degrees assume clusters of similar size, such as
/// rounds of probes or weeks; where a few of them hold most of the denominator the interval is too narrow. Clusters
/// whose numerator and denominator are zero are left out.
///
/// `None` below two clusters, or when the denominators do not sum to a positive number. Where every cluster has the
/// same ratio the interval has no width; for a share of zero or one use [`clustered_share`](super::clustered_share).
#[must_use]
pub fn ratio_interval(sums: Sums<'_>, level: Level) -> Option<Estimate> {
    let (ratio, residuals) = linearised(sums)?;
    let empty = |c: usize| is_empty(sums, c);
    let present: Vec<f64> = residuals.iter().enumerate().filter(|&(c, _)| !empty(c)).map(|(_, &r)| r).collect();
    around(ratio, &present, level)
}

/// `first − second`, two ratios over the same clusters: what a cluster does to both cancels out.
///
/// In the common unit of both ratios. The slices of both have one entry per cluster, zeros where a cluster has nothing.
/// `None` where [`ratio_interval`] gives `None`, or when the numbers of clusters differ.
#[must_use]
pub fn ratio_difference(first: Sums<'_>, second: Sums<'_>, level: Level) -> Option<Estimate> {
    let (r1, residuals1) = linearised(first)?;
    let (r2, residuals2) = linearised(second)?;
    if residuals1.len() != residuals2.len() {
        return None;
    }
    let empty = |c: usize| is_empty(first, c) && is_empty(second, c);
    let pairs = residuals1.iter().zip(&residuals2).enumerate();
    let residuals: Vec<f64> = pairs.filter(|&(c, _)| !empty(c)).map(|(_, (a, b))| a - b).collect();
    around(r1 - r2, &residuals, level)
}

/// Nothing was observed in this cluster.
fn is_empty(sums: Sums<'_>, cluster: usize) -> bool {
    let zero = |values: &[f64]| values.get(cluster).is_none_or(|&x| x == 0.0);
    zero(sums.numerators) && zero(sums.denominators)
}

/// The ratio and the residual of each cluster.
fn linearised(sums: Sums<'_>) -> Option<(f64, Vec<f64>)> {
    if sums.numerators.len() != sums.denominators.len() {
        return None;
    }
    let total: f64 = sums.denominators.iter().sum();
    let ratio = sums.numerators.iter().sum::<f64>() / total;
    if !(total > 0.0 && ratio.is_finite()) {
        return None;
    }
    let residuals = sums.numerators.iter().zip(sums.denominators).map(|(y, x)| (y - ratio * x) / total).collect();
    Some((ratio, residuals))
}

/// Student's interval about a value whose linearised residuals are given.
fn around(value: f64, residuals: &[f64], level: Level) -> Option<Estimate> {
    if residuals.len() < 2 {
        return None;
    }
    let c = real_length(residuals.len());
    let variance = c / (c - 1.0) * residuals.iter().map(|r| r * r).sum::<f64>();
    let half = student_quantile(level.upper(), c - 1.0)? * variance.sqrt();
    Some(Estimate::new(value, Interval { low: value - half, high: value + half }, count(residuals.len())))
}
