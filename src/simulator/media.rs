//! Images, sounds and files inside messages: whether the model takes them, whether they decode, what they count.
//!
//! It must not know tools, prices or the pace of an answer.

use data_encoding::BASE64;
use providers::Dialect;
use providers::catalogue::Model;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::sound;

/// Input tokens of one image, unless its vendor's most is less.
const IMAGE_TOKENS: u64 = 765;
/// Input tokens of one image in low detail.
const LOW_DETAIL_TOKENS: u64 = 85;
/// Input tokens of a document behind an address.
const DOCUMENT_TOKENS: u64 = 1000;
/// Bytes of a file that make one token.
const FILE_BYTES_PER_TOKEN: u64 = 64;
/// Input tokens of a second of sound, where sound is billed by tokens.
pub(super) const AUDIO_TOKENS_PER_SECOND: u64 = 10;
/// Length of a recording behind an address.
const REMOTE_AUDIO_MILLIS: u64 = 30_000;
/// Image formats that both vendors take.
const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What the parts other than text come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Media {
    /// Input tokens of images and files.
    pub(super) tokens: u64,
    /// Input tokens of sound.
    pub(super) audio_tokens: u64,
    /// Length of the sound, where it is billed by time.
    pub(super) audio_millis: u64,
}

impl Media {
    /// Looks at the parts of all messages; `list` is what they are called in the request, `before` how many of them
    /// are not from there.
    ///
    /// # Errors
    /// The vendor's refusal of the first part that the model does not take.
    pub(super) fn of(
        dialect: Dialect,
        model: &Model,
        (list, before): (&str, usize),
        messages: &[&Map<String, Value>],
    ) -> Result<Self, Refusal> {
        let mut media = Self::default();
        for (at, message) in messages.iter().enumerate() {
            let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
            for (index, part) in parts.enumerate() {
                let reader = Part {
                    dialect,
                    model,
                    place: format!("{list}[{}].content[{index}]", at.saturating_sub(before)),
                    part,
                };
                reader.read(&mut media)?;
            }
        }
        Ok(media)
    }

    /// All input tokens.
    pub(super) fn input_tokens(&self) -> u64 {
        self.tokens + self.audio_tokens
    }
}

/// One part of a message, at a place.
pub(super) struct Part<'a> {
    pub(super) dialect: Dialect,
    pub(super) model: &'a Model,
    pub(super) place: String,
    pub(super) part: &'a Value,
}

