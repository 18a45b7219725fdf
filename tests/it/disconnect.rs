//! Clients leave, the process is told to stop: what was begun is settled all the same.

use std::time::Duration;

use passerelle::ledger::Outcome;

use crate::support::vendor::End;
use crate::support::{Step, TestGateway};

#[tokio::test]
async fn an_answer_whose_client_left_is_read_on_and_charged_exactly() {
    for model in ["gpt-6-luna", "mistral-small-latest"] {
        let gateway = TestGateway::start().await;
        let key = gateway.resident();
        let slow = Step::Stream { pieces: 20, gap: Duration::from_millis(40), end: End::Proper };
        gateway.openai.script([slow.clone()]);
        gateway.mistral.script([slow]);
        gateway.ask_and_leave(&key, model, 2).await;
        gateway.settled().await;
        let entry = gateway.entries().pop().unwrap();
        assert_eq!((entry.outcome, entry.client_left), (Outcome::Completed, true));
        assert_eq!(entry.usage.unwrap().total_tokens(), 30);
        assert_eq!(entry.charged.tokens, 30);
    }
}

#[tokio::test]
async fn reading_on_is_bounded_and_says_so() {
    let gateway = TestGateway::with("[upstream]\ndrain_seconds = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 3, gap: Duration::from_millis(1), end: End::Silence }]);
    gateway.ask_and_leave(&key, "gpt-6-luna", 2).await;
    gateway.settled().await;
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.client_left, entry.cost_nanos), (Outcome::Interrupted, true, None));
    assert_eq!(entry.charged.euro_nanos, entry.ceiling_euro_nanos);
}

/// Asks for a stream and leaves once the vendor has been called, before the head of the answer.
async fn ask_and_leave_before_the_head(gateway: &TestGateway, key: &str) {
    let asked = gateway.ask(key, "gpt-6-luna", "x", true);
    tokio::pin!(asked);
    while gateway.openai.calls().is_empty() {
        assert!(futures_util::poll!(&mut asked).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_settled_too() {
    let gateway = TestGateway::with("[upstream]\nfirst_byte_seconds = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Hang]);
    ask_and_leave_before_the_head(&gateway, &key).await;
    gateway.settled().await;
    assert_eq!(gateway.entries().pop().unwrap().outcome, Outcome::Unknown);
}

#[tokio::test]
async fn a_long_answer_whose_client_left_before_its_head_is_read_on_and_frees_the_resident() {
    let gateway = TestGateway::with("[plans.resident]\nsimultaneous = 1").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 100, gap: Duration::from_millis(2), end: End::Proper }]);
    ask_and_leave_before_the_head(&gateway, &key).await;
    gateway.settled().await;
    let entry = gateway.entries().pop().unwrap();
    assert_eq!((entry.outcome, entry.client_left, entry.charged.tokens), (Outcome::Completed, true, 110));
}

#[tokio::test]
async fn a_stop_finishes_answers_in_progress_and_refuses_new_ones() {
    let gateway = TestGateway::start().await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 10, gap: Duration::from_millis(10), end: End::Proper }]);
    let (answer, ()) = tokio::join!(gateway.ask(&key, "gpt-6-luna", "x", true), async {
        while gateway.openai.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        gateway.shutdown.begin();
        let refused = gateway.ask(&key, "gpt-6-luna", "x", false).await;
        assert_eq!(refused.refusal(), (503, "shutting_down".to_owned(), true));
    });
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    gateway.settled().await;
    assert_eq!(gateway.entries().pop().unwrap().outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_client_that_stays_but_does_not_read_holds_nothing_past_the_total_deadline() {
    let gateway = TestGateway::with("[upstream]\ntotal_seconds = 2\nfirst_byte_seconds = 2\nidle_seconds = 2").await;
    let key = gateway.resident();
    gateway.openai.script([Step::Stream { pieces: 100, gap: Duration::from_millis(1), end: End::Proper }]);
    let unread = gateway.open(&key, "gpt-6-luna").await;
    gateway.settled().await;
    let entry = gateway.entries().pop().unwrap();
    assert!(entry.client_left && entry.outcome != Outcome::Rejected, "{entry:?}");
    drop(unread);
}
