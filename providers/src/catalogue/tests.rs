use super::*;
use crate::usage::Usage;
use proptest::prelude::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

const FILE: &str = r#"
    provider = "acme"
    name = "Acme"
    dialect = "compatible"
    currency = "USD"
    as_of = "2026-11-23"
    source = "test"
    [[hosts]]
    id = "global"
    region = "global"
    base_url = "https://acme.test/v1"
    uplift_percent = 0
    [[hosts]]
    id = "eu"
    region = "eu"
    base_url = "https://eu.acme.test/v1"
    uplift_percent = 10
    uplift_from_release = "2026-03-05"
    [[models]]
    id = "acme-2601"
    operation = "chat"
    released = "2026-01-10"
    context_window = 1000000
    [[models.prices]]
    from = "2026-01-10"
    until = "2026-07-30"
    input = "1.00"
    output = "6"
    source = "test"
    [[models.prices]]
    from = "2026-07-30"
    input = "0.20"
    cached_input = "0.02"
    cache_write = "0.25"
    output = "1.20"
    source = "test"
    [models.prices.long_context]
    above_input_tokens = 272000
    input = "0.40"
    output = "1.80"
    [[models]]
    id = "acme-2606"
    operation = "chat"
    released = "2026-06-01"
    context_window = 1000000
    [[models.prices]]
    from = "2026-06-01"
    input = "0.1"
    output = "0.3"
    source = "test"
    [[aliases]]
    id = "acme-latest"
    model = "acme-2601"
    from = "2026-01-10"
    until = "2026-06-15"
    [[aliases]]
    id = "acme-latest"
    model = "acme-2606"
    from = "2026-06-15"
"#;

#[test]
fn the_shipped_catalogues_are_sound() {
    let catalogue = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let today = day("2026-11-24");
    for (id, provider) in [
        ("gpt-6-luna", "openai"),
        ("mistral-small-latest", "mistral_ai"),
        ("mistral_ai/mistral-large-latest", "mistral_ai"),
    ] {
        let found = catalogue.resolve(id, today).unwrap();
        assert_eq!(found.provider.id.as_str(), provider);
        assert!(found.model.price_at(today).is_some(), "{id}");
        assert!(found.provider.hosts.iter().any(|host| host.region == "eu"));
    }
    assert!(catalogue.resolve("gpt-0", today).is_none());
}

#[test]
fn an_alias_follows_its_dates_and_so_does_the_price() {
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    assert_eq!(&*acme.resolve("acme-latest", day("2026-06-14")).unwrap().id, "acme-2601");
    assert_eq!(&*acme.resolve("acme-latest", day("2026-06-15")).unwrap().id, "acme-2606");
    let model = acme.resolve("acme-2601", day("2026-07-30")).unwrap();
    assert_eq!(model.price_at(day("2026-07-29")).unwrap().rates.input, 1_000_000_000);
    assert_eq!(model.price_at(day("2026-07-30")).unwrap().rates.input, 200_000_000);
    assert!(model.price_at(day("2026-01-09")).is_none(), "before its first row a model has no price");
}

#[test]
fn cached_reasoning_tier_and_uplift_are_priced_by_their_own_rates() {
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    let row = acme.resolve("acme-2601", day("2026-08-01")).unwrap().price_at(day("2026-08-01")).unwrap();
    let usage = Usage {
        input_uncached: 1000,
        input_cached: 500,
        cache_write: 100,
        output_visible: 200,
        reasoning: 100,
        ..Usage::default()
    };
    // 1000×0.20 + 500×0.02 + 100×0.25 + 300×1.20 = 595 USD per million, so 595 000 nano-dollars.
    assert_eq!(row.cost(&usage, 0).unwrap().nanos(), 595_000);
    assert_eq!(row.cost(&usage, 10).unwrap().nanos(), 654_500);
    let long = Usage { input_uncached: 272_001, ..Usage::default() };
    assert_eq!(row.cost(&long, 0).unwrap().nanos(), 272_001 * 400);
}

