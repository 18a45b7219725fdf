//! A request in a vendor's words, and how that vendor's answer to it is read.
//!
//! Encoding is pure: it is done while routing, so that a vendor which cannot express a request is left out before
//! anything is held or sent.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::Value;

use crate::catalogue::Model;
use crate::chat::{ChatRequest, InvalidRequest};
use crate::embeddings::EmbeddingsReader;
use crate::error::ProviderError;
use crate::normalise::{ChunkTranslator, Shape, whole};
use crate::request::{ApiRequest, in_input};
use crate::responses::{Echo, EventWriter, NativeEvent, NativeReader, ResponsesRequest, answer_from_chat, native_body};
use crate::sse::Frame;
use crate::stream::{AnswerFacts, AnswerStream, DONE_FRAME, Decoded, FrameReader, data_frame, error_frame, unreadable};
use crate::transcription::{self, MistralEvents, OpenaiEvents, TranscriptFormat, TranscriptionRequest};
use crate::transport::{BodyStream, UpstreamBody};
use crate::usage::ReportedUsage;
use crate::{Dialect, mistral, moderation, openai, to_json};

/// What an adapter needs beside the request.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// The id to send.
    pub model_id: &'a str,
    /// The model behind it.
    pub model: &'a Model,
    /// The output limit that was reserved for, in tokens per choice. Always sent: without it there is no ceiling.
    pub max_output_tokens: u64,
    /// Calls of tools that run at the vendor that were reserved for; none of them may be sent without.
    pub tool_calls: u64,
    /// The cheaper service tier to ask for; the standard one otherwise.
    pub service_tier: Option<&'static str>,
    /// Keyed hash of the resident, for vendors that ask for one.
    pub safety_identifier: &'a str,
    /// Our request id.
    pub request_id: &'a str,
}

impl CallContext<'_> {
    /// A client's cache key, prefixed per resident so that nobody shares another's cache.
    pub(crate) fn cache_key(&self, value: &Value) -> Value {
        format!("{}:{}", self.safety_identifier, value.as_str().unwrap_or_default()).into()
    }
}

/// A request ready for a vendor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Where it goes, after the host's base address.
    pub path: &'static str,
    /// What is sent.
    pub body: UpstreamBody,
    /// Whether the answer comes as a stream.
    pub stream: bool,
    /// Names of the client's fields that were left out.
    pub dropped: Vec<String>,
    choices: u64,
    reader: Reader,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer in the client's shape.
    pub body: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// What the ledger needs of it.
    pub facts: AnswerFacts,
}

/// How an answer is read.
#[derive(Clone, Debug)]
enum Reader {
    /// Chat in the client's own dialect.
    OpenaiChat(Shape),
    /// Chat in Mistral's.
    MistralChat(Shape),
    /// OpenAI's Responses.
    Responses,
    /// A Response made of chat; true for Mistral's dialect.
    ResponsesOverChat {
        shape: Shape,
        mistral: bool,
        echo: Echo,
    },
    Embeddings(EmbeddingsReader),
    Moderation {
        mistral: bool,
    },
    /// The model is the one sent, for vendors that do not say it.
    Transcription {
        format: TranscriptFormat,
        mistral: bool,
        model: String,
    },
}

