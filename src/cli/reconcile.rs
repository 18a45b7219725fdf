//! `passerelle reconcile`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use providers::figures::{FiguresRequest, VendorFigures, fetch};
use providers::{Dialect, ProviderId};

use super::output::{Format, entries_bar};
use super::{ConfigFile, EX_SOFTWARE, Failure, complain, runtime, say};
use crate::clock::Clock;
use crate::config::Environment;
use crate::reconcile::{Question, Reconciler, Reconciliation};

/// Entries between two signs of life.
const ENTRIES_PER_SIGN: u64 = 1_000;

/// Compare the ledger with a vendor's own usage and costs; exit 70 when something is not explained.
///
/// Usage is compared by hour, model and bucket, money by day (UTC) and model. The key of an administrator is read from
/// OPENAI_ADMIN_KEY or MISTRAL_ADMIN_KEY, or from the file that OPENAI_ADMIN_KEY_FILE or MISTRAL_ADMIN_KEY_FILE names; with --file no vendor is called and no key is needed.
#[derive(clap::Args)]
#[command(
    after_help = "Example: OPENAI_ADMIN_KEY=sk-admin-… passerelle reconcile --config passerelle.toml --provider openai \
                  --from 2026-11-01 --to 2026-11-30"
)]
pub(super) struct ReconcileCommand {
    #[command(flatten)]
    config: ConfigFile,
    /// The vendor, by its name in the configuration: openai or mistral_ai.
    #[arg(long)]
    provider: String,
    /// First day (UTC), such as 2026-11-01.
    #[arg(long)]
    from: Date,
    /// Last day (UTC), included.
    #[arg(long)]
    to: Date,
    /// The vendor's figures as JSON: what its endpoints answered, one document or several; repeatable.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Address of the vendor's administration, ending in /v1; the address of its first host by default.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl ReconcileCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.from > self.to {
            return Err(Failure::Usage(format!("--from {} is after --to {}", self.from, self.to)));
        }
        let (ledger, config) = self.config.open_ledger()?;
        let id = ProviderId::new(&self.provider);
        let Some(catalogue) = config.catalogue.provider(&id) else {
            return Err(Failure::Usage(format!("--provider {}: no such vendor in the configuration", self.provider)));
        };
        let figures = if self.file.is_empty() {
            let host = catalogue.hosts.first().map(|host| host.base_url.clone());
            self.ask(catalogue.dialect, self.base_url.clone().or(host).unwrap_or_default())?
        } else {
            self.read()?
        };
        let question = Question {
            catalogue,
            rates: &config.exchange_rates,
            from: self.from,
            to: self.to,
            now: Clock::system().now(),
        };
        let mut reconciler = Reconciler::new(question, &figures).map_err(Failure::Usage)?;
        let corrected = ledger.corrected_costs()?;
        let progress = entries_bar(ledger.chain_head()?.seq);
        ledger.visit_entries(&mut |seq, entry| {
            if seq.is_multiple_of(ENTRIES_PER_SIGN) {
                progress.set_position(seq);
            }
            match corrected.get(&seq) {
                Some(cost) => reconciler.add_corrected(entry, *cost),
                None => reconciler.add(&entry),
            }
        })?;
        progress.finish_and_clear();
        let outcome = reconciler.finish();
        self.show(&outcome)?;
        Ok(if outcome.is_explained() { ExitCode::SUCCESS } else { ExitCode::from(EX_SOFTWARE) })
    }

    fn show(&self, outcome: &Reconciliation) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => outcome.to_table(),
            Format::Json => outcome.to_json().map_err(anyhow::Error::new)?,
            Format::Csv => outcome.to_csv().map_err(anyhow::Error::new)?,
        };
        say(text.trim_end());
        Ok(())
    }

    fn read(&self) -> Result<VendorFigures, Failure> {
        let mut figures = VendorFigures::default();
        let mut seen = Vec::new();
        for file in &self.file {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
            // The same answer twice would count twice.
            if seen.contains(&text) {
                return Err(Failure::Usage(format!("{}: the same figures were given before", file.display())));
            }
            let more = VendorFigures::read(&text);
            let more = more.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
            figures.usage.extend(more.usage);
            figures.costs.extend(more.costs);
            figures.unread.extend(more.unread);
            seen.push(text);
        }
        figures.retain_days(self.from, self.to);
        Ok(figures)
    }

    /// Asks the vendor.
    fn ask(&self, dialect: Dialect, base_url: String) -> Result<VendorFigures, Failure> {
        let variable = match dialect {
            Dialect::Openai => "OPENAI_ADMIN_KEY",
            Dialect::Mistral => "MISTRAL_ADMIN_KEY",
            Dialect::Compatible => {
                return Err(Failure::Usage("a compatible host has no usage endpoint: give --file".to_owned()));
            }
        };
        let Some(admin_key) = Environment::from_process().secret(variable).map_err(Failure::Usage)? else {
            return Err(Failure::Usage(format!(
                "neither {variable} nor {variable}_FILE is set: the vendor shows its figures to an administrator's key only, or give --file"
            )));
        };
        let request = FiguresRequest { dialect, base_url, admin_key, from: self.from, to: self.to };
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        let asked = runtime()?.block_on(fetch(&request, &|what| bar.set_message(what.to_owned())));
        bar.finish_and_clear();
        let figures = asked.with_context(|| format!("the figures of {}", self.provider))?;
        if figures.usage.is_empty() && figures.costs.is_empty() {
            complain("warning: the vendor has no figures at all for these days");
        }
        Ok(figures)
    }
}
