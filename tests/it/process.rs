//! The built program, killed without warning and asked to stop: nothing that was settled is lost, nothing stays held.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use passerelle::clock::Clock;
use passerelle::ledger::{Durability, Entry, Ledger, Outcome, SqliteSettings};
use rand::RngExt;
use tokio::task::JoinSet;

use crate::support::chance::{seeded, wanted};
use crate::support::program::{Raw, Socket, Town, VendorProcess, ask, entries, question};

const MODELS: [&str; 2] = ["gpt-6-luna", "mistral-small-latest"];
/// Residents who ask one question after the other.
const CLIENTS: usize = 16;
/// The longest that a round lasts before its kill.
const ROUND_MILLIS: u64 = 700;
const SHORT_CALLS: &str = "first_byte_seconds = 3\nidle_seconds = 3\ntotal_seconds = 3\ndrain_seconds = 1";

fn vendors(first: &str, between: &str) -> [VendorProcess; 2] {
    let pace = ["--first-token-ms", first, "--inter-token-ms", between];
    [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)]
}

fn town_of(vendors: &[VendorProcess; 2], ledger: &str, server: &str, upstream: &str) -> Town {
    Town::new(&vendors[0].address, &vendors[1].address, ledger, server, upstream)
}

/// What residents saw come to its end, by our request id.
#[derive(Debug, Default)]
struct Seen {
    /// All of the answer, or the last event of a stream: it is given out only after the commit.
    whole: BTreeSet<String>,
}

impl Seen {
    fn note(&mut self, answer: &Raw) {
        let id = answer.header("x-request-id").unwrap().to_owned();
        if answer.status == 200 && (answer.is_whole() || answer.is_done()) {
            self.whole.insert(id);
        }
    }
}

/// Residents ask until the gateway is killed, `after` that long.
async fn load_and_kill(town: &Town, keys: &[String], after: Duration, seen: &mut Seen) -> Vec<Entry> {
    let mut gateway = town.serve();
    let mut residents = JoinSet::new();
    for number in 0..CLIENTS {
        let (address, key) = (gateway.public.clone(), keys[number % keys.len()].clone());
        residents.spawn(async move {
            let mut answers = Vec::new();
            let (model, stream) = (MODELS[number % 2], number / 2 % 2 == 0);
            while let Some(answer) = ask(&address, &key, model, stream).await {
                answers.push(answer);
            }
            answers
        });
    }
    // The random moment itself: nothing is awaited here but time.
    tokio::time::sleep(after).await;
    let ledger = town.ledger();
    let before = entries(&ledger);
    gateway.running.kill();
    while let Some(answers) = residents.join_next().await {
        answers.unwrap().iter().for_each(|answer| seen.note(answer));
    }
    before
}

fn assert_sound(ledger: &Ledger) {
    let verification = ledger.verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);
}

