//! The answer to the client, and on to the end when the client has left.
//!
//! When the client leaves, the vendor's stream is read on (bounded in time and number) to learn the exact usage.

use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use providers::error::ProviderError;
use providers::stream::{AnswerStream, Piece};

use super::dispatch::{Dispatched, Reply};
use super::frames::{Frames, Outlet};
use super::settle::{Ending, Open};
use super::{Answered, Delivery, Origin, Pipeline};
use crate::telemetry::{Counted, metrics};

/// Why an answer was not read on after its client had left: too many were being read on already.
const DRAIN_REFUSED: &str = "drain_refused";
/// Why it was not read on to its end: it went on for longer than `upstream.drain_seconds`.
const DRAIN_BOUND: &str = "drain_bound";

pub(super) async fn deliver(pipeline: &Arc<Pipeline>, dispatched: Dispatched) -> Answered {
    let Dispatched { admitted, reply, attempt, earlier } = dispatched;
    let standing = admitted.standing;
    let origin = |model: Option<&String>| Origin {
        provider: attempt.leg.provider.clone(),
        model: model.cloned().unwrap_or_else(|| attempt.leg.sent_id.to_string()),
        host: attempt.leg.host.id.clone(),
        dropped: attempt.dropped.clone(),
    };
    match reply {
        Reply::Whole(answer) => {
            let origin = origin(answer.facts.response_model.as_ref());
            let open = Open { admitted, attempt, earlier };
            let settled = open.settle(pipeline, Ending::Whole(&answer.facts)).await;
            let delivery = Delivery::Whole {
                body: answer.body,
                content_type: answer.content_type,
                cost_euro_nanos: settled.cost_euro_nanos(),
            };
            Answered { origin, standing, delivery }
        }
        Reply::Stream(stream, first) => {
            let origin = origin(stream.facts().response_model.as_ref());
            let deadline = admitted.deadline;
            let open = Open { admitted, attempt, earlier };
            let pipeline = Arc::clone(pipeline);
            let shutdown = pipeline.shutdown.clone();
            let frames = Frames::of(&shutdown, deadline, |outlet| stream_on(pipeline, open, stream, first, outlet));
            Answered { origin, standing, delivery: Delivery::Stream(frames) }
        }
    }
}

/// Hands a streamed answer over and settles it before its last event.
async fn stream_on(
    pipeline: Arc<Pipeline>,
    mut open: Open,
    mut stream: Box<AnswerStream>,
    first: Option<Piece>,
    outlet: Outlet,
) {
    let (ending, last) = pump(&pipeline, &mut open, &mut stream, first, &outlet).await;
    let _settled = open.settle(&pipeline, ending.with(&stream)).await;
    // Only now, when the call is in the books: who has the last event has an answer that no crash makes dearer.
    if !last.is_empty() {
        let _client_left = outlet.give(last).await;
    }
    if stream.is_done() && soon(&mut stream, TURNS).await.is_none() {
        // The connection to the vendor can be used again once its body has ended; the client need not wait for that.
        outlet.close();
        let _end = stream.next().await;
    }
}

/// How the pumping ended, before the facts are put to it.
enum Pumped {
    Complete {
        client_left: bool,
    },
    /// With what went wrong, as the ledger and the metrics call it.
    Broken {
        error_type: &'static str,
        client_left: bool,
    },
}

impl Pumped {
    fn with(self, stream: &AnswerStream) -> Ending<'_> {
        let facts = stream.facts();
        match self {
            Self::Complete { client_left } => Ending::Streamed { facts, client_left, error_type: None },
            // What broke came after the last word and the usage: the answer is whole, and so is its price.
            Self::Broken { error_type, client_left } if has_final_usage(stream) => {
                Ending::Streamed { facts, client_left, error_type: Some(error_type) }
            }
            Self::Broken { error_type, client_left } => Ending::Broken { facts, error_type, client_left },
        }
    }
}

/// True once nothing can change the usage any more: the vendor has said how every choice ended, and what it used.
/// A usage seen before that may be one that still grows.
fn has_final_usage(stream: &AnswerStream) -> bool {
    stream.is_complete() && stream.facts().usage.is_some()
}

/// Hands the answer over up to its last event, which it gives back: that one waits for the settlement.
async fn pump(
    pipeline: &Pipeline,
    open: &mut Open,
    stream: &mut AnswerStream,
    first: Option<Piece>,
    outlet: &Outlet,
) -> (Pumped, Bytes) {
    let mut burst = Burst::default();
    let mut turns = TURNS;
    let mut next = first.map(|piece| Some(Ok(piece)));
    loop {
        if next.is_none() && burst.has_room() {
            next = soon(stream, turns).await;
            // Frames that come one by one are not waited for; one that is there already may be the first of many.
            turns = if next.is_some() { TURNS } else { 0 };
        }
        let item = match next.take() {
            Some(item) => item,
            None => {
                if !burst.leaves(outlet).await {
                    return (drain(pipeline, open, stream).await, Bytes::new());
                }
                if let Some(item) = stream.next().now_or_never() {
                    turns = TURNS;
                    item
                } else {
                    tokio::select! {
                        biased;
                        item = stream.next() => item,
                        () = outlet.left() => return (drain(pipeline, open, stream).await, Bytes::new()),
                    }
                }
            }
        };
        match item {
            Some(Ok(piece)) => {
                note(pipeline, open, &piece);
                if stream.is_done() {
                    let client_left = !burst.leaves(outlet).await;
                    return (Pumped::Complete { client_left }, piece.bytes);
                }
                burst.push(piece.bytes);
            }
            None => {
                let client_left = !burst.leaves(outlet).await;
                return (Pumped::Complete { client_left }, Bytes::new());
            }
            Some(Err(error)) => {
                let client_left = !burst.leaves(outlet).await || outlet.has_left();
                // The status is long gone: the error goes as an event, and the stream ends as clients expect.
                let failure = stream.failure_frame(&error);
                return (Pumped::Broken { error_type: error.kind.label(), client_left }, failure);
            }
        }
    }
}

