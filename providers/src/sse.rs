//! Bytes of a server-sent event stream to frames, bounded, without copying what arrives whole.
//!
//! Accepts LF, CR and CRLF, comments, several events in one segment and one event over many. It must not know what is
//! in the data.

use bytes::{Bytes, BytesMut};

/// Largest frame accepted, in bytes. Vendors' frames are a few hundred bytes; a whole tool call may take more.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// A frame was longer than [`MAX_FRAME_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream frame is longer than {MAX_FRAME_BYTES} bytes")]
pub struct FrameTooLong;

/// One event: everything up to and including its blank line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes as they came.
    pub raw: Bytes,
}

impl Frame {
    /// The `data` of the event: the single data line without a copy, or several joined by line feeds. `None` for
    /// comments and events without data.
    pub fn data(&self) -> Option<Bytes> {
        let mut lines = lines(&self.raw).filter_map(|(start, end)| {
            let rest = self.raw[start..end].strip_prefix(b"data")?;
            let value = match rest.strip_prefix(b":") {
                Some(value) => value.strip_prefix(b" ").unwrap_or(value),
                None if rest.is_empty() => rest,
                None => return None,
            };
            Some(self.raw.slice_ref(value))
        });
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(first) };
        let mut joined = BytesMut::from(&first[..]);
        for line in std::iter::once(second).chain(lines) {
            joined.extend_from_slice(b"\n");
            joined.extend_from_slice(&line);
        }
        Some(joined.freeze())
    }

    /// The value of an `error:` line, in which llama.cpp tells of a failure after the head of its answer.
    pub fn error_line(&self) -> Option<Bytes> {
        lines(&self.raw).find_map(|(start, end)| {
            let value = self.raw[start..end].strip_prefix(b"error:")?;
            Some(self.raw.slice_ref(value.strip_prefix(b" ").unwrap_or(value)))
        })
    }

    /// True when the event carries an `id`: once one was seen, some clients take a comment for an event.
    pub fn has_id(&self) -> bool {
        lines(&self.raw).any(|(start, end)| self.raw[start..end].starts_with(b"id"))
    }

    /// True when the event carries an `id` or `event` field, which no chat client expects.
    pub fn has_extra_fields(&self) -> bool {
        lines(&self.raw).any(|(start, end)| {
            let line = &self.raw[start..end];
            line.starts_with(b"id") || line.starts_with(b"event") || line.starts_with(b"retry")
        })
    }
}

/// Start and end of every line, terminators left out.
fn lines(raw: &Bytes) -> impl Iterator<Item = (usize, usize)> {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position >= raw.len() {
            return None;
        }
        let start = position;
        let end = raw[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(raw.len(), |at| start + at);
        position = end + if raw[end..].starts_with(b"\r\n") { 2 } else { 1 };
        Some((start, end))
    })
}

/// Cuts a byte stream into frames. A frame that arrives whole is a slice of what arrived, without a copy; only one that
/// is spread over several segments is put together.
#[derive(Debug, Default)]
pub struct FrameSplitter {
    /// The segment being cut; empty while a frame is being put together.
    segment: Bytes,
    /// The beginning of a frame whose end has not arrived.
    partial: BytesMut,
    /// Start of the line being read, within whichever of the two holds bytes.
    line_start: usize,
    /// Where to go on looking for the end of that line.
    scan: usize,
}

impl FrameSplitter {
    /// An empty splitter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrive.
    pub fn push(&mut self, bytes: Bytes) {
        if self.segment.is_empty() && self.partial.is_empty() {
            self.segment = bytes;
            return;
        }
        self.partial.extend_from_slice(&std::mem::take(&mut self.segment));
        self.partial.extend_from_slice(&bytes);
    }

