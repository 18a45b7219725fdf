//! Who answers what comes in on this process's connections: this process, or the one that takes over from it.
//!
//! It counts what has come in here and is not answered yet. It must not look into requests.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;

/// How often a count is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(2);

/// Where requests are answered that come in now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    Here,
    /// Not known yet: another process is about to take over. Requests wait.
    Undecided,
    /// There: this process passes on what comes in on connections that it still has.
    There(PathBuf),
}

/// The door of the process, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    open: AtomicBool,
    place: watch::Sender<Place>,
    entering: AtomicUsize,
    inside: AtomicUsize,
}

impl Gate {
    /// An open door.
    pub(super) fn new() -> Self {
        let place = watch::Sender::new(Place::Here);
        let open = AtomicBool::new(true);
        Self(Arc::new(State { open, place, entering: AtomicUsize::new(0), inside: AtomicUsize::new(0) }))
    }

    /// Lets one request in, if requests are answered here.
    pub(super) fn enter(&self) -> Option<Pass> {
        // Counted first and asked afterwards: whoever closes the door and then sees nobody enter has seen all of them.
        self.0.entering.fetch_add(1, Ordering::SeqCst);
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        let pass = Pass { gate: Arc::clone(&self.0), entering: true };
        self.0.open.load(Ordering::SeqCst).then_some(pass)
    }

    /// Closes the door and waits until nobody is on the doorstep: whoever is inside has been counted by the rates. New
    /// requests wait.
    pub(super) async fn close(&self) {
        self.0.open.store(false, Ordering::SeqCst);
        self.0.place.send_replace(Place::Undecided);
        while self.0.entering.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until everybody who is inside has left with the whole answer.
    pub(super) async fn empty(&self) {
        while self.0.inside.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Opens the door again.
    pub(super) fn open(&self) {
        self.0.open.store(true, Ordering::SeqCst);
        self.0.place.send_replace(Place::Here);
    }

    /// From here on, requests are answered by the process that listens there.
    pub(super) fn pass_on_to(&self, path: PathBuf) {
        self.0.place.send_replace(Place::There(path));
    }

    /// Where requests are answered, once that is decided.
    pub(super) async fn decided(&self) -> Place {
        let mut places = self.0.place.subscribe();
        // The sender lives as long as this gate.
        places.wait_for(|place| *place != Place::Undecided).await.map_or(Place::Here, |place| place.clone())
    }

    /// Resolves once the door is open.
    pub(super) async fn opened(&self) {
        let _open = self.0.place.subscribe().wait_for(|place| *place == Place::Here).await.is_ok();
    }

    /// Resolves once the door is closed, for good or not.
    pub(super) async fn closed(&self) {
        let _closed = self.0.place.subscribe().wait_for(|place| *place != Place::Here).await.is_ok();
    }

    /// Resolves once another process has taken over.
    pub(super) async fn passed_on(&self) {
        let _there = self.0.place.subscribe().wait_for(|place| matches!(place, Place::There(_))).await.is_ok();
    }

    /// Whether another process has taken over.
    pub(super) fn has_passed_on(&self) -> bool {
        matches!(*self.0.place.borrow(), Place::There(_))
    }
}

/// One request inside. It leaves when this is dropped, with the end of its answer.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<State>,
    entering: bool,
}

impl Pass {
    /// The rates have counted it.
    fn entered(&mut self) {
        if std::mem::take(&mut self.entering) {
            self.gate.entering.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.entered();
        self.gate.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

pin_project_lite::pin_project! {
    /// An answer in the making. Its first step runs up to the first wait, and rates are counted before a byte of a body is
    /// waited for: after it, the request has entered.
    pub(super) struct Entering<F> {
        #[pin]
        answer: F,
        pass: Option<Pass>,
    }
}

impl<F> Entering<F> {
    /// Of a request that was let in.
    pub(super) fn new(answer: F, pass: Pass) -> Self {
        Self { answer, pass: Some(pass) }
    }
}

impl<F: Future> Future for Entering<F> {
    type Output = (F::Output, Option<Pass>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.answer.poll(context);
        if let Some(pass) = this.pass.as_mut() {
            pass.entered();
        }
        polled.map(|answer| (answer, this.pass.take()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_door_closes_behind_those_on_the_doorstep_and_opens_again() {
        let gate = Gate::new();
        let mut inside = Box::pin(Entering::new(std::future::pending::<()>(), gate.enter().unwrap()));
        let mut closing = Box::pin(gate.close());
        assert!(futures_util::poll!(&mut closing).is_pending(), "somebody is on the doorstep");
        assert!(gate.enter().is_none());
        let mut decided = Box::pin(gate.decided());
        assert!(futures_util::poll!(&mut decided).is_pending());
        assert!(futures_util::poll!(&mut inside).is_pending());
        closing.await;

        gate.open();
        assert_eq!(decided.await, Place::Here);
        assert!(gate.enter().is_some());
        gate.close().await;
        gate.pass_on_to(PathBuf::from("there"));
        assert_eq!(gate.decided().await, Place::There(PathBuf::from("there")));
        let mut empty = Box::pin(gate.empty());
        assert!(futures_util::poll!(&mut empty).is_pending());
        drop(inside);
        empty.await;
    }
}
