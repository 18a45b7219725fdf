//! One token that asks the process to stop, one tracker of the tasks that shutdown waits for.
//!
//! Settlement must not be lost because a client left or the process was asked to stop, so no task is spawned outside
//! the tracker. A leaf: it knows nobody.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Asks for and awaits the end of the process's tasks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    retired: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// A process that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that shutdown waits for.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Makes shutdown wait until the token is dropped, for work that is done within a task of somebody else's.
    pub fn delay(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Asks everything to stop. New work is refused from here on.
    pub fn begin(&self) {
        // In this order: who hears of the retirement asks at once whether it is a stop.
        self.token.cancel();
        self.retire();
    }

    /// Ends what the process does of its own accord (sweeps, timetables, alerts): another process does it from here on.
    /// What residents asked of this one goes on.
    pub fn retire(&self) {
        self.retired.cancel();
    }

    /// True once [`Shutdown::retire`] or [`Shutdown::begin`] was called.
    pub fn has_retired(&self) -> bool {
        self.retired.is_cancelled()
    }

    /// Resolves once [`Shutdown::retire`] or [`Shutdown::begin`] was called.
    pub async fn retired(&self) {
        self.retired.cancelled().await;
    }

    /// True once [`Shutdown::begin`] was called.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves once [`Shutdown::begin`] was called.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Waits until every tracked task has ended; false when `patience` ran out first.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The service manager is told that the service stops only when it does: whoever hears of the retirement asks.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_hears_of_the_retirement_knows_whether_it_is_a_stop() {
        for _ in 0..5_000 {
            let shutdown = Shutdown::new();
            let heard = shutdown.clone();
            let listener = shutdown.spawn(async move {
                heard.retired().await;
                heard.has_begun()
            });
            tokio::task::yield_now().await;
            shutdown.begin();
            assert!(listener.await.unwrap(), "a stop was taken for a handover");
        }
    }
}
