//! Any request that the published schemas allow either reaches a vendor as that vendor's schema allows, or is refused;
//! any answer that Mistral's schema allows either reaches the client as OpenAI's schema allows, or is a failure.
//!
//! The seed is fixed, so that a build never fails by chance; `GENERATED_CASES=5000` explores with a fresh one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::adapter::{self, DIALECTS, ENDPOINTS, RESERVED_OUTPUT_TOKENS};
use crate::fixtures::events;
use crate::generate::{Documents, Pinned};
use crate::loopback::Reply;
use crate::schemas::{self, Mistake, client_request_schema, mistakes, request_schema};

/// Bodies that must arrive for each endpoint and dialect.
const ARRIVALS: usize = 600;
/// Requests drawn for them at most: many are refused for what a dialect cannot express.
const CASES: usize = 4000;
/// Answers drawn of each kind.
const ANSWERS: usize = 1000;

fn explore() -> Option<usize> {
    std::env::var_os("GENERATED_CASES").map(|cases| cases.into_string().unwrap().parse().unwrap())
}

fn runner() -> TestRunner {
    if explore().is_some() { TestRunner::default() } else { TestRunner::deterministic() }
}

/// What became of a document: nothing to hold to a schema, or what is wrong with it.
type Outcome = Option<Vec<Mistake>>;

fn mistake(place: &str, message: &str) -> Mistake {
    Mistake { place: place.to_owned(), message: message.to_owned() }
}

fn sent(dialect: &str, endpoint: &str, request: &Value) -> Outcome {
    let body = request.to_string();
    let sent = catch_unwind(AssertUnwindSafe(|| adapter::send(dialect, endpoint, body.as_bytes())));
    let Ok(sent) = sent else { return Some(vec![mistake("", "the adapter panicked")]) };
    let sent = sent.ok()?.body;
    // Where a vendor publishes no schema, only our own promises hold.
    let mut found =
        request_schema(dialect, endpoint).map(|(book, schema)| mistakes(book, schema, &sent)).unwrap_or_default();
    let limit = match (endpoint, dialect) {
        ("chat", "openai") => Some("max_completion_tokens"),
        ("responses", "openai") => Some("max_output_tokens"),
        ("chat" | "responses", _) => Some("max_tokens"),
        _ => None,
    };
    if let Some(limit) = limit.filter(|limit| sent[*limit] != RESERVED_OUTPUT_TOKENS) {
        found.push(mistake(&format!("/{limit}"), "is not the limit that was reserved for"));
    }
    for private in ["user", "metadata"] {
        if !sent[private].is_null() {
            found.push(mistake(&format!("/{private}"), "tells a vendor about the client"));
        }
    }
    Some(found)
}

/// The smallest document found that still makes that mistake.
fn smallest(mut tree: impl ValueTree<Value = Value>, mistake: &Mistake, outcome: &dyn Fn(&Value) -> Outcome) -> Value {
    let mut best = tree.current();
    while tree.simplify() {
        if outcome(&tree.current()).is_some_and(|found| found.contains(mistake)) {
            best = tree.current();
        } else {
            tree.complicate();
        }
    }
    best
}

/// Kinds of mistakes, each with the smallest document that makes it.
#[derive(Default)]
struct Findings {
    found: BTreeMap<(String, Mistake), Value>,
}

impl Findings {
    fn add(&mut self, what: &str, tree: impl ValueTree<Value = Value>, outcome: &dyn Fn(&Value) -> Outcome) -> bool {
        let Some(found) = outcome(&tree.current()) else { return false };
        if let Some(mistake) = found.into_iter().next() {
            let key = (what.to_owned(), mistake.clone());
            self.found.entry(key).or_insert_with(|| smallest(tree, &mistake, outcome));
        }
        true
    }

    fn report(&self) {
        let lines: Vec<String> = self
            .found
            .iter()
            .map(|((what, mistake), document)| format!("{what}: {}: {}\n  {document}", mistake.place, mistake.message))
            .collect();
        assert!(lines.is_empty(), "{} kinds of invalid documents\n{}", lines.len(), lines.join("\n"));
    }
}

/// Requests to an endpoint, for models of the shipped catalogue.
fn requests(dialect: &str, endpoint: &str) -> Documents {
    let models = adapter::models(dialect, endpoint).into_iter().map(Value::from).collect();
    let mut pinned = vec![Pinned { field: "model", choices: models, always: true }];
    if endpoint == "responses" {
        // Optional in the schema, needed by any sense of the request.
        let turn = json!([{"role": "user", "content": "Bonjour"}, {"role": "assistant", "content": "Bonjour !"}]);
        pinned.push(Pinned { field: "input", choices: vec![json!("Bonjour"), turn], always: false });
    }
    Documents::new("openai", client_request_schema(endpoint), pinned)
}

