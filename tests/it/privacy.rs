//! Nothing personal leaks: a canary is put into everything a resident sends, and looked for everywhere else.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use passerelle::config::{Environment, load, show};
use passerelle::ledger::{ATTEMPTS, Alert, DUELS, ExportFormat, PROBES, export};
use passerelle::probes::Wish;
use passerelle::telemetry::LogFormat;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::duels::offering;
use crate::support::captured::Captured;
use crate::support::collector::Collector;
use crate::support::program::{PROGRAM, Running, Socket, Town, VendorProcess, question};
use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

const QUESTION: &str = "canari-question-7391";
const ANSWER: &str = "canari-reponse-7391";
const HOOK: &str = "canari-webhook-7391";
/// Random bytes in base64, as a webhook's secret is.
const HOOK_SECRET: &str = "Y2FuYXJpLXNlY3JldC03MzkxLWF1LWhhc2FyZC1mb3J0";
const OTLP_SECRET: &str = "canari-otlp-7391";
const MAIRIE_TOKEN: &str = "canari-mairie-7391";

/// What must be found nowhere, beside the resident's own key.
const SECRETS: [&str; 9] = [
    QUESTION,
    ANSWER,
    HOOK,
    HOOK_SECRET,
    OTLP_SECRET,
    MAIRIE_TOKEN,
    "vendor-key-openai",
    "vendor-key-mistral",
    "Bearer ",
];

fn configuration(collector: &Collector) -> String {
    format!(
        r#"
        [telemetry]
        otlp_endpoint = "{}"
        otlp_headers = "authorization={OTLP_SECRET}"
        [mairie]
        token = "{MAIRIE_TOKEN}"
        [alerts]
        webhook_url = "http://127.0.0.1:1/{HOOK}"
        webhook_secret = "{HOOK_SECRET}"
        {}probe_euros_per_month = "25"
        "#,
        collector.endpoint,
        offering(&["openai/gpt-6-luna", "mistral_ai/mistral-small-latest"], "10")
    )
}

#[tokio::test]
async fn nothing_personal_or_secret_is_found_in_any_output_with_lines_of_json() {
    search_everything(LogFormat::Json).await;
}

#[tokio::test]
async fn nothing_personal_or_secret_is_found_in_any_output_with_lines_for_people() {
    search_everything(LogFormat::Text).await;
}

async fn search_everything(format: LogFormat) {
    let logs = Captured::lines(format, "trace");
    let collector = Collector::start().await;
    let gateway = TestGateway::with(&configuration(&collector)).await;
    let key = gateway.resident();
    let mut errors = questions(&gateway, &key).await;
    errors += &every_other_endpoint(&gateway, &key).await;
    errors += &duels(&gateway, &key).await;
    errors += &a_vendor_that_repeats_our_key(&gateway, &key).await;
    errors += &mairie(&gateway).await;
    errors += &broken_files(&gateway);
    undelivered_alert(&gateway).await;
    gateway.openai.script(vec![Step::Say { text: ANSWER.to_owned(), input: 10, output: 20, model: None }; 2]);
    gateway.probes().begin(Wish { questions: Some(2), seed: Some(7), ..Wish::default() }).unwrap();
    gateway.round_over().await;
    gateway.settled().await;
    gateway.traced().await;

    let mut places = vec![
        ("errors", errors.into_bytes()),
        ("metrics", passerelle::telemetry::metrics().render(passerelle::telemetry::Format::Text).into_bytes()),
        ("logs", logs.bytes()),
        ("traces", collector.everything()),
        ("config show", configuration_shown(&gateway).into_bytes()),
    ];
    for (name, what) in [("attempts", ATTEMPTS), ("probes", PROBES), ("duels", DUELS)] {
        let mut exported = Vec::new();
        export(gateway.ledger(), what, ExportFormat::JsonLines, &mut exported).unwrap();
        places.push((name, exported));
    }
    gateway.ledger().close().await.unwrap();
    for file in std::fs::read_dir(&gateway.folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            places.push(("files", std::fs::read(path).unwrap()));
        }
    }
    for wanted in ["logs", "traces", "config show", "errors", "attempts", "probes", "duels", "files"] {
        let something = places.iter().any(|(name, bytes)| *name == wanted && bytes.len() > 100);
        assert!(something, "the search must have something to search in {wanted}");
    }
    for (place, bytes) in places {
        for secret in SECRETS.into_iter().chain([key.as_str()]) {
            assert!(!contains(&bytes, secret.as_bytes()), "{secret} was found in {place}");
        }
    }
}

