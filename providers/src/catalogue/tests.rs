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
    [models.prices.tiers.flex]
    input = "0.10"
    cached_input = "0.01"
    cache_write = "0.125"
    output = "0.60"
    [models.prices.tiers.flex.long_context]
    above_input_tokens = 272000
    input = "0.20"
    output = "0.90"
    [models.prices.tiers.batch]
    input = "0.10"
    cached_input = "0.01"
    cache_write = "0.125"
    output = "0.60"
    [models.prices.tiers.priority]
    percent = 175
    [models.prices.tool_calls]
    web_search = "0.01"
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

fn tiered_row() -> Arc<PriceRow> {
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    let day = day("2026-08-01");
    Arc::clone(acme.resolve("acme-2601", day).unwrap().price_at(day).unwrap())
}

#[test]
fn cached_input_without_a_rate_of_its_own_costs_the_full_one() {
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    let row = acme.resolve("acme-2606", day("2026-08-01")).unwrap().price_at(day("2026-08-01")).unwrap();
    let full = Usage { input_uncached: 1_000, ..Usage::default() };
    for other in [
        Usage { input_cached: 1_000, ..Usage::default() },
        Usage { cache_write: 1_000, ..Usage::default() },
        Usage { input_audio: 1_000, ..Usage::default() },
    ] {
        assert_eq!(row.cost(&other, 0), row.cost(&full, 0), "absent is not zero");
    }
}

#[test]
fn embeddings_are_billed_by_their_input_alone() {
    let catalogue = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let today = day("2026-11-24");
    for (id, nanos) in [("text-embedding-3-small", 20_000_000), ("text-embedding-3-large", 130_000_000)] {
        let found = catalogue.resolve(id, today).unwrap();
        let row = found.model.price_at(today).unwrap();
        let usage = Usage { input_uncached: 1_000_000, ..Usage::default() };
        assert_eq!(row.cost(&usage, 0).unwrap().nanos(), nanos, "{id}");
        let bound = UsageBound { input_tokens: 1_000_000, ..UsageBound::default() };
        assert_eq!(row.ceiling(&bound, 0).unwrap().nanos(), nanos, "{id}: nothing is held for an output");
    }
}

#[test]
fn the_tier_that_the_vendor_names_decides_the_price() {
    let row = tiered_row();
    let usage = Usage { input_uncached: 1000, input_cached: 400, output_visible: 100, ..Usage::default() };
    let cost = |tier: Option<&str>| row.cost_at(tier, &usage, 0).map(|cost| cost.nanos());
    // 1000×0.20 + 400×0.02 + 100×1.20 = 328 USD per million.
    for standard in [None, Some("default"), Some("standard")] {
        assert_eq!(cost(standard), Ok(328_000));
    }
    assert_eq!(cost(Some("flex")), Ok(164_000));
    assert_eq!(cost(Some("priority")), Ok(574_000), "1.75 times each rate, the cached one included");
    for unknown in ["scale", "auto", "FLEX", ""] {
        assert_eq!(
            cost(Some(unknown)),
            Err(PricingError::TierUnpriced),
            "absent is not zero, and not the standard tier"
        );
    }
}

#[test]
fn long_context_at_a_tier_has_its_own_rates_or_no_price() {
    let row = tiered_row();
    let long = Usage { input_uncached: 272_001, ..Usage::default() };
    let cost = |tier: &str| row.cost_at(Some(tier), &long, 0).map(|cost| cost.nanos());
    assert_eq!(cost("flex"), Ok(272_001 * 200));
    assert_eq!(cost("priority"), Ok(272_001 * 700), "a percentage is of the long rates too");
    assert_eq!(cost("batch"), Err(PricingError::TierUnpriced));
    let bound = |input_tokens: u64| UsageBound { input_tokens, ..UsageBound::default() };
    assert!(row.has_cheaper("flex", &bound(922_000)));
    assert!(row.has_cheaper("batch", &bound(272_000)) && !row.has_cheaper("batch", &bound(272_001)));
    assert!(!row.has_cheaper("priority", &bound(1)), "it is dearer");
    assert!(!row.has_cheaper("default", &bound(1)) && !row.has_cheaper("scale", &bound(1)));
}

