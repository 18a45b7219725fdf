//! One call of OpenAI's Responses, from the request to the answer, whole or as named events, searches included.
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
        let Request { asked, body, most_searches } = self;
        let searches = searches(most_searches, call.chance.id);
        let shaper = Shaper::new(&body, call.chance.id, searches);
        if shaper.stores() {
            vendor.count_stored();
        }
        let cached = vendor.cached(&asked.prompt.prefixes);
        let range = vendor.settings.output_tokens;
        let mut answer = Answer::draw(call.dialect(), &mut call.chance, &asked, range, cached, vendor.now());
        answer.id = format!("resp_{:032x}", call.chance.id);
        answer.tokens.searches = searches;
        answer.tokens.input = input_with_searches(answer.tokens.input, searches, asked.priced.model.context_window);
        let meter = call.meter(asked.priced, Tokens { output: 0, ..answer.tokens });
        let generation = call.generation(answer, meter);
        if asked.stream {
            return call.stream(generation, Events::new(shaper, asked.obfuscate));
        }
        Json(shaper.finished(&generation.whole().await)).into_response()
    }
}

/// Tokens of what one search finds.
const FOUND_TOKENS: u64 = 700;

/// How often the model searches: at least once where it may.
fn searches(most: u64, chance: u128) -> u64 {
    match most {
        0 => 0,
        most => 1 + u64::try_from(chance % u128::from(most)).unwrap_or(0),
    }
}

/// The input of a call that searches: the model reads its prompt again after every search, with all that was found so
/// far, as far as its window goes.
fn input_with_searches(prompt: u64, searches: u64, context_window: u64) -> u64 {
    (0..=searches).map(|found| (prompt + found * FOUND_TOKENS).min(context_window)).sum()
}
