//! Puts other terms into force while the process serves: prices, euro rates, plans, routes, the envelope.
//!
//! The configuration's files are the truth. They are read again at SIGHUP, or when somebody recorded other terms in the
//! ledger (`passerelle config apply`). Files that cannot be used change nothing. What else is in the configuration
//! (addresses, vendors, deadlines) takes effect at the next start.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{Difference, Ledger};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;
use crate::terms::{CurrentTerms, Terms};

/// How often the ledger is asked whether somebody recorded other terms: one point read.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before files are read again that could not be put into force.
const RETRY: Duration = Duration::from_secs(10);

/// Tells operators that what was read last is in force.
pub(super) fn in_force(now: Timestamp) {
    metrics().reload_successful.set(1);
    metrics().reloaded.set(now.as_second());
}

/// Reads the configuration again; the error is what is wrong with it, in sentences.
pub type Loader = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Reads the terms again and puts them into force. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    pub(super) terms: CurrentTerms,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) load: Loader,
    pub(super) asked: Arc<Notify>,
}

impl Reloader {
    /// Asks for a reload soon, by whatever runs [`Reloader::watch`].
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Reads the configuration and puts its terms into force for requests that come from now on; writes into the ledger
    /// who changed what. Blocks on files.
    ///
    /// # Errors
    /// A sentence; the terms in force then stay.
    pub fn reload(&self, actor: &str, reason: &str) -> Result<Vec<Difference>, String> {
        let result = self.try_reload(actor, reason);
        let label = if result.is_ok() { "completed" } else { "refused" };
        metrics().terms_reloads.with_label_values(&[label]).inc();
        match &result {
            Ok(differences) => {
                in_force(self.clock.now());
                tracing::info!(actor, differences = differences.len(), "the terms were read again and are in force");
            }
            Err(error) => {
                metrics().reload_successful.set(0);
                tracing::error!(%error, "the terms could not be read again; those in force stay");
            }
        }
        result
    }

    fn try_reload(&self, actor: &str, reason: &str) -> Result<Vec<Difference>, String> {
        let config = (self.load)()?;
        let terms = Terms::new(&config, &self.clock);
        self.terms.check(&terms)?;
        // First the record, then the force: a price that cannot be written down is not applied.
        let differences =
            terms.record(&self.ledger, actor, reason, self.clock.now()).map_err(|error| error.to_string())?;
        self.terms.replace(terms);
        Ok(differences)
    }

    /// Reloads when asked, and when the ledger knows other terms than those in force, until shutdown begins or another process takes over. What could
    /// not be put into force is tried again, more slowly: somebody has recorded it and believes that it is.
    pub async fn watch(self, shutdown: Shutdown) {
        let mut pause = LOOK;
        while !shutdown.has_retired() {
            let actor = tokio::select! {
                () = self.asked.notified() => Some("SIGHUP"),
                () = tokio::time::sleep(pause) => None,
                () = shutdown.retired() => return,
            };
            let reloader = self.clone();
            let looked = tokio::task::spawn_blocking(move || reloader.look(actor)).await;
            pause = if looked.unwrap_or(false) { LOOK } else { RETRY };
        }
    }

    /// One look; false when what was recorded or asked for is not in force.
    fn look(&self, asked_by: Option<&str>) -> bool {
        if let Some(actor) = asked_by {
            return self.reload(actor, "asked to read the files again").is_ok();
        }
        match Terms::recorded_digest(&self.ledger) {
            Ok(Some(recorded)) if recorded != self.terms.get().digest() => {
                self.reload("serve", "the files differ from what was recorded").is_ok()
            }
            // A store that cannot be read is told by those who need it.
            Ok(_) | Err(_) => true,
        }
    }
}
