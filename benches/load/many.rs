//! Many slow streams open at once: the gateway's memory, its processor time while nothing is sent, and whether each stream
//! reaches its end.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::driver::Target;
use crate::events::Events;
use crate::figures;
use crate::stage::{Arm, Programs, Setting, Stage};
use crate::steps::paced;

/// Streams of one HTTP/2 connection.
const STREAMS_PER_CONNECTION: u32 = 100;
/// Streams being opened at the same time.
const OPENING: usize = 128;
/// Open files of the gateway that are no stream: ledger, listeners, logs.
const OTHER_FILES: u64 = 512;
/// Wait before the first token, in milliseconds.
const FIRST_MILLIS: u32 = 50;
/// Tokens of each stream.
const TOKENS: u32 = 3;
/// Kept clear of frames on both sides of the interval in which nothing is sent.
const MARGIN: Duration = Duration::from_millis(700);

/// What came of it; memory in megabytes.
#[derive(Debug, Serialize)]
pub(crate) struct Many {
    pub(crate) run: u32,
    pub(crate) streams: u32,
    /// Of these, each over a connection of its own, over HTTP/1.1.
    pub(crate) over_http1: u32,
    /// Most open files of a process here.
    pub(crate) open_files: u64,
    /// What the configuration says beside the defaults.
    pub(crate) configuration: String,
    /// How long opening took, in seconds.
    pub(crate) opening_seconds: f64,
    /// Streams that did not reach their end, by the reason.
    pub(crate) lost: BTreeMap<String, u64>,
    pub(crate) resident_idle: f64,
    /// With all streams open, before the second frame of any.
    pub(crate) resident_open: f64,
    /// The largest seen until all had ended.
    pub(crate) resident_most: f64,
    pub(crate) resident_after: f64,
    /// Share of one core while nothing is sent; none where opening took so long that frames were never still.
    pub(crate) busy_still: Option<f64>,
    /// Length of that interval, in seconds.
    pub(crate) still_seconds: f64,
}

/// How streams are opened.
struct Opener {
    target: Target,
    opening: Semaphore,
    opened: Semaphore,
    lost: Mutex<BTreeMap<String, u64>>,
}

/// Opens `streams` and waits for their end.
///
/// # Errors
/// A program that does not start or ends, or more streams than open files allow.
pub(crate) fn many(programs: &Programs, streams: u32, is_quick: bool, run: u32) -> Result<Many> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let (open_files, _) = figures::open_files(&limits).context("/proc/self/limits cannot be read")?;
    // The gateway holds one file for each stream towards the vendor; what remains is for residents' connections.
    let room = open_files.saturating_sub(u64::from(streams) + OTHER_FILES);
    ensure!(room > 0, "{open_files} open files are too few for {streams} streams towards a vendor");
    let over_http1 = u32::try_from(room.min(u64::from(streams)))?;
    // One frame to open, then stillness for less than the gateway's sign of life (15 s).
    let gap = Duration::from_secs(if is_quick { 6 } else { 14 });
    let more = format!("max_requests = {0}\n[upstream]\nmax_concurrency = {0}\n", streams + 100);
    let pace = paced(FIRST_MILLIS, u32::try_from(gap.as_millis())?, TOKENS);
    let setting = Setting { pace, keys: usize::try_from(streams)?, one_core: false, more: more.clone() };
    let stage = Stage::start(programs, &setting)?;
    let resident_idle = stage.gateway.resident_megabytes()?;
    let opener = Arc::new(Opener {
        target: stage.target(Arm::Gateway, Some(TOKENS)),
        opening: Semaphore::new(OPENING),
        opened: Semaphore::new(0),
        lost: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = runtime.block_on(watch(&stage, &opener, streams, over_http1, gap))?;
    std::thread::sleep(Duration::from_secs(2));
    let lost = opener.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Many {
        run,
        streams,
        over_http1,
        open_files,
        configuration: more.replace("\n[upstream]\n", ", upstream.").replace("max_requests", "server.max_requests"),
        opening_seconds: watched.opening.as_secs_f64(),
        lost,
        resident_idle,
        resident_open: watched.resident_open,
        resident_most: watched.resident_most,
        resident_after: stage.gateway.resident_megabytes()?,
        busy_still: watched.busy_still,
        still_seconds: watched.still.as_secs_f64(),
    })
}

