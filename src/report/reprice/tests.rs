//! Periods under other price lists.

use proptest::prelude::*;
use providers::catalogue::{MISTRAL_TOML, OPENAI_TOML, ProviderCatalogue};
use providers::usage::ToolCalls;

use super::*;
use crate::ledger::samples::full;

fn catalogue_of(openai: &str) -> Catalogue {
    Catalogue::new([openai, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()))
}

fn in_force() -> Catalogue {
    catalogue_of(OPENAI_TOML)
}

fn november() -> Period {
    Period::parse(Some("2026-11-01"), Some("2026-11-30"), "2026-11-24".parse().unwrap()).unwrap()
}

/// What one attempt used, and where.
#[derive(Clone, Debug)]
struct Made {
    provider: &'static str,
    sent: &'static str,
    returned: Option<&'static str>,
    host: &'static str,
    tier: Option<&'static str>,
    usage: Usage,
    rate_micros: u64,
}

/// An attempt as settling books it: at the row of the model returned, the tier served, the uplift of the host.
fn entry(catalogue: &Catalogue, made: &Made) -> Entry {
    let day: Date = "2026-11-24".parse().unwrap();
    let provider = catalogue.provider(&ProviderId::new(made.provider)).unwrap();
    let sent = provider.resolve(made.sent, day).unwrap();
    let model = made.returned.and_then(|id| provider.resolve(id, day)).unwrap_or(sent);
    let price = model.price_at(day).unwrap();
    let uplift_percent = provider.host(made.host).unwrap().uplift_for(model);
    let cost = price.cost_at(made.tier, &made.usage, uplift_percent).unwrap();
    let rate = ExchangeRate { date: day, currency: price.currency, per_euro_micros: made.rate_micros };
    let euro_nanos = rate.to_euro(cost).unwrap().nanos();
    Entry {
        provider: made.provider.into(),
        host: made.host.into(),
        sent_model: made.sent.into(),
        response_model: made.returned.map(str::to_owned),
        service_tier: made.tier.map(str::to_owned),
        usage: Some(made.usage),
        currency: price.currency.code().into(),
        cost_nanos: Some(cost.nanos()),
        cost_euro_nanos: Some(euro_nanos),
        rate_micros: made.rate_micros,
        price_row: price.id.to_string(),
        uplift_percent,
        day: "2026-11-24".into(),
        received_at: "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap().as_microsecond(),
        ..full()
    }
}

fn plain() -> Made {
    Made {
        provider: "openai",
        sent: "gpt-6-luna",
        returned: Some("gpt-6-luna"),
        host: "global",
        tier: None,
        usage: Usage { input_uncached: 1_000, output_visible: 500, ..Usage::default() },
        rate_micros: 1_160_000,
    }
}

fn repriced(catalogue: &Catalogue, entries: &[Entry]) -> Repriced {
    let mut repricing = Repricing::new(catalogue, november(), None);
    entries.iter().for_each(|entry| repricing.add(entry));
    repricing.finish(false)
}

#[test]
fn a_list_at_twice_the_price_doubles_the_period_and_leaves_what_was_booked() {
    let doubled = OPENAI_TOML.replace(
        "from = \"2026-09-22\"\ninput = \"0.1\"\ncached_input = \"0.01\"\ncache_write = \"0.125\"\noutput = \"0.5\"",
        "from = \"2026-09-22\"\ninput = \"0.2\"\ncached_input = \"0.02\"\ncache_write = \"0.25\"\noutput = \"1\"",
    );
    assert_ne!(doubled, OPENAI_TOML);
    let booked = entry(&in_force(), &plain());
    let found = repriced(&catalogue_of(&doubled), &[booked.clone(), booked.clone()]);
    let row = &found.rows[0];
    assert_eq!((row.provider.as_str(), row.model.as_str(), row.currency.as_str()), ("openai", "gpt-6-luna", "USD"));
    assert_eq!((row.attempts, row.recomputed_attempts), (2, 2));
    // 1,000 × 0.1 + 500 × 0.5 = 350 USD per million: 350,000 nano-dollars an attempt.
    assert_eq!((row.booked.nanos, row.recomputed.nanos, row.difference.nanos), (700_000, 1_400_000, 700_000));
    assert_eq!(row.booked.euro_nanos, 2 * 301_725, "0.00035 USD at 1.16 USD per euro, rounded up for each attempt");
    assert_eq!(row.recomputed.euro_nanos, 2 * 603_449);
    assert_eq!(row.difference.euro_nanos, 2 * (603_449 - 301_725));
    assert!(found.to_table().contains("+0.0007"), "{}", found.to_table());
}

