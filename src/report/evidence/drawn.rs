//! Questions whose vendor was drawn: by stratum as they came, and by group of people, standardised.
//!
//! Vendors that were drawn with the same probability still get different questions: one more long ones, one more at night.
//! Every observation of a model in a stratum weighs `w_s / n_ps`, with the pooled share `w_s` of the stratum, so that all
//! models are measured on the same mixture (direct standardisation).
//! A stratum in which a model has too few observations is left out for all; where it holds more than a twentieth of the
//! questions there is no overlap, and that model is left out: nothing is extrapolated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::suppress::hidden;
use super::{FEWEST_PEOPLE, Kind};
use crate::ledger::{GROUPS, Group, People, Spread, Stratum};

/// Observations of a model that a stratum needs.
const FEWEST_IN_STRATUM: u64 = 20;
/// Share of the questions that a stratum may hold and still be left out.
const MOST_LEFT_OUT: f64 = 0.05;
/// Share of them that all strata left out may hold.
const MOST_LEFT_OUT_IN_ALL: f64 = 0.2;
/// Blocks of time that a model needs in a stratum.
const FEWEST_BLOCKS: usize = 8;
/// Weights of a model add up to this, as near as rounding allows.
pub const WHOLE: i64 = 1_000_000_000;
/// Numbers of groups that residents are counted in, most first; each divides [`GROUPS`].
const FOLDS: [u8; 4] = [GROUPS, 32, 16, 8];

/// One model in one stratum, as the questions came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StratumCell {
    /// Qualified id of the model.
    pub model: String,
    /// The stratum.
    pub stratum: Stratum,
    /// Absent when the cell is suppressed.
    pub sums: Option<StratumSums>,
}

/// The sums of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StratumSums {
    /// Questions, without the interrupted ones.
    pub questions: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Streamed and not answered.
    pub without_text: u64,
    /// Answers with a known cost.
    pub costed: u64,
    /// That cost, nano-euros.
    pub cost_euro_nanos: i64,
    /// Times to the first visible text, microseconds.
    pub first_text: Spread,
    /// Times to the end, microseconds.
    pub duration: Spread,
    /// Further questions that say nothing of the vendor: their client left in good time, or the trouble was the gateway's.
    pub interrupted: u64,
}

/// A model that is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawnModel {
    /// Qualified id.
    pub model: String,
    /// Questions in the strata that are compared.
    pub questions: u64,
    /// Times to the first visible text that were seen, in microseconds, smallest first.
    pub first_text: Vec<u64>,
    /// Times to the end.
    pub duration: Vec<u64>,
    /// What each group of people counts for.
    pub groups: Vec<GroupMass>,
}

/// What a group of at least [`FEWEST_PEOPLE`] people counts for in a model's standardised figures: its equal part of the
/// whole, and by how much its answers differ from what its strata would have let expect. The parts of all groups add up to
/// the standardised figure; resampling them varies as resampling the people and standardising anew does, to first order
/// (linearisation of the post-stratified estimator: Valliant, "Poststratification and conditional variance estimation",
/// JASA 1993). A part may be below zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupMass {
    /// Number of the group.
    pub group: u8,
    /// Answered; the questions of all groups together are 1.
    pub answered: f64,
    /// Prompt.
    pub prompt: f64,
    /// Answers with a known cost.
    pub costed: f64,
    /// Their cost in nano-euros, weighted.
    pub cost: f64,
    /// Characters of the answers, weighted.
    pub chars: f64,
    /// Streamed and not answered.
    pub without_text: i64,
    /// Not answered.
    pub without_end: i64,
    /// Weight of each of the model's times to the first text, in their order.
    pub first_text: Vec<i64>,
    /// Weight of each of its times to the end.
    pub duration: Vec<i64>,
}

/// Everything of one kind of draw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// By stratum.
    pub cells: Vec<StratumCell>,
    /// Different people, at least so many; absent when too few.
    pub people: Option<u32>,
    /// Groups that intervals can be made from; 0 when they would be too small.
    pub folds: u8,
    /// Models compared.
    pub models: Vec<DrawnModel>,
    /// Models left out, and why.
    pub left_out: BTreeMap<String, String>,
    /// Share of the questions in strata that were left out.
    pub share_left_out: f64,
}

type Strata = BTreeMap<Stratum, BTreeMap<u8, Group>>;

/// Questions of one kind of draw by model and stratum, as they are gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    models: BTreeMap<String, Strata>,
}

impl Gathered {
    pub(super) fn add(&mut self, model: String, stratum: Stratum, groups: &BTreeMap<u8, Group>) {
        let strata = self.models.entry(model).or_default().entry(stratum).or_default();
        for (number, group) in groups {
            strata.entry(*number).or_default().merge(group);
        }
    }

