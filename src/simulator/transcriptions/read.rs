//! A form to what was asked, or to the vendor's refusal.

use providers::Dialect;
use providers::catalogue::Operation;
use serde_json::Value;

use super::super::forms;
use super::super::refusal::{Refusal, detail};
use super::super::request::{Offer, Priced};
use super::super::sound;
use super::super::upload::{File, Form};
use super::shapes::{Details, Format};

/// Largest file at OpenAI: 25 MiB.
const OPENAI_BYTES: u64 = 25 << 20;
/// Largest file at Mistral: 500 MB.
const MISTRAL_BYTES: u64 = 500_000_000;
/// Shortest sound at OpenAI.
const SHORTEST_MILLIS: u64 = 100;
/// Length of a recording behind an address.
const REMOTE_MILLIS: u64 = 60_000;
/// File names that OpenAI takes.
const EXTENSIONS: [&str; 9] = ["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "wav", "webm"];

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) priced: Priced,
    pub(super) millis: u64,
    /// Whether the vendor counts whole seconds of it.
    pub(super) whole_seconds: bool,
    pub(super) prompt: String,
    pub(super) format: Format,
    pub(super) stream: bool,
    language: Option<String>,
    words: bool,
    segments: bool,
    diarize: bool,
    logprobs: bool,
}

impl Asked {
    /// Reads a form.
    ///
    /// # Errors
    /// What the vendor would answer to it.
    pub(super) fn read(offer: Offer<'_>, form: &Form) -> Result<Self, Refusal> {
        let reader = Reader { dialect: offer.dialect, form };
        reader.names()?;
        let Some(id) = form.text("model") else { return Err(reader.missing("model")) };
        let priced = offer.model(id, Operation::Transcription)?;
        let whisper = priced.model.id.starts_with("whisper");
        let millis = reader.sound(&priced)?;
        let format = reader.format(&priced, whisper)?;
        let language = reader.language()?;
        let most = if offer.dialect == Dialect::Mistral { f64::MAX } else { 1.0 };
        reader.temperature(most)?;
        let (words, segments) = reader.granularities(format)?;
        reader.model_takes(&priced, format)?;
        let stream = reader.switch("stream")? && !whisper;
        if stream && format != Format::Json && offer.dialect != Dialect::Mistral {
            return Err(reader.invalid("stream", "a response_format of json to stream", "true"));
        }
        Ok(Self {
            whole_seconds: whisper,
            prompt: form.text("prompt").unwrap_or_default().to_owned(),
            diarize: reader.switch("diarize")?,
            logprobs: form.all("include").next().is_some(),
            priced,
            millis,
            format,
            stream,
            language,
            words,
            segments,
        })
    }

    /// What the shapes of the answer need to know.
    pub(super) fn details(&self) -> Details {
        Details {
            millis: self.millis,
            language: self.language.clone(),
            words: self.words,
            segments: self.segments,
            diarize: self.diarize,
            logprobs: self.logprobs,
        }
    }
}

struct Reader<'a> {
    dialect: Dialect,
    form: &'a Form,
}

