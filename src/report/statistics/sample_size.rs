//! How many observations a statement needs, before any is made.
//!
//! It must not know data: these are formulas of a plan. Each result is the smallest whole number that suffices.

use super::Level;
use super::distribution::{binomial_cdf, normal_quantile};
use super::number::ceiling;

/// Observations for any two-sided distribution-free interval of quantile `q`.
///
/// Between the smallest and the largest observation: each tail may miss with half of what the level leaves, and the
/// worse tail is `max(q, 1−q)^n ≤ (1−level)/2`. Source: David & Nagaraja (2003), "Order Statistics", chapter 7.
/// `None` unless `0 < q < 1`.
#[must_use]
pub fn for_quantile_interval(q: f64, level: Level) -> Option<u64> {
    within(q).and_then(|q| trials_without(q.max(1.0 - q), 1.0 - level.upper()))
}

/// Observations for a one-sided distribution-free bound of quantile `q`: an upper one above the median, a lower one
/// below it.
///
/// The extreme observation bounds it when `max(q, 1−q)^n ≤ 1−level`. Source: Wilks (1941), "Determination of sample
/// sizes for setting tolerance limits", Annals of Mathematical Statistics 12. `None` unless `0 < q < 1`.
#[must_use]
pub fn for_quantile_bound(q: f64, level: Level) -> Option<u64> {
    within(q).and_then(|q| trials_without(q.max(1.0 - q), 1.0 - level.get()))
}

/// Ranks, from 1, of the two observations of a sorted sample of `n` that enclose quantile `q` at this level.
///
/// Each tail misses with at most half of what the level leaves: the largest `l` with `P(B < l) ≤ α/2` and the smallest
/// `u` with `P(B ≥ u) ≤ α/2`, `B` binomial with `n` and `q`. Source: Conover (1999), "Practical Nonparametric
/// Statistics", chapter 3. Dividing by `n` tells which quantiles the ends are. `None` when `n` is too small.
#[must_use]
pub fn quantile_ranks(n: u64, q: f64, level: Level) -> Option<(u64, u64)> {
    let q = within(q)?;
    let tail = 1.0 - level.upper();
    let cdf = |k: u64| binomial_cdf(k, n, q).unwrap_or(1.0);
    // P(B < l) = cdf(l − 1) and P(B ≥ u) = 1 − cdf(u − 1), both monotone.
    let lower = first(n, |k| cdf(k) > tail)?;
    let upper = first(n, |k| 1.0 - cdf(k) <= tail)? + 1;
    (lower >= 1 && upper <= n).then_some((lower, upper))
}

/// Decisive votes to tell a preference `p` from an even one, with the given power.
///
/// `((z_{α/2}·½ + z_β·√(p(1−p)))/(p−½))²`. Source: Fleiss, Levin & Paik (2003), "Statistical Methods for Rates and
/// Proportions", chapter 2, one proportion. The normal approximation: whole votes make the exact binomial test more
/// careful, whose power at 783, 194 and 85 votes is 0.79, 0.76 and 0.74 for a planned 0.8.
///
/// `None` unless `0 < p < 1` and `p ≠ ½`, or when the power is not within.
#[must_use]
pub fn for_preference(p: f64, level: Level, power: f64) -> Option<u64> {
    let p = within(p).filter(|&p| (p - 0.5).abs() > f64::EPSILON)?;
    let (alpha, beta) = (normal_quantile(level.upper())?, normal_quantile(power)?);
    let root = alpha.mul_add(0.5, beta * (p * (1.0 - p)).sqrt()) / (p - 0.5);
    ceiling(root * root)
}

/// Requests per vendor to see a ratio of medians of log-normal durations, unpaired, with the given power.
///
/// `2·(π/2)·σ²·(z_{α/2} + z_β)²/(ln ratio)²`: the median of `n` normal logarithms has variance `πσ²/(2n)`. `sigma` is
/// the standard deviation of the natural logarithms. Sources: Chow, Shao & Wang (2008), "Sample Size Calculations in
/// Clinical Research", chapter 3, two means; David & Nagaraja (2003), "Order Statistics", chapter 10, variance of
/// a median. Independent requests: with clusters, more are needed. `None` unless `ratio > 0`, `ratio ≠ 1`, `sigma > 0`
/// and the power is within.
#[must_use]
pub fn for_median_ratio(ratio: f64, sigma: f64, level: Level, power: f64) -> Option<u64> {
    if !(ratio > 0.0 && ratio.is_finite() && sigma > 0.0 && (ratio - 1.0).abs() > f64::EPSILON) {
        return None;
    }
    let z = normal_quantile(level.upper())? + normal_quantile(power)?;
    let effect = libm::log(ratio);
    ceiling(core::f64::consts::PI * sigma * sigma * z * z / (effect * effect))
}

/// Requests without a failure from which the failure rate is below `rate` at 95 %: `3/rate`, the rule of three.
///
/// Source: see [`rule_of_three`](super::rule_of_three). `None` unless `0 < rate ≤ 1`.
#[must_use]
pub fn for_zero_failures(rate: f64) -> Option<u64> {
    if rate > 0.0 && rate <= 1.0 { ceiling(3.0 / rate) } else { None }
}

/// A probability strictly between 0 and 1.
fn within(p: f64) -> Option<f64> {
    (p > 0.0 && p < 1.0).then_some(p)
}

/// Smallest `n` with `p^n ≤ tail`.
fn trials_without(p: f64, tail: f64) -> Option<u64> {
    ceiling(libm::log(tail) / libm::log(p))
}

/// Smallest `k ≤ n` from which a monotone condition holds.
fn first(n: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    holds(low).then_some(low)
}
