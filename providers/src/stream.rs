//! A vendor's event stream, turned into what the client gets and what the ledger needs.
//!
//! Frames of the client's own dialect are forwarded as they came and read on the side; others are translated. Usage is
//! the last one seen, never a sum over chunks. It must not know money, residents or HTTP answers.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::Value;

use crate::error::{ErrorBody, ErrorKind, ProviderError};
use crate::sse::{Frame, FrameSplitter};
use crate::transport::BodyStream;
use crate::usage::ReportedUsage;

/// What a stream, or a whole answer, turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The model id the vendor returned.
    pub response_model: Option<String>,
    /// The vendor's id of the answer.
    pub upstream_id: Option<String>,
    /// The vendor's id of the request, from the head of its answer.
    pub upstream_request_id: Option<String>,
    /// Why it ended, in OpenAI's words.
    pub finish_reason: Option<String>,
    /// The vendor's usage; absent is not zero.
    pub usage: Option<ReportedUsage>,
    /// Service tier the vendor says it used.
    pub service_tier: Option<String>,
    /// Characters of visible text.
    pub output_chars: u64,
}

/// Something for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Frames ready to be written; empty when a frame only informed the gateway.
    pub bytes: Bytes,
    /// Characters of visible text in it.
    pub visible_chars: u64,
    /// Whether it holds content of any kind, reasoning and tool calls included.
    pub has_content: bool,
}

/// What one frame came to.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) bytes: Bytes,
    pub(crate) visible_chars: u64,
    pub(crate) has_content: bool,
    /// How many choices ended in it.
    pub(crate) finished: u64,
    /// The stream is over: the client has its last event.
    pub(crate) done: bool,
}

/// Reads the frames of one kind of stream, and writes what the client gets.
pub(crate) trait FrameReader: Send {
    /// Reads one frame.
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError>;

    /// What is still to be written when the vendor's body ended after its answer did, but without saying so.
    fn end(&mut self, facts: &AnswerFacts) -> Bytes;

    /// The event that tells the client of a failure in the middle.
    fn failure(&mut self, error: &ProviderError) -> Bytes;
}

/// A streamed answer being read.
pub struct AnswerStream {
    body: BodyStream,
    splitter: FrameSplitter,
    reader: Box<dyn FrameReader>,
    facts: AnswerFacts,
    /// Choices of which the vendor has not said yet how they ended.
    open_choices: u64,
    /// The client's last event was passed on.
    done: bool,
    /// The vendor's body has come to its end: it must not be asked again.
    body_ended: bool,
    ended: bool,
}

/// The end of a stream of chat chunks.
pub const DONE_FRAME: &[u8] = b"data: [DONE]\n\n";
/// How long to wait for the end of the body after the last event, so that the connection can be used again.
const END_GRACE: Duration = Duration::from_millis(20);

impl AnswerStream {
    pub(crate) fn new(
        body: BodyStream,
        reader: Box<dyn FrameReader>,
        choices: u64,
        upstream_request_id: Option<String>,
    ) -> Self {
        let facts = AnswerFacts { upstream_request_id, ..AnswerFacts::default() };
        Self {
            body,
            splitter: FrameSplitter::new(),
            reader,
            facts,
            open_choices: choices,
            done: false,
            body_ended: false,
            ended: false,
        }
    }

    /// What is known so far.
    pub fn facts(&self) -> &AnswerFacts {
        &self.facts
    }

    /// True once the vendor has said how every choice ended: what comes after a terminal event is not needed, and a
    /// client that leaves then has had its answer.
    pub fn is_complete(&self) -> bool {
        self.done || self.open_choices == 0
    }

    /// True once the client's last event was given out: only the end of the vendor's body is still to come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The event that tells the client of `error`, in the form its protocol has for it.
    pub fn failure_frame(&mut self, error: &ProviderError) -> Bytes {
        self.reader.failure(error)
    }

    /// The next piece for the client; `None` at the end.
    ///
    /// # Errors
    /// A deadline, an error event of the vendor, an unreadable frame, or [`ErrorKind::Cut`] when the stream ended
    /// without saying so: silence must not look like success.
    pub async fn next(&mut self) -> Option<Result<Piece, ProviderError>> {
        if self.ended {
            return None;
        }
        let item = self.advance().await;
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }

