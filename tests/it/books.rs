//! The books can be corrected and not altered: adjustments beside what was booked, and whoever touches a row is found.

use passerelle::ledger::{
    ADJUSTMENTS, ATTEMPTS, Adjustment, Author, ChainHead, Change, ExportFormat, Ledger, Outcome, Record, Verification,
    export,
};
use passerelle::quota::Limit;
use proptest::prelude::*;
use providers::money::{Currency, Money};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::support::ledgers::{
    CENT, Folder, LEASE, MORNING, Store, assert_sound, at, each_store, entries, open_when_free, question,
    sqlite_settings, standing,
};

fn author() -> Author<'static> {
    Author { actor: "Claire, DSI", reason: "not on the bill of November", now: at("2026-12-05T10:00:00+01:00") }
}

fn euros(nanos: i64) -> Money {
    Money::new(nanos, Currency::Eur)
}

/// The entry of that number, corrected to what it turned out to cost.
fn corrected(ledger: &Ledger, seq: u64, cost: i64, tokens: Option<u64>) -> Record {
    let Some(Record::Attempt(entry)) = ledger.record(seq).unwrap() else { panic!("entry {seq} is no attempt") };
    let earlier = ledger.adjusted(seq).unwrap();
    let adjustment = Adjustment::of_entry(seq, &entry, earlier, euros(cost), tokens, author()).unwrap();
    Record::Adjustment(Box::new(adjustment))
}

// Corrections.

#[tokio::test]
async fn a_call_that_the_vendor_never_billed_is_given_back_and_stays_in_the_books_as_it_was() {
    each_store(async |store: &Store| {
        let ledger = store.open();
        let forgotten = question("rose").held(&ledger).await;
        ledger.sweep(at(MORNING) + LEASE).await.unwrap();
        drop(forgotten);
        let booked = entries(&ledger);
        assert_eq!((booked[0].outcome, booked[0].charged.euro_nanos), (Outcome::Unknown, CENT));

        // From another process, beside the one that serves.
        let desk = store.open_beside();
        assert_eq!(desk.append(&corrected(&desk, 1, 0, None)).unwrap(), 2);
        assert_eq!(entries(&ledger), booked, "what was booked is never edited");
        for limit in [Limit::QuestionsPerDay, Limit::TokensPerDay, Limit::EurosPerMonth, Limit::TownEurosPerYear] {
            assert_eq!(standing(&ledger, "rose", limit, at(MORNING)).await, (0, 0), "{limit}");
        }
        assert_sound(&ledger);

        // The vendor billed it after all, for a third of the ceiling: a second adjustment counts from the first.
        desk.append(&corrected(&desk, 1, CENT / 3, Some(400))).unwrap();
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (CENT / 3, 0));
        assert_eq!(standing(&ledger, "rose", Limit::TokensPerDay, at(MORNING)).await, (400, 0));
        assert_eq!(standing(&ledger, "rose", Limit::QuestionsPerDay, at(MORNING)).await, (1, 0));
        question("rose").answered(&ledger, 10, 1).await;
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn a_credit_note_changes_the_towns_sums_and_nobodys_quota() {
    each_store(async |store: &Store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, 5 * CENT).await;
        let day = "2026-11-24".parse().unwrap();
        let note = Adjustment::of_day("openai", "", day, -2 * CENT, author());
        ledger.append(&Record::Adjustment(Box::new(note))).unwrap();
        assert_eq!(standing(&ledger, "rose", Limit::TownEurosPerMonth, at(MORNING)).await, (3 * CENT, 0));
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (5 * CENT, 0));
        let report = ledger.report_data("2026-11-24", "2026-11-24").unwrap();
        let adjusted: i64 = report.rollups.iter().map(|(_, rollup)| rollup.figures.adjusted_euro_nanos).sum();
        assert_eq!(adjusted, -2 * CENT);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn adjustments_leave_in_an_export_of_their_own() {
    each_store(async |store: &Store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, 5 * CENT).await;
        ledger.append(&corrected(&ledger, 1, CENT, Some(100))).unwrap();
        let lines = |what, format| {
            let mut out = Vec::new();
            assert_eq!(export(&store.open_beside(), what, format, &mut out).unwrap(), 1);
            String::from_utf8(out).unwrap()
        };
        let line: serde_json::Value = serde_json::from_str(&lines(ADJUSTMENTS, ExportFormat::JsonLines)).unwrap();
        assert_eq!(
            (&line["seq"], &line["corrects"], &line["charged"]["tokens"]),
            (&2.into(), &1.into(), &(-200).into())
        );
        let table = lines(ADJUSTMENTS, ExportFormat::Csv);
        let mut rows = csv::Reader::from_reader(table.as_bytes());
        let headers = rows.headers().unwrap().clone();
        let row = rows.records().next().unwrap().unwrap();
        let cell = |name: &str| row.get(headers.iter().position(|header| header == name).unwrap()).unwrap();
        assert_eq!((cell("charged.euro_nanos"), cell("actor")), ("-40000000", "Claire, DSI"));
        assert!(lines(ATTEMPTS, ExportFormat::JsonLines).contains("\"outcome\":\"completed\""));
    })
    .await;
}

