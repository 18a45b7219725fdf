//! What it cost, what the same period would have cost elsewhere, and where the year is going. Integers throughout: divided
//! once, rounded up once.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::what_if::what_if;
use crate::report::evidence::{Audience, DayCost, Evidence, ModelFacts, UsageSums};
use crate::report::forecast::{AnsweredCost, DaySpend, forecast, seats, vat};

const CHAT: &str = "chat";
const TOKENS_PER_RATE: u128 = 1_000_000;
const MICROS_PER_UNIT: u128 = 1_000_000;
const CHARS: u128 = 1_000;

/// What a model's answers cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostRow {
    /// Qualified id.
    pub model: String,
    /// Questions of residents; absent when suppressed.
    pub questions: Option<u64>,
    /// Answers.
    pub answers: Option<u64>,
    /// What they cost, nano-euros without VAT.
    pub cost_euro_nanos: Option<i64>,
    /// Charged for questions whose cost is not known exactly, at their upper bound.
    pub uncertain_euro_nanos: Option<i64>,
    /// Per question; calls of which the cost is not known exactly at the most they can have cost.
    pub per_question_euro_nanos: Option<i64>,
    /// Per answer.
    pub per_answer_euro_nanos: Option<i64>,
    /// Per 1,000 characters.
    pub per_1000_chars_euro_nanos: Option<i64>,
    /// Share of the output that was hidden reasoning.
    pub reasoning_share: Option<f64>,
    /// Share of the input that came from the vendor's cache.
    pub cached_share: Option<f64>,
}

/// The same questions at another model's prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepricedModel {
    /// Qualified id.
    pub model: String,
    /// Whether it is one of those compared.
    pub compared: bool,
    /// Everything of the period at its prices, without VAT: with the cache as it was used.
    pub euro_nanos: i64,
    /// Without any cache.
    pub uncached_euro_nanos: i64,
    /// At its host in the European Union, with the cache; absent where it has none.
    pub eu_euro_nanos: Option<i64>,
    /// With VAT: the first of these.
    pub with_vat_euro_nanos: i64,
    /// Per answer, without VAT.
    pub per_answer_euro_nanos: i64,
    /// Per answer with the tokens that the model itself needs for the basket's questions; where it was probed.
    pub own_tokens_euro_nanos: Option<i64>,
    /// Day on which the vendor switches it off.
    pub retires: Option<String>,
}

/// What a model would cost if something changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhatIf {
    /// Qualified id.
    pub model: String,
    /// Per answer as it is.
    pub per_answer_euro_nanos: i64,
    /// Percent of a rise, and what an answer would cost then.
    pub raised: Vec<(u32, i64)>,
    /// Without any hidden reasoning; absent where it is not known.
    pub without_reasoning_euro_nanos: Option<i64>,
    /// With twice as much.
    pub double_reasoning_euro_nanos: Option<i64>,
    /// Other model, and by how much this one's price would have to change to cost the same per answer, in hundredths of a percent.
    pub break_even: Vec<(String, i64)>,
}

/// Euros.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EuroSection {
    /// What residents' questions cost, by model.
    pub rows: Vec<CostRow>,
    /// Charged in the period for residents, nano-euros.
    pub residents_euro_nanos: i64,
    /// Charged for probes.
    pub probes_euro_nanos: i64,
    /// Charged for duels; absent where too few people had some.
    pub duels_euro_nanos: Option<i64>,
    /// Questions of residents.
    pub questions: u64,
    /// Whether some were asked by too few people to be in these figures.
    pub is_incomplete: bool,
    /// Mean over all of them, without VAT; calls of which the cost is not known exactly at the most they can have cost.
    pub per_question_euro_nanos: Option<i64>,
    /// By month: the month, residents (absent when too few to be shown), nano-euros per resident.
    pub per_resident: Vec<(String, Option<u64>, Option<i64>)>,
    /// What the town assumed a question to cost, from and to.
    pub assumed_euro_nanos: (i64, i64),
    /// Price of a seat a month.
    pub seat_euro_nanos: i64,
    /// Seats that the envelope of the year pays for.
    pub seats_in_envelope: Option<i64>,
    /// Questions that the price of a seat pays for.
    pub questions_per_seat: Option<i64>,
    /// Envelope of the year.
    pub envelope_euro_nanos: i64,
    /// Spent this year so far.
    pub spent_euro_nanos: i64,
    /// Expected at the end of the year, with low and high; absent before two full weeks.
    pub forecast_euro_nanos: Option<(i64, i64, i64)>,
    /// Day on which the envelope would be spent, if it would.
    pub envelope_spent_on: Option<String>,
    /// VAT in hundredths of a percent.
    pub vat_basis_points: u32,
    /// The same period on every model.
    pub repriced: Vec<RepricedModel>,
    /// What if.
    pub what_if: Vec<WhatIf>,
    /// Euro rate applied to the price list: currency, units per euro in millionths, day.
    pub rate: Option<(String, u64, String)>,
}

