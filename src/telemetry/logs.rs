//! Where log lines go, how they look, and which of them are written. It must not know what they say.
//!
//! Lines are handed to a thread of their own: standard error that is closed, slow or full stops nobody who serves.

mod text;
mod writer;

use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use text::TextFields;
use writer::Writer;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The lines on their way. Dropped, it waits for them, no longer than two seconds: it must outlive whatever logs.
#[must_use = "dropped at once, what is logged later may be lost at the end of the process"]
#[derive(Debug)]
pub struct Logs {
    _writer: Option<Writer>,
}

/// What changes the level while the process runs.
static LEVEL: OnceLock<Level> = OnceLock::new();

type Level = reload::Handle<EnvFilter, Registry>;

/// Sends log lines of that level (`info`, `passerelle=debug`) and above to standard error, and panics too. A second call
/// changes nothing.
///
/// # Errors
/// A sentence when the level cannot be read, or no thread can be started.
pub fn init_logs(format: LogFormat, level: &str) -> Result<Logs, String> {
    let (writer, lines) = Writer::to_stderr().map_err(|error| format!("log lines cannot be written: {error}"))?;
    let (subscriber, handle) = assembled(format, level, lines)?;
    if subscriber.try_init().is_err() {
        return Ok(Logs { _writer: None });
    }
    let _first = LEVEL.set(handle);
    std::panic::set_hook(Box::new(tell_of_panic));
    Ok(Logs { _writer: Some(writer) })
}

/// Changes which lines are written, from the next one on.
///
/// # Errors
/// A sentence when the level cannot be read, or lines are not written by [`init_logs`]; nothing is changed then.
pub fn set_level(level: &str) -> Result<(), String> {
    change(LEVEL.get().ok_or("this process writes no log lines")?, level)
}

fn change(handle: &Level, level: &str) -> Result<(), String> {
    handle.reload(filter(level)?).map_err(|error| format!("the level of log lines cannot be changed: {error}"))
}

/// What writes lines of that level into `writer` as [`init_logs`] does to standard error.
///
/// # Errors
/// A sentence when the level cannot be read.
pub fn log_lines<W>(format: LogFormat, level: &str, writer: W) -> Result<impl Subscriber + Send + Sync, String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    assembled(format, level, writer).map(|(subscriber, _)| subscriber)
}

fn assembled<W>(format: LogFormat, level: &str, writer: W) -> Result<(impl Subscriber + Send + Sync, Level), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level)?);
    Ok((Registry::default().with(filter).with(layer(format, writer)), handle))
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(level).map_err(|error| format!("`{level}` is not a log level: {error}"))
}

fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What the library has to say of itself would go to standard error directly, and could block there.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(false).fmt_fields(TextFields).boxed(),
        LogFormat::Json => {
            let json = fmt::format().json().flatten_event(true).with_current_span(false).with_span_list(false);
            lines.fmt_fields(JsonFields::new()).event_format(json).boxed()
        }
    }
}

/// A panic is told by its place alone: its words may quote what was being read, such as a question.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| (place.file(), place.line()));
    let (file, line) = place.unwrap_or(("unknown", 0));
    // Words that are in the source are nobody's.
    let words = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(code.file.path = file, code.line.number = line, panic = words, "a mistake of ours: panic");
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str, tell: impl FnOnce(&Level)) -> String {
        let written = Written::default();
        let writer = written.clone();
        let (subscriber, handle) = assembled(format, level, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || tell(&handle));
        written.text()
    }

    #[test]
    fn the_level_is_changed_while_lines_are_written() {
        let text = written(LogFormat::Text, "info", |level| {
            tracing::debug!("before");
            change(level, "debug").unwrap();
            tracing::debug!("between");
            assert!(change(level, "no such=level").is_err());
            tracing::debug!("still");
            change(level, "error").unwrap();
            tracing::info!("after");
        });
        assert!(text.contains("between") && text.contains("still") && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn a_value_ends_neither_its_line_nor_the_next_field() {
        let wrong = "two\nlines\u{1b}[31m";
        let text = written(LogFormat::Text, "info", |_| {
            tracing::info!(plain = "a/b-c.d", spaced = "a b", error.r#type = "x", %wrong, number = 7, none = None::<u64>, "said");
        });
        let fields = text.split_once("telemetry::logs::tests: ").unwrap().1;
        assert_eq!(fields, "said plain=a/b-c.d spaced=\"a b\" error.type=x wrong=two\\nlines\\u{1b}[31m number=7\n");
    }

    #[test]
    fn a_panic_is_told_by_its_place_and_never_by_what_was_read() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_of_panic));
        let told = written(LogFormat::Json, "info", |_| {
            let question = "canari: où est la mairie ?".to_owned();
            let cut = std::panic::catch_unwind(|| question[..10].to_owned());
            assert!(cut.is_err());
            let known = std::panic::catch_unwind(|| panic!("words of ours"));
            assert!(known.is_err());
        });
        std::panic::set_hook(hook);
        assert!(told.contains("src/telemetry/logs.rs") && told.contains("words of ours"), "{told}");
        assert!(!told.contains("canari") && !told.contains("mairie"), "{told}");
    }
}
