//! A vendor's refusal, understood by its status and whichever sentence its body holds.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::Dialect;
use crate::error::{ErrorBody, ErrorKind, ProviderError};

/// Headers in which vendors name a request, the first that is there.
const REQUEST_ID_HEADERS: &[&str] = &["x-request-id", "mistral-correlation-id", "x-kong-request-id"];
/// Longer than any vendor's id; what is beyond is no id.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// The vendor's id of a request, for talking to it about its bill.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    (value.len() <= MAX_REQUEST_ID_CHARS).then(|| value.to_owned())
}

/// A vendor's refusal: its status, and whichever sentence its body holds.
pub(crate) fn status_error(dialect: Dialect, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let parsed = ErrorBody::parse(body);
    let retry_after = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    ProviderError {
        kind: classify(dialect, status.as_u16(), &parsed),
        status: Some(status.as_u16()),
        message: parsed.message.unwrap_or_else(|| format!("The vendor answered HTTP {}.", status.as_u16())),
        param: parsed.param,
        code: parsed.code,
        retry_after,
        upstream_request_id: request_id(headers).map(String::into_boxed_str),
        answer: None,
    }
}

fn classify(dialect: Dialect, status: u16, body: &ErrorBody) -> ErrorKind {
    let code = body.code.as_deref().unwrap_or_default();
    let kind = body.kind.as_deref().unwrap_or_default();
    let words = body.kind_by_words();
    match status {
        401 | 403 => ErrorKind::Auth,
        402 => ErrorKind::QuotaExhausted,
        404 => ErrorKind::ModelNotFound,
        429 => words
            .filter(|kind| matches!(kind, ErrorKind::QuotaExhausted | ErrorKind::Overloaded))
            .unwrap_or(ErrorKind::RateLimited),
        503 => ErrorKind::Overloaded,
        400..500 if words == Some(ErrorKind::ContextLength) => ErrorKind::ContextLength,
        400..500 if dialect == Dialect::Mistral && (code == "1500" || kind == "invalid_model") => {
            ErrorKind::ModelNotFound
        }
        400..500 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(dialect: Dialect, status: u16, body: &str) -> ErrorKind {
        status_error(dialect, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()).kind
    }

    #[test]
    fn a_refusal_is_understood_by_status_and_body() {
        use Dialect::{Mistral, Openai};
        for (dialect, status, body, expected) in [
            (Openai, 401, r#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#, ErrorKind::Auth),
            (
                Openai,
                429,
                r#"{"error":{"message":"spent","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                ErrorKind::QuotaExhausted,
            ),
            (
                Openai,
                429,
                r#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#,
                ErrorKind::RateLimited,
            ),
            (
                Openai,
                400,
                r#"{"error":{"message":"long","code":"context_length_exceeded","param":"messages"}}"#,
                ErrorKind::ContextLength,
            ),
            (
                Mistral,
                400,
                r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#,
                ErrorKind::ModelNotFound,
            ),
            (
                Mistral,
                400,
                r#"{"message":"Prompt contains 9 tokens, too large for model with 8 maximum context length"}"#,
                ErrorKind::ContextLength,
            ),
            (Mistral, 422, r#"{"detail":[{"loc":["body","x"],"msg":"no"}]}"#, ErrorKind::InvalidRequest),
            (
                Mistral,
                429,
                r#"{"type":"service_tier_capacity_exceeded","code":"3505","message":"full"}"#,
                ErrorKind::Overloaded,
            ),
            (Mistral, 504, "", ErrorKind::Server),
        ] {
            assert_eq!(kind(dialect, status, body), expected, "{status} {body}");
        }
    }
}
