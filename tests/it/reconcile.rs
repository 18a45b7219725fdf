//! The ledger against what simulated vendors publish: equal when they tell the truth; when they disagree in a known way,
//! that way is found, by arithmetic, and nothing else.

use std::time::Duration;

use jiff::civil::Date;
use passerelle::ledger::Outcome;
use passerelle::reconcile::{Cause, Reconciliation, Verdict};
use passerelle::simulator::{Disagreement, LogNormalMillis, SimulatorSettings};
use providers::figures::{FiguresRequest, UsageBucket, fetch};
use providers::{Dialect, catalogue};
use serde_json::json;

use crate::support::month::{self, Size, with_change};
use crate::support::two_vendors::{Setting, Stage, chat};

const VENDORS: [(&str, &str); 2] = [("openai", "gpt-6-luna"), ("mistral_ai", "mistral-small-latest")];
const HOUR: Duration = Duration::from_secs(3600);

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Two days of mixed calls, streamed and not, at two hosts, some from the prompt cache.
async fn two_days(setting: Setting) -> Stage {
    let gateway = Stage::start(&setting).await;
    let (resident, strict) = (gateway.resident("resident"), gateway.resident("eu"));
    let long = "Le règlement du stationnement dit ceci. ".repeat(160);
    for number in 0..16 {
        for (_, model) in VENDORS {
            gateway.ask(&resident, model, "Quand ouvre la mairie ?", number % 2 == 0).await;
            gateway.ask(&strict, model, &format!("{long}{number}"), number % 2 == 1).await;
        }
        let embedding = json!({"model": "text-embedding-3-small", "input": "Carte d'identité"});
        gateway.call(&resident, "/v1/embeddings", &embedding, usize::MAX).await;
        let moderation = json!({"model": "omni-moderation-latest", "input": "Bonjour"});
        gateway.call(&resident, "/v1/moderations", &moderation, usize::MAX).await;
        gateway.settled().await;
        gateway.clock.advance(2 * HOUR);
    }
    gateway
}

/// Compares all days, three days later, when nothing is provisional any more.
async fn compared(gateway: &Stage, name: &str) -> Reconciliation {
    let later = gateway.clock.now() + jiff::SignedDuration::from_hours(72);
    gateway.reconcile(name, day("2026-11-01"), day("2026-11-30"), later).await
}

fn causes(outcome: &Reconciliation) -> Vec<Cause> {
    outcome.shares.iter().map(|share| share.cause.clone()).filter(|cause| *cause != Cause::Rounding).collect()
}

async fn disagreeing(kind: Disagreement) -> Stage {
    two_days(Setting { disagreements: vec![kind], ..Setting::default() }).await
}

#[tokio::test]
async fn vendors_that_tell_the_truth_leave_nothing_but_roundings_below_a_nano_a_call() {
    let gateway = two_days(Setting::default()).await;
    for (name, _) in VENDORS {
        let outcome = compared(&gateway, name).await;
        assert!(outcome.is_explained() && outcome.billed, "{}", outcome.to_table());
        assert_eq!(causes(&outcome), []);
        assert!(outcome.gap_nanos <= 0 && outcome.gap_nanos.unsigned_abs() <= outcome.entries, "{}", outcome.gap_nanos);
        assert!(outcome.usage.iter().all(|row| row.verdict == Verdict::Equal), "{}", outcome.to_table());
        assert!(outcome.usage.iter().any(|row| row.bucket == UsageBucket::InputCached), "no prompt was cached");
        let books = if name == "openai" { gateway.openai.books() } else { gateway.mistral.books() };
        assert_eq!(outcome.ours_nanos, books.billed_nanos);
        assert_eq!(outcome.entries, books.answered);
        let sum: i64 = outcome.shares.iter().map(|share| share.nanos).sum();
        assert_eq!(sum, outcome.gap_nanos, "the causes are the whole gap");
    }
}

