//! Ledgers of any size, filled through the gateway's own way: keys issued, money held, entries settled. It must not know
//! what is measured on them.

use std::time::Duration;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use passerelle::identity::{ApiKey, Authenticated};
use passerelle::ledger::{
    Assignment, Ceiling, Charge, Decision, Entry, Ledger, LengthClass, NewKey, Outcome, ReservationRequest, Settlement,
    micros,
};
use passerelle::quota::Windows;
use providers::usage::Usage;
use sha2::{Digest, Sha256};

use crate::gateway::{Gateway, PLAN};

/// The moment of every measured call; entries end the hour before.
pub(crate) const NOW: &str = "2026-11-28T10:00:00Z";
/// Entries under one hold where there are millions: what a hold and its release cost is measured elsewhere.
pub(crate) const MANY: u64 = 10;
/// Keys in one commit, and calls at once.
const KEYS: u64 = 100_000;
const AT_ONCE: u64 = 256;
/// Vendor, currency, nano-units per million tokens of output, the model's price row.
const MODELS: [(&str, &str, i64, &str); 5] = [
    ("openai", "USD", 6_000_000_000, "openai/gpt-6-luna@2026-06-30"),
    ("openai", "USD", 600_000_000, "openai/gpt-5.6-luna@2026-01-01"),
    ("openai", "USD", 2_000_000_000, "openai/gpt-5.4-mini-2026-03-17@2026-03-17"),
    ("mistral_ai", "EUR", 300_000_000, "mistral_ai/mistral-small-2603@2026-03-01"),
    ("mistral_ai", "EUR", 1_500_000_000, "mistral_ai/mistral-large-2512@2025-12-01"),
];

/// A ledger to be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// Residents, each with a key and with calls in the last month.
    pub(crate) residents: u64,
    /// Holds made and settled.
    pub(crate) holds: u64,
    /// Entries appended under each hold.
    pub(crate) entries_per_hold: u64,
    /// Months, the current one last, over which the holds are spread.
    pub(crate) months: u64,
}

/// Chance from a number, the same in every run (the finaliser of SplitMix64).
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The key of resident `number`.
pub(crate) fn key(number: u64) -> ApiKey {
    ApiKey::parse(&format!("psk-{}", HEXLOWER.encode(&Sha256::digest(number.to_le_bytes())))).unwrap()
}

/// What the store keeps of it: ids of the length and the disorder of real ones.
fn new_key(number: u64) -> NewKey {
    let id = |prefix: &str| {
        let digest = Sha256::digest(format!("{prefix}{number}"));
        format!("{prefix}{}", BASE32_NOPAD.encode(&digest[..10]).to_lowercase())
    };
    NewKey {
        key_id: id("key-"),
        hash: key(number).hash(),
        resident: id("res-"),
        plan: PLAN.to_owned(),
        created_at: "2024-11-01T08:00:00Z".parse().unwrap(),
    }
}

impl Books {
    pub(crate) fn entries(self) -> u64 {
        self.holds * self.entries_per_hold
    }

    pub(crate) fn name(self) -> String {
        format!("{} residents, {} entries", self.residents, self.entries())
    }

    /// Issues the keys, then makes and settles every hold, in the order of time.
    pub(crate) async fn fill(self, gateway: &Gateway) {
        let template = "{msg} {bar:40} {human_pos} of {human_len}, {eta} left";
        let bar = ProgressBar::new(self.residents).with_style(ProgressStyle::with_template(template).unwrap());
        bar.set_message("keys");
        for first in (0..self.residents).step_by(usize::try_from(KEYS).unwrap()) {
            let keys: Vec<NewKey> = (first..self.residents.min(first + KEYS)).map(new_key).collect();
            gateway.ledger.add_keys(&keys).unwrap();
            bar.set_position(first);
        }
        bar.reset();
        bar.set_length(self.holds);
        bar.set_message("holds");
        for first in (0..self.holds).step_by(usize::try_from(AT_ONCE).unwrap()) {
            let holds = (first..self.holds.min(first + AT_ONCE)).map(|number| self.hold(gateway, number));
            join_all(holds).await;
            bar.set_position(first);
        }
        bar.finish_and_clear();
    }

    /// Hold number `number`: of every resident in turn, in an order without neighbours.
    async fn hold(self, gateway: &Gateway, number: u64) {
        let resident = number.wrapping_mul(7_368_787) % self.residents;
        let who = gateway.directory.authenticate(&key(resident)).unwrap();
        let end: Timestamp = NOW.parse::<Timestamp>().unwrap() - Duration::from_secs(3_600);
        // 27 days of the current month, and whole months before it.
        let seconds = self.months * 2_629_746 - 300_000;
        let now = end - Duration::from_secs(seconds - number * seconds / self.holds);
        let request = request(gateway, &who, now, number);
        let entries = (0..self.entries_per_hold).map(|one| answered(&request.entry, mixed(number * MANY + one)));
        let entries = entries.collect();
        settle(&gateway.ledger, request, entries).await;
    }
}

