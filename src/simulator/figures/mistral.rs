//! Mistral's usage of a month, behind an admin key.
//!
//! The frame is the vendor's; what its schema leaves free is chosen here: groups `input`, `cached_input`, `output`,
//! `audio_input` and `audio_seconds`, each a list of `{timestamp, value, amount}` by day. It must not know how the
//! figures are summed.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use providers::money::{Currency, format_nanos};
use serde_json::{Map, Value, json};

use super::{Bucket, FRACTIONS_PER_NANO};
use crate::simulator::refusal::Refusal;
use crate::simulator::server::Door;

/// `GET /v1/admin/usage`.
pub(in super::super) async fn usage(
    State(door): State<Door>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let key = headers.get("x-api-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key == super::super::server::BAD_KEY {
        return Err(Refusal::mistral(401, "Unauthorized", "unauthorized", "1000"));
    }
    let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let today = door.vendor.date();
    let year = value("year").and_then(|year| year.parse().ok()).unwrap_or(today.year());
    let month = value("month").and_then(|month| month.parse().ok()).unwrap_or(today.month());
    let first = Date::new(year, month, 1)
        .map_err(|_| Refusal::mistral(422, "month and year must be a month", "invalid_request_error", "3000"))?;
    let zone = value("api_zone");
    Ok(Json(month_of(&door, first, zone)))
}

fn month_of(door: &Door, first: Date, zone: Option<&str>) -> Value {
    let last = first.last_of_month();
    let (from, until) = (seconds(first.at(0, 0, 0, 0)), seconds(last.at(23, 59, 59, 0)) + 1);
    let now = door.vendor.now();
    let vendor = &door.vendor;
    let mut days: BTreeMap<(&str, &str, i64, Bucket), (u64, u128)> = BTreeMap::new();
    let figures = vendor.figures();
    for (key, sums) in figures.rows(from, until, now) {
        if zone.is_some_and(|zone| zone != &*key.host) {
            continue;
        }
        for bucket in Bucket::ALL {
            let (count, amount) = (sums.counts[bucket as usize], sums.amounts[bucket as usize]);
            let category = if bucket == Bucket::Sound { "audio" } else { "completion" };
            if count > 0 {
                let day = key.start.div_euclid(super::DAY) * super::DAY;
                let sum = days.entry((category, &key.model, day, bucket)).or_default();
                sum.0 += count;
                sum.1 += amount;
            }
        }
    }
    let mut categories: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for ((category, model, day, bucket), (count, amount)) in days {
        let models = categories.entry(category).or_default();
        let groups = models.entry(model).or_insert_with(|| json!({}));
        let quantity = if bucket == Bucket::Sound { json!(count as f64 / 1000.0) } else { json!(count) };
        let line = json!({
            "timestamp": Timestamp::from_second(day).unwrap_or_default(),
            "value": quantity,
            "amount": decimal(figures.published(amount)),
        });
        match groups[group(bucket)].as_array_mut() {
            Some(lines) => lines.push(line),
            None => groups[group(bucket)] = json!([line]),
        }
    }
    let mut models = |category: &str| json!({"models": categories.remove(category).unwrap_or_default()});
    let currency = vendor.catalogue.currency;
    json!({
        "completion": models("completion"), "chat": models("chat"), "ocr": models("ocr"),
        "connectors": models("connectors"), "audio": models("audio"), "audio_characters": models("audio_characters"),
        "libraries_api": {"pages": {"models": {}}, "tokens": {"models": {}}, "audio_seconds": {"models": {}}},
        "fine_tuning": {"training": {}, "storage": {}},
        "vibe_usage": 0,
        "vibe_code": {},
        "date": Timestamp::from_second(now).unwrap_or_default(),
        "previous_month": null, "next_month": null,
        "start_date": Timestamp::from_second(from).unwrap_or_default(),
        "end_date": Timestamp::from_second(until - 1).unwrap_or_default(),
        "currency": currency.code(),
        "currency_symbol": if currency == Currency::Eur { "€" } else { "$" },
        "prices": prices(door, last),
    })
}

fn group(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Input => "input",
        Bucket::Cached => "cached_input",
        Bucket::Audio => "audio_input",
        Bucket::Output => "output",
        Bucket::Sound => "audio_seconds",
        // Mistral sells none here; a count of zero is never shown.
        Bucket::Search => "web_search",
    }
}

/// The price list in force on `day`, per token, in every zone.
fn prices(door: &Door, day: Date) -> Vec<Value> {
    let catalogue = &door.vendor.catalogue;
    let mut prices = Vec::new();
    for (id, model) in catalogue.ids_at(day).filter(|(id, model)| *id == &*model.id) {
        let Some(row) = model.price_at(day) else { continue };
        for host in &catalogue.hosts {
            let rates = [
                ("input", row.rates.input),
                ("cached_input", row.rates.cached_input.unwrap_or(row.rates.input)),
                ("output", row.rates.output),
            ];
            for (group, rate) in rates {
                // Nanos a million tokens, in percent, are fractions of a token in a hundred millionths of a nano.
                let price =
                    u128::from(rate) * u128::from(100 + host.uplift_for(model)) * (FRACTIONS_PER_NANO / 100_000_000);
                prices.push(json!({
                    "event_type": "api_tokens", "billing_metric": id, "billing_group": group, "api_zone": host.id,
                    "service_tier": "standard", "price": decimal(price),
                }));
            }
        }
    }
    prices
}

/// Fractions as an exact decimal of a unit of currency, to a trillionth of a nano.
fn decimal(fractions: u128) -> String {
    let nanos = fractions / FRACTIONS_PER_NANO;
    let rest = (fractions % FRACTIONS_PER_NANO) * 1_000_000_000 / FRACTIONS_PER_NANO;
    let whole = format_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    let (units, decimals) = whole.split_once('.').unwrap_or((&whole, ""));
    format!("{units}.{decimals:0<9}{rest:09}")
}

fn seconds(at: DateTime) -> i64 {
    Offset::UTC.to_timestamp(at).map_or(0, Timestamp::as_second)
}
