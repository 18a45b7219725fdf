//! The comparison from end to end: how questions come to be evidence, who may read it, and that what is published names
//! nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use passerelle::ledger::{Assignment, Evidence as Kind, HourBand, Stratum};
use passerelle::report::comparison::Comparison;
use passerelle::report::evidence::Evidence;
use serde_json::{Value, json};

use crate::support::{Answer, TestGateway, question_body};

const TOKEN: &str = "token-of-the-mairie";
const TOWN: &str = "[mairie]\ntoken = \"token-of-the-mairie\"\n";
/// A word that must be nowhere in what is published.
const CANARY: &str = "canari-4711";

async fn comparison(gateway: &TestGateway, query: &str) -> Answer {
    gateway.ask_mairie("GET", &format!("/admin/v1/comparison{query}"), TOKEN, "").await
}

/// Every resident asks that many questions of the route.
async fn asked(gateway: &TestGateway, residents: usize, each: usize) -> Vec<String> {
    let keys = gateway.residents(residents);
    for (number, key) in keys.iter().enumerate() {
        for turn in 0..each {
            let answer = gateway.ask(key, "auto", &format!("{CANARY} {number} {turn}"), true).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    keys
}

#[tokio::test]
async fn the_mairie_reads_the_comparison_in_every_form_and_nobody_else_does() {
    let gateway = TestGateway::with(TOWN).await;
    let keys = asked(&gateway, 30, 4).await;
    let json = comparison(&gateway, "").await;
    assert_eq!((json.status.as_u16(), json.header("content-type")), (200, Some("application/json")));
    let found = &json.json()["comparison"];
    assert_eq!(found["euros"]["questions"], 120);
    assert_eq!(found["conversations"]["models"].as_array().unwrap().len(), 2);
    assert_eq!((&found["claims"], &found["declared"]), (&Value::Bool(false), &Value::Null));
    for (query, kind, words) in [
        ("?format=html", "text/html; charset=utf-8", "Comparaison des fournisseurs"),
        ("?format=html&lang=en", "text/html; charset=utf-8", "<html lang=\"en\""),
        ("?format=figures", "text/csv; charset=utf-8", "section,model"),
        ("?format=evidence", "application/json", "passerelle evidence 1"),
    ] {
        let answer = comparison(&gateway, query).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some(kind)), "{query}");
        let text = answer.text();
        assert!(text.contains(words), "{query}: {text:.200}");
        assert!(!text.contains(CANARY) && !text.contains("res-") && !text.contains("key-"), "{query}");
        assert!(keys.iter().all(|key| !text.contains(key.as_str())));
    }
    let workbook = comparison(&gateway, "?format=xlsx").await;
    assert!(workbook.body.starts_with(b"PK"), "a workbook is a ZIP file");

    for (path, token, status) in [
        ("/admin/v1/comparison", "wrong", 401),
        ("/admin/v1/comparison?format=pdf", TOKEN, 400),
        ("/admin/v1/comparison?from=yesterday", TOKEN, 400),
    ] {
        let refused = gateway.ask_mairie("GET", path, token, "").await;
        assert_eq!(refused.status.as_u16(), status, "{path}");
        assert!(refused.json()["error"]["message"].is_string());
    }
    gateway.settled().await;
}

#[tokio::test]
async fn what_is_published_is_enough_to_make_the_same_comparison_again() {
    let gateway = TestGateway::with(TOWN).await;
    asked(&gateway, 24, 3).await;
    let published = comparison(&gateway, "?format=evidence").await.text();
    let evidence = Evidence::from_json(&published).unwrap();
    let again = serde_json::to_value(Comparison::of(&evidence)).unwrap();
    // The clock stands still, so that even the moment of reading is the same.
    assert_eq!(again, comparison(&gateway, "").await.json()["comparison"]);
    let head = gateway.ledger().chain_head().unwrap();
    assert_eq!(evidence.ledger_records, head.seq);
    assert_eq!(again["proof"]["evidence_digest"], evidence.digest());
}

