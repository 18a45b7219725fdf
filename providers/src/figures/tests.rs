use super::json::scaled;
use super::*;
use crate::money::format_nanos;
use proptest::prelude::*;
use serde_json::json;

fn usage_page(result: &Value) -> String {
    let bucket =
        json!({"object": "bucket", "start_time": 1_763_942_400, "end_time": 1_764_028_800, "results": [result]});
    json!({"object": "page", "has_more": false, "next_page": null, "data": [bucket]}).to_string()
}

fn quantity(figures: &VendorFigures, bucket: UsageBucket) -> Option<u64> {
    figures.usage.iter().find(|line| line.bucket == bucket).map(|line| line.quantity)
}

#[test]
fn openais_usage_is_taken_apart_into_buckets_that_do_not_overlap() {
    let text = usage_page(&json!({
        "object": "organization.usage.completions.result", "input_tokens": 120_000, "input_cached_tokens": 40_000,
        "output_tokens": 18_000, "input_audio_tokens": 0, "output_audio_tokens": 0, "num_model_requests": 320,
        "project_id": "proj_SAMPLE", "user_id": null, "api_key_id": "key_SAMPLE", "model": "gpt-4.1-mini-2025-04-14",
        "batch": false, "service_tier": "default",
    }));
    let figures = VendorFigures::read(&text).unwrap();
    let all: Vec<_> = UsageBucket::ALL.iter().map(|bucket| quantity(&figures, *bucket)).collect();
    assert_eq!(all, [Some(320), Some(80_000), Some(40_000), None, None, Some(18_000), None]);
    let line = &figures.usage[0];
    assert_eq!(line.model.as_deref(), Some("gpt-4.1-mini-2025-04-14"));
    assert_eq!(
        (line.start.to_string().as_str(), line.service_tier.as_deref()),
        ("2025-11-24T00:00:00Z", Some("default"))
    );
}

#[test]
fn openais_costs_are_exact_to_the_nano_whatever_way_they_are_written() {
    for (value, nanos) in [
        (json!(0.0648), 64_800_000),
        (json!("0.064800000"), 64_800_000),
        (json!(6.48e-2), 64_800_000),
        (json!(1.5e-9), 2),
        (json!("0.0000000004999"), 0),
        (json!(1_234_567.123_456_789), 1_234_567_123_456_789),
        (json!(-0.01), -10_000_000),
    ] {
        let text = usage_page(&json!({
            "object": "organization.costs.result", "amount": {"value": value, "currency": "usd"},
            "line_item": "gpt-4.1-mini-2025-04-14, input", "project_id": "proj_SAMPLE", "quantity": 80_000,
        }));
        let figures = VendorFigures::read(&text).unwrap();
        assert_eq!(figures.costs.len(), 1);
        let line = &figures.costs[0];
        assert_eq!((line.nanos, line.currency, line.day.to_string().as_str()), (nanos, Currency::Usd, "2025-11-24"));
        assert_eq!(line.model.as_deref(), Some("gpt-4.1-mini-2025-04-14"));
    }
}

#[test]
fn mistrals_month_is_read_with_its_own_prices_where_it_names_no_amount() {
    let month = json!({
        "completion": {"models": {"mistral-small-latest": {
            "input": [{"timestamp": "2026-11-01T00:00:00Z", "value": 120_000}],
            "cached_input": [{"timestamp": "2026-11-01", "value": 7, "amount": "0.000001"}],
            "output": [{"timestamp": "2026-11-01T00:00:00Z", "value": 18_000}],
            "croissants": [{"timestamp": "2026-11-01T00:00:00Z", "value": 3}],
        }}},
        "libraries_api": {"pages": {"models": {}}}, "fine_tuning": {"training": {}}, "vibe_usage": 0,
        "start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-30T23:59:59Z", "currency": "EUR",
        "prices": [{"event_type": "api_tokens", "billing_metric": "mistral-small-latest", "billing_group": "input",
            "api_zone": "global", "service_tier": "standard", "price": "0.0000001"}],
    });
    let figures = VendorFigures::read(&month.to_string()).unwrap();
    assert_eq!(quantity(&figures, UsageBucket::InputUncached), Some(120_000));
    assert_eq!(quantity(&figures, UsageBucket::InputCached), Some(7));
    assert_eq!(quantity(&figures, UsageBucket::Output), Some(18_000));
    let costs: Vec<_> = figures.costs.iter().map(|line| (line.nanos, line.currency)).collect();
    // No price fits the output: absent, not zero.
    assert_eq!(costs, [(12_000_000, Currency::Eur), (1_000, Currency::Eur)]);
    assert_eq!(figures.unread, ["the group completion, croissants"]);
}

#[test]
fn a_file_may_hold_several_documents() {
    let page = usage_page(&json!({"object": "organization.usage.embeddings.result", "input_tokens": 5}));
    let figures = VendorFigures::read(&format!("{page}\n{page}\n")).unwrap();
    assert_eq!(figures.usage.iter().map(|line| line.quantity).sum::<u64>(), 10);
}

#[test]
fn what_cannot_be_understood_is_named_with_its_place() {
    let page = |result: Value| usage_page(&result);
    let usage = "organization.usage.completions.result";
    for (text, sentence) in [
        (String::new(), "document 1: is empty"),
        ("{".to_owned(), "document 1: is no JSON: EOF while parsing an object at line 1 column 1"),
        (
            "{}".to_owned(),
            "document 1, the document: is neither a page of OpenAI's usage or costs nor a month of Mistral's usage",
        ),
        (json!({"object": "page"}).to_string(), "document 1, the document: `data` is missing"),
        (page(json!({"object": "x"})), "document 1, data[0].results[0].object: `x` is neither usage nor costs"),
        (
            page(json!({"object": usage, "input_tokens": -1})),
            "document 1, data[0].results[0].input_tokens: is below zero or too large for a count",
        ),
        (
            page(json!({"object": usage, "input_tokens": 1, "input_cached_tokens": 2})),
            "document 1, data[0].results[0]: has more cached, written and audio tokens than input tokens",
        ),
        (
            page(json!({"object": "organization.costs.result", "amount": {"value": "1,5", "currency": "usd"}})),
            "document 1, data[0].results[0].amount.value: `1,5` is no plain number",
        ),
        (
            page(json!({"object": "organization.costs.result", "amount": {"value": 1, "currency": "xof"}})),
            "document 1, data[0].results[0].amount.currency: `XOF` is no currency known here",
        ),
    ] {
        assert_eq!(VendorFigures::read(&text).unwrap_err().to_string(), sentence);
    }
}

proptest! {
    #[test]
    fn printed_amounts_read_back_exactly(nanos in 0i64..i64::MAX) {
        prop_assert_eq!(scaled(&format_nanos(nanos), 9), Some(i128::from(nanos)));
    }

    #[test]
    fn doubles_read_back_to_the_nano(nanos in 0i64..1 << 50) {
        let text = json!(nanos as f64 / 1e9).to_string();
        prop_assert_eq!(scaled(&text, 9), Some(i128::from(nanos)));
    }

    #[test]
    fn nothing_that_is_drawn_makes_it_panic(text in "[-0-9.eE+]{0,70}", decimals in 0i32..20) {
        let _read_or_refused = scaled(&text, decimals);
    }
}