#[test]
fn searches_are_billed_by_the_call_beside_their_tokens() {
    let row = tiered_row();
    let searched = |web_search: u64| Usage {
        input_uncached: 10,
        tool_calls: crate::usage::ToolCalls { web_search },
        ..Usage::default()
    };
    assert_eq!(row.cost(&searched(3), 0).unwrap().nanos(), 2_000 + 3 * 10_000_000);
    assert_eq!(row.cost(&searched(3), 10).unwrap().nanos(), 2_200 + 33_000_000, "the uplift is on every price");
    assert_eq!(row.cost_at(Some("flex"), &searched(1), 0).unwrap().nanos(), 1_000 + 10_000_000);
    let bound = UsageBound { input_tokens: 500, output_tokens: 7, ..UsageBound::default() };
    assert_eq!(bound.with_tool_calls(0, 1_000_000), bound);
    let bound = bound.with_tool_calls(2, 1_000_000);
    assert_eq!((bound.input_tokens, bound.output_tokens, bound.tool_calls), (3_000_000, 7, 2));
    let longer_than_the_window = UsageBound { input_tokens: 500, ..UsageBound::default() }.with_tool_calls(1, 100);
    assert_eq!(longer_than_the_window.input_tokens, 1_000, "a window that grew must not pass the ceiling");
    let acme = ProviderCatalogue::parse(FILE).unwrap();
    let other = acme.resolve("acme-2606", day("2026-08-01")).unwrap().price_at(day("2026-08-01")).unwrap();
    assert_eq!(other.cost(&searched(1), 0), Err(PricingError::ToolUnpriced), "absent is not zero");
    assert_eq!(other.ceiling(&bound, 0), Err(PricingError::ToolUnpriced));
    assert!(other.cost(&searched(0), 0).is_ok());
}

#[test]
fn mistakes_in_tiers_and_tools_are_named() {
    for (written, instead, mistake) in [
        ("percent = 175", "percent = 1750", "1750 % of the standard tier is not plausible"),
        ("percent = 175", "percent = 175\ninput = \"1\"", "has a percentage and rates"),
        ("web_search = \"0.01\"", "web_search = \"10\"", "web_search: 10 per call is not plausible"),
        ("web_search = \"0.01\"", "web_search = \"0.00001\"", "per call is not plausible"),
        ("web_search = \"0.01\"", "file_search = \"0.01\"", "unknown field"),
        ("tiers.batch]\n    input = \"0.10\"", "tiers.batch]", "tiers.batch: a chat model needs an input"),
        ("tiers.batch]", "tiers.default]", "tiers.default: is what the row itself prices"),
        ("input = \"0.20\"\n    output = \"0.90\"", "input = \"0.0000002\"\n    output = \"0.90\"", "not plausible"),
        (
            "flex.long_context]\n    above_input_tokens = 272000",
            "flex.long_context]\n    above_input_tokens = 9",
            "long context begins elsewhere",
        ),
    ] {
        let broken = FILE.replacen(written, instead, 1);
        assert_ne!(broken, FILE, "{written}");
        let error = ProviderCatalogue::parse(&broken).unwrap_err().to_string();
        assert!(error.contains(mistake), "{instead}: {error}");
    }
}

