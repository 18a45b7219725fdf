//! How a vendor can fail: whose fault it is, whether another attempt is allowed, whether it was billed.
//!
//! It must not know HTTP statuses of our own answers: `http/error.rs` maps these to what a client gets.

use std::time::Duration;

use serde_json::Value;

use crate::stream::AnswerFacts;

/// The closed set of failures, also the metric label and the ledger's `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No connection could be made; nothing was sent.
    Connect,
    /// Too many calls to this vendor are already open on our side; nothing was sent.
    Busy,
    /// The circuit breaker is open; nothing was sent.
    CircuitOpen,
    /// No answer began within the first-byte deadline.
    FirstByteTimeout,
    /// The answer stopped moving for longer than the idle deadline.
    IdleTimeout,
    /// The whole call took longer than the total deadline.
    TotalTimeout,
    /// The vendor limits our rate.
    RateLimited,
    /// The vendor says our account is spent.
    QuotaExhausted,
    /// The vendor refuses our key.
    Auth,
    /// The vendor refuses the request.
    InvalidRequest,
    /// The prompt does not fit the model.
    ContextLength,
    /// The vendor does not know the model.
    ModelNotFound,
    /// The vendor is out of capacity.
    Overloaded,
    /// The vendor failed.
    Server,
    /// The vendor's answer could not be read.
    Protocol,
    /// The stream ended before its end.
    Cut,
}

impl ErrorKind {
    /// The label used in metrics and the ledger.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Busy => "busy",
            Self::CircuitOpen => "circuit_open",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Auth => "auth",
            Self::InvalidRequest => "invalid_request",
            Self::ContextLength => "context_length",
            Self::ModelNotFound => "model_not_found",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::Cut => "cut",
        }
    }
}

/// A failed attempt at a vendor.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}{}", kind.label(), status.map(|status| format!(" (HTTP {status})")).unwrap_or_default())]
pub struct ProviderError {
    /// What happened.
    pub kind: ErrorKind,
    /// HTTP status of the vendor, where there was one.
    pub status: Option<u16>,
    /// The vendor's sentence, for the client that asked. It may quote the prompt: never log it.
    pub message: String,
    /// The offending parameter, where the vendor named one.
    pub param: Option<String>,
    /// The vendor's own code.
    pub code: Option<String>,
    /// How long the vendor asks us to wait.
    pub retry_after: Option<Duration>,
    /// The vendor's id of the request, where it answered at all.
    pub upstream_request_id: Option<Box<str>>,
    /// What the vendor says of an answer that failed, where it says what it used: the last word about its price.
    pub answer: Option<Box<AnswerFacts>>,
}

impl ProviderError {
    /// A failure of our own making, with a fixed sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
            upstream_request_id: None,
            answer: None,
        }
    }

    /// True when the vendor cannot have billed the attempt: it never left, or was refused with a status.
    /// A timeout or a broken answer may have been billed.
    pub fn not_billed(&self) -> bool {
        match self.kind {
            ErrorKind::Connect | ErrorKind::Busy | ErrorKind::CircuitOpen => true,
            ErrorKind::FirstByteTimeout
            | ErrorKind::IdleTimeout
            | ErrorKind::TotalTimeout
            | ErrorKind::Protocol
            | ErrorKind::Cut => false,
            // These come from an HTTP status before any answer, or from an error event in the middle of one.
            ErrorKind::RateLimited
            | ErrorKind::QuotaExhausted
            | ErrorKind::Auth
            | ErrorKind::InvalidRequest
            | ErrorKind::ContextLength
            | ErrorKind::ModelNotFound
            | ErrorKind::Overloaded
            | ErrorKind::Server => self.status.is_some(),
        }
    }

    /// True when the same request may succeed on the same vendor a moment later, without being billed twice.
    pub fn retryable(&self) -> bool {
        self.not_billed() && matches!(self.kind, ErrorKind::Connect | ErrorKind::Overloaded | ErrorKind::Server)
    }

    /// True when another vendor may answer instead: not billed, and not the request's own fault.
    pub fn may_fall_back(&self) -> bool {
        self.not_billed() && !matches!(self.kind, ErrorKind::InvalidRequest | ErrorKind::ContextLength)
    }

    /// True when the vendor's health is in question (what a circuit breaker counts).
    pub fn is_unhealthy(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Connect
                | ErrorKind::FirstByteTimeout
                | ErrorKind::Overloaded
                | ErrorKind::Server
                | ErrorKind::Auth
        )
    }
}

/// What was read from an error body, whatever its shape (wire facts: at least six shapes at Mistral alone).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The sentence, if any was found.
    pub message: Option<String>,
    /// The vendor's type.
    pub kind: Option<String>,
    /// The vendor's code, as text even where it is a number.
    pub code: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
}

