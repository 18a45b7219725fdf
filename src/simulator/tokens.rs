//! The simulator's own tokens: pieces of at most four characters that never span two words; and its prompt cache.
//!
//! It must not know any vendor's real tokenizer.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::Hasher;

/// Longest piece, in characters.
const PIECE_CHARACTERS: usize = 4;
/// Prompts up to this length are never cached.
const CACHED_FROM: u64 = 1024;
/// Prefixes remembered; the oldest is forgotten first.
const PREFIXES: usize = 1024;
/// Prefixes of one prompt that are looked up and remembered.
const PREFIXES_PER_PROMPT: usize = 32;

/// Cuts a text into pieces; joined, they are the text. Blanks open a piece, they never close one.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut blank_so_far = true;
        let mut length = 0;
        let end = rest
            .char_indices()
            .find(|(_, letter)| {
                let full = length == PIECE_CHARACTERS;
                let next_word = letter.is_whitespace() && !blank_so_far;
                blank_so_far &= letter.is_whitespace();
                length += 1;
                full || next_word
            })
            .map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The number of pieces in a text.
pub(super) fn count(text: &str) -> u64 {
    pieces(text).map(|_| 1).sum()
}

/// Prefixes of prompts seen before, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    seen: HashSet<u64>,
    order: VecDeque<u64>,
}

impl PromptCache {
    /// Hashes of the prefixes of a prompt that may be cached, shortest first, each with its length: from 1024 tokens
    /// on, at every multiple of `block`. Nothing for a prompt that is too short.
    pub(super) fn prefixes<'a>(model: &str, texts: impl Iterator<Item = &'a str>, block: u64) -> Vec<(u64, u64)> {
        let mut hasher = DefaultHasher::new();
        hasher.write(model.as_bytes());
        let mut prefixes = Vec::new();
        let mut tokens = 0;
        for text in texts {
            hasher.write_u8(0xff);
            for piece in pieces(text) {
                if prefixes.len() == PREFIXES_PER_PROMPT {
                    return prefixes;
                }
                hasher.write(piece.as_bytes());
                tokens += 1;
                if tokens >= CACHED_FROM && tokens % block == 0 {
                    prefixes.push((tokens, hasher.finish()));
                }
            }
        }
        prefixes
    }

    /// Tokens of the longest of these prefixes that was seen before; remembers them all.
    pub(super) fn look_up(&mut self, prefixes: &[(u64, u64)]) -> u64 {
        let known = prefixes.iter().rev().find(|(_, hash)| self.seen.contains(hash)).map_or(0, |(tokens, _)| *tokens);
        for (_, hash) in prefixes {
            if self.seen.insert(*hash) {
                self.order.push_back(*hash);
            }
        }
        while self.order.len() > PREFIXES {
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
        known
    }
}
