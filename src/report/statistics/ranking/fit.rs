//! Maximum of the ridged Bradley–Terry likelihood by Newton's method, and which models the duels relate.
//!
//! It must not know participants or intervals. A matrix of wins has one row per winner, one column per loser.

use super::super::number::real_length;

/// Penalty on half the sum of squared parameters.
pub(super) const RIDGE: f64 = 1e-5;
/// Largest change of a parameter at which the search ends.
const TOLERANCE: f64 = 1e-11;
/// Relative change of the likelihood that may be rounding.
const ROUNDING: f64 = 1e-13;
/// Steps after which the search ends in any case; a dozen is usual.
const STEPS: usize = 200;
/// Largest change of a parameter in one step; keeps the first steps from running away.
const STRIDE: f64 = 2.0;

/// Natural logarithms of the strengths; their mean is zero.
pub(super) fn strengths(wins: &[Vec<f64>]) -> Vec<f64> {
    let mut beta = vec![0.0; wins.len()];
    let mut value = likelihood(wins, &beta);
    for _ in 0..STEPS {
        let (gradient, information) = derivatives(wins, &beta);
        // Only the ridge holds the common level, so weakly that rounding would move it: the mean stays at zero instead.
        let step = centred(&solve(information, gradient));
        let largest = step.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        if largest <= TOLERANCE {
            break;
        }
        let mut scale = (STRIDE / largest).min(1.0);
        let moved = |scale: f64| beta.iter().zip(&step).map(|(b, x)| b + scale * x).collect::<Vec<f64>>();
        let mut next = moved(scale);
        let mut reached = likelihood(wins, &next);
        // The likelihood is concave: a step that lowers it by more than rounding was too long.
        while reached < value - ROUNDING * value.abs() && scale > TOLERANCE {
            scale /= 2.0;
            next = moved(scale);
            reached = likelihood(wins, &next);
        }
        (beta, value) = (next, reached);
    }
    centred(&beta)
}

/// The same numbers with a mean of zero.
fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / real_length(values.len());
    values.iter().map(|x| x - mean).collect()
}

/// Each pair of different models with the wins of the first over the second.
fn duels(wins: &[Vec<f64>]) -> impl Iterator<Item = (usize, usize, f64)> {
    let row = |(i, row): (usize, &Vec<f64>)| row.iter().enumerate().map(|(j, &w)| (i, j, w)).collect::<Vec<_>>();
    wins.iter().enumerate().flat_map(row).filter(|&(i, j, w)| i != j && w > 0.0)
}

/// Ridged log-likelihood.
fn likelihood(wins: &[Vec<f64>], beta: &[f64]) -> f64 {
    let of_duel = |(i, j, w): (usize, usize, f64)| match (beta.get(i), beta.get(j)) {
        (Some(winner), Some(loser)) => -w * log_one_plus_exp(loser - winner),
        _ => 0.0,
    };
    duels(wins).map(of_duel).sum::<f64>() - RIDGE / 2.0 * beta.iter().map(|b| b * b).sum::<f64>()
}

/// `ln(1 + e^x)` without overflow.
fn log_one_plus_exp(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// Gradient of the likelihood and the negative of its second derivatives.
fn derivatives(wins: &[Vec<f64>], beta: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut gradient: Vec<f64> = beta.iter().map(|b| -RIDGE * b).collect();
    let mut information = vec![vec![0.0; beta.len()]; beta.len()];
    for (i, row) in information.iter_mut().enumerate() {
        row.iter_mut().skip(i).take(1).for_each(|cell| *cell = RIDGE);
    }
    let mut add = |i: usize, j: usize, amount: f64| {
        if let Some(cell) = information.get_mut(i).and_then(|row| row.get_mut(j)) {
            *cell += amount;
        }
    };
    for (i, j, w) in duels(wins) {
        let (Some(winner), Some(loser)) = (beta.get(i), beta.get(j)) else { continue };
        let surprise = 1.0 / (1.0 + libm::exp(winner - loser));
        let curvature = w * surprise * (1.0 - surprise);
        add(i, i, curvature);
        add(j, j, curvature);
        add(i, j, -curvature);
        add(j, i, -curvature);
        if let Some(g) = gradient.get_mut(i) {
            *g += w * surprise;
        }
        if let Some(g) = gradient.get_mut(j) {
            *g -= w * surprise;
        }
    }
    (gradient, information)
}

/// Solves a symmetric positive definite system by elimination; the diagonal is positive, so no exchange is needed.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for pivot in 0..n {
        let (upper, lower) = matrix.split_at_mut(pivot + 1);
        let Some(row) = upper.last() else { continue };
        let Some(&diagonal) = row.get(pivot) else { continue };
        let known = right.get(pivot).copied().unwrap_or(0.0);
        for (other, value) in lower.iter_mut().zip(right.iter_mut().skip(pivot + 1)) {
            let factor = other.get(pivot).copied().unwrap_or(0.0) / diagonal;
            other.iter_mut().zip(row).skip(pivot).for_each(|(cell, above)| *cell -= factor * above);
            *value -= factor * known;
        }
    }
    for pivot in (0..n).rev() {
        let Some(row) = matrix.get(pivot) else { continue };
        let rest: f64 = row.iter().zip(&right).skip(pivot + 1).map(|(cell, x)| cell * x).sum();
        if let (Some(x), Some(diagonal)) = (right.get_mut(pivot), row.get(pivot)) {
            *x = (*x - rest) / diagonal;
        }
    }
    right
}

/// Number of groups of models that duels join, whoever won.
pub(super) fn groups(wins: &[Vec<f64>]) -> usize {
    let mut seen = vec![false; wins.len()];
    let mut groups = 0;
    while let Some(start) = seen.iter().position(|seen| !seen) {
        groups += 1;
        let reached = reach(wins, start, |i, j| cell(wins, i, j) + cell(wins, j, i) > 0.0);
        seen.iter_mut().zip(&reached).for_each(|(seen, reached)| *seen |= reached);
    }
    groups
}

/// Whether each model reaches each other one over wins or ties.
pub(super) fn strongly_connected(wins: &[Vec<f64>]) -> bool {
    let all = |joined: Vec<bool>| joined.iter().all(|&reached| reached);
    all(reach(wins, 0, |i, j| cell(wins, i, j) > 0.0)) && all(reach(wins, 0, |i, j| cell(wins, j, i) > 0.0))
}

/// Models that can be reached from `start` over joined pairs.
fn reach(wins: &[Vec<f64>], start: usize, joined: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let mut reached = vec![false; wins.len()];
    let mut open = vec![start];
    while let Some(model) = open.pop() {
        if let Some(mark) = reached.get_mut(model) {
            *mark = true;
        }
        let new = |other: &usize| joined(model, *other) && reached.get(*other).is_some_and(|seen| !seen);
        let found: Vec<usize> = (0..wins.len()).filter(new).collect();
        open.extend(found);
    }
    reached
}

/// Wins of one model over another.
fn cell(wins: &[Vec<f64>], winner: usize, loser: usize) -> f64 {
    wins.get(winner).and_then(|row| row.get(loser)).copied().unwrap_or(0.0)
}
