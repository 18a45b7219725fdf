//! What a request may look like, as constant tables, and a walker that names every flaw with its place.
//!
//! It must not know any vendor: which shapes they take is in `forms`, how they word a refusal in `refusal`.

use serde_json::{Map, Value};

/// What one value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// Any text.
    Text,
    /// A text of at least one character, at most so many, each a letter, a digit, `_` or `-`.
    Name(usize),
    /// A text of at most so many characters.
    ShortText(usize),
    /// One of these texts.
    Word(&'static [&'static str]),
    /// True or false.
    Switch,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A number above or equal to the first, up to the second.
    Number(f64, f64),
    /// A number above zero, up to this one.
    Positive(f64),
    /// An object with any keys.
    Map,
    /// An object whose values are all of one shape.
    MapOf(&'static Shape),
    /// A list of so many to so many entries.
    List(&'static Shape, usize, usize),
    /// An object with these keys and no others.
    Object(&'static [Field]),
    /// An object whose keys depend on the text under a key; the default is what an object without that key is.
    Tagged(&'static str, Option<&'static str>, &'static [(&'static str, &'static [Field])]),
    /// The first of these whose JSON type fits.
    Either(&'static [Shape]),
    /// The shape, or null.
    Nullable(&'static Shape),
}

/// A key of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// A key that must be there.
pub(super) const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, required: true, shape }
}

/// A key that may be there.
pub(super) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, required: false, shape }
}

/// A list of any length.
pub(super) const fn list(shape: &'static Shape) -> Shape {
    Shape::List(shape, 0, usize::MAX)
}

/// One step on the way to a flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// The variant that was taken: named by vendors that spell out their unions.
    Tag(String),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wrong {
    /// The key is not known.
    Extra,
    /// The key is missing.
    Missing,
    /// Another JSON type was expected; its name.
    Type(&'static str),
    /// The text under this key names no variant; the known ones.
    Tag(&'static str, Vec<&'static str>),
    /// Not one of the known words.
    Word(&'static [&'static str]),
    /// Less than the least.
    Below(f64),
    /// More than the most.
    Above(f64),
    /// Fewer entries than this.
    Short(usize),
    /// More entries or characters than this.
    Long(usize),
    /// A name with a character that names do not have.
    Pattern,
}

/// Something wrong at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) place: Vec<Step>,
    pub(super) wrong: Wrong,
    pub(super) given: Value,
}

/// Every flaw of an object that should have these keys: unknown keys first, in the order in which they were sent.
pub(super) fn flaws(body: &Map<String, Value>, fields: &'static [Field]) -> Vec<Flaw> {
    let mut walker = Walker { place: Vec::new(), flaws: Vec::new() };
    walker.object(body, fields, None);
    walker.flaws
}

enum Hop<'a> {
    Key(&'a str),
    Index(usize),
    Tag(&'a str),
}

struct Walker<'a> {
    place: Vec<Hop<'a>>,
    flaws: Vec<Flaw>,
}

impl<'a> Walker<'a> {
    fn found(&mut self, wrong: Wrong, given: &Value) {
        let place = self.place.iter().map(|hop| match hop {
            Hop::Key(key) => Step::Key((*key).to_owned()),
            Hop::Index(index) => Step::Index(*index),
            Hop::Tag(tag) => Step::Tag((*tag).to_owned()),
        });
        self.flaws.push(Flaw { place: place.collect(), wrong, given: given.clone() });
    }

    fn under(&mut self, hop: Hop<'a>, check: impl FnOnce(&mut Self)) {
        self.place.push(hop);
        check(self);
        self.place.pop();
    }

    fn object(&mut self, object: &'a Map<String, Value>, fields: &'static [Field], tag: Option<&str>) {
        for (key, value) in object {
            if !fields.iter().any(|field| field.name == key) && tag != Some(key) {
                self.under(Hop::Key(key), |walker| walker.found(Wrong::Extra, value));
            }
        }
        for field in fields {
            self.under(Hop::Key(field.name), |walker| match object.get(field.name) {
                Some(value) => walker.value(value, &field.shape),
                None if field.required => walker.found(Wrong::Missing, &Value::Null),
                None => {}
            });
        }
    }

