//! The stored form is a promise: what was written yesterday is read tomorrow, and by nobody who would misread it.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::ledger::samples::{bare, full};

fn stored(entry: &Entry) -> String {
    String::from_utf8(to_body(entry).unwrap()).unwrap()
}

fn array(entry: &Entry) -> Vec<Json> {
    serde_json::from_str(&stored(entry)).unwrap()
}

fn refusal(body: &[Json]) -> String {
    parse(Json::from(body).to_string().as_bytes()).unwrap_err().to_string()
}

/// Whoever changes what is expected here makes every ledger there is unreadable: add at the end, and only there.
#[test]
fn the_order_never_changes() {
    assert_eq!(
        stored(&full()),
        "[1,\"e\",\"r\",1,\"completed\",\"p\",\"k\",\"resident\",\"chat\",true,1,true,\"drawn\",\
         \"openai\",\"eu\",\"eu\",\"auto\",\"m\",\"USD\",1,1,\
         1100000,\"2026-11-23\",\"openai/m@2026-01-01\",10,2,[1,15,1],\"2026-11-24\",\"2026-11\",\"2026\",\
         1,2,\"short\",\
         \"x\",\"town\",\"auto\",500000,\"m\",\"u\",\"v\",\"stop\",\
         [1,2,3,4,5,6,7,8],true,\"{}\",1,1,\
         1,1,1,1,1,\
         \"flex\",503,true,\
         true,9,2,1795000000]"
    );
    // Neighbours that are the same in that sample are told apart here.
    let other = Entry {
        region: "region".to_owned(),
        request_model: "asked".to_owned(),
        sent_model: "sent".to_owned(),
        response_model: Some("returned".to_owned()),
        choices: 10,
        cost_lower_nanos: 19,
        cost_upper_nanos: 20,
        received_at: 30,
        ended_at: 31,
        cost_nanos: Some(44),
        cost_euro_nanos: Some(45),
        overhead_micros: Some(46),
        first_chunk_micros: Some(47),
        first_text_micros: Some(48),
        duration_micros: Some(49),
        output_chars: Some(50),
        stream: false,
        ..full()
    };
    let other = array(&other);
    assert_eq!((&other[9], &other[11]), (&json!(false), &json!(true)), "stream, client_left");
    assert_eq!(other[15..=17], [json!("region"), json!("asked"), json!("sent")]);
    assert_eq!(other[37], "returned");
    for number in [10, 19, 20, 30, 31, 44, 45, 46, 47, 48, 49, 50] {
        assert_eq!(other[number], number);
    }
}

#[test]
fn what_is_absent_at_the_end_takes_no_room() {
    let hold = array(&Entry { error_type: Some("lease_expired".to_owned()), ..bare() });
    assert_eq!((hold.len(), hold.last()), (34, Some(&json!("lease_expired"))));
    assert_eq!(parse(stored(&bare()).as_bytes()).unwrap(), bare());
    let silent = Entry { usage: Some(Usage::default()), ..bare() };
    assert_eq!(array(&silent).last(), Some(&json!([])), "a usage of zeros is known, and is not absent");
    assert_eq!(parse(stored(&silent).as_bytes()).unwrap(), silent);
    let seen = Entry { usage: Some(Usage { output_visible: 7, ..Usage::default() }), ..bare() };
    assert_eq!(array(&seen).last(), Some(&json!([0, 0, 0, 7])));
    assert_eq!(parse(stored(&seen).as_bytes()).unwrap(), seen);
}

#[test]
fn a_record_from_before_a_field_is_read_without_it() {
    let mut body = array(&full());
    body.truncate(52);
    let before = Entry {
        service_tier: Some("flex".to_owned()),
        http_status: None,
        retried: false,
        local_passages: false,
        local_hour: None,
        epoch: None,
        time_block: None,
        ..full()
    };
    assert_eq!(parse(Json::from(body).to_string().as_bytes()).unwrap(), before);
}

