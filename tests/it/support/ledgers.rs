//! Stores to test the ledger on, and the questions of residents as the ledger sees them.
//!
//! A second store is a second variant of [`Store`] and a second line in [`Store::each`]; no test changes.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use passerelle::ledger::{
    Assignment, Ceiling, Charge, Decision, Durability, Entry, Ledger, LengthClass, Outcome, Reservation,
    ReservationRequest, Settlement, Sighting, SqliteSettings, StoreError, micros,
};
use passerelle::quota::{Allowance, Calendar, Envelope, Limit, Refusal, Windows};
use providers::usage::Usage;
use tokio::task::JoinSet;
use uuid::Uuid;

/// One euro cent in nano-euros.
pub const CENT: i64 = 10_000_000;
/// The moment of a question, unless it says otherwise: a morning in November, in Arcachon.
pub const MORNING: &str = "2026-11-24T09:00:00+01:00";
/// Limits that no test reaches by chance.
const ROOMY: i64 = 1_000_000_000_000;
/// How long a hold lasts, unless a question says otherwise.
pub const LEASE: Duration = Duration::from_secs(600);

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The calendar windows of an instant in the town.
pub fn windows(now: Timestamp) -> Windows {
    Calendar::new("Europe/Paris").unwrap().windows(now)
}

/// Runs `test` on a fresh store of each kind.
pub async fn each_store(test: impl AsyncFn(&Store)) {
    for store in Store::each() {
        test(&store).await;
    }
}

/// A fresh store, removed when the test is over.
#[derive(Debug)]
pub enum Store {
    /// A file in a folder of its own.
    Sqlite(Folder),
}

impl Store {
    /// One of each kind that can be tested here.
    pub fn each() -> Vec<Self> {
        vec![Self::Sqlite(Folder::new())]
    }

    /// Opens the ledger as the process that serves.
    pub fn open(&self) -> Ledger {
        match self {
            Self::Sqlite(folder) => open_when_free(&sqlite_settings(folder)),
        }
    }

    /// Opens it as another process does that issues and revokes keys.
    pub fn open_beside(&self) -> Ledger {
        match self {
            Self::Sqlite(folder) => Ledger::open_sqlite_beside(&folder.ledger()).unwrap(),
        }
    }
}

