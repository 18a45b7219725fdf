//! OpenAI's usage and costs of an organisation: buckets of time, page by page, behind an admin key.
//!
//! Where the vendor's schema names no field the simulator adds one and leaves the others alone: transcriptions billed by
//! tokens carry `input_tokens` and `output_tokens` beside `seconds`. It must not know how the figures are summed.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use providers::catalogue::Operation;
use serde_json::{Map, Value, json};

use super::{Bucket, DAY, HOUR, Key, MINUTE, Sums, operation, units};
use crate::simulator::refusal::Refusal;
use crate::simulator::server::Door;

type Parameters = Query<Vec<(String, String)>>;

/// How long buckets are, and how many of them a page has: unless asked otherwise, and at most.
struct Width {
    seconds: i64,
    default_limit: i64,
    most: i64,
}

/// What was asked for.
struct Asked {
    start: i64,
    end: i64,
    width: i64,
    limit: i64,
    group_by: Vec<String>,
    models: Vec<String>,
}

/// `GET /v1/organization/usage/{kind}`.
pub(in super::super) async fn usage(
    State(door): State<Door>,
    Path(kind): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    authorize(&headers)?;
    let wanted = match kind.as_str() {
        "completions" => Operation::Chat,
        "embeddings" => Operation::Embeddings,
        "moderations" => Operation::Moderation,
        "audio_transcriptions" => Operation::Transcription,
        _ => return Err(Refusal::openai(404, &format!("Unknown usage: {kind}."), None, None)),
    };
    let now = door.vendor.now();
    let width = match value(&parameters, "bucket_width").unwrap_or("1d") {
        "1m" => Width { seconds: MINUTE, default_limit: 60, most: 1440 },
        "1h" => Width { seconds: HOUR, default_limit: 24, most: 168 },
        "1d" => Width { seconds: DAY, default_limit: 7, most: 31 },
        other => return Err(invalid("bucket_width", other)),
    };
    let asked = Asked::read(&parameters, &width, now)?;
    let by = |key: &str| asked.group_by.iter().any(|group| group == key);
    let page = asked.page(|from, until| {
        let mut groups: BTreeMap<(Option<&str>, Option<&str>), Sums> = BTreeMap::new();
        let figures = door.vendor.figures();
        for (key, sums) in figures.rows(from, until, now) {
            let known = operation(&door.vendor.catalogue, &key.model, key.start) == Some(wanted);
            if known && asked.wants(key) {
                let group = (by("model").then_some(&*key.model), by("service_tier").then_some(key.tier));
                groups.entry(group).or_default().add(sums, 1);
            }
        }
        groups.iter().map(|((model, tier), sums)| usage_result(&kind, wanted, *model, *tier, sums)).collect()
    });
    Ok(Json(page))
}

fn usage_result(kind: &str, operation: Operation, model: Option<&str>, tier: Option<&str>, sums: &Sums) -> Value {
    let [input, cached, audio, output, sound, _searches] = sums.counts;
    let mut result = json!({
        "object": format!("organization.usage.{kind}.result"),
        "num_model_requests": sums.requests,
        "project_id": null, "user_id": null, "api_key_id": null, "model": model,
    });
    let fields: &[(&str, Value)] = &match operation {
        Operation::Chat => vec![
            ("input_tokens", (input + cached + audio).into()),
            ("input_cached_tokens", cached.into()),
            ("input_audio_tokens", audio.into()),
            ("output_tokens", output.into()),
            ("output_audio_tokens", 0.into()),
            ("batch", Value::Null),
            ("service_tier", tier.into()),
        ],
        Operation::Transcription if input + audio + output > 0 => vec![
            ("seconds", (sound as f64 / 1000.0).into()),
            ("input_tokens", (input + audio).into()),
            ("input_audio_tokens", audio.into()),
            ("output_tokens", output.into()),
        ],
        Operation::Transcription => vec![("seconds", (sound as f64 / 1000.0).into())],
        Operation::Embeddings | Operation::Moderation => vec![("input_tokens", input.into())],
    };
    if let Some(result) = result.as_object_mut() {
        result.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>());
    }
    result
}