#[tokio::test]
async fn calls_from_elsewhere_and_calls_that_are_missing_stay_unexplained_to_the_nano() {
    for (kind, cause, verdict) in [
        (Disagreement::Elsewhere, Cause::MoreCalls, Verdict::TheirsMore),
        (Disagreement::Missing, Cause::FewerCalls, Verdict::OursMore),
    ] {
        let gateway = disagreeing(kind).await;
        for (name, _) in VENDORS {
            let outcome = compared(&gateway, name).await;
            assert!(!outcome.is_explained());
            assert_eq!(causes(&outcome), std::slice::from_ref(&cause), "{name} {kind:?}: {}", outcome.to_table());
            let rows: Vec<_> = outcome.usage.iter().filter(|row| row.cause.is_some()).collect();
            assert!(!rows.is_empty() && rows.iter().all(|row| row.verdict == verdict));
            let gap = outcome.gap_nanos.unsigned_abs();
            assert!(outcome.unexplained_nanos.abs_diff(gap) <= outcome.entries, "{}", outcome.to_table());
        }
    }
}

#[tokio::test]
async fn other_ways_of_billing_the_same_tokens_are_told_apart() {
    for (kind, cause) in [
        (Disagreement::CachedInFull, Cause::CachedInFull),
        (Disagreement::UpliftNotBilled, Cause::Uplift { percent: 0 }),
        (Disagreement::UpliftBilled, Cause::Uplift { percent: 10 }),
        (Disagreement::CentsPerDay, Cause::RoundingToCents),
    ] {
        let gateway = disagreeing(kind).await;
        for (name, _) in VENDORS {
            let outcome = compared(&gateway, name).await;
            assert!(outcome.is_explained(), "{name} {kind:?}: {}", outcome.to_table());
            assert_eq!(causes(&outcome), std::slice::from_ref(&cause), "{name} {kind:?}: {}", outcome.to_table());
            assert_ne!(outcome.gap_nanos, 0);
        }
    }
}

#[tokio::test]
async fn a_price_that_changed_earlier_than_announced_is_named_with_its_row() {
    let rates = "input = \"0.2\"\ncached_input = \"0.02\"\noutput = \"0.7\"";
    let openai = with_change(catalogue::OPENAI_TOML, "gpt-6-luna", "2026-09-22", "2026-12-01", rates);
    let mistral = with_change(catalogue::MISTRAL_TOML, "mistral-small-2603", "2026-03-01", "2026-12-01", rates);
    let gateway = two_days(Setting {
        catalogues: [Some(openai), Some(mistral)],
        disagreements: vec![Disagreement::PriceEarly],
        ..Setting::default()
    })
    .await;
    for (name, row) in
        [("openai", "openai/gpt-6-luna@2026-12-01"), ("mistral_ai", "mistral_ai/mistral-small-2603@2026-12-01")]
    {
        let outcome = compared(&gateway, name).await;
        assert!(outcome.is_explained(), "{}", outcome.to_table());
        assert_eq!(causes(&outcome), [Cause::PriceRow { rows: vec![row.to_owned()] }], "{}", outcome.to_table());
    }
}

#[tokio::test]
async fn the_newest_hours_are_provisional_for_a_day_and_no_longer() {
    let gateway = disagreeing(Disagreement::NewestMissing).await;
    let (first, last) = (day("2026-11-01"), day("2026-11-30"));
    let now = gateway.clock.now();
    let figures = gateway.figures("openai", first, last).await;
    let outcome = gateway.compare("openai", first, last, now, &figures);
    assert_eq!(causes(&outcome), [Cause::Provisional], "{}", outcome.to_table());
    assert!(outcome.is_explained() && outcome.gap_nanos < 0);
    let outcome = gateway.compare("openai", first, last, now + jiff::SignedDuration::from_hours(48), &figures);
    assert_eq!(causes(&outcome), [Cause::FewerCalls], "{}", outcome.to_table());
    assert!(!outcome.is_explained());
}

