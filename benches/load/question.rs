//! What is asked: a short question of a resident, for a short answer or for a stream.

use bytes::Bytes;
use serde_json::json;

/// The key that nginx knows, and that the driver shows where there is no gateway.
pub(crate) const PROXY_KEY: &str = "psk-load-bench";
/// Longest whole answer, in tokens.
const SHORT_ANSWER: u32 = 8;
/// About as long as what residents ask.
const TEXT: &str = "Bonjour, je voudrais renouveler ma carte d'identité avant les vacances : quels papiers faut-il apporter à \
                    la mairie, faut-il un rendez-vous, et combien de temps cela prend-il en ce moment ?";

/// The body of a request in OpenAI's words, for OpenAI's model or Mistral's; a stream where `tokens` is given.
pub(crate) fn body(for_mistral: bool, tokens: Option<u32>) -> Bytes {
    let mut body = json!({
        "model": if for_mistral { "mistral-small-latest" } else { "gpt-6-luna" },
        "messages": [{"role": "user", "content": TEXT}],
        "max_completion_tokens": tokens.unwrap_or(SHORT_ANSWER),
    });
    if !for_mistral {
        // Otherwise the model thinks within its limit, and nothing is left to say.
        body["reasoning_effort"] = json!("none");
    }
    if tokens.is_some() {
        body["stream"] = json!(true);
    }
    body.to_string().into()
}
