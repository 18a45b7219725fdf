//! Which tables the statements read, by SQLite's own plan of each: what is as long as the ledger or as the town is found
//! by key. And a file that holds attempts of both stored forms.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use tokio::sync::oneshot;

use super::batch::Batch;
use super::memory::Memory;
use super::writer::Command;
use rusqlite_migration::{M, Migrations};

use super::schema::{MIGRATIONS, migrate};
use super::{Durability, SqliteSettings, SqliteStore, accounts, connect, control, keys, read, verify};
use crate::ledger::{
    Alert, Ceiling, ChainHead, Change, Decision, Entry, NewKey, Outcome, Record, ReservationRequest, Settlement,
    Sighting, chain, samples, stored,
};
use crate::quota::{Allowance, Calendar, Envelope, Windows};

const HASH: [u8; 32] = [7; 32];
const RESIDENT: &str = "res-a";
/// Tables that are short whatever the town and its years: open calls, what is stopped, alerts not taken.
const SHORT: [&str; 4] = ["reservations", "stops", "alerts", "other_records"];

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A ledger in memory, with one resident.
fn ledger() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, Path::new("memory")).unwrap();
    let key = NewKey {
        key_id: "key-a".to_owned(),
        hash: HASH,
        resident: RESIDENT.to_owned(),
        plan: "resident".to_owned(),
        created_at: now(),
    };
    keys::add(&mut connection, &[key]).unwrap();
    connection
}

fn now() -> jiff::Timestamp {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

fn windows() -> Windows {
    Calendar::new("Europe/Paris").unwrap().windows(now())
}

/// The statements that `work` ran on the connection, each once.
fn statements(connection: &mut Connection, work: impl FnOnce(&mut Connection)) -> Vec<String> {
    fn note(event: TraceEvent<'_>) {
        if let TraceEvent::Profile(statement, _) = event {
            SEEN.with_borrow_mut(|seen| seen.push(statement.sql().into_owned()));
        }
    }
    SEEN.take();
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note));
    work(connection);
    connection.trace_v2(TraceEventCodes::empty(), None);
    let mut seen = SEEN.take();
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// The lines of a statement's plan that walk through a table from its beginning, unless only to its first row.
fn scans(connection: &Connection, sql: &str) -> Vec<String> {
    // Statements about transactions and the connection itself have no plan.
    if ["BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"].iter().any(|word| sql.starts_with(word)) {
        return Vec::new();
    }
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let lines = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3)).unwrap();
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    let sorted = lines.iter().any(|line| line.contains("TEMP B-TREE"));
    let first_row_only = !sorted && (sql.ends_with("LIMIT 1") || sql.contains("EXISTS (SELECT 1 FROM entries)"));
    let walks = |line: &String| line.starts_with("SCAN") && line != "SCAN CONSTANT ROW" && !first_row_only;
    lines.into_iter().filter(walks).collect()
}

/// Fails when a statement of `work` walks through a table that grows; gives how many there were.
#[track_caller]
fn assert_found_by_key(connection: &mut Connection, work: impl FnOnce(&mut Connection)) -> usize {
    let seen = statements(connection, work);
    for sql in &seen {
        for scan in scans(connection, sql) {
            let table = scan.split(' ').nth(1).unwrap();
            // An alias is the first letter of its table.
            let short = SHORT.iter().any(|name| *name == table || name[..1] == *table);
            assert!(short, "{scan}\nin: {sql}");
        }
    }
    seen.len()
}

fn request() -> ReservationRequest {
    let windows = windows();
    let entry = Entry { resident: RESIDENT.to_owned(), ..samples::full() };
    ReservationRequest {
        ceiling: Ceiling { tokens: 100, euro_nanos: 100 },
        allowance: Allowance { questions_per_day: 9, tokens_per_day: 999, euro_nanos_per_month: 999 },
        envelope: Envelope { euro_nanos_per_month: 999, euro_nanos_per_year: 999 },
        windows,
        now: now(),
        lease: Duration::from_secs(60),
        entry,
        key_seen: Sighting::default(),
    }
}

/// One commit of the writer, with empty memory, as after a start or when somebody else wrote.
fn commit(connection: &mut Connection, commands: Vec<Command>) {
    let transaction = connection.transaction().unwrap();
    let mut memory = Memory::default();
    memory.refresh(&transaction).unwrap();
    let (mut appended, mut answers) = (Vec::new(), Vec::new());
    let mut batch = Batch::new(&transaction, &mut memory, &mut appended).unwrap();
    for command in commands {
        batch.run(command, &mut answers).unwrap();
    }
    batch.finish().unwrap();
    transaction.commit().unwrap();
    answers.into_iter().for_each(|answer| answer(Ok(())));
}

