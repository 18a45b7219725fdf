//! What each step of a request costs by itself, and what it allocates: `cargo bench --bench micro [FILTER]`, a minute.
//!
//! Inputs are the adapters' own fixtures, and chunks as the vendors send them. Allocations are those of the measuring
//! thread: the ledger's writer is another one. Times of one run on one machine; compare them within a run.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails loudly")]

#[path = "support/call.rs"]
mod call;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use futures_util::future::join_all;
use futures_util::stream;
use passerelle::clock::Clock;
use passerelle::config::{Environment, load};
use passerelle::ledger::{Decision, Durability, Entry, Ledger, Settlement};
use passerelle::quota::{Calendar, OpenCalls, Rate, RateGuard};
use passerelle::report::{self, Period};
use passerelle::telemetry::{Exemplar, Format, metrics};
use providers::Dialect;
use providers::catalogue::{MISTRAL_TOML, Model, OPENAI_TOML, ProviderCatalogue};
use providers::request::{ApiRequest, Endpoint};
use providers::sse::FrameSplitter;
use providers::upstream::{CallContext, Encoded, encode};
use tokio::runtime::Runtime;

use call::{answered, request, settings};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Chunks of a streamed answer.
const CHUNKS: usize = 50;
/// Calls that wait for the ledger at once.
const TOGETHER: u64 = 64;
/// Settled calls behind the report, over 28 days.
const MONTH_CALLS: u64 = 20_000;
/// Local days of the calls of [`call::request`].
const MONTH: (&str, &str) = ("2026-11-01", "2026-11-30");

/// Who answers them, in turn.
const MODELS: [(&str, &str); 4] = [
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-6-terra"),
    ("mistral_ai", "mistral-small-2603"),
    ("mistral_ai", "mistral-large-2512"),
];

const DIALECTS: [Dialect; 2] = [Dialect::Openai, Dialect::Mistral];

fn main() {
    divan::main();
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
static OPENAI: LazyLock<ProviderCatalogue> = LazyLock::new(|| ProviderCatalogue::parse(OPENAI_TOML).unwrap());
static MISTRAL: LazyLock<ProviderCatalogue> = LazyLock::new(|| ProviderCatalogue::parse(MISTRAL_TOML).unwrap());

/// The model that answers in that dialect, and the id it is sent under.
fn model(dialect: Dialect) -> (&'static str, &'static Model) {
    let (catalogue, id) = match dialect {
        Dialect::Mistral => (&*MISTRAL, "mistral-small-2603"),
        _ => (&*OPENAI, "gpt-6-luna"),
    };
    (id, catalogue.resolve(id, "2026-11-24".parse().unwrap()).unwrap())
}

/// The body that a client sends, of the adapters' fixtures.
fn sent(fixture: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(fixture).unwrap()["body"].take()
}

/// Questions as clients send them.
static SHORT: LazyLock<String> =
    LazyLock::new(|| sent(include_str!("../providers/fixtures/requests/client_open_webui.json")).to_string());
static TOOLS: LazyLock<String> =
    LazyLock::new(|| sent(include_str!("../providers/fixtures/requests/client_cursor_mixed_tools.json")).to_string());
/// A conversation of 41 turns, 20 kB: what a client sends again with every question.
static LONG: LazyLock<String> = LazyLock::new(|| {
    let mut body = sent(include_str!("../providers/fixtures/requests/client_open_webui.json"));
    let turn = |number: usize| {
        let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
        let text = "La déchèterie du Teich ouvre à 9 h, sauf le dimanche. ".repeat(8);
        serde_json::json!({"role": role, "content": format!("{number}. {text}")})
    };
    body["messages"] = (0..41).map(turn).collect();
    body.to_string()
});

fn body(name: &str) -> &'static [u8] {
    match name {
        "short" => SHORT.as_bytes(),
        "tools" => TOOLS.as_bytes(),
        "long" => LONG.as_bytes(),
        _ => panic!("there is no body `{name}`"),
    }
}

const BODIES: [&str; 3] = ["short", "tools", "long"];

fn parsed(name: &str) -> ApiRequest {
    ApiRequest::parse(Endpoint::Chat, body(name)).unwrap()
}

