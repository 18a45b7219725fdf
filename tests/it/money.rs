//! A thousand calls at once on a budget worth exactly ten: ten reach the vendor, and not a nano more is spent.
//!
//! The vendor answers nobody before all the others are refused, so nothing given back can let an eleventh in. The
//! residents are new: their very first calls come in parallel with themselves. `PASSERELLE_ROUNDS` repeats it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use passerelle::ledger::{Outcome, ResidentUse};
use passerelle::quota::Calendar;
use tokio::task::JoinSet;

use crate::support::chance::wanted;
use crate::support::gateway::question_body;
use crate::support::{TestGateway, Vendor};

/// Calls at once.
const CALLS: usize = 1_000;
/// What the budget is worth, in calls.
const WORTH: usize = 10;
/// The same sentence for everybody: every call has the same ceiling.
const QUESTION: &str = "Quels papiers faut-il pour une carte d'identité ?";
const PATIENCE: Duration = Duration::from_secs(60);

/// What is scarce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scarce {
    Questions,
    Tokens,
    Euros,
    Simultaneous,
    TownMonth,
    TownYear,
}

/// What one call holds.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    tokens: u64,
    euro_nanos: i64,
}

impl Scarce {
    /// A configuration in which it is worth exactly ten calls.
    fn configuration(self, ceiling: Ceiling) -> String {
        let euros = || decimal(ceiling.euro_nanos * i64::try_from(WORTH).unwrap());
        match self {
            Self::Questions => format!("[plans.resident]\nquestions_per_day = {WORTH}"),
            Self::Tokens => format!("[plans.resident]\ntokens_per_day = {}", ceiling.tokens * WORTH as u64),
            Self::Euros => format!("[plans.resident]\neuros_per_month = \"{}\"", euros()),
            Self::Simultaneous => format!("[plans.resident]\nsimultaneous = {WORTH}"),
            Self::TownMonth => format!("[town]\neuros_per_month = \"{}\"", euros()),
            Self::TownYear => format!("[town]\neuros_per_month = \"{0}\"\neuros_per_year = \"{0}\"", euros()),
        }
    }

    /// How many residents share it: the town's envelope is everybody's.
    fn residents(self) -> usize {
        if matches!(self, Self::TownMonth | Self::TownYear) { CALLS / 2 } else { 1 }
    }

    /// What the eleventh hears: status, code, and whether it is told to come back.
    fn refusal(self) -> (u16, String, bool) {
        match self {
            Self::Questions | Self::Tokens | Self::Euros => (429, "insufficient_quota".to_owned(), false),
            Self::Simultaneous => (429, "rate_limit_exceeded".to_owned(), true),
            Self::TownMonth | Self::TownYear => (503, "town_envelope_exhausted".to_owned(), false),
        }
    }
}

/// Nano-euros as the configuration writes them.
fn decimal(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn vendor<'a>(gateway: &'a TestGateway, model: &str) -> (&'a Vendor, &'a Vendor) {
    if model.starts_with("gpt") { (&gateway.openai, &gateway.mistral) } else { (&gateway.mistral, &gateway.openai) }
}

fn ask(key: &str, model: &str, stream: bool) -> Request<Body> {
    TestGateway::request(key, &question_body(model, QUESTION, stream))
}

/// What all residents together have used and hold in the windows of now.
fn use_of_all(gateway: &TestGateway) -> ResidentUse {
    let windows = Calendar::new("Europe/Paris").unwrap().windows(gateway.clock.now());
    let mut sum = ResidentUse::default();
    for key in gateway.ledger().list_keys().unwrap() {
        let one = gateway.ledger().resident_use(&key.resident, &windows).unwrap();
        sum.day_used.add(one.day_used);
        sum.day_held.add(one.day_held);
        sum.month_used.add(one.month_used);
        sum.month_held.add(one.month_held);
    }
    sum
}

/// What one such call holds, learnt from a gateway in which nothing is scarce.
async fn ceiling(model: &str, stream: bool) -> Ceiling {
    let gateway = Arc::new(TestGateway::start().await);
    let key = gateway.resident();
    let (vendor, _) = vendor(&gateway, model);
    vendor.close_gate();
    let (answer, held) = tokio::join!(gateway.send(ask(&key, model, stream)), async {
        vendor.reached_by(1).await;
        let held = use_of_all(&gateway).day_held;
        vendor.open_gate();
        held
    });
    assert_eq!((answer.status.as_u16(), held.questions), (200, 1));
    gateway.settled().await;
    let entry = gateway.entries().pop().unwrap();
    assert_eq!(entry.ceiling_euro_nanos, held.euro_nanos, "the entry keeps what was held");
    assert!(held.euro_nanos > 0 && held.tokens > 0);
    Ceiling { tokens: held.tokens.unsigned_abs(), euro_nanos: held.euro_nanos }
}

