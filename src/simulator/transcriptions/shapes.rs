//! A transcript in the shapes of both vendors, whole and as events.

use std::fmt::Write as _;

use providers::Dialect;
use serde_json::{Value, json};

use super::super::answer::{Answer, Choice};
use super::super::sound;
use super::super::stream::Frames;
use super::super::tokens;

/// The language of what is heard, where the caller does not say.
const LANGUAGE: &str = "fr";
const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// How OpenAI writes a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
    Srt,
    Verbose,
    Vtt,
}

impl Format {
    /// The format of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "verbose_json" => Self::Verbose,
            "vtt" => Self::Vtt,
            _ => return None,
        })
    }
}

/// What the shapes show beside the text.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) millis: u64,
    pub(super) language: Option<String>,
    pub(super) words: bool,
    pub(super) segments: bool,
    pub(super) diarize: bool,
    pub(super) logprobs: bool,
}

/// A transcript.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) answer: Answer,
    pub(super) details: Details,
}

/// A stretch of a transcript, in milliseconds from its start.
struct Stretch<'a> {
    text: &'a str,
    start: u64,
    end: u64,
}

impl Transcript {
    /// The content type and the body of the whole answer.
    pub(super) fn whole(&self, format: Format) -> (&'static str, String) {
        let text = text_of(&self.answer);
        if self.answer.dialect == Dialect::Mistral {
            return (JSON, self.details.mistral_whole(&self.answer).to_string());
        }
        match format {
            Format::Json => {
                let answer = json!({"text": text, "usage": openai_usage(&self.answer)});
                (JSON, self.details.with_logprobs(answer, text).to_string())
            }
            Format::Verbose => (JSON, self.details.verbose(&self.answer).to_string()),
            Format::Text => (PLAIN, format!("{text}\n")),
            Format::Srt => (PLAIN, subtitles(&self.details.stretches(text), ',', true)),
            Format::Vtt => (PLAIN, format!("WEBVTT\n\n{}", subtitles(&self.details.stretches(text), '.', false))),
        }
    }
}

impl Details {
    fn language(&self) -> &str {
        self.language.as_deref().unwrap_or(LANGUAGE)
    }

    /// The sentences, or the words, each with as much time as it has tokens.
    fn cut<'a>(&self, text: &'a str, words: bool) -> Vec<Stretch<'a>> {
        let ends = |letter: char| if words { letter == ' ' } else { matches!(letter, '.' | '!' | '?') };
        let all = tokens::count(text).max(1);
        let mut before = 0;
        let stretches = text.split_inclusive(ends).filter(|stretch| !stretch.trim().is_empty()).map(|stretch| {
            let start = self.millis * before.min(all) / all;
            before += tokens::count(stretch);
            Stretch { text: stretch, start, end: self.millis * before.min(all) / all }
        });
        stretches.collect()
    }

    fn stretches<'a>(&self, text: &'a str) -> Vec<Stretch<'a>> {
        self.cut(text, false)
    }

    fn with_logprobs(&self, mut answer: Value, text: &str) -> Value {
        if self.logprobs {
            let logprobs =
                tokens::pieces(text).map(|token| json!({"token": token, "logprob": -0.1, "bytes": token.as_bytes()}));
            answer["logprobs"] = logprobs.collect();
        }
        answer
    }

    fn verbose(&self, answer: &Answer) -> Value {
        let text = text_of(answer);
        let language = match self.language() {
            "fr" => "french",
            "en" => "english",
            other => other,
        };
        let mut verbose = json!({
            "task": "transcribe", "language": language, "duration": seconds(self.millis), "text": text,
            "usage": openai_usage(answer),
        });
        if self.segments {
            let segments = self.stretches(text).into_iter().enumerate().map(|(id, stretch)| {
                json!({
                    "id": id, "seek": 0, "start": seconds(stretch.start), "end": seconds(stretch.end),
                    "text": stretch.text, "tokens": [50364], "temperature": 0.0, "avg_logprob": -0.25,
                    "compression_ratio": 1.4, "no_speech_prob": 0.01,
                })
            });
            verbose["segments"] = segments.collect();
        }
        if self.words {
            let words = self
                .cut(text, true)
                .into_iter()
                .map(|word| json!({"word": word.text.trim(), "start": seconds(word.start), "end": seconds(word.end)}));
            verbose["words"] = words.collect();
        }
        verbose
    }

    fn mistral_segments(&self, text: &str) -> Vec<Value> {
        if !self.segments && !self.words {
            return Vec::new();
        }
        let segments = self.cut(text, self.words).into_iter().map(|stretch| {
            let mut segment = json!({
                "type": "transcription_segment", "text": stretch.text, "start": seconds(stretch.start),
                "end": seconds(stretch.end),
            });
            if self.diarize {
                segment["speaker_id"] = "speaker_1".into();
            }
            segment
        });
        segments.collect()
    }

    fn mistral_whole(&self, answer: &Answer) -> Value {
        let text = text_of(answer);
        json!({
            "model": answer.model,
            "text": text,
            "language": self.language,
            "segments": self.mistral_segments(text),
            "usage": mistral_usage(answer),
        })
    }
}

