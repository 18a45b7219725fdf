//! `passerelle stop` and `passerelle resume`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, Failure, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{Stop, StopScope};

/// Stop the town, one vendor or one plan: from the next question on nothing is sent; answers in progress end. Without a
/// target, list what is stopped.
#[derive(clap::Args)]
#[command(
    after_help = "Example: passerelle stop --config passerelle.toml provider openai --by \"Claire, DSI\" --reason \"strange bill\""
)]
pub(super) struct StopCommand {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    target: Option<Target>,
}

/// Let the town, one vendor or one plan go on.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle resume --config passerelle.toml provider openai --by \"Claire, DSI\"")]
pub(super) struct ResumeCommand {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    target: Target,
}

#[derive(Subcommand)]
enum Target {
    /// Everything.
    Town(Who),
    /// One vendor: routes go to the others.
    Provider {
        /// Its name: openai, mistral_ai, or one of your own.
        name: String,
        #[command(flatten)]
        who: Who,
    },
    /// One plan.
    Plan {
        /// Its name.
        name: String,
        #[command(flatten)]
        who: Who,
    },
}

#[derive(clap::Args)]
struct Who {
    /// Who does it, for the log of changes.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

impl StopCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(target) = self.target {
            return set(&self.file, target, true);
        }
        let (ledger, _) = self.file.open_ledger()?;
        let stops = ledger.stops()?.0;
        if stops.is_empty() {
            say("nothing is stopped");
        }
        for stop in stops {
            say(&format!("{} since {}: {}", stop.subject(), stop.since, stop.reason));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ResumeCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        set(&self.file, self.target, false)
    }
}

fn set(file: &ConfigFile, target: Target, stopped: bool) -> Result<ExitCode, Failure> {
    let (ledger, config) = file.open_ledger()?;
    let (scope, name, who) = match target {
        Target::Town(who) => (StopScope::Town, String::new(), who),
        Target::Provider { name, who } => (StopScope::Provider, name, who),
        Target::Plan { name, who } => (StopScope::Plan, name, who),
    };
    // What is gone from the configuration may still be resumed.
    if stopped {
        known(&config, scope, &name)?;
    }
    let stop = Stop { scope, name, since: Clock::system().now(), reason: who.reason };
    let changed = ledger.set_stop(&stop, stopped, &who.by)?;
    let state = if stopped { "stopped" } else { "open" };
    say(&format!("{}: {}{state}", stop.subject(), if changed { "" } else { "was already " }));
    Ok(ExitCode::SUCCESS)
}

fn known(config: &Config, scope: StopScope, name: &str) -> Result<(), Failure> {
    let names: Vec<&str> = match scope {
        StopScope::Town => return Ok(()),
        StopScope::Provider => config.providers.iter().map(|provider| provider.id.as_str()).collect(),
        StopScope::Plan => {
            let own = [&config.comparison.probes, &config.comparison.duels];
            config.plans.keys().map(String::as_str).chain(own.map(|plan| &*plan.name)).collect()
        }
    };
    if names.contains(&name) {
        return Ok(());
    }
    let text = format!("there is no {} `{name}`; the configuration has: {}", scope.as_str(), names.join(", "));
    Err(Failure::Usage(text))
}
