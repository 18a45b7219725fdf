//! Chunks that say what the one before said, but for the text: nearly all of a stream.
//!
//! Around its text such a chunk is the same to the byte, so what was read of the first holds for the others, and only the
//! text need be looked at. It must not know what a chunk means: whoever teaches a form answers for that.

/// What stands around the text of the last chunk whose text was all it said.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// Up to the first byte of the text. Copied: a slice would keep the whole buffer that it came in.
    before: Vec<u8>,
    /// From its closing quote on.
    after: Vec<u8>,
}

impl Form {
    /// Learns the form of `frame` around `text`, which must be a slice of it, as it stands between its quotes.
    pub(super) fn learn(&mut self, frame: &[u8], text: &str) {
        let start = (text.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
        let end = start.saturating_add(text.len());
        if is_plain(text) && end < frame.len() && frame[end] == b'"' {
            for (kept, new) in [(&mut self.before, &frame[..start]), (&mut self.after, &frame[end..])] {
                kept.clear();
                kept.extend_from_slice(new);
            }
        }
    }

    /// The text of a frame of the same form; `None` for one that needs to be read.
    pub(super) fn text<'a>(&self, frame: &'a [u8]) -> Option<&'a str> {
        if self.after.is_empty() {
            return None;
        }
        let text = frame.strip_prefix(&self.before[..])?.strip_suffix(&self.after[..])?;
        std::str::from_utf8(text).ok().filter(|text| is_plain(text))
    }
}

/// Whether a text is there and stands in JSON as it is: then the quote after it is the one that ends it.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn learned(frame: &'static str, text: &str) -> Form {
        let start = frame.find(text).unwrap();
        let mut form = Form::default();
        form.learn(frame.as_bytes(), &frame[start..start + text.len()]);
        form
    }

    #[test]
    fn only_what_differs_in_its_text_alone_is_of_the_same_form() {
        let form = learned("data: {\"a\":\"texte\",\"b\":1}\n\n", "texte");
        assert_eq!(form.text("data: {\"a\":\"é\",\"b\":1}\n\n".as_bytes()), Some("é"));
        for other in [
            "data: {\"a\":\"\",\"b\":1}\n\n",
            "data: {\"a\":\"x\",\"b\":2}\n\n",
            "data: {\"a\":\"x\",\"c\":\"\",\"b\":1}\n\n",
            "data: {\"a\":\"x\\\",\"b\":1}\n\n",
            "data: {\"a\":\"\\n\",\"b\":1}\n\n",
            "data: {\"a\":\"x\n\",\"b\":1}\n\n",
            "data: {\"a\":\"",
            "",
        ] {
            assert_eq!(form.text(other.as_bytes()), None, "{other}");
        }
        assert_eq!(form.text(b"data: {\"a\":\"\xff\",\"b\":1}\n\n"), None, "not a text");
        assert_eq!(Form::default().text(b""), None);
    }

    #[test]
    fn a_text_that_is_not_of_the_frame_teaches_nothing() {
        let mut form = Form::default();
        form.learn(b"{\"a\":\"text\"}", "elsewhere");
        assert_eq!(form.text(b"{\"a\":\"text\"}"), None);
    }

    proptest! {
        #[test]
        fn the_text_is_what_json_says(text in any::<String>()) {
            let form = learned("data: {\"a\":\"texte\",\"b\":1}\n\n", "texte");
            let frame = format!("data: {{\"a\":{},\"b\":1}}\n\n", serde_json::json!(text));
            if let Some(found) = form.text(frame.as_bytes()) {
                prop_assert_eq!(found, text);
            }
        }
    }
}
