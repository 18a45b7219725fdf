//! A request body read whole, within its bounds of size and time.

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{ApiError, AppState};
use crate::clock::Tick;

/// A body and the moment it was there whole.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    pub(super) received: Tick,
}

impl FromRequest<AppState> for WholeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let read = read(request, state.max_body_bytes);
        let bytes = tokio::time::timeout(state.request_read, read).await.map_err(|_| ApiError::request_timeout())??;
        Ok(Self { bytes, received: state.clock.tick() })
    }
}

async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let mut chunks = request.into_body().into_data_stream();
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::unreadable_body())?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::body_too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
