//! `passerelle serve`.

mod manager;
mod upgrade;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Failure, print_warnings, runtime, say};
use crate::app::{App, AppError, Listeners, Reloader, Successor, Taken};
use crate::clock::Clock;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::telemetry::init_logs;

/// Serve residents until SIGTERM or Ctrl-C; answers in progress are finished and settled first. SIGHUP reads the
/// configuration again, as a change of its files does. SIGUSR2 upgrades without a gap: it starts the program that is on the
/// disk now, with the same arguments and `--take-over`; this process then ends what it has in progress.
#[derive(clap::Args)]
#[command(
    after_help = "Example: OPENAI_API_KEY=… MISTRAL_API_KEY=… passerelle serve --config /etc/passerelle.toml\n         \
                        kill -USR2 $PID     (upgrade a running gateway to the program on the disk)"
)]
pub(super) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Take over from the process that serves from the same ledger, if there is one: its sockets, its ledger, what it has
    /// counted. Nothing is refused meanwhile, and nothing that is held is lost.
    #[arg(long)]
    take_over: bool,
    /// The vendors are simulated ones: figures are labelled so, and the ledger never takes real ones.
    #[arg(long)]
    simulated: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = self.file.load()?;
        let config = &loaded.config;
        // Dropped last: the runtime's end may have something to say.
        let _logs = init_logs(config.log_format, &config.log_level).map_err(Failure::Usage)?;
        print_warnings(&loaded);
        runtime()?.block_on(async {
            let shutdown = Shutdown::new();
            stop_on_signal(&shutdown)?;
            upgrade::on_signal(&shutdown)?;
            let (listeners, taken) = self.listeners(config).await?;
            let addresses = listeners.addresses().map_err(anyhow::Error::new)?;
            let mut app = App::build(config, Clock::system(), shutdown.clone(), self.simulated)?;
            if let Some(taken) = taken {
                app.take_over(taken);
            }
            let file = self.file.clone();
            let load = move || file.load().map(|loaded| loaded.config).map_err(|failure| failure.to_string());
            reload_on_signal(&app.reload_by(Arc::new(load)), &shutdown)?;
            app.when_ready(manager::say_ready);
            shutdown.spawn(manager::keep_telling(shutdown.clone()));
            let scheme = |pair: &Option<_>| if pair.is_some() { "https" } else { "http" };
            let (public, mairie) = (scheme(&config.server.tls.public), scheme(&config.server.tls.mairie));
            say(&format!("public listening on {public}://{}", addresses.public));
            say(&format!("mairie listening on {mairie}://{}", addresses.mairie));
            say(&format!("ops listening on http://{}", addresses.ops));
            app.run(listeners).await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    /// Where to listen, and what was taken over. After this nobody else admits from the ledger: it may be opened.
    async fn listeners(&self, config: &Config) -> Result<(Listeners, Option<Taken>), AppError> {
        if self.take_over
            && let Some((successor, listeners)) = Successor::ask(config).await?
        {
            let taken = successor.take(config.server.shutdown).await?;
            return Ok((listeners, Some(taken)));
        }
        Ok((manager::listeners(config).await?, None))
    }
}

/// Reads prices, plans and the envelope again at SIGHUP.
fn reload_on_signal(reloader: &Reloader, shutdown: &Shutdown) -> Result<(), Failure> {
    let mut hang_up = signal(SignalKind::hangup()).map_err(|error| Failure::Other(anyhow::Error::new(error)))?;
    let (reloader, stopping) = (reloader.clone(), shutdown.clone());
    shutdown.spawn(async move {
        loop {
            tokio::select! {
                _ = hang_up.recv() => reloader.ask(),
                () = stopping.begun() => return,
            }
        }
    });
    Ok(())
}

/// Begins the shutdown at SIGTERM or SIGINT.
pub(crate) fn stop_on_signal(shutdown: &Shutdown) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::Other(anyhow::Error::new(error)));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let stop = shutdown.clone();
    // Not tracked: it ends with the process, and shutdown must not wait for it.
    #[expect(clippy::disallowed_methods, reason = "shutdown would wait for the task that begins it")]
    drop(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: answers in progress are finished first");
        stop.begin();
    }));
    Ok(())
}