    /// What may be published of them. The groups of blocks of time hold the people who asked in them.
    pub(super) fn finish(self, kind: Kind) -> Drawn {
        let strata: BTreeSet<Stratum> = self.models.values().flat_map(|strata| strata.keys().copied()).collect();
        let everybody = people_of(self.models.values().flat_map(BTreeMap::values));
        let cells = self.cells(&strata);
        let mut left_out = BTreeMap::new();
        let mut compared: Vec<(&String, &Strata)> = Vec::new();
        for (model, strata) in &self.models {
            if people_of(strata.values()).at_least() < FEWEST_PEOPLE {
                left_out.insert(model.clone(), "too_few_people".to_owned());
            } else if count(strata) < FEWEST_IN_STRATUM {
                left_out.insert(model.clone(), "too_few".to_owned());
            } else {
                compared.push((model, strata));
            }
        }
        let (weights, share_left_out) = overlap(&mut compared, &strata, kind, &mut left_out);
        let folds = folds(&compared, &weights);
        let models = compared.iter().map(|(model, strata)| standardised(model, strata, &weights, folds.unwrap_or(1)));
        Drawn {
            cells,
            people: Some(everybody.at_least()).filter(|people| *people >= FEWEST_PEOPLE),
            folds: folds.unwrap_or(0),
            models: models.collect(),
            left_out,
            share_left_out,
        }
    }

    fn cells(&self, strata: &BTreeSet<Stratum>) -> Vec<StratumCell> {
        let people = |of: &Strata, stratum| of.get(stratum).map_or(0, |groups| people_of([groups]).at_least());
        let table: Vec<Vec<u32>> =
            self.models.values().map(|of| strata.iter().map(|stratum| people(of, stratum)).collect()).collect();
        let hidden = hidden(&table);
        let mut cells = Vec::new();
        for ((model, of), hidden) in self.models.iter().zip(hidden) {
            for (stratum, hidden) in strata.iter().zip(hidden) {
                let sums = (!hidden).then(|| of.get(stratum).map(sums).unwrap_or_default());
                cells.push(StratumCell { model: model.clone(), stratum: *stratum, sums });
            }
        }
        cells
    }
}

fn sums(groups: &BTreeMap<u8, Group>) -> StratumSums {
    let mut all = Group::default();
    groups.values().for_each(|group| all.merge(group));
    StratumSums {
        questions: all.questions.into(),
        answered: all.answered.into(),
        without_text: all.without_text.into(),
        costed: all.costed.into(),
        cost_euro_nanos: all.cost_euro_nanos,
        first_text: all.first_text,
        duration: all.duration,
        interrupted: all.left.into(),
    }
}

fn people_of<'a>(groups: impl IntoIterator<Item = &'a BTreeMap<u8, Group>>) -> People {
    let mut people = People::default();
    groups.into_iter().flat_map(BTreeMap::values).for_each(|group| people.merge(group.people));
    people
}

fn count_in(groups: &BTreeMap<u8, Group>) -> u64 {
    groups.values().map(|group| u64::from(group.questions)).sum()
}

fn count(strata: &Strata) -> u64 {
    strata.values().map(count_in).sum()
}

/// Whether a model has too little in a stratum: too few questions, too few people to be shown, or, where vendors were drawn
/// for blocks of time, too few blocks to know how much blocks differ.
fn is_lacking(strata: &Strata, stratum: Stratum, kind: Kind) -> bool {
    let Some(groups) = strata.get(&stratum) else { return true };
    let blocks = groups.values().filter(|group| group.questions > 0).count();
    count_in(groups) < FEWEST_IN_STRATUM
        || people_of([groups]).at_least() < FEWEST_PEOPLE
        || kind == Kind::Block && blocks < FEWEST_BLOCKS
}

/// Weights of the strata that all `compared` models have enough of. Models without overlap leave, the one first that lacks
/// the largest share of the questions.
fn overlap(
    compared: &mut Vec<(&String, &Strata)>,
    strata: &BTreeSet<Stratum>,
    kind: Kind,
    left_out: &mut BTreeMap<String, String>,
) -> (BTreeMap<Stratum, f64>, f64) {
    loop {
        let total: u64 = compared.iter().map(|(_, of)| count(of)).sum();
        if compared.len() < 2 || total == 0 {
            for (model, _) in compared.drain(..) {
                left_out.insert(model.clone(), "nothing_to_compare_with".to_owned());
            }
            return (BTreeMap::new(), 0.0);
        }
        let share = |stratum: &Stratum| {
            let asked = compared.iter().map(|(_, of)| of.get(stratum).map_or(0, count_in));
            float(asked.sum()) / float(total)
        };
        let lacking = |of: &Strata| -> Vec<f64> {
            strata.iter().filter(|stratum| is_lacking(of, **stratum, kind)).map(&share).collect()
        };
        let any_lacks = |stratum: &&Stratum| compared.iter().any(|(_, of)| is_lacking(of, **stratum, kind));
        let kept: Vec<&Stratum> = strata.iter().filter(|stratum| !any_lacks(stratum)).collect();
        let whole: f64 = kept.iter().map(|stratum| share(stratum)).sum();
        let is_large = strata.iter().filter(any_lacks).any(|stratum| share(stratum) > MOST_LEFT_OUT);
        if is_large || 1.0 - whole > MOST_LEFT_OUT_IN_ALL {
            let missing = |of: &Strata| lacking(of).into_iter().sum::<f64>();
            let worst = compared.iter().enumerate().max_by(|(_, (_, one)), (_, (_, other))| {
                missing(one).total_cmp(&missing(other)).then(count(other).cmp(&count(one)))
            });
            if let Some(index) = worst.map(|(index, _)| index) {
                left_out.insert(compared.remove(index).0.clone(), "no_overlap".to_owned());
            }
            continue;
        }
        let weights = kept.into_iter().map(|stratum| (*stratum, share(stratum) / whole)).collect();
        return (weights, 1.0 - whole);
    }
}

