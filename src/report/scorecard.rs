//! The award table: marks per criterion, totals and ranks under three price formulas, and how much hangs on a weight.
//!
//! A pure function of offers and the buyer's criteria. It must not know vendors, tokens, the ledger or where a value was
//! measured. Weights are the buyer's: [`suggested_criteria`] only fills the form.
//!
//! Absent is not zero: a criterion with an unknown value for one offer is scored for none, and its weight is shown as
//! not awarded.

mod marks;
mod sensitivity;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use marks::{PriceFormula, Rule};
pub use sensitivity::{Interval, Sensitivity, scaled_weights};

/// What all weights add up to, in percent.
const WHOLE: f64 = 100.0;
/// Totals closer than this, in points of 100, are a tie: less is the rounding of floats.
const TIE_POINTS: f64 = 1e-9;
/// How far from 100 a sum of weights may be: thirds have no exact decimals.
const WEIGHT_TOLERANCE: f64 = 1e-6;

/// One thing that is marked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// Stable name: `price`, `latency`.
    pub key: String,
    /// The criterion of the notice that it belongs to: `technical` holds latency, quality and ease of use.
    pub group: String,
    /// Its weight, in percent of the whole.
    pub weight_percent: f64,
    /// How a value becomes a mark.
    pub rule: Rule,
}

/// The weights to fill the form with, as an example and no advice: price 40, technical value 35 (latency 10, measured
/// answer quality 15, ease of use 10), data protection 15, environment 10.
pub fn suggested_criteria() -> Vec<Criterion> {
    let row = |key: &str, group: &str, weight_percent, rule| Criterion {
        key: key.to_owned(),
        group: group.to_owned(),
        weight_percent,
        rule,
    };
    vec![
        row("price", "price", 40.0, Rule::Price),
        row("latency", "technical", 10.0, Rule::LowerIsBetter),
        row("answer_quality", "technical", 15.0, Rule::Share),
        row("ease_of_use", "technical", 10.0, Rule::Share),
        row("data_protection", "data_protection", 15.0, Rule::Share),
        row("environment", "environment", 10.0, Rule::LowerIsBetter),
    ]
}

/// One offer: a model of a vendor, on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Name for people; no two offers share it.
    pub label: String,
    /// Price of the reference basket, in nano-euros, where it is known. The ministry's note asks for prices with VAT; at
    /// one rate for all offers the marks are the same without.
    pub price_nanos: Option<i64>,
    /// Value of each criterion but the price, by key: a share of 0 to 1 for [`Rule::Share`], a measured value that is
    /// not negative for the other rules. What has no entry is unknown.
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
}

/// Why there is no scorecard.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScorecardError {
    /// The weights do not make a whole.
    #[error("The weights add up to {0} %, and must add up to 100 %.")]
    WeightsNotWhole(f64),
    /// A weight is not between 0 and 100.
    #[error("The weight of `{0}` must be between 0 and 100 %.")]
    Weight(String),
    /// A criterion has the key of another.
    #[error("The criterion `{0}` comes twice.")]
    CriterionTwice(String),
    /// Two criteria ask for the price.
    #[error("Only one criterion can be the price.")]
    TwoPrices,
    /// An offer has the label of another.
    #[error("Two offers are called `{0}`.")]
    OfferTwice(String),
    /// There is nothing to compare.
    #[error("A comparison needs at least two offers.")]
    TooFewOffers,
    /// A price below zero.
    #[error("The price of `{0}` is negative.")]
    NegativePrice(String),
    /// A value outside what its rule takes.
    #[error("`{criterion}` of `{offer}` must be {range}.")]
    Value {
        /// The criterion's key.
        criterion: String,
        /// The offer's label.
        offer: String,
        /// What is allowed, in words.
        range: &'static str,
    },
}

/// What a criterion did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// The criterion.
    pub criterion: Criterion,
    /// Whether it was scored.
    pub scored: bool,
    /// Labels of the offers whose value is unknown: the reason why it was not scored.
    pub unknown_for: Vec<String>,
}

/// One offer under one price formula.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferResult {
    /// The offer's label.
    pub label: String,
    /// Mark of each criterion between 0 and 1, in the criteria's order; absent where it was not scored.
    pub marks: Vec<Option<f64>>,
    /// Points of each criterion: mark times weight.
    pub points: Vec<Option<f64>>,
    /// Sum of the points, out of the weight that was awarded.
    pub total: f64,
    /// 1 for the best; offers with the same total share a rank.
    pub rank: usize,
}

/// The award table under one price formula.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormulaResult {
    /// The price formula.
    pub formula: PriceFormula,
    /// Every offer, in the order given.
    pub offers: Vec<OfferResult>,
    /// Label of the winner; several in a tie, none where no criterion was scored.
    pub winners: Vec<String>,
    /// For each criterion, who wins at which weight.
    pub sensitivity: Vec<Sensitivity>,
}

/// The award table under the three price formulas side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// The criteria, and which of them were scored.
    pub criteria: Vec<CriterionResult>,
    /// Sum of the weights that were scored, in percent: the most that a total can be.
    pub awarded_percent: f64,
    /// Sum of the weights that were not, in percent.
    pub not_awarded_percent: f64,
    /// Classic, linear, average of offers.
    pub formulas: Vec<FormulaResult>,
    /// Whether the three formulas have the same winner. Absent where nothing was scored.
    pub formulas_agree: Option<bool>,
}

