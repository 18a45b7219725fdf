//! Blind duels: two answers side by side at the town's expense, a judgement, and only then who answered.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use passerelle::ledger::{
    Assignment, DUELS, Duel, ExportFormat, Ledger, Outcome, Qualifier, Record, Stop, StopScope, Style, Vote, export,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::gateway::Answer;
use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const LUNA: &str = "openai/gpt-6-luna";
const SMALL: &str = "mistral_ai/mistral-small-latest";
const TERRA: &str = "openai/gpt-6.1-terra";
const BODY: &str = r#"{"messages":[{"role":"user","content":"Quels papiers pour une procuration ?"}]}"#;

/// Offers duels between `models`, for that many euros a month.
pub fn offering(models: &[&str], euros: &str) -> String {
    format!("[comparison]\nmodels = {models:?}\nduel_euros_per_month = \"{euros}\"\n")
}

async fn gateway_of_two(overrides: &str) -> TestGateway {
    TestGateway::with(&(offering(&[LUNA, SMALL], "10") + overrides)).await
}

fn question() -> Value {
    serde_json::from_str(BODY).unwrap()
}

async fn ask(gateway: &TestGateway, key: &str) -> Answer {
    gateway.send(TestGateway::post("/v1/duels", key, &question())).await
}

/// The events of a stream: names and data. Comments are none.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let mut lines = block.lines().filter(|line| !line.starts_with(':'));
        let name = lines.next().unwrap().strip_prefix("event: ").unwrap().to_owned();
        let data = serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(lines.next(), None, "one line of data: {block}");
        (name, data)
    };
    assert!(text.ends_with("\n\n"), "the last event is whole");
    text.split_terminator("\n\n").map(event).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    events(&answer.text()).into_iter().map(|(name, _)| name).collect()
}

/// Everything that was shown on a side.
fn shown(answer: &Answer, side: &str) -> String {
    let texts = events(&answer.text()).into_iter().filter(|(name, _)| name == side);
    texts.map(|(_, data)| data["delta"].as_str().unwrap().to_owned()).collect()
}

/// The id of a duel that can be judged.
#[track_caller]
pub fn ready(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events = events(&answer.text());
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "done", "{events:?}");
    assert_eq!(data["id"], events[0].1["id"]);
    data["id"].as_str().unwrap().to_owned()
}

async fn vote(gateway: &TestGateway, key: &str, id: &str, body: &Value) -> Answer {
    gateway.send(TestGateway::post(&format!("/v1/duels/{id}/vote"), key, body)).await
}

fn duels(ledger: &Ledger) -> Vec<Duel> {
    let mut duels = Vec::new();
    let mut keep = |_, record| {
        if let Record::Duel(duel) = record {
            duels.push(*duel);
        }
    };
    ledger.visit_records(&mut keep).unwrap();
    duels
}

/// Duels that the store keeps for a judgement.
fn kept(gateway: &TestGateway) -> u32 {
    let file = rusqlite::Connection::open(gateway.folder.join("ledger.sqlite")).unwrap();
    file.query_row("SELECT count(*) FROM duels", [], |row| row.get(0)).unwrap()
}

fn say(text: &str) -> Step {
    Step::Say { text: text.to_owned(), input: 10, output: 20, model: None }
}

