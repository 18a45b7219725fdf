//! Opening and admitting take the same time whatever the ledger's length: old entries are made unreadable on purpose,
//! and nobody notices.

use passerelle::ledger::Ledger;
use passerelle::quota::Limit;

use crate::support::ledgers::{CENT, MORNING, Store, assert_sound, at, question, standing};

/// Past the number of entries after which the aggregates are written, whatever else happens.
const ENTRIES: usize = 1_100;

/// Makes every entry that the aggregates hold unreadable; says how many those are.
fn spoil_old_entries(store: &Store) -> usize {
    let Store::Sqlite(folder) = store;
    let file = rusqlite::Connection::open(folder.ledger()).unwrap();
    file.execute_batch("DROP TRIGGER entries_are_never_changed").unwrap();
    let rolled_up = "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'rollup_seq')";
    file.execute(&format!("UPDATE entries SET body = '{{}}' WHERE seq <= {rolled_up}"), []).unwrap()
}

async fn goes_on_as_if_nothing_were(ledger: &Ledger) {
    assert_eq!(
        standing(ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await,
        (CENT * i64::try_from(ENTRIES).unwrap(), 0),
        "what was used is known from the counters"
    );
    question("rose").answered(ledger, 300, CENT).await;
    let full = question("rose").limited(Limit::QuestionsPerDay, i64::try_from(ENTRIES).unwrap() + 1);
    assert_eq!(full.refused(ledger).await.limit, Limit::QuestionsPerDay);
    let held = question("jean").held(ledger).await;
    ledger.settle(held.answered(100, CENT)).await.unwrap();
}

#[tokio::test]
async fn a_ledger_is_opened_and_goes_on_without_reading_an_old_entry() {
    let store = Store::each().remove(0);
    let ledger = store.open();
    for _ in 0..ENTRIES {
        question("rose").answered(&ledger, 300, CENT).await;
    }
    ledger.close().await.unwrap();
    drop(ledger);
    assert_eq!(spoil_old_entries(&store), ENTRIES);

    let ledger = store.open();
    goes_on_as_if_nothing_were(&ledger).await;
    let day = &MORNING[..10];
    let answered: u64 = ledger.report_data(day, day).unwrap().rollups.iter().map(|(_, one)| one.figures.answered).sum();
    assert_eq!(answered, ENTRIES as u64 + 2, "the report reads aggregates");
    assert!(ledger.verify().map_or(true, |verification| !verification.is_clean()), "who looks finds them");
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn after_a_crash_at_most_the_last_moments_are_read() {
    let store = Store::each().remove(0);
    let ledger = store.open();
    for _ in 0..ENTRIES {
        question("rose").answered(&ledger, 300, CENT).await;
    }
    let Store::Sqlite(folder) = &store;
    let crashed = Store::Sqlite(folder.copy());
    assert_sound(&ledger);
    let spoilt = spoil_old_entries(&crashed);
    assert!((1..=ENTRIES).contains(&spoilt), "{spoilt}");
    assert!(ENTRIES - spoilt <= 1_000, "more than a thousand entries would be read again: {spoilt}");
    goes_on_as_if_nothing_were(&crashed.open()).await;
}

#[tokio::test]
async fn an_entry_can_be_neither_changed_nor_deleted_and_stays_small() {
    let store = Store::each().remove(0);
    let ledger = store.open();
    question("rose").answered(&ledger, 300, CENT).await;
    let Store::Sqlite(folder) = &store;
    let file = rusqlite::Connection::open(folder.ledger()).unwrap();
    for attempt in ["UPDATE entries SET body = '{}'", "DELETE FROM entries"] {
        let refused = file.execute(attempt, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    let bytes: u64 = file.query_row("SELECT length(body) + length(hash) FROM entries", [], |row| row.get(0)).unwrap();
    assert!(bytes < 1_000, "a million entries must stay below a gigabyte: {bytes} bytes each");
    assert_sound(&ledger);
}

#[tokio::test]
async fn a_plan_changed_between_two_starts_counts_what_was_used_before() {
    let store = Store::each().remove(0);
    let ledger = store.open();
    let plan = |cents: i64| question("rose").limited(Limit::EurosPerMonth, cents * CENT);
    for _ in 0..3 {
        plan(5).answered(&ledger, 300, CENT).await;
    }
    ledger.close().await.unwrap();
    drop(ledger);

    let ledger = store.open();
    let refused = plan(3).refused(&ledger).await;
    assert_eq!((refused.allowed, refused.used, refused.held), (3 * CENT, 3 * CENT, 0), "smaller: spent at once");
    plan(4).answered(&ledger, 300, CENT).await;
    assert_eq!(plan(4).refused(&ledger).await.used, 4 * CENT, "larger: only what was added");
    assert_sound(&ledger);
}

#[tokio::test]
async fn a_long_reading_lets_the_log_grow_and_its_end_gives_the_disk_back() {
    const LIMIT: u64 = 64 << 20;
    let store = Store::each().remove(0);
    let ledger = store.open();
    question("rose").answered(&ledger, 300, CENT).await;
    let Store::Sqlite(folder) = &store;
    let log = || std::fs::metadata(folder.ledger().with_extension("db-wal")).unwrap().len();

    let reader = rusqlite::Connection::open(folder.ledger()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries").unwrap();
    let mut calls = 0;
    while log() <= LIMIT + LIMIT / 8 {
        question("rose").answered(&ledger, 300, CENT).await;
        calls += 1;
        assert!(calls < 20_000, "the log has {} bytes", log());
    }
    reader.execute_batch("COMMIT").unwrap();
    // One commit brings the log into the file, the next begins it anew.
    for _ in 0..4 {
        question("rose").answered(&ledger, 300, CENT).await;
    }
    assert!(log() <= LIMIT, "{} bytes stay", log());
    assert_sound(&ledger);
}

/// The aggregates of a day, in figures.
fn answered(ledger: &Ledger, day: &str) -> u64 {
    ledger.report_data(day, day).unwrap().rollups.iter().map(|(_, one)| one.figures.answered).sum()
}

#[tokio::test]
async fn an_aggregate_that_cannot_be_read_keeps_nobody_from_asking_and_is_made_again() {
    let store = Store::each().remove(0);
    let (day, next) = (&MORNING[..10], "2026-11-25");
    let ledger = store.open();
    for _ in 0..5 {
        question("rose").answered(&ledger, 300, CENT).await;
        question("rose").at("2026-11-25T09:00:00+01:00").answered(&ledger, 300, CENT).await;
    }
    ledger.close().await.unwrap();
    drop(ledger);
    let Store::Sqlite(folder) = &store;
    let file = rusqlite::Connection::open(folder.ledger()).unwrap();
    let spoil = |from: &str| {
        let spoilt = file.execute("UPDATE rollups SET body = x'00' WHERE day >= ?1", [from]).unwrap();
        assert!(spoilt > 0);
    };
    let unreadable = || {
        let mut statement = file.prepare("SELECT body FROM rollups WHERE body = x'00'").unwrap();
        statement.query_map([], |_| Ok(())).unwrap().count()
    };

    // A day that nothing is added to: the report is made of the entries.
    spoil(next);
    let ledger = store.open();
    assert_eq!((answered(&ledger, day), answered(&ledger, next)), (5, 5));
    // Something is added to it: all are made again.
    question("rose").at("2026-11-25T10:00:00+01:00").answered(&ledger, 300, CENT).await;
    ledger.close().await.unwrap();
    drop(ledger);
    assert_eq!(unreadable(), 0);

    // Entries are not in the aggregates yet, as after a crash, and what they are to be added to cannot be read.
    spoil(day);
    file.execute("UPDATE meta SET value = '9' WHERE key = 'rollup_seq'", []).unwrap();
    let ledger = store.open();
    question("rose").at("2026-11-25T11:00:00+01:00").answered(&ledger, 300, CENT).await;
    assert_eq!((answered(&ledger, day), answered(&ledger, next)), (5, 7));
    assert_sound(&ledger);
    ledger.close().await.unwrap();
    assert_eq!(unreadable(), 0);
}
