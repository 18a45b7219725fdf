//! What the bench is asked to do.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What the gateway costs beside calling a vendor directly and beside nginx as a bare reverse proxy, all in one run.
#[derive(Debug, Parser)]
#[command(
    name = "load",
    after_help = "Examples: cargo bench --bench load -- --quick\n          \
                  cargo bench --bench load -- --only plain,open --runs 5 --seconds 10\n          \
                  cargo bench --bench load -- --soak 1000000"
)]
pub(crate) struct Arguments {
    /// Steps to take.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEPS", default_values_t = Step::ALL)]
    pub(crate) only: Vec<Step>,
    /// Short measurements, once, and 1,000 open streams: to see that everything works, not for figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often everything is measured; the table gives the median and the extremes. [default: 3; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: Option<u32>,
    /// Length of one measurement, in seconds. [default: 5; with --quick 1]
    #[arg(long, value_parser = seconds)]
    pub(crate) seconds: Option<f64>,
    /// Streams that are open at once in the step `many`. [default: 10000; with --quick 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) streams: Option<u32>,
    /// Requests of the step `soak`; 0 leaves it out. The published figures are of 1000000.
    #[arg(long, default_value_t = 0)]
    pub(crate) soak: u64,
    /// The program to measure. Without it the release build of this folder is made and measured. Give a copy:
    /// `cargo bench` puts a build of the bench profile in place of target/release/passerelle.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Where the ledger's folder is made; it must be on a disk for the figures to mean something.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Where every figure of every run is written. [default: target/load/<date>.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// What cargo passes to every bench; without a meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Whole answers, closed loop at 1, 16, 64 and 256 connections.
    Plain,
    /// Whole answers at 100, 500 and 1000 a second, timed from the intended start.
    Open,
    /// Streams of 50 tokens, in a burst and one token every 5 ms.
    Streams,
    /// Whole answers at 64 connections, nginx and the gateway on one core of their own.
    OneCore,
    /// Many slow streams open at once.
    Many,
    /// Memory over many requests.
    Soak,
}

impl Step {
    /// All of them, in the order in which they are taken.
    pub(crate) const ALL: [Self; 6] = [Self::Plain, Self::Open, Self::Streams, Self::OneCore, Self::Many, Self::Soak];
}

impl Arguments {
    /// How often everything is measured.
    pub(crate) fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Length of one measurement, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 1.0 } else { 5.0 })
    }

    /// Streams open at once in [`Step::Many`].
    pub(crate) fn streams(&self) -> u32 {
        self.streams.unwrap_or(if self.quick { 1_000 } else { 10_000 })
    }

    /// Whether a step is taken.
    pub(crate) fn takes(&self, step: Step) -> bool {
        self.only.contains(&step) && (step != Step::Soak || self.soak > 0)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.2..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be between 0.2 and 3600 seconds".to_owned()),
    }
}