#[tokio::test]
async fn from_the_question_to_the_reveal() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    gateway.openai.script([say("# Papiers\n\n- une **pièce** d'identité\n- rien d'autre")]);
    gateway.mistral.script([say("Une pièce d'identité.")]);
    let answer = ask(&gateway, &key).await;
    let id = ready(&answer);
    let names = names(&answer);
    assert_eq!(names[0], "duel");
    for name in ["left", "right", "left_done", "right_done", "done"] {
        assert_eq!(names.iter().filter(|found| *found == name).count(), 1, "{names:?}");
    }
    let first = events(&answer.text()).remove(0).1;
    assert_eq!(first["expires_at"], "2026-11-24T10:00:00Z", "an hour from now");
    let texts = BTreeSet::from([shown(&answer, "left"), shown(&answer, "right")]);
    assert!(texts.contains("Une pièce d'identité.") && texts.iter().any(|text| text.starts_with("# Papiers\n\n-")));

    // Both were paid by the town, neither by the resident.
    let entries = gateway.entries();
    assert_eq!(entries.len(), 2);
    for entry in &entries {
        assert_eq!((entry.outcome, entry.assignment), (Outcome::Completed, Assignment::Duel));
        assert_eq!((entry.resident.as_str(), entry.plan.as_str()), ("duels", "duels"));
        assert!(entry.request_id.starts_with(answer.header("x-request-id").unwrap()), "{}", entry.request_id);
    }
    let usage = gateway.get(&key, "/v1/usage").await.json();
    for limit in usage["limits"].as_array().unwrap() {
        assert!(
            limit["used"].as_str().unwrap().parse::<f64>().unwrap() == 0.0
                && limit["held"].as_str().unwrap().parse::<f64>().unwrap() == 0.0,
            "{limit}"
        );
    }

    let body = json!({"choice": "left", "left": ["useful", "complete"], "right": ["superficial"]});
    let revealed = vote(&gateway, &key, &id, &body).await;
    assert_eq!(revealed.status, 200, "{}", revealed.text());
    let revealed = revealed.json();
    assert_eq!((&revealed["choice"], &revealed["paid_by"]), (&"left".into(), &"town".into()));
    let providers: BTreeSet<_> = ["left", "right"].map(|side| revealed[side]["provider"].as_str().unwrap()).into();
    assert_eq!(providers, BTreeSet::from(["openai", "mistral_ai"]));
    for side in ["left", "right"] {
        let side_of = &revealed[side];
        let entry = entries.iter().find(|entry| side_of["provider"] == *entry.provider).unwrap();
        assert_eq!(side_of["model"], entry.priced_model());
        assert_eq!((&side_of["host"], &side_of["region"]), (&"global".into(), &"global".into()));
        assert_eq!(side_of["cost_eur"], providers::money::format_nanos(entry.cost_euro_nanos.unwrap()));
        assert_eq!(side_of["characters"].as_u64(), entry.output_chars);
        assert!(side_of["seconds"].is_number() && side_of["seconds_to_first_text"].is_number());
    }
    assert_booked(&gateway, &id);
    gateway.settled().await;
    assert_eq!(duels(gateway.ledger()).len(), 1);
}

/// The duel is in the chain and its export, with what was said and how the answers looked.
fn assert_booked(gateway: &TestGateway, id: &str) {
    let booked = duels(gateway.ledger());
    let [duel] = &booked[..] else { panic!("{booked:?}") };
    assert_eq!((duel.id.as_str(), duel.vote, duel.day.as_str()), (id, Vote::Left, "2026-11-24"));
    assert_eq!(duel.left.qualifiers, [Qualifier::Useful, Qualifier::Complete]);
    assert_eq!(duel.right.qualifiers, [Qualifier::Superficial]);
    let openai = [&duel.left, &duel.right].into_iter().find(|side| side.provider == "openai").unwrap();
    assert_eq!(openai.style, Style { chars: 52, headings: 1, list_items: 2, bold: 1 });
    assert_eq!(openai.output_tokens, Some(20));
    let mut csv = Vec::new();
    assert_eq!(export(gateway.ledger(), DUELS, ExportFormat::Csv, &mut csv).unwrap(), 1);
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.contains(id) && csv.contains("\"[\"\"useful\"\",\"\"complete\"\"]\""), "{csv}");
}

