//! A vendor's own figures: what it counted and what it bills, read from its endpoints for administrators or from a file
//! of the same JSON.
//!
//! Read leniently (unknown fields are skipped), but never guessed: a figure that is not there is absent, one that cannot
//! be understood is an error with its place. It must not know what anybody else counted.

mod fetch;
mod json;
mod mistral;
mod openai;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use crate::money::Currency;
use json::Node;

pub use fetch::{FiguresRequest, fetch};

/// What a line counts. The buckets of tokens do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBucket {
    /// Calls.
    Requests,
    /// Input tokens at the full rate.
    InputUncached,
    /// Input tokens read from the prompt cache.
    InputCached,
    /// Input tokens written to the prompt cache.
    CacheWrite,
    /// Input tokens that stand for sound.
    InputAudio,
    /// Output tokens, reasoning included.
    Output,
    /// Sound by time, in milliseconds.
    AudioMillis,
}

impl UsageBucket {
    /// Every bucket, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::InputUncached,
        Self::InputCached,
        Self::CacheWrite,
        Self::InputAudio,
        Self::Output,
        Self::AudioMillis,
    ];

    /// Its name in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputUncached => "input_uncached",
            Self::InputCached => "input_cached",
            Self::CacheWrite => "cache_write",
            Self::InputAudio => "input_audio",
            Self::Output => "output",
            Self::AudioMillis => "audio_millis",
        }
    }
}

/// How much of one bucket a vendor counted for one model in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLine {
    /// Beginning of the span.
    pub start: Timestamp,
    /// End of the span, exclusive.
    pub end: Timestamp,
    /// The model as the vendor names it, where the vendor tells models apart.
    pub model: Option<String>,
    /// The service tier, where told.
    pub service_tier: Option<String>,
    /// The region in which the calls were served, where told.
    pub zone: Option<String>,
    /// What is counted.
    pub bucket: UsageBucket,
    /// How much.
    pub quantity: u64,
}

/// What a vendor bills for one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostLine {
    /// The day (UTC).
    pub day: Date,
    /// The model, where the line names one.
    pub model: Option<String>,
    /// The vendor's words for the line.
    pub line_item: Option<String>,
    /// The amount in nano-units of `currency`, rounded to the nearest one.
    pub nanos: i64,
    /// The currency.
    pub currency: Currency,
}

/// Everything a vendor said of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorFigures {
    /// What it counted.
    pub usage: Vec<UsageLine>,
    /// What it bills.
    pub costs: Vec<CostLine>,
    /// What was there and is not understood, each once: a group or a currency.
    pub unread: Vec<String>,
}

/// Why figures cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FiguresError {
    /// A figure cannot be understood.
    #[error("{place}: {message}")]
    Malformed {
        /// Where, such as `data[0].results[2].input_tokens`.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// The vendor did not answer as it should.
    #[error("{0}")]
    Refused(String),
}

impl VendorFigures {
    /// Reads documents as the endpoints give them: one, or several one after the other.
    ///
    /// # Errors
    /// [`FiguresError::Malformed`] with the place of the first thing that cannot be understood.
    pub fn read(text: &str) -> Result<Self, FiguresError> {
        let mut figures = Self::default();
        let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut number = 0;
        for document in documents {
            number += 1;
            let place = || format!("document {number}");
            let document = document
                .map_err(|error| FiguresError::Malformed { place: place(), message: format!("is no JSON: {error}") })?;
            figures.add(&document).map_err(|error| match error {
                FiguresError::Malformed { place: inner, message } => {
                    FiguresError::Malformed { place: format!("{}, {inner}", place()), message }
                }
                other @ FiguresError::Refused(_) => other,
            })?;
        }
        if number == 0 {
            return Err(FiguresError::Malformed { place: "document 1".to_owned(), message: "is empty".to_owned() });
        }
        Ok(figures)
    }

    /// Adds one document of either vendor.
    fn add(&mut self, document: &Value) -> Result<(), FiguresError> {
        let node = Node::root(document);
        if document.get("object").is_some_and(|kind| kind == "page") {
            openai::page(&node, self)
        } else if document.get("start_date").is_some() {
            mistral::month(&node, None, self)
        } else {
            Err(node.wrong("is neither a page of OpenAI's usage or costs nor a month of Mistral's usage"))
        }
    }

    /// Notes what is not understood, once.
    fn note_unread(&mut self, what: String) {
        if !self.unread.contains(&what) {
            self.unread.push(what);
        }
    }

    fn count(&mut self, line: &UsageLine, bucket: UsageBucket, quantity: u64) {
        if quantity > 0 {
            self.usage.push(UsageLine { bucket, quantity, ..line.clone() });
        }
    }

    /// Leaves only what lies within the days from `from` to `to`, both included (UTC).
    pub fn retain_days(&mut self, from: Date, to: Date) {
        let inside = |day: Date| (from..=to).contains(&day);
        self.usage.retain(|line| inside(day_of(line.start)));
        self.costs.retain(|line| inside(line.day));
    }
}

/// The day (UTC) of a point in time, as vendors bill it.
pub fn day_of(at: Timestamp) -> Date {
    jiff::tz::Offset::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests;