struct Watched {
    opening: Duration,
    still: Duration,
    busy_still: Option<f64>,
    resident_open: f64,
    resident_most: f64,
}

async fn watch(stage: &Stage, opener: &Arc<Opener>, streams: u32, over_http1: u32, gap: Duration) -> Result<Watched> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..over_http1 {
        let opener = Arc::clone(opener);
        tasks.spawn(async move { opener.one(number as usize, None).await });
    }
    for first in (over_http1..streams).step_by(STREAMS_PER_CONNECTION as usize) {
        let sender = http2(&opener.target).await?;
        for number in first..streams.min(first + STREAMS_PER_CONNECTION) {
            let (opener, sender) = (Arc::clone(opener), sender.clone());
            tasks.spawn(async move { opener.one(number as usize, Some(sender)).await });
        }
    }
    // Streams that are lost count as opened too: nobody waits for them.
    drop(timeout(Duration::from_secs(120), opener.opened.acquire_many(streams)).await.context("opening")??);
    let opening = start.elapsed();
    sleep(MARGIN).await;
    let (from, cpu) = (Instant::now(), stage.gateway.cpu_seconds()?);
    // The first stream's second frame is due a gap after its first, which came after `start`.
    let still = (start + gap).saturating_duration_since(from + MARGIN);
    sleep(still).await;
    let used = stage.gateway.cpu_seconds()? - cpu;
    let busy_still = (still >= Duration::from_secs(1)).then(|| used / from.elapsed().as_secs_f64());
    let resident_open = stage.gateway.resident_megabytes()?;
    let mut resident_most = resident_open;
    while !tasks.is_empty() {
        let one_more = timeout(Duration::from_millis(500), async { while tasks.join_next().await.is_some() {} });
        let _all_ended = one_more.await;
        resident_most = resident_most.max(stage.gateway.resident_megabytes()?);
    }
    Ok(Watched { opening, still, busy_still, resident_open, resident_most })
}

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2(target: &Target) -> Result<Http2> {
    let stream = TcpStream::connect(target.address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    drop(tokio::spawn(connection));
    Ok(sender)
}

impl Opener {
    /// One stream from its opening to its end.
    async fn one(&self, number: usize, over: Option<Http2>) {
        let opened = self.open(number, over).await;
        self.opened.add_permits(1);
        let ended = match opened {
            Ok(response) => read_to_end(response).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner).entry(format!("{error:#}")).or_default() += 1;
        }
    }

    async fn open(&self, number: usize, over: Option<Http2>) -> Result<Response<Incoming>> {
        let _turn = self.opening.acquire().await?;
        let path = "/v1/chat/completions";
        let response = if let Some(mut sender) = over {
            sender.ready().await?;
            let absolute = format!("http://{}{path}", self.target.address);
            sender.send_request(self.target.request(number, &absolute)?).await?
        } else {
            over_http1(&self.target, self.target.request(number, path)?).await?
        };
        ensure!(response.status() == StatusCode::OK, "{}", response.status());
        Ok(response)
    }
}

async fn over_http1(target: &Target, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
    let stream = TcpStream::connect(target.address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    Ok(sender.send_request(request).await?)
}

async fn read_to_end(response: Response<Incoming>) -> Result<()> {
    let (mut body, mut events) = (response.into_body(), Events::default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            events.feed(&data);
        }
    }
    ensure!(events.is_done, "a stream without its end");
    Ok(())
}
