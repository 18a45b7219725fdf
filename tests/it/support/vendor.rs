//! A scripted vendor on a loopback port: it answers what the test told it, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What to do with the next call. An empty script answers "Bonjour." with 10 + 20 tokens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A whole answer or stream, by what is asked, with this text and usage.
    Say { text: String, input: u64, output: u64, model: Option<String> },
    /// An HTTP status with this body.
    Status(u16, String),
    /// Never a byte.
    Hang,
    /// A stream of `pieces`, one every `gap`, and then `end`.
    Stream { pieces: u32, gap: Duration, end: End },
    /// A 200 with a body that is not JSON.
    Garbage,
    /// A 200 with this body, of this media type.
    Body(&'static str, String),
}

/// How a scripted stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Finish reason, usage, `[DONE]`.
    Proper,
    /// The connection breaks.
    Cut,
    /// Finish reason and usage, and then the connection breaks before `[DONE]`.
    CutAfterUsage,
    /// Nothing more ever comes.
    Silence,
}

/// A call as the vendor got it.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    /// The JSON sent; null where it was no JSON.
    pub body: Value,
    /// What was sent, as it came.
    pub raw: Bytes,
}

#[derive(Clone)]
struct Shared {
    mistral: bool,
    script: Arc<Mutex<VecDeque<Step>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    /// How many calls arrived.
    arrived: watch::Sender<usize>,
    /// Whether calls are answered, or wait at the gate.
    gate: watch::Sender<bool>,
    /// What every answer's head says beside.
    head: Arc<Mutex<Vec<(&'static str, String)>>>,
}

pub struct Vendor {
    shared: Shared,
    pub base_url: String,
    root: String,
}

impl Vendor {
    pub async fn openai() -> Self {
        Self::start(false).await
    }

    pub async fn mistral() -> Self {
        Self::start(true).await
    }

    async fn start(mistral: bool) -> Self {
        let shared = Shared {
            mistral,
            script: Arc::default(),
            calls: Arc::default(),
            arrived: watch::Sender::new(0),
            gate: watch::Sender::new(true),
            head: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(shared.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { shared, base_url: format!("{root}/v1"), root }
    }

    pub fn eu_url(&self) -> String {
        format!("{}/eu/v1", self.root)
    }

    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.script.lock().unwrap().extend(steps);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// From now on calls arrive and are kept waiting, until the gate is opened.
    pub fn close_gate(&self) {
        self.shared.gate.send_replace(false);
    }

    /// Answers the calls that wait, and those that come.
    pub fn open_gate(&self) {
        self.shared.gate.send_replace(true);
    }

    /// From now on every answer's head says this beside.
    pub fn says(&self, head: impl IntoIterator<Item = (&'static str, String)>) {
        *self.shared.head.lock().unwrap() = head.into_iter().collect();
    }

    /// Waits until that many calls have arrived.
    pub async fn reached_by(&self, calls: usize) {
        self.shared.arrived.subscribe().wait_for(|arrived| *arrived >= calls).await.unwrap();
    }
}

async fn answer(state: State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (mistral, head) = (state.mistral, state.head.lock().unwrap().clone());
    let mut response = scripted(state, uri, headers, body).await;
    let name = if mistral { "mistral-correlation-id" } else { "x-request-id" };
    // What the vendors' edges send beside: it concerns the town's account, and must stay here.
    for (name, value) in [
        (name, "vendor-request-1"),
        ("set-cookie", "__cf_bm=secret"),
        ("x-ratelimit-remaining-requests", "4711"),
        ("openai-organization", "org-of-the-town"),
        ("access-control-allow-origin", "*"),
        ("strict-transport-security", "max-age=1"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    for (name, value) in head {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn scripted(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, raw: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let streamed = body["stream"] == true;
    let asked = body["model"].as_str().unwrap_or_default().to_owned();
    shared.calls.lock().unwrap().push(Call { path: uri.path().to_owned(), headers, body, raw });
    shared.arrived.send_modify(|arrived| *arrived += 1);
    shared.gate.subscribe().wait_for(|open| *open).await.unwrap();
    let step = shared.script.lock().unwrap().pop_front();
    let step = step.unwrap_or(Step::Say { text: "Bonjour.".to_owned(), input: 10, output: 20, model: None });
    match step {
        Step::Say { text, input, output, model } => {
            let model = model.unwrap_or(asked);
            let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
            if streamed {
                let frames = frames(&shared, &model, &[&text], &usage);
                sse(stream::iter(frames.into_iter().map(Ok::<_, std::io::Error>)))
            } else {
                let message = json!({"role": "assistant", "content": text, "refusal": null});
                let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
                axum::Json(json!({"id": "x1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}))
                    .into_response()
            }
        }
        Step::Status(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Step::Hang => std::future::pending().await,
        Step::Garbage => "<html>".into_response(),
        Step::Body(media_type, body) => ([("content-type", media_type)], body).into_response(),
        Step::Stream { pieces, gap, end } => scripted_stream(&shared, &asked, pieces, gap, end),
    }
}

fn scripted_stream(shared: &Shared, model: &str, pieces: u32, gap: Duration, end: End) -> Response {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": pieces, "total_tokens": 10 + pieces});
    let texts = vec!["mot "; pieces as usize];
    let mut frames = frames(shared, model, &texts, &usage);
    match end {
        End::Proper => {}
        End::CutAfterUsage => frames.truncate(frames.len() - 1),
        End::Cut | End::Silence => frames.truncate(1 + pieces as usize),
    }
    let frames: VecDeque<String> = frames.into();
    sse(stream::unfold((frames, end), move |(mut frames, end)| async move {
        match frames.pop_front() {
            Some(frame) => {
                tokio::time::sleep(gap).await;
                Some((Ok(frame), (frames, end)))
            }
            None if matches!(end, End::Cut | End::CutAfterUsage) => {
                // What was sent goes out first: a connection that breaks at once may take it along.
                tokio::time::sleep(gap).await;
                Some((Err(std::io::Error::other("cut")), (frames, End::Proper)))
            }
            None if end == End::Silence => std::future::pending().await,
            None => None,
        }
    }))
}

/// The frames of a stream in the vendor's own order.
fn frames(shared: &Shared, model: &str, texts: &[&str], usage: &Value) -> Vec<String> {
    let chunk = |delta: Value, reason: Value, usage: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let mut chunk =
            json!({"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]});
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let mut frames = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null, Value::Null)];
    frames.extend(texts.iter().map(|text| chunk(json!({"content": text}), Value::Null, Value::Null)));
    if shared.mistral {
        frames.push(chunk(json!({"content": ""}), "stop".into(), usage.clone()));
    } else {
        frames.push(chunk(json!({}), "stop".into(), Value::Null));
        let last = json!({"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [], "usage": usage});
        frames.push(format!("data: {last}\n\n"));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

fn sse(frames: impl futures_util::Stream<Item = Result<String, std::io::Error>> + Send + 'static) -> Response {
    ([("content-type", "text/event-stream")], Body::from_stream(frames)).into_response()
}
