//! Puts another configuration into force while the process serves: prices, euro rates, plans, routes, the envelope,
//! vendors' keys, the mairie's token, certificates.
//!
//! The configuration's files are the truth. They are read again when one of them changes, at SIGHUP, or when somebody
//! recorded other terms in the ledger (`passerelle config apply`). All of it is put into force, or nothing: files that
//! cannot be used change nothing. What else is in the configuration (addresses, deadlines) takes effect at the next start,
//! and that is said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::files::FolderWatch;
use super::tls::Certificates;
use crate::clock::Clock;
use crate::config::{Config, Resetting, Source, SourceFile};
use crate::http::MairieToken;
use crate::ledger::{Difference, Ledger};
use crate::pipeline::Pipeline;
use crate::shutdown::Shutdown;
use crate::telemetry::{metrics, set_level};
use crate::terms::{CurrentTerms, Terms};

/// How often the ledger is asked whether somebody recorded other terms: one point read.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before files are read again that could not be put into force, and how often files are looked at whose
/// changes the system may not tell of.
const RETRY: Duration = Duration::from_secs(10);

/// How long files must be left alone before they are read: a certificate and its key are written one after the other.
const QUIET: Duration = Duration::from_millis(300);
/// How long at most that is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Who changed the terms, in the ledger's log of changes, when nobody said so.
const FILE_WATCH: &str = "file watch";

/// Sections whose changes are no terms, and are told key by key.
const NO_TERMS: &[&str] = &["mairie.", "providers.", "server."];

/// Differences that are told one by one in the log; of more, the ledger's log of changes has all.
const MOST_LINES: usize = 100;

/// Tells operators that what was read last is in force.
pub(super) fn in_force(now: Timestamp) {
    metrics().reload_successful.set(1);
    metrics().reloaded.set(now.as_second());
}

/// Reads the configuration again; the error is what is wrong with it, in sentences.
pub type Loader = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Reads the configuration again and puts it into force. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    pub(super) terms: CurrentTerms,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) mairie_token: MairieToken,
    pub(super) certificates: Certificates,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) load: Loader,
    pub(super) asked: Arc<Notify>,
    pub(super) known: Arc<Mutex<Known>>,
}

/// What is known of the files.
pub(super) struct Known {
    /// The last that could be used.
    source: Source,
    /// What was wrong with them the last time, if it was.
    mistake: Option<String>,
}

impl Known {
    /// Of a configuration that was just read.
    pub(super) fn new(source: Source) -> Self {
        Self { source, mistake: None }
    }
}

impl Reloader {
    /// Asks for a reload soon, by whatever runs [`Reloader::watch`].
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Reads the configuration and puts it into force for requests that come from now on; writes into the ledger who
    /// changed which terms, and into the log what else differs. Blocks on files.
    ///
    /// # Errors
    /// A sentence; what is in force then stays.
    pub fn reload(&self, actor: &str, reason: &str) -> Result<Vec<Difference>, String> {
        self.reload_and(actor, reason, &mut self.known())
    }

    /// One reload after the other: `known` is held all the time.
    fn reload_and(&self, actor: &str, reason: &str, known: &mut Known) -> Result<Vec<Difference>, String> {
        // Before reading: what is written meanwhile is another change.
        known.source.files = present(&known.source.files);
        let result = self.try_reload(actor, reason);
        self.conclude(actor, result, known)
    }

    fn conclude(
        &self,
        actor: &str,
        result: Result<(Vec<Difference>, Source), String>,
        known: &mut Known,
    ) -> Result<Vec<Difference>, String> {
        let label = if result.is_ok() { "completed" } else { "refused" };
        metrics().terms_reloads.with_label_values(&[label]).inc();
        let result = match result {
            Ok((differences, source)) => {
                tell(actor, &differences, &source.settings.since(&known.source.settings));
                *known = Known::new(source);
                Ok(differences)
            }
            Err(error) => {
                tracing::error!(%error, "the configuration could not be read again; what is in force stays");
                known.mistake = Some(error.clone());
                Err(error)
            }
        };
        // Last: who waits for it finds everything else done.
        match &result {
            Ok(_) => in_force(self.clock.now()),
            Err(_) => metrics().reload_successful.set(0),
        }
        result
    }

