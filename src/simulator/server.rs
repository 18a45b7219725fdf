//! The simulated vendor: its state and its routes.
//!
//! It must not know how a request is read or answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use jiff::civil::Date;
use jiff::tz::Offset;
use providers::Dialect;
use providers::catalogue::{Host, MISTRAL_TOML, Model, OPENAI_TOML, ProviderCatalogue};
use tokio::net::TcpListener;

use super::SimulatorSettings;
use super::books::{self, Books};
use super::calls::{Record, RecordedCall};
use super::figures::{self, Billing, Figures};
use super::refusal::Refusal;
use super::tokens::PromptCache;
use crate::clock::Clock;
use crate::shutdown::Shutdown;

/// Largest request body.
const BODY_BYTES: usize = 32 << 20;
/// Most bytes of an upload that are read before the connection is given up: above what either vendor takes.
const UPLOAD_BYTES: usize = 1 << 30;
/// How long calls in flight may take to end once shutdown begins; a hanging call would never.
const GRACE: Duration = Duration::from_secs(5);
/// The one key that every simulated vendor refuses.
pub(super) const BAD_KEY: &str = "bad-key";
/// The header in which a caller names its own request.
const REQUEST_ID: &str = "x-client-request-id";
/// The hosts it can stand for, by the catalogue's short names, and the path in front of `/v1`.
const HOSTS: [(&str, &str); 3] = [("global", ""), ("eu", "/eu"), ("us", "/us")];

/// A simulated vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    pub(super) settings: SimulatorSettings,
    pub(super) catalogue: ProviderCatalogue,
    clock: Clock,
    calls: AtomicU64,
    books: Mutex<Books>,
    record: Mutex<Record>,
    figures: Mutex<Figures>,
    cache: Mutex<PromptCache>,
}

/// The vendor behind one of its hosts.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) vendor: Arc<Vendor>,
    pub(super) host: Arc<Host>,
}

