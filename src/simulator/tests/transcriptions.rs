//! Transcriptions of both vendors: uploads that stream in, shapes, limits and the unit of price.

use axum::http::header;
use futures_util::stream;

use super::*;

const PATH: &str = "/v1/audio/transcriptions";
const BOUNDARY: &str = "passerelle-boundary";

/// A WAV header for that many milliseconds at 16,000 bytes a second, followed by silence.
fn wav(millis: u32) -> Vec<u8> {
    let size = millis * 16;
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(size + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&[1, 0, 1, 0]);
    file.extend_from_slice(&8000_u32.to_le_bytes());
    file.extend_from_slice(&16_000_u32.to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&size.to_le_bytes());
    file.resize(file.len() + usize::try_from(size).unwrap(), 0);
    file
}

fn field(name: &str, text: &str) -> Vec<u8> {
    format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").into_bytes()
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

/// Sends a form, in chunks that end anywhere.
async fn upload(router: &Router, parts: &[Vec<u8>]) -> (StatusCode, String, String) {
    let body = [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat();
    let chunks: Vec<Result<Bytes, std::io::Error>> =
        body.chunks(4099).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let request = Request::post(PATH)
        .header("authorization", "Bearer k")
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Body::from_stream(stream::iter(chunks)))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn json_of(router: &Router, parts: &[Vec<u8>]) -> Value {
    let (status, _, text) = upload(router, parts).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn transcription_usage(value: &Value) -> Usage {
    let reported = ReportedUsage::from_transcription(value).unwrap();
    assert!(reported.consistent);
    reported.usage
}

#[tokio::test]
async fn whisper_bills_whole_seconds_and_writes_in_five_formats() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    // The model after the file: parts come in any order.
    let parts = [file("a.wav", &wav(3250)), field("model", "whisper-1")];
    let answer = json_of(&router, &parts).await;
    assert_eq!(answer["usage"], json!({"type": "duration", "seconds": 4}));
    // 4 seconds of a minute that costs 6 thousandths of a dollar.
    let books = vendor.books();
    assert_eq!((books.audio_millis, books.output_tokens, books.billed_nanos), (4000, 0, 400_000));
    let as_format = |format: &str| [parts.to_vec(), vec![field("response_format", format)]].concat();
    let verbose = json_of(&router, &as_format("verbose_json")).await;
    assert_eq!((&verbose["duration"], &verbose["language"]), (&json!(3.25), &json!("french")));
    let segments = verbose["segments"].as_array().unwrap();
    assert_eq!((&segments[0]["start"], &segments.last().unwrap()["end"]), (&json!(0), &json!(3.25)));
    let words = [as_format("verbose_json"), vec![field("timestamp_granularities[]", "word")]].concat();
    let words = json_of(&router, &words).await;
    assert!(words["words"][0]["word"].is_string() && words.get("segments").is_none());
    let (_, kind, srt) = upload(&router, &as_format("srt")).await;
    assert!(kind.starts_with("text/plain") && srt.starts_with("1\n00:00:00,000 --> "), "{srt}");
    assert!(upload(&router, &as_format("vtt")).await.2.starts_with("WEBVTT\n\n00:00:00.000 --> "));
    assert!(!upload(&router, &as_format("text")).await.2.starts_with('{'));
    // It takes `stream` and answers whole.
    let streamed = [parts.to_vec(), vec![field("stream", "true")]].concat();
    assert!(json_of(&router, &streamed).await["text"].is_string());
    assert_eq!(vendor.books().answered, 7);
}

#[tokio::test]
async fn each_model_is_billed_by_its_unit() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let parts = [field("model", "gpt-4o-transcribe"), field("prompt", "Arcachon"), file("a.wav", &wav(2500))];
    let usage = transcription_usage(&json_of(&router, &parts).await["usage"]);
    assert_eq!((usage.input_audio, usage.input_uncached), (30, tokens::count("Arcachon")));
    let books = vendor.books();
    assert_eq!((books.audio_tokens, books.audio_millis), (30, 0));
    assert_eq!((books.input_tokens, books.output_tokens), (usage.input_tokens(), usage.output_tokens()));
    let exact = json_of(&router, &[field("model", "gpt-transcribe"), file("a.wav", &wav(2500))]).await;
    assert_eq!(exact["usage"], json!({"type": "duration", "seconds": 2.5}));
    assert_eq!(vendor.books().audio_millis, 2500);
    assert_eq!(vendor.books().models["gpt-transcribe"].audio_millis, 2500);
    // Other formats: a second for 16 KiB.
    let other = json_of(&router, &[field("model", "whisper-1"), file("a.mp3", &vec![7; 40_000])]).await;
    assert_eq!(other["usage"]["seconds"], 3);
}

#[tokio::test]
async fn openai_streams_data_frames_and_mistral_named_events() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let parts = [field("model", "gpt-4o-mini-transcribe"), field("stream", "true"), file("a.wav", &wav(5000))];
    let (_, kind, text) = upload(&router, &parts).await;
    assert!(kind.starts_with("text/event-stream"));
    let mut frames: Vec<&str> =
        text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(frames.pop(), Some("[DONE]"));
    let mut events: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    let done = events.pop().unwrap();
    assert_eq!(done["type"], "transcript.text.done");
    assert_eq!(
        events.iter().map(|event| event["delta"].as_str().unwrap()).collect::<String>(),
        done["text"].as_str().unwrap()
    );
    assert_eq!(transcription_usage(&done["usage"]).output_tokens(), vendor.books().output_tokens);

    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let parts = [
        file("a.wav", &wav(61_001)),
        field("model", "voxtral-mini-latest"),
        field("stream", "true"),
        field("timestamp_granularities", "segment"),
        field("diarize", "true"),
    ];
    let (_, _, text) = upload(&router, &parts).await;
    let events: Vec<(&str, Value)> = text
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            (name, serde_json::from_str(data).unwrap())
        })
        .collect();
    assert!(events.iter().all(|(name, data)| data["type"] == *name));
    let of = |wanted: &str| events.iter().filter(|(name, _)| *name == wanted).map(|(_, data)| data).collect::<Vec<_>>();
    assert_eq!(of("transcription.language").len(), 1);
    assert_eq!(of("transcription.segment")[0]["speaker_id"], "speaker_1");
    let done = of("transcription.done")[0];
    let heard: String = of("transcription.text.delta").iter().map(|data| data["text"].as_str().unwrap()).collect();
    assert_eq!(heard, done["text"].as_str().unwrap());
    let usage = transcription_usage(&done["usage"]);
    assert_eq!((usage.audio_millis, vendor.books().audio_millis), (62_000, 62_000));
    assert_eq!(vendor.books().output_tokens, usage.output_tokens());
    assert_eq!(vendor.books().billed_nanos, 3_100_000);
}