/// Marks the offers.
///
/// # Errors
/// Weights that do not add up to 100, labels or keys that come twice, values outside what their rule takes, fewer than
/// two offers.
pub fn score(criteria: &[Criterion], offers: &[Offer]) -> Result<Scorecard, ScorecardError> {
    check_criteria(criteria)?;
    check_offers(criteria, offers)?;
    let results: Vec<_> = criteria.iter().map(|criterion| criterion_result(criterion, offers)).collect();
    let weight = |scored: bool| {
        let rows = results.iter().filter(|row| row.scored == scored);
        // A sum of no floats is -0.
        rows.map(|row| row.criterion.weight_percent).sum::<f64>() + 0.0
    };
    let formulas: Vec<_> =
        PriceFormula::ALL.into_iter().map(|formula| formula_result(formula, &results, offers)).collect();
    let scored = results.iter().any(|row| row.scored);
    let agree = formulas.windows(2).all(|pair| matches!(pair, [one, other] if one.winners == other.winners));
    Ok(Scorecard {
        awarded_percent: weight(true),
        not_awarded_percent: weight(false),
        criteria: results,
        formulas,
        formulas_agree: scored.then_some(agree),
    })
}

fn check_criteria(criteria: &[Criterion]) -> Result<(), ScorecardError> {
    let mut keys = BTreeSet::new();
    for criterion in criteria {
        if !keys.insert(&criterion.key) {
            return Err(ScorecardError::CriterionTwice(criterion.key.clone()));
        }
        if !(0.0..=WHOLE).contains(&criterion.weight_percent) {
            return Err(ScorecardError::Weight(criterion.key.clone()));
        }
    }
    if criteria.iter().filter(|criterion| criterion.rule == Rule::Price).count() > 1 {
        return Err(ScorecardError::TwoPrices);
    }
    let sum = criteria.iter().map(|criterion| criterion.weight_percent).sum::<f64>() + 0.0;
    if (sum - WHOLE).abs() > WEIGHT_TOLERANCE {
        return Err(ScorecardError::WeightsNotWhole(sum));
    }
    Ok(())
}

fn check_offers(criteria: &[Criterion], offers: &[Offer]) -> Result<(), ScorecardError> {
    if offers.len() < 2 {
        return Err(ScorecardError::TooFewOffers);
    }
    let mut labels = BTreeSet::new();
    for offer in offers {
        if !labels.insert(&offer.label) {
            return Err(ScorecardError::OfferTwice(offer.label.clone()));
        }
        if offer.price_nanos.is_some_and(|price| price < 0) {
            return Err(ScorecardError::NegativePrice(offer.label.clone()));
        }
        for criterion in criteria {
            let wrong = offer.values.get(&criterion.key).and_then(|value| criterion.rule.refuses(*value));
            if let Some(range) = wrong {
                let (criterion, offer) = (criterion.key.clone(), offer.label.clone());
                return Err(ScorecardError::Value { criterion, offer, range });
            }
        }
    }
    Ok(())
}

fn criterion_result(criterion: &Criterion, offers: &[Offer]) -> CriterionResult {
    let unknown = |offer: &&Offer| match criterion.rule {
        Rule::Price => offer.price_nanos.is_none(),
        _ => !offer.values.contains_key(&criterion.key),
    };
    let unknown_for: Vec<_> = offers.iter().filter(unknown).map(|offer| offer.label.clone()).collect();
    CriterionResult { criterion: criterion.clone(), scored: unknown_for.is_empty(), unknown_for }
}

fn formula_result(formula: PriceFormula, criteria: &[CriterionResult], offers: &[Offer]) -> FormulaResult {
    // One list a criterion, one mark an offer; none where it was not scored.
    let columns: Vec<Option<Vec<f64>>> =
        criteria.iter().map(|row| row.scored.then(|| marks::of(&row.criterion, formula, offers))).collect();
    let weights: Vec<f64> = criteria.iter().map(|row| row.criterion.weight_percent).collect();
    let mut results: Vec<_> =
        offers.iter().enumerate().map(|(at, offer)| offer_result(offer, at, &columns, &weights)).collect();
    let totals: Vec<f64> = results.iter().map(|row| row.total).collect();
    for row in &mut results {
        row.rank = 1 + totals.iter().filter(|total| **total > row.total + TIE_POINTS).count();
    }
    let scored = columns.iter().any(Option::is_some);
    let winners = results.iter().filter(|row| scored && row.rank == 1).map(|row| row.label.clone()).collect();
    let labels: Vec<_> = offers.iter().map(|offer| offer.label.as_str()).collect();
    let sensitivity = criteria.iter().enumerate().map(|(at, row)| {
        let intervals = sensitivity::intervals(at, &columns, &weights, &labels);
        Sensitivity { criterion: row.criterion.key.clone(), weight_percent: row.criterion.weight_percent, intervals }
    });
    FormulaResult { formula, winners, sensitivity: sensitivity.collect(), offers: results }
}

fn offer_result(offer: &Offer, at: usize, columns: &[Option<Vec<f64>>], weights: &[f64]) -> OfferResult {
    let marks: Vec<_> = columns.iter().map(|column| column.as_ref().and_then(|marks| marks.get(at).copied())).collect();
    let points: Vec<_> = marks.iter().zip(weights).map(|(mark, weight)| mark.map(|mark| mark * weight)).collect();
    let total = points.iter().flatten().sum::<f64>() + 0.0;
    OfferResult { label: offer.label.clone(), marks, points, total, rank: 0 }
}

#[cfg(test)]
mod tests;
