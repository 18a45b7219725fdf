//! A whole transcript, from either vendor's JSON to the form asked for.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::TranscriptFormat;
use crate::error::ProviderError;
use crate::stream::{AnswerFacts, error_event, unreadable};
use crate::usage::ReportedUsage;

/// The media type of an answer, its bytes, and what the ledger needs of it.
type Whole = (&'static str, Bytes, AnswerFacts);

/// Reads a vendor's answer and writes it in `format`; `model` is the one sent.
///
/// # Errors
/// [`ProviderError`] for an answer that holds no text.
pub(crate) fn answer(
    format: TranscriptFormat,
    mistral: bool,
    model: &str,
    body: &Bytes,
) -> Result<Whole, ProviderError> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(error_event(error));
    }
    let text = answer.get("text").and_then(Value::as_str).ok_or_else(unreadable)?;
    let facts = AnswerFacts {
        response_model: answer.get("model").and_then(Value::as_str).map(str::to_owned),
        finish_reason: Some("stop".to_owned()),
        usage: answer.get("usage").and_then(ReportedUsage::from_transcription),
        output_chars: u64::try_from(text.chars().count()).unwrap_or(u64::MAX),
        ..AnswerFacts::default()
    };
    let (media_type, out) = match format {
        TranscriptFormat::Text => ("text/plain; charset=utf-8", format!("{text}\n").into()),
        TranscriptFormat::Srt => ("application/x-subrip", srt(&answer).into()),
        TranscriptFormat::Vtt => ("text/vtt; charset=utf-8", vtt(&answer).into()),
        // OpenAI's own answer is in the client's form already.
        _ if !mistral => ("application/json", for_every_client(answer.clone(), model)),
        TranscriptFormat::Json | TranscriptFormat::DiarizedJson => {
            let mut out = json!({"text": text, "language": answer.get("language")});
            if let (Some(usage), Some(object)) = (client_usage(&facts), out.as_object_mut()) {
                object.insert("usage".to_owned(), usage);
            }
            ("application/json", for_every_client(out, answer.get("model").and_then(Value::as_str).unwrap_or(model)))
        }
        TranscriptFormat::VerboseJson => ("application/json", for_every_client(verbose(&answer, text, &facts), model)),
    };
    Ok((media_type, out, facts))
}

/// The keys without which Mistral's client refuses an answer; OpenAI's passes over them.
fn for_every_client(mut answer: Value, model: &str) -> Bytes {
    if let Some(object) = answer.as_object_mut() {
        object.entry("model").or_insert_with(|| model.into());
        object.entry("language").or_insert(Value::Null);
    }
    crate::to_json(&answer).into()
}

/// Usage as OpenAI words it for a model that is billed by time, or by tokens.
fn client_usage(facts: &AnswerFacts) -> Option<Value> {
    let usage = facts.usage.as_ref()?.usage;
    Some(if usage.audio_millis > 0 {
        json!({"type": "duration", "seconds": usage.audio_millis.div_ceil(1_000)})
    } else {
        token_usage(facts)?
    })
}

/// Usage as OpenAI words it at the end of a stream, always by tokens.
pub(super) fn token_usage(facts: &AnswerFacts) -> Option<Value> {
    let usage = facts.usage.as_ref()?.usage;
    Some(json!({
        "type": "tokens",
        "input_tokens": usage.input_tokens(),
        "output_tokens": usage.output_tokens(),
        "total_tokens": usage.total_tokens(),
    }))
}

fn segments(answer: &Value) -> impl Iterator<Item = (f64, f64, &str)> {
    answer.get("segments").and_then(Value::as_array).into_iter().flatten().filter_map(|segment| {
        let time = |key: &str| segment.get(key).and_then(Value::as_f64);
        Some((time("start")?, time("end")?, segment.get("text")?.as_str()?.trim()))
    })
}