fn encoded(dialect: Dialect, request: &ApiRequest) -> Encoded {
    let (model_id, model) = model(dialect);
    let context = CallContext {
        model_id,
        model,
        max_output_tokens: 1_024,
        tool_calls: 0,
        service_tier: None,
        safety_identifier: "5b0e2d9c41a7f386",
        request_id: "req_0199b1f4c5d07a3e8f21",
    };
    encode(dialect, request, &context).unwrap()
}

mod asking {
    use super::*;

    #[divan::bench(args = BODIES)]
    fn parse(bencher: Bencher<'_, '_>, name: &str) {
        let body = body(name);
        bencher.bench(|| ApiRequest::parse(Endpoint::Chat, black_box(body)).unwrap());
    }

    #[divan::bench(args = BODIES)]
    fn token_and_price_ceiling(bencher: Bencher<'_, '_>, name: &str) {
        let (_, model) = model(Dialect::Openai);
        let price = model.price_at("2026-11-24".parse().unwrap()).unwrap();
        let request = parsed(name);
        bencher.bench(|| {
            let bound = black_box(&request).bound(model, 1_024).unwrap();
            price.ceiling(&bound, 10).unwrap()
        });
    }

    #[divan::bench(args = BODIES)]
    fn encode_for_openai(bencher: Bencher<'_, '_>, name: &str) {
        let request = parsed(name);
        bencher.bench(|| encoded(Dialect::Openai, black_box(&request)));
    }

    #[divan::bench(args = BODIES)]
    fn encode_for_mistral(bencher: Bencher<'_, '_>, name: &str) {
        let request = parsed(name);
        bencher.bench(|| encoded(Dialect::Mistral, black_box(&request)));
    }
}

