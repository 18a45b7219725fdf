use std::collections::{BTreeMap, BTreeSet};

use providers::chat::ChatRequest;

use super::figures::Overhead;
use super::play::{order, ready};
use super::{QUESTIONS_PER_LENGTH, live};
use crate::config::{Environment, load};
use crate::ledger::LengthClass;
use crate::probes::basket::Basket;

const LENGTHS: [LengthClass; 3] = [LengthClass::Short, LengthClass::Medium, LengthClass::Long];

#[test]
fn residents_put_as_many_questions_of_each_length() {
    let basket = Basket::shipped().unwrap();
    let mut ids = BTreeSet::new();
    for class in LENGTHS {
        let questions = ready(&basket, class, QUESTIONS_PER_LENGTH, None);
        assert_eq!(questions.len(), QUESTIONS_PER_LENGTH, "{class:?}");
        ids.extend(questions.into_iter().map(|(id, _)| id));
    }
    assert_eq!(ids.len(), 3 * QUESTIONS_PER_LENGTH, "ids are used once");
}

#[test]
fn a_question_goes_out_whole_with_its_pages_and_its_limit() {
    let basket = Basket::shipped().unwrap();
    for class in LENGTHS {
        for (id, body) in ready(&basket, class, usize::MAX, Some(7)) {
            let request = ChatRequest::parse(&body).unwrap();
            assert!(request.stream && request.include_usage);
            assert_eq!((request.model.as_str(), request.max_output_tokens), ("auto", Some(7)));
            let pages = !basket.question(&id).unwrap().passages.is_empty();
            assert_eq!(request.messages.len(), if pages { 2 } else { 1 }, "{id}");
        }
        let own = ready(&basket, class, 1, None).pop().unwrap();
        let limit = basket.question(&own.0).unwrap().max_output_tokens;
        assert_eq!(ChatRequest::parse(&own.1).unwrap().max_output_tokens, Some(limit));
    }
}

#[test]
fn every_question_is_put_twice_by_two_residents() {
    for (seed, residents) in [(1, 38), (2, 38), (3, 2), (4, 5)] {
        let turns = order(72, residents, 2, seed);
        assert_eq!(turns, order(72, residents, 2, seed), "the seed decides");
        let mut who: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for turn in &turns {
            assert!(turn.resident < residents);
            who.entry(turn.question).or_default().insert(turn.resident);
        }
        assert_eq!((turns.len(), who.len()), (144, 72));
        assert!(who.values().all(|residents| residents.len() == 2), "seed {seed}");
    }
    assert_ne!(order(72, 38, 2, 1), order(72, 38, 2, 2), "another seed gives another order");
}

#[test]
fn a_live_demo_costs_something_and_less_than_its_envelope() {
    let basket = Basket::shipped().unwrap();
    let process = Environment::from_pairs([("OPENAI_API_KEY", "a"), ("MISTRAL_API_KEY", "b")]);
    let config = load(None, &live::environment(&process).unwrap()).unwrap().config;
    let questions = live::questions(&basket);
    assert_eq!(questions.len(), live::QUESTIONS);
    let most = live::ceiling(&config, &questions, "2026-11-24".parse().unwrap()).unwrap();
    assert!(most.nanos() > 0);
    assert!(most.nanos() < 100_000_000, "{most}");
}

#[test]
fn a_live_demo_names_each_missing_key_and_takes_nothing_else_from_the_environment() {
    let none = live::environment(&Environment::default()).unwrap_err();
    assert_eq!(none.mistakes.len(), 2);
    assert!(none.to_string().contains("OPENAI_API_KEY") && none.to_string().contains("MISTRAL_API_KEY"));
    let process = Environment::from_pairs([
        ("OPENAI_API_KEY", "a"),
        ("MISTRAL_API_KEY", "b"),
        ("PASSERELLE__LEDGER__PATH", "/var/lib/passerelle/passerelle.sqlite"),
    ]);
    assert_eq!(live::environment(&process).unwrap().get("PASSERELLE__LEDGER__PATH"), None);
}

#[test]
fn overhead_quantiles_are_exact() {
    assert_eq!(Overhead::of(Vec::new()), Overhead::default());
    let overhead = Overhead::of((1..=200).rev().collect());
    assert_eq!((overhead.n, overhead.p50, overhead.p99), (200, Some(100), Some(198)));
}
