//! How the process that serves hands over to the next one: its listening sockets, the ledger, what the rates have counted.
//!
//! Two sides of one conversation on a socket beside the ledger: [`Host`] of who serves, [`Successor`] of who comes. At no
//! moment do both admit from counters of their own: the one that serves first closes its door, counts whoever is on the
//! doorstep, releases the ledger, and only then tells what it has counted. What it still has inside is held and settled in
//! the same file, in transactions that read the counters anew. A successor that fails before it serves is forgotten: the
//! door opens again. It must not know requests.

mod host;
mod sockets;
mod successor;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::quota::UsedRates;

pub(super) use host::{Host, copies, forget_sockets};
pub use successor::{Successor, Taken};

/// How long each side waits for the other's next word, where nothing else bounds it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest word of the conversation, in bytes: a hundred thousand residents who ask at once fit.
const LONGEST_WORD: u64 = 16 << 20;

/// Where who serves from that ledger is asked to hand over.
fn control_path(ledger: &Path) -> PathBuf {
    beside(ledger, ".control")
}

/// Where who serves from that ledger takes requests that came in by a former process.
pub(super) fn relay_path(ledger: &Path) -> PathBuf {
    beside(ledger, ".relay")
}

fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What the successor says first.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    /// Its version, for the log.
    version: String,
    /// Its process, for the log.
    pid: u32,
    /// The form in which it keeps a ledger.
    schema: u32,
}

/// That the successor is ready to take over, or serves.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Take,
    Serving,
}

/// What the successor must go on counting.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    /// How far each resident has used up the rate, by plan.
    pub(super) rates: BTreeMap<String, UsedRates>,
    /// Calls that the former process has open.
    pub(super) open: OpenElsewhere,
}

/// Calls that another process has open, by resident.
pub(super) type OpenElsewhere = HashMap<Arc<str>, u32>;

/// The answer to [`Word::Take`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Given {
    Counted(Counted),
    /// A sentence.
    Refused(String),
}

/// One side's end of the conversation: JSON, a line a word.
struct Line(BufReader<UnixStream>);

impl Line {
    fn new(stream: UnixStream) -> Self {
        Self(BufReader::new(stream))
    }

    async fn say(&mut self, word: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        self.0.write_all(&line).await
    }

    /// The other's next word; `None` when it has gone.
    async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        let mut bounded = tokio::io::AsyncReadExt::take(&mut self.0, LONGEST_WORD);
        bounded.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }

    async fn hear_soon<T: DeserializeOwned>(&mut self, patience: Duration) -> io::Result<T> {
        let heard = tokio::time::timeout(patience, self.hear()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        heard.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