/// Puts a request into the words of a dialect.
///
/// # Errors
/// [`InvalidRequest`] when the request asks for something that dialect cannot express.
pub fn encode(dialect: Dialect, request: &ApiRequest, context: &CallContext<'_>) -> Result<Encoded, InvalidRequest> {
    let mut dropped = Vec::new();
    let (path, body, reader) = match request {
        ApiRequest::Chat(chat) => chat_call(dialect, chat, context, &mut dropped)?,
        ApiRequest::Responses(responses) => responses_call(dialect, responses, context, &mut dropped)?,
        ApiRequest::Embeddings(embeddings) => {
            let body = match dialect {
                Dialect::Mistral => embeddings.mistral_body(context, &mut dropped)?,
                Dialect::Openai => embeddings.openai_body(context, &mut dropped),
                Dialect::Compatible => embeddings.compatible_body(context, &mut dropped),
            };
            ("/embeddings", json(&body), Reader::Embeddings(embeddings.reader(context)))
        }
        ApiRequest::Moderation(moderation) => {
            let mistral = dialect == Dialect::Mistral;
            let body =
                if mistral { moderation.mistral_body(context, &mut dropped) } else { moderation.openai_body(context) };
            ("/moderations", json(&body), Reader::Moderation { mistral })
        }
        ApiRequest::Transcription(transcription) => transcription_call(dialect, transcription, context, &mut dropped)?,
    };
    Ok(Encoded { path, body, stream: request.is_stream(), dropped, choices: request.choices(), reader })
}

