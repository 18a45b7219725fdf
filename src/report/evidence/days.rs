//! What each day cost the town, so that no day tells what a few people asked.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::FEWEST_PEOPLE;
use crate::ledger::{DaySpend, People};

/// Every day from the first that cost something (or `first`, if that is later) to `last`, nano-euros. The days of a month
/// on which few people asked share their sum equally, together with as many others as it takes for enough people.
pub(super) fn published(days: &[DaySpend], first: Date, last: Date) -> Vec<(String, i64)> {
    let spent: BTreeMap<&str, &DaySpend> = days.iter().map(|day| (day.day.as_str(), day)).collect();
    let begun = days.first().and_then(|day| day.day.parse::<Date>().ok()).unwrap_or(last).max(first);
    let mut all = Vec::new();
    let mut day = begun;
    while day <= last {
        let name = day.to_string();
        let (nanos, people) = spent.get(name.as_str()).map_or((0, None), |day| (day.euro_nanos, Some(day.people)));
        all.push(Day { name, nanos, people });
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    all.chunk_by_mut(|one, next| one.name.get(..MONTH) == next.name.get(..MONTH)).for_each(blur);
    all.into_iter().map(|day| (day.name, day.nanos)).collect()
}

/// Length of the name of a month, `2026-11`.
const MONTH: usize = 7;

struct Day {
    name: String,
    nanos: i64,
    /// Absent on a day that cost nothing.
    people: Option<People>,
}

fn blur(month: &mut [Day]) {
    let mut by_people: Vec<&mut Day> = month.iter_mut().filter(|day| day.people.is_some()).collect();
    by_people.sort_by_key(|day| day.people.unwrap_or_default().at_least());
    let (mut union, mut shared) = (People::default(), 0);
    for day in &by_people {
        let people = day.people.unwrap_or_default();
        let is_small = people.at_least() < FEWEST_PEOPLE;
        // Two days at least: one alone would keep its own sum.
        let is_enough = union.at_least() >= FEWEST_PEOPLE && shared != 1;
        if !is_small && (shared == 0 || is_enough) {
            break;
        }
        union.merge(people);
        shared += 1;
    }
    let sum: i64 = by_people.iter().take(shared).map(|day| day.nanos).sum();
    let count = i64::try_from(shared).unwrap_or(i64::MAX).max(1);
    for (place, day) in by_people.into_iter().take(shared).enumerate() {
        // What does not divide goes to the first, so that the month stays exact.
        let rest = if place == 0 { sum.rem_euclid(count) } else { 0 };
        day.nanos = sum.div_euclid(count) + rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn day(day: i8, euro_nanos: i64, people: u32) -> DaySpend {
        let people = if people >= 64 { u64::MAX } else { (1 << people) - 1 };
        DaySpend { day: date(2026, 11, day).to_string(), euro_nanos, people: People(people) }
    }

    #[test]
    fn a_quiet_sunday_shares_its_sum_with_the_next_quietest_day() {
        let days = [day(1, 7, 2), day(2, 100, 40), day(4, 20, 12)];
        let shown = published(&days, date(2026, 1, 1), date(2026, 11, 5));
        let nanos: Vec<i64> = shown.iter().map(|(_, nanos)| *nanos).collect();
        assert_eq!(nanos, [14, 100, 0, 13, 0], "7 and 20 are shared, the day between cost nothing");
    }

    #[test]
    fn busy_days_are_shown_as_they_were() {
        let days = [day(1, 7, 11), day(2, 100, 40)];
        let shown = published(&days, date(2026, 11, 1), date(2026, 11, 2));
        assert_eq!(shown, [("2026-11-01".to_owned(), 7), ("2026-11-02".to_owned(), 100)]);
        assert_eq!(published(&[], date(2026, 11, 1), date(2026, 11, 2)), [("2026-11-02".to_owned(), 0)]);
    }

    proptest! {
        #[test]
        fn months_stay_exact_and_no_small_day_keeps_its_sum(people in proptest::collection::vec(1u32..30, 2..28)) {
            let days: Vec<DaySpend> = people
                .iter()
                .enumerate()
                .map(|(index, people)| day(i8::try_from(index).unwrap() + 1, 1 << index, *people))
                .collect();
            let shown = published(&days, date(2026, 11, 1), date(2026, 11, 28));
            prop_assert_eq!(shown.iter().map(|(_, n)| n).sum::<i64>(), days.iter().map(|d| d.euro_nanos).sum::<i64>());
            let of = |day: &DaySpend| shown.iter().find(|(name, _)| *name == day.day).map(|(_, nanos)| *nanos);
            let small = days.iter().zip(&people).filter(|(_, people)| **people < FEWEST_PEOPLE);
            let small: Vec<i64> = small.filter_map(|(day, _)| of(day)).collect();
            // All alike but for what does not divide, whatever each of them cost.
            if let (Some(least), Some(most)) = (small.iter().min(), small.iter().max()) {
                prop_assert!(most - least < 28, "{small:?}");
            }
        }
    }
}
