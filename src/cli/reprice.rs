//! `passerelle reprice`.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::civil::Date;
use providers::catalogue::{Catalogue, ProviderCatalogue};

use super::output::{Format, entries_bar};
use super::{ConfigFile, Failure, say};
use crate::clock::Clock;
use crate::report::Period;
use crate::report::reprice::Repricing;

/// Entries between two signs of life.
const ENTRIES_PER_SIGN: u64 = 1_000;

/// Recompute a period under another price list, without touching what was booked.
///
/// Without --catalogue, under the list in force: the difference is then zero.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle reprice --config passerelle.toml --from 2026-11-01 --to 2026-11-30 \
                        --catalogue openai-2027.toml --as-of 2027-01-01")]
pub(super) struct Reprice {
    #[command(flatten)]
    file: ConfigFile,
    /// First day, such as 2026-11-01; the first of the month by default.
    #[arg(long)]
    from: Option<String>,
    /// Last day; today by default.
    #[arg(long)]
    to: Option<String>,
    /// Catalogue file that takes the place of its vendor's; may be given several times.
    #[arg(long, value_name = "FILE")]
    catalogue: Vec<PathBuf>,
    /// Apply the prices of this day to every attempt, instead of those of the day of each.
    #[arg(long, value_name = "DAY")]
    as_of: Option<Date>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Reprice {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (ledger, config) = self.file.open_ledger()?;
        let today = config.calendar.date(Clock::system().now());
        let period = Period::parse(self.from.as_deref(), self.to.as_deref(), today).map_err(Failure::Usage)?;
        let catalogue = replaced(&config.catalogue, &self.catalogue)?;
        let mut repricing = Repricing::new(&catalogue, period, self.as_of);
        let progress = entries_bar(ledger.chain_head()?.seq);
        ledger.visit_entries(&mut |seq, entry| {
            repricing.add(&entry);
            if seq.is_multiple_of(ENTRIES_PER_SIGN) {
                progress.set_position(seq);
            }
        })?;
        progress.finish_and_clear();
        let repriced = repricing.finish(ledger.is_simulated()?.unwrap_or(false));
        let text = match self.format {
            Format::Table => repriced.to_table(),
            Format::Json => repriced.to_json(),
            Format::Csv => repriced.to_csv().map_err(anyhow::Error::new)?,
        };
        say(text.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// The catalogues in force, with those of the files in place of their vendors'.
fn replaced(in_force: &Catalogue, files: &[PathBuf]) -> Result<Catalogue, Failure> {
    let mut catalogues: Vec<ProviderCatalogue> = in_force.providers().map(|known| (**known).clone()).collect();
    for file in files {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
        let read = ProviderCatalogue::parse(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
        match catalogues.iter_mut().find(|known| known.id == read.id) {
            Some(known) => *known = read,
            None => return Err(Failure::Usage(format!("{shown}: there is no provider `{}`", read.id))),
        }
    }
    Ok(Catalogue::new(catalogues))
}