#[tokio::test]
async fn nothing_before_the_vote_tells_who_answers() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    let broken = r#"{"error":{"message":"gpt-6-luna at OpenAI and mistral-small-latest at Mistral cannot","type":"invalid_request_error","param":"gpt-6-luna","code":"mistral_broke"}}"#;
    let mut seen = String::new();
    let cut = Step::Stream { pieces: 3, gap: Duration::from_millis(1), end: End::Cut };
    gateway.openai.script([
        say("Bonjour."),
        cut,
        Step::Status(400, broken.to_owned()),
        Step::Status(500, broken.to_owned()),
    ]);
    gateway.mistral.script([say("Bonsoir.")]);
    for status in [200, 200, 400, 502] {
        let answer = ask(&gateway, &key).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("x-passerelle")), "{:?}", answer.headers);
        seen += &format!("{:?}\n{}\n", answer.headers, answer.text());
    }
    let config = gateway.config().unwrap();
    let today = "2026-11-24".parse().unwrap();
    let mut secrets: BTreeSet<String> = [
        "mistral",
        "openai",
        "vendor-request-1",
        "x1",
        "usage",
        "finish_reason",
        "stop",
        "role",
        "prompt_tokens",
        "cost",
        "\"global\"",
        "127.0.0.1",
    ]
    .map(str::to_owned)
    .into();
    for provider in config.catalogue.providers() {
        secrets.insert(provider.id.to_string());
        secrets.extend(provider.ids_at(today).map(|(id, _)| id.to_owned()));
    }
    assert!(secrets.len() > 40);
    let seen = seen.to_lowercase();
    for secret in secrets {
        assert!(!seen.contains(&secret.to_lowercase()), "{secret} was told: {seen}");
    }
    gateway.settled().await;
    assert_eq!(gateway.entries().len(), 8, "every call is in the books");
}

#[tokio::test]
async fn pairs_are_drawn_and_sides_are_shuffled() {
    let gateway = TestGateway::with(&offering(&[LUNA, SMALL, TERRA], "100")).await;
    let key = gateway.resident();
    let mut pairs = BTreeSet::new();
    // A pair of six is missed by 150 draws once in 10¹¹ runs.
    for _ in 0..150 {
        let id = ready(&ask(&gateway, &key).await);
        let revealed = vote(&gateway, &key, &id, &json!({"choice": "tie"})).await.json();
        let model = |side: &str| revealed[side]["model"].as_str().unwrap().to_owned();
        pairs.insert((model("left"), model("right")));
    }
    assert_eq!(pairs.len(), 6, "{pairs:?}");
    assert!(pairs.iter().all(|(left, right)| left != right));
    gateway.settled().await;
    assert_eq!(duels(gateway.ledger()).len(), 150);
}

#[tokio::test]
async fn a_duel_is_judged_once_however_many_vote_at_the_same_time() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    for _ in 0..5 {
        let id = ready(&ask(&gateway, &key).await);
        let (left, right) = (json!({"choice": "left"}), json!({"choice": "right"}));
        let (one, two) = tokio::join!(vote(&gateway, &key, &id, &left), vote(&gateway, &key, &id, &right));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let third = vote(&gateway, &key, &id, &left).await;
        assert_eq!(third.refusal(), (409, "duel_already_judged".to_owned(), false));
        assert_eq!(third.header("x-should-retry"), Some("false"));
    }
    gateway.settled().await;
    assert_eq!(duels(gateway.ledger()).len(), 5);
}