/// What the scarce thing may come to in all, and what `used` and held of it come to.
fn allowed_and_taken(scarce: Scarce, ceiling: Ceiling, now: ResidentUse) -> Option<(i64, i64)> {
    let worth = i64::try_from(WORTH).unwrap();
    match scarce {
        Scarce::Simultaneous => None,
        Scarce::Questions => Some((worth, now.day_used.questions + now.day_held.questions)),
        Scarce::Tokens => {
            Some((i64::try_from(ceiling.tokens).unwrap() * worth, now.day_used.tokens + now.day_held.tokens))
        }
        Scarce::Euros | Scarce::TownMonth | Scarce::TownYear => {
            Some((ceiling.euro_nanos * worth, now.month_used.euro_nanos + now.month_held.euro_nanos))
        }
    }
}

async fn ten_of_a_thousand(scarce: Scarce, model: &'static str, stream: bool) {
    let ceiling = ceiling(model, stream).await;
    let gateway = Arc::new(TestGateway::with(&scarce.configuration(ceiling)).await);
    let keys = gateway.residents(scarce.residents());
    let (asked, other) = vendor(&gateway, model);
    asked.close_gate();
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let (gateway, request) = (Arc::clone(&gateway), ask(&keys[number % keys.len()], model, stream));
        calls.spawn(async move { gateway.send(request).await });
    }
    let refusals = tokio::time::timeout(PATIENCE, async {
        for _ in 0..CALLS - WORTH {
            let refused = calls.join_next().await.unwrap().unwrap();
            assert_eq!(refused.refusal(), scarce.refusal(), "{scarce:?}");
        }
        asked.reached_by(WORTH).await;
    });
    let shown = format!("{scarce:?}, {model}, stream {stream}");
    assert!(refusals.await.is_ok(), "{shown}: {} calls reached the vendor", asked.calls().len());
    assert_eq!((asked.calls().len(), other.calls().len()), (WORTH, 0), "{shown}");
    assert_eq!(gateway.ledger().gauges().unwrap().open_reservations, WORTH as u64, "{shown}");
    if let Some((allowed, taken)) = allowed_and_taken(scarce, ceiling, use_of_all(&gateway)) {
        assert_eq!(taken, allowed, "{shown}: all of it is held, to the last nano");
    }

    asked.open_gate();
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().status, 200, "{shown}");
    }
    gateway.settled().await;
    let entries = gateway.entries();
    assert_eq!(entries.len(), WORTH, "{shown}");
    assert!(entries.iter().all(|entry| entry.outcome == Outcome::Completed && entry.stream == stream), "{shown}");
    use_what_came_back(&gateway, &keys, scarce, ceiling, (model, stream)).await;
}

/// What was given back lets further calls in, one after the other, until too little is left; never past what is allowed.
async fn use_what_came_back(
    gateway: &TestGateway,
    keys: &[String],
    scarce: Scarce,
    ceiling: Ceiling,
    (model, stream): (&str, bool),
) {
    let mut further = 0;
    for number in 0..3 * WORTH {
        let answer = gateway.send(ask(&keys[number % keys.len()], model, stream)).await;
        if answer.status != 200 {
            assert_eq!(answer.refusal(), scarce.refusal());
            break;
        }
        further += 1;
    }
    gateway.settled().await;
    let now = use_of_all(gateway);
    assert_eq!((now.day_held.questions, now.month_held.euro_nanos), (0, 0), "nothing stays held");
    let spent: i64 = gateway.entries().iter().map(|entry| entry.cost_euro_nanos.unwrap()).sum();
    assert_eq!(now.month_used.euro_nanos, spent, "counted is what the entries say, to the nano");
    assert_eq!(vendor(gateway, model).0.calls().len(), WORTH + further);
    match allowed_and_taken(scarce, ceiling, now) {
        Some((allowed, taken)) => {
            assert!(taken <= allowed, "{scarce:?}: overspent by {} nanos", taken - allowed);
            assert_eq!(further > 0, scarce != Scarce::Questions, "a question asked is spent, the rest comes back");
        }
        None => assert_eq!(further, 3 * WORTH, "places are free again"),
    }
}

async fn rounds(scarce: Scarce) {
    let rounds = wanted("PASSERELLE_ROUNDS", 1);
    for _ in 0..rounds {
        for model in ["gpt-6-luna", "mistral-small-latest"] {
            for stream in [false, true] {
                ten_of_a_thousand(scarce, model, stream).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_on_ten_questions_a_day() {
    rounds(Scarce::Questions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_on_the_tokens_of_ten_calls_a_day() {
    rounds(Scarce::Tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_on_a_residents_euros_worth_ten_calls() {
    rounds(Scarce::Euros).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_where_ten_may_be_open() {
    rounds(Scarce::Simultaneous).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_residents_twice_at_once_on_the_towns_month_worth_ten_calls() {
    rounds(Scarce::TownMonth).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_residents_twice_at_once_on_the_towns_year_worth_ten_calls() {
    rounds(Scarce::TownYear).await;
}