#[tokio::test]
async fn a_correction_in_another_currency_is_refused() {
    each_store(async |store: &Store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, CENT).await;
        let entry = entries(&ledger).remove(0);
        let dollars = Money::new(1, Currency::Usd);
        assert!(Adjustment::of_entry(1, &entry, Default::default(), dollars, None, author()).is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_between_two_batches_is_never_overwritten() {
    each_store(async |store: &Store| {
        let (ledger, desk) = (store.open(), store.open_beside());
        let mut asking = tokio::task::JoinSet::new();
        let asked = ledger.clone();
        asking.spawn(async move {
            for _ in 0..60 {
                question("rose").answered(&asked, 10, 1).await;
            }
        });
        for number in 0..20 {
            let change = Change {
                id: format!("c{number}"),
                at: number,
                actor: "Claire".to_owned(),
                reason: String::new(),
                terms: None,
                differences: Vec::new(),
            };
            desk.append(&Record::Change(Box::new(change))).unwrap();
            tokio::task::yield_now().await;
        }
        asking.join_all().await;
        assert_eq!((entries(&ledger).len(), ledger.changes().unwrap().len()), (60, 20));
        assert_eq!(ledger.chain_head().unwrap().seq, 80);
        assert_sound(&ledger);
        // The report holds each attempt once, though the chain moved under the writer.
        ledger.close().await.unwrap();
        let report = store.open().report_data("2026-11-24", "2026-11-24").unwrap();
        assert_eq!(report.rollups.iter().map(|(_, rollup)| rollup.figures.questions).sum::<u64>(), 60);
    })
    .await;
}

// A ledger of the version before.

#[tokio::test]
async fn a_ledger_of_the_version_before_is_taken_over_as_it_is() {
    let today = Folder::new();
    let ledger = Ledger::open_sqlite(&sqlite_settings(&today)).unwrap();
    question("rose").answered(&ledger, 300, CENT).await;
    question("emile").at("2026-11-24T23:59:00+01:00").answered(&ledger, 200, 2 * CENT).await;
    let open = question("rose").held(&ledger).await;
    ledger.close().await.unwrap();

    // What the version before had of it: no hours, no stops, no alerts.
    let before = Folder::new();
    let connection = Connection::open(before.ledger()).unwrap();
    connection.execute_batch(include_str!("../../src/ledger/migrations/sqlite/0001_ledger.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute("ATTACH ?1 AS today", [today.ledger().to_str().unwrap()]).unwrap();
    connection
        .execute_batch(
            "INSERT INTO counters SELECT * FROM today.counters WHERE window NOT LIKE '%Z';
             INSERT INTO reservations
             SELECT id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry FROM today.reservations;",
        )
        .unwrap();
    // Attempts were objects then, the one under a hold too.
    let mut previous = [0_u8; 32];
    let attempts = entries(&Ledger::open_sqlite_beside(&today.ledger()).unwrap());
    for entry in &attempts {
        let body = serde_json::to_string(entry).unwrap();
        previous = Sha256::new().chain_update(previous).chain_update(&body).finalize().into();
        connection
            .execute("INSERT INTO entries (body, hash) VALUES (?1, ?2)", params![body, previous.as_slice()])
            .unwrap();
    }
    let held = serde_json::to_string(&attempts[0]).unwrap();
    assert_eq!(connection.execute("UPDATE reservations SET entry = ?1", [held]).unwrap(), 1);
    drop(connection);

    let ledger = open_when_free(&sqlite_settings(&before));
    assert_sound(&ledger);
    assert_eq!((entries(&ledger).len(), ledger.gauges().unwrap().open_reservations), (2, 1));
    assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (CENT, CENT));
    ledger.settle(open.answered(10, 1)).await.unwrap();
    assert_sound(&ledger);
}

// Tamper evidence, on the file itself.

/// A ledger of thirty attempts, an adjustment and a change, closed.
async fn thirty() -> Folder {
    let folder = Folder::new();
    let ledger = Ledger::open_sqlite(&sqlite_settings(&folder)).unwrap();
    for number in 0..30_i64 {
        question(["rose", "emile", "lucie"][usize::try_from(number % 3).unwrap()])
            .answered(&ledger, 100 + number.unsigned_abs(), CENT + number)
            .await;
    }
    ledger.append(&corrected(&ledger, 7, 0, None)).unwrap();
    ledger.close().await.unwrap();
    folder
}

/// Somebody with the file and no scruples.
fn tamper(folder: &Folder, sql: &str) {
    let connection = Connection::open(folder.ledger()).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let triggers = "DROP TRIGGER entries_are_never_changed; DROP TRIGGER entries_are_never_deleted;";
    connection.execute_batch(&format!("{triggers}{sql}")).unwrap();
}

fn found(folder: &Folder, noted: Option<ChainHead>) -> Verification {
    Ledger::open_sqlite_beside(&folder.ledger()).unwrap().verify_against(noted, &mut |_| {}).unwrap()
}

#[tokio::test]
async fn every_way_of_touching_a_row_is_found_and_named() {
    for (sql, expected) in [
        ("UPDATE entries SET body = replace(body, '[1,112,', '[1,113,') WHERE seq = 13", "entry 13 was changed"),
        ("UPDATE entries SET hash = zeroblob(32) WHERE seq = 13", "entry 13 was changed"),
        ("DELETE FROM entries WHERE seq = 13", "entry 13 is missing"),
        ("DELETE FROM entries WHERE seq BETWEEN 13 AND 15", "entries 13 to 15 are missing"),
        ("DELETE FROM entries WHERE seq > 29", "entries 30 to 31 are missing at the end"),
        (
            "DELETE FROM entries WHERE seq = 13; UPDATE entries SET seq = seq - 1 WHERE seq > 13",
            "entry 13 was changed, or does not follow the one before it",
        ),
        (
            "UPDATE entries SET seq = 99 WHERE seq = 12; UPDATE entries SET seq = 12 WHERE seq = 13; UPDATE entries SET seq = 13 WHERE seq = 99",
            "entry 12 was changed, or does not",
        ),
        (
            "UPDATE counters SET euro_nanos = euro_nanos - 1 WHERE account = 'town' AND window = '2026-11'",
            "the counter of town for 2026-11 says",
        ),
        ("DELETE FROM counters WHERE account = 'rose'", "the counter of rose for 2026-11 is missing"),
        ("DELETE FROM other_records", "the list of what is no attempt does not say"),
    ] {
        let folder = thirty().await;
        assert!(found(&folder, None).is_clean());
        tamper(&folder, sql);
        let verification = found(&folder, None);
        assert!(
            verification.findings.iter().any(|finding| finding.contains(expected)),
            "{sql}: {:?}",
            verification.findings
        );
    }
}

#[tokio::test]
async fn an_inserted_row_is_found_even_when_it_links_to_the_one_before() {
    let folder = thirty().await;
    let connection = Connection::open(folder.ledger()).unwrap();
    let read = |seq: u64| -> (String, Vec<u8>) {
        connection
            .query_row("SELECT body, hash FROM entries WHERE seq = ?1", [seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    let (body, _) = read(20);
    let (_, before) = read(12);
    let hash = Sha256::new().chain_update(&before).chain_update(&body).finalize();
    tamper(&folder, "UPDATE entries SET seq = -seq WHERE seq > 12; UPDATE entries SET seq = 1 - seq WHERE seq < 0");
    connection
        .execute("INSERT INTO entries (seq, body, hash) VALUES (13, ?1, ?2)", params![body, hash.as_slice()])
        .unwrap();
    let findings = found(&folder, None).findings;
    assert!(findings.contains(&"entry 13 was inserted".to_owned()), "{findings:?}");
}

#[tokio::test]
async fn a_chain_that_was_written_again_as_a_whole_is_found_by_its_noted_end() {
    let folder = thirty().await;
    let noted = found(&folder, None).head;
    assert_eq!(noted.to_string().parse(), Ok(noted));
    // One euro cent less, every hash computed anew, and the counters made to fit: sound in itself.
    let connection = Connection::open(folder.ledger()).unwrap();
    tamper(&folder, "");
    let rows: Vec<(u64, String)> = connection
        .prepare("SELECT seq, body FROM entries ORDER BY seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut previous = [0_u8; 32];
    for (seq, mut body) in rows {
        if seq == 3 {
            let mut values: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
            let charged = values.iter_mut().find(|value| value.is_array()).unwrap();
            charged[2] = (charged[2].as_i64().unwrap() - CENT).into();
            body = serde_json::to_string(&values).unwrap();
        }
        let hash: [u8; 32] = Sha256::new().chain_update(previous).chain_update(&body).finalize().into();
        let set = params![body, hash.as_slice(), seq];
        connection.execute("UPDATE entries SET body = ?1, hash = ?2 WHERE seq = ?3", set).unwrap();
        previous = hash;
    }
    connection
        .execute("UPDATE counters SET euro_nanos = euro_nanos - ?1 WHERE account IN ('town', 'lucie')", [CENT])
        .unwrap();
    assert!(found(&folder, None).is_clean());
    let findings = found(&folder, Some(noted)).findings;
    assert!(findings.iter().any(|finding| finding.contains("the chain was written again")), "{findings:?}");
    // What is appended later is no contradiction to an older note.
    let honest = thirty().await;
    let noted = found(&honest, None).head;
    let ledger = open_when_free(&sqlite_settings(&honest));
    question("rose").answered(&ledger, 1, 1).await;
    assert!(ledger.verify_against(Some(noted), &mut |_| {}).unwrap().is_clean());
}

/// The bytes of a file, and every place in them where each entry's text is.
type Bytes = (Vec<u8>, Vec<Vec<std::ops::Range<usize>>>);

/// One closed ledger for all cases: its bytes, and every place in them where each entry's text is. Pages that were split
/// keep what they held, so there may be more than one, and only one of them is read.
fn shared() -> &'static Bytes {
    static SHARED: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let folder = runtime.block_on(thirty());
        let bytes = std::fs::read(folder.ledger()).unwrap();
        let connection = Connection::open(folder.ledger()).unwrap();
        let bodies: Vec<String> = connection
            .prepare("SELECT body FROM entries ORDER BY seq")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let places = |body: &String| -> Vec<_> {
            let found = bytes.windows(body.len()).enumerate().filter(|(_, window)| *window == body.as_bytes());
            found.map(|(start, _)| start..start + body.len()).collect()
        };
        let places: Vec<_> = bodies.iter().map(places).collect();
        assert!(places.iter().all(|places| !places.is_empty()));
        (bytes, places)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_single_byte_flipped_on_the_disk_is_found_wherever_it_is(seq in 1_u64..=31, place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (bytes, places) = shared();
        let mut bytes = bytes.clone();
        for range in &places[usize::try_from(seq).unwrap() - 1] {
            bytes[range.start + place.index(range.len())] ^= flip;
        }
        let folder = Folder::new();
        std::fs::write(folder.ledger(), bytes).unwrap();
        let findings = found(&folder, None).findings;
        let named = format!("entry {seq} was changed");
        prop_assert!(findings.iter().any(|finding| finding.starts_with(&named)), "{:?}", findings);
    }
}
