//! `passerelle serve`.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Failure, print_warnings, runtime, say};
use crate::app::{App, Listeners, Reloader};
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::telemetry::init_logs;

/// Serve residents until SIGTERM or Ctrl-C; answers in progress are finished and settled first. SIGHUP reads the
/// configuration again, as a change of its files does.
#[derive(clap::Args)]
#[command(after_help = "Example: OPENAI_API_KEY=… MISTRAL_API_KEY=… passerelle serve --config /etc/passerelle.toml")]
pub(super) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// The vendors are simulated ones: figures are labelled so, and the ledger never takes real ones.
    #[arg(long)]
    simulated: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = self.file.load()?;
        let config = &loaded.config;
        init_logs(config.log_format, &config.log_level).map_err(Failure::Usage)?;
        print_warnings(&loaded);
        runtime()?.block_on(async {
            let shutdown = Shutdown::new();
            stop_on_signal(&shutdown)?;
            let listeners = Listeners::bind(config).await?;
            let addresses = listeners.addresses().map_err(anyhow::Error::new)?;
            let mut app = App::build(config, Clock::system(), shutdown.clone(), self.simulated)?;
            let file = self.file.clone();
            let load = move || file.load().map(|loaded| loaded.config).map_err(|failure| failure.to_string());
            reload_on_signal(&app.reload_by(Arc::new(load)), &shutdown)?;
            let scheme = |pair: &Option<_>| if pair.is_some() { "https" } else { "http" };
            let (public, mairie) = (scheme(&config.server.tls.public), scheme(&config.server.tls.mairie));
            say(&format!("public listening on {public}://{}", addresses.public));
            say(&format!("mairie listening on {mairie}://{}", addresses.mairie));
            say(&format!("ops listening on http://{}", addresses.ops));
            app.run(listeners).await?;
            Ok(ExitCode::SUCCESS)
        })
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