#[tokio::test]
async fn both_refuse_what_they_do_not_take() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let (sound, model) = (file("a.wav", &wav(1000)), field("model", "whisper-1"));
    let cases = [
        (vec![model.clone()], 400, "missing_required_parameter"),
        (vec![sound.clone()], 400, "missing_required_parameter"),
        (vec![model.clone(), sound.clone(), field("diarize", "true")], 400, "unknown_parameter"),
        (vec![model.clone(), file("a.txt", &wav(1000))], 400, ""),
        (vec![model.clone(), file("a.wav", &wav(99))], 400, "audio_too_short"),
        (vec![model.clone(), sound.clone(), field("response_format", "xml")], 400, "invalid_value"),
        (
            vec![field("model", "gpt-4o-transcribe"), sound.clone(), field("response_format", "srt")],
            400,
            "unsupported_value",
        ),
        (vec![model.clone(), sound.clone(), field("timestamp_granularities[]", "word")], 400, "invalid_value"),
        (vec![model.clone(), sound.clone(), field("keywords[]", "port")], 400, "unsupported_parameter"),
        (vec![model.clone(), sound.clone(), field("language", "french")], 400, "invalid_value"),
        (vec![field("model", OPENAI_MODEL), sound.clone()], 400, ""),
        (vec![field("model", "inconnu"), sound.clone()], 404, "model_not_found"),
        (vec![field("model", "gpt-4o-transcribe"), file("a.wav", &wav(1_500_001))], 400, "invalid_value"),
        (vec![model, file("a.mp3", &vec![0; (25 << 20) + 1])], 413, ""),
    ];
    let count = cases.len() as u64;
    for (parts, status, code) in cases {
        let (given, _, text) = upload(&router, &parts).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((given.as_u16(), answer["error"]["code"].as_str().unwrap_or_default()), (status, code), "{text}");
    }
    assert_eq!(vendor.books(), Books { calls: count, errors: count, ..Books::default() });
    assert_eq!(post(&router, PATH, &json!({"model": "whisper-1"})).await.0, StatusCode::BAD_REQUEST);
    let (router, _) = simulated(fast(Dialect::Mistral));
    let model = field("model", "voxtral-mini-latest");
    for (parts, status) in [
        (vec![model.clone(), sound.clone(), field("response_format", "json")], 422),
        (vec![model.clone(), sound.clone(), field("timestamp_granularities[]", "word")], 422),
        (vec![model.clone()], 422),
        (vec![model.clone(), field("file_id", "x")], 404),
        (vec![model.clone(), file("a.mp3", &vec![0; 3601 * 16_384])], 400),
        (vec![field("model", MISTRAL_MODEL), sound], 400),
        (vec![model, field("file_url", "https://example.org/a.mp3")], 200),
    ] {
        let (given, _, text) = upload(&router, &parts).await;
        assert_eq!(given.as_u16(), status, "{text}");
    }
}
