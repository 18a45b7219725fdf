//! One process takes over from another: nothing is refused, nothing that is held is lost, nothing is counted twice or
//! forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use passerelle::clock::Clock;
use passerelle::ledger::{Ledger, Outcome};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixDatagram, UnixStream};
use tokio::task::JoinSet;

use crate::support::gateway::question_body;
use crate::support::program::{GatewayProcess, PROGRAM, Running, Socket, Town, VendorProcess, ask, entries, question};
use crate::support::vendor::Vendor;

const MODELS: [&str; 2] = ["gpt-6-luna", "mistral-small-latest"];
const PATIENCE: Duration = Duration::from_secs(60);

fn vendors(first: &str, between: &str) -> [VendorProcess; 2] {
    let pace = ["--first-token-ms", first, "--inter-token-ms", between];
    [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)]
}

fn town_of(vendors: &[VendorProcess; 2], server: &str) -> Town {
    Town::new(&vendors[0].address, &vendors[1].address, "", server, "")
}

/// Replaces one line of the plan `resident`.
fn with_plan(town: &Town, key: &str, value: &str) {
    let text = std::fs::read_to_string(&town.config).unwrap();
    let changed: Vec<_> =
        text.lines()
            .map(|line| {
                if line.trim().starts_with(&format!("{key} =")) { format!("{key} = {value}") } else { line.to_owned() }
            })
            .collect();
    std::fs::write(&town.config, changed.join("\n")).unwrap();
}

fn successor(town: &Town) -> GatewayProcess {
    Town::serving(&mut town.command(&["serve", "--take-over"]))
}

async fn open_streams(gateway: &str, key: &str, count: usize) -> Vec<Socket> {
    let mut opening = JoinSet::new();
    for number in 0..count {
        let question = question(key, MODELS[number % 2], true);
        let gateway = gateway.to_owned();
        opening.spawn(async move {
            let mut stream = Socket::send(&gateway, &question).await.unwrap();
            stream.until("data: ").await;
            stream
        });
    }
    opening.join_all().await
}

/// A client that keeps its connection for as long as it is not told to leave.
struct KeptConnection {
    address: String,
    stream: Option<BufReader<TcpStream>>,
    connections: u32,
}

impl KeptConnection {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, connections: 0 }
    }

    async fn ask(&mut self, key: &str, model: &str) -> u16 {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.connections += 1;
                BufReader::new(TcpStream::connect(&self.address).await.unwrap())
            }
        };
        let mut body = question_body(model, "Bonjour", false);
        body["max_tokens"] = json!(8);
        let body = body.to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: passerelle\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut status, mut length, mut leaves) = (0, 0, false);
        loop {
            let mut line = String::new();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "cut within the head");
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            }
            leaves |= line == "connection: close";
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        if !leaves {
            self.stream = Some(stream);
        }
        status
    }
}

