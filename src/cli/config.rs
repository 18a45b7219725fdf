//! `passerelle config check|show`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, Failure, print_warnings, say};
use crate::config::show;

/// Check or show the configuration, with the same code as `serve`.
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
        }
        Ok(ExitCode::SUCCESS)
    }
}
