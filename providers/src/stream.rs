//! A vendor's event stream, turned into what the client gets and what the ledger needs.
//!
//! Frames of the client's own dialect are forwarded as they came and read on the side; Mistral's are translated. Usage
//! is the last one seen, never a sum over chunks. It must not know money, residents or HTTP answers.

use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;

use crate::Dialect;
use crate::error::{ErrorKind, ProviderError};
use crate::sse::{Frame, FrameSplitter};
use crate::transport::BodyStream;
use crate::usage::ReportedUsage;
use crate::{mistral, openai};

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
    pub(crate) done: bool,
}

/// The per-dialect reader of frames.
pub(crate) enum Decoder {
    Openai(openai::StreamDecoder),
    Mistral(mistral::StreamDecoder),
}

impl Decoder {
    pub(crate) fn new(dialect: Dialect, include_usage: bool) -> Self {
        match dialect {
            Dialect::Openai | Dialect::Compatible => Self::Openai(openai::StreamDecoder::new(include_usage)),
            Dialect::Mistral => Self::Mistral(mistral::StreamDecoder::new(include_usage)),
        }
    }

    fn decode(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        match self {
            Self::Openai(decoder) => decoder.decode(frame, facts),
            Self::Mistral(decoder) => decoder.decode(frame, facts),
        }
    }
}

/// A streamed answer being read.
pub struct ChatStream {
    body: BodyStream,
    splitter: FrameSplitter,
    decoder: Decoder,
    facts: AnswerFacts,
    /// `[DONE]` was passed on.
    done: bool,
    ended: bool,
}

/// The end of every stream.
pub const DONE_FRAME: &[u8] = b"data: [DONE]\n\n";
/// How long to wait for the end of the body after `[DONE]`, so that the connection can be used again.
const END_GRACE: Duration = Duration::from_millis(20);

impl ChatStream {
    pub(crate) fn new(body: BodyStream, decoder: Decoder, upstream_request_id: Option<String>) -> Self {
        let facts = AnswerFacts { upstream_request_id, ..AnswerFacts::default() };
        Self { body, splitter: FrameSplitter::new(), decoder, facts, done: false, ended: false }
    }

    /// What is known so far.
    pub fn facts(&self) -> &AnswerFacts {
        &self.facts
    }

    /// True once the vendor has said how the answer ended: what comes after a terminal event is not needed, and a
    /// client that leaves then has had its answer.
    pub fn is_complete(&self) -> bool {
        self.done || self.facts.finish_reason.is_some()
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
                // The client already has everything; only the connection profits.
                let _end = tokio::time::timeout(END_GRACE, self.body.next()).await;
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
            match self.body.next().await {
                Some(Ok(bytes)) => self.splitter.push(&bytes),
                Some(Err(error)) => return Some(Err(error)),
                None => return self.at_end(),
            }
        }
    }

    fn read(&mut self, frame: &Frame) -> Result<Option<Piece>, ProviderError> {
        let decoded = self.decoder.decode(frame, &mut self.facts)?;
        self.done |= decoded.done;
        self.facts.output_chars += decoded.visible_chars;
        let piece =
            Piece { bytes: decoded.bytes, visible_chars: decoded.visible_chars, has_content: decoded.has_content };
        Ok((!piece.bytes.is_empty() || piece.has_content).then_some(piece))
    }

    fn at_end(&mut self) -> Option<Result<Piece, ProviderError>> {
        if let Some(frame) = self.splitter.finish() {
            match self.read(&frame) {
                Ok(Some(piece)) => return Some(Ok(piece)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        if self.facts.finish_reason.is_none() {
            return Some(Err(ProviderError::new(ErrorKind::Cut, "The vendor's stream ended before its answer did.")));
        }
        // The answer is whole, only the marker is missing.
        self.done = true;
        Some(Ok(Piece { bytes: Bytes::from_static(DONE_FRAME), visible_chars: 0, has_content: false }))
    }
}

/// An error event in the middle of a stream. It has no status, so it counts as possibly billed.
pub(crate) fn error_event(value: &serde_json::Value) -> ProviderError {
    let body = crate::error::ErrorBody::from_value(value);
    ProviderError {
        kind: ErrorKind::Server,
        status: None,
        message: body.message.unwrap_or_else(|| "The vendor failed in the middle of its answer.".to_owned()),
        param: None,
        code: body.code,
        retry_after: None,
        upstream_request_id: None,
    }
}

/// A frame that cannot be read.
pub(crate) fn unreadable() -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, "The vendor sent something that is not JSON.")
}

#[cfg(test)]
mod tests;
