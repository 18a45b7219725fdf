//! Where a round stands, for whoever looks: counts and a few figures of each model, no more than the ledger keeps.
//!
//! It must not decide anything about the round.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::{Outcome, Probe};

/// What became of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundState {
    /// It goes on.
    Running,
    /// Every question was put to every model.
    Completed,
    /// It ended early, or something of it could not be kept.
    Incomplete,
}

impl RoundState {
    /// The label used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Where a round stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round.
    pub round: String,
    /// When it was meant to begin.
    pub begun_at: Timestamp,
    /// Whether it goes on.
    pub state: RoundState,
    /// Why it ended early, from a closed set.
    pub ended_by: Option<String>,
    /// Questions of the round.
    pub questions: usize,
    /// Those that every model was asked, with a record of each.
    pub complete_questions: usize,
    /// Ids of questions that only some models were asked so far: they are left out of comparisons.
    pub incomplete: Vec<String>,
    /// Probes of the round.
    pub planned: usize,
    /// Those that are over and in the ledger.
    pub recorded: usize,
    /// The longest lag of a start, in microseconds.
    pub longest_lag_micros: Option<u64>,
    /// Figures of each model, in the order of `comparison.models`.
    pub models: Vec<ModelFigures>,
}

/// One model in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFigures {
    /// Its qualified id.
    pub model: String,
    /// Questions that it was asked.
    pub questions: usize,
    /// Those that it answered to the end.
    pub answered: usize,
    /// Median time from the intended start to the first visible text; a question without any counts as longer than all
    /// others, and is the median when it lies there.
    pub median_first_text_micros: Option<u64>,
    /// The sum of what is known of the cost, nano-euros.
    pub cost_euro_nanos: i64,
    /// Probes whose cost is not known.
    pub uncosted: usize,
    /// Answers that could be checked.
    pub checked: usize,
    /// Of those, answers that held.
    pub passed: usize,
}

/// What is counted while a round goes on.
#[derive(Default)]
pub(super) struct Tally {
    models: Vec<ModelTally>,
    /// Records of each question.
    records: BTreeMap<usize, usize>,
    /// The longest lag.
    pub(super) longest_lag_micros: Option<u64>,
    /// Why it ended early.
    pub(super) ended_by: Option<&'static str>,
    /// It is over.
    pub(super) over: bool,
}

#[derive(Clone, Default)]
struct ModelTally {
    answered: usize,
    first_texts: Vec<Option<u64>>,
    cost_euro_nanos: i64,
    uncosted: usize,
    checked: usize,
    passed: usize,
}

impl Tally {
    pub(super) fn of(models: usize) -> Self {
        Self { models: vec![ModelTally::default(); models], ..Self::default() }
    }

    /// Counts a probe that is in the ledger.
    pub(super) fn add(&mut self, question: usize, model: usize, probe: &Probe) {
        *self.records.entry(question).or_default() += 1;
        self.longest_lag_micros = self.longest_lag_micros.max(Some(probe.lag_micros));
        let Some(tally) = self.models.get_mut(model) else { return };
        let answered = probe.outcome == Outcome::Completed;
        tally.answered += usize::from(answered);
        tally.first_texts.push(probe.first_text_micros.filter(|_| answered));
        match probe.cost_euro_nanos {
            Some(nanos) => tally.cost_euro_nanos = tally.cost_euro_nanos.saturating_add(nanos),
            None => tally.uncosted += 1,
        }
        tally.checked += usize::from(probe.passed.is_some());
        tally.passed += usize::from(probe.passed == Some(true));
    }

    pub(super) fn recorded(&self) -> usize {
        self.records.values().sum()
    }

    /// Questions with a record of every model.
    pub(super) fn complete(&self) -> usize {
        self.records.values().filter(|records| **records == self.models.len()).count()
    }

    /// Indices of questions with some records and not all.
    pub(super) fn incomplete(&self) -> impl Iterator<Item = usize> {
        self.records.iter().filter(|(_, records)| **records != self.models.len()).map(|(question, _)| *question)
    }

    pub(super) fn figures(&self, models: &[String]) -> Vec<ModelFigures> {
        let named = models.iter().zip(&self.models);
        let figures = named.map(|(model, tally)| ModelFigures {
            model: model.clone(),
            questions: tally.first_texts.len(),
            answered: tally.answered,
            median_first_text_micros: median(&tally.first_texts),
            cost_euro_nanos: tally.cost_euro_nanos,
            uncosted: tally.uncosted,
            checked: tally.checked,
            passed: tally.passed,
        });
        figures.collect()
    }
}

/// The lower median, with what is absent after everything else.
fn median(times: &[Option<u64>]) -> Option<u64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by_key(|time| time.unwrap_or(u64::MAX));
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_text_counts_as_longer_than_all_others() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[Some(3)]), Some(3));
        assert_eq!(median(&[None, Some(1), Some(2)]), Some(2));
        assert_eq!(median(&[None, Some(1), None]), None);
    }
}
