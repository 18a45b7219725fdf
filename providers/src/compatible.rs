//! Any OpenAI-compatible host (vLLM, Ollama, Scaleway, …): OpenAI's shape, with the older name of the output limit and
//! without the fields that only OpenAI itself knows.

use serde_json::Value;

use crate::chat::ChatRequest;
use crate::openai;
use crate::upstream::{CallContext, Encoded};

/// Builds the body for a compatible host.
pub(crate) fn encode(request: &ChatRequest, context: &CallContext<'_>) -> Encoded {
    let mut dropped = Vec::new();
    let mut body = openai::common_fields(request, context, &mut dropped);
    body.insert("max_tokens".into(), context.max_output_tokens.into());
    Encoded { body: Value::Object(body).to_string().into(), dropped }
}
