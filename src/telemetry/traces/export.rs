//! The task that sends spans to a collector in batches, and what it does when nobody takes them.
//!
//! A batch is tried again as OTLP says, while new spans wait in the queue; where that is full they are dropped and counted.
//! A failure is told once in a while and not for each batch.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use providers::transport::{Notifier, Taken};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Message, TraceSettings, dropped};

/// Spans sent together.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(2);
/// How long a collector may take for a batch.
const DEADLINE: Duration = Duration::from_secs(10);
/// First pause before a batch is sent again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Times that a batch is sent before it is given up.
const TRIES: u32 = 5;
/// How often a collector in trouble is told of.
const TELL: Duration = Duration::from_secs(60);

/// Where spans are sent.
pub(super) struct Collector {
    notifier: Notifier,
    url: String,
    headers: Vec<(String, SecretString)>,
    resource: ResourceAttributesWithSchema,
    told: Option<Instant>,
}

/// Why a batch was not taken.
struct Refused {
    /// What is told: from a closed set, or the client's own words.
    why: String,
    /// When to send it again, if it is worth it; zero where the collector has not said.
    again: Option<Duration>,
}

impl Collector {
    /// A collector that nothing has been sent to yet.
    ///
    /// # Errors
    /// A sentence when the HTTP client cannot be built.
    pub(super) fn new(settings: &TraceSettings) -> Result<Self, String> {
        let attributes = settings.resource.iter();
        let attributes = attributes.map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        Ok(Self {
            notifier: Notifier::new(DEADLINE)?,
            url: settings.url.clone(),
            headers: settings.headers.clone(),
            resource: ResourceAttributesWithSchema::from(&resource),
            told: None,
        })
    }

    async fn send(&self, body: Bytes) -> Result<u64, Refused> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret().to_owned())).collect();
        let answer = self.notifier.hand_over(&self.url, "application/x-protobuf", &headers, body).await;
        let Taken { status, retry_after, body } = answer.map_err(|why| Refused { why, again: Some(Duration::ZERO) })?;
        match status {
            // An answer that cannot be read rejects nothing.
            200..=299 => Ok(rejected(&body)),
            429 | 502..=504 => {
                Err(Refused { why: format!("status {status}"), again: Some(retry_after.unwrap_or_default()) })
            }
            _ => Err(Refused { why: format!("status {status}"), again: None }),
        }
    }

    /// Sends a batch until it is taken or given up; once `closing`, it is sent one time.
    async fn deliver(&mut self, spans: Vec<SpanData>, closing: &CancellationToken) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len();
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let body = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let mut pause = FIRST_PAUSE;
        for number in 1..=TRIES {
            let refused = match self.send(body.clone()).await {
                Ok(0) => return,
                Ok(rejected) => {
                    self.tell("it rejected some");
                    return dropped(usize::try_from(rejected).unwrap_or(usize::MAX).min(count));
                }
                Err(refused) => refused,
            };
            self.tell(&refused.why);
            let Some(wait) = refused.again.filter(|_| number < TRIES && !closing.is_cancelled()) else { break };
            tokio::select! {
                () = tokio::time::sleep(wait.max(pause).min(LONGEST_PAUSE)) => {}
                () = closing.cancelled() => {}
            }
            pause *= 2;
        }
        dropped(count);
    }

    fn tell(&mut self, why: &str) {
        let last = self.told.filter(|told| told.elapsed() < TELL);
        if last.is_none() {
            self.told = Some(Instant::now());
            tracing::warn!(why, "spans are not taken by the collector of telemetry.otlp_endpoint");
        }
    }
}

/// Spans that a collector took the batch of and did not want.
fn rejected(body: &Bytes) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body.clone()).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

/// Sends what comes until `closing`, then what is there; `_ended` tells that it is over.
pub(super) async fn export(
    mut collector: Collector,
    mut messages: mpsc::Receiver<Message>,
    closing: CancellationToken,
    _ended: DropGuard,
) {
    loop {
        let first = tokio::select! {
            biased;
            first = messages.recv() => first,
            () = closing.cancelled() => None,
        };
        let Some(first) = first else { return };
        let Batch { spans, asked } = gather(first, &mut messages, &closing).await;
        collector.deliver(spans, &closing).await;
        if let Some(asked) = asked {
            let _gone = asked.send(());
        }
    }
}

/// Spans to be sent together, and who wants to hear of it.
#[derive(Default)]
struct Batch {
    spans: Vec<SpanData>,
    asked: Option<oneshot::Sender<()>>,
}

async fn gather(first: Message, messages: &mut mpsc::Receiver<Message>, closing: &CancellationToken) -> Batch {
    let mut batch = Batch::default();
    let until = Instant::now() + GATHERING;
    let mut next = Some(first);
    while let Some(message) = next.take() {
        match message {
            Message::Spans(spans) => batch.spans.extend(spans),
            Message::Flush(asked) => {
                batch.asked = Some(asked);
                break;
            }
        }
        if batch.spans.len() >= BATCH {
            break;
        }
        next = tokio::select! {
            biased;
            message = timeout_at(until, messages.recv()) => message.ok().flatten(),
            () = closing.cancelled() => None,
        };
    }
    batch
}
