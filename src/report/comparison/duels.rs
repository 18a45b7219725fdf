//! Blind duels: who was preferred, with ties apart, and what else the votes may have followed.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::{DRAWS, SEED, verdict};
use super::{Claim, DuelPair, DuelSection, Figure, Metric, Rank};
use crate::report::evidence::{DuelCell, Evidence};
use crate::report::statistics::{Level, Match, Outcome, Resampling, Votes, bradley_terry, preference_share, wilson};

/// Models from which on a ranking says more than pairs.
const FEWEST_RANKED: usize = 3;

pub(super) fn section(evidence: &Evidence, claims: bool) -> DuelSection {
    let duels = &evidence.duels;
    if duels.cells.is_empty() {
        return DuelSection { refused: Some("none".to_owned()), ..DuelSection::default() };
    }
    let mut pairs: BTreeMap<(&str, &str), Vec<&DuelCell>> = BTreeMap::new();
    for cell in &duels.cells {
        pairs.entry((&cell.first, &cell.second)).or_default().push(cell);
    }
    let pairs: Vec<DuelPair> = pairs.into_iter().map(|((first, second), cells)| pair(first, second, &cells)).collect();
    let claim = |pair: &DuelPair| Claim {
        first: pair.first.clone(),
        second: pair.second.clone(),
        metric: Metric::Preference,
        primary: true,
        length: None,
        is_ratio: false,
        effect: pair.share,
        p_value: None,
        verdict: verdict(Metric::Preference, false, &pair.share, claims),
    };
    DuelSection {
        votes: Some(pairs.iter().map(|pair| pair.first_wins + pair.second_wins + pair.ties).sum()),
        people: Some(duels.people.into()),
        claims: pairs.iter().map(claim).collect(),
        ranking: ranking(&duels.cells),
        qualifiers: qualifiers(evidence),
        pairs,
        refused: None,
    }
}

fn pair(first: &str, second: &str, cells: &[&DuelCell]) -> DuelPair {
    let sum = |of: fn(&DuelCell) -> u64| cells.iter().map(|cell| of(cell)).sum::<u64>();
    let (first_wins, second_wins, ties) = (sum(|c| c.votes[0]), sum(|c| c.votes[1]), sum(|c| c.votes[2]));
    let by_length = (sum(|c| c.by_length[0]), sum(|c| c.by_length[1]));
    DuelPair {
        first: first.to_owned(),
        second: second.to_owned(),
        first_wins,
        second_wins,
        ties,
        share: share(cells.iter().map(|cell| cell.votes)),
        left_share: ratio(sum(|c| c.left), first_wins + second_wins),
        longer_share: ratio(by_length.0, by_length.0 + by_length.1),
        share_at_like_length: share(cells.iter().map(|cell| cell.like_length)),
    }
}

/// Share of decisive votes for the first. Where groups would have been too small there is one, and votes count as if each
/// were somebody's only one.
fn share(cells: impl Iterator<Item = [u64; 3]>) -> Figure {
    let votes: Vec<Votes> = cells.map(|[first, second, ties]| Votes { first, second, ties }).collect();
    let (wins, losses): (u64, u64) = votes.iter().fold((0, 0), |sum, v| (sum.0 + v.first, sum.1 + v.second));
    let n = wins + losses;
    let interval = match preference_share(&votes, Level::NINETY_FIVE).share {
        Some(estimate) => Some(estimate.interval()),
        None => wilson(real(wins), real(n), Level::NINETY_FIVE),
    };
    Figure { value: ratio(wins, n), low: interval.map(|i| i.low), high: interval.map(|i| i.high), n }
}

fn ranking(cells: &[DuelCell]) -> Vec<Rank> {
    let models: BTreeSet<&str> = cells.iter().flat_map(|cell| [cell.first.as_str(), &cell.second]).collect();
    let models: Vec<&str> = models.into_iter().collect();
    if models.len() < FEWEST_RANKED {
        return Vec::new();
    }
    let groups: BTreeSet<u8> = cells.iter().map(|cell| cell.group).collect();
    let groups: Vec<u8> = groups.into_iter().collect();
    let place = |name: &str| models.binary_search(&name).unwrap_or(0);
    let mut matches = Vec::new();
    for cell in cells {
        let participant = groups.binary_search(&cell.group).unwrap_or(0);
        let (first, second) = (place(&cell.first), place(&cell.second));
        for (outcome, votes) in [Outcome::First, Outcome::Second, Outcome::Tie].into_iter().zip(cell.votes) {
            matches.extend((0..votes).map(|_| Match { participant, first, second, outcome }));
        }
    }
    let resampling = Resampling { clusters: groups.len(), draws: DRAWS, seed: SEED, level: Level::NINETY_FIVE };
    let Ok(found) = bradley_terry(models.len(), &matches, &resampling) else { return Vec::new() };
    let worst = count(models.len());
    let mut ranks: Vec<Rank> = models
        .iter()
        .zip(found.models)
        .map(|(model, ranked)| Rank {
            model: (*model).to_owned(),
            score: super::measure::figure(&ranked.score, ranked.matches),
            rank: (
                ranked.rank.low.map_or(1, |rank| whole(rank.floor())),
                ranked.rank.high.map_or(worst, |rank| whole(rank.ceil())).min(worst),
            ),
        })
        .collect();
    ranks.sort_by(|one, other| other.score.value.unwrap_or(0.0).total_cmp(&one.score.value.unwrap_or(0.0)));
    ranks
}

fn qualifiers(evidence: &Evidence) -> Vec<(String, String, f64)> {
    let duels = &evidence.duels;
    let rows = duels.qualifiers.iter().filter_map(|(model, qualifier, times)| {
        let name = serde_json::to_value(qualifier).ok()?.as_str()?.to_owned();
        Some((model.clone(), name, ratio(*times, *duels.shown.get(model)?)?))
    });
    rows.collect()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| real(part) / real(whole))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank, from 1 on")]
fn whole(rank: f64) -> u32 {
    rank.max(1.0) as u32
}

#[expect(clippy::cast_precision_loss, reason = "counts of votes")]
fn real(count: u64) -> f64 {
    count as f64
}
