//! A file on its way from a resident to a vendor: kept on disk without a name, sent piece by piece, never whole in memory.
//!
//! It must not know what the file holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};

/// Read at once.
const PIECE_BYTES: usize = 256 << 10;

/// A received file. Cheap to clone; the disk space is free again when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Upload {
    file: Arc<File>,
    length: u64,
    file_name: String,
    content_type: Option<String>,
}

impl Upload {
    /// Wraps a file that was written whole; `file_name` is what its owner calls it, and vendors read its ending.
    pub fn new(file: File, length: u64, file_name: String, content_type: Option<String>) -> Self {
        Self { file: Arc::new(file), length, file_name, content_type }
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The ending of its name alone: the rest may say who somebody is.
    pub(crate) fn vendor_name(&self) -> String {
        let ending = self.file_name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
        let plain = !ending.is_empty() && ending.len() <= 8 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain { format!("audio.{ending}") } else { "audio".to_owned() }
    }

    /// Its media type, as its owner declared it.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Its content from the beginning; every call reads anew, so that an attempt can be repeated.
    pub(crate) fn read(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let file = Arc::clone(&self.file);
        stream::try_unfold((file, 0_u64), |(file, offset)| async move {
            let reading = Arc::clone(&file);
            let read = move || {
                let mut piece = vec![0; PIECE_BYTES];
                let count = reading.read_at(&mut piece, offset)?;
                piece.truncate(count);
                io::Result::Ok(piece)
            };
            // A disk may be slow: not on a thread that carries streams.
            let piece = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
            let next = offset + u64::try_from(piece.len()).unwrap_or(u64::MAX);
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, next))))
        })
    }
}
