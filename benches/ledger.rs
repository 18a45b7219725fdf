//! What durability costs a call, and what a long ledger costs a start, a call and a verification.
//!
//! `cargo bench --bench ledger`; a million rows, or `PASSERELLE_ROWS`. Durabilities are measured in turns in one run, so that
//! their ratio means something whatever the machine does beside; a start on a long ledger stands beside one on a short one.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock, and fails loudly"
)]

#[path = "support/call.rs"]
mod call;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use passerelle::ledger::{Decision, Durability, Ledger, ReservationRequest, Settlement};
use passerelle::quota::Calendar;

use call::{ROWS, answered, request, settings};

/// Calls one after the other, and at once, for each durability and turn.
const ALONE: usize = 300;
const TOGETHER: usize = 64;
const BATCHES: usize = 20;
const TURNS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(durability());
    println!();
    runtime.block_on(length());
}

/// Holds and settles one call; gives how long each took.
async fn call(ledger: &Ledger, request: ReservationRequest) -> (Duration, Duration) {
    let answered = answered(&request);
    let start = Instant::now();
    let Decision::Held(reservation) = ledger.reserve(request).await.unwrap() else { panic!("refused") };
    let held = start.elapsed();
    ledger.settle(Settlement::new(reservation, vec![answered])).await.unwrap();
    (held, start.elapsed().saturating_sub(held))
}

fn quantile(times: &mut [Duration], q: f64) -> f64 {
    times.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among a few thousand")]
    let rank = ((times.len() - 1) as f64 * q) as usize;
    times[rank].as_secs_f64() * 1e6
}

async fn durability() {
    let calendar = Calendar::new("Europe/Paris").unwrap();
    let levels = [("normal", Durability::Normal), ("full", Durability::Full)];
    let folders = levels.map(|_| tempfile::tempdir_in(".").unwrap());
    let ledgers: Vec<Ledger> = levels
        .iter()
        .zip(&folders)
        .map(|((_, level), folder)| Ledger::open_sqlite(&settings(folder.path(), *level)).unwrap())
        .collect();
    let mut holds = [Vec::new(), Vec::new()];
    let mut together = [Duration::ZERO, Duration::ZERO];
    let mut number = 0;
    for _ in 0..TURNS {
        for (index, ledger) in ledgers.iter().enumerate() {
            for _ in 0..ALONE {
                number += 1;
                holds[index].push(call(ledger, request(&calendar, number)).await.0);
            }
            let start = Instant::now();
            for _ in 0..BATCHES {
                let calls = (0..TOGETHER).map(|_| {
                    number += 1;
                    call(ledger, request(&calendar, number))
                });
                join_all(calls).await;
            }
            together[index] += start.elapsed();
        }
    }
    println!("durability   hold alone, p50 and p99   hold and settle, {TOGETHER} at once, per call");
    for (index, (name, _)) in levels.iter().enumerate() {
        let (p50, p99) = (quantile(&mut holds[index], 0.5), quantile(&mut holds[index], 0.99));
        let each = together[index].as_secs_f64() * 1e6 / (TURNS * BATCHES * TOGETHER) as f64;
        println!("{name:<12} {p50:>8.0} µs {p99:>8.0} µs {each:>20.1} µs");
    }
    let ratio = quantile(&mut holds[1], 0.5) / quantile(&mut holds[0], 0.5);
    println!("full / normal at the median of a hold alone: {ratio:.1}");
    for ledger in ledgers {
        ledger.close().await.unwrap();
    }
}

/// A ledger of so many rows, closed.
async fn filled(rows: u64) -> tempfile::TempDir {
    let calendar = Calendar::new("Europe/Paris").unwrap();
    let folder = tempfile::tempdir_in(".").unwrap();
    let ledger = Ledger::open_sqlite(&settings(folder.path(), Durability::Normal)).unwrap();
    let style = ProgressStyle::with_template("filling {bar:40} {human_pos} of {human_len}, {eta} left").unwrap();
    let bar = ProgressBar::new(rows).with_style(style);
    let mut done = 0;
    while done < rows {
        let some = 256.min(rows - done);
        join_all((done..done + some).map(|number| call(&ledger, request(&calendar, number)))).await;
        done += some;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    ledger.close().await.unwrap();
    folder
}

/// How long opening takes, and a first call after it; the median of five.
async fn start(folder: &Path) -> (f64, f64) {
    let calendar = Calendar::new("Europe/Paris").unwrap();
    let (mut opens, mut calls) = (Vec::new(), Vec::new());
    for turn in 0..5 {
        let begin = Instant::now();
        let ledger = Ledger::open_sqlite(&settings(folder, Durability::Full)).unwrap();
        opens.push(begin.elapsed());
        let begin = Instant::now();
        call(&ledger, request(&calendar, ROWS + turn)).await;
        calls.push(begin.elapsed());
        ledger.close().await.unwrap();
    }
    (quantile(&mut opens, 0.5) / 1e3, quantile(&mut calls, 0.5) / 1e3)
}

async fn length() {
    let rows = std::env::var("PASSERELLE_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let begin = Instant::now();
    let (short, long) = (filled(1_000.min(rows)).await, filled(rows).await);
    println!("filled with {rows} rows in {:.0} s", begin.elapsed().as_secs_f64());
    for (name, folder) in [("1,000 rows", &short), ("all rows", &long)] {
        let (open, call) = start(folder.path()).await;
        println!("{name:<10}  open {open:>7.2} ms   first call after it {call:>7.2} ms");
    }
    let file = long.path().join("ledger.sqlite");
    println!("{} bytes a row", std::fs::metadata(&file).unwrap().len() / rows);
    verify(&file, "untouched");
    flip(&file, rows / 2);
    verify(&file, "one byte of one row flipped");
}

fn verify(file: &Path, name: &str) {
    let ledger = Ledger::open_sqlite_beside(file).unwrap();
    let begin = Instant::now();
    let found = ledger.verify().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let each = seconds * 1e6 / found.entries as f64;
    println!(
        "verify, {name}: {} rows in {seconds:.2} s, {each:.1} µs a row, findings {:?}",
        found.entries, found.findings
    );
}

/// Flips one bit in what one row charges, in the file itself: one question becomes three.
fn flip(file: &Path, seq: u64) {
    let bytes = std::fs::read(file).unwrap();
    let ledger = Ledger::open_sqlite_beside(file).unwrap();
    let record = ledger.record(seq).unwrap().and_then(passerelle::ledger::Record::into_attempt).unwrap();
    let needle = format!("[1,\"{}\"", record.id);
    let amount = b",[1";
    let out = OpenOptions::new().write(true).open(file).unwrap();
    let mut flipped = 0;
    for (start, window) in bytes.windows(needle.len()).enumerate() {
        if window != needle.as_bytes() {
            continue;
        }
        let within = bytes[start..].windows(amount.len()).position(|window| window == amount).unwrap();
        let place = start + within + amount.len() - 1;
        out.write_all_at(&[bytes[place] ^ 2], u64::try_from(place).unwrap()).unwrap();
        flipped += 1;
    }
    assert!(flipped > 0, "row {seq} was not found in the file");
}
