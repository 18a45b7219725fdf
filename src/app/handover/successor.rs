//! The side of the process that comes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::sockets;
use super::{Counted, Given, Hello, Line, OpenElsewhere, PATIENCE, Word, control_path, relay_path};
use crate::app::{AppError, Listeners, relay};
use crate::config::Config;
use crate::ledger::{LedgerFile, SCHEMA};
use crate::quota::SimultaneousPermit;
use crate::shutdown::Shutdown;
use crate::terms::CurrentTerms;

/// How often it is tried to reach a process that serves and does not listen yet.
const LOOK: Duration = Duration::from_millis(20);

/// A process that is about to take over from the one that serves.
pub struct Successor {
    line: Line,
    ledger: PathBuf,
}

impl Successor {
    /// Asks who serves from that ledger for its listening sockets; `None` when nobody serves. Those whose address the
    /// configuration changes are bound anew.
    ///
    /// # Errors
    /// [`AppError`] when the other process does not answer as it should, or an address is taken.
    pub async fn ask(config: &Config) -> Result<Option<(Self, Listeners)>, AppError> {
        let ledger = config.ledger.path.clone();
        let Some(stream) = reach(&ledger).await? else { return Ok(None) };
        let mut line = Line::new(stream);
        let hello = Hello { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id(), schema: SCHEMA };
        let asked = async {
            line.say(&hello).await?;
            sockets::receive(line.0.get_ref()).await
        };
        let sockets = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| io::ErrorKind::TimedOut.into());
        let [public, mairie, ops] =
            sockets.flatten().map_err(|error| failed("the process that serves gives no sockets", &error))?;
        let server = &config.server;
        let listeners = Listeners {
            public: adopt("public", public, server.public).await?,
            mairie: adopt("mairie", mairie, server.mairie).await?,
            ops: adopt("ops", ops, server.ops).await?,
        };
        Ok(Some((Self { line, ledger }, listeners)))
    }

    /// Takes over: when this returns, nobody admits from the ledger, and it may be opened.
    ///
    /// # Errors
    /// [`AppError::Handover`] when the other process goes on serving.
    pub async fn take(mut self, patience: Duration) -> Result<Taken, AppError> {
        let gone = |error: io::Error| failed("the process that serves did not hand over", &error);
        let relay = relay::listen(&relay_path(&self.ledger)).map_err(gone)?;
        self.line.say(&Word::Take).await.map_err(gone)?;
        match self.line.hear_soon(patience + PATIENCE).await.map_err(gone)? {
            Given::Counted(counted) => Ok(Taken { line: self.line, counted, relay: Some(relay) }),
            Given::Refused(why) => Err(AppError::Handover(format!("the process that serves goes on: {why}"))),
        }
    }
}

/// A way to who serves from that ledger; `None` when nobody does. Who is about to begin, or to end, is waited for.
async fn reach(ledger: &Path) -> Result<Option<UnixStream>, AppError> {
    let reaching = async {
        loop {
            match UnixStream::connect(control_path(ledger)).await {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                    if !LedgerFile::new(ledger).is_served() {
                        return Ok(None);
                    }
                }
                reached => return reached.map(Some),
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let reached =
        tokio::time::timeout(PATIENCE, reaching).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    reached.map_err(|error| failed("the process that serves cannot be asked", &error))
}

fn failed(what: &str, error: &io::Error) -> AppError {
    AppError::Handover(format!("{what}: {error}"))
}

/// A socket of the other process, where it listens on the configured address; port 0 is any.
async fn adopt(listener: &'static str, socket: OwnedFd, wanted: SocketAddr) -> Result<TcpListener, AppError> {
    let adopted = || -> io::Result<Option<TcpListener>> {
        let socket = std::net::TcpListener::from(socket);
        let has = socket.local_addr()?;
        let same = has.ip() == wanted.ip() && (wanted.port() == 0 || has.port() == wanted.port());
        socket.set_nonblocking(true)?;
        if same { TcpListener::from_std(socket).map(Some) } else { Ok(None) }
    };
    let adopted = adopted().map_err(|error| AppError::Listen { listener, address: wanted, error })?;
    Listeners::adopt_or_bind(listener, adopted, wanted).await
}

/// What was taken over. Dropped before it has said that it serves, it goes back to the other process.
pub struct Taken {
    line: Line,
    counted: Counted,
    relay: Option<UnixListener>,
}

impl Taken {
    /// Goes on counting where the other process stood.
    pub(in crate::app) fn count(&self, terms: &CurrentTerms) -> Elsewhere {
        let terms = terms.get();
        terms.go_on_from(&self.counted.rates);
        let mut elsewhere = Elsewhere::default();
        elsewhere.become_those(&self.counted.open, |resident| terms.open_elsewhere(resident));
        elsewhere
    }

    /// Where requests come in that the other process passes on.
    pub(in crate::app) fn relay(&mut self) -> Option<UnixListener> {
        self.relay.take()
    }

    /// Says that this process serves, then follows which calls the other one has open, until it has ended.
    pub(in crate::app) async fn serve(mut self, mut elsewhere: Elsewhere, terms: CurrentTerms, shutdown: Shutdown) {
        if let Err(error) = self.line.say(&Word::Serving).await {
            tracing::error!(%error, "the former process has gone before this one served");
            return;
        }
        loop {
            let open = tokio::select! {
                open = self.line.hear::<OpenElsewhere>() => open,
                () = shutdown.begun() => return,
            };
            match open {
                Ok(Some(open)) => elsewhere.become_those(&open, |resident| terms.get().open_elsewhere(resident)),
                Ok(None) => {
                    tracing::info!("the former process has ended");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the former process cannot be understood; its open calls count no more");
                    return;
                }
            }
        }
    }
}

/// Calls that the former process has open, as permits of this one: its residents have no more of them than their plans say.
#[derive(Default)]
pub(in crate::app) struct Elsewhere(HashMap<Arc<str>, Vec<SimultaneousPermit>>);

impl Elsewhere {
    fn become_those(&mut self, open: &OpenElsewhere, permit: impl Fn(&str) -> Option<SimultaneousPermit>) {
        self.0.retain(|resident, _| open.contains_key(resident));
        for (resident, count) in open {
            let permits = self.0.entry(Arc::clone(resident)).or_default();
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            permits.truncate(count);
            while permits.len() < count {
                let Some(permit) = permit(resident) else { return };
                permits.push(permit);
            }
        }
    }
}
