//! The town's own questions: every model is asked every question at its time, whatever becomes of the others, out of a
//! budget that is never passed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use passerelle::clock::Clock;
use passerelle::ledger::{Assignment, Ledger, Outcome, PROBES_ACCOUNT, Probe, Record, Stop, StopScope};
use passerelle::probes::basket::Basket;
use passerelle::probes::{MOST_IN_FLIGHT, ProbeError, RoundReport, RoundState, Wish, slot_after};
use serde_json::{Value, json};

use crate::support::program::{Socket, Town, VendorProcess};
use crate::support::{Step, TestGateway};

/// Both vendors, and a budget that no test reaches by chance.
const TOWN: &str = "[mairie]\ntoken = \"token-of-the-mairie\"\n[comparison]\nprobe_euros_per_month = \"25\"\n";
const MODELS: [&str; 2] = ["openai/gpt-6-luna", "mistral_ai/mistral-small-latest"];
/// Questions of the shipped basket.
const ALL: usize = 88;
/// A probe starts no later than the clock's steps, and what tasks take within one.
const SMALL_LAG: u64 = 200_000;

async fn town() -> TestGateway {
    TestGateway::with(TOWN).await
}

fn wish(questions: usize) -> Wish {
    Wish { questions: Some(questions), seed: Some(7), ..Wish::default() }
}

fn probes_of(ledger: &Ledger) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut visit = |_, record| {
        if let Record::Probe(probe) = record {
            probes.push(*probe);
        }
    };
    ledger.visit_records(&mut visit).unwrap();
    probes.sort_by_key(|probe| probe.intended_at);
    probes
}

fn spent(gateway: &TestGateway) -> i64 {
    let windows = passerelle::quota::Calendar::new("Europe/Paris").unwrap().windows(gateway.clock.now());
    let used = gateway.ledger().resident_use(PROBES_ACCOUNT, &windows).unwrap();
    assert_eq!(used.month_held.euro_nanos, 0, "nothing is held any more");
    used.month_used.euro_nanos
}

/// What somebody at the town hall asks of the mairie's listener.
async fn mairie(gateway: &TestGateway, method: &str, query: &str, token: &str, body: &str) -> (u16, Value) {
    let answer = gateway.ask_mairie(method, &format!("/admin/v1/probes{query}"), token, body).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn a_round_leaves_a_record_of_every_question_at_every_model() {
    let gateway = town().await;
    gateway.probes().begin(Wish { seed: Some(7), ..Wish::default() }).unwrap();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.recorded, report.complete_questions), (RoundState::Completed, 2 * ALL, ALL));
    assert!(report.incomplete.is_empty() && report.ended_by.is_none());

    let basket = Basket::shipped().unwrap();
    let probes = probes_of(gateway.ledger());
    let asked: BTreeSet<_> = probes.iter().map(|probe| (&probe.question, &probe.provider)).collect();
    assert_eq!(asked.len(), 2 * ALL);
    for probe in &probes {
        assert_eq!((probe.outcome, probe.error_type.as_deref()), (Outcome::Completed, None));
        let checked = !basket.question(&probe.question).unwrap().checks.is_empty();
        assert_eq!(probe.passed, checked.then_some(false), "`Bonjour.` answers no question: {}", probe.question);
        assert_eq!((&probe.basket, probe.basket_digest.as_str()), (&basket.version, basket.digest()));
        assert!(probe.lag_micros < SMALL_LAG, "{}", probe.lag_micros);
        assert!(probe.first_text_micros.is_some() && probe.duration_micros >= probe.first_text_micros);
        assert_eq!((probe.output_chars, probe.round.as_str()), (Some(8), report.round.as_str()));
        assert_eq!((probe.day.as_str(), probe.local_hour), ("2026-11-24", 10));
    }
    // The town's own account pays, and the entries say so.
    let entries = gateway.entries();
    assert!(entries.iter().all(|entry| entry.resident == PROBES_ACCOUNT && entry.assignment == Assignment::Probe));
    assert!(entries.iter().all(|entry| entry.stream && entry.route.is_none()));
    let by_request: BTreeMap<_, _> = entries.iter().map(|entry| (&entry.request_id, entry)).collect();
    for probe in &probes {
        let entry = by_request[&probe.request_id];
        assert_eq!((probe.cost_euro_nanos, &probe.usage), (entry.cost_euro_nanos, &entry.usage));
        assert_eq!(probe.local_passages, entry.local_passages);
    }
    let cost: i64 = entries.iter().map(|entry| entry.cost_euro_nanos.unwrap()).sum();
    assert!(cost > 0);
    assert_eq!((spent(&gateway), report.models.iter().map(|model| model.cost_euro_nanos).sum::<i64>()), (cost, cost));
    gateway.settled().await;
}

