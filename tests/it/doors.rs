//! Wrong keys are counted by where they come from, and nobody else pays for them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use passerelle::telemetry::metrics;

use crate::support::{Answer, TestGateway, question_body};

/// A neighbourhood house, with everybody in it behind one address.
const HOUSE: &str = "198.51.100.7";
const ELSEWHERE: &str = "198.51.100.8";
const PROXY: &str = "10.0.0.9";
const SETTINGS: &str = "[identity]\nwrong_keys_burst = 3\n[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
    [mairie]\ntoken = \"of-the-mairie\"";

/// The request as it comes over a connection from `peer`.
fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

async fn ask(gateway: &TestGateway, peer: &str, key: &str) -> u16 {
    let body = question_body("gpt-6-luna", "x", false);
    gateway.send(from(peer, TestGateway::request(key, &body))).await.status.as_u16()
}

async fn ask_through(gateway: &TestGateway, peer: &str, forwarded: &str, key: &str) -> Answer {
    let request = Request::get("/v1/models").header("authorization", format!("Bearer {key}"));
    gateway.send(from(peer, request.header("x-forwarded-for", forwarded).body(Body::empty()).unwrap())).await
}

#[tokio::test]
async fn a_house_that_sends_wrong_keys_waits_and_those_known_there_do_not() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (known, new) = (gateway.resident(), gateway.resident());
    // Twice: that keys were issued is noticed with the first call, and what was known before is forgotten.
    for _ in 0..2 {
        assert_eq!(ask(&gateway, HOUSE, &known).await, 200);
    }
    for _ in 0..4 {
        assert_eq!(ask(&gateway, HOUSE, "psk-wrong").await, 401);
    }
    assert_eq!(ask(&gateway, HOUSE, "psk-wrong").await, 429);
    let refused = ask_through(&gateway, HOUSE, ELSEWHERE, &new).await;
    assert_eq!(
        refused.refusal(),
        (429, "rate_limit_exceeded".to_owned(), true),
        "what a client says of itself is nothing"
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ask(&gateway, HOUSE, &known).await, 200, "known to be right");
    assert_eq!(ask(&gateway, ELSEWHERE, &new).await, 200, "nobody else waits");
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&gateway, HOUSE, &gateway.resident()).await, 200, "one more may come, and it is right");
    assert_eq!(metrics().keys_refused.with_label_values(&["wrong"]).get(), 4);
    assert_eq!(metrics().keys_refused.with_label_values(&["too_many_wrong"]).get(), 2);
    let told = metrics().render(passerelle::telemetry::Format::Text);
    assert!(!told.contains("198.51.100"), "{told}");
    gateway.settled().await;
}

#[tokio::test]
async fn behind_a_proxy_the_house_counts_and_not_the_proxy() {
    let gateway = TestGateway::with(SETTINGS).await;
    let key = gateway.resident();
    // What the client wrote before the house's address changes with each request, and helps nothing.
    let house = |forged: usize| format!("203.0.113.{forged}, {HOUSE}");
    for forged in 0..4 {
        assert_eq!(ask_through(&gateway, PROXY, &house(forged), "psk-wrong").await.status, 401);
    }
    assert_eq!(ask_through(&gateway, PROXY, &house(5), &key).await.status, 429);
    assert_eq!(ask_through(&gateway, PROXY, ELSEWHERE, &key).await.status, 200);
    // A proxy that does not say for whom it asks is not the house of the whole town.
    for _ in 0..10 {
        assert_eq!(ask(&gateway, PROXY, "psk-wrong").await, 401);
    }
    // Two addresses of one household, by IPv6.
    for _ in 0..2 {
        assert_eq!(ask_through(&gateway, PROXY, "2001:db8:0:1::5", "psk-wrong").await.status, 401);
        assert_eq!(ask_through(&gateway, PROXY, "[2001:db8:0:1:9::6]:443", "psk-wrong").await.status, 401);
    }
    assert_eq!(ask_through(&gateway, PROXY, "2001:db8:0:1::7", &key).await.status, 429);
    assert_eq!(ask_through(&gateway, PROXY, "2001:db8:0:2::7", &key).await.status, 200);
}

#[tokio::test]
async fn who_guesses_the_mairies_token_is_kept_out_even_with_the_right_one() {
    let gateway = TestGateway::with(SETTINGS).await;
    let stops = async |peer: &str, token: &str| {
        let request = Request::get("/admin/v1/stops").header("authorization", format!("Bearer {token}"));
        gateway.send_mairie(from(peer, request.body(Body::empty()).unwrap())).await.status.as_u16()
    };
    for guess in ["a", "b", "c", "d"] {
        assert_eq!(stops(HOUSE, guess).await, 401);
    }
    assert_eq!(stops(HOUSE, "of-the-mairie").await, 429);
    assert_eq!(stops(ELSEWHERE, "of-the-mairie").await, 200);
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(stops(HOUSE, "of-the-mairie").await, 200);
}

#[tokio::test]
async fn a_town_that_counts_nothing_answers_every_wrong_key_alike() {
    let gateway = TestGateway::with("[identity]\nwrong_keys_per_minute = 0").await;
    for _ in 0..500 {
        assert_eq!(ask(&gateway, HOUSE, "psk-wrong").await, 401);
    }
}
