//! A small value that a JSON Schema takes: what a simulated model says where its answer has to fit one.
//!
//! Deterministic. It must not know vendors; a schema that it does not understand gets a text.

use serde_json::{Map, Value, json};

/// Deeper than this only what is required is filled in, and lists are as short as they may be.
const DEEP: usize = 4;
/// Deeper than this a schema must be recursive without end: null.
const DEEPEST: usize = 24;

/// An instance of `schema`; a second `salt` gives another one where the schema leaves a choice.
pub(super) fn instance(schema: &Value, salt: u64) -> Value {
    Maker { root: schema, salt }.make(schema, "valeur", 0)
}

struct Maker<'a> {
    root: &'a Value,
    salt: u64,
}

impl<'a> Maker<'a> {
    fn make(&self, schema: &'a Value, name: &str, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        let schema = self.resolve(schema);
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty()) {
            let turn = usize::try_from(self.salt).unwrap_or(0) % values.len();
            return values.get(turn).cloned().unwrap_or_default();
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                return self.branch(schema, branches, name, depth);
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.all(schema, parts, name, depth);
        }
        match self.type_of(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => Value::Bool(self.salt == 0),
            "null" => Value::Null,
            _ => self.text(schema, name),
        }
    }

    /// Follows references within the schema.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEEPEST {
            let Some(target) = schema.get("$ref").and_then(Value::as_str) else { break };
            let path = target.strip_prefix('#').unwrap_or_default();
            match self.root.pointer(path) {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    /// The type, the first one of several; told from the keys where none is named.
    fn type_of(&self, schema: &'a Value) -> &'a str {
        match schema.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
            _ if schema.get("properties").is_some() => "object",
            _ if schema.get("items").is_some() => "array",
            _ => "string",
        }
    }

    fn branch(&self, schema: &'a Value, branches: &'a [Value], name: &str, depth: usize) -> Value {
        let ends = |branch: &&Value| self.type_of(self.resolve(branch)) != "object";
        // A recursive schema ends where one of its branches does.
        let chosen = if depth > DEEP { branches.iter().find(ends).or(branches.first()) } else { branches.first() };
        let made = chosen.map_or(Value::Null, |branch| self.make(branch, name, depth + 1));
        match (schema.get("properties"), made) {
            (Some(_), Value::Object(made)) => merged(self.object(schema, depth), made),
            (_, made) => made,
        }
    }

    fn all(&self, schema: &'a Value, parts: &'a [Value], name: &str, depth: usize) -> Value {
        let own = if schema.get("properties").is_some() { self.object(schema, depth) } else { json!({}) };
        parts.iter().fold(own, |whole, part| match self.make(part, name, depth + 1) {
            Value::Object(part) => merged(whole, part),
            other => other,
        })
    }

    fn object(&self, schema: &'a Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut made = Map::new();
        for (name, property) in properties.into_iter().flatten() {
            if depth < DEEP || required.contains(&name.as_str()) {
                made.insert(name.clone(), self.make(property, name, depth + 1));
            }
        }
        for name in required {
            if !made.contains_key(name) {
                let other = schema.get("additionalProperties").filter(|other| other.is_object());
                let value = other.map_or_else(|| name.into(), |other| self.make(other, name, depth + 1));
                made.insert(name.to_owned(), value);
            }
        }
        Value::Object(made)
    }

    fn array(&self, schema: &'a Value, name: &str, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let wanted = if depth > DEEP { least } else { least.max(1) }.min(most).min(100);
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let any = Value::Bool(true);
        let entries = (0..wanted).map(|index| {
            let index_of = usize::try_from(index).unwrap_or(usize::MAX);
            match first.and_then(|first| first.get(index_of)).or_else(|| schema.get("items")) {
                Some(item) => Maker { root: self.root, salt: self.salt + index }.make(item, name, depth + 1),
                None => any.clone(),
            }
        });
        Value::Array(entries.collect())
    }

    fn integer(&self, schema: &Value) -> Value {
        let bound = |key: &str| schema.get(key).and_then(|bound| bound.as_i64().or_else(|| whole(bound.as_f64()?)));
        let least = bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + 1));
        let most = bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - 1));
        let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
        let salt = i64::try_from(self.salt).unwrap_or(0);
        let start = least.unwrap_or_else(|| most.map_or(1, |most| most.min(1)));
        let first = start + (step - start.rem_euclid(step)) % step;
        let value = first + salt * step;
        if most.is_some_and(|most| value > most) { first.into() } else { value.into() }
    }

    fn number(&self, schema: &Value) -> Value {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let least = bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + 0.5));
        let most = bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - 0.5));
        match (least, most) {
            (Some(least), Some(most)) => json!(f64::midpoint(least, most)),
            (Some(least), None) => json!(least),
            (None, Some(most)) => json!(most.min(1.5)),
            (None, None) => json!(1.5),
        }
    }

    fn text(&self, schema: &Value, name: &str) -> Value {
        let text = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-11-24".to_owned(),
            Some("date-time") => "2026-11-24T10:00:00Z".to_owned(),
            Some("time") => "10:00:00Z".to_owned(),
            Some("email") => "mairie@example.org".to_owned(),
            Some("uri" | "url") => "https://example.org/".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            Some("ipv4") => "192.0.2.1".to_owned(),
            _ if self.salt == 0 => format!("{name} exemple"),
            _ => format!("{name} exemple {}", self.salt + 1),
        };
        let length = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let mut letters: Vec<char> = text.chars().collect();
        let least = length("minLength").unwrap_or(0).min(10_000);
        letters.resize(letters.len().max(least), 'x');
        letters.truncate(length("maxLength").unwrap_or(usize::MAX));
        letters.into_iter().collect::<String>().into()
    }
}

fn merged(whole: Value, part: Map<String, Value>) -> Value {
    match whole {
        Value::Object(mut whole) => {
            whole.extend(part);
            Value::Object(whole)
        }
        _ => Value::Object(part),
    }
}

/// A bound written as `1.0`.
fn whole(number: f64) -> Option<i64> {
    let text = format!("{number:.0}");
    text.parse().ok()
}