    async fn advance(&mut self) -> Option<Result<Piece, ProviderError>> {
        loop {
            if self.done {
                if !self.body_ended {
                    // The client already has everything; only the connection profits.
                    let _end = tokio::time::timeout(END_GRACE, self.body.next()).await;
                }
                return None;
            }
            match self.splitter.next_frame() {
                Ok(Some(frame)) => match self.read(&frame) {
                    Ok(None) => continue,
                    Ok(Some(piece)) => return Some(Ok(piece)),
                    Err(error) => return Some(Err(error)),
                },
                Ok(None) => {}
                Err(error) => return Some(Err(ProviderError::new(ErrorKind::Protocol, error.to_string()))),
            }
            if self.body_ended {
                return self.at_end();
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.splitter.push(bytes),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    self.body_ended = true;
                    return self.at_end();
                }
            }
        }
    }

    fn read(&mut self, frame: &Frame) -> Result<Option<Piece>, ProviderError> {
        if let Some(text) = frame.error_line() {
            let value = serde_json::from_slice(&text).map_err(|_| unreadable())?;
            return Err(error_event(&value));
        }
        let decoded = self.reader.read(frame, &mut self.facts).inspect_err(|error| {
            if error.answer.is_some() {
                // The vendor has said its last word, if not a good one.
                self.open_choices = 0;
            }
        })?;
        self.done |= decoded.done;
        self.open_choices = self.open_choices.saturating_sub(decoded.finished);
        self.facts.output_chars += decoded.visible_chars;
        let piece =
            Piece { bytes: decoded.bytes, visible_chars: decoded.visible_chars, has_content: decoded.has_content };
        Ok((!piece.bytes.is_empty() || piece.has_content).then_some(piece))
    }

    fn at_end(&mut self) -> Option<Result<Piece, ProviderError>> {
        let cut = || Some(Err(ProviderError::new(ErrorKind::Cut, "The vendor's stream ended before its answer did.")));
        let last = match self.splitter.finish().map(|frame| self.read(&frame)) {
            None => None,
            Some(Ok(piece)) => piece,
            // Half a frame is no frame.
            Some(Err(error)) if error.kind == ErrorKind::Protocol => return cut(),
            Some(Err(error)) => return Some(Err(error)),
        };
        if self.done {
            return last.map(Ok);
        }
        if !self.is_complete() {
            return match last {
                // What it holds is given first; the next call finds the stream cut.
                Some(piece) => Some(Ok(piece)),
                None => cut(),
            };
        }
        // The answer is whole, only the marker is missing.
        self.done = true;
        let end = self.reader.end(&self.facts);
        let piece = match last {
            Some(piece) => Piece { bytes: [piece.bytes, end].concat().into(), ..piece },
            None => Piece { bytes: end, visible_chars: 0, has_content: false },
        };
        Some(Ok(piece))
    }
}

/// One `data:` event.
pub(crate) fn data_frame(data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(data.len() + 8);
    bytes.put_slice(b"data: ");
    bytes.put_slice(data);
    bytes.put_slice(b"\n\n");
    bytes.freeze()
}

/// A failure in the middle of chat chunks: a data event that both OpenAI SDKs raise, then the end that naive clients
/// wait for.
pub(crate) fn error_frame(error: &ProviderError) -> Bytes {
    let body = serde_json::json!({
        "error": {"message": error.message, "type": "server_error", "param": null, "code": error.kind.label()}
    });
    let mut frame = BytesMut::from(&data_frame(body.to_string().as_bytes())[..]);
    frame.extend_from_slice(DONE_FRAME);
    frame.freeze()
}

/// The failure that a chunk or an answer speaks of instead of answering: wrapped in `error`, or bare as Mistral and old
/// versions of vLLM do it.
pub(crate) fn failure_in(value: &Value) -> Option<ProviderError> {
    let wrapped = value.get("error").filter(|error| !error.is_null());
    let bare = value.get("object").is_some_and(|object| object == "error").then_some(value);
    wrapped.or(bare).map(error_event)
}

/// An error event in the middle of a stream. It has no status, so it counts as possibly billed.
pub(crate) fn error_event(value: &Value) -> ProviderError {
    let body = ErrorBody::from_value(value);
    let kind = body.kind_by_words().unwrap_or(ErrorKind::Server);
    let message = body.message.unwrap_or_else(|| "The vendor failed in the middle of its answer.".to_owned());
    ProviderError { param: body.param, code: body.code, ..ProviderError::new(kind, message) }
}

/// A frame or an answer that cannot be read.
pub(crate) fn unreadable() -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, "The vendor sent something that is not JSON, or not an answer.")
}

#[cfg(test)]
mod tests;