    /// Takes the next whole frame, if one has arrived.
    ///
    /// # Errors
    /// [`FrameTooLong`] when no frame ends within [`MAX_FRAME_BYTES`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLong> {
        let held: &[u8] = if self.segment.is_empty() { &self.partial } else { &self.segment };
        while let Some(at) = held[self.scan..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let end = self.scan + at;
            let next = if held[end] == b'\r' {
                match held.get(end + 1) {
                    Some(b'\n') => end + 2,
                    Some(_) => end + 1,
                    // A CR at the very end may be half of a CRLF: wait for the next byte.
                    None => {
                        self.scan = end;
                        return check_length(held);
                    }
                }
            } else {
                end + 1
            };
            let blank = end == self.line_start;
            self.line_start = next;
            self.scan = next;
            if blank {
                return Ok(Some(self.take(next)));
            }
        }
        self.scan = held.len();
        check_length(held)
    }

    /// What is left when the stream has ended: a frame whose blank line was never sent, if it holds anything.
    pub fn finish(&mut self) -> Option<Frame> {
        let rest = self.segment.len().max(self.partial.len());
        let frame = self.take(rest);
        frame.raw.iter().any(|byte| !matches!(byte, b'\n' | b'\r')).then_some(frame)
    }

    fn take(&mut self, length: usize) -> Frame {
        self.line_start = 0;
        self.scan = 0;
        let raw = if self.segment.is_empty() {
            self.partial.split_to(length).freeze()
        } else {
            self.segment.split_to(length)
        };
        Frame { raw }
    }
}

fn check_length(held: &[u8]) -> Result<Option<Frame>, FrameTooLong> {
    if held.len() > MAX_FRAME_BYTES { Err(FrameTooLong) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut splitter = FrameSplitter::new();
        let mut frames = Vec::new();
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece));
            while let Some(frame) = splitter.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames.extend(splitter.finish());
        frames
    }

    fn data(frames: &[Frame]) -> Vec<String> {
        frames.iter().filter_map(Frame::data).map(|data| String::from_utf8(data.to_vec()).unwrap()).collect()
    }

    #[test]
    fn frames_are_found_whatever_the_line_ends() {
        let text = b"data: a\n\ndata:b\r\n\r\n: comment\n\ndata: c\rdata: d\r\rid: 7\ndata: e\n\n";
        let frames = split(&[text]);
        assert_eq!(data(&frames), ["a", "b", "c\nd", "e"]);
        assert_eq!(frames.len(), 5);
        assert!(frames[4].has_extra_fields() && !frames[0].has_extra_fields());
    }

    #[test]
    fn a_last_frame_without_its_blank_line_is_kept() {
        assert_eq!(data(&split(&[b"data: [DONE]"])), ["[DONE]"]);
        assert_eq!(data(&split(&[b"data: [DONE]\n"])), ["[DONE]"]);
        assert_eq!(split(&[b"\n\n"]).len(), 2, "blank frames carry nothing but are passed on");
    }

    #[test]
    fn an_endless_frame_is_refused() {
        let mut splitter = FrameSplitter::new();
        splitter.push(vec![b'x'; MAX_FRAME_BYTES + 1].into());
        assert_eq!(splitter.next_frame(), Err(FrameTooLong));
    }

    #[test]
    fn a_frame_that_arrives_whole_is_not_copied() {
        let segment = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
        let mut splitter = FrameSplitter::new();
        splitter.push(segment.clone());
        for start in [0, 9] {
            let frame = splitter.next_frame().unwrap().unwrap();
            assert_eq!(frame.raw.as_ptr(), segment[start..].as_ptr());
        }
        assert_eq!(splitter.next_frame().unwrap(), None);
        splitter.push(Bytes::from_static(b"\n\n"));
        assert_eq!(splitter.next_frame().unwrap().unwrap().data().unwrap(), "c");
    }

    proptest! {
        #[test]
        fn cutting_anywhere_gives_the_same_frames(
            lines in proptest::collection::vec("(data: ?[a-z\u{e9}]{0,12}|: [a-z]{0,5}|id: 1|)", 0..12),
            ends in proptest::collection::vec(0usize..3, 13),
            cuts in proptest::collection::vec(0usize..400, 0..20),
        ) {
            let mut text = Vec::new();
            for (line, end) in lines.iter().zip(&ends) {
                text.extend_from_slice(line.as_bytes());
                text.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][*end]);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&text[from..cut]);
                from = cut;
            }
            pieces.push(&text[from..]);
            let whole = split(&[&text]);
            let parts = split(&pieces);
            prop_assert_eq!(&whole, &parts);
            let joined: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.to_vec()).collect();
            prop_assert!(text.starts_with(&joined));
        }
    }
}
