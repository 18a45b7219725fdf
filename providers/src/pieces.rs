//! A body that comes in pieces, put together. It must not know how long one may be.

use bytes::{Bytes, BytesMut};

/// What has come of a body. One that comes in one piece, as short ones do, is not copied.
#[derive(Debug, Default)]
pub struct Pieces {
    first: Bytes,
    joined: BytesMut,
}

impl Pieces {
    /// Bytes that have come.
    pub fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// True while none have.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next piece.
    pub fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&piece);
    }

    /// The whole.
    pub fn whole(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_and_a_single_one_is_not_copied() {
        let single = Bytes::from_static(b"abc");
        let mut pieces = Pieces::default();
        assert!(pieces.is_empty());
        pieces.push(Bytes::new());
        pieces.push(single.clone());
        pieces.push(Bytes::new());
        assert_eq!((pieces.len(), &*Pieces::whole(pieces)), (3, &b"abc"[..]));
        let mut pieces = Pieces::default();
        pieces.push(single.clone());
        assert_eq!(pieces.whole().as_ptr(), single.as_ptr());
        let mut pieces = Pieces::default();
        for piece in ["a", "", "bc", "d"] {
            pieces.push(piece.into());
        }
        assert_eq!(pieces.whole(), "abcd");
        assert_eq!(Pieces::default().whole(), "");
    }
}
