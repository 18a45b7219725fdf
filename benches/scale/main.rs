//! What residents and entries cost: a call's admission, `/v1/usage`, a start and the report of a month, with few and with
//! many of each, in turns in one run.
//!
//! `cargo bench --bench scale` (a million residents, ten million entries: a quarter of an hour, 25 GB of disk under the
//! target folder, removed at the end); with `-- --small` a few seconds; with `--keep` the ledgers stay, and serve the next
//! run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock, and fails loudly"
)]

mod books;
mod gateway;
mod measure;

use std::path::{Path, PathBuf};
use std::time::Instant;

use books::Books;
use measure::Figures;

/// How large the ledgers are and how often each is measured.
#[derive(Clone, Copy)]
struct Size {
    few: u64,
    residents: u64,
    entries: u64,
    rounds: usize,
}

const FULL: Size = Size { few: 1_000, residents: 1_000_000, entries: 10_000_000, rounds: 7 };
const SMALL: Size = Size { few: 1_000, residents: 20_000, entries: 50_000, rounds: 3 };

impl Size {
    /// The ledgers compared: few of both first, then many of one.
    fn ledgers(self) -> [Books; 3] {
        let Self { few, residents, entries, .. } = self;
        [
            Books { residents: few, holds: few, entries_per_hold: 1, months: 1 },
            Books { residents, holds: residents, entries_per_hold: 1, months: 1 },
            Books { residents: few, holds: entries / books::MANY, entries_per_hold: books::MANY, months: 24 },
        ]
    }
}

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let (small, keep) = (given("--small"), given("--keep"));
    let size = if small { SMALL } else { FULL };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if small { "scale-small" } else { "scale" });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ledgers = size.ledgers();
    let folders: Vec<PathBuf> = ledgers.iter().map(|books| folder.join(books.name())).collect();
    for (books, folder) in ledgers.iter().zip(&folders) {
        runtime.block_on(filled(*books, folder));
    }
    println!();
    let figures = runtime.block_on(measure::all(&ledgers, &folders, size.rounds));
    show(&ledgers, &figures);
    if small {
        verify(&folders);
    }
    if !keep {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Fills the ledger in `folder`, unless an earlier run left it there whole.
async fn filled(books: Books, folder: &Path) {
    let whole = folder.join("filled");
    if !whole.exists() {
        let _nothing_to_remove = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        let start = Instant::now();
        let gateway = gateway::Gateway::open(folder);
        books.fill(&gateway).await;
        gateway.close().await;
        let seconds = start.elapsed().as_secs_f64();
        let each = seconds * 1e6 / books.entries() as f64;
        println!("{}: filled in {seconds:.0} s, {each:.0} µs an entry", books.name());
        std::fs::write(whole, "").unwrap();
    }
    let bytes = std::fs::metadata(folder.join("ledger.sqlite")).unwrap().len();
    println!("{}: {:.2} GB", books.name(), bytes as f64 / 1e9);
}

fn show(ledgers: &[Books], figures: &[Figures]) {
    print!("{:<46}", "median of the rounds");
    for books in ledgers {
        print!("{:>36}", books.name());
    }
    println!();
    for figure in figures {
        print!("{:<46}", format!("{}, {}", figure.what, figure.unit));
        for index in 0..ledgers.len() {
            let (low, high) = figure.extremes(index);
            let median = figure.median(index);
            print!("{:>36}", format!("{median:.1} ({low:.1} to {high:.1}) × {:.2}", figure.ratio(index)));
        }
        println!();
    }
}

fn verify(folders: &[PathBuf]) {
    for folder in folders {
        let ledger = passerelle::ledger::Ledger::open_sqlite_beside(&folder.join("ledger.sqlite")).unwrap();
        let found = ledger.verify().unwrap();
        println!("verify: {} records, findings {:?}", found.entries, found.findings);
        assert!(found.is_clean());
    }
}
