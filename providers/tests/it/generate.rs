//! Any JSON Schema as a proptest strategy: values that the schema allows, with unknown fields where it allows those.
//!
//! Alternatives are drawn, not enumerated, so recursive schemas cost nothing. A value that shrinks stays valid.

use std::sync::Arc;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::schemas;

/// How deep `$ref`s are followed with optional parts; below, only what is required is made.
const FULL_DEPTH: u32 = 12;
/// Where a branch is given up.
const LAST_DEPTH: u32 = 24;
/// Draws before a schema is held to be impossible.
const DRAWS: u32 = 200;
/// Fields that no published schema knows begin like this.
const UNKNOWN: &str = "x_inconnu";
/// Texts with everything that trips a careless reader.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "null",
    "Quand passe le camion des encombrants ?",
    "L’été à Arcachon 🏖️",
    "ligne\nligne\t\"guillemets\" \\",
    "call_rdvPasseport0000001",
    "mAr33sArc",
    "https://mairie.example/plan.pdf",
    "data:image/png;base64,iVBORw0KGgo=",
];
/// Numbers at which bounds are.
const NUMBERS: &[f64] = &[0.0, 1.0, -1.0, 0.5, 1.5, 2.0, -2.0, 16.0, 1000.0, 1e12];

/// A strategy over one published schema.
#[derive(Clone, Debug)]
pub struct Documents {
    book: &'static Value,
    schema: Value,
    validator: Arc<Validator>,
    pinned: Vec<Pinned>,
}

/// A top-level field with a list to draw from.
#[derive(Clone, Debug)]
pub struct Pinned {
    pub field: &'static str,
    pub choices: Vec<Value>,
    /// Whether a value of the schema's own is replaced; otherwise only an absent one is filled in.
    pub always: bool,
}

impl Documents {
    /// Documents of the schema of that name.
    pub fn new(book: &'static str, schema: &str, pinned: Vec<Pinned>) -> Self {
        Self {
            book: schemas::book(book),
            schema: json!({"$ref": format!("#/$defs/{schema}")}),
            validator: schemas::validator(book, schema),
            pinned,
        }
    }

    fn is_valid(&self, value: &Value) -> bool {
        let mut known = value.clone();
        strip_unknown(&mut known);
        self.validator.is_valid(&known)
    }

    fn draw(&self, rng: &mut TestRng) -> Option<Value> {
        let mut value = Draw { book: self.book, rng }.value(&self.schema, 0)?;
        if let Some(fields) = value.as_object_mut() {
            for pinned in &self.pinned {
                if !pinned.always && fields.contains_key(pinned.field) {
                    continue;
                }
                let choice = &pinned.choices[rng.random_range(0..pinned.choices.len())];
                fields.insert(pinned.field.to_owned(), choice.clone());
            }
            // Several alternatives may fit a value that must fit exactly one: such a value is no document.
            if !self.validator.is_valid(&value) {
                return None;
            }
        }
        if rng.random_bool(0.3) {
            add_unknown(&mut value, rng);
        }
        Some(value)
    }
}

impl Strategy for Documents {
    type Tree = Document;
    type Value = Value;

    fn new_tree(&self, runner: &mut TestRunner) -> Result<Document, prop::test_runner::Reason> {
        let drawn = (0..DRAWS).find_map(|_| self.draw(runner.rng()));
        let current = drawn.ok_or("no document of that schema could be drawn")?;
        Ok(Document { schema: self.clone(), current, before: None, position: 0 })
    }
}

/// A drawn document that can shrink: parts are left out, texts emptied, as long as the schema allows it.
#[derive(Debug)]
pub struct Document {
    schema: Documents,
    current: Value,
    before: Option<Value>,
    position: usize,
}

impl prop::strategy::ValueTree for Document {
    type Value = Value;

    fn current(&self) -> Value {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        loop {
            let mut left = self.position;
            let mut smaller = self.current.clone();
            if !reduce(&mut smaller, &mut left) {
                return false;
            }
            if smaller != self.current && self.schema.is_valid(&smaller) {
                self.before = Some(std::mem::replace(&mut self.current, smaller));
                return true;
            }
            self.position += 1;
        }
    }

    fn complicate(&mut self) -> bool {
        self.position += 1;
        self.before.take().map(|before| self.current = before).is_some()
    }
}

