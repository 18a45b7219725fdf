//! A whole gateway in the test's process: real configuration, real ledger, real HTTP towards scripted vendors; only
//! its clock stands still, and residents call its router without a socket.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt;
use passerelle::alerts::Watcher;
use passerelle::app::{App, Reloader};
use passerelle::clock::Clock;
use passerelle::config::{Config, Environment, load};
use passerelle::identity::new_resident_key;
use passerelle::ledger::{Entry, Ledger};
use passerelle::probes::{Probes, RoundReport};
use passerelle::shutdown::Shutdown;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Vendor;

/// When every story begins: a Tuesday morning in Arcachon.
pub const START: &str = "2026-11-24T09:00:00Z";

pub struct TestGateway {
    pub openai: Vendor,
    pub mistral: Vendor,
    pub clock: Clock,
    pub shutdown: Shutdown,
    pub folder: PathBuf,
    router: Router,
    mairie: Router,
    ops: Router,
    probes: Probes,
    ledger: Ledger,
    app: Mutex<App>,
    reloader: Reloader,
    file: PathBuf,
}

/// What a resident got.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, code and Retry-After of a refusal in OpenAI's shape.
    pub fn refusal(&self) -> (u16, String, bool) {
        let body = self.json();
        let error = &body["error"];
        assert!(error["message"].is_string() && error["type"].is_string() && error.get("param").is_some(), "{error}");
        (
            self.status.as_u16(),
            error["code"].as_str().unwrap_or_default().to_owned(),
            self.headers.contains_key("retry-after"),
        )
    }
}

impl TestGateway {
    /// A gateway with the defaults and a generous rate.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// A gateway whose configuration is `overrides` (TOML) over the test's defaults.
    pub async fn with(overrides: &str) -> Self {
        Self::within(new_folder(), overrides).await
    }

    /// The same, with these files beside the configuration.
    pub async fn with_files(overrides: &str, files: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self::within(folder, overrides).await
    }

    /// Stops, and starts again on a copy of what it left on the disk, with new vendors; keys and books go on.
    pub async fn restarted(&self, overrides: &str) -> Self {
        self.settled().await;
        self.ledger.close().await.unwrap();
        let folder = new_folder();
        for file in std::fs::read_dir(&self.folder).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        let again = Self::within(folder, overrides).await;
        let elapsed = self.clock.now().duration_since(again.clock.now());
        again.clock.advance(elapsed.unsigned_abs());
        again
    }

    /// A gateway on what is in `folder`, such as a ledger that was put back there; it goes with the gateway.
    pub async fn on(folder: &Path, overrides: &str) -> Self {
        Self::within(folder.to_owned(), overrides).await
    }

    async fn within(folder: PathBuf, overrides: &str) -> Self {
        let (openai, mistral) = (Vendor::openai().await, Vendor::mistral().await);
        let mut config: toml::Table = toml::from_str(&format!(
            r#"
            [ledger]
            path = "ledger.sqlite"
            durability = "normal"
            [identity]
            secret_file = "secret"
            [upstream]
            breaker_failures = 100
            max_attempts = 1
            [providers.openai]
            base_url = "{}"
            host_urls = {{ eu = "{}" }}
            [providers.mistral_ai]
            base_url = "{}"
            host_urls = {{ eu = "{}" }}
            [plans.resident]
            requests_per_minute = 10000
            burst = 10000
            simultaneous = 1000
            questions_per_day = 10000
            tokens_per_day = 100000000
            euros_per_month = "1000"
            "#,
            openai.base_url,
            openai.eu_url(),
            mistral.base_url,
            mistral.eu_url()
        ))
        .unwrap();
        merge(&mut config, toml::from_str(overrides).unwrap());
        let file = folder.join("test.toml");
        std::fs::write(&file, config.to_string()).unwrap();
        let config = read(&file).unwrap();
        let clock = Clock::manual(START.parse().unwrap());
        let shutdown = Shutdown::new();
        let mut app = App::build(&config, clock.clone(), shutdown.clone(), false).unwrap();
        let loaded = file.clone();
        let reloader = app.reload_by(Arc::new(move || read(&loaded)));
        Self {
            openai,
            mistral,
            clock,
            shutdown,
            folder,
            router: app.public_router(),
            mairie: app.mairie_router(),
            ops: app.ops_router(),
            probes: app.probes().clone(),
            ledger: app.ledger().clone(),
            app: Mutex::new(app),
            reloader,
            file,
        }
    }

    /// Changes the file that the gateway was started with, by `overrides` (TOML); it is not read again by that.
    pub fn rewrite(&self, overrides: &str) {
        let mut config: toml::Table = std::fs::read_to_string(&self.file).unwrap().parse().unwrap();
        merge(&mut config, toml::from_str(overrides).unwrap());
        std::fs::write(&self.file, config.to_string()).unwrap();
    }

    /// The file that the gateway was started with.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What that file says now.
    pub fn config(&self) -> Result<Config, String> {
        read(&self.file)
    }

    /// What reads the file again.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// What tells of the town's spending.
    pub fn alerts(&self) -> Watcher {
        self.app.lock().unwrap().alerts().unwrap()
    }

