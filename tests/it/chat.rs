//! A resident asks, either vendor answers, and the books say what it cost.

use axum::body::Body;
use axum::http::Request;
use passerelle::ledger::{Assignment, Outcome};

use crate::support::{Step, TestGateway};

#[tokio::test]
async fn either_vendor_answers_and_the_entry_says_what_it_cost() {
    let gateway = TestGateway::with("[providers.openai]\naccount = \"projet-mairie\"").await;
    let key = gateway.resident();
    // gpt-6-luna: 0.10 and 0.50 USD a million; mistral-small: 0.15 and 0.60. 10 + 20 tokens.
    for (model, provider, nanos) in [("gpt-6-luna", "openai", 11_000), ("mistral-small-latest", "mistral_ai", 13_500)] {
        for stream in [false, true] {
            let answer = gateway.ask(&key, model, "Bonjour", stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("Bonjour."));
            assert_eq!(answer.header("x-passerelle-provider"), Some(provider));
            assert_eq!(answer.header("x-passerelle-host"), Some("global"));
            assert_eq!(answer.header("x-passerelle-cost-eur").is_some(), !stream);
            assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
            let entry = gateway.entries().pop().unwrap();
            assert_eq!((entry.provider.as_str(), entry.outcome, entry.stream), (provider, Outcome::Completed, stream));
            assert_eq!((entry.cost_nanos, entry.currency.as_str()), (Some(nanos), "USD"));
            assert_eq!(entry.assignment, Assignment::Chosen);
            assert_eq!(entry.request_id, answer.header("x-request-id").unwrap());
            assert_eq!(entry.output_chars, Some(8));
            assert_eq!(entry.upstream_request_id.as_deref(), Some("vendor-request-1"), "what the vendor knows it by");
            assert_eq!(entry.account.as_deref(), (provider == "openai").then_some("projet-mairie"));
            assert!(entry.cost_euro_nanos.unwrap() <= entry.ceiling_euro_nanos);
        }
    }
    gateway.settled().await;
}

#[tokio::test]
async fn a_stream_is_openais_whichever_vendor_answers() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for model in ["gpt-6-luna", "mistral-small-latest"] {
        let answer = gateway.ask(&key, model, "Bonjour", true).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let text = answer.text();
        assert!(text.ends_with("data: [DONE]\n\n") && text.matches("[DONE]").count() == 1);
        assert!(!text.contains("\"choices\":[]"), "nobody asked for the usage chunk: {text}");
        assert_eq!(text.matches("\"finish_reason\":\"stop\"").count(), 1);
    }
    gateway.settled().await;
}

#[tokio::test]
async fn the_model_that_the_vendor_returned_decides_the_price() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let dearer =
        Step::Say { text: "Oui".to_owned(), input: 10, output: 20, model: Some("mistral-large-2512".to_owned()) };
    gateway.mistral.script([dearer]);
    gateway.ask(&key, "mistral-small-latest", "?", false).await;
    let entry = gateway.entries().pop().unwrap();
    assert_eq!(entry.response_model.as_deref(), Some("mistral-large-2512"));
    assert!(entry.price_row.starts_with("mistral_ai/mistral-large-2512@"));
    assert_eq!(entry.cost_nanos, Some(10 * 500 + 20 * 1500));
}