/// Makes the reduction of that number, counted over the whole value; false when there are fewer.
fn reduce(value: &mut Value, left: &mut usize) -> bool {
    match value {
        Value::Object(fields) => {
            if *left < fields.len() {
                let key = fields.keys().nth(*left).cloned();
                return key.and_then(|key| fields.shift_remove(&key)).is_some();
            }
            *left -= fields.len();
            fields.values_mut().any(|inner| reduce(inner, left))
        }
        Value::Array(items) => {
            if *left < items.len() {
                items.remove(*left);
                return true;
            }
            *left -= items.len();
            items.iter_mut().any(|inner| reduce(inner, left))
        }
        Value::String(text) if !text.is_empty() => {
            if *left == 0 {
                *text = if text.len() > 1 { "a".to_owned() } else { String::new() };
                return true;
            }
            *left -= 1;
            false
        }
        _ => false,
    }
}

fn add_unknown(value: &mut Value, rng: &mut TestRng) {
    let unknown = [json!(null), json!("surprise"), json!(7), json!({"a": [true]}), json!([])];
    let extra = |fields: &mut Map<String, Value>, rng: &mut TestRng| {
        fields.insert(
            format!("{UNKNOWN}_{}", rng.random_range(0..9)),
            unknown[rng.random_range(0..unknown.len())].clone(),
        );
    };
    let Some(fields) = value.as_object_mut() else { return };
    if rng.random_bool(0.5) {
        extra(fields, rng);
    }
    for list in ["messages", "tools", "input"] {
        for item in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(item) = item.as_object_mut()
                && rng.random_bool(0.3)
            {
                extra(item, rng);
                for part in item.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
                    if let Some(part) = part.as_object_mut() {
                        extra(part, rng);
                    }
                }
            }
        }
    }
}

/// Takes out the fields that no published schema knows.
pub fn strip_unknown(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !key.starts_with(UNKNOWN));
            fields.values_mut().for_each(strip_unknown);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_unknown),
        _ => {}
    }
}

/// One draw of a value.
struct Draw<'a> {
    book: &'static Value,
    rng: &'a mut TestRng,
}

