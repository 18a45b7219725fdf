//! Embeddings, moderations, images, and what a vendor cannot express: each through the same admission and settlement.

use axum::body::Body;
use axum::http::Request;
use passerelle::ledger::Outcome;
use serde_json::{Value, json};

use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const JSON: &str = "application/json";

fn vectors(model: &str) -> Step {
    let body = json!({
        "object": "list", "model": model, "usage": {"prompt_tokens": 8, "total_tokens": 8},
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -2.5]}],
    });
    Step::Body(JSON, body.to_string())
}

#[tokio::test]
async fn embeddings_come_in_the_form_asked_for_and_are_paid_by_the_token() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    // 0.02 and 0.10 USD a million.
    for (model, vendor, nanos) in
        [("text-embedding-3-small", &gateway.openai, 160), ("mistral-embed", &gateway.mistral, 800)]
    {
        vendor.script([vectors(model)]);
        let asked = json!({"model": model, "input": ["Horaires"], "encoding_format": "base64", "user": "jean"});
        let answer = gateway.send(TestGateway::post("/v1/embeddings", &key, &asked)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        // The vendor ignored the form, and a client for JavaScript would decode numbers to nonsense.
        assert_eq!(body["data"][0]["embedding"], "AACAPwAAIMA=");
        assert!(body["id"].as_str().is_some_and(|id| !id.is_empty()), "Mistral's client wants one");
        assert_eq!(answer.header("x-passerelle-dropped-params"), Some("user"));
        assert!(answer.header("x-passerelle-cost-eur").is_some());
        let call = vendor.calls().pop().unwrap();
        assert_eq!((call.path.as_str(), &call.body["encoding_format"]), ("/v1/embeddings", &json!("base64")));
        assert!(call.body.get("user").is_none());
        let entry = gateway.entries().pop().unwrap();
        assert_eq!((entry.operation.as_str(), entry.outcome), ("embeddings", Outcome::Completed));
        assert_eq!((entry.cost_nanos, entry.charged.tokens, entry.charged.questions), (Some(nanos), 8, 1));
        assert!(entry.cost_euro_nanos.unwrap() <= entry.ceiling_euro_nanos);
    }
    let tokens = json!({"model": "mistral-embed", "input": [1, 2, 3]});
    assert_eq!(gateway.send(TestGateway::post("/v1/embeddings", &key, &tokens)).await.status, 400);
    let chat_model = json!({"model": "gpt-6-luna", "input": "x"});
    let refusal = gateway.send(TestGateway::post("/v1/embeddings", &key, &chat_model)).await.refusal();
    assert_eq!(refusal.1, "model_not_found");
    gateway.settled().await;
}

