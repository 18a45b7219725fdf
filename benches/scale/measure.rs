//! What is measured on each ledger, the ledgers in turns within each round.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use passerelle::report::{self, Period};
use tower::ServiceExt;

use crate::books::{Books, NOW, answered, key, mixed, request, settle};
use crate::gateway::{Gateway, start};

/// Calls in progress at the same time, as under load, and how many such lots are one figure.
const AT_ONCE: u64 = 64;
const LOTS: u64 = 60;
/// Questions about one's own use that are one figure.
const USAGES: u64 = 2_000;
const REPORTS: u32 = 5;

/// One measure on every ledger: a value a round, by ledger.
pub(crate) struct Figures {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    values: Vec<Vec<f64>>,
}

impl Figures {
    fn new(what: &'static str, unit: &'static str, ledgers: usize) -> Self {
        Self { what, unit, values: vec![Vec::new(); ledgers] }
    }

    fn sorted(&self, ledger: usize) -> Vec<f64> {
        let mut values = self.values[ledger].clone();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    pub(crate) fn median(&self, ledger: usize) -> f64 {
        let values = self.sorted(ledger);
        values[values.len() / 2]
    }

    /// The median over the rounds of the ratio to the first ledger in the same round.
    pub(crate) fn ratio(&self, ledger: usize) -> f64 {
        let mut ratios: Vec<f64> =
            self.values[ledger].iter().zip(&self.values[0]).map(|(one, few)| one / few).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    pub(crate) fn extremes(&self, ledger: usize) -> (f64, f64) {
        let values = self.sorted(ledger);
        (values[0], values[values.len() - 1])
    }
}

/// Measures everything, `rounds` times.
pub(crate) async fn all(ledgers: &[Books], folders: &[PathBuf], rounds: usize) -> Vec<Figures> {
    let count = ledgers.len();
    let mut starts = Figures::new("start to ready", "ms", count);
    let mut cold = Figures::new("the same, file not in memory", "ms", count);
    let mut lookups = Figures::new("key lookup", "µs", count);
    let mut admissions = Figures::new("lookup, hold and settle, 64 at once", "µs a call", count);
    let mut processor = Figures::new("the same, time of the processor", "µs a call", count);
    let mut usages = Figures::new("/v1/usage", "µs", count);
    let mut reports = Figures::new("report of the month", "ms", count);
    let mut changes = Figures::new("changes of the terms", "ms", count);
    let bar = ProgressBar::new(rounds as u64 * 2);
    bar.set_style(ProgressStyle::with_template("measuring {bar:40} {pos} of {len}").unwrap());
    for folder in folders {
        forget(&folder.join("ledger.sqlite"));
    }
    let gateways: Vec<Gateway> = folders.iter().map(|folder| Gateway::open(folder)).collect();
    for (gateway, books) in gateways.iter().zip(ledgers) {
        warm(gateway, books.residents);
    }
    for round in 0..rounds as u64 {
        for (index, (gateway, books)) in gateways.iter().zip(ledgers).enumerate() {
            let draw = |number: u64| mixed(round << 32 | number) % books.residents;
            lookups.values[index].push(lookup(gateway, &draw));
            let before = processor_nanos();
            admissions.values[index].push(admission(gateway, &draw, round).await);
            processor.values[index].push((processor_nanos() - before) as f64 / 1e3 / (LOTS * AT_ONCE) as f64);
            usages.values[index].push(usage(gateway, &draw).await);
            reports.values[index].push(month(gateway));
            changes.values[index].push(changed(gateway));
        }
        bar.inc(1);
    }
    for gateway in gateways {
        gateway.close().await;
    }
    for _ in 0..rounds {
        for (index, folder) in folders.iter().enumerate() {
            starts.values[index].push(start(folder).await * 1e3);
            if forget(&folder.join("ledger.sqlite")) {
                cold.values[index].push(start(folder).await * 1e3);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let measured = [starts, cold, lookups, admissions, processor, usages, reports, changes];
    measured.into_iter().filter(|figures| figures.values.iter().all(|values| !values.is_empty())).collect()
}

/// Asks for each resident once: keys and counters are in memory wherever a town's questions are answered, and a figure of
/// the disk would say nothing of the ledger. Not by reading the file from end to end: what Linux then keeps are pages of up
/// to two megabytes, and a write of four kilobytes into one of those costs ten times as much.
fn warm(gateway: &Gateway, residents: u64) {
    let windows = gateway.calendar.windows(NOW.parse().unwrap());
    for number in 0..residents {
        let who = gateway.directory.authenticate(&key(number)).unwrap();
        gateway.ledger.resident_use(who.resident(), &windows).unwrap();
    }
}

/// Asks the system to keep nothing of the file in memory; whether it could be asked.
fn forget(file: &Path) -> bool {
    let of = format!("if={}", file.display());
    let asked = Command::new("dd").args([&of, "iflag=nocache", "count=0"]).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// What this process's threads have used of the processors, the system's work for them included, in nanoseconds: unlike
/// the clock it does not count what others do beside.
fn processor_nanos() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("schedstat"));
    tasks.map(|task| of(task).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Microseconds of one lookup of a key.
fn lookup(gateway: &Gateway, draw: &dyn Fn(u64) -> u64) -> f64 {
    let keys: Vec<_> = (0..USAGES).map(|number| key(draw(number ^ 1 << 30))).collect();
    let begin = Instant::now();
    for key in &keys {
        drop(gateway.directory.authenticate(key).unwrap());
    }
    begin.elapsed().as_secs_f64() * 1e6 / USAGES as f64
}

/// Microseconds a call, from its key to its settlement.
async fn admission(gateway: &Gateway, draw: &dyn Fn(u64) -> u64, round: u64) -> f64 {
    let now = NOW.parse().unwrap();
    let begin = Instant::now();
    for lot in 0..LOTS {
        let calls = (lot * AT_ONCE..(lot + 1) * AT_ONCE).map(|number| {
            let key = key(draw(number));
            async move {
                let who = gateway.directory.recognise(&key).unwrap();
                let request = request(gateway, &who, now, (round + 1) << 40 | number);
                let entry = answered(&request.entry, mixed(round << 40 | number));
                settle(&gateway.ledger, request, vec![entry]).await;
            }
        });
        join_all(calls).await;
    }
    begin.elapsed().as_secs_f64() * 1e6 / (LOTS * AT_ONCE) as f64
}

/// Microseconds of one `GET /v1/usage`, its key looked up.
async fn usage(gateway: &Gateway, draw: &dyn Fn(u64) -> u64) -> f64 {
    let requests: Vec<Request<Body>> = (0..USAGES)
        .map(|number| {
            let bearer = format!("Bearer {}", key(draw(number ^ 1 << 31)).expose());
            Request::get("/v1/usage").header("authorization", bearer).body(Body::empty()).unwrap()
        })
        .collect();
    let begin = Instant::now();
    for request in requests {
        let answer = gateway.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    begin.elapsed().as_secs_f64() * 1e6 / USAGES as f64
}

/// Milliseconds of the current month's report, from the ledger to the table.
fn month(gateway: &Gateway) -> f64 {
    let today: Date = NOW[..10].parse().unwrap();
    let period = Period::parse(None, None, today).unwrap();
    let begin = Instant::now();
    for _ in 0..REPORTS {
        let report = report::build(&gateway.ledger, &period, 600, NOW.parse().unwrap()).unwrap();
        assert!(report.to_table().contains("mistral-small-2603"));
    }
    begin.elapsed().as_secs_f64() * 1e3 / f64::from(REPORTS)
}

/// Milliseconds of the list of changes, as the mairie's listener gives it.
fn changed(gateway: &Gateway) -> f64 {
    let begin = Instant::now();
    assert!(!gateway.ledger.changes().unwrap().is_empty());
    begin.elapsed().as_secs_f64() * 1e3
}