impl Draw<'_> {
    fn pick<'v, T>(&mut self, from: &'v [T]) -> Option<&'v T> {
        (!from.is_empty()).then(|| &from[self.rng.random_range(0..from.len())])
    }

    /// A value of a schema, or none where the depth does not allow one.
    fn value(&mut self, schema: &Value, depth: u32) -> Option<Value> {
        if depth > LAST_DEPTH {
            return None;
        }
        let Some(words) = schema.as_object() else { return Some(json!("n’importe quoi")) };
        if let Some(name) = words.get("$ref").and_then(Value::as_str) {
            let target = self.book.pointer(name.trim_start_matches('#'))?;
            return self.value(target, depth + 1);
        }
        if let Some(value) = words.get("const") {
            return Some(value.clone());
        }
        if let Some(values) = words.get("enum").and_then(Value::as_array) {
            return self.pick(values).cloned();
        }
        if words.contains_key("allOf") {
            let mut needed = Vec::new();
            self.requirements(schema, &mut needed);
            let mut whole = Map::new();
            self.all_of(schema, depth, &needed, &mut whole)?;
            // Required by one part, described by none.
            for name in needed {
                whole.entry(name).or_insert(Value::Null);
            }
            return Some(Value::Object(whole));
        }
        let own = words.contains_key("properties").then(|| self.object(words, depth, &[]));
        if let Some(parts) = words.get("anyOf").or_else(|| words.get("oneOf")).and_then(Value::as_array) {
            let drawn = self.alternative(parts, depth)?;
            return Some(match own {
                Some(own) => merged(own?, drawn),
                None => drawn,
            });
        }
        own.unwrap_or_else(|| self.of_type(words, depth))
    }

    /// What any part of an `allOf` requires.
    fn requirements(&self, schema: &Value, needed: &mut Vec<String>) {
        let schema = self.resolved(schema);
        needed.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.requirements(part, needed);
        }
    }

    /// Adds what every part of an `allOf` describes.
    fn all_of(&mut self, schema: &Value, depth: u32, needed: &[String], whole: &mut Map<String, Value>) -> Option<()> {
        let schema = self.resolved(schema).clone();
        if schema["properties"].is_object() {
            whole.extend(self.object(schema.as_object()?, depth, needed)?.as_object()?.clone());
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.all_of(part, depth, needed, whole)?;
        }
        Some(())
    }

    fn resolved<'s>(&self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(name) => self.book.pointer(name.trim_start_matches('#')).unwrap_or(schema),
            None => schema,
        }
    }

    /// One of several; below the full depth the last that ends, which is often `null`.
    fn alternative(&mut self, parts: &[Value], depth: u32) -> Option<Value> {
        if depth > FULL_DEPTH {
            return parts.iter().rev().find_map(|part| self.value(part, depth + 1));
        }
        let start = self.rng.random_range(0..parts.len());
        (0..parts.len()).find_map(|step| self.value(&parts[(start + step) % parts.len()], depth))
    }

    fn of_type(&mut self, words: &Map<String, Value>, depth: u32) -> Option<Value> {
        let kind = match words.get("type") {
            Some(Value::Array(kinds)) => self.pick(kinds)?.as_str()?,
            Some(Value::String(kind)) => kind,
            _ if words.contains_key("items") => "array",
            _ => "object",
        };
        match kind {
            "null" => Some(Value::Null),
            "boolean" => Some(self.rng.random_bool(0.5).into()),
            "integer" => Some(self.integer(words)),
            "number" => Some(self.number(words)),
            "string" => self.text(words),
            "array" => self.array(words, depth),
            _ => self.object(words, depth, &[]),
        }
    }

    fn object(&mut self, words: &Map<String, Value>, depth: u32, needed: &[String]) -> Option<Value> {
        let required: Vec<&str> =
            words.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields = Map::new();
        for (name, schema) in words.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let needed = required.contains(&name.as_str()) || needed.contains(name);
            let wanted = needed || depth < FULL_DEPTH && self.rng.random_bool(if depth < 3 { 0.15 } else { 0.25 });
            if !wanted {
                continue;
            }
            match self.value(schema, depth + 1) {
                Some(value) => drop(fields.insert(name.clone(), value)),
                None if needed => return None,
                None => {}
            }
        }
        if let Some(schema) = words.get("additionalProperties").filter(|schema| !schema.is_boolean()) {
            for key in ["quartier", "50256"] {
                if self.rng.random_bool(0.5)
                    && let Some(value) = self.value(schema, depth + 1)
                {
                    fields.insert(key.to_owned(), value);
                }
            }
        } else if !words.contains_key("properties") && self.rng.random_bool(0.5) {
            fields.insert("quartier".to_owned(), json!("Le Moulleau"));
        }
        Some(Value::Object(fields))
    }

    fn array(&mut self, words: &Map<String, Value>, depth: u32) -> Option<Value> {
        let bound = |key: &str| words.get(key).and_then(Value::as_u64);
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(u64::MAX).min(least + if depth < 4 { 3 } else { 1 });
        let any = Value::Bool(true);
        let items = words.get("items").unwrap_or(&any);
        let length = if depth > FULL_DEPTH { least } else { self.rng.random_range(least..=most) };
        (0..length).map(|_| self.value(items, depth + 1)).collect()
    }

    fn text(&mut self, words: &Map<String, Value>) -> Option<Value> {
        let bound = |key: &str| words.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let (least, most) = (bound("minLength").unwrap_or(0), bound("maxLength").unwrap_or(usize::MAX));
        if let Some(pattern) = words.get("pattern").and_then(Value::as_str) {
            // The strategy ends a `+` well before any length that stands beside a pattern in the vendors' files.
            let texts = string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).ok()?;
            let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), self.split());
            let text = texts.new_tree(&mut runner).ok()?;
            return Some(prop::strategy::ValueTree::current(&text).into());
        }
        if words.get("format").is_some_and(|format| format == "uuid") {
            return Some("5f0c1a52-9d3e-4b7a-8c21-6e0f4d9b7a13".into());
        }
        let text = *self.pick(TEXTS)?;
        let length = text.chars().count();
        Some(match length {
            _ if length < least => format!("{text}{}", "é".repeat(least - length)).into(),
            _ if length > most => text.chars().take(most).collect::<String>().into(),
            _ => text.into(),
        })
    }

    fn split(&mut self) -> TestRng {
        let mut seed = [0u8; 32];
        self.rng.fill(&mut seed[..]);
        TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &seed)
    }

    fn bounds(words: &Map<String, Value>) -> (f64, f64) {
        let bound = |key: &str| words.get(key).and_then(Value::as_f64);
        let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|bound| bound + 0.01));
        let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|bound| bound - 0.01));
        (least.unwrap_or(f64::MIN), most.unwrap_or(f64::MAX))
    }

    fn number(&mut self, words: &Map<String, Value>) -> Value {
        let (least, most) = Self::bounds(words);
        let drawn = *self.pick(NUMBERS).unwrap_or(&0.0);
        json!(drawn.clamp(least, most))
    }

    fn integer(&mut self, words: &Map<String, Value>) -> Value {
        let (least, most) = Self::bounds(words);
        let drawn = self.pick(NUMBERS).unwrap_or(&0.0).round().clamp(least.ceil(), most.floor());
        let text = format!("{drawn:.0}");
        // `1.0` is an integer to JSON Schema, and rare enough to be forgotten.
        if self.rng.random_bool(0.05) {
            json!(drawn)
        } else {
            text.parse::<i64>().map_or_else(|_| json!(drawn), Value::from)
        }
    }
}

/// Two objects as one; of anything else, the second.
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut fields), Value::Object(more)) => {
            fields.extend(more);
            Value::Object(fields)
        }
        (_, second) => second,
    }
}