#[tokio::test]
async fn vendors_are_asked_a_question_within_the_minute_in_an_order_that_changes() {
    let gateway = town().await;
    gateway.probes().begin(wish(20)).unwrap();
    gateway.round_over().await;
    let mut by_question: BTreeMap<String, Vec<Probe>> = BTreeMap::new();
    for probe in probes_of(gateway.ledger()) {
        by_question.entry(probe.question.clone()).or_default().push(probe);
    }
    let mut firsts = BTreeSet::new();
    let mut begins = BTreeSet::new();
    for asked in by_question.values() {
        assert_eq!(asked.iter().map(|probe| probe.position).collect::<Vec<_>>(), [0, 1]);
        assert!(asked[1].intended_at - asked[0].intended_at < 60_000_000);
        firsts.insert(asked[0].provider.clone());
        begins.insert(asked[0].intended_at);
    }
    assert_eq!((by_question.len(), firsts.len()), (20, 2), "now one is asked first, now the other");
    let begins: Vec<i64> = begins.into_iter().collect();
    assert!(begins.windows(2).all(|pair| pair[1] - pair[0] == 3_000_000), "evenly spaced: {begins:?}");
    gateway.settled().await;
}

#[tokio::test]
async fn a_slow_vendor_delays_no_start() {
    let gateway = town().await;
    gateway.mistral.close_gate();
    let start = gateway.probes().begin(wish(12)).unwrap().begun_at;
    gateway.pass(Duration::from_secs(60)).await;
    // All have started, though none of Mistral's has returned.
    gateway.mistral.reached_by(12).await;
    gateway.openai.reached_by(12).await;
    gateway.mistral.open_gate();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.recorded), (RoundState::Completed, 24));
    for probe in probes_of(gateway.ledger()) {
        assert!(probe.lag_micros < SMALL_LAG, "{probe:?}");
        // Its wait is counted from the intended start, up to when the gate was opened.
        let text_at = probe.intended_at - start.as_microsecond() + probe.first_text_micros.unwrap().cast_signed();
        assert!(probe.provider == "openai" || text_at >= 60_000_000, "{probe:?}");
    }
    gateway.settled().await;
}

#[tokio::test]
async fn what_waits_for_the_bound_on_probes_in_flight_is_lag() {
    let models = "models = [\"openai/gpt-6-luna\", \"openai/gpt-6-sol\", \"mistral_ai/mistral-small-latest\"]\n";
    let gateway = TestGateway::with(&format!("{TOWN}{models}")).await;
    gateway.openai.close_gate();
    gateway.mistral.close_gate();
    gateway.probes().begin(Wish { seed: Some(7), ..Wish::default() }).unwrap();
    gateway.pass(Duration::from_secs(3 * 88 + 30)).await;
    let arrived = || gateway.openai.calls().len() + gateway.mistral.calls().len();
    while arrived() < MOST_IN_FLIGHT {
        gateway.pass(Duration::from_millis(100)).await;
    }
    gateway.pass(Duration::from_secs(20)).await;
    assert_eq!(arrived(), MOST_IN_FLIGHT, "no more than the bound are on their way");
    gateway.openai.open_gate();
    gateway.mistral.open_gate();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.recorded), (RoundState::Completed, 3 * ALL));
    let probes = probes_of(gateway.ledger());
    let late = probes.iter().filter(|probe| probe.lag_micros > 20_000_000).count();
    assert_eq!(late, 3 * ALL - MOST_IN_FLIGHT, "those beyond it started late, and say so");
    assert!(report.longest_lag_micros > Some(20_000_000));
    assert!(probes.iter().all(|probe| probe.first_text_micros.unwrap() >= probe.lag_micros), "and waited that long");
    gateway.settled().await;
}