/// Each call that a vendor saw is in the books once, completed, for what the vendor bills.
async fn assert_nothing_is_lost(ledger: &Ledger, vendors: &[VendorProcess; 2], answered: usize) {
    assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
    let all = entries(ledger);
    let mut ours = BTreeMap::new();
    for entry in &all {
        assert_eq!(entry.outcome, Outcome::Completed, "{entry:?}");
        assert!(ours.insert(entry.request_id.as_str(), entry).is_none(), "settled twice: {entry:?}");
    }
    assert_eq!(all.len(), answered);
    let mut billed = 0;
    for vendor in vendors {
        for call in vendor.closed_books().await.1 {
            let entry =
                ours.remove(call.request_id.as_deref().unwrap()).unwrap_or_else(|| panic!("no entry: {call:?}"));
            assert_eq!(entry.cost_nanos, call.billed_nanos, "{entry:?}");
            billed += 1;
        }
    }
    assert_eq!((billed, ours.len()), (answered, 0));
    let verification = ledger.verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_two_hundred_streams_fails_nothing_and_loses_nothing() {
    let vendors = vendors("20", "80");
    let town = town_of(&vendors, "connection_idle_seconds = 1");
    let key = town.key();
    let mut former = town.serve();
    let streams = open_streams(&former.public, &key, 200).await;
    assert!(town.ledger().gauges().unwrap().open_reservations >= 150, "the streams are in progress");

    let over = Arc::new(AtomicBool::new(false));
    let mut residents = JoinSet::new();
    for number in 0..8 {
        let (address, key, over) = (former.public.clone(), key.clone(), Arc::clone(&over));
        residents.spawn(async move {
            let mut kept = KeptConnection::new(&address);
            let (mut statuses, mut after) = (Vec::new(), 0);
            while after < 2 {
                after += u32::from(over.load(Ordering::SeqCst));
                let model = MODELS[number % 2];
                statuses.push(match number / 2 % 2 {
                    // Half of them keep their connection, half come anew each time.
                    0 => kept.ask(&key, model).await,
                    _ => {
                        let answer = ask(&address, &key, model, true).await.unwrap();
                        assert!(answer.is_whole(), "{}", answer.text());
                        answer.status
                    }
                });
            }
            (statuses, kept.connections)
        });
    }
    // A question whose last byte comes after the upgrade: it is answered all the same.
    let late = question(&key, MODELS[0], false);
    let (first, last) = late.split_at(late.len() - 1);
    let mut late = Socket::send(&former.public, first).await.unwrap();

    let mut next = successor(&town);
    assert_eq!(next.public, former.public, "the same sockets");
    let ready = Socket::get(&next.ops, "/readyz").await.unwrap();
    assert_eq!(ready.status, 200);
    late.send_more(last).await;
    let late = late.rest().await.unwrap();
    assert_eq!(late.status, 200, "{}", late.text());
    for stream in streams {
        let answer = stream.rest().await.unwrap();
        assert!(answer.is_whole(), "{}", answer.text());
    }
    over.store(true, Ordering::SeqCst);
    let mut asked = 0;
    for (statuses, connections) in residents.join_all().await {
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        asked += statuses.len();
        assert!(connections == 0 || connections == 2, "led to the next process after one answer: {connections}");
    }
    assert_eq!(former.running.ended().await.code(), Some(0), "the former process leaves by itself");
    let refused = town.command(&["serve"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "and only one process serves: {refused:?}");
    assert_nothing_is_lost(&town.ledger(), &vendors, 200 + 1 + asked).await;
    next.running.terminate();
    assert_eq!(next.running.ended().await.code(), Some(0));
    eprintln!("200 streams and {asked} other questions through an upgrade: 0 failed, 0 reservations lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_two_hundred_streams_cuts_none_and_holds_nothing() {
    let vendors = vendors("20", "40");
    let town = town_of(&vendors, "shutdown_seconds = 60");
    let key = town.key();
    let mut gateway = town.serve();
    let streams = open_streams(&gateway.public, &key, 200).await;
    let open = town.ledger().gauges().unwrap().open_reservations;
    let clock = Clock::system();
    let asked = clock.tick();
    gateway.running.terminate();
    let stopping = async { while Socket::get(&gateway.ops, "/readyz").await.unwrap().status != 503 {} };
    tokio::time::timeout(PATIENCE, stopping).await.unwrap();
    let refused = ask(&gateway.public, &key, MODELS[0], false).await.unwrap();
    assert_eq!(refused.refusal(), (503, "shutting_down".to_owned(), true));
    for stream in streams {
        let answer = stream.rest().await.unwrap();
        assert!(answer.is_whole(), "{}", answer.text());
    }
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let seconds = clock.tick().since(asked).as_secs_f64();
    assert_nothing_is_lost(&town.ledger(), &vendors, 200).await;
    eprintln!("SIGTERM with {open} of 200 streams in progress: exit code 0 after {seconds:.1} s, 0 reservations open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_across_an_upgrade_as_if_there_had_been_none() {
    let (openai, mistral) = (Vendor::openai().await, Vendor::mistral().await);
    let address = |vendor: &Vendor| vendor.base_url["http://".len()..vendor.base_url.len() - "/v1".len()].to_owned();
    let town = Town::new(&address(&openai), &address(&mistral), "", "", "");
    with_plan(&town, "simultaneous", "3");
    with_plan(&town, "requests_per_minute", "1");
    with_plan(&town, "burst", "5");
    let (one, other) = (town.key(), town.key());
    let former = town.serve();
    mistral.close_gate();
    let mut open = JoinSet::new();
    for _ in 0..3 {
        let (address, key) = (former.public.clone(), one.clone());
        open.spawn(async move { ask(&address, &key, MODELS[1], false).await.unwrap().status });
    }
    mistral.reached_by(3).await;
    // The other one has used up the burst.
    for _ in 0..5 {
        assert_eq!(ask(&former.public, &other, MODELS[0], false).await.unwrap().status, 200);
    }
    let next = successor(&town);
    let fourth = ask(&next.public, &one, MODELS[0], false).await.unwrap();
    assert_eq!(fourth.status, 429, "{}", fourth.text());
    assert!(fourth.text().contains("simultan"), "{}", fourth.text());
    assert_eq!(ask(&next.public, &other, MODELS[0], false).await.unwrap().refusal().1, "rate_limit_exceeded");
    mistral.open_gate();
    assert_eq!(open.join_all().await, [200; 3]);
    // The next process hears that the calls over there have ended.
    let open_again = async {
        loop {
            let answer = ask(&next.public, &one, MODELS[0], false).await.unwrap();
            if answer.status == 200 {
                return;
            }
            assert!(answer.text().contains("simultan"), "{}", answer.text());
        }
    };
    tokio::time::timeout(PATIENCE, open_again).await.unwrap();
    assert_eq!(entries(&town.ledger()).len(), 3 + 5 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_spent_by_two_processes_at_once_is_not_passed() {
    let vendors = vendors("5", "5");
    let town = town_of(&vendors, "");
    with_plan(&town, "questions_per_day", "60");
    let key = town.key();
    let former = town.serve();
    let mut residents = JoinSet::new();
    for number in 0..40 {
        let (address, key) = (former.public.clone(), key.clone());
        residents.spawn(async move {
            let mut answered = 0;
            loop {
                let answer = ask(&address, &key, MODELS[number % 2], number % 3 == 0).await.unwrap();
                match answer.status {
                    200 => answered += 1,
                    429 => return (answered, answer.refusal().1),
                    status => panic!("{status}: {}", answer.text()),
                }
            }
        });
    }
    let _next = successor(&town);
    let (mut answered, mut codes) = (0, BTreeSet::new());
    for (count, code) in residents.join_all().await {
        answered += count;
        codes.insert(code);
    }
    assert_eq!((answered, codes), (60, BTreeSet::from(["insufficient_quota".to_owned()])));
    assert_nothing_is_lost(&town.ledger(), &vendors, 60).await;
}

/// The conversation beside the ledger, spoken by a successor that never comes to serve.
async fn half_a_successor(ledger: &Path) {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".control");
    let mut stream = UnixStream::connect(name).await.unwrap();
    let hello = json!({"version": "0.0.0", "pid": 1, "schema": passerelle::ledger::SCHEMA});
    stream.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).await.unwrap();
    stream.write_all(b"\"take\"\n").await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    let counted: Value = serde_json::from_str(&line).unwrap();
    assert!(counted["counted"].is_object(), "{counted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_dies_before_it_serves_is_forgotten() {
    let vendors = vendors("20", "10");
    let town = town_of(&vendors, "");
    let key = town.key();
    let gateway = town.serve();
    let streams = open_streams(&gateway.public, &key, 4).await;
    half_a_successor(&town.ledger_file()).await;
    // Asked while nobody knows who answers: it waits, and is answered.
    let answer = ask(&gateway.public, &key, MODELS[0], false).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    for stream in streams {
        assert!(stream.rest().await.unwrap().is_whole());
    }
    let metrics = Socket::get(&gateway.ops, "/metrics").await.unwrap().text();
    assert!(metrics.contains("passerelle_handovers_total{outcome=\"taken_back\"} 1"), "{metrics}");

    // One whose configuration does not hold never comes to ask.
    let text = std::fs::read_to_string(&town.config).unwrap();
    std::fs::write(&town.config, text.replace("[upstream]", "[upstream]\nconnect_seconds = \"soon\"")).unwrap();
    let refused = town.command(&["serve", "--take-over"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert_eq!(ask(&gateway.public, &key, MODELS[1], true).await.unwrap().status, 200);
    assert_nothing_is_lost(&town.ledger(), &vendors, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_starts_the_program_on_the_disk_and_the_manager_hears_who_serves() {
    let vendors = vendors("20", "20");
    let town = town_of(&vendors, "connection_idle_seconds = 1");
    let key = town.key();
    let notified = town.folder.join("notify");
    let manager = UnixDatagram::bind(&notified).unwrap();
    let heard = async || {
        let mut word = vec![0; 4096];
        let length = tokio::time::timeout(PATIENCE, manager.recv(&mut word)).await.unwrap().unwrap();
        String::from_utf8_lossy(&word[..length]).into_owned()
    };
    let mut former = Town::serving(town.command(&["serve"]).env("NOTIFY_SOCKET", &notified));
    let ready = heard().await;
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", former.running.id())), "{ready}");
    let stream = open_streams(&former.public, &key, 1).await.remove(0);
    let sent = Command::new("kill").args(["-USR2", &former.running.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let ready = heard().await;
    let next: u32 = ready.lines().find_map(|line| line.strip_prefix("MAINPID=")?.parse().ok()).unwrap();
    assert_ne!(next, former.running.id());
    assert!(stream.rest().await.unwrap().is_whole());
    assert_eq!(ask(&former.public, &key, MODELS[0], true).await.unwrap().status, 200);
    assert_eq!(former.running.ended().await.code(), Some(0));

    let sent = Command::new("kill").args(["-TERM", &next.to_string()]).status().unwrap();
    assert!(sent.success());
    let stopping = heard().await;
    assert!(stopping.contains("STOPPING=1"), "the former process did not say so: {stopping}");
    let gone = async { while Path::new(&format!("/proc/{next}")).exists() && !is_zombie(next) {} };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_nothing_is_lost(&town.ledger(), &vendors, 2).await;
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// Binds three sockets as a service manager does, and becomes the program with them.
const ACTIVATE: &str = "
import os, socket, sys
sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]
copies = [os.dup(s.fileno()) for s in sockets]
high = [__import__('fcntl').fcntl(fd, __import__('fcntl').F_DUPFD, 50) for fd in copies]
for place, fd in enumerate(high): os.dup2(fd, 3 + place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='3', LISTEN_FDNAMES='ops:public:mairie')
sys.stderr.write(' '.join(str(s.getsockname()[1]) for s in sockets) + '\\n')
os.execv(sys.argv[1], sys.argv[1:])
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_the_manager_are_taken_by_name() {
    let vendors = vendors("5", "5");
    let town = town_of(&vendors, "");
    let mut command = Command::new("python3");
    command.args(["-c", ACTIVATE, PROGRAM, "serve", "--config"]).arg(&town.config);
    let gateway: GatewayProcess = Town::serving(&mut command);
    let _alive: &Running = &gateway.running;
    assert_eq!(Socket::get(&gateway.ops, "/livez").await.unwrap().status, 200);
    let answer = ask(&gateway.public, &town.key(), MODELS[0], false).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(Socket::get(&gateway.public, "/metrics").await.unwrap().status, 404, "each by its name");
}