type Call = (&'static str, UpstreamBody, Reader);

fn json(body: &impl Serialize) -> UpstreamBody {
    UpstreamBody::Json(to_json(body).into())
}

fn chat_call(
    dialect: Dialect,
    chat: &ChatRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Call, InvalidRequest> {
    let shape =
        Shape { include_usage: chat.include_usage, whole_calls: chat.whole_calls && chat.stream, ..Shape::default() };
    let (body, reader) = match dialect {
        Dialect::Openai => (json(&openai::chat_body(chat, context, dropped)?), Reader::OpenaiChat(shape)),
        Dialect::Compatible => {
            (json(&openai::compatible_chat_body(chat, context, dropped)?), Reader::OpenaiChat(shape))
        }
        Dialect::Mistral => {
            let (body, shape) = mistral::chat_body(chat, context, dropped)?;
            (json(&body), Reader::MistralChat(shape))
        }
    };
    Ok(("/chat/completions", body, reader))
}

fn responses_call(
    dialect: Dialect,
    request: &ResponsesRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Call, InvalidRequest> {
    if let Some(search) = request.search.filter(|_| dialect != Dialect::Openai || context.tool_calls == 0) {
        let text = "Searches of the web are not offered here: this model or your plan does not allow them.";
        return Err(InvalidRequest::unsupported(&format!("tools[{}].type", search.place), text));
    }
    if dialect == Dialect::Openai {
        return Ok(("/responses", json(&native_body(request, context, dropped)), Reader::Responses));
    }
    dropped.extend(request.dropped.iter().cloned());
    let (path, body, reader) = chat_call(dialect, &request.chat, context, dropped).map_err(in_input)?;
    let echo = Echo::of(request);
    let reader = match reader {
        Reader::MistralChat(shape) => Reader::ResponsesOverChat { shape, mistral: true, echo },
        Reader::OpenaiChat(shape) => Reader::ResponsesOverChat { shape, mistral: false, echo },
        other => other,
    };
    Ok((path, body, reader))
}

fn transcription_call(
    dialect: Dialect,
    request: &TranscriptionRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Result<Call, InvalidRequest> {
    let mistral = dialect == Dialect::Mistral;
    let form = if mistral { request.mistral_form(context, dropped)? } else { request.openai_form(context, dropped) };
    let reader = Reader::Transcription { format: request.format, mistral, model: context.model_id.to_owned() };
    Ok(("/audio/transcriptions", UpstreamBody::Form(form), reader))
}

impl Encoded {
    /// A chat request that is in the host's own words already, and whose answer is wanted in them, usage included.
    pub fn chat_as_it_is(body: Bytes, stream: bool) -> Self {
        Self {
            path: "/chat/completions",
            body: UpstreamBody::Json(body),
            stream,
            dropped: Vec::new(),
            choices: 1,
            reader: Reader::OpenaiChat(Shape { include_usage: true, ..Shape::default() }),
        }
    }

    /// The JSON that is sent; `None` for a form.
    pub fn json(&self) -> Option<&Bytes> {
        match &self.body {
            UpstreamBody::Json(body) => Some(body),
            UpstreamBody::Form(_) => None,
        }
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// [`ProviderError`] for an answer that cannot be read, or that speaks of a failure.
    pub fn decode(&self, body: &Bytes) -> Result<Answer, ProviderError> {
        let (content_type, body, facts) = match &self.reader {
            Reader::OpenaiChat(shape) => json_answer(openai::chat_answer(body, shape)?),
            Reader::MistralChat(shape) => {
                let (answer, facts) = whole(&parse(body)?, shape)?;
                json_answer((to_json(&answer).into(), facts))
            }
            Reader::ResponsesOverChat { shape, echo, .. } => {
                let (answer, facts) = whole(&parse(body)?, shape)?;
                json_answer((to_json(&answer_from_chat(&answer, echo)).into(), facts))
            }
            Reader::Responses => json_answer((body.clone(), responses_answer(body)?)),
            Reader::Embeddings(reader) => json_answer(reader.answer(body)?),
            Reader::Moderation { mistral: true } => json_answer(moderation::mistral_answer(body)?),
            Reader::Moderation { mistral: false } => json_answer(moderation::openai_answer(body)?),
            Reader::Transcription { format, mistral, model } => transcription::answer(*format, *mistral, model, body)?,
        };
        Ok(Answer { body, content_type, facts })
    }

    /// Reads a streamed answer.
    pub fn stream(&self, body: BodyStream, upstream_request_id: Option<String>) -> AnswerStream {
        let reader: Box<dyn FrameReader> = match &self.reader {
            Reader::OpenaiChat(shape) => Box::new(openai::ChatReader::new(shape.clone())),
            Reader::MistralChat(shape) => Box::new(Translated { translator: ChunkTranslator::new(shape.clone()) }),
            Reader::ResponsesOverChat { shape, mistral, echo } => {
                // The writer of events needs the usage, whatever the client asked of chat.
                let shape = Shape { include_usage: true, own_ids: *mistral, ..shape.clone() };
                Box::new(AsEvents { translator: ChunkTranslator::new(shape), writer: EventWriter::new(echo.clone()) })
            }
            Reader::Responses => Box::new(ResponseEvents::default()),
            Reader::Transcription { mistral: true, .. } => Box::new(MistralEvents),
            Reader::Transcription { mistral: false, .. } => Box::new(OpenaiEvents),
            // Neither is ever streamed; whatever comes is read as chat and found wanting.
            Reader::Embeddings(_) | Reader::Moderation { .. } => Box::new(openai::ChatReader::new(Shape::default())),
        };
        AnswerStream::new(body, reader, self.choices, upstream_request_id)
    }
}

fn json_answer((body, facts): (Bytes, AnswerFacts)) -> (&'static str, Bytes, AnswerFacts) {
    ("application/json", body, facts)
}

fn parse(body: &[u8]) -> Result<Value, ProviderError> {
    serde_json::from_slice(body).map_err(|_| unreadable())
}

fn responses_answer(body: &[u8]) -> Result<AnswerFacts, ProviderError> {
    let mut reader = NativeReader::default();
    match reader.answer(body)?.error {
        Some(error) => Err(with_usage(error, &native_facts(&reader))),
        None => Ok(AnswerFacts { output_chars: reader.output_chars, ..native_facts(&reader) }),
    }
}

/// A failure together with what its answer used, where the vendor says so.
fn with_usage(error: ProviderError, facts: &AnswerFacts) -> ProviderError {
    ProviderError { answer: facts.usage.is_some().then(|| Box::new(facts.clone())), ..error }
}

fn native_facts(reader: &NativeReader) -> AnswerFacts {
    AnswerFacts {
        response_model: reader.response_model.clone(),
        upstream_id: reader.upstream_id.clone(),
        finish_reason: reader.finish_reason.clone(),
        usage: reader.usage.as_ref().and_then(ReportedUsage::from_responses).map(|mut reported| {
            reported.usage.tool_calls = reader.tool_calls;
            reported
        }),
        service_tier: reader.service_tier.clone(),
        ..AnswerFacts::default()
    }
}

/// The data of a frame; `None` for comments and empty events.
fn data_of(frame: &Frame) -> Option<Bytes> {
    frame.data().filter(|data| !data.is_empty())
}

/// Chat chunks of another dialect, as chunks.
struct Translated {
    translator: ChunkTranslator,
}

impl FrameReader for Translated {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        let Some(data) = data_of(frame) else { return Ok(Decoded::default()) };
        if &data[..] == b"[DONE]" {
            return Ok(Decoded { bytes: Bytes::from_static(DONE_FRAME), done: true, ..Decoded::default() });
        }
        if let Some(decoded) = self.translator.text(&data, facts) {
            return Ok(decoded);
        }
        let mut out = BytesMut::new();
        let decoded = self.translator.translate(&parse(&data)?, facts, &mut |chunk| {
            out.extend_from_slice(&data_frame(&to_json(&chunk)));
        })?;
        Ok(Decoded { bytes: out.freeze(), ..decoded })
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        Bytes::from_static(DONE_FRAME)
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        error_frame(error)
    }
}

/// Chat chunks of any dialect, as the events of a Response.
struct AsEvents {
    translator: ChunkTranslator,
    writer: EventWriter,
}

impl FrameReader for AsEvents {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        let Some(data) = data_of(frame) else { return Ok(Decoded::default()) };
        let mut out = BytesMut::new();
        if &data[..] == b"[DONE]" {
            self.writer.finish(&mut out);
            return Ok(Decoded { bytes: out.freeze(), done: true, ..Decoded::default() });
        }
        let writer = &mut self.writer;
        let decoded = self.translator.translate(&parse(&data)?, facts, &mut |chunk| writer.chunk(&chunk, &mut out))?;
        Ok(Decoded { bytes: out.freeze(), ..decoded })
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        let mut out = BytesMut::new();
        self.writer.finish(&mut out);
        out.freeze()
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        self.writer.error(&error.message, error.kind.label())
    }
}

/// OpenAI's own events of a Response, forwarded as they came.
#[derive(Default)]
struct ResponseEvents {
    reader: NativeReader,
    /// Number of the last event: a failure of ours comes after it.
    events: u64,
    /// The vendor's own word of its failure.
    failed: Option<Bytes>,
}

impl FrameReader for ResponseEvents {
    fn read(&mut self, frame: &Frame, facts: &mut AnswerFacts) -> Result<Decoded, ProviderError> {
        let Some(data) = data_of(frame) else { return Ok(Decoded::default()) };
        if &data[..] == b"[DONE]" {
            return Ok(Decoded { done: true, ..Decoded::default() });
        }
        let NativeEvent { visible_chars, has_content, terminal, error } = self.reader.event(&data)?;
        self.events += 1;
        if terminal || facts.upstream_id.is_none() {
            let (chars, request_id) = (facts.output_chars, facts.upstream_request_id.take());
            *facts = AnswerFacts { output_chars: chars, upstream_request_id: request_id, ..native_facts(&self.reader) };
        }
        let bytes = if frame.has_id() { data_frame(&data) } else { frame.raw.clone() };
        if let Some(error) = error {
            self.failed = Some(bytes);
            return Err(if terminal { with_usage(error, facts) } else { error });
        }
        Ok(Decoded { bytes, visible_chars, has_content, finished: u64::from(terminal), done: terminal })
    }

    fn end(&mut self, _facts: &AnswerFacts) -> Bytes {
        Bytes::new()
    }

    fn failure(&mut self, error: &ProviderError) -> Bytes {
        let own = || EventWriter::error_event(self.events, &error.message, error.kind.label());
        self.failed.take().unwrap_or_else(own)
    }
}
