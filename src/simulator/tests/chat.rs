//! Plain chat: shapes, sums, failures and the books.

use futures_util::StreamExt as _;
use providers::catalogue::{MISTRAL_TOML, OPENAI_TOML, ProviderCatalogue};

use super::*;

#[test]
fn pieces_join_to_the_text_and_never_span_words() {
    let text = "  Où  est la mairie ?\n\nÀ l'hôtel de ville.";
    let pieces: Vec<&str> = tokens::pieces(text).collect();
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().all(|piece| piece.chars().count() <= 4), "{pieces:?}");
    assert_eq!(tokens::pieces(" mairie ?").collect::<Vec<_>>(), [" mai", "rie", " ?"]);
    assert_eq!(tokens::count(""), 0);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = SimulatorSettings::new(Dialect::Openai);
    assert_eq!(good.check(), Ok(()));
    let bad = [
        SimulatorSettings { error_rate: 1.1, ..good.clone() },
        SimulatorSettings { error_rate: 0.6, hang_rate: 0.6, ..good.clone() },
        SimulatorSettings { output_tokens: (9, 3), ..good.clone() },
        SimulatorSettings { first_token: LogNormalMillis { median: f64::NAN, sigma: 0.0 }, ..good.clone() },
        SimulatorSettings { inter_token: LogNormalMillis { median: 1.0, sigma: -1.0 }, ..good },
    ];
    assert!(bad.iter().all(|settings| settings.check().is_err()));
}

#[tokio::test]
async fn a_stream_without_waits_comes_in_pieces_of_as_many_tokens_as_asked() {
    let mut pieces = Vec::new();
    for tokens_at_once in [1, 64] {
        let settings = SimulatorSettings { tokens_at_once, output_tokens: (50, 50), ..fast(Dialect::Openai) };
        let (router, _) = simulated(settings);
        let body = with(question(Dialect::Openai), json!({"stream": true, "reasoning_effort": "none"}));
        let request = Request::post("/v1/chat/completions").header("authorization", "Bearer sk-x");
        let response = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        pieces.push(response.into_body().into_data_stream().count().await);
    }
    assert!(pieces[0] >= 50, "{pieces:?}");
    assert_eq!(pieces[1], 1);
}

#[tokio::test]
async fn openai_streams_in_its_order_with_exact_usage() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let asked = with(question(Dialect::Openai), json!({"stream_options": {"include_usage": true}}));
    let chunks = stream(&router, &asked).await;
    let (first, last, finish) = (&chunks[0], chunks.last().unwrap(), &chunks[chunks.len() - 2]);
    assert_eq!(first["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(finish["choices"][0]["delta"], json!({}));
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["choices"], json!([]));
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    let usage = usage_of(&last["usage"]);
    assert_eq!(usage.output_visible, chunks.len() as u64 - 3);
    assert_eq!(usage.output_visible, tokens::count(&text_of(&chunks, 0)));
    assert!((10..=60).contains(&usage.reasoning));
    assert_eq!(usage.input_tokens(), tokens::count("Quand ouvre la mairie ?") + 7);
    assert_eq!(vendor.books().output_tokens, usage.output_tokens());
    assert_eq!(vendor.books().answered, 1);
    let without = stream(&router, &question(Dialect::Openai)).await;
    assert!(without.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));
}

