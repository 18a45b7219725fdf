//! Reports of hand-made aggregates.

use jiff::civil::date;

use super::*;
use std::sync::Arc;

use crate::ledger::samples::full;
use crate::ledger::{Entry, Evidence, Group, Record, RollupKey};

fn scope(simulated: bool) -> Scope {
    Scope {
        period: Period { from: date(2026, 11, 1), to: date(2026, 11, 24) },
        simulated,
        limit_seconds: 60,
        generated_at: "2026-11-24T10:11:12.987Z".parse().unwrap(),
    }
}

fn rolled(day: &str, provider: &str, model: &str, rollup: Rollup) -> (RollupKey, Rollup) {
    let entry = Entry { day: day.to_owned(), provider: provider.to_owned(), ..full() };
    let key = RollupKey::of(&Record::Attempt(Arc::new(entry))).unwrap();
    (RollupKey { model: model.to_owned(), evidence: Evidence::Conversation, ..key }, rollup)
}

/// `answered` answers of 1 s, 2 s, … up to 50 s and again, each of 300 characters and 2 milli-euros; then failures.
fn busy(answered: u64, failed: u64) -> Rollup {
    let mut rollup = Rollup::default();
    let figures = &mut rollup.figures;
    (figures.questions, figures.answered, figures.failed) = (answered + failed, answered, failed);
    (figures.costed, figures.output_chars) = (answered, answered * 300);
    (figures.input_tokens, figures.output_tokens) = (answered * 50, answered * 100);
    figures.cost_euro_nanos = 2_000_000 * answered as i64;
    figures.cost_nanos = 2_310_001 * answered as i64;
    if failed > 0 {
        figures.errors.insert("overloaded".to_owned(), failed);
    }
    let count = |count: u64| u32::try_from(count).unwrap();
    let mut group = Group {
        questions: count(answered + failed),
        answered: count(answered),
        without_text: count(failed),
        ..Group::default()
    };
    for n in 0..answered {
        group.duration.record((n % 50 + 1) * 1_000_000);
        group.first_text.record(400_000);
        rollup.tokens_per_second.record((n % 100 + 1) * 100);
        rollup.chars_per_second.record(250);
    }
    rollup.groups.insert(0, group);
    rollup
}

fn report_of(rollups: Vec<(RollupKey, Rollup)>, simulated: bool) -> Report {
    let refusals = vec![("questions_per_day".to_owned(), 3), ("something_new".to_owned(), 1)];
    from_data(&ReportData { rollups, refusals, open_reservations: 2, ..ReportData::default() }, scope(simulated))
}

fn one(rollup: Rollup) -> Row {
    report_of(vec![rolled("2026-11-02", "openai", "gpt-6-luna", rollup)], false).rows.remove(0)
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= expected * 0.011)
}

#[test]
fn days_merge_into_one_sorted_row_per_model_and_a_total() {
    let report = report_of(
        vec![
            rolled("2026-11-02", "openai", "gpt-6-luna", busy(30, 0)),
            rolled("2026-11-02", "mistral_ai", "mistral-small-2603", busy(10, 10)),
            rolled("2026-11-03", "openai", "gpt-6-luna", busy(60, 10)),
        ],
        false,
    );
    let keys: Vec<_> = report.rows.iter().map(|row| (row.provider.as_str(), row.model.as_str())).collect();
    assert_eq!(keys, [("mistral_ai", "mistral-small-2603"), ("openai", "gpt-6-luna")]);
    assert_eq!((report.rows[1].questions, report.rows[1].answered, report.rows[1].failed), (100, 90, 10));
    assert_eq!(report.rows[1].answered_share, Some(0.9));
    assert_eq!((report.totals.questions, report.totals.answered_share), (120, Some(100.0 / 120.0)));
    assert_eq!(report.totals.cost_euro_nanos, Some(200_000_000));
    assert_eq!(report.generated_at, "2026-11-24T10:11:12Z");
}

#[test]
fn unit_costs_are_decimals_rounded_up_once() {
    let row = one(busy(30, 0));
    assert_eq!(row.cost_per_question_euro.as_deref(), Some("0.002000"));
    assert_eq!(row.cost_per_1000_chars_euro.as_deref(), Some("0.006667"));
    assert_eq!(row.cost, Some(Cost { currency: None, nanos: 69_300_030 }));
    let mut odd = busy(3, 0);
    odd.figures.cost_euro_nanos = 1;
    assert_eq!(one(odd).cost_per_question_euro.as_deref(), Some("0.000001"), "never understated");
    let mut much = busy(1, 0);
    much.figures.cost_euro_nanos = i64::MAX;
    assert_eq!(one(much).cost_per_1000_chars_euro, None, "out of range is not a number");
}

