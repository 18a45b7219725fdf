//! `passerelle report`.

use std::process::ExitCode;

use super::output::Format;
use super::{ConfigFile, Failure, say};
use crate::clock::Clock;
use crate::report::{self, Period};

/// Compare vendors and models over a period: questions, cost, waiting times, refusals.
#[derive(clap::Args)]
#[command(
    after_help = "Example: passerelle report --config passerelle.toml --from 2026-11-01 --to 2026-11-30 --format csv"
)]
pub(super) struct ReportCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// First day, such as 2026-11-01; the first of the current month by default.
    #[arg(long)]
    from: Option<String>,
    /// Last day; today by default.
    #[arg(long)]
    to: Option<String>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl ReportCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (ledger, config) = self.file.open_ledger()?;
        let now = Clock::system().now();
        let period = Period::parse(self.from.as_deref(), self.to.as_deref(), config.calendar.date(now))
            .map_err(Failure::Usage)?;
        let limit = config.upstream.transport.deadlines.total.as_secs();
        let report = report::build(&ledger, &period, limit, now)?;
        let text = match self.format {
            Format::Table => report.to_table(),
            Format::Json => report.to_json(),
            Format::Csv => report.to_csv().map_err(anyhow::Error::new)?,
        };
        say(text.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}
