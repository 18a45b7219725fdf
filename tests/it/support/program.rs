//! The built program as a process of the test's own: the gateway, its vendors, and residents on plain sockets.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use passerelle::ledger::{Entry, Ledger};
use passerelle::simulator::{Books, RecordedCall};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_passerelle");
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of this test, ended with it.
pub struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self::with_stderr(command, Stdio::null())
    }

    /// The same, with its standard error somewhere.
    pub fn with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let command = command.env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The address in the next line that announces one: readiness, without sleeping.
    fn address(&mut self) -> String {
        let line = self.lines.next().unwrap().unwrap();
        let address = line.split_once("listening on http").unwrap().1;
        address.split_once("://").unwrap().1.to_owned()
    }

    /// What it wrote, where standard error is a pipe.
    pub fn stderr(&mut self) -> std::process::ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// How it ended, once it has.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A simulated vendor that remembers its calls.
pub struct VendorProcess {
    _running: Running,
    pub address: String,
}

impl VendorProcess {
    pub fn start(dialect: &str, pace: [&str; 4]) -> Self {
        let mut running =
            Running::start(Command::new(PROGRAM).args(["simulate", "--record-calls", "--dialect", dialect]).args(pace));
        let address = running.address();
        Self { _running: running, address }
    }

    /// Its books and calls, once no call is in flight there any more.
    pub async fn closed_books(&self) -> (Books, Vec<RecordedCall>) {
        let closed = async {
            loop {
                let books: Books = serde_json::from_slice(&self.get("/simulator/books").await).unwrap();
                if books.is_closed() {
                    return (books, serde_json::from_slice(&self.get("/simulator/calls").await).unwrap());
                }
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap()
    }

    /// Calls that reached it so far.
    pub async fn calls(&self) -> u64 {
        serde_json::from_slice::<Books>(&self.get("/simulator/books").await).unwrap().calls
    }

    async fn get(&self, path: &str) -> Vec<u8> {
        Socket::get(&self.address, path).await.unwrap().body
    }
}

/// A gateway that serves.
pub struct GatewayProcess {
    pub running: Running,
    pub public: String,
    pub mairie: String,
    pub ops: String,
}

/// A folder with a configuration, a ledger and two vendors' addresses.
pub struct Town {
    pub folder: PathBuf,
    pub config: PathBuf,
}

impl Town {
    /// `ledger`, `server` and `upstream` are lines of TOML for the tables of those names.
    pub fn new(openai: &str, mistral: &str, ledger: &str, server: &str, upstream: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("passerelle-town-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("town.toml");
        let text = format!(
            r#"
            [server]
            public = "127.0.0.1:0"
            mairie = "127.0.0.1:0"
            ops = "127.0.0.1:0"
            {server}
            [ledger]
            path = "data/ledger.sqlite"
            durability = "normal"
            {ledger}
            [identity]
            secret_file = "secret"
            [upstream]
            {upstream}
            [providers.openai]
            base_url = "http://{openai}/v1"
            [providers.mistral_ai]
            base_url = "http://{mistral}/v1"
            [plans.resident]
            requests_per_minute = 100000
            burst = 100000
            simultaneous = 1000
            questions_per_day = 100000
            tokens_per_day = 1000000000
            euros_per_month = "1000"
            "#
        );
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(&self.config);
        command
    }

    pub fn serve(&self) -> GatewayProcess {
        Self::serving(&mut self.command(&["serve"]))
    }

    /// A gateway started by a command of the test's own.
    pub fn serving(command: &mut Command) -> GatewayProcess {
        Self::announced(Running::start(command))
    }

    /// A gateway that was started and says where it listens.
    pub fn announced(mut running: Running) -> GatewayProcess {
        let (public, mairie, ops) = (running.address(), running.address(), running.address());
        GatewayProcess { running, public, mairie, ops }
    }

    pub fn key(&self) -> String {
        let output = self.command(&["keys", "issue", "--plan", "resident"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn ledger_file(&self) -> PathBuf {
        self.folder.join("data/ledger.sqlite")
    }

    /// The ledger, beside the process that serves.
    pub fn ledger(&self) -> Ledger {
        Ledger::open_sqlite_beside(&self.ledger_file()).unwrap()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut entries = Vec::new();
    ledger.visit_entries(&mut |_, entry| entries.push(entry)).unwrap();
    entries
}

/// An answer as it came over the wire; what is missing was cut.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub head: String,
    /// Of a stream: with the lengths of its chunks between.
    pub body: Vec<u8>,
}

impl Raw {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The last event of a stream came, and no failure before it.
    pub fn is_done(&self) -> bool {
        self.text().contains("data: [DONE]\n\n") && !self.text().contains(r#"{"error":"#)
    }

    /// The answer came to its end: what was promised is there.
    pub fn is_whole(&self) -> bool {
        match self.header("content-length") {
            Some(length) => self.body.len() == length.parse::<usize>().unwrap(),
            None => self.is_done() && self.body.ends_with(b"0\r\n\r\n"),
        }
    }

    /// Status, code and whether it says when to come back.
    pub fn refusal(&self) -> (u16, String, bool) {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code, self.header("retry-after").is_some())
    }
}

/// One request on a connection of its own.
pub struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
}

/// Bytes of a question as a resident's client sends them.
pub fn question(key: &str, model: &str, stream: bool) -> String {
    let body = super::gateway::question_body(model, "Bonjour", stream).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: passerelle\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Socket {
    /// Sends `bytes` on a new connection.
    pub async fn send(address: &str, bytes: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes.as_bytes()).await?;
        Ok(Self { stream, read: Vec::new() })
    }

    pub async fn send_more(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    pub async fn get(address: &str, path: &str) -> std::io::Result<Raw> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        Self::send(address, &request).await?.rest().await
    }

    /// Reads until `text` has come.
    pub async fn until(&mut self, text: &str) {
        while !self.read.windows(text.len()).any(|window| window == text.as_bytes()) {
            assert_ne!(
                self.stream.read_buf(&mut self.read).await.unwrap(),
                0,
                "{}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads to the end of the connection, however it comes.
    ///
    /// # Errors
    /// Nothing, or half a head, came.
    pub async fn rest(mut self) -> std::io::Result<Raw> {
        while !matches!(self.stream.read_buf(&mut self.read).await, Ok(0) | Err(_)) {}
        let cut = || std::io::Error::other("cut before the end of the head");
        let end = self.read.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        Ok(Raw { status, head, body: self.read[end + 4..].to_vec() })
    }
}

/// Asks and reads what comes; `None` when no answer began.
pub async fn ask(gateway: &str, key: &str, model: &str, stream: bool) -> Option<Raw> {
    Socket::send(gateway, &question(key, model, stream)).await.ok()?.rest().await.ok()
}
