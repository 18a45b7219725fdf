//! What a comparison needs to know beside the ledger, from the terms in force.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::config::Config;
use crate::http::Examine;
use crate::ledger::{Ledger, ReportData, StoreError};
use crate::quota::Calendar;
use crate::report::evidence::{Buyer, Evidence, Facts};
use crate::report::{self, Period, Report};
use crate::terms::{CurrentTerms, EVALUATION};

/// Reads the evidence of a period under the terms in force at that moment.
#[derive(Clone, Debug)]
pub struct Examiner {
    ledger: Ledger,
    terms: CurrentTerms,
    hosts: BTreeMap<String, Vec<String>>,
    calendar: Calendar,
    limit_seconds: u64,
    clock: Clock,
}

impl Examiner {
    /// Reads from `ledger`.
    pub fn new(config: &Config, ledger: Ledger, terms: CurrentTerms, clock: Clock) -> Self {
        Self {
            ledger,
            terms,
            hosts: config.providers.iter().map(|vendor| (vendor.id.to_string(), vendor.hosts.clone())).collect(),
            calendar: config.calendar.clone(),
            limit_seconds: config.upstream.transport.deadlines.total.as_secs(),
            clock,
        }
    }

    /// The books and the evidence of `period`, of one reading; with other `weights` than the configured ones, if given.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read.
    pub fn read(
        &self,
        period: &Period,
        weights: Option<BTreeMap<String, u32>>,
    ) -> Result<(Report, Evidence), StoreError> {
        let data = self.ledger.report_data(&period.from.to_string(), &period.to.to_string())?;
        let books = report::build_of(&self.ledger, &data, period, self.limit_seconds, self.clock.now())?;
        Ok((books, self.evidence_of(data, period, weights)?))
    }

    fn evidence_of(
        &self,
        data: ReportData,
        period: &Period,
        weights: Option<BTreeMap<String, u32>>,
    ) -> Result<Evidence, StoreError> {
        let terms = self.terms.get();
        let comparison = &terms.comparison;
        let yardsticks = &comparison.yardsticks;
        let now = self.clock.now();
        let facts = Facts {
            catalogue: &terms.catalogue,
            exchange_rates: &terms.exchange_rates,
            hosts: self.hosts.clone(),
            compared: comparison.models.clone(),
            evaluation: comparison.evaluation.map(|period| (period.from, period.to)),
            evaluation_subject: EVALUATION,
            buyer: Buyer {
                weights: weights.unwrap_or_else(|| comparison.weights.clone()),
                vat_basis_points: yardsticks.vat_basis_points,
                seat_euro_nanos: yardsticks.seat_euro_nanos,
                assumed_euro_nanos: yardsticks.assumed_euro_nanos,
                envelope_euro_nanos: terms.envelope.euro_nanos_per_year,
            },
            terms_digest: terms.digest(),
            limit_seconds: self.limit_seconds,
            today: self.calendar.date(now),
            now,
        };
        Evidence::read(&self.ledger, data, period, &facts)
    }
}

impl Examine for Examiner {
    fn evidence(&self, period: &Period) -> Result<Evidence, StoreError> {
        let data = self.ledger.report_data(&period.from.to_string(), &period.to.to_string())?;
        self.evidence_of(data, period, None)
    }
}
