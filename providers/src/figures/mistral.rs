//! Mistral's usage of a month.
//!
//! The vendor's schema leaves the inner objects free: `{timestamp, value}` is read, with an `amount` where there is one;
//! without it a value times the one price that fits. A real answer must be recorded before this is relied on. It must not
//! know how months are fetched.

use jiff::{Timestamp, ToSpan};

use super::json::{NANO_DECIMALS, Node};
use super::{CostLine, FiguresError, UsageBucket, UsageLine, VendorFigures, day_of};
use crate::money::Currency;

/// Prices are a token's: far below a nano-unit.
const PRICE_DECIMALS: i32 = 18;
/// From such a price times a value to nano-units.
const PRICE_TO_NANO: i128 = 1_000_000_000;
/// Deeper than this there are no categories.
const DEEPEST: usize = 3;

/// What is the same for all lines of a document.
struct Month<'a> {
    document: &'a Node<'a>,
    zone: Option<&'a str>,
    currency: Option<Currency>,
}

/// Reads one month, as asked for one zone or for all.
pub(super) fn month(document: &Node<'_>, zone: Option<&str>, figures: &mut VendorFigures) -> Result<(), FiguresError> {
    let code = document.optional_text("currency")?.map(|code| code.to_uppercase());
    let currency = code.as_deref().and_then(|code| code.parse().ok());
    if currency.is_none() {
        figures.note_unread(format!("amounts in the currency {}", code.as_deref().unwrap_or("(none named)")));
    }
    let month = Month { document, zone, currency };
    for (name, node) in document.members() {
        if name != "prices" {
            month.category(name, &node, 0, figures)?;
        }
    }
    Ok(())
}

impl Month<'_> {
    fn category(
        &self,
        name: &str,
        node: &Node<'_>,
        depth: usize,
        figures: &mut VendorFigures,
    ) -> Result<(), FiguresError> {
        if let Some(models) = node.get("models") {
            for (model, groups) in models.members() {
                for (group, lines) in groups.members() {
                    for line in lines.list()? {
                        self.line((name, model, group), &line, figures)?;
                    }
                }
            }
        } else if depth < DEEPEST {
            for (inner, node) in node.members() {
                self.category(&format!("{name}.{inner}"), &node, depth + 1, figures)?;
            }
        }
        Ok(())
    }

    fn line(
        &self,
        (category, model, group): (&str, &str, &str),
        line: &Node<'_>,
        figures: &mut VendorFigures,
    ) -> Result<(), FiguresError> {
        let start = line.need("timestamp")?.time()?;
        let value = line.need("value")?;
        match bucket(category, group) {
            None => figures.note_unread(format!("the group {category}, {group}")),
            Some(bucket) => {
                let decimals = if bucket == UsageBucket::AudioMillis { 3 } else { 0 };
                let quantity =
                    u64::try_from(value.whole(decimals)?).map_err(|_| value.wrong("is below zero or too large"))?;
                let usage = UsageLine {
                    start,
                    end: next_day(start).ok_or_else(|| line.wrong("has no next day"))?,
                    model: Some(model.to_owned()),
                    service_tier: line.optional_text("service_tier")?,
                    zone: self.zone.map(str::to_owned),
                    bucket,
                    quantity,
                };
                figures.count(&usage, bucket, quantity);
            }
        }
        let amount = match line.get("amount") {
            Some(amount) => Some((amount.whole(NANO_DECIMALS)?, amount)),
            None => self.priced(model, group, &value)?.map(|nanos| (nanos, value)),
        };
        if let (Some((nanos, place)), Some(currency)) = (amount, self.currency) {
            let nanos = i64::try_from(nanos).map_err(|_| place.wrong("is out of range"))?;
            let line_item = Some(format!("{model}, {group}"));
            figures.costs.push(CostLine {
                day: day_of(start),
                model: Some(model.to_owned()),
                line_item,
                nanos,
                currency,
            });
        }
        Ok(())
    }

    /// A value at the one price that fits it; nothing where none or several do.
    fn priced(&self, model: &str, group: &str, value: &Node<'_>) -> Result<Option<i128>, FiguresError> {
        let Some(prices) = self.document.get("prices") else { return Ok(None) };
        let mut found = None;
        for price in prices.list()? {
            let is = |key: &str, wanted: &str| Ok(price.optional_text(key)?.as_deref() == Some(wanted));
            let fits = is("billing_metric", model)? && is("billing_group", group)?;
            if fits && is("service_tier", "standard")? && is("api_zone", self.zone.unwrap_or("global"))? {
                if found.is_some() {
                    return Ok(None);
                }
                let nanos = price.need("price")?.whole(PRICE_DECIMALS)?.checked_mul(value.whole(0)?);
                found = nanos.map(|nanos| (nanos + PRICE_TO_NANO / 2).div_euclid(PRICE_TO_NANO));
            }
        }
        Ok(found)
    }
}

fn next_day(start: Timestamp) -> Option<Timestamp> {
    start.checked_add(24.hours()).ok()
}

/// What a group counts, by its name.
fn bucket(category: &str, group: &str) -> Option<UsageBucket> {
    let words = group.to_lowercase();
    let has = |word: &str| words.contains(word);
    match () {
        () if has("second") || (category == "audio" && !has("token")) => Some(UsageBucket::AudioMillis),
        () if has("request") => Some(UsageBucket::Requests),
        () if has("cache") && has("write") => Some(UsageBucket::CacheWrite),
        () if has("cache") => Some(UsageBucket::InputCached),
        () if has("audio") => Some(UsageBucket::InputAudio),
        () if has("input") || has("prompt") => Some(UsageBucket::InputUncached),
        () if has("output") || has("completion") => Some(UsageBucket::Output),
        () => None,
    }
}