#[tokio::test]
async fn the_vendor_gets_its_own_key_and_nothing_of_the_residents() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let mut request = TestGateway::request(
        &key,
        &serde_json::json!({
            "model": "gpt-6-luna", "user": "jean.dupont", "metadata": {"a": "b"},
            "messages": [{"role": "user", "content": "x"}]
        }),
    );
    for (name, value) in [
        ("cookie", "c=1"),
        ("x-openwebui-user-email", "a@b.fr"),
        ("openai-organization", "o"),
        ("x-forwarded-for", "10.0.0.1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = gateway.send(request).await;
    assert_eq!(answer.header("x-passerelle-dropped-params"), Some("user,metadata"));
    let call = gateway.openai.calls().pop().unwrap();
    assert_eq!(call.headers["authorization"], "Bearer vendor-key-openai");
    for name in ["cookie", "x-openwebui-user-email", "openai-organization", "x-forwarded-for"] {
        assert!(!call.headers.contains_key(name), "{name} reached the vendor");
    }
    assert!(!call.body.to_string().contains("jean.dupont"));
    assert_eq!(call.body["max_completion_tokens"], 1024, "the plan's limit is put in where none is asked");
}

#[tokio::test]
async fn wrong_requests_get_openais_errors_and_reach_nobody() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let raw = |key: Option<&str>, body: Vec<u8>| {
        let mut request = Request::post("/v1/chat/completions");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.body(Body::from(body)).unwrap()
    };
    let fine = br#"{"model":"gpt-6-luna","messages":[{"role":"user","content":"x"}]}"#.to_vec();
    for (request, status, code) in [
        (raw(None, fine.clone()), 401, "invalid_api_key"),
        (raw(Some("psk-wrong"), fine.clone()), 401, "invalid_api_key"),
        (raw(Some("sk-other"), fine), 401, "invalid_api_key"),
        (raw(Some(&key), b"hello".to_vec()), 400, ""),
        (
            raw(Some(&key), br#"{"model":"gpt-0","messages":[{"role":"user","content":"x"}]}"#.to_vec()),
            404,
            "model_not_found",
        ),
        (
            raw(
                Some(&key),
                br#"{"model":"text-embedding-3-small","messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            ),
            404,
            "model_not_found",
        ),
        (raw(Some(&key), vec![b'a'; 40 << 20]), 413, "request_too_large"),
        (Request::get("/v1/chat/completions").body(Body::empty()).unwrap(), 405, "method_not_allowed"),
        (Request::get("/v2").body(Body::empty()).unwrap(), 404, "unknown_url"),
    ] {
        assert_eq!(gateway.send(request).await.refusal(), (status, code.to_owned(), false));
    }
    assert!(gateway.openai.calls().is_empty() && gateway.entries().is_empty());
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_even_when_another_process_revokes_it() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.status, 200);
    let beside = passerelle::ledger::Ledger::open_sqlite_beside(&gateway.folder.join("ledger.sqlite")).unwrap();
    let id = beside.list_keys().unwrap().pop().unwrap().key_id;
    assert!(beside.revoke_key(None, &id, gateway.clock.now()).unwrap());
    assert_eq!(gateway.ask(&key, "gpt-6-luna", "x", false).await.refusal().0, 401);
    assert_eq!(gateway.get(&key, "/v1/usage").await.status, 401);
}

#[tokio::test]
async fn models_are_listed_found_and_described() {
    let gateway = TestGateway::with("[plans.eleve]\nrequests_per_minute = 1\nburst = 1\nsimultaneous = 1\nquestions_per_day = 1\ntokens_per_day = 1\neuros_per_month = \"1\"\nmax_output_tokens = 10\nhosts = \"any\"\nmodels = [\"auto\"]").await;
    let key = gateway.resident();
    let list = gateway.get(&key, "/v1/models").await.json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    for id in ["auto", "gpt-6-luna", "mistral-small-latest"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    for path in ["/v1/models/gpt-6-luna", "/v1/models/openai/gpt-6-luna", "/v1/models/openai%2Fgpt-6-luna"] {
        assert_eq!(gateway.get(&key, path).await.json()["owned_by"], "openai", "{path}");
    }
    assert_eq!(gateway.get(&key, "/v1/models/gpt-0").await.refusal().1, "model_not_found");
    let pupil = gateway.resident_of("eleve");
    assert_eq!(gateway.get(&pupil, "/v1/models").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.ask(&pupil, "gpt-6-luna", "x", false).await.refusal().1, "model_not_found");
    let description = gateway.get(&key, "/openapi.json").await.json();
    for path in ["/v1/chat/completions", "/v1/models", "/v1/models/{id}", "/v1/usage"] {
        assert!(description["paths"].get(path).is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments_that_no_client_takes_for_an_event() {
    let gateway = TestGateway::with("[server]\nkeep_alive_seconds = 1").await;
    let key = gateway.resident();
    let slow = Step::Stream {
        pieces: 1,
        gap: std::time::Duration::from_millis(1_400),
        end: crate::support::vendor::End::Proper,
    };
    gateway.openai.script([slow]);
    let text = gateway.ask(&key, "gpt-6-luna", "x", true).await.text();
    assert!(text.contains("\n\n: ping\ndata: {"), "{text}");
    assert!(text.split("\n\n").filter(|event| !event.is_empty()).all(|event| event.contains("data: ")));
}

#[tokio::test]
async fn an_answer_begins_while_its_vendor_still_thinks() {
    let gateway = TestGateway::with("[server]\nkeep_alive_seconds = 1\n[upstream]\ndrain_seconds = 1").await;
    let key = gateway.resident();
    let thinks = Step::Stream {
        pieces: 1,
        gap: std::time::Duration::from_secs(3_600),
        end: crate::support::vendor::End::Proper,
    };
    gateway.mistral.script([thinks]);
    let mut body = gateway.open(&key, "mistral-small-latest").await.into_data_stream();
    let first = futures_util::StreamExt::next(&mut body).await.unwrap().unwrap();
    assert_eq!(&first[..], b": ping\n");
    drop(body);
    gateway.settled().await;
    assert_eq!(gateway.entries().pop().unwrap().outcome, Outcome::Interrupted);
}

#[tokio::test]
async fn a_base_address_without_v1_works_as_well() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    for path in ["/models", "/models/gpt-6-luna", "/usage"] {
        assert_eq!(gateway.get(&key, path).await.json(), gateway.get(&key, &format!("/v1{path}")).await.json());
    }
    let mut request = TestGateway::request(
        &key,
        &serde_json::json!({"model": "gpt-6-luna", "messages": [{"role": "user", "content": "x"}]}),
    );
    *request.uri_mut() = "/chat/completions".parse().unwrap();
    assert_eq!(gateway.send(request).await.status, 200);
}

#[tokio::test]
async fn a_browser_may_call_from_listed_pages_only() {
    let gateway = TestGateway::with("[server]\ncors_origins = [\"https://chat.ville.test\"]").await;
    let key = gateway.resident();
    let preflight = |origin: &str| {
        Request::options("/v1/chat/completions")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let allowed = gateway.send(preflight("https://chat.ville.test")).await;
    assert_eq!(
        (allowed.status.as_u16(), allowed.header("access-control-allow-origin")),
        (200, Some("https://chat.ville.test"))
    );
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(gateway.send(preflight("https://elsewhere.test")).await.header("access-control-allow-origin"), None);

    let mut request = TestGateway::request(
        &key,
        &serde_json::json!({"model": "gpt-6-luna", "messages": [{"role": "user", "content": "x"}]}),
    );
    request.headers_mut().insert("origin", "https://chat.ville.test".parse().unwrap());
    let answer = gateway.send(request).await;
    assert!(answer.header("access-control-expose-headers").unwrap().contains("x-passerelle-provider"));
    let closed = TestGateway::start().await;
    assert_eq!(closed.send(preflight("https://chat.ville.test")).await.header("access-control-allow-origin"), None);
}
