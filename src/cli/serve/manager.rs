//! What the service manager (systemd) gives and is told: listening sockets, readiness, signs of life. Without one, nothing
//! is given and nothing is told.

use std::io;
use std::net::TcpListener as StdListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use crate::app::{AppError, Listeners};
use crate::config::{Config, Environment};
use crate::shutdown::Shutdown;

/// The listeners' names in `FileDescriptorName=` of a socket unit, in the order in which nameless ones are taken.
const NAMES: [&str; 3] = ["public", "mairie", "ops"];

/// The three listeners: those that the manager gives (sd_listen_fds(3)), the others bound.
pub(super) async fn listeners(config: &Config) -> Result<Listeners, AppError> {
    let [public, mairie, ops] = given().map_err(|error| AppError::Sockets(error.to_string()))?;
    let server = &config.server;
    Ok(Listeners {
        public: Listeners::adopt_or_bind("public", public, server.public).await?,
        mairie: Listeners::adopt_or_bind("mairie", mairie, server.mairie).await?,
        ops: Listeners::adopt_or_bind("ops", ops, server.ops).await?,
    })
}

fn given() -> io::Result<[Option<TcpListener>; 3]> {
    let mut sockets = ListenFd::from_env();
    let environment = Environment::from_process();
    let names: Vec<&str> =
        environment.get("LISTEN_FDNAMES").map(|names| names.split(':').collect()).unwrap_or_default();
    let named = names.iter().any(|name| NAMES.contains(name));
    let mut given = [None, None, None];
    for index in 0..sockets.len() {
        let place = if named { NAMES.iter().position(|name| names.get(index) == Some(name)) } else { Some(index) };
        let Some(place) = place.and_then(|place| given.get_mut(place)) else {
            return Err(io::Error::other("the service manager gives a socket that is none of public, mairie, ops"));
        };
        *place = sockets.take_tcp_listener(index)?.map(adopt).transpose()?;
    }
    Ok(given)
}

fn adopt(socket: StdListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Says that this process serves. After a takeover it is the service's main process.
pub(super) fn say_ready() {
    tell(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Says that the service is stopping, unless another process goes on; gives signs of life until then.
pub(super) async fn keep_telling(shutdown: Shutdown) {
    // Half of what the manager waits for, as sd_watchdog_enabled(3) advises.
    let pause = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    loop {
        let next = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => tell(&[NotifyState::Watchdog]),
            () = shutdown.retired() => break,
        }
    }
    if shutdown.has_begun() {
        tell(&[NotifyState::Stopping, NotifyState::Status("ending answers in progress")]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
