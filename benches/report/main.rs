//! What a comparison costs: `passerelle report` over ledgers of a hundred thousand, a million and ten million entries of one
//! month, as the program that is installed, with its time and the most memory it took.
//!
//! `cargo bench --bench report` (ten million entries: a quarter of an hour, 10 GB of disk under the target folder, removed
//! at the end); with `-- --small` a few seconds; with `--keep` the ledgers stay, and serve the next run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock, and fails loudly"
)]

#[path = "../scale/books.rs"]
#[expect(dead_code, reason = "what the bench of scale needs of it besides")]
mod books;
#[path = "../scale/gateway.rs"]
#[expect(dead_code, reason = "what the bench of scale needs of it besides")]
mod gateway;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use books::Books;

const RESIDENTS: u64 = 1_000;
const FULL: [u64; 3] = [100_000, 1_000_000, 10_000_000];
const SMALL: [u64; 2] = [10_000, 100_000];
const ROUNDS: usize = 3;
/// Forms that are measured: the document is made of the same comparison, and shows what rendering adds.
const FORMS: [&str; 3] = ["evidence", "json", "html"];
const MONTH: [&str; 4] = ["--from", "2026-11-01", "--to", "2026-11-28"];

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let (small, keep) = (given("--small"), given("--keep"));
    let sizes: &[u64] = if small { &SMALL } else { &FULL };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if small { "report-small" } else { "report" });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folders: Vec<PathBuf> = sizes.iter().map(|entries| folder.join(entries.to_string())).collect();
    for (entries, folder) in sizes.iter().zip(&folders) {
        runtime.block_on(filled(*entries, folder));
    }
    println!("\n{:<12}{:<10}{:>10}{:>14}{:>12}", "entries", "format", "seconds", "peak memory", "output");
    for (entries, folder) in sizes.iter().zip(&folders) {
        for form in FORMS {
            let mut runs: Vec<Run> = (0..ROUNDS).map(|_| report(folder, form)).collect();
            runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
            let median = &runs[ROUNDS / 2];
            let (megabytes, kilobytes) = (median.peak as f64 / 1e6, median.output as f64 / 1e3);
            println!("{entries:<12}{form:<10}{:>10.2}{:>11.0} MB{kilobytes:>9.0} kB", median.seconds, megabytes);
        }
    }
    if !keep {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Fills the ledger in `folder`, unless an earlier run left it there whole.
async fn filled(entries: u64, folder: &Path) {
    let whole = folder.join("filled");
    if !whole.exists() {
        let _nothing_to_remove = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        let start = Instant::now();
        let books =
            Books { residents: RESIDENTS, holds: entries / books::MANY, entries_per_hold: books::MANY, months: 1 };
        let gateway = gateway::Gateway::open(folder);
        books.fill(&gateway).await;
        gateway.close().await;
        let seconds = start.elapsed().as_secs_f64();
        println!("{entries} entries: filled in {seconds:.0} s, {:.0} µs an entry", seconds * 1e6 / entries as f64);
        std::fs::write(folder.join("report.toml"), "[ledger]\npath = \"ledger.sqlite\"\n").unwrap();
        std::fs::write(whole, "").unwrap();
    }
}

struct Run {
    seconds: f64,
    /// Most memory, in bytes.
    peak: u64,
    /// Bytes of the report.
    output: u64,
}

fn report(folder: &Path, form: &str) -> Run {
    let file = folder.join(format!("report.{form}"));
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_passerelle"))
        .arg("report")
        .arg("--config")
        .arg(folder.join("report.toml"))
        .args(MONTH)
        .args(["--format", form, "--output"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The kernel forgets a process's memory with its end: looked at while it runs, often enough for the last moments.
        peak = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let seconds = begin.elapsed().as_secs_f64();
    assert!(ended.success(), "{ended}");
    Run { seconds, peak, output: std::fs::metadata(&file).unwrap().len() }
}

/// `VmHWM:    12345 kB`, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1_024)
}
