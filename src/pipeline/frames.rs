//! Frames of a streamed answer on their way to the client.
//!
//! Whoever asks for the next frame carries the work on that brings it: a frame goes from the vendor's connection to the
//! client's without another task between. A slow client asks seldom, and so slows the vendor and not the gateway's memory.
//! It must not know what the frames say.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::work::Work;
use crate::shutdown::Shutdown;

/// How often to look, past a call's deadline, whether the client still asks.
const LOOK: Duration = Duration::from_secs(1);

/// What both sides share. There is no waker in it: work is polled by who reads, and anew when nobody does any more.
#[derive(Debug, Default)]
struct Slot {
    frame: Mutex<Option<Bytes>>,
    /// Nobody reads any more.
    left: AtomicBool,
    /// Nothing more will come, though the work may go on.
    closed: AtomicBool,
    /// Times that somebody asked, round and round.
    asked: AtomicU32,
    /// The last who asked waits for a frame.
    awaited: AtomicBool,
}

impl Slot {
    fn frame(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the work puts frames.
#[derive(Debug)]
pub(super) struct Outlet(Arc<Slot>);

impl Outlet {
    /// Gives the client a frame, once it has taken the one before; false when it has left.
    pub(super) async fn give(&self, frame: Bytes) -> bool {
        let mut frame = Some(frame);
        std::future::poll_fn(|_context| {
            if self.has_left() {
                return Poll::Ready(false);
            }
            let mut slot = self.0.frame();
            if slot.is_some() {
                return Poll::Pending;
            }
            *slot = frame.take();
            Poll::Ready(true)
        })
        .await
    }

    /// Whether the client has left.
    pub(super) fn has_left(&self) -> bool {
        self.0.left.load(Ordering::Relaxed)
    }

    /// Resolves once the client has left.
    pub(super) async fn left(&self) {
        // Nobody to wake: who leaves has the work polled again.
        std::future::poll_fn(|_context| if self.has_left() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Lets the answer end here, before the work does.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

type Shared = Arc<Mutex<Option<Work<()>>>>;

fn locked(work: &Shared) -> MutexGuard<'_, Option<Work<()>>> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The frames of an answer. Dropped, the work behind it goes on without a reader.
pub struct Frames {
    slot: Arc<Slot>,
    work: Shared,
    watch: AbortHandle,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl Frames {
    /// The frames that `work` gives. A client that does not take them is left at `deadline`: it must not hold money and a
    /// place at the vendor for as long as it likes.
    pub(super) fn of<F>(shutdown: &Shutdown, deadline: Instant, work: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = Arc::new(Slot::default());
        let work = Work::begin(shutdown, work(Outlet(Arc::clone(&slot))));
        let work = Arc::new(Mutex::new(Some(work)));
        let watch = shutdown.spawn(watch(Arc::clone(&slot), Arc::clone(&work), deadline)).abort_handle();
        Self { slot, work, watch }
    }

    /// Whoever asked last has turned to something else, and waits for no frame until it asks again: past the deadline it
    /// counts as a client that does not take its answer.
    pub fn turned_away(&self) {
        self.slot.awaited.store(false, Ordering::Relaxed);
    }

    /// The next frame; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut work = locked(&self.work);
        self.slot.asked.fetch_add(1, Ordering::Relaxed);
        let ended = work.as_mut().is_none_or(|work| Pin::new(work).poll(context).is_ready());
        if ended {
            *work = None;
        }
        let frame = self.slot.frame().take();
        let ended = ended || self.slot.closed.load(Ordering::Relaxed);
        let awaited = frame.is_none() && !ended;
        self.slot.awaited.store(awaited, Ordering::Relaxed);
        if awaited { Poll::Pending } else { Poll::Ready(frame) }
    }
}

impl Stream for Frames {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Self::poll_next(self.get_mut(), context)
    }
}

#[cfg(test)]
impl Frames {
    /// The frames that come through a channel.
    pub(crate) fn relayed(mut from: tokio::sync::mpsc::Receiver<Bytes>) -> Self {
        let deadline = Instant::now() + Duration::from_secs(3_600);
        Self::of(&Shutdown::new(), deadline, |outlet| async move {
            while let Some(frame) = from.recv().await {
                outlet.give(frame).await;
            }
        })
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.watch.abort();
        self.slot.left.store(true, Ordering::Relaxed);
        drop(locked(&self.work).take());
    }
}

/// Goes on without the client when it still has an answer open past `deadline` and asks for nothing: nobody polls the work
/// then, and no deadline within it can end it.
async fn watch(slot: Arc<Slot>, work: Shared, deadline: Instant) {
    sleep_until(deadline).await;
    let mut before = None;
    loop {
        let asked = slot.asked.load(Ordering::Relaxed);
        if before == Some(asked) && !slot.awaited.load(Ordering::Relaxed) {
            break;
        }
        before = Some(asked);
        sleep(LOOK).await;
    }
    slot.left.store(true, Ordering::Relaxed);
    let rest = locked(&work).take();
    if let Some(rest) = rest {
        rest.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    const DEADLINE: Duration = Duration::from_secs(60);

    async fn next(frames: &mut Frames) -> Option<Bytes> {
        std::future::poll_fn(|context| frames.poll_next(context)).await
    }

    /// Work that gives frames without end, and tells how many the client took once it has left.
    fn endless(shutdown: &Shutdown) -> (Frames, oneshot::Receiver<u32>) {
        let (tell, told) = oneshot::channel();
        let frames = Frames::of(shutdown, Instant::now() + DEADLINE, |outlet| async move {
            let mut given = 0;
            while outlet.give(Bytes::from_static(b"x")).await {
                given += 1;
            }
            tell.send(given).unwrap();
        });
        (frames, told)
    }

    #[tokio::test]
    async fn work_runs_no_further_ahead_than_one_frame_and_goes_on_when_the_client_leaves() {
        let shutdown = Shutdown::new();
        let (mut frames, told) = endless(&shutdown);
        for _ in 0..3 {
            assert_eq!(next(&mut frames).await.unwrap(), "x");
        }
        drop(frames);
        assert_eq!(told.await, Ok(3));
        assert!(shutdown.finish(DEADLINE).await);
    }

    #[tokio::test]
    async fn work_that_waits_for_its_vendor_hears_that_the_client_has_left() {
        let (tell, told) = oneshot::channel();
        let mut frames = Frames::of(&Shutdown::new(), Instant::now() + DEADLINE, |outlet| async move {
            outlet.left().await;
            tell.send("left").unwrap();
        });
        assert!(futures_util::poll!(std::future::poll_fn(|context| frames.poll_next(context))).is_pending());
        drop(frames);
        assert_eq!(told.await, Ok("left"));
    }

    #[tokio::test]
    async fn an_answer_may_end_before_its_work_does() {
        let (go, gone) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut frames = Frames::of(&Shutdown::new(), Instant::now() + DEADLINE, |outlet| async move {
            assert!(outlet.give(Bytes::from_static(b"last")).await);
            outlet.close();
            gone.await.unwrap();
            tell.send("done").unwrap();
        });
        assert_eq!(next(&mut frames).await.unwrap(), "last");
        assert_eq!(next(&mut frames).await, None);
        drop(frames);
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_for_nothing_is_given_up_at_the_deadline() {
        let started = Instant::now();
        let (mut frames, told) = endless(&Shutdown::new());
        assert!(next(&mut frames).await.is_some());
        assert_eq!(told.await, Ok(1));
        assert!((DEADLINE..DEADLINE + 3 * LOOK).contains(&started.elapsed()));
        assert_eq!(next(&mut frames).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waited_and_turned_away_is_given_up_at_the_deadline() {
        let (tell, told) = oneshot::channel();
        let mut frames = Frames::of(&Shutdown::new(), Instant::now() + DEADLINE, |outlet| async move {
            outlet.left().await;
            tell.send("left").unwrap();
        });
        assert!(futures_util::poll!(std::future::poll_fn(|context| frames.poll_next(context))).is_pending());
        frames.turned_away();
        let started = Instant::now();
        assert_eq!(told.await, Ok("left"));
        assert!((DEADLINE..DEADLINE + 3 * LOOK).contains(&started.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_is_not_left_whatever_the_deadline() {
        let (sender, relayed) = mpsc::channel(1);
        let mut frames = Frames::of(&Shutdown::new(), Instant::now() + DEADLINE, |outlet| async move {
            let mut relayed: mpsc::Receiver<Bytes> = relayed;
            while let Some(frame) = relayed.recv().await {
                assert!(outlet.give(frame).await);
            }
        });
        let late = Shutdown::new().spawn(async move {
            sleep(3 * DEADLINE).await;
            sender.send(Bytes::from_static(b"late")).await.unwrap();
        });
        assert_eq!(next(&mut frames).await.unwrap(), "late");
        assert_eq!(next(&mut frames).await, None);
        late.await.unwrap();
    }
}
