//! One chat call, from the request to the answer, the failure or the silence.
//!
//! It must not know the shape of what it sends.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::answer::Answer;
use super::books::Tokens;
use super::call::Call;
use super::frames::Framer;
use super::request::Asked;
use super::server::Door;

/// Answers one call as its vendor would.
pub(super) async fn chat(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let mut call = Call::arrives(&door);
    let asked = call.offer(&headers).and_then(|offer| Asked::read(offer, &body));
    let response = match call.passes(asked, |asked| &asked.priced).await {
        Ok(asked) => Ok(answer(&mut call, asked).await),
        Err(refused) => Err(refused),
    };
    call.sign(response)
}

async fn answer(call: &mut Call<'_>, asked: Asked) -> Response {
    let vendor = call.vendor();
    let cached = vendor.cached(&asked.prompt.prefixes);
    let range = vendor.settings.output_tokens;
    let answer = Answer::draw(call.dialect(), &mut call.chance, &asked, range, cached, vendor.now());
    let framer = Framer::new(&answer, asked.include_usage, asked.obfuscate, call.chance.id);
    let meter = call.meter(asked.priced, Tokens { output: 0, ..answer.tokens });
    let generation = call.generation(answer, meter);
    if asked.stream {
        return call.stream(generation, framer);
    }
    Json(generation.whole().await.whole()).into_response()
}
