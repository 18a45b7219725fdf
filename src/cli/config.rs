//! `passerelle config check|show|apply|changes`.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{ConfigFile, Failure, print_warnings, say};
use crate::clock::Clock;
use crate::config::show;
use crate::ledger::Difference;
use crate::terms::Terms;

/// Check, show or apply the configuration, with the same code as `serve`; who changed what.
#[derive(clap::Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Report every mistake with the path of its key; exit 78 if there is one.
    #[command(after_help = "Example: passerelle config check --config passerelle.toml")]
    Check {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Put the files' prices, euro rates, plans, routes and envelope into force, in a running gateway too, and write into
    /// the ledger who did. A gateway reads its files again within two seconds; everything else waits for its next start.
    #[command(
        after_help = "Example: passerelle config apply --config passerelle.toml --by \"Claire, DSI\" --reason \"Mistral's price list of 1 December\""
    )]
    Apply {
        #[command(flatten)]
        file: ConfigFile,
        /// Who changes it, for the log of changes.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List who changed what and when: prices, plans, the envelope, what was stopped.
    #[command(after_help = "Example: passerelle config changes --config passerelle.toml --format json")]
    Changes {
        #[command(flatten)]
        file: ConfigFile,
        /// Form of the output.
        #[arg(long, value_enum, default_value_t = Form::Text)]
        format: Form,
    },
    /// Print the configuration in force, every layer together, secrets as stars.
    #[command(after_help = "Example: passerelle config show --config passerelle.toml")]
    Show {
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Check { file } => {
                let loaded = file.load()?;
                print_warnings(&loaded);
                say("the configuration is valid");
            }
            Action::Show { file } => say(show(&file.load()?).trim_end()),
            Action::Apply { file, by, reason } => apply(&file, &by, &reason)?,
            Action::Changes { file, format } => changes(&file, format)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How changes are listed.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn apply(file: &ConfigFile, by: &str, reason: &str) -> Result<(), Failure> {
    let (ledger, config) = file.open_ledger()?;
    let clock = Clock::system();
    let differences = Terms::new(&config, &clock).record(&ledger, by, reason, clock.now())?;
    differences.iter().for_each(|difference| say(&line(difference)));
    say(&match differences.len() {
        0 => "nothing differs from what was recorded last".to_owned(),
        count => format!("{count} differences recorded; a running gateway applies them within two seconds"),
    });
    Ok(())
}

fn changes(file: &ConfigFile, format: Form) -> Result<(), Failure> {
    let (ledger, _) = file.open_ledger()?;
    for (seq, change) in ledger.changes()? {
        if let Form::Json = format {
            say(&serde_json::to_string(&change).map_err(anyhow::Error::new)?);
            continue;
        }
        let at = Timestamp::from_microsecond(change.at).map_err(anyhow::Error::new)?;
        let reason = if change.reason.is_empty() { String::new() } else { format!(": {}", change.reason) };
        say(&format!("entry {seq}, {}, {}{reason}", at.strftime("%Y-%m-%d %H:%M:%SZ"), change.actor));
        change.differences.iter().for_each(|difference| say(&format!("  {}", line(difference))));
    }
    Ok(())
}

fn line(difference: &Difference) -> String {
    let Difference { subject, before, after } = difference;
    match (before, after) {
        (None, Some(after)) => format!("+ {subject}: {after}"),
        (Some(before), None) => format!("- {subject}: {before}"),
        (before, after) => {
            let text = |side: &Option<String>| side.clone().unwrap_or_default();
            format!("~ {subject}: {} -> {}", text(before), text(after))
        }
    }
}