/// The most groups in each of which each model has enough people.
fn folds(compared: &[(&String, &Strata)], weights: &BTreeMap<Stratum, f64>) -> Option<u8> {
    FOLDS.into_iter().filter(|_| !compared.is_empty()).find(|folds| {
        compared.iter().all(|(_, strata)| {
            let mut people = vec![People::default(); usize::from(*folds)];
            for (number, group) in strata.iter().filter(|(key, _)| weights.contains_key(key)).flat_map(|(_, all)| all) {
                people[usize::from(number % folds)].merge(group.people);
            }
            people.iter().all(|people| people.at_least() >= FEWEST_PEOPLE)
        })
    })
}

fn standardised(model: &str, strata: &Strata, weights: &BTreeMap<Stratum, f64>, folds: u8) -> DrawnModel {
    let mut questions = 0;
    let mut parts = vec![Part::default(); usize::from(folds)];
    for (stratum, weight) in weights {
        let Some(groups) = strata.get(stratum) else { continue };
        let mut folded = vec![Group::default(); usize::from(folds)];
        for (number, group) in groups {
            folded[usize::from(number % folds)].merge(group);
        }
        let mut all = Group::default();
        folded.iter().for_each(|group| all.merge(group));
        let n = f64::from(all.questions);
        questions += u64::from(all.questions);
        let whole = Part::of(&all);
        for (part, group) in parts.iter_mut().zip(&folded) {
            // w_s (1/G of the stratum + what the group gave + less what so many of its questions were expected to give).
            let expected = f64::from(group.questions) / n;
            part.add(&whole, weight * (1.0 / f64::from(folds) - expected) / n);
            part.add(&Part::of(group), weight / n);
        }
    }
    let times = |of: fn(&Part) -> &BTreeMap<u64, f64>| -> Vec<u64> {
        parts.iter().flat_map(|part| of(part).keys().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (first_text, duration) = (times(|part| &part.first_text), times(|part| &part.duration));
    let groups = (0..folds).zip(&parts).map(|(number, part)| part.finish(number, &first_text, &duration));
    DrawnModel { model: model.to_owned(), questions, groups: groups.collect(), first_text, duration }
}

/// Sums of a group, in the making.
#[derive(Clone, Default)]
struct Part {
    /// Answered, prompt, costed, cost, characters, without a text, without an end.
    sums: [f64; 7],
    first_text: BTreeMap<u64, f64>,
    duration: BTreeMap<u64, f64>,
}

impl Part {
    fn of(group: &Group) -> Self {
        let times = |spread: &Spread| spread.values().map(|(value, count)| (value, f64::from(count))).collect();
        Self {
            sums: [
                f64::from(group.answered),
                f64::from(group.prompt),
                f64::from(group.costed),
                euros(group.cost_euro_nanos),
                float(group.output_chars),
                f64::from(group.without_text),
                f64::from(group.questions - group.answered),
            ],
            first_text: times(&group.first_text),
            duration: times(&group.duration),
        }
    }

    fn add(&mut self, other: &Self, weight: f64) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, part)| *sum += part * weight);
        for (times, more) in [(&mut self.first_text, &other.first_text), (&mut self.duration, &other.duration)] {
            for (value, count) in more {
                *times.entry(*value).or_default() += count * weight;
            }
        }
    }

    fn finish(&self, group: u8, first_text: &[u64], duration: &[u64]) -> GroupMass {
        let weights = |times: &BTreeMap<u64, f64>, all: &[u64]| -> Vec<i64> {
            all.iter().map(|value| rounded(times.get(value).copied().unwrap_or(0.0))).collect()
        };
        let [answered, prompt, costed, cost, chars, without_text, without_end] = self.sums;
        GroupMass {
            group,
            answered,
            prompt,
            costed,
            cost,
            chars,
            without_text: rounded(without_text),
            without_end: rounded(without_end),
            first_text: weights(&self.first_text, first_text),
            duration: weights(&self.duration, duration),
        }
    }
}

/// A part of one, in parts of [`WHOLE`].
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "parts add up to one")]
fn rounded(weight: f64) -> i64 {
    (weight * WHOLE as f64).round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nano-euros below 2^53 are nine million euros; only means are made of them"
)]
fn euros(nanos: i64) -> f64 {
    nanos as f64
}