impl ErrorBody {
    /// Reads an error body. Anything unreadable gives an empty value: the status then speaks alone.
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice::<Value>(body).map(|value| Self::from_value(&value)).unwrap_or_default()
    }

    /// What the words of the body say by themselves, whatever the status: vendors use the same ones in events, which
    /// have none.
    pub fn kind_by_words(&self) -> Option<ErrorKind> {
        let code = self.code.as_deref().unwrap_or_default();
        let kind = self.kind.as_deref().unwrap_or_default();
        let says = |part: &str| self.message.as_deref().is_some_and(|message| message.contains(part));
        let either = |names: &[&str]| names.contains(&code) || names.contains(&kind);
        if either(&["insufficient_quota", "credit_balance_exhausted"]) {
            Some(ErrorKind::QuotaExhausted)
        } else if either(&["3505", "service_tier_capacity_exceeded", "server_is_overloaded"]) {
            Some(ErrorKind::Overloaded)
        } else if either(&["rate_limit_exceeded", "rate_limited", "1300"]) {
            Some(ErrorKind::RateLimited)
        } else if either(&["context_length_exceeded", "exceed_context_size_error"])
            || says("maximum context length")
            || says("exceeds the available context size")
        {
            Some(ErrorKind::ContextLength)
        } else {
            None
        }
    }

    /// Reads an error object, wrapped in `error` or not.
    pub fn from_value(value: &Value) -> Self {
        // A code in `error` beside a sentence in `message` is a code.
        let is_code =
            value.get("error").is_some_and(Value::is_string) && value.get("message").is_some_and(Value::is_string);
        let inner = value.get("error").filter(|error| error.is_object() || (error.is_string() && !is_code));
        let inner = inner.unwrap_or(value);
        if let Some(text) = inner.as_str() {
            return Self { message: Some(text.to_owned()), ..Self::default() };
        }
        let text = |key: &str| inner.get(key).and_then(Value::as_str).map(str::to_owned);
        let code = inner.get("code").and_then(|code| match code {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        let code = code.or_else(|| inner.get("error").and_then(Value::as_str).map(str::to_owned));
        let (message, location) = ["message", "detail"].iter().find_map(|key| sentence(inner.get(*key)?)).unzip();
        Self { message, kind: text("type"), code, param: text("param").or(location.flatten()) }
    }
}

/// A readable sentence from `message` or `detail`: text, a list of validation errors, or an object around one.
/// Also gives the last name in `loc`, which is the parameter at fault.
fn sentence(value: &Value) -> Option<(String, Option<String>)> {
    match value {
        Value::String(text) => Some((text.clone(), None)),
        Value::Object(object) => sentence(object.get("detail").or_else(|| object.get("message"))?),
        Value::Array(items) => {
            let mut param = None;
            let lines: Vec<String> = items
                .iter()
                .filter_map(|item| {
                    let message = item.get("msg").or_else(|| item.get("message"))?.as_str()?;
                    let location: Vec<String> = item
                        .get("loc")
                        .and_then(Value::as_array)
                        .map(|parts| {
                            parts
                                .iter()
                                .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
                                .collect()
                        })
                        .unwrap_or_default();
                    param = param.take().or_else(|| location.last().cloned());
                    Some(if location.is_empty() {
                        message.to_owned()
                    } else {
                        format!("{}: {message}", location.join("."))
                    })
                })
                .collect();
            (!lines.is_empty()).then(|| (lines.join("; "), param))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ErrorBody {
        ErrorBody::parse(text.as_bytes())
    }

    #[test]
    fn every_shape_gives_a_sentence() {
        let openai = parse(
            r#"{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        );
        assert_eq!(
            (openai.message.as_deref(), openai.code.as_deref()),
            (Some("Too long"), Some("context_length_exceeded"))
        );

        let schema = parse(
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted"}]}"#,
        );
        assert_eq!(schema.message.as_deref(), Some("body.store: Extra inputs are not permitted"));
        assert_eq!(schema.param.as_deref(), Some("store"));

        let wrapped = parse(
            r#"{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"no"}]},"type":"invalid_request_error"}"#,
        );
        assert_eq!(wrapped.message.as_deref(), Some("body.x: no"));

        let array = parse(r#"{"object":"Error","message":[{"loc":["body",0],"msg":"no"}],"code":3001}"#);
        assert_eq!((array.message.as_deref(), array.code.as_deref()), (Some("body.0: no"), Some("3001")));

        assert_eq!(parse(r#"{"detail":"Unauthorized"}"#).message.as_deref(), Some("Unauthorized"));
        assert_eq!(
            parse(r#"{"message":"Requests rate limit exceeded"}"#).message.as_deref(),
            Some("Requests rate limit exceeded")
        );
        for empty in ["", "<html>", "[]", "null", "{}"] {
            assert_eq!(parse(empty), ErrorBody::default(), "{empty}");
        }
    }

    #[test]
    fn a_timeout_may_have_been_billed_and_is_not_repeated() {
        let timeout = ProviderError::new(ErrorKind::FirstByteTimeout, "");
        assert!(!timeout.not_billed() && !timeout.retryable() && !timeout.may_fall_back());
        let mid_stream = ProviderError::new(ErrorKind::Server, "");
        assert!(!mid_stream.not_billed());
        let refused = ProviderError { status: Some(503), ..ProviderError::new(ErrorKind::Overloaded, "") };
        assert!(refused.retryable() && refused.may_fall_back());
    }
}
