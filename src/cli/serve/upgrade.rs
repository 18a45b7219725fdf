//! An upgrade without a gap: at SIGUSR2 the program that is on the disk now is started as this process's successor.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Failure;
use crate::shutdown::Shutdown;

/// What makes a process take over.
const TAKE_OVER: &str = "--take-over";
/// Variables that speak of this very process: a successor must not take them for its own.
const OF_THIS_PROCESS: [&str; 4] = ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Starts a successor at every SIGUSR2, until one has taken over or shutdown begins.
pub(super) fn on_signal(shutdown: &Shutdown) -> Result<(), Failure> {
    let mut asked = signal(SignalKind::user_defined2()).map_err(|error| Failure::Other(anyhow::Error::new(error)))?;
    let stopping = shutdown.clone();
    shutdown.spawn(async move {
        loop {
            tokio::select! {
                _ = asked.recv() => start(),
                () = stopping.retired() => return,
            }
        }
    });
    Ok(())
}

fn start() {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.is_empty() {
        return tracing::error!("a successor cannot be started: this process does not know how it was started");
    }
    let program = arguments.remove(0);
    if !arguments.iter().any(|argument| argument == TAKE_OVER) {
        arguments.push(TAKE_OVER.into());
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for variable in OF_THIS_PROCESS {
        command.env_remove(variable);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return tracing::error!(%error, "a successor cannot be started; this process goes on"),
    };
    tracing::info!(pid = child.id(), "a successor is started");
    // Not waited for by anybody: it lives on when this process has ended.
    let waiter = std::thread::Builder::new().name("successor".to_owned()).spawn(move || {
        if let Ok(status) = child.wait() {
            tracing::error!(%status, "the successor has ended");
        }
    });
    if let Err(error) = waiter {
        tracing::warn!(%error, "whether the successor ends will not be told");
    }
}
