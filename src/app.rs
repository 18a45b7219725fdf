//! The composition root: builds every part once, in order, and runs it until it is asked to stop.
//!
//! Listeners, clock and shutdown are arguments, so that tests bind port 0 and move time by hand.

mod facts;
mod files;
mod gate;
mod handover;
mod life;
mod relay;
mod reload;
mod server;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::alerts::Watcher;
use crate::clock::Clock;
use crate::config::{AlertConfig, Config, ConnectionConfig, Source};
use crate::duels::Duels;
use crate::http::{AppState, MairieToken, Shared, UploadSettings, mairie_router, ops_router, public_router};
use crate::identity::{Directory, Door, InstanceSecret};
use crate::ledger::Ledger;
use crate::pipeline::Pipeline;
use crate::probes::{Parts, Probes};
use crate::quota::WrongKeyGuard;
use crate::shutdown::Shutdown;
use crate::telemetry::Traces;
use crate::terms::{CurrentTerms, Terms};

pub use facts::Examiner;
pub use handover::{Successor, Taken};
use reload::Known;
pub use reload::{Loader, Reloader};
use tls::Certificates;

/// Why the process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({listener}): {error}; stop what uses it, or change server.{listener}")]
    Listen {
        /// Which of the three.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::StoreError),
    /// The instance's secret cannot be used.
    #[error("{0}")]
    Secret(String),
    /// Alerts cannot be sent.
    #[error("{0}")]
    Webhook(String),
    /// TLS cannot be spoken.
    #[error("server.tls: {0}")]
    Tls(String),
    /// The service manager's sockets cannot be used.
    #[error("{0}")]
    Sockets(String),
    /// The process that serves did not hand over.
    #[error("{0}")]
    Handover(String),
    /// Traces cannot be sent.
    #[error("{0}")]
    Traces(String),
}

/// The three listeners, bound.
#[derive(Debug)]
pub struct Listeners {
    /// Residents.
    pub public: TcpListener,
    /// The mairie.
    pub mairie: TcpListener,
    /// Operators.
    pub ops: TcpListener,
}

/// Where the process listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Residents.
    pub public: SocketAddr,
    /// The mairie.
    pub mairie: SocketAddr,
    /// Operators.
    pub ops: SocketAddr,
}

impl Listeners {
    /// Binds the configured addresses.
    ///
    /// # Errors
    /// [`AppError::Listen`] with the address that is taken.
    pub async fn bind(config: &Config) -> Result<Self, AppError> {
        let server = &config.server;
        Ok(Self {
            public: Self::adopt_or_bind("public", None, server.public).await?,
            mairie: Self::adopt_or_bind("mairie", None, server.mairie).await?,
            ops: Self::adopt_or_bind("ops", None, server.ops).await?,
        })
    }

    /// The listener that somebody else has bound already, or one on that address.
    ///
    /// # Errors
    /// [`AppError::Listen`] when the address is taken.
    pub async fn adopt_or_bind(
        listener: &'static str,
        bound: Option<TcpListener>,
        address: SocketAddr,
    ) -> Result<TcpListener, AppError> {
        match bound {
            Some(bound) => Ok(bound),
            None => TcpListener::bind(address).await.map_err(|error| AppError::Listen { listener, address, error }),
        }
    }

    /// The addresses in use.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            public: self.public.local_addr()?,
            mairie: self.mairie.local_addr()?,
            ops: self.ops.local_addr()?,
        })
    }
}

/// A gateway ready to serve.
pub struct App {
    state: AppState,
    terms: CurrentTerms,
    reloader: Option<Reloader>,
    alerts: AlertConfig,
    cors_origins: Vec<String>,
    connections: ConnectionConfig,
    certificates: Certificates,
    source: Source,
    watch_files: bool,
    sweep: Duration,
    patience: Duration,
    /// Longest time that a call in progress may take, reading on after its client has left included.
    longest_call: Duration,
    ledger_path: PathBuf,
    taken: Option<Taken>,
    ready: Option<Box<dyn FnOnce() + Send>>,
}

impl App {
    /// Opens the ledger and builds every part. `simulated` says whether its vendors are; a ledger never mixes the two.
    ///
    /// # Errors
    /// [`AppError`] when the ledger or the secret cannot be used.
    pub fn build(config: &Config, clock: Clock, shutdown: Shutdown, simulated: bool) -> Result<Self, AppError> {
        let secret = InstanceSecret::load_or_create(&config.secret_file).map_err(AppError::Secret)?;
        let ledger = Ledger::open_sqlite(&config.ledger)?;
        ledger.mark_simulated(simulated)?;
        let terms = terms_in_force(config, &ledger, &clock)?;
        let pipeline = Pipeline::new(config, terms.clone(), secret, ledger.clone(), clock.clone(), shutdown.clone());
        let pipeline = Arc::new(pipeline);
        let traces = config.traces.as_ref().map(Traces::start).transpose().map_err(AppError::Traces)?;
        let traces = traces.unwrap_or_default();
        let examiner = Examiner::new(config, ledger.clone(), terms.clone(), clock.clone());
        let parts = Parts {
            pipeline: Arc::clone(&pipeline),
            terms: terms.clone(),
            ledger: ledger.clone(),
            calendar: config.calendar.clone(),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
            traces: traces.clone(),
        };
        let state = AppState::from(Shared {
            pipeline,
            duels: duels(config, &parts),
            probes: Probes::new(parts),
            examiner: Arc::new(examiner),
            directory: Directory::new(ledger.clone(), terms.clone()).behind(door(config, &clock)),
            ledger,
            calendar: config.calendar.clone(),
            clock,
            shutdown,
            requests: permits(config.server.max_requests),
            bodies: permits(config.server.max_bodies_bytes),
            uploads: permits(config.server.max_uploads),
            upload: upload(config),
            max_body_bytes: config.server.max_body_bytes,
            request_read: config.server.connections.request_read,
            keep_alive: config.server.keep_alive,
            total_limit: config.upstream.transport.deadlines.total,
            mairie_token: MairieToken::new(config.mairie_token.clone()),
            traces,
        });
        Ok(Self {
            state,
            terms,
            reloader: None,
            alerts: config.alerts.clone(),
            cors_origins: config.server.cors_origins.clone(),
            connections: config.server.connections.clone(),
            certificates: Certificates::new(&config.server.tls).map_err(AppError::Tls)?,
            source: config.source.clone(),
            watch_files: config.server.watch_files,
            sweep: config.sweep,
            patience: config.server.shutdown,
            longest_call: config.lease,
            ledger_path: config.ledger.path.clone(),
            taken: None,
            ready: None,
        })
    }

