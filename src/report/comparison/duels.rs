//! Blind duels: who was preferred, with ties apart, and what else the votes may have followed.

use std::collections::BTreeSet;

use super::measure::{Method, SEED, verdict};
use super::{Claim, DuelPair, DuelSection, Figure, Metric, Rank};
use crate::report::evidence::{DuelCell, DuelGroup, Evidence, VoteSums};
use crate::report::statistics::{Level, Match, Outcome, Resampling, bradley_terry, wilson};

/// Models from which on a ranking says more than pairs.
const FEWEST_RANKED: usize = 3;

pub(super) fn section(evidence: &Evidence, method: Method) -> DuelSection {
    let duels = &evidence.duels;
    if duels.cells.is_empty() {
        return DuelSection { refused: Some("none".to_owned()), ..DuelSection::default() };
    }
    let pairs: Vec<DuelPair> = duels.cells.iter().map(pair).collect();
    let claim = |pair: &DuelPair| Claim {
        first: pair.first.clone(),
        second: pair.second.clone(),
        metric: Metric::Preference,
        primary: true,
        length: None,
        is_ratio: false,
        effect: pair.share,
        p_value: None,
        verdict: verdict(Metric::Preference, false, &pair.share, method.claims),
    };
    DuelSection {
        votes: Some(pairs.iter().map(|pair| pair.first_wins + pair.second_wins + pair.ties).sum()),
        people: Some(duels.people.into()),
        claims: pairs.iter().map(claim).collect(),
        ranking: ranking(&duels.groups, method.draws),
        qualifiers: qualifiers(evidence),
        pairs,
        refused: None,
    }
}

fn pair(cell: &DuelCell) -> DuelPair {
    let votes = cell.votes;
    let nothing = Figure { value: None, low: None, high: None, n: 0 };
    DuelPair {
        first: cell.first.clone(),
        second: cell.second.clone(),
        first_wins: votes.first,
        second_wins: votes.second,
        ties: votes.ties,
        share: share(&votes),
        left_share: ratio(cell.left, votes.first + votes.second),
        longer_share: ratio(cell.by_length[0], cell.by_length[0] + cell.by_length[1]),
        share_at_like_length: cell.like_length.as_ref().map_or(nothing, share),
    }
}

/// Share of decisive votes for the first. Its interval is Wilson's, with as many independent votes as the spread between
/// people is worth (design effect; Kish, "Survey Sampling", 8.2), and never more than there are.
fn share(votes: &VoteSums) -> Figure {
    let n = votes.first + votes.second;
    let Some(value) = ratio(votes.first, n) else {
        return Figure { value: None, low: None, high: None, n };
    };
    let squares = value.mul_add(value * real(votes.xx), real(votes.yy)) - 2.0 * value * real(votes.xy);
    let people = real(votes.people);
    // Two people or more say something about the spread between them.
    let variance = if people > 1.0 { squares.max(0.0) / (real(n) * real(n)) * people / (people - 1.0) } else { 0.0 };
    let by_spread = if variance > 0.0 { value * (1.0 - value) / variance } else { people };
    let independent = by_spread.min(real(n));
    let interval = wilson(value * independent, independent, Level::NINETY_FIVE).filter(|_| people > 1.0);
    Figure { value: Some(value), low: interval.map(|i| i.low), high: interval.map(|i| i.high), n }
}

fn ranking(cells: &[DuelGroup], draws: u32) -> Vec<Rank> {
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
    let resampling = Resampling { clusters: groups.len(), draws, seed: SEED, level: Level::NINETY_FIVE };
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
