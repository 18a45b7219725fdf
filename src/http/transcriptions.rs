//! `POST /v1/audio/transcriptions`: a recording is received onto the disk, without a name, and then sent on.
//!
//! The usual clients put the file before the model, so nobody can be asked until it has all arrived; it is never whole in
//! memory, and its place on the disk is free as soon as the answer is there.

use std::path::PathBuf;
use std::time::Duration;

use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use providers::chat::InvalidRequest;
use providers::request::ApiRequest;
use providers::transcription::TranscriptionRequest;
use providers::upload::Upload;
use tokio::io::AsyncWriteExt;

use super::answer::{OpenRequest, answer};
use super::error::ApiError;
use super::middleware::Head;
use super::{AppState, openapi};
use crate::pipeline::Entered;

/// Longest field beside the file, in bytes: a prompt is a few hundred.
const MAX_FIELD_BYTES: usize = 64 << 10;
/// Most fields beside the file.
const MAX_FIELDS: usize = 64;

/// How recordings are received.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// Where they are kept while they are sent on.
    pub folder: PathBuf,
    /// Longest recording, in bytes.
    pub max_bytes: u64,
    /// How long a client may take to send one.
    pub read: Duration,
}

/// The text of a recording.
///
/// The file comes as a form. With `stream: true` the text comes as it is understood, where the model can.
#[utoipa::path(
    post,
    path = "/v1/audio/transcriptions",
    tag = "residents",
    request_body(content = openapi::TranscriptionForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The text, in the form asked for", body = openapi::Transcription),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn transcriptions(
    State(state): State<AppState>,
    entered: Entered,
    open: OpenRequest,
    head: Head,
    request: Request,
) -> Result<Response, ApiError> {
    // A place for the file, and only then the file: disks are smaller than the sum of what everybody might send.
    let place = state.uploads.clone().try_acquire_owned().map_err(|_| ApiError::overloaded())?;
    let form = Multipart::from_request(request, &state).await;
    let received = receive(form, &state.upload);
    let request =
        tokio::time::timeout(state.upload.read, received).await.map_err(|_| ApiError::request_timeout())??;
    let request = request.map(ApiRequest::Transcription);
    answer(&state, entered, head, request, (state.clock.tick(), place), open).await
}

/// Reads the form. What is wrong with its fields is the pipeline's to refuse and count.
async fn receive(
    form: Result<Multipart, MultipartRejection>,
    settings: &UploadSettings,
) -> Result<Result<TranscriptionRequest, InvalidRequest>, ApiError> {
    let mut form = form.map_err(|_| ApiError::bad_request("The request must be a form (multipart/form-data)."))?;
    let mut fields = Vec::new();
    let mut upload = None;
    let unreadable = |_| ApiError::unreadable_body();
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" && upload.is_none() {
            upload = Some(receive_file(field, settings).await?);
        } else if fields.len() < MAX_FIELDS {
            fields.push((name, receive_text(field).await?));
        } else {
            return Err(ApiError::bad_request("The form has too many fields."));
        }
    }
    Ok(match upload {
        Some(upload) => TranscriptionRequest::new(fields, upload),
        None => Err(InvalidRequest::new("file", "You must provide a `file`.")),
    })
}

async fn receive_text(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| ApiError::unreadable_body())? {
        if text.len() + chunk.len() > MAX_FIELD_BYTES {
            return Err(ApiError::bad_request(format!("A field of the form is longer than {MAX_FIELD_BYTES} bytes.")));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| ApiError::bad_request("A field of the form is not text."))
}

async fn receive_file(mut field: Field<'_>, settings: &UploadSettings) -> Result<Upload, ApiError> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let content_type = field.content_type().map(str::to_owned);
    let folder = settings.folder.clone();
    let disk =
        |error: &std::io::Error| ApiError::overloaded().because("a recording could not be received", error.to_string());
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await;
    let file = file.map_err(|_| ApiError::overloaded())?.map_err(|error| disk(&error))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut length: u64 = 0;
    while let Some(chunk) = field.chunk().await.map_err(|_| ApiError::unreadable_body())? {
        length += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if length > settings.max_bytes {
            return Err(ApiError::upload_too_large(settings.max_bytes));
        }
        file.write_all(&chunk).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    Ok(Upload::new(file.into_std().await, length, name, content_type))
}
