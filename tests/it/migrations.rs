//! Ledgers as the last program of each schema wrote them (`fixtures/ledgers`, by `write.py` there) are opened, kept whole and
//! gone on with by the program of today; what cannot be brought up to date stays as it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use passerelle::identity::ApiKey;
use passerelle::ledger::{Durability, Ledger, LedgerFile, Outcome, SqliteSettings, StoreError};
use passerelle::quota::Limit;

use crate::support::ledgers::{assert_sound, at, question};
use crate::support::program::{PROGRAM, Town, VendorProcess, ask, entries};

/// The day on which the fixtures were written, after the last of them.
const DAY: &str = "2026-11-30T12:00:00+01:00";

/// A ledger of the past, and what its first lines say of it.
struct Past {
    version: u32,
    sql: &'static str,
}

const PAST: [Past; 6] = [
    Past { version: 1, sql: include_str!("fixtures/ledgers/schema-1.sql") },
    Past { version: 2, sql: include_str!("fixtures/ledgers/schema-2.sql") },
    Past { version: 3, sql: include_str!("fixtures/ledgers/schema-3.sql") },
    Past { version: 4, sql: include_str!("fixtures/ledgers/schema-4.sql") },
    Past { version: 5, sql: include_str!("fixtures/ledgers/schema-5.sql") },
    Past { version: 6, sql: include_str!("fixtures/ledgers/schema-6.sql") },
];

impl Past {
    fn said_after(&self, words: &str) -> &str {
        let rest = self.sql.split_once(words).unwrap().1;
        rest.split([';', '\n']).next().unwrap().trim()
    }

    fn key(&self) -> &str {
        self.said_after("The key of a resident: ")
    }

    fn visitor(&self) -> &str {
        self.said_after("one question a day: ")
    }

    fn revoked(&self) -> &str {
        self.said_after("one that was revoked: ")
    }

    fn write(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = rusqlite::Connection::open(path).unwrap();
        // Tables come in the order of their names.
        file.execute_batch("PRAGMA foreign_keys = off").unwrap();
        file.execute_batch(self.sql).unwrap();
        assert_eq!(version(path), self.version);
    }
}

fn version(path: &Path) -> u32 {
    let file = rusqlite::Connection::open(path).unwrap();
    file.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Everything that a file says.
fn dump(path: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(path).unwrap();
    let mut said = vec![format!("version {}", version(path))];
    let mut schema = file.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
    let part = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let parts = schema.query_map([], part).unwrap();
    let parts: Vec<(String, String, String)> = parts.collect::<Result<_, _>>().unwrap();
    for (kind, name, sql) in parts {
        said.push(sql);
        if kind != "table" {
            continue;
        }
        let mut rows = file.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column).unwrap());
            said.push(format!("{name} {:?}", values.collect::<Vec<_>>()));
        }
    }
    said
}

fn open(path: &Path) -> Result<Ledger, StoreError> {
    let settings = SqliteSettings { path: path.to_owned(), durability: Durability::Normal, queue: 64, batch: 16 };
    Ledger::open_sqlite(&settings)
}

/// A folder that goes with the test.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/ledger.sqlite");
    (folder, path)
}

fn resident(ledger: &Ledger, key: &str) -> passerelle::ledger::KeyRecord {
    ledger.find_key(&ApiKey::parse(key).unwrap().hash()).unwrap().unwrap()
}

