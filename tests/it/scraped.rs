//! A real Prometheus (Debian's 2.42) scrapes the real program: it takes both formats, keeps the exemplars, and every
//! question of the page has an answer that it understands.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use passerelle::telemetry::names;
use serde_json::Value;

use crate::support::program::{Raw, Socket, Town, VendorProcess, ask};

const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus of the test's own.
struct Prometheus {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Prometheus {
    /// Scrapes that address twice a second.
    fn watching(target: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("passerelle-prometheus-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "scrape_configs:\n  - job_name: passerelle\n    scrape_interval: 500ms\n    scrape_timeout: 500ms\n    static_configs:\n      - targets: ['{target}']\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("msg=\"Listening on\" address=")?;
            Some(address.split(' ').next().unwrap().to_owned())
        });
        // It goes on writing, and must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap(), folder }
    }

    async fn get(&self, path: &str) -> Raw {
        // Of version 1.0: an answer that is not sent in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n");
        Socket::send(&self.address, &request).await.unwrap().rest().await.unwrap()
    }

    /// Waits until it answers queries.
    async fn ready(&self) {
        let asking = async {
            while self.get("/-/ready").await.status != 200 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap();
    }

    async fn api(&self, path: &str) -> Value {
        let raw = self.get(path).await;
        serde_json::from_slice(&raw.body).unwrap_or_else(|_| panic!("{path}: {}", raw.text()))
    }

    /// What a query gives now.
    async fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.api(&format!("/api/v1/query?query={}", encoded(query))).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Asks until there is something.
    async fn eventually(&self, path: &str, found: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.api(path).await;
                if found(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_takes_every_line_keeps_the_exemplars_and_answers_the_questions_of_the_page() {
    let pace = ["--first-token-ms", "1", "--inter-token-ms", "1"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
    let key = town.key();
    let gateway = town.serve();
    let mut ids = Vec::new();
    for model in ["gpt-6-luna", "mistral-small-latest"] {
        for stream in [false, true] {
            let answer = ask(&gateway.public, &key, model, stream).await.unwrap();
            assert_eq!(answer.status, 200);
            let id = answer.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
            ids.push(id.to_owned());
        }
    }
    let prometheus = Prometheus::watching(&gateway.ops);
    prometheus.ready().await;
    let counted = encoded("sum(gen_ai_client_operation_duration_seconds_count)");
    let four = |answer: &Value| answer["data"]["result"][0]["value"][1] == "4";
    prometheus.eventually(&format!("/api/v1/query?query={counted}"), four).await;

    let targets = prometheus.api("/api/v1/targets").await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));
    let open = prometheus.query("passerelle_connections_open{listener=\"ops\"}").await;
    assert!(open[0]["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 1.0, "Prometheus itself is connected");
    let unit = prometheus.api("/api/v1/targets/metadata?metric=passerelle_ledger_file_bytes").await;
    assert_eq!((&unit["data"][0]["type"], &unit["data"][0]["unit"]), (&"gauge".into(), &"bytes".into()));

    let path = format!(
        "/api/v1/query_exemplars?query={}&start={}&end={}",
        encoded("gen_ai_client_operation_duration_seconds_bucket"),
        "2020-01-01T00:00:00Z",
        "2100-01-01T00:00:00Z"
    );
    let kept =
        prometheus.eventually(&path, |answer| answer["data"].as_array().is_some_and(|kept| !kept.is_empty())).await;
    for series in kept["data"].as_array().unwrap() {
        for exemplar in series["exemplars"].as_array().unwrap() {
            let id = exemplar["labels"]["request_id"].as_str().unwrap();
            assert!(ids.iter().any(|asked| asked == id), "{exemplar} is of nobody's question");
        }
    }
    for (asks, query) in names::ALL.iter().filter_map(|metric| metric.example) {
        // Understood; whether there is trouble to be told of is another matter.
        let _rows = prometheus.query(query).await;
        assert!(!asks.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_wrong_with_the_names() {
    let pace = ["--first-token-ms", "1", "--inter-token-ms", "1"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
    let gateway = town.serve();
    assert_eq!(ask(&gateway.public, &town.key(), "gpt-6-luna", true).await.unwrap().status, 200);
    let text = Socket::get(&gateway.ops, "/metrics").await.unwrap().body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
