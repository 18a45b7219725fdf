//! Bytes to and from a vendor's host, behind one tower stack per vendor.
//!
//! The stack, outermost first: circuit breaker · concurrency permit · deadlines · HTTP. The permit and the deadlines
//! live on in the body of the answer, because a stream goes on long after its head. It must not know dialects beyond
//! the shape of a request and an answer.

mod address;
mod breaker;
mod client;
mod deadline;
mod get;
mod notify;
mod permit;
mod signs;
mod visit;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;

use crate::Dialect;
use crate::error::{ErrorKind, ProviderError};
use crate::pieces::Pieces;
use crate::upload::Upload;

pub(crate) use address::{Addresses, authorization};
pub use breaker::BreakerSettings;
pub use client::ClientPool;
pub use deadline::Deadlines;
pub use get::{AdminKey, Getter};
pub use notify::{Notifier, Taken};
pub use signs::{SignReader, VendorSigns};
pub use visit::{Unreachable, Visit, Visitor};

use breaker::{Breaker, BreakerLayer};
use client::send;
use deadline::DeadlineLayer;
use permit::PermitLayer;
use signs::Heads;

/// The body of an answer as it arrives.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, ProviderError>> + Send>>;

/// A call on its way to a vendor.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// Whole address.
    pub url: Url,
    /// The vendor's key as a header, if it has one; never printed.
    pub authorization: Option<HeaderValue>,
    /// What is sent.
    pub body: UpstreamBody,
    /// Whether an event stream is expected.
    pub stream: bool,
    /// The request id, forwarded so that a vendor's log can be matched.
    pub request_id: String,
    /// The trace that the call belongs to, where the host is told of it.
    pub trace: Option<TraceHeaders>,
}

/// The headers of W3C Trace Context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHeaders {
    /// The trace, and the span that the call is.
    pub traceparent: String,
    /// What other systems keep in the trace; may be empty.
    pub tracestate: String,
}

/// The body of a call. Cheap to clone, so that an attempt can be repeated.
#[derive(Clone, Debug)]
pub enum UpstreamBody {
    /// JSON.
    Json(Bytes),
    /// A form with a file.
    Form(Form),
}

/// A form with a file, read from disk as it is sent.
#[derive(Clone, Debug)]
pub struct Form {
    /// Fields in their order; a name may come twice.
    pub fields: Vec<(String, String)>,
    /// The file, sent as `file`.
    pub file: Upload,
}

/// The head of a vendor's answer, and its body to be read. Within the stack each layer puts its own around the body, and
/// none of them a box.
pub struct UpstreamResponse<B = BodyStream> {
    /// HTTP status.
    pub status: http::StatusCode,
    /// Headers of the vendor; never forwarded as they are.
    pub headers: HeaderMap,
    /// The body; it holds the concurrency permit.
    pub body: B,
}

/// The type of a finished stack.
pub type UpstreamService = BoxCloneSyncService<UpstreamRequest, UpstreamResponse, ProviderError>;

/// Settings of one vendor's stack.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// The four deadlines.
    pub deadlines: Deadlines,
    /// Most calls open at once towards the vendor.
    pub max_concurrency: usize,
    /// How long a call may wait for a permit.
    pub permit_wait: Duration,
    /// When to stop calling a failing vendor.
    pub breaker: BreakerSettings,
}

/// Builds the stack of one vendor, which sends through `pool` and reads errors in `dialect`, and what reads its signs.
pub fn stack(settings: &TransportSettings, pool: Arc<ClientPool>, dialect: Dialect) -> (UpstreamService, SignReader) {
    let (heads, breaker) = (Arc::new(Heads::default()), Arc::new(Breaker::new(settings.breaker)));
    let signs = SignReader::new(Arc::clone(&heads), Arc::clone(&breaker));
    let service = ServiceBuilder::new()
        .map_response(UpstreamResponse::boxed)
        .layer(BreakerLayer::new(breaker))
        .layer(PermitLayer::new(settings.max_concurrency, settings.permit_wait))
        .layer(DeadlineLayer::new(settings.deadlines))
        .service_fn(move |request| send(Arc::clone(&pool), Arc::clone(&heads), dialect, request));
    (BoxCloneSyncService::new(service), signs)
}

impl<B: Stream<Item = Result<Bytes, ProviderError>> + Send + 'static> UpstreamResponse<B> {
    /// The same, whatever its body is made of.
    fn boxed(self) -> UpstreamResponse {
        UpstreamResponse { status: self.status, headers: self.headers, body: Box::pin(self.body) }
    }
}

/// Reads a body of at most `limit` bytes to its end. One that comes in one piece is not copied.
///
/// # Errors
/// As the body's, or [`ErrorKind::Protocol`] for a longer one.
pub(crate) async fn read_whole(mut body: BodyStream, limit: usize) -> Result<Bytes, ProviderError> {
    let mut pieces = Pieces::default();
    while let Some(piece) = body.try_next().await? {
        if pieces.len() + piece.len() > limit {
            return Err(ProviderError::new(ErrorKind::Protocol, "The vendor's answer is longer than can be read."));
        }
        pieces.push(piece);
    }
    Ok(pieces.whole())
}

#[cfg(test)]
mod tests;
