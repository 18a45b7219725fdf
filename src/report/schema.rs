//! What `report --format json` holds, as JSON Schema: the types themselves with what is written above their fields.

use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::Report;
use super::comparison::Comparison;

/// JSON Schema (draft 2020-12, of which OpenAPI's schemas are a dialect) of the JSON report.
pub fn schema() -> String {
    let mut parts = Vec::new();
    Comparison::schemas(&mut parts);
    Report::schemas(&mut parts);
    parts.push((Comparison::name().into_owned(), Comparison::schema()));
    let mut definitions = serde_json::Map::new();
    for (name, schema) in parts {
        definitions.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
    let mut whole = serde_json::to_value(Report::schema()).unwrap_or_default();
    if let Some(object) = whole.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("passerelle report"));
        object.insert("components".to_owned(), json!({ "schemas": definitions }));
        // A report from evidence alone has no books.
        object.insert("required".to_owned(), json!(["comparison"]));
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("comparison".to_owned(), json!({"$ref": "#/components/schemas/Comparison"}));
        }
    }
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}