    /// Waits until what was recorded so far has been sent or dropped.
    pub async fn traced(&self) {
        let traces = self.app.lock().unwrap().traces().clone();
        traces.flush().await;
    }

    /// Sends what waits, as the end of the process does.
    pub async fn end_traces(&self, patience: Duration) {
        let traces = self.app.lock().unwrap().traces().clone();
        traces.close(patience).await;
    }

    /// The residents' routes, for a test that needs a real connection.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The town's own questions.
    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    /// Lets time pass in steps in which tasks do what is due.
    pub async fn pass_by(&self, time: Duration, step: Duration) {
        let end = self.clock.tick().plus(time);
        while self.clock.tick() < end {
            self.clock.advance(step);
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The same in steps that are short beside the distance of two probes.
    pub async fn pass(&self, time: Duration) {
        self.pass_by(time, Duration::from_millis(100)).await;
    }

    /// Lets time pass until no round of probes is under way; gives where the last one stands.
    pub async fn round_over(&self) -> RoundReport {
        let over = async {
            tokio::select! {
                biased;
                () = self.probes.ended() => {}
                () = self.pass(Duration::MAX) => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(60), over).await.unwrap();
        self.probes.report().unwrap()
    }

    /// What the mairie's listener answers.
    pub async fn ask_mairie(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        self.send_mairie(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn send_mairie(&self, request: Request<Body>) -> Answer {
        let response = self.mairie.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What `/metrics` answers to whoever accepts that.
    pub async fn scrape(&self, accept: &str) -> Answer {
        let request = Request::get("/metrics").header("accept", accept).body(Body::empty()).unwrap();
        let response = self.ops.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What one series says on `/metrics` now; `None` where there is none. Written as there: `name{label="value"}`.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.scrape("").await.text();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A new resident of the plan `resident`; gives the key.
    pub fn resident(&self) -> String {
        self.resident_of("resident")
    }

    pub fn resident_of(&self, plan: &str) -> String {
        let (key, record) = new_resident_key(plan, self.clock.now()).unwrap();
        self.ledger.add_keys(&[record]).unwrap();
        key.expose().to_owned()
    }

    /// That many new residents of the plan `resident`; gives their keys.
    pub fn residents(&self, count: usize) -> Vec<String> {
        let new = || new_resident_key("resident", self.clock.now()).unwrap();
        let (keys, records): (Vec<_>, Vec<_>) = std::iter::repeat_with(new).take(count).unzip();
        self.ledger.add_keys(&records).unwrap();
        keys.iter().map(|key| key.expose().to_owned()).collect()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub fn request(key: &str, body: &Value) -> Request<Body> {
        Self::post("/v1/chat/completions", key, body)
    }

    pub fn post(path: &str, key: &str, body: &Value) -> Request<Body> {
        Request::post(path).header("authorization", format!("Bearer {key}")).body(Body::from(body.to_string())).unwrap()
    }

    pub async fn get(&self, key: &str, path: &str) -> Answer {
        self.send(Request::get(path).header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap())
            .await
    }

    /// Asks one question and reads the whole answer.
    pub async fn ask(&self, key: &str, model: &str, question: &str, stream: bool) -> Answer {
        self.send(Self::request(key, &question_body(model, question, stream))).await
    }

    /// Asks for a stream and gives its body, still to be read.
    pub async fn open(&self, key: &str, model: &str) -> Body {
        let request = Self::request(key, &question_body(model, "Question", true));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body()
    }

    /// Asks for a stream, reads `chunks` pieces of it, and leaves.
    pub async fn ask_and_leave(&self, key: &str, model: &str, chunks: usize) {
        let mut body = self.open(key, model).await.into_data_stream();
        for _ in 0..chunks {
            body.next().await.unwrap().unwrap();
        }
    }

    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.ledger.visit_entries(&mut |_, entry| entries.push(entry)).unwrap();
        entries
    }

    /// Waits until every call is settled, by the tracker that shutdown waits on.
    pub async fn settled(&self) {
        assert!(self.shutdown.finish(Duration::from_secs(20)).await, "calls are still open");
        assert_eq!(self.ledger.gauges().unwrap().open_reservations, 0);
        assert_eq!(passerelle::telemetry::metrics().reservations_dropped.get(), 0);
        let verification = self.ledger.verify().unwrap();
        assert!(verification.is_clean(), "{:?}", verification.findings);
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        // A failed clean-up of a temporary folder fails no test.
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

fn new_folder() -> PathBuf {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("passerelle-it-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Reads a configuration as `serve` does.
fn read(file: &Path) -> Result<Config, String> {
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let openai = if written.contains("api_key_file") { "" } else { "vendor-key-openai" };
    let environment = Environment::from_pairs([("OPENAI_API_KEY", openai), ("MISTRAL_API_KEY", "vendor-key-mistral")]);
    load(Some(file), &environment).map(|loaded| loaded.config).map_err(|error| error.to_string())
}

pub fn question_body(model: &str, question: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": question}]})
}

fn merge(table: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}
