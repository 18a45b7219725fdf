//! How those who wait for a commit hear of it: the writer wakes one of them, who wakes the others.
//!
//! Waking from another thread is dear (a queue for strangers, often a call to the system), from within the runtime it is
//! not. Nobody is forgotten: who passes the news on does it by dropping them, whether it was waiting still or had gone.

use tokio::sync::oneshot;

use crate::ledger::StoreError;

/// Where the answer to one command is awaited.
pub(super) struct Reply<T>(oneshot::Sender<(Result<T, StoreError>, Others)>);

/// The waiting side of a [`Reply`].
pub(super) struct Awaited<T>(oneshot::Receiver<(Result<T, StoreError>, Others)>);

impl<T> Reply<T> {
    /// With its waiting side.
    pub(super) fn new() -> (Self, Awaited<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Awaited(receiver))
    }

    /// Answers, and has the others answered. A waiter that has gone needs no answer; a hold it would have had stays until
    /// its lease ends.
    pub(super) fn send(self, result: Result<T, StoreError>, others: Others) {
        let _gone = self.0.send((result, others));
    }
}

impl<T> Awaited<T> {
    pub(super) async fn answer(self) -> Result<T, StoreError> {
        let (result, others) = self.0.await.map_err(|_| StoreError::Unavailable("the writer has ended".to_owned()))?;
        drop(others);
        result
    }

    /// The answer, if it is there.
    #[cfg(test)]
    pub(super) fn now(mut self) -> Option<Result<T, StoreError>> {
        self.0.try_recv().ok().map(|(result, _)| result)
    }
}

/// An answer that waits for the commit.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>, Others) + Send>;

pub(super) fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Answer {
    Box::new(move |committed, others| reply.send(committed.and(result), others))
}

/// Answers still to be given, and what became of their commit; given when dropped.
#[derive(Default)]
pub(super) struct Others(Option<(Result<(), StoreError>, std::vec::IntoIter<Answer>)>);

impl Others {
    pub(super) fn new(answers: Vec<Answer>, committed: Result<(), StoreError>) -> Self {
        Self(Some((committed, answers.into_iter())))
    }

    /// Gives the first of the answers, and the others with it.
    pub(super) fn pass_on(mut self) {
        let Some((committed, mut answers)) = self.0.take() else { return };
        if let Some(first) = answers.next() {
            first(committed.clone(), Self(Some((committed, answers))));
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let Some((committed, answers)) = self.0.take() else { return };
        for answer in answers {
            answer(committed.clone(), Self::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(count: usize) -> (Vec<Answer>, Vec<Awaited<usize>>) {
        (0..count)
            .map(|number| {
                let (reply, awaited) = Reply::new();
                (answer(reply, Ok(number)), awaited)
            })
            .unzip()
    }

    #[tokio::test]
    async fn the_first_to_hear_tells_all_others() {
        let (answers, awaited) = waiting(5);
        Others::new(answers, Ok(())).pass_on();
        for (number, awaited) in awaited.into_iter().enumerate() {
            assert_eq!(awaited.answer().await.unwrap(), number);
        }
        let (answers, awaited) = waiting(3);
        Others::new(answers, Err(StoreError::Busy)).pass_on();
        for awaited in awaited {
            assert!(matches!(awaited.answer().await, Err(StoreError::Busy)));
        }
    }

    #[tokio::test]
    async fn whoever_has_gone_keeps_the_news_from_nobody() {
        for gone in 0..4 {
            // Gone before the answer.
            let (answers, mut awaited) = waiting(4);
            drop(awaited.remove(gone));
            Others::new(answers, Ok(())).pass_on();
            for awaited in awaited {
                assert!(awaited.answer().await.is_ok());
            }
            // Gone with the answer unread.
            let (answers, mut awaited) = waiting(4);
            Others::new(answers, Ok(())).pass_on();
            drop(awaited.remove(gone));
            if gone > 0 {
                drop(awaited.remove(0));
            }
            for awaited in awaited {
                assert!(awaited.answer().await.is_ok());
            }
        }
        Others::new(Vec::new(), Ok(())).pass_on();
    }
}
