//! The side of the process that serves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::sockets::{self, SOCKETS};
use super::{Counted, Given, Hello, Line, PATIENCE, Word, control_path, relay_path};
use crate::app::gate::Gate;
use crate::app::{Listeners, relay};
use crate::ledger::{Ledger, SCHEMA};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;
use crate::terms::CurrentTerms;

/// How often the successor is told which calls are still open here.
const TELL: Duration = Duration::from_millis(50);
/// How often it is looked whether all money is settled, before a successor with another form of the ledger.
const LOOK: Duration = Duration::from_millis(20);

/// What hands over.
pub(in crate::app) struct Host {
    pub(in crate::app) path: PathBuf,
    pub(in crate::app) gate: Gate,
    pub(in crate::app) ledger: Ledger,
    pub(in crate::app) terms: CurrentTerms,
    pub(in crate::app) shutdown: Shutdown,
    pub(in crate::app) sockets: [OwnedFd; SOCKETS],
    /// How long calls in progress are waited for where they must end first.
    pub(in crate::app) patience: Duration,
}

/// The listening sockets once more, for a successor.
///
/// # Errors
/// When the system has no descriptors left.
pub(in crate::app) fn copies(listeners: &Listeners) -> io::Result<[OwnedFd; SOCKETS]> {
    let copy = |listener: &tokio::net::TcpListener| listener.as_fd().try_clone_to_owned();
    Ok([copy(&listeners.public)?, copy(&listeners.mairie)?, copy(&listeners.ops)?])
}

impl Host {
    /// Listens for successors until one has taken over, then tells it which calls are still open here. It never ends by
    /// itself.
    pub(in crate::app) async fn run(self) {
        match relay::listen(&control_path(&self.path)) {
            Ok(listener) => self.talk(listener).await,
            Err(error) => {
                tracing::warn!(%error, "no socket beside the ledger: an upgrade needs a stop (is its path too long?)");
            }
        }
        std::future::pending().await
    }

    async fn talk(&self, listener: UnixListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) if is_ours(&stream) => stream,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a successor cannot be heard");
                    tokio::time::sleep(PATIENCE).await;
                    continue;
                }
            };
            match self.hand_over(stream).await {
                Ok(line) => {
                    metrics().handovers.with_label_values(&["completed"]).inc();
                    return self.tell_open_calls(line).await;
                }
                Err(Failed::Before(error)) => {
                    metrics().handovers.with_label_values(&["refused"]).inc();
                    tracing::warn!(%error, "a successor asked to take over, and did not; this process goes on");
                }
                Err(Failed::After(error)) => {
                    metrics().handovers.with_label_values(&["taken_back"]).inc();
                    tracing::error!(%error, "the successor did not come to serve; this process serves again");
                    self.take_back().await;
                }
            }
        }
    }

    /// The conversation with one successor, until it serves.
    async fn hand_over(&self, stream: UnixStream) -> Result<Line, Failed> {
        let mut line = Line::new(stream);
        let hello: Hello = line.hear_soon(PATIENCE).await.map_err(Failed::Before)?;
        tracing::info!(version = hello.version, pid = hello.pid, "a successor asks to take over");
        let sockets = self.sockets.each_ref().map(AsFd::as_fd);
        sockets::send(line.0.get_ref(), sockets).await.map_err(Failed::Before)?;
        let word: Word = line.hear_soon(PATIENCE).await.map_err(Failed::Before)?;
        if word != Word::Take {
            return Err(Failed::Before(io::ErrorKind::InvalidData.into()));
        }
        self.gate.close().await;
        if let Err(error) = self.release(hello.schema).await {
            // It hears why, if it still listens.
            let _gone = line.say(&Given::Refused(error.to_string())).await;
            return Err(Failed::After(error));
        }
        let terms = self.terms.get();
        let counted = Counted { rates: terms.used_rates(), open: terms.open_calls() };
        line.say(&Given::Counted(counted)).await.map_err(Failed::After)?;
        let word: Word = line.hear_soon(PATIENCE).await.map_err(Failed::After)?;
        if word != Word::Serving {
            return Err(Failed::After(io::ErrorKind::InvalidData.into()));
        }
        self.gate.pass_on_to(relay_path(&self.path));
        self.shutdown.retire();
        tracing::info!(pid = hello.pid, "the successor serves; what is in progress here is ended and settled");
        Ok(line)
    }

    /// Releases the ledger. A successor that keeps it in another form gets it when nothing is left to be written here.
    async fn release(&self, schema: u32) -> io::Result<()> {
        if schema != SCHEMA {
            tracing::info!(schema, "the successor keeps the ledger in another form: calls in progress end first");
            let settled = async {
                self.gate.empty().await;
                while self.ledger.gauges().map_or(true, |gauges| gauges.open_reservations > 0) {
                    tokio::time::sleep(LOOK).await;
                }
            };
            let text = "calls in progress did not end within server.shutdown_seconds: try again, or stop and start";
            tokio::time::timeout(self.patience, settled).await.map_err(|_| io::Error::other(text))?;
        }
        self.ledger.hand_over().await.map_err(io::Error::other)
    }

    async fn take_back(&self) {
        // The successor may hold the ledger until it has ended; requests wait, and are refused if it never lets go.
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            match self.ledger.take_back().await {
                Ok(()) => return self.gate.open(),
                Err(error) => tracing::debug!(%error, "the ledger is not released yet"),
            }
            tokio::time::sleep(LOOK).await;
        }
        tracing::error!("another process keeps the ledger and did not say that it serves: this one stops");
        self.gate.pass_on_to(relay_path(&self.path));
        self.shutdown.begin();
    }

    /// Says which calls are open here whenever that changes, until the successor has gone.
    async fn tell_open_calls(&self, mut line: Line) {
        let mut told = None;
        loop {
            let open = self.terms.get().open_calls();
            if told.as_ref() != Some(&open) {
                if let Err(error) = line.say(&open).await {
                    tracing::warn!(%error, "the successor no longer hears which calls are open here");
                    return;
                }
                told = Some(open);
            }
            tokio::time::sleep(TELL).await;
        }
    }
}

/// When a handover failed: with the ledger still ours, or released.
enum Failed {
    Before(io::Error),
    After(io::Error),
}

/// Whether who is at the other end runs as the same user.
fn is_ours(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == us || peer.uid() == 0)
}

/// Removes what was listened on beside the ledger, if it is still this process's own.
pub(in crate::app) fn forget_sockets(ledger: &Path) {
    for path in [control_path(ledger), relay_path(ledger)] {
        let _gone = std::fs::remove_file(path);
    }
}
