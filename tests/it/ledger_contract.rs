//! What every store of the ledger promises, told as the days of a few residents. Time is given, never waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use passerelle::ledger::{
    ATTEMPTS, Assignment, Charge, Decision, Entry, ExportFormat, Ledger, NewKey, Outcome, Record, ReportData,
    ReservationRequest, Rollup, RollupKey, Settlement, Sighting, Stop, StopScope, StoreError, export, micros,
};
use passerelle::quota::{Limit, Refusal, Windows};
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::support::ledgers::{
    CENT, Hold, LEASE, MORNING, Question, Store, all_at_once, assert_sound, at, each_store, entries, question,
    standing, windows,
};

const LIMITS: [Limit; 5] = [
    Limit::QuestionsPerDay,
    Limit::TokensPerDay,
    Limit::EurosPerMonth,
    Limit::TownEurosPerMonth,
    Limit::TownEurosPerYear,
];

/// How all five limits of a resident stand, used and held.
async fn standings(ledger: &Ledger, resident: &str, now: &str) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for limit in LIMITS {
        all.push(standing(ledger, resident, limit, at(now)).await);
    }
    all
}

/// Settles each in a task of its own, all at once; says how many were charged and how many came too late.
async fn settle_at_once(ledger: &Ledger, settlements: impl IntoIterator<Item = Settlement>) -> (usize, usize) {
    let mut tasks = JoinSet::new();
    for settlement in settlements {
        let ledger = ledger.clone();
        tasks.spawn(async move { ledger.settle(settlement).await });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(StoreError::AlreadyResolved))), "{answers:?}");
    let charged = answers.iter().filter(|answer| answer.is_ok()).count();
    (charged, answers.len() - charged)
}

// Admission.

