//! The scorecard of the compared models: which measured value goes into which criterion, and what is known of their hosts.

use std::collections::BTreeMap;

use super::energy::middle;
use super::{Comparison, CriterionRow, DataFacts, FormulaRow, ModelFigures, ScorecardSection, Sensitivity};
use crate::report::evidence::{Evidence, ModelFacts};
use crate::report::scorecard::{Criterion, Offer, PriceFormula, Rule, Scorecard, score};

/// Marks for data protection: where the host promises to process, the seat's law, what is kept, what is trained on. They
/// are facts of the catalogue, added up; a buyer who weighs them otherwise gives the criterion its own marks.
const HOST_IN_EU: f64 = 0.4;
const SEAT_IN_EU: f64 = 0.3;
const NO_TRAINING: f64 = 0.2;
const NOTHING_KEPT: f64 = 0.1;

/// The scorecard of what was measured; the other sections of `comparison` are there already.
pub(super) fn section(evidence: &Evidence, comparison: &Comparison) -> ScorecardSection {
    // One source for all: the basket's price of one and the residents' questions of another are no offers to the same call.
    let all_probed =
        evidence.compared.iter().all(|model| comparison.probes.models.iter().any(|row| row.model == *model));
    let measured = if all_probed { &comparison.probes.models } else { &comparison.conversations.models };
    let offered: Vec<(&String, Offer)> = evidence
        .compared
        .iter()
        .map(|model| (model, offer(evidence, comparison, measured, model)))
        .filter(|(_, offer)| offer.price_nanos.is_some())
        .collect();
    let data_facts = evidence.compared.iter().filter_map(|model| facts(evidence, model)).map(data).collect();
    let refused = |why: &str| ScorecardSection { refused: Some(why.to_owned()), ..ScorecardSection::default() };
    if offered.len() < 2 {
        let why = if evidence.compared.len() < 2 { "one_offer" } else { "no_price" };
        return ScorecardSection { data_facts, ..refused(why) };
    }
    let offers: Vec<Offer> = offered.iter().map(|(_, offer)| offer.clone()).collect();
    let criteria = criteria(&evidence.buyer.weights);
    let Ok(card) = score(&criteria, &offers) else {
        return ScorecardSection { data_facts, ..refused("no_price") };
    };
    let mut section = shown(&card, &criteria, if all_probed { "probes" } else { "conversations" });
    section.prices_euro_nanos = offers.iter().filter_map(|offer| offer.price_nanos).collect();
    section.offers = offers.into_iter().map(|offer| offer.label).collect();
    section.data_facts = data_facts;
    section
}

fn criteria(weights: &BTreeMap<String, u32>) -> Vec<Criterion> {
    let rule = |key: &str| match key {
        "price" => Rule::Price,
        "latency" | "environment" => Rule::LowerIsBetter,
        _ => Rule::Share,
    };
    let row = |(key, weight): (&String, &u32)| Criterion {
        key: key.clone(),
        group: key.clone(),
        weight_percent: f64::from(*weight),
        rule: rule(key),
    };
    weights.iter().map(row).collect()
}

fn facts<'a>(evidence: &'a Evidence, model: &str) -> Option<&'a ModelFacts> {
    evidence.models.iter().find(|known| known.model == model)
}

/// A model as an offer: the basket's price and times, where it was probed; what conversations and duels say of it.
fn offer(evidence: &Evidence, comparison: &Comparison, measured: &[ModelFigures], model: &str) -> Offer {
    let named = |figures: &&ModelFigures| figures.model == model;
    let probed = comparison.probes.models.iter().find(named);
    let measured = measured.iter().find(named);
    let mut values = BTreeMap::new();
    let mut set = |key: &str, value: Option<f64>| {
        if let Some(value) = value {
            values.insert(key.to_owned(), value);
        }
    };
    set("latency", measured.and_then(|figures| figures.first_text.value));
    set("quality", probed.and_then(|figures| figures.checks?.value));
    set("ease_of_use", preferred(comparison, model));
    set("data_protection", facts(evidence, model).and_then(protection));
    set("environment", middle(evidence, model));
    let price = measured.and_then(|figures| figures.cost_per_answer.value).map(whole);
    Offer { label: model.to_owned(), price_nanos: price, values }
}

