//! The life of a serving process: it answers, hands over or is asked to stop, ends what is in progress, settles, and leaves.
//!
//! It must not know what is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::handover::{Host, copies, forget_sockets};
use super::relay::Door;
use super::server::{Hall, serve_relayed};
use super::tls::Certificates;
use super::{App, AppError, Listeners};
use crate::ledger::sweep_until_shutdown;

/// How long connections may take for what is already on its way once the last call is settled.
const LAST_BYTES: Duration = Duration::from_millis(500);

/// How long a collector may take for the last spans: a stop waits so much longer for one that is gone.
pub(super) const LAST_SPANS: Duration = Duration::from_secs(2);

impl App {
    /// Serves until shutdown begins or another process takes over, then lets answers in progress end, settles, and closes
    /// the ledger.
    ///
    /// # Errors
    /// [`AppError`] when the alerts' client cannot be built, the sockets cannot be shared or the last writes are lost.
    pub async fn run(mut self, listeners: Listeners) -> Result<(), AppError> {
        let shutdown = self.state.shutdown.clone();
        let (ledger, traces) = (self.state.ledger.clone(), self.state.traces.clone());
        let gate = Gate::new();
        let host = self.host(&gate, &listeners)?;
        // Doors stay open until the last call is settled: who comes meanwhile hears 503 and when to come back, and not a
        // refused connection.
        let settled = CancellationToken::new();
        let relayed = self.relayed();
        let halls = Halls::new(&self, &gate, &settled);
        // Before the former process hears that it may leave: a service manager must know whom to follow when it does.
        if let Some(ready) = self.ready.take() {
            ready();
        }
        self.begin_duties()?;
        let (patience, longest_call) = (self.patience, self.longest_call);
        let stopping = async {
            shutdown.begun().await;
            let deadline = Instant::now() + patience;
            if !shutdown.finish(patience).await {
                tracing::error!("some calls could not be settled in time; their holds stay until their leases end");
            }
            settled.cancel();
            tokio::time::sleep_until(deadline.max(Instant::now() + LAST_BYTES)).await;
        };
        let handed_over = async {
            gate.passed_on().await;
            tokio::time::sleep(longest_call).await;
        };
        let probes = self.state.probes.clone();
        let serving = async {
            halls.serve(listeners, relayed).await;
            if gate.has_passed_on() {
                // A round that began here ends here.
                probes.ended().await;
            }
        };
        tokio::select! {
            () = serving => {}
            () = stopping => tracing::warn!("some connections were still open at the end of server.shutdown_seconds"),
            () = handed_over => tracing::warn!("some connections outlived the longest call, and are cut"),
            () = host.run() => {}
        }
        shutdown.begin();
        if !shutdown.finish(patience).await {
            tracing::error!("some calls could not be settled in time; their holds stay until their leases end");
        }
        if !gate.has_passed_on() {
            forget_sockets(&self.ledger_path);
        }
        ledger.close().await?;
        // Last, with what the last connections left behind.
        traces.close(LAST_SPANS).await;
        Ok(())
    }

    fn host(&self, gate: &Gate, listeners: &Listeners) -> Result<Host, AppError> {
        let sockets = copies(listeners).map_err(|error| AppError::Handover(error.to_string()))?;
        Ok(Host {
            path: self.ledger_path.clone(),
            gate: gate.clone(),
            ledger: self.state.ledger.clone(),
            terms: self.terms.clone(),
            shutdown: self.state.shutdown.clone(),
            sockets,
            patience: self.patience,
        })
    }

    /// Where a former process passes on what it still receives, if there is one.
    fn relayed(&mut self) -> Option<UnixListener> {
        self.taken.as_mut().and_then(super::Taken::relay)
    }

    /// Begins what the process does of its own accord.
    fn begin_duties(&mut self) -> Result<(), AppError> {
        let watcher = self.alerts()?;
        let (state, shutdown) = (&self.state, &self.state.shutdown);
        if let Some(taken) = self.taken.take() {
            // Before the first request, and before the other process hears that it may pass requests on.
            let elsewhere = taken.count(&self.terms);
            shutdown.spawn(taken.serve(elsewhere, self.terms.clone(), shutdown.clone()));
        }
        shutdown.spawn(sweep_until_shutdown(state.ledger.clone(), state.clock.clone(), self.sweep, shutdown.clone()));
        shutdown.spawn(watcher.watch(shutdown.clone()));
        // Also without a budget: the next terms may have one.
        shutdown.spawn(state.probes.keep_timetable());
        shutdown.spawn(self.certificates.clone().remind(state.clock.clone(), shutdown.clone()));
        if let Some(reloader) = self.reloader.take() {
            if self.watch_files {
                shutdown.spawn(reloader.clone().watch_files(shutdown.clone()));
            }
            shutdown.spawn(reloader.watch(shutdown.clone()));
        }
        Ok(())
    }
}

/// The three listeners' halls.
struct Halls {
    public: Arc<Hall>,
    mairie: Arc<Hall>,
    ops: Arc<Hall>,
}

impl Halls {
    fn new(app: &App, gate: &Gate, settled: &CancellationToken) -> Self {
        let hall = |door, tls, router| Hall::new(door, tls, router, &app.connections, gate, settled);
        let Certificates { public, mairie, .. } = app.certificates.clone();
        Self {
            public: hall(Door::Public, public, app.public_router()),
            mairie: hall(Door::Mairie, mairie, app.mairie_router()),
            ops: hall(Door::Ops, None, app.ops_router()),
        }
    }

    async fn serve(self, listeners: Listeners, relayed: Option<UnixListener>) {
        let Self { public, mairie, ops } = self;
        let halls = [Arc::clone(&public), Arc::clone(&mairie), Arc::clone(&ops)];
        let relayed = async {
            if let Some(listener) = relayed {
                serve_relayed(listener, halls).await;
            }
        };
        tokio::join!(public.serve(listeners.public), mairie.serve(listeners.mairie), ops.serve(listeners.ops), relayed);
    }
}
