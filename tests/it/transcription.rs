//! A recording goes up, its text comes down, and it is paid by the minute; the file comes before the model, as usual.

use axum::body::Body;
use axum::http::Request;
use passerelle::ledger::Outcome;
use serde_json::json;

use crate::support::{Step, TestGateway};

const BOUNDARY: &str = "----une-frontiere";

pub fn form(key: &str, file: Option<&[u8]>, fields: &[(&str, &str)]) -> Request<Body> {
    let mut body = Vec::new();
    if let Some(file) = file {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"Jeanne Martin.wav\"\r\ncontent-type: audio/wav\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Request::post("/v1/audio/transcriptions")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Body::from(body))
        .unwrap()
}

pub fn whisper() -> Step {
    let body = json!({
        "text": "La mairie ouvre à neuf heures.", "language": "french", "duration": 90.0,
        "segments": [{"start": 0.0, "end": 90.0, "text": " La mairie ouvre à neuf heures."}],
        "usage": {"type": "duration", "seconds": 90},
    });
    Step::Body("application/json", body.to_string())
}

pub fn voxtral() -> Step {
    let body = json!({
        "model": "voxtral-mini-2602", "text": "La mairie ouvre à neuf heures.", "language": "fr",
        "segments": [{"start": 0.0, "end": 90.0, "text": "La mairie ouvre à neuf heures."}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13, "prompt_audio_seconds": 90},
    });
    Step::Body("application/json", body.to_string())
}

#[tokio::test]
async fn either_vendor_writes_down_a_recording_and_is_paid_by_the_minute() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let recording = vec![7; 700_000];
    // 0.006 and 0.003 USD a minute.
    for (model, vendor, step, nanos) in [
        ("whisper-1", &gateway.openai, whisper as fn() -> Step, 9_000_000),
        ("voxtral-mini-latest", &gateway.mistral, voxtral as fn() -> Step, 4_500_000),
    ] {
        for (format, expected) in [
            ("json", "\"text\":\"La mairie ouvre à neuf heures.\""),
            ("text", "La mairie ouvre à neuf heures.\n"),
            ("srt", "1\n00:00:00,000 --> 00:01:30,000\nLa mairie ouvre à neuf heures.\n\n"),
            ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:01:30.000\nLa mairie ouvre à neuf heures.\n\n"),
            ("verbose_json", "\"duration\":90.0"),
        ] {
            vendor.script([step()]);
            let fields = [("model", model), ("response_format", format), ("language", "fr")];
            let answer = gateway.send(form(&key, Some(&recording), &fields)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains(expected), "{format}: {}", answer.text());
            let entry = gateway.entries().pop().unwrap();
            assert_eq!((entry.operation.as_str(), entry.outcome), ("transcription", Outcome::Completed));
            assert_eq!((entry.cost_nanos, entry.usage.unwrap().audio_millis), (Some(nanos), 90_000));
            assert!(entry.cost_euro_nanos.unwrap() <= entry.ceiling_euro_nanos);
            let call = vendor.calls().pop().unwrap();
            assert_eq!(call.path, "/v1/audio/transcriptions");
            let sent = String::from_utf8_lossy(&call.raw);
            assert!(sent.contains("filename=\"audio.wav\"") && !sent.contains("Jeanne"), "a name is nobody's business");
            assert!(call.raw.windows(recording.len()).any(|window| window == recording), "every byte arrives");
        }
    }
    gateway.settled().await;
}

#[tokio::test]
async fn a_recording_is_tried_again_as_a_whole() {
    let gateway = TestGateway::with("[upstream]\nmax_attempts = 2").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Status(500, String::new()), whisper()]);
    let recording = vec![9; 300_000];
    assert_eq!(gateway.send(form(&key, Some(&recording), &[("model", "whisper-1")])).await.status, 200);
    let calls = gateway.openai.calls();
    assert!(
        calls.len() == 2
            && calls.iter().all(|call| call.raw.windows(recording.len()).any(|window| window == recording))
    );
    gateway.settled().await;
}

#[tokio::test]
async fn text_that_comes_as_it_is_understood_comes_in_openais_events() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    let mistral = "event: transcription.language\ndata: {\"type\":\"transcription.language\",\"audio_language\":\"fr\"}\n\nevent: transcription.text.delta\ndata: {\"type\":\"transcription.text.delta\",\"text\":\"Oui.\"}\n\nevent: transcription.done\ndata: {\"type\":\"transcription.done\",\"model\":\"voxtral-mini-2602\",\"text\":\"Oui.\",\"language\":\"fr\",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6,\"prompt_audio_seconds\":60}}\n\n";
    gateway.mistral.script([Step::Body("text/event-stream", mistral.to_owned())]);
    let answer = gateway.send(form(&key, Some(b"RIFF"), &[("model", "voxtral-mini-latest"), ("stream", "true")])).await;
    let text = answer.text();
    assert!(text.contains("{\"type\":\"transcript.text.delta\",\"delta\":\"Oui.\"}"), "{text}");
    assert!(text.contains("\"type\":\"transcript.text.done\"") && !text.contains("transcription.language"), "{text}");
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.cost_nanos, entry.output_chars), (Outcome::Completed, Some(3_000_000), Some(4)));
    gateway.settled().await;
}

#[tokio::test]
async fn forms_that_make_no_sense_are_refused_and_reach_nobody() {
    let gateway = TestGateway::with("[server]\nmax_upload_bytes = 100000").await;
    let key = gateway.resident();
    for (request, status, param) in [
        (form(&key, None, &[("model", "whisper-1")]), 400, Some("file")),
        (form(&key, Some(b"RIFF"), &[]), 400, Some("model")),
        (
            form(&key, Some(b"RIFF"), &[("model", "whisper-1"), ("response_format", "pdf")]),
            400,
            Some("response_format"),
        ),
        (form(&key, Some(b"RIFF"), &[("model", "whisper-1"), ("stream", "perhaps")]), 400, Some("stream")),
        (
            form(&key, Some(b"RIFF"), &[("model", "voxtral-mini-latest"), ("response_format", "diarized_json")]),
            400,
            Some("response_format"),
        ),
        (form(&key, Some(b"RIFF"), &[("model", "gpt-6-luna")]), 404, Some("model")),
        (form(&key, Some(&vec![0; 100_001]), &[("model", "whisper-1")]), 413, None),
        (form("psk-wrong", Some(b"RIFF"), &[("model", "whisper-1")]), 401, None),
        (TestGateway::post("/v1/audio/transcriptions", &key, &json!({"model": "whisper-1"})), 400, None),
    ] {
        let answer = gateway.send(request).await;
        assert_eq!(answer.refusal().0, status, "{}", answer.text());
        assert_eq!(answer.json()["error"]["param"].as_str(), param, "{}", answer.text());
    }
    assert!(gateway.openai.calls().is_empty() && gateway.mistral.calls().is_empty());
    let left: Vec<_> = std::fs::read_dir(&gateway.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "no recording stays: {left:?}");
}
