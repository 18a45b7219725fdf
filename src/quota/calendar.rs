//! Calendar windows in the town's time zone, summer time included.
//!
//! A day in which clocks change has 23 or 25 hours; "monthly" is a month, not 30 days.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
    /// From 1 January to 1 January.
    Year,
}

/// One calendar window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its length.
    pub period: Period,
    /// Its name: `2026-11-24`, `2026-11` or `2026`.
    pub label: String,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it: when it resets.
    pub end: Timestamp,
}

/// The day, month and year of an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The day.
    pub day: Window,
    /// The month.
    pub month: Window,
    /// The year.
    pub year: Window,
}

impl Windows {
    /// Whole hours from the beginning of the day to `at`; `None` when `at` is not in it.
    pub fn hour(&self, at: Timestamp) -> Option<u16> {
        let seconds = at.duration_since(self.day.start).as_secs();
        u16::try_from(seconds / 3_600).ok().filter(|_| self.day.start <= at && at < self.day.end)
    }
}

/// The calendar of one time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// The windows of the last moment that was asked for: they are the same all day.
    last: Arc<Mutex<Option<Windows>>>,
}

impl Calendar {
    /// The calendar of an IANA time zone (`Europe/Paris`).
    ///
    /// # Errors
    /// A sentence when the zone is unknown.
    pub fn new(zone: &str) -> Result<Self, String> {
        TimeZone::get(zone)
            .map(|zone| Self { zone, last: Arc::default() })
            .map_err(|_| format!("`{zone}` is not a known time zone"))
    }

    /// The local date of an instant.
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned_datetime(self.zone.clone()).date()
    }

    /// An instant in local time, as people read it: `25/11/2026 00:00`.
    pub fn local(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%d/%m/%Y %H:%M").to_string()
    }

    /// The windows that `at` falls in.
    pub fn windows(&self, at: Timestamp) -> Windows {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(windows) if windows.day.start <= at && at < windows.day.end => windows.clone(),
            _ => last.insert(self.compute(at)).clone(),
        }
    }

    fn compute(&self, at: Timestamp) -> Windows {
        let today = self.date(at);
        let first_of_month = today.first_of_month();
        let first_of_year = date(today.year(), 1, 1);
        Windows {
            day: self.window(Period::Day, today, Span::new().days(1), today.to_string()),
            month: self.window(
                Period::Month,
                first_of_month,
                Span::new().months(1),
                first_of_month.strftime("%Y-%m").to_string(),
            ),
            year: self.window(
                Period::Year,
                first_of_year,
                Span::new().years(1),
                first_of_year.strftime("%Y").to_string(),
            ),
        }
    }

    /// The same local time on each of so many days before, nearest first: nine in the morning stays nine in the morning
    /// when clocks change.
    pub fn same_time_on_days_before(&self, at: Timestamp, days: i64) -> Vec<Timestamp> {
        let local = at.to_zoned_datetime(self.zone.clone());
        (1..=days).filter_map(|day| local.checked_sub(Span::new().days(day)).ok()).map(|day| day.timestamp()).collect()
    }

    fn window(&self, period: Period, first: Date, length: Span, label: String) -> Window {
        let next = first.checked_add(length).unwrap_or(Date::MAX);
        Window { period, label, start: self.midnight(first), end: self.midnight(next) }
    }

    /// The first instant of a date: where midnight does not exist (or exists twice), the compatible reading of RFC 5545.
    fn midnight(&self, day: Date) -> Timestamp {
        day.to_zoned_datetime(self.zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn paris() -> Calendar {
        Calendar::new("Europe/Paris").unwrap()
    }

    #[test]
    fn days_with_a_clock_change_have_23_and_25_hours() {
        let hours = |text| {
            let day = paris().windows(at(text)).day;
            (day.end.as_second() - day.start.as_second()) / 3600
        };
        assert_eq!(hours("2026-03-29T10:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T10:00:00Z"), 25);
        assert_eq!(hours("2026-11-24T10:00:00Z"), 24);
    }

    #[test]
    fn the_day_changes_at_local_midnight() {
        let label = |text| paris().windows(at(text)).day.label;
        assert_eq!(label("2026-11-23T22:59:59Z"), "2026-11-23");
        assert_eq!(label("2026-11-23T23:00:00Z"), "2026-11-24");
        assert_eq!(label("2026-07-01T22:00:00Z"), "2026-07-02");
    }

    #[test]
    fn months_and_years_end_where_the_calendar_says() {
        let windows = paris().windows(at("2026-12-31T22:30:00Z"));
        assert_eq!((windows.month.label.as_str(), windows.year.label.as_str()), ("2026-12", "2026"));
        assert_eq!(windows.month.end, at("2026-12-31T23:00:00Z"));
        assert_eq!(windows.year.end, windows.month.end);
    }

    #[test]
    fn the_same_time_of_day_survives_a_change_of_clocks() {
        let before = paris().same_time_on_days_before(at("2026-10-26T08:30:00Z"), 2);
        assert_eq!(before, [at("2026-10-25T08:30:00Z"), at("2026-10-24T07:30:00Z")]);
    }

    proptest! {
        #[test]
        fn windows_hold_their_instant_and_meet_without_gap(second in 1_700_000_000i64..2_000_000_000) {
            let now = Timestamp::from_second(second).unwrap();
            let windows = paris().windows(now);
            for window in [&windows.day, &windows.month, &windows.year] {
                prop_assert!(window.start <= now && now < window.end);
            }
            let next = paris().windows(windows.day.end);
            prop_assert_eq!(next.day.start, windows.day.end);
        }
    }
}