#[tokio::test]
async fn answers_are_checked_and_a_failing_vendor_is_recorded_as_such() {
    let gateway = TestGateway::with(&format!("{TOWN}[upstream]\nfirst_byte_seconds = 1\n")).await;
    let say = |text: &str| Step::Say { text: text.to_owned(), input: 10, output: 20, model: None };
    gateway.openai.script([say("Il paie 54,40 €."), say("Il paie 54 €.")]);
    let overloaded = r#"{"error":{"message":"no","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let steps = [say("Cela fait 54.40 €"), Step::Status(500, String::new()), Step::Status(429, overloaded.to_owned())];
    gateway.mistral.script(steps.into_iter().chain([Step::Hang]));
    let mut outcomes = Vec::new();
    for round in 0..4 {
        gateway.probes().begin(wish(1)).unwrap();
        let report = gateway.round_over().await;
        assert_eq!((report.state, report.recorded), (RoundState::Completed, 2), "a failure is a record");
        let mistral = &report.models[1];
        assert_eq!((mistral.model.as_str(), mistral.questions), (MODELS[1], 1));
        assert_eq!(
            (mistral.answered, mistral.median_first_text_micros.is_some()),
            (usize::from(round == 0), round == 0)
        );
        outcomes.extend(probes_of(gateway.ledger()).into_iter().filter(|probe| probe.round == report.round));
    }
    let of = |provider: &str| -> Vec<_> {
        let mut probes: Vec<_> = outcomes.iter().filter(|probe| probe.provider == provider).collect();
        probes.sort_by_key(|probe| probe.intended_at);
        probes.iter().map(|probe| (probe.outcome, probe.error_type.as_deref(), probe.passed)).collect()
    };
    assert_eq!(of("openai")[..2], [(Outcome::Completed, None, Some(true)), (Outcome::Completed, None, Some(false))]);
    let mistral = of("mistral_ai");
    assert_eq!(mistral[0], (Outcome::Completed, None, Some(true)));
    assert!(
        mistral[1..]
            .iter()
            .all(|(outcome, error, passed)| { *outcome != Outcome::Completed && error.is_some() && passed.is_none() })
    );
    assert_eq!((mistral[2].0, mistral[3].0), (Outcome::Rejected, Outcome::Unknown));
    let hung = outcomes.iter().find(|probe| probe.outcome == Outcome::Unknown).unwrap();
    assert_eq!((hung.cost_euro_nanos, hung.first_text_micros), (None, None), "what is not known is absent");
    gateway.settled().await;
}

