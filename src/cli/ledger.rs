//! `passerelle ledger verify|export|schema`.

use std::io::BufWriter;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{ConfigFile, EX_SOFTWARE, Failure, complain, say};
use crate::ledger::{ExportFormat, export, schema_json, schema_sql, schema_text};

/// Verify or export the ledger, or say what an export holds.
#[derive(clap::Args)]
pub(super) struct LedgerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Recompute the chain of hashes over all entries and compare the counters with their sum; exit 70 on a finding.
    #[command(after_help = "Example: passerelle ledger verify --config passerelle.toml")]
    Verify {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Write every entry to standard output.
    #[command(after_help = "Example: passerelle ledger export --config passerelle.toml --format csv > ledger.csv")]
    Export {
        #[command(flatten)]
        file: ConfigFile,
        /// Form of the export.
        #[arg(long, value_enum, default_value_t = Form::Csv)]
        format: Form,
    },
    /// Say what the columns of an export are: type, unit and meaning.
    #[command(after_help = "Example: passerelle ledger schema --format sql | duckdb ledger.duckdb")]
    Schema {
        /// Form of the description.
        #[arg(long, value_enum, default_value_t = SchemaForm::Text)]
        format: SchemaForm,
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

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// Comma-separated, one header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl LedgerCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Verify { file } => verify(&file),
            Action::Export { file, format } => {
                let (ledger, _) = file.open_ledger()?;
                let format = match format {
                    Form::Csv => ExportFormat::Csv,
                    Form::Jsonl => ExportFormat::JsonLines,
                };
                export(&ledger, format, &mut BufWriter::new(std::io::stdout().lock()))?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Schema { format } => {
                let text = match format {
                    SchemaForm::Text => schema_text(),
                    SchemaForm::Json => schema_json(),
                    SchemaForm::Sql => schema_sql(),
                };
                say(text.trim_end());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn verify(file: &ConfigFile) -> Result<ExitCode, Failure> {
    let (ledger, _) = file.open_ledger()?;
    let found = ledger.verify()?;
    for finding in &found.findings {
        complain(finding);
    }
    let state = if found.is_clean() { "clean" } else { "DAMAGED" };
    say(&format!("{state}: {} entries verified, {} reservations open", found.entries, found.open_reservations));
    Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(EX_SOFTWARE) })
}
