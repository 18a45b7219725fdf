//! Backups while residents ask, and the way back from them: what was used up is used up, what was drawn is drawn, and only
//! what came after is missing.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use passerelle::care::{Backup, BackupJob, RestoreJob, Verified};
use passerelle::config::{Environment, Loaded, load};
use passerelle::ledger::{Ledger, Outcome};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::TestGateway;
use crate::support::program::{Town, VendorProcess, ask, entries};

const MODELS: [&str; 2] = ["gpt-6-luna", "mistral-small-latest"];
/// Residents who ask one question after the other.
const CLIENTS: usize = 8;
const SHORT_CALLS: &str = "first_byte_seconds = 3\nidle_seconds = 3\ntotal_seconds = 3\ndrain_seconds = 1";

fn vendors() -> [VendorProcess; 2] {
    let pace = ["--first-token-ms", "15", "--inter-token-ms", "2"];
    [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)]
}

fn town(vendors: &[VendorProcess; 2]) -> Town {
    let ledger = "lease_seconds = 5\nsweep_seconds = 1";
    Town::new(&vendors[0].address, &vendors[1].address, ledger, "", SHORT_CALLS)
}

/// A town before vendors that nobody calls.
fn quiet_town() -> Town {
    Town::new("127.0.0.1:9", "127.0.0.1:9", "", "", "")
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs `passerelle backup`; gives its exit code and what it says as JSON.
fn back_up(town: &Town, output: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let mut command = town.command(&["backup", "--json"]);
    let done = command.arg("--output").arg(output).args(more).output().unwrap();
    let made = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", words(&done)));
    (done.status.code(), made)
}

fn folder_of(made: &Value) -> PathBuf {
    made["folder"].as_str().unwrap().into()
}

fn restore(town: &Town, from: &Path, more: &[&str]) -> Output {
    town.command(&["restore"]).arg("--from").arg(from).args(more).output().unwrap()
}

fn verifies(town: &Town, noted: &str) {
    let verified = town.command(&["ledger", "verify", "--noted", noted]).output().unwrap();
    assert!(verified.status.success(), "{}", words(&verified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_comes_back_on_another_machine_with_all_but_what_came_after() {
    let vendors = vendors();
    let lost = town(&vendors);
    let keys: Vec<String> = (0..CLIENTS).map(|_| lost.key()).collect();
    let mut gateway = lost.serve();
    let mut residents = JoinSet::new();
    for (number, key) in keys.iter().enumerate() {
        let (address, key) = (gateway.public.clone(), key.clone());
        residents.spawn(async move {
            let mut answered = 0;
            while let Some(answer) = ask(&address, &key, MODELS[number % 2], number % 4 < 2).await {
                answered += u64::from(answer.is_whole());
            }
            answered
        });
    }
    let ledger = lost.ledger();
    while entries(&ledger).len() < 2 * CLIENTS {
        tokio::task::yield_now().await;
    }
    let before = entries(&ledger);
    let safe = tempfile::tempdir().unwrap();
    let (code, made) = back_up(&lost, safe.path(), &[]);
    assert_eq!((code, &made["manifest"]["verified"]), (Some(0), &Value::from("sound")), "{made}");
    let head = made["manifest"]["head"].as_str().unwrap().to_owned();
    let (records, open) = (&made["manifest"]["records"], made["manifest"]["open_reservations"].as_u64().unwrap());
    assert!(open > 0, "it was to be made while calls are open");
    // Residents go on, and are cut off.
    let enough = entries(&ledger).len() + CLIENTS;
    while entries(&ledger).len() < enough {
        tokio::task::yield_now().await;
    }
    gateway.running.kill();
    let mut answered = 0;
    while let Some(count) = residents.join_next().await {
        answered += count.unwrap();
    }
    assert!(answered > 0);
    verifies(&lost, &head);
    drop(ledger);
    std::fs::remove_dir_all(&lost.folder).unwrap();

    let found = town(&vendors);
    let restored = restore(&found, &folder_of(&made), &[]);
    let told = words(&restored);
    assert_eq!(restored.status.code(), Some(0), "{told}");
    for said in [
        format!("{records} records, verified"),
        format!("end of the chain: {head}"),
        format!("{open} calls were open: they are settled as unknown, at their ceiling"),
        "What came after that is not in it".to_owned(),
    ] {
        assert!(told.contains(&said), "no `{said}` in:\n{told}");
    }
    verifies(&found, &head);
    let ledger = found.ledger();
    let kept = entries(&ledger);
    assert_eq!(kept[..before.len()], before, "what was settled before it began is in it");
    assert_eq!(ledger.gauges().unwrap().open_reservations, open);
    goes_on(&found, &keys, kept.len(), open).await;
    verifies(&found, &head);
}

/// Calls that were open become unknown once their leases end, keys work, and the chain goes on.
async fn goes_on(found: &Town, keys: &[String], kept: usize, open: u64) {
    let ledger = found.ledger();
    let again = found.serve();
    let swept = async {
        while ledger.gauges().unwrap().open_reservations > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.unwrap();
    for key in keys {
        let answer = ask(&again.public, key, MODELS[0], false).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let now = entries(&ledger);
    let unknown: Vec<_> = now[kept..].iter().filter(|entry| entry.outcome == Outcome::Unknown).collect();
    assert_eq!(unknown.len() as u64, open, "each call that was open, once");
    assert!(unknown.iter().all(|entry| entry.charged.euro_nanos == entry.ceiling_euro_nanos));
    assert_eq!(now.len(), kept + unknown.len() + keys.len());
}

/// The configuration of a test's gateway, and of another place for it.
fn loaded(file: &Path) -> Loaded {
    let keys = [("OPENAI_API_KEY", "vendor-key-openai"), ("MISTRAL_API_KEY", "vendor-key-mistral")];
    load(Some(file), &Environment::from_pairs(keys)).unwrap()
}

fn made_of(gateway: &TestGateway, output: &Path) -> Backup {
    let loaded = loaded(gateway.file());
    let now = gateway.clock.now();
    BackupJob { loaded: &loaded, output, keep: None, verify: true, now }.run(&mut |_| {}).unwrap()
}

#[tokio::test]
async fn what_was_used_up_is_used_up_and_what_was_drawn_is_drawn_after_a_restore() {
    let limits = "[town]\neuros_per_month = \"0.0020\"\n[plans.petit]\nrequests_per_minute = 1000\nburst = 1000\n\
                  simultaneous = 10\nquestions_per_day = 1\ntokens_per_day = 100000\neuros_per_month = \"1\"\n\
                  max_output_tokens = 100\nhosts = \"any\"\nmodels = []\n";
    let gateway = TestGateway::with(limits).await;
    let (rose, jean) = (gateway.resident(), gateway.resident_of("petit"));
    let conversations: Vec<String> = (0..12).map(|number| format!("Conversation {number}")).collect();
    let mut drawn = Vec::new();
    for text in &conversations {
        let answer = gateway.ask(&rose, "auto", text, false).await;
        drawn.push(answer.header("x-passerelle-provider").unwrap().to_owned());
    }
    assert_eq!(gateway.ask(&jean, "auto", "Une", false).await.status, 200);
    let spent = gateway.ask(&jean, "auto", "Deux", false).await.refusal();
    assert_eq!((spent.0, spent.1.as_str()), (429, "insufficient_quota"));
    let usage = gateway.get(&rose, "/v1/usage").await.json();
    let safe = tempfile::tempdir().unwrap();
    let backup = made_of(&gateway, safe.path());
    assert_eq!(backup.manifest.verified, Verified::Sound);

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("test.toml");
    std::fs::copy(gateway.file(), &file).unwrap();
    let loaded = loaded(&file);
    let now = gateway.clock.now();
    let job = RestoreJob { loaded: &loaded, from: &backup.folder, replace: false, now };
    job.run(&mut |_| {}).unwrap();
    let again = TestGateway::on(place.path(), limits).await;
    let refused = again.ask(&jean, "auto", "Trois", false).await.refusal();
    assert_eq!((refused.0, refused.1.as_str()), (429, "insufficient_quota"), "used up before, used up after");
    assert_eq!(again.get(&rose, "/v1/usage").await.json()["used"], usage["used"]);
    for (text, provider) in conversations.iter().zip(&drawn) {
        let answer = again.ask(&rose, "auto", text, false).await;
        assert_eq!(answer.header("x-passerelle-provider"), Some(provider.as_str()), "{text}");
    }
    // The envelope goes on from what was spent of it: as many more as are left, and not one beyond.
    let spent = |ledger: &Ledger| -> i64 {
        let mut sum = 0;
        ledger.visit_entries(&mut |_, entry| sum += entry.charged.euro_nanos).unwrap();
        sum
    };
    let status = loop {
        let answer = again.ask(&rose, "gpt-6-luna", "Encore", false).await;
        if answer.status != 200 {
            break answer.refusal();
        }
    };
    assert_eq!((status.0, status.1.as_str()), (503, "town_envelope_exhausted"));
    assert!((0..=2_000_000).contains(&spent(again.ledger())) && spent(again.ledger()) > spent(gateway.ledger()));
    let second = made_of(&again, safe.path());
    assert_eq!(second.manifest.instance, backup.manifest.instance);
    drop(again);
    let job = RestoreJob { from: &second.folder, replace: true, ..job };
    let over = tempfile::tempdir().unwrap();
    std::fs::copy(gateway.file(), over.path().join("test.toml")).unwrap();
    let elsewhere = self::loaded(&over.path().join("test.toml"));
    RestoreJob { loaded: &elsewhere, ..job }.run(&mut |_| {}).unwrap();
    let third = TestGateway::on(over.path(), limits).await;
    let refused = third.ask(&rose, "gpt-6-luna", "Encore", false).await.refusal();
    assert_eq!((refused.0, refused.1.as_str()), (503, "town_envelope_exhausted"), "spent before, spent after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_takes_nothing_from_anybody() {
    let vendors = vendors();
    let here = town(&vendors);
    let key = here.key();
    let mut gateway = here.serve();
    assert_eq!(ask(&gateway.public, &key, MODELS[0], false).await.unwrap().status, 200);
    let safe = tempfile::tempdir().unwrap();
    let (code, made) = back_up(&here, safe.path(), &[]);
    assert_eq!(code, Some(0));
    let backup = folder_of(&made);
    assert_eq!(ask(&gateway.public, &key, MODELS[1], false).await.unwrap().status, 200);

    let refused = restore(&here, &backup, &["--replace"]);
    assert_eq!(refused.status.code(), Some(78), "{}", words(&refused));
    assert!(words(&refused).contains("already in use by another passerelle"), "somebody serves");
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let refused = restore(&here, &backup, &[]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(words(&refused).contains("ledger.sqlite is there already: --replace"), "{}", words(&refused));
    let refused = restore(&here, &here.folder, &["--replace"]);
    assert_eq!(refused.status.code(), Some(64), "{}", words(&refused));
    assert_eq!(entries(&here.ledger()).len(), 2, "nothing has changed");

    // One byte in the middle of the ledger, or of the secret, is not what it was.
    for name in ["ledger.sqlite", "secret"] {
        let path = backup.join(name);
        let good = std::fs::read(&path).unwrap();
        let mut spoilt = good.clone();
        let middle = spoilt.len() / 2;
        spoilt[middle] ^= 1;
        std::fs::write(&path, &spoilt).unwrap();
        let refused = restore(&here, &backup, &["--replace"]);
        assert_eq!(refused.status.code(), Some(70));
        assert!(words(&refused).contains("is not what its manifest says"), "{}", words(&refused));
        std::fs::write(&path, &good).unwrap();
    }
    let left: Vec<_> = names(here.ledger_file().parent().unwrap());
    assert!(!left.iter().any(|name| name.contains("restor")), "{left:?}");
    assert_eq!(entries(&here.ledger()).len(), 2);

    let done = restore(&here, &backup, &["--replace"]);
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let aside = words(&done).lines().find_map(|line| line.strip_prefix("moved aside: ").map(PathBuf::from)).unwrap();
    assert_eq!(entries(&here.ledger()).len(), 1, "as it was then");
    let before = Ledger::open_sqlite_beside(&aside).unwrap();
    assert_eq!(entries(&before).len(), 2, "what was there is whole beside it");
    assert!(before.verify().unwrap().is_clean());
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn backups_are_their_owners_alone_and_the_oldest_of_this_instance_go() {
    let (town, other) = (quiet_town(), quiet_town());
    let safe = tempfile::tempdir().unwrap();
    let nothing = town.command(&["backup"]).arg("--output").arg(safe.path()).output().unwrap();
    assert_eq!(nothing.status.code(), Some(78), "{}", words(&nothing));
    for town in [&town, &other] {
        town.key();
        std::fs::write(town.folder.join("secret"), format!("{:064x}\n", uuid::Uuid::now_v7().as_u128())).unwrap();
    }
    let (_, foreign) = back_up(&other, safe.path(), &[]);
    std::fs::create_dir(safe.path().join("passerelle-photos")).unwrap();
    let made: Vec<_> = (0..4).map(|_| folder_of(&back_up(&town, safe.path(), &["--keep", "2"]).1)).collect();
    // Two of ours and the other's, whichever names were free in the same second.
    let left = names(safe.path()).iter().filter(|name| name.starts_with("passerelle-20")).count();
    assert!(left == 3 && made[2].exists() && made[3].exists(), "{made:?}");
    assert!(folder_of(&foreign).exists() && safe.path().join("passerelle-photos").exists(), "what is not ours stays");

    let newest = &made[3];
    assert_eq!(names(newest), ["ledger.sqlite", "manifest.json", "secret"]);
    assert_eq!(mode(newest), 0o700);
    for name in names(newest) {
        assert_eq!(mode(&newest.join(&name)), 0o600, "{name}");
    }
    let manifest = std::fs::read_to_string(newest.join("manifest.json")).unwrap();
    let secret = std::fs::read_to_string(town.folder.join("secret")).unwrap();
    assert!(!manifest.contains(secret.trim()) && manifest.contains("town.toml"));
    assert_eq!(std::fs::read_to_string(newest.join("secret")).unwrap(), secret);
}

#[test]
fn a_damaged_ledger_is_backed_up_says_so_and_costs_no_older_backup() {
    let town = quiet_town();
    for _ in 0..3 {
        town.key();
    }
    let safe = tempfile::tempdir().unwrap();
    let (_, good) = back_up(&town, safe.path(), &[]);
    let file = rusqlite::Connection::open(town.ledger_file()).unwrap();
    file.execute("INSERT INTO counters (account, window, questions) VALUES ('town', '2026-11', 7)", []).unwrap();
    drop(file);
    let (code, made) = back_up(&town, safe.path(), &["--keep", "1"]);
    assert_eq!((code, &made["manifest"]["verified"]), (Some(70), &Value::from("damaged")));
    assert!(made["findings"][0].as_str().unwrap().contains("counter of town for 2026-11"), "{made}");
    assert!(folder_of(&made).exists() && folder_of(&good).exists(), "the one from before is the way back");
    let elsewhere = quiet_town();
    let refused = restore(&elsewhere, &folder_of(&made), &[]);
    assert_eq!(refused.status.code(), Some(70), "{}", words(&refused));
    assert!(!elsewhere.ledger_file().exists());
    assert_eq!(restore(&elsewhere, &folder_of(&good), &[]).status.code(), Some(0));
    let (code, made) = back_up(&town, safe.path(), &["--no-verify"]);
    assert_eq!((code, &made["manifest"]["verified"]), (Some(0), &Value::from("no")));
}

#[test]
fn a_ledger_and_all_beside_it_are_their_owners_alone() {
    let town = quiet_town();
    town.key();
    let ledger = town.ledger();
    assert_eq!(ledger.list_keys().unwrap().len(), 1);
    let folder = town.ledger_file().parent().unwrap().to_owned();
    let beside = names(&folder);
    assert!(beside.contains(&"ledger.sqlite-wal".to_owned()), "{beside:?}");
    for name in beside {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
}
