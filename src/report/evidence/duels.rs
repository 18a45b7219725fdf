//! What may be published of blind duels: sums over people, never a vote of one.

use std::collections::BTreeMap;

use super::gather::label;
use super::{DuelCell, DuelGroup, Duels, FEWEST_PEOPLE, VoteSums};
use crate::ledger::{Duel, DuelSide, GROUPS, People, Qualifier, Vote, group_of, person};

/// Numbers of groups that people may be counted in, most first.
const FOLDS: [u8; 4] = [GROUPS, 32, 16, 8];
/// Answers are of like length when the shorter lacks at most one part in so many of the longer.
const LIKE_LENGTH: u64 = 5;

/// A pair of models, in the order of the alphabet.
type Pair = (String, String);
/// Votes of one person: for the first, for the second, ties.
type Votes = [u64; 3];

pub(super) fn published(duels: &[Duel]) -> Duels {
    let people = people_of(duels);
    if people.at_least() < FEWEST_PEOPLE {
        return Duels::default();
    }
    let mut by_pair: BTreeMap<Pair, Vec<&Duel>> = BTreeMap::new();
    for duel in duels {
        by_pair.entry(ordered(duel)).or_default().push(duel);
    }
    by_pair.retain(|_, duels| people_of(duels.iter().copied()).at_least() >= FEWEST_PEOPLE);
    let mut shown = BTreeMap::new();
    for duel in by_pair.values().flatten() {
        for side in [&duel.left, &duel.right] {
            *shown.entry(name(side)).or_default() += 1;
        }
    }
    Duels {
        people: people.at_least(),
        qualifiers: qualifiers(by_pair.values().flatten().copied()),
        groups: FOLDS.into_iter().find_map(|folds| groups(&by_pair, folds)).unwrap_or_default(),
        cells: by_pair.iter().map(|(pair, duels)| cell(pair, duels)).collect(),
        shown,
    }
}

fn people_of<'a>(duels: impl IntoIterator<Item = &'a Duel>) -> People {
    let mut people = People::default();
    duels.into_iter().for_each(|duel| people.merge(person(&duel.resident)));
    people
}

fn name(side: &DuelSide) -> String {
    label(&side.provider, &side.model)
}

fn ordered(duel: &Duel) -> Pair {
    let (left, right) = (name(&duel.left), name(&duel.right));
    if left <= right { (left, right) } else { (right, left) }
}

/// 0 for the first, 1 for the second, 2 for a tie.
fn place(duel: &Duel) -> usize {
    let left_is_first = name(&duel.left) <= name(&duel.right);
    match duel.vote {
        Vote::Tie => 2,
        Vote::Left => usize::from(!left_is_first),
        Vote::Right => usize::from(left_is_first),
    }
}

fn is_alike(duel: &Duel) -> bool {
    let (left, right) = (duel.left.style.chars, duel.right.style.chars);
    left.abs_diff(right).saturating_mul(LIKE_LENGTH) <= left.max(right)
}

fn sums<'a>(duels: impl IntoIterator<Item = &'a Duel>) -> VoteSums {
    let mut people: BTreeMap<&str, Votes> = BTreeMap::new();
    for duel in duels {
        people.entry(&duel.resident).or_default()[place(duel)] += 1;
    }
    let mut sums = VoteSums::default();
    for [first, second, ties] in people.into_values() {
        let decisive = first + second;
        sums.first += first;
        sums.second += second;
        sums.ties += ties;
        sums.xx += decisive * decisive;
        sums.xy += decisive * first;
        sums.yy += first * first;
        sums.people += u64::from(decisive > 0);
    }
    sums
}

fn cell((first, second): &Pair, duels: &[&Duel]) -> DuelCell {
    let mut cell = DuelCell {
        first: first.clone(),
        second: second.clone(),
        votes: sums(duels.iter().copied()),
        ..DuelCell::default()
    };
    for duel in duels.iter().filter(|duel| duel.vote != Vote::Tie) {
        let (left, right) = (duel.left.style.chars, duel.right.style.chars);
        let left_won = duel.vote == Vote::Left;
        cell.left += u64::from(left_won);
        if left != right {
            let longer_won = (left > right) == left_won;
            cell.by_length[usize::from(!longer_won)] += 1;
        }
    }
    let (alike, others): (Vec<&Duel>, Vec<&Duel>) = duels.iter().copied().partition(|duel| is_alike(duel));
    let is_shown = |duels: &[&Duel]| people_of(duels.iter().copied()).at_least() >= FEWEST_PEOPLE;
    // The others would be what is left of all.
    let enough = is_shown(&alike) && (others.is_empty() || is_shown(&others));
    cell.like_length = enough.then(|| sums(alike));
    cell
}

/// Votes by pair and so many groups; `None` when one of them would be too small.
fn groups(by_pair: &BTreeMap<Pair, Vec<&Duel>>, folds: u8) -> Option<Vec<DuelGroup>> {
    let mut all = Vec::new();
    for ((first, second), duels) in by_pair {
        let mut cells: BTreeMap<u8, (Votes, People)> = BTreeMap::new();
        for duel in duels {
            let (votes, people) = cells.entry(group_of(&duel.resident, &duel.day) % folds).or_default();
            votes[place(duel)] += 1;
            people.merge(person(&duel.resident));
        }
        for (group, (votes, people)) in cells {
            if people.at_least() < FEWEST_PEOPLE {
                return None;
            }
            all.push(DuelGroup { group, first: first.clone(), second: second.clone(), votes });
        }
    }
    Some(all)
}

fn qualifiers<'a>(duels: impl Iterator<Item = &'a Duel>) -> Vec<(String, Qualifier, u64)> {
    let mut said: BTreeMap<(String, Qualifier), (u64, People)> = BTreeMap::new();
    for duel in duels {
        for side in [&duel.left, &duel.right] {
            for qualifier in &side.qualifiers {
                let (times, people) = said.entry((name(side), *qualifier)).or_default();
                *times += 1;
                people.merge(person(&duel.resident));
            }
        }
    }
    let enough = said.into_iter().filter(|(_, (_, people))| people.at_least() >= FEWEST_PEOPLE);
    enough.map(|((model, qualifier), (times, _))| (model, qualifier, times)).collect()
}
