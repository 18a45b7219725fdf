//! Probes: the same questions to every model within the same minute, so that each question is compared with itself.
//!
//! A question counts only where all models were asked it in the round. Rounds are the clusters: what the network or a
//! vendor's morning does to one question of a round it does to others.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::{Counts, Effect, Method, SEED, Sample, Times, figure, measure};
use super::{Figure, Metric, ProbeSection, Slice};
use crate::ledger::{LengthClass, Outcome, PROMPT_END_MICROS, PROMPT_TEXT_MICROS};
use crate::report::evidence::{Evidence, ProbeRow};
use crate::report::statistics::ratio::Sums;
use crate::report::statistics::{
    Level, Resampling, hodges_lehmann, hodges_lehmann_interval, ratio_difference, sign_flip_test,
};

/// The metrics named in advance, one to each criterion: waiting, price, quality.
const PRIMARY: [Metric; 3] = [Metric::FirstText, Metric::Cost, Metric::Checks];
/// A round is left out when one in a hundred of its probes started later than this, in microseconds: what it measured was
/// this machine.
const MOST_LAG_MICROS: u64 = 1_000_000;
/// Rounds below which no interval is made.
const FEWEST_ROUNDS: usize = 6;
const LENGTHS: [LengthClass; 3] = [LengthClass::Short, LengthClass::Medium, LengthClass::Long];
const MICROS_PER_MILLI: f64 = 1_000.0;
const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// One question of one round, at every model, in the order of the models.
type Asked<'a> = Vec<&'a ProbeRow>;

/// The section of probes.
pub(super) fn section(evidence: &Evidence, method: Method) -> ProbeSection {
    let mut section = ProbeSection {
        questions: count(evidence.probes.iter().map(|row| &row.question).collect::<BTreeSet<_>>().len()),
        basket: evidence.baskets.first().cloned().filter(|_| evidence.baskets.len() == 1),
        lag: lag(&evidence.probes),
        ..ProbeSection::default()
    };
    // A model that is compared no longer, or not yet, must not leave out what the others were asked.
    let compared = |model: &&String| evidence.compared.contains(model);
    let models: BTreeSet<&String> = evidence.probes.iter().map(|row| &row.model).filter(compared).collect();
    let models: Vec<String> = models.into_iter().cloned().collect();
    section.refused = match (evidence.probes.len(), models.len(), evidence.baskets.len()) {
        (0, ..) | (_, 0, _) => Some("none"),
        (_, 1, _) => Some("one_model"),
        (_, _, 2..) => Some("two_baskets"),
        _ => None,
    }
    .map(str::to_owned);
    if section.refused.is_some() {
        return section;
    }
    let (rounds, left_out) = rounds(&evidence.probes, &models);
    (section.rounds, section.rounds_left_out) = (count(rounds.len()), left_out);
    let limit = evidence.limit_seconds;
    let samples = samples(&rounds, &models, None, limit);
    let (figures, effects) = measure(&samples, limit, method.draws);
    section.models = figures;
    section.slices = LENGTHS.iter().flat_map(|length| slices(&rounds, &models, *length, limit)).collect();
    if rounds.len() < FEWEST_ROUNDS {
        section.refused = Some("too_few_rounds".to_owned());
        return section;
    }
    let all = Paired { rounds: &rounds, models: &models, length: None, limit, draws: method.draws };
    section.claims = effects.into_iter().map(|effect| all.of(effect).claim(&PRIMARY, None, method)).collect();
    for length in LENGTHS {
        let within = Paired { length: Some(length), ..all };
        section.claims.extend(within.effects().map(|effect| effect.claim(&PRIMARY, Some(length.as_str()), method)));
    }
    section
}

/// Complete questions by round, and how many rounds are left out.
fn rounds<'a>(probes: &'a [ProbeRow], models: &[String]) -> (Vec<Vec<Asked<'a>>>, u64) {
    let mut by_round: BTreeMap<u32, BTreeMap<&str, BTreeMap<&str, &ProbeRow>>> = BTreeMap::new();
    for row in probes.iter().filter(|row| models.contains(&row.model)) {
        by_round.entry(row.round).or_default().entry(&row.question).or_default().insert(&row.model, row);
    }
    let all = by_round.len();
    let kept: Vec<Vec<Asked<'a>>> = by_round
        .into_values()
        .filter(|questions| is_punctual(questions.values().flat_map(BTreeMap::values)))
        .map(|questions| {
            let complete = questions.into_values().filter(|asked| asked.len() == models.len());
            complete.map(|asked| asked.into_values().collect()).collect::<Vec<Asked<'a>>>()
        })
        .filter(|questions: &Vec<Asked<'a>>| !questions.is_empty())
        .collect();
    let left_out = count(all - kept.len());
    (kept, left_out)
}

fn is_punctual<'a>(rows: impl Iterator<Item = &'a &'a ProbeRow>) -> bool {
    let mut lags: Vec<u64> = rows.map(|row| row.lag_micros).collect();
    lags.sort_unstable();
    quantile(&lags, 0.99).is_none_or(|lag| lag <= MOST_LAG_MICROS)
}