#[tokio::test]
async fn only_who_asked_may_judge_and_only_in_time() {
    let gateway = gateway_of_two("").await;
    let (key, other) = (gateway.resident(), gateway.resident());
    let id = ready(&ask(&gateway, &key).await);
    let tie = json!({"choice": "tie"});
    let not_found = (404, "duel_not_found".to_owned(), false);
    assert_eq!(vote(&gateway, &other, &id, &tie).await.refusal(), not_found);
    assert_eq!(vote(&gateway, &key, "019ac000-0000-7000-8000-000000000000", &tie).await.refusal(), not_found);
    let unknown = vote(&gateway, &key, &id, &json!({"choice": "tie", "left": ["nice"]})).await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["param"].as_str().unwrap()),
        (StatusCode::BAD_REQUEST, "left[0]")
    );
    assert!(unknown.text().contains("instructions_not_followed") && unknown.text().contains("clear_formatting"));

    let minute = Duration::from_secs(60);
    gateway.clock.advance(60 * minute - Duration::from_secs(1));
    let late = ready(&ask(&gateway, &key).await);
    assert_eq!(vote(&gateway, &key, &id, &tie).await.status, 200);
    assert_eq!(vote(&gateway, &other, &id, &tie).await.refusal(), not_found, "not even that it was judged");
    gateway.clock.advance(60 * minute);
    assert_eq!(vote(&gateway, &key, &late, &tie).await.refusal(), (404, "duel_expired".to_owned(), false));
    // The next duel clears away what nobody waits for.
    ready(&ask(&gateway, &key).await);
    assert_eq!(kept(&gateway), 1);
    assert_eq!(vote(&gateway, &key, &late, &tie).await.refusal(), not_found);
    gateway.settled().await;
    assert_eq!(duels(gateway.ledger()).len(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_nothing_to_be_judged() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 3, gap: Duration::from_millis(2), end: End::Cut }]);
    gateway.mistral.script([Step::Stream { pieces: 12, gap: Duration::from_millis(4), end: End::Proper }]);
    let answer = ask(&gateway, &key).await;
    let names = names(&answer);
    assert_eq!(names.last().unwrap(), "failed");
    let count = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
    assert_eq!((count("_failed"), count("_done")), (1, 1), "the other one is told to its end: {names:?}");
    let whole = if names.contains(&"left_done".to_owned()) { "left" } else { "right" };
    assert_eq!(shown(&answer, whole), "mot ".repeat(12));
    let last = events(&answer.text()).pop().unwrap().1;
    assert_eq!(last["error"]["code"], "duel_failed");
    let id = last["id"].as_str().unwrap();
    assert_eq!(vote(&gateway, &key, id, &json!({"choice": "tie"})).await.status, 404);
    gateway.settled().await;
    assert_eq!(kept(&gateway), 0);
    let outcomes: BTreeSet<_> = gateway.entries().iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(outcomes, BTreeSet::from(["completed", "interrupted"]));
}

#[tokio::test]
async fn a_side_that_never_begins_ends_the_duel_with_a_status_and_the_other_is_settled() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    let busy = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":null}}"#;
    let slow = Step::Stream { pieces: 10, gap: Duration::from_millis(10), end: End::Proper };
    gateway.openai.script([slow]);
    gateway.mistral.script([Step::Status(503, busy.to_owned())]);
    let answer = ask(&gateway, &key).await;
    assert_eq!(answer.refusal(), (503, "duel_failed".to_owned(), true));
    gateway.settled().await;
    assert_eq!(kept(&gateway), 0);
    let entries = gateway.entries();
    let outcome = |provider: &str| entries.iter().find(|entry| entry.provider == provider).unwrap();
    assert_eq!(outcome("mistral_ai").outcome, Outcome::Rejected);
    let other = outcome("openai");
    assert_eq!((other.outcome, other.client_left, other.charged.tokens), (Outcome::Completed, true, 20));
}

#[tokio::test]
async fn a_vendor_that_thinks_for_long_keeps_nobody_waiting_for_a_sign_of_life() {
    let gateway = gateway_of_two("[server]\nkeep_alive_seconds = 1\n[upstream]\nfirst_byte_seconds = 3").await;
    let key = gateway.resident();
    gateway.mistral.script([Step::Hang]);
    let answer = ask(&gateway, &key).await;
    assert_eq!(answer.status, 200);
    let names = names(&answer);
    assert_eq!((names[0].as_str(), names.last().unwrap().as_str()), ("duel", "failed"), "{names:?}");
    assert!(answer.text().contains(": ping\n"), "{}", answer.text());
    gateway.settled().await;
    assert_eq!(gateway.entries().len(), 2);
}

