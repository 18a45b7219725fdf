//! What `passerelle doctor` finds: a sound instance, and real faults of files, disk, ledger, vendors, addresses. It changes
//! nothing.

use std::fs::Permissions;
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::program::{PROGRAM, Town, VendorProcess, ask};

fn vendors() -> [VendorProcess; 2] {
    let pace = ["--first-token-ms", "5", "--inter-token-ms", "1"];
    [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)]
}

/// A town whose vendors are there on both of their hosts.
fn town(vendors: &[VendorProcess; 2]) -> Town {
    town_at(&vendors[0].address, &vendors[1].address)
}

fn town_at(openai: &str, mistral: &str) -> Town {
    let town = Town::new(openai, mistral, "", "", "");
    let text = std::fs::read_to_string(&town.config).unwrap();
    // The hosts in the Union too: the real ones are not to be called.
    let text =
        text.replace("[providers.mistral_ai]", "hosts = [\"global\"]\n[providers.mistral_ai]\nhosts = [\"global\"]");
    std::fs::write(&town.config, text).unwrap();
    town
}

/// What was found: state, check and text of each thing that is not as it should be.
struct Report {
    code: Option<i32>,
    all: Vec<(String, String, String)>,
    advice: Vec<String>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stdout);
        let value: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
        let findings = value["findings"].as_array().unwrap();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let all = findings.iter().map(|one| (text(one, "state"), text(one, "check"), text(one, "found"))).collect();
        Self { code: output.status.code(), all, advice: findings.iter().map(|one| text(one, "advice")).collect() }
    }

    fn has(&self, state: &str, check: &str, found: &str) -> bool {
        self.all.iter().any(|one| one.0 == state && one.1 == check && one.2.contains(found))
    }

    /// There is exactly this wrong, with something to do about it.
    fn only_wrong(&self, check: &str, found: &str) {
        let wrong: Vec<_> = self.all.iter().zip(&self.advice).filter(|(one, _)| one.0 == "wrong").collect();
        assert_eq!((wrong.len(), self.code), (1, Some(70)), "{wrong:?}");
        assert!(wrong[0].0.1 == check && wrong[0].0.2.contains(found) && !wrong[0].1.is_empty(), "{wrong:?}");
    }
}

fn examine(town: &Town, key: &str, more: &[&str]) -> Report {
    let mut command = town.command(&["doctor", "--json"]);
    Report::of(&command.args(more).env("OPENAI_API_KEY", key).env("MISTRAL_API_KEY", "k").output().unwrap())
}

