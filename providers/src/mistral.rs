//! Mistral's dialect: an allow-list of what its API accepts.
//!
//! Mistral refuses unknown fields everywhere with 422, so forwarding is by list, never by default.

mod messages;
mod request;
mod tool_id;
mod tools;

pub(crate) use request::chat_body;
pub(crate) use tool_id::for_mistral as tool_id;
