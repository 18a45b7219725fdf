//! Tells somebody in time: shares of the town's envelope, and an hour in which more is spent than usual.
//!
//! An alert follows from the state of the counters, not from a call that happened to cross a line, so that none is lost by
//! a restart or a pause; each is raised once a window, kept in the ledger, and sent until it was taken. It must not know
//! requests or residents: it reads the town's sums.

mod rule;
mod webhook;

use std::collections::HashMap;
use std::time::Duration;

use providers::transport::Notifier;

pub use rule::{Finding, findings};

use crate::clock::{Clock, Tick};
use crate::config::AlertConfig;
use crate::ledger::{Alert, Ledger, StoreError};
use crate::quota::Calendar;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;
use crate::terms::CurrentTerms;

/// Days whose same hour says what is usual.
const USUAL_DAYS: i64 = 28;
/// First pause before an alert is sent again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long a receiver may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Looks at the town's spending and sends what is to be told.
pub struct Watcher {
    settings: AlertConfig,
    ledger: Ledger,
    terms: CurrentTerms,
    calendar: Calendar,
    clock: Clock,
    notifier: Notifier,
    /// When an alert that was not taken is sent again.
    again: HashMap<String, Tick>,
}

impl Watcher {
    /// A watcher over the ledger's sums.
    ///
    /// # Errors
    /// A sentence when the HTTP client cannot be built.
    pub fn new(
        settings: AlertConfig,
        ledger: Ledger,
        terms: CurrentTerms,
        calendar: Calendar,
        clock: Clock,
    ) -> Result<Self, String> {
        let notifier = Notifier::new(DEADLINE)?;
        Ok(Self { settings, ledger, terms, calendar, clock, notifier, again: HashMap::new() })
    }

    /// Looks every interval until shutdown begins or another process takes over.
    pub async fn watch(mut self, shutdown: Shutdown) {
        while !shutdown.has_retired() {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "the town's spending could not be looked at and will be again");
            }
            let pause = tokio::time::sleep(self.settings.interval);
            tokio::select! { () = pause => {}, () = shutdown.retired() => return }
        }
    }

    /// Looks once: raises what is due, and sends what was not taken yet.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read or written; nothing is lost by it.
    pub async fn look(&mut self) -> Result<(), StoreError> {
        self.raise()?;
        self.deliver().await
    }

    fn raise(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let windows = self.calendar.windows(now);
        let mut hours = vec![now];
        hours.extend(self.calendar.same_time_on_days_before(now, USUAL_DAYS));
        let spend = self.ledger.town_spend(&windows, &hours)?;
        let envelope = self.terms.get().envelope;
        let spent = &metrics().town_spent;
        for (window, used, of) in [
            ("month", spend.month_used.euro_nanos, envelope.euro_nanos_per_month),
            ("year", spend.year_used.euro_nanos, envelope.euro_nanos_per_year),
        ] {
            spent.with_label_values(&[window]).set(used);
            metrics().town_envelope.with_label_values(&[window]).set(of);
        }
        spent.with_label_values(&["hour"]).set(spend.hours.first().copied().unwrap_or(0));
        for finding in findings(&self.settings, envelope, &windows, &spend, now) {
            let alert = Alert { id: finding.id.clone(), raised_at: now, body: finding.body(), attempts: 0 };
            if self.ledger.raise_alert(&alert)? {
                metrics().alerts_raised.with_label_values(&[finding.reason]).inc();
                tracing::warn!(alert.id = %finding.id, "{}", finding.message);
            }
        }
        Ok(())
    }

    async fn deliver(&mut self) -> Result<(), StoreError> {
        let Some(webhook) = self.settings.webhook.clone() else { return Ok(()) };
        for alert in self.ledger.undelivered_alerts()? {
            let now = self.clock.tick();
            if self.again.get(&alert.id).is_some_and(|again| *again > now) {
                continue;
            }
            let answer = webhook::send(&self.notifier, &webhook, &alert, self.clock.now()).await;
            let taken = matches!(answer, Ok(200..=299));
            let label = if taken { "completed" } else { "failed" };
            metrics().alert_deliveries.with_label_values(&[label]).inc();
            if taken {
                self.again.remove(&alert.id);
                self.ledger.note_delivery(&alert.id, Some(self.clock.now()))?;
                continue;
            }
            let doubled = FIRST_PAUSE.saturating_mul(1 << alert.attempts.min(16));
            self.again.insert(alert.id.clone(), now.plus(doubled.min(LONGEST_PAUSE)));
            self.ledger.note_delivery(&alert.id, None)?;
            tracing::error!(alert.id = %alert.id, ?answer, "an alert was not taken and will be sent again");
        }
        Ok(())
    }
}