#[tokio::test]
async fn a_budget_that_ends_in_mid_round_ends_the_round_and_is_not_passed_with_everything_in_flight() {
    let gateway = town().await;
    let whole = gateway.probes().estimate(None).unwrap();
    assert_eq!(whole.models, MODELS);
    assert!(0 < whole.expected_euro_nanos && whole.expected_euro_nanos < whole.most_euro_nanos, "{whole:?}");
    // Other terms are honoured: the next round has a quarter of what it could need.
    let budget = whole.most_euro_nanos / 4;
    let text = providers::money::format_nanos(budget);
    gateway.rewrite(&format!("[comparison]\nprobe_euros_per_month = \"{text}\""));
    gateway.reloader().reload("Claire", "less for probes").unwrap();
    gateway.openai.close_gate();
    gateway.mistral.close_gate();
    gateway.probes().begin(Wish { seed: Some(7), ..Wish::default() }).unwrap();
    while gateway.probes().report().unwrap().ended_by.is_none() {
        gateway.pass(Duration::from_secs(1)).await;
    }
    gateway.openai.open_gate();
    gateway.mistral.open_gate();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.ended_by.as_deref()), (RoundState::Incomplete, Some("euros_per_month")));
    assert!(report.complete_questions > 0 && report.complete_questions < ALL, "{report:?}");
    assert!(report.incomplete.is_empty(), "all models were asked a question, or none");
    assert_eq!(report.recorded, 2 * report.complete_questions);
    assert_eq!(gateway.openai.calls().len() + gateway.mistral.calls().len(), report.recorded);
    assert_eq!(probes_of(gateway.ledger()).len(), report.recorded, "a refusal of ours is no vendor's failure");
    let spent = spent(&gateway);
    assert!(0 < spent && spent <= budget, "{spent} of {budget}");
    gateway.settled().await;
}

#[tokio::test]
async fn the_towns_envelope_bounds_probes_too() {
    let gateway = TestGateway::with(&format!("{TOWN}[town]\neuros_per_month = \"0.01\"\n")).await;
    gateway.probes().begin(Wish { seed: Some(7), ..Wish::default() }).unwrap();
    let report = gateway.round_over().await;
    assert_eq!(report.ended_by.as_deref(), Some("town_euros_per_month"));
    assert!(report.recorded > 0 && report.incomplete.is_empty());
    gateway.settled().await;
}

#[tokio::test]
async fn a_stop_ends_the_round_and_what_was_asked_is_kept() {
    let gateway = town().await;
    gateway.probes().begin(wish(10)).unwrap();
    gateway.pass(Duration::from_secs(7)).await;
    // Their money is held: a stop ends no answer in progress.
    gateway.openai.reached_by(3).await;
    gateway.mistral.reached_by(3).await;
    let beside = Ledger::open_sqlite_beside(&gateway.folder.join("ledger.sqlite")).unwrap();
    let mut stop = Stop {
        scope: StopScope::Provider,
        name: "mistral_ai".to_owned(),
        since: gateway.clock.now(),
        reason: "a strange bill".to_owned(),
    };
    beside.set_stop(&stop, true, "Claire").unwrap();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.ended_by.as_deref()), (RoundState::Incomplete, Some("stopped")));
    assert_eq!((report.complete_questions, report.recorded), (3, 6), "questions at 0, 3 and 6 s");
    assert_eq!(probes_of(gateway.ledger()).len(), 6);
    beside.set_stop(&stop, false, "Claire").unwrap();
    for (scope, name) in [(StopScope::Town, ""), (StopScope::Plan, PROBES_ACCOUNT)] {
        (stop.scope, stop.name) = (scope, name.to_owned());
        beside.set_stop(&stop, true, "Claire").unwrap();
        gateway.probes().begin(wish(10)).unwrap();
        let report = gateway.round_over().await;
        assert_eq!((report.recorded, report.ended_by.as_deref()), (0, Some("stopped")));
        beside.set_stop(&stop, false, "Claire").unwrap();
    }
    // A round in the same process, once nothing is stopped.
    gateway.probes().begin(wish(1)).unwrap();
    assert_eq!(gateway.round_over().await.state, RoundState::Completed);
    gateway.settled().await;
}

#[tokio::test]
async fn a_process_that_stops_settles_the_probes_in_progress_and_begins_no_others() {
    let gateway = town().await;
    gateway.mistral.close_gate();
    gateway.probes().begin(wish(10)).unwrap();
    gateway.pass(Duration::from_secs(7)).await;
    gateway.mistral.reached_by(3).await;
    gateway.shutdown.begin();
    gateway.mistral.open_gate();
    let report = gateway.round_over().await;
    assert_eq!((report.state, report.ended_by.as_deref()), (RoundState::Incomplete, Some("shutting_down")));
    assert_eq!((report.recorded, report.complete_questions), (6, 3));
    assert!(probes_of(gateway.ledger()).iter().all(|probe| probe.outcome == Outcome::Completed));
    assert!(matches!(gateway.probes().begin(wish(1)), Err(ProbeError::ShuttingDown)));
    gateway.settled().await;
}

