//! One call of OpenAI's Responses, from the request to the answer, whole or as named events.
//!
//! It must not know the shape of what it sends. Nothing is kept between calls: an answer that the vendor would store is
//! counted, so that a test can see it.

mod events;
mod read;
mod shapes;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use self::events::Events;
use self::read::Request;
use self::shapes::Shaper;
use super::answer::Answer;
use super::books::Tokens;
use super::call::Call;
use super::server::Door;

/// Answers one call as its vendor would.
pub(super) async fn responses(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let mut call = Call::arrives(&door);
    let request = call.offer(&headers).and_then(|offer| Request::read(offer, &body));
    let response = match call.passes(request, |request| &request.asked.priced).await {
        Ok(request) => Ok(answer(&mut call, request).await),
        Err(refused) => Err(refused),
    };
    call.sign(response)
}

async fn answer(call: &mut Call<'_>, request: Request) -> Response {
    let vendor = call.vendor();
    let Request { asked, body } = request;
    let shaper = Shaper::new(&body, call.chance.id);
    if shaper.stores() {
        vendor.count_stored();
    }
    let cached = vendor.cached(&asked.prompt.prefixes);
    let range = vendor.settings.output_tokens;
    let mut answer = Answer::draw(call.dialect(), &mut call.chance, &asked, range, cached, vendor.now());
    answer.id = format!("resp_{:032x}", call.chance.id);
    let meter = call.meter(asked.priced, Tokens { output: 0, ..answer.tokens });
    let generation = call.generation(answer, meter);
    if asked.stream {
        return call.stream(generation, Events::new(shaper, asked.obfuscate));
    }
    Json(shaper.finished(&generation.whole().await)).into_response()
}
