//! Ids of tool calls as Mistral wants them: exactly nine letters or digits.
//!
//! The same id always gives the same nine characters, so a call and its result still belong together on every turn,
//! without any state.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::chat::InvalidRequest;

const LENGTH: usize = 9;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id that Mistral gets for a client's `id`: itself where it fits, else nine characters of its hash.
pub(crate) fn for_mistral(id: &str) -> String {
    if id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let hash = Sha256::digest(id.as_bytes());
    hash.iter().take(LENGTH).map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])).collect()
}

/// The tool calls of an assistant message, with ids that fit and without what Mistral does not know.
///
/// # Errors
/// [`InvalidRequest`] for a call of a tool that is no function.
pub(super) fn calls_for_mistral(place: &str, calls: &[Value]) -> Result<Value, InvalidRequest> {
    let one = |(index, call): (usize, &Value)| {
        let Some(function) = call.get("function") else {
            let text = "Only calls of functions are supported with this model.";
            return Err(InvalidRequest::unsupported(place, text));
        };
        let id = call
            .get("id")
            .and_then(Value::as_str)
            .map_or_else(|| for_mistral(&format!("{place}:{index}")), for_mistral);
        let arguments = function.get("arguments").cloned().unwrap_or_else(|| "{}".into());
        Ok(json!({
            "id": id,
            "type": "function",
            "function": {"name": function.get("name"), "arguments": arguments},
        }))
    };
    calls.iter().enumerate().map(one).collect()
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
