//! The vendors of language models, as Passerelle sees them.
//!
//! This crate speaks each vendor's dialect, knows their models and dated prices, counts usage and money exactly, and
//! carries bytes to and from their hosts. It must not know residents, quotas, the ledger or the HTTP server: none of
//! those crates is in its manifest.
//!
//! - [`catalogue`]: models, hosts and dated prices; what a usage costs and what a call can cost at most
//! - [`money`], [`exchange`], [`usage`]: integer amounts, euro conversion, disjoint token buckets
//! - [`energy`]: energy and carbon of answers, by the EcoLogits method
//! - [`request`]: what a resident can ask for; [`chat`], [`responses`], [`embeddings`], [`moderation`],
//!   [`transcription`]: each of it, in OpenAI's shape with unknown fields kept
//! - `openai`, `mistral`: what each dialect accepts; `normalise`: any chat answer in OpenAI's shape
//! - [`sse`], [`stream`]: bytes to frames, frames to what the client gets and the ledger needs; [`upload`]: a file on
//!   its way to a vendor
//! - [`transport`]: pooled, sharded HTTP client behind deadlines, permits and a circuit breaker
//! - [`figures`]: what a vendor itself counted and bills, from its endpoints or a file
//! - [`written`]: what is wrong with a file that people write
//! - [`upstream`]: one configured vendor, ready to be called

pub mod catalogue;
pub mod chat;
pub mod embeddings;
pub mod energy;
pub mod error;
pub mod exchange;
pub mod figures;
mod mistral;
pub mod moderation;
pub mod money;
mod normalise;
mod openai;
pub mod pieces;
pub mod request;
pub mod responses;
pub mod sse;
pub mod stream;
pub mod transcription;
pub mod transport;
pub mod upload;
pub mod upstream;
pub mod usage;
pub mod written;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Name of a configured vendor, as in OpenTelemetry's `gen_ai.provider.name`: `openai`, `mistral_ai`, or the name an
/// operator gave to a compatible host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderId(Arc<str>);

impl ProviderId {
    /// Wraps a provider name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// JSON of a value. Its `Display` gives the same, but letter by letter, and takes several times as long.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Maps have texts for keys, and nothing is written to but memory: it does not fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The wire format a vendor speaks. A closed set: adding one makes the compiler list every place that must decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's Chat Completions.
    Openai,
    /// Mistral's, which refuses unknown fields.
    Mistral,
    /// An OpenAI-compatible host (vLLM, Ollama, Scaleway, …).
    Compatible,
}

impl Dialect {
    /// The name used in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Mistral => "mistral",
            Self::Compatible => "compatible",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
