//! Clients' requests against golden bodies for every dialect.

use serde_json::{Value, json};

use crate::adapter::{self, DIALECTS};
use crate::fixtures::{client_requests, folder, golden, pretty};

/// What becomes of a client's request at one dialect, as it is kept in a golden file.
fn outcome(dialect: &str, endpoint: &str, body: &Value) -> Value {
    match adapter::send(dialect, endpoint, body.to_string().as_bytes()) {
        Ok(sent) => json!({"path": sent.path, "body": sent.body, "dropped": sent.dropped}),
        Err(refused) => json!({"refused": {"param": refused.param, "code": refused.code}}),
    }
}

#[test]
fn every_clients_request_becomes_what_its_golden_file_says() {
    let mut differences = Vec::new();
    for request in client_requests().iter() {
        for dialect in DIALECTS {
            let path = folder().join("requests").join(format!("{}.{dialect}.json", request.name));
            differences.extend(golden(&path, &pretty(&outcome(dialect, &request.endpoint, &request.body))));
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// What a vendor gets must not depend on how a client orders its fields, nor on blanks.
#[test]
fn the_order_of_a_clients_fields_changes_nothing() {
    for request in client_requests().iter() {
        let Some(fields) = request.body.as_object() else { continue };
        let backwards: serde_json::Map<String, Value> =
            fields.iter().rev().map(|(key, value)| (key.clone(), value.clone())).collect();
        for dialect in DIALECTS {
            let mut straight = outcome(dialect, &request.endpoint, &request.body);
            let mut reversed = outcome(dialect, &request.endpoint, &Value::Object(backwards.clone()));
            for outcome in [&mut straight, &mut reversed] {
                if let Some(names) = outcome.get_mut("dropped").and_then(Value::as_array_mut) {
                    names.sort_by_key(Value::to_string);
                }
            }
            // Which of two refusals comes first is the order's to say.
            if straight.get("refused").is_none() || reversed.get("refused").is_none() {
                assert_eq!(straight, reversed, "{} for {dialect}", request.name);
            }
        }
    }
}
