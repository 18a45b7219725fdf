//! Traces of requests, and the way they go to a collector: OTLP over HTTP, off unless an address is configured.
//!
//! Spans are made whole from what is known at the end of a request, and put into a bounded queue: a collector that is slow
//! or gone costs spans, which are counted, and nothing else. It must not know what spans are about.

mod context;
mod export;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample, SpanData};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use context::{Caller, TraceContext};

use super::metrics;
use export::{Collector, export};

/// Requests whose spans may wait to be sent.
const QUEUE: usize = 2_048;

/// Where traces go, and how many.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The collector's address for traces, up to and with its path.
    pub url: String,
    /// Headers sent with every batch; their values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// Share of the requests that are recorded, of those that belong to nobody's trace yet: 0 to 1.
    pub sample_ratio: f64,
    /// What the collector is told of this process: `service.name` and others.
    pub resource: Vec<(String, String)>,
}

/// What makes traces and sends them. Cheap to clone; [`Traces::default`] makes none and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Message>,
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    closing: CancellationToken,
    ended: CancellationToken,
}

/// What is put into the queue.
enum Message {
    /// The spans of one request.
    Spans(Vec<SpanData>),
    /// Whoever asks hears when everything before has been sent or dropped.
    Flush(oneshot::Sender<()>),
}

impl Traces {
    /// Starts to send what is recorded from now on, in a task of the runtime that this is called in.
    ///
    /// # Errors
    /// A sentence when the HTTP client cannot be built.
    pub fn start(settings: &TraceSettings) -> Result<Self, String> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let collector = Collector::new(settings)?;
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let task = export(collector, messages, closing.clone(), ended.clone().drop_guard());
        #[expect(
            clippy::disallowed_methods,
            reason = "it sends what the last tracked task leaves: `close` ends it, after them"
        )]
        drop(tokio::spawn(task));
        Ok(Self(Some(Arc::new(Shared {
            queue,
            sampler: Sampler::TraceIdRatioBased(settings.sample_ratio),
            ids: RandomIdGenerator::default(),
            scope: InstrumentationScope::builder("passerelle").with_version(env!("CARGO_PKG_VERSION")).build(),
            closing,
            ended,
        }))))
    }

    /// The trace that a request belongs to, if any: the caller's, or one of its own where it is drawn to be recorded.
    ///
    /// A caller's trace is recorded if the caller records it. Where no trace is sent anywhere, the caller's is still known
    /// by its id, and passed on as it came.
    pub fn begin(&self, caller: Option<Caller>) -> Option<TraceContext> {
        match (&self.0, caller) {
            (None, None) => None,
            (None, Some(caller)) => Some(TraceContext::passed_on(caller)),
            (Some(shared), Some(caller)) => Some(TraceContext::continued(caller, shared.ids.new_span_id())),
            (Some(shared), None) => {
                let trace_id = shared.ids.new_trace_id();
                let drawn = shared.sampler.should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]).decision;
                (drawn == SamplingDecision::RecordAndSample)
                    .then(|| TraceContext::new(trace_id, shared.ids.new_span_id()))
            }
        }
    }

    /// An id for a span, where spans are made.
    pub fn span_id(&self) -> Option<SpanId> {
        self.0.as_ref().map(|shared| shared.ids.new_span_id())
    }

    /// What makes our spans, as they say.
    pub fn scope(&self) -> InstrumentationScope {
        self.0.as_ref().map(|shared| shared.scope.clone()).unwrap_or_default()
    }

    /// Puts the spans of one request on their way; where too many wait they are dropped and counted.
    pub fn send(&self, spans: Vec<SpanData>) {
        let Some(shared) = &self.0 else { return };
        if let Err(refused) = shared.queue.try_send(Message::Spans(spans))
            && let Message::Spans(spans) = refused.into_inner()
        {
            dropped(spans.len());
        }
    }

    /// Waits until what was recorded so far has been sent or dropped.
    pub async fn flush(&self) {
        let Some(shared) = &self.0 else { return };
        let (tell, told) = oneshot::channel();
        if shared.queue.send(Message::Flush(tell)).await.is_ok() {
            let _ended_meanwhile = told.await;
        }
    }

    /// Sends what waits, once and for no longer than `patience`, and takes nothing more.
    pub async fn close(&self, patience: Duration) {
        let Some(shared) = &self.0 else { return };
        shared.closing.cancel();
        if tokio::time::timeout(patience, shared.ended.cancelled()).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

/// Counts spans that nobody will see.
fn dropped(spans: usize) {
    metrics().spans_dropped.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
}
