//! `passerelle metrics`.

use std::process::ExitCode;

use clap::ValueEnum;

use super::{Failure, say};
use crate::telemetry::{markdown, text};

/// Say what `/metrics` serves: every metric with its kind, unit, labels and meaning. Nothing is served or measured.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle metrics | grep ledger")]
pub(super) struct MetricsCommand {
    /// Form of the list.
    #[arg(long, value_enum, default_value = "text")]
    format: MetricsFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum MetricsFormat {
    /// One line a metric.
    Text,
    /// The page `deploy/doc/metrics.md`.
    Markdown,
}

impl MetricsCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let list = match self.format {
            MetricsFormat::Text => text(),
            MetricsFormat::Markdown => markdown(),
        };
        say(list.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}
