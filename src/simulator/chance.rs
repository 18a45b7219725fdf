//! Everything that is left to chance about one call, drawn from the seed and the number of the call.
//!
//! It must not know requests or time: the same vendor, seed and number always give the same draw.

use std::time::Duration;

use providers::Dialect;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};

use super::{LogNormalMillis, SimulatorSettings, tokens};

/// Sentences from which answers are made.
const SENTENCES: &str = include_str!("sentences.txt");
/// Longest single wait: the tail of a wide distribution must not look like a hang.
const LONGEST_WAIT_MILLIS: f64 = 300_000.0;
/// Hidden reasoning tokens of one choice.
const REASONING: std::ops::RangeInclusive<u64> = 10..=60;
/// What ids are made of.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Sentences in one paragraph of an answer.
const PARAGRAPH: usize = 5;

/// What becomes of a valid call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Answer,
    /// It fails with this status: 429, 500 or 503.
    Fail(u16),
    /// It never gets a byte.
    Hang,
}

/// The chance of one call.
#[derive(Debug)]
pub(super) struct Chance {
    /// What becomes of it.
    pub(super) fate: Fate,
    /// 128 random bits for its ids.
    pub(super) id: u128,
    content: Xoshiro256PlusPlus,
    pace: Xoshiro256PlusPlus,
}

/// One drawn choice of an answer, before any limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Draft {
    /// The visible text.
    pub(super) text: String,
    /// Hidden tokens, for models that reason.
    pub(super) reasoning: u64,
}

impl Chance {
    /// Draws for call number `number`.
    pub(super) fn draw(settings: &SimulatorSettings, number: u64) -> Self {
        let base = mix(mix(settings.seed) ^ number);
        // Two vendors of one seed must not say the same things at the same pace.
        let vendor = if settings.dialect == Dialect::Mistral { 8 } else { 0 };
        // Three independent sources: neither the pace nor the fate changes the text.
        let source = |lane: u64| Xoshiro256PlusPlus::seed_from_u64(mix(base ^ (vendor + lane)));
        let mut first = source(1);
        let lot: f64 = first.random();
        let failure = [429, 500, 503][first.random_range(0..3)];
        let fate = if lot < settings.error_rate {
            Fate::Fail(failure)
        } else if lot < settings.error_rate + settings.hang_rate {
            Fate::Hang
        } else {
            Fate::Answer
        };
        Self { fate, id: first.random(), content: source(2), pace: source(3) }
    }

    /// Draws one choice: French sentences, with a number of tokens within `range`.
    pub(super) fn draft(&mut self, (shortest, longest): (u32, u32)) -> Draft {
        let reasoning = self.content.random_range(REASONING);
        let wanted = u64::from(self.content.random_range(shortest..=longest));
        let bank: Vec<&str> = SENTENCES.lines().collect();
        let mut text = String::new();
        let mut tokens = 0;
        let mut sentences = 0;
        while tokens < wanted {
            let blank = match sentences {
                0 => "",
                n if n % PARAGRAPH == 0 => "\n\n",
                _ => " ",
            };
            let sentence = bank.get(self.content.random_range(0..bank.len())).copied().unwrap_or("Bonjour.");
            text.push_str(blank);
            text.push_str(sentence);
            // A sentence opens with a blank, so pieces never span two sentences and their counts add up.
            tokens += tokens::count(&format!("{blank}{sentence}"));
            sentences += 1;
        }
        if tokens > u64::from(longest) {
            text = first_pieces(&text, wanted);
        }
        Draft { text, reasoning }
    }

    /// Draws the id of a tool call as its vendor makes them.
    pub(super) fn call_id(&mut self, dialect: Dialect) -> String {
        let (prefix, length) = if dialect == Dialect::Mistral { ("", 9) } else { ("call_", 24) };
        let letters = (0..length).map(|_| char::from(LETTERS[self.content.random_range(0..LETTERS.len())]));
        prefix.chars().chain(letters).collect()
    }

    /// Draws the wait before each of `steps` tokens; empty when there is nothing to wait for.
    pub(super) fn waits(&mut self, settings: &SimulatorSettings, steps: usize) -> Vec<Duration> {
        if settings.is_instant() {
            return Vec::new();
        }
        let first = wait(settings.first_token, &mut self.pace);
        let others = (1..steps.max(1)).map(|_| wait(settings.inter_token, &mut self.pace));
        std::iter::once(first).chain(others).collect()
    }
}

/// The first `limit` pieces of a text.
pub(super) fn first_pieces(text: &str, limit: u64) -> String {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    tokens::pieces(text).take(limit).collect()
}

fn wait(law: LogNormalMillis, source: &mut Xoshiro256PlusPlus) -> Duration {
    let millis = match LogNormal::new(law.median.ln(), law.sigma) {
        Ok(distribution) if law.median > 0.0 => distribution.sample(source),
        _ => 0.0,
    };
    Duration::from_secs_f64(millis.clamp(0.0, LONGEST_WAIT_MILLIS) / 1000.0)
}

/// SplitMix64's finaliser: neighbouring numbers give unrelated seeds.
fn mix(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