/// Waits until the last lease has ended.
async fn leases_end(ledger: &Ledger) {
    let swept = async {
        while ledger.gauges().unwrap().open_reservations > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_and_hold_nothing_for_ever() {
    let (_, mut chance) = seeded("kills_under_load");
    let rounds = wanted("PASSERELLE_KILLS", 3);
    let vendors = vendors("15", "2");
    let town = town_of(&vendors, "lease_seconds = 5\nsweep_seconds = 1", "", SHORT_CALLS);
    let keys: Vec<String> = (0..4).map(|_| town.key()).collect();
    let ledger = town.ledger();
    let (mut seen, mut open_at_kills) = (Seen::default(), 0);
    for round in 0..rounds {
        let after = Duration::from_millis(chance.random_range(0..ROUND_MILLIS));
        let before = load_and_kill(&town, &keys, after, &mut seen).await;
        let now = entries(&ledger);
        assert_eq!(now[..before.len()], before, "round {round}: what was settled stays as it was");
        let completed: BTreeSet<&str> =
            now.iter().filter(|entry| entry.outcome == Outcome::Completed).map(|entry| &*entry.request_id).collect();
        let lost: Vec<_> = seen.whole.iter().filter(|id| !completed.contains(id.as_str())).collect();
        assert!(lost.is_empty(), "round {round}: answered to the end and not settled: {lost:?}");
        assert_sound(&ledger);
        open_at_kills += ledger.gauges().unwrap().open_reservations;
    }
    assert!(open_at_kills > 0, "kills must come while calls are open");

    let _again = town.serve();
    leases_end(&ledger).await;
    assert_sound(&ledger);
    let verified = town.command(&["ledger", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let all = entries(&ledger);
    let unknown = all.iter().filter(|entry| entry.outcome == Outcome::Unknown).count();
    assert!(unknown > 0 && all.len() > seen.whole.len());
    for (provider, vendor) in ["openai", "mistral_ai"].iter().zip(&vendors) {
        let bill = check_against_the_vendor(&all, provider, vendor).await;
        eprintln!("{provider}: {bill}");
    }
    eprintln!("{rounds} kills: {} entries, {} answers seen whole, {unknown} unknown", all.len(), seen.whole.len());
}

/// Each call that the vendor saw has its entry, and is billed what the entry says, or within its bounds; says the sums.
async fn check_against_the_vendor(all: &[Entry], provider: &str, vendor: &VendorProcess) -> String {
    let (books, calls) = vendor.closed_books().await;
    let mut ours: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in all.iter().filter(|entry| entry.provider == provider) {
        assert!(ours.insert(&entry.request_id, entry).is_none(), "one entry a call: {entry:?}");
    }
    let upper: i64 = ours.values().map(|entry| entry.cost_upper_nanos).sum();
    for call in &calls {
        let entry = ours.remove(call.request_id.as_deref().unwrap()).unwrap_or_else(|| panic!("no entry: {call:?}"));
        let billed = call.billed_nanos.unwrap();
        assert!((entry.cost_lower_nanos..=entry.cost_upper_nanos).contains(&billed), "{call:?} {entry:?}");
        match entry.outcome {
            Outcome::Completed => assert_eq!(entry.cost_nanos, Some(billed)),
            outcome => {
                assert_eq!((outcome, entry.cost_nanos), (Outcome::Unknown, None), "{entry:?}");
                assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
            }
        }
    }
    let unsent = ours.len();
    assert!(ours.values().all(|entry| entry.outcome == Outcome::Unknown), "held, killed, never sent: {ours:?}");
    assert_eq!(calls.len() as u64, books.calls);
    assert!(upper >= books.billed_nanos, "{provider}: the ledger must never be below the vendor's bill");
    format!(
        "{} calls, billed {} nanos, at most {upper} in the ledger, {unsent} never sent",
        calls.len(),
        books.billed_nanos
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_streams_in_progress_and_leaves_with_everything_settled() {
    let vendors = vendors("20", "15");
    let town = town_of(&vendors, "", "shutdown_seconds = 20", "");
    let key = town.key();
    let mut gateway = town.serve();
    let mut streams = Vec::new();
    for model in MODELS.repeat(3) {
        let mut stream = Socket::send(&gateway.public, &question(&key, model, true)).await.unwrap();
        stream.until("data: ").await;
        streams.push(stream);
    }
    // A question whose last byte comes after the signal.
    let late = question(&key, MODELS[0], false);
    let (first, last) = late.split_at(late.len() - 1);
    let mut late = Socket::send(&gateway.public, first).await.unwrap();
    let clock = Clock::system();
    let start = clock.tick();
    gateway.running.terminate();
    let stopping = async { while Socket::get(&gateway.ops, "/readyz").await.unwrap().status != 503 {} };
    tokio::time::timeout(Duration::from_secs(5), stopping).await.unwrap();
    // The doors are still open, and say when to come back.
    for model in MODELS {
        let refused = ask(&gateway.public, &key, model, true).await.unwrap();
        assert_eq!(refused.refusal(), (503, "shutting_down".to_owned(), true));
    }
    late.send_more(last).await;
    assert_eq!(late.rest().await.unwrap().refusal(), (503, "shutting_down".to_owned(), true));
    for stream in streams {
        let answer = stream.rest().await.unwrap();
        assert!(answer.is_whole(), "{}", answer.text());
    }
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    assert!(clock.tick().since(start) < Duration::from_secs(20), "within server.shutdown_seconds");
    let ledger = town.ledger();
    assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
    let all = entries(&ledger);
    assert!(all.len() == 6 && all.iter().all(|entry| entry.outcome == Outcome::Completed && !entry.client_left));
    assert_eq!(vendors[0].calls().await + vendors[1].calls().await, 6, "the late question reached nobody");
    assert_sound(&ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_whose_patience_ends_leaves_the_hold_to_its_lease() {
    let vendors = vendors("20", "500");
    let town = town_of(&vendors, "", "shutdown_seconds = 1", "");
    let key = town.key();
    let mut gateway = town.serve();
    let mut stream = Socket::send(&gateway.public, &question(&key, MODELS[1], true)).await.unwrap();
    stream.until("data: ").await;
    let clock = Clock::system();
    let start = clock.tick();
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    assert!(
        clock.tick().since(start) < Duration::from_secs(3),
        "the stop is bounded by one patience, and it was a second"
    );
    assert!(!stream.rest().await.unwrap().is_whole());

    let path = town.ledger_file();
    let settings = SqliteSettings { path, durability: Durability::Normal, queue: 16, batch: 16 };
    let ledger = Ledger::open_sqlite(&settings).unwrap();
    assert_eq!(ledger.gauges().unwrap().open_reservations, 1);
    assert_eq!(ledger.sweep(clock.now()).await.unwrap(), 0, "its lease goes on");
    let past_the_lease = clock.now() + Duration::from_secs(721);
    assert_eq!(ledger.sweep(past_the_lease).await.unwrap(), 1);
    let entry = entries(&ledger).pop().unwrap();
    assert_eq!((entry.outcome, entry.error_type.as_deref()), (Outcome::Unknown, Some("lease_expired")));
    assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
    assert_sound(&ledger);
}