#[test]
fn what_is_not_known_is_none_and_not_zero() {
    let silent = one(busy(0, 4));
    assert_eq!((silent.answered_share, silent.cost_euro_nanos), (Some(0.0), Some(0)), "nothing was answered or billed");
    assert_eq!((silent.cost_per_question_euro, silent.cost_per_1000_chars_euro), (None, None));
    assert_eq!((silent.input_tokens, silent.duration_ms.p50), (Some(0), None));
    assert_eq!(one(Rollup::default()).answered_share, None);

    let mut unpriced = busy(10, 0);
    (unpriced.figures.costed, unpriced.figures.cost_nanos, unpriced.figures.cost_euro_nanos) = (0, 0, 0);
    (unpriced.figures.input_tokens, unpriced.figures.output_tokens) = (0, 0);
    let row = one(unpriced);
    assert_eq!((row.cost, row.cost_euro_nanos, row.uncosted), (None, None, 10));
    assert_eq!((row.input_tokens, row.output_tokens), (None, None));

    let mut partly = busy(10, 0);
    (partly.figures.costed, partly.figures.cost_euro_nanos) = (8, 16_000_000);
    let row = one(partly);
    assert_eq!((row.cost_per_question_euro.as_deref(), row.uncosted), (Some("0.002000"), 2));
    assert_eq!(row.cost_per_1000_chars_euro, None, "the text of unpriced answers would make it look cheap");
}

#[test]
fn questions_without_an_answer_are_longer_than_the_limit() {
    let row = one(busy(100, 0));
    assert!(near(row.duration_ms.p50, 25_000.0) && near(row.duration_ms.p90, 45_000.0), "{:?}", row.duration_ms);
    let row = one(busy(100, 25));
    assert_eq!((row.duration_ms.n, row.duration_ms.beyond), (100, 25));
    assert!(near(row.duration_ms.p50, 32_000.0), "the 63rd of 125: {:?}", row.duration_ms);
    assert_eq!((row.duration_ms.p90, row.duration_ms.p95), (None, None));
    let table = report_of(vec![rolled("2026-11-02", "openai", "gpt-6-luna", busy(100, 25))], false).to_table();
    assert!(table.contains("> 60 s"), "{table}");
}

#[test]
fn an_answer_later_than_the_limit_is_beyond_it_too() {
    let mut slow = busy(50, 0);
    let group = slow.groups.get_mut(&0).unwrap();
    (0..50).for_each(|_| group.duration.record(90_000_000));
    (group.questions, group.answered) = (100, 100);
    let row = one(slow);
    assert_eq!((row.duration_ms.beyond, row.duration_ms.p90), (0, None));
    assert!(near(row.duration_ms.p50, 50_000.0));
}

#[test]
fn quantiles_wait_for_enough_attempts() {
    let known = |answered, failed| {
        let times = one(busy(answered, failed)).duration_ms;
        (times.p50.is_some(), times.p90.is_some(), times.p95.is_some())
    };
    assert_eq!(known(5, 0), (false, false, false));
    assert_eq!(known(6, 0), (true, false, false));
    assert_eq!(known(35, 0), (true, false, false));
    assert_eq!(known(35, 1), (true, true, false), "a failure is an attempt");
    assert_eq!(known(71, 0), (true, true, false));
    assert_eq!(known(72, 0), (true, true, true));
    let few = report_of(vec![rolled("2026-11-02", "openai", "gpt-6-luna", busy(5, 0))], false).to_table();
    for mark in ["n<6", "n<36", "n<72"] {
        assert!(few.lines().filter(|line| line.contains("gpt-6-luna")).any(|line| line.contains(mark)), "{few}");
    }
}

#[test]
fn a_speed_is_what_a_share_of_answers_reaches_at_least() {
    let speeds = one(busy(100, 50)).tokens_per_second;
    assert_eq!((speeds.n, speeds.beyond), (100, 0), "a question without an answer has no speed");
    assert!(near(speeds.p50, 50.0) && near(speeds.p90, 10.0) && near(speeds.p95, 5.0), "{speeds:?}");
}

#[test]
fn where_nothing_was_streamed_the_first_text_is_not_known() {
    let mut plain = busy(50, 10);
    let group = plain.groups.get_mut(&0).unwrap();
    (group.first_text, group.without_text) = (crate::ledger::Spread::default(), 0);
    let row = one(plain);
    assert_eq!(row.first_text_ms, Quantiles::default());
    assert_eq!(row.duration_ms.beyond, 10);
}