/// Chunk number `number` of an answer, as that vendor writes it.
fn chunk(dialect: Dialect, number: usize) -> Bytes {
    let choice = match (number + 1 == CHUNKS, dialect) {
        (true, _) => r#""delta":{"content":""},"finish_reason":"stop""#.to_owned(),
        (false, Dialect::Mistral) => format!(r#""delta":{{"content":" mot {number}"}},"finish_reason":null"#),
        (false, _) => format!(r#""delta":{{"content":" mot {number}"}},"logprobs":null,"finish_reason":null"#),
    };
    let rest = match dialect {
        Dialect::Mistral => format!(r#""model":"mistral-small-2603","choices":[{{"index":0,{choice}}}]"#),
        _ => format!(
            r#""model":"gpt-6-luna-2026-09-15","service_tier":"default","system_fingerprint":"fp_7d1e40c2ab","choices":[{{"index":0,{choice}}}],"usage":null,"obfuscation":"qW7zKpL2""#
        ),
    };
    let head = r#""id":"chatcmpl-Dq1Flux00000000000010","object":"chat.completion.chunk","created":1795510007"#;
    format!("data: {{{head},{rest}}}\n\n").into()
}

fn chunks(dialect: Dialect) -> Vec<Bytes> {
    (0..CHUNKS).map(|number| chunk(dialect, number)).chain([Bytes::from_static(b"data: [DONE]\n\n")]).collect()
}

mod answering {
    use super::*;

    fn split(segments: &[Bytes]) -> usize {
        let mut splitter = FrameSplitter::new();
        let mut frames = 0;
        for segment in segments {
            splitter.push(segment.clone());
            while let Some(frame) = splitter.next_frame().unwrap() {
                black_box(frame);
                frames += 1;
            }
        }
        frames
    }

    #[divan::bench]
    fn split_50_frames_in_one_segment(bencher: Bencher<'_, '_>) {
        let whole = [Bytes::from(chunks(Dialect::Openai).concat())];
        assert_eq!(split(&whole), CHUNKS + 1);
        bencher.counter(ItemsCount::new(CHUNKS)).bench(|| split(black_box(&whole)));
    }

    #[divan::bench]
    fn split_50_frames_cut_every_37_bytes(bencher: Bencher<'_, '_>) {
        let whole = Bytes::from(chunks(Dialect::Openai).concat());
        let cut: Vec<Bytes> =
            (0..whole.len()).step_by(37).map(|at| whole.slice(at..whole.len().min(at + 37))).collect();
        assert_eq!(split(&cut), CHUNKS + 1);
        bencher.counter(ItemsCount::new(CHUNKS)).bench(|| split(black_box(&cut)));
    }

    /// OpenAI's is read on the side and forwarded, Mistral's translated.
    #[divan::bench(args = DIALECTS)]
    fn whole_answer(bencher: Bencher<'_, '_>, dialect: Dialect) {
        let body: &'static [u8] = match dialect {
            Dialect::Mistral => include_bytes!("../providers/fixtures/mistral/chat_plain.json"),
            _ => include_bytes!("../providers/fixtures/openai/chat_plain.json"),
        };
        let (encoded, body) = (encoded(dialect, &parsed("short")), Bytes::from_static(body));
        bencher.bench(|| encoded.decode(black_box(&body)).unwrap());
    }

    /// Each chunk in a segment of its own: what one costs is the time of an item.
    #[divan::bench(args = DIALECTS)]
    fn stream_of_50_chunks(bencher: Bencher<'_, '_>, dialect: Dialect) {
        let body =
            br#"{"model":"auto","stream":true,"messages":[{"role":"user","content":"Quand ouvre la mairie ?"}]}"#;
        let encoded = encoded(dialect, &ApiRequest::parse(Endpoint::Chat, body).unwrap());
        let chunks = chunks(dialect);
        bencher.counter(ItemsCount::new(CHUNKS)).with_inputs(|| chunks.clone()).bench_values(|chunks| {
            RUNTIME.block_on(async {
                let mut answer = encoded.stream(Box::pin(stream::iter(chunks.into_iter().map(Ok))), None);
                let mut bytes = 0;
                while let Some(piece) = answer.next().await {
                    bytes += piece.unwrap().bytes.len();
                }
                bytes
            })
        });
    }
}

/// A ledger of its own for each bench that asks, in a folder that goes with it.
struct Store {
    ledger: Ledger,
    folder: tempfile::TempDir,
    calendar: Calendar,
    calls: AtomicU64,
    /// From one call's number to the next one's: [`call::ROWS`] of them are 28 days.
    step: u64,
}

impl Store {
    fn new(step: u64) -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let ledger = Ledger::open_sqlite(&settings(folder.path(), Durability::Normal)).unwrap();
        Self { ledger, folder, calendar: Calendar::new("Europe/Paris").unwrap(), calls: AtomicU64::new(0), step }
    }

    /// Holds for the next call, whoever's turn it is, at the next model.
    async fn hold(&self) -> Settlement {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed);
        let request = request(&self.calendar, turn * self.step);
        let (provider, model) = MODELS[usize::try_from(turn).unwrap() % MODELS.len()];
        let entry = Entry {
            provider: provider.to_owned(),
            sent_model: model.to_owned(),
            response_model: Some(model.to_owned()),
            ..answered(&request)
        };
        let Decision::Held(reservation) = self.ledger.reserve(request).await.unwrap() else { panic!("refused") };
        Settlement::new(reservation, vec![entry])
    }

    async fn hold_and_settle(&self) {
        self.ledger.settle(self.hold().await).await.unwrap();
    }
}

mod accounting {
    use super::*;

    /// The door: rate and simultaneous calls, with so many residents who asked lately.
    #[divan::bench(args = [1_000, 20_000])]
    fn enter_with_busy_residents(bencher: Bencher<'_, '_>, busy: usize) {
        let number = |number| std::num::NonZeroU32::new(number).unwrap();
        let rate = Rate { requests_per_minute: number(10), burst: number(1_000_000), simultaneous: 2 };
        let guard = RateGuard::new(rate, Clock::manual("2026-11-24T10:00:00Z".parse().unwrap()), OpenCalls::default());
        let residents: Vec<String> = (0..busy).map(|resident| format!("resident-{resident:08}")).collect();
        for resident in &residents {
            guard.enter(resident).unwrap();
        }
        let mut turn = residents.iter().cycle();
        bencher.bench_local(|| guard.enter(turn.next().unwrap()).unwrap());
    }

    #[divan::bench]
    fn hold_and_settle_alone(bencher: Bencher<'_, '_>) {
        let store = Store::new(1);
        bencher.bench(|| RUNTIME.block_on(store.hold_and_settle()));
    }