#[tokio::test]
async fn mistral_ends_with_text_reason_and_usage_in_one_chunk() {
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let chunks = stream(&router, &question(Dialect::Mistral)).await;
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert!(others.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"][0]["finish_reason"].is_null()));
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(!last["choices"][0]["delta"]["content"].as_str().unwrap().is_empty());
    assert!(chunks.iter().all(|chunk| !chunk["p"].as_str().unwrap().is_empty() && chunk["model"] == MISTRAL_MODEL));
    let usage = usage_of(&last["usage"]);
    assert_eq!(usage.output_tokens(), chunks.len() as u64 - 1);
    assert_eq!(vendor.books().models["mistral-small-2603"].output_tokens, usage.output_tokens());
}

#[tokio::test]
async fn whole_answers_have_the_same_text_as_streams_of_the_same_seed() {
    for dialect in [Dialect::Openai, Dialect::Mistral, Dialect::Compatible] {
        let (router, vendor) = simulated(fast(dialect));
        let (status, whole) = ask(&router, &question(dialect)).await;
        assert_eq!(status, StatusCode::OK);
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        let usage = usage_of(&whole["usage"]);
        assert_eq!(usage.output_visible, tokens::count(text));
        let (shortest, longest) = vendor.settings.output_tokens;
        assert!((u64::from(shortest)..=u64::from(longest)).contains(&usage.output_visible));
        let (twin, _) = simulated(fast(dialect));
        assert_eq!(text_of(&stream(&twin, &question(dialect)).await, 0), text);
        let (_, second) = ask(&router, &question(dialect)).await;
        assert_ne!(second["choices"][0]["message"]["content"], text);
        let (other, _) = simulated(SimulatorSettings { seed: 2, ..fast(dialect) });
        assert_ne!(ask(&other, &question(dialect)).await.1["choices"][0]["message"]["content"], text);
    }
}

#[tokio::test]
async fn openai_answers_with_the_dated_id_and_mistral_with_the_alias() {
    let (router, _) = simulated(fast(Dialect::Openai));
    let catalogue = ProviderCatalogue::parse(OPENAI_TOML).unwrap();
    let today = "2026-11-24".parse().unwrap();
    let moved = |(id, model): &(&str, &Arc<providers::catalogue::Model>)| {
        *id != &*model.id && model.operation.as_str() == "chat" && model.price_at(today).is_some()
    };
    let (alias, model) = catalogue.ids_at(today).find(moved).unwrap();
    let body = with(question(Dialect::Openai), json!({"model": alias}));
    assert_eq!(ask(&router, &body).await.1["model"], *model.id);
    let (router, _) = simulated(fast(Dialect::Mistral));
    let (_, whole) = ask(&router, &question(Dialect::Mistral)).await;
    assert_eq!(whole["model"], MISTRAL_MODEL);
    assert_eq!(whole["choices"][0]["message"].get("tool_calls"), Some(&Value::Null));
}

#[tokio::test]
async fn limits_and_choices_are_respected() {
    let (router, _) = simulated(fast(Dialect::Mistral));
    let body = with(question(Dialect::Mistral), json!({"max_tokens": 5, "n": 3}));
    let (_, whole) = ask(&router, &body).await;
    assert_eq!(whole["choices"].as_array().unwrap().len(), 3);
    assert_eq!(usage_of(&whole["usage"]).output_tokens(), 15);
    assert_eq!(whole["choices"][2]["finish_reason"], "length");
    let (router, _) = simulated(fast(Dialect::Openai));
    let body = with(question(Dialect::Openai), json!({"max_completion_tokens": 9, "n": 2}));
    let (_, whole) = ask(&router, &body).await;
    assert_eq!(usage_of(&whole["usage"]).output_tokens(), 18);
    assert_eq!(usage_of(&whole["usage"]).reasoning, 18);
    let body = with(question(Dialect::Openai), json!({"reasoning_effort": "none", "n": 2}));
    let chunks = stream(&router, &with(body, json!({"stream_options": {"include_usage": true}}))).await;
    let visible = tokens::count(&text_of(&chunks, 0)) + tokens::count(&text_of(&chunks, 1));
    assert_eq!(usage_of(&chunks.last().unwrap()["usage"]).output_tokens(), visible);
    let (router, _) = simulated(fast(Dialect::Mistral));
    let chunks = stream(&router, &with(question(Dialect::Mistral), json!({"n": 2}))).await;
    assert_eq!(chunks.iter().filter(|chunk| !chunk["choices"][0]["finish_reason"].is_null()).count(), 2);
    assert_eq!(chunks.iter().filter(|chunk| chunk.get("usage").is_some()).count(), 1);
    assert!(chunks.last().unwrap().get("usage").is_some());
}

#[tokio::test]
async fn mistral_refuses_what_it_does_not_know() {
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let extra = json!({"store": false, "stream_options": {"include_usage": true}});
    let (status, body) = ask(&router, &with(question(Dialect::Mistral), extra)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = json!({
        "type": "extra_forbidden", "loc": ["body", "store"], "msg": "Extra inputs are not permitted", "input": false,
    });
    assert_eq!(body["detail"][0], expected);
    assert_eq!(body["detail"][1]["loc"][1], "stream_options");
    let named = json!({"messages": [{"role": "user", "content": "x", "name": "Jeanne"}]});
    let (status, body) = ask(&router, &with(question(Dialect::Mistral), named)).await;
    assert_eq!((status, &body["detail"][0]["loc"][4]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("name")));
    let refused = [
        (json!({"messages": [{"role": "assistant", "content": "x"}]}), "3230"),
        (json!({"messages": [{"role": "tool", "content": "x", "tool_call_id": "call_1"}]}), "3280"),
        (json!({"model": "mistral-unknown"}), "1500"),
    ];
    for (change, code) in refused {
        let (status, body) = ask(&router, &with(question(Dialect::Mistral), change)).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
    }
    let prefix = json!({"messages": [
        {"role": "user", "content": "Salue-moi."}, {"role": "assistant", "content": "Bonjour,", "prefix": true},
    ]});
    let (_, body) = ask(&router, &with(question(Dialect::Mistral), prefix)).await;
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().starts_with("Bonjour, "));
    let books = vendor.books();
    assert_eq!((books.calls, books.errors, books.answered), (6, 5, 1));
}

#[tokio::test]
async fn openai_refuses_in_its_own_words() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let refused = [
        (json!({"random_seed": 1}), 400, "unknown_parameter"),
        (json!({"max_tokens": 9}), 400, "unsupported_parameter"),
        (json!({"model": "gpt-unknown"}), 404, "model_not_found"),
        (json!({"messages": null}), 400, "invalid_type"),
        (json!({"n": 0}), 400, "integer_below_min_value"),
        (json!({"messages": [{"role": "user", "content": "x", "prefix": true}]}), 400, "unknown_parameter"),
    ];
    for (change, status, code) in refused {
        let (given, body) = ask(&router, &with(question(Dialect::Openai), change)).await;
        assert_eq!((given.as_u16(), &body["error"]["code"]), (status, &json!(code)));
    }
    let path = "/v1/chat/completions";
    assert_eq!(send_to(&router, path, Some("sk-x"), "{".to_owned()).await.0, StatusCode::BAD_REQUEST);
    let body = question(Dialect::Openai).to_string();
    for key in [None, Some(""), Some("bad-key")] {
        let (status, bytes) = send_to(&router, path, key, body.clone()).await;
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!("invalid_api_key")));
    }
    assert_eq!(vendor.books(), Books { calls: 10, errors: 10, ..Books::default() });
}

