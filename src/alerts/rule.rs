//! What is to be told about the town's spending: pure.

use jiff::Timestamp;
use providers::money::format_nanos;
use serde_json::json;

use crate::config::AlertConfig;
use crate::ledger::TownSpend;
use crate::quota::{Envelope, Window, Windows};

/// Something to be told, once for each id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about and the window.
    pub id: String,
    /// The label in metrics: `envelope` or `hour`.
    pub reason: &'static str,
    /// Share of the envelope that was reached, in percent.
    pub percent: Option<u32>,
    /// The window: `2026-11`, `2026`, `2026-11-24T09Z`.
    pub window: String,
    /// Settled in it, in nano-euros.
    pub spent_euro_nanos: i64,
    /// What that is compared with, in nano-euros: the envelope, or the usual hour.
    pub base_euro_nanos: i64,
    /// When it was found.
    pub at: Timestamp,
    /// One sentence with both amounts.
    pub message: String,
    /// The same in French.
    pub message_fr: String,
}

impl Finding {
    /// What is sent.
    pub fn body(&self) -> String {
        json!({
            "type": format!("passerelle.{}", self.reason),
            "timestamp": self.at.to_string(),
            "data": {
                "id": self.id,
                "window": self.window,
                "percent": self.percent,
                "spent_eur": format_nanos(self.spent_euro_nanos),
                "base_eur": format_nanos(self.base_euro_nanos),
                "message": self.message,
                "message_fr": self.message_fr,
            }
        })
        .to_string()
    }
}

/// Everything that the town's spending gives reason to tell.
pub fn findings(
    settings: &AlertConfig,
    envelope: Envelope,
    windows: &Windows,
    spend: &TownSpend,
    now: Timestamp,
) -> Vec<Finding> {
    let shares = [
        (&windows.month, spend.month_used.euro_nanos, envelope.euro_nanos_per_month, spend.month_refused),
        (&windows.year, spend.year_used.euro_nanos, envelope.euro_nanos_per_year, spend.year_refused),
    ];
    let mut found = Vec::new();
    for (window, spent, of, refused) in shares {
        for percent in &settings.envelope_percent {
            // Spent is also what refuses the next question although a little is left.
            let reached =
                i128::from(spent) * 100 >= i128::from(of) * i128::from(*percent) || (*percent >= 100 && refused);
            if reached {
                found.push(share(window, *percent, spent, of, now));
            }
        }
    }
    found.extend(unusual_hour(settings, &spend.hours, now));
    found
}

fn share(window: &Window, percent: u32, spent: i64, of: i64, now: Timestamp) -> Finding {
    let (spent_text, of_text, label) = (format_nanos(spent), format_nanos(of), &window.label);
    Finding {
        // With its base: of another envelope it is another share, and is told again.
        id: format!("envelope/{label}/{percent}@{of_text}"),
        reason: "envelope",
        percent: Some(percent),
        window: label.clone(),
        spent_euro_nanos: spent,
        base_euro_nanos: of,
        at: now,
        message: format!("{percent} % of the town's envelope of {label} are reached: {spent_text} of {of_text} EUR."),
        message_fr: format!(
            "{percent} % de l'enveloppe de la commune pour {label} sont atteints : {spent_text} EUR sur {of_text} EUR."
        ),
    }
}

/// The current hour against the median of the same hour of the days before.
fn unusual_hour(settings: &AlertConfig, hours: &[i64], now: Timestamp) -> Option<Finding> {
    let (current, before) = hours.split_first()?;
    let usual = median(before);
    let bound = settings.hourly_floor_euro_nanos.max(usual.saturating_mul(i64::from(settings.hourly_factor)));
    if settings.hourly_factor == 0 || *current <= bound {
        return None;
    }
    let window = now.strftime("%Y-%m-%dT%HZ").to_string();
    let (spent, usually) = (format_nanos(*current), format_nanos(usual));
    Some(Finding {
        id: format!("hour/{window}"),
        reason: "hour",
        percent: None,
        window: window.clone(),
        spent_euro_nanos: *current,
        base_euro_nanos: usual,
        at: now,
        message: format!("The town has spent {spent} EUR in the hour {window}, where {usually} EUR are usual."),
        message_fr: format!(
            "La commune a dépensé {spent} EUR pendant l'heure {window} (UTC) ; d'ordinaire c'est {usually} EUR."
        ),
    })
}

/// The lower median; zero of nothing.
fn median(values: &[i64]) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::ledger::Totals;
    use crate::quota::Calendar;

    const EURO: i64 = 1_000_000_000;

    fn settings() -> AlertConfig {
        AlertConfig {
            envelope_percent: vec![50, 80, 95, 100],
            hourly_factor: 4,
            hourly_floor_euro_nanos: EURO,
            interval: Duration::from_secs(1),
            webhook: None,
        }
    }

    fn found(month: i64, refused: bool, hours: Vec<i64>) -> Vec<String> {
        let now = "2026-11-24T09:00:00Z".parse().unwrap();
        let windows = Calendar::new("Europe/Paris").unwrap().windows(now);
        let envelope = Envelope { euro_nanos_per_month: 1_000 * EURO, euro_nanos_per_year: 10_000 * EURO };
        let used = Totals { euro_nanos: month, ..Totals::default() };
        let spend =
            TownSpend { month_used: used, year_used: used, month_refused: refused, hours, ..TownSpend::default() };
        findings(&settings(), envelope, &windows, &spend, now).into_iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn shares_are_of_the_envelope_and_reached_to_the_nano() {
        assert!(found(500 * EURO - 1, false, vec![]).is_empty());
        assert_eq!(found(500 * EURO, false, vec![]), ["envelope/2026-11/50@1000.00"]);
        assert_eq!(found(950 * EURO, false, vec![]).len(), 3);
        assert!(found(1_000 * EURO, false, vec![]).contains(&"envelope/2026-11/100@1000.00".to_owned()));
    }

    #[test]
    fn an_envelope_that_refuses_somebody_is_spent_although_a_little_is_left() {
        let ids = found(999 * EURO, true, vec![]);
        assert_eq!(ids.last().map(String::as_str), Some("envelope/2026-11/100@1000.00"));
    }

    #[test]
    fn an_hour_is_unusual_against_the_same_hour_of_other_days_and_above_the_floor() {
        let usual = |current| {
            let mut hours = vec![current];
            hours.extend([2 * EURO; 28]);
            found(0, false, hours)
        };
        assert!(usual(8 * EURO).is_empty());
        assert_eq!(usual(8 * EURO + 1), ["hour/2026-11-24T09Z"]);
        assert!(found(0, false, vec![EURO]).is_empty(), "cents in an empty town are no alarm");
        assert_eq!(found(0, false, vec![EURO + 1, 0, 0]).len(), 1);
    }

    proptest! {
        #[test]
        fn more_spending_never_takes_an_alert_back(less in 0i64..2_000 * EURO, more in 0i64..2_000 * EURO) {
            let (less, more) = (less.min(more), less.max(more));
            let (few, many) = (found(less, false, vec![less]), found(more, false, vec![more]));
            prop_assert!(few.iter().all(|id| many.contains(id)));
        }

        #[test]
        fn a_median_stands_in_the_middle(values in proptest::collection::vec(0i64..1 << 50, 1..60)) {
            let middle = median(&values);
            let below = values.iter().filter(|value| **value < middle).count();
            let above = values.iter().filter(|value| **value > middle).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }
    }
}
