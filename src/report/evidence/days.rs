//! What each day cost the town, so that no day tells what a few people asked.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{DayCost, FEWEST_PEOPLE};
use crate::ledger::{DaySpend, People};

/// Every day from the first that cost something (or `first`, if that is later) to `last`. The days of a month on which few
/// people asked share what residents' questions cost equally, together with as many others as it takes for enough people;
/// a month of few people has none. Rounded to a cent, so that what is published of models cannot be subtracted.
pub(super) fn published(days: &[DaySpend], first: Date, last: Date) -> Vec<DayCost> {
    let spent: BTreeMap<&str, &DaySpend> = days.iter().map(|day| (day.day.as_str(), day)).collect();
    let begun = days.first().and_then(|day| day.day.parse::<Date>().ok()).unwrap_or(last).max(first);
    let mut all = Vec::new();
    let mut day = begun;
    while day <= last {
        let name = day.to_string();
        all.push(spent.get(name.as_str()).map_or_else(|| Day { name, ..Day::default() }, |spent| Day::of(spent)));
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    all.chunk_by_mut(|one, next| one.name.get(..MONTH) == next.name.get(..MONTH)).for_each(blur);
    all.into_iter().map(Day::finish).collect()
}

/// Length of the name of a month, `2026-11`.
const MONTH: usize = 7;
/// A cent, in nano-euros.
const CENT: i64 = 10_000_000;

/// Rounded to the nearest cent.
pub(super) fn to_the_cent(nanos: i64) -> i64 {
    (nanos + CENT / 2).div_euclid(CENT) * CENT
}

#[derive(Default)]
struct Day {
    name: String,
    /// The town's own questions.
    town: i64,
    residents: i64,
    people: People,
}

impl Day {
    fn of(spent: &DaySpend) -> Self {
        Self {
            name: spent.day.clone(),
            town: spent.euro_nanos - spent.residents_euro_nanos,
            residents: spent.residents_euro_nanos,
            people: spent.people,
        }
    }

    fn finish(self) -> DayCost {
        DayCost {
            day: self.name,
            euro_nanos: to_the_cent(self.town + self.residents),
            residents_euro_nanos: to_the_cent(self.residents),
        }
    }
}

fn blur(month: &mut [Day]) {
    let mut by_people: Vec<&mut Day> = month.iter_mut().filter(|day| day.residents != 0).collect();
    by_people.sort_by_key(|day| day.people.at_least());
    let (mut union, mut shared) = (People::default(), 0);
    for day in &by_people {
        let is_small = day.people.at_least() < FEWEST_PEOPLE;
        // Two days at least: one alone would keep its own sum.
        let is_enough = union.at_least() >= FEWEST_PEOPLE && shared != 1;
        if !is_small && (shared == 0 || is_enough) {
            break;
        }
        union.merge(day.people);
        shared += 1;
    }
    let is_hidden = shared > 0 && union.at_least() < FEWEST_PEOPLE;
    let sum: i64 = by_people.iter().take(shared).map(|day| day.residents).sum();
    let count = i64::try_from(shared).unwrap_or(i64::MAX).max(1);
    for day in by_people.into_iter().take(shared) {
        day.residents = if is_hidden { 0 } else { sum.div_euclid(count) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn day(day: i8, cents: i64, people: u32) -> DaySpend {
        let people = People((1 << people) - 1);
        let (euro_nanos, day) = (cents * CENT, date(2026, 11, day).to_string());
        DaySpend { day, euro_nanos, residents_euro_nanos: euro_nanos, people }
    }

    fn cents(shown: &[DayCost]) -> Vec<i64> {
        shown.iter().map(|day| day.residents_euro_nanos / CENT).collect()
    }

    #[test]
    fn a_quiet_sunday_shares_its_sum_with_the_next_quietest_day() {
        let days = [day(1, 8, 2), day(2, 100, 40), day(4, 20, 12)];
        let shown = published(&days, date(2026, 1, 1), date(2026, 11, 5));
        assert_eq!(cents(&shown), [14, 100, 0, 14, 0], "8 and 20 are shared; nobody asked between");
    }

    #[test]
    fn busy_days_are_shown_to_the_cent_and_a_month_of_few_people_not_at_all() {
        let days = [day(1, 7, 11), day(2, 100, 40)];
        let shown = published(&days, date(2026, 11, 1), date(2026, 11, 2));
        assert_eq!(cents(&shown), [7, 100]);
        let mut few = [day(1, 7, 3), day(2, 5, 4)];
        few[0].euro_nanos += 2 * CENT;
        let shown = published(&few, date(2026, 11, 1), date(2026, 11, 2));
        assert_eq!(cents(&shown), [0, 0]);
        assert_eq!(shown[0].euro_nanos, 2 * CENT, "the town's own questions are the town's");
        assert_eq!(published(&[], date(2026, 11, 1), date(2026, 11, 2)).len(), 1);
    }

    proptest! {
        #[test]
        fn small_days_are_all_alike(people in proptest::collection::vec(1u32..30, 2..28)) {
            let days: Vec<DaySpend> = people
                .iter()
                .enumerate()
                .map(|(index, people)| day(i8::try_from(index).unwrap() + 1, 10 + index as i64 * 7, *people))
                .collect();
            let shown = cents(&published(&days, date(2026, 11, 1), date(2026, 11, 28)));
            let small: Vec<i64> =
                shown.iter().zip(&people).filter(|(_, n)| **n < FEWEST_PEOPLE).map(|(cents, _)| *cents).collect();
            prop_assert!(small.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", small);
            let (sum, spent) = (shown.iter().sum::<i64>(), days.iter().map(|day| day.euro_nanos / CENT).sum::<i64>());
            let enough = people.iter().max().is_some_and(|most| *most >= FEWEST_PEOPLE);
            prop_assert!(!enough || (sum - spent).abs() <= 28, "{sum} {spent}");
        }
    }
}