/// Asks whole and streamed, with a vendor that fails and quotes what it was asked, is cut, is left; gives the bodies of
/// failures. Of a question that the vendor calls wrong, the words are the asker's own, and are not among them.
async fn questions(gateway: &TestGateway, key: &str) -> String {
    let say = Step::Say { text: ANSWER.to_owned(), input: 10, output: 20, model: None };
    let fail = Step::Status(
        400,
        format!(r#"{{"error":{{"message":"cannot read {QUESTION}","type":"invalid_request_error","code":null}}}}"#),
    );
    let cut = Step::Stream { pieces: 2, gap: Duration::from_millis(1), end: End::Cut };
    gateway.openai.script([say.clone(), say, fail, Step::Status(500, QUESTION.to_owned()), cut]);
    let mut errors = String::new();
    for stream in [false, true, false, false, true] {
        let answer = gateway.ask(key, "gpt-6-luna", QUESTION, stream).await;
        if answer.status != 200 && answer.status != 400 {
            errors += &answer.text();
        }
    }
    let slow = Step::Stream { pieces: 9, gap: Duration::from_millis(5), end: End::Proper };
    gateway.openai.script([slow]);
    gateway.ask_and_leave(key, "gpt-6-luna", 2).await;
    errors += &gateway.ask(&format!("{key}x"), "gpt-6-luna", QUESTION, false).await.text();
    let wrong = TestGateway::request(key, &json!({"model": "gpt-6-luna", "messages": QUESTION}));
    errors + &gateway.send(wrong).await.text()
}

/// Has a vendor refuse in words that quote the gateway's key.
async fn a_vendor_that_repeats_our_key(gateway: &TestGateway, key: &str) -> String {
    let mut errors = String::new();
    for status in [400, 401, 429, 500] {
        let body = r#"{"error":{"message":"wrong: Bearer vendor-key-openai","type":"t","param":"vendor-key-openai","code":"vendor-key-openai"}}"#;
        gateway.openai.script([Step::Status(status, body.to_owned())]);
        let answer = gateway.ask(key, "gpt-6-luna", "x", false).await.text();
        // The scheme is a word of the vendor's; what follows it would be ours.
        errors += &answer.replace("wrong: Bearer ", "");
    }
    errors
}

/// What the mairie's listener says to the right token and to a wrong one.
async fn mairie(gateway: &TestGateway) -> String {
    let right = gateway.ask_mairie("GET", "/admin/v1/stops", MAIRIE_TOKEN, "").await;
    assert_eq!(right.status, 200);
    let wrong = gateway.ask_mairie("GET", "/admin/v1/stops", &format!("{MAIRIE_TOKEN}x"), "").await;
    // Our own words say how a token is sent.
    right.text() + &wrong.text().replace("Bearer …", "")
}

/// Reads files again in which each secret is broken in its own way; gives what is said of it.
fn broken_files(gateway: &TestGateway) -> String {
    let whole = std::fs::read_to_string(gateway.file()).unwrap();
    let mut said = String::new();
    for (written, broken) in [
        (format!("webhook_secret = \"{HOOK_SECRET}\""), "webhook_secret = \"canari-webhook-7391\"".to_owned()),
        (format!("webhook_secret = \"{HOOK_SECRET}\""), format!("webhook_secret = \"{HOOK_SECRET}")),
        (format!("token = \"{MAIRIE_TOKEN}\""), format!("token = [\"{MAIRIE_TOKEN}\"]")),
        (format!("\"authorization={OTLP_SECRET}\""), format!("\"{OTLP_SECRET}\"")),
        (format!("webhook_url = \"http://127.0.0.1:1/{HOOK}\""), format!("webhook_url = \"{HOOK}\"")),
    ] {
        assert!(whole.contains(&written), "{written} in {whole}");
        std::fs::write(gateway.file(), whole.replace(&written, &broken)).unwrap();
        said += &gateway.reloader().reload("Claire", "a broken file").unwrap_err();
    }
    std::fs::write(gateway.file(), whole).unwrap();
    said
}

/// Has an alert sent to a webhook that nobody listens at.
async fn undelivered_alert(gateway: &TestGateway) {
    let body = r#"{"type":"town.envelope"}"#.to_owned();
    let alert = Alert { id: "envelope/test".to_owned(), raised_at: gateway.clock.now(), body, attempts: 0 };
    assert!(gateway.ledger().raise_alert(&alert).unwrap());
    gateway.alerts().look().await.unwrap();
}

fn configuration_shown(gateway: &TestGateway) -> String {
    let keys = [("OPENAI_API_KEY", "vendor-key-openai"), ("MISTRAL_API_KEY", "vendor-key-mistral")];
    show(&load(Some(gateway.file()), &Environment::from_pairs(keys)).unwrap())
}

/// A resident's address that no other part of the machine has.
const ADDRESS: &str = "127.0.77.91";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_writes_no_address_key_or_question() {
    let pace = ["--first-token-ms", "0", "--inter-token-ms", "0"];
    let vendors = [VendorProcess::start("openai", pace), VendorProcess::start("mistral", pace)];
    let town = Town::new(&vendors[0].address, &vendors[1].address, "", "", "");
    let key = town.key();
    let log = town.folder.join("lines");
    let mut command = town.command(&["serve"]);
    command.env("PASSERELLE__TELEMETRY__LOG_LEVEL", "trace");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut gateway = Town::announced(Running::with_stderr(&mut command, Stdio::from(stderr)));
    for (key, stream) in [(&key, false), (&key, true), (&format!("{key}x"), false)] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ADDRESS.parse().unwrap(), 0)).unwrap();
        let mut socket = socket.connect(gateway.public.parse().unwrap()).await.unwrap();
        let asked = question(key, "gpt-6-luna", stream).replace("Bonjour", "Canarie");
        socket.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "));
    }
    let metrics = Socket::get(&gateway.ops, "/metrics").await.unwrap().text();
    gateway.running.terminate();
    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let lines = std::fs::read_to_string(&log).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains("/v1/chat/completions")).count(), 3);
    for text in [&lines, &metrics] {
        for secret in [ADDRESS, &key, "Canarie", "Bearer"] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}