pub(super) fn section(evidence: &Evidence) -> EuroSection {
    let by_model = residents_by_model(evidence);
    let all = by_model.values().flatten().fold(UsageSums::default(), |mut sum, sums| {
        sum.merge(sums);
        sum
    });
    let of = |audience| evidence.usage.iter().filter(move |cell| cell.audience == audience);
    let charged = |audience| -> i64 {
        of(audience).filter_map(|cell| cell.sums.as_ref()).map(|sums| sums.charged_euro_nanos).sum()
    };
    let is_whole = |audience| of(audience).all(|cell| !cell.incomplete);
    let buyer = &evidence.buyer;
    let measured = AnsweredCost { nanos: all.cost_euro_nanos, answered: all.costed };
    let seats = seats(buyer.envelope_euro_nanos, buyer.seat_euro_nanos, measured);
    let mut days: Vec<DaySpend> = evidence.days.iter().filter_map(day_spend).collect();
    if !evidence.over {
        // Today is not over: what it cost so far says little of a day.
        days.pop();
    }
    let forecast = forecast(&days, Some(buyer.envelope_euro_nanos).filter(|nanos| *nanos > 0)).ok().flatten();
    EuroSection {
        rows: rows(&by_model),
        residents_euro_nanos: charged(Audience::Residents),
        probes_euro_nanos: charged(Audience::Probes),
        duels_euro_nanos: is_whole(Audience::Duels).then(|| charged(Audience::Duels)),
        questions: all.questions,
        is_incomplete: !is_whole(Audience::Residents),
        per_question_euro_nanos: per(all.cost_euro_nanos + all.uncertain_euro_nanos, 1, all.questions),
        per_resident: per_resident(evidence),
        assumed_euro_nanos: buyer.assumed_euro_nanos,
        seat_euro_nanos: buyer.seat_euro_nanos,
        seats_in_envelope: seats.as_ref().and_then(|seats| i64::try_from(seats.seats).ok()),
        questions_per_seat: seats.and_then(|seats| i64::try_from(seats.questions_per_seat_month?).ok()),
        envelope_euro_nanos: buyer.envelope_euro_nanos,
        spent_euro_nanos: evidence.spent_euro_nanos,
        forecast_euro_nanos: forecast.as_ref().map(|found| (found.year_nanos, found.low_nanos, found.high_nanos)),
        envelope_spent_on: forecast.and_then(|found| Some(found.envelope?.spent_on?.to_string())),
        vat_basis_points: buyer.vat_basis_points,
        repriced: repriced(evidence, &all),
        what_if: what_if(evidence, &by_model),
        rate: evidence.rates.first().cloned(),
    }
}

/// Corrections of a day may leave less than nothing; that is no spending.
fn day_spend(cost: &DayCost) -> Option<DaySpend> {
    Some(DaySpend { date: cost.day.parse::<Date>().ok()?, nanos: cost.euro_nanos.max(0) })
}

/// Residents' conversations by model; `None` where too few people asked.
pub(super) fn residents_by_model(evidence: &Evidence) -> BTreeMap<String, Option<UsageSums>> {
    let mut models: BTreeMap<String, Option<UsageSums>> = BTreeMap::new();
    for cell in evidence.usage.iter().filter(|cell| cell.audience == Audience::Residents && cell.operation == CHAT) {
        let sum = models.entry(cell.model.clone()).or_default();
        if let Some(sums) = &cell.sums {
            sum.get_or_insert_default().merge(sums);
        }
    }
    models
}

