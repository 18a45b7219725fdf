//! Work that must come to its end, whoever waits for it.
//!
//! It is carried on by whoever waits: a task of its own for each call would cost a hand-over for each step. Only when the
//! waiter leaves does it go on as a task that shutdown waits for. It must not know what the work is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::shutdown::Shutdown;

/// Work in hand. Dropped before its end, it goes on in a task.
pub(super) struct Work<T: Send + 'static> {
    /// Absent once it has ended, and while it is being polled: work that panicked must not be polled again.
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    shutdown: Shutdown,
    /// Shutdown waits for it, in a task of its own or not.
    _delay: TaskTrackerToken,
}

impl<T: Send + 'static> Work<T> {
    /// Work that begins when it is waited for. Boxed: the future is long, and would be copied whenever it moves.
    pub(super) fn begin(shutdown: &Shutdown, future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Some(Box::pin(future)), shutdown: shutdown.clone(), _delay: shutdown.delay() }
    }
}

impl<T: Send + 'static> Future for Work<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Work<T> {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        // Without a runtime the process is at its end: what was held stays held until its lease ends.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.shutdown.spawn(async move {
                let _nobody_waits = future.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_is_done_by_who_waits_and_by_a_task_once_nobody_does() {
        let shutdown = Shutdown::new();
        assert_eq!(Work::begin(&shutdown, async { 7 }).await, 7);

        let (go, gone) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut work = Work::begin(&shutdown, async move {
            gone.await.unwrap();
            tell.send("done").unwrap();
        });
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_work_in_hand() {
        let shutdown = Shutdown::new();
        let (go, gone) = oneshot::channel::<()>();
        let work = Work::begin(&shutdown, gone);
        assert!(!shutdown.finish(Duration::from_secs(1)).await);
        go.send(()).unwrap();
        work.await.unwrap();
        assert!(shutdown.finish(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn work_that_panicked_is_not_tried_again() {
        let shutdown = Shutdown::new();
        let work = Work::begin(&shutdown, async { panic!("a mistake of ours") });
        let ended = shutdown.spawn(work).await;
        assert!(ended.unwrap_err().is_panic());
        assert!(shutdown.finish(Duration::from_secs(60)).await, "nothing is left that would panic again");
    }
}
