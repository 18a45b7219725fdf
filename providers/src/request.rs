//! What a resident can ask for, one variant an endpoint: what the pipeline needs of each, whatever its unit of price.
//!
//! It must not know vendors: adapters turn a request into what a vendor accepts.

use crate::Dialect;
use crate::catalogue::{Model, Operation, PriceRow, UsageBound};
use crate::chat::{ChatRequest, InvalidRequest};
use crate::embeddings::EmbeddingsRequest;
use crate::moderation::ModerationRequest;
use crate::responses::ResponsesRequest;
use crate::transcription::TranscriptionRequest;

/// The endpoints whose body is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/moderations`.
    Moderations,
}

/// A parsed request.
#[derive(Clone, Debug)]
pub enum ApiRequest {
    /// A conversation.
    Chat(ChatRequest),
    /// A conversation in the shape of OpenAI's Responses.
    Responses(Box<ResponsesRequest>),
    /// Vectors of texts.
    Embeddings(EmbeddingsRequest),
    /// Whether texts are harmful.
    Moderation(ModerationRequest),
    /// The text of a recording.
    Transcription(TranscriptionRequest),
}

impl ApiRequest {
    /// Reads the body of a request to `endpoint`.
    ///
    /// # Errors
    /// [`InvalidRequest`], in words for the client.
    pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Self, InvalidRequest> {
        Ok(match endpoint {
            Endpoint::Chat => Self::Chat(ChatRequest::parse(body)?),
            Endpoint::Responses => Self::Responses(Box::new(ResponsesRequest::parse(body)?)),
            Endpoint::Embeddings => Self::Embeddings(EmbeddingsRequest::parse(body)?),
            Endpoint::Moderations => Self::Moderation(ModerationRequest::parse(body)?),
        })
    }

    /// The same request, with regard to what its client can take. Mistral's client for Python fails on a fragment of a
    /// tool call, and LangChain's for Mistral, which names itself only as the HTTP library that it uses, takes each for
    /// a call of its own; whole calls are as good to everybody else.
    #[must_use]
    pub fn for_client(mut self, user_agent: &str) -> Self {
        if let Self::Chat(chat) = &mut self {
            chat.whole_calls |= ["mistral-client", "python-httpx"].iter().any(|name| user_agent.starts_with(name));
        }
        self
    }

    /// The model or route asked for; empty where the client left the choice to us.
    pub fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Responses(request) => &request.model,
            Self::Embeddings(request) => &request.model,
            Self::Moderation(request) => &request.model,
            Self::Transcription(request) => &request.model,
        }
    }

    /// Models to try in turn where the client named none.
    pub fn default_models(&self) -> &'static [&'static str] {
        match self {
            Self::Moderation(_) => crate::moderation::DEFAULT_MODELS,
            _ => &[],
        }
    }

    /// What a model must be for, to answer it.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Chat(_) | Self::Responses(_) => Operation::Chat,
            Self::Embeddings(_) => Operation::Embeddings,
            Self::Moderation(_) => Operation::Moderation,
            Self::Transcription(_) => Operation::Transcription,
        }
    }

    /// Whether the answer is wanted as a stream.
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Chat(request) => request.stream,
            Self::Responses(request) => request.stream,
            Self::Transcription(request) => request.stream,
            Self::Embeddings(_) | Self::Moderation(_) => false,
        }
    }

    /// The request as a conversation, if it is one.
    pub fn as_chat(&self) -> Option<&ChatRequest> {
        match self {
            Self::Chat(request) => Some(request),
            Self::Responses(request) => Some(&request.chat),
            _ => None,
        }
    }

    /// How many answers are asked for.
    pub fn choices(&self) -> u64 {
        self.as_chat().map_or(1, |chat| chat.choices)
    }

    /// The output limit the client asked for, in tokens per choice.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.as_chat().and_then(|chat| chat.max_output_tokens)
    }

    /// Length of what was asked, in bytes: text, and JSON around it. Absent where the question is no text.
    pub fn text_bytes(&self) -> Option<u64> {
        match self {
            Self::Chat(request) => Some(request.text_bytes()),
            Self::Responses(request) => Some(request.chat.text_bytes()),
            Self::Embeddings(request) => Some(request.body_bytes),
            Self::Moderation(request) => Some(request.body_bytes),
            Self::Transcription(_) => None,
        }
    }

    /// The same without what models said before in the conversation.
    pub fn asked_bytes(&self) -> Option<u64> {
        match self {
            Self::Chat(request) => Some(request.asked_bytes()),
            Self::Responses(request) => Some(request.chat.asked_bytes()),
            Self::Embeddings(_) | Self::Moderation(_) | Self::Transcription(_) => self.text_bytes(),
        }
    }

    /// How many calls of tools that run at the vendor the call may make: the fewer of what the client and its plan
    /// allow, and none where the vendor or the price row does not say what one costs. A request that needs such a tool
    /// is refused when it is encoded for none.
    pub fn tool_calls(&self, dialect: Dialect, price: &PriceRow, plan_limit: u64) -> u64 {
        match self {
            Self::Responses(request) if dialect == Dialect::Openai && price.tool_calls.web_search.is_some() => {
                request.search.map_or(0, |search| search.max_calls.unwrap_or(u64::MAX).min(plan_limit))
            }
            _ => 0,
        }
    }

    /// The cheaper service tier that the client asks for, where the vendor has it and the price row covers it for every
    /// call within `bound`. Dearer tiers are the town's to decide, so they are none of these.
    pub fn cheaper_tier(&self, dialect: Dialect, price: &PriceRow, bound: &UsageBound) -> Option<&'static str> {
        const FLEX: &str = "flex";
        let asked = match self {
            Self::Chat(request) => request.rest.get("service_tier"),
            Self::Responses(request) => request.body.get("service_tier"),
            _ => None,
        };
        let offered = dialect == Dialect::Openai && price.has_cheaper(FLEX, bound);
        (offered && asked.is_some_and(|tier| tier == FLEX)).then_some(FLEX)
    }

    /// What stays the same over the turns of one conversation; empty for what has no turns.
    pub fn conversation_seed(&self) -> Vec<u8> {
        self.as_chat().map(ChatRequest::conversation_seed).unwrap_or_default()
    }

    /// The most the call can use with `model`: a strict bound, of which the ceiling is made.
    ///
    /// # Errors
    /// [`InvalidRequest`] when the model cannot take what the request carries.
    pub fn bound(&self, model: &Model, max_output_tokens: u64) -> Result<UsageBound, InvalidRequest> {
        match self {
            Self::Chat(request) => request.bound(model, max_output_tokens),
            Self::Responses(request) => request.chat.bound(model, max_output_tokens).map_err(in_input),
            Self::Embeddings(request) => Ok(request.bound()),
            Self::Moderation(request) => request.bound(model).map_err(in_input),
            Self::Transcription(_) => Ok(TranscriptionRequest::bound(model)),
        }
    }
}

/// The client of these endpoints never wrote `messages`: what is wrong with them is wrong with its `input`.
pub(crate) fn in_input(mut error: InvalidRequest) -> InvalidRequest {
    if error.param.as_deref().is_some_and(|param| param.starts_with("messages")) {
        error.param = Some("input".to_owned());
    }
    error
}
