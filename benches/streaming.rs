//! What the gateway adds to a stream: time to the first byte against calling the vendor directly, and allocations a chunk.
//!
//! `cargo bench --bench streaming`. Times are of one run on one machine, direct and through the gateway side by side, so
//! that their ratio means something; allocations are exact.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock, and fails loudly"
)]

use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use futures_util::stream;
use passerelle::app::{App, Listeners};
use passerelle::clock::Clock;
use passerelle::config::{Environment, load};
use passerelle::identity::new_resident_key;
use passerelle::shutdown::Shutdown;
use passerelle::simulator::{LogNormalMillis, Simulator, SimulatorSettings};
use providers::request::{ApiRequest, Endpoint};
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};
use providers::upstream::{CallContext, Encoded, Reply, Upstream, encode};
use providers::{Dialect, ProviderId, catalogue};
use serde_json::json;

/// Chunks of the timed stream, and the wait before each.
const TIMED_CHUNKS: u32 = 50;
const GAP: Duration = Duration::from_millis(20);
/// Streams of each kind.
const ROUNDS: usize = 20;
/// Chunks of the counted stream.
const COUNTED_CHUNKS: u32 = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(first_byte());
    println!();
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        allocations(dialect);
    }
}

/// Median and largest of some durations, in milliseconds.
fn summary(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    (millis(times[times.len() / 2]), millis(times[times.len() - 1]))
}

