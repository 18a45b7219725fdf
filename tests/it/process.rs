//! The built program, killed without warning: nothing that was settled is lost, nothing stays held.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use passerelle::ledger::{Entry, Ledger, Outcome};
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};
use providers::upstream::{Encoded, Reply, Upstream};
use providers::{Dialect, ProviderId};

/// A process of this test, ended with it.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_passerelle"))
            .args(arguments)
            .env("OPENAI_API_KEY", "k")
            .env("MISTRAL_API_KEY", "k")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The address in the next line that announces one: readiness, without sleeping.
    fn address(&mut self) -> String {
        let line = self.lines.next().unwrap().unwrap();
        line.split_once("listening on ").unwrap().1.to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

struct Town {
    folder: PathBuf,
    config: PathBuf,
}

impl Town {
    fn new(vendor: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("passerelle-process-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("town.toml");
        let text = format!(
            r#"
            [server]
            public = "127.0.0.1:0"
            mairie = "127.0.0.1:0"
            ops = "127.0.0.1:0"
            [ledger]
            path = "ledger.sqlite"
            lease_seconds = 5
            sweep_seconds = 1
            [identity]
            secret_file = "secret"
            [upstream]
            first_byte_seconds = 3
            idle_seconds = 3
            total_seconds = 3
            drain_seconds = 1
            [providers.openai]
            base_url = "{vendor}/v1"
            [plans.resident]
            requests_per_minute = 100000
            burst = 100000
            simultaneous = 1000
            questions_per_day = 100000
            tokens_per_day = 1000000000
            euros_per_month = "1000"
            "#
        );
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    fn config(&self) -> &str {
        self.config.to_str().unwrap()
    }

    fn ledger(&self) -> Ledger {
        Ledger::open_sqlite_beside(&self.folder.join("ledger.sqlite")).unwrap()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

fn key(config: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_passerelle"))
        .args(["keys", "issue", "--plan", "resident", "--config"])
        .arg(config)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn client(key: &str) -> Upstream {
    let second = Duration::from_secs(1);
    let settings = TransportSettings {
        deadlines: Deadlines { connect: second, first_byte: 10 * second, idle: 10 * second, total: 20 * second },
        max_concurrency: 1000,
        permit_wait: second,
        breaker: BreakerSettings { failures: 1000, pause: second },
    };
    Upstream::new(ProviderId::new("gateway"), Dialect::Compatible, key.to_owned().into(), &settings)
}

async fn ask(client: &Upstream, gateway: &str, stream: bool) {
    let body = serde_json::json!({"model": "gpt-6-luna", "stream": stream, "max_tokens": 60, "messages": [{"role": "user", "content": "Bonjour"}]});
    let question = Encoded::chat_as_it_is(body.to_string().into(), stream);
    if let Ok(Reply::Stream(mut answer)) = client.call(&format!("{gateway}/v1"), &question, "r").await {
        while let Some(Ok(_)) = answer.next().await {}
    }
}

fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut entries = Vec::new();
    ledger.visit_entries(&mut |_, entry| entries.push(entry)).unwrap();
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_load_loses_nothing_and_holds_nothing_for_ever() {
    let mut vendor =
        Running::start(&["simulate", "--dialect", "openai", "--first-token-ms", "20", "--inter-token-ms", "5"]);
    let vendor_address = vendor.address();
    let town = Town::new(&vendor_address);
    let key = key(&town.config);
    let mut gateway = Running::start(&["serve", "--config", town.config()]);
    let address = gateway.address();
    let client = std::sync::Arc::new(client(&key));
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..60u64 {
        let (client, address) = (std::sync::Arc::clone(&client), address.clone());
        asking.spawn(async move {
            tokio::time::sleep(Duration::from_millis(number * 10)).await;
            ask(&client, &address, number % 2 == 0).await;
        });
    }
    let ledger = town.ledger();
    while entries(&ledger).len() < 10 {
        tokio::task::yield_now().await;
    }
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    let settled_before = entries(&ledger);
    let open = ledger.gauges().unwrap().open_reservations;
    assert!(open > 0, "the kill must come while calls are open");
    while asking.join_next().await.is_some() {}

    let _again = Running::start(&["serve", "--config", town.config()]);
    let deadline = std::time::Duration::from_secs(20);
    let swept = tokio::time::timeout(deadline, async {
        while ledger.gauges().unwrap().open_reservations > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    swept.await.unwrap();
    let after = entries(&ledger);
    assert_eq!(after[..settled_before.len()], settled_before, "what was settled stays as it was");
    let unknown: Vec<_> = after[settled_before.len()..].iter().collect();
    assert_eq!(unknown.len() as u64, open);
    assert!(
        unknown.iter().all(|entry| entry.outcome == Outcome::Unknown
            && entry.cost_nanos.is_none()
            && entry.charged.euro_nanos > 0)
    );
    let verification = ledger.verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);

    let books: serde_json::Value = serde_json::from_str(&books(&vendor_address).await).unwrap();
    let (billed, calls) = (books["billed_nanos"].as_i64().unwrap(), books["calls"].as_u64().unwrap());
    let upper: i64 = after.iter().map(|entry| entry.cost_upper_nanos).sum();
    assert!(upper >= billed, "the ledger ({upper}) must never be below the vendor's bill ({billed})");
    assert!(after.len() as u64 >= calls, "every call that reached the vendor has its entry");
}

/// The simulator's books, over a plain socket.
async fn books(vendor: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(vendor.trim_start_matches("http://")).await.unwrap();
    socket.write_all(b"GET /simulator/books HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