    fn value(&mut self, value: &'a Value, shape: &'static Shape) {
        if !fits(value, shape) {
            return self.found(Wrong::Type(type_name(shape)), value);
        }
        match (shape, value) {
            (Shape::Name(most), Value::String(text)) => self.name(text, *most, value),
            (Shape::ShortText(most), Value::String(text)) if text.chars().count() > *most => {
                self.found(Wrong::Long(*most), value);
            }
            (Shape::Word(words), Value::String(text)) if !words.contains(&text.as_str()) => {
                self.found(Wrong::Word(words), value);
            }
            (Shape::Integer(least, most), Value::Number(number)) => {
                // Beyond 64 bits is beyond any bound.
                let number = number.as_i64().unwrap_or(i64::MAX);
                match () {
                    () if number < *least => self.found(Wrong::Below(rough(*least)), value),
                    () if number > *most => self.found(Wrong::Above(rough(*most)), value),
                    () => {}
                }
            }
            (Shape::Number(least, most), Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::INFINITY);
                match () {
                    () if number < *least => self.found(Wrong::Below(*least), value),
                    () if number > *most => self.found(Wrong::Above(*most), value),
                    () => {}
                }
            }
            (Shape::Positive(most), Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::INFINITY);
                match () {
                    () if number <= 0.0 => self.found(Wrong::Below(0.0), value),
                    () if number > *most => self.found(Wrong::Above(*most), value),
                    () => {}
                }
            }
            (Shape::List(item, least, most), Value::Array(entries)) => self.entries(entries, item, *least, *most),
            (Shape::MapOf(item), Value::Object(object)) => {
                for (key, value) in object {
                    self.under(Hop::Key(key), |walker| walker.value(value, item));
                }
            }
            (Shape::Object(fields), Value::Object(object)) => self.object(object, fields, None),
            (Shape::Tagged(key, default, variants), Value::Object(object)) => {
                self.tagged(object, key, *default, variants, value);
            }
            (Shape::Either(shapes), _) => {
                if let Some(shape) = shapes.iter().find(|shape| fits(value, shape)) {
                    self.value(value, shape);
                }
            }
            (Shape::Nullable(shape), value) if !value.is_null() => self.value(value, shape),
            _ => {}
        }
    }

    fn name(&mut self, text: &str, most: usize, value: &Value) {
        let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if text.is_empty() || !text.chars().all(good) {
            self.found(Wrong::Pattern, value);
        } else if text.len() > most {
            self.found(Wrong::Long(most), value);
        }
    }

    fn entries(&mut self, entries: &'a [Value], item: &'static Shape, least: usize, most: usize) {
        if entries.len() < least {
            self.found(Wrong::Short(least), &Value::Array(Vec::new()));
        }
        if entries.len() > most {
            // The entries themselves would only fill the answer.
            self.found(Wrong::Long(most), &entries.len().into());
        }
        for (index, entry) in entries.iter().enumerate() {
            self.under(Hop::Index(index), |walker| walker.value(entry, item));
        }
    }

    fn tagged(
        &mut self,
        object: &'a Map<String, Value>,
        key: &'static str,
        default: Option<&'static str>,
        variants: &'static [(&'static str, &'static [Field])],
        value: &Value,
    ) {
        let named = object.get(key);
        let Some(tag) = named.map_or(default, Value::as_str) else {
            let wrong = if named.is_none() { Wrong::Missing } else { Wrong::Type("string") };
            return self.under(Hop::Key(key), |walker| walker.found(wrong, named.unwrap_or(&Value::Null)));
        };
        match variants.iter().find(|(name, _)| *name == tag) {
            Some((name, fields)) => self.under(Hop::Tag(name), |walker| walker.object(object, fields, Some(key))),
            None => self.found(Wrong::Tag(key, variants.iter().map(|(name, _)| *name).collect()), value),
        }
    }
}

/// Whether the JSON type of `value` is one that `shape` can be.
fn fits(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Text | Shape::Name(_) | Shape::ShortText(_) | Shape::Word(_) => value.is_string(),
        Shape::Switch => value.is_boolean(),
        Shape::Integer(..) => value.is_i64() || value.is_u64(),
        Shape::Number(..) | Shape::Positive(_) => value.is_number(),
        Shape::Map | Shape::MapOf(_) | Shape::Object(_) | Shape::Tagged(..) => value.is_object(),
        // Of two lists in an `Either`, the first entry tells which is meant.
        Shape::List(item, ..) => {
            value.as_array().is_some_and(|entries| entries.first().is_none_or(|entry| loosely(entry, item)))
        }
        Shape::Either(shapes) => shapes.iter().any(|shape| fits(value, shape)),
        Shape::Nullable(shape) => value.is_null() || fits(value, shape),
    }
}

/// An entry of a list tells lists apart only where one is of plain values.
fn loosely(entry: &Value, item: &Shape) -> bool {
    match item {
        Shape::Tagged(..) | Shape::Object(_) => true,
        _ => fits(entry, item),
    }
}

fn type_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "value",
        Shape::Text | Shape::Name(_) | Shape::ShortText(_) | Shape::Word(_) => "string",
        Shape::Switch => "boolean",
        Shape::Integer(..) => "integer",
        Shape::Number(..) | Shape::Positive(_) => "number",
        Shape::Map | Shape::MapOf(_) | Shape::Object(_) | Shape::Tagged(..) => "object",
        Shape::List(..) => "array",
        Shape::Either(shapes) => shapes.first().map_or("value", type_name),
        Shape::Nullable(shape) => type_name(shape),
    }
}

/// Bounds are shown, never computed with: the nearest float will do.
fn rough(bound: i64) -> f64 {
    i32::try_from(bound).map_or(f64::MAX.copysign(if bound < 0 { -1.0 } else { 1.0 }), f64::from)
}