impl Part<'_> {
    /// Adds what the part counts.
    ///
    /// # Errors
    /// The vendor's refusal.
    pub(super) fn read(&self, media: &mut Media) -> Result<(), Refusal> {
        let part = self.part;
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "image_url" => {
                let image = part.get("image_url").unwrap_or(&Value::Null);
                let url = image.as_str().or_else(|| image.get("url")?.as_str()).unwrap_or_default();
                media.tokens += self.image(url, image.get("detail"), "image_url")?;
            }
            "input_image" => {
                let url = part.get("image_url").and_then(Value::as_str).unwrap_or_default();
                media.tokens += self.image(url, part.get("detail"), "input_image")?;
            }
            "input_audio" => self.sound(media)?,
            "file" if self.dialect == Dialect::Mistral => {
                let id = part.get("file_id").and_then(Value::as_str).unwrap_or_default();
                return Err(self.bad_file(&format!("File {id} was not found")));
            }
            "file" => media.tokens += self.file(part.get("file").unwrap_or(&Value::Null), "file")?,
            "input_file" => media.tokens += self.file(part, "input_file")?,
            "document_url" => media.tokens += DOCUMENT_TOKENS,
            _ => {}
        }
        Ok(())
    }

    fn image(&self, url: &str, detail: Option<&Value>, kind: &str) -> Result<u64, Refusal> {
        if !self.model.vision {
            return Err(self.not_taken(kind));
        }
        if let Some(data) = url.strip_prefix("data:") {
            let (head, data) = data.split_once(',').unwrap_or_default();
            let kind = head.strip_suffix(";base64").unwrap_or_default();
            if !IMAGE_TYPES.contains(&kind) {
                return Err(self.bad_image(
                    "You uploaded an unsupported image. Please make sure your image has of one the following formats: \
                     ['png', 'jpeg', 'gif', 'webp'].",
                    "invalid_image_format",
                ));
            }
            if data.is_empty() || BASE64.decode(data.as_bytes()).is_err() {
                return Err(self.bad_image("Invalid base64 image_url.", "invalid_base64"));
            }
        } else if !url.starts_with("http://") && !url.starts_with("https://") {
            let message = format!(
                "Invalid '{}.image_url.url'. Expected a valid URL, but got a value with an invalid format.",
                self.place
            );
            return Err(self.bad_image(&message, "invalid_value"));
        }
        let low = detail.is_some_and(|detail| detail == "low");
        let tokens = if low { LOW_DETAIL_TOKENS } else { IMAGE_TOKENS };
        Ok(self.model.image_tokens.map_or(tokens, |most| most.min(tokens)))
    }

    fn sound(&self, media: &mut Media) -> Result<(), Refusal> {
        if !self.model.audio_input {
            return Err(self.not_taken("input_audio"));
        }
        let sound = self.part.get("input_audio").unwrap_or(&Value::Null);
        let data = sound.as_str().or_else(|| sound.get("data")?.as_str()).unwrap_or_default();
        let mistral = self.dialect == Dialect::Mistral;
        if mistral && data.starts_with("http") {
            media.audio_millis += REMOTE_AUDIO_MILLIS;
            return Ok(());
        }
        let plain = data.split_once(";base64,").map_or(data, |(_, data)| if mistral { data } else { "" });
        let Ok(bytes) = BASE64.decode(plain.as_bytes()) else {
            return Err(self.bad_file("The audio could not be decoded from base64."));
        };
        if bytes.is_empty() {
            return Err(self.bad_file("The audio is empty, or not plain base64."));
        }
        let seconds = sound::seconds(sound::millis(&bytes, bytes.len() as u64)).max(1);
        if self.model.max_audio_seconds.is_some_and(|most| seconds > most) {
            return Err(self.bad_file("The audio is too long for this model."));
        }
        if mistral {
            media.audio_millis += seconds * 1000;
        } else {
            media.audio_tokens += seconds * AUDIO_TOKENS_PER_SECOND;
        }
        Ok(())
    }

    fn file(&self, file: &Value, kind: &str) -> Result<u64, Refusal> {
        if !self.model.file_input {
            return Err(self.not_taken(kind));
        }
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        if let Some(id) = text("file_id") {
            let message = format!("No such File object: {id}");
            return Err(Refusal::openai(404, &message, Some("id"), None));
        }
        if text("file_url").is_some() {
            return Ok(DOCUMENT_TOKENS);
        }
        let Some(data) = text("file_data") else {
            let place = format!("{}.file_data", self.place);
            return Err(Refusal::missing(self.dialect, &place));
        };
        if text("filename").is_none() {
            let place = format!("{}.filename", self.place);
            return Err(Refusal::missing(self.dialect, &place));
        }
        let data = data.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
        match data.map(|(_, data)| BASE64.decode(data.as_bytes())) {
            Some(Ok(bytes)) if !bytes.is_empty() => Ok((bytes.len() as u64).div_ceil(FILE_BYTES_PER_TOKEN)),
            _ => Err(self.bad_file("Invalid file data: expected a base64-encoded data URL with a MIME type.")),
        }
    }

    fn not_taken(&self, kind: &str) -> Refusal {
        if self.dialect == Dialect::Mistral {
            let message = format!("{kind} content is not supported by this model");
            return Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051");
        }
        let message = format!("Invalid content type. {kind} is only supported by certain models.");
        Refusal::openai(400, &message, Some(&format!("{}.type", self.place)), None)
    }

    fn bad_image(&self, message: &str, code: &str) -> Refusal {
        if self.dialect == Dialect::Mistral {
            return self.bad_file("The image could not be loaded as a valid image");
        }
        Refusal::openai(400, message, Some(&self.place), Some(code))
    }

    fn bad_file(&self, message: &str) -> Refusal {
        if self.dialect == Dialect::Mistral {
            return Refusal::mistral(400, message, "invalid_request_file", "3310");
        }
        Refusal::openai(400, message, Some(&self.place), Some("invalid_value"))
    }
}
