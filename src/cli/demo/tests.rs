use std::collections::{BTreeMap, BTreeSet};

use providers::chat::ChatRequest;

use super::basket::{Basket, Length};
use super::figures::Overhead;
use super::live;
use super::play::order;
use crate::config::{Environment, load};

#[test]
fn the_basket_has_three_lengths_and_every_passage() {
    let basket = Basket::shipped().unwrap();
    assert!(basket.questions.len() >= 60, "{} questions", basket.questions.len());
    for length in [Length::Short, Length::Medium, Length::Long] {
        assert!(basket.first(length, usize::MAX).len() >= 15, "{length:?}");
    }
    let ids: BTreeSet<&str> = basket.questions.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids.len(), basket.questions.len(), "ids are used once");
    for question in &basket.questions {
        let pages = basket.passages_of(question).unwrap_or_else(|| panic!("{}: a passage is missing", question.id));
        assert_eq!(pages.is_empty(), question.length != Length::Long, "{}", question.id);
    }
}

#[test]
fn a_question_goes_out_whole_with_its_pages_and_its_limit() {
    let basket = Basket::shipped().unwrap();
    for question in &basket.questions {
        let request = ChatRequest::parse(&basket.body(question, Some(7))).unwrap();
        assert!(request.stream && request.include_usage);
        assert_eq!((request.model.as_str(), request.max_output_tokens), ("auto", Some(7)));
        assert_eq!(request.messages.len(), if question.length == Length::Long { 2 } else { 1 }, "{}", question.id);
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
