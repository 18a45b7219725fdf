//! One of the two answers on its way: asked, shown, settled. It must not know the other one.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use providers::sse::FrameSplitter;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::style::style_of;
use super::{DuelEvent, Place};
use crate::ledger::{DuelSide, Entry, LengthClass, Outcome};
use crate::pipeline::{Answered, Delivery, Frames, PipelineError, Said};

/// A call that its vendor has not begun to answer: a task, which goes on whether or not somebody reads the other answer.
pub(super) type Asked = JoinHandle<Result<Answered, PipelineError>>;

/// An answer that is whole and in the books.
pub(super) struct Answer {
    pub(super) side: DuelSide,
    pub(super) length_class: LengthClass,
}

enum State {
    /// Routed, admitted, sent.
    Asked(Asked),
    /// Its text comes.
    Answering(Frames, FrameSplitter),
    /// Everything was shown; the books are heard next.
    Settling,
    /// Whole, or not.
    Ended(Option<Box<Answer>>),
}

/// One of the two answers.
pub(super) struct Side {
    place: Place,
    state: State,
    /// Gathered for its style, and dropped with it.
    text: String,
    witness: oneshot::Receiver<Entry>,
}

impl Side {
    pub(super) fn new(place: Place, asked: Asked, witness: oneshot::Receiver<Entry>) -> Self {
        Self { place, state: State::Asked(asked), text: String::new(), witness }
    }

    /// Where it is shown.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Whether the vendor has begun to answer.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.state, State::Asked(_))
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// The reader has something else to do than to wait for this answer.
    pub(super) fn turned_away(&self) {
        if let State::Answering(frames, _) = &self.state {
            frames.turned_away();
        }
    }

    /// The answer, once, when it is whole.
    pub(super) fn take_answer(&mut self) -> Option<Box<Answer>> {
        match &mut self.state {
            State::Ended(answer) => answer.take(),
            _ => None,
        }
    }

    /// Goes one step on and gives what is to be told, if anything; an error where no answer began.
    pub(super) fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<DuelEvent>, PipelineError>> {
        match &mut self.state {
            State::Asked(asked) => Pin::new(asked).poll(context).map(|answered| {
                let failed = |_| PipelineError::Internal("a call of a duel came to no end");
                self.began(answered.map_err(failed).flatten())
            }),
            State::Answering(frames, splitter) => match Pin::new(frames).poll_next(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(bytes)) => {
                    splitter.push(bytes);
                    let text = Said::read(splitter).text;
                    self.text.push_str(&text);
                    Poll::Ready(Ok((!text.is_empty()).then_some(DuelEvent::Text(self.place, text))))
                }
                Poll::Ready(None) => {
                    self.state = State::Settling;
                    Poll::Ready(Ok(None))
                }
            },
            State::Settling => Pin::new(&mut self.witness).poll(context).map(|entry| Ok(Some(self.end(entry.ok())))),
            State::Ended(_) => Poll::Pending,
        }
    }

    fn began(&mut self, answered: Result<Answered, PipelineError>) -> Result<Option<DuelEvent>, PipelineError> {
        let delivery = answered.map(|answered| answered.delivery);
        self.state = match delivery {
            Ok(Delivery::Stream(frames)) => State::Answering(frames, FrameSplitter::new()),
            Ok(Delivery::Whole { .. }) => {
                tracing::error!("an answer of a duel came whole, and not as a stream");
                State::Ended(None)
            }
            Err(error) => {
                self.state = State::Ended(None);
                return Err(error);
            }
        };
        Ok(self.has_ended().then_some(DuelEvent::Broke(self.place)))
    }

    /// What the books say decides whether the answer was whole.
    fn end(&mut self, entry: Option<Entry>) -> DuelEvent {
        let text = std::mem::take(&mut self.text);
        let whole = entry.filter(|entry| entry.outcome == Outcome::Completed && !entry.client_left);
        let event = if whole.is_some() { DuelEvent::Ended(self.place) } else { DuelEvent::Broke(self.place) };
        self.state = State::Ended(whole.map(|entry| Box::new(answer_of(&entry, &text))));
        event
    }
}

fn answer_of(entry: &Entry, text: &str) -> Answer {
    let side = DuelSide {
        provider: entry.provider.clone(),
        model: entry.priced_model().to_owned(),
        host: entry.host.clone(),
        request_id: entry.request_id.clone(),
        first_text_micros: entry.first_text_micros,
        duration_micros: entry.duration_micros,
        cost_euro_nanos: entry.cost_euro_nanos,
        output_tokens: entry.usage.map(|usage| usage.output_tokens()),
        style: style_of(text),
        qualifiers: Vec::new(),
    };
    Answer { side, length_class: entry.length_class }
}
