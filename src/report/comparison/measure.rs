//! What is measured of models over clusters (groups of people, rounds of probes), and the effects between two of them.
//!
//! All figures share one resampling of the clusters, so that pairs keep together what a cluster does to both. It must not
//! know where the observations come from.

use super::{Claim, Figure, Metric, ModelFigures, Verdict};
use crate::report::statistics::{Level, Resampled, Resampling, sample_size, wilson};

/// Draws behind every published interval.
pub(super) const DRAWS: u32 = 2_000;
/// How a comparison is made, beside its evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    /// Whether differences may be claimed.
    pub(super) claims: bool,
    /// Draws behind every interval.
    pub(super) draws: u32,
}

/// Seed of every drawing: the day on which this method was fixed.
pub(super) const SEED: u64 = 20_261_129;
/// A ratio within this much of 1 does not matter to a resident or a budget.
pub(super) const MARGIN: f64 = 0.10;
/// A difference of shares below this does not matter.
const SHARE_MARGIN: f64 = 0.005;
const MICROS_PER_MILLI: f64 = 1_000.0;
const MICROS_PER_SECOND: u64 = 1_000_000;
const CHARS: f64 = 1_000.0;

/// Times of one model: weights by cluster and value.
#[derive(Debug, Default)]
pub(super) struct Times {
    values: Vec<u64>,
    cells: Vec<Vec<(usize, i64)>>,
    beyond: Vec<i64>,
}

impl Times {
    /// Of the values (microseconds) with their weights in each cluster, and the weight that never came; what is above the
    /// limit came too late.
    pub(super) fn new(clusters: &[(Vec<(u64, i64)>, i64)], limit_seconds: u64) -> Self {
        let limit = limit_seconds.saturating_mul(MICROS_PER_SECOND);
        let within = |(value, _): &&(u64, i64)| *value <= limit;
        let mut values: Vec<u64> =
            clusters.iter().flat_map(|(times, _)| times.iter().filter(within).map(|(value, _)| *value)).collect();
        values.sort_unstable();
        values.dedup();
        let place = |value: u64| values.binary_search(&value).unwrap_or(0);
        let cells = clusters
            .iter()
            .map(|(times, _)| times.iter().filter(within).map(|(value, weight)| (place(*value), *weight)).collect())
            .collect();
        let beyond = clusters
            .iter()
            .map(|(times, never)| {
                let late = times.iter().filter(|(value, _)| *value > limit).map(|(_, weight)| *weight);
                never + late.sum::<i64>()
            })
            .collect();
        Self { values, cells, beyond }
    }

    /// The quantiles in milliseconds when each cluster counts so many times. `None` lies beyond the limit.
    pub(super) fn quantiles(&self, counts: &[u32], wanted: [f64; 2]) -> [Option<f64>; 2] {
        let mut weights = vec![0i64; self.values.len()];
        let mut beyond = 0i64;
        for ((cells, late), count) in self.cells.iter().zip(&self.beyond).zip(counts) {
            if *count > 0 {
                let count = i64::from(*count);
                cells.iter().for_each(|(place, weight)| weights[*place] += count * weight);
                beyond += count * late;
            }
        }
        let total = weights.iter().sum::<i64>() + beyond;
        wanted.map(|q| {
            let target = q * real(total);
            let mut reached = 0i64;
            let found = weights.iter().position(|weight| {
                reached += weight;
                // A hair of rounding must not lift an exact half over the next value.
                *weight > 0 && real(reached) >= target - HAIR * real(total)
            });
            found.filter(|_| total > 0).map(|place| micros(self.values[place]) / MICROS_PER_MILLI)
        })
    }
}

/// Share of the whole that integer weights may lack by rounding.
const HAIR: f64 = 1e-6;

/// Sums of one cluster, weighted like its times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) questions: f64,
    pub(super) answered: f64,
    pub(super) prompt: f64,
    pub(super) costed: f64,
    pub(super) cost: f64,
    pub(super) chars: f64,
    pub(super) checked: f64,
    pub(super) passed: f64,
}

