//! Residents put questions to the gateway through its public address, as any client would.
//!
//! It must not look into the gateway: what a resident sees is all there is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use providers::error::{ErrorKind, ProviderError};
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};
use providers::upstream::{Encoded, Reply, Upstream};
use providers::{Dialect, ProviderId};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;

use crate::identity::ApiKey;
use crate::ledger::LengthClass;
use crate::probes::basket::Basket;

/// The model name that every question of a resident asks for.
const MODEL: &str = "auto";

/// Longest wait of a resident for anything; longer than any deadline of the gateway.
const PATIENCE: Duration = Duration::from_secs(120);

/// One question put by one resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Index of the question.
    pub(super) question: usize,
    /// Index of the resident.
    pub(super) resident: usize,
}

/// Every question `rounds` times, each time by another resident, shuffled. The same seed gives the same order.
pub(super) fn order(questions: usize, residents: usize, rounds: usize, seed: u64) -> Vec<Turn> {
    let mut source = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut people: Vec<usize> = (0..residents).collect();
    people.shuffle(&mut source);
    // Rounds are `step` people apart, so nobody gets a question twice and everybody gets about as many.
    let step = source.random_range(1..=(residents / rounds.max(1)).max(1));
    let mut turns = Vec::with_capacity(questions * rounds);
    for round in 0..rounds {
        for question in 0..questions {
            if let Some(&resident) = people.get((question + round * step) % residents.max(1)) {
                turns.push(Turn { question, resident });
            }
        }
    }
    turns.shuffle(&mut source);
    turns
}

/// What came of a question, as its resident sees it.
#[derive(Debug)]
pub(super) enum Seen {
    /// The answer came to its end.
    Answered,
    /// The gateway said which limit was reached.
    Refused(String),
    /// Something went wrong; a word of a closed set.
    Failed(&'static str),
}

/// What came of all questions.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers that came to their end.
    pub(super) answered: u64,
    /// Questions refused for a limit.
    pub(super) refused: u64,
    /// Failures by kind.
    pub(super) failed: BTreeMap<&'static str, u64>,
    /// The first refusal's sentence of each series of questions.
    pub(super) sentences: Vec<String>,
}

impl Tally {
    fn add(&mut self, seen: Seen) {
        match seen {
            Seen::Answered => self.answered += 1,
            Seen::Refused(sentence) => {
                if self.refused == 0 {
                    self.sentences.push(sentence);
                }
                self.refused += 1;
            }
            Seen::Failed(kind) => *self.failed.entry(kind).or_default() += 1,
        }
    }

    /// Two tallies together.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.answered += other.answered;
        self.refused += other.refused;
        for (kind, count) in other.failed {
            *self.failed.entry(kind).or_default() += count;
        }
        self.sentences.extend(other.sentences);
        self
    }
}

/// A resident with a key and a connection of their own.
pub(super) struct Resident {
    key: ApiKey,
    line: Upstream,
    base_url: String,
}

impl Resident {
    /// A resident who calls the gateway at that address.
    pub(super) fn new(key: ApiKey, gateway: SocketAddr) -> Self {
        let deadlines =
            Deadlines { connect: Duration::from_secs(5), first_byte: PATIENCE, idle: PATIENCE, total: PATIENCE };
        // A resident asks again however often the gateway failed.
        let breaker = BreakerSettings { failures: u32::MAX, pause: Duration::from_secs(1) };
        let settings = TransportSettings { deadlines, max_concurrency: 1024, permit_wait: PATIENCE, breaker };
        let secret = SecretString::from(key.expose().to_owned());
        let line = Upstream::new(ProviderId::new("passerelle"), Dialect::Compatible, &secret, &settings);
        Self { key, line, base_url: format!("http://{gateway}/v1") }
    }

    /// The resident's key.
    pub(super) fn key(&self) -> &ApiKey {
        &self.key
    }

    /// Puts a question and reads the answer to its end.
    pub(super) async fn ask(&self, name: &str, body: Bytes) -> Seen {
        match self.read_answer(name, body).await {
            Ok(()) => Seen::Answered,
            Err(error) if matches!(error.kind, ErrorKind::QuotaExhausted | ErrorKind::RateLimited) => {
                Seen::Refused(error.message)
            }
            Err(error) => Seen::Failed(error.kind.label()),
        }
    }

    async fn read_answer(&self, name: &str, body: Bytes) -> Result<(), ProviderError> {
        let question = Encoded::chat_as_it_is(body, true);
        if let Reply::Stream(mut answer) =
            self.line.call(&self.base_url, &question, &format!("demo-{name}"), None).await?
        {
            while let Some(piece) = answer.next().await {
                piece?;
            }
        }
        Ok(())
    }
}

/// A question ready to be sent: its name and its body.
pub(super) type Ready = (String, Bytes);

/// The first `count` questions of a class, asked of the route `auto`, with a limit of tokens in place of their own.
pub(super) fn ready(basket: &Basket, class: LengthClass, count: usize, limit: Option<u64>) -> Vec<Ready> {
    let questions = basket.first(class, count).into_iter().map(|question| {
        let mut body = basket.request(question, MODEL, true);
        if let Some(limit) = limit {
            body["max_completion_tokens"] = limit.into();
        }
        (question.id.clone(), Bytes::from(body.to_string()))
    });
    questions.collect()
}

/// Plays `turns`, that many at a time.
pub(super) async fn play(
    turns: &[Turn],
    questions: &[Ready],
    residents: &[Resident],
    concurrency: usize,
    progress: &ProgressBar,
) -> Tally {
    let asked = stream::iter(turns).map(|turn| async move {
        match (questions.get(turn.question), residents.get(turn.resident)) {
            (Some((name, body)), Some(resident)) => resident.ask(name, body.clone()).await,
            _ => Seen::Failed("nobody_to_ask"),
        }
    });
    let mut seen = asked.buffer_unordered(concurrency);
    let mut tally = Tally::default();
    while let Some(seen) = seen.next().await {
        tally.add(seen);
        progress.inc(1);
    }
    tally
}

/// One resident asks the questions one after the other; with `until_refused` no further than the first refusal.
pub(super) async fn ask_in_turn(resident: &Resident, questions: &[Ready], until_refused: bool) -> Tally {
    let mut tally = Tally::default();
    for (name, body) in questions {
        tally.add(resident.ask(name, body.clone()).await);
        if until_refused && tally.refused > 0 {
            break;
        }
    }
    tally
}

/// A bar on standard error, which hides itself where that is no terminal.
pub(super) fn progress_bar(turns: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(turns).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} questions, {elapsed}") {
        bar.set_style(style);
    }
    bar
}