fn hold_settle_sweep(connection: &mut Connection) {
    let (reply, mut held) = oneshot::channel();
    commit(connection, vec![Command::Reserve(Box::new(request()), reply)]);
    let Decision::Held(reservation) = held.try_recv().unwrap().unwrap() else { panic!("refused") };
    let settlement = Settlement::new(reservation, vec![request().entry]);
    let (reply, mut settled) = oneshot::channel();
    commit(connection, vec![Command::Settle(Box::new(settlement), reply)]);
    settled.try_recv().unwrap().unwrap();
    let (reply, mut swept) = oneshot::channel();
    let refused = Command::Refusal(windows().day.label, "questions_per_day");
    commit(connection, vec![Command::Sweep(now(), reply), refused]);
    assert_eq!(swept.try_recv().unwrap().unwrap(), 0);
}

#[test]
fn a_walk_through_a_table_is_noticed() {
    let connection = ledger();
    for (sql, found) in [
        ("SELECT body FROM entries WHERE hash = ?1", 1),
        ("SELECT e.body FROM other_records o JOIN entries e ON e.seq = o.seq WHERE o.kind = ?1 ORDER BY e.seq", 1),
        ("SELECT * FROM residents ORDER BY plan LIMIT 1", 1),
        ("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1", 0),
        ("SELECT * FROM api_keys WHERE hash = ?1", 0),
    ] {
        assert_eq!(scans(&connection, sql).len(), found, "{sql}");
    }
}

#[test]
fn nothing_is_walked_through_to_admit_a_call_and_to_settle_it() {
    let mut connection = ledger();
    let count = assert_found_by_key(&mut connection, |connection| {
        assert!(keys::find(connection, &HASH).unwrap().is_some());
        control::stops(connection).unwrap();
        hold_settle_sweep(connection);
    });
    assert!(count >= 12, "only {count} statements were seen");
}

#[test]
fn nothing_is_walked_through_to_show_a_residents_use_or_the_towns() {
    let mut connection = ledger();
    let count = assert_found_by_key(&mut connection, |connection| {
        hold_settle_sweep(connection);
        assert_eq!(read::resident_use(connection, RESIDENT, &windows()).unwrap().month_used.questions, 1);
        let spend = control::town_spend(connection, &windows(), &[now()]).unwrap();
        assert_eq!(spend.month_used.questions, 1);
        read::open_reservations(connection).unwrap();
        let alert = Alert { id: "a".to_owned(), raised_at: now(), body: "{}".to_owned(), attempts: 0 };
        control::raise_alert(connection, &alert).unwrap();
        assert_eq!(control::undelivered_alerts(connection).unwrap().len(), 1);
        control::note_delivery(connection, "a", Some(now())).unwrap();
    });
    assert!(count >= 18, "only {count} statements were seen");
}

#[test]
fn nothing_is_walked_through_to_start_to_report_or_to_list_what_is_no_attempt() {
    let mut connection = ledger();
    let count = assert_found_by_key(&mut connection, |connection| {
        read::chain_head(connection).unwrap();
        read::mark_simulated(connection, true).unwrap();
        hold_settle_sweep(connection);
        let change = Change {
            id: "c".to_owned(),
            at: 1,
            actor: "Claire".to_owned(),
            reason: String::new(),
            terms: None,
            differences: Vec::new(),
        };
        control::append_with_notes(connection, change, &[("terms", "{}")]).unwrap();
        let day = windows().day.label;
        assert_eq!(read::report_data(connection, &day, &day).unwrap().rollups.len(), 1);
        assert_eq!(control::changes(connection).unwrap().len(), 1);
        assert!(control::corrected_costs(connection).unwrap().is_empty());
        control::adjusted(connection, 1).unwrap();
        read::record(connection, 1).unwrap();
        assert!(keys::revoke(connection, Some(&HASH), "key-a", now()).unwrap());
    });
    assert!(count >= 18, "only {count} statements were seen");
}

/// Appends a body as it is, whatever the form, and lets the counters follow an attempt.
fn append_body(connection: &Connection, body: &str, entry: &Entry) {
    let head = read::chain_head(connection).unwrap();
    let hash = chain::link(&head.hash, body.as_bytes());
    connection.execute("INSERT INTO entries (body, hash) VALUES (?1, ?2)", (body, hash.as_slice())).unwrap();
    for (account, window, charged) in Record::Attempt(entry.clone().into()).charges() {
        accounts::add(connection, &account, &window, charged).unwrap();
    }
}

