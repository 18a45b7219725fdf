//! From one aggregate to the figures of a row: shares, unit costs, quantiles.
//!
//! Pure arithmetic. Amounts are divided by `providers::money`, which alone rounds; nothing here is money in a float.

use providers::money::{Currency, Money, format_nanos};

use super::{ATTEMPTS_FOR_P50, ATTEMPTS_FOR_P90, ATTEMPTS_FOR_P95, Cost, Quantiles, Row, Totals};
use crate::ledger::{Figures, Rollup, Spread};

/// Decimals of a unit cost.
const UNIT_COST_DECIMALS: usize = 6;
/// Nano-units in the last of those decimals.
const NANOS_PER_LAST_DECIMAL: i64 = 1_000;

impl Row {
    /// The row of one model.
    pub(super) fn of(provider: String, model: String, rollup: &Rollup, limit_seconds: u64) -> Self {
        let totals = Totals::of(&rollup.figures);
        let limit_micros = limit_seconds.saturating_mul(1_000_000);
        let everybody = rollup.everybody();
        let missing = u64::from(everybody.questions - everybody.answered);
        let missing_text = u64::from(everybody.without_text);
        let costed = totals.cost_euro_nanos.is_some();
        Self {
            provider,
            model,
            questions: totals.questions,
            answered: totals.answered,
            answered_share: totals.answered_share,
            interrupted: totals.interrupted,
            failed: totals.failed,
            unknown: totals.unknown,
            taken_over: totals.taken_over,
            cost: costed.then_some(Cost { currency: rollup.figures.currency, nanos: rollup.figures.cost_nanos }),
            cost_euro_nanos: totals.cost_euro_nanos,
            uncosted: totals.uncosted,
            charged_uncertain_euro_nanos: totals.charged_uncertain_euro_nanos,
            cost_per_question_euro: totals.cost_per_question_euro,
            cost_per_1000_chars_euro: totals.cost_per_1000_chars_euro,
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            output_chars: totals.output_chars,
            first_text_ms: Quantiles::of_time(&everybody.first_text, missing_text, limit_micros),
            duration_ms: Quantiles::of_time(&everybody.duration, missing, limit_micros),
            tokens_per_second: Quantiles::of_speed(&rollup.tokens_per_second, 100.0),
            chars_per_second: Quantiles::of_speed(&rollup.chars_per_second, 1.0),
            errors: rollup.figures.errors.clone(),
        }
    }
}

impl Totals {
    /// The sums of some figures and what follows from them.
    pub(super) fn of(figures: &Figures) -> Self {
        let answers = figures.answered + figures.taken_over;
        let uncosted = answers.saturating_sub(figures.costed);
        let cost_known = figures.costed > 0 || answers == 0;
        // No vendor answers without reading and writing a token: a zero beside answers is a usage never reported.
        let tokens = |count: u64| (count > 0 || answers == 0).then_some(count);
        let chars = if uncosted == 0 { figures.output_chars } else { 0 };
        Self {
            questions: figures.questions,
            answered: figures.answered,
            answered_share: share(figures.answered, figures.questions),
            interrupted: figures.interrupted,
            failed: figures.failed,
            unknown: figures.unknown,
            taken_over: figures.taken_over,
            cost_euro_nanos: cost_known.then_some(figures.cost_euro_nanos),
            uncosted,
            charged_uncertain_euro_nanos: figures.charged_uncertain_euro_nanos,
            cost_per_question_euro: unit_cost(figures.cost_euro_nanos, 1, figures.costed),
            cost_per_1000_chars_euro: unit_cost(figures.cost_euro_nanos, 1_000, chars),
            input_tokens: tokens(figures.input_tokens),
            output_tokens: tokens(figures.output_tokens),
            output_chars: figures.output_chars,
        }
    }
}

impl Totals {
    /// The same with what a question costs by those figures.
    pub(super) fn with_unit_costs_of(self, chat: &Figures) -> Self {
        let Self { cost_per_question_euro, cost_per_1000_chars_euro, .. } = Self::of(chat);
        Self { cost_per_question_euro, cost_per_1000_chars_euro, ..self }
    }
}

impl Quantiles {
    /// Of times recorded in microseconds: milliseconds, the upper tail, `beyond` more counting as longer than the limit.
    fn of_time(spread: &Spread, beyond: u64, limit_micros: u64) -> Self {
        let n = spread.count();
        let at = |q: f64, minimum: u64| {
            let enough = n + beyond >= minimum;
            let micros = spread.quantile(q, beyond).filter(|micros| enough && *micros <= limit_micros)?;
            Some(float(micros) / 1_000.0)
        };
        let (p50, p90, p95) = (at(0.5, ATTEMPTS_FOR_P50), at(0.9, ATTEMPTS_FOR_P90), at(0.95, ATTEMPTS_FOR_P95));
        Self { n, beyond, p50, p90, p95 }
    }

    /// Of speeds recorded in units of 1/`parts`: what that share of answers reaches at least, so the lower tail.
    fn of_speed(spread: &Spread, parts: f64) -> Self {
        let n = spread.count();
        let at = |lower_tail: f64, minimum: u64| {
            spread.quantile(lower_tail, 0).filter(|_| n >= minimum).map(|value| float(value) / parts)
        };
        let (p50, p90, p95) = (at(0.5, ATTEMPTS_FOR_P50), at(0.1, ATTEMPTS_FOR_P90), at(0.05, ATTEMPTS_FOR_P95));
        Self { n, beyond: 0, p50, p90, p95 }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

/// `nanos × times / count` euros with six decimals, rounded up once.
fn unit_cost(nanos: i64, times: u128, count: u64) -> Option<String> {
    let numerator = u128::try_from(nanos).ok()?.checked_mul(times)?;
    let denominator = u128::from(count).checked_mul(u128::from(NANOS_PER_LAST_DECIMAL.unsigned_abs()))?;
    if denominator == 0 {
        return None;
    }
    let rounded = Money::from_ratio_rounded_up(numerator, denominator, Currency::Eur).ok()?;
    let shortest = format_nanos(rounded.nanos().checked_mul(NANOS_PER_LAST_DECIMAL)?);
    let (units, decimals) = shortest.split_once('.')?;
    Some(format!("{units}.{decimals:0<UNIT_COST_DECIMALS$}"))
}

/// A count or a measure for arithmetic with fractions; never an amount of money.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53: 285 years in microseconds")]
fn float(value: u64) -> f64 {
    value as f64
}