/// `GET /v1/organization/costs`.
pub(in super::super) async fn costs(
    State(door): State<Door>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    authorize(&headers)?;
    let now = door.vendor.now();
    if let Some(other) = value(&parameters, "bucket_width").filter(|width| *width != "1d") {
        return Err(invalid("bucket_width", other));
    }
    let asked = Asked::read(&parameters, &Width { seconds: DAY, default_limit: 7, most: 180 }, now)?;
    let apart = asked.group_by.iter().any(|group| group == "line_item");
    let currency = door.vendor.catalogue.currency.code().to_lowercase();
    let page = asked.page(|from, until| {
        let mut lines: BTreeMap<Option<String>, (u64, u128, Bucket)> = BTreeMap::new();
        let figures = door.vendor.figures();
        for (key, sums) in figures.rows(from, until, now) {
            for bucket in Bucket::ALL {
                let (count, amount) = (sums.counts[bucket as usize], sums.amounts[bucket as usize]);
                if amount > 0 {
                    let line = apart.then(|| format!("{}, {}", key.model, bucket.words()));
                    let sum = lines.entry(line).or_insert((0, 0, bucket));
                    sum.0 += count;
                    sum.1 += amount;
                }
            }
        }
        let results = lines.into_iter().map(|(line, (count, amount, bucket))| {
            let (quantity, unit) = match bucket {
                Bucket::Sound => (json!(count as f64 / 1000.0), "duration_seconds"),
                Bucket::Search => (json!(count), "requests"),
                _ => (json!(count), "tokens"),
            };
            json!({
                "object": "organization.costs.result",
                "amount": {"value": units(figures.published(amount)), "currency": currency},
                "line_item": line, "project_id": null, "api_key_id": null,
                "quantity": line.as_ref().map(|_| quantity), "quantity_unit": line.as_ref().map(|_| unit),
            })
        });
        results.collect()
    });
    Ok(Json(page))
}

impl Asked {
    fn read(parameters: &[(String, String)], width: &Width, now: i64) -> Result<Self, Refusal> {
        let number = |name: &str| match value(parameters, name) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| invalid(name, text)),
        };
        let start = number("start_time")?.ok_or_else(|| {
            let message = "Missing required parameter: 'start_time'.";
            Refusal::openai(400, message, Some("start_time"), Some("missing_required_parameter"))
        })?;
        let end = number("end_time")?.unwrap_or(now + 1).min(now + 1);
        let limit = number("limit")?.unwrap_or(width.default_limit);
        if !(1..=width.most).contains(&limit) {
            return Err(invalid("limit", &limit.to_string()));
        }
        let start = match value(parameters, "page") {
            None => start,
            Some(page) => {
                page.strip_prefix("page_").and_then(|at| at.parse().ok()).ok_or_else(|| invalid("page", page))?
            }
        };
        let list = |name: &str| {
            let spellings = [name.to_owned(), format!("{name}[]")];
            let named = parameters.iter().filter(|(key, _)| spellings.contains(key));
            named.flat_map(|(_, value)| value.split(',').map(str::to_owned)).collect()
        };
        let start = start.div_euclid(width.seconds) * width.seconds;
        Ok(Self { start, end, width: width.seconds, limit, group_by: list("group_by"), models: list("models") })
    }

    fn wants(&self, key: &Key) -> bool {
        self.models.is_empty() || self.models.iter().any(|model| **model == *key.model)
    }

    /// One page of buckets, empty ones too.
    fn page(&self, mut results: impl FnMut(i64, i64) -> Vec<Value>) -> Value {
        let mut data = Vec::new();
        let mut from = self.start;
        for _ in 0..self.limit {
            if from >= self.end {
                break;
            }
            let until = from + self.width;
            data.push(json!({
                "object": "bucket", "start_time": from, "end_time": until,
                "results": results(from, until.min(self.end)),
            }));
            from = until;
        }
        let more = from < self.end;
        json!({"object": "page", "data": data, "has_more": more, "next_page": more.then(|| format!("page_{from}"))})
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn invalid(name: &str, given: &str) -> Refusal {
    let message = format!("Invalid value for '{name}': {given}.");
    Refusal::openai(400, &message, Some(name), Some("invalid_value"))
}

/// Lets admin keys pass, no others.
fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = header.strip_prefix("Bearer ").unwrap_or_default();
    if key.starts_with("sk-admin-") {
        return Ok(());
    }
    let message = "You have insufficient permissions for this operation. Missing scopes: api.usage.read.";
    Err(Refusal::openai(401, message, None, None))
}