#[tokio::test]
async fn failures_come_at_their_rate_and_are_never_billed() {
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        let (router, vendor) = simulated(SimulatorSettings { error_rate: 0.5, ..fast(dialect) });
        let mut seen = std::collections::BTreeMap::<u16, u64>::new();
        for _ in 0..200 {
            *seen.entry(ask(&router, &question(dialect)).await.0.as_u16()).or_default() += 1;
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [200, 429, 500, 503]);
        let books = vendor.books();
        assert_eq!((books.calls, books.answered, books.errors), (200, seen[&200], 200 - seen[&200]));
        assert!((70..130).contains(&books.errors), "{seen:?}");
        assert_eq!(books.models.values().map(|line| line.calls).sum::<u64>(), books.answered);
    }
}

#[tokio::test]
async fn books_agree_with_the_usage_reported_and_the_catalogue() {
    for (dialect, text) in [(Dialect::Openai, OPENAI_TOML), (Dialect::Mistral, MISTRAL_TOML)] {
        let (router, vendor) = simulated(fast(dialect));
        let catalogue = ProviderCatalogue::parse(text).unwrap();
        let today = "2026-11-24".parse().unwrap();
        let model = catalogue.resolve(model_of(dialect), today).unwrap();
        let long = "Les horaires du port. ".repeat(400);
        let mut expected = Books::default();
        for (host, path) in [("global", "/v1"), ("eu", "/eu/v1"), ("us", "/us/v1"), ("global", "/v1")] {
            let body = with(question(dialect), json!({"messages": [{"role": "user", "content": long}]}));
            let path = format!("{path}/chat/completions");
            let (_, bytes) = send_to(&router, &path, Some("sk-x"), body.to_string()).await;
            let usage = usage_of(&serde_json::from_slice::<Value>(&bytes).unwrap()["usage"]);
            let uplift = catalogue.host(host).unwrap().uplift_for(model);
            let cost = model.price_at(today).unwrap().cost(&usage, uplift).unwrap();
            expected.calls += 1;
            expected.answered += 1;
            expected.cached_tokens += usage.input_cached;
            let tokens = books::Tokens {
                input: usage.input_tokens(),
                output: usage.output_tokens(),
                ..books::Tokens::default()
            };
            expected.bill(&model.id, tokens, cost.nanos());
        }
        let block = if dialect == Dialect::Mistral { 64 } else { 128 };
        assert!(expected.cached_tokens >= 3 * 1024 && expected.cached_tokens % block == 0);
        assert_eq!(vendor.books(), expected);
        let request = Request::get("/simulator/books").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let served: Books = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
        assert_eq!(served, expected);
    }
}