impl Reader<'_> {
    fn mistral(&self) -> bool {
        self.dialect == Dialect::Mistral
    }

    /// Unknown names are refused.
    fn names(&self) -> Result<(), Refusal> {
        let known = if self.mistral() { forms::MISTRAL_TRANSCRIPTIONS } else { forms::OPENAI_TRANSCRIPTIONS };
        let mut unknown = self.form.texts.iter().filter(|(name, _)| !known.contains(&name.as_str())).peekable();
        if self.mistral() {
            let details = unknown.map(|(name, text)| {
                let place = [Value::from(name.as_str())];
                detail("extra_forbidden", &place, "Extra inputs are not permitted", &text.as_str().into())
            });
            let details: Vec<Value> = details.collect();
            return if details.is_empty() { Ok(()) } else { Err(Refusal::details(&details)) };
        }
        match unknown.peek() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("Unknown parameter: '{name}'.");
                Err(Refusal::openai(400, &message, Some(name), Some("unknown_parameter")))
            }
        }
    }

    fn missing(&self, name: &str) -> Refusal {
        Refusal::missing(self.dialect, name)
    }

    fn invalid(&self, name: &str, expected: &str, given: &str) -> Refusal {
        Refusal::invalid(self.dialect, name, expected, &given.into())
    }

    /// OpenAI: fields that only some models have.
    fn model_takes(&self, priced: &Priced, format: Format) -> Result<(), Refusal> {
        if self.mistral() {
            return Ok(());
        }
        let id = &*priced.model.id;
        for name in ["languages", "keywords"] {
            if self.form.all(name).next().is_some() && id != "gpt-transcribe" {
                let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
                return Err(Refusal::openai(400, &message, Some(name), Some("unsupported_parameter")));
            }
        }
        match self.form.all("include").next() {
            None => Ok(()),
            Some("logprobs") if id.starts_with("gpt-4o") && format == Format::Json => Ok(()),
            Some(other) => Err(self.invalid("include", "logprobs, of a model that has them, in json", other)),
        }
    }

    /// The length of the sound, within the vendor's limits.
    fn sound(&self, priced: &Priced) -> Result<u64, Refusal> {
        let millis = match &self.form.file {
            Some(file) => self.file(file)?,
            None if self.mistral() && self.form.text("file_url").is_some() => REMOTE_MILLIS,
            None if self.mistral() && self.form.text("file_id").is_some() => {
                return Err(Refusal::mistral(404, "File not found", "invalid_request_file", "3310"));
            }
            None => return Err(self.missing("file")),
        };
        let seconds = sound::seconds(millis);
        match priced.model.max_audio_seconds.filter(|most| seconds > *most) {
            None => Ok(millis),
            Some(most) if self.mistral() => {
                let message = format!("Audio of {seconds} seconds is longer than the {most} seconds allowed");
                Err(Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051"))
            }
            Some(most) => {
                let message = format!(
                    "audio duration {seconds} seconds is longer than {most} seconds which is the maximum for this model"
                );
                Err(Refusal::openai(400, &message, None, Some("invalid_value")))
            }
        }
    }

    fn file(&self, file: &File) -> Result<u64, Refusal> {
        let most = if self.mistral() { MISTRAL_BYTES } else { OPENAI_BYTES };
        if file.size > most {
            let message = format!("Maximum content size limit ({most}) exceeded ({} bytes read)", file.size);
            return Err(match self.mistral() {
                true => Refusal::mistral(413, &message, "invalid_request_file", "3310"),
                false => Refusal::openai(413, &message, None, None),
            });
        }
        let millis = sound::millis(&file.head, file.size);
        if self.mistral() {
            return if file.size > 0 { Ok(millis) } else { Err(self.invalid("file", "a file that is not empty", "")) };
        }
        let extension = file.name.rsplit_once('.').map(|(_, end)| end.to_lowercase()).unwrap_or_default();
        if !EXTENSIONS.contains(&extension.as_str()) {
            let message = format!("Invalid file format. Supported formats: {EXTENSIONS:?}");
            return Err(Refusal::openai(400, &message, Some("file"), None));
        }
        if millis < SHORTEST_MILLIS {
            let message = "Audio file is too short. Minimum audio length is 0.1 seconds.";
            return Err(Refusal::openai(400, message, Some("file"), Some("audio_too_short")));
        }
        Ok(millis)
    }

    fn format(&self, priced: &Priced, whisper: bool) -> Result<Format, Refusal> {
        let Some(given) = self.form.text("response_format") else { return Ok(Format::Json) };
        let Some(format) = Format::named(given) else {
            return Err(self.invalid("response_format", "json, text, srt, verbose_json or vtt", given));
        };
        if whisper || matches!(format, Format::Json | Format::Text) {
            return Ok(format);
        }
        let message = format!(
            "response_format '{given}' is not compatible with model '{}'. Use 'json' or 'text' instead.",
            priced.asked_id
        );
        Err(Refusal::openai(400, &message, Some("response_format"), Some("unsupported_value")))
    }

    fn language(&self) -> Result<Option<String>, Refusal> {
        let Some(given) = self.form.text("language") else { return Ok(None) };
        let good = given.len() == 2 && given.bytes().all(|letter| letter.is_ascii_lowercase());
        if good { Ok(Some(given.to_owned())) } else { Err(self.invalid("language", "a code of two letters", given)) }
    }

    fn temperature(&self, most: f64) -> Result<(), Refusal> {
        let Some(given) = self.form.text("temperature") else { return Ok(()) };
        match given.parse::<f64>() {
            Ok(number) if (0.0..=most).contains(&number) => Ok(()),
            _ => Err(self.invalid("temperature", "a number of 0 or more", given)),
        }
    }

    /// Whether words and segments are wanted.
    fn granularities(&self, format: Format) -> Result<(bool, bool), Refusal> {
        let name = "timestamp_granularities";
        if let Some(other) = self.form.all(name).find(|given| !["word", "segment"].contains(given)) {
            return Err(self.invalid(name, "word or segment", other));
        }
        let wants = |wanted: &str| self.form.all(name).any(|given| given == wanted);
        let any = self.form.all(name).next().is_some();
        if any && !self.mistral() && format != Format::Verbose {
            return Err(self.invalid(name, "a response_format of verbose_json beside it", "json"));
        }
        // OpenAI's verbose answer has segments unless only words were wanted.
        Ok((wants("word"), wants("segment") || (!any && !self.mistral())))
    }

    fn switch(&self, name: &str) -> Result<bool, Refusal> {
        match self.form.text(name).map(str::to_lowercase).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(self.invalid(name, "a valid boolean", other)),
        }
    }
}
