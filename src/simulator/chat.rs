//! One chat call, from the request to the answer, the failure or the silence.
//!
//! It must not know the shape of what it sends.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use providers::Dialect;

use super::answer::Answer;
use super::books::Tokens;
use super::chance::{Chance, Fate};
use super::frames::Framer;
use super::refusal::Refusal;
use super::request::Asked;
use super::server::Door;
use super::stream::{Generation, Meter};

/// Answers one call as its vendor would.
pub(super) async fn chat(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let vendor = &door.vendor;
    let dialect = vendor.settings.dialect;
    let mut chance = Chance::draw(&vendor.settings, vendor.arrival());
    let id = chance.id;
    let asked = vendor.authorize(&headers).and_then(|()| Asked::read(dialect, &vendor.catalogue, vendor.date(), &body));
    let response = match (asked, chance.fate) {
        (Err(refusal), _) => refused(&door, refusal),
        (Ok(asked), Fate::Fail(status)) => refused(&door, Refusal::failure(dialect, status, &asked.model.id)),
        (Ok(_), Fate::Hang) => {
            vendor.count_hang();
            std::future::pending().await
        }
        (Ok(asked), Fate::Answer) => answer(&door, &mut chance, asked).await,
    };
    vendor.sign(response, id)
}

fn refused(door: &Door, refusal: Refusal) -> Response {
    door.vendor.count_error();
    refusal.into_response()
}

async fn answer(door: &Door, chance: &mut Chance, asked: Asked) -> Response {
    let vendor = &door.vendor;
    let settings = &vendor.settings;
    let cached = vendor.cached(&asked.prefixes);
    let answer = Answer::draw(settings.dialect, chance, &asked, settings.output_tokens, cached, vendor.now());
    let waits = chance.waits(settings, answer.steps());
    let framer = Framer::new(&answer, asked.include_usage, asked.obfuscate, chance.id);
    let meter = Meter {
        vendor: Arc::clone(vendor),
        uplift_percent: door.host.uplift_for(&asked.model),
        model: asked.model,
        row: asked.row,
        tokens: Tokens { output: 0, ..answer.tokens },
        finished: false,
    };
    let generation = Generation::new(answer, waits, meter);
    if !asked.stream {
        return Json(generation.whole().await.whole()).into_response();
    }
    let content_type = match settings.dialect {
        Dialect::Mistral => "text/event-stream",
        Dialect::Openai | Dialect::Compatible => "text/event-stream; charset=utf-8",
    };
    let mut response = Body::from_stream(generation.frames(framer)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