#[tokio::test]
async fn a_ledger_of_every_schema_keeps_its_books_and_its_quotas() {
    for past in PAST {
        let (_folder, path) = folder();
        past.write(&path);
        let before = rusqlite::Connection::open(&path).unwrap();
        let head: (u64, Vec<u8>) = before
            .query_row("SELECT seq, hash FROM entries ORDER BY seq DESC", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        drop(before);

        let ledger = open(&path).unwrap();
        assert_eq!(version(&path), 6, "from {}", past.version);
        let verification = ledger.verify().unwrap();
        assert!(verification.is_clean(), "from {}: {:?}", past.version, verification.findings);
        assert_eq!((verification.head.seq, verification.head.hash.to_vec()), head, "from {}", past.version);
        assert_eq!(verification.open_reservations, 2);

        // Six answers for one resident, of which one was given back later where a program could, and one for a visitor.
        let (who, visitor) = (resident(&ledger, past.key()), resident(&ledger, past.visitor()));
        assert!(who.is_live() && visitor.is_live() && !resident(&ledger, past.revoked()).is_live());
        let refused = question(&visitor.resident).at(DAY).limited(Limit::QuestionsPerDay, 1).refused(&ledger).await;
        assert_eq!((refused.used, refused.held), (1, 0), "from {}: what was used is used", past.version);
        let refused = question(&who.resident).at(DAY).limited(Limit::QuestionsPerDay, 7).refused(&ledger).await;
        assert_eq!(refused.held, 2, "from {}: what was held is held", past.version);

        let answered = || {
            let data = ledger.report_data("2026-11-30", "2026-11-30").unwrap();
            data.rollups.iter().map(|(_, rollup)| rollup.figures.answered).sum::<u64>()
        };
        assert_eq!(answered(), 7, "from {}", past.version);
        assert_eq!(ledger.sweep(at("2026-11-30T14:00:00+01:00")).await.unwrap(), 2);
        let unknown: Vec<_> = entries(&ledger).into_iter().filter(|entry| entry.outcome == Outcome::Unknown).collect();
        assert!(unknown.len() == 2 && unknown.iter().all(|one| one.charged.euro_nanos == one.ceiling_euro_nanos));
        question(&who.resident).at(DAY).answered(&ledger, 300, 1_000).await;
        assert_eq!(answered(), 8);
        assert_sound(&ledger);
        ledger.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_every_schema_is_served_and_reported_on() {
    let pace = ["--first-token-ms", "5", "--inter-token-ms", "1"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    for past in PAST {
        let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
        past.write(&town.ledger_file());
        std::fs::write(town.folder.join("secret"), past.said_after("The instance's secret: ")).unwrap();
        let mut gateway = town.serve();
        for (model, stream) in [("gpt-6-luna", true), ("mistral-small-latest", false)] {
            let answer = ask(&gateway.public, past.key(), model, stream).await.unwrap();
            assert_eq!(answer.status, 200, "from {}: {}", past.version, answer.text());
        }
        assert_eq!(ask(&gateway.public, past.revoked(), "auto", false).await.unwrap().status, 401);
        let report = town.command(&["report", "--from", "2026-11-30", "--to", "2026-11-30"]).output().unwrap();
        assert!(report.status.success(), "from {}: {report:?}", past.version);
        gateway.running.terminate();
        assert_eq!(gateway.running.ended().await.code(), Some(0));
        assert!(town.command(&["ledger", "verify"]).output().unwrap().status.success(), "from {}", past.version);
    }
}

#[test]
fn a_file_of_a_later_version_is_left_alone_and_the_sentence_says_what_to_do() {
    let town = Town::new("127.0.0.1:9", "127.0.0.1:9", "", "", "");
    let path = town.ledger_file();
    PAST[5].write(&path);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let before = std::fs::read(&path).unwrap();
    let backups = town.folder.join("backups");
    for arguments in
        [&["serve"][..], &["keys", "list"], &["ledger", "verify"], &["backup", "--output", backups.to_str().unwrap()]]
    {
        let output = town.command(arguments).env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k").output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}: {words}");
        assert!(words.contains("was written by a newer passerelle (schema 7; this one knows up to 6)"), "{words}");
        assert!(words.contains("install the newer one again, or restore the backup"), "{words}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(std::fs::read_dir(&backups).unwrap().all(|left| left.unwrap().file_name() == ".passerelle-lock"));
}

#[test]
fn a_migration_that_fails_halfway_leaves_the_file_as_it_was() {
    let (_folder, path) = folder();
    PAST[0].write(&path);
    // The third step wants to make a table of that name: two steps have been taken by then.
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE holds (something INTEGER)").unwrap();
    drop(file);
    let before = dump(&path);
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("migration") && error.contains("holds"), "{error}");
    assert_eq!(dump(&path), before);

    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE holds").unwrap();
    assert_sound(&open(&path).unwrap());
}

#[tokio::test]
async fn a_process_that_ends_within_a_migration_leaves_the_file_as_it_was() {
    let town = Town::new("127.0.0.1:9", "127.0.0.1:9", "", "", "");
    let path = town.ledger_file();
    PAST[1].write(&path);
    let before = dump(&path);
    // The system ends it at the first byte past that length, within the write-ahead log of the migration.
    let script = "ulimit -f 48; exec \"$0\" keys list --config \"$1\"";
    let ended = Command::new("bash").args(["-c", script, PROGRAM]).arg(&town.config).output().unwrap();
    assert_eq!(ended.status.code(), None, "it was to be ended by a signal: {ended:?}");
    let log = std::fs::metadata(path.with_extension("sqlite-wal")).unwrap().len();
    assert!(log > 0, "it was to end while it wrote");
    assert_eq!(dump(&path), before);

    let ledger = open(&path).unwrap();
    assert_sound(&ledger);
    assert_eq!(version(&path), 6);
    ledger.close().await.unwrap();
}

#[test]
fn a_ledger_that_an_older_program_serves_is_not_changed_under_its_hands() {
    let (_folder, path) = folder();
    PAST[4].write(&path);
    let before = dump(&path);
    let serving = LedgerFile::new(&path).keep_free().unwrap();
    let refused = Ledger::open_sqlite_beside(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Older { found: 5, known: 6, .. }), "{refused}");
    assert!(refused.to_string().contains("an older passerelle serves from"), "{refused}");
    assert_eq!(dump(&path), before);
    drop(serving);
    Ledger::open_sqlite_beside(&path).unwrap();
    assert_eq!(version(&path), 6);
}

#[tokio::test]
async fn two_programs_that_bring_a_ledger_up_to_date_at_once_do_it_once() {
    for _ in 0..5 {
        let (_folder, path) = folder();
        PAST[0].write(&path);
        let beside: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || Ledger::open_sqlite_beside(&path).map(drop))
            })
            .collect();
        for one in beside {
            one.join().unwrap().unwrap();
        }
        assert_sound(&open(&path).unwrap());
    }
}
