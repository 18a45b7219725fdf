//! `passerelle healthcheck`: what a container's health check or a script asks a serving process.

use std::process::ExitCode;
use std::time::Duration;

use providers::transport::Notifier;

use super::output::{complain, say};
use super::probe::reachable;
use super::{ConfigFile, Failure, runtime};

/// Exit code when the process does not answer as it should: what container engines take for "unhealthy".
const UNHEALTHY: u8 = 1;

/// Ask a serving process, on its listener for operators, whether it lives; exit 0 when it does, 1 when it does not.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle healthcheck --config /etc/passerelle/passerelle.toml --ready")]
pub(super) struct Healthcheck {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask at this address instead of the one that the configuration names: http://HOST:PORT, without a path.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    /// Ask whether it can serve (/readyz), not only whether it lives (/livez). Who restarts what is unhealthy should not
    /// ask that: a process that is stopping still finishes answers, and a full disk is not mended by a restart.
    #[arg(long)]
    ready: bool,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    timeout_seconds: u16,
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let base = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(self.file.load_without_keys()?.config.server.ops)),
        };
        let url = format!("{base}{}", if self.ready { "/readyz" } else { "/livez" });
        let deadline = Duration::from_secs(self.timeout_seconds.into());
        let line = Notifier::to_ourselves(deadline).map_err(anyhow::Error::msg)?;
        match runtime()?.block_on(line.call(&url, &[], None)) {
            Ok((200, answer)) => {
                say(String::from_utf8_lossy(&answer).trim_end());
                Ok(ExitCode::SUCCESS)
            }
            Ok((status, answer)) => {
                complain(&format!("{url} answered {status}: {}", String::from_utf8_lossy(&answer).trim_end()));
                Ok(ExitCode::from(UNHEALTHY))
            }
            Err(error) => {
                complain(&format!("{url}: {error}"));
                Ok(ExitCode::from(UNHEALTHY))
            }
        }
    }
}
