//! OpenAI's dialect: what its Chat Completions accepts, and its answers read on the side.
//!
//! The client speaks this dialect too, so answers and frames are forwarded as they came; those of a compatible host that
//! departs from the shape are translated.

mod repeat;
mod request;
mod response;

pub(crate) use request::{chat_body, compatible_chat_body};
pub(crate) use response::{ChatReader, chat_answer, facts_of};
