//! Clients leave at random moments; the ledger is checked against the vendors' own books, call by call, to the nano.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use passerelle::ledger::{Entry, Outcome};
use passerelle::simulator::RecordedCall;
use providers::Dialect;
use rand::RngExt;
use tokio::task::JoinSet;

use crate::support::SimulatedGateway;
use crate::support::TestGateway;
use crate::support::chance::seeded;
use crate::support::gateway::question_body;
use crate::support::simulated::paced;

/// Streams that are cut.
const STREAMS: usize = 500;
/// Of these, open at the same time.
const AT_ONCE: usize = 50;

/// When a client leaves.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// This long after asking: before the head, or a little after it.
    After(Duration),
    /// With that many pieces read.
    Pieces(usize),
    /// As soon as the last event is there.
    AtTheEnd,
}

impl Cut {
    fn drawn(chance: &mut impl RngExt) -> Self {
        match chance.random_range(0..10) {
            0..3 => Self::After(Duration::from_micros(chance.random_range(0..20_000))),
            3..8 => Self::Pieces(chance.random_range(0..40)),
            _ => Self::AtTheEnd,
        }
    }
}

async fn ask_and_leave(gateway: &TestGateway, key: &str, model: &str, cut: Cut) {
    let request = TestGateway::request(key, &question_body(model, "Où se trouve la déchèterie ?", true));
    let read = async {
        let response = tower::ServiceExt::oneshot(gateway.router(), request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body().into_data_stream();
        let mut pieces = 0;
        while !matches!(cut, Cut::Pieces(wanted) if pieces == wanted) {
            match body.next().await {
                Some(piece) if piece.as_ref().unwrap().ends_with(b"data: [DONE]\n\n") => break,
                Some(_) => pieces += 1,
                None => break,
            }
        }
    };
    match cut {
        Cut::After(time) => drop(tokio::time::timeout(time, read).await),
        Cut::Pieces(_) | Cut::AtTheEnd => read.await,
    }
}

/// Cuts all streams, on both vendors in turn, and waits until everything is settled.
async fn cut_them_all(test: &str, gateway: &Arc<SimulatedGateway>) {
    let (_, mut chance) = seeded(test);
    let keys = gateway.residents(20);
    let mut clients = JoinSet::new();
    for number in 0..STREAMS {
        if clients.len() == AT_ONCE {
            clients.join_next().await.unwrap().unwrap();
        }
        let (gateway, key, cut) = (Arc::clone(gateway), keys[number % keys.len()].clone(), Cut::drawn(&mut chance));
        let model = ["gpt-6-luna", "mistral-small-latest"][number % 2];
        clients.spawn(async move { ask_and_leave(&gateway, &key, model, cut).await });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    gateway.settled().await;
}

/// Each call of a vendor with its entry; fails unless they are as many, and each has exactly one.
fn matched<'a, 'b>(
    entries: &'a [Entry],
    provider: &str,
    calls: &'b [RecordedCall],
) -> Vec<(&'a Entry, &'b RecordedCall)> {
    let mut by_request: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.provider == provider) {
        assert!(by_request.insert(&entry.request_id, entry).is_none(), "one entry a call");
    }
    let pairs: Vec<_> =
        calls.iter().map(|call| (by_request.remove(call.request_id.as_deref().unwrap()).unwrap(), call)).collect();
    assert!(by_request.is_empty(), "entries of calls that the vendor never saw: {by_request:?}");
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_cut_streams_agree_with_the_vendors_books_to_the_nano() {
    let test = "five_hundred_cut_streams";
    let (openai, mistral) = (paced(Dialect::Openai, 1, 4.0, 0.5), paced(Dialect::Mistral, 2, 4.0, 0.5));
    let gateway = Arc::new(SimulatedGateway::with(openai, mistral, "[upstream]\nmax_drains = 1000").await);
    cut_them_all(test, &gateway).await;
    let entries = gateway.entries();
    let mut left = 0;
    for (provider, vendor) in gateway.vendors() {
        let (books, calls) = gateway.closed_books(vendor).await;
        assert_eq!(books.cut_by_client, 0, "every answer was read to its end");
        let mut ours = 0;
        for (entry, call) in matched(&entries, provider, &calls) {
            assert_eq!(entry.outcome, Outcome::Completed, "{entry:?}");
            assert_eq!(entry.cost_nanos, call.billed_nanos, "{entry:?}");
            ours += entry.cost_nanos.unwrap();
            left += usize::from(entry.client_left);
        }
        eprintln!("{provider}: {} calls, billed {} nanos, entries {ours}", calls.len(), books.billed_nanos);
        assert_eq!(ours - books.billed_nanos, 0, "{provider}: difference in nanos");
    }
    eprintln!("{left} of {STREAMS} clients left before the end");
    assert!((STREAMS / 4..STREAMS).contains(&left), "clients must leave early, and some at the end: {left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_bounds_of_reading_on_the_bill_lies_between_what_the_ledger_says() {
    let test = "past_the_bounds_of_reading_on";
    // An answer takes 0.2 to 3 seconds: some end within the second for which they are read on, others do not.
    let (openai, mistral) = (paced(Dialect::Openai, 3, 10.0, 40.0), paced(Dialect::Mistral, 4, 10.0, 40.0));
    let bounds = "[upstream]\nmax_drains = 4\ndrain_seconds = 1";
    let gateway = Arc::new(SimulatedGateway::with(openai, mistral, bounds).await);
    cut_them_all(test, &gateway).await;
    let entries = gateway.entries();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (provider, vendor) in gateway.vendors() {
        let (books, calls) = gateway.closed_books(vendor).await;
        let (mut lower, mut upper) = (0, 0);
        for (entry, call) in matched(&entries, provider, &calls) {
            let billed = call.billed_nanos.unwrap();
            assert!((entry.cost_lower_nanos..=entry.cost_upper_nanos).contains(&billed), "{billed}: {entry:?}");
            match entry.outcome {
                Outcome::Completed => assert_eq!(entry.cost_nanos, Some(billed)),
                outcome => {
                    assert_eq!((outcome, entry.client_left, entry.cost_nanos), (Outcome::Interrupted, true, None));
                    assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
                }
            }
            *reasons.entry(entry.error_type.as_deref().unwrap_or("completed")).or_default() += 1;
            lower += entry.cost_lower_nanos;
            upper += entry.cost_upper_nanos;
        }
        eprintln!("{provider}: {lower} at least, billed {} nanos, {upper} at most", books.billed_nanos);
        assert!((lower..=upper).contains(&books.billed_nanos), "{provider}: {lower} {} {upper}", books.billed_nanos);
    }
    eprintln!("{reasons:?}");
    assert_eq!(
        reasons.keys().copied().collect::<Vec<_>>(),
        ["completed", "drain_bound", "drain_refused"],
        "{reasons:?}"
    );
}