    #[divan::bench]
    fn hold_and_settle_64_at_once(bencher: Bencher<'_, '_>) {
        let store = Store::new(1);
        bencher
            .counter(ItemsCount::new(TOGETHER))
            .bench(|| RUNTIME.block_on(join_all((0..TOGETHER).map(|_| store.hold_and_settle()))));
    }

    #[divan::bench]
    fn settle_64_at_once(bencher: Bencher<'_, '_>) {
        let store = Store::new(1);
        bencher
            .counter(ItemsCount::new(TOGETHER))
            .with_inputs(|| RUNTIME.block_on(join_all((0..TOGETHER).map(|_| store.hold()))))
            .bench_values(|held| {
                RUNTIME.block_on(join_all(held.into_iter().map(|settlement| store.ledger.settle(settlement))))
            });
    }
}

mod reading {
    use super::*;

    /// A ledger that holds a month, and its folder.
    fn month() -> (Ledger, tempfile::TempDir) {
        let store = Store::new(call::ROWS / MONTH_CALLS);
        RUNTIME.block_on(async {
            for _ in 0..MONTH_CALLS / 200 {
                join_all((0..200).map(|_| store.hold_and_settle())).await;
            }
            store.ledger.close().await.unwrap();
        });
        // Closed and opened again, the last moments are in the aggregates too.
        let ledger = Ledger::open_sqlite(&settings(store.folder.path(), Durability::Normal)).unwrap();
        (ledger, store.folder)
    }

    #[divan::bench(sample_count = 50)]
    fn a_month_of_rollups(bencher: Bencher<'_, '_>) {
        let (ledger, _folder) = month();
        bencher.bench(|| ledger.report_data(MONTH.0, MONTH.1).unwrap());
    }

    #[divan::bench(sample_count = 50)]
    fn a_months_report(bencher: Bencher<'_, '_>) {
        let (ledger, _folder) = month();
        let now = "2026-11-30T20:00:00Z".parse().unwrap();
        let period = Period::parse(Some(MONTH.0), Some(MONTH.1), MONTH.1.parse().unwrap()).unwrap();
        bencher.bench(|| report::build(&ledger, &period, 600, now).unwrap());
    }

    /// One answer counted in its histogram, with the request behind it: between two scrapes, …
    #[divan::bench]
    fn observe_with_an_exemplar(bencher: Bencher<'_, '_>) {
        let exemplar = Exemplar::new("req_0196f0c2a1b27c4e9d3f5a6b7c8d9e0f", 0);
        let labels = &["chat", "openai", "gpt-6-luna", "completed", ""];
        bencher.bench(|| metrics().operation_duration.observe(black_box(labels), black_box(1.4), exemplar));
    }

    /// … and in one without.
    #[divan::bench]
    fn observe_without(bencher: Bencher<'_, '_>) {
        let labels = &["openai", "completed"];
        bencher.bench(|| metrics().attempt_duration.with_label_values(black_box(labels)).observe(black_box(1.4)));
    }

    /// With every model of the default catalogue asked for in two ways.
    #[divan::bench]
    fn metrics_as_text(bencher: Bencher<'_, '_>) {
        let exemplar = Exemplar::new("req_0196f0c2a1b27c4e9d3f5a6b7c8d9e0f", 0);
        let environment = Environment::from_pairs([("OPENAI_API_KEY", "k"), ("MISTRAL_API_KEY", "k")]);
        let config = load(None, &environment).unwrap().config;
        for provider in config.catalogue.providers() {
            for model in provider.models() {
                let (vendor, id) = (provider.id.as_str(), &*model.id);
                for (outcome, error) in [("completed", ""), ("rejected", "server")] {
                    let labels = &["chat", vendor, id, outcome, error];
                    metrics().operation_duration.observe(labels, 1.4, exemplar);
                }
                metrics().time_to_first_chunk.observe(&["chat", vendor, id], 0.5, exemplar);
                metrics().input_tokens.with_label_values(&[vendor, id]).inc_by(120);
                metrics().output_tokens.with_label_values(&[vendor, id]).inc_by(240);
                metrics().cost.with_label_values(&[vendor, id]).inc_by(115_543);
            }
        }
        bencher.bench(|| metrics().render(Format::Text));
    }
}