#[tokio::test]
async fn rounds_never_overlap_and_need_a_budget_and_models() {
    let gateway = town().await;
    gateway.probes().begin(wish(2)).unwrap();
    assert!(matches!(gateway.probes().begin(wish(2)), Err(ProbeError::UnderWay)));
    gateway.round_over().await;
    gateway.probes().begin(wish(1)).unwrap();
    gateway.round_over().await;
    gateway.settled().await;

    let none = TestGateway::start().await;
    let refused = none.probes().begin(wish(1)).unwrap_err();
    assert!(refused.to_string().contains("comparison.probe_euros_per_month"), "{refused}");
    assert!(matches!(none.probes().estimate(None), Err(ProbeError::NoBudget)));
}

#[tokio::test]
async fn a_model_without_a_host_in_the_region_is_left_out() {
    let gateway = TestGateway::with(&format!(
        "{TOWN}hosts = \"eu\"\n[providers.openai]\nhosts = [\"global\"]\n[providers.mistral_ai]\nhosts = [\"eu\"]\n"
    ))
    .await;
    gateway.probes().begin(wish(3)).unwrap();
    let report = gateway.round_over().await;
    let models: Vec<_> = report.models.iter().map(|model| model.model.as_str()).collect();
    assert_eq!((models, report.state, report.recorded), (vec![MODELS[1]], RoundState::Completed, 3));
    assert!(gateway.openai.calls().is_empty());
    gateway.settled().await;
}

#[tokio::test]
async fn the_timetable_begins_rounds_at_their_times_and_makes_up_for_none() {
    let timetable = "probe_every_minutes = 60\nprobe_jitter_minutes = 10\n";
    let gateway = TestGateway::with(&format!("{TOWN}{timetable}")).await;
    let keeping = gateway.shutdown.spawn(gateway.probes().keep_timetable());
    let begun = |report: Option<RoundReport>| report.map(|report| report.begun_at);
    let start = gateway.clock.now();
    let first = slot_after(start, Duration::from_secs(3_600));
    // It is nine o'clock to the second: that slot has passed.
    gateway.pass_by(Duration::from_secs(3_599), Duration::from_secs(1)).await;
    assert_eq!(gateway.probes().report(), None);
    while gateway.probes().report().is_none() {
        gateway.pass_by(Duration::from_secs(1), Duration::from_secs(1)).await;
        assert!(gateway.clock.now() < first + Duration::from_secs(601), "within the jitter");
    }
    let report = gateway.round_over().await;
    assert!((first..first + Duration::from_secs(600)).contains(&report.begun_at), "{}", report.begun_at);
    assert_eq!((report.state, report.recorded), (RoundState::Completed, 2 * ALL));
    let intended = probes_of(gateway.ledger())[0].intended_at;
    assert_eq!(
        intended,
        report.begun_at.as_microsecond(),
        "the first question is meant for the beginning of the round"
    );
    // The machine sleeps from before eleven to after four: five rounds are missed, and stay so.
    gateway.clock.advance(Duration::from_secs(5 * 3_600));
    gateway.pass_by(Duration::from_secs(60), Duration::from_secs(1)).await;
    assert_eq!(begun(gateway.probes().report()), Some(report.begun_at));
    let next = slot_after(gateway.clock.now(), Duration::from_secs(3_600));
    // Without a budget, no round; the timetable goes on.
    gateway.rewrite("[comparison]\nprobe_euros_per_month = \"0\"");
    gateway.reloader().reload("Claire", "no probes for an hour").unwrap();
    while gateway.clock.now() < next + Duration::from_secs(700) {
        gateway.pass_by(Duration::from_secs(60), Duration::from_secs(10)).await;
    }
    assert_eq!(begun(gateway.probes().report()), Some(report.begun_at));
    gateway.rewrite("[comparison]\nprobe_euros_per_month = \"25\"");
    gateway.reloader().reload("Claire", "probes again").unwrap();
    while begun(gateway.probes().report()) == Some(report.begun_at) {
        gateway.pass_by(Duration::from_secs(10), Duration::from_secs(1)).await;
        assert!(gateway.clock.now() < next + Duration::from_secs(3_600 + 620));
    }
    gateway.round_over().await;
    gateway.shutdown.begin();
    keeping.await.unwrap();
    gateway.settled().await;
}

