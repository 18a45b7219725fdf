//! What the year will cost, from what its days have cost so far, and what would change it.
//!
//! A pure function of daily spend in integer nano-euros: amounts go in and come out as integers, rounded up, and the
//! same days give the same forecast. It must not know vendors, prices, the ledger or the clock.
//!
//! The forecast supposes that the weeks to come are like the weeks seen: no trend, no season, no holiday. A seaside
//! town knows that August is not November; [`Limit`] says so under the figure.

mod whatif;

use jiff::civil::{Date, Weekday, date};
use serde::{Deserialize, Serialize};

pub use whatif::{
    AgainstEstimate, AnsweredCost, CENTS_ASSUMED_NANOS, SEAT_MONTH_NANOS, SEAT_MONTHS, Seats, VAT_BASIS_POINTS, Vat,
    against_estimate, break_even_basis_points, price_changed, seats, vat,
};

/// Days in a week, and weekdays in a profile.
const WEEK: usize = 7;
/// Weeks below which nothing is forecast: the spread of one week is unknown.
const FEWEST_WEEKS: usize = 2;
/// A whole, in basis points (hundredths of a percent).
const WHOLE_BASIS_POINTS: i128 = 10_000;
/// Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom.
const STUDENT_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// What a day cost. A day without a question is a day of zero, and must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySpend {
    /// The day, in the town's time zone.
    pub date: Date,
    /// Spend of the day, in nano-euros, not negative.
    pub nanos: i64,
}

/// Why daily spend cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForecastError {
    /// A day is missing, or comes twice or out of order. A gap is unknown, not zero.
    #[error("the days must follow one another: {0} was expected")]
    DayExpected(Date),
    /// A day of another year.
    #[error("{0} is not in the year of the first day")]
    OtherYear(Date),
    /// A day of negative spend, or an envelope of none.
    #[error("amounts must not be negative, and the envelope must be above zero")]
    Amount,
    /// An amount that does not fit 64 bits of nano-euros.
    #[error("amount out of range")]
    Overflow,
}

/// What a reader must know of the forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No season, no trend.
    WeeksAlike,
    /// Few weeks make a wide interval.
    FewWeeks,
    /// The prices stay.
    PricesUnchanged,
}

impl Limit {
    /// The sentence in English.
    pub fn english(self) -> &'static str {
        match self {
            Self::WeeksAlike => {
                "The weeks to come are supposed to be like the weeks seen: neither season nor trend is in the forecast."
            }
            Self::FewWeeks => "Fewer than eight weeks are known: the interval is wide and the forecast a rough one.",
            Self::PricesUnchanged => "Prices and models are supposed to stay as they are.",
        }
    }

    /// The sentence in French.
    pub fn french(self) -> &'static str {
        match self {
            Self::WeeksAlike => {
                "Les semaines à venir sont supposées semblables aux semaines observées : ni saison ni tendance dans la prévision."
            }
            Self::FewWeeks => "Moins de huit semaines sont connues : l'intervalle est large et la prévision grossière.",
            Self::PricesUnchanged => "Les prix et les modèles sont supposés inchangés.",
        }
    }
}

/// Weeks below which a forecast is called rough.
const ROUGH_WEEKS: usize = 8;

/// The spend expected to 31 December. Amounts in nano-euros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Last day that was seen.
    pub through: Date,
    /// Full weeks behind the forecast.
    pub weeks: usize,
    /// Spend so far.
    pub spent_nanos: i64,
    /// Spend so far and what is expected of the remaining days, rounded up.
    pub year_nanos: i64,
    /// Lower end of the 95 % prediction interval of the year; never below what is spent.
    pub low_nanos: i64,
    /// Upper end of the 95 % prediction interval of the year, rounded up.
    pub high_nanos: i64,
    /// The forecast against the envelope, where there is one.
    pub envelope: Option<EnvelopeUse>,
    /// The sentences to print under it.
    pub limits: Vec<Limit>,
}

/// A year's spend against the envelope that was voted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeUse {
    /// The envelope, in nano-euros.
    pub envelope_nanos: i64,
    /// Share that is spent, in basis points, rounded up. Above 10,000 the envelope is passed.
    pub used_basis_points: i64,
    /// Share that the forecast of the year takes, in basis points, rounded up.
    pub year_basis_points: i64,
    /// The day on which the envelope is or would be spent: seen, or expected. Absent where it lasts the year.
    pub spent_on: Option<Date>,
}

/// Forecasts the year from its days so far, which follow one another. `None` below two full weeks.
///
/// Expected spend: each remaining day costs the mean of its weekday over the full weeks, counted back from the last
/// day. Interval: the two-sided 95 % prediction interval of a future mean (Hahn & Meeker, Statistical Intervals),
/// `t · s · sqrt(1/m + 1/n)` for `m` weeks to come, with whole weeks as the independent units: the days of a week go
/// together, so that days would make it too narrow. `n` weeks were seen, `s` is the standard deviation of their totals
/// and `t` Student's with `n - 1` degrees of freedom.
///
/// # Errors
/// Days that are missing, doubled or of another year; negative amounts; an envelope that is not above zero; sums
/// beyond 64 bits.
pub fn forecast(days: &[DaySpend], envelope_nanos: Option<i64>) -> Result<Option<Forecast>, ForecastError> {
    check(days, envelope_nanos)?;
    let weeks = days.len() / WEEK;
    let Some(last) = days.last().filter(|_| weeks >= FEWEST_WEEKS) else { return Ok(None) };
    let spent: i128 = days.iter().map(|day| i128::from(day.nanos)).sum();
    let profile = Profile::of(days.get(days.len() - weeks * WEEK..).unwrap_or_default(), weeks);
    let remaining = remaining_days(last.date);
    let expected: i128 = remaining.iter().map(|day| profile.of_day(*day)).sum();
    let weeks_divisor = weeks as i128;
    let year = spent + div_ceil(expected, weeks_divisor);
    let half = profile.half_width(remaining.len());
    let fits = |amount: i128| i64::try_from(amount).map_err(|_| ForecastError::Overflow);
    let spent_nanos = fits(spent)?;
    let envelope = envelope_nanos.map(|envelope| envelope_use(envelope, days, &profile, &remaining, year));
    Ok(Some(Forecast {
        through: last.date,
        weeks,
        spent_nanos,
        year_nanos: fits(year)?,
        low_nanos: fits((spent + expected / weeks_divisor - half).max(spent))?,
        high_nanos: fits(year + half)?,
        envelope: envelope.transpose()?,
        limits: limits(weeks),
    }))
}

