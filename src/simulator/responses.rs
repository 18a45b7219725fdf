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
use super::call::{Call, Service, serve};
use super::request::Priced;
use super::server::Door;

/// Answers one call as its vendor would.
pub(super) async fn responses(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    serve(&door, &headers, |offer| Request::read(offer, &body)).await
}

impl Service for Request {
    fn priced(&self) -> &Priced {
        &self.asked.priced
    }

    async fn answer(self, call: &mut Call<'_>) -> Response {
        let vendor = call.vendor();
        let Request { asked, body } = self;
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
}