#[tokio::test]
async fn a_period_declared_beforehand_is_known_with_the_day_it_was_declared() {
    let declared = "[comparison]\nevaluation_from = \"2026-12-01\"\nevaluation_to = \"2026-12-28\"\n";
    let gateway = TestGateway::with(&format!("{TOWN}{declared}")).await;
    let found = comparison(&gateway, "?from=2026-12-01&to=2026-12-28").await.json();
    assert_eq!(found["comparison"]["declared"], json!(["2026-12-01", "2026-12-28", "2026-11-24"]));
    assert_eq!(found["comparison"]["claims"], false, "it is not over");
    gateway.clock.advance(Duration::from_secs(40 * 86_400));
    let found = comparison(&gateway, "?from=2026-12-01&to=2026-12-28").await.json();
    assert_eq!(found["comparison"]["claims"], true);
    let part = comparison(&gateway, "?from=2026-12-01&to=2026-12-27").await.json();
    assert_eq!(part["comparison"]["claims"], false, "a part of it was chosen afterwards");
}

#[tokio::test]
async fn another_epoch_draws_every_conversation_anew_and_the_entry_says_so() {
    let gateway = TestGateway::with(TOWN).await;
    let key = gateway.resident();
    let draws = async || {
        let mut providers = Vec::new();
        for number in 0..40 {
            let answer = gateway.ask(&key, "auto", &format!("question {number}"), false).await;
            providers.push(answer.header("x-passerelle-provider").unwrap().to_owned());
        }
        providers
    };
    let first = draws().await;
    assert_eq!(first, draws().await, "the same conversation has the same vendor");
    gateway.rewrite("[comparison]\nepoch = 3\n");
    gateway.reloader().reload("Claire", "a new epoch").unwrap();
    let second = draws().await;
    let changed = first.iter().zip(&second).filter(|(one, other)| one != other).count();
    assert!((10..=30).contains(&changed), "about half are drawn otherwise: {changed} of 40");
    let epochs: BTreeSet<Option<u32>> = gateway.entries().iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, BTreeSet::from([None, Some(3)]));
    let found = comparison(&gateway, "").await.json();
    assert!(found["comparison"]["changes"].to_string().contains("epoch of draws"), "a reader is told of it");
}

#[tokio::test]
async fn a_switchback_gives_everybody_the_same_vendor_for_a_block_of_time() {
    let gateway = TestGateway::with("[routes.auto]\nswitchback_minutes = 30\n").await;
    let keys = gateway.residents(3);
    let mut by_block = Vec::new();
    for _ in 0..24 {
        let mut providers = BTreeSet::new();
        for (number, key) in keys.iter().enumerate() {
            let answer = gateway.ask(key, "auto", &format!("question {number}"), false).await;
            providers.insert(answer.header("x-passerelle-provider").unwrap().to_owned());
        }
        assert_eq!(providers.len(), 1, "one vendor within a block");
        by_block.extend(providers);
        gateway.clock.advance(Duration::from_secs(30 * 60));
    }
    let different: BTreeSet<&String> = by_block.iter().collect();
    assert_eq!(different.len(), 2, "blocks are drawn apart: {by_block:?}");
    let entries = gateway.entries();
    let blocks: BTreeSet<i64> = entries.iter().map(|entry| entry.time_block.unwrap()).collect();
    assert_eq!(blocks.len(), 24);
    assert!(blocks.iter().all(|block| block % 1_800 == 0));
    for entry in &entries {
        assert_eq!((entry.assignment, entry.probability_ppm), (Assignment::Block, Some(500_000)));
        assert_eq!(Kind::of(entry), Kind::Block);
    }
}

#[tokio::test]
async fn a_question_is_compared_within_its_hour_and_with_others_that_had_local_passages() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let body = question_body("auto", "x", false);
    let with_passages = |value: &str| {
        let mut request = TestGateway::request(&key, &body);
        request.headers_mut().insert("x-passerelle-local-passages", value.parse().unwrap());
        request
    };
    for request in [with_passages("true"), with_passages("no"), TestGateway::request(&key, &body)] {
        assert_eq!(gateway.send(request).await.status, 200);
    }
    let entries = gateway.entries();
    assert_eq!(entries.iter().map(|entry| entry.local_passages).collect::<Vec<_>>(), [true, false, false]);
    // The story begins at nine in UTC, which is ten in Paris.
    assert!(entries.iter().all(|entry| entry.local_hour == Some(10)));
    assert_eq!(Stratum::of(&entries[0]).hours, HourBand::Morning);
}