#[test]
fn sound_by_the_minute_costs_the_same_in_long_context() {
    let file = FILE
        .replace("cache_write = \"0.25\"", "audio_minute = \"0.01\"")
        .replace("[models.prices.tiers.flex]\n", "[models.prices.tiers.flex]\n    audio_minute = \"0.005\"\n");
    let file =
        file.replace("[models.prices.tiers.batch]\n", "[models.prices.tiers.batch]\n    audio_minute = \"0.01\"\n");
    let acme = ProviderCatalogue::parse(&file).unwrap();
    let row = acme.resolve("acme-2601", day("2026-08-01")).unwrap().price_at(day("2026-08-01")).unwrap();
    let long = Usage { input_uncached: 272_001, audio_millis: 60_000, ..Usage::default() };
    assert_eq!(row.cost(&long, 0).unwrap().nanos(), 272_001 * 400 + 10_000_000);
    assert_eq!(row.cost_at(Some("flex"), &long, 0).unwrap().nanos(), 272_001 * 200 + 5_000_000);
}

#[test]
fn the_shipped_tiers_and_searches_are_the_vendors() {
    let catalogue = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let today = day("2026-11-24");
    let row = |id: &str| {
        let found = catalogue.resolve(id, today).unwrap();
        Arc::clone(found.model.price_at(today).unwrap())
    };
    let usage = Usage { input_uncached: 1_000_000, input_cached: 0, output_visible: 1_000, ..Usage::default() };
    let short = Usage { input_uncached: 1_000, output_visible: 1_000, ..Usage::default() };
    let cost = |id: &str, tier: Option<&str>, usage: &Usage| row(id).cost_at(tier, usage, 0).unwrap().nanos();
    // gpt-6-luna: flex and batch at half, priority at twice, below and above the threshold of long context.
    for usage in [usage, short] {
        let standard = cost("gpt-6-luna", None, &usage);
        assert_eq!(cost("gpt-6-luna", Some("flex"), &usage) * 2, standard);
        assert_eq!(cost("gpt-6-luna", Some("batch"), &usage) * 2, standard);
        assert_eq!(cost("gpt-6-luna", Some("priority"), &usage), standard * 2);
    }
    // gpt-4o: its own figures, no flex.
    assert_eq!(cost("gpt-4o", Some("priority"), &short), 1_000 * 4_250 + 1_000 * 17_000);
    assert_eq!(row("gpt-4o").cost_at(Some("flex"), &short, 0), Err(PricingError::TierUnpriced));
    let cached = Usage { input_cached: 1_000, ..Usage::default() };
    assert_eq!(
        cost("mistral-small-2603", Some("priority"), &cached) * 100,
        cost("mistral-small-2603", None, &cached) * 175
    );
    assert_eq!(row("gpt-6-luna").tool_calls.web_search, Some(10_000_000));
    assert_eq!(row("mistral-small-2603").tool_calls.web_search, None);
    let written = Usage { cache_write: 300_000, ..Usage::default() };
    assert_eq!(cost("gpt-6-luna", None, &written), 300_000 * 250, "writing the cache costs 1.25 times long input too");
}

#[test]
fn what_moderations_do_not_cost_they_do_not_cost_at_any_tier() {
    let openai = ProviderCatalogue::parse(OPENAI_TOML).unwrap();
    let today = day("2026-11-24");
    let row = openai.resolve("omni-moderation-latest", today).unwrap().price_at(today).unwrap();
    assert_eq!(row.cost_at(Some("priority"), &Usage { input_uncached: 9, ..Usage::default() }, 10).unwrap().nanos(), 0);
}

/// Any usage of a chat call, and of what is billed beside it.
fn any_usage() -> impl Strategy<Value = Usage> {
    let tokens = (0u64..400_000, 0u64..400_000, 0u64..400_000, 0u64..100_000);
    let rest = (0u64..100_000, 0u64..100_000, 0u64..10_000_000, 0u64..20);
    (tokens, rest).prop_map(|((uncached, cached, write, audio), (visible, reasoning, millis, searches))| Usage {
        input_uncached: uncached,
        input_cached: cached,
        cache_write: write,
        output_visible: visible,
        reasoning,
        input_audio: audio,
        audio_millis: millis,
        tool_calls: crate::usage::ToolCalls { web_search: searches },
    })
}

