//! Trouble with the ledger's file, on the real program: a full disk, another writer, a file or folder that may only be
//! read, a file that is no ledger. No vendor is called, and it goes on by itself when the trouble ends.

use std::fs::Permissions;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use passerelle::ledger::{Ledger, Outcome};

use crate::support::program::{GatewayProcess, PROGRAM, Raw, Socket, Town, VendorProcess, ask, entries, question};

const MODELS: [&str; 2] = ["gpt-6-luna", "mistral-small-latest"];
const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    vendors: [VendorProcess; 2],
    town: Town,
    key: String,
}

impl Scene {
    /// Vendors that take about a second and a half for a stream.
    fn new() -> Self {
        let pace = ["--first-token-ms", "20", "--inter-token-ms", "15"];
        let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
        let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
        let key = town.key();
        Self { vendors, town, key }
    }

    async fn calls(&self) -> u64 {
        self.vendors[0].calls().await + self.vendors[1].calls().await
    }

    async fn ask(&self, gateway: &GatewayProcess, model: &str, stream: bool) -> Raw {
        ask(&gateway.public, &self.key, model, stream).await.unwrap()
    }

    /// Begins a stream of each vendor, then `trouble`; every new question is refused before a vendor hears of it, and
    /// the streams go on to their end. After `relief` everything works again and is settled.
    async fn goes_through(&self, gateway: &mut GatewayProcess, trouble: impl FnOnce(), relief: impl FnOnce()) {
        let mut streams = Vec::new();
        for model in MODELS {
            let mut stream = Socket::send(&gateway.public, &question(&self.key, model, true)).await.unwrap();
            stream.until("data: ").await;
            streams.push(stream);
        }
        let before = refused_writes(gateway).await;
        trouble();
        for stream in [false, true] {
            for model in MODELS {
                let refused = self.ask(gateway, model, stream).await;
                assert_eq!(refused.refusal(), (503, "ledger_unavailable".to_owned(), true), "{}", refused.text());
            }
        }
        assert_eq!(self.calls().await, 2, "not one question reached a vendor");
        assert_eq!(writable(gateway).await, "0", "operators are told");
        assert_ready_without_books(gateway).await;
        assert!(refused_writes(gateway).await >= before + 4, "each refused write is counted");
        for stream in streams {
            let answer = stream.rest().await.unwrap();
            assert!(answer.is_whole(), "an answer in progress is not cut: {}", answer.text());
        }
        relief();
        let works = async {
            while self.ask(gateway, MODELS[0], false).await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, works).await.unwrap();
        assert_eq!(writable(gateway).await, "1");
        assert_eq!(answers(gateway, "/ledgerz").await, 200);
        self.everything_is_settled(gateway).await;
    }

    async fn everything_is_settled(&self, gateway: &mut GatewayProcess) {
        gateway.running.terminate();
        assert_eq!(gateway.running.ended().await.code(), Some(0));
        let ledger = self.town.ledger();
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
        let all = entries(&ledger);
        assert_eq!(all.len() as u64, self.calls().await);
        assert!(all.iter().all(|entry| entry.outcome == Outcome::Completed && entry.cost_nanos.is_some()));
        assert_sound(&ledger);
    }
}

async fn assert_ready_without_books(gateway: &GatewayProcess) {
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/ledgerz", 503)] {
        assert_eq!(answers(gateway, path).await, status, "who restarts or removes it would help nobody: {path}");
    }
}

async fn answers(gateway: &GatewayProcess, path: &str) -> u16 {
    Socket::get(&gateway.ops, path).await.unwrap().status
}

fn assert_sound(ledger: &Ledger) {
    let verification = ledger.verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);
}

