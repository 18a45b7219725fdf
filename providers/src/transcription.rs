//! Transcriptions: a recording in, its text out, in every form that OpenAI's clients ask for, from both vendors.
//!
//! Vendors report usage in JSON answers only, so JSON is what they are asked for; plain text and subtitles are written
//! here. It must not know how a recording is received.

mod answer;
mod events;

use crate::catalogue::{Model, UsageBound};
use crate::chat::InvalidRequest;
use crate::transport::Form;
use crate::upload::Upload;
use crate::upstream::CallContext;

pub(crate) use answer::answer;
pub(crate) use events::{MistralEvents, OpenaiEvents};

/// The form of an answer that is not streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptFormat {
    /// `{"text": …}`.
    Json,
    /// The text alone.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// Text with language, duration and segments.
    VerboseJson,
    /// Segments with speakers.
    DiarizedJson,
}

impl TranscriptFormat {
    /// Reads the name that OpenAI gives it.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            "verbose_json" => Self::VerboseJson,
            "diarized_json" => Self::DiarizedJson,
            _ => return None,
        })
    }

    /// Whether it needs to know when things were said.
    fn needs_segments(self) -> bool {
        matches!(self, Self::Srt | Self::Vtt | Self::VerboseJson)
    }
}

/// A received recording, and what is wanted of it.
#[derive(Clone, Debug)]
pub struct TranscriptionRequest {
    /// The model asked for.
    pub model: String,
    /// Whether the text is wanted as it comes.
    pub stream: bool,
    /// Form of the answer.
    pub format: TranscriptFormat,
    /// The recording.
    pub upload: Upload,
    /// The other fields, as they came.
    fields: Vec<(String, String)>,
}

/// Fields of OpenAI's published request that are passed on as they come.
const OPENAI_FIELDS: &[&str] = &[
    "language",
    "languages[]",
    "keywords[]",
    "prompt",
    "temperature",
    "include[]",
    "timestamp_granularities[]",
    "chunking_strategy",
    "known_speaker_names[]",
    "known_speaker_references[]",
];

impl TranscriptionRequest {
    /// Puts together what a form held.
    ///
    /// # Errors
    /// [`InvalidRequest`] that names a field that is missing or makes no sense.
    pub fn new(mut fields: Vec<(String, String)>, upload: Upload) -> Result<Self, InvalidRequest> {
        let mut take = |name: &str| {
            let at = fields.iter().position(|(key, _)| key == name)?;
            Some(fields.remove(at).1)
        };
        let model = take("model").filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| InvalidRequest::new("model", "You must provide a `model` parameter."))?;
        let stream = match take("stream").as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "") => false,
            Some("true") => true,
            Some(_) => return Err(InvalidRequest::new("stream", "`stream` must be true or false.")),
        };
        let format = match take("response_format") {
            None => TranscriptFormat::Json,
            Some(name) => TranscriptFormat::parse(&name).ok_or_else(|| {
                let text = "`response_format` must be json, text, srt, vtt, verbose_json or diarized_json.";
                InvalidRequest::new("response_format", text)
            })?,
        };
        Ok(Self { model, stream, format, upload, fields })
    }

    /// The most the call can use with `model`: the longest recording that the vendor takes, and its whole window.
    pub fn bound(model: &Model) -> UsageBound {
        UsageBound {
            tool_calls: 0,
            input_tokens: model.context_window,
            output_tokens: model.max_output_tokens.unwrap_or(model.context_window),
            audio_millis: model.max_audio_seconds.unwrap_or(0).saturating_mul(1_000),
        }
    }

    /// The form for OpenAI and compatible hosts.
    pub(crate) fn openai_form(&self, context: &CallContext<'_>, dropped: &mut Vec<String>) -> Form {
        let wanted = match self.format {
            TranscriptFormat::Json | TranscriptFormat::Text => "json",
            TranscriptFormat::Srt | TranscriptFormat::Vtt | TranscriptFormat::VerboseJson => "verbose_json",
            TranscriptFormat::DiarizedJson => "diarized_json",
        };
        let mut fields =
            vec![("model".to_owned(), context.model_id.to_owned()), ("response_format".to_owned(), wanted.to_owned())];
        if self.stream {
            fields.push(("stream".to_owned(), "true".to_owned()));
        }
        for (key, value) in &self.fields {
            // Mistral's clients write a list without brackets.
            let name = if key == "timestamp_granularities" { "timestamp_granularities[]" } else { key };
            if OPENAI_FIELDS.contains(&name) {
                fields.push((name.to_owned(), value.clone()));
            } else {
                note(dropped, key);
            }
        }
        Form { fields, file: self.upload.clone() }
    }

    /// The form for Mistral.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a form of answer that Mistral cannot give.
    pub(crate) fn mistral_form(
        &self,
        context: &CallContext<'_>,
        dropped: &mut Vec<String>,
    ) -> Result<Form, InvalidRequest> {
        if self.format == TranscriptFormat::DiarizedJson {
            return Err(InvalidRequest::unsupported("response_format", "This model gives no `diarized_json`."));
        }
        let mut fields = vec![("model".to_owned(), context.model_id.to_owned())];
        if self.stream {
            fields.push(("stream".to_owned(), "true".to_owned()));
        }
        let mut granularities = Vec::new();
        for (key, value) in &self.fields {
            match key.as_str() {
                "timestamp_granularities" | "timestamp_granularities[]" => granularities.push(value.clone()),
                // Its schema takes two letters and nothing else.
                "language" if value.len() == 2 => fields.push((key.clone(), value.clone())),
                "temperature" | "diarize" | "context_bias" => fields.push((key.clone(), value.clone())),
                _ => note(dropped, key),
            }
        }
        if granularities.is_empty() && self.format.needs_segments() {
            granularities.push("segment".to_owned());
        }
        fields.extend(granularities.into_iter().map(|value| ("timestamp_granularities".to_owned(), value)));
        Ok(Form { fields, file: self.upload.clone() })
    }
}

fn note(dropped: &mut Vec<String>, name: &str) {
    let name = name.trim_end_matches("[]");
    if !dropped.iter().any(|known| known == name) {
        dropped.push(name.to_owned());
    }
}