#[tokio::test]
async fn models_are_listed_for_those_with_a_key() {
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        let (router, vendor) = simulated(fast(dialect));
        let request =
            |key: &str| Request::get("/eu/v1/models").header("authorization", key).body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request("")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
        let response = router.clone().oneshot(request("Bearer k")).await.unwrap();
        let list: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
        assert!(list["data"].as_array().unwrap().iter().any(|entry| entry["id"] == model_of(dialect)));
        assert_eq!(vendor.books().calls, 0);
        let entry = |id: &str| list["data"].as_array().unwrap().iter().find(|entry| entry["id"] == id).cloned();
        let asked = ["mistral-embed", "mistral-moderation-latest", "voxtral-mini-latest", "voxtral-small-latest"];
        let able = ["vision", "moderation", "audio_transcription", "audio"];
        if dialect == Dialect::Mistral {
            for (id, ability) in asked.iter().zip(able).skip(1) {
                let capabilities = entry(id).unwrap()["capabilities"].clone();
                assert_eq!((&capabilities[ability], &capabilities["vision"]), (&json!(true), &json!(false)), "{id}");
            }
            assert_eq!(entry(MISTRAL_MODEL).unwrap()["capabilities"]["vision"], true);
            assert_eq!(entry("zai-glm-5-2"), None);
        } else {
            assert!(
                ["whisper-1", "text-embedding-3-small", "omni-moderation-latest"].iter().all(|id| entry(id).is_some())
            );
        }
    }
}

#[test]
fn its_own_arithmetic_agrees_with_the_catalogue_at_every_tier() {
    let today = "2026-11-24".parse().unwrap();
    let mut tiers = 0;
    let mut by_time = 0;
    for text in [OPENAI_TOML, MISTRAL_TOML] {
        let catalogue = ProviderCatalogue::parse(text).unwrap();
        for row in catalogue.ids_at(today).filter_map(|(_, model)| model.price_at(today)) {
            let threshold = row.long_context.map_or(1000, |tier| tier.above_input_tokens);
            tiers += usize::from(row.long_context.is_some());
            let model_by_time = row.rates.audio_minute.is_some();
            by_time += usize::from(model_by_time);
            for (input, audio_millis) in [(0, 1), (7, 0), (threshold, 59_999), (threshold + 1, 3_600_001)] {
                for uplift in [0, 10] {
                    let (cached, audio) = (input / 3, input / 5);
                    let searches = if row.tool_calls.web_search.is_some() { input % 4 } else { 0 };
                    let tokens = books::Tokens { input, cached, audio, output: 977, audio_millis, searches };
                    let usage = Usage {
                        input_uncached: input - cached - audio,
                        input_cached: cached,
                        input_audio: audio,
                        output_visible: 977,
                        audio_millis,
                        tool_calls: providers::usage::ToolCalls { web_search: searches },
                        ..Usage::default()
                    };
                    assert_eq!(books::price(row, uplift, tokens), row.cost(&usage, uplift).unwrap().nanos());
                }
            }
        }
    }
    assert!(by_time > 0);
    assert!(tiers > 0);
}

#[tokio::test]
async fn calls_are_remembered_one_by_one_when_that_is_asked_for_and_never_otherwise() {
    for dialect in [Dialect::Openai, Dialect::Mistral] {
        for record_calls in [false, true] {
            let (router, vendor) = simulated(SimulatorSettings { record_calls, ..fast(dialect) });
            for (id, body) in [("req-1", question(dialect)), ("req-2", json!({"model": "nobody's", "messages": []}))] {
                let request = Request::post("/v1/chat/completions")
                    .header("authorization", "Bearer sk-x")
                    .header("x-client-request-id", id)
                    .body(Body::from(body.to_string()))
                    .unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                to_bytes(response.into_body(), usize::MAX).await.unwrap();
            }
            let listed = Request::get("/simulator/calls").body(Body::empty()).unwrap();
            let listed = router.clone().oneshot(listed).await.unwrap();
            let bytes = to_bytes(listed.into_body(), usize::MAX).await.unwrap();
            let calls: Vec<RecordedCall> = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(calls.len(), if record_calls { 2 } else { 0 });
            if let [answered, refused] = &calls[..] {
                assert_eq!(answered.request_id.as_deref(), Some("req-1"));
                assert_eq!(answered.billed_nanos, Some(vendor.books().billed_nanos));
                assert!(vendor.books().models.contains_key(answered.model.as_deref().unwrap()));
                assert_eq!(*refused, RecordedCall { request_id: Some("req-2".to_owned()), ..RecordedCall::default() });
            }
        }
    }
}
