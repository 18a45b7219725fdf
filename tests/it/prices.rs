//! What an answer costs follows the vendor's own word: the tier it served, the searches it made. What has no price is
//! never free, and what costs beside tokens is held for before the vendor hears of it.

use passerelle::ledger::{Entry, Outcome};
use passerelle::report::Period;
use passerelle::report::reprice::{Amounts, Repricing};
use providers::catalogue::{Catalogue, MISTRAL_TOML, OPENAI_TOML, ProviderCatalogue};
use serde_json::{Value, json};

use crate::support::{Step, TestGateway};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn answer_at(tier: &str) -> Step {
    let message = json!({"role": "assistant", "content": "Oui.", "refusal": null});
    let body = json!({
        "id": "x1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna", "service_tier": tier,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    });
    Step::Body("application/json", body.to_string())
}

fn stream_at(tier: &str) -> Step {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna",
            "service_tier": tier, "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let text = json!([{"index": 0, "delta": {"role": "assistant", "content": "Oui."}, "finish_reason": null}]);
    let end = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30});
    let frames = [chunk(text, Value::Null), chunk(end, Value::Null), chunk(json!([]), usage)];
    Step::Body("text/event-stream", frames.concat() + "data: [DONE]\n\n")
}

/// A Response after that many searches, of which one more failed.
fn searched(searches: usize) -> Value {
    let item = |status: &str| json!({"id": "ws", "type": "web_search_call", "status": status, "action": {"type": "search", "query": "q"}});
    let mut output = vec![item("completed"); searches];
    output.push(item("failed"));
    let text = json!({"type": "output_text", "text": "Oui.", "annotations": [], "logprobs": []});
    output.push(json!({"id": "m", "type": "message", "status": "completed", "role": "assistant", "content": [text]}));
    json!({"id": "resp_1", "object": "response", "model": "gpt-6-luna", "status": "completed", "output": output,
        "usage": {"input_tokens": 9_000, "output_tokens": 20, "total_tokens": 9_020}})
}

fn asked(model: &str, tier: Option<&str>, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "max_tokens": 100, "service_tier": tier,
        "messages": [{"role": "user", "content": "Rien ne presse."}]})
}

async fn entry_after(gateway: &TestGateway, path: &str, body: &Value) -> Entry {
    let key = gateway.resident();
    let answer = gateway.send(TestGateway::post(path, &key, body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway.entries().pop().unwrap()
}

#[tokio::test]
async fn flex_is_asked_for_and_paid_for_as_it_was_served() {
    let gateway = TestGateway::start().await;
    for (served, nanos) in [("flex", 10 * 50 + 20 * 250), ("default", 10 * 100 + 20 * 500)] {
        for stream in [false, true] {
            gateway.openai.script([if stream { stream_at(served) } else { answer_at(served) }]);
            let entry = entry_after(&gateway, CHAT, &asked("gpt-6-luna", Some("flex"), stream)).await;
            assert_eq!((entry.outcome, entry.cost_nanos), (Outcome::Completed, Some(nanos)), "{served} {stream}");
            assert_eq!(entry.service_tier.as_deref(), Some(served));
            assert_eq!(gateway.openai.calls().pop().unwrap().body["service_tier"], "flex");
        }
    }
    let flex = entry_after(&gateway, CHAT, &asked("gpt-6-luna", Some("flex"), false)).await;
    let standard = entry_after(&gateway, CHAT, &asked("gpt-6-luna", None, false)).await;
    assert!(flex.ceiling_euro_nanos >= standard.ceiling_euro_nanos, "the vendor may fall back: no less is held");
    gateway.settled().await;
}

#[tokio::test]
async fn dearer_tiers_and_tiers_without_a_price_are_not_asked_for() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for (model, tier) in [("gpt-6-luna", "priority"), ("gpt-6-luna", "auto"), ("gpt-4o", "flex")] {
        let answer = gateway.send(TestGateway::request(&key, &asked(model, Some(tier), false))).await;
        assert_eq!(gateway.openai.calls().pop().unwrap().body["service_tier"], "default", "{model} {tier}");
        assert_eq!(answer.headers["x-passerelle-dropped-params"], "service_tier");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn an_answer_at_a_tier_without_a_price_is_never_free() {
    let gateway = TestGateway::start().await;
    for stream in [false, true] {
        gateway.openai.script([if stream { stream_at("scale") } else { answer_at("scale") }]);
        let entry = entry_after(&gateway, CHAT, &asked("gpt-6-luna", None, stream)).await;
        assert_eq!((entry.outcome, entry.error_type.as_deref()), (Outcome::Unknown, Some("tier_unpriced")));
        assert_eq!((entry.cost_nanos, entry.cost_euro_nanos), (None, None), "absent is not zero");
        assert_eq!(entry.usage.unwrap().total_tokens(), 30, "what was used is known");
        assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
    }
    gateway.settled().await;
}

#[tokio::test]
async fn a_usage_of_zero_is_zero_and_no_usage_is_not() {
    let gateway = TestGateway::start().await;
    for stream in [false, true] {
        for (model, vendor) in [("gpt-6-luna", &gateway.openai), ("mistral-small-latest", &gateway.mistral)] {
            vendor.script([Step::Say { text: "Oui.".to_owned(), input: 0, output: 0, model: None }]);
            let entry = entry_after(&gateway, CHAT, &asked(model, None, stream)).await;
            assert_eq!((entry.outcome, entry.cost_nanos), (Outcome::Completed, Some(0)), "{model} {stream}");
            assert_eq!((entry.charged.euro_nanos, entry.charged.tokens), (0, 0), "never replaced by an estimate");
        }
    }
    let without = json!({"id": "x1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Oui."}, "finish_reason": "stop"}]});
    gateway.openai.script([Step::Body("application/json", without.to_string())]);
    let entry = entry_after(&gateway, CHAT, &asked("gpt-6-luna", None, false)).await;
    assert_eq!((entry.cost_nanos, entry.charged.euro_nanos), (None, entry.ceiling_euro_nanos));
    gateway.settled().await;
}

