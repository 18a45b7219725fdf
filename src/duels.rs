//! Blind duels: one question, two models drawn by chance, two answers side by side, and which one somebody prefers.
//!
//! Both are asked by the town's account `duels` through the one pipeline, so its budget, the envelope, stops and the
//! ledger hold as for everything else; who asked is charged nothing. Nothing that would tell who answers leaves before
//! the judgement. The texts are gathered for their style and dropped. It must not know HTTP.

mod contest;
mod draw;
mod side;
mod style;

use std::sync::Arc;

use providers::chat::ChatRequest;
use providers::request::ApiRequest;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

pub use contest::{Contest, DuelEvent};

use side::Side;

use crate::clock::{Clock, Tick};
use crate::identity::{Authenticated, TownAccount};
use crate::ledger::{Duel, DuelSide, FoundDuel, Ledger, OpenDuel, Qualifier, StoreError, Vote, micros};
use crate::pipeline::{Asking, Entered, Incoming, Pipeline, PipelineError};
use crate::quota::{Calendar, Limit, Refusal};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;
use crate::trail::Trail;

/// Where an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the left.
    Left,
    /// On the right.
    Right,
}

/// Why there is no duel.
#[derive(Debug, thiserror::Error)]
pub enum DuelError {
    /// The town has no budget for duels, or compares fewer than two models.
    #[error("duels are not offered")]
    NotOffered,
    /// The resident's plan allows fewer than two of the models.
    #[error("the plan allows fewer than two of the models that are compared")]
    NotInPlan,
    /// Fewer than two of the models can be asked now, where this plan's questions may be processed.
    #[error("fewer than two of the models can be asked")]
    NobodyToAsk,
    /// The town's budget for duels is spent, or too little of it is left.
    #[error("the budget for duels: {}", .0.limit)]
    BudgetSpent(Refusal),
    /// The question is refused, whoever would answer it.
    #[error(transparent)]
    Refused(#[from] PipelineError),
    /// One of the two did not begin to answer. It names a vendor, so that only its kind may be told.
    #[error("one side: {0}")]
    SideFailed(PipelineError),
}

impl DuelError {
    /// Of a side that was refused, or failed before its first word.
    fn of_side(error: PipelineError) -> Self {
        match error {
            PipelineError::Quota(refusal) if refusal.limit == Limit::EurosPerMonth => Self::BudgetSpent(refusal),
            PipelineError::Quota(_) | PipelineError::Store(_) | PipelineError::ShuttingDown => Self::Refused(error),
            PipelineError::Stopped(ref stop) if stop.scope == crate::ledger::StopScope::Town => Self::Refused(error),
            _ => Self::SideFailed(error),
        }
    }
}

/// Why a judgement was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// There is no such duel of this resident's.
    #[error("there is no such duel")]
    NotFound,
    /// It has waited for too long.
    #[error("the duel has expired")]
    Expired,
    /// It was judged before.
    #[error("the duel was judged before")]
    AlreadyJudged,
    /// The ledger could not be asked or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is asked of both.
#[derive(Debug)]
pub struct Question {
    /// The conversation, whatever its model says.
    pub chat: ChatRequest,
    /// Our id of the request.
    pub request_id: String,
    /// Whether it came with passages of the town's own pages.
    pub local_passages: bool,
    /// When it was there whole.
    pub received: Tick,
    /// What it takes of the memory.
    pub room: OwnedSemaphorePermit,
    /// Where operators find it again.
    pub trail: Trail,
}

/// What somebody thinks of the two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Which is preferred.
    pub vote: Vote,
    /// What is said of the one on the left.
    pub left: Vec<Qualifier>,
    /// What is said of the one on the right.
    pub right: Vec<Qualifier>,
}

/// Who answered, told once the judgement is in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// The duel as it was booked.
    pub duel: Duel,
    /// Region of the host on the left, where the catalogue in force knows it.
    pub left_region: Option<String>,
    /// Region of the host on the right.
    pub right_region: Option<String>,
}

/// What runs duels. Cheap to clone.
#[derive(Clone)]
pub struct Duels {
    pipeline: Arc<Pipeline>,
    ledger: Ledger,
    calendar: Calendar,
    clock: Clock,
    shutdown: Shutdown,
    /// How long a client waits for a sign of life.
    patience: std::time::Duration,
}

impl Duels {
    /// Duels over a pipeline. The head of an answer waits for both vendors for at most `patience`.
    pub fn new(
        pipeline: Arc<Pipeline>,
        ledger: Ledger,
        calendar: Calendar,
        clock: Clock,
        shutdown: Shutdown,
        patience: std::time::Duration,
    ) -> Self {
        Self { pipeline, ledger, calendar, clock, shutdown, patience }
    }

