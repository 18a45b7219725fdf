//! `GET /v1/usage`: what this resident has used and has left.

use axum::Json;
use axum::extract::State;
use providers::money::format_nanos;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, AppState, openapi};
use crate::identity::Authenticated;
use crate::ledger::ResidentUse;
use crate::quota::Limit;

/// One limit of a resident. Euro amounts are decimal texts, counts are whole numbers in a text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitUse {
    /// `questions_per_day`, `tokens_per_day` or `euros_per_month`.
    limit: &'static str,
    /// `questions`, `tokens` or `EUR`.
    unit: &'static str,
    /// What the plan allows.
    allowed: String,
    /// Settled so far.
    used: String,
    /// Held by answers in progress; what they do not use comes back.
    held: String,
    /// What is left.
    remaining: String,
    /// When it starts again, RFC 3339.
    resets_at: String,
    /// The same in the town's local time.
    resets_at_local: String,
}

/// What a resident has used and has left.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// Always `usage`.
    object: &'static str,
    /// The plan.
    plan: String,
    /// Requests per minute, on average.
    requests_per_minute: u32,
    /// Requests that may come at once.
    burst: u32,
    /// Answers that may be in progress at the same time.
    simultaneous: u32,
    /// What accumulates.
    limits: Vec<LimitUse>,
}

/// What this resident has used and has left, per window, with reset times.
#[utoipa::path(get, path = "/v1/usage", tag = "residents", security(("key" = [])),
    responses(
        (status = 200, description = "One line per limit", body = UsageBody),
        (status = 401, description = "The key is missing, wrong or revoked", body = openapi::ErrorBody)
    ))]
pub(super) async fn get_usage(State(state): State<AppState>, who: Authenticated) -> Result<Json<UsageBody>, ApiError> {
    let windows = state.calendar.windows(state.clock.now());
    let plan = who.plan();
    let ResidentUse { day_used, day_held, month_used, month_held } =
        state.ledger.resident_use(who.resident(), &windows)?;
    let allowance = &plan.allowance;
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let line = |limit: Limit, unit, allowed: i64, used: i64, held: i64, resets_at: jiff::Timestamp| {
        let show = |value: i64| if limit.is_euros() { format_nanos(value) } else { value.to_string() };
        LimitUse {
            limit: limit.as_str(),
            unit,
            allowed: show(allowed),
            used: show(used),
            held: show(held),
            remaining: show((allowed - used - held).max(0)),
            resets_at: resets_at.to_string(),
            resets_at_local: state.calendar.local(resets_at),
        }
    };
    let limits = vec![
        line(
            Limit::QuestionsPerDay,
            "questions",
            count(allowance.questions_per_day),
            day_used.questions,
            day_held.questions,
            windows.day.end,
        ),
        line(
            Limit::TokensPerDay,
            "tokens",
            count(allowance.tokens_per_day),
            day_used.tokens,
            day_held.tokens,
            windows.day.end,
        ),
        line(
            Limit::EurosPerMonth,
            "EUR",
            allowance.euro_nanos_per_month,
            month_used.euro_nanos,
            month_held.euro_nanos,
            windows.month.end,
        ),
    ];
    Ok(Json(UsageBody {
        object: "usage",
        plan: plan.name.clone(),
        requests_per_minute: plan.rate.requests_per_minute.get(),
        burst: plan.rate.burst.get(),
        simultaneous: plan.rate.simultaneous,
        limits,
    }))
}
