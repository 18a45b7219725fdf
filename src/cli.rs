//! The command line. Each command is one file; exit codes are those of sysexits: 0, 64 (usage), 70 (internal), 78
//! (configuration).

mod backup;
mod completions;
mod config;
mod demo;
mod doctor;
mod healthcheck;
mod keys;
mod ledger;
mod manual;
mod metrics;
mod output;
mod probe;
mod reconcile;
mod report;
mod reprice;
mod restore;
mod serve;
mod simulate;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::AppError;
use crate::care::CareError;
use crate::config::{ConfigError, Environment, Loaded, load};
use crate::ledger::{Ledger, StoreError};
use output::{complain, say};

/// Exit code for a mistake on the command line.
const EX_USAGE: u8 = 64;
/// Exit code for trouble that is ours.
const EX_SOFTWARE: u8 = 70;
/// Exit code for a configuration that cannot be used.
const EX_CONFIG: u8 = 78;

/// A town hall's gateway between its residents and the vendors of language models.
#[derive(Parser)]
#[command(
    name = "passerelle",
    version,
    after_help = "Example: passerelle demo --once     (everything, with simulated vendors, in a minute)\n         \
                  passerelle serve --config /etc/passerelle/passerelle.toml"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Keys(keys::Keys),
    Probe(probe::ProbeCommand),
    Report(report::ReportCommand),
    Reprice(reprice::Reprice),
    Ledger(ledger::LedgerCommand),
    Reconcile(reconcile::ReconcileCommand),
    Config(config::ConfigCommand),
    Backup(backup::BackupCommand),
    Restore(restore::RestoreCommand),
    Doctor(doctor::DoctorCommand),
    Stop(stop::StopCommand),
    Resume(stop::ResumeCommand),
    Simulate(simulate::Simulate),
    Metrics(metrics::MetricsCommand),
    Healthcheck(healthcheck::Healthcheck),
    Completions(completions::Completions),
    Manual(manual::Manual),
}

/// The configuration file, as many commands take it.
#[derive(Clone, clap::Args)]
struct ConfigFile {
    /// Configuration file; without it the defaults and the environment apply.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Loaded, Failure> {
        Ok(load(self.config.as_deref(), &Environment::from_process())?)
    }

    /// The configuration of a command that calls no vendor: their keys may be missing.
    fn load_without_keys(&self) -> Result<Loaded, Failure> {
        let mut environment = Environment::from_process();
        environment.assume_vendor_keys();
        Ok(load(self.config.as_deref(), &environment)?)
    }

    /// The ledger beside a serving process. Only its path is needed.
    fn open_ledger(&self) -> Result<(Ledger, crate::config::Config), Failure> {
        let loaded = self.load_without_keys()?;
        let ledger = Ledger::open_sqlite_beside(&loaded.config.ledger.path)?;
        Ok((ledger, loaded.config))
    }
}

/// Why a command failed, with its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error("the configuration cannot be used:\n{0}")]
    Config(#[from] ConfigError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gateway cannot start or go on.
    #[error(transparent)]
    App(#[from] AppError),
    /// It may not be done as things are.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => EX_USAGE,
            Self::Config(_) | Self::App(AppError::Listen { .. } | AppError::Secret(_)) => EX_CONFIG,
            Self::Store(error) | Self::App(AppError::Ledger(error)) if is_elsewhere(error) => EX_CONFIG,
            Self::Refused(_) => EX_CONFIG,
            Self::Store(_) | Self::App(_) | Self::Other(_) => EX_SOFTWARE,
        }
    }
}

/// The ledger is another program's: one that serves from it, or a later version.
fn is_elsewhere(error: &StoreError) -> bool {
    matches!(error, StoreError::InUse(_) | StoreError::Newer { .. } | StoreError::Older { .. })
}

impl From<CareError> for Failure {
    fn from(error: CareError) -> Self {
        match error {
            CareError::Usage(text) => Self::Usage(text),
            CareError::Refused(text) => Self::Refused(text),
            CareError::Failed(text) => Self::Other(anyhow::Error::msg(text)),
            CareError::Store(error) => Self::Store(error),
        }
    }
}

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no mistakes.
            let _written = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Probe(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Reprice(command) => command.run(),
        Command::Ledger(command) => command.run(),
        Command::Reconcile(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Stop(command) => command.run(),
        Command::Resume(command) => command.run(),
        Command::Simulate(command) => command.run(),
        Command::Metrics(command) => command.run(),
        Command::Healthcheck(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Manual(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            complain(&format!("passerelle: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// The runtime of commands that serve.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::Other(anyhow::Error::new(error).context("the runtime cannot start")))
}

/// Prints warnings of the configuration once.
fn print_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        complain(&format!("warning: {warning}"));
    }
}