fn check(days: &[DaySpend], envelope_nanos: Option<i64>) -> Result<(), ForecastError> {
    if envelope_nanos.is_some_and(|envelope| envelope <= 0) || days.iter().any(|day| day.nanos < 0) {
        return Err(ForecastError::Amount);
    }
    for pair in days.windows(2) {
        let [before, day] = pair else { continue };
        let next = before.date.tomorrow().map_err(|_| ForecastError::OtherYear(before.date))?;
        if day.date != next {
            return Err(ForecastError::DayExpected(next));
        }
        if day.date.year() != before.date.year() {
            return Err(ForecastError::OtherYear(day.date));
        }
    }
    Ok(())
}

fn limits(weeks: usize) -> Vec<Limit> {
    let few = (weeks < ROUGH_WEEKS).then_some(Limit::FewWeeks);
    [Limit::WeeksAlike, Limit::PricesUnchanged].into_iter().chain(few).collect()
}

/// The days after `last`, up to 31 December of its year.
fn remaining_days(last: Date) -> Vec<Date> {
    let end = date(last.year(), 12, 31);
    let mut days = Vec::new();
    let mut day = last;
    while day < end {
        let Ok(next) = day.tomorrow() else { break };
        days.push(next);
        day = next;
    }
    days
}

/// What full weeks cost: by weekday, and each week.
struct Profile {
    weeks: usize,
    /// Sum over all weeks, Monday first.
    weekdays: [i128; WEEK],
    /// Totals of the weeks. Floats are enough for the width of an interval.
    totals: Vec<f64>,
}

impl Profile {
    fn of(days: &[DaySpend], weeks: usize) -> Self {
        let mut weekdays = [0; WEEK];
        for day in days {
            if let Some(sum) = weekdays.get_mut(index(day.date.weekday())) {
                *sum += i128::from(day.nanos);
            }
        }
        let total = |week: &[DaySpend]| week.iter().map(|day| i128::from(day.nanos)).sum::<i128>() as f64;
        Self { weeks, weekdays, totals: days.chunks(WEEK).map(total).collect() }
    }

    /// What that weekday cost over all weeks: its mean times the number of weeks.
    fn of_day(&self, day: Date) -> i128 {
        self.weekdays.get(index(day.weekday())).copied().unwrap_or(0)
    }

    /// Half of the prediction interval for the sum of so many days, in nano-euros, rounded up.
    fn half_width(&self, days: usize) -> i128 {
        let (seen, to_come) = (self.weeks as f64, days as f64 / WEEK as f64);
        if days == 0 {
            return 0;
        }
        let mean = self.totals.iter().sum::<f64>() / seen;
        let variance = self.totals.iter().map(|total| (total - mean).powi(2)).sum::<f64>() / (seen - 1.0);
        // Beyond the table the last point is a little too wide, never too narrow.
        let student = STUDENT_95.get(self.weeks - 2).or(STUDENT_95.last()).copied().unwrap_or(f64::INFINITY);
        let of_mean = student * variance.sqrt() * (1.0 / to_come + 1.0 / seen).sqrt();
        (to_come * of_mean).ceil() as i128
    }
}

fn index(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)
}

fn envelope_use(
    envelope: i64,
    days: &[DaySpend],
    profile: &Profile,
    remaining: &[Date],
    year: i128,
) -> Result<EnvelopeUse, ForecastError> {
    let whole = i128::from(envelope);
    let share =
        |amount: i128| i64::try_from(div_ceil(amount * WHOLE_BASIS_POINTS, whole)).map_err(|_| ForecastError::Overflow);
    // In weeks-fold nano-euros, where every day of the profile is whole.
    let weeks = profile.weeks as i128;
    let seen = days.iter().map(|day| (day.date, i128::from(day.nanos) * weeks));
    let mut left = whole * weeks;
    let mut spent_on = None;
    for (day, cost) in seen.chain(remaining.iter().map(|day| (*day, profile.of_day(*day)))) {
        left -= cost;
        if left <= 0 {
            spent_on = Some(day);
            break;
        }
    }
    let spent: i128 = days.iter().map(|day| i128::from(day.nanos)).sum();
    Ok(EnvelopeUse {
        envelope_nanos: envelope,
        used_basis_points: share(spent)?,
        year_basis_points: share(year)?,
        spent_on,
    })
}

/// Rounds up; `divisor` is above zero.
fn div_ceil(amount: i128, divisor: i128) -> i128 {
    -(-amount).div_euclid(divisor)
}

#[cfg(test)]
mod tests;