#[test]
fn what_cannot_be_recomputed_is_counted_apart_and_never_zero() {
    let list = in_force();
    let good = entry(&list, &plain());
    let unknown = Entry { outcome: Outcome::Unknown, cost_nanos: None, cost_euro_nanos: None, ..good.clone() };
    let without_usage = Entry { usage: None, ..good.clone() };
    let other_tier = Entry { service_tier: Some("scale".into()), ..good.clone() };
    let other_host = Entry { host: "mars".into(), ..good.clone() };
    let gone = Entry { sent_model: "gpt-0".into(), response_model: Some("gpt-0".into()), ..good.clone() };
    let other_currency = Entry { currency: "EUR".into(), ..good.clone() };
    let rejected = Entry {
        outcome: Outcome::Rejected,
        usage: None,
        cost_nanos: Some(0),
        cost_euro_nanos: Some(0),
        ..good.clone()
    };
    let entries = [good, unknown, without_usage, other_tier, other_host, gone, rejected];
    let found = repriced(&list, &entries);
    let row = &found.rows[0];
    assert_eq!((row.attempts, row.recomputed_attempts), (7, 2), "a refusal costs nothing under any list");
    assert_eq!((row.cost_unknown, row.no_usage, row.unpriced), (1, 1, 3));
    assert_eq!((row.booked.nanos, row.recomputed.nanos, row.unpriced_booked.nanos), (350_000, 350_000, 3 * 350_000));
    let csv = found.to_csv().unwrap();
    assert!(
        csv.lines()
            .nth(1)
            .unwrap()
            .starts_with("2026-11-01,2026-11-30,,false,openai,gpt-6-luna,USD,7,2,350000,350000,0,")
    );
    let found = repriced(&list, &[other_currency]);
    assert_eq!((found.rows[0].currency.as_str(), found.rows[0].unpriced), ("EUR", 1), "two currencies are never mixed");
}

#[test]
fn prices_of_a_day_to_come_apply_to_a_period_that_is_past() {
    let announced = OPENAI_TOML.replacen(
        "from = \"2026-09-22\"\ninput = \"0.1\"\n",
        "from = \"2026-09-22\"\nuntil = \"2027-01-01\"\ninput = \"0.1\"\n",
        1,
    );
    let announced = announced.replacen(
        "[[models]]\nid = \"gpt-6-sol\"",
        "[[models.prices]]\nfrom = \"2027-01-01\"\ninput = \"0.3\"\noutput = \"1.5\"\nsource = \"announced\"\n\n[[models]]\nid = \"gpt-6-sol\"",
        1,
    );
    let list = catalogue_of(&announced);
    let booked = entry(&in_force(), &plain());
    let at = |as_of: Option<&str>| {
        let mut repricing = Repricing::new(&list, november(), as_of.map(|day| day.parse().unwrap()));
        repricing.add(&booked);
        repricing.finish(false).rows[0].recomputed.nanos
    };
    assert_eq!((at(None), at(Some("2027-01-01"))), (350_000, 1_050_000));
}