fn varied(simulated: bool) -> Report {
    let mut large = busy(90, 10);
    large.figures.cost_euro_nanos = 123_456_123_456_789;
    large.figures.charged_uncertain_euro_nanos = 987_654_321;
    (large.figures.questions, large.figures.taken_over) = (1_234_567, 23_456);
    let long = "a-compatible-host-with-a-rather-long-name";
    let model = "ministral-14b-instruct-2512-with-a-very-long-name-of-many-words";
    report_of(
        vec![
            rolled("2026-11-02", "openai", "gpt-6-luna", large),
            rolled("2026-11-02", "mistral_ai", "mistral-small-2603", busy(10, 10)),
            rolled("2026-11-02", long, model, busy(0, 40)),
        ],
        simulated,
    )
}

#[test]
fn the_table_fits_and_says_what_it_must() {
    let table = varied(true).to_table();
    for line in table.lines() {
        assert!(line.chars().count() <= 120, "{} columns: {line}", line.chars().count());
    }
    assert!(table.starts_with("*** SIMULATED VENDORS: these figures say nothing about real ones"), "{table}");
    for part in [
        "2026-11-01 to 2026-11-24",
        "gpt-6-luna",
        "123456.123456789",
        "–",
        "0.987654321 EUR",
        "2 reservations are open",
    ] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    assert!(table.contains("        3  the resident had asked all questions of the day"), "{table}");
    assert!(table.contains("        1  something_new"), "unknown reasons are printed as they are");
    assert!(!varied(false).to_table().contains("SIMULATED"));
}

#[test]
fn an_empty_period_is_a_sentence() {
    let report = from_data(&ReportData::default(), scope(false));
    let table = report.to_table();
    assert!(table.contains("No question reached a vendor"), "{table}");
    assert!(!table.contains("provider"), "{table}");
    assert_eq!(report.totals.answered_share, None);
    assert_eq!(report.to_csv().unwrap().lines().count(), 1);
}

#[test]
fn csv_reads_back() {
    let text = varied(true).to_csv().unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let field = |row: usize, name: &str| {
        let column = header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
        rows[row][column].to_owned()
    };
    assert_eq!(rows.len(), 3);
    assert_eq!((field(2, "model"), field(2, "cost_euro_nanos")), ("gpt-6-luna".into(), "123456123456789".into()));
    assert_eq!((field(2, "period_from"), field(2, "simulated")), ("2026-11-01".into(), "true".into()));
    assert_eq!((field(0, "cost_per_question_euro"), field(0, "duration_ms_p50")), (String::new(), String::new()));
    assert_eq!((field(0, "duration_ms_n"), field(0, "duration_ms_beyond")), ("0".into(), "40".into()));
    assert_eq!((field(1, "errors"), field(1, "chars_per_second_p95")), ("overloaded=10".into(), String::new()));
}

#[test]
fn json_keeps_integers_and_nulls_and_the_order_of_keys() {
    let text = varied(true).to_json();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["period", "simulated", "generated_at", "limit_seconds", "rows", "totals", "refusals", "open_reservations"];
    assert_eq!(keys, expected);
    assert_eq!(json["rows"][2]["cost_euro_nanos"].as_i64(), Some(123_456_123_456_789));
    assert!(json["rows"][0]["cost_per_question_euro"].is_null());
    assert_eq!(json["period"]["from"], "2026-11-01");
    assert_eq!(json["refusals"]["something_new"], 1);
}

#[test]
fn a_period_is_two_days_or_the_month_so_far() {
    let parse = |from, to| Period::parse(from, to, date(2026, 11, 24));
    assert_eq!(parse(None, None), Ok(Period { from: date(2026, 11, 1), to: date(2026, 11, 24) }));
    assert_eq!(parse(Some("2026-10-05"), None), Ok(Period { from: date(2026, 10, 5), to: date(2026, 11, 24) }));
    assert_eq!(parse(None, Some("2026-10-05")), Ok(Period { from: date(2026, 10, 1), to: date(2026, 10, 5) }));
    assert!(parse(Some("2026-11-24"), Some("2026-11-24")).is_ok());
    assert!(parse(Some("2026-11-25"), Some("2026-11-24")).unwrap_err().contains("after its end"));
    for bad in ["", "24/11/2026", "2026-02-30", "20261101", "2026-11-01T00:00", " 2026-11-01"] {
        assert!(parse(Some(bad), None).unwrap_err().contains("is not a day"), "{bad}");
    }
}
