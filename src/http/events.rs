//! The body of a streamed answer: frames as they come, and a comment where nothing comes.
//!
//! It must not know what the frames say.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::answer::OpenRequest;
use crate::telemetry::{Counted, metrics};

/// A comment line, without the blank line that would make some clients see an empty event.
const KEEP_ALIVE: &[u8] = b": ping\n";

/// Frames on their way to the client.
pub(super) struct EventStream<F> {
    frames: F,
    _open: OpenRequest,
    _counted: Counted,
    keep_alive: Duration,
    /// Armed at the first silence, and set again only when it rings: most waits are short.
    timer: Pin<Box<Sleep>>,
    last: Instant,
}

impl<F: Stream<Item = Bytes> + Unpin> EventStream<F> {
    pub(super) fn new(frames: F, open: OpenRequest, keep_alive: Duration) -> Self {
        let counted = Counted::one(&metrics().streams_open);
        let timer = Box::pin(sleep(keep_alive));
        Self { frames, _open: open, _counted: counted, keep_alive, timer, last: Instant::now() }
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

impl<F: Stream<Item = Bytes> + Unpin> Stream for EventStream<F> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.frames).poll_next(context) {
            this.last = Instant::now();
            return Poll::Ready(frame.map(Ok));
        }
        this.poll_silence(context).map(|()| Some(Ok(Bytes::from_static(KEEP_ALIVE))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Frames;
    use crate::shutdown::Shutdown;
    use futures_util::StreamExt;
    use tokio::sync::mpsc::{Sender, channel};

    const SILENCE: Duration = Duration::from_secs(15);

    fn stream() -> (Sender<Bytes>, EventStream<Frames>) {
        let (sender, frames) = channel(32);
        (sender, EventStream::new(Frames::relayed(frames), OpenRequest::without_permit(), SILENCE))
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