#[test]
fn the_demos_terminal_shows_no_key_token_or_question() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM).args(["demo", "--once", "--folder"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success());
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(shown.len() > 500, "{shown}");
    let configuration = std::fs::read_to_string(folder.path().join("demo.toml")).unwrap();
    let token = configuration.lines().find_map(|line| line.strip_prefix("token = ")).unwrap().trim_matches('"');
    for secret in [token, "psk-", "Bearer"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    for question in &passerelle::probes::basket::Basket::shipped().unwrap().questions {
        assert!(!shown.contains(&question.text), "{}", question.id);
    }
}

/// Has the canary asked and answered in a duel that is judged, and in one that breaks off; gives the bodies of refusals.
async fn duels(gateway: &TestGateway, key: &str) -> String {
    let ask = || {
        gateway.send(TestGateway::post("/v1/duels", key, &json!({"messages": [{"role": "user", "content": QUESTION}]})))
    };
    let say = || Step::Say { text: format!("# {ANSWER}\n\n**{ANSWER}**"), input: 10, output: 20, model: None };
    let refusal = format!(r#"{{"error":{{"message":"{QUESTION}","type":"{QUESTION}","code":"{QUESTION}"}}}}"#);
    let broken = Step::Body("text/event-stream", format!("data: {{\"error\":{{\"message\":\"{QUESTION}\"}}}}\n\n"));
    gateway.openai.script([say(), Step::Status(400, refusal), broken]);
    gateway.mistral.script([say()]);
    let answer = ask().await;
    assert_eq!(answer.text().matches(ANSWER).count(), 4, "both are shown");
    let vote = json!({"choice": "left", "left": ["useful"]});
    let path = format!("/v1/duels/{}/vote", crate::duels::ready(&answer));
    assert_eq!(gateway.send(TestGateway::post(&path, key, &vote)).await.status, 200);
    ask().await.text() + &ask().await.text()
}

/// Sends the canary to every endpoint that reaches a vendor; gives the bodies of refusals.
async fn every_other_endpoint(gateway: &TestGateway, key: &str) -> String {
    let mut errors = String::new();
    for (path, body) in [
        ("/v1/responses", json!({"model": "mistral-small-latest", "input": QUESTION, "stream": true})),
        ("/v1/responses", json!({"model": "gpt-6-luna", "input": QUESTION, "previous_response_id": QUESTION})),
        ("/v1/embeddings", json!({"model": "mistral-embed", "input": [QUESTION]})),
        ("/v1/moderations", json!({"input": QUESTION})),
    ] {
        let answer = gateway.send(TestGateway::post(path, key, &body)).await;
        if answer.status != 200 {
            errors += &answer.text();
        }
    }
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{QUESTION}.wav\"\r\n\r\n{QUESTION}\r\n--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{QUESTION}\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n"
    );
    let request = axum::http::Request::post("/v1/audio/transcriptions")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(axum::body::Body::from(form))
        .unwrap();
    errors + &gateway.send(request).await.text()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