#[test]
fn the_regional_uplift_spares_models_released_before_it() {
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    let eu = acme.host("eu").unwrap();
    assert_eq!(eu.uplift_for(acme.resolve("acme-2601", day("2026-08-01")).unwrap()), 0);
    assert_eq!(eu.uplift_for(acme.resolve("acme-2606", day("2026-08-01")).unwrap()), 10);
}

#[test]
fn mistakes_are_all_reported_with_their_place() {
    let broken = FILE.replace("\"1.20\"", "\"0.0000012\"").replace("model = \"acme-2606\"", "model = \"nowhere\"");
    let error = ProviderCatalogue::parse(&broken).unwrap_err().to_string();
    assert!(
        error.contains("acme/acme-2601@2026-07-30.output: 0.0000012 per million tokens is not plausible"),
        "{error}"
    );
    assert!(error.contains("acme-latest: stands for `nowhere`"), "{error}");
    assert!(
        ProviderCatalogue::parse(&FILE.replace("until = \"2026-07-30\"", ""))
            .unwrap_err()
            .to_string()
            .contains("overlaps")
    );
    assert!(ProviderCatalogue::parse(&FILE.replace("released", "relesaed")).is_err());
}

#[test]
fn sound_is_billed_by_tokens_by_the_minute_or_both() {
    let catalogue = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let today = day("2026-11-24");
    let cost = |id: &str, usage: Usage| {
        let found = catalogue.resolve(id, today).unwrap();
        found.model.price_at(today).unwrap().cost(&usage, 0).unwrap().nanos()
    };
    let minute_and_a_half = Usage { audio_millis: 90_000, ..Usage::default() };
    assert_eq!(cost("whisper-1", minute_and_a_half), 9_000_000, "0.006 USD a minute");
    let spoken = Usage { input_uncached: 10, input_audio: 1_000, output_visible: 20, ..Usage::default() };
    assert_eq!(cost("gpt-audio-mini", spoken), 10 * 600 + 1_000 * 10_000 + 20 * 2_400);
    let both = Usage { input_uncached: 375, output_visible: 10, audio_millis: 30_000, ..Usage::default() };
    assert_eq!(cost("voxtral-small-2507", both), 375 * 100 + 10 * 400 + 3_000_000);
    assert_eq!(cost("omni-moderation-latest", Usage { input_uncached: 9_999, ..Usage::default() }), 0);
}

#[test]
fn nothing_is_free_by_omission() {
    for (row, mistake) in [
        ("operation = \"moderation\"\ncontext_window = 9", "needs an input price, or `free = true`"),
        ("operation = \"transcription\"\ncontext_window = 9\nmax_audio_seconds = 60", "needs `audio_minute`"),
        ("operation = \"transcription\"\ncontext_window = 9", "max_audio_seconds is missing"),
        ("operation = \"chat\"\ncontext_window = 9", "needs an input and an output price"),
    ] {
        let file = format!(
            "{FILE}\n[[models]]\nid = \"x\"\n{row}\n[[models.prices]]\nfrom = \"2026-01-01\"\nsource = \"test\""
        );
        let error = ProviderCatalogue::parse(&file).unwrap_err().to_string();
        assert!(error.contains(mistake), "{error}");
        assert!(!file.contains("free"));
    }
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(
        uncached in 0u64..400_000, cached in 0u64..400_000, write in 0u64..400_000, visible in 0u64..100_000, reasoning in 0u64..100_000, audio in 0u64..100_000, millis in 0u64..10_000_000, uplift in 0u32..50,
    ) {
        let acme = ProviderCatalogue::parse(FILE).unwrap();
        let row = acme.resolve("acme-2601", day("2026-08-01")).unwrap().price_at(day("2026-08-01")).unwrap();
        let usage = Usage { input_uncached: uncached, input_cached: cached, cache_write: write, output_visible: visible, reasoning, input_audio: audio, audio_millis: millis };
        let bound = UsageBound { input_tokens: usage.input_tokens(), output_tokens: usage.output_tokens(), audio_millis: millis };
        let ceiling = row.ceiling(&bound, uplift).unwrap();
        prop_assert!(row.cost(&usage, uplift).unwrap().nanos() <= ceiling.nanos());
    }
}