/// `nanos × times / count`, rounded up; `None` without a count.
pub(super) fn per(nanos: i64, times: u128, count: u64) -> Option<i64> {
    let nanos = u128::try_from(nanos).ok()?.checked_mul(times)?;
    (count > 0).then(|| nanos.div_ceil(u128::from(count))).and_then(|nanos| i64::try_from(nanos).ok())
}

fn rows(by_model: &BTreeMap<String, Option<UsageSums>>) -> Vec<CostRow> {
    let row = |(model, sums): (&String, &Option<UsageSums>)| {
        let known = |of: fn(&UsageSums) -> Option<i64>| sums.as_ref().and_then(of);
        let share = |part: fn(&[u64; 5]) -> (u64, u64)| {
            let (part, whole) = part(&sums.as_ref()?.tokens);
            (whole > 0).then(|| real(part) / real(whole))
        };
        CostRow {
            model: model.clone(),
            questions: sums.as_ref().map(|sums| sums.questions),
            answers: sums.as_ref().map(|sums| sums.answers),
            cost_euro_nanos: known(|sums| (sums.costed > 0 || sums.answers == 0).then_some(sums.cost_euro_nanos)),
            uncertain_euro_nanos: known(|sums| Some(sums.uncertain_euro_nanos)),
            per_question_euro_nanos: known(|sums| {
                per(sums.cost_euro_nanos + sums.uncertain_euro_nanos, 1, sums.questions)
            }),
            per_answer_euro_nanos: known(|sums| per(sums.cost_euro_nanos, 1, sums.costed)),
            per_1000_chars_euro_nanos: known(|sums| per(sums.cost_euro_nanos, CHARS, sums.output_chars)),
            reasoning_share: share(|tokens| (tokens[4], tokens[3] + tokens[4])),
            cached_share: share(|tokens| (tokens[1], tokens[0] + tokens[1] + tokens[2])),
        }
    };
    by_model.iter().map(row).collect()
}

/// What residents' questions cost by resident, of months of which every day up to the last of the period is known: a month's
/// residents are counted to its end.
fn per_resident(evidence: &Evidence) -> Vec<(String, Option<u64>, Option<i64>)> {
    let spent = |month: &str| -> Option<i64> {
        let days: Vec<&DayCost> = evidence.days.iter().filter(|cost| cost.day.starts_with(month)).collect();
        let last: Date = days.last()?.day.parse().ok()?;
        let is_whole = last == last.last_of_month() || !evidence.over;
        is_whole.then(|| days.iter().map(|cost| cost.residents_euro_nanos).sum())
    };
    let row = |(month, people): &(String, Option<u64>)| {
        (month.clone(), *people, people.and_then(|people| per(spent(month)?, 1, people)))
    };
    evidence.residents.iter().map(row).collect()
}

/// Tokens of answers: uncached, cached, written, output.
pub(super) type Tokens = [u64; 4];

/// The tokens that are priced: reasoning is billed as output.
pub(super) fn tokens(sums: &UsageSums) -> Tokens {
    let [uncached, cached, written, visible, reasoning] = sums.tokens;
    [uncached, cached, written, visible + reasoning]
}

/// What tokens cost at a model's list prices, in nano-euros, with an uplift in percent; `None` without a rate to the euro.
pub(super) fn cost_at(evidence: &Evidence, model: &ModelFacts, tokens: Tokens, uplift_percent: u32) -> Option<i64> {
    let per_euro = match model.currency.as_str() {
        "EUR" => u64::try_from(MICROS_PER_UNIT).ok()?,
        currency => evidence.rates.iter().find(|(known, ..)| known == currency)?.1,
    };
    let products = tokens.iter().zip(model.rates).map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate));
    let numerator =
        products.sum::<u128>().checked_mul(100 + u128::from(uplift_percent))?.checked_mul(MICROS_PER_UNIT)?;
    let denominator = TOKENS_PER_RATE * 100 * u128::from(per_euro);
    (per_euro > 0).then(|| numerator.div_ceil(denominator)).and_then(|nanos| i64::try_from(nanos).ok())
}

