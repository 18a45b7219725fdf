//! When each probe of a round starts: made beforehand, so that no answer decides when the next question is put.
//!
//! Pure: no clock, no vendor.

use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;

/// All models are asked a question within this time, however many they are.
const TOGETHER: Duration = Duration::from_secs(45);

/// How the probes of a round follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one question to the next.
    pub questions: Duration,
    /// From one model to the next within a question; less where there are very many.
    pub models: Duration,
}

impl Default for Pace {
    /// Four to five minutes for the shipped basket: slow enough to be no load, and soon over.
    fn default() -> Self {
        Self { questions: Duration::from_secs(3), models: Duration::from_millis(300) }
    }
}

/// The start of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// After the beginning of the round.
    pub offset: Duration,
    /// Index of the question.
    pub question: usize,
    /// Index of the model.
    pub model: usize,
    /// Place among the models asked the same question, from 0.
    pub position: u32,
}

/// The starts of a round, earliest first: questions evenly spaced in random order, each to all models in a random order of
/// its own within a minute.
pub fn schedule(questions: usize, models: usize, pace: Pace, chance: &mut impl Rng) -> Vec<Start> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let gap = pace.models.min(TOGETHER / count(models).max(1));
    let mut order: Vec<usize> = (0..questions).collect();
    order.shuffle(chance);
    let mut starts = Vec::with_capacity(questions * models);
    for (place, question) in order.into_iter().enumerate() {
        let begin = pace.questions * count(place);
        let mut asked: Vec<usize> = (0..models).collect();
        asked.shuffle(chance);
        starts.extend(asked.into_iter().zip(0..).map(|(model, position)| Start {
            offset: begin + gap * position,
            question,
            model,
            position,
        }));
    }
    // Where models are many, the next question begins before the last of them was asked this one.
    starts.sort_by_key(|start| start.offset);
    starts
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    fn of(questions: usize, models: usize, pace: Pace, seed: u64) -> Vec<Start> {
        schedule(questions, models, pace, &mut Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    #[test]
    fn the_order_of_models_is_as_often_one_way_as_the_other() {
        let starts = of(2_000, 2, Pace::default(), 7);
        let first = starts.iter().filter(|start| start.position == 0 && start.model == 0).count();
        assert!((900..1_100).contains(&first), "{first} of 2000");
    }

    #[test]
    fn a_round_of_the_usual_pace_takes_a_few_minutes() {
        let last = of(88, 2, Pace::default(), 1).pop().unwrap();
        assert!((180..360).contains(&last.offset.as_secs()), "{last:?}");
        assert_ne!(of(88, 2, Pace::default(), 1), of(88, 2, Pace::default(), 2));
    }

    proptest! {
        #[test]
        fn every_model_is_asked_every_question_once_within_a_minute_and_in_order_of_time(
            questions in 0_usize..60, models in 0_usize..30, seed: u64, gap in 0_u64..5_000, between in 0_u64..100_000,
        ) {
            let pace = Pace { questions: Duration::from_millis(gap), models: Duration::from_millis(between) };
            let starts = of(questions, models, pace, seed);
            prop_assert_eq!(starts.len(), questions * models);
            prop_assert!(starts.is_sorted_by_key(|start| start.offset));
            let mut by_question: BTreeMap<usize, Vec<Start>> = BTreeMap::new();
            for start in starts {
                by_question.entry(start.question).or_default().push(start);
            }
            let mut begins = BTreeSet::new();
            for asked in by_question.values() {
                let distinct: BTreeSet<usize> = asked.iter().map(|start| start.model).collect();
                prop_assert_eq!(distinct, (0..models).collect::<BTreeSet<_>>());
                let positions: BTreeSet<u32> = asked.iter().map(|start| start.position).collect();
                prop_assert_eq!(positions.len(), models);
                let (first, last) = (asked[0].offset, asked[asked.len() - 1].offset);
                prop_assert!(last - first < Duration::from_secs(60));
                begins.insert(first);
            }
            if gap > 0 {
                let even: BTreeSet<Duration> = (0..by_question.len()).map(|n| pace.questions * n as u32).collect();
                prop_assert_eq!(begins, even);
            }
        }
    }
}