/// How often the task steps back after a frame, so that whoever reads the vendor's connection can bring the next of the
/// same burst, which then leaves with one write to the client's socket and not with one for each frame.
const TURNS: u8 = 2;
/// Frames of a burst leave together up to this length, in bytes.
const BURST_BYTES: usize = 16 << 10;

/// What comes next, if it is there already or comes within some turns of other tasks.
async fn soon(stream: &mut AnswerStream, turns: u8) -> Option<Option<Result<Piece, ProviderError>>> {
    for turn in 0..=turns {
        if let Some(item) = stream.next().now_or_never() {
            return Some(item);
        }
        if turn < turns {
            step_back().await;
        }
    }
    None
}

/// Lets the tasks go first that are ready to run. Unlike the runtime's own yield it does not ask the system for events.
async fn step_back() {
    let mut stepped = false;
    std::future::poll_fn(|context| {
        if stepped {
            return Poll::Ready(());
        }
        stepped = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Frames that leave together.
#[derive(Default)]
struct Burst {
    frames: Vec<Bytes>,
    bytes: usize,
}

impl Burst {
    fn has_room(&self) -> bool {
        !self.frames.is_empty() && self.bytes < BURST_BYTES
    }

    fn push(&mut self, frame: Bytes) {
        if !frame.is_empty() {
            self.bytes += frame.len();
            self.frames.push(frame);
        }
    }

    /// Gives everything to the client, a single frame as it came; false when it has left.
    async fn leaves(&mut self, outlet: &Outlet) -> bool {
        let bytes = std::mem::take(&mut self.bytes);
        let joined = match self.frames.len() {
            0 => return true,
            1 => self.frames.pop().unwrap_or_default(),
            _ => {
                let mut joined = BytesMut::with_capacity(bytes);
                self.frames.drain(..).for_each(|frame| joined.extend_from_slice(&frame));
                joined.freeze()
            }
        };
        outlet.give(joined).await
    }
}

fn note(pipeline: &Pipeline, open: &mut Open, piece: &Piece) {
    if piece.has_content {
        open.attempt.times.content(pipeline.clock.tick(), piece.visible_chars > 0);
    }
}

/// Reads the vendor's stream to its end for the sake of its usage, within the bounds.
async fn drain(pipeline: &Pipeline, open: &mut Open, stream: &mut AnswerStream) -> Pumped {
    let broken = |error_type| Pumped::Broken { error_type, client_left: true };
    if has_final_usage(stream) {
        // Clients leave right after the last event; that is no interruption.
        return Pumped::Complete { client_left: false };
    }
    let Ok(_permit) = pipeline.drains.try_acquire() else {
        metrics().drains.with_label_values(&["refused"]).inc();
        return broken(DRAIN_REFUSED);
    };
    let _counted = Counted::one(&metrics().drains_open);
    let read = async {
        loop {
            match stream.next().await {
                Some(Ok(piece)) => note(pipeline, open, &piece),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    };
    let outcome = tokio::time::timeout(pipeline.drain, read).await;
    let (label, pumped) = match outcome {
        Ok(Ok(())) => ("completed", Pumped::Complete { client_left: true }),
        Ok(Err(error)) => ("failed", broken(error.kind.label())),
        Err(_) => ("bound", broken(DRAIN_BOUND)),
    };
    metrics().drains.with_label_values(&[label]).inc();
    pumped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::Shutdown;

    fn frame(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[tokio::test]
    async fn a_burst_leaves_as_one_and_a_single_frame_as_it_came() {
        let single = frame("data: a\n\n");
        let sent = single.clone();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        let mut frames = Frames::of(&Shutdown::new(), deadline, |outlet| async move {
            let mut burst = Burst::default();
            assert!(burst.leaves(&outlet).await, "nothing leaves at once");
            burst.push(sent);
            assert!(burst.leaves(&outlet).await);
            for text in ["data: b\n\n", "", "data: c\n\n"] {
                burst.push(frame(text));
            }
            assert!(burst.has_room() && burst.leaves(&outlet).await);
            assert!(burst.frames.is_empty() && burst.bytes == 0);
            burst.push(vec![b'x'; BURST_BYTES].into());
            assert!(!burst.has_room(), "a long burst does not wait for more");
        });
        let mut next = async || std::future::poll_fn(|context| frames.poll_next(context)).await;
        assert_eq!(next().await.unwrap().as_ptr(), single.as_ptr(), "no copy");
        assert_eq!(next().await.unwrap(), "data: b\n\ndata: c\n\n");
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn whoever_steps_back_lets_the_others_go_first() {
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let other = said.clone();
        let tasks = Shutdown::new();
        let first = tasks.spawn(async move {
            step_back().await;
            said.send("first, after a step back").unwrap();
        });
        let second = tasks.spawn(async move { other.send("second").unwrap() });
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!((heard.recv().await, heard.recv().await), (Some("second"), Some("first, after a step back")));
    }
}