#[test]
fn a_record_of_a_newer_version_or_with_a_piece_missing_is_refused() {
    let sound = array(&full());
    let mut newer = sound.clone();
    newer[0] = json!(2);
    assert!(refusal(&newer).contains("form of the record is not known to this version"), "{}", refusal(&newer));
    let mut longer = sound.clone();
    longer.push(json!(null));
    assert!(refusal(&longer).contains("more fields than this version"), "{}", refusal(&longer));
    let mut wider = sound.clone();
    wider[41] = json!([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(refusal(&wider).contains("more buckets than this version"), "{}", refusal(&wider));
    assert!(refusal(&sound[..32]).contains("`length_class` is missing"), "{}", refusal(&sound[..32]));
    assert!(refusal(&[]).contains("not known"), "{}", refusal(&[]));
    for spoilt in [json!("12"), json!(-1), json!({}), json!(null)] {
        let mut body = sound.clone();
        body[3] = spoilt;
        refusal(&body);
    }
    let behind = format!("{} ", stored(&full()));
    assert!(parse(behind.as_bytes()).is_ok());
    assert!(parse(format!("{}1", stored(&full())).as_bytes()).is_err());
}

#[test]
fn the_object_of_before_is_read_as_it_was() {
    let object = serde_json::to_string(&full()).unwrap();
    assert_eq!(parse(object.as_bytes()).unwrap(), full());
    assert!(parse(object.replacen('{', "{\"gift\":1,", 1).as_bytes()).is_err());
    assert!(stored(&full()).len() * 3 < object.len(), "that is what the form is for");
}

prop_compose! {
    /// Any entry at all: every field absent or present, every number and text.
    fn any_entry()(
        texts in proptest::collection::vec(any::<String>(), 30),
        numbers in proptest::collection::vec(any::<u64>(), 30),
        present in proptest::collection::vec(any::<bool>(), 30),
    ) -> Entry {
        let (mut texts, mut numbers) = (texts.into_iter(), numbers.into_iter());
        let mut present = present.into_iter();
        let mut text = || texts.next().unwrap();
        let mut number = || numbers.next().unwrap();
        let mut known = || present.next().unwrap();
        let mut signed = || number().cast_signed();
        let mut entry = Entry {
            id: text(), request_id: text(), resident: text(), key_id: text(), plan: text(), operation: text(),
            provider: text(), host: text(), region: text(), request_model: text(), sent_model: text(),
            currency: text(), rate_date: text(), price_row: text(), day: text(), month: text(), year: text(),
            stream: known(), client_left: known(), retried: known(),
            cost_lower_nanos: signed(), cost_upper_nanos: signed(), ceiling_euro_nanos: signed(),
            received_at: signed(), ended_at: signed(),
            ..bare()
        };
        entry.error_type = known().then(&mut text);
        entry.account = known().then(&mut text);
        entry.route = known().then(&mut text);
        entry.response_model = known().then(&mut text);
        entry.upstream_id = known().then(&mut text);
        entry.upstream_request_id = known().then(&mut text);
        entry.finish_reason = known().then(&mut text);
        entry.service_tier = known().then(&mut text);
        entry.usage_raw = known().then(&mut text);
        entry.cost_nanos = known().then(&mut signed);
        entry.cost_euro_nanos = known().then(&mut signed);
        entry.usage_consistent = known().then(&mut known);
        let mut small = || u32::try_from(number() >> 32).unwrap();
        (entry.attempt, entry.uplift_percent) = (small(), small());
        entry.probability_ppm = known().then(&mut small);
        entry.http_status = known().then(|| u16::try_from(small() >> 16).unwrap());
        (entry.choices, entry.rate_micros) = (number(), number());
        entry.overhead_micros = known().then(&mut number);
        entry.first_chunk_micros = known().then(&mut number);
        entry.first_text_micros = known().then(&mut number);
        entry.duration_micros = known().then(&mut number);
        entry.output_chars = known().then(&mut number);
        entry.charged = Charge { questions: number(), tokens: number(), euro_nanos: number().cast_signed() };
        let usage = Usage { input_uncached: number(), reasoning: number(), ..Usage::default() };
        let sound = Usage { input_cached: number(), tool_calls: ToolCalls { web_search: number() }, ..usage };
        entry.usage = known().then_some(if known() { usage } else { sound });
        entry.assignment = if known() { Assignment::Chosen } else { Assignment::Fallback };
        entry.length_class = if known() { LengthClass::Medium } else { LengthClass::Long };
        entry.outcome = if known() { Outcome::Rejected } else { Outcome::Interrupted };
        entry
    }
}

proptest! {
    #[test]
    fn every_entry_comes_back_as_it_was(entry in any_entry()) {
        prop_assert_eq!(parse(&to_body(&entry).unwrap()).unwrap(), entry);
    }
}