/// What `attempts` says of each entry beside its number and its body.
fn seen(connection: &Connection) -> Vec<Vec<rusqlite::types::Value>> {
    let sql = "SELECT id, outcome, provider, request_model, day, currency, cost_nanos FROM attempts ORDER BY seq";
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| (0..7).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn attempts_of_both_forms_stand_in_one_chain_and_are_seen_alike() {
    let mut connection = ledger();
    let entry = Entry { cost_nanos: Some(44), ..request().entry };
    let object = serde_json::to_string(&entry).unwrap();
    append_body(&connection, &object, &entry);
    let change = Change {
        id: "c".to_owned(),
        at: 1,
        actor: "Claire".to_owned(),
        reason: String::new(),
        terms: None,
        differences: Vec::new(),
    };
    control::append_with_notes(&mut connection, change, &[]).unwrap();
    let (reply, mut held) = oneshot::channel();
    commit(&mut connection, vec![Command::Reserve(Box::new(request()), reply)]);
    let Decision::Held(reservation) = held.try_recv().unwrap().unwrap() else { panic!("refused") };
    let settlement = Settlement::new(reservation, vec![entry.clone()]);
    let (reply, _settled) = oneshot::channel();
    commit(&mut connection, vec![Command::Settle(Box::new(settlement), reply)]);

    let bodies = "SELECT count(*) FROM attempts WHERE substr(body, 1, 1) = (CASE seq WHEN 1 THEN '{' ELSE '[' END)";
    assert_eq!(connection.query_row(bodies, [], |row| row.get(0)), Ok(2));
    let mut read_back = Vec::new();
    read::visit_records(&connection, &mut |_, record| read_back.extend(record.into_attempt())).unwrap();
    assert_eq!(read_back, [entry.clone(), entry.clone()]);
    let rows = seen(&connection);
    let text = |text: &str| rusqlite::types::Value::from(text.to_owned());
    let expected =
        [&entry.id, "completed", &entry.provider, &entry.request_model, &entry.day, &entry.currency].map(text);
    assert_eq!(rows[0], [expected.as_slice(), &[44.into()]].concat());
    assert_eq!(rows[0], rows[1]);
    let report = read::report_data(&connection, &entry.day, &entry.day).unwrap();
    assert_eq!(report.rollups.iter().map(|(_, rollup)| rollup.figures.questions).sum::<u64>(), 2);
    let sound = verify::verify(&connection, None, &mut |_| {}).unwrap();
    assert_eq!((sound.findings, sound.entries), (Vec::new(), 3));
    assert_ne!(sound.head, ChainHead::default());

    // A later version of the program added a field: this one says so, and invents nothing.
    let newer = "[2,\"e\"]";
    append_body(&connection, newer, &entry);
    let findings = verify::verify(&connection, None, &mut |_| {}).unwrap().findings;
    assert!(findings[0].contains("entry 4: the form of the record is not known"), "{findings:?}");
    assert!(read::visit_records(&connection, &mut |_, _| {}).is_err());
}

#[test]
fn a_hold_of_the_form_before_is_swept() {
    let mut connection = ledger();
    let (reply, mut held) = oneshot::channel();
    commit(&mut connection, vec![Command::Reserve(Box::new(request()), reply)]);
    let Decision::Held(reservation) = held.try_recv().unwrap().unwrap() else { panic!("refused") };
    let _left = reservation.resolve();
    let unknown = Entry { outcome: Outcome::Unknown, ..request().entry };
    let object = serde_json::to_string(&unknown).unwrap();
    assert_eq!(connection.execute("UPDATE reservations SET entry = ?1", [object]), Ok(1));
    let later = now() + Duration::from_secs(61);
    let (reply, mut swept) = oneshot::channel();
    commit(&mut connection, vec![Command::Sweep(later, reply)]);
    assert_eq!(swept.try_recv().unwrap().unwrap(), 1);
    let Some(Record::Attempt(entry)) = read::record(&connection, 1).unwrap() else { panic!("no attempt") };
    assert_eq!(*entry, Entry { ended_at: later.as_microsecond(), ..unknown });
}

#[tokio::test]
async fn a_ledger_of_the_version_before_is_reported_on_as_it_was_booked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let before = 5;
    let mut connection = connect(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    Migrations::new(MIGRATIONS[..before].iter().map(|sql| M::up(sql)).collect()).to_latest(&mut connection).unwrap();
    let old = Entry {
        local_passages: false,
        local_hour: None,
        epoch: None,
        time_block: None,
        retried: false,
        client_left: false,
        ..request().entry
    };
    // More than one turn of the writer's, and a rollup of the form before, which nobody could read any more.
    let entries = 4_500;
    connection.execute("INSERT INTO rollups VALUES ('2026-11-24', 'openai', 'm', x'00')", []).unwrap();
    read::set_meta(&connection, read::ROLLUP_SEQ, "3").unwrap();
    let body = String::from_utf8(stored::to_body(&old).unwrap()).unwrap();
    let transaction = connection.transaction().unwrap();
    for _ in 0..entries {
        append_body(&transaction, &body, &old);
    }
    transaction.commit().unwrap();
    drop(connection);

    let settings = SqliteSettings { path: path.clone(), durability: Durability::Normal, queue: 64, batch: 64 };
    let questions = |store: &SqliteStore| -> u64 {
        let data = store.report_data(&old.day, &old.day).unwrap();
        data.rollups.iter().map(|(_, rollup)| rollup.figures.questions).sum()
    };
    let store = SqliteStore::open(&settings).unwrap();
    assert_eq!(questions(&store), entries, "however far the writer has come");
    store.close().await.unwrap();
    let connection = connect(&path).unwrap();
    assert_eq!(read::rollup_seq(&connection).unwrap(), entries, "all are in the aggregates");
    let beside = SqliteStore::open_beside(&path).unwrap();
    assert_eq!(questions(&beside), entries);
    assert!(beside.verify(None, &mut |_| {}).unwrap().is_clean());
}
