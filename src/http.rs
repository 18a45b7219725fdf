//! What the three listeners serve: the residents' endpoint, the mairie's, the operators'.
//!
//! A layer here looks at method, path, headers, sizes and time; whatever needs the resident, the model or money is a
//! stage of the pipeline. It must not decide anything about them.

mod answer;
mod body;
mod duels;
mod endpoints;
mod entered;
mod error;
mod events;
mod mairie;
mod middleware;
mod models;
mod openapi;
mod ops;
mod probes;
mod token;
mod trace;
mod transcriptions;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::duels::Duels;
use crate::identity::Directory;
use crate::ledger::{Ledger, StoreError};
use crate::pipeline::Pipeline;
use crate::probes::Probes;
use crate::quota::Calendar;
use crate::report::Period;
use crate::report::evidence::Evidence;
use crate::shutdown::Shutdown;
use crate::telemetry::Traces;
use crate::trail::Listener;

pub use error::ApiError;
pub use token::MairieToken;
pub use transcriptions::UploadSettings;

/// What the handlers share, cheap to clone: each request does so several times.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

impl From<Shared> for AppState {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The parts of an [`AppState`].
pub struct Shared {
    /// Answers requests.
    pub pipeline: Arc<Pipeline>,
    /// Runs blind duels.
    pub duels: Duels,
    /// The town's own questions.
    pub probes: Probes,
    /// Recognises residents.
    pub directory: Directory,
    /// Read for figures.
    pub ledger: Ledger,
    /// Windows and local time.
    pub calendar: Calendar,
    /// Time.
    pub clock: Clock,
    /// Whether the process is stopping.
    pub shutdown: Shutdown,
    /// Requests that may be served at the same time; each permit lives as long as the answer's body.
    pub requests: Arc<Semaphore>,
    /// Bytes that all long bodies in hand may take, from their receipt until a vendor has begun to answer.
    pub bodies: Arc<Semaphore>,
    /// Recordings that may be received and sent on at the same time.
    pub uploads: Arc<Semaphore>,
    /// How they are received.
    pub upload: UploadSettings,
    /// Longest body, in bytes.
    pub max_body_bytes: usize,
    /// How long a client may take to send its request.
    pub request_read: Duration,
    /// How long a stream may be silent before a comment keeps it alive.
    pub keep_alive: Duration,
    /// Longest time a whole call may take: failures count as longer in the report.
    pub total_limit: Duration,
    /// Reads what comparisons are made from.
    pub examiner: Arc<dyn Examine>,
    /// The mairie's token.
    pub mairie_token: MairieToken,
    /// Records requests.
    pub traces: Traces,
}

/// Reads the evidence of a period under the terms in force.
pub trait Examine: Send + Sync {
    /// The evidence of `period`.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read.
    fn evidence(&self, period: &Period) -> Result<Evidence, StoreError>;
}

impl FromRef<AppState> for Directory {
    fn from_ref(state: &AppState) -> Self {
        state.directory.clone()
    }
}

/// The residents' listener. Web pages of `cors_origins` may call it from a browser.
pub fn public_router(state: AppState, cors_origins: &[String]) -> Router {
    let router = Router::new().route("/openapi.json", get(openapi::openapi_json)).route("/", get(openapi::welcome));
    // Clients differ in whether a base address ends in /v1: both work. Not nested: that would take two boxes and write a
    // new address for each request.
    let router = ["/v1", ""].into_iter().fold(router, api_routes);
    let router = with_layers(router, state, Listener::Public);
    if cors_origins.is_empty() {
        return router;
    }
    // Outermost: a browser asks first, without a key.
    router.layer(middleware::cors(cors_origins))
}

/// The endpoints below `base`.
fn api_routes(router: Router<AppState>, base: &str) -> Router<AppState> {
    let at = |path: &str| format!("{base}{path}");
    router
        .route(&at("/chat/completions"), post(endpoints::chat_completions))
        .route(&at("/responses"), post(endpoints::responses))
        .route(&at("/responses/{*rest}"), any(endpoints::stored_response))
        .route(&at("/embeddings"), post(endpoints::embeddings))
        .route(&at("/moderations"), post(endpoints::moderations))
        // Its own bounds are kept while the form is read.
        .route(&at("/audio/transcriptions"), post(transcriptions::transcriptions).layer(DefaultBodyLimit::disable()))
        .route(&at("/duels"), post(duels::ask))
        .route(&at("/duels/{id}/vote"), post(duels::vote))
        .route(&at("/models"), get(models::list_models))
        .route(&at("/models/{*id}"), get(models::get_model))
        .route(&at("/usage"), get(usage::get_usage))
}

/// The mairie's listener.
pub fn mairie_router(state: AppState) -> Router {
    let router = Router::new()
        .route("/admin/v1/report", get(mairie::report))
        .route("/admin/v1/comparison", get(mairie::comparison))
        .route("/admin/v1/stops", get(mairie::stops).post(mairie::set_stop))
        .route("/admin/v1/probes", get(probes::get_probes).post(probes::begin_round))
        .route("/admin/v1/changes", get(mairie::changes));
    with_layers(router, state, Listener::Mairie)
}

/// The operators' listener.
pub fn ops_router(state: AppState) -> Router {
    let router = Router::new()
        .route("/metrics", get(ops::metrics))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/ledgerz", get(ops::ledgerz));
    with_layers(router, state, Listener::Ops)
}

/// What every listener has: its own words for what is not there, and what happens around every answer.
fn with_layers(router: Router<AppState>, state: AppState, listener: Listener) -> Router {
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::AroundLayer::new(state.clone(), listener))
        .with_state(state)
}
