//! JSON with its place, and decimals as integers.
//!
//! It must not know vendors.

use jiff::Timestamp;
use serde_json::Value;

use super::FiguresError;

/// Nano-units have so many decimals.
pub(super) const NANO_DECIMALS: i32 = 9;
/// More digits than any amount has.
const MOST_DIGITS: usize = 60;

/// A value and the way to it.
pub(super) struct Node<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    pub(super) fn wrong(&self, message: &str) -> FiguresError {
        let place = if self.place.is_empty() { "the document".to_owned() } else { self.place.clone() };
        FiguresError::Malformed { place, message: message.to_owned() }
    }

    /// A member that may be absent or null, which is the same.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Some(Self { value, place })
    }

    pub(super) fn need(&self, key: &str) -> Result<Self, FiguresError> {
        self.get(key).ok_or_else(|| self.wrong(&format!("`{key}` is missing")))
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, FiguresError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("is no list"))?;
        let node = |(index, value)| Self { value, place: format!("{}[{index}]", self.place) };
        Ok(items.iter().enumerate().map(node).collect())
    }

    /// The members of an object, none where it is none.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members.filter(|(_, value)| !value.is_null()).map(|(key, value)| {
            let place = if self.place.is_empty() { key.clone() } else { format!("{}.{key}", self.place) };
            (key.as_str(), Self { value, place })
        })
    }

    pub(super) fn text(&self) -> Result<&'a str, FiguresError> {
        self.value.as_str().ok_or_else(|| self.wrong("is no text"))
    }

    pub(super) fn optional_text(&self, key: &str) -> Result<Option<String>, FiguresError> {
        self.get(key).map(|node| node.text().map(str::to_owned)).transpose()
    }

    /// A count; zero where it is absent.
    pub(super) fn count(&self, key: &str) -> Result<u64, FiguresError> {
        self.get(key).map_or(Ok(0), |node| {
            node.whole(0)?.try_into().map_err(|_| node.wrong("is below zero or too large for a count"))
        })
    }

    /// A decimal times ten to the `decimals`, rounded to the nearest integer; a number or a text.
    pub(super) fn whole(&self, decimals: i32) -> Result<i128, FiguresError> {
        let text = match self.value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(self.wrong("is no number")),
        };
        scaled(&text, decimals).ok_or_else(|| self.wrong(&format!("`{text}` is no plain number")))
    }

    /// Seconds since 1970, or a date and time.
    pub(super) fn time(&self) -> Result<Timestamp, FiguresError> {
        let read = match self.value {
            Value::Number(number) => number.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok()),
            Value::String(text) => text.parse().ok().or_else(|| {
                let day: jiff::civil::Date = text.parse().ok()?;
                jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
            }),
            _ => None,
        };
        read.ok_or_else(|| self.wrong("is no time"))
    }
}

/// A decimal, possibly with an exponent, times ten to the `decimals`, rounded to the nearest integer, halves away from
/// zero. `None` for what is no decimal, or out of range.
pub(super) fn scaled(text: &str, decimals: i32) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, magnitude) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let shift = exponent.checked_add(decimals)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let value: i128 = digits
        .trim_start_matches('0')
        .parse()
        .or_else(|_| digits.trim_matches('0').is_empty().then_some(0).ok_or(()))
        .ok()?;
    let scaled = if shift >= 0 {
        value.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?
    } else {
        match 10_i128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => value.checked_add(divisor / 2)? / divisor,
            None => 0,
        }
    };
    Some(if negative { -scaled } else { scaled })
}
