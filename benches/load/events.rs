//! A stream of server-sent events as the driver reads it: how many events, whether text has come, whether it has ended.
//! Pure; it must not know HTTP or time. Its tests are in `tests/it/load_bench.rs`.

/// What has been read of one stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Events with data, the last one (`[DONE]`) left out.
    pub(crate) count: u64,
    /// Whether a piece of the answer's text has come.
    pub(crate) has_text: bool,
    /// Whether `data: [DONE]` has come.
    pub(crate) is_done: bool,
    /// The beginning of an event whose end has not come yet.
    tail: Vec<u8>,
}

impl Events {
    /// Takes what has arrived, wherever it was cut.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.tail.is_empty() {
            let read = self.read(bytes);
            self.tail.extend_from_slice(bytes.get(read..).unwrap_or_default());
        } else {
            self.tail.extend_from_slice(bytes);
            let whole = std::mem::take(&mut self.tail);
            let read = self.read(&whole);
            self.tail.extend_from_slice(whole.get(read..).unwrap_or_default());
        }
    }

    /// Reads the whole events of `bytes`; gives how many bytes they are.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut start = 0;
        for (end, pair) in bytes.windows(2).enumerate() {
            if pair == b"\n\n" {
                self.event(bytes.get(start..end).unwrap_or_default());
                start = end + 2;
            }
        }
        start
    }

    fn event(&mut self, event: &[u8]) {
        let Some(data) = event.trim_ascii_start().strip_prefix(b"data: ") else { return };
        if data == b"[DONE]" {
            self.is_done = true;
            return;
        }
        self.count += 1;
        self.has_text = self.has_text || has_text(data);
    }
}

/// Whether a chunk has a `content` that is neither null nor empty.
fn has_text(data: &[u8]) -> bool {
    const MARK: &[u8] = b"\"content\":\"";
    data.windows(MARK.len() + 1).any(|window| window.starts_with(MARK) && !window.ends_with(b"\""))
}
