//! What would happen if: prices moved, seats were bought, the first estimate had been right; and value added tax.
//!
//! Integer arithmetic throughout: amounts in nano-euros, rates in basis points (hundredths of a percent), one rounding
//! at the end. It must not know vendors or forecasts. Compare like with like: all amounts with VAT, or all without.

use serde::{Deserialize, Serialize};

use super::{WHOLE_BASIS_POINTS, div_ceil};

/// The normal rate of French VAT, 20 %.
pub const VAT_BASIS_POINTS: u32 = 2_000;
/// What an individual seat of a chat service costs in a month: 24 euros.
pub const SEAT_MONTH_NANOS: i64 = 24_000_000_000;
/// Months that a seat is paid for in a year.
pub const SEAT_MONTHS: u32 = 12;
/// What the town said in October 2024 that a question costs: 2 to 3 euro cents.
pub const CENTS_ASSUMED_NANOS: [i64; 2] = [20_000_000, 30_000_000];

/// An amount with its tax shown apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vat {
    /// Without tax, in nano-euros.
    pub net_nanos: i64,
    /// The tax, rounded up, in nano-euros.
    pub vat_nanos: i64,
    /// With tax, in nano-euros.
    pub gross_nanos: i64,
}

/// The tax on an amount that is not negative. `None` for a negative amount and beyond 64 bits.
pub fn vat(net_nanos: i64, rate_basis_points: u32) -> Option<Vat> {
    if net_nanos < 0 {
        return None;
    }
    let tax = div_ceil(i128::from(net_nanos) * i128::from(rate_basis_points), WHOLE_BASIS_POINTS);
    let vat_nanos = i64::try_from(tax).ok()?;
    Some(Vat { net_nanos, vat_nanos, gross_nanos: net_nanos.checked_add(vat_nanos)? })
}

/// An amount after prices moved by that many basis points, rounded up: 1,000 for +10 %. `None` below -100 %, for a
/// negative amount and beyond 64 bits.
pub fn price_changed(nanos: i64, basis_points: i32) -> Option<i64> {
    let factor = WHOLE_BASIS_POINTS + i128::from(basis_points);
    if nanos < 0 || factor < 0 {
        return None;
    }
    i64::try_from(div_ceil(i128::from(nanos) * factor, WHOLE_BASIS_POINTS)).ok()
}

/// What a vendor cost and how many questions it answered for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredCost {
    /// Cost, in nano-euros, not negative.
    pub nanos: i64,
    /// Questions answered.
    pub answered: u64,
}

impl AnsweredCost {
    /// Cost of a question answered, in nano-euros, rounded up. `None` where none was answered.
    pub fn per_question_nanos(self) -> Option<i64> {
        let (nanos, answered) = self.checked()?;
        i64::try_from(div_ceil(nanos, answered)).ok()
    }

    /// Cost and questions, where both say something.
    fn checked(self) -> Option<(i128, i128)> {
        (self.nanos >= 0 && self.answered > 0).then(|| (i128::from(self.nanos), i128::from(self.answered)))
    }
}

/// By how many basis points the prices of `vendor` would have to move for a question to cost what it costs with
/// `other`, rounded down: at that change `vendor` is not dearer. Positive: it can rise so much before it loses its
/// lead. `None` where one of them answered nothing, `vendor` cost nothing, or the figure is beyond 64 bits.
pub fn break_even_basis_points(vendor: AnsweredCost, other: AnsweredCost) -> Option<i64> {
    let ((cost, answered), (other_cost, other_answered)) = (vendor.checked()?, other.checked()?);
    // other_cost / other_answered = cost / answered * (1 + x)
    let wanted = other_cost.checked_mul(answered)?.checked_mul(WHOLE_BASIS_POINTS)?;
    let share = wanted.checked_div_euclid(cost.checked_mul(other_answered)?)?;
    i64::try_from(share - WHOLE_BASIS_POINTS).ok()
}

/// What the same money buys in individual seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// Whole seats that the envelope pays for a year.
    pub seats: u64,
    /// What those seats cost in the year, in nano-euros.
    pub year_nanos: i64,
    /// Whole questions that one month of one seat would pay here, at the measured cost. Absent where no question was
    /// answered or none cost anything.
    pub questions_per_seat_month: Option<u64>,
}

/// Sets seats of `seat_month_nanos` a month against an envelope for a year and a measured cost. `None` for a seat
/// price that is not above zero or an envelope that is negative.
pub fn seats(envelope_nanos: i64, seat_month_nanos: i64, measured: AnsweredCost) -> Option<Seats> {
    if seat_month_nanos <= 0 {
        return None;
    }
    let seat_year = i128::from(seat_month_nanos) * i128::from(SEAT_MONTHS);
    let seats = u64::try_from(i128::from(envelope_nanos).div_euclid(seat_year)).ok()?;
    let questions = measured.checked().and_then(|(cost, answered)| {
        let paid = i128::from(seat_month_nanos).checked_mul(answered)?;
        u64::try_from(paid.checked_div_euclid(cost)?).ok()
    });
    let year_nanos = i64::try_from(i128::from(seats) * seat_year).ok()?;
    Some(Seats { seats, year_nanos, questions_per_seat_month: questions })
}

/// A measured cost against the cost that was assumed for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgainstEstimate {
    /// The cost assumed for a question, in nano-euros.
    pub assumed_nanos: i64,
    /// The measured cost of a question answered, in nano-euros, rounded up.
    pub measured_nanos: i64,
    /// Measured cost as a share of the assumed one, in basis points, rounded up. Below 10,000 it is cheaper.
    pub share_basis_points: i64,
    /// What the answered questions would have cost at the assumed cost less what they did cost, in nano-euros. Negative
    /// where they cost more.
    pub saved_nanos: i64,
}

/// Sets a measured cost against `assumed_nanos` for a question. `None` where no question was answered, the assumed cost
/// is not above zero, or an amount is beyond 64 bits.
pub fn against_estimate(measured: AnsweredCost, assumed_nanos: i64) -> Option<AgainstEstimate> {
    let (cost, answered) = measured.checked()?;
    if assumed_nanos <= 0 {
        return None;
    }
    let assumed = i128::from(assumed_nanos).checked_mul(answered)?;
    Some(AgainstEstimate {
        assumed_nanos,
        measured_nanos: measured.per_question_nanos()?,
        share_basis_points: i64::try_from(div_ceil(cost * WHOLE_BASIS_POINTS, assumed)).ok()?,
        saved_nanos: i64::try_from(assumed - cost).ok()?,
    })
}
