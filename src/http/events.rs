//! The body of a streamed answer: frames as they come, those of a burst together, and a comment where nothing comes.
//!
//! It must not know what the frames say.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Sleep, sleep};

use super::answer::OpenRequest;

/// A comment line, without the blank line that would make some clients see an empty event.
const KEEP_ALIVE: &[u8] = b": ping\n";
/// How often the task steps back after the first frame of a burst, so that those who bring the others come to their turn:
/// once for the reader of the vendor's connection, once for the reader of its frames. That is some microseconds, and a
/// write to the socket less for each frame that came meanwhile.
const TURNS: u8 = 2;
/// Frames are joined up to this length, in bytes.
const JOINED_BYTES: usize = 16 << 10;

/// Frames on their way to the client.
pub(super) struct EventStream {
    frames: Receiver<Bytes>,
    _open: OpenRequest,
    keep_alive: Duration,
    /// Armed at the first silence, and set again only when it rings: most waits are short.
    timer: Pin<Box<Sleep>>,
    last: Instant,
    /// Frames that wait for others of the same burst.
    joined: Vec<Bytes>,
    bytes: usize,
    turns: u8,
}

impl EventStream {
    pub(super) fn new(frames: Receiver<Bytes>, open: OpenRequest, keep_alive: Duration) -> Self {
        Self {
            frames,
            _open: open,
            keep_alive,
            timer: Box::pin(sleep(keep_alive)),
            last: Instant::now(),
            joined: Vec::new(),
            bytes: 0,
            turns: 0,
        }
    }

    /// Takes what is there, up to the bound; true when no more will come, now or ever.
    fn collect(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        while self.bytes < JOINED_BYTES {
            match self.frames.poll_recv(context) {
                Poll::Ready(Some(frame)) => {
                    self.bytes += frame.len();
                    self.joined.push(frame);
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(false)
    }

    /// Everything collected, as one; a single frame as it came.
    fn take(&mut self) -> Bytes {
        self.turns = 0;
        let bytes = std::mem::take(&mut self.bytes);
        if self.joined.len() == 1 {
            return self.joined.pop().unwrap_or_default();
        }
        let mut all = BytesMut::with_capacity(bytes);
        self.joined.drain(..).for_each(|frame| all.extend_from_slice(&frame));
        all.freeze()
    }

    /// Resolves when nothing has come for so long that a proxy may think the stream dead.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let due = self.last + self.keep_alive;
            let now = Instant::now();
            self.timer.as_mut().reset(if due <= now { now + self.keep_alive } else { due });
            if due <= now {
                self.last = now;
                return Poll::Ready(());
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let collected = this.collect(context);
        if this.joined.is_empty() {
            return match collected {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => this.poll_silence(context).map(|()| Some(Ok(Bytes::from_static(KEEP_ALIVE)))),
            };
        }
        if collected.is_pending() && this.turns < TURNS {
            this.turns += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.last = Instant::now();
        Poll::Ready(Some(Ok(this.take())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::Shutdown;
    use futures_util::StreamExt;
    use tokio::sync::mpsc::{Sender, channel};

    const SILENCE: Duration = Duration::from_secs(15);

    fn stream() -> (Sender<Bytes>, EventStream) {
        let (sender, frames) = channel(32);
        (sender, EventStream::new(frames, OpenRequest::without_permit(), SILENCE))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_as_one_and_a_single_frame_as_it_came() {
        let (sender, mut stream) = stream();
        let single = Bytes::from_static(b"data: a\n\n");
        sender.send(single.clone()).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first.as_ptr(), single.as_ptr());
        let burst = Shutdown::new().spawn(async move {
            for frame in ["data: b\n\n", "data: c\n\n", "data: d\n\n"] {
                sender.send(Bytes::from_static(frame.as_bytes())).await.unwrap();
            }
        });
        assert_eq!(stream.next().await.unwrap().unwrap(), "data: b\n\ndata: c\n\ndata: d\n\n");
        burst.await.unwrap();
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_burst_is_cut_and_nothing_is_lost() {
        let (sender, stream) = stream();
        let frame = vec![b'x'; 5_000];
        let all = Shutdown::new().spawn(stream.map(|piece| piece.unwrap().to_vec()).collect::<Vec<_>>());
        for _ in 0..20 {
            sender.send(frame.clone().into()).await.unwrap();
        }
        drop(sender);
        let pieces = all.await.unwrap();
        assert_eq!(pieces.concat().len(), 100_000);
        assert!(pieces.iter().all(|piece| piece.len() < JOINED_BYTES + 5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_each_time_it_lasts_and_only_then() {
        let (sender, mut stream) = stream();
        let started = Instant::now();
        let talk = Shutdown::new().spawn(async move {
            for pause in [10, 10, 40] {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                sender.send(Bytes::from_static(b"x")).await.unwrap();
            }
        });
        let mut heard = Vec::new();
        while let Some(Ok(piece)) = stream.next().await {
            heard.push((started.elapsed().as_secs(), piece == KEEP_ALIVE));
        }
        assert_eq!(heard, [(10, false), (20, false), (35, true), (50, true), (60, false)]);
        talk.await.unwrap();
    }
}