    fn try_reload(&self, actor: &str, reason: &str) -> Result<(Vec<Difference>, Source), String> {
        let config = (self.load)()?;
        let now = self.clock.now();
        let terms = Terms::new(&config, &self.clock);
        self.terms.check(&terms)?;
        self.certificates.check(&config.server.tls, now)?;
        // First the record, then the force: a price that cannot be written down is not applied.
        let differences = terms.record(&self.ledger, actor, reason, now).map_err(|error| error.to_string())?;
        // Nothing fails from here on.
        self.terms.replace(terms);
        self.pipeline.replace_keys(&config.providers);
        self.mairie_token.replace(config.mairie_token);
        self.certificates.replace(&config.server.tls);
        if let Err(error) = set_level(&config.log_level) {
            tracing::error!(error, "the level of the log stays");
        }
        if self.certificates.needs_restart(&config.server.tls) {
            tracing::warn!("server.tls: a listener begins or ceases to speak TLS at the next start only");
        }
        Ok((differences, config.source))
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

    /// Reloads when one of the configuration's files has changed, until shutdown begins. Files with a mistake are read
    /// again now and then: what is wrong may be mended in a file that is not known yet.
    pub async fn watch_files(self, shutdown: Shutdown) {
        let mut watch = None;
        while !shutdown.has_retired() {
            let (reloader, former) = (self.clone(), watch.take());
            let looked = tokio::task::spawn_blocking(move || reloader.look_at_files(former)).await;
            let Ok((mut watching, again)) = looked else {
                // A mistake of ours, which was told.
                tokio::time::sleep(RETRY).await;
                continue;
            };
            tokio::select! {
                () = std::future::ready(()), if again => settle_down(&mut watching).await,
                () = watching.changed() => settle_down(&mut watching).await,
                () = tokio::time::sleep(RETRY) => {}
                () = shutdown.retired() => return,
            }
            watch = Some(watching);
        }
    }

    /// Watches the files as they are known, and reloads if they are not as they were. True when they changed meanwhile.
    fn look_at_files(&self, watch: Option<FolderWatch>) -> (FolderWatch, bool) {
        let mut known = self.known();
        // First watched, then looked at: what changes in between is noticed one way or the other.
        let watch = FolderWatch::renewed(watch, &known.source.files);
        // Whether it is refused is told by metrics and log.
        if known.source.files.iter().any(SourceFile::has_changed) {
            let _told = self.reload_and(FILE_WATCH, "a file changed", &mut known);
        } else if let Some(former) = known.mistake.clone() {
            let result = self.try_reload(FILE_WATCH, "a mistake was mended");
            // The same again is not told again.
            if result.as_ref().err() != Some(&former) {
                let _told = self.conclude(FILE_WATCH, result, &mut known);
            }
        }
        let watch = FolderWatch::renewed(Some(watch), &known.source.files);
        let again = known.source.files.iter().any(SourceFile::has_changed);
        (watch, again)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same files in their present state.
fn present(files: &[SourceFile]) -> Vec<SourceFile> {
    files.iter().map(|file| SourceFile::now(file.path.clone())).collect()
}

/// Waits until files are left alone.
async fn settle_down(watch: &mut FolderWatch) {
    let end = Instant::now() + LONGEST_WAIT;
    while Instant::now() < end && timeout(QUIET, watch.changed()).await.is_ok() {}
}

/// Tells what is in force now that was not before, and what is not.
fn tell(actor: &str, differences: &[Difference], resettings: &[Resetting]) {
    tracing::info!(actor, differences = differences.len(), "the configuration was read again and is in force");
    for difference in differences.iter().take(MOST_LINES) {
        let (before, after) = (difference.before.as_deref(), difference.after.as_deref());
        tracing::info!(subject = %difference.subject, before, after, "changed");
    }
    for resetting in resettings {
        if !resetting.at_once {
            tracing::warn!("{resetting}: takes effect at the next start");
        } else if NO_TERMS.iter().any(|section| resetting.key.starts_with(section)) {
            tracing::info!("{resetting}");
        }
    }
}