fn repriced(evidence: &Evidence, all: &UsageSums) -> Vec<RepricedModel> {
    if all.answers == 0 {
        return Vec::new();
    }
    let used = tokens(all);
    let [uncached, cached, written, output] = used;
    let own = own_tokens(evidence);
    let mut rows: Vec<RepricedModel> = evidence
        .models
        .iter()
        .filter_map(|model| {
            let euro_nanos = cost_at(evidence, model, used, 0)?;
            let own_cost = |(input, output_ratio): &(Ratio, Ratio)| {
                let scaled = [input.of(uncached)?, input.of(cached)?, input.of(written)?, output_ratio.of(output)?];
                per(cost_at(evidence, model, scaled, 0)?, 1, all.answers)
            };
            Some(RepricedModel {
                model: model.model.clone(),
                compared: evidence.compared.contains(&model.model),
                euro_nanos,
                uncached_euro_nanos: cost_at(evidence, model, [uncached + cached + written, 0, 0, output], 0)?,
                eu_euro_nanos: model.eu_uplift_percent.and_then(|uplift| cost_at(evidence, model, used, uplift)),
                with_vat_euro_nanos: vat(euro_nanos, evidence.buyer.vat_basis_points)?.gross_nanos,
                per_answer_euro_nanos: per(euro_nanos, 1, all.answers)?,
                own_tokens_euro_nanos: own.get(&model.model).and_then(own_cost),
                retires: model.retires.clone(),
            })
        })
        .collect();
    rows.sort_by(|one, other| (one.euro_nanos, &one.model).cmp(&(other.euro_nanos, &other.model)));
    rows
}

/// A ratio of two counts.
struct Ratio(u64, u64);

impl Ratio {
    fn of(&self, count: u64) -> Option<u64> {
        let product = u128::from(count).checked_mul(u128::from(self.0))?;
        (self.1 > 0).then(|| product.div_ceil(u128::from(self.1))).and_then(|scaled| u64::try_from(scaled).ok())
    }
}

/// How many tokens each probed model reads and writes for the basket, against the mean of what residents were answered
/// by: tokens are no common unit, and some models write more. Only questions that all of them answered are counted.
fn own_tokens(evidence: &Evidence) -> BTreeMap<String, (Ratio, Ratio)> {
    // Input and output tokens by model, for each question of each round.
    type Used<'a> = BTreeMap<&'a str, (u64, u64)>;
    let mut asked: BTreeMap<(u32, &str), Used<'_>> = BTreeMap::new();
    for row in &evidence.probes {
        if let Some(usage) = &row.usage {
            let used = (usage.input_tokens(), usage.output_tokens());
            asked.entry((row.round, &row.question)).or_default().insert(&row.model, used);
        }
    }
    let models = evidence.probes.iter().map(|row| row.model.as_str()).collect::<std::collections::BTreeSet<_>>();
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for used in asked.values().filter(|used| used.len() == models.len()) {
        for (model, (input, output)) in used {
            let sum = sums.entry(model).or_default();
            *sum = (sum.0 + input, sum.1 + output);
        }
    }
    // The mean over the probed models that answered residents, by their answers.
    let weights: Vec<(u64, (u64, u64))> = residents_by_model(evidence)
        .iter()
        .filter_map(|(model, used)| Some((used.as_ref()?.answers, *sums.get(model.as_str())?)))
        .collect();
    let answers: u64 = weights.iter().map(|(answers, _)| answers).sum();
    if answers == 0 {
        return BTreeMap::new();
    }
    let mean = |of: fn(&(u64, u64)) -> u64| {
        let sum: u128 = weights.iter().map(|(answers, used)| u128::from(*answers) * u128::from(of(used))).sum();
        u64::try_from(sum / u128::from(answers)).unwrap_or(u64::MAX)
    };
    let (input, output) = (mean(|used| used.0), mean(|used| used.1));
    sums.into_iter().map(|(model, own)| (model.to_owned(), (Ratio(own.0, input), Ratio(own.1, output)))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "only a share is made of it")]
fn real(count: u64) -> f64 {
    count as f64
}
