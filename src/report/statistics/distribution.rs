//! Quantiles of the normal and of Student's distribution, and the binomial tail.
//!
//! It must not know what they are used for.
//!
//! `statrs` gives the distribution functions. Its quantiles are far less precise in places, so a few Newton steps on
//! the distribution function follow. Results are rounded to 1e-12 because `statrs` may call the system's
//! mathematics, whose last bit differs from machine to machine.

use statrs::distribution::{Binomial, Continuous, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// Newton steps after the first guess; each one doubles the number of right digits.
const STEPS: usize = 4;

/// Distribution function of the standard normal.
pub(super) fn normal_cdf(x: f64) -> f64 {
    steady(Normal::standard().cdf(x))
}

/// Quantile of the standard normal; `None` unless `0 < p < 1`.
pub(super) fn normal_quantile(p: f64) -> Option<f64> {
    inverse(&Normal::standard(), p)
}

/// Quantile of Student's distribution; `None` unless `0 < p < 1` and `degrees > 0`.
pub(super) fn student_quantile(p: f64, degrees: f64) -> Option<f64> {
    inverse(&StudentsT::new(0.0, 1.0, degrees).ok()?, p)
}

/// P(X ≤ k) for a binomial X.
pub(super) fn binomial_cdf(k: u64, n: u64, p: f64) -> Option<f64> {
    Some(Binomial::new(p, n).ok()?.cdf(k))
}

/// Quantile of a distribution symmetric about zero.
fn inverse<D>(law: &D, p: f64) -> Option<f64>
where
    D: ContinuousCDF<f64, f64> + Continuous<f64, f64>,
{
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    // Only the lower tail is computed: there the distribution function keeps its relative precision.
    let tail = p.min(1.0 - p);
    let mut x = law.inverse_cdf(tail);
    for _ in 0..STEPS {
        let step = (law.cdf(x) - tail) / law.pdf(x);
        if !step.is_finite() {
            break;
        }
        x -= step;
    }
    Some(steady(if p < 0.5 { x } else { -x }))
}

/// Rounded to 1e-12.
fn steady(x: f64) -> f64 {
    const GRAIN: f64 = 1e12;
    (x * GRAIN).round() / GRAIN
}
