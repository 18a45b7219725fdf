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
use super::call::{Call, Service, serve};
use super::frames::Framer;
use super::request::{Asked, Priced};
use super::server::Door;

/// Answers one call as its vendor would.
pub(super) async fn chat(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    serve(&door, &headers, |offer| Asked::read(offer, &body)).await
}

impl Service for Asked {
    fn priced(&self) -> &Priced {
        &self.priced
    }

    async fn answer(self, call: &mut Call<'_>) -> Response {
        let vendor = call.vendor();
        let cached = vendor.cached(&self.prompt.prefixes);
        let range = vendor.settings.output_tokens;
        let answer = Answer::draw(call.dialect(), &mut call.chance, &self, range, cached, vendor.now());
        let framer = Framer::new(&answer, self.include_usage, self.obfuscate, call.chance.id);
        let meter = call.meter(self.priced, Tokens { output: 0, ..answer.tokens });
        let generation = call.generation(answer, meter);
        if self.stream {
            return call.stream(generation, framer);
        }
        Json(generation.whole().await.whole()).into_response()
    }
}