/// OpenAI's verbose form. What Mistral does not measure is zero there, as the form has no way to leave it out.
fn verbose(answer: &Value, text: &str, facts: &AnswerFacts) -> Value {
    let reported = facts.usage.as_ref().map(|reported| reported.usage.audio_millis).filter(|millis| *millis > 0);
    let last_end = segments(answer).map(|(_, end, _)| end).fold(0.0, f64::max);
    let seconds = reported.map_or(last_end, |millis| std::time::Duration::from_millis(millis).as_secs_f64());
    let segments: Vec<Value> = segments(answer)
        .enumerate()
        .map(|(id, (start, end, text))| {
            json!({
                "id": id, "seek": 0, "start": start, "end": end, "text": text, "tokens": [], "temperature": 0.0,
                "avg_logprob": 0.0, "compression_ratio": 0.0, "no_speech_prob": 0.0,
            })
        })
        .collect();
    let mut out = json!({
        "task": "transcribe",
        "language": answer.get("language").and_then(Value::as_str).unwrap_or("unknown"),
        "duration": seconds,
        "text": text,
        "segments": segments,
    });
    if let (Some(millis), Some(object)) = (reported, out.as_object_mut()) {
        object.insert("usage".to_owned(), json!({"type": "duration", "seconds": millis.div_ceil(1_000)}));
    }
    out
}

fn srt(answer: &Value) -> String {
    let mut out = String::new();
    for (index, (start, end, text)) in segments(answer).enumerate() {
        let _ = write!(out, "{}\n{} --> {}\n{text}\n\n", index + 1, clock(start, ','), clock(end, ','));
    }
    out
}

fn vtt(answer: &Value) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for (start, end, text) in segments(answer) {
        let _ = write!(out, "{} --> {}\n{text}\n\n", clock(start, '.'), clock(end, '.'));
    }
    out
}

/// Hours, minutes, seconds and milliseconds, as subtitles write them.
fn clock(seconds: f64, separator: char) -> String {
    let millis = std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default().as_millis();
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{separator}{:03}", millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistral() -> Bytes {
        json!({
            "model": "voxtral-mini-2602", "text": "Bonjour. La mairie ouvre à neuf heures.", "language": "fr",
            "segments": [
                {"type": "transcription_segment", "text": " Bonjour.", "start": 0.0, "end": 0.9},
                {"type": "transcription_segment", "text": " La mairie ouvre à neuf heures.", "start": 0.9, "end": 3661.25},
            ],
            "usage": {"prompt_tokens": 4, "completion_tokens": 12, "total_tokens": 16, "prompt_audio_seconds": 4},
        })
        .to_string()
        .into()
    }

    fn written(format: TranscriptFormat) -> (&'static str, String, AnswerFacts) {
        let (kind, body, facts) = answer(format, true, "voxtral", &mistral()).unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap(), facts)
    }

    #[test]
    fn one_answer_gives_every_form() {
        let (kind, json, facts) = written(TranscriptFormat::Json);
        assert_eq!(kind, "application/json");
        assert!(json.contains(r#""usage":{"type":"duration","seconds":4}"#), "{json}");
        assert_eq!(facts.usage.unwrap().usage.audio_millis, 4_000);
        assert_eq!(written(TranscriptFormat::Text).1, "Bonjour. La mairie ouvre à neuf heures.\n");
        assert_eq!(
            written(TranscriptFormat::Srt).1,
            "1\n00:00:00,000 --> 00:00:00,900\nBonjour.\n\n2\n00:00:00,900 --> 01:01:01,250\nLa mairie ouvre à neuf heures.\n\n"
        );
        assert!(written(TranscriptFormat::Vtt).1.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:00.900\nBonjour.\n\n"));
        let verbose: Value = serde_json::from_str(&written(TranscriptFormat::VerboseJson).1).unwrap();
        assert_eq!((&verbose["duration"], &verbose["language"]), (&json!(4.0), &json!("fr")));
        assert_eq!(verbose["segments"][1]["end"], 3661.25);
    }

    #[test]
    fn an_answer_without_text_is_no_answer() {
        for body in ["{}", "<html>", r#"{"error":{"message":"no"}}"#] {
            assert!(answer(TranscriptFormat::Text, false, "m", &Bytes::from_static(body.as_bytes())).is_err());
        }
    }
}
