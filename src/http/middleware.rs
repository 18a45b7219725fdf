//! What is true for any request: its id, its line in the log, its count in the metrics.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use tower::{Layer, Service};
use tower_http::cors::CorsLayer;
use uuid::Uuid;

use super::error::Told;
use super::{AppState, error, trace};
use crate::telemetry::metrics;
use crate::trail::{Beginning, Ended, Listener, Trail};

/// Name of the header that carries the request id.
pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Set to `true` by a client that puts passages of the town's own pages before its questions.
static LOCAL_PASSAGES: HeaderName = HeaderName::from_static("x-passerelle-local-passages");

/// Request headers that OpenAI's clients send from a browser; a `*` would not cover `authorization`.
const CORS_REQUEST_HEADERS: &[&str] = &[
    "openai-organization",
    "openai-project",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];
/// Answer headers that a page may read.
const CORS_ANSWER_HEADERS: &[&str] = &[
    "x-request-id",
    "retry-after",
    "x-should-retry",
    "x-passerelle-provider",
    "x-passerelle-model",
    "x-passerelle-host",
    "x-passerelle-cost-eur",
    "x-passerelle-dropped-params",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// Which web pages may call from a browser: those of `origins`.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
    let names = |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
    let mut requested = names(CORS_REQUEST_HEADERS);
    requested.extend([header::AUTHORIZATION, header::CONTENT_TYPE]);
    CorsLayer::new()
        .allow_origin(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(requested)
        .expose_headers(names(CORS_ANSWER_HEADERS))
}

/// What the handlers read of a head beside the key: typed, because a copy of all headers would cost more than both.
pub(super) struct Head {
    /// Our id of the request.
    pub(super) request_id: String,
    /// The client put passages of the town's own pages before the question, and says so.
    pub(super) local_passages: bool,
    /// Where operators find it again.
    pub(super) trail: Trail,
    user_agent: Option<HeaderValue>,
}

impl Head {
    /// How the client names itself; empty where it does not.
    pub(super) fn user_agent(&self) -> &str {
        self.user_agent.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Head {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let request_id = parts.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Self {
            request_id,
            local_passages: parts.headers.get(&LOCAL_PASSAGES).is_some_and(|value| value == "true"),
            trail: parts.extensions.get::<Trail>().cloned().unwrap_or_default(),
            user_agent: parts.headers.get(header::USER_AGENT).cloned(),
        })
    }
}

/// Puts [`Around`] around every route.
#[derive(Clone)]
pub(super) struct AroundLayer {
    state: AppState,
    listener: Listener,
}

impl AroundLayer {
    pub(super) fn new(state: AppState, listener: Listener) -> Self {
        Self { state, listener }
    }
}

impl Layer<Route> for AroundLayer {
    type Service = Around;

    fn layer(&self, route: Route) -> Around {
        Around { state: self.state.clone(), listener: self.listener, route }
    }
}

/// What happens around every answer, whatever the route. One service and not five layers, with a future of its own:
/// each would take a box and a copy of the stack below it for every request.
///
/// A panic becomes a 500. Keys are hidden from whatever prints headers. The request gets an id of ours, for the handlers
/// and in the answer for the client; a client's own is not taken over: it could be anything. A count and a [`Trail`] are left, by matched route; never the raw path, a header or a body.
#[derive(Clone)]
pub(super) struct Around {
    state: AppState,
    listener: Listener,
    route: Route,
}

impl Service<Request> for Around {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.route, context)
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let state = self.state.clone();
        let started = state.clock.tick();
        let id = new_request_id();
        let headers = request.headers_mut();
        for name in [header::AUTHORIZATION, header::COOKIE] {
            if let Some(value) = headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        headers.insert(REQUEST_ID.clone(), id.clone());
        let beginning = Beginning {
            listener: self.listener,
            request_id: id.to_str().unwrap_or_default(),
            method: trace::method_word(request.method()),
            started,
            caller: trace::caller(request.headers()),
        };
        let trail = Trail::of_request(beginning, &state.traces, &state.clock);
        // A handle and no data: what the handlers know is noted through it.
        request.extensions_mut().insert(trail.clone());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let answer = self.route.call(request);
        Answering { state, id, route, trail: Some(trail), answer }
    }
}

fn new_request_id() -> HeaderValue {
    let mut id = *b"req_................................";
    Uuid::now_v7().simple().encode_lower(&mut id[4..]);
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("req"))
}

/// The answer to one request.
pub(super) struct Answering {
    state: AppState,
    id: HeaderValue,
    route: Option<MatchedPath>,
    /// Until the head is on its way.
    trail: Option<Trail>,
    answer: RouteFuture<Infallible>,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = &mut self.answer;
        let polled = catch_unwind(AssertUnwindSafe(|| answer.poll_unpin(context)));
        let response = match polled {
            Ok(polled) => {
                let Ok(response) = ready!(polled);
                response
            }
            Err(panic) => error::panicked(&*panic),
        };
        Poll::Ready(Ok(self.leave(response)))
    }
}

impl Answering {
    fn leave(&mut self, mut response: Response) -> Response {
        response.headers_mut().insert(REQUEST_ID.clone(), self.id.clone());
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let status = response.status();
        metrics().responses.with_label_values(&[route.unwrap_or("none"), status.as_str()]).inc();
        let told: Option<Told> = response.extensions_mut().remove();
        if let Some((what, trouble)) = told.as_ref().and_then(|told| told.trouble.as_ref()) {
            let id = self.id.to_str().unwrap_or_default();
            tracing::error!(request.id = id, trouble, "{what}");
        }
        let Some(trail) = self.trail.take() else { return response };
        trail.answered(route, status.as_u16(), told.map(|told| told.reason));
        if response.body().size_hint().exact().is_some() {
            // One piece: it is handed over with the head.
            trail.ended(Ended::Whole);
            return response;
        }
        let state = self.state.clone();
        response.map(|body| Body::new(FollowedBody { body, trail, state }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(trail) = self.trail.take() {
            trail.ended(broken_off(&self.state));
        }
    }
}

/// Why an answer did not come to its end.
fn broken_off(state: &AppState) -> Ended {
    if std::thread::panicking() {
        Ended::Panicked
    } else if state.shutdown.has_begun() {
        Ended::Stopped
    } else {
        Ended::ClientLeft
    }
}

/// The body of an answer that comes piece by piece: its end, or that it has none, goes into the request's line.
struct FollowedBody {
    body: Body,
    trail: Trail,
    state: AppState,
}

impl HttpBody for FollowedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None) = polled {
            self.trail.ended(Ended::Whole);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FollowedBody {
    fn drop(&mut self) {
        // The first word counts.
        self.trail.ended(broken_off(&self.state));
    }
}
