//! `passerelle completions`: what a shell needs to complete commands and options.

use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use super::{Arguments, Failure, say};

/// Print what a shell needs to complete this program's commands and options. The Debian package installs it.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle completions bash > ~/.local/share/bash-completion/completions/passerelle")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Kind,
}

/// Shells that operators have.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// GNU Bash, with bash-completion.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let shell = match self.shell {
            Kind::Bash => Shell::Bash,
            Kind::Zsh => Shell::Zsh,
            Kind::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        generate(shell, &mut Arguments::command(), "passerelle", &mut script);
        say(String::from_utf8_lossy(&script).trim_end());
        Ok(ExitCode::SUCCESS)
    }
}