#[tokio::test]
async fn whatever_the_endpoint_a_spent_budget_is_spent() {
    let gateway = TestGateway::with("[plans.resident]\nquestions_per_day = 0").await;
    let key = gateway.resident();
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "gpt-6-luna", "messages": [{"role": "user", "content": "x"}]})),
        ("/v1/responses", json!({"model": "gpt-6-luna", "input": "x"})),
        ("/v1/embeddings", json!({"model": "mistral-embed", "input": "x"})),
        ("/v1/moderations", json!({"input": "x"})),
    ] {
        let answer = gateway.send(TestGateway::post(path, &key, &body)).await;
        assert_eq!(answer.refusal(), (429, "insufficient_quota".to_owned(), false), "{path}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
}

fn verdict(mistral: bool) -> Step {
    let results = if mistral {
        json!([{"categories": {"violence_and_threats": true}, "category_scores": {"violence_and_threats": 0.9}}])
    } else {
        json!([{"flagged": false, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}])
    };
    let model = if mistral { "mistral-moderation-latest" } else { "omni-moderation-latest" };
    Step::Body(JSON, json!({"id": "m1", "model": model, "results": results}).to_string())
}

#[tokio::test]
async fn moderations_are_free_need_no_model_and_say_whether_they_flag() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.script([verdict(false)]);
    gateway.mistral.script([verdict(true)]);
    for (asked, provider, flagged) in [
        (json!({"input": "Bonjour"}), "openai", false),
        (json!({"input": "Je vais te tuer", "model": "mistral-moderation-latest"}), "mistral_ai", true),
    ] {
        let answer = gateway.send(TestGateway::post("/v1/moderations", &key, &asked)).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-passerelle-provider")), (200, Some(provider)));
        assert_eq!(answer.json()["results"][0]["flagged"], flagged);
        let entry = gateway.entries().pop().unwrap();
        assert_eq!((entry.operation.as_str(), entry.outcome), ("moderation", Outcome::Completed));
        assert_eq!(
            (entry.cost_nanos, entry.usage),
            (Some(0), None),
            "free by the vendor's word; its tokens are unknown"
        );
        assert_eq!(entry.charged.euro_nanos, 0);
    }
    gateway.settled().await;

    let only_mistral = TestGateway::with("[providers.openai]\nenabled = false\n[routes.auto]\nhosts = \"any\"").await;
    let key = only_mistral.resident();
    only_mistral.mistral.script([verdict(true)]);
    let answer = only_mistral.send(TestGateway::post("/v1/moderations", &key, &json!({"input": "x"}))).await;
    assert_eq!(answer.header("x-passerelle-provider"), Some("mistral_ai"), "the vendor that is there judges");
}

#[tokio::test]
async fn an_image_goes_to_models_that_see_and_is_held_for_by_their_rule() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let image = format!("data:image/png;base64,{}", "A".repeat(400_000));
    let asked = |model: &str| {
        let content = json!([{"type": "text", "text": "Que montre ce panneau ?"}, {"type": "image_url", "image_url": {"url": image}}]);
        TestGateway::request(
            &key,
            &json!({"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": content}]}),
        )
    };
    for (model, vendor) in [("gpt-4o-mini", &gateway.openai), ("mistral-small-latest", &gateway.mistral)] {
        assert_eq!(gateway.send(asked(model)).await.status, 200);
        let sent = vendor.calls().pop().unwrap().body;
        assert_eq!(sent["messages"][0]["content"][1]["image_url"]["url"].as_str().unwrap().len(), image.len());
    }
    let small = gateway.entries().pop().unwrap();
    // 4,160 tokens of image and a few of text at 0.15 USD a million, not 400,000.
    assert!(small.cost_upper_nanos <= 5_000 * 150 && small.ceiling_euro_nanos < 1_000_000, "{small:?}");
    let refusal = gateway.send(asked("codestral-latest")).await.refusal();
    assert_eq!((refusal.0, refusal.1.as_str()), (400, "unsupported_parameter"));
    assert_eq!(gateway.entries().len(), 2, "what cannot be answered is not sent");
    gateway.settled().await;
}

#[tokio::test]
async fn a_route_leaves_out_the_vendor_that_cannot_express_a_request() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for number in 0..12 {
        let asked = json!({"model": "auto", "logit_bias": {"42": 5}, "messages": [{"role": "user", "content": format!("q{number}")}]});
        let answer = gateway.send(TestGateway::request(&key, &asked)).await;
        assert_eq!(answer.header("x-passerelle-provider"), Some("openai"), "{}", answer.text());
    }
    assert!(gateway.entries().iter().all(|entry| entry.probability_ppm == Some(1_000_000)), "no draw, and it says so");
    let asked = json!({"model": "mistral-small-latest", "logit_bias": {"42": 5}, "messages": [{"role": "user", "content": "x"}]});
    let answer = gateway.send(TestGateway::request(&key, &asked)).await;
    assert_eq!(answer.refusal().1, "unsupported_parameter");
    assert_eq!(answer.json()["error"]["param"], "logit_bias");
    gateway.settled().await;
}