#[test]
fn any_request_of_the_published_schemas_arrives_valid_or_is_refused() {
    let mut runner = runner();
    let mut findings = Findings::default();
    for endpoint in ENDPOINTS.iter() {
        for dialect in DIALECTS {
            let what = format!("{endpoint} for {dialect}");
            let requests = requests(dialect, endpoint);
            let (mut drawn, mut arrived) = (0, 0);
            while drawn < explore().unwrap_or(CASES) && (arrived < ARRIVALS || explore().is_some()) {
                let tree = requests.new_tree(&mut runner).unwrap();
                drawn += 1;
                arrived += usize::from(findings.add(&what, tree, &|request| sent(dialect, endpoint, request)));
            }
            println!("{what}: {arrived} of {drawn} requests arrived, the others were refused");
            assert!(arrived * 20 > drawn, "{what}: nearly everything is refused, nothing is shown");
        }
    }
    findings.report();
}

/// What is drawn, its schema, and what becomes of it.
type Kind<'a> = (&'a str, &'a str, &'a dyn Fn(&Value) -> Outcome);

/// A request whose answer is drawn.
const ASKED: &str = r#"{"model":"any","messages":[{"role":"user","content":"Bonjour"}]}"#;
const ASKED_STREAM: &str = r#"{"model":"any","messages":[{"role":"user","content":"Bonjour"}],"stream":true,"stream_options":{"include_usage":true}}"#;

fn reply(content_type: &'static str, body: String) -> Reply {
    Reply { status: 200, content_type, parts: vec![body.into_bytes()] }
}

fn answered(answer: &Value) -> Outcome {
    let received = adapter::receive("mistral", "chat", ASKED.as_bytes(), reply("application/json", answer.to_string()));
    match received.failure {
        Some(failure) if failure.kind == "panic" => Some(vec![mistake("", "the adapter panicked")]),
        Some(_) => None,
        None => {
            let body = serde_json::from_slice(&received.bytes).unwrap();
            Some(mistakes("openai", "CreateChatCompletionResponse", &body))
        }
    }
}

fn streamed(chunk: &Value) -> Outcome {
    let end = r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Oui."},"finish_reason":"stop"}]}"#;
    let body = format!("data: {chunk}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    let received = adapter::receive("mistral", "chat", ASKED_STREAM.as_bytes(), reply("text/event-stream", body));
    match received.failure {
        Some(failure) if failure.kind == "panic" => Some(vec![mistake("", "the adapter panicked")]),
        Some(_) => None,
        None => {
            let chunks = events(&received.bytes);
            let found = chunks.iter().flat_map(|it| mistakes("openai", "CreateChatCompletionStreamResponse", it));
            Some(found.collect())
        }
    }
}

#[test]
fn any_answer_of_mistrals_schema_reaches_the_client_valid_or_fails() {
    let mut runner = runner();
    let mut findings = Findings::default();
    let kinds: [Kind<'_>; 2] = [
        ("a whole answer of mistral", "ChatCompletionResponse", &answered),
        ("a chunk of mistral", "CompletionChunk", &streamed),
    ];
    for (what, schema, outcome) in kinds {
        let answers = Documents::new("mistral", schema, Vec::new());
        let mut arrived = 0;
        for _ in 0..explore().unwrap_or(ANSWERS) {
            let tree = answers.new_tree(&mut runner).unwrap();
            arrived += usize::from(findings.add(what, tree, outcome));
        }
        assert!(arrived * 4 > explore().unwrap_or(ANSWERS), "{what}: nearly every answer fails, nothing is shown");
    }
    findings.report();
}

/// The generator itself: valid documents in which nearly every field of the schema occurs.
#[test]
fn generated_documents_are_valid_and_use_what_their_schema_offers() {
    let mut runner = runner();
    for endpoint in ENDPOINTS {
        let schema = client_request_schema(endpoint);
        let validator = schemas::validator("openai", schema);
        let requests = requests("openai", endpoint);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let mut document = requests.new_tree(&mut runner).unwrap().current();
            crate::generate::strip_unknown(&mut document);
            assert!(validator.is_valid(&document), "{endpoint}: {document}");
            seen.extend(document.as_object().unwrap().keys().cloned());
        }
        let known = fields_of(schemas::book("openai"), &json!({"$ref": format!("#/$defs/{schema}")}));
        let missing: Vec<&String> = known.iter().filter(|field| !seen.contains(*field)).collect();
        assert!(missing.is_empty(), "{endpoint}: never generated: {missing:?}");
    }
}

/// Names of the properties of an object schema, through `$ref` and `allOf`.
fn fields_of(book: &Value, schema: &Value) -> Vec<String> {
    let mut fields: Vec<String> =
        schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    if let Some(name) = schema["$ref"].as_str() {
        fields.extend(fields_of(book, book.pointer(name.trim_start_matches('#')).unwrap()));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields.extend(fields_of(book, part));
    }
    fields
}
