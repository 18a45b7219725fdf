//! Connections on real sockets against small routers.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

const IDLE: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(10);
/// What a client of HTTP/2 begins with: the preface and empty settings.
const HTTP2_BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn served(router: Router, max: usize) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settled = CancellationToken::new();
    let limits = ConnectionConfig { max, header_read: IDLE, request_read: SOON, idle: IDLE };
    let hall = Hall::new(Door::Public, None, router, &limits, &Gate::new(), &settled);
    TaskTracker::new().spawn(hall.serve(listener));
    (address, settled)
}

async fn client(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    client
}

/// What comes until the connection ends, however it does.
async fn rest(mut client: TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let all = async { while !matches!(client.read_buf(&mut read).await, Ok(0) | Err(_)) {} };
    timeout(SOON, all).await.expect("the connection stays open");
    read
}

async fn until(client: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert_ne!(timeout(SOON, client.read_buf(&mut read)).await.unwrap().unwrap(), 0, "{read:?}");
    }
    read
}

#[tokio::test]
async fn who_asks_nothing_is_cut_whatever_the_protocol() {
    let (address, _settled) = served(Router::new().route("/", get(|| async { "" })), 100).await;
    for began in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", b"PRI * HTTP", HTTP2_BEGIN] {
        let read = rest(client(address, began).await).await;
        assert!(!read.starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_connection_at_rest_is_closed_and_one_that_waits_for_us_is_not() {
    let slow = || async {
        sleep(IDLE * 4).await;
        let frames = stream::iter(["a", "b"]).then(|frame| async move {
            sleep(IDLE * 4).await;
            Ok::<_, Infallible>(frame)
        });
        Body::from_stream(frames)
    };
    let (address, _settled) = served(Router::new().route("/", get(slow)), 100).await;
    let mut client = client(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let read = until(&mut client, b"0\r\n\r\n").await;
    assert!(String::from_utf8_lossy(&read).contains("\r\na\r\n1\r\nb\r\n"));
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    assert!(rest(client).await.is_empty(), "half a head is not asked");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let sum = |body: Bytes| async move { body.len().to_string() };
    let (address, _settled) = served(Router::new().route("/", axum::routing::post(sum)), 100).await;
    let asked = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc";
    assert!(rest(client(address, asked).await).await.is_empty());
    // One that comes slowly is read to its end.
    let mut slow = client(address, asked).await;
    for byte in [b"d", b"e", b"f"] {
        sleep(IDLE / 2).await;
        slow.write_all(byte).await.unwrap();
    }
    until(&mut slow, b"\r\n\r\n6").await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let (alive, mut dropped) = mpsc::channel::<()>(1);
    let endless = move || {
        let alive = alive.clone();
        async move {
            let frames = stream::repeat_with(move || {
                let _alive = &alive;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16_384]))
            });
            Body::from_stream(frames)
        }
    };
    let (address, settled) = served(Router::new().route("/", get(endless)), 100).await;
    let client = client(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sleep(IDLE / 2).await;
    // The router's own sender goes with the accept loop; the answer's stays as long as its body.
    settled.cancel();
    assert!(timeout(SOON, dropped.recv()).await.expect("the answer is still held").is_none());
    drop(client);
}

#[tokio::test]
async fn one_more_than_there_are_places_waits_for_its_turn() {
    let (address, _settled) = served(Router::new().route("/", get(|| async { "hello" })), 1).await;
    let mut first = client(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut first, b"hello").await;
    let mut second = client(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(timeout(IDLE / 2, second.read_u8()).await.is_err(), "there is one place");
    drop(first);
    until(&mut second, b"hello").await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (address, _settled) = served(Router::new().route("/", get(|| async { "" })), 100).await;
    let mut client = client(address, b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ").await;
    let (mut reader, mut writer) = client.split();
    let flood = async {
        let mut sent = 0;
        while sent < 16 << 20 && writer.write_all(&[b'x'; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    };
    let refused = async {
        let mut read = [0; 12];
        reader.read_exact(&mut read).await.map(|_| read)
    };
    let (sent, refused) = timeout(SOON, async { tokio::join!(flood, refused) }).await.unwrap();
    assert!(sent < 16 << 20, "it was read to its end");
    assert!(refused.is_err() || refused.is_ok_and(|read| &read == b"HTTP/1.1 431"));
}

#[tokio::test]
async fn http2_says_how_many_streams_it_takes() {
    let (address, _settled) = served(Router::new(), 100).await;
    let mut client = client(address, HTTP2_BEGIN).await;
    let mut head = [0; 9];
    timeout(SOON, client.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "the first frame is the settings");
    let mut settings = vec![0; usize::from(head[2])];
    client.read_exact(&mut settings).await.unwrap();
    let streams = settings.chunks(6).find(|setting| setting[1] == 3).unwrap();
    assert_eq!(u32::from_be_bytes(streams[2..].try_into().unwrap()), HTTP2_STREAMS);
}

#[tokio::test]
async fn a_stop_ends_the_answer_in_progress_and_closes() {
    let slow = || async {
        sleep(IDLE).await;
        "whole"
    };
    let (address, settled) = served(Router::new().route("/", get(slow)), 100).await;
    let client = client(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sleep(IDLE / 4).await;
    settled.cancel();
    assert!(rest(client).await.ends_with(b"whole"));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// Refuses before it reads, as a wrong key is refused.
fn refusing() -> Router {
    let refuse = || async { (axum::http::StatusCode::UNAUTHORIZED, "no") };
    Router::new().route("/", axum::routing::post(refuse).get(|| async { "hello" }))
}

const REFUSED: &[u8] = b"\r\n\r\nno";

#[tokio::test]
async fn a_client_refused_before_its_body_was_there_asks_again_on_the_same_connection() {
    let (address, _settled) = served(refusing(), 100).await;
    for (head, body) in
        [("content-length: 6", &b"abcdef"[..]), ("transfer-encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")]
    {
        let asked = format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
        let mut client = client(address, asked.as_bytes()).await;
        // As clients do that write the head and the body apart.
        sleep(IDLE / 4).await;
        client.write_all(body).await.unwrap();
        let read = until(&mut client, REFUSED).await;
        assert!(read.starts_with(b"HTTP/1.1 401") && !contains(&read, "connection: close"), "{read:?}");
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        until(&mut client, b"\r\n\r\nhello").await;
    }
}

#[tokio::test]
async fn a_client_that_is_still_sending_hears_why_it_was_refused() {
    let (address, _settled) = served(refusing(), 100).await;
    let mut client = client(address, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n").await;
    for _ in 0..128 {
        client.write_all(&[b'x'; 65_536]).await.expect("it is cut while it sends");
    }
    assert!(until(&mut client, REFUSED).await.starts_with(b"HTTP/1.1 401"));
}

#[tokio::test]
async fn a_body_that_is_not_read_on_ends_the_connection_and_says_so() {
    let (address, _settled) = served(refusing(), 100).await;
    // One asks first whether to send at all, one would send for ever.
    for head in ["content-length: 6\r\nexpect: 100-continue", "content-length: 99999999999"] {
        let asked = format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
        let read = rest(client(address, asked.as_bytes()).await).await;
        assert!(read.starts_with(b"HTTP/1.1 401") && contains(&read, "connection: close"), "{read:?}");
    }
}

fn contains(read: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(read).to_ascii_lowercase().contains(text)
}
