//! The only place that turns a failure into an answer: always OpenAI's shape, never anything internal.
//!
//! Refusals that concern the resident are said in plain French first, then in English.

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use providers::chat::InvalidRequest;
use providers::error::{ErrorKind, ProviderError};
use providers::money::format_nanos;
use serde_json::json;

use crate::duels::{DuelError, JudgeError};
use crate::identity::IdentityError;
use crate::ledger::{Stop, StopScope, StoreError};
use crate::pipeline::PipelineError;
use crate::quota::{Calendar, Limit, RateRefusal, Refusal};

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// SDKs obey Retry-After to the letter: never a long one (the body says the rest).
const LONGEST_RETRY_AFTER: u64 = 60;
/// What we ask clients to wait for when the trouble is ours.
const OUR_TROUBLE_RETRY_AFTER: u64 = 5;

/// A failure as a client sees it.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<String>,
    retry_after: Option<u64>,
    should_retry: Option<bool>,
    told: Box<Told>,
}

/// What operators are told of a failure; it leaves with the answer, as far as the log.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Why, from a closed set.
    pub(super) reason: &'static str,
    /// What happened, and in which words of ours or the system's: where the trouble is ours.
    pub(super) trouble: Option<(&'static str, String)>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        response.extensions_mut().insert(*self.told);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(retry) = self.should_retry {
            response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static(if retry { "true" } else { "false" }));
        }
        response
    }
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind,
            param: None,
            code: code.map(str::to_owned),
            retry_after: None,
            should_retry: None,
            told: Box::new(Told { reason: code.unwrap_or(kind), trouble: None }),
        }
    }

    fn invalid(status: StatusCode, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(seconds.clamp(1, LONGEST_RETRY_AFTER));
        self
    }

    fn never_retry(mut self) -> Self {
        self.should_retry = Some(false);
        self
    }

    /// Says in the log what happened.
    pub(super) fn because(mut self, what: &'static str, trouble: String) -> Self {
        self.told.trouble = Some((what, trouble));
        self
    }

    fn by_reason(mut self, reason: &'static str) -> Self {
        self.told.reason = reason;
        self
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let text = format!("The request body is longer than {limit} bytes. Shorten the conversation and try again.");
        Self::invalid(StatusCode::PAYLOAD_TOO_LARGE, Some("request_too_large"), text)
    }

    pub(super) fn upload_too_large(limit: u64) -> Self {
        let text = format!("The file is longer than {limit} bytes. Cut the recording into parts and try again.");
        Self::invalid(StatusCode::PAYLOAD_TOO_LARGE, Some("request_too_large"), text)
    }

    pub(super) fn not_stored() -> Self {
        let text = "Only POST /v1/responses is offered: answers are not stored here, so there is none to be fetched. Send the whole conversation in `input`.";
        Self::invalid(StatusCode::NOT_FOUND, Some("response_not_found"), text)
    }

    pub(super) fn request_timeout() -> Self {
        Self::invalid(StatusCode::REQUEST_TIMEOUT, Some("request_timeout"), "The request took too long to arrive.")
    }

    pub(super) fn unreadable_body() -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, None, "The request body could not be read.")
    }

    pub(super) fn model_not_found(model: &str) -> Self {
        let text =
            format!("The model `{model}` does not exist or you do not have access to it. GET /v1/models lists yours.");
        let mut error = Self::invalid(StatusCode::NOT_FOUND, Some("model_not_found"), text);
        error.param = Some("model".to_owned());
        error.never_retry()
    }

    pub(super) fn overloaded() -> Self {
        let text = "Le service reçoit trop de demandes en ce moment ; réessayez dans quelques secondes. (Too many requests are open.)";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("server_is_overloaded"), text)
            .retry_after(Duration::from_secs(OUR_TROUBLE_RETRY_AFTER))
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::invalid(StatusCode::UNAUTHORIZED, Some("invalid_token"), message).never_retry()
    }

    /// A request that a named parameter makes wrong.
    pub(super) fn invalid_request(invalid: InvalidRequest) -> Self {
        let mut error = Self::invalid(StatusCode::BAD_REQUEST, invalid.code, invalid.message);
        error.param = invalid.param;
        error
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::invalid(StatusCode::CONFLICT, Some("not_begun"), message).never_retry()
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, None, message)
    }

    fn internal() -> Self {
        let text = "Une erreur interne est survenue. (Internal error; give the x-request-id of this answer when you report it.)";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some("internal_error"), text)
    }

    /// Maps why there is no duel. Nothing of it tells which vendor was drawn.
    pub(super) fn from_duel(error: DuelError, calendar: &Calendar) -> Self {
        match error {
            DuelError::NotOffered => {
                let text = "La commune ne propose pas de duels ; posez votre question par /v1/chat/completions. (The town offers no duels: the mairie sets comparison.duel_euros_per_month and at least two comparison.models.)";
                Self::invalid(StatusCode::NOT_FOUND, Some("duels_not_offered"), text).never_retry()
            }
            DuelError::NotInPlan => {
                let text = "Votre formule ne permet pas de duels ; posez votre question par /v1/chat/completions. (Your plan allows fewer than two of the models that are compared.)";
                Self::invalid(StatusCode::FORBIDDEN, Some("duels_not_offered"), text).never_retry()
            }
            DuelError::NobodyToAsk => {
                let text = "Moins de deux assistants peuvent répondre en ce moment : aucun duel n'est possible ; posez votre question par /v1/chat/completions. (Fewer than two of the compared models can be asked.)";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("duels_unavailable"), text)
                    .never_retry()
            }
            DuelError::BudgetSpent(refusal) => Self::duels_spent(&refusal, calendar),
            DuelError::Refused(error) => Self::from_pipeline(error, calendar),
            DuelError::SideFailed(PipelineError::Rate(_)) => Self::overloaded(),
            DuelError::SideFailed(error) => Self::side_failed(error, calendar),
        }
    }

    /// The town's budget for duels. What the call might have cost is not told: it would tell the model.
    fn duels_spent(refusal: &Refusal, calendar: &Calendar) -> Self {
        let resets = calendar.local(refusal.resets_at);
        let allowed = format_nanos(refusal.allowed);
        let state = if refusal.is_spent() {
            format!("les {allowed} EUR prévus sont épuisés")
        } else {
            let left = format_nanos((refusal.allowed - refusal.used - refusal.held).max(0));
            format!("il reste {left} EUR sur {allowed} EUR, trop peu pour deux réponses")
        };
        let text = format!(
            "Le budget de la commune pour les duels de ce mois : {state}, retour le {resets} ; votre propre budget n'est pas touché, posez votre question par /v1/chat/completions. (The town's budget for duels: {allowed} EUR a month allowed; resets {resets}.)"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota"), text).never_retry()
    }

    /// The status says how to go on, the words and the code nothing of the vendor.
    fn side_failed(error: PipelineError, calendar: &Calendar) -> Self {
        let text = "L'un des deux assistants n'a pas répondu ; le duel est annulé et rien ne vous est compté. (One of the two models did not answer; the duel is off.)";
        let Self { status, kind, retry_after, should_retry, .. } = Self::from_pipeline(error, calendar);
        // That a model is gone, or may not be asked, is nothing that the resident got wrong.
        let (status, kind) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                (StatusCode::BAD_GATEWAY, "server_error")
            }
            _ => (status, kind),
        };
        Self { retry_after, should_retry, ..Self::new(status, kind, Some("duel_failed"), text) }
    }

    /// What is said within the stream once a duel cannot be judged, in the shape of every error.
    pub(super) fn duel_failed() -> serde_json::Value {
        let text = "L'une des deux réponses est incomplète : ce duel ne peut pas être jugé et ne compte pas. (One of the answers is not whole: this duel cannot be judged.)";
        Self::new(StatusCode::BAD_GATEWAY, "server_error", Some("duel_failed"), text).body()
    }

    /// What is said within the stream of an answer that broke off.
    pub(super) fn answer_failed() -> serde_json::Value {
        let text = "Cet assistant n'a pas terminé sa réponse. (This answer is not whole.)";
        Self::new(StatusCode::BAD_GATEWAY, "server_error", Some("answer_failed"), text).body()
    }

    fn body(&self) -> serde_json::Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    /// Maps a failure of the pipeline; `calendar` puts reset times in the town's local time.
    pub(super) fn from_pipeline(error: PipelineError, calendar: &Calendar) -> Self {
        let reason = match &error {
            PipelineError::Provider { error, .. } => error.kind.label(),
            error => error.refusal_reason().unwrap_or("internal_error"),
        };
        Self::of_pipeline(error, calendar).by_reason(reason)
    }

    fn of_pipeline(error: PipelineError, calendar: &Calendar) -> Self {
        match error {
            PipelineError::Invalid(invalid) => Self::invalid_request(invalid),
            PipelineError::ModelNotFound(model) | PipelineError::Unpriced(model) => Self::model_not_found(&model),
            PipelineError::OutsideRegion(model) => {
                let text = format!(
                    "`{model}` ne peut pas être traité dans l'Union européenne, comme votre formule l'exige. (No host of this model is within the required region.)"
                );
                Self::invalid(StatusCode::FORBIDDEN, Some("outside_region"), text).never_retry()
            }
            PipelineError::Rate(refusal) => Self::from_rate(refusal),
            PipelineError::Quota(refusal) => Self::from_refusal(&refusal, calendar),
            PipelineError::Stopped(stop) => Self::stopped(&stop),
            PipelineError::Revoked => IdentityError::Invalid.into(),
            PipelineError::Store(error) => error.into(),
            PipelineError::Provider { error, .. } => Self::from_provider(*error),
            PipelineError::ShuttingDown => Self::shutting_down(),
            PipelineError::Internal(what) => Self::internal().because("internal error", what.to_owned()),
        }
    }

    /// The process is ending, and another one does not answer yet.
    pub fn shutting_down() -> Self {
        let text = "Le service redémarre ; réessayez dans quelques secondes. (The service is restarting.)";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("shutting_down"), text)
            .retry_after(Duration::from_secs(OUR_TROUBLE_RETRY_AFTER))
    }

    fn stopped(stop: &Stop) -> Self {
        let text = match stop.scope {
            StopScope::Town => {
                "La mairie a suspendu le service ; aucune question n'est transmise. (The town has stopped the service.)"
            }
            StopScope::Plan => {
                "La mairie a suspendu le service pour votre formule. (The town has stopped the service for your plan.)"
            }
            StopScope::Provider => {
                "La mairie a suspendu ce fournisseur ; choisissez un autre modèle, ou « auto ». (The town has stopped this vendor; choose another model.)"
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("service_stopped"), text).never_retry()
    }

    fn from_rate(refusal: RateRefusal) -> Self {
        let (text, wait) = match refusal {
            RateRefusal::RequestsPerMinute(wait) => {
                let seconds = wait.as_secs() + 1;
                (
                    format!(
                        "Vous envoyez vos questions trop vite ; réessayez dans {seconds} s. (Rate limit: requests per minute.)"
                    ),
                    wait,
                )
            }
            RateRefusal::Simultaneous(limit) => (
                format!(
                    "Vous avez déjà {limit} réponse(s) en cours ; attendez la fin de l'une d'elles. (Rate limit: {limit} simultaneous requests.)"
                ),
                Duration::from_secs(1),
            ),
        };
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), text).retry_after(wait)
    }

    fn too_many_wrong(wait: Duration) -> Self {
        let text = "Trop de clés fausses arrivent de votre adresse ; vérifiez votre clé et réessayez dans un instant. (Too many wrong keys come from this address.)";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), text).retry_after(wait)
    }

    fn from_refusal(refusal: &Refusal, calendar: &Calendar) -> Self {
        let resets = calendar.local(refusal.resets_at);
        let amount = |value: i64| {
            if refusal.limit.is_euros() { format!("{} EUR", format_nanos(value)) } else { value.to_string() }
        };
        let left = amount((refusal.allowed - refusal.used - refusal.held).max(0));
        let name = match refusal.limit {
            Limit::QuestionsPerDay => "Vos questions du jour",
            Limit::TokensPerDay => "Vos jetons (tokens) du jour",
            Limit::EurosPerMonth => "Votre budget du mois",
            Limit::TownEurosPerMonth => "Le budget de la commune pour ce mois",
            Limit::TownEurosPerYear => "Le budget de la commune pour cette année",
        };
        let (allowed, asked) = (amount(refusal.allowed), amount(refusal.asked));
        let english = format!(
            "Limit {}: {allowed} allowed, {} used, {} held by calls in progress, up to {asked} needed; resets {resets}.",
            refusal.limit,
            amount(refusal.used),
            amount(refusal.held)
        );
        let french = if refusal.is_spent() {
            format!("{name} : les {allowed} prévus sont épuisés, retour le {resets}.")
        } else {
            format!(
                "{name} : il reste {left} sur {allowed}, et cette question peut en demander jusqu'à {asked} ; retour au complet le {resets}."
            )
        };
        let message = format!("{french} ({english})");
        if refusal.limit.is_town() {
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "insufficient_quota",
                Some("town_envelope_exhausted"),
                message,
            )
            .never_retry();
        }
        Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota"), message)
            .never_retry()
    }

    /// Maps a vendor's failure: its own trouble is never blamed on the client, and a bad key of ours is never a 401.
    fn from_provider(error: ProviderError) -> Self {
        let server = |status, code: &'static str, text: &str| Self::new(status, "server_error", Some(code), text);
        let wait = error.retry_after.unwrap_or(Duration::from_secs(OUR_TROUBLE_RETRY_AFTER));
        match error.kind {
            ErrorKind::InvalidRequest | ErrorKind::ContextLength => {
                let mut out = Self::invalid(StatusCode::BAD_REQUEST, None, error.message);
                out.code = if error.kind == ErrorKind::ContextLength {
                    Some("context_length_exceeded".to_owned())
                } else {
                    error.code
                };
                out.param = error.param;
                out
            }
            ErrorKind::ModelNotFound => {
                Self::invalid(StatusCode::NOT_FOUND, Some("model_not_found"), "The vendor no longer offers this model.")
            }
            ErrorKind::Auth => server(
                StatusCode::BAD_GATEWAY,
                "upstream_auth_error",
                "The vendor refuses the gateway's own key. The operator has been told; your key is fine.",
            ),
            ErrorKind::QuotaExhausted => server(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_quota_exhausted",
                "The gateway's account at the vendor is exhausted.",
            )
            .never_retry(),
            ErrorKind::RateLimited => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "requests",
                Some("rate_limit_exceeded"),
                "The vendor limits the gateway's rate; try again shortly.",
            )
            .retry_after(wait),
            ErrorKind::Overloaded | ErrorKind::Busy | ErrorKind::CircuitOpen => server(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_is_overloaded",
                "The vendor is overloaded; try again shortly.",
            )
            .retry_after(wait),
            ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout | ErrorKind::TotalTimeout => {
                // The vendor may have billed it: a client that repeats it blindly pays twice.
                server(StatusCode::GATEWAY_TIMEOUT, error.kind.label(), "The vendor did not answer in time.")
                    .never_retry()
            }
            ErrorKind::Connect | ErrorKind::Server => {
                server(StatusCode::BAD_GATEWAY, error.kind.label(), "The vendor failed to answer.")
            }
            ErrorKind::Protocol | ErrorKind::Cut => {
                server(StatusCode::BAD_GATEWAY, error.kind.label(), "The vendor's answer could not be read.")
                    .never_retry()
            }
        }
    }
}

