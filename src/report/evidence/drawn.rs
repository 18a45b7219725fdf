//! Questions whose vendor was drawn: by stratum as they came, and by group of people, standardised.
//!
//! Vendors that were drawn with the same probability still get different questions: one more long ones, one more at night.
//! Every observation of a model in a stratum weighs `w_s / n_ps`, with the pooled share `w_s` of the stratum, so that all
//! models are measured on the same mixture (direct standardisation; research on Simpson's paradox in the method page).
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
/// Weights of a model add up to this.
const WHOLE: f64 = 1e12;
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
    /// Questions, without those that their client left.
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
}

/// A model that is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawnModel {
    /// Qualified id.
    pub model: String,
    /// Questions in the strata that are compared.
    pub questions: u64,
    /// What each group of people counts for.
    pub groups: Vec<GroupMass>,
}

/// What a group of at least [`FEWEST_PEOPLE`] people counts for in a model's standardised figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupMass {
    /// Number of the group.
    pub group: u8,
    /// Weight of its questions; those of all groups of a model add up to 10¹².
    pub questions: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Of those, prompt.
    pub prompt: u64,
    /// Answers with a known cost.
    pub costed: u64,
    /// Their cost in nano-euros, weighted.
    pub cost: f64,
    /// Characters of the answers, weighted.
    pub chars: f64,
    /// Streamed and not answered.
    pub without_text: u64,
    /// Not answered.
    pub without_end: u64,
    /// Times to the first visible text in microseconds, each with its weight.
    pub first_text: Vec<(u64, u64)>,
    /// Times to the end.
    pub duration: Vec<(u64, u64)>,
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

    /// What may be published of them. Blocks of time are no people: their groups hold hours, not residents.
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
        let (weights, share_left_out) = overlap(&mut compared, &strata, &mut left_out);
        let folds = if kind == Kind::Block { Some(GROUPS) } else { folds(&compared, &weights) };
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

/// Weights of the strata that all `compared` models have enough of. Models without overlap leave, the smallest first.
fn overlap(
    compared: &mut Vec<(&String, &Strata)>,
    strata: &BTreeSet<Stratum>,
    left_out: &mut BTreeMap<String, String>,
) -> (BTreeMap<Stratum, f64>, f64) {
    loop {
        let of = |stratum: &Stratum| -> Vec<u64> {
            compared.iter().map(|(_, of)| of.get(stratum).map_or(0, count_in)).collect()
        };
        let total: u64 = compared.iter().map(|(_, of)| count(of)).sum();
        if compared.len() < 2 || total == 0 {
            for (model, _) in compared.drain(..) {
                left_out.insert(model.clone(), "nothing_to_compare_with".to_owned());
            }
            return (BTreeMap::new(), 0.0);
        }
        let share = |stratum: &Stratum| float(of(stratum).iter().sum()) / float(total);
        let lacking = |stratum: &&Stratum| of(stratum).iter().any(|n| *n < FEWEST_IN_STRATUM);
        if strata.iter().filter(lacking).any(|stratum| share(stratum) > MOST_LEFT_OUT) {
            let smallest = compared.iter().enumerate().min_by_key(|(_, (_, of))| count(of)).map(|(index, _)| index);
            if let Some(index) = smallest {
                left_out.insert(compared.remove(index).0.clone(), "no_overlap".to_owned());
            }
            continue;
        }
        let kept: Vec<&Stratum> = strata.iter().filter(|stratum| !lacking(stratum)).collect();
        let whole: f64 = kept.iter().map(|stratum| share(stratum)).sum();
        let weights = kept.into_iter().map(|stratum| (*stratum, share(stratum) / whole)).collect();
        return (weights, 1.0 - whole);
    }
}

/// The most groups in each of which each model has enough people.
fn folds(compared: &[(&String, &Strata)], weights: &BTreeMap<Stratum, f64>) -> Option<u8> {
    FOLDS.into_iter().find(|folds| {
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
    let mut masses: BTreeMap<u8, Mass> = BTreeMap::new();
    for (stratum, weight) in weights {
        let Some(groups) = strata.get(stratum) else { continue };
        let n = count_in(groups);
        questions += n;
        let each = WHOLE * weight / float(n);
        for (number, group) in groups {
            masses.entry(number % folds).or_default().add(group, each);
        }
    }
    let groups = masses.into_iter().map(|(number, mass)| mass.finish(number)).collect();
    DrawnModel { model: model.to_owned(), questions, groups }
}

/// A group's mass in the making.
#[derive(Default)]
struct Mass {
    mass: GroupMass,
    first_text: BTreeMap<u64, u64>,
    duration: BTreeMap<u64, u64>,
}

impl Mass {
    fn add(&mut self, group: &Group, each: f64) {
        let weigh = |count: u32| rounded(f64::from(count) * each);
        let mass = &mut self.mass;
        mass.questions += weigh(group.questions);
        mass.answered += weigh(group.answered);
        mass.prompt += weigh(group.prompt);
        mass.costed += weigh(group.costed);
        mass.without_text += weigh(group.without_text);
        mass.without_end += weigh(group.questions - group.answered);
        mass.cost += euros(group.cost_euro_nanos) * each;
        mass.chars += float(group.output_chars) * each;
        for (times, spread) in [(&mut self.first_text, &group.first_text), (&mut self.duration, &group.duration)] {
            for (value, count) in spread.values() {
                *times.entry(value).or_default() += weigh(count);
            }
        }
    }

    fn finish(self, group: u8) -> GroupMass {
        GroupMass {
            group,
            first_text: self.first_text.into_iter().collect(),
            duration: self.duration.into_iter().collect(),
            ..self.mass
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights add up to 10^12")]
fn rounded(weight: f64) -> u64 {
    weight.round() as u64
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