/// Everything of one model.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) model: String,
    /// Questions behind it, unweighted.
    pub(super) n: u64,
    pub(super) first_text: Times,
    pub(super) duration: Times,
    pub(super) counts: Vec<Counts>,
}

/// What is resampled of each model, in this order.
const OF_MODEL: usize = 7;
/// Ratios of each pair, in this order.
const OF_PAIR: [Metric; 5] =
    [Metric::FirstText, Metric::FirstTextP95, Metric::Duration, Metric::DurationP95, Metric::Cost];

fn resampled(sample: &Sample, counts: &[u32]) -> [Option<f64>; OF_MODEL] {
    let [first_text, first_text_p95] = sample.first_text.quantiles(counts, [0.5, 0.95]);
    let [duration, duration_p95] = sample.duration.quantiles(counts, [0.5, 0.95]);
    let sum = |of: fn(&Counts) -> f64| -> f64 {
        sample.counts.iter().zip(counts).map(|(sums, count)| of(sums) * f64::from(*count)).sum()
    };
    let (cost, costed, questions, chars) = (sum(|c| c.cost), sum(|c| c.costed), sum(|c| c.questions), sum(|c| c.chars));
    let ratio = |top: f64, below: f64| if below > 0.0 { Some(top / below) } else { Some(f64::NAN) };
    [
        first_text,
        first_text_p95,
        duration,
        duration_p95,
        ratio(cost, questions),
        ratio(cost, costed),
        ratio(cost * CHARS, chars),
    ]
}

/// Figures of all models and effects of all pairs.
pub(super) fn measure(samples: &[Sample], limit_seconds: u64, draws: u32) -> (Vec<ModelFigures>, Vec<Effect>) {
    let clusters = samples.first().map_or(0, |sample| sample.counts.len());
    let pairs: Vec<(usize, usize)> =
        (0..samples.len()).flat_map(|first| (first + 1..samples.len()).map(move |second| (first, second))).collect();
    let limit = micros(limit_seconds.saturating_mul(MICROS_PER_SECOND)) / MICROS_PER_MILLI;
    let resampling = Resampling { clusters, draws, seed: SEED, level: Level::NINETY_FIVE };
    let statistics = samples.len() * OF_MODEL + pairs.len() * OF_PAIR.len();
    let all = resampling.intervals(statistics, |counts, results| {
        let models: Vec<_> = samples.iter().map(|sample| resampled(sample, counts)).collect();
        let ratios = pairs.iter().flat_map(|(first, second)| {
            let (first, second) = (&models[*first], &models[*second]);
            [0, 1, 2, 3, 5].map(|at| {
                // What never came is as long as the limit, on either side.
                let value = |of: &[Option<f64>; OF_MODEL]| of[at].unwrap_or(limit);
                let (first, second) = (value(first), value(second));
                Some(if second > 0.0 { first / second } else { f64::NAN })
            })
        });
        let values = models.iter().flatten().copied().chain(ratios);
        results.iter_mut().zip(values).for_each(|(result, value)| *result = value);
    });
    let (of_models, of_pairs) = all.split_at(samples.len() * OF_MODEL);
    let figures = samples.iter().zip(of_models.chunks(OF_MODEL)).map(|(sample, all)| figures(sample, all)).collect();
    let mut effects = Vec::new();
    for ((first, second), ratios) in pairs.into_iter().zip(of_pairs.chunks(OF_PAIR.len())) {
        let (first, second) = (&samples[first], &samples[second]);
        let n = first.n.min(second.n);
        for (metric, ratio) in OF_PAIR.into_iter().zip(ratios) {
            let figure = enough(metric, figure(ratio, n)).unwrap_or(Figure { n, ..NOTHING });
            effects.push(Effect::of(first, second, metric, true, figure));
        }
        for (metric, top, below) in SHARES {
            let difference = difference(first, second, top, below);
            let figure = difference.unwrap_or(Figure { value: None, low: None, high: None, n });
            if metric != Metric::Checks || figure.value.is_some() {
                effects.push(Effect::of(first, second, metric, false, figure));
            }
        }
    }
    (figures, effects)
}

