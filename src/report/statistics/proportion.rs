//! Shares of independent or clustered trials, and what zero events allow to say.
//!
//! It must not know what a success is.

use super::distribution::{normal_quantile, student_quantile};
use super::number::{count, real, real_length};
use super::{Estimate, Interval, Level};

/// Wilson's score interval of a share of independent trials, without continuity correction.
///
/// `successes` and `n` may be fractional, as effective sizes are. `None` unless `0 ≤ successes ≤ n` and `n > 0`.
/// Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
#[must_use]
pub fn wilson(successes: f64, n: f64, level: Level) -> Option<Interval> {
    if !(n > 0.0 && n.is_finite() && (0.0..=n).contains(&successes)) {
        return None;
    }
    let z = normal_quantile(level.upper())?;
    let p = successes / n;
    let z2 = z * z / n;
    let centre = (p + z2 / 2.0) / (1.0 + z2);
    let half = z / (1.0 + z2) * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    // At the ends the formula gives 0 and 1 up to rounding.
    let low = if successes <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes >= n { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval { low, high })
}

/// Upper 95 % bound of a rate of which `n` independent trials showed no event: 3/n, at most 1.
///
/// Source: Hanley & Lippman-Hand (1983), "If nothing goes wrong, is everything all right?", JAMA 249. The exact bound
/// is `1 − 0.05^(1/n)`; 3 rounds up `−ln 0.05 = 2.996`. `None` without a trial.
#[must_use]
pub fn rule_of_three(n: u64) -> Option<f64> {
    (n > 0).then(|| (3.0 / real(n)).min(1.0))
}

/// Share of successes when trials come in clusters, such as the questions of one person.
///
/// The slices give successes and trials per cluster. The interval is Wilson's with the number of independent trials
/// that the observed spread between clusters is worth: `n* = p(1−p)/v`, `v` the linearised variance of the share,
/// times `(z/t)²`, never more than the trials. Source: Korn & Graubard (1998), "Confidence intervals for proportions
/// with small expected number of positive counts estimated from survey data", Survey Methodology 24, here with Wilson's
/// interval instead of Clopper and Pearson's.
///
/// The degrees of freedom are one less than the effective number of clusters, `(Σn)²/Σn²` (Kish 1965, "Survey
/// Sampling"; for tests: Carter, Schnepel & Steigerwald 2017, Review of Economics and Statistics 99):
/// where a few people cast most votes, those few carry the figure.
///
/// Where all or no trials succeed, nothing can be learnt about the spread: each cluster then counts as one trial.
/// Clusters without a trial are left out. `None` below two clusters or when a cluster has more successes than trials.
#[must_use]
pub fn clustered_share(successes: &[f64], trials: &[f64], level: Level) -> Option<Estimate> {
    let valid = |(s, n): (&f64, &f64)| n.is_finite() && (0.0..=*n).contains(s);
    if successes.len() != trials.len() || !successes.iter().zip(trials).all(valid) {
        return None;
    }
    let clusters = trials.iter().filter(|&&n| n > 0.0).count();
    if clusters < 2 {
        return None;
    }
    let c = real_length(clusters);
    let total: f64 = trials.iter().sum();
    let share = successes.iter().sum::<f64>() / total;
    let squares: f64 = successes.iter().zip(trials).map(|(s, n)| (s - share * n) * (s - share * n)).sum();
    let variance = c / (c - 1.0) * squares / (total * total);
    let spread = share * (1.0 - share);
    let independent = if spread > 0.0 {
        let effective = total * total / trials.iter().map(|n| n * n).sum::<f64>();
        // Two clusters at least: with less than one degree of freedom the interval would say nothing but 0 to 1.
        let degrees = (effective - 1.0).max(1.0);
        let shrink = normal_quantile(level.upper())? / student_quantile(level.upper(), degrees)?;
        // No spread between clusters at all: the trials are the limit.
        if variance > 0.0 { (spread / variance * shrink * shrink).min(total) } else { total }
    } else {
        c.min(total)
    };
    Some(Estimate::new(share, wilson(share * independent, independent, level)?, count(clusters)))
}