impl Vendor {
    /// A vendor with empty books.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub(super) fn new(settings: SimulatorSettings, clock: Clock) -> Result<Self, String> {
        settings.check()?;
        let shipped = if settings.dialect == Dialect::Mistral { MISTRAL_TOML } else { OPENAI_TOML };
        let text = settings.catalogue.as_deref().unwrap_or(shipped);
        let catalogue = ProviderCatalogue::parse(text).map_err(|error| error.to_string())?;
        let record = Mutex::new(Record::new(settings.record_calls));
        let figures = Mutex::new(Figures::new(&settings.disagreements, &catalogue));
        Ok(Self {
            settings,
            catalogue,
            clock,
            calls: AtomicU64::new(0),
            books: Mutex::default(),
            record,
            figures,
            cache: Mutex::default(),
        })
    }

    /// A copy of its books.
    pub(super) fn books(&self) -> Books {
        locked(&self.books).clone()
    }

    /// The calls it remembers.
    pub(super) fn recorded(&self) -> Vec<RecordedCall> {
        locked(&self.record).calls().to_vec()
    }

    /// Counts a call that arrived; gives its number, and where it is recorded, if it is.
    pub(super) fn arrival(&self, headers: &HeaderMap) -> (u64, Option<usize>) {
        locked(&self.books).calls += 1;
        let request_id = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let recorded = locked(&self.record).arrival(request_id);
        (self.calls.fetch_add(1, Ordering::Relaxed), recorded)
    }

    /// Notes which model a recorded call asks for.
    pub(super) fn note_model(&self, recorded: Option<usize>, model: &Model) {
        locked(&self.record).model(recorded, &model.id);
    }

    /// Counts a refusal or a failure.
    pub(super) fn count_error(&self) {
        locked(&self.books).errors += 1;
    }

    /// Counts a call that hangs.
    pub(super) fn count_hang(&self) {
        locked(&self.books).hangs += 1;
    }

    /// Counts an answer that the vendor would keep.
    pub(super) fn count_stored(&self) {
        locked(&self.books).stored += 1;
    }

    /// Bills a call: complete, or cut by the client.
    pub(super) fn bill(&self, billing: &Billing<'_>, recorded: Option<usize>) {
        let nanos = books::price(billing.row, billing.uplift_percent, billing.tokens);
        // The record first: who finds the call in the books finds its bill there.
        locked(&self.record).bill(recorded, nanos, billing.complete);
        locked(&self.figures).record(billing, self.clock.now());
        let mut books = locked(&self.books);
        if billing.complete {
            books.answered += 1;
        } else {
            books.cut_by_client += 1;
        }
        books.bill(&billing.model.id, billing.tokens, nanos);
    }

    /// The figures that it publishes.
    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        locked(&self.figures)
    }

    /// Input tokens found in the prompt cache.
    pub(super) fn cached(&self, prefixes: &[(u64, u64)]) -> u64 {
        if prefixes.is_empty() { 0 } else { locked(&self.cache).look_up(prefixes) }
    }

    /// Today, as the vendor's invoice sees it.
    pub(super) fn date(&self) -> Date {
        Offset::UTC.to_datetime(self.clock.now()).date()
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Checks the key of a request.
    ///
    /// # Errors
    /// The vendor's 401.
    pub(super) fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = match header.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => "",
        };
        if key.is_empty() || key == BAD_KEY {
            return Err(Refusal::unauthorized(self.settings.dialect, key));
        }
        Ok(())
    }

    /// Puts the vendor's own headers on a response; `id` is 128 random bits.
    pub(super) fn sign(&self, mut response: Response, id: u128) -> Response {
        let (name, value) = match self.settings.dialect {
            Dialect::Mistral => ("mistral-correlation-id", uuid::Uuid::from_u128(id).to_string()),
            Dialect::Openai | Dialect::Compatible => ("x-request-id", format!("req_{id:032x}")),
        };
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A lock whose holder panicked still guards plain numbers.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The routes of a vendor, for each of its hosts.
pub(super) fn router(vendor: &Arc<Vendor>) -> Router {
    let mut router = Router::new()
        .route("/simulator/books", get(read_books))
        .route("/simulator/calls", get(read_calls))
        .fallback(no_route)
        .with_state(Arc::clone(vendor));
    for (id, prefix) in HOSTS {
        if let Some(host) = vendor.catalogue.host(id) {
            let door = Door { vendor: Arc::clone(vendor), host: Arc::new(host.clone()) };
            let routes = Router::new()
                .route(&format!("{prefix}/v1/chat/completions"), post(super::chat::chat))
                .route(&format!("{prefix}/v1/embeddings"), post(super::embeddings::embeddings))
                .route(&format!("{prefix}/v1/moderations"), post(super::moderations::moderations))
                .route(
                    &format!("{prefix}/v1/audio/transcriptions"),
                    post(super::transcriptions::transcriptions).layer(DefaultBodyLimit::max(UPLOAD_BYTES)),
                )
                .route(&format!("{prefix}/v1/models"), get(super::models::list))
                .with_state(door.clone());
            router = router.merge(routes);
            if vendor.settings.dialect != Dialect::Mistral {
                let route = Router::new()
                    .route(&format!("{prefix}/v1/responses"), post(super::responses::responses))
                    .route(&format!("{prefix}/v1/organization/usage/{{kind}}"), get(figures::openai_usage))
                    .route(&format!("{prefix}/v1/organization/costs"), get(figures::openai_costs));
                router = router.merge(route.with_state(door));
            } else {
                let route = Router::new().route(&format!("{prefix}/v1/admin/usage"), get(figures::mistral_usage));
                router = router.merge(route.with_state(door));
            }
        }
    }
    router.layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// Serves until shutdown begins, then lets calls in flight end within a grace.
pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "the simulator could not switch Nagle's algorithm off");
        }
    });
    let asked = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { asked.begun().await });
    let patience = async {
        shutdown.begun().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the simulator stopped");
            }
        }
        () = patience => tracing::debug!("the simulator left calls that would not end"),
    }
}

async fn read_books(State(vendor): State<Arc<Vendor>>) -> Json<Books> {
    Json(vendor.books())
}

async fn read_calls(State(vendor): State<Arc<Vendor>>) -> Json<Vec<RecordedCall>> {
    Json(vendor.recorded())
}

async fn no_route(State(vendor): State<Arc<Vendor>>, method: Method, uri: Uri) -> Refusal {
    Refusal::no_route(vendor.settings.dialect, method.as_str(), uri.path())
}
