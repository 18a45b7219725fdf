//! What only a connection shows: pace, cuts, silence, and the end with the process.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

async fn started(settings: SimulatorSettings) -> (Simulator, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shutdown = Shutdown::new();
    (Simulator::start(settings, listener, Clock::system(), &shutdown).unwrap(), shutdown)
}

async fn call(simulator: &Simulator, body: &Value) -> TcpStream {
    let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: simulator\r\nauthorization: Bearer k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    connection
}

async fn until(simulator: &Simulator, reached: impl Fn(&Books) -> bool) -> Books {
    let wait = async {
        while !reached(&simulator.books()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        simulator.books()
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

#[tokio::test]
async fn a_stream_cut_by_the_client_is_billed_up_to_the_cut() {
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        let settings = SimulatorSettings {
            inter_token: LogNormalMillis { median: 5.0, sigma: 0.0 },
            output_tokens: (4000, 4000),
            ..fast(dialect)
        };
        let (simulator, _shutdown) = started(settings).await;
        let mut connection = call(&simulator, &with(question(dialect), json!({"stream": true}))).await;
        let mut read = Vec::new();
        while read.windows(9).filter(|window| window == b"\"content\"").count() < 10 {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0);
        }
        assert_eq!(simulator.books().cut_by_client, 0);
        drop(connection);
        let books = until(&simulator, |books| books.cut_by_client == 1).await;
        assert_eq!((books.calls, books.answered), (1, 0));
        assert!(books.input_tokens > 0 && books.billed_nanos > 0);
        assert!((9..1000).contains(&books.output_tokens), "{books:?}");
    }
}

#[tokio::test]
async fn a_hang_sends_nothing_and_a_whole_answer_can_be_cut_too() {
    let (simulator, _shutdown) = started(SimulatorSettings { hang_rate: 1.0, ..fast(Dialect::Openai) }).await;
    let mut connection = call(&simulator, &question(Dialect::Openai)).await;
    until(&simulator, |books| books.hangs == 1).await;
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(100), connection.read(&mut byte)).await.is_err());
    assert_eq!(simulator.books(), Books { calls: 1, hangs: 1, ..Books::default() });

    let slow = LogNormalMillis { median: 60_000.0, sigma: 0.0 };
    let (simulator, _shutdown) = started(SimulatorSettings { first_token: slow, ..fast(Dialect::Mistral) }).await;
    let connection = call(&simulator, &question(Dialect::Mistral)).await;
    until(&simulator, |books| books.calls == 1).await;
    drop(connection);
    let books = until(&simulator, |books| books.cut_by_client == 1).await;
    assert_eq!(books.output_tokens, 0);
    assert!(books.input_tokens > 0);
}

#[tokio::test]
async fn it_paces_serves_over_tcp_and_ends_with_the_process() {
    let settings = SimulatorSettings {
        first_token: LogNormalMillis { median: 40.0, sigma: 0.1 },
        inter_token: LogNormalMillis { median: 2.0, sigma: 0.1 },
        output_tokens: (20, 20),
        ..SimulatorSettings::new(Dialect::Openai)
    };
    let (simulator, shutdown) = started(settings).await;
    let port = simulator.address().port();
    assert_eq!(simulator.base_url(), format!("http://127.0.0.1:{port}/v1"));
    assert_eq!(simulator.base_url_of("eu"), format!("http://127.0.0.1:{port}/eu/v1"));
    let clock = Clock::system();
    let start = clock.tick();
    let mut connection = call(&simulator, &with(question(Dialect::Openai), json!({"stream": true}))).await;
    let mut read = Vec::new();
    while !read.ends_with(b"0\r\n\r\n") {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0);
    }
    assert!(clock.tick().since(start) >= Duration::from_millis(60));
    let head = String::from_utf8_lossy(&read).to_lowercase();
    assert!(head.contains("content-type: text/event-stream") && head.contains("x-request-id: req_"));
    assert_eq!(simulator.books().answered, 1);
    shutdown.begin();
    assert!(shutdown.finish(PATIENCE).await);
    assert!(TcpStream::connect(simulator.address()).await.is_err());
}
