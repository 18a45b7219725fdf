//! A multipart form, read part by part as it arrives; of a file only the first bytes and the size are kept.
//!
//! Everything is read to the end, so that a client that is still sending gets the answer to it. It must not know
//! which fields a vendor takes.

use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;

use super::sound::HEAD_BYTES;

/// Longest text field.
const TEXT_BYTES: usize = 256 << 10;

/// A file that was uploaded.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) head: Vec<u8>,
    /// All its bytes.
    pub(super) size: u64,
}

/// A form as it was sent.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// Names and texts, in the order in which they came.
    pub(super) texts: Vec<(String, String)>,
    pub(super) file: Option<File>,
}

impl Form {
    /// Reads a form to its end.
    ///
    /// # Errors
    /// A form that is broken, or ends early.
    pub(super) async fn read(mut parts: Multipart) -> Result<Self, MultipartError> {
        let mut form = Self::default();
        while let Some(mut part) = parts.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            let is_file = name == "file";
            let most = if is_file { HEAD_BYTES } else { TEXT_BYTES };
            let mut file = File { name: part.file_name().unwrap_or_default().to_owned(), ..File::default() };
            while let Some(chunk) = part.chunk().await? {
                file.size += chunk.len() as u64;
                let room = most.saturating_sub(file.head.len()).min(chunk.len());
                file.head.extend_from_slice(chunk.get(..room).unwrap_or_default());
            }
            if is_file {
                form.file = Some(file);
            } else {
                form.texts.push((name, String::from_utf8_lossy(&file.head).into_owned()));
            }
        }
        Ok(form)
    }

    /// The last text under that name, where it is not empty.
    pub(super) fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last().filter(|text| !text.is_empty())
    }

    /// All texts under that name, or under that name with `[]`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is = move |given: &str| given.strip_suffix("[]").unwrap_or(given) == name;
        self.texts.iter().filter(move |(given, _)| is(given)).map(|(_, text)| text.as_str())
    }
}
