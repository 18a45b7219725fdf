//! The mairie hears in time: once for each share of the envelope, signed, until it was taken.

use std::time::Duration;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use passerelle::telemetry::metrics;
use serde_json::Value;
use sha2::Sha256;

use crate::support::vendor::{Call, Vendor};
use crate::support::{Step, TestGateway};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A gateway of a town with little money, and the receiver of its alerts.
async fn town(more: &str) -> (TestGateway, Vendor) {
    let receiver = Vendor::openai().await;
    let url = format!("{}/alerts?token=of-the-receiver", receiver.base_url);
    let alerts = format!("[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret = \"whsec_{SECRET}\"\n{more}");
    (TestGateway::with(&format!("[town]\neuros_per_month = \"0.0003\"\n{alerts}")).await, receiver)
}

fn signature(call: &Call) -> String {
    let header = |name: &str| call.headers[name].to_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(SECRET.as_bytes()).unwrap()).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&call.raw);
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

fn percents(calls: &[Call]) -> Vec<u64> {
    calls.iter().filter_map(|call| call.body["data"]["percent"].as_u64()).collect()
}

#[tokio::test]
async fn each_share_of_the_envelope_is_told_once_signed_with_its_base() {
    let (gateway, receiver) = town("").await;
    let key = gateway.resident();
    let mut watcher = gateway.alerts();
    watcher.look().await.unwrap();
    assert!(receiver.calls().is_empty(), "nothing is spent yet");
    // Questions until the envelope refuses one: settled spending passes 50, 80 and 95 % on the way, or stops below.
    while gateway.ask(&key, "gpt-6-luna", "x", false).await.status == 200 {
        watcher.look().await.unwrap();
    }
    // The refusal is counted by the writer, in its turn.
    while !percents(&receiver.calls()).contains(&100) {
        watcher.look().await.unwrap();
    }
    watcher.look().await.unwrap();
    let calls = receiver.calls();
    let told = percents(&calls);
    assert_eq!(told.iter().filter(|percent| **percent == 50).count(), 1, "{told:?}");
    assert!(told.is_sorted() && told.last() == Some(&100), "{told:?}");
    for call in &calls {
        assert_eq!(call.headers["webhook-signature"].to_str().unwrap(), signature(call));
        assert_eq!(call.body["type"], "passerelle.envelope");
        assert_eq!(call.body["data"]["base_eur"], "0.0003", "a share has a named base");
        assert!(call.body["data"]["message_fr"].as_str().unwrap().contains("enveloppe"));
    }
    gateway.settled().await;
}

#[tokio::test]
async fn an_alert_that_is_not_taken_is_sent_again_and_outlives_the_watcher() {
    let (gateway, receiver) = town("envelope_percent = [1]").await;
    receiver.script([Step::Status(500, String::new()), Step::Status(302, String::new())]);
    let key = gateway.resident();
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let mut watcher = gateway.alerts();
    watcher.look().await.unwrap();
    watcher.look().await.unwrap();
    assert_eq!(receiver.calls().len(), 1, "not again before its pause is over");
    // Another process takes over: what was not taken is still to be told.
    let mut next = gateway.alerts();
    next.look().await.unwrap();
    assert_eq!(receiver.calls().len(), 2);
    gateway.clock.advance(Duration::from_secs(3600));
    next.look().await.unwrap();
    assert_eq!(receiver.calls().len(), 3);
    gateway.clock.advance(Duration::from_secs(3600));
    next.look().await.unwrap();
    assert_eq!(receiver.calls().len(), 3, "it was taken");
    let ids: Vec<_> = receiver.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "a receiver can tell that it is the same");
}

#[tokio::test]
async fn an_hour_above_the_usual_is_told() {
    let (gateway, receiver) = town("envelope_percent = []\nhourly_floor_euros = \"0.00001\"").await;
    let key = gateway.resident();
    for _ in 0..3 {
        gateway.ask(&key, "gpt-6-luna", "x", false).await;
    }
    gateway.alerts().look().await.unwrap();
    let call = receiver.calls().pop().unwrap();
    assert_eq!((&call.body["type"], &call.body["data"]["percent"]), (&"passerelle.hour".into(), &Value::Null));
    assert_eq!(call.body["data"]["window"], "2026-11-24T09Z");
    let spent: i64 = gateway.entries().iter().map(|entry| entry.charged.euro_nanos).sum();
    assert_eq!(call.body["data"]["spent_eur"], providers::money::format_nanos(spent));
}

#[tokio::test]
async fn a_share_of_another_envelope_is_another_share() {
    let (gateway, receiver) = town("envelope_percent = [2]").await;
    let key = gateway.resident();
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let mut watcher = gateway.alerts();
    watcher.look().await.unwrap();
    // More money in mid-month: what was spent is less than two in a hundred of it, until more is spent.
    gateway.rewrite("[town]\neuros_per_month = \"0.0009\"");
    gateway.reloader().reload("Claire", "more money").unwrap();
    watcher.look().await.unwrap();
    assert_eq!(receiver.calls().len(), 1);
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    watcher.look().await.unwrap();
    let bases: Vec<_> = receiver.calls().iter().map(|call| call.body["data"]["base_eur"].clone()).collect();
    assert_eq!(bases, ["0.0003", "0.0009"]);
    gateway.settled().await;
}

#[tokio::test]
async fn metrics_tell_without_a_webhook() {
    let gateway = TestGateway::with("[town]\neuros_per_month = \"0.0003\"\n[alerts]\nenvelope_percent = [2]").await;
    let key = gateway.resident();
    gateway.ask(&key, "gpt-6-luna", "x", false).await;
    let raised = metrics().alerts_raised.with_label_values(&["envelope"]);
    let before = raised.get();
    gateway.alerts().look().await.unwrap();
    assert!(raised.get() > before);
    let text = metrics().render(passerelle::telemetry::Format::Text);
    assert!(text.contains("passerelle_town_spent_euro_nanos{window=\"month\"}"), "{text}");
}
