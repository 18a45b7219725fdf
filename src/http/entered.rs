//! From a request's head to [`Entered`]: a live key whose rate allows one more, before the body is read.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{ApiError, AppState};
use crate::pipeline::Entered;

impl FromRequestParts<AppState> for Entered {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let directory = &state.directory;
        let who = directory.look_up(parts, |key| directory.recognise(key))?;
        state.pipeline.enter(who).map_err(|error| ApiError::from_pipeline(error, &state.calendar))
    }
}
