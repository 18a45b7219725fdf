//! Conversions between counts and real numbers, in one place because each one can lose something.
//!
//! It must not know what is counted.

/// A count as a real number.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, far above any count of a town")]
pub(super) const fn real(count: u64) -> f64 {
    count as f64
}

/// A length as a real number.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, far above any length in memory")]
pub(super) const fn real_length(length: usize) -> f64 {
    length as f64
}

/// A length as a count.
pub(super) const fn count(length: usize) -> u64 {
    // `usize` has at most 64 bits on every supported machine.
    length as u64
}

/// A count as a length; the longest one where it does not fit.
pub(super) fn length(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The smallest count not below `x`. A hair above a whole number counts as that number, since the hair is rounding.
pub(super) fn ceiling(x: f64) -> Option<u64> {
    const HAIR: f64 = 1e-12;
    let nearest = x.round();
    let whole = if (x - nearest).abs() <= HAIR * nearest.abs() { nearest } else { x.ceil() };
    saturating(whole)
}

/// The largest count not above `x`, with the same care as [`ceiling`] on the other side.
pub(super) fn floor(x: f64) -> Option<u64> {
    const HAIR: f64 = 1e-12;
    let nearest = x.round();
    let whole = if (x - nearest).abs() <= HAIR * nearest.abs() { nearest } else { x.floor() };
    saturating(whole)
}

/// A whole, finite, non-negative real number as a count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range, by the condition")]
fn saturating(whole: f64) -> Option<u64> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    (0.0..TWO_TO_63).contains(&whole).then_some(whole as u64)
}