#[tokio::test]
async fn the_mairie_begins_a_round_and_sees_how_far_it_is() {
    const TOKEN: &str = "token-of-the-mairie";
    let gateway = town().await;
    for method in ["GET", "POST"] {
        assert_eq!(mairie(&gateway, method, "", "guessed", "").await.0, 401);
    }
    let (status, standing) = mairie(&gateway, "GET", "?estimate=true&questions=3", TOKEN, "").await;
    assert_eq!((status, &standing["round"], &standing["simulated"]), (200, &Value::Null, &json!(false)));
    assert_eq!((&standing["estimate"]["questions"], &standing["estimate"]["models"]), (&json!(3), &json!(MODELS)));
    for wrong in [r#"{"questions": 0}"#, r#"{"question": 1}"#, "[]"] {
        assert_eq!(mairie(&gateway, "POST", "", TOKEN, wrong).await.0, 400, "{wrong}");
    }
    let (status, begun) = mairie(&gateway, "POST", "", TOKEN, r#"{"questions": 3}"#).await;
    assert_eq!((status, &begun["round"]["state"], &begun["round"]["planned"]), (202, &json!("running"), &json!(6)));
    let (status, again) = mairie(&gateway, "POST", "", TOKEN, "").await;
    assert_eq!((status, again["error"]["message"].as_str().unwrap().contains("under way")), (409, true));
    gateway.round_over().await;
    let (_, standing) = mairie(&gateway, "GET", "", TOKEN, "").await;
    assert_eq!(standing["round"]["round"], begun["round"]["round"]);
    assert_eq!((&standing["round"]["state"], &standing["round"]["recorded"]), (&json!("completed"), &json!(6)));
    gateway.settled().await;
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_answer_question_or_vendor_key_is_kept_of_a_probe() {
    const ANSWER: &str = "canari-reponse-4182";
    let logs = Captured::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("passerelle=trace,providers=trace,info")
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let gateway = town().await;
    let say = Step::Say { text: ANSWER.to_owned(), input: 10, output: 20, model: None };
    gateway.openai.script([say.clone(), Step::Status(500, ANSWER.to_owned())]);
    gateway.mistral.script([say.clone(), say]);
    gateway.probes().begin(wish(2)).unwrap();
    let report = gateway.round_over().await;
    gateway.settled().await;
    gateway.ledger().close().await.unwrap();
    let sent = gateway.mistral.calls()[0].body["messages"][0]["content"].as_str().unwrap().to_owned();
    let mut places = vec![
        ("metrics", passerelle::telemetry::metrics().render(passerelle::telemetry::Format::Text).into_bytes()),
        ("logs", logs.0.lock().unwrap().clone()),
        ("report", serde_json::to_vec(&report).unwrap()),
    ];
    for file in std::fs::read_dir(&gateway.folder).unwrap() {
        places.push(("files", std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(String::from_utf8_lossy(&places[1].1).contains("a round of probes is over"), "something to search");
    for (place, bytes) in places {
        for secret in [ANSWER, &sent, "vendor-key-openai", "vendor-key-mistral", "Bearer "] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} was found in {place}");
        }
    }
}

fn simulated_town(more: &str) -> (Town, [VendorProcess; 2]) {
    let pace = ["--first-token-ms", "5", "--inter-token-ms", "1"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    let tables = format!("\n[mairie]\ntoken = \"t\"\n{more}");
    let town = Town::new(
        &vendors[0].address,
        &vendors[1].address,
        "lease_seconds = 5\nsweep_seconds = 1",
        "",
        &format!("first_byte_seconds = 2\nidle_seconds = 2\ntotal_seconds = 3\ndrain_seconds = 1\n{tables}"),
    );
    (town, vendors)
}

const BUDGET: &str = "[comparison]\nprobe_euros_per_month = \"5\"\n";

fn said(output: &std::process::Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_asks_by_itself_where_nobody_serves_and_only_with_a_yes() {
    let (town, vendors) = simulated_town(BUDGET);
    let probe = |arguments: &[&str]| {
        let mut command = town.command(&["probe", "--questions", "2"]);
        command.args(arguments).env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k");
        said(&command.output().unwrap())
    };
    let (code, out, err) = probe(&[]);
    assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
    assert!(err.contains("2 questions go to openai/gpt-6-luna, mistral_ai/mistral-small-latest: at most 0.0"), "{err}");
    assert!(err.contains("--yes"), "{err}");
    assert_eq!(vendors[0].calls().await + vendors[1].calls().await, 0);
    let (code, out, err) = probe(&["--yes"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("openai/gpt-6-luna") && out.contains("4 of 4 probes"), "{out}");
    let ledger = town.ledger();
    assert_eq!((probes_of(&ledger).len(), ledger.gauges().unwrap().open_reservations), (4, 0));
    assert!(ledger.verify().unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_asks_the_process_that_serves_and_needs_no_vendors_key() {
    let (town, _vendors) = simulated_town(BUDGET);
    let gateway = Town::serving(&mut town.command(&["serve", "--simulated"]));
    let mut command = town.command(&["probe", "--questions", "2"]);
    let (code, out, err) = said(&command.env("PASSERELLE__SERVER__MAIRIE", &gateway.mairie).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("simulated") && out.contains("4 of 4 probes"), "{out}{err}");
    assert_eq!(probes_of(&town.ledger()).len(), 4);
    let mut command = town.command(&["probe", "--questions", "2"]);
    command.env("PASSERELLE__SERVER__MAIRIE", &gateway.mairie).env("PASSERELLE__MAIRIE__TOKEN", "guessed");
    let (code, _, err) = said(&command.output().unwrap());
    assert_eq!((code, err.contains("token is missing or wrong")), (Some(64), true), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_budget_the_command_says_which_key_to_set() {
    let (town, _vendors) = simulated_town("");
    let mut command = town.command(&["probe", "--yes"]);
    let (code, _, err) = said(&command.env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k").output().unwrap());
    assert_eq!((code, err.contains("comparison.probe_euros_per_month")), (Some(64), true), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_mid_round_leaves_a_sound_ledger_and_the_next_round_is_another() {
    let (town, _vendors) = simulated_town(BUDGET);
    let begin = async |mairie: &str| {
        let request = "POST /admin/v1/probes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\nconnection: close\r\n\
                       content-length: 16\r\n\r\n{\"questions\": 4}";
        let answer = Socket::send(mairie, request).await.unwrap().rest().await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
    };
    let clock = Clock::system();
    let kept = async |count: usize| {
        let start = clock.tick();
        while probes_of(&town.ledger()).len() < count {
            assert!(clock.tick().since(start) < Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut gateway = Town::serving(&mut town.command(&["serve", "--simulated"]));
    begin(&gateway.mairie).await;
    kept(2).await;
    gateway.running.kill();
    let gateway = Town::serving(&mut town.command(&["serve", "--simulated"]));
    begin(&gateway.mairie).await;
    kept(10).await;
    let probes = probes_of(&town.ledger());
    let rounds: BTreeSet<_> = probes.iter().map(|probe| &probe.round).collect();
    assert_eq!(rounds.len(), 2);
    let verification = town.ledger().verify().unwrap();
    assert!(verification.is_clean(), "{:?}", verification.findings);
}
