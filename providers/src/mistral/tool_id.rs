//! Ids of tool calls as Mistral wants them: exactly nine letters or digits.
//!
//! The same id always gives the same nine characters, so a call and its result still belong together on every turn,
//! without any state.

use serde_json::Value;
use sha2::{Digest, Sha256};

const LENGTH: usize = 9;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id that Mistral gets for a client's `id`: itself where it fits, else nine characters of its hash.
pub(super) fn for_mistral(id: &str) -> String {
    if id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let hash = Sha256::digest(id.as_bytes());
    hash.iter().take(LENGTH).map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])).collect()
}

/// The tool calls of an assistant message, with ids that fit and without what Mistral does not know.
pub(super) fn calls_for_mistral(calls: &Value) -> Value {
    let Some(calls) = calls.as_array() else { return calls.clone() };
    let one = |call: &Value| {
        let mut call = call.clone();
        if let Some(object) = call.as_object_mut() {
            object.retain(|key, value| ["id", "type", "function", "index"].contains(&key.as_str()) && !value.is_null());
            if let Some(id) = object.get("id").and_then(Value::as_str).map(for_mistral) {
                object.insert("id".to_owned(), id.into());
            }
        }
        call
    };
    calls.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_that_fits_stays_as_it_is() {
        assert_eq!(for_mistral("D681PevKs"), "D681PevKs");
        assert_ne!(for_mistral("call_abc123"), for_mistral("call_abc124"));
    }

    proptest! {
        #[test]
        fn every_id_becomes_nine_letters_or_digits_and_always_the_same(id in ".{0,60}") {
            let mapped = for_mistral(&id);
            prop_assert!(mapped.len() == LENGTH && mapped.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(&mapped, &for_mistral(&id));
            prop_assert_eq!(&mapped, &for_mistral(&mapped));
        }
    }
}
