//! At which weight of one criterion another offer wins.
//!
//! The weight of one criterion goes from 0 to 100 %, the others keep their proportions. Each total is then a straight
//! line in the weight, and the winners are the upper envelope of the lines: break points are crossings, computed and
//! not searched for. It must not know how marks were made.

use serde::{Deserialize, Serialize};

use super::{Criterion, WHOLE};

/// Lines closer than this, in points of 100, are one line.
const SAME_LINE: f64 = 1e-9;
/// Shorter stretches, in percent, are three lines that cross in one point.
const SHORTEST: f64 = 1e-10;

/// Who wins over a stretch of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// First weight of the stretch, in percent.
    pub from: f64,
    /// Last weight of the stretch, in percent. At the point between two stretches both win.
    pub to: f64,
    /// Label of the winner; several where their totals are equal over the whole stretch.
    pub winners: Vec<String>,
}

/// How the winner depends on the weight of one criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// The criterion's key.
    pub criterion: String,
    /// Its weight as the buyer gave it, in percent.
    pub weight_percent: f64,
    /// The stretches, from 0 to 100 %. Absent where the criterion was not scored, and where it is the only one with a
    /// weight: the others then have no proportions to keep.
    pub intervals: Option<Vec<Interval>>,
}

/// The criteria with `weight_percent` for one of them and the others scaled to the rest, in proportion. `None` where
/// there is no such criterion, the weight is not between 0 and 100, or all others have none.
pub fn scaled_weights(criteria: &[Criterion], key: &str, weight_percent: f64) -> Option<Vec<Criterion>> {
    let others: f64 = criteria.iter().filter(|row| row.key != key).map(|row| row.weight_percent).sum();
    let known = criteria.iter().any(|row| row.key == key);
    if !known || !(0.0..=WHOLE).contains(&weight_percent) || others <= 0.0 {
        return None;
    }
    let scaled = |row: &Criterion| {
        let weight =
            if row.key == key { weight_percent } else { row.weight_percent * (WHOLE - weight_percent) / others };
        Criterion { weight_percent: weight, ..row.clone() }
    };
    Some(criteria.iter().map(scaled).collect())
}

/// A total as a line in the weight.
#[derive(Clone, Copy)]
struct Line {
    /// Total with the weight at 0 %.
    at_zero: f64,
    /// Total with the weight at 100 %.
    at_whole: f64,
}

impl Line {
    fn slope(self) -> f64 {
        (self.at_whole - self.at_zero) / WHOLE
    }

    fn is(self, other: Self) -> bool {
        (self.at_zero - other.at_zero).abs() <= SAME_LINE && (self.at_whole - other.at_whole).abs() <= SAME_LINE
    }
}

/// The stretches for the criterion at `at`.
pub(super) fn intervals(
    at: usize,
    columns: &[Option<Vec<f64>>],
    weights: &[f64],
    labels: &[&str],
) -> Option<Vec<Interval>> {
    let own = columns.get(at)?.as_ref()?;
    let others = || columns.iter().zip(weights).enumerate().filter(|(other, _)| *other != at).map(|(_, row)| row);
    let rest: f64 = others().map(|(_, weight)| weight).sum();
    if rest <= 0.0 {
        return None;
    }
    let line = |(offer, mark): (usize, &f64)| {
        let points = others().filter_map(|(column, weight)| Some(column.as_ref()?.get(offer)? * weight));
        Line { at_zero: points.sum::<f64>() * WHOLE / rest, at_whole: mark * WHOLE }
    };
    let lines: Vec<Line> = own.iter().enumerate().map(line).collect();
    let mut stretches = Vec::new();
    // The best at 0 %; of several the one that grows fastest.
    let mut best = *lines.iter().max_by(|one, other| {
        let equal = (one.at_zero - other.at_zero).abs() <= SAME_LINE;
        let first = if equal { std::cmp::Ordering::Equal } else { one.at_zero.total_cmp(&other.at_zero) };
        first.then(one.at_whole.total_cmp(&other.at_whole))
    })?;
    let mut from = 0.0;
    // Each step goes to a steeper line, so there are no more than there are lines.
    for _step in &lines {
        let next = overtaking(best, from, &lines);
        let to = next.map_or(WHOLE, |(weight, _)| weight);
        if to - from > SHORTEST {
            let winners = lines.iter().zip(labels).filter(|(line, _)| line.is(best));
            stretches.push(Interval { from, to, winners: winners.map(|(_, label)| (*label).to_owned()).collect() });
            from = to;
        }
        let Some((_, line)) = next else { break };
        best = line;
    }
    Some(stretches)
}

/// The line that is first to cross `best` after `from`, and where; of several the steepest.
fn overtaking(best: Line, from: f64, lines: &[Line]) -> Option<(f64, Line)> {
    let crossing = |line: &Line| {
        let steeper = line.slope() - best.slope();
        // What does not end above has not overtaken.
        (steeper > 0.0 && line.at_whole > best.at_whole + SAME_LINE && !line.is(best))
            .then(|| (((best.at_zero - line.at_zero) / steeper).max(from), *line))
    };
    let after = lines.iter().filter_map(crossing).filter(|(weight, _)| *weight < WHOLE);
    after.min_by(|one, other| one.0.total_cmp(&other.0).then(other.1.at_whole.total_cmp(&one.1.at_whole)))
}