/// Nearest rank.
fn quantile(sorted: &[u64], q: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among few")]
    let rank = (q * real(count(sorted.len()))).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn lag(probes: &[ProbeRow]) -> Option<(f64, f64)> {
    let mut lags: Vec<u64> = probes.iter().map(|row| row.lag_micros).collect();
    lags.sort_unstable();
    let at = |q| quantile(&lags, q).map(|micros| real(micros) / MICROS_PER_MILLI);
    at(0.5).zip(at(0.99))
}

fn samples(rounds: &[Vec<Asked<'_>>], models: &[String], length: Option<LengthClass>, limit: u64) -> Vec<Sample> {
    let of_model = |index: usize| {
        let of_round = |round: &Vec<Asked<'_>>| -> Vec<ProbeRow> {
            let rows = round.iter().filter_map(|asked| asked.get(index));
            rows.filter(|row| length.is_none_or(|length| row.length == length)).map(|row| (*row).clone()).collect()
        };
        let clusters: Vec<Vec<ProbeRow>> = rounds.iter().map(of_round).collect();
        let times = |of: fn(&ProbeRow) -> Option<u64>| {
            let clusters: Vec<_> = clusters
                .iter()
                .map(|rows| {
                    let seen: Vec<(u64, i64)> = rows.iter().filter_map(|row| Some((time(row, of)?, 1))).collect();
                    let never = i64::try_from(rows.len() - seen.len()).unwrap_or(i64::MAX);
                    (seen, never)
                })
                .collect();
            Times::new(&clusters, limit)
        };
        Sample {
            model: models[index].clone(),
            n: clusters.iter().map(|rows| count(rows.len())).sum(),
            first_text: times(|row| row.first_text_micros),
            duration: times(|row| row.duration_micros),
            counts: clusters.iter().map(|rows| counts(rows)).collect(),
        }
    };
    (0..models.len()).map(of_model).collect()
}

/// A time of an answer; a question that was not answered has none.
fn time(row: &ProbeRow, of: fn(&ProbeRow) -> Option<u64>) -> Option<u64> {
    of(row).filter(|_| row.outcome == Outcome::Completed)
}

fn counts(rows: &[ProbeRow]) -> Counts {
    let mut counts = Counts::default();
    for row in rows {
        counts.questions += 1.0;
        if row.outcome == Outcome::Completed {
            counts.answered += 1.0;
            let is_prompt = row.first_text_micros.is_some_and(|micros| micros <= PROMPT_TEXT_MICROS)
                && row.duration_micros.is_some_and(|micros| micros <= PROMPT_END_MICROS);
            counts.prompt += f64::from(u8::from(is_prompt));
            if let Some(cost) = row.cost_euro_nanos {
                counts.costed += 1.0;
                counts.cost += euros(cost);
                counts.chars += real(row.output_chars.unwrap_or(0));
            }
        }
        if let Some(passed) = row.passed {
            counts.checked += 1.0;
            counts.passed += f64::from(u8::from(passed));
        }
    }
    counts
}

fn slices(rounds: &[Vec<Asked<'_>>], models: &[String], length: LengthClass, limit: u64) -> Vec<Slice> {
    let (figures, _) = measure(&samples(rounds, models, Some(length), limit), limit, 0);
    let slice = |figures: super::ModelFigures| Slice {
        name: length.as_str().to_owned(),
        model: figures.model,
        questions: Some(figures.questions),
        answered: figures.answered.value,
        first_text: figures.first_text.value,
        duration: figures.duration.value,
        cost_per_answer: figures.cost_per_answer.value,
        interrupted: None,
        suppressed: false,
    };
    figures.into_iter().filter(|figures| figures.questions > 0).map(slice).collect()
}

/// Questions that are compared with themselves.
#[derive(Clone, Copy)]
struct Paired<'a> {
    rounds: &'a [Vec<Asked<'a>>],
    models: &'a [String],
    length: Option<LengthClass>,
    limit: u64,
    draws: u32,
}

