//! What all calls go through: arrival, key, fate, and the vendor's own headers on whatever comes of them.
//!
//! It must not know what is asked or answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use providers::Dialect;
use serde_json::{Value, json};

use super::answer::Answer;
use super::books::Tokens;
use super::chance::{Chance, Fate};
use super::refusal::Refusal;
use super::request::{Offer, Priced};
use super::server::{Door, Vendor};
use super::stream::{Frames, Generation, Meter};

/// A call that has arrived.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) door: &'a Door,
    pub(super) chance: Chance,
    number: u64,
    /// Where it is recorded, if it is.
    recorded: Option<usize>,
}

/// What one endpoint makes of a call.
pub(super) trait Service: Send + Sized {
    /// The model asked for, at its price.
    fn priced(&self) -> &Priced;

    /// Answers, and bills what the vendor would.
    fn answer(self, call: &mut Call<'_>) -> impl Future<Output = Response> + Send;
}

/// Takes one call from its arrival to its end, as its vendor would.
pub(super) async fn serve<A: Service>(
    door: &Door,
    headers: &HeaderMap,
    read: impl FnOnce(Offer<'_>) -> Result<A, Refusal>,
) -> Response {
    let mut call = Call::arrives(door, headers);
    let asked = call.offer(headers).and_then(read);
    let response = match call.passes(asked).await {
        Ok(asked) => Ok(asked.answer(&mut call).await),
        Err(refused) => Err(refused),
    };
    call.sign(response)
}

impl<'a> Call<'a> {
    /// Counts a call and draws its chance.
    fn arrives(door: &'a Door, headers: &HeaderMap) -> Self {
        let (number, recorded) = door.vendor.arrival(headers);
        Self { door, chance: Chance::draw(&door.vendor.settings, number), number, recorded }
    }

    pub(super) fn vendor(&self) -> &'a Vendor {
        &self.door.vendor
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.door.vendor.settings.dialect
    }

    /// What the vendor sells today, once the key is good.
    ///
    /// # Errors
    /// The vendor's 401.
    fn offer(&self, headers: &HeaderMap) -> Result<Offer<'a>, Refusal> {
        let vendor = self.vendor();
        vendor.authorize(headers)?;
        Ok(Offer { dialect: self.dialect(), catalogue: &vendor.catalogue, date: vendor.date() })
    }

    /// Lets a good call through, unless chance has it fail or hang.
    ///
    /// # Errors
    /// The response to a call that is refused or fails.
    async fn passes<A: Service>(&self, asked: Result<A, Refusal>) -> Result<A, Response> {
        if let Ok(asked) = &asked {
            self.vendor().note_model(self.recorded, &asked.priced().model);
        }
        match (asked, self.chance.fate) {
            (Err(refusal), _) => Err(self.refused(refusal)),
            (Ok(asked), Fate::Fail(status)) => {
                Err(self.refused(Refusal::failure(self.dialect(), status, &asked.priced().model.id)))
            }
            (Ok(_), Fate::Hang) => {
                self.vendor().count_hang();
                std::future::pending().await
            }
            (Ok(asked), Fate::Answer) => Ok(asked),
        }
    }

    fn refused(&self, mut refusal: Refusal) -> Response {
        self.vendor().count_error();
        if self.vendor().settings.varied_refusals && refusal.status == 422 {
            refusal.body = varied(refusal.body, self.number);
        }
        refusal.into_response()
    }

    /// The meter of a call of which nothing is generated yet.
    pub(super) fn meter(&self, priced: Priced, tokens: Tokens) -> Meter {
        Meter {
            vendor: Arc::clone(&self.door.vendor),
            host: self.door.host.id.as_str().into(),
            uplift_percent: self.door.host.uplift_for(&priced.model),
            model: priced.model,
            row: priced.row,
            tokens,
            whole_output: 0,
            by_token: true,
            recorded: self.recorded,
            finished: false,
        }
    }

    /// Waits as long as a first token takes, then bills a call that has no output: for answers that come in one piece.
    pub(super) async fn bill_at_once(&mut self, priced: Priced, tokens: Tokens) {
        let mut meter = self.meter(priced, tokens);
        if let Some(wait) =
            self.chance.waits(&self.door.vendor.settings, 1).first().filter(|wait| **wait > Duration::ZERO)
        {
            tokio::time::sleep(*wait).await;
        }
        meter.finish();
    }

    /// An answer that will be generated at this vendor's pace.
    pub(super) fn generation(&mut self, answer: Answer, meter: Meter) -> Generation {
        let waits = self.chance.waits(&self.door.vendor.settings, answer.steps());
        Generation::new(answer, waits, meter)
    }

    /// A stream of events, with the headers the vendor puts on it.
    pub(super) fn stream<F: Frames + Send + 'static>(&self, generation: Generation, framer: F) -> Response {
        let content_type = match self.dialect() {
            Dialect::Mistral => "text/event-stream",
            Dialect::Openai | Dialect::Compatible => "text/event-stream; charset=utf-8",
        };
        let mut response = Body::from_stream(generation.frames(framer)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// Puts the vendor's own headers on the response.
    fn sign(&self, response: Result<Response, Response>) -> Response {
        let response = response.unwrap_or_else(|refused| refused);
        self.vendor().sign(response, self.chance.id)
    }
}

/// The shapes that Mistral's 422 was seen in, in turn.
fn varied(body: Value, number: u64) -> Value {
    match number % 3 {
        0 => body,
        1 => json!({
            "object": "error", "message": body, "type": "invalid_request_error", "param": null, "code": null,
        }),
        _ => {
            let details = body.get("detail").cloned().unwrap_or_default();
            json!({
                "object": "Error", "detail": details, "message": details, "type": "invalid_request_error", "code": 3001,
            })
        }
    }
}