#[tokio::test]
async fn broken_off_answers_explain_no_more_than_they_can_have_cost() {
    for kinds in [vec![], vec![Disagreement::InterruptedInFull], vec![Disagreement::InterruptedNotBilled]] {
        let gateway = Stage::start(&Setting {
            disagreements: kinds.clone(),
            vendors: |settings| SimulatorSettings {
                inter_token: LogNormalMillis { median: 4.0, sigma: 0.0 },
                first_token: LogNormalMillis::NONE,
                ..settings
            },
            overrides: "[upstream]\nmax_drains = 1\ndrain_seconds = 1",
            ..Setting::default()
        })
        .await;
        let key = gateway.resident("resident");
        for (_, model) in VENDORS {
            gateway.ask(&key, model, "Quand ouvre la mairie ?", true).await;
            let body = chat(model, "Quels papiers ?", true);
            // One of them is read on, the others are broken off.
            let leaves = || gateway.call(&key, "/v1/chat/completions", &body, 2);
            tokio::join!(leaves(), leaves(), leaves(), leaves());
        }
        gateway.settled().await;
        let interrupted = |name: &str| {
            let entries = gateway.entries();
            entries.iter().filter(|entry| entry.provider == name && entry.outcome == Outcome::Interrupted).count()
        };
        for (name, _) in VENDORS {
            assert!(interrupted(name) > 0);
            let outcome = compared(&gateway, name).await;
            assert!(outcome.is_explained(), "{}", outcome.to_table());
            let billed = !kinds.contains(&Disagreement::InterruptedNotBilled);
            let expected = if billed { vec![Cause::Interrupted] } else { vec![] };
            assert_eq!(causes(&outcome), expected, "{name} {kinds:?}: {}", outcome.to_table());
            let (lower, upper) = outcome.uncertain_nanos;
            assert!(lower <= outcome.gap_nanos.max(0) && outcome.gap_nanos <= upper);
            assert_eq!(outcome.gap_nanos > 0, billed);
        }
    }
}

#[tokio::test]
async fn only_an_administrators_key_sees_the_figures_and_it_is_never_repeated() {
    let gateway = Stage::start(&Setting::default()).await;
    for (dialect, base_url) in
        [(Dialect::Openai, gateway.openai.base_url()), (Dialect::Mistral, gateway.mistral.base_url())]
    {
        let key = if dialect == Dialect::Openai { "sk-ordinary" } else { "bad-key" };
        let request = FiguresRequest {
            dialect,
            base_url,
            admin_key: key.to_owned().into(),
            from: day("2026-11-01"),
            to: day("2026-11-02"),
        };
        let error = fetch(&request, &|_| {}).await.unwrap_err().to_string();
        assert!(error.contains("HTTP 401") && error.contains("administrator") && !error.contains(key), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_over_three_prices_and_two_clock_changes_leaves_nothing_unexplained() {
    let size = Size { calls_at_once: 24, minutes_between: 720 };
    let month = month::play(size, &|_| {}).await;
    assert_eq!(month.calls, size.calls());
    assert!(month.entries >= month.calls, "calls without an entry: {:?} {:?}", month.statuses, month.outcomes);
    let exact: i64 = month.reconciliations.iter().map(|outcome| outcome.ours_nanos).sum();
    assert_eq!(month.booked_nanos, exact, "an entry was left out of the comparison");
    assert!(month.booked_nanos <= month.billed_nanos, "the vendors' own books have less than the ledger");
    for outcome in &month.reconciliations {
        assert!(outcome.is_explained() && outcome.entries > 100, "{}", outcome.to_table());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_by_its_exit_code_whether_all_is_explained_and_never_shows_the_key() {
    for (disagreements, code) in [(vec![], 0), (vec![Disagreement::Elsewhere], 70)] {
        let gateway = two_days(Setting { disagreements, ..Setting::default() }).await;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_passerelle"));
        command
            .args([
                "reconcile",
                "--provider",
                "openai",
                "--from",
                "2026-11-23",
                "--to",
                "2026-11-24",
                "--format",
                "json",
            ])
            .arg("--config")
            .arg(gateway.folder.path().join("gateway.toml"))
            .args(["--base-url", &gateway.openai.base_url()])
            .env("OPENAI_ADMIN_KEY", "sk-admin-never-shown");
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(ran.status.code(), Some(code), "{said}");
        assert!(!said.contains("sk-admin-never-shown"));
        let told: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(told["unexplained_usage"] == 0, code == 0);
        assert_eq!(told["entries"], gateway.entries().iter().filter(|entry| entry.provider == "openai").count());
    }
}

#[tokio::test]
async fn an_answer_given_twice_is_not_counted_twice() {
    let gateway = Stage::start(&Setting::default()).await;
    let page = gateway.folder.path().join("page.json");
    std::fs::write(&page, r#"{"object":"page","data":[],"has_more":false,"next_page":null}"#).unwrap();
    for (times, code) in [(1, 0), (2, 64)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_passerelle"));
        command.args(["reconcile", "--provider", "openai", "--from", "2026-11-23", "--to", "2026-11-24"]);
        command.arg("--config").arg(gateway.folder.path().join("gateway.toml"));
        for _ in 0..times {
            command.arg("--file").arg(&page);
        }
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!((ran.status.code(), told.contains("given before")), (Some(code), code == 64), "{told}");
    }
}