/// The counter of refused writes, as operators read it.
async fn refused_writes(gateway: &GatewayProcess) -> u64 {
    let metrics = Socket::get(&gateway.ops, "/metrics").await.unwrap().text();
    // One line for each reason.
    let lines = metrics.lines().filter(|line| line.starts_with("passerelle_ledger_writes_refused_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Whether the ledger takes writes, as operators read it.
async fn writable(gateway: &GatewayProcess) -> String {
    let metrics = Socket::get(&gateway.ops, "/metrics").await.unwrap().text();
    let said = metrics.lines().find_map(|line| line.strip_prefix("passerelle_ledger_writable "));
    said.unwrap().to_owned()
}

/// A command of the system; fails with it.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow_stop_questions_and_cut_no_answer() {
    let scene = Scene::new();
    // A write past the limit fails as on a full disk; without the trap the system would end the process.
    let script = "trap '' XFSZ; exec \"$0\" serve --config \"$1\"";
    let mut gateway = Town::serving(Command::new("bash").args(["-c", script, PROGRAM]).arg(&scene.town.config));
    let id = gateway.running.id().to_string();
    let limit = |bytes: &str| run("prlimit", &["--pid", &id, &format!("--fsize={bytes}")]);
    scene.goes_through(&mut gateway, || limit("4096:unlimited"), || limit("unlimited:unlimited")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_writer_stops_questions_and_cuts_no_answer() {
    let scene = Scene::new();
    let mut gateway = scene.town.serve();
    let other = rusqlite::Connection::open(scene.town.ledger_file()).unwrap();
    let lock = || other.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.goes_through(&mut gateway, lock, || other.execute_batch("ROLLBACK").unwrap()).await;
}

/// Whether this user may write where nobody may: then nothing can be shown of a file that may only be read.
fn may_write_anything(folder: &Path) -> bool {
    let file = folder.join("read-only");
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&file).is_ok()
}

/// Whether this user may mount in a namespace of its own: root may, unless it lives in a container that forbids it.
fn may_mount(folder: &Path) -> bool {
    let mut command = Command::new("unshare");
    command.args(["-m", "mount", "-t", "tmpfs", "tmpfs"]).arg(folder);
    command.output().is_ok_and(|output| output.status.success())
}

/// The program's last words and exit code, when it cannot serve.
fn refuses_to_serve(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Serves one question and stops, so that there is something to lose.
async fn one_question(scene: &Scene) {
    let mut gateway = scene.town.serve();
    assert_eq!(scene.ask(&gateway, MODELS[1], false).await.status, 200);
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_ledger_is_not_served_and_not_touched() {
    let scene = Scene::new();
    one_question(&scene).await;
    let path = scene.town.ledger_file();
    let good = std::fs::read(&path).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[0x5a; 64]).unwrap();
    drop(file);
    let spoilt = std::fs::read(&path).unwrap();

    let (code, words) = refuses_to_serve(&mut scene.town.command(&["serve"]));
    assert_eq!(code, Some(70), "{words}");
    assert!(words.contains("passerelle: ") && words.contains("file is not a database"), "{words}");
    assert_eq!(std::fs::read(&path).unwrap(), spoilt, "what is left of it is left alone");

    std::fs::write(&path, good).unwrap();
    one_question(&scene).await;
    assert_eq!(entries(&scene.town.ledger()).len(), 2);
    assert_sound(&scene.town.ledger());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_may_only_be_read_is_not_served() {
    let scene = Scene::new();
    one_question(&scene).await;
    let path = scene.town.ledger_file();
    let folder = path.parent().unwrap();
    let mut command = scene.town.command(&["serve"]);
    if may_write_anything(&scene.town.folder) {
        if !may_mount(&scene.town.folder) {
            // Nothing binds this user, and no mount can.
            return;
        }
        // Permissions do not bind this user: a mount that may only be read does.
        command = Command::new("unshare");
        let script =
            "mount --bind \"$2\" \"$2\" && mount -o remount,ro,bind \"$2\" && exec \"$0\" serve --config \"$1\"";
        command.args(["-m", "bash", "-c", script, PROGRAM]).arg(&scene.town.config).arg(folder);
    } else {
        for entry in std::fs::read_dir(folder).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o400)).unwrap();
        }
        std::fs::set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
    }
    let (code, words) = refuses_to_serve(&mut command);
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(code, Some(70), "{words}");
    assert!(words.contains("the ledger's store is not available") && words.contains("data/ledger.sqlite"), "{words}");
    assert_eq!(entries(&scene.town.ledger()).len(), 1, "nothing is lost");
    one_question(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_questions_and_cuts_no_answer() {
    let scene = Scene::new();
    let folder = scene.town.ledger_file().parent().unwrap().to_owned();
    if !may_mount(&scene.town.folder) {
        // Files that may not grow tell the same story without a mount.
        return;
    }
    // The keys were issued before: they move to a small disk of the gateway's own.
    let script = "cp -a \"$2\" \"$2.before\" && mount -t tmpfs -o size=4m tmpfs \"$2\" && cp -a \"$2.before\"/. \"$2\" \
                  && exec \"$0\" serve --config \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "bash", "-c", script, PROGRAM]).arg(&scene.town.config).arg(&folder);
    let mut gateway = Town::serving(&mut command);
    let inside = PathBuf::from(format!("/proc/{}/root", gateway.running.id())).join(folder.strip_prefix("/").unwrap());
    let ballast = inside.join("ballast");
    let fill = || {
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    let mut streams = Vec::new();
    for model in MODELS {
        let mut stream = Socket::send(&gateway.public, &question(&scene.key, model, true)).await.unwrap();
        stream.until("data: ").await;
        streams.push(stream);
    }
    fill();
    // What SQLite has in hand already may still take a few; then no more.
    let full = async { while scene.ask(&gateway, MODELS[0], false).await.status == 200 {} };
    tokio::time::timeout(PATIENCE, full).await.unwrap();
    let calls = scene.calls().await;
    let refused = scene.ask(&gateway, MODELS[1], true).await;
    assert_eq!(refused.refusal(), (503, "ledger_unavailable".to_owned(), true), "{}", refused.text());
    assert_eq!(scene.calls().await, calls);
    assert!(refused_writes(&gateway).await > 0);
    for stream in streams {
        assert!(stream.rest().await.unwrap().is_whole());
    }
    std::fs::remove_file(&ballast).unwrap();
    let works = async { while scene.ask(&gateway, MODELS[0], false).await.status != 200 {} };
    tokio::time::timeout(PATIENCE, works).await.unwrap();
    let calls = scene.calls().await;
    let settled = async {
        loop {
            let kept = copy_of(&inside, &scene.town.folder);
            if entries(&kept).len() as u64 == calls {
                break kept;
            }
            tokio::task::yield_now().await;
        }
    };
    let kept = tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!(kept.gauges().unwrap().open_reservations, 0);
    assert_sound(&kept);
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
}

/// The ledger in a folder that only the kernel finds: SQLite would follow the links in its path to another place.
fn copy_of(inside: &Path, folder: &Path) -> Ledger {
    let kept = folder.join(format!("kept-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&kept).unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        std::fs::copy(inside.join(name), kept.join(name)).unwrap();
    }
    Ledger::open_sqlite_beside(&kept.join("ledger.sqlite")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_spoilt_under_a_running_gateway_calls_nobody_and_a_good_copy_loses_nothing() {
    let scene = Scene::new();
    let mut gateway = scene.town.serve();
    assert_eq!(scene.ask(&gateway, MODELS[0], false).await.status, 200);
    let files = ["", "-wal"].map(|end| PathBuf::from(format!("{}{end}", scene.town.ledger_file().display())));
    let good = files.each_ref().map(|file| std::fs::read(file).unwrap());
    // In place: the gateway has the files open.
    let write = |file: &Path, bytes: &[u8]| {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all(bytes).unwrap();
    };
    for (file, good) in files.iter().zip(&good) {
        write(file, &vec![0x5a; good.len()]);
    }
    for stream in [false, true] {
        for model in MODELS {
            let refused = scene.ask(&gateway, model, stream).await;
            assert_eq!(refused.refusal(), (503, "ledger_unavailable".to_owned(), true), "{}", refused.text());
        }
    }
    assert_eq!(scene.calls().await, 1, "not one question reached a vendor");
    for (file, good) in files.iter().zip(&good) {
        write(file, good);
    }
    // The same process goes on with the good copy.
    let works = async { while scene.ask(&gateway, MODELS[0], false).await.status != 200 {} };
    tokio::time::timeout(PATIENCE, works).await.unwrap();
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let ledger = scene.town.ledger();
    assert_eq!((entries(&ledger).len(), ledger.gauges().unwrap().open_reservations), (2, 0));
    assert_sound(&ledger);
}