/// Opens a ledger that was given up a moment ago: its writer first writes what it was handed, and only then lets go.
pub fn open_when_free(settings: &SqliteSettings) -> Ledger {
    let patience = std::time::Duration::from_secs(10);
    let clock = passerelle::clock::Clock::system();
    let start = clock.tick();
    loop {
        match Ledger::open_sqlite(settings) {
            Err(StoreError::InUse(_)) if clock.tick().since(start) < patience => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Settings for a ledger in `folder`, with room for every call of a test at once.
pub fn sqlite_settings(folder: &Folder) -> SqliteSettings {
    SqliteSettings { path: folder.ledger(), durability: Durability::Normal, queue: 4_096, batch: 64 }
}

/// A temporary folder, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("passerelle-ledger-{}", Uuid::now_v7()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    /// A second folder with the files as they are now: what a machine finds after its process was killed.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        for name in ["ledger.db", "ledger.db-wal"] {
            std::fs::copy(self.0.join(name), copy.0.join(name)).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind is no reason to fail.
        let _ignored = std::fs::remove_dir_all(&self.0);
    }
}

/// A question about to be asked: by whom, when, what it needs at most and what is allowed.
#[derive(Clone, Debug)]
pub struct Question {
    pub resident: String,
    pub now: Timestamp,
    pub tokens: u64,
    pub euro_nanos: i64,
    pub allowance: Allowance,
    pub envelope: Envelope,
    pub lease: Duration,
}

/// A question of `resident` in the morning, for at most 1,000 tokens and one cent, far from every limit.
pub fn question(resident: &str) -> Question {
    Question {
        resident: resident.to_owned(),
        now: at(MORNING),
        tokens: 1_000,
        euro_nanos: CENT,
        allowance: Allowance {
            questions_per_day: ROOMY.unsigned_abs(),
            tokens_per_day: ROOMY.unsigned_abs(),
            euro_nanos_per_month: ROOMY,
        },
        envelope: Envelope { euro_nanos_per_month: ROOMY, euro_nanos_per_year: ROOMY },
        lease: LEASE,
    }
}

impl Question {
    pub fn at(self, now: &str) -> Self {
        Self { now: at(now), ..self }
    }

    /// The same question with another value of one limit.
    pub fn limited(mut self, limit: Limit, allowed: i64) -> Self {
        match limit {
            Limit::QuestionsPerDay => self.allowance.questions_per_day = allowed.try_into().unwrap(),
            Limit::TokensPerDay => self.allowance.tokens_per_day = allowed.try_into().unwrap(),
            Limit::EurosPerMonth => self.allowance.euro_nanos_per_month = allowed,
            Limit::TownEurosPerMonth => self.envelope.euro_nanos_per_month = allowed,
            Limit::TownEurosPerYear => self.envelope.euro_nanos_per_year = allowed,
        }
        self
    }

    /// What the gateway asks the ledger; a new call each time.
    pub fn request(&self) -> ReservationRequest {
        let windows = windows(self.now);
        let ceiling = Ceiling { tokens: self.tokens, euro_nanos: self.euro_nanos };
        let entry = unknown(&self.resident, &windows, self.now, ceiling);
        ReservationRequest {
            ceiling,
            allowance: self.allowance,
            envelope: self.envelope,
            windows,
            now: self.now,
            lease: self.lease,
            entry,
            key_seen: Sighting::default(),
        }
    }

    /// Asks, and tells the hold from the refusal.
    pub async fn ask(&self, ledger: &Ledger) -> Result<Result<Hold, Refusal>, StoreError> {
        let request = self.request();
        let entry = request.entry.clone();
        Ok(match ledger.reserve(request).await? {
            Decision::Held(reservation) => Ok(Hold { reservation, entry }),
            Decision::Refused(refusal) => Err(refusal),
            Decision::Stopped(stop) => panic!("{} is stopped", stop.subject()),
            Decision::Revoked => panic!("the key is revoked"),
        })
    }

    pub async fn held(&self, ledger: &Ledger) -> Hold {
        self.ask(ledger).await.unwrap().unwrap()
    }

    pub async fn refused(&self, ledger: &Ledger) -> Refusal {
        self.ask(ledger).await.unwrap().unwrap_err()
    }

    /// Asks, and is answered at once for that price.
    pub async fn answered(&self, ledger: &Ledger, tokens: u64, euro_nanos: i64) {
        ledger.settle(self.held(ledger).await.answered(tokens, euro_nanos)).await.unwrap();
    }
}

/// An open hold of a question.
#[derive(Debug)]
pub struct Hold {
    reservation: Reservation,
    /// What the ledger says if nobody settles it.
    pub entry: Entry,
}

impl Hold {
    /// What the hold says the resident has left of the day's tokens.
    pub fn tokens_left(&self) -> u64 {
        self.reservation.tokens_left()
    }

    /// An attempt that the vendor answered.
    pub fn completed(&self, tokens: u64, euro_nanos: i64) -> Entry {
        Entry {
            outcome: Outcome::Completed,
            error_type: None,
            response_model: Some("mistral-small-2603".to_owned()),
            finish_reason: Some("stop".to_owned()),
            usage: Some(Usage { input_uncached: tokens / 4, output_visible: tokens - tokens / 4, ..Usage::default() }),
            usage_consistent: Some(true),
            cost_nanos: Some(euro_nanos),
            cost_lower_nanos: euro_nanos,
            cost_upper_nanos: euro_nanos,
            cost_euro_nanos: Some(euro_nanos),
            charged: Charge { questions: 1, tokens, euro_nanos },
            first_text_micros: Some(400_000),
            duration_micros: Some(1_400_000 + tokens),
            output_chars: Some(tokens * 3),
            ..self.attempt()
        }
    }

    /// An attempt that the vendor refused and does not bill.
    pub fn rejected(&self) -> Entry {
        Entry {
            outcome: Outcome::Rejected,
            error_type: Some("server_error".to_owned()),
            http_status: Some(503),
            cost_nanos: Some(0),
            cost_upper_nanos: 0,
            cost_euro_nanos: Some(0),
            charged: Charge::default(),
            ..self.attempt()
        }
    }

    fn attempt(&self) -> Entry {
        Entry { id: Uuid::now_v7().to_string(), ..self.entry.clone() }
    }

    pub fn settled(self, entries: Vec<Entry>) -> Settlement {
        Settlement::new(self.reservation, entries)
    }

    pub fn answered(self, tokens: u64, euro_nanos: i64) -> Settlement {
        let entry = self.completed(tokens, euro_nanos);
        self.settled(vec![entry])
    }
}

/// Asks every question from a task of its own, all at once; gives the holds and the refusals.
pub async fn all_at_once(ledger: &Ledger, questions: Vec<Question>) -> (Vec<Hold>, Vec<Refusal>) {
    let mut tasks = JoinSet::new();
    for question in questions {
        let ledger = ledger.clone();
        tasks.spawn(async move { question.ask(&ledger).await.unwrap() });
    }
    let (mut holds, mut refusals) = (Vec::new(), Vec::new());
    for answer in tasks.join_all().await {
        match answer {
            Ok(hold) => holds.push(hold),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (holds, refusals)
}

/// How a limit stands (used, held) as admission sees it: asked by a question that it cannot allow.
pub async fn standing(ledger: &Ledger, resident: &str, limit: Limit, now: Timestamp) -> (i64, i64) {
    let allowed = if limit.is_euros() { -1 } else { 0 };
    let probe = Question { now, tokens: 1, euro_nanos: 0, ..question(resident) }.limited(limit, allowed);
    let refusal = probe.refused(ledger).await;
    assert_eq!(refusal.limit, limit);
    (refusal.used, refusal.held)
}

/// Every entry, oldest first.
pub fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut entries = Vec::new();
    ledger.visit_entries(&mut |_, entry| entries.push(entry)).unwrap();
    entries
}

/// Fails unless the ledger finds itself sound.
#[track_caller]
pub fn assert_sound(ledger: &Ledger) {
    let verification = ledger.verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);
}

/// What the ledger says of a call that nobody settled.
fn unknown(resident: &str, windows: &Windows, now: Timestamp, ceiling: Ceiling) -> Entry {
    let id = Uuid::now_v7().to_string();
    Entry {
        request_id: format!("req-{id}"),
        id,
        attempt: 1,
        outcome: Outcome::Unknown,
        error_type: Some("lease_expired".to_owned()),
        retried: false,
        http_status: None,
        resident: resident.to_owned(),
        key_id: format!("key-{resident}"),
        plan: "habitant".to_owned(),
        operation: "chat".to_owned(),
        stream: true,
        choices: 1,
        client_left: false,
        route: None,
        assignment: Assignment::Chosen,
        probability_ppm: None,
        provider: "mistral_ai".to_owned(),
        account: None,
        host: "eu".to_owned(),
        region: "EU".to_owned(),
        request_model: "mistral-small-latest".to_owned(),
        sent_model: "mistral-small-latest".to_owned(),
        response_model: None,
        upstream_id: None,
        upstream_request_id: None,
        finish_reason: None,
        service_tier: None,
        usage: None,
        usage_consistent: None,
        usage_raw: None,
        currency: "EUR".to_owned(),
        cost_nanos: None,
        cost_lower_nanos: 0,
        cost_upper_nanos: ceiling.euro_nanos,
        cost_euro_nanos: None,
        rate_micros: 1_000_000,
        rate_date: "2026-11-23".to_owned(),
        price_row: "mistral_ai/mistral-small-2603@2026-03-01".to_owned(),
        uplift_percent: 0,
        ceiling_euro_nanos: ceiling.euro_nanos,
        charged: Charge::of_ceiling(ceiling),
        day: windows.day.label.clone(),
        month: windows.month.label.clone(),
        year: windows.year.label.clone(),
        received_at: micros(now),
        ended_at: micros(now),
        overhead_micros: Some(900),
        first_chunk_micros: None,
        first_text_micros: None,
        duration_micros: None,
        output_chars: None,
        length_class: LengthClass::Short,
        local_passages: false,
        local_hour: Some(9),
        epoch: None,
        time_block: None,
    }
}