    /// Goes on from where the process stood that handed over.
    pub fn take_over(&mut self, taken: Taken) {
        self.taken = Some(taken);
    }

    /// Lets the configuration be read again while serving; gives what does it.
    pub fn reload_by(&mut self, load: Loader) -> Reloader {
        let reloader = Reloader {
            terms: self.terms.clone(),
            pipeline: Arc::clone(&self.state.pipeline),
            mairie_token: self.state.mairie_token.clone(),
            certificates: self.certificates.clone(),
            ledger: self.state.ledger.clone(),
            clock: self.state.clock.clone(),
            load,
            asked: Arc::default(),
            known: Arc::new(Mutex::new(Known::new(self.source.clone()))),
        };
        self.reloader = Some(reloader.clone());
        reloader
    }

    /// What tells of the town's spending, to be looked through by whoever has it.
    ///
    /// # Errors
    /// [`AppError::Webhook`] when its HTTP client cannot be built.
    pub fn alerts(&self) -> Result<Watcher, AppError> {
        let Shared { ledger, calendar, clock, .. } = &*self.state;
        Watcher::new(self.alerts.clone(), ledger.clone(), self.terms.clone(), calendar.clone(), clock.clone())
            .map_err(AppError::Webhook)
    }

    /// What records requests, to be waited for by whoever reads its spans.
    pub fn traces(&self) -> &Traces {
        &self.state.traces
    }

    /// The ledger that the app writes.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The town's probes.
    pub fn probes(&self) -> &Probes {
        &self.state.probes
    }

    /// The mairie's routes, for calling them without a socket.
    pub fn mairie_router(&self) -> Router {
        mairie_router(self.state.clone())
    }

    /// The operators' routes, for calling them without a socket.
    pub fn ops_router(&self) -> Router {
        ops_router(self.state.clone())
    }

    /// The residents' routes, for calling them without a socket.
    pub fn public_router(&self) -> Router {
        public_router(self.state.clone(), &self.cors_origins)
    }

    /// Calls `ready` once requests are answered, and nobody else answers them.
    pub fn when_ready(&mut self, ready: impl FnOnce() + Send + 'static) {
        self.ready = Some(Box::new(ready));
    }

    /// Ends an app that serves nobody: settles what is in progress, and closes the ledger.
    ///
    /// # Errors
    /// [`AppError`] when the last writes are lost.
    pub async fn close(self) -> Result<(), AppError> {
        let Self { state, patience, .. } = self;
        state.shutdown.begin();
        if !state.shutdown.finish(patience).await {
            tracing::error!("some calls could not be settled in time; their holds stay until their leases end");
        }
        state.ledger.close().await?;
        state.traces.close(life::LAST_SPANS).await;
        Ok(())
    }
}

/// What runs duels, from the same parts as what runs probes.
fn duels(config: &Config, parts: &Parts) -> Duels {
    let Parts { pipeline, ledger, calendar, clock, shutdown, .. } = parts;
    let patience = config.server.keep_alive;
    Duels::new(Arc::clone(pipeline), ledger.clone(), calendar.clone(), clock.clone(), shutdown.clone(), patience)
}

/// The terms of the configuration, written into the ledger where they are other ones than before.
fn terms_in_force(config: &Config, ledger: &Ledger, clock: &Clock) -> Result<CurrentTerms, AppError> {
    let terms = CurrentTerms::new(Terms::new(config, clock));
    let changed = terms.get().record(ledger, "serve", "found at the start", clock.now())?;
    if !changed.is_empty() {
        tracing::info!(differences = changed.len(), "the terms in force are written into the ledger");
    }
    reload::in_force(clock.now());
    Ok(terms)
}

/// How recordings are received: beside the ledger.
fn upload(config: &Config) -> UploadSettings {
    UploadSettings {
        folder: config.ledger.path.parent().map(Path::to_owned).unwrap_or_default(),
        max_bytes: config.server.max_upload_bytes,
        read: config.server.upload_read,
    }
}

/// What stands before the directory.
fn door(config: &Config, clock: &Clock) -> Door {
    let guard = config.wrong_keys.map(|rate| WrongKeyGuard::new(rate, clock.clone()));
    Door::new(guard, &config.server.trusted_proxies)
}

/// So many permits, or as many as there can be.
fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