#[tokio::test]
async fn a_call_holds_its_ceiling_until_its_answer_gives_back_the_rest() {
    each_store(async |store| {
        let ledger = store.open();
        let hold = question("rose").held(&ledger).await;
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(0, 1), (0, 1_000), (0, CENT), (0, CENT), (0, CENT)]);

        ledger.settle(hold.answered(300, CENT / 5)).await.unwrap();
        let fifth = CENT / 5;
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(1, 0), (300, 0), (fifth, 0), (fifth, 0), (fifth, 0)]);

        let of_rose = ledger.resident_use("rose", &windows(at(MORNING))).unwrap();
        assert_eq!((of_rose.day_used.questions, of_rose.day_used.tokens, of_rose.day_used.euro_nanos), (1, 300, fifth));
        assert_eq!(of_rose.month_used, of_rose.day_used);
        assert_eq!((of_rose.day_held, of_rose.month_held), Default::default());
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn every_limit_says_how_far_it_is_reached_and_when_it_resets() {
    each_store(async |store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, CENT / 5).await;
        question("emile").answered(&ledger, 5_000, 2 * CENT).await;
        let open = question("rose").held(&ledger).await;

        let midnight = "2026-11-25T00:00:00+01:00";
        let (december, new_year) = ("2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00");
        let town = CENT / 5 + 2 * CENT;
        for (limit, used, held, asked, resets_at) in [
            (Limit::QuestionsPerDay, 1, 1, 1, midnight),
            (Limit::TokensPerDay, 300, 1_000, 1_000, midnight),
            (Limit::EurosPerMonth, CENT / 5, CENT, CENT, december),
            (Limit::TownEurosPerMonth, town, CENT, CENT, december),
            (Limit::TownEurosPerYear, town, CENT, CENT, new_year),
        ] {
            let enough = used + held + asked;
            let expected = Refusal { limit, allowed: enough - 1, used, held, asked, resets_at: at(resets_at) };
            let refusal = question("rose").limited(limit, enough - 1).refused(&ledger).await;
            assert_eq!(refusal, expected);
            assert!(!refusal.is_spent(), "something is left, only not enough");

            let just_enough = question("rose").limited(limit, enough).held(&ledger).await;
            ledger.settle(just_enough.settled(Vec::new())).await.unwrap();
            assert!(question("rose").limited(limit, used).refused(&ledger).await.is_spent());
        }
        ledger.settle(open.answered(10, 1)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_call_that_one_limit_refuses_is_held_in_no_window() {
    each_store(async |store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, CENT).await;
        let before = standings(&ledger, "rose", MORNING).await;
        for limit in LIMITS {
            assert_eq!(question("rose").limited(limit, 0).refused(&ledger).await.limit, limit);
            assert_eq!(standings(&ledger, "rose", MORNING).await, before, "after {limit} refused");
        }
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
        assert_eq!(entries(&ledger).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_resident_hears_of_their_own_limit_before_the_towns() {
    each_store(async |store| {
        let ledger = store.open();
        let spent = LIMITS.into_iter().fold(question("rose"), |question, limit| question.limited(limit, 0));
        assert_eq!(spent.refused(&ledger).await.limit, Limit::QuestionsPerDay);
        let own = spent.limited(Limit::QuestionsPerDay, 1).limited(Limit::TokensPerDay, 1_000);
        assert_eq!(own.refused(&ledger).await.limit, Limit::EurosPerMonth);
        let towns = own.limited(Limit::EurosPerMonth, CENT);
        assert_eq!(towns.refused(&ledger).await.limit, Limit::TownEurosPerMonth);
        let year = towns.limited(Limit::TownEurosPerMonth, CENT);
        assert_eq!(year.refused(&ledger).await.limit, Limit::TownEurosPerYear);
    })
    .await;
}

#[tokio::test]
async fn free_calls_are_counted_and_pass_when_no_euro_is_left() {
    each_store(async |store| {
        let ledger = store.open();
        let free = Question { euro_nanos: 0, ..question("rose") }.limited(Limit::EurosPerMonth, 0);
        free.answered(&ledger, 300, 0).await;
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(1, 0), (300, 0), (0, 0), (0, 0), (0, 0)]);
        let refusal = Question { euro_nanos: 1, ..free }.refused(&ledger).await;
        assert_eq!((refusal.limit, refusal.asked), (Limit::EurosPerMonth, 1));
    })
    .await;
}

#[tokio::test]
async fn a_hold_says_what_is_left_of_the_days_tokens_beside_everything_held() {
    each_store(async |store| {
        let ledger = store.open();
        let of_rose = question("rose").limited(Limit::TokensPerDay, 2_500);
        question("emile").answered(&ledger, 2_400, CENT).await;

        let first = of_rose.held(&ledger).await;
        let second = of_rose.held(&ledger).await;
        assert_eq!((first.tokens_left(), second.tokens_left()), (1_500, 500));

        // What an answer did not need is back for the next; to the last token, and never below nothing.
        ledger.settle(first.answered(300, CENT)).await.unwrap();
        let third = of_rose.held(&ledger).await;
        assert_eq!(third.tokens_left(), 200);
        let last = Question { tokens: 200, ..of_rose.clone() }.held(&ledger).await;
        assert_eq!(last.tokens_left(), 0);

        // Tomorrow is a day of its own, though the holds of today are still open.
        let tomorrow = of_rose.at("2026-11-25T00:00:00+01:00").held(&ledger).await;
        assert_eq!(tomorrow.tokens_left(), 1_500);
        for open in [second, third, last, tomorrow] {
            ledger.settle(open.settled(Vec::new())).await.unwrap();
        }
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_at_once_get_exactly_what_is_left() {
    for limit in LIMITS {
        each_store(async |store| {
            let ledger = store.open();
            // Two are used, eight are left: for one resident who is in a hurry, or for a town full of them.
            let each = match limit {
                Limit::QuestionsPerDay => 1,
                Limit::TokensPerDay => 1_000,
                Limit::EurosPerMonth | Limit::TownEurosPerMonth | Limit::TownEurosPerYear => CENT,
            };
            let name = |n: i32| if limit.is_town() { format!("resident-{n}") } else { "rose".to_owned() };
            let ask = |n| question(&name(n)).limited(limit, 10 * each + each / 2);
            ask(0).answered(&ledger, 1_000, CENT).await;
            ask(1).answered(&ledger, 1_000, CENT).await;

            let (holds, refusals) = all_at_once(&ledger, (0..100).map(ask).collect()).await;
            assert_eq!((holds.len(), refusals.len()), (8, 92), "{limit}");
            assert!(refusals.iter().all(|refusal| refusal.limit == limit && refusal.used == 2 * each));
            assert_eq!(standing(&ledger, &name(0), limit, at(MORNING)).await, (2 * each, 8 * each));

            let answers = holds.into_iter().map(|hold| hold.answered(1_000, CENT));
            assert_eq!(settle_at_once(&ledger, answers).await, (8, 0));
            let (holds, _) = all_at_once(&ledger, (0..100).map(ask).collect()).await;
            assert!(holds.is_empty(), "{limit} is spent");
            assert_eq!(standing(&ledger, &name(0), limit, at(MORNING)).await, (10 * each, 0));
            assert_sound(&ledger);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_first_call_of_a_resident_in_parallel_with_itself_is_admitted_once() {
    each_store(async |store| {
        let ledger = store.open();
        for resident in ["rose", "emile", "lucie"] {
            let first = question(resident).limited(Limit::QuestionsPerDay, 1);
            let (holds, refusals) = all_at_once(&ledger, vec![first; 50]).await;
            assert_eq!((holds.len(), refusals.len()), (1, 49));
            for hold in holds {
                ledger.settle(hold.answered(100, 1)).await.unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_answer_did_not_need_serves_the_next_to_the_last_nano() {
    each_store(async |store| {
        let ledger = store.open();
        let ask = |euro_nanos| Question { euro_nanos, ..question("rose") }.limited(Limit::EurosPerMonth, 2 * CENT);
        let first = ask(CENT).held(&ledger).await;
        let second = ask(CENT).held(&ledger).await;
        ask(1).refused(&ledger).await;

        ledger.settle(first.answered(100, CENT - 7)).await.unwrap();
        ask(8).refused(&ledger).await;
        let third = ask(7).held(&ledger).await;
        ask(1).refused(&ledger).await;
        for hold in [second, third] {
            let price = hold.entry.ceiling_euro_nanos;
            ledger.settle(hold.answered(100, price)).await.unwrap();
        }
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (2 * CENT, 0));
    })
    .await;
}

#[tokio::test]
async fn one_call_cannot_be_held_twice_and_the_attempt_hurts_nobody() {
    each_store(async |store| {
        let ledger = store.open();
        let twin = question("rose").request();
        let first = ledger.reserve(twin.clone()).await.unwrap();
        assert!(ledger.reserve(twin).await.is_err());
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (0, CENT));
        question("emile").answered(&ledger, 100, 1).await;
        drop(first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_calls_at_once_only_the_one_that_cannot_be_written_fails() {
    each_store(async |store| {
        let ledger = store.open();
        let twin = question("rose").request();
        let _first = ledger.reserve(twin.clone()).await.unwrap();
        let mut twins = JoinSet::new();
        for _ in 0..20 {
            let (ledger, twin) = (ledger.clone(), twin.clone());
            twins.spawn(async move { ledger.reserve(twin).await.is_err() });
        }
        let (holds, _) = all_at_once(&ledger, vec![question("emile"); 100]).await;
        assert_eq!(holds.len(), 100);
        assert!(twins.join_all().await.into_iter().all(|refused| refused));
        assert_eq!(ledger.gauges().unwrap().open_reservations, 101);
    })
    .await;
}

/// Who asked may stand still before it hears, such as the task of a client that reads nothing.
#[tokio::test]
async fn whoever_stands_still_keeps_nobody_elses_answer() {
    each_store(async |store| {
        let ledger = store.open();
        let asked = (0..32).map(|n| question(&n.to_string()).request());
        let mut still: Vec<_> = asked.map(|request| Box::pin(ledger.reserve(request))).collect();
        for reserve in &mut still {
            assert!(futures_util::poll!(reserve).is_pending());
        }
        let question = question("moving");
        let moving = tokio::time::timeout(Duration::from_secs(20), question.held(&ledger))
            .await
            .expect("an answer of one's own");
        drop(moving);
        for reserve in still {
            assert!(matches!(reserve.await.unwrap(), Decision::Held(_)));
        }
    })
    .await;
}

#[tokio::test]
async fn an_admission_that_nobody_waits_for_any_more_holds_nothing_past_its_lease() {
    each_store(async |store| {
        let ledger = store.open();
        let abandoned = question("rose");
        // The client leaves after the call was handed to the store and before the answer.
        let _answer = abandoned.ask(&ledger).now_or_never();
        let swept = ledger.sweep(abandoned.now + LEASE).await.unwrap();
        let (_, held) = standing(&ledger, "rose", Limit::QuestionsPerDay, at(MORNING)).await;
        assert_eq!((held, u64::try_from(entries(&ledger).len()).unwrap()), (0, swept));
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
        assert_sound(&ledger);
    })
    .await;
}

// Settlement.

#[tokio::test]
async fn a_call_settled_twice_is_charged_once() {
    each_store(async |store| {
        let ledger = store.open();
        let settlement = question("rose").held(&ledger).await.answered(300, CENT);
        ledger.settle(settlement.clone()).await.unwrap();
        let again = ledger.settle(settlement).await;
        assert!(matches!(again, Err(StoreError::AlreadyResolved)), "{again:?}");
        assert_eq!(standing(&ledger, "rose", Limit::QuestionsPerDay, at(MORNING)).await, (1, 0));
        assert_eq!(entries(&ledger).len(), 1);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_written_again_while_the_first_is_on_its_way_are_charged_once() {
    each_store(async |store| {
        let ledger = store.open();
        let (holds, _) = all_at_once(&ledger, vec![question("rose"); 20]).await;
        let settlements: Vec<_> = holds.into_iter().map(|hold| hold.answered(300, CENT / 2)).collect();
        assert_eq!(settle_at_once(&ledger, [&settlements[..], &settlements[..]].concat()).await, (20, 20));
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (10 * CENT, 0));
        assert_eq!(entries(&ledger).len(), 20);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_the_vendor_rejected_costs_neither_money_nor_a_question() {
    each_store(async |store| {
        let ledger = store.open();
        let only = question("rose").limited(Limit::QuestionsPerDay, 1);
        for _ in 0..3 {
            let hold = only.held(&ledger).await;
            let rejected = hold.rejected();
            ledger.settle(hold.settled(vec![rejected])).await.unwrap();
        }
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(0, 0); 5]);
        assert_eq!(entries(&ledger).iter().filter(|entry| entry.outcome == Outcome::Rejected).count(), 3);
        only.answered(&ledger, 100, 1).await;
        only.refused(&ledger).await;
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_reached_no_vendor_leaves_no_entry() {
    each_store(async |store| {
        let ledger = store.open();
        let hold = question("rose").held(&ledger).await;
        ledger.settle(hold.settled(Vec::new())).await.unwrap();
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(0, 0); 5]);
        assert_eq!(entries(&ledger), []);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn several_attempts_are_several_entries_and_one_release() {
    each_store(async |store| {
        let ledger = store.open();
        let hold = question("rose").held(&ledger).await;
        let attempts = vec![
            Entry { retried: true, ..hold.rejected() },
            Entry { attempt: 2, ..hold.rejected() },
            Entry {
                attempt: 3,
                assignment: Assignment::Fallback,
                provider: "openai".to_owned(),
                ..hold.completed(700, CENT / 2)
            },
        ];
        ledger.settle(hold.settled(attempts.clone())).await.unwrap();
        assert_eq!(entries(&ledger), attempts);
        let half = CENT / 2;
        assert_eq!(standings(&ledger, "rose", MORNING).await, [(1, 0), (700, 0), (half, 0), (half, 0), (half, 0)]);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn an_answer_dearer_than_its_ceiling_is_charged_as_it_is() {
    each_store(async |store| {
        let ledger = store.open();
        let ask = question("rose").limited(Limit::EurosPerMonth, 2 * CENT);
        ask.answered(&ledger, 5_000, 3 * CENT).await;
        let refusal = Question { euro_nanos: 0, ..ask }.refused(&ledger).await;
        assert_eq!((refusal.used, refusal.held, refusal.is_spent()), (3 * CENT, 0, true));
        assert_sound(&ledger);
    })
    .await;
}

// Leases.

#[tokio::test]
async fn a_sweep_resolves_what_is_past_its_lease_at_the_ceiling_and_nothing_else() {
    each_store(async |store| {
        let ledger = store.open();
        let forgotten = question("rose").held(&ledger).await;
        let slow = question("rose").at("2026-11-24T09:00:01+01:00").held(&ledger).await;
        let expected = forgotten.entry.clone();

        let end = at(MORNING) + LEASE;
        assert_eq!(ledger.sweep(end - Duration::from_micros(1)).await.unwrap(), 0);
        assert_eq!(ledger.sweep(end).await.unwrap(), 1);
        assert_eq!(ledger.sweep(end).await.unwrap(), 0, "each only once");

        assert_eq!(entries(&ledger), [Entry { ended_at: micros(end), ..expected }]);
        let held_and_used = [(1, 1), (1_000, 1_000), (CENT, CENT), (CENT, CENT), (CENT, CENT)];
        assert_eq!(standings(&ledger, "rose", MORNING).await, held_and_used);

        let late = ledger.settle(forgotten.answered(10, 1)).await;
        assert!(matches!(late, Err(StoreError::AlreadyResolved)), "{late:?}");
        assert_eq!(standings(&ledger, "rose", MORNING).await, held_and_used);
        ledger.settle(slow.answered(10, 1)).await.unwrap();
        assert_eq!(standing(&ledger, "rose", Limit::TokensPerDay, at(MORNING)).await, (1_010, 0));
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn an_answer_after_the_lease_but_before_the_sweep_is_still_the_true_one() {
    each_store(async |store| {
        let ledger = store.open();
        let slow = question("rose").held(&ledger).await;
        // Much later, still unswept: it is held, and nobody may count on its end.
        let (_, held) = standing(&ledger, "rose", Limit::QuestionsPerDay, at("2026-11-24T18:00:00+01:00")).await;
        assert_eq!(held, 1);
        ledger.settle(slow.answered(200, 3)).await.unwrap();
        assert_eq!(ledger.sweep(at("2026-11-24T18:00:00+01:00")).await.unwrap(), 0);
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (3, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sweep_and_a_settlement_at_the_same_moment_one_resolves_the_hold() {
    each_store(async |store| {
        let ledger = store.open();
        let (holds, _) = all_at_once(&ledger, vec![question("rose"); 40]).await;
        let settlements = holds.into_iter().map(|hold| hold.answered(0, 0));
        let sweeping = {
            let ledger = ledger.clone();
            async move { ledger.sweep(at(MORNING) + LEASE).await.unwrap() }
        };
        let ((charged, late), swept) = tokio::join!(settle_at_once(&ledger, settlements), sweeping);
        let swept = i64::try_from(swept).unwrap();
        assert_eq!((charged + late, i64::try_from(late).unwrap()), (40, swept));
        assert_eq!(standing(&ledger, "rose", Limit::QuestionsPerDay, at(MORNING)).await, (40, 0));
        assert_eq!(standing(&ledger, "rose", Limit::EurosPerMonth, at(MORNING)).await, (swept * CENT, 0));
        assert_eq!(entries(&ledger).len(), 40);
        assert_sound(&ledger);
    })
    .await;
}

// Windows.

#[tokio::test]
async fn a_call_across_midnight_on_new_years_eve_is_charged_to_the_old_year() {
    each_store(async |store| {
        let ledger = store.open();
        let (eve, new_year) = ("2026-12-31T23:59:59+01:00", "2027-01-01T00:00:00+01:00");
        let answered = question("rose").at(eve).held(&ledger).await;
        let forgotten = question("rose").at(eve).held(&ledger).await;
        let first_of_the_year = question("rose").at(new_year).held(&ledger).await;
        assert_eq!(standing(&ledger, "rose", Limit::QuestionsPerDay, at(new_year)).await, (0, 1));

        let answer = Entry { ended_at: micros(at("2027-01-01T00:00:20+01:00")), ..answered.completed(100, 5) };
        ledger.settle(answered.settled(vec![answer])).await.unwrap();
        assert_eq!(ledger.sweep(at(eve) + LEASE).await.unwrap(), 1);
        ledger.settle(first_of_the_year.answered(200, 7)).await.unwrap();
        drop(forgotten);

        let old = CENT + 5;
        assert_eq!(standings(&ledger, "rose", eve).await, [(2, 0), (1_100, 0), (old, 0), (old, 0), (old, 0)]);
        assert_eq!(standings(&ledger, "rose", new_year).await, [(1, 0), (200, 0), (7, 0), (7, 0), (7, 0)]);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn a_new_day_brings_new_questions_but_no_new_euros() {
    each_store(async |store| {
        let ledger = store.open();
        let ask = |now| {
            let limited = question("rose").limited(Limit::QuestionsPerDay, 1).limited(Limit::TokensPerDay, 1_000);
            limited.limited(Limit::EurosPerMonth, 2 * CENT).at(now)
        };
        ask(MORNING).answered(&ledger, 1_000, CENT).await;
        assert_eq!(ask("2026-11-24T23:59:59+01:00").refused(&ledger).await.limit, Limit::QuestionsPerDay);
        ask("2026-11-25T00:00:00+01:00").answered(&ledger, 1_000, CENT).await;
        assert_eq!(ask("2026-11-26T09:00:00+01:00").refused(&ledger).await.limit, Limit::EurosPerMonth);
        ask("2026-12-01T00:00:00+01:00").answered(&ledger, 1_000, CENT).await;
        let year = standing(&ledger, "rose", Limit::TownEurosPerYear, at("2026-12-31T12:00:00+01:00")).await;
        assert_eq!(year, (3 * CENT, 0));
    })
    .await;
}

#[tokio::test]
async fn a_resident_sees_their_own_use_and_nobody_elses() {
    each_store(async |store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, CENT / 4).await;
        question("rose").at("2026-11-23T10:00:00+01:00").answered(&ledger, 500, CENT).await;
        let open = question("rose").held(&ledger).await;
        question("emile").answered(&ledger, 9_000, 9 * CENT).await;

        let beside = store.open_beside();
        for ledger in [&ledger, &beside] {
            let of_rose = ledger.resident_use("rose", &windows(at(MORNING))).unwrap();
            assert_eq!((of_rose.day_used.questions, of_rose.day_used.tokens), (1, 300));
            assert_eq!((of_rose.day_held.questions, of_rose.day_held.tokens), (1, 1_000));
            assert_eq!((of_rose.month_used.questions, of_rose.month_used.euro_nanos), (2, CENT / 4 + CENT));
            assert_eq!(of_rose.month_held.euro_nanos, CENT);
            let of_nobody = ledger.resident_use("lucie", &windows(at(MORNING))).unwrap();
            assert_eq!(of_nobody, Default::default());
        }
        ledger.settle(open.answered(1, 1)).await.unwrap();
    })
    .await;
}

// Restarts.

#[tokio::test]
async fn a_ledger_closed_and_opened_again_knows_what_was_used_and_what_is_held() {
    each_store(async |store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 300, CENT / 2).await;
        let open = question("rose").held(&ledger).await;
        let before = standings(&ledger, "rose", MORNING).await;
        ledger.close().await.unwrap();
        assert!(matches!(question("rose").ask(&ledger).await, Err(StoreError::Unavailable(_))));
        drop(ledger);

        let ledger = store.open();
        assert_eq!(standings(&ledger, "rose", MORNING).await, before);
        assert_eq!(ledger.gauges().unwrap().open_reservations, 1);
        assert_report_equals_entries(&ledger);
        assert_sound(&ledger);
        // A call that outlived the restart is settled by who has it, another by the sweep.
        ledger.settle(open.answered(100, 1)).await.unwrap();
        drop(question("rose").held(&ledger).await);
        ledger.close().await.unwrap();
        drop(ledger);

        let ledger = store.open();
        assert_eq!(ledger.sweep(at(MORNING) + LEASE).await.unwrap(), 1);
        assert_eq!(standing(&ledger, "rose", Limit::TokensPerDay, at(MORNING)).await, (300 + 100 + 1_000, 0));
        assert_report_equals_entries(&ledger);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn a_limit_reached_before_a_crash_is_reached_after_it() {
    each_store(async |store| {
        for day in 24..29 {
            let ledger = store.open();
            let now = format!("2026-11-{day}T09:00:00+01:00");
            let ask = question("rose").limited(Limit::QuestionsPerDay, 2).at(&now);
            ask.answered(&ledger, 300, CENT).await;
            drop(ask.held(&ledger).await);
            // Nothing is closed: the process is gone.
            drop(ledger);

            let ledger = store.open();
            let refusal = ask.refused(&ledger).await;
            assert_eq!((refusal.used, refusal.held), (1, 1));
            assert_report_equals_entries(&ledger);
            assert_eq!(ledger.sweep(at(&now) + LEASE).await.unwrap(), 1);
            assert_eq!(ask.refused(&ledger).await.used, 2);
            assert_report_equals_entries(&ledger);
            assert_sound(&ledger);
        }
    })
    .await;
}

// The report.

/// The report's figures against the entries added up one by one.
#[track_caller]
fn assert_report_equals_entries(ledger: &Ledger) {
    let mut expected: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    let mut add = |_, record: Record| {
        if let Some(key) = RollupKey::of(&record) {
            expected.entry(key.of_all_days()).or_default().add(&record);
        }
    };
    ledger.visit_records(&mut add).unwrap();
    let reported: BTreeMap<_, _> =
        ledger.report_data("2000-01-01", "2999-12-31").unwrap().rollups.into_iter().collect();
    assert_eq!(reported.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, rollup) in &expected {
        let found = &reported[key];
        assert_eq!(found, rollup, "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_equals_the_entries_however_many_were_written_before_a_crash() {
    each_store(async |store| {
        let ledger = store.open();
        let (holds, _) = all_at_once(&ledger, vec![question("rose"); 1_100]).await;
        let answers = holds.into_iter().zip(1..).map(|(hold, tokens)| hold.answered(tokens, CENT / 10));
        assert_eq!(settle_at_once(&ledger, answers).await, (1_100, 0));
        assert_report_equals_entries(&ledger);
        drop(ledger);

        let ledger = store.open();
        assert_report_equals_entries(&ledger);
        question("rose").answered(&ledger, 900, CENT).await;
        let data = ledger.report_data("2026-11-24", "2026-11-24").unwrap();
        assert_eq!(data.rollups.iter().map(|(_, rollup)| rollup.figures.answered).sum::<u64>(), 1_101);
        assert_report_equals_entries(&ledger);
        assert_sound(&ledger);
    })
    .await;
}

#[tokio::test]
async fn the_report_covers_the_days_asked_for_and_keeps_vendors_apart() {
    each_store(async |store| {
        let ledger = store.open();
        for day in 22..27 {
            let now = format!("2026-11-{day}T09:00:00+01:00");
            question("rose").at(&now).answered(&ledger, 100, CENT).await;
            let hold = question("emile").at(&now).held(&ledger).await;
            let price_row = "openai/gpt-6-luna@2026-09-01".to_owned();
            let entry = Entry { provider: "openai".to_owned(), price_row, ..hold.completed(200, 2 * CENT) };
            ledger.settle(hold.settled(vec![entry])).await.unwrap();
        }
        let open = question("lucie").held(&ledger).await;
        let data = ledger.report_data("2026-11-23", "2026-11-25").unwrap();
        let rows = |data: &ReportData| -> Vec<(String, u64)> {
            data.rollups.iter().map(|(key, rollup)| (key.model.clone(), rollup.figures.answered)).collect()
        };
        let each = |answered| vec![("mistral-small-2603".to_owned(), answered), ("gpt-6-luna".to_owned(), answered)];
        assert_eq!(rows(&data), each(3), "three of the five days");
        assert!(data.rollups.iter().all(|(_, rollup)| rollup.everybody().duration.count() == 3));
        assert_eq!(rows(&ledger.report_data("2026-11-24", "2026-11-24").unwrap()), each(1));
        assert!(ledger.report_data("2026-11-27", "2026-11-30").unwrap().rollups.is_empty());
        assert_eq!(data.open_reservations, 1);
        assert_report_equals_entries(&store.open_beside());
        ledger.settle(open.settled(Vec::new())).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn refused_questions_are_counted_by_reason_and_outlive_a_restart() {
    each_store(async |store| {
        let ledger = store.open();
        for (day, reason) in [
            ("2026-11-24", "questions_per_day"),
            ("2026-11-24", "questions_per_day"),
            ("2026-11-24", "rate"),
            ("2026-11-25", "questions_per_day"),
            ("2026-12-01", "rate"),
        ] {
            assert!(ledger.count_refusal(day, reason));
        }
        ledger.close().await.unwrap();
        drop(ledger);

        let ledger = store.open();
        let counted = |from, to| ledger.report_data(from, to).unwrap().refusals;
        let november = [("questions_per_day".to_owned(), 3), ("rate".to_owned(), 1)];
        assert_eq!(counted("2026-11-01", "2026-11-30"), november);
        assert_eq!(counted("2026-12-01", "2026-12-01"), [("rate".to_owned(), 1)]);
        assert_eq!(counted("2026-12-02", "2026-12-31"), []);
    })
    .await;
}

// Exports.

/// A ledger with one entry of each outcome, one of them with every value that an entry can have.
async fn with_all_outcomes(ledger: &Ledger) {
    question("rose").answered(ledger, 300, CENT).await;
    drop(question("emile").held(ledger).await);
    assert_eq!(ledger.sweep(at(MORNING) + LEASE).await.unwrap(), 1);
    let hold = question("lucie").held(ledger).await;
    let (rejected, last) = (Entry { retried: true, ..hold.rejected() }, full(&hold));
    ledger.settle(hold.settled(vec![rejected, last])).await.unwrap();
}

fn full(hold: &Hold) -> Entry {
    Entry {
        outcome: Outcome::Interrupted,
        error_type: Some("a, \"quoted\"\nerror".to_owned()),
        http_status: Some(200),
        retried: true,
        attempt: 2,
        client_left: true,
        route: Some("auto".to_owned()),
        probability_ppm: Some(500_000),
        upstream_id: Some("chatcmpl-é".to_owned()),
        service_tier: Some("default".to_owned()),
        usage_raw: Some("{\"prompt_tokens\":7}".to_owned()),
        first_chunk_micros: Some(300_000),
        ..hold.completed(80, CENT / 2)
    }
}

#[tokio::test]
async fn an_export_as_json_lines_holds_every_entry_as_it_is() {
    each_store(async |store| {
        let ledger = store.open();
        with_all_outcomes(&ledger).await;
        let mut out = Vec::new();
        assert_eq!(export(&store.open_beside(), ATTEMPTS, ExportFormat::JsonLines, &mut out).unwrap(), 4);
        let lines = String::from_utf8(out).unwrap();
        let mut seqs = Vec::new();
        let parse = |line: &str| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            seqs.push(value.as_object_mut().unwrap().shift_remove("seq").unwrap().as_u64().unwrap());
            serde_json::from_value::<Entry>(value).unwrap()
        };
        assert_eq!(lines.lines().map(parse).collect::<Vec<_>>(), entries(&ledger));
        assert_eq!(seqs, [1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test]
async fn an_export_as_csv_holds_every_value_of_every_entry() {
    each_store(async |store| {
        let ledger = store.open();
        with_all_outcomes(&ledger).await;
        let mut out = Vec::new();
        assert_eq!(export(&store.open_beside(), ATTEMPTS, ExportFormat::Csv, &mut out).unwrap(), 4);
        let mut csv = csv::Reader::from_reader(&out[..]);
        let rows: Vec<BTreeMap<String, String>> = csv.deserialize().map(Result::unwrap).collect();
        for (row, entry) in rows.iter().zip(entries(&ledger)) {
            let values = flat(&entry);
            for (column, value) in &values {
                assert_eq!(row.get(column), Some(value), "{column}");
            }
            let beyond = row.iter().filter(|(column, _)| *column != "seq" && !values.contains_key(*column));
            // Absent is empty, never zero; only what storing leaves out when it is false, or a zero of a known usage, is
            // said in so many words.
            let is_said = |column: &str, value: &str| {
                value.is_empty()
                    || (["retried", "local_passages"].contains(&column) && value == "false")
                    || (entry.usage.is_some() && column.starts_with("usage.") && value == "0")
            };
            assert!(beyond.into_iter().all(|(column, value)| is_said(column, value)), "{row:?}");
        }
        assert_eq!(rows.iter().map(|row| &*row["seq"]).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    })
    .await;
}

/// The values of an entry by the names of columns: `usage.reasoning`.
fn flat(entry: &Entry) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let serde_json::Value::Object(object) = serde_json::to_value(entry).unwrap() else { panic!("not an object") };
    for (key, value) in object {
        match value {
            serde_json::Value::Object(parts) => {
                values.extend(parts.into_iter().map(|(part, value)| (format!("{key}.{part}"), value.to_string())));
            }
            serde_json::Value::String(text) => drop(values.insert(key, text)),
            other => drop(values.insert(key, other.to_string())),
        }
    }
    values
}

// Keys.

fn key(n: u8) -> NewKey {
    NewKey {
        key_id: format!("key-{n}"),
        hash: [n; 32],
        resident: format!("resident-{n}"),
        plan: "habitant".to_owned(),
        created_at: at(MORNING) + Duration::from_secs(n.into()),
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_from_every_process_at_once() {
    each_store(async |store| {
        let (ledger, beside) = (store.open(), store.open_beside());
        assert_eq!(ledger.find_key(&[1; 32]).unwrap(), None);
        beside.add_keys(&[key(1), key(2)]).unwrap();
        ledger.add_keys(&[key(3)]).unwrap();
        for ledger in [&ledger, &beside] {
            let found = ledger.find_key(&[2; 32]).unwrap().unwrap();
            assert_eq!((&*found.key_id, &*found.resident, &*found.plan), ("key-2", "resident-2", "habitant"));
            assert_eq!((found.created_at, found.revoked_at, found.suspended_at), (key(2).created_at, None, None));
            let listed: Vec<_> = ledger.list_keys().unwrap().into_iter().map(|key| key.key_id).collect();
            assert_eq!(listed, ["key-3", "key-2", "key-1"], "newest first");
            assert_eq!(ledger.find_key(&[9; 32]).unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_is_revoked_for_every_process_at_once_and_for_good() {
    each_store(async |store| {
        let (ledger, beside) = (store.open(), store.open_beside());
        ledger.add_keys(&[key(1), key(2), key(3)]).unwrap();
        let revoked_at = |n: u8| ledger.find_key(&[n; 32]).unwrap().unwrap().revoked_at;
        let (noon, evening) = (at("2026-11-24T12:00:00+01:00"), at("2026-11-24T20:00:00+01:00"));

        assert!(beside.revoke_key(Some(&[1; 32]), "", noon).unwrap());
        assert!(beside.revoke_key(None, "key-2", noon).unwrap());
        assert_eq!([1, 2, 3].map(revoked_at), [Some(noon), Some(noon), None]);

        assert!(ledger.revoke_key(None, "key-1", evening).unwrap());
        assert_eq!(revoked_at(1), Some(noon), "the first revocation stands");
        assert!(!ledger.revoke_key(Some(&[9; 32]), "key-9", noon).unwrap(), "there is no such key");
        assert!(!ledger.revoke_key(None, "", noon).unwrap());
        assert_eq!(revoked_at(3), None);
    })
    .await;
}

/// What is remembered may be a moment old; what is held is not.
#[tokio::test]
async fn what_is_remembered_of_a_key_lets_nobody_through_after_its_revocation() {
    each_store(async |store| {
        let (ledger, beside) = (store.open(), store.open_beside());
        let live = |ledger: &Ledger, n: u8| ledger.find_recent_key(&[n; 32]).unwrap().unwrap().0.is_live();
        ledger.add_keys(&[key(1), key(2)]).unwrap();
        for n in [1, 2] {
            assert!(live(&ledger, n));
            question(&n.to_string()).answered(&ledger, 10, CENT).await;
        }
        let seen = |n: u8| ledger.find_recent_key(&[n; 32]).unwrap().unwrap().1;
        let (one, two) = (seen(1), seen(2));
        assert!(beside.revoke_key(Some(&[1; 32]), "", at(MORNING)).unwrap());
        for key_seen in [one, Sighting::default()] {
            let request = ReservationRequest { key_seen, ..question("1").request() };
            let decision = ledger.reserve(request).await.unwrap();
            assert!(matches!(decision, Decision::Revoked), "{decision:?}");
        }
        let request = ReservationRequest { key_seen: two, ..question("2").request() };
        let Decision::Held(held) = ledger.reserve(request).await.unwrap() else { panic!("another's key was revoked") };
        ledger.settle(Settlement::new(held, Vec::new())).await.unwrap();
        assert!(!live(&ledger, 1));
        question("2").answered(&ledger, 10, CENT).await;
        assert!(!live(&beside, 1));
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
    })
    .await;
}

#[tokio::test]
async fn that_nothing_is_stopped_is_remembered_and_a_stop_never_is() {
    each_store(async |store| {
        let (ledger, beside) = (store.open(), store.open_beside());
        assert!(ledger.recent_stops().unwrap().0.is_empty());
        let stop =
            Stop { scope: StopScope::Town, name: String::new(), since: at(MORNING), reason: "budget".to_owned() };
        assert!(beside.set_stop(&stop, true, "Claire").unwrap());
        let decision = ledger.reserve(question("rose").request()).await.unwrap();
        assert!(matches!(decision, Decision::Stopped(_)), "{decision:?}");
        assert_eq!(ledger.recent_stops().unwrap().0.len(), 1);
        assert!(beside.set_stop(&stop, false, "Claire").unwrap());
        assert!(ledger.recent_stops().unwrap().0.is_empty(), "whoever may go on is not kept waiting");
        question("rose").answered(&ledger, 10, CENT).await;
    })
    .await;
}

#[tokio::test]
async fn keys_of_which_one_exists_are_refused_as_a_whole() {
    each_store(async |store| {
        let ledger = store.open();
        ledger.add_keys(&[key(1)]).unwrap();
        for taken in [
            NewKey { key_id: "key-1".to_owned(), ..key(3) },
            NewKey { hash: [1; 32], ..key(3) },
            NewKey { resident: "resident-1".to_owned(), ..key(3) },
        ] {
            assert!(ledger.add_keys(&[key(2), taken, key(4)]).is_err());
            assert_eq!(ledger.list_keys().unwrap().len(), 1);
        }
        assert!(ledger.add_keys(&[key(2), key(2)]).is_err());
        ledger.add_keys(&[key(2), key(3)]).unwrap();
        assert_eq!(ledger.list_keys().unwrap().len(), 3);
    })
    .await;
}

// Simulated figures.

#[tokio::test]
async fn simulated_and_real_figures_never_share_a_ledger() {
    for simulated in [true, false] {
        each_store(async |store| {
            let (ledger, beside) = (store.open(), store.open_beside());
            assert_eq!(ledger.is_simulated().unwrap(), None);
            ledger.mark_simulated(simulated).unwrap();
            for ledger in [&ledger, &beside] {
                ledger.mark_simulated(simulated).unwrap();
                assert!(ledger.mark_simulated(!simulated).is_err());
                assert_eq!(ledger.is_simulated().unwrap(), Some(simulated));
            }
            ledger.close().await.unwrap();
            drop(ledger);
            assert!(store.open().mark_simulated(!simulated).is_err());
        })
        .await;
    }
}

#[tokio::test]
async fn of_two_processes_that_mark_a_ledger_at_the_same_moment_one_is_refused() {
    for _ in 0..10 {
        each_store(async |store| {
            let handles = [(store.open(), true), (store.open_beside(), false)];
            let start = std::sync::Barrier::new(handles.len());
            let marked = std::thread::scope(|threads| {
                let mark = |(ledger, simulated): &(Ledger, bool)| {
                    start.wait();
                    ledger.mark_simulated(*simulated).is_ok()
                };
                let marking: Vec<_> = handles.iter().map(|handle| threads.spawn(move || mark(handle))).collect();
                marking.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            let expected = handles[0].0.is_simulated().unwrap().unwrap();
            assert_eq!(marked, [expected, !expected]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_ledger_with_entries_can_no_longer_become_simulated() {
    each_store(async |store| {
        let ledger = store.open();
        question("rose").answered(&ledger, 100, 1).await;
        assert!(ledger.mark_simulated(true).is_err());
    })
    .await;
}

#[tokio::test]
async fn an_absurd_count_of_tokens_stops_nobody_elses_settlement() {
    each_store(async |store| {
        let ledger = store.open();
        let hold = question("rose").held(&ledger).await;
        let charged = Charge { questions: 1, tokens: u64::MAX, euro_nanos: 1 };
        let absurd = Entry { usage: None, charged, ..hold.completed(1, 1) };
        // Whether it is charged or refused is the store's choice: if refused, the lease ends the hold.
        let _choice = ledger.settle(hold.settled(vec![absurd])).await;
        question("emile").answered(&ledger, 100, 1).await;
        drop(question("lucie").held(&ledger).await);
        ledger.sweep(at(MORNING) + LEASE).await.unwrap();
        assert_eq!(ledger.gauges().unwrap().open_reservations, 0);
    })
    .await;
}

// Any day in the life of a ledger.

#[derive(Clone, Debug)]
enum Step {
    Ask {
        resident: usize,
        tokens: u64,
        euro_nanos: i64,
    },
    /// Settles one of the open holds, after so many rejected attempts, for so many hundredths of its ceiling.
    Settle {
        hold: prop::sample::Index,
        rejected: usize,
        percent: u8,
    },
    Sweep,
    Wait {
        minutes: u32,
    },
    Restart {
        closed: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0..RESIDENTS.len(), 1..2_000_u64, 0..6 * CENT)
            .prop_map(|(resident, tokens, euro_nanos)| Step::Ask { resident, tokens, euro_nanos }),
        8 => (any::<prop::sample::Index>(), 0..3_usize, 0..=100_u8)
            .prop_map(|(hold, rejected, percent)| Step::Settle { hold, rejected, percent }),
        2 => Just(Step::Sweep),
        3 => (1..240_u32).prop_map(|minutes| Step::Wait { minutes }),
        1 => any::<bool>().prop_map(|closed| Step::Restart { closed }),
    ];
    prop::collection::vec(step, 1..80)
}

const RESIDENTS: [&str; 3] = ["rose", "emile", "lucie"];

/// A ledger, and beside it what anybody would write down on paper.
struct Day<'a> {
    store: &'a Store,
    ledger: Option<Ledger>,
    question: Question,
    open: Vec<Hold>,
    settled: Vec<Entry>,
}

impl<'a> Day<'a> {
    /// New year's eve, with limits that a few questions reach.
    fn new(store: &'a Store) -> Self {
        let eve = question("").at("2026-12-31T18:00:00+01:00");
        let question = LIMITS.into_iter().zip([5, 4_000, 20 * CENT, 30 * CENT, 40 * CENT]);
        let question = question.fold(eve, |question, (limit, allowed)| question.limited(limit, allowed));
        Self { store, ledger: Some(store.open()), question, open: Vec::new(), settled: Vec::new() }
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    /// What a limit allows, and how it stands: used by the entries, held by the open calls.
    fn on_paper(&self, resident: &str, limit: Limit) -> (i64, i64, i64) {
        let Windows { day, month, year } = windows(self.question.now);
        let sum = |entries: &mut dyn Iterator<Item = &Entry>| -> i64 {
            let own = entries.filter(|entry| limit.is_town() || entry.resident == resident);
            match limit {
                Limit::QuestionsPerDay => own.filter(|e| e.day == day.label).map(|e| e.charged.questions as i64).sum(),
                Limit::TokensPerDay => own.filter(|e| e.day == day.label).map(|e| e.charged.tokens as i64).sum(),
                Limit::TownEurosPerYear => own.filter(|e| e.year == year.label).map(|e| e.charged.euro_nanos).sum(),
                _ => own.filter(|e| e.month == month.label).map(|e| e.charged.euro_nanos).sum(),
            }
        };
        let (allowance, envelope) = (self.question.allowance, self.question.envelope);
        let allowed = match limit {
            Limit::QuestionsPerDay => allowance.questions_per_day.try_into().unwrap(),
            Limit::TokensPerDay => allowance.tokens_per_day.try_into().unwrap(),
            Limit::EurosPerMonth => allowance.euro_nanos_per_month,
            Limit::TownEurosPerMonth => envelope.euro_nanos_per_month,
            Limit::TownEurosPerYear => envelope.euro_nanos_per_year,
        };
        let used = sum(&mut self.settled.iter());
        (allowed, used, sum(&mut self.open.iter().map(|hold| &hold.entry)))
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Ask { resident, tokens, euro_nanos } => self.ask(RESIDENTS[resident], tokens, euro_nanos).await,
            Step::Settle { hold, rejected, percent } if !self.open.is_empty() => {
                let hold = self.open.swap_remove(hold.index(self.open.len()));
                self.settle(hold, rejected, percent).await;
            }
            Step::Settle { .. } => {}
            Step::Sweep => {
                let now = self.question.now;
                let before = self.open.len();
                self.open.retain(|hold| hold.entry.received_at + LEASE.as_micros() as i64 > micros(now));
                let expired = u64::try_from(before - self.open.len()).unwrap();
                assert_eq!(self.ledger().sweep(now).await.unwrap(), expired);
            }
            Step::Wait { minutes } => self.question.now += Duration::from_secs(60 * u64::from(minutes)),
            Step::Restart { closed } => {
                let ledger = self.ledger.take().unwrap();
                if closed {
                    ledger.close().await.unwrap();
                }
                drop(ledger);
                self.ledger = Some(self.store.open());
            }
        }
    }

    async fn ask(&mut self, resident: &str, tokens: u64, euro_nanos: i64) {
        let question = Question { resident: resident.to_owned(), tokens, euro_nanos, ..self.question.clone() };
        let passed = LIMITS.into_iter().find_map(|limit| {
            let (allowed, used, held) = self.on_paper(resident, limit);
            let asked = match limit {
                Limit::QuestionsPerDay => 1,
                Limit::TokensPerDay => tokens.try_into().unwrap(),
                _ => euro_nanos,
            };
            (used + held + asked > allowed).then_some((limit, allowed, used, held, asked))
        });
        match question.ask(self.ledger()).await.unwrap() {
            Ok(hold) => {
                assert_eq!(passed, None, "held although a limit was reached");
                self.open.push(hold);
            }
            Err(Refusal { limit, allowed, used, held, asked, .. }) => {
                assert_eq!(Some((limit, allowed, used, held, asked)), passed);
            }
        }
    }

    async fn settle(&self, hold: Hold, rejected: usize, percent: u8) {
        let Charge { tokens, euro_nanos, .. } = hold.entry.charged;
        let answer = hold.completed(tokens * u64::from(percent) / 100, euro_nanos * i64::from(percent) / 100);
        let mut attempts = vec![hold.rejected(); rejected];
        attempts.push(answer);
        self.ledger().settle(hold.settled(attempts)).await.unwrap();
    }

    /// Admission, the resident's page and the paper say the same, and nothing is beyond its limit.
    async fn compare(&mut self) {
        self.settled = entries(self.ledger());
        let now = self.question.now;
        for resident in RESIDENTS {
            let of_resident = self.ledger().resident_use(resident, &windows(now)).unwrap();
            for limit in LIMITS {
                let (allowed, used, held) = self.on_paper(resident, limit);
                assert!(used + held <= allowed, "{limit} of {resident}: {used} used and {held} held of {allowed}");
                assert_eq!(standing(self.ledger(), resident, limit, now).await, (used, held), "{limit} of {resident}");
                let shown = match limit {
                    Limit::QuestionsPerDay => (of_resident.day_used.questions, of_resident.day_held.questions),
                    Limit::TokensPerDay => (of_resident.day_used.tokens, of_resident.day_held.tokens),
                    Limit::EurosPerMonth => (of_resident.month_used.euro_nanos, of_resident.month_held.euro_nanos),
                    Limit::TownEurosPerMonth | Limit::TownEurosPerYear => continue,
                };
                assert_eq!(shown, (used, held), "{limit} of {resident}");
            }
        }
    }

    /// Everything is settled: nothing is held, and the books balance.
    async fn end(mut self) {
        for hold in std::mem::take(&mut self.open) {
            self.settle(hold, 0, 50).await;
        }
        self.compare().await;
        assert_eq!(self.ledger().gauges().unwrap().open_reservations, 0);
        let calls: BTreeSet<_> = self.settled.iter().map(|entry| &entry.request_id).collect();
        let answers = self.settled.iter().filter(|entry| entry.outcome != Outcome::Rejected).count();
        assert_eq!(answers, calls.len(), "each call came to one end");
        assert_report_equals_entries(self.ledger());
        assert_sound(self.ledger());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_limit_is_passed_and_the_books_balance(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(each_store(async |store| {
            let mut day = Day::new(store);
            for step in steps.clone() {
                day.take(step).await;
                day.compare().await;
            }
            day.end().await;
        }));
    }
}

/// What only a ledger in one file promises.
mod sqlite {
    use passerelle::ledger::SqliteSettings;

    use super::*;
    use crate::support::ledgers::{Folder, open_when_free, sqlite_settings};

    #[test]
    fn a_ledger_serves_one_process_at_a_time() {
        let folder = Folder::new();
        let first = Ledger::open_sqlite(&sqlite_settings(&folder)).unwrap();
        let clone = first.clone();
        let refused = || matches!(Ledger::open_sqlite(&sqlite_settings(&folder)), Err(StoreError::InUse(_)));
        assert!(refused());
        drop(first);
        assert!(refused(), "a clone still serves");
        drop(clone);
        open_when_free(&sqlite_settings(&folder));
    }

    #[tokio::test]
    async fn a_ledger_opened_beside_admits_nobody() {
        let folder = Folder::new();
        let serving = Ledger::open_sqlite(&sqlite_settings(&folder)).unwrap();
        let hold = question("rose").held(&serving).await;
        let beside = Ledger::open_sqlite_beside(&folder.ledger()).unwrap();
        assert!(matches!(question("rose").ask(&beside).await, Err(StoreError::Unavailable(_))));
        let settlement = hold.answered(1, 1);
        assert!(matches!(beside.settle(settlement.clone()).await, Err(StoreError::Unavailable(_))));
        assert!(beside.sweep(at(MORNING) + LEASE).await.is_err());
        assert!(!beside.count_refusal("2026-11-24", "rate"));
        beside.close().await.unwrap();
        serving.settle(settlement).await.unwrap();
        assert_sound(&beside);
    }

    #[tokio::test]
    async fn a_process_killed_at_any_moment_leaves_a_ledger_that_another_can_go_on_with() {
        let folder = Folder::new();
        let ledger = Ledger::open_sqlite(&sqlite_settings(&folder)).unwrap();
        let ask = question("rose").limited(Limit::QuestionsPerDay, 2);
        ask.answered(&ledger, 300, CENT).await;
        let open = ask.held(&ledger).await;
        let killed = folder.copy();

        let next = Ledger::open_sqlite(&sqlite_settings(&killed)).unwrap();
        let refusal = ask.refused(&next).await;
        assert_eq!((refusal.used, refusal.held), (1, 1));
        assert_eq!(next.sweep(at(MORNING) + LEASE).await.unwrap(), 1);
        assert_report_equals_entries(&next);
        assert_sound(&next);
        ledger.settle(open.answered(1, 1)).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_refuses_at_once_and_what_it_refuses_is_not_held() {
        let folder = Folder::new();
        let settings = SqliteSettings { queue: 1, batch: 1, ..sqlite_settings(&folder) };
        let ledger = Ledger::open_sqlite(&settings).unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..500 {
            let ledger = ledger.clone();
            tasks.spawn(async move { question("rose").ask(&ledger).await });
        }
        let answers = tasks.join_all().await;
        let held = answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        let busy = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Busy))).count();
        assert_eq!(held + busy, 500);
        assert_eq!(ledger.gauges().unwrap().open_reservations, u64::try_from(held).unwrap());
        let standing = standing(&ledger, "rose", Limit::QuestionsPerDay, at(MORNING)).await;
        assert_eq!(standing, (0, i64::try_from(held).unwrap()));
    }

    #[tokio::test]
    async fn a_ledger_given_up_with_writes_on_their_way_is_not_served_twice() {
        let folder = Folder::new();
        let settings = SqliteSettings { batch: 1, ..sqlite_settings(&folder) };
        let ledger = Ledger::open_sqlite(&settings).unwrap();
        let hold = question("rose").held(&ledger).await;
        let _answers: Vec<_> = (0..500).map(|_| question("emile").ask(&ledger).now_or_never()).collect();
        let _answer = ledger.settle(hold.answered(1, 1)).now_or_never();
        drop(ledger);
        let next = open_when_free(&settings);
        let open = i64::try_from(next.gauges().unwrap().open_reservations).unwrap();
        assert_eq!(standing(&next, "emile", Limit::QuestionsPerDay, at(MORNING)).await, (0, open));
        question("lucie").answered(&next, 1, 1).await;
        assert_sound(&next);
        let open = i64::try_from(next.gauges().unwrap().open_reservations).unwrap();
        assert_eq!(standing(&next, "emile", Limit::QuestionsPerDay, at(MORNING)).await, (0, open));
    }
}
