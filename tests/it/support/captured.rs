//! Log lines as the program writes them, into memory.

use std::io::Write;
use std::sync::{Arc, Mutex};

use passerelle::telemetry::{LogFormat, log_lines};
use serde_json::Value;
use tracing::subscriber::{DefaultGuard, set_default, set_global_default};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged from now on.
pub struct Captured {
    written: Written,
    _of_this_thread: Option<DefaultGuard>,
}

impl Captured {
    /// Of the whole process, as nextest gives each test one of its own; of this thread where another test was first.
    pub fn lines(format: LogFormat, level: &str) -> Self {
        let written = Written::default();
        let lines = |written: Written| log_lines(format, level, move || written.clone()).unwrap();
        let guard = set_global_default(lines(written.clone())).is_err().then(|| set_default(lines(written.clone())));
        Self { written, _of_this_thread: guard }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.written.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// Every line read as JSON.
    pub fn objects(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The lines of requests.
    pub fn requests(&self) -> Vec<Value> {
        self.objects().into_iter().filter(|line| line["target"] == "passerelle::request").collect()
    }
}
