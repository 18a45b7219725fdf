//! The fixtures on disk: what a vendor sends, what a client sends, and what must come of it.
//!
//! `UPDATE_GOLDEN=1` writes what the adapters give instead of comparing, for a reviewer to read as a diff.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::loopback::Reply;

/// Folders of vendors' transcripts; each is also the name of its dialect.
pub const VENDORS: &[&str] = &["openai", "mistral", "compatible"];

/// What a vendor sends.
pub struct Transcript {
    /// The dialect.
    pub vendor: &'static str,
    /// File name without its ending: `chat_tools_parallel`.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// `chat`, `responses`, `embeddings`, `moderations` or `transcription`.
    pub endpoint: String,
    /// HTTP status: 200, or the number in `error_429_rate`.
    pub status: u16,
    /// Whether it is an event stream.
    pub stream: bool,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Transcript {
    /// The client's request that is answered by this.
    pub fn request(&self) -> Value {
        let asked = json!([{"role": "user", "content": "Quels sont les horaires de la mairie ?"}]);
        let mut request = match self.endpoint.as_str() {
            "chat" => json!({"model": "any", "messages": asked}),
            "responses" => json!({"model": "any", "input": "Quels sont les horaires de la mairie ?"}),
            "transcription" if self.name.contains("verbose") => {
                json!({"model": "any", "response_format": "verbose_json"})
            }
            "transcription" => json!({"model": "any"}),
            _ => json!({"model": "any", "input": ["Horaires de la déchèterie", "Ramassage des encombrants"]}),
        };
        if self.stream {
            request["stream"] = true.into();
        }
        if self.stream && self.endpoint == "chat" {
            request["stream_options"] = json!({"include_usage": true});
        }
        if self.name.contains("_n2") {
            request["n"] = 2.into();
        }
        if self.name.contains("base64") {
            request["encoding_format"] = "base64".into();
        }
        request
    }

    /// The answer over HTTP, in these parts.
    pub fn reply(&self, parts: Vec<Vec<u8>>) -> Reply {
        let content_type = match self.path.extension().and_then(|ending| ending.to_str()) {
            Some("sse") => "text/event-stream; charset=utf-8",
            Some("json") => "application/json",
            _ => "text/html",
        };
        Reply { status: self.status, content_type, parts }
    }

    /// The answer over HTTP, in one part.
    pub fn whole_reply(&self) -> Reply {
        self.reply(vec![self.body.clone()])
    }

    /// The file that holds an expectation.
    pub fn expectation(&self, ending: &str) -> PathBuf {
        self.path.with_file_name(format!("{}.expect.{ending}", self.name))
    }

    /// The JSON documents in it: one, or one an event. Frames that are cut or no JSON are left out.
    pub fn documents(&self) -> Vec<Value> {
        if self.stream { events(&self.body) } else { serde_json::from_slice(&self.body).into_iter().collect() }
    }

    /// How a failing check names it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.vendor, self.name)
    }
}

/// The folder of fixtures.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Every transcript, sorted by name.
pub fn transcripts() -> Vec<Transcript> {
    let mut found = Vec::new();
    for vendor in VENDORS {
        for path in files(&folder().join(vendor)) {
            let file = path.file_name().unwrap().to_str().unwrap();
            if file.contains(".expect.") {
                continue;
            }
            let (name, ending) = file.split_once('.').unwrap();
            let mut words = name.split('_');
            let first = words.next().unwrap();
            let (endpoint, status) = match first {
                "error" => ("chat", words.next().unwrap().parse().unwrap()),
                endpoint => (endpoint, 200),
            };
            found.push(Transcript {
                vendor,
                name: name.to_owned(),
                endpoint: endpoint.to_owned(),
                status,
                stream: ending == "sse",
                body: std::fs::read(&path).unwrap(),
                path: path.clone(),
            });
        }
    }
    assert!(!found.is_empty());
    found
}

/// A client's request.
pub struct ClientRequest {
    /// File name without its ending.
    pub name: String,
    /// The endpoint it is sent to.
    pub endpoint: String,
    /// The body.
    pub body: Value,
}

/// Every client's request, sorted by name.
pub fn client_requests() -> Vec<ClientRequest> {
    let mut found = Vec::new();
    for path in files(&folder().join("requests")) {
        let file = path.file_name().unwrap().to_str().unwrap();
        if file.split('.').count() != 2 {
            continue;
        }
        let fixture = read_json(&path);
        found.push(ClientRequest {
            name: file.split_once('.').unwrap().0.to_owned(),
            endpoint: fixture["endpoint"].as_str().unwrap().to_owned(),
            body: fixture["body"].clone(),
        });
    }
    assert!(!found.is_empty());
    found
}

/// The data of every event that is JSON.
pub fn events(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let data = text.split("\n\n").map(|event| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    });
    data.filter_map(|data| serde_json::from_str(&data).ok()).collect()
}

/// Compares with the file, or writes it when `UPDATE_GOLDEN` is set. Gives what differs.
pub fn golden(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
        return None;
    }
    let name = path.strip_prefix(folder()).unwrap().display().to_string();
    let Ok(expected) = std::fs::read_to_string(path) else { return Some(format!("{name}: there is no such file")) };
    let same = match path.extension().and_then(|ending| ending.to_str()) {
        // The order of keys says nothing to a reader of JSON.
        Some("json") => serde_json::from_str::<Value>(&expected).ok() == serde_json::from_str(actual).ok(),
        _ => expected == actual || frames(&expected) == frames(actual),
    };
    (!same).then(|| format!("{name}:\n--- expected\n{expected}\n--- actual\n{actual}"))
}

/// The frames of a stream, each as JSON where it is no more than one `data` line of JSON.
fn frames(stream: &str) -> Vec<Result<Value, String>> {
    let frame = |text: &str| {
        let data = text.strip_prefix("data: ").filter(|data| !data.contains('\n'));
        data.and_then(|data| serde_json::from_str(data).ok()).ok_or_else(|| text.to_owned())
    };
    stream.split("\n\n").map(frame).collect()
}

/// JSON as it is kept in a fixture.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}
