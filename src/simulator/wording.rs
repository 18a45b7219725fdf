//! Flaws in each vendor's words: all of them at Mistral, the first one at OpenAI.
//!
//! It must not know where the flaws were found, nor which shapes a vendor takes.

use providers::Dialect;
use serde_json::Value;

use super::refusal::{Refusal, detail};
use super::shape::{Flaw, Step, Wrong};

impl Refusal {
    /// What a vendor answers to a request with these flaws; nothing where there are none.
    pub(super) fn of_flaws(dialect: Dialect, flaws: &[Flaw]) -> Result<(), Self> {
        match flaws.first() {
            None => Ok(()),
            Some(_) if dialect == Dialect::Mistral => {
                Err(Self::details(&flaws.iter().map(mistral).collect::<Vec<_>>()))
            }
            Some(first) => Err(openai(first)),
        }
    }
}

fn mistral(flaw: &Flaw) -> Value {
    let place: Vec<Value> = flaw
        .place
        .iter()
        .map(|step| match step {
            Step::Key(name) | Step::Tag(name) => name.as_str().into(),
            Step::Index(index) => (*index).into(),
        })
        .collect();
    let (kind, message) = match &flaw.wrong {
        Wrong::Extra => ("extra_forbidden", "Extra inputs are not permitted".to_owned()),
        Wrong::Missing => ("missing", "Field required".to_owned()),
        Wrong::Type(expected) => {
            let (kind, name) = match *expected {
                "boolean" => ("bool_type", "boolean"),
                "integer" => ("int_type", "integer"),
                "number" => ("float_type", "number"),
                "object" => ("dict_type", "dictionary"),
                "array" => ("list_type", "list"),
                _ => ("string_type", "string"),
            };
            (kind, format!("Input should be a valid {name}"))
        }
        Wrong::Tag(key, known) => {
            let given = flaw.given.get(*key).and_then(Value::as_str).unwrap_or_default();
            let known = quoted(known, ", ");
            let message =
                format!("Input tag '{given}' found using '{key}' does not match any of the expected tags: {known}");
            ("union_tag_invalid", message)
        }
        Wrong::Word(words) => ("enum", format!("Input should be {}", listed(words, "or"))),
        Wrong::Below(0.0) if flaw.given.as_f64() == Some(0.0) => {
            ("greater_than", "Input should be greater than 0".to_owned())
        }
        Wrong::Below(least) => ("greater_than_equal", format!("Input should be greater than or equal to {least}")),
        Wrong::Above(most) => ("less_than_equal", format!("Input should be less than or equal to {most}")),
        Wrong::Short(least) => ("too_short", format!("List should have at least {least} item after validation, not 0")),
        Wrong::Long(most) if flaw.given.is_string() => {
            ("string_too_long", format!("String should have at most {most} characters"))
        }
        Wrong::Long(most) => {
            ("too_long", format!("List should have at most {most} items after validation, not {}", flaw.given))
        }
        Wrong::Pattern => ("string_pattern_mismatch", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'".to_owned()),
    };
    detail(kind, &place, &message, &flaw.given)
}

fn openai(flaw: &Flaw) -> Refusal {
    let mut place = String::new();
    for step in &flaw.place {
        match step {
            Step::Key(name) if place.is_empty() => place.push_str(name),
            Step::Key(name) => {
                place.push('.');
                place.push_str(name);
            }
            Step::Index(index) => place.push_str(&format!("[{index}]")),
            Step::Tag(_) => {}
        }
    }
    let given = &flaw.given;
    let (message, code) = match &flaw.wrong {
        Wrong::Extra => (format!("Unknown parameter: '{place}'."), "unknown_parameter"),
        Wrong::Missing => (format!("Missing required parameter: '{place}'."), "missing_required_parameter"),
        Wrong::Type(expected) => {
            let (expected, given) = (article(expected), article(type_of(given)));
            (format!("Invalid type for '{place}': expected {expected}, but got {given} instead."), "invalid_type")
        }
        Wrong::Tag(key, known) => {
            place = format!("{place}.{key}");
            let given = given.get(*key).and_then(Value::as_str).unwrap_or_default();
            (format!("Invalid value: '{given}'. Supported values are: {}.", listed(known, "and")), "invalid_value")
        }
        Wrong::Word(known) => {
            let given = given.as_str().unwrap_or_default();
            (format!("Invalid value: '{given}'. Supported values are: {}.", listed(known, "and")), "invalid_value")
        }
        Wrong::Below(least) => bound(&place, given, "below minimum", ">=", *least),
        Wrong::Above(most) => bound(&place, given, "above maximum", "<=", *most),
        Wrong::Short(_) => (
            format!(
                "Invalid '{place}': empty array. Expected an array with minimum length 1, but got an empty array \
                 instead."
            ),
            "empty_array",
        ),
        Wrong::Long(most) => too_long(&place, given, *most),
        Wrong::Pattern => (
            format!(
                "Invalid '{place}': string does not match pattern. Expected a string that matches the pattern \
                 '^[a-zA-Z0-9_-]+$'."
            ),
            "invalid_value",
        ),
    };
    Refusal::openai(400, &message, Some(&place), Some(code))
}

fn too_long(place: &str, given: &Value, most: usize) -> (String, &'static str) {
    let (kind, length, code) = match given.as_str() {
        Some(text) => ("string", text.chars().count().to_string(), "string_above_max_length"),
        None => ("array", given.to_string(), "array_above_max_length"),
    };
    let article = article(kind);
    let message = format!(
        "Invalid '{place}': {kind} too long. Expected {article} with maximum length {most}, but got {article} with \
         length {length} instead."
    );
    (message, code)
}

fn bound(place: &str, given: &Value, side: &str, sign: &str, bound: f64) -> (String, &'static str) {
    let whole = given.is_i64() || given.is_u64();
    let kind = if whole { "integer" } else { "decimal" };
    let code = match (whole, sign) {
        (true, ">=") => "integer_below_min_value",
        (true, _) => "integer_above_max_value",
        (false, ">=") => "decimal_below_min_value",
        (false, _) => "decimal_above_max_value",
    };
    let message =
        format!("Invalid '{place}': {kind} {side} value. Expected a value {sign} {bound}, but got {given} instead.");
    (message, code)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "decimal",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "integer" | "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn quoted(words: &[&str], between: &str) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(between)
}

/// `'a', 'b' and 'c'`.
fn listed(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [first @ .., end] => format!("{} {last} '{end}'", quoted(first, ", ")),
    }
}