#[tokio::test]
async fn limits_in_the_headers_are_the_residents_and_nothing_of_the_vendors_head_gets_through() {
    let gateway =
        TestGateway::with("[plans.resident]\ntokens_per_day = 50000\nrequests_per_minute = 600\nburst = 10").await;
    let key = gateway.resident();
    let mut remaining = Vec::new();
    for stream in [false, true] {
        let answer = gateway.ask(&key, "gpt-6-luna", "x", stream).await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("600"));
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("50000"));
        assert_eq!(answer.header("x-ratelimit-reset-requests"), Some("1s"));
        // Ten in the morning in Arcachon: fourteen hours to go.
        assert_eq!(answer.header("x-ratelimit-reset-tokens"), Some("14h0m0s"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(if stream { "8" } else { "9" }));
        remaining.push(answer.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap());
        for name in ["set-cookie", "openai-organization", "access-control-allow-origin", "strict-transport-security"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
    // The first call used 30 tokens; while it was asked, its ceiling was held.
    assert!(remaining[0] < 50_000 && remaining[1] < 50_000 && remaining[1] + 30 >= remaining[0] - 100, "{remaining:?}");
    gateway.settled().await;
}

#[tokio::test]
async fn models_are_described_well_enough_for_either_vendors_client() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let list = gateway.get(&key, "/v1/models").await.json();
    let models = list["data"].as_array().unwrap();
    for model in models {
        for field in ["id", "object", "created", "owned_by", "type", "capabilities"] {
            assert!(!model[field].is_null(), "{field} of {model}");
        }
    }
    let ability = |id: &str, name: &str| {
        let model = models.iter().find(|model| model["id"] == id).unwrap_or_else(|| panic!("{id} is not listed"));
        model["capabilities"][name].clone()
    };
    assert_eq!(ability("mistral-small-latest", "vision"), true);
    assert_eq!(ability("codestral-latest", "vision"), false);
    assert_eq!(ability("whisper-1", "audio_transcription"), true);
    assert_eq!(ability("omni-moderation-latest", "moderation"), true);
    assert_eq!(ability("mistral-embed", "completion_chat"), false);
    assert_eq!(ability("auto", "vision"), true, "a route leaves out who cannot see");
}

#[tokio::test]
async fn the_description_names_every_endpoint_and_refers_to_nothing_that_is_missing() {
    let gateway = TestGateway::start().await;
    let description = gateway.get("", "/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "chat/completions",
        "responses",
        "embeddings",
        "moderations",
        "audio/transcriptions",
        "models",
        "usage",
        "duels",
        "duels/{id}/vote",
    ] {
        assert!(paths.contains_key(&format!("/v1/{path}")), "{path}");
    }
    for (path, operations) in paths {
        for operation in operations.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{path} {status} has no description");
            }
        }
    }
    for endpoint in ["chat/completions", "responses", "embeddings", "moderations", "audio/transcriptions"] {
        let responses = &paths[&format!("/v1/{endpoint}")]["post"]["responses"];
        for header in ["x-passerelle-dropped-params", "x-ratelimit-remaining-tokens"] {
            assert!(responses["200"]["headers"].get(header).is_some(), "{endpoint} {header}");
        }
        for status in ["400", "401", "404", "413", "429", "502", "503", "504"] {
            assert!(responses.get(status).is_some(), "{endpoint} {status}");
        }
    }
    for header in ["x-passerelle-provider", "x-passerelle-model", "x-passerelle-cost-eur"] {
        assert!(!paths["/v1/duels"].to_string().contains(header), "a duel is blind");
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(description.pointer(reference).is_some(), "{reference} is nowhere");
    }
}

