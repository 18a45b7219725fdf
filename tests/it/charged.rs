//! Who is charged what: the table of the README line by line, streamed and not, for both vendors.

use std::time::Duration;

use futures_util::StreamExt;
use passerelle::ledger::{Charge, Entry, Outcome};
use serde_json::json;

use crate::support::vendor::End;
use crate::support::{Step, TestGateway, Vendor};
use crate::transcription::{form, voxtral, whisper};

/// One way of asking.
#[derive(Clone, Copy, Debug)]
struct Way {
    model: &'static str,
    stream: bool,
    /// Nano-dollars per input and output token, from the vendors' price lists.
    prices: (i64, i64),
}

const LUNA: (i64, i64) = (100, 500);
const SMALL: (i64, i64) = (150, 600);

fn ways() -> [Way; 4] {
    let way = |model, stream, prices| Way { model, stream, prices };
    [
        way("gpt-6-luna", false, LUNA),
        way("gpt-6-luna", true, LUNA),
        way("mistral-small-latest", false, SMALL),
        way("mistral-small-latest", true, SMALL),
    ]
}

fn streamed() -> impl Iterator<Item = Way> {
    ways().into_iter().filter(|way| way.stream)
}

impl Way {
    fn vendor(self, gateway: &TestGateway) -> &Vendor {
        if self.model.starts_with("gpt") { &gateway.openai } else { &gateway.mistral }
    }

    /// What that many tokens cost.
    fn nanos(self, input: i64, output: i64) -> i64 {
        input * self.prices.0 + output * self.prices.1
    }

    /// Asks once, of a vendor that does `steps`; gives the entries.
    async fn asked(self, overrides: &str, steps: impl IntoIterator<Item = Step>) -> Vec<Entry> {
        let gateway = TestGateway::with(overrides).await;
        let key = gateway.resident();
        self.vendor(&gateway).script(steps);
        gateway.ask(&key, self.model, "Bonjour", self.stream).await;
        let entries = gateway.entries();
        gateway.settled().await;
        assert_counted(&gateway, &key, &entries).await;
        entries
    }

    /// A stream of 10 tokens in and `pieces` out.
    fn pieces(pieces: u32, end: End) -> Step {
        Step::Stream { pieces, gap: Duration::from_millis(5), end }
    }