/// Fewer than so many observations have no interval of that quantile.
fn enough(metric: Metric, figure: Figure) -> Option<Figure> {
    let quantile = match metric {
        Metric::FirstText | Metric::Duration => 0.5,
        Metric::FirstTextP95 | Metric::DurationP95 => 0.95,
        _ => return Some(figure),
    };
    let fewest = sample_size::for_quantile_interval(quantile, Level::NINETY_FIVE)?;
    (figure.n >= fewest).then_some(figure)
}

fn figures(sample: &Sample, all: &[Resampled]) -> ModelFigures {
    let at = |index: usize| all.get(index).map_or(NOTHING, |resampled| figure(resampled, sample.n));
    let share = |top: fn(&Counts) -> f64, below: fn(&Counts) -> f64| share(sample, top, below);
    let checked = sample.counts.iter().any(|counts| counts.checked > 0.0);
    ModelFigures {
        model: sample.model.clone(),
        questions: sample.n,
        answered: share(|c| c.answered, |c| c.questions),
        prompt: share(|c| c.prompt, |c| c.questions),
        first_text: enough(Metric::FirstText, at(0)).unwrap_or(NOTHING),
        first_text_p95: enough(Metric::FirstTextP95, at(1)).unwrap_or(NOTHING),
        duration: enough(Metric::Duration, at(2)).unwrap_or(NOTHING),
        duration_p95: enough(Metric::DurationP95, at(3)).unwrap_or(NOTHING),
        cost_per_question: at(4),
        cost_per_answer: at(5),
        cost_per_1000_chars: at(6),
        checks: checked.then(|| share(|c| c.passed, |c| c.checked)),
    }
}

pub(super) const NOTHING: Figure = Figure { value: None, low: None, high: None, n: 0 };

pub(super) fn figure(resampled: &Resampled, n: u64) -> Figure {
    Figure { value: resampled.value, low: resampled.low, high: resampled.high, n }
}

type Sum = fn(&Counts) -> f64;
/// Shares of a pair whose difference is taken.
const SHARES: [(Metric, Sum, Sum); 3] = [
    (Metric::Answered, |c| c.answered, |c| c.questions),
    (Metric::Prompt, |c| c.prompt, |c| c.questions),
    (Metric::Checks, |c| c.passed, |c| c.checked),
];

/// A share with an interval that is never without width, however many of few succeeded: Wilson's, with as many independent
/// questions as the spread between the clusters is worth, and never more than there were.
fn share(sample: &Sample, top: Sum, below: Sum) -> Figure {
    let sum = |of: Sum| sample.counts.iter().map(of).sum::<f64>();
    let (tops, belows) = (sum(top), sum(below));
    if belows <= 0.0 {
        return Figure { n: sample.n, ..NOTHING };
    }
    // What rounding leaves of all or of nothing is all or nothing.
    let value = tops / belows;
    let value = if value > 1.0 - HAIR {
        1.0
    } else if value < HAIR {
        0.0
    } else {
        value
    };
    let clusters = f64::from(u32::try_from(sample.counts.len()).unwrap_or(u32::MAX));
    if clusters < 2.0 {
        return Figure { value: Some(value), n: sample.n, ..NOTHING };
    }
    // Linearised, as in Cochran, "Sampling Techniques", 6.3; the number of independent ones as in Dean & Pagano,
    // "Evaluating confidence interval methods for binomial proportions in clustered surveys" (2015).
    let residuals = sample.counts.iter().map(|counts| (top(counts) - value * below(counts)) / belows);
    let variance = residuals.map(|residual| residual * residual).sum::<f64>() * clusters / (clusters - 1.0);
    let whole = sum(|counts| counts.questions);
    let observed = micros(sample.n) * (belows / whole).min(1.0);
    let independent = if variance > HAIR * HAIR { (value * (1.0 - value) / variance).min(observed) } else { observed };
    let interval = wilson(value * independent, independent, Level::NINETY_FIVE);
    let (low, high) = (interval.map(|interval| interval.low), interval.map(|interval| interval.high));
    Figure { value: Some(value), low, high, n: sample.n }
}

