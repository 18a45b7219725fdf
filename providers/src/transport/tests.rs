use super::*;
use crate::error::ErrorKind;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const DEADLINES: Deadlines = Deadlines {
    connect: SECOND,
    first_byte: Duration::from_secs(5),
    idle: Duration::from_secs(2),
    total: Duration::from_secs(20),
};

fn request() -> UpstreamRequest {
    UpstreamRequest {
        url: "http://vendor.test".parse().unwrap(),
        authorization: None,
        body: UpstreamBody::Json(Bytes::new()),
        stream: true,
        request_id: "r".into(),
        trace: None,
    }
}

/// An answer whose pieces come after the given pauses.
fn answer(pauses: Vec<Duration>) -> UpstreamResponse {
    let body = stream::iter(pauses).then(|pause| async move {
        tokio::time::sleep(pause).await;
        Ok(Bytes::from_static(b"x"))
    });
    UpstreamResponse { status: http::StatusCode::OK, headers: HeaderMap::new(), body: Box::pin(body) }
}

async fn last_error(pauses: Vec<Duration>) -> Option<ErrorKind> {
    let service = service_fn(move |_| std::future::ready(Ok(answer(pauses.clone()))));
    let response = DeadlineLayer::new(DEADLINES).layer(service).oneshot(request()).await.unwrap();
    response
        .body
        .filter_map(|item| std::future::ready(item.err()))
        .map(|error| error.kind)
        .collect::<Vec<_>>()
        .await
        .pop()
}

#[test]
fn more_streams_than_one_connection_takes_are_spread_over_several_clients() {
    let pool = ClientPool::new(SECOND);
    let open: Vec<_> = (0..250).map(|_| pool.take().unwrap()).collect();
    assert_eq!(pool.shards_built(), 3, "90 streams a client, where vendors allow 100 a connection");
    drop(open);
    let again: Vec<_> = (0..250).map(|_| pool.take().unwrap()).collect();
    assert_eq!((again.len(), pool.shards_built()), (250, 3), "what is free is used again");
}

#[tokio::test(start_paused = true)]
async fn each_deadline_names_itself() {
    assert_eq!(last_error(vec![SECOND; 5]).await, None);
    assert_eq!(last_error(vec![6 * SECOND]).await, Some(ErrorKind::FirstByteTimeout));
    assert_eq!(last_error(vec![SECOND, 3 * SECOND]).await, Some(ErrorKind::IdleTimeout));
    assert_eq!(last_error(vec![SECOND; 25]).await, Some(ErrorKind::TotalTimeout));
    let silent = service_fn(|_| std::future::pending::<Result<UpstreamResponse, ProviderError>>());
    let error = DeadlineLayer::new(DEADLINES).layer(silent).oneshot(request()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::FirstByteTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_as_long_as_the_stream_is_open() {
    let service = service_fn(|_| std::future::ready(Ok(answer(vec![SECOND; 3]))));
    let mut limited = PermitLayer::new(1, SECOND).layer(service);
    let first = limited.ready().await.unwrap().call(request()).await.unwrap();
    let refused = limited.ready().await.unwrap().call(request()).await.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Busy);
    drop(first);
    assert!(limited.ready().await.unwrap().call(request()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_after_failures_in_a_row_and_tries_again_with_one_call() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let service = service_fn(move |_| {
        let call = seen.fetch_add(1, Ordering::Relaxed);
        std::future::ready(if call < 4 {
            Err(ProviderError { status: Some(500), ..ProviderError::new(ErrorKind::Server, "") })
        } else {
            Ok(answer(vec![]))
        })
    });
    let breaker = Arc::new(Breaker::new(BreakerSettings { failures: 3, pause: 10 * SECOND }));
    let mut guarded = BreakerLayer::new(Arc::clone(&breaker)).layer(service);
    let mut outcome =
        async || guarded.ready().await.unwrap().call(request()).await.map_or_else(|error| error.kind.label(), |_| "ok");
    assert_eq!([outcome().await, outcome().await], ["server"; 2]);
    assert!(!breaker.is_open());
    assert_eq!(outcome().await, "server");
    assert_eq!(outcome().await, "circuit_open");
    tokio::time::advance(11 * SECOND).await;
    assert!(breaker.is_open(), "nobody knows yet that it is better");
    assert_eq!([outcome().await, outcome().await], ["server", "circuit_open"], "one trial, then closed again");
    tokio::time::advance(11 * SECOND).await;
    assert_eq!([outcome().await, outcome().await], ["ok", "ok"]);
    assert!(!breaker.is_open());
    assert_eq!(calls.load(Ordering::Relaxed), 6);
}