    /// A chunk in the middle of a stream that says what was used so far, and then `after`.
    fn usage_so_far(self, after: &str) -> Step {
        let chunk = json!({
            "id": "x1", "object": "chat.completion.chunk", "created": 1, "model": self.model,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Bon"}, "finish_reason": null}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        });
        Step::Body("text/event-stream", format!("data: {chunk}\n\n{after}"))
    }
}

const ERROR_EVENT: &str =
    "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

/// The resident's count of questions is what the entries charge.
async fn assert_counted(gateway: &TestGateway, key: &str, entries: &[Entry]) {
    let usage = gateway.get(key, "/v1/usage").await.json();
    let questions: u64 = entries.iter().map(|entry| entry.charged.questions).sum();
    let tokens: u64 = entries.iter().map(|entry| entry.charged.tokens).sum();
    assert_eq!(usage["limits"][0]["used"], questions.to_string());
    assert_eq!(usage["limits"][1]["used"], tokens.to_string());
}

#[track_caller]
fn only(mut entries: Vec<Entry>) -> Entry {
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

/// Completed: exactly that, to the resident and to the town.
#[track_caller]
fn assert_exact(entry: &Entry, nanos: i64, tokens: u64) {
    assert_eq!((entry.cost_nanos, entry.cost_lower_nanos, entry.cost_upper_nanos), (Some(nanos), nanos, nanos));
    let euro_nanos = entry.cost_euro_nanos.unwrap();
    assert_eq!(entry.charged, Charge { questions: 1, tokens, euro_nanos });
    // One rounding, up.
    let rate = i128::from(entry.rate_micros);
    assert_eq!(i128::from(euro_nanos), (i128::from(nanos) * 1_000_000 + rate - 1) / rate);
}

/// Not known: between bounds, and the ceiling is charged. Absent is not zero.
#[track_caller]
fn assert_ceiling(entry: &Entry, outcome: Outcome, error: &str) {
    assert_eq!((entry.outcome, entry.error_type.as_deref()), (outcome, Some(error)), "{entry:?}");
    assert_eq!((entry.cost_nanos, entry.cost_euro_nanos), (None, None), "absent is not zero");
    assert!(entry.cost_lower_nanos < entry.cost_upper_nanos);
    assert_eq!((entry.charged.questions, entry.charged.euro_nanos), (1, entry.ceiling_euro_nanos));
    assert!(entry.charged.tokens > 100, "the longest answer and its question");
}

/// Refused and not billed: nothing is charged, not even the question.
#[track_caller]
fn assert_free(entry: &Entry) {
    assert_eq!((entry.outcome, entry.cost_nanos, entry.cost_upper_nanos), (Outcome::Rejected, Some(0), 0), "{entry:?}");
    assert_eq!(entry.charged, Charge::default());
}

#[tokio::test]
async fn a_whole_answer_is_charged_its_exact_cost() {
    for way in ways() {
        let entry = only(way.asked("", []).await);
        assert_eq!((entry.outcome, &entry.error_type), (Outcome::Completed, &None));
        assert_exact(&entry, way.nanos(10, 20), 30);
    }
}

#[tokio::test]
async fn an_explicit_zero_is_zero() {
    for way in ways() {
        let zero = Step::Say { text: String::new(), input: 0, output: 0, model: None };
        let entry = only(way.asked("", [zero]).await);
        assert_eq!(entry.outcome, Outcome::Completed);
        assert_exact(&entry, 0, 0);
    }
}

#[tokio::test]
async fn a_missing_usage_is_not_zero() {
    for way in ways() {
        let delta = if way.stream { "delta" } else { "message" };
        let answer = json!({
            "id": "x1", "created": 1, "model": way.model,
            "object": if way.stream { "chat.completion.chunk" } else { "chat.completion" },
            "choices": [{"index": 0, delta: {"role": "assistant", "content": "Oui."}, "finish_reason": "stop"}],
        });
        let step = if way.stream {
            Step::Body("text/event-stream", format!("data: {answer}\n\ndata: [DONE]\n\n"))
        } else {
            Step::Body("application/json", answer.to_string())
        };
        assert_ceiling(&only(way.asked("", [step]).await), Outcome::Unknown, "usage_missing");
    }
}

#[tokio::test]
async fn a_refusal_of_the_vendor_costs_nothing_whatever_its_status() {
    for way in ways() {
        for status in [400, 401, 403, 404, 422, 429, 500, 502, 503, 504] {
            let body = r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#;
            let entry = only(way.asked("", [Step::Status(status, body.to_owned())]).await);
            assert_free(&entry);
            assert_eq!(entry.http_status, Some(status));
        }
    }
}

#[tokio::test]
async fn a_vendor_that_was_never_reached_costs_nothing() {
    for way in ways() {
        // A port that was free a moment ago, and on which nobody listens.
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let overrides = format!(
            "[providers.openai]\nbase_url = \"http://{nobody}/v1\"\n[providers.mistral_ai]\nbase_url = \"http://{nobody}/v1\""
        );
        let entry = only(way.asked(&overrides, []).await);
        assert_free(&entry);
        assert_eq!(entry.error_type.as_deref(), Some("connect"));
    }
}

#[tokio::test]
async fn no_byte_within_the_deadline_is_charged_the_ceiling() {
    for way in ways() {
        let entry = only(way.asked("[upstream]\nfirst_byte_seconds = 1", [Step::Hang]).await);
        assert_ceiling(&entry, Outcome::Unknown, "first_byte_timeout");
        assert_eq!(entry.cost_lower_nanos, 0);
    }
}

#[tokio::test]
async fn silence_after_the_first_byte_is_charged_the_ceiling() {
    for way in ways() {
        let entry = only(way.asked("[upstream]\nidle_seconds = 1", [Way::pieces(3, End::Silence)]).await);
        let outcome = if way.stream { Outcome::Interrupted } else { Outcome::Unknown };
        assert_ceiling(&entry, outcome, "idle_timeout");
    }
}

#[tokio::test]
async fn an_unreadable_answer_is_charged_the_ceiling() {
    for way in ways() {
        let entry = only(way.asked("", [Step::Garbage]).await);
        // What should be a stream of events and holds none has ended before its answer did.
        assert_ceiling(&entry, Outcome::Unknown, if way.stream { "cut" } else { "protocol" });
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_charged_the_ceiling() {
    for way in streamed() {
        let entry = only(way.asked("", [Way::pieces(3, End::Cut)]).await);
        assert_ceiling(&entry, Outcome::Interrupted, "cut");
        assert_eq!((entry.cost_lower_nanos, entry.client_left), (0, false));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_final_usage_is_charged_its_exact_cost() {
    for way in streamed() {
        let entry = only(way.asked("", [Way::pieces(3, End::CutAfterUsage)]).await);
        assert_eq!((entry.outcome, entry.error_type.as_deref()), (Outcome::Completed, Some("cut")));
        assert_exact(&entry, way.nanos(10, 3), 13);
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_is_charged_the_ceiling_and_at_least_what_was_seen() {
    for way in streamed() {
        let entry = only(way.asked("", [way.usage_so_far(ERROR_EVENT)]).await);
        assert_ceiling(&entry, Outcome::Interrupted, "server");
        assert_eq!(entry.cost_lower_nanos, way.nanos(10, 2), "a usage that still grows is a lower bound");

        let chunk = json!({
            "id": "x1", "object": "chat.completion.chunk", "created": 1, "model": way.model,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Bon"}, "finish_reason": null}],
        });
        let without = Step::Body("text/event-stream", format!("data: {chunk}\n\n{ERROR_EVENT}"));
        let entry = only(way.asked("", [without]).await);
        assert_ceiling(&entry, Outcome::Interrupted, "server");
        assert_eq!(entry.cost_lower_nanos, 0);
    }
}

#[tokio::test]
async fn a_client_that_leaves_pays_what_the_answer_cost_once_it_is_read_to_its_end() {
    for way in streamed() {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        way.vendor(&gateway).script([Step::Stream { pieces: 20, gap: Duration::from_millis(20), end: End::Proper }]);
        gateway.ask_and_leave(&key, way.model, 2).await;
        gateway.settled().await;
        let entry = only(gateway.entries());
        assert_eq!((entry.outcome, entry.client_left, &entry.error_type), (Outcome::Completed, true, &None));
        assert_exact(&entry, way.nanos(10, 20), 30);
    }
}

#[tokio::test]
async fn a_client_that_leaves_right_after_the_last_event_has_not_left_early() {
    for way in streamed() {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        let mut body = gateway.open(&key, way.model).await.into_data_stream();
        while !body.next().await.unwrap().unwrap().ends_with(b"data: [DONE]\n\n") {}
        drop(body);
        gateway.settled().await;
        let entry = only(gateway.entries());
        assert_eq!((entry.outcome, entry.client_left), (Outcome::Completed, false));
        assert_exact(&entry, way.nanos(10, 20), 30);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_a_whole_answer_pays_what_it_cost() {
    for way in ways().into_iter().filter(|way| !way.stream) {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        let vendor = way.vendor(&gateway);
        vendor.close_gate();
        tokio::select! {
            _ = gateway.ask(&key, way.model, "Bonjour", false) => panic!("answered behind a closed gate"),
            () = vendor.reached_by(1) => {}
        }
        vendor.open_gate();
        gateway.settled().await;
        assert_exact(&only(gateway.entries()), way.nanos(10, 20), 30);
    }
}

#[tokio::test]
async fn an_answer_read_on_past_the_bound_is_charged_the_ceiling() {
    for way in streamed() {
        let gateway = TestGateway::with("[upstream]\ndrain_seconds = 1").await;
        let key = gateway.resident();
        way.vendor(&gateway).script([Way::pieces(3, End::Silence)]);
        gateway.ask_and_leave(&key, way.model, 2).await;
        gateway.settled().await;
        let entry = only(gateway.entries());
        assert_ceiling(&entry, Outcome::Interrupted, "drain_bound");
        assert!(entry.client_left);
    }
}

#[tokio::test]
async fn an_answer_that_may_not_be_read_on_is_charged_the_ceiling() {
    for way in streamed() {
        let gateway = TestGateway::with("[upstream]\ndrain_seconds = 1\nmax_drains = 1").await;
        let key = gateway.resident();
        way.vendor(&gateway).script([Way::pieces(3, End::Silence), Way::pieces(3, End::Silence)]);
        let mut first = gateway.open(&key, way.model).await.into_data_stream();
        let mut second = gateway.open(&key, way.model).await.into_data_stream();
        first.next().await.unwrap().unwrap();
        second.next().await.unwrap().unwrap();
        drop((first, second));
        gateway.settled().await;
        let mut entries = gateway.entries();
        entries.sort_by_key(|entry| entry.error_type.clone());
        assert_ceiling(&entries[0], Outcome::Interrupted, "drain_bound");
        assert_ceiling(&entries[1], Outcome::Interrupted, "drain_refused");
    }
}

fn overloaded() -> Step {
    Step::Status(503, r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#.to_owned())
}

#[tokio::test]
async fn of_two_attempts_only_the_one_that_answered_is_charged() {
    for way in ways() {
        let entries = way.asked("[upstream]\nmax_attempts = 2", [overloaded()]).await;
        assert_eq!((entries.len(), entries[0].attempt, entries[1].attempt), (2, 1, 2));
        assert_free(&entries[0]);
        assert_exact(&entries[1], way.nanos(10, 20), 30);
    }
}

#[tokio::test]
async fn of_two_vendors_only_the_one_that_answered_is_charged() {
    for (way, other) in [(0, 2), (1, 3), (2, 0), (3, 1)].map(|(first, second)| (ways()[first], ways()[second])) {
        let route = format!(
            "[routes.first]\ntargets = [{{ model = \"{}\", weight = 1 }}, {{ model = \"{}\", weight = 0 }}]\nhosts = \"any\"\nfallback = true",
            way.model, other.model
        );
        let gateway = TestGateway::with(&route).await;
        let key = gateway.resident();
        way.vendor(&gateway).script([overloaded()]);
        assert_eq!(gateway.ask(&key, "first", "Bonjour", way.stream).await.status, 200);
        gateway.settled().await;
        let entries = gateway.entries();
        assert_eq!((entries.len(), &entries[0].request_id), (2, &entries[1].request_id));
        assert_free(&entries[0]);
        assert_exact(&entries[1], other.nanos(10, 20), 30);
        assert_counted(&gateway, &key, &entries).await;
    }
}

#[tokio::test]
async fn a_response_that_failed_is_charged_what_it_says_it_used() {
    let failed = json!({
        "id": "resp_1", "object": "response", "model": "gpt-6-luna", "status": "failed", "output": [],
        "error": {"code": "server_error", "message": "no"},
        "usage": {"input_tokens": 10, "output_tokens": 7, "total_tokens": 17,
                  "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 7}},
    });
    let created = json!({"type": "response.created", "sequence_number": 0, "response":
        {"id": "resp_1", "object": "response", "model": "gpt-6-luna", "status": "in_progress", "output": []}});
    let event = json!({"type": "response.failed", "sequence_number": 1, "response": failed});
    let events = format!("event: response.created\ndata: {created}\n\nevent: response.failed\ndata: {event}\n\n");
    for (stream, step) in
        [(false, Step::Body("application/json", failed.to_string())), (true, Step::Body("text/event-stream", events))]
    {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        gateway.openai.script([step]);
        let asked = json!({"model": "gpt-6-luna", "input": "Bonjour", "stream": stream, "max_output_tokens": 100});
        gateway.send(TestGateway::post("/v1/responses", &key, &asked)).await;
        gateway.settled().await;
        let entry = only(gateway.entries());
        assert_eq!((entry.outcome, entry.error_type.as_deref()), (Outcome::Interrupted, Some("server")), "{stream}");
        assert_exact(&entry, 10 * LUNA.0 + 7 * LUNA.1, 17);
    }
}

#[tokio::test]
async fn embeddings_are_charged_by_the_same_table() {
    for (model, price, openai) in [("text-embedding-3-small", 20, true), ("mistral-embed", 100, false)] {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        let vendor = if openai { &gateway.openai } else { &gateway.mistral };
        let vectors = json!({
            "object": "list", "model": model, "usage": {"prompt_tokens": 8, "total_tokens": 8},
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}],
        });
        vendor.script([Step::Body("application/json", vectors.to_string()), overloaded(), Step::Garbage]);
        for _ in 0..3 {
            let asked = json!({"model": model, "input": "Horaires"});
            gateway.send(TestGateway::post("/v1/embeddings", &key, &asked)).await;
        }
        gateway.settled().await;
        let entries = gateway.entries();
        assert_exact(&entries[0], 8 * price, 8);
        assert_free(&entries[1]);
        let entry = &entries[2];
        assert_eq!((entry.outcome, entry.cost_nanos), (Outcome::Unknown, None));
        assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
    }
}

#[tokio::test]
async fn transcriptions_are_charged_by_the_same_table() {
    // A minute and a half, at 0.006 and 0.003 USD a minute.
    for (model, good, nanos, openai) in
        [("whisper-1", whisper(), 9_000_000, true), ("voxtral-mini-2602", voxtral(), 4_500_000, false)]
    {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        let vendor = if openai { &gateway.openai } else { &gateway.mistral };
        vendor.script([good, overloaded(), Step::Garbage]);
        for _ in 0..3 {
            gateway.send(form(&key, Some(&[7; 10_000]), &[("model", model)])).await;
        }
        gateway.settled().await;
        let entries = gateway.entries();
        assert_eq!((entries[0].outcome, entries[0].cost_nanos), (Outcome::Completed, Some(nanos)));
        assert_eq!(Some(entries[0].charged.euro_nanos), entries[0].cost_euro_nanos);
        assert_free(&entries[1]);
        let entry = &entries[2];
        assert_eq!((entry.outcome, entry.cost_nanos), (Outcome::Unknown, None));
        assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
    }
}