#[tokio::test]
async fn the_budget_of_duels_holds_and_is_the_towns() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    ready(&ask(&gateway, &key).await);
    let ceilings: Vec<i64> = gateway.entries().iter().map(|entry| entry.ceiling_euro_nanos).collect();
    let (all, larger) = (ceilings.iter().sum::<i64>(), *ceilings.iter().max().unwrap());
    // None of the two calls fits, one of them, or both.
    for (budget, status, entries) in [(1, 429, 0), (larger, 429, 1), (all, 200, 2)] {
        let euros = providers::money::format_nanos(budget);
        let gateway = TestGateway::with(&offering(&[LUNA, SMALL], &euros)).await;
        let key = gateway.resident();
        let answer = ask(&gateway, &key).await;
        assert_eq!(answer.status, status, "{euros}: {}", answer.text());
        if status == 429 {
            assert_eq!(answer.refusal(), (429, "insufficient_quota".to_owned(), false));
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            let left = if budget == 1 { "il reste " } else { "il reste 0" };
            for told in ["retour le 01/12/2026", &format!("sur {euros} EUR"), left] {
                assert!(answer.text().contains(told), "{told}: {}", answer.text());
            }
        }
        assert_eq!(gateway.ask(&key, "auto", "x", false).await.status, 200, "the resident's own budget is another");
        gateway.settled().await;
        let booked = gateway.entries();
        let town: Vec<_> = booked.iter().filter(|entry| entry.resident == "duels").collect();
        assert_eq!(town.len(), entries, "{town:?}");
        assert!(town.iter().map(|entry| entry.charged.euro_nanos).sum::<i64>() <= budget);
    }
}

#[tokio::test]
async fn many_duels_at_once_never_pass_the_budget() {
    let gateway = gateway_of_two("").await;
    ready(&ask(&gateway, &gateway.resident()).await);
    let all: i64 = gateway.entries().iter().map(|entry| entry.ceiling_euro_nanos).sum();
    let gateway = TestGateway::with(&offering(&[LUNA, SMALL], &providers::money::format_nanos(3 * all))).await;
    let keys = gateway.residents(24);
    let answers = futures_util::future::join_all(keys.iter().map(|key| ask(&gateway, key))).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!((1..24).contains(&refused), "{refused}");
    gateway.settled().await;
    let spent: i64 = gateway.entries().iter().map(|entry| entry.charged.euro_nanos).sum();
    assert!(spent <= 3 * all, "{spent} of {}", 3 * all);
}

#[tokio::test]
async fn what_is_stopped_has_no_duels() {
    let gateway = TestGateway::with(&offering(&[LUNA, SMALL, TERRA], "10")).await;
    let key = gateway.resident();
    let beside = Ledger::open_sqlite_beside(&gateway.folder.join("ledger.sqlite")).unwrap();
    let set = |scope, name: &str, stopped| {
        let stop = Stop { scope, name: name.to_owned(), since: gateway.clock.now(), reason: "a bill".to_owned() };
        assert!(beside.set_stop(&stop, stopped, "Claire").unwrap());
    };
    for (scope, name) in [(StopScope::Town, ""), (StopScope::Plan, "resident")] {
        set(scope, name, true);
        let refused = ask(&gateway, &key).await;
        assert_eq!(refused.refusal(), (503, "service_stopped".to_owned(), false));
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        set(scope, name, false);
    }
    set(StopScope::Provider, "openai", true);
    assert_eq!(ask(&gateway, &key).await.refusal().1, "duels_unavailable", "one model is left");
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
    set(StopScope::Provider, "openai", false);
    set(StopScope::Provider, "mistral_ai", true);
    for _ in 0..8 {
        ready(&ask(&gateway, &key).await);
    }
    assert!(gateway.mistral.calls().is_empty(), "a stopped vendor is left out of the draw");
    gateway.settled().await;
}

#[tokio::test]
async fn who_leaves_in_the_middle_has_both_calls_settled_and_nothing_kept() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    for vendor in [&gateway.openai, &gateway.mistral] {
        vendor.script([Step::Stream { pieces: 20, gap: Duration::from_millis(20), end: End::Proper }]);
    }
    let mut body = open(&gateway, &key).await.into_data_stream();
    for _ in 0..4 {
        body.next().await.unwrap().unwrap();
    }
    drop(body);
    gateway.settled().await;
    let entries = gateway.entries();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((entry.outcome, entry.client_left, entry.charged.tokens), (Outcome::Completed, true, 30));
    }
    assert_eq!(kept(&gateway), 0);
}

