//! A request body read whole, within its bounds of size and time.

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{ApiError, AppState};
use crate::clock::Tick;

/// What is still read, and thrown away, of a body that is too long: a client that is cut off while it sends never sees
/// the answer that explains why.
const DISCARDED_BYTES: usize = 64 << 20;

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
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::unreadable_body())?;
        length += chunk.len();
        if length > DISCARDED_BYTES {
            break;
        }
        if length <= limit {
            body.extend_from_slice(&chunk);
        }
    }
    if length > limit { Err(ApiError::body_too_large(limit)) } else { Ok(body.freeze()) }
}
