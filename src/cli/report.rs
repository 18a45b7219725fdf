//! `passerelle report`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::output::{complain, spinner};
use super::{ConfigFile, Failure, say};
use crate::app::Examiner;
use crate::clock::Clock;
use crate::config::EvaluationPeriod;
use crate::report::comparison::Comparison;
use crate::report::document::{self, Lang};
use crate::report::evidence::Evidence;
use crate::report::{self, Period, Report};
use crate::terms::{CurrentTerms, Terms};

/// Compare vendors and models over a period, with the proof: what was asked, waited for, answered and paid, and what may be
/// concluded from it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples: passerelle report --config passerelle.toml --from 2026-12-01 --to 2026-12-28\n          \
                  passerelle report --from 2026-12-01 --to 2026-12-28 --format html --output rapport.html\n          \
                  passerelle report --from 2026-12-01 --to 2026-12-28 --format evidence --output preuves.json\n          \
                  passerelle report --from-evidence preuves.json --format html --output rapport.html"
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
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
    /// Language of the document and of the tables about the comparison.
    #[arg(long, value_enum, default_value_t = Language::Fr)]
    lang: Language,
    /// File to write to, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make the comparison from a published evidence file (`-` for standard input): no ledger and no configuration is read.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "config"])]
    from_evidence: Option<PathBuf>,
    /// Other weights in percent, such as price=50,latency=10,quality=20,ease_of_use=0,data_protection=15,environment=5.
    #[arg(long, value_name = "CRITERION=PERCENT,…", value_delimiter = ',')]
    weights: Vec<String>,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For a terminal.
    Table,
    /// For programs; what it holds is said by --format schema.
    Json,
    /// For spreadsheets: one line a model, from the books.
    Csv,
    /// For spreadsheets: one line a figure of the comparison, with its interval.
    Figures,
    /// A workbook, with formulas to play with.
    Xlsx,
    /// The document for the council: one page for every browser, which prints to PDF.
    Html,
    /// The evidence alone: safe to publish, and enough to make the comparison again.
    Evidence,
    /// JSON Schema of --format json.
    Schema,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// French.
    Fr,
    /// English.
    En,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::Fr => Self::Fr,
            Language::En => Self::En,
        }
    }
}

impl ReportCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.format == ReportFormat::Schema {
            return self.write(report::schema().as_bytes());
        }
        if self.format == ReportFormat::Xlsx && self.output.is_none() && std::io::stdout().is_terminal() {
            return Err(Failure::Usage("a workbook is no text: give --output FILE".to_owned()));
        }
        let spinner = spinner("reading, and resampling the intervals");
        let (books, evidence) = match &self.from_evidence {
            Some(file) => (None, self.weighed(read_evidence(file)?)?),
            None => self.read()?,
        };
        let bytes = self.rendered(books.as_ref(), &evidence)?;
        spinner.finish_and_clear();
        self.write(&bytes)
    }

    /// The books and the evidence of the ledger.
    fn read(&self) -> Result<(Option<Report>, Evidence), Failure> {
        let (ledger, config) = self.file.open_ledger()?;
        let clock = Clock::system();
        let now = clock.now();
        let period = Period::parse(self.from.as_deref(), self.to.as_deref(), config.calendar.date(now))
            .map_err(Failure::Usage)?;
        if self.format == ReportFormat::Evidence && !is_publishable(&period, config.comparison.evaluation) {
            complain(
                "warning: publish whole months or the declared evaluation period only: what two periods that overlap do not \
                 share may be of few people",
            );
        }
        let terms = CurrentTerms::new(Terms::new(&config, &clock));
        let (books, evidence) = Examiner::new(&config, ledger, terms, clock).read(&period, self.weights()?)?;
        Ok((Some(books), evidence))
    }

    fn rendered(&self, books: Option<&Report>, evidence: &Evidence) -> Result<Vec<u8>, Failure> {
        let other = |error: anyhow::Error| Failure::Other(error);
        let comparison = || Comparison::of(evidence);
        let lang = self.lang.into();
        Ok(match self.format {
            ReportFormat::Table => {
                let compared = document::table::render(&comparison(), lang);
                let parts = books.map(Report::to_table).into_iter().chain([compared]);
                parts.collect::<Vec<_>>().join("\n").into_bytes()
            }
            ReportFormat::Json => {
                report::to_json(books, &comparison()).map_err(|error| other(error.into()))?.into_bytes()
            }
            ReportFormat::Csv => {
                let books = books.ok_or_else(|| {
                    Failure::Usage("evidence holds no books: --format figures has the comparison".to_owned())
                })?;
                books.to_csv().map_err(|error| other(error.into()))?.into_bytes()
            }
            ReportFormat::Figures => {
                document::csv::render(&comparison()).map_err(|error| other(anyhow::anyhow!("{error}")))?.into_bytes()
            }
            ReportFormat::Xlsx => {
                document::xlsx::render(&comparison(), lang).map_err(|error| other(anyhow::anyhow!("{error}")))?
            }
            ReportFormat::Html => document::html::render(&comparison(), lang).into_bytes(),
            ReportFormat::Evidence => evidence.to_json().map_err(|error| other(error.into()))?.into_bytes(),
            ReportFormat::Schema => Vec::new(),
        })
    }

    fn weighed(&self, mut evidence: Evidence) -> Result<Evidence, Failure> {
        if let Some(weights) = self.weights()? {
            evidence.buyer.weights = weights;
        }
        Ok(evidence)
    }

    /// The weights given here, if any; they must be percent of a whole.
    fn weights(&self) -> Result<Option<BTreeMap<String, u32>>, Failure> {
        if self.weights.is_empty() {
            return Ok(None);
        }
        let mut weights = BTreeMap::new();
        for text in &self.weights {
            let parsed =
                text.split_once('=').and_then(|(key, percent)| Some((key.trim(), percent.trim().parse().ok()?)));
            let (key, percent) =
                parsed.ok_or_else(|| Failure::Usage(format!("--weights: `{text}` is not like price=40")))?;
            weights.insert(key.to_owned(), percent);
        }
        match weights.values().sum::<u32>() {
            100 => Ok(Some(weights)),
            sum => Err(Failure::Usage(format!("--weights must add up to 100, not {sum}"))),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<ExitCode, Failure> {
        match &self.output {
            Some(file) => {
                std::fs::write(file, bytes).with_context(|| format!("{} cannot be written", file.display()))?
            }
            None if self.format == ReportFormat::Xlsx => {
                // A pipe that was closed is no reason to fail.
                let _closed_pipe = std::io::stdout().write_all(bytes);
            }
            None => say(String::from_utf8_lossy(bytes).trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Periods of which no two leave a few days between them.
fn is_publishable(period: &Period, declared: Option<EvaluationPeriod>) -> bool {
    let whole_months = period.from == period.from.first_of_month() && period.to == period.to.last_of_month();
    whole_months || declared.is_some_and(|declared| (declared.from, declared.to) == (period.from, period.to))
}

fn read_evidence(file: &Path) -> Result<Evidence, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    Evidence::from_json(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}