/// Share of the votes that a model won in all its duels, ties counting half.
fn preferred(comparison: &Comparison, model: &str) -> Option<f64> {
    let (mut won, mut all) = (0.0, 0.0);
    for pair in &comparison.duels.pairs {
        let (first, second, ties) = (real(pair.first_wins), real(pair.second_wins), real(pair.ties));
        if pair.first == model {
            (won, all) = (won + first + ties / 2.0, all + first + second + ties);
        } else if pair.second == model {
            (won, all) = (won + second + ties / 2.0, all + first + second + ties);
        }
    }
    (all > 0.0).then(|| won / all)
}

/// Between 0 and 1 by the facts of the catalogue; `None` where nobody looked them up.
fn protection(facts: &ModelFacts) -> Option<f64> {
    let data = facts.data.as_ref()?;
    let host = facts.hosts.first().is_some_and(|(_, region)| region == "eu");
    let marks = [
        (host, HOST_IN_EU),
        (data.eu_seat, SEAT_IN_EU),
        (data.no_training_by_default, NO_TRAINING),
        (data.retention_days == Some(0), NOTHING_KEPT),
    ];
    Some(marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).sum::<f64>() + 0.0)
}

fn data(facts: &ModelFacts) -> DataFacts {
    let found = facts.data.as_ref();
    DataFacts {
        model: facts.model.clone(),
        hosts: facts.hosts.clone(),
        retention: found.map(|data| data.retention.clone()),
        law: found.map(|data| data.law.clone()),
        training: found.map(|data| data.training.clone()),
        source: found.map(|data| (data.source.clone(), data.as_of.to_string())),
    }
}

/// Where the marks come from, if not from what all offers were measured by.
fn source(key: &str, is_scored: bool) -> Option<&'static str> {
    match key {
        _ if !is_scored => Some("not_scored"),
        "ease_of_use" => Some("duels"),
        "data_protection" => Some("catalogue"),
        "environment" => Some("energy"),
        "quality" => Some("probes"),
        _ => None,
    }
}

fn shown(card: &Scorecard, criteria: &[Criterion], measured: &str) -> ScorecardSection {
    let first = card.formulas.first();
    let rows = card.criteria.iter().enumerate().map(|(at, row)| CriterionRow {
        criterion: row.criterion.key.clone(),
        weight: whole_percent(row.criterion.weight_percent),
        source: source(&row.criterion.key, row.scored).unwrap_or(measured).to_owned(),
        marks: first
            .iter()
            .flat_map(|found| &found.offers)
            .map(|offer| offer.points.get(at).copied().flatten())
            .collect(),
    });
    let price = criteria.iter().position(|criterion| criterion.rule == Rule::Price);
    let formulas = card.formulas.iter().map(|found| FormulaRow {
        formula: match found.formula {
            PriceFormula::Classic => "classic",
            PriceFormula::Linear => "linear",
            PriceFormula::AverageOfOffers => "average",
        }
        .to_owned(),
        price_marks: found
            .offers
            .iter()
            .map(|offer| price.and_then(|at| offer.points.get(at).copied().flatten()).unwrap_or(0.0))
            .collect(),
        totals: found.offers.iter().map(|offer| offer.total).collect(),
        ranks: found.offers.iter().map(|offer| u32::try_from(offer.rank).unwrap_or(u32::MAX)).collect(),
    });
    let sensitivity = first.iter().flat_map(|found| &found.sensitivity).map(|row| Sensitivity {
        criterion: row.criterion.clone(),
        winners: row.intervals.iter().flatten().map(|part| (part.from, part.to, part.winners.join(" = "))).collect(),
    });
    ScorecardSection {
        criteria: rows.collect(),
        formulas: formulas.collect(),
        formulas_agree: card.formulas_agree.unwrap_or(false),
        sensitivity: sensitivity.collect(),
        ..ScorecardSection::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a mean of costs, in nano-euros")]
fn whole(nanos: f64) -> i64 {
    nanos.ceil() as i64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a weight of 0 to 100")]
fn whole_percent(weight: f64) -> u32 {
    weight.round() as u32
}

#[expect(clippy::cast_precision_loss, reason = "counts of votes")]
fn real(count: u64) -> f64 {
    count as f64
}
