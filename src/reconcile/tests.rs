use jiff::civil::Date;
use providers::catalogue::{OPENAI_TOML, ProviderCatalogue};
use providers::figures::{CostLine, UsageLine, day_of};
use providers::usage::Usage;

use super::*;
use crate::ledger::{Assignment, Charge, LengthClass, Outcome};

const MODEL: &str = "gpt-5.6-luna";

struct Case {
    catalogue: ProviderCatalogue,
    rates: ExchangeRates,
    entries: Vec<Entry>,
    figures: VendorFigures,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Case {
    fn new() -> Self {
        let rates = ExchangeRates::parse(include_str!("../../config/exchange-rates.toml")).unwrap();
        let catalogue = ProviderCatalogue::parse(OPENAI_TOML).unwrap();
        Self { catalogue, rates, entries: Vec::new(), figures: VendorFigures::default() }
    }

    /// A call that both sides know, at the price in force.
    fn call(&mut self, ended: &str, usage: Usage) {
        let cost = self.book(ended, usage);
        self.publish(ended, usage);
        self.bill(day_of(at(ended)), cost);
    }

    /// A call in the ledger; gives its cost.
    fn book(&mut self, ended: &str, usage: Usage) -> i64 {
        let day = day_of(at(ended));
        let row = self.catalogue.resolve(MODEL, day).unwrap().price_at(day).unwrap();
        let cost = row.cost(&usage, 0).unwrap().nanos();
        let mut entry = entry(ended, &row.id, Outcome::Completed);
        entry.usage = Some(usage);
        entry.cost_nanos = Some(cost);
        self.entries.push(entry);
        cost
    }

    fn publish(&mut self, ended: &str, usage: Usage) {
        let start = Timestamp::from_second(at(ended).as_second() / 3600 * 3600).unwrap();
        let line = |bucket, quantity| UsageLine {
            start,
            end: start + jiff::SignedDuration::from_hours(1),
            model: Some(MODEL.to_owned()),
            service_tier: None,
            zone: None,
            bucket,
            quantity,
        };
        self.figures.usage.extend([
            line(UsageBucket::Requests, 1),
            line(UsageBucket::InputUncached, usage.input_uncached),
            line(UsageBucket::InputCached, usage.input_cached),
            line(UsageBucket::Output, usage.output_tokens()),
        ]);
    }

    fn bill(&mut self, day: Date, nanos: i64) {
        let model = Some(MODEL.to_owned());
        self.figures.costs.push(CostLine { day, line_item: None, model, nanos, currency: Currency::Usd });
    }

    fn outcome(&self) -> Reconciliation {
        self.with_corrections(&[])
    }

    /// The outcome when adjustments say what entries, by their place, turned out to cost.
    fn with_corrections(&self, corrections: &[(usize, i64)]) -> Reconciliation {
        let question = Question {
            catalogue: &self.catalogue,
            rates: &self.rates,
            from: "2026-06-01".parse().unwrap(),
            to: "2026-08-31".parse().unwrap(),
            now: at("2026-11-01T00:00:00Z"),
        };
        let mut reconciler = Reconciler::new(question, &self.figures).unwrap();
        for (place, entry) in self.entries.iter().enumerate() {
            match corrections.iter().find(|(corrected, _)| *corrected == place) {
                Some((_, cost)) => reconciler.add_corrected(entry.clone(), *cost),
                None => reconciler.add(entry),
            }
        }
        reconciler.finish()
    }
}

fn entry(ended: &str, price_row: &str, outcome: Outcome) -> Entry {
    let value = serde_json::json!({
        "id": "e", "request_id": "r", "attempt": 1, "outcome": outcome, "resident": "p", "key_id": "k", "plan": "resident",
        "operation": "chat", "stream": false, "choices": 1, "assignment": Assignment::Chosen, "provider": "openai",
        "host": "global", "region": "global", "request_model": MODEL, "sent_model": MODEL, "currency": "USD",
        "cost_lower_nanos": 0, "cost_upper_nanos": 0, "rate_micros": 1_168_400, "rate_date": "2026-04-13",
        "price_row": price_row, "uplift_percent": 0, "ceiling_euro_nanos": 0, "charged": Charge::default(),
        "day": "2026-07-01", "month": "2026-07", "year": "2026", "received_at": 0,
        "ended_at": at(ended).as_microsecond(), "length_class": LengthClass::Short,
    });
    serde_json::from_value(value).unwrap()
}

fn tokens(input_uncached: u64, input_cached: u64, output_visible: u64) -> Usage {
    Usage { input_uncached, input_cached, output_visible, ..Usage::default() }
}

fn causes(outcome: &Reconciliation) -> Vec<(String, i64)> {
    outcome.shares.iter().map(|share| (share.cause.to_string(), share.nanos)).collect()
}

#[test]
fn the_same_figures_on_both_sides_leave_nothing() {
    let mut case = Case::new();
    case.call("2026-07-01T10:00:00Z", tokens(1_000, 500, 300));
    case.call("2026-07-01T11:00:00Z", tokens(10, 0, 3));
    let outcome = case.outcome();
    assert!(outcome.is_explained() && outcome.gap_nanos == 0 && causes(&outcome).is_empty());
    assert_eq!((outcome.entries, outcome.usage.len()), (2, 7));
    assert!(outcome.to_table().ends_with("everything is explained\n"));
}

#[test]
fn calls_at_an_edge_that_were_counted_in_the_neighbour_cancel_out() {
    let mut case = Case::new();
    case.call("2026-07-01T22:30:00Z", tokens(7, 0, 7));
    let usage = tokens(100, 0, 20);
    let cost = case.book("2026-07-01T23:59:59Z", usage);
    case.publish("2026-07-02T00:00:01Z", usage);
    case.bill("2026-07-02".parse().unwrap(), cost);
    let outcome = case.outcome();
    assert!(outcome.is_explained() && outcome.gap_nanos == 0, "{}", outcome.to_table());
    assert_eq!(causes(&outcome), [("counted in the neighbouring span".to_owned(), 0)]);
    assert_eq!(outcome.shares[0].absolute_nanos, 2 * cost.unsigned_abs());
}

#[test]
fn cached_tokens_that_the_vendor_counts_otherwise_are_told_from_calls_that_are_missing() {
    let mut case = Case::new();
    let cost = case.book("2026-07-01T10:00:00Z", tokens(600, 400, 50));
    case.publish("2026-07-01T10:00:00Z", tokens(696, 304, 50));
    let day: Date = "2026-07-01".parse().unwrap();
    let row = case.catalogue.resolve(MODEL, day).unwrap().price_at(day).unwrap();
    let theirs = row.cost(&tokens(696, 304, 50), 0).unwrap().nanos();
    case.bill(day, theirs);
    let outcome = case.outcome();
    assert!(outcome.is_explained());
    assert_eq!(causes(&outcome), [("cached tokens counted differently".to_owned(), theirs - cost)]);
}

#[test]
fn a_bill_many_times_the_ledger_is_found_and_not_explained_away() {
    let mut case = Case::new();
    let cost = case.book("2026-07-01T10:00:00Z", tokens(1_000, 0, 100));
    case.publish("2026-07-01T10:00:00Z", tokens(1_000, 0, 100));
    case.bill("2026-07-01".parse().unwrap(), cost + 743_260_000_000);
    let outcome = case.outcome();
    assert!(!outcome.is_explained());
    assert_eq!(outcome.unexplained_nanos, 743_260_000_000);
    assert_eq!(causes(&outcome), [("NOT EXPLAINED".to_owned(), 743_260_000_000)]);
    assert!(outcome.to_table().contains("NOT EXPLAINED: 743.26 USD = 636.1"), "{}", outcome.to_table());
}

#[test]
fn an_old_price_is_named_with_its_row_only_when_it_gives_exactly_their_amount() {
    for (off, expected) in [(0, "price row: billed at openai/gpt-5.6-luna@2026-01-01"), (1_000_000, "NOT EXPLAINED")] {
        let mut case = Case::new();
        let usage = tokens(1_000_000, 0, 100_000);
        case.book("2026-07-30T10:00:00Z", usage);
        case.publish("2026-07-30T10:00:00Z", usage);
        let model = case.catalogue.resolve(MODEL, "2026-07-29".parse().unwrap()).unwrap();
        let old = model.price_at("2026-07-29".parse().unwrap()).unwrap().cost(&usage, 0).unwrap().nanos();
        case.bill("2026-07-30".parse().unwrap(), old + off);
        let outcome = case.outcome();
        assert_eq!(causes(&outcome)[0].0, expected, "{}", outcome.to_table());
        assert_eq!(causes(&outcome).iter().map(|(_, nanos)| nanos).sum::<i64>(), outcome.gap_nanos);
    }
}

#[test]
fn an_unknown_call_explains_up_to_its_ceiling_and_not_a_nano_more() {
    for (output, explained) in [(10, true), (1_000_000, false)] {
        let mut case = Case::new();
        case.call("2026-07-01T10:10:00Z", tokens(10, 0, 3));
        let mut unknown = entry("2026-07-01T10:20:00Z", "openai/gpt-5.6-luna@2026-01-01", Outcome::Unknown);
        unknown.cost_upper_nanos = 1_000_000;
        case.entries.push(unknown);
        let day: Date = "2026-07-01".parse().unwrap();
        let row = case.catalogue.resolve(MODEL, day).unwrap().price_at(day).unwrap();
        let cost = row.cost(&tokens(5, 0, output), 0).unwrap().nanos();
        case.publish("2026-07-01T10:20:00Z", tokens(5, 0, output));
        case.bill(day, cost);
        let outcome = case.outcome();
        assert_eq!(outcome.is_explained(), explained, "{}", outcome.to_table());
        assert_eq!(outcome.gap_nanos, cost);
    }
}

#[test]
fn usage_without_costs_is_priced_here_and_says_so() {
    let mut case = Case::new();
    case.call("2026-07-01T10:00:00Z", tokens(1_000, 0, 300));
    case.publish("2026-07-01T10:00:00Z", tokens(50, 0, 1));
    case.figures.costs.clear();
    let outcome = case.outcome();
    assert!(!outcome.billed && !outcome.is_explained() && outcome.gap_nanos > 0);
    assert!(outcome.to_table().contains("counted, at our prices"));
}

#[test]
fn figures_that_do_not_name_models_are_refused_with_what_to_ask_for() {
    let mut case = Case::new();
    case.call("2026-07-01T10:00:00Z", tokens(1, 0, 1));
    case.figures.usage[0].model = None;
    let question = Question {
        catalogue: &case.catalogue,
        rates: &case.rates,
        from: "2026-07-01".parse().unwrap(),
        to: "2026-07-01".parse().unwrap(),
        now: at("2026-11-01T00:00:00Z"),
    };
    let refusal = Reconciler::new(question, &case.figures).unwrap_err();
    assert_eq!(refusal, "the vendor's usage is not told by model: ask with group_by=model");
}

#[test]
fn an_adjustment_is_the_truth_about_its_entry() {
    let mut case = Case::new();
    let usage = Usage { input_uncached: 900, output_visible: 400, ..Usage::default() };
    case.call("2026-07-20T10:05:00Z", usage);
    case.book("2026-07-20T10:06:00Z", usage);
    assert!(!case.outcome().is_explained(), "the vendor does not have the second call");
    let never_billed = case.with_corrections(&[(1, 0)]);
    assert!(never_billed.is_explained() && never_billed.gap_nanos == 0, "{never_billed:?}");

    // The vendor billed it, for less than it was booked: the usage agrees, and so does the money now.
    case.publish("2026-07-20T10:06:00Z", usage);
    case.bill("2026-07-20".parse().unwrap(), 7_000);
    let cheaper = case.with_corrections(&[(1, 7_000)]);
    assert!(cheaper.is_explained() && cheaper.gap_nanos == 0, "{cheaper:?}");
}
