//! How an attempt is stored: a JSON array, `[1,"id",…]`, the number of the form and then the values in a fixed order.
//!
//! The names of the fields, which were most of a record, are said once, here. The order is a promise to every ledger
//! there is: a field is added at the end and nowhere else, and none is taken away. What is absent at the end is left out,
//! so that a record from before a field is as good as one without it; a record with more than is known here is refused.
//! Before this form, an attempt was stored as the object that is exported; such records stay and are read as they are.

use std::fmt;

use providers::usage::{ToolCalls, Usage};
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};

use super::{Assignment, Charge, Entry, LengthClass, Outcome};

/// The form that is written. Another number is for an order that cannot be had by adding to this one.
const FORM: u64 = 1;
/// Room for most records, so that they are written without moving.
const TYPICAL_BYTES: usize = 1_024;

/// A value at one position.
trait Value: Sized {
    fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()>;
    /// `None` past the end of the array.
    fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error>;
}

macro_rules! plain {
    ($($kind:ty),+ $(,)?) => {
        $(impl Value for $kind {
            fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()> {
                serde_json::to_writer(body, self)
            }

            fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error> {
                seq.next_element()
            }
        })+
    };
}

plain!(bool, u32, u64, i64, Outcome, Assignment, LengthClass);
plain!(Option<bool>, Option<u16>, Option<u32>, Option<u64>, Option<i64>);

/// Writes a text as JSON. Nearly all have nothing to be escaped and are copied whole: asked of all bytes at once, that
/// costs a quarter of asking one after the other.
fn write_text(text: &str, body: &mut Vec<u8>) -> serde_json::Result<()> {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |special, byte| special | is_special(byte)) {
        return serde_json::to_writer(body, text);
    }
    body.push(b'"');
    body.extend_from_slice(text.as_bytes());
    body.push(b'"');
    Ok(())
}

impl Value for String {
    fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()> {
        write_text(self, body)
    }

    fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error> {
        seq.next_element()
    }
}

impl Value for Option<String> {
    fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()> {
        match self {
            Some(text) => write_text(text, body),
            None => serde_json::to_writer(body, &()),
        }
    }

    fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error> {
        seq.next_element()
    }
}

/// Questions, tokens, nano-euros.
impl Value for Charge {
    fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(body, &(self.questions, self.tokens, self.euro_nanos))
    }

    fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error> {
        let read: Option<(u64, u64, i64)> = seq.next_element()?;
        Ok(read.map(|(questions, tokens, euro_nanos)| Self { questions, tokens, euro_nanos }))
    }
}

/// The buckets in the order of [`Usage`]; zeros at the end are left out.
impl Value for Option<Usage> {
    fn write(&self, body: &mut Vec<u8>) -> serde_json::Result<()> {
        let Some(usage) = self else { return serde_json::to_writer(body, &()) };
        let Usage { input_uncached, input_cached, cache_write, output_visible, reasoning, .. } = *usage;
        let Usage { input_audio, audio_millis, tool_calls: ToolCalls { web_search }, .. } = *usage;
        let buckets = [
            input_uncached,
            input_cached,
            cache_write,
            output_visible,
            reasoning,
            input_audio,
            audio_millis,
            web_search,
        ];
        let known = buckets.iter().rposition(|count| *count != 0).map_or(0, |last| last + 1);
        serde_json::to_writer(body, &buckets[..known])
    }

    fn read<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Self>, A::Error> {
        let Some(read) = seq.next_element::<Option<Vec<u64>>>()? else { return Ok(None) };
        let Some(counts) = read else { return Ok(Some(None)) };
        let mut buckets = [0; 8];
        let Some(known) = buckets.get_mut(..counts.len()) else {
            return Err(A::Error::custom("a usage has more buckets than this version of the program knows"));
        };
        known.copy_from_slice(&counts);
        let [
            input_uncached,
            input_cached,
            cache_write,
            output_visible,
            reasoning,
            input_audio,
            audio_millis,
            web_search,
        ] = buckets;
        let tool_calls = ToolCalls { web_search };
        Ok(Some(Some(Usage {
            input_uncached,
            input_cached,
            cache_write,
            output_visible,
            reasoning,
            input_audio,
            audio_millis,
            tool_calls,
        })))
    }
}

fn is_absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Makes an entry of its stored form.
struct Reader;

macro_rules! positions {
    (always: $($always:ident)+; if_known: $($known:ident)+;) => {
        /// The stored form, JSON text.
        pub(super) fn to_body(entry: &Entry) -> serde_json::Result<Vec<u8>> {
            let known = [$(!is_absent(&entry.$known)),+];
            let mut left = known.iter().rposition(|known| *known).map_or(0, |last| last + 1);
            let mut body = Vec::with_capacity(TYPICAL_BYTES);
            body.push(b'[');
            FORM.write(&mut body)?;
            $(body.push(b',');
            entry.$always.write(&mut body)?;)+
            $(if left > 0 {
                body.push(b',');
                entry.$known.write(&mut body)?;
                left -= 1;
            })+
            debug_assert_eq!(left, 0);
            body.push(b']');
            Ok(body)
        }

        impl<'de> Visitor<'de> for Reader {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attempt as an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
                let form: Option<u64> = seq.next_element()?;
                if form != Some(FORM) {
                    return Err(A::Error::custom("the form of the record is not known to this version of the program"));
                }
                let missing = |name| A::Error::custom(format_args!("`{name}` is missing"));
                $(let $always = Value::read(&mut seq)?.ok_or_else(|| missing(stringify!($always)))?;)+
                $(let $known = Value::read(&mut seq)?.unwrap_or_default();)+
                if seq.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("the record has more fields than this version of the program knows"));
                }
                Ok(Entry { $($always,)+ $($known,)+ })
            }
        }
    };
}

positions! {
    always:
        id request_id attempt outcome resident key_id plan operation stream choices client_left assignment
        provider host region request_model sent_model currency cost_lower_nanos cost_upper_nanos
        rate_micros rate_date price_row uplift_percent ceiling_euro_nanos charged day month year
        received_at ended_at length_class;
    // At the end what few entries have; a new field goes behind the last.
    if_known:
        error_type account route probability_ppm response_model upstream_id upstream_request_id finish_reason
        usage usage_consistent usage_raw cost_nanos cost_euro_nanos
        overhead_micros first_chunk_micros first_text_micros duration_micros output_chars
        service_tier http_status retried
        local_passages local_hour epoch time_block;
}

/// Understands a stored attempt, of this form or of the one before it.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<Entry> {
    if !body.starts_with(b"[") {
        return serde_json::from_slice(body);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let entry = json.deserialize_seq(Reader)?;
    json.end()?;
    Ok(entry)
}

#[cfg(test)]
mod tests;
