//! The requests that each vendor takes, as published in their OpenAPI files (August 2026) and corrected by what their
//! APIs were seen to refuse.
//!
//! Tables only: rules that need more than one field are in `rules`, and what a model lacks in `request`.

mod mistral;
mod openai;
mod responses;

pub(super) use mistral::{
    CHAT as MISTRAL_CHAT, EMBEDDINGS as MISTRAL_EMBEDDINGS, MODERATIONS as MISTRAL_MODERATIONS,
    TRANSCRIPTIONS as MISTRAL_TRANSCRIPTIONS,
};
pub(super) use openai::{
    CHAT as OPENAI_CHAT, EMBEDDINGS as OPENAI_EMBEDDINGS, MODERATIONS as OPENAI_MODERATIONS,
    TRANSCRIPTIONS as OPENAI_TRANSCRIPTIONS,
};
pub(super) use responses::RESPONSES;