impl Paired<'_> {
    /// Two metrics of every pair: exploratory within one length class.
    fn effects(self) -> impl Iterator<Item = Effect> {
        let (_, effects) = measure(&samples(self.rounds, self.models, self.length, self.limit), self.limit, self.draws);
        let wanted = effects.into_iter().filter(|effect| matches!(effect.metric, Metric::FirstText | Metric::Cost));
        wanted.filter(|effect| effect.figure.n > 0).map(move |effect| self.of(effect))
    }

    /// In the place of a ratio of medians: the Hodges–Lehmann estimate of the ratio between the two answers to one
    /// question. Within a round over its questions, then over the rounds; with the sign-flip test over the rounds.
    fn of(self, mut effect: Effect) -> Effect {
        if effect.metric == Metric::Checks {
            self.widen_by_question(&mut effect);
        }
        if let Some((blocks, n)) = self.blocks(&effect) {
            effect.p_value = sign_flip_test(&blocks, self.draws, SEED).map(|test| test.p);
            let singles: Vec<[f64; 1]> = blocks.iter().map(|block| [*block]).collect();
            let resampling =
                Resampling { clusters: singles.len(), draws: self.draws, seed: SEED, level: Level::NINETY_FIVE };
            let logs = figure(&hodges_lehmann_interval(&singles, &resampling), n);
            let exp = |log: Option<f64>| log.map(libm::exp);
            effect.figure = Figure { value: exp(logs.value), low: exp(logs.low), high: exp(logs.high), n };
        }
        effect
    }

    /// The same questions come back in every round, and a model that fails one fails it again: the interval of checks is the
    /// wider of that over rounds and that over questions (Miller, "Adding Error Bars to Evals", 2024, on clustered questions).
    fn widen_by_question(self, effect: &mut Effect) {
        let place = |name: &str| self.models.iter().position(|model| model == name);
        let (Some(first), Some(second)) = (place(&effect.first), place(&effect.second)) else { return };
        let mut questions: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
        for asked in self.rounds.iter().flatten() {
            let sums = questions.entry(&asked[first].question).or_default();
            for (at, row) in [(0, asked[first]), (2, asked[second])] {
                if let Some(passed) = row.passed {
                    sums[at] += f64::from(u8::from(passed));
                    sums[at + 1] += 1.0;
                }
            }
        }
        let column = |at: usize| -> Vec<f64> { questions.values().map(|sums| sums[at]).collect() };
        let (passed, checked) = ((column(0), column(2)), (column(1), column(3)));
        let first = Sums { numerators: &passed.0, denominators: &checked.0 };
        let second = Sums { numerators: &passed.1, denominators: &checked.1 };
        if let Some(estimate) = ratio_difference(first, second, Level::NINETY_FIVE) {
            effect.figure.low = effect.figure.low.map(|low| low.min(estimate.low));
            effect.figure.high = effect.figure.high.map(|high| high.max(estimate.high));
        }
    }

    /// The logarithm of the ratio in each round, and the questions behind them; `None` for what is no ratio of values.
    fn blocks(self, effect: &Effect) -> Option<(Vec<f64>, u64)> {
        let of: fn(&ProbeRow) -> Option<f64> = match effect.metric {
            Metric::FirstText => |row| time(row, |row| row.first_text_micros).map(real),
            Metric::Duration => |row| time(row, |row| row.duration_micros).map(real),
            _ => return None,
        };
        let place = |name: &str| self.models.iter().position(|model| model == name);
        let (first, second) = (place(&effect.first)?, place(&effect.second)?);
        // What never came is as long as the limit, on both sides.
        let longest = real(self.limit) * MICROS_PER_SECOND;
        let value = |row: &ProbeRow| of(row).unwrap_or(longest).min(longest);
        let is_wanted = |asked: &&Asked<'_>| self.length.is_none_or(|length| asked[first].length == length);
        let mut n = 0;
        let logs = |round: &Vec<Asked<'_>>| -> Vec<f64> {
            let ratio = |asked: &Asked<'_>| {
                let (first, second) = (value(asked[first]), value(asked[second]));
                (first > 0.0 && second > 0.0).then(|| libm::log(first / second))
            };
            round.iter().filter(is_wanted).filter_map(ratio).collect()
        };
        let blocks = self.rounds.iter().filter_map(|round| {
            let logs = logs(round);
            n += count(logs.len());
            hodges_lehmann(&logs)
        });
        let blocks: Vec<f64> = blocks.collect();
        Some((blocks, n))
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts and times below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "only means and ratios are made of it")]
fn euros(nanos: i64) -> f64 {
    nanos as f64
}