/// Asks and gives the body, still to be read.
async fn open(gateway: &TestGateway, key: &str) -> Body {
    let request = TestGateway::post("/v1/duels", key, &question());
    let response = gateway.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body()
}

#[tokio::test]
async fn both_texts_come_while_neither_answer_has_ended() {
    let gateway = gateway_of_two("[upstream]\ndrain_seconds = 1").await;
    let key = gateway.resident();
    for vendor in [&gateway.openai, &gateway.mistral] {
        vendor.script([Step::Stream { pieces: 2, gap: Duration::from_millis(1), end: End::Silence }]);
    }
    let mut body = open(&gateway, &key).await.into_data_stream();
    let mut read = String::new();
    while !(read.contains("event: left\n") && read.contains("event: right\n")) {
        read += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
    }
    drop(body);
    gateway.settled().await;
    let outcomes: Vec<_> = gateway.entries().iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Interrupted; 2], "read on, within the bound");
}

#[tokio::test]
async fn who_stays_but_does_not_read_holds_no_call_past_the_total_deadline() {
    let deadlines = "[upstream]\ntotal_seconds = 2\nfirst_byte_seconds = 2\nidle_seconds = 2";
    let gateway = gateway_of_two(deadlines).await;
    let key = gateway.resident();
    for vendor in [&gateway.openai, &gateway.mistral] {
        vendor.script([Step::Stream { pieces: 100, gap: Duration::from_millis(5), end: End::Proper }]);
    }
    let unread = open(&gateway, &key).await;
    gateway.settled().await;
    assert_eq!(gateway.entries().len(), 2);
    drop(unread);
    assert_eq!(kept(&gateway), 0);
}

#[tokio::test]
async fn who_leaves_before_the_first_word_has_both_calls_settled() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    gateway.openai.close_gate();
    gateway.mistral.close_gate();
    {
        let asked = ask(&gateway, &key);
        tokio::pin!(asked);
        tokio::select! {
            _ = &mut asked => panic!("nobody answers yet"),
            ((), ()) = async { tokio::join!(gateway.openai.reached_by(1), gateway.mistral.reached_by(1)) } => {}
        }
    }
    gateway.openai.open_gate();
    gateway.mistral.open_gate();
    gateway.settled().await;
    let outcomes: Vec<_> = gateway.entries().iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Completed; 2]);
    assert_eq!(kept(&gateway), 0);
}

#[tokio::test]
async fn a_duel_outlives_a_restart_between_question_and_vote() {
    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    let id = ready(&ask(&gateway, &key).await);
    let judged = ready(&ask(&gateway, &key).await);
    let left = json!({"choice": "left", "right": ["incorrect"]});
    assert_eq!(vote(&gateway, &key, &judged, &left).await.status, 200);
    gateway.clock.advance(Duration::from_secs(600));

    let again = gateway.restarted(&offering(&[LUNA, SMALL], "10")).await;
    let revealed = vote(&again, &key, &id, &left).await;
    assert_eq!(revealed.status, 200, "{}", revealed.text());
    assert!(revealed.json()["left"]["cost_eur"].is_string());
    assert_eq!(vote(&again, &key, &id, &left).await.status, 409);
    assert_eq!(vote(&again, &key, &judged, &left).await.status, 409);
    again.settled().await;
    assert_eq!(duels(again.ledger()).len(), 2);
}