    /// Draws two models and asks both. Gives the duel once both have begun to answer, or one still thinks for longer
    /// than a client is to wait. Where one is refused or fails before, the other is settled like any call whose client
    /// has left.
    ///
    /// # Errors
    /// [`DuelError`].
    pub async fn begin(
        &self,
        who: &Authenticated,
        entered: Entered,
        mut question: Question,
    ) -> Result<Contest, DuelError> {
        let (left, right) = self.draw(who)?;
        let second = question.room.split(0).ok_or(PipelineError::Internal("a permit cannot be split"))?;
        let Question { chat, request_id, local_passages, received, room, trail } = question;
        // Both or none, before either is asked.
        let enter = || self.pipeline.enter(Self::town(who)).map_err(DuelError::of_side);
        let doors = (enter()?, enter()?);
        let side = |place, model: &String, name, room, entered| {
            let request = Ok(ApiRequest::Chat(ChatRequest { model: model.clone(), stream: true, ..chat.clone() }));
            let (witness, heard) = oneshot::channel();
            // The ids of both calls begin with the client's.
            let request_id = format!("{request_id}-{name}");
            let trail = trail.of_side(&request_id);
            let asking = Asking { request_id, local_passages, witness: Some(witness), trail: trail.clone() };
            let incoming = Incoming { request, asking, received, room };
            let pipeline = Arc::clone(&self.pipeline);
            let asked = self.shutdown.spawn(async move {
                let answered = pipeline.answer(entered, incoming).await;
                if let Some(reason) = answered.as_ref().err().and_then(PipelineError::refusal_reason) {
                    trail.refused(reason);
                }
                answered
            });
            Side::new(place, asked, heard)
        };
        let sides =
            [side(Place::Left, left, "left", room, doors.0), side(Place::Right, right, "right", second, doors.1)];
        let mut contest = Contest::new(self, who, entered, sides);
        match tokio::time::timeout(self.patience, contest.begun()).await {
            Ok(Err(error)) => {
                let error = DuelError::of_side(error);
                if matches!(error, DuelError::SideFailed(_)) {
                    metrics().duels.with_label_values(&["failed"]).inc();
                }
                Err(error)
            }
            Ok(Ok(())) | Err(_) => {
                contest.turned_away();
                Ok(contest)
            }
        }
    }

    /// The account that asks, bound to where this resident's questions may be processed.
    fn town(who: &Authenticated) -> Authenticated {
        Authenticated::town(TownAccount::Duels, Arc::clone(who.terms())).within(who.plan().hosts)
    }

    /// Two of the models that are compared, allowed to this resident and able to be asked.
    fn draw<'a>(&self, who: &'a Authenticated) -> Result<(&'a String, &'a String), DuelError> {
        let comparison = &who.terms().comparison;
        if !comparison.has_duels() {
            return Err(DuelError::NotOffered);
        }
        let plan = who.plan();
        // The town's account asks, and the resident's plan is stopped all the same.
        let stops = self.ledger.stops().map_err(PipelineError::Store)?;
        stops.check_plan(&plan.name).map_err(PipelineError::Stopped)?;
        let able = self.pipeline.able(&Self::town(who), &comparison.models)?;
        let allowed = |id: &str| {
            let bare = id.split_once('/').map_or(id, |(_, bare)| bare);
            plan.models.is_empty() || plan.models.iter().any(|model| model == id || model == bare)
        };
        if comparison.models.iter().filter(|id| allowed(id)).count() < 2 {
            return Err(DuelError::NotInPlan);
        }
        let models: Vec<_> = able.into_iter().filter(|id| allowed(id)).collect();
        draw::pair(&models)
            .map_err(|_| PipelineError::Internal("the system has no randomness to give"))?
            .ok_or(DuelError::NobodyToAsk)
    }

    /// Books what a resident thinks of a duel that they asked for, once and in time, and says who answered.
    ///
    /// # Errors
    /// [`JudgeError`].
    pub fn judge(&self, who: &Authenticated, id: &str, judgement: Judgement) -> Result<Reveal, JudgeError> {
        let now = self.clock.now();
        let open = match self.ledger.find_duel(id)? {
            Some(FoundDuel::Waiting(open)) if open.resident == who.resident() => *open,
            Some(FoundDuel::Judged { resident }) if resident == who.resident() => {
                return Err(JudgeError::AlreadyJudged);
            }
            _ => return Err(JudgeError::NotFound),
        };
        if open.expires_at <= now {
            return Err(JudgeError::Expired);
        }
        let OpenDuel { id, resident, length_class, left, right, .. } = open;
        let Judgement { vote, left: of_left, right: of_right } = judgement;
        let duel = Duel {
            id,
            at: micros(now),
            day: self.calendar.date(now).to_string(),
            resident,
            length_class,
            left: DuelSide { qualifiers: of_left, ..left },
            right: DuelSide { qualifiers: of_right, ..right },
            vote,
        };
        if !self.ledger.judge_duel(duel.clone())? {
            return Err(JudgeError::AlreadyJudged);
        }
        metrics().duels.with_label_values(&["judged"]).inc();
        let region = |side: &DuelSide| {
            let provider = who.terms().catalogue.provider(&providers::ProviderId::new(&side.provider))?;
            provider.host(&side.host).map(|host| host.region.clone())
        };
        Ok(Reveal { left_region: region(&duel.left), right_region: region(&duel.right), duel })
    }
}

/// A new identity.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}