fn any_tier() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("default")), Just(Some("flex")), Just(Some("priority"))]
}

fn bound_of(usage: &Usage) -> UsageBound {
    UsageBound {
        input_tokens: usage.input_tokens(),
        output_tokens: usage.output_tokens(),
        audio_millis: usage.audio_millis,
        tool_calls: usage.tool_calls.web_search,
    }
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(usage in any_usage(), tier in any_tier(), uplift in 0u32..50, spare in 0u64..300_000) {
        let row = tiered_row();
        let bound = UsageBound { input_tokens: usage.input_tokens() + spare, output_tokens: usage.output_tokens() + spare, ..bound_of(&usage) };
        let ceiling = row.ceiling_at(tier, &bound, uplift).unwrap();
        // The vendor may serve the tier that was asked for, or fall back.
        for served in [tier, None] {
            prop_assert!(row.cost_at(served, &usage, uplift).unwrap().nanos() <= ceiling.nanos());
        }
        for served in [tier, None] {
            let cost = row.cost_at(served, &usage, uplift).unwrap();
            prop_assert!(row.least_cost(None, tier, &usage, uplift).unwrap().nanos() <= cost.nanos());
            if served.is_some() {
                prop_assert_eq!(row.least_cost(served, None, &usage, uplift), Some(cost));
            }
        }
    }

    #[test]
    fn more_of_anything_never_costs_less(usage in any_usage(), more in any_usage(), tier in any_tier(), uplift in 0u32..50) {
        let row = tiered_row();
        let sum = Usage {
            input_uncached: usage.input_uncached + more.input_uncached,
            input_cached: usage.input_cached + more.input_cached,
            cache_write: usage.cache_write + more.cache_write,
            output_visible: usage.output_visible + more.output_visible,
            reasoning: usage.reasoning + more.reasoning,
            input_audio: usage.input_audio + more.input_audio,
            audio_millis: usage.audio_millis + more.audio_millis,
            tool_calls: crate::usage::ToolCalls { web_search: usage.tool_calls.web_search + more.tool_calls.web_search },
        };
        let cost = |usage: &Usage| row.cost_at(tier, usage, uplift).unwrap().nanos();
        prop_assert!(cost(&sum) >= cost(&usage));
        let (small, large) = (bound_of(&usage), bound_of(&sum));
        prop_assert!(row.ceiling_at(tier, &large, uplift).unwrap().nanos() >= row.ceiling_at(tier, &small, uplift).unwrap().nanos());
    }

    #[test]
    fn a_usage_costs_the_sum_of_its_buckets(usage in any_usage(), tier in any_tier(), uplift in 0u32..50) {
        let row = tiered_row();
        let sheet = match tier {
            Some(name) if name != "default" => row.tiers[name],
            _ => Tier { rates: row.rates, long_context: row.long_context },
        };
        let rates = match sheet.long_context {
            Some(long) if usage.input_tokens() > long.above_input_tokens => long.rates,
            _ => sheet.rates,
        };
        let per_million = [
            (usage.input_uncached, rates.input),
            (usage.input_cached, rates.cached_input.unwrap_or(rates.input)),
            (usage.cache_write, rates.cache_write.unwrap_or(rates.input)),
            (usage.input_audio, rates.audio_input.unwrap_or(rates.input)),
            (usage.output_visible, rates.output),
            (usage.reasoning, rates.output),
            (usage.tool_calls.web_search * 1_000_000, row.tool_calls.web_search.unwrap()),
        ];
        let sum: u128 = per_million.iter().map(|(count, rate)| u128::from(*count) * u128::from(*rate)).sum();
        let nanos = (sum * u128::from(100 + uplift)).div_ceil(100_000_000);
        prop_assert_eq!(u128::try_from(row.cost_at(tier, &usage, uplift).unwrap().nanos()).unwrap(), nanos, "rounded up once");
    }
}