#[tokio::test]
async fn what_a_host_says_of_its_own_cost_is_kept_beside_ours() {
    let gateway = TestGateway::start().await;
    let body = json!({"id": "x1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Oui."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "cost": 0.000_123}});
    gateway.openai.script([Step::Body("application/json", body.to_string())]);
    let entry = entry_after(&gateway, CHAT, &asked("gpt-6-luna", None, false)).await;
    let raw: Value = serde_json::from_str(&entry.usage_raw.unwrap()).unwrap();
    assert_eq!(raw["cost"], json!(0.000_123));
    assert!(entry.cost_nanos.is_some_and(|ours| ours != 123_000), "ours is by the price row, and says so");
}

#[tokio::test]
async fn an_alias_that_moved_is_priced_by_the_model_that_came_back() {
    let gateway = TestGateway::start().await;
    for (asked_for, returned, row, nanos) in [
        ("gpt-5.4", "gpt-5.4-2026-03-05", "openai/gpt-5.4-2026-03-05@", 10 * 2_500 + 20 * 15_000),
        // The alias moved, and the vendor says so.
        ("gpt-6-luna", "gpt-6-sol", "openai/gpt-6-sol@", 10 * 2_000 + 20 * 10_000),
        // A name that no list knows: the model that was sent.
        ("gpt-6-luna", "gpt-6-luna-2026-09-15", "openai/gpt-6-luna@", 10 * 100 + 20 * 500),
    ] {
        let model = Some(returned.to_owned());
        gateway.openai.script([Step::Say { text: "Oui.".to_owned(), input: 10, output: 20, model }]);
        let entry = entry_after(&gateway, CHAT, &asked(asked_for, None, false)).await;
        assert!(entry.price_row.starts_with(row), "{}", entry.price_row);
        assert_eq!(entry.cost_nanos, Some(nanos), "{returned}");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn searches_are_held_for_limited_and_billed_by_the_call() {
    let gateway = TestGateway::with("[plans.resident]\ntool_calls_per_question = 2").await;
    let response = searched(2);
    let events = format!(
        "event: response.completed\ndata: {}\n\n",
        json!({"type": "response.completed", "sequence_number": 0, "response": response})
    );
    for (stream, limit, sent) in [(false, None, 2), (true, Some(9), 2), (false, Some(1), 1)] {
        let step = if stream {
            Step::Body("text/event-stream", events.clone())
        } else {
            Step::Body("application/json", response.to_string())
        };
        gateway.openai.script([step]);
        let body = json!({"model": "gpt-6-luna", "input": "Cherche.", "stream": stream, "max_tool_calls": limit,
            "tools": [{"type": "web_search"}]});
        let entry = entry_after(&gateway, RESPONSES, &body).await;
        assert_eq!(gateway.openai.calls().pop().unwrap().body["max_tool_calls"], sent);
        assert_eq!(entry.usage.unwrap().tool_calls.web_search, 2);
        assert_eq!(entry.cost_nanos, Some(9_000 * 100 + 20 * 500 + 2 * 10_000_000));
        // A whole window for each search and one more, at the dearest rate of long input, and the searches.
        let most = (sent + 1) * 922_000 * 250 + 1_024 * 750 + sent * 10_000_000;
        assert_eq!(entry.cost_upper_nanos, entry.cost_nanos.unwrap());
        let ceiling = i128::from(entry.ceiling_euro_nanos) * i128::from(entry.rate_micros) / 1_000_000;
        assert!((ceiling - i128::from(most)).abs() <= 2, "{ceiling} instead of {most}");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn searches_are_refused_where_a_plan_or_a_price_does_not_allow_them() {
    let generous = TestGateway::with("[plans.resident]\ntool_calls_per_question = 5").await;
    let thrifty = TestGateway::start().await;
    for (gateway, model) in [(&thrifty, "gpt-6-luna"), (&generous, "mistral-small-latest"), (&generous, "gpt-4o")] {
        let key = gateway.resident();
        let body = json!({"model": model, "input": "x", "tools": [{"type": "web_search"}]});
        let answer = gateway.send(TestGateway::post(RESPONSES, &key, &body)).await;
        assert_eq!((answer.status.as_u16(), answer.refusal().1.as_str()), (400, "unsupported_parameter"), "{model}");
        assert_eq!(answer.json()["error"]["param"], "tools[0].type");
        assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
    }
}

#[tokio::test]
async fn what_was_booked_is_what_repricing_finds_under_the_list_in_force() {
    let gateway = TestGateway::with("[plans.resident]\ntool_calls_per_question = 2\nhosts = \"eu\"").await;
    let key = gateway.resident();
    gateway.openai.script([answer_at("flex"), stream_at("default"), answer_at("scale"), answer_at("priority")]);
    for (tier, stream) in [(Some("flex"), false), (None, true), (None, false), (None, false)] {
        gateway.send(TestGateway::request(&key, &asked("gpt-6-luna", tier, stream))).await;
    }
    gateway.openai.script([
        Step::Body("application/json", searched(1).to_string()),
        Step::Status(400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#.to_owned()),
    ]);
    let body = json!({"model": "gpt-6-luna", "input": "Cherche.", "tools": [{"type": "web_search"}]});
    gateway.send(TestGateway::post(RESPONSES, &key, &body)).await;
    gateway.ask(&key, "gpt-6-luna", "Refusée", false).await;
    gateway.ask(&key, "mistral-small-latest", "Bonjour", true).await;
    gateway.settled().await;

    let list = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let day = gateway.entries()[0].day.clone();
    let period = Period::parse(Some(&day), Some(&day), day.parse().unwrap()).unwrap();
    let mut repricing = Repricing::new(&list, period, None);
    gateway.ledger().visit_entries(&mut |_, entry| repricing.add(&entry)).unwrap();
    let rows = repricing.finish(false).rows;
    let openai = rows.iter().find(|row| row.provider == "openai").unwrap();
    assert_eq!((openai.attempts, openai.recomputed_attempts, openai.cost_unknown), (6, 5, 1), "one tier had no price");
    // Flex, standard and priority on the European host, then a search.
    let chat = [50 * 10 + 250 * 20, 100 * 10 + 500 * 20, 200 * 10 + 1_000 * 20].map(|nanos: i64| nanos * 110 / 100);
    let search = (9_000 * 100 + 20 * 500 + 10_000_000) * 110 / 100;
    assert_eq!(openai.recomputed.nanos, chat.iter().sum::<i64>() + search);
    assert!(rows.len() == 2 && rows.iter().all(|row| row.difference == Amounts::default()), "{rows:?}");
}