/// The difference of two shares, with the interval that theirs let expect (method 10 of Newcombe, "Interval estimation for
/// the difference between independent proportions", Statistics in Medicine 1998): never without width, and rather too wide
/// where both models were asked by the same people.
fn difference(first: &Sample, second: &Sample, top: Sum, below: Sum) -> Option<Figure> {
    let (one, other) = (share(first, top, below), share(second, top, below));
    let n = first.n.min(second.n);
    newcombe(&one, &other).map(|(value, low, high)| Figure { value: Some(value), low, high, n })
}

/// The difference, and its ends where both shares have some.
pub(super) fn newcombe(one: &Figure, other: &Figure) -> Option<(f64, Option<f64>, Option<f64>)> {
    let (p1, p2) = (one.value?, other.value?);
    let ends = |one: &Figure| Some((one.low?, one.high?));
    let between = ends(one).zip(ends(other)).map(|((l1, u1), (l2, u2))| {
        let (below, above) = ((p1 - l1).hypot(u2 - p2), (u1 - p1).hypot(p2 - l2));
        (p1 - p2 - below, p1 - p2 + above)
    });
    Some((p1 - p2, between.map(|(low, _)| low), between.map(|(_, high)| high)))
}

/// An effect between two models, before anything is said of it.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) first: String,
    pub(super) second: String,
    pub(super) metric: Metric,
    pub(super) is_ratio: bool,
    pub(super) figure: Figure,
    pub(super) p_value: Option<f64>,
}

impl Effect {
    fn of(first: &Sample, second: &Sample, metric: Metric, is_ratio: bool, figure: Figure) -> Self {
        let (first, second) = (first.model.clone(), second.model.clone());
        Self { first, second, metric, is_ratio, figure, p_value: None }
    }

    /// What may be said of it.
    pub(super) fn claim(self, primary: &[Metric], length: Option<&str>, method: Method) -> Claim {
        Claim {
            primary: length.is_none() && primary.contains(&self.metric),
            verdict: verdict(self.metric, self.is_ratio, &self.figure, method.claims),
            first: self.first,
            second: self.second,
            metric: self.metric,
            length: length.map(str::to_owned),
            is_ratio: self.is_ratio,
            effect: self.figure,
            p_value: self.p_value,
        }
    }
}

/// What an interval allows to be said. "Better" needs the whole interval on the far side of the practical margin.
pub(super) fn verdict(metric: Metric, is_ratio: bool, figure: &Figure, claims: bool) -> Verdict {
    if figure.value.is_none() && figure.low.is_none() || figure.low.is_none() && figure.high.is_none() {
        return Verdict::TooFew;
    }
    if !claims {
        return Verdict::Exploratory;
    }
    let less_is_better = !matches!(metric, Metric::Answered | Metric::Prompt | Metric::Checks | Metric::Preference);
    let (none, below, above) = match (is_ratio, metric) {
        (true, _) => (1.0, 1.0 / (1.0 + MARGIN), 1.0 + MARGIN),
        (false, Metric::Preference) => (0.5, 0.5 - SHARE_MARGIN, 0.5 + SHARE_MARGIN),
        (false, _) => (0.0, -SHARE_MARGIN, SHARE_MARGIN),
    };
    let (low, high) = (figure.low.unwrap_or(f64::NEG_INFINITY), figure.high.unwrap_or(f64::INFINITY));
    let first = if less_is_better { Verdict::FirstBetter } else { Verdict::SecondBetter };
    let second = if less_is_better { Verdict::SecondBetter } else { Verdict::FirstBetter };
    if high < below {
        first
    } else if low > above {
        second
    } else if low >= below && high <= above {
        Verdict::NoPracticalDifference
    } else if low > none || high < none {
        Verdict::Uncertain
    } else {
        Verdict::NoDifferenceShown
    }
}

#[expect(clippy::cast_precision_loss, reason = "weights below 2^53; only ratios are made of them")]
fn real(weight: i64) -> f64 {
    weight as f64
}

#[expect(clippy::cast_precision_loss, reason = "times and counts below 2^53")]
fn micros(count: u64) -> f64 {
    count as f64
}
