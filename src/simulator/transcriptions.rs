//! One transcription, from the uploaded form to the answer: what was asked, what the vendor refuses, what it bills.
//!
//! It must not know the shapes of the answers.

mod read;
mod shapes;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use providers::Dialect;

use self::read::Asked;
use self::shapes::{MistralEvents, OpenaiEvents, Transcript};
use super::answer::{Answer, Choice, Kind, Segment};
use super::books::Tokens;
use super::call::{Call, Service, serve};
use super::media::AUDIO_TOKENS_PER_SECOND;
use super::refusal::Refusal;
use super::request::Priced;
use super::server::Door;
use super::sound;
use super::tokens;
use super::upload::Form;

/// Tokens spoken in a second.
const TOKENS_PER_SECOND: u64 = 3;
/// Most tokens of a transcript where the model does not say.
const MOST_TOKENS: u64 = 20_000;

/// Answers one call as its vendor would.
pub(super) async fn transcriptions(
    State(door): State<Door>,
    headers: HeaderMap,
    parts: Result<Multipart, MultipartRejection>,
) -> Response {
    let dialect = door.vendor.settings.dialect;
    // A call arrives with its last byte, as one with a JSON body does: whoever leaves earlier has not called.
    let form = match parts {
        Err(rejection) => Err(Refusal::not_a_form(dialect, &rejection.body_text())),
        Ok(parts) => Form::read(parts).await.map_err(|error| Refusal::not_a_form(dialect, &error.body_text())),
    };
    serve(&door, &headers, |offer| Asked::read(offer, &form?)).await
}

impl Service for Asked {
    fn priced(&self) -> &Priced {
        &self.priced
    }

    async fn answer(self, call: &mut Call<'_>) -> Response {
        let dialect = call.dialect();
        let transcript = listen(call, &self);
        let (stream, format) = (self.stream, self.format);
        // Without output tokens in its usage, an answer has none in the books.
        let by_token = dialect == Dialect::Mistral || self.priced.row.rates.audio_minute.is_none();
        let mut meter = call.meter(self.priced, Tokens { output: 0, ..transcript.answer.tokens });
        meter.by_token = by_token;
        let Transcript { answer, details } = transcript;
        let generation = call.generation(answer, meter);
        match (stream, dialect) {
            (true, Dialect::Mistral) => call.stream(generation, MistralEvents { details }),
            (true, Dialect::Openai | Dialect::Compatible) => call.stream(generation, OpenaiEvents { details }),
            (false, _) => {
                let transcript = Transcript { answer: generation.whole().await, details };
                let (kind, text) = transcript.whole(format);
                let mut response = text.into_response();
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        }
    }
}

/// Draws what is heard.
fn listen(call: &mut Call<'_>, asked: &Asked) -> Transcript {
    let vendor = call.vendor();
    let dialect = call.dialect();
    let model = &asked.priced.model;
    let seconds = sound::seconds(asked.millis);
    let most = model.max_output_tokens.unwrap_or(MOST_TOKENS);
    let wanted = u32::try_from((seconds * TOKENS_PER_SECOND).clamp(3, most)).unwrap_or(u32::MAX);
    let text = call.chance.draft((wanted, wanted)).text;
    let choice = Choice::within(vec![Segment::new(Kind::Text, text)], 0, most);
    let output = choice.len() as u64;
    let audio = seconds * AUDIO_TOKENS_PER_SECOND;
    let tokens = match (dialect, asked.priced.row.rates.audio_minute) {
        // Mistral reports tokens too, and bills none of them.
        (Dialect::Mistral, _) => Tokens { input: audio, output, audio_millis: seconds * 1000, ..Tokens::default() },
        (_, Some(_)) if asked.whole_seconds => Tokens { audio_millis: seconds * 1000, ..Tokens::default() },
        (_, Some(_)) => Tokens { audio_millis: asked.millis, ..Tokens::default() },
        (_, None) => Tokens { input: audio + tokens::count(&asked.prompt), audio, output, ..Tokens::default() },
    };
    let named = if dialect == Dialect::Mistral { asked.priced.asked_id.clone() } else { model.id.to_string() };
    let answer = Answer {
        dialect,
        id: format!("{:032x}", call.chance.id),
        created: vendor.now(),
        model: named,
        choices: vec![choice],
        tokens,
    };
    Transcript { answer, details: asked.details() }
}