#[tokio::test]
async fn the_first_byte_leaves_before_the_last_has_arrived() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for (path, model) in [
        ("/v1/chat/completions", "gpt-6-luna"),
        ("/v1/chat/completions", "mistral-small-latest"),
        ("/v1/responses", "mistral-small-latest"),
    ] {
        // After one word this vendor says nothing more for as long as it is let.
        let half = Step::Stream { pieces: 1, gap: std::time::Duration::ZERO, end: End::Silence };
        gateway.openai.script([half.clone()]);
        gateway.mistral.script([half]);
        let body = match path {
            "/v1/responses" => json!({"model": model, "input": "x", "stream": true}),
            _ => json!({"model": model, "messages": [{"role": "user", "content": "x"}], "stream": true}),
        };
        let response =
            tower::ServiceExt::oneshot(gateway.router(), TestGateway::post(path, &key, &body)).await.unwrap();
        let mut frames = response.into_body().into_data_stream();
        let mut seen = String::new();
        while !seen.contains("mot ") {
            let frame = futures_util::StreamExt::next(&mut frames).await.unwrap().unwrap();
            seen.push_str(std::str::from_utf8(&frame).unwrap());
        }
    }
}

#[tokio::test]
async fn photographs_in_hand_are_bounded_and_leave_room_for_questions() {
    let gateway = TestGateway::with(
        "[server]\nmax_body_bytes = 400000\nmax_bodies_bytes = 400000\n[upstream]\nfirst_byte_seconds = 3",
    )
    .await;
    let key = gateway.resident();
    let photograph = |stream: bool| {
        let url = format!("data:image/png;base64,{}", "A".repeat(300_000));
        let content = json!([{"type": "image_url", "image_url": {"url": url}}]);
        let body = json!({"model": "mistral-small-latest", "stream": stream, "messages": [{"role": "user", "content": content}]});
        TestGateway::request(&key, &body)
    };
    gateway.mistral.script([Step::Hang]);
    let mut first = Box::pin(gateway.send(photograph(false)));
    while gateway.mistral.calls().is_empty() {
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }

    // Two do not fit; a question does.
    let second = gateway.send(photograph(false)).await;
    assert_eq!(second.refusal(), (503, "server_is_overloaded".to_owned(), true));
    assert!(second.header("retry-after").is_some());
    assert_eq!(gateway.ask(&key, "mistral-small-latest", "x", false).await.status, 200);

    // The first one's client leaves. Its call goes on, so what it takes is not free before it is over.
    drop(first);
    assert_eq!(gateway.send(photograph(false)).await.status, 503);
    gateway.settled().await;
    assert_eq!(gateway.send(photograph(false)).await.status, 200);

    // A stream that has begun takes no room, however long it goes on.
    gateway.mistral.script([Step::Stream { pieces: 1, gap: std::time::Duration::ZERO, end: End::Silence }]);
    let begun = tower::ServiceExt::oneshot(gateway.router(), photograph(true)).await.unwrap();
    assert_eq!(gateway.send(photograph(false)).await.status, 200);
    drop(begun);
}

/// How Mistral fails, and what the resident hears of it.
struct Case {
    name: &'static str,
    step: Step,
    status: u16,
    code: &'static str,
    /// Whether Retry-After says when.
    waits: bool,
    param: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, step: Step, status: u16, code: &'static str) -> Self {
        Self { name, step, status, code, waits: matches!(status, 429 | 503), param: None }
    }

    fn answered(name: &'static str, upstream: u16, body: &str, status: u16, code: &'static str) -> Self {
        Self::new(name, Step::Status(upstream, body.to_owned()), status, code)
    }
}

const EXTRA: &str = r#"[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted"}]"#;

