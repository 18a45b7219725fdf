//! A collector of traces on a loopback port, which decodes what it is sent and remembers it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

#[derive(Default)]
struct Taken {
    batches: Vec<ExportTraceServiceRequest>,
    raw: Vec<u8>,
    headers: Vec<HeaderMap>,
    paths: Vec<String>,
    refusals: VecDeque<u16>,
    rejects: i64,
}

#[derive(Clone)]
pub struct Collector {
    taken: Arc<Mutex<Taken>>,
    pub endpoint: String,
}

impl Collector {
    pub async fn start() -> Self {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(take).with_state(Arc::clone(&taken));
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { taken, endpoint }
    }

    /// The next batches are refused with these statuses.
    pub fn refuse(&self, statuses: impl IntoIterator<Item = u16>) {
        self.taken.lock().unwrap().refusals.extend(statuses);
    }

    /// Batches are taken, less so many spans.
    pub fn reject(&self, spans: i64) {
        self.taken.lock().unwrap().rejects = spans;
    }

    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.batches.iter().flat_map(|batch| &batch.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What the process says of itself.
    pub fn resource(&self) -> Vec<(String, String)> {
        let taken = self.taken.lock().unwrap();
        let resource = taken.batches[0].resource_spans[0].resource.as_ref().unwrap();
        resource.attributes.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
    }

    /// Every attempt to hand a batch over: its path and headers.
    pub fn attempts(&self) -> Vec<(String, HeaderMap)> {
        let taken = self.taken.lock().unwrap();
        taken.paths.iter().cloned().zip(taken.headers.iter().cloned()).collect()
    }

    /// Everything that was sent, as it came and as it reads.
    pub fn everything(&self) -> Vec<u8> {
        let taken = self.taken.lock().unwrap();
        let mut bytes = taken.raw.clone();
        bytes.extend(format!("{:?}", taken.batches).into_bytes());
        bytes
    }
}

async fn take(State(state): State<Arc<Mutex<Taken>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut taken = state.lock().unwrap();
    taken.raw.extend_from_slice(&body);
    taken.paths.push(uri.path().to_owned());
    taken.headers.push(headers);
    if let Some(status) = taken.refusals.pop_front() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    taken.batches.push(ExportTraceServiceRequest::decode(body).unwrap());
    let rejected = ExportTracePartialSuccess { rejected_spans: taken.rejects, error_message: "no room".to_owned() };
    ExportTraceServiceResponse { partial_success: (taken.rejects > 0).then_some(rejected) }
        .encode_to_vec()
        .into_response()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}

/// An attribute of a span as text; empty where it has none of that name.
pub fn attribute(span: &Span, name: &str) -> String {
    let found = |pair: &&KeyValue| pair.key == name;
    span.attributes.iter().find(found).map(|pair| text(pair.value.as_ref())).unwrap_or_default()
}
