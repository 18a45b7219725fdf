//! What the gateway logs, kept to be searched.

use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// From now on, whatever this process logs.
    pub fn everything() -> Self {
        let logs = Self::default();
        let writer = logs.clone();
        let lines = tracing_subscriber::fmt()
            .with_env_filter("passerelle=trace,providers=trace,info")
            .with_ansi(false)
            .with_writer(move || writer.clone());
        // One process per test under nextest; elsewhere another test's logs would only add lines to search.
        let _already_set = lines.try_init();
        logs
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}