/// What admission asks of the ledger for a call of `who`.
pub(crate) fn request(gateway: &Gateway, who: &Authenticated, now: Timestamp, number: u64) -> ReservationRequest {
    let windows = gateway.calendar.windows(now);
    let ceiling = Ceiling { tokens: 2_000, euro_nanos: 12_000_000 };
    let entry = unknown(who, &windows, now, ceiling, mixed(number));
    ReservationRequest {
        ceiling,
        allowance: who.plan().allowance,
        envelope: who.terms().envelope,
        windows,
        now,
        lease: Duration::from_secs(720),
        entry,
        key_seen: who.key_seen(),
    }
}

/// Holds, and settles with what was answered.
pub(crate) async fn settle(ledger: &Ledger, request: ReservationRequest, entries: Vec<Entry>) {
    match ledger.reserve(request).await.unwrap() {
        Decision::Held(reservation) => ledger.settle(Settlement::new(reservation, entries)).await.unwrap(),
        other => panic!("not held: {other:?}"),
    }
}

/// One answer in fifty is broken off; the others are whole, of every length and speed.
pub(crate) fn answered(unknown: &Entry, chance: u64) -> Entry {
    let id = HEXLOWER.encode(&[chance.to_le_bytes(), mixed(chance).to_le_bytes()].concat());
    let entry = Entry { id, ..unknown.clone() };
    if chance.is_multiple_of(50) {
        let error_type = Some("stream_interrupted".to_owned());
        return Entry { outcome: Outcome::Interrupted, error_type, first_text_micros: Some(400_000), ..entry };
    }
    let (input, output) = (20 + chance % 400, 20 + (chance >> 16) % 700);
    let (_, currency, price, _) = model(&entry.provider, &entry.price_row);
    let cost = i64::try_from(output).unwrap() * price / 1_000_000;
    let euros = if currency == "EUR" { cost } else { cost * 1_000_000 / 1_168_400 + 1 };
    let first_text = 200_000 + (chance >> 24) % 900_000;
    Entry {
        outcome: Outcome::Completed,
        error_type: None,
        finish_reason: Some("stop".to_owned()),
        usage: Some(Usage { input_uncached: input, output_visible: output, ..Usage::default() }),
        usage_consistent: Some(true),
        usage_raw: Some(format!(
            "{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\"total_tokens\":{}}}",
            input + output
        )),
        cost_nanos: Some(cost),
        cost_lower_nanos: cost,
        cost_upper_nanos: cost,
        cost_euro_nanos: Some(euros),
        charged: Charge { questions: 1, tokens: input + output, euro_nanos: euros },
        first_chunk_micros: Some(first_text - 20_000),
        first_text_micros: Some(first_text),
        duration_micros: Some(first_text + output * (6_000 + chance % 9_000)),
        output_chars: Some(output * 4),
        ..entry
    }
}

fn model(provider: &str, row: &str) -> (&'static str, &'static str, i64, &'static str) {
    *MODELS.iter().find(|model| model.0 == provider && model.3 == row).unwrap()
}

/// What the ledger says if nobody settles the call.
#[expect(clippy::too_many_lines, reason = "a line for each field")]
fn unknown(who: &Authenticated, windows: &Windows, now: Timestamp, ceiling: Ceiling, chance: u64) -> Entry {
    let (provider, currency, _, row) = MODELS[usize::try_from(chance % 5).unwrap()];
    let model = row.split_once('/').unwrap().1.rsplit_once('@').unwrap().0;
    let id = HEXLOWER.encode(&[mixed(chance).to_le_bytes(), chance.to_le_bytes()].concat());
    Entry {
        request_id: format!("req-{id}"),
        upstream_id: Some(format!("chatcmpl-{id}")),
        upstream_request_id: Some(format!("req_{id}")),
        id,
        attempt: 1,
        outcome: Outcome::Unknown,
        error_type: None,
        retried: false,
        http_status: None,
        resident: who.resident().to_owned(),
        key_id: who.key_id().to_owned(),
        plan: who.plan().name.clone(),
        operation: "chat".to_owned(),
        stream: true,
        choices: 1,
        client_left: false,
        route: Some("auto".to_owned()),
        assignment: Assignment::Drawn,
        probability_ppm: Some(500_000),
        provider: provider.to_owned(),
        account: None,
        host: "eu".to_owned(),
        region: "eu".to_owned(),
        request_model: "auto".to_owned(),
        sent_model: model.to_owned(),
        response_model: Some(model.to_owned()),
        finish_reason: None,
        service_tier: Some("default".to_owned()),
        usage: None,
        usage_consistent: None,
        usage_raw: None,
        currency: currency.to_owned(),
        cost_nanos: None,
        cost_lower_nanos: 0,
        cost_upper_nanos: ceiling.euro_nanos,
        cost_euro_nanos: None,
        rate_micros: if currency == "EUR" { 1_000_000 } else { 1_168_400 },
        rate_date: "2026-04-13".to_owned(),
        price_row: row.to_owned(),
        uplift_percent: 10,
        ceiling_euro_nanos: ceiling.euro_nanos,
        charged: Charge::of_ceiling(ceiling),
        day: windows.day.label.clone(),
        month: windows.month.label.clone(),
        year: windows.year.label.clone(),
        received_at: micros(now),
        ended_at: micros(now) + 1_400_000,
        overhead_micros: Some(420),
        first_chunk_micros: None,
        first_text_micros: None,
        duration_micros: None,
        output_chars: None,
        length_class: LengthClass::Short,
        local_passages: false,
        local_hour: Some(9),
        epoch: None,
        time_block: None,
    }
}
