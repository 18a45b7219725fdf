//! The load: connections that ask one question after the other (closed loop) or at intended times (open loop), and what
//! they see. Light, on one thread: it shares the machine with what it measures.
//!
//! It must not know what answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::events::Events;
use crate::histogram::Times;
use crate::schedule::Schedule;

/// Failures after which a connection gives up.
const MOST_FAILURES: u64 = 20;
/// Longest wait for one answer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Who is asked, and what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Keys; connection number n takes the n-th, or the last.
    pub(crate) keys: Arc<[String]>,
    /// The body of the request.
    pub(crate) body: Bytes,
    /// Events of a whole stream at least; 0 where the answer is no stream.
    pub(crate) least_events: u64,
}

impl Target {
    /// The request of connection number `connection`.
    ///
    /// # Errors
    /// A key that is no header.
    pub(crate) fn request(&self, connection: usize, path: &str) -> Result<Request<Full<Bytes>>> {
        let key = self.keys.get(connection).or_else(|| self.keys.last()).context("no key")?;
        Ok(Request::post(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))?)
    }
}

/// What all connections have seen, while it is measured.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whole answers.
    pub(crate) answers: AtomicU64,
    /// Events of streams, also of those that have not ended.
    pub(crate) events: AtomicU64,
    /// False until everything is warm: until then no time is kept.
    is_measured: AtomicBool,
    is_over: AtomicBool,
    kept: Mutex<Kept>,
}

/// Times and failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// From the start (open loop: the intended one) to the end of the answer.
    pub(crate) whole: Times,
    /// From the start to the first piece of text.
    pub(crate) first_text: Times,
    /// Why answers did not come, and how often: warm or not.
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Seen {
    /// From here on times are kept.
    pub(crate) fn measure(&self) {
        self.is_measured.store(true, Ordering::Relaxed);
    }

    /// No question is asked any more.
    pub(crate) fn stop(&self) {
        self.is_measured.store(false, Ordering::Relaxed);
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept so far.
    pub(crate) fn kept_so_far(&self) -> Kept {
        self.kept().clone()
    }

    /// Counts an answer that did not come, or not whole.
    pub(crate) fn fail(&self, why: String) {
        *self.kept().failures.entry(why).or_default() += 1;
    }
}

/// Asks over `connections` until [`Seen::stop`]: one question after the other, or where there is a schedule when it says
/// so. Streams start spread over `spread`, so that they do not beat in time.
///
/// # Errors
/// No runtime, or a request that cannot be made. Answers that do not come are counted in `seen`.
pub(crate) fn drive(
    target: &Target,
    connections: usize,
    schedule: Option<&Arc<Schedule>>,
    spread: Duration,
    seen: &Arc<Seen>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::with_capacity(connections);
        for number in 0..connections {
            let request = target.request(number, "/v1/chat/completions")?;
            let worker = Worker {
                address: target.address,
                request,
                least_events: target.least_events,
                schedule: schedule.cloned(),
                seen: Arc::clone(seen),
            };
            let wait = spread.mul_f64(number as f64 / connections as f64);
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                worker.work().await;
            }));
        }
        for task in tasks {
            task.await?;
        }
        Ok(())
    })
}

struct Worker {
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    least_events: u64,
    schedule: Option<Arc<Schedule>>,
    seen: Arc<Seen>,
}

impl Worker {
    async fn work(&self) {
        let mut connection = None;
        let mut failures = 0;
        while failures < MOST_FAILURES {
            let Some(start) = self.next_start().await else { return };
            // Before connecting: what opens a connection while everything warms up is not measured.
            let is_measured = self.seen.is_measured.load(Ordering::Relaxed);
            let mut open = match connection.take() {
                Some(open) => open,
                None => match connect(self.address).await {
                    Ok(open) => open,
                    Err(error) => {
                        failures += 1;
                        self.seen.fail(format!("{error:#}"));
                        continue;
                    }
                },
            };
            let asked = tokio::time::timeout(DEADLINE, self.ask(&mut open, start, is_measured)).await;
            match asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no whole answer within a minute"))) {
                Ok(()) => connection = Some(open),
                Err(error) => {
                    failures += 1;
                    self.seen.fail(format!("{error:#}"));
                }
            }
        }
        self.seen.fail("a connection gave up".to_owned());
    }

    /// When the next question starts; none when it is over.
    async fn next_start(&self) -> Option<Instant> {
        match &self.schedule {
            Some(schedule) => schedule.next().await,
            None => (!self.seen.is_over.load(Ordering::Relaxed)).then(Instant::now),
        }
    }

    async fn ask(&self, open: &mut SendRequest<Full<Bytes>>, start: Instant, is_measured: bool) -> Result<()> {
        open.ready().await?;
        let response = open.send_request(self.request.clone()).await?;
        let status = response.status();
        let mut body = response.into_body();
        if status != StatusCode::OK {
            let text = body.collect().await?.to_bytes();
            // Request ids make every text another: the beginning says why.
            let text = String::from_utf8_lossy(&text).chars().take(80).collect::<String>();
            bail!("{status}: {text}");
        }
        let (mut events, mut bytes, mut first) = (Events::default(), 0, None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes += data.len();
            if self.least_events > 0 {
                let before = events.count;
                events.feed(&data);
                self.seen.events.fetch_add(events.count - before, Ordering::Relaxed);
                if events.has_text && first.is_none() {
                    first = Some(start.elapsed());
                }
            }
        }
        ensure!(bytes > 0, "an empty answer");
        if self.least_events > 0 {
            ensure!(events.is_done, "a stream without its end");
            ensure!(events.count >= self.least_events, "a stream of only {} events", events.count);
        }
        self.seen.answers.fetch_add(1, Ordering::Relaxed);
        if is_measured {
            let mut kept = self.seen.kept();
            kept.whole.record(start.elapsed());
            if let Some(first) = first {
                kept.first_text.record(first);
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with the connection is told to the question on it.
    drop(tokio::spawn(connection));
    Ok(sender)
}