#[tokio::test]
async fn a_duel_is_one_request_of_its_residents_rate_and_of_their_open_answers() {
    let gateway = gateway_of_two("[plans.resident]\nrequests_per_minute = 2\nburst = 2\nsimultaneous = 1").await;
    let key = gateway.resident();
    gateway.openai.close_gate();
    let asked = ask(&gateway, &key);
    tokio::pin!(asked);
    tokio::select! {
        _ = &mut asked => panic!("one of them does not answer yet"),
        () = gateway.openai.reached_by(1) => {}
    }
    let second = gateway.ask(&key, "mistral-small-latest", "x", false).await;
    assert_eq!(second.refusal(), (429, "rate_limit_exceeded".to_owned(), true));
    assert!(second.text().contains("1 réponse(s) en cours"), "{}", second.text());
    gateway.openai.open_gate();
    ready(&asked.await);
    // Each counted as one request, though the town asked twice.
    ready(&ask(&gateway, &key).await);
    assert_eq!(ask(&gateway, &key).await.refusal().1, "rate_limit_exceeded");
    gateway.clock.advance(Duration::from_secs(30));
    ready(&ask(&gateway, &key).await);
    gateway.settled().await;
}

#[tokio::test]
async fn a_plan_holds_for_its_residents_duels_too() {
    let plan = |name: &str, rest: &str| {
        format!(
            "[plans.{name}]\nrequests_per_minute = 100\nburst = 100\nsimultaneous = 9\nquestions_per_day = 9\ntokens_per_day = 90000\neuros_per_month = \"1\"\nmax_output_tokens = 100\n{rest}\n"
        )
    };
    let plans = plan("europe", "hosts = \"eu\"\nmodels = []")
        + &plan("eleve", "hosts = \"any\"\nmodels = [\"mistral-small-latest\"]")
        + &plan("deux", "hosts = \"any\"\nmodels = [\"mistral-small-latest\", \"openai/gpt-6-luna\"]");
    let gateway = TestGateway::with(&(offering(&[LUNA, SMALL, TERRA], "10") + &plans)).await;
    ready(&ask(&gateway, &gateway.resident_of("europe")).await);
    let calls = [gateway.openai.calls(), gateway.mistral.calls()].concat();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.path.starts_with("/eu/")), "no question of theirs leaves the Union");
    let pupil = ask(&gateway, &gateway.resident_of("eleve")).await;
    assert_eq!(pupil.refusal(), (403, "duels_not_offered".to_owned(), false));
    let of_two = gateway.resident_of("deux");
    for _ in 0..8 {
        ready(&ask(&gateway, &of_two).await);
    }
    assert!(gateway.entries().iter().skip(2).all(|entry| entry.sent_model != "gpt-6.1-terra"));
    gateway.settled().await;
}

#[tokio::test]
async fn who_may_not_ask_hears_why_and_reaches_nobody() {
    let gateway = TestGateway::start().await;
    let refused = ask(&gateway, &gateway.resident()).await;
    assert_eq!(refused.refusal(), (404, "duels_not_offered".to_owned(), false));
    assert!(refused.text().contains("/v1/chat/completions"), "{}", refused.text());

    let gateway = gateway_of_two("").await;
    let key = gateway.resident();
    assert_eq!(ask(&gateway, "psk-wrong").await.refusal().1, "invalid_api_key");
    for (body, param) in [
        (json!({"model": "auto", "messages": [{"role": "user", "content": "x"}]}), Some("model")),
        (json!({"messages": [{"role": "user", "content": "x"}], "temperature": 1}), Some("temperature")),
        (json!({"messages": []}), Some("messages")),
        (json!([]), None),
    ] {
        let refused = gateway.send(TestGateway::post("/duels", &key, &body)).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()["error"]["param"].as_str(), param, "{body}");
    }
    let long = Request::post("/v1/duels").header("authorization", format!("Bearer {key}"));
    let long = gateway.send(long.body(Body::from(vec![b' '; 300 << 10])).unwrap()).await;
    assert_eq!(long.refusal().0, 413);
    let keys = gateway.ledger().list_keys().unwrap();
    assert!(gateway.ledger().revoke_key(None, &keys[0].key_id, gateway.clock.now()).unwrap());
    assert_eq!(ask(&gateway, &key).await.refusal().1, "invalid_api_key", "at the next question");
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
    gateway.settled().await;
}
