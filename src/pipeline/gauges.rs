//! What operators are shown of vendors and of the terms in force, read when somebody asks and not kept up to date.
//!
//! It must not call anybody: what vendors said, they said in their last answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::ProviderId;
use providers::error::ErrorKind;
use providers::money::Currency;

use super::Pipeline;
use crate::ledger::Outcome;
use crate::telemetry::{Metrics, metrics};
use crate::terms::Terms;

/// What vendors limit.
const REQUESTS: &str = "requests";
const TOKENS: &str = "tokens";

/// Ends of attempts that alerts ask about.
const ENDS: [(Outcome, &str); 8] = [
    (Outcome::Completed, ""),
    (Outcome::Rejected, ErrorKind::Auth.label()),
    (Outcome::Rejected, ErrorKind::Connect.label()),
    (Outcome::Rejected, ErrorKind::RateLimited.label()),
    (Outcome::Rejected, ErrorKind::QuotaExhausted.label()),
    (Outcome::Rejected, ErrorKind::Overloaded.label()),
    (Outcome::Rejected, ErrorKind::Server.label()),
    (Outcome::Unknown, ErrorKind::FirstByteTimeout.label()),
];

/// Lets the counters of these vendors begin at zero: the first event of a series that it begins with shows no rate.
pub(super) fn begin<'a>(providers: impl Iterator<Item = &'a ProviderId>) {
    for provider in providers.map(ProviderId::as_str) {
        let _zero = metrics().fallbacks.with_label_values(&[provider]);
        for (outcome, error) in ENDS {
            let _zero = metrics().attempts.with_label_values(&[provider, outcome.as_str(), error]);
        }
    }
}

impl Pipeline {
    /// Sets the gauges of vendors (headroom, clock, breaker) and of the terms in force (ages of prices and rates, models
    /// that are switched off).
    pub fn show(&self, metrics: &Metrics) {
        let now = self.clock.now();
        for (provider, upstream) in &self.upstreams {
            let (provider, signs) = (provider.as_str(), upstream.signs());
            metrics.breaker_open.with_label_values(&[provider]).set(i64::from(signs.left_alone));
            for (resource, left) in [(REQUESTS, signs.requests_left), (TOKENS, signs.tokens_left)] {
                if let Some(left) = left {
                    metrics.headroom.with_label_values(&[provider, resource]).set(left);
                }
            }
            if let Some(time) = signs.time {
                metrics.clock_skew.with_label_values(&[provider]).set(time.duration_since(now).as_secs_f64());
            }
        }
        show_terms(&self.terms.get(), now, metrics);
    }
}

fn show_terms(terms: &Terms, now: Timestamp, metrics: &Metrics) {
    // A catalogue that is no longer in force must not go on ageing, nor a model be switched off that nobody asks for.
    metrics.catalogue_checked.reset();
    metrics.exchange_rate.reset();
    metrics.retires.reset();
    for provider in terms.catalogue.providers() {
        metrics.catalogue_checked.with_label_values(&[provider.id.as_str()]).set(beginning(provider.as_of));
        let newest = terms.exchange_rates.newest(provider.currency);
        if let Some(newest) = newest.filter(|_| provider.currency != Currency::Eur) {
            metrics.exchange_rate.with_label_values(&[provider.currency.code()]).set(beginning(newest));
        }
    }
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let targets = terms.routes.values().flat_map(|route| route.targets.iter().map(|target| &target.model));
    let asked: BTreeSet<&String> = targets.chain(&terms.comparison.models).collect();
    for resolved in asked.into_iter().filter_map(|id| terms.catalogue.resolve(id, today)) {
        if let Some(retires) = resolved.model.retires {
            let labels = &[resolved.provider.id.as_str(), &*resolved.model.id];
            metrics.retires.with_label_values(labels).set(beginning(retires));
        }
    }
}

/// When a day of a catalogue or of a table of rates begins: seconds since 1970, days being those of UTC.
fn beginning(day: Date) -> i64 {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_or(0, Timestamp::as_second)
}
