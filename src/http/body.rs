//! A request body read whole, within its bounds of size and time.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use providers::pieces::Pieces;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ApiError, AppState};
use crate::clock::Tick;

/// A body and the moment it was there whole.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    pub(super) received: Tick,
    /// Its share of the memory that all bodies may take.
    pub(super) room: OwnedSemaphorePermit,
}

impl FromRequest<AppState> for WholeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let read = read(request, state.max_body_bytes, &state.bodies);
        let (bytes, room) =
            tokio::time::timeout(state.request_read, read).await.map_err(|_| ApiError::request_timeout())??;
        Ok(Self { bytes, received: state.clock.tick(), room })
    }
}

/// Bytes of a body that take no room: short ones are bounded by the number of requests, and a question is not to be
/// refused because others send photographs.
const SHORT_BODY: usize = 64 << 10;

async fn read(
    request: Request,
    limit: usize,
    memory: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    let room = |bytes: usize| {
        let bytes = u32::try_from(bytes).map_err(|_| ApiError::overloaded())?;
        Arc::clone(memory).try_acquire_many_owned(bytes).map_err(|_| ApiError::overloaded())
    };
    let mut taken = room(0)?;
    let mut chunks = request.into_body().into_data_stream();
    let mut body = Pieces::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::unreadable_body())?;
        let before = body.len();
        if before + chunk.len() > limit {
            return Err(ApiError::body_too_large(limit));
        }
        body.push(chunk);
        if body.len() > SHORT_BODY {
            taken.merge(room(body.len() - before.max(SHORT_BODY))?);
        }
    }
    Ok((body.whole(), taken))
}