#[test]
fn a_tier_that_has_a_price_since_says_what_its_answers_cost() {
    let without_the_model = OPENAI_TOML.replacen("id = \"gpt-6-luna\"", "id = \"gpt-6-luna-gone\"", 1);
    assert_ne!(without_the_model, OPENAI_TOML);
    let list = in_force();
    let whole = entry(&list, &Made { tier: Some("flex"), ..plain() });
    let lacking = Entry {
        outcome: Outcome::Unknown,
        error_type: Some("tier_unpriced".into()),
        cost_nanos: None,
        cost_euro_nanos: None,
        ..whole.clone()
    };
    // Broken off: what it says it used is not all.
    let broken = Entry { error_type: Some("cut".into()), outcome: Outcome::Interrupted, ..lacking.clone() };
    let row = repriced(&list, &[lacking.clone(), broken]).rows.remove(0);
    assert_eq!((row.attempts, row.recomputed_attempts, row.cost_unknown, row.newly_priced), (2, 0, 2, 1));
    assert_eq!((row.booked, row.recomputed), (Amounts::default(), Amounts::default()), "nothing was booked");
    assert_eq!(Some(row.newly_priced_amounts.nanos), whole.cost_nanos);
    let still = repriced(&catalogue_of(&without_the_model), &[lacking]).rows.remove(0);
    assert_eq!((still.cost_unknown, still.newly_priced), (1, 0));
}

#[test]
fn only_the_period_counts() {
    let list = in_force();
    let good = entry(&list, &plain());
    let days = ["2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01"];
    let entries = days.map(|day| Entry { day: day.into(), ..good.clone() });
    assert_eq!(repriced(&list, &entries).rows[0].attempts, 2);
    assert!(repriced(&list, &[]).to_table().contains("No question"));
}

fn any_made() -> impl Strategy<Value = Made> {
    let where_from = prop_oneof![
        Just(("openai", "gpt-6-luna", Some("gpt-6-luna"))),
        Just(("openai", "gpt-5.4", Some("gpt-5.4-2026-03-05"))),
        Just(("openai", "gpt-6-luna", Some("gpt-6-luna-2026-09-15"))),
        Just(("openai", "gpt-6-luna", None)),
        Just(("mistral_ai", "mistral-small-latest", Some("mistral-small-latest"))),
    ];
    let tier = prop_oneof![Just(None), Just(Some("default")), Just(Some("priority")), Just(Some("flex"))];
    let host = prop_oneof![Just("global"), Just("eu"), Just("us")];
    let tokens = (0u64..400_000, 0u64..400_000, 0u64..100_000, 0u64..100_000, 0u64..50_000, 0u64..4);
    (where_from, tier, host, tokens, 500_000u64..3_000_000).prop_map(
        |((provider, sent, returned), tier, host, (input, cached, write, output, reasoning, searches), rate_micros)| {
            let mistral = provider == "mistral_ai";
            let usage = Usage {
                input_uncached: input,
                input_cached: cached,
                cache_write: write,
                output_visible: output,
                reasoning,
                tool_calls: ToolCalls { web_search: if mistral { 0 } else { searches } },
                ..Usage::default()
            };
            // Mistral has no flex, and no long context is priced for priority of gpt-5.4.
            let tier = tier.filter(|tier| *tier != "flex" || !mistral).filter(|_| sent != "gpt-5.4");
            let usage = if sent == "gpt-5.4" { Usage { tool_calls: ToolCalls::default(), ..usage } } else { usage };
            Made { provider, sent, returned, host, tier, usage, rate_micros }
        },
    )
}

proptest! {
    #[test]
    fn under_the_list_in_force_it_is_exactly_what_was_booked(made in proptest::collection::vec(any_made(), 1..20)) {
        let list = in_force();
        let entries: Vec<Entry> = made.iter().map(|made| entry(&list, made)).collect();
        let found = repriced(&list, &entries);
        let booked: i64 = entries.iter().map(|entry| entry.cost_nanos.unwrap()).sum();
        prop_assert_eq!(found.rows.iter().map(|row| row.recomputed.nanos).sum::<i64>(), booked);
        for row in &found.rows {
            prop_assert_eq!((row.recomputed_attempts, row.difference), (row.attempts, Amounts::default()));
        }
    }
}