async fn first_byte() {
    let shutdown = Shutdown::new();
    let folder = tempfile::tempdir().unwrap();
    let settings = SimulatorSettings {
        first_token: LogNormalMillis { median: GAP.as_secs_f64() * 1000.0, sigma: 0.0 },
        inter_token: LogNormalMillis { median: GAP.as_secs_f64() * 1000.0, sigma: 0.0 },
        output_tokens: (TIMED_CHUNKS, TIMED_CHUNKS),
        ..SimulatorSettings::new(Dialect::Openai)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = Simulator::start(settings, listener, Clock::system(), &shutdown).unwrap();
    let (gateway, key) = start_gateway(folder.path(), &vendor.base_url(), &shutdown).await;

    let direct = client("vendor-key");
    let through = client(&key);
    let (mut ours, mut theirs, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS + 2 {
        let (first_direct, _) = read(&direct, &vendor.base_url()).await;
        let (first, last) = read(&through, &gateway).await;
        // The first rounds open connections.
        if round >= 2 {
            theirs.push(first_direct);
            ours.push(first);
            whole.push(last);
        }
    }
    let ((direct, direct_max), (through, through_max), (whole, _)) = (summary(theirs), summary(ours), summary(whole));
    println!("a stream of {TIMED_CHUNKS} chunks, one every {} ms, {ROUNDS} rounds:", GAP.as_millis());
    println!("  time to first byte, direct:              median {direct:.2} ms, largest {direct_max:.2} ms");
    println!("  time to first byte, through the gateway: median {through:.2} ms, largest {through_max:.2} ms");
    println!("  ratio of the medians {:.3}; the whole stream takes {whole:.0} ms", through / direct);
    shutdown.begin();
    shutdown.finish(Duration::from_secs(10)).await;
}

async fn start_gateway(folder: &std::path::Path, vendor: &str, shutdown: &Shutdown) -> (String, String) {
    let file = folder.join("bench.toml");
    let text = format!(
        "[server]\npublic = \"127.0.0.1:0\"\nmairie = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n[ledger]\npath = \"ledger.sqlite\"\n[identity]\nsecret_file = \"secret\"\n[providers.openai]\nbase_url = \"{vendor}\"\n[providers.mistral_ai]\nenabled = false\n[plans.resident]\nrequests_per_minute = 10000\nburst = 10000\nquestions_per_day = 10000\ntokens_per_day = 100000000\neuros_per_month = \"1000\""
    );
    std::fs::write(&file, text).unwrap();
    let config = load(Some(&file), &Environment::from_pairs([("OPENAI_API_KEY", "vendor-key")])).unwrap().config;
    let app = App::build(&config, Clock::system(), shutdown.clone(), true).unwrap();
    let (key, record) = new_resident_key("resident", Clock::system().now()).unwrap();
    app.ledger().add_keys(&[record]).unwrap();
    let listeners = Listeners::bind(&config).await.unwrap();
    let address = listeners.addresses().unwrap().public;
    tokio::spawn(app.run(listeners));
    (format!("http://{address}/v1"), key.expose().to_owned())
}

fn client(key: &str) -> Upstream {
    let minute = Duration::from_secs(60);
    let settings = TransportSettings {
        deadlines: Deadlines { connect: minute, first_byte: minute, idle: minute, total: 2 * minute },
        max_concurrency: 10,
        permit_wait: minute,
        breaker: BreakerSettings { failures: 10, pause: minute },
    };
    Upstream::new(ProviderId::new("bench"), Dialect::Compatible, &key.to_owned().into(), &settings)
}

/// Time to the first bytes of an answer, and to its end.
async fn read(client: &Upstream, base_url: &str) -> (Duration, Duration) {
    let body = json!({
        "model": "gpt-6-luna", "stream": true, "reasoning_effort": "none", "max_completion_tokens": 500,
        "messages": [{"role": "user", "content": "Quand ouvre la mairie ?"}],
    });
    let question = Encoded::chat_as_it_is(body.to_string().into(), true);
    let start = Instant::now();
    let Reply::Stream(mut answer) = client.call(base_url, &question, "bench", None).await.unwrap() else {
        panic!("the answer is no stream")
    };
    answer.next().await.unwrap().unwrap();
    let first = start.elapsed();
    while let Some(piece) = answer.next().await {
        piece.unwrap();
    }
    (first, start.elapsed())
}

/// Reads a stream whose every chunk arrives in a segment of its own, and counts what it allocates.
fn allocations(dialect: Dialect) {
    let text = if dialect == Dialect::Mistral { catalogue::MISTRAL_TOML } else { catalogue::OPENAI_TOML };
    let models = catalogue::ProviderCatalogue::parse(text).unwrap();
    let id = if dialect == Dialect::Mistral { "mistral-small-2603" } else { "gpt-6-luna" };
    let model = models.resolve(id, "2026-11-24".parse().unwrap()).unwrap();
    let asked = json!({"model": id, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let request = ApiRequest::parse(Endpoint::Chat, asked.to_string().as_bytes()).unwrap();
    let context = CallContext {
        model_id: id,
        model,
        max_output_tokens: 9_000,
        tool_calls: 0,
        service_tier: None,
        safety_identifier: "hash",
        request_id: "req_1",
    };
    let encoded = encode(dialect, &request, &context).unwrap();
    let segments: Vec<Bytes> = (0..COUNTED_CHUNKS).map(|number| chunk(id, number)).collect();
    let sent: usize = segments.iter().map(Bytes::len).sum();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut forwarded = Vec::with_capacity(2 * sent);
    let mut count = |segments: Vec<Bytes>| {
        let mut answer = encoded.stream(Box::pin(stream::iter(segments.into_iter().map(Ok))), None);
        allocation_counter::measure(|| {
            runtime.block_on(async {
                while let Some(Ok(piece)) = answer.next().await {
                    forwarded.extend_from_slice(&piece.bytes);
                }
            });
        })
    };
    let AllocationInfo { count_total, bytes_total, .. } = count(segments.clone());
    let chunks = u64::from(COUNTED_CHUNKS);
    let whole: Vec<u8> = segments.concat();
    println!("{COUNTED_CHUNKS} chunks of {dialect}'s dialect through the adapter ({sent} bytes):");
    println!(
        "  {:.3} allocations and {:.1} bytes allocated a chunk; identical to the vendor's bytes: {}",
        count_total as f64 / chunks as f64,
        bytes_total as f64 / chunks as f64,
        forwarded == whole
    );
}

fn chunk(model: &str, number: u32) -> Bytes {
    let head =
        format!("{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"{model}\"");
    let choice = format!("[{{\"index\":0,\"delta\":{{\"content\":\"mot {number} \"}},\"finish_reason\":null}}]");
    format!("data: {head},\"choices\":{choice}}}\n\n").into()
}
