//! A call as the ledger sees it: what is asked for, and what came of it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use passerelle::ledger::{
    Assignment, Ceiling, Charge, Durability, Entry, LengthClass, Outcome, ReservationRequest, Sighting, SqliteSettings,
    micros,
};
use passerelle::quota::{Allowance, Calendar, Envelope};
use providers::usage::Usage;
use uuid::Uuid;

/// Calls over which a month is spread.
pub(crate) const ROWS: u64 = 1_000_000;
const RESIDENTS: u64 = 2_000;
/// More than any of these calls needs.
const ROOMY: i64 = 1 << 52;

/// Where and how a ledger of a bench is kept.
pub(crate) fn settings(folder: &Path, durability: Durability) -> SqliteSettings {
    SqliteSettings { path: folder.join("ledger.sqlite"), durability, queue: 4_096, batch: 256 }
}

/// Request number `number` of somebody among the residents, spread over 28 days.
pub(crate) fn request(calendar: &Calendar, number: u64) -> ReservationRequest {
    let start: Timestamp = "2026-11-01T08:00:00Z".parse().unwrap();
    let now = start + Duration::from_secs(number * 2_419_200 / ROWS.max(number + 1));
    let windows = calendar.windows(now);
    let ceiling = Ceiling { tokens: 2_000, euro_nanos: 1_000_000 };
    let entry = entry(&windows, now, ceiling, number % RESIDENTS);
    ReservationRequest {
        ceiling,
        allowance: Allowance {
            questions_per_day: ROOMY.unsigned_abs(),
            tokens_per_day: ROOMY.unsigned_abs(),
            euro_nanos_per_month: ROOMY,
        },
        envelope: Envelope { euro_nanos_per_month: ROOMY, euro_nanos_per_year: ROOMY },
        windows,
        now,
        lease: Duration::from_secs(600),
        entry,
        key_seen: Sighting::default(),
    }
}

#[expect(clippy::too_many_lines, reason = "a line for each field")]
fn entry(windows: &passerelle::quota::Windows, now: Timestamp, ceiling: Ceiling, resident: u64) -> Entry {
    Entry {
        id: Uuid::now_v7().to_string(),
        request_id: Uuid::now_v7().to_string(),
        attempt: 1,
        outcome: Outcome::Unknown,
        error_type: None,
        retried: false,
        http_status: None,
        resident: format!("resident-{resident:08}"),
        key_id: format!("key-{resident:08}"),
        plan: "resident".to_owned(),
        operation: "chat".to_owned(),
        stream: true,
        choices: 1,
        client_left: false,
        route: Some("auto".to_owned()),
        assignment: Assignment::Drawn,
        probability_ppm: Some(500_000),
        provider: "openai".to_owned(),
        account: None,
        host: "eu".to_owned(),
        region: "eu".to_owned(),
        request_model: "auto".to_owned(),
        sent_model: "gpt-6-luna".to_owned(),
        response_model: Some("gpt-6-luna-2026-06-30".to_owned()),
        upstream_id: Some("chatcmpl-0123456789abcdefghijklmnopqr".to_owned()),
        upstream_request_id: Some("req_0123456789abcdef0123456789abcdef".to_owned()),
        finish_reason: Some("stop".to_owned()),
        service_tier: Some("default".to_owned()),
        usage: None,
        usage_consistent: Some(true),
        usage_raw: Some(
            "{\"prompt_tokens\":120,\"completion_tokens\":240,\"total_tokens\":360,\"prompt_tokens_details\":{\"cached_tokens\":0}}"
                .to_owned(),
        ),
        currency: "USD".to_owned(),
        cost_nanos: None,
        cost_lower_nanos: 0,
        cost_upper_nanos: 1_100_000,
        cost_euro_nanos: None,
        rate_micros: 1_168_400,
        rate_date: "2026-04-13".to_owned(),
        price_row: "openai/gpt-6-luna@2026-06-30".to_owned(),
        uplift_percent: 10,
        ceiling_euro_nanos: ceiling.euro_nanos,
        charged: Charge::of_ceiling(ceiling),
        day: windows.day.label.clone(),
        month: windows.month.label.clone(),
        year: windows.year.label.clone(),
        received_at: micros(now),
        ended_at: micros(now) + 1_400_000,
        overhead_micros: Some(420),
        first_chunk_micros: Some(500_000),
        first_text_micros: Some(520_000),
        duration_micros: Some(1_400_000),
        output_chars: Some(900),
        length_class: LengthClass::Short,
        local_passages: false,
        local_hour: Some(9),
        epoch: None,
        time_block: None,
    }
}

/// The entry of a call that was answered.
pub(crate) fn answered(request: &ReservationRequest) -> Entry {
    Entry {
        outcome: Outcome::Completed,
        usage: Some(Usage { input_uncached: 120, output_visible: 240, ..Usage::default() }),
        cost_nanos: Some(135_000),
        cost_lower_nanos: 135_000,
        cost_upper_nanos: 135_000,
        cost_euro_nanos: Some(115_543),
        charged: Charge { questions: 1, tokens: 360, euro_nanos: 115_543 },
        ..request.entry.clone()
    }
}