/// The files of a folder with their contents and rights.
fn state_of(folder: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // The index of the write-ahead log is memory that readers and writers share.
        .filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "sqlite-shm"))
        .map(|path| {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            (path.display().to_string(), std::fs::read(&path).unwrap(), mode)
        })
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_instance_is_sound_serving_or_not_and_nothing_of_it_changes() {
    let vendors = vendors();
    let town = town(&vendors);
    let key = town.key();
    let mut gateway = town.serve();
    assert_eq!(ask(&gateway.public, &key, "gpt-6-luna", false).await.unwrap().status, 200);
    let calls = vendors[0].calls().await;
    let report = examine(&town, "k", &[]);
    assert_eq!(report.code, Some(0), "{:?}", report.all);
    for (state, check, found) in [
        ("ok", "ledger", "a gateway serves from it"),
        ("ok", "ledger pages", "nothing wrong"),
        ("ok", "ledger chain", "follow one another"),
        ("ok", "holds", "0 calls hold money"),
        ("ok", "vendors", "openai (global) answers 200"),
        ("ok", "vendors", "mistral_ai (global) answers 200"),
        ("ok", "models", "offers all 1 models of the routes"),
        ("ok", "clock", "it agrees with"),
        ("ok", "disk", "a flush takes"),
        ("warning", "configuration", "the newest dollar rate is of 2026-04-13"),
    ] {
        assert!(report.has(state, check, found), "no {state} {check} `{found}` in {:?}", report.all);
    }
    let serving = format!("of process {}", gateway.running.id());
    assert!(report.all.iter().any(|one| one.1 == "limits" && one.2.contains(&serving)), "{:?}", report.all);
    assert_eq!(vendors[0].calls().await, calls, "the list of models is no call");
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));

    let folder = town.ledger_file().parent().unwrap().to_owned();
    let before = state_of(&folder);
    let report = examine(&town, "k", &[]);
    assert!(report.has("ok", "ledger", "nobody serves from it") && report.code == Some(0), "{:?}", report.all);
    assert_eq!(state_of(&folder), before);
    let told = town.command(&["doctor", "--offline"]).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success() && text.contains("0 wrong, ") && !text.contains("vendors "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_vendors_is_told_apart() {
    let vendors = vendors();
    let revoked = town(&vendors);
    // The key that simulated vendors refuse.
    let report = examine(&revoked, "bad-key", &[]);
    report.only_wrong("vendors", "openai (global) answers 401");
    assert!(!format!("{:?}{:?}", report.all, report.advice).contains("bad-key"));

    let nowhere = town_at("no-such-host.invalid", &vendors[1].address);
    examine(&nowhere, "k", &[]).only_wrong("vendors", "openai (global): its name is not found");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    examine(&town_at(&closed, &vendors[1].address), "k", &[]).only_wrong("vendors", "openai (global): no connection");
    assert_eq!(examine(&town_at(&closed, &closed), "k", &["--offline"]).code, Some(0));

    // Something that speaks no TLS, where a certificate is asked for.
    let town = town(&vendors);
    let text = std::fs::read_to_string(&town.config).unwrap();
    let secure = text.replace(&format!("http://{}", vendors[0].address), &format!("https://{}", vendors[0].address));
    std::fs::write(&town.config, secure).unwrap();
    let report = examine(&town, "k", &[]);
    assert!(report.code == Some(70) && report.has("wrong", "vendors", "openai (global): "), "{:?}", report.all);

    // A vendor of OpenAI's dialect that offers none of Mistral's models.
    let swapped = town_at(&vendors[0].address, &vendors[0].address);
    examine(&swapped, "k", &[]).only_wrong("models", "mistral_ai does not list mistral-small-latest");

    // Without keys in the environment, as in an operator's shell.
    let without = Report::of(&revoked.command(&["doctor", "--json"]).output().unwrap());
    assert!(without.has("warning", "configuration", "vendors' keys are missing here"), "{:?}", without.all);
    assert!(without.code == Some(0) && without.has("ok", "vendors", "answers 401"), "{:?}", without.all);
}

#[test]
fn files_that_others_may_read_are_wrong() {
    let town = town_at("127.0.0.1:9", "127.0.0.1:9");
    town.key();
    assert_eq!(examine(&town, "k", &["--offline"]).code, Some(0));
    let readable = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    readable(&town.ledger_file());
    examine(&town, "k", &["--offline"]).only_wrong("file rights", "ledger.sqlite has mode 0644");
    std::fs::set_permissions(town.ledger_file(), Permissions::from_mode(0o600)).unwrap();

    // The configuration may be read by everybody, until it holds a secret.
    readable(&town.config);
    assert_eq!(examine(&town, "k", &["--offline"]).code, Some(0));
    let mut text = std::fs::read_to_string(&town.config).unwrap();
    text.push_str("\n[mairie]\ntoken = \"t-secret\"\n");
    std::fs::write(&town.config, text).unwrap();
    let report = examine(&town, "k", &["--offline"]);
    report.only_wrong("file rights", "town.toml has mode 0644");
    assert!(!format!("{:?}", report.all).contains("t-secret"));
}

#[test]
fn a_damaged_ledger_is_found_in_each_of_its_parts() {
    let town = town_at("127.0.0.1:9", "127.0.0.1:9");
    let nothing = examine(&town, "k", &["--offline"]);
    assert!(nothing.has("warning", "ledger", "is not there yet") && nothing.code == Some(0), "{:?}", nothing.all);
    town.key();
    let path = town.ledger_file();
    let good = std::fs::read(&path).unwrap();
    let spoil = |sql: &str| {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(sql).unwrap();
    };
    let found = |check: &str, found: &str| {
        examine(&town, "k", &["--offline"]).only_wrong(check, found);
        let _not_there = std::fs::remove_file(path.with_extension("sqlite-wal"));
        std::fs::write(&path, &good).unwrap();
    };
    let change = r#"{"kind":"change","id":"c","at":1,"actor":"x","differences":[]}"#;
    spoil(&format!("INSERT INTO entries (seq, body, hash) VALUES (1, '{change}', zeroblob(32))"));
    found("ledger chain", "entry 1 does not follow the one before it");
    spoil("INSERT INTO rollups VALUES ('2026-11-24', 'openai', 'm', 'eu', 'chat', 'chosen', 0, x'00')");
    found("aggregates", "1 cannot be read");
    spoil("PRAGMA user_version = 99");
    found("ledger", "was written by a newer passerelle");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[0x5a; 64]).unwrap();
    found("ledger", "file is not a database");
    assert_eq!(examine(&town, "k", &["--offline"]).code, Some(0));
}

#[test]
fn an_address_that_somebody_else_has_and_a_configuration_that_is_none() {
    let town = town_at("127.0.0.1:9", "127.0.0.1:9");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = town.command(&["doctor", "--json", "--offline"]);
    command.env("PASSERELLE__SERVER__OPS", taken.local_addr().unwrap().to_string());
    Report::of(&command.output().unwrap()).only_wrong("listeners", "is in use, and no gateway serves from the ledger");

    std::fs::write(&town.config, "[server]\npublic = \"here\"\n").unwrap();
    let broken = town.command(&["doctor"]).output().unwrap();
    assert_eq!(broken.status.code(), Some(78));
    assert!(String::from_utf8(broken.stderr).unwrap().contains("server.public: `here` is not an address"));
}

#[test]
fn a_full_disk_is_wrong() {
    let town = town_at("127.0.0.1:9", "127.0.0.1:9");
    town.key();
    let folder = town.ledger_file().parent().unwrap().to_owned();
    // A disk of its own, of four megabytes, in a namespace of its own; where that may not be made, nothing can be shown.
    let script = "cp -a \"$2\" \"$2.before\" && mount -t tmpfs -o size=4m tmpfs \"$2\" && cp -a \"$2.before\"/. \"$2\" \
                  && { cat /dev/zero > \"$2/ballast\" 2>/dev/null || true; } && exec \"$0\" doctor --json --offline --config \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "bash", "-c", script, PROGRAM]).arg(&town.config).arg(&folder);
    let output = command.env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k").output().unwrap();
    if output.stdout.is_empty() {
        assert!(String::from_utf8_lossy(&output.stderr).contains("unshare"), "{output:?}");
        return;
    }
    let report = Report::of(&output);
    assert!(
        report.code == Some(70) && report.has("wrong", "disk", "0 MB free where the ledger is"),
        "{:?}",
        report.all
    );
    assert!(report.has("wrong", "disk", "a small file cannot be written there"), "{:?}", report.all);
}
