//! Bradley–Terry rating of three models or more from duels, with intervals of score and rank over participants.
//!
//! It must not know models by name. Source of the model: Bradley & Terry (1952), "Rank analysis of incomplete block
//! designs", Biometrika 39. A tie is half a win for each side. Scores follow the public arenas: `1000 + 400·log₁₀` of
//! the strength, whose mean is 1000.
//!
//! A model that never loses has no finite maximum of the likelihood, so a ridge of `1e-5` is taken off the
//! log-likelihood for each squared parameter, always, so that there is one estimator for all draws. The size is that
//! of the reference code of the arena (`lmarena/arena-rank`), which adds it to the Hessian of its intervals only and
//! not to the fit. On ordinary data it moves a score by less than a thousandth of a point. Where it alone holds a
//! score ([`Ranking::bounded`] is false) ranks can be shown, scores cannot. Draws of that kind keep the ridge's score,
//! so an end hundreds of points away says that the data hardly bound it.

mod fit;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Resampled, Resampling};
use super::number::{count, real_length};

/// How a duel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first model won.
    First,
    /// The second model won.
    Second,
    /// Neither: half a win for each.
    Tie,
}

/// One duel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the participant who voted.
    pub participant: usize,
    /// Index of the first model.
    pub first: usize,
    /// Index of the second model.
    pub second: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// Why there is no rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotComparable {
    /// Fewer than two models.
    TooFewModels,
    /// A duel names a model or a participant out of range, or a model against itself.
    InvalidMatch,
    /// The models fall into groups that never met: nothing relates their scores.
    NotConnected {
        /// Number of such groups.
        groups: u64,
    },
}

impl core::fmt::Display for NotComparable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooFewModels => f.write_str("a rating needs two models at least"),
            Self::InvalidMatch => f.write_str("a duel names an unknown model or participant, or one model twice"),
            Self::NotConnected { groups } => write!(f, "the models form {groups} groups that never met"),
        }
    }
}

impl core::error::Error for NotComparable {}

/// One model's place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Score on the scale of the arenas; 400 points are odds of ten to one.
    pub score: Resampled,
    /// Rank, 1 for the highest score; equal scores share a rank.
    pub rank: Resampled,
    /// Duels of this model.
    pub matches: u64,
}

/// Ratings of all models, by index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// One entry per model, in the order of their indices.
    pub models: Vec<Ranked>,
    /// Whether every score is bounded by the data: whichever way the models are split into two groups, each group has
    /// won at least half a duel against the other. Source: Ford (1957), "Solution of a ranking problem from binary
    /// comparisons".
    pub bounded: bool,
}

/// Rates `models` models by maximum likelihood; intervals by drawing participants.
///
/// `resampling.clusters` is the number of participants. A draw in which the models fall apart is undefined and counts
/// against both ends of every interval.
///
/// # Errors
///
/// [`NotComparable`] tells why no rating exists.
pub fn bradley_terry(models: usize, matches: &[Match], resampling: &Resampling) -> Result<Ranking, NotComparable> {
    if models < 2 {
        return Err(NotComparable::TooFewModels);
    }
    let known = |m: &Match| m.first < models && m.second < models && m.participant < resampling.clusters;
    if !matches.iter().all(|m| known(m) && m.first != m.second) {
        return Err(NotComparable::InvalidMatch);
    }
    let once = vec![1; resampling.clusters];
    let all = wins(models, matches, &once);
    let groups = fit::groups(&all);
    if groups != 1 {
        return Err(NotComparable::NotConnected { groups: count(groups) });
    }
    let figures = resampling.intervals(2 * models, |multiplicities, results| {
        let wins = wins(models, matches, multiplicities);
        let (scores, ranks) = results.split_at_mut(models);
        if fit::groups(&wins) == 1 {
            let strengths = fit::strengths(&wins);
            for (result, strength) in scores.iter_mut().zip(&strengths) {
                *result = Some(1000.0 + 400.0 * core::f64::consts::LOG10_E * strength);
            }
            for (result, strength) in ranks.iter_mut().zip(&strengths) {
                *result = Some(rank(*strength, &strengths));
            }
        } else {
            scores.fill(Some(f64::NAN));
            ranks.fill(Some(f64::NAN));
        }
    });
    let (scores, ranks) = figures.split_at(models);
    let matches_of = |model: usize| matches.iter().filter(|m| m.first == model || m.second == model).count();
    let ranked = |(model, (&score, &rank))| Ranked { score, rank, matches: count(matches_of(model)) };
    Ok(Ranking {
        models: scores.iter().zip(ranks).enumerate().map(ranked).collect(),
        bounded: fit::strongly_connected(&all),
    })
}

/// One more than the number of models that are stronger by more than rounding.
fn rank(own: f64, strengths: &[f64]) -> f64 {
    const HAIR: f64 = 1e-9;
    real_length(1 + strengths.iter().filter(|&&other| other > own + HAIR).count())
}

/// Wins of each model (row) over each other (column), duels weighed by how often their participant was drawn.
fn wins(models: usize, matches: &[Match], multiplicities: &[u32]) -> Vec<Vec<f64>> {
    let mut wins = vec![vec![0.0; models]; models];
    let mut add = |winner: usize, loser: usize, amount: f64| {
        if let Some(cell) = wins.get_mut(winner).and_then(|row| row.get_mut(loser)) {
            *cell += amount;
        }
    };
    for m in matches {
        let times = f64::from(multiplicities.get(m.participant).copied().unwrap_or(0));
        match m.outcome {
            Outcome::First => add(m.first, m.second, times),
            Outcome::Second => add(m.second, m.first, times),
            Outcome::Tie => {
                add(m.first, m.second, times / 2.0);
                add(m.second, m.first, times / 2.0);
            }
        }
    }
    wins
}
