//! Resolves reservations past their lease, so that a crash cannot hold money for ever.

use std::time::Duration;

use super::Ledger;
use crate::clock::Clock;
use crate::shutdown::Shutdown;

/// Sweeps every `interval` until shutdown begins or another process takes over. A store that cannot be written is tried again at the next turn.
pub async fn sweep_until_shutdown(ledger: Ledger, clock: Clock, interval: Duration, shutdown: Shutdown) {
    while !shutdown.has_retired() {
        match ledger.sweep(clock.now()).await {
            Ok(0) => {}
            Ok(expired) => {
                crate::telemetry::metrics().reservations_expired.inc_by(expired);
                tracing::warn!(reservations.expired = expired, "reservations past their lease were settled as unknown");
            }
            Err(error) => tracing::error!(%error, "the sweep failed and will be tried again"),
        }
        let pause = tokio::time::sleep(interval);
        tokio::select! { () = pause => {}, () = shutdown.retired() => {} }
    }
}