/// OpenAI's events, without names.
#[derive(Debug)]
pub(super) struct OpenaiEvents {
    pub(super) details: Details,
}

impl Frames for OpenaiEvents {
    fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        if let Some(piece) = piece_of(answer, step) {
            let _ = write!(out, "data: {}\n\n", json!({"type": "transcript.text.delta", "delta": piece}));
        }
        if last {
            let text = text_of(answer);
            let done = json!({"type": "transcript.text.done", "text": text, "usage": openai_usage(answer)});
            let done = self.details.with_logprobs(done, text);
            let _ = write!(out, "data: {done}\n\ndata: [DONE]\n\n");
        }
    }
}

/// Mistral's events, named.
#[derive(Debug)]
pub(super) struct MistralEvents {
    pub(super) details: Details,
}

impl Frames for MistralEvents {
    fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String) {
        let mut event = |name: &str, mut data: Value| {
            data["type"] = name.into();
            let _ = write!(out, "event: {name}\ndata: {data}\n\n");
        };
        if step == 0 {
            event("transcription.language", json!({"audio_language": self.details.language()}));
        }
        if let Some(piece) = piece_of(answer, step) {
            event("transcription.text.delta", json!({"text": piece}));
        }
        if last {
            for segment in self.details.mistral_segments(text_of(answer)) {
                event("transcription.segment", segment);
            }
            event("transcription.done", self.details.mistral_whole(answer));
        }
    }
}

fn choice_of(answer: &Answer) -> Option<&Choice> {
    answer.choices.first()
}

fn text_of(answer: &Answer) -> &str {
    choice_of(answer).map_or("", Choice::text)
}

fn piece_of(answer: &Answer, step: usize) -> Option<&str> {
    choice_of(answer)?.at(step).map(|(_, segment, place)| segment.piece(place))
}

/// OpenAI's usage: a duration, or tokens where they are billed.
fn openai_usage(answer: &Answer) -> Value {
    let used = &answer.tokens;
    if used.audio_millis > 0 {
        return json!({"type": "duration", "seconds": seconds(used.audio_millis)});
    }
    json!({
        "type": "tokens",
        "input_tokens": used.input,
        "input_token_details": {"text_tokens": used.input - used.audio, "audio_tokens": used.audio},
        "output_tokens": used.output,
        "total_tokens": used.input + used.output,
    })
}

fn mistral_usage(answer: &Answer) -> Value {
    let used = &answer.tokens;
    json!({
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_audio_seconds": sound::seconds(used.audio_millis),
    })
}

/// Milliseconds as a number of seconds: whole where they are.
fn seconds(millis: u64) -> Value {
    if millis.is_multiple_of(1000) {
        return (millis / 1000).into();
    }
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.parse::<f64>().map_or(Value::Null, Into::into)
}

/// SRT and WebVTT differ in the mark before the milliseconds and in the numbers.
fn subtitles(stretches: &[Stretch<'_>], mark: char, numbered: bool) -> String {
    let time = |millis: u64| {
        let (seconds, rest) = (millis / 1000, millis % 1000);
        format!("{:02}:{:02}:{:02}{mark}{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    };
    let mut out = String::new();
    for (index, stretch) in stretches.iter().enumerate() {
        if numbered {
            let _ = writeln!(out, "{}", index + 1);
        }
        let _ = write!(out, "{} --> {}\n{}\n\n", time(stretch.start), time(stretch.end), stretch.text.trim());
    }
    out
}
