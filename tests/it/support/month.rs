//! A month of traffic: 16 days around each clock change of Paris, prices that change three times, calls of every kind and
//! end. Used by a test in small and by the bench in full.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use jiff::civil::Date;
use passerelle::reconcile::Reconciliation;
use providers::catalogue;
use serde_json::{Value, json};

use super::two_vendors::{Setting, Stage, chat};

/// First days (UTC) of the two halves, and the days of each.
const HALVES: [&str; 2] = ["2026-03-21T00:00:00Z", "2026-10-17T00:00:00Z"];
const DAYS: u64 = 16;
/// Calls open at once.
const AT_ONCE: usize = 24;

/// What came of it.
pub struct Month {
    pub calls: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    pub entries: u64,
    /// Entries by outcome, in words.
    pub outcomes: Vec<(String, u64)>,
    pub reconciliations: Vec<Reconciliation>,
    /// The vendors' own books, in nano-dollars, and the ledger's exact costs.
    pub billed_nanos: i64,
    pub booked_nanos: i64,
}

/// How many calls there are at each quarter of an hour, and how many hours pass from one such to the next.
#[derive(Clone, Copy)]
pub struct Size {
    pub calls_at_once: u64,
    pub minutes_between: u64,
}

impl Size {
    pub fn calls(self) -> u64 {
        self.calls_at_once * (DAYS * 1440 / self.minutes_between) * HALVES.len() as u64
    }
}

/// A catalogue in which the prices of `model` change on a day.
pub fn with_change(text: &str, model: &str, from: &str, on: &str, rates: &str) -> String {
    let head = text.find(&format!("id = \"{model}\"")).unwrap();
    let opening = format!("from = \"{from}\"");
    let row = head + text[head..].find(&opening).unwrap();
    let rest = &text[row + opening.len()..];
    let end = rest.find("\n[[models]]").unwrap_or(rest.len());
    let change = format!("\n[[models.prices]]\nfrom = \"{on}\"\n{rates}\nsource = \"test\"\n");
    format!("{}{opening}\nuntil = \"{on}\"{}{change}{}", &text[..row], &rest[..end], &rest[end..])
}

fn setting() -> Setting {
    let dear = "input = \"0.9\"\ncached_input = \"0.09\"\noutput = \"5\"";
    let cheap = "input = \"0.11\"\ncached_input = \"0.011\"\noutput = \"0.37\"";
    // The shipped rows of models whose history is not known begin on the day they were seen: here they were always there.
    let always = |text: &str| text.replace("from = \"2026-11-23\"", "from = \"2026-01-01\"");
    let openai =
        with_change(&always(catalogue::OPENAI_TOML), "gpt-5.4-mini-2026-03-17", "2026-03-17", "2026-03-29", dear);
    let mistral =
        with_change(&always(catalogue::MISTRAL_TOML), "mistral-small-2603", "2026-03-01", "2026-10-25", cheap);
    let mistral = with_change(&mistral, "mistral-large-2512", "2025-12-01", "2026-03-31", dear);
    Setting {
        start: HALVES[0].parse().unwrap(),
        catalogues: [Some(openai), Some(mistral)],
        vendors: |settings| {
            let mut settings = settings.fast();
            settings.error_rate = 0.01;
            settings.hang_rate = 0.0001;
            settings
        },
        overrides: "[upstream]\nbreaker_failures = 1000\nmax_attempts = 1\nfirst_byte_seconds = 2\nmax_drains = 1\n\
                    [routes.mixte]\ntargets = [{ model = \"gpt-5.4-mini-2026-03-17\", weight = 1 }, \
                    { model = \"mistral-small-2603\", weight = 1 }]\nhosts = \"any\"\nfallback = true\n",
        ..Setting::default()
    }
}

/// What call number `number` asks, where, and how many pieces of the answer its client reads.
fn call(number: u64) -> (&'static str, Value, usize) {
    const MODELS: [&str; 5] =
        ["gpt-5.4-mini-2026-03-17", "mistral-small-2603", "gpt-5.6-luna", "mistral-large-2512", "mixte"];
    let chat_path = "/v1/chat/completions";
    let model = MODELS[usize::try_from(number / 20 % 5).unwrap()];
    let question = format!("Question {number} : quels papiers pour une carte d'identité ?");
    match number % 20 {
        0 | 1 => ("/v1/embeddings", json!({"model": "text-embedding-3-small", "input": question}), usize::MAX),
        2 => ("/v1/moderations", json!({"model": "omni-moderation-latest", "input": question}), usize::MAX),
        // The same long text each time: a prompt that the vendor has in its cache.
        3 | 4 => {
            let long = "Le règlement du stationnement dit ceci. ".repeat(160);
            (chat_path, chat(model, &format!("{long}{number}"), number.is_multiple_of(2)), usize::MAX)
        }
        5 => (chat_path, chat(model, &question, true), 1),
        other => (chat_path, chat(model, &question, other.is_multiple_of(2)), usize::MAX),
    }
}

/// Plays it all, then compares; `progress` hears how many calls have ended.
pub async fn play(size: Size, progress: &dyn Fn(u64)) -> Month {
    let gateway = Stage::start(&setting()).await;
    let keys = [gateway.resident("resident"), gateway.resident("resident"), gateway.resident("eu")];
    let mut number = 0;
    let mut statuses = BTreeMap::new();
    for half in HALVES {
        let start: Timestamp = half.parse().unwrap();
        let wait = start.duration_since(gateway.clock.now());
        gateway.clock.advance(Duration::try_from(wait).unwrap_or_default());
        for _ in 0..DAYS * 1440 / size.minutes_between {
            let calls = stream::iter(number..number + size.calls_at_once).map(|number| {
                let (path, body, pieces) = call(number);
                let key = &keys[usize::try_from(number % 3).unwrap()];
                let gateway = &gateway;
                async move { gateway.call(key, path, &body, pieces).await }
            });
            let answered: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
            for status in answered {
                *statuses.entry(status.as_u16()).or_default() += 1;
            }
            number += size.calls_at_once;
            gateway.settled().await;
            progress(number);
            gateway.clock.advance(Duration::from_secs(60 * size.minutes_between));
        }
    }
    conclude(&gateway, number, statuses).await
}

async fn conclude(gateway: &Stage, calls: u64, statuses: BTreeMap<u16, u64>) -> Month {
    let first: Date = "2026-03-21".parse().unwrap();
    let last: Date = "2026-11-02".parse().unwrap();
    let later = gateway.clock.now() + jiff::SignedDuration::from_hours(72);
    let mut reconciliations = Vec::new();
    for name in ["openai", "mistral_ai"] {
        reconciliations.push(gateway.reconcile(name, first, last, later).await);
    }
    let mut outcomes = BTreeMap::<String, u64>::new();
    let (mut entries, mut booked_nanos) = (0, 0);
    gateway
        .ledger()
        .visit_entries(&mut |_, entry| {
            entries += 1;
            booked_nanos += entry.cost_nanos.unwrap_or(0);
            *outcomes.entry(entry.outcome.as_str().to_owned()).or_default() += 1;
        })
        .unwrap();
    Month {
        calls,
        statuses,
        entries,
        outcomes: outcomes.into_iter().collect(),
        reconciliations,
        billed_nanos: gateway.openai.books().billed_nanos + gateway.mistral.books().billed_nanos,
        booked_nanos,
    }
}
