//! How long a sound is, from its first bytes and its size; a recording is never kept.
//!
//! It must not know requests.

/// As much of a file as is looked at.
pub(super) const HEAD_BYTES: usize = 4096;
/// Bytes that stand for a second in files whose format is not read.
const BYTES_PER_SECOND: u64 = 16 << 10;
const MILLIS: u64 = 1000;

/// The length of a file in milliseconds, rounded up: from the header of a WAV file, else a second for 16 KiB.
pub(super) fn millis(head: &[u8], size: u64) -> u64 {
    wav(head, size).unwrap_or_else(|| (size * MILLIS).div_ceil(BYTES_PER_SECOND))
}

/// The length in whole seconds, rounded up, as vendors report it.
pub(super) fn seconds(millis: u64) -> u64 {
    millis.div_ceil(MILLIS)
}

fn wav(head: &[u8], size: u64) -> Option<u64> {
    if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WAVE" {
        return None;
    }
    let number = |at: usize| Some(u64::from(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?)));
    let mut at = 12;
    let mut bytes_per_second = None;
    loop {
        let (name, length) = (head.get(at..at + 4)?, number(at + 4)?);
        match name {
            b"fmt " => bytes_per_second = Some(number(at + 16)?).filter(|rate| *rate > 0),
            b"data" => {
                // A recorder that streams leaves the length open: what is there counts.
                let there = size.saturating_sub(u64::try_from(at).ok()? + 8);
                return Some((length.min(there) * MILLIS).div_ceil(bytes_per_second?));
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = at.checked_add(8 + usize::try_from(length + length % 2).ok()?)?;
    }
}
