//! `passerelle ledger verify|export|schema|adjust|rebuild`.

use std::io::BufWriter;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use providers::money::{Money, format_nanos, parse_decimal};

use super::output::entries_bar;
use super::{ConfigFile, EX_SOFTWARE, Failure, complain, say};
use crate::clock::Clock;
use crate::ledger::{
    ADJUSTMENTS, ATTEMPTS, Adjustment, Author, ChainHead, DUELS, Export, ExportFormat, Ledger, LedgerFile, PROBES,
    Record, export,
};

/// Verify, export or correct the ledger, or say what an export holds.
#[derive(clap::Args)]
pub(super) struct LedgerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Recompute the chain of hashes over all entries and compare the counters with their sum; exit 70 on a finding. The
    /// end of the chain that it prints, noted elsewhere, proves later that nothing before it was written again.
    #[command(
        after_help = "Example: passerelle ledger verify --config passerelle.toml --noted 1204:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Verify {
        #[command(flatten)]
        file: ConfigFile,
        /// The end of the chain as an earlier verification printed it.
        #[arg(long, value_name = "NUMBER:HASH")]
        noted: Option<ChainHead>,
    },
    /// Write every attempt, adjustment, probe or judged duel to standard output.
    #[command(after_help = "Example: passerelle ledger export --config passerelle.toml --format csv > ledger.csv")]
    Export {
        #[command(flatten)]
        file: ConfigFile,
        /// Form of the export.
        #[arg(long, value_enum, default_value_t = Form::Csv)]
        format: Form,
        /// What to export.
        #[arg(long, value_enum, default_value_t = What::Attempts)]
        of: What,
    },
    /// Say what the columns of an export are: type, unit and meaning.
    #[command(after_help = "Example: passerelle ledger schema --format sql | duckdb ledger.duckdb")]
    Schema {
        /// Form of the description.
        #[arg(long, value_enum, default_value_t = SchemaForm::Text)]
        format: SchemaForm,
        /// Of which export.
        #[arg(long, value_enum, default_value_t = What::Attempts)]
        of: What,
    },
    /// Correct what was booked by an adjustment: entries themselves are never changed. Works beside a running gateway.
    #[command(
        after_help = "Example: passerelle ledger adjust --config passerelle.toml --entry 1204 --cost 0 --by \"Claire, DSI\" --reason \"not on the bill of November\"\n         \
                      passerelle ledger adjust --config passerelle.toml --provider openai --day 2026-11-30 --euros=-1.25 --by \"Claire, DSI\" --reason \"credit note\""
    )]
    Adjust(Box<Adjust>),
    /// Forget the report's aggregates, while no gateway serves: the next start makes them again from the entries, in the
    /// background. Needed only when `doctor` says that one cannot be read.
    #[command(after_help = "Example: passerelle ledger rebuild --config passerelle.toml")]
    Rebuild {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum SchemaForm {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// A CREATE TABLE for the CSV.
    Sql,
}

#[derive(Args)]
struct Adjust {
    #[command(flatten)]
    file: ConfigFile,
    /// Number of the entry to correct (`seq` of the export).
    #[arg(long, value_name = "NUMBER", requires = "cost", conflicts_with_all = ["provider", "day", "euros"])]
    entry: Option<u64>,
    /// What it turned out to cost, in the vendor's currency; 0 when the vendor never billed it.
    #[arg(long, value_name = "AMOUNT", requires = "entry")]
    cost: Option<String>,
    /// Tokens it turned out to use.
    #[arg(long, value_name = "COUNT", requires = "entry")]
    tokens: Option<u64>,
    /// Vendor of a correction that concerns no single entry.
    #[arg(long, value_name = "NAME", requires_all = ["day", "euros"])]
    provider: Option<String>,
    /// Its model, where there is one.
    #[arg(long, value_name = "ID", default_value = "", requires = "provider")]
    model: String,
    /// Its day.
    #[arg(long, value_name = "DAY", requires = "provider")]
    day: Option<Date>,
    /// Euros to add to the town's sums of that day; negative to take away (--euros=-1.25).
    #[arg(long, value_name = "AMOUNT", requires = "provider", allow_hyphen_values = true)]
    euros: Option<String>,
    /// Who corrects.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// Comma-separated, one header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Attempts at vendors.
    Attempts,
    /// Adjustments of what was booked.
    Adjustments,
    /// Questions of the town's basket, each put to one model.
    Probes,
    /// Blind duels that residents judged.
    Duels,
}

impl What {
    fn export(self) -> Export {
        match self {
            Self::Attempts => ATTEMPTS,
            Self::Adjustments => ADJUSTMENTS,
            Self::Probes => PROBES,
            Self::Duels => DUELS,
        }
    }
}

impl LedgerCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Verify { file, noted } => verify(&file, noted),
            Action::Export { file, format, of } => {
                let (ledger, _) = file.open_ledger()?;
                let format = match format {
                    Form::Csv => ExportFormat::Csv,
                    Form::Jsonl => ExportFormat::JsonLines,
                };
                export(&ledger, of.export(), format, &mut BufWriter::new(std::io::stdout().lock()))?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Schema { format, of } => {
                let text = match format {
                    SchemaForm::Text => of.export().to_text(),
                    SchemaForm::Json => of.export().to_json(),
                    SchemaForm::Sql => of.export().to_sql(),
                };
                say(text.trim_end());
                Ok(ExitCode::SUCCESS)
            }
            Action::Adjust(adjust) => adjust.run(),
            Action::Rebuild { file } => {
                let ledger = LedgerFile::new(&file.load_without_keys()?.config.ledger.path);
                ledger.forget_aggregates(&ledger.keep_free()?)?;
                say("the aggregates are forgotten; the gateway makes them again, and reports take longer until then");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn verify(file: &ConfigFile, noted: Option<ChainHead>) -> Result<ExitCode, Failure> {
    let (ledger, _) = file.open_ledger()?;
    let bar = entries_bar(ledger.chain_head()?.seq);
    let found = ledger.verify_against(noted, &mut |read| bar.set_position(read))?;
    bar.finish_and_clear();
    for finding in &found.findings {
        complain(finding);
    }
    let listed = u64::try_from(found.findings.len()).unwrap_or(u64::MAX);
    if found.count > listed {
        complain(&format!("… and {} more", found.count - listed));
    }
    let state = if found.is_clean() { "clean" } else { "DAMAGED" };
    say(&format!("{state}: {} entries verified, {} reservations open", found.entries, found.open_reservations));
    say(&format!("end of the chain: {}", found.head));
    Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(EX_SOFTWARE) })
}

impl Adjust {
    fn run(self) -> Result<ExitCode, Failure> {
        let (ledger, _) = self.file.open_ledger()?;
        let author = Author { actor: &self.by, reason: &self.reason, now: Clock::system().now() };
        let adjustment = match (self.entry, &self.cost, &self.provider, self.day, &self.euros) {
            (Some(seq), Some(cost), ..) => self.of_entry(&ledger, seq, cost, author)?,
            (_, _, Some(provider), Some(day), Some(euros)) => {
                Adjustment::of_day(provider, &self.model, day, signed(euros)?, author)
            }
            _ => return Err(Failure::Usage("give --entry and --cost, or --provider, --day and --euros".to_owned())),
        };
        let euros = format_nanos(adjustment.charged.euro_nanos);
        let seq = ledger.append(&Record::Adjustment(Box::new(adjustment)))?;
        say(&format!("entry {seq}: {euros} EUR added to the sums"));
        Ok(ExitCode::SUCCESS)
    }

    fn of_entry(&self, ledger: &Ledger, seq: u64, cost: &str, author: Author<'_>) -> Result<Adjustment, Failure> {
        let entry = match ledger.record(seq)? {
            Some(Record::Attempt(entry)) => Arc::unwrap_or_clone(entry),
            Some(_) => return Err(Failure::Usage(format!("entry {seq} is no attempt at a vendor"))),
            None => return Err(Failure::Usage(format!("there is no entry {seq}"))),
        };
        let currency = entry.currency.parse().map_err(anyhow::Error::new)?;
        let cost = Money::new(amount(cost)?, currency);
        Adjustment::of_entry(seq, &entry, ledger.adjusted(seq)?, cost, self.tokens, author)
            .map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// A decimal amount in nano-units.
fn amount(text: &str) -> Result<i64, Failure> {
    let nanos = parse_decimal(text, 9).map_err(|error| Failure::Usage(error.to_string()))?;
    i64::try_from(nanos).map_err(|_| Failure::Usage(format!("{text} is too large")))
}

fn signed(text: &str) -> Result<i64, Failure> {
    match text.strip_prefix('-') {
        Some(positive) => Ok(-amount(positive)?),
        None => amount(text),
    }
}