impl From<StoreError> for ApiError {
    /// A store in trouble is 503 with Retry-After: never 401, never a free ride.
    fn from(error: StoreError) -> Self {
        let text = "Le service ne peut pas tenir ses comptes en ce moment, il ne transmet donc aucune question ; réessayez dans un instant. (The ledger is not available.)";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("ledger_unavailable"), text)
            .retry_after(Duration::from_secs(OUR_TROUBLE_RETRY_AFTER))
            .because("the ledger could not serve a request", error.to_string())
    }
}

impl From<JudgeError> for ApiError {
    fn from(error: JudgeError) -> Self {
        let not_found = |code, text| Self::invalid(StatusCode::NOT_FOUND, Some(code), text).never_retry();
        match error {
            JudgeError::NotFound => not_found(
                "duel_not_found",
                "Ce duel n'existe pas, ou n'est pas le vôtre. (There is no such duel of yours, or it expired long ago.)",
            ),
            JudgeError::Expired => not_found(
                "duel_expired",
                "Ce duel a expiré : il n'attend plus votre avis. Posez votre question à nouveau. (This duel has expired.)",
            ),
            JudgeError::AlreadyJudged => {
                let text = "Vous avez déjà donné votre avis sur ce duel. (This duel was judged before.)";
                Self::invalid(StatusCode::CONFLICT, Some("duel_already_judged"), text).never_retry()
            }
            JudgeError::Store(error) => error.into(),
        }
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        let unauthorized = |text| Self::invalid(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), text);
        match error {
            IdentityError::Missing => unauthorized(
                "Aucune clé n'a été envoyée : mettez « Authorization: Bearer psk-… » dans la requête. (No API key was sent.)",
            ),
            IdentityError::Invalid => unauthorized(
                "Cette clé n'est pas valable. Adressez-vous à l'accueil de la mairie pour en recevoir une autre. (Incorrect API key.)",
            ),
            IdentityError::TooManyWrong(wait) => Self::too_many_wrong(wait),
            IdentityError::Store(error) => error.into(),
            IdentityError::UnknownPlan(plan) => Self::internal().because("a resident's plan is not configured", plan),
        }
    }
}

impl IntoResponse for IdentityError {
    fn into_response(self) -> Response {
        ApiError::from(self).into_response()
    }
}

pub(super) async fn not_found() -> ApiError {
    ApiError::invalid(
        StatusCode::NOT_FOUND,
        Some("unknown_url"),
        "There is nothing here. /openapi.json lists what there is.",
    )
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::invalid(
        StatusCode::METHOD_NOT_ALLOWED,
        Some("method_not_allowed"),
        "This address does not take that method. /openapi.json lists what there is.",
    )
}

/// A panic is our fault and says nothing of itself to the client.
pub(super) fn panicked(_panic: &(dyn Any + Send)) -> Response {
    // Where it happened is in the line of the panic itself; its words may quote what was being read.
    ApiError::internal()
        .by_reason("panic")
        .because("a handler panicked", "its place is in the line of the panic".to_owned())
        .into_response()
}