fn refusals_of_the_schema() -> Vec<Case> {
    let bodies = [
        ("422 plain", format!(r#"{{"detail":{EXTRA}}}"#), ""),
        ("422 wrapped", format!(r#"{{"object":"error","message":{{"detail":{EXTRA}}},"code":null}}"#), ""),
        ("422 listed", format!(r#"{{"object":"Error","message":{EXTRA},"code":3001}}"#), "3001"),
    ];
    let one = |(name, body, code): (&'static str, String, &'static str)| Case {
        param: Some("store"),
        ..Case::answered(name, 422, &body, 400, code)
    };
    bodies.into_iter().map(one).collect()
}

fn failures() -> Vec<Case> {
    let rate = r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","code":"1300"}"#;
    let edge = r#"{"message":"Requests rate limit exceeded"}"#;
    let full = r#"{"object":"error","message":"full","type":"service_tier_capacity_exceeded","code":"3505"}"#;
    let mut cases = refusals_of_the_schema();
    cases.extend([
        Case::answered("401", 401, r#"{"detail":"Unauthorized"}"#, 502, "upstream_auth_error"),
        Case::answered("429 rate", 429, rate, 429, "rate_limit_exceeded"),
        Case::answered("429 from the edge", 429, edge, 429, "rate_limit_exceeded"),
        Case::answered("429 with 3505", 429, full, 503, "server_is_overloaded"),
        Case::answered("503 with 3505", 503, full, 503, "server_is_overloaded"),
        Case::answered("504 empty", 504, "", 502, "server"),
        Case::new("hang before the first byte", Step::Hang, 504, "first_byte_timeout"),
        Case::new("invalid JSON in a 200", Step::Garbage, 502, "protocol"),
    ]);
    cases
}

#[tokio::test]
async fn every_way_in_which_mistral_fails_is_told_in_openais_shape() {
    let gateway = TestGateway::with("[upstream]\nfirst_byte_seconds = 1").await;
    let key = gateway.resident();
    for case in failures() {
        let name = case.name;
        gateway.mistral.script([case.step]);
        let answer = gateway.ask(&key, "mistral-small-latest", "x", false).await;
        let refusal = answer.refusal();
        println!("{name} -> {} {}: {}", refusal.0, refusal.1, answer.json()["error"]["message"]);
        assert_eq!((refusal.0, refusal.1.as_str(), refusal.2), (case.status, case.code, case.waits), "{name}");
        assert_eq!(answer.json()["error"]["param"].as_str(), case.param, "{name}");
        // What may have been billed must not be sent again by a program that knows no better.
        let never = matches!(case.code, "first_byte_timeout" | "protocol");
        assert_eq!(answer.header("x-should-retry"), never.then_some("false"), "{name}");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn a_stream_that_fails_half_way_says_so_in_an_event() {
    let gateway = TestGateway::with("[upstream]\nidle_seconds = 1").await;
    let key = gateway.resident();
    for (name, end, code) in
        [("a cut stream", End::Cut, "cut"), ("a hang after the first byte", End::Silence, "idle_timeout")]
    {
        gateway.mistral.script([Step::Stream { pieces: 2, gap: std::time::Duration::ZERO, end }]);
        let text = gateway.ask(&key, "mistral-small-latest", "x", true).await.text();
        let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        let error =
            data.filter_map(|data| serde_json::from_str::<Value>(data).ok()).find(|event| event["error"].is_object());
        let error = error.unwrap();
        println!("{name} -> event {}", error["error"]);
        assert_eq!(error["error"]["code"], code, "{name}");
        assert!(text.ends_with("data: [DONE]\n\n") && text.contains("mot "));
    }
    gateway.settled().await;
}

#[tokio::test]
async fn cursors_body_on_the_chat_path_gets_chat_chunks() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for model in ["gpt-6-luna", "mistral-small-latest"] {
        let asked = json!({
            "model": model, "stream": true, "store": false, "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
            "tools": [{"type": "function", "name": "lire", "parameters": {"type": "object", "properties": {}}}],
        });
        let answer = gateway.send(TestGateway::request(&key, &asked)).await;
        assert!(answer.text().contains("chat.completion.chunk"), "{}", answer.text());
    }
    let sent = gateway.mistral.calls().pop().unwrap().body;
    assert_eq!(sent["tools"][0]["function"]["name"], "lire");
    assert_eq!(sent["messages"][0], json!({"role": "user", "content": "x"}));
    gateway.settled().await;
}

#[tokio::test]
async fn a_get_of_nothing_is_no_upload() {
    let gateway = TestGateway::start().await;
    let answer = gateway.send(Request::get("/v1/nothing").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.refusal().1, "unknown_url");
}
