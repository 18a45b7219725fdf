//! Mistral's dialect: an allow-list of what its API accepts, and its answers in OpenAI's shape.
//!
//! Mistral refuses unknown fields everywhere with 422, so forwarding is by list, never by default.

mod request;
mod response;
mod tool_id;

pub(crate) use request::encode;
pub(crate) use response::{StreamDecoder, decode_answer};
