//! What each estimator promises beyond its reference values.

use proptest::prelude::*;

use super::super::ratio::Sums;
use super::super::{
    Estimate, Interval, Level, Match, Method, NotComparable, Observation, Outcome, Ranking, Resampling,
    StandardisedSample, Votes, bradley_terry, clustered_share, hodges_lehmann, hodges_lehmann_interval,
    preference_share, quantile, ratio_difference, ratio_interval, rule_of_three, sign_flip_test, wilson,
};

const LEVEL: Level = Level::NINETY_FIVE;

fn plan(clusters: usize, draws: u32) -> Resampling {
    Resampling { clusters, draws, seed: 2026, level: LEVEL }
}

/// Mean of the values with multiplicities.
fn mean(values: &[f64], times: &[u32]) -> f64 {
    let sum: f64 = values.iter().zip(times).map(|(x, &m)| x * f64::from(m)).sum();
    sum / f64::from(times.iter().sum::<u32>())
}

mod levels_and_shares {
    use super::*;

    #[test]
    fn a_level_is_strictly_between_zero_and_one() {
        assert_eq!([0.0, 1.0, -0.5, f64::NAN].map(Level::new), [None; 4]);
        assert_eq!(Level::new(0.95), Some(Level::NINETY_FIVE));
    }

    #[test]
    fn wilson_refuses_what_is_not_a_share() {
        for (successes, n) in [(0.0, 0.0), (2.0, 1.0), (-1.0, 5.0), (f64::NAN, 5.0), (1.0, f64::INFINITY)] {
            assert_eq!(wilson(successes, n, LEVEL), None, "{successes} of {n}");
        }
    }

    #[test]
    fn no_failure_leaves_the_rate_at_zero_but_not_its_upper_end() {
        let interval = wilson(0.0, 300.0, LEVEL).unwrap();
        assert!(interval.low == 0.0 && interval.high > rule_of_three(300).unwrap());
    }

    #[test]
    fn fifty_votes_of_one_person_weigh_less_than_one_vote_of_fifty() {
        let alone = clustered_share(&[50.0, 0.0, 1.0], &[50.0, 1.0, 1.0], LEVEL).unwrap();
        let many = wilson(51.0, 52.0, LEVEL).unwrap();
        assert!(alone.high - alone.low > 4.0 * (many.high - many.low), "{alone:?} and {many:?}");
    }

    #[test]
    fn clusters_without_a_trial_change_nothing() {
        let with = clustered_share(&[1.0, 0.0, 2.0, 0.0], &[3.0, 0.0, 2.0, 2.0], LEVEL);
        assert_eq!(with, clustered_share(&[1.0, 2.0, 0.0], &[3.0, 2.0, 2.0], LEVEL));
        let (n, d) = ([1.0, 0.0, 2.0, 0.5], [3.0, 0.0, 2.0, 2.0]);
        let dense = ([1.0, 2.0, 0.5], [3.0, 2.0, 2.0]);
        let of = |n, d| ratio_interval(Sums { numerators: n, denominators: d }, LEVEL);
        assert_eq!(of(&n, &d), of(&dense.0, &dense.1));
    }

    #[test]
    fn without_any_success_each_cluster_counts_as_one_trial() {
        let share = clustered_share(&[0.0; 10], &[30.0; 10], LEVEL).unwrap();
        assert_eq!(share.interval(), wilson(0.0, 10.0, LEVEL).unwrap());
    }

    #[test]
    fn a_share_or_ratio_needs_two_clusters_and_valid_counts() {
        assert_eq!(clustered_share(&[1.0], &[2.0], LEVEL), None);
        assert_eq!(clustered_share(&[3.0, 1.0], &[2.0, 2.0], LEVEL), None);
        let of = |n, d| ratio_interval(Sums { numerators: n, denominators: d }, LEVEL);
        assert_eq!(of(&[1.0], &[2.0]), None);
        assert_eq!(of(&[1.0, 2.0], &[0.0, 0.0]), None);
        assert_eq!(of(&[1.0, 2.0], &[1.0]), None);
    }

    #[test]
    fn what_a_cluster_does_to_both_vendors_cancels_out_of_their_difference() {
        // Hard clusters are slow for both; the second vendor takes one more everywhere.
        let (first, second) = ([1.0, 5.0, 9.0, 2.0, 7.0], [2.0, 6.0, 10.0, 3.0, 8.0]);
        let sums = |numerators| Sums { numerators, denominators: &[1.0; 5] };
        let difference = ratio_difference(sums(&second), sums(&first), LEVEL).unwrap();
        let alone = ratio_interval(sums(&first), LEVEL).unwrap();
        assert!((difference.value - 1.0).abs() < 1e-12 && difference.high - difference.low < 1e-9);
        assert!(alone.high - alone.low > 1.0);
    }

    #[test]
    fn an_estimate_survives_json() {
        let estimate = Estimate { value: 0.1, low: 1.0 / 3.0, high: f64::MIN_POSITIVE, n: 7 };
        let text = serde_json::to_string(&estimate).unwrap();
        assert_eq!(serde_json::from_str::<Estimate>(&text).unwrap(), estimate);
        assert_eq!(estimate.interval(), Interval { low: estimate.low, high: estimate.high });
    }
}

mod quantiles {
    use super::*;

    #[test]
    fn p95_stays_defined_while_failures_are_at_most_five_percent() {
        let cells = [(1_000, 90), (9_000, 5)];
        assert_eq!(quantile(&cells, 5, 0.95), Some(9_000));
        assert_eq!(quantile(&cells, 6, 0.95), None);
    }

    #[test]
    fn a_product_that_is_whole_is_not_rounded_up() {
        let cells: Vec<(u64, u64)> = (1..=100).map(|value| (value, 1)).collect();
        assert_eq!(quantile(&cells, 0, 0.07), Some(7));
        assert_eq!(quantile(&cells, 0, 0.29), Some(29));
    }

    #[test]
    fn nothing_has_no_quantile_and_neither_has_an_impossible_share() {
        assert_eq!(quantile(&[], 0, 0.5), None);
        assert_eq!(quantile(&[(3, 0)], 0, 0.5), None);
        assert_eq!([0.0, 1.1, f64::NAN].map(|q| quantile(&[(3, 1)], 0, q)), [None; 3]);
    }

    #[test]
    fn a_failure_has_no_mean_but_stays_in_the_quantile_and_in_the_share() {
        let observation = |value| Observation { cluster: 0, stratum: 0, value, count: 1 };
        let values = [Some(100), Some(200), Some(300), None];
        let sample = StandardisedSample::new(&[1.0], values.map(observation).to_vec()).unwrap();
        assert_eq!(sample.drawn(&[1]).mean(), None);
        assert_eq!(sample.drawn(&[1]).quantile(0.5), Some(200.0));
        assert_eq!(sample.drawn(&[1]).quantile(0.8), None);
        assert!((sample.drawn(&[1]).share_within(300) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn a_stratum_that_no_drawn_cluster_holds_makes_the_figure_undefined_not_zero() {
        let observation = |cluster, stratum| Observation { cluster, stratum, value: Some(5), count: 1 };
        let sample = StandardisedSample::new(&[1.0, 1.0], vec![observation(0, 0), observation(1, 1)]).unwrap();
        assert!(sample.drawn(&[2, 0]).mean().unwrap().is_nan());
        assert!(sample.drawn(&[2, 0]).quantile(0.5).unwrap().is_nan());
        assert_eq!(sample.drawn(&[1, 1]).mean(), Some(5.0));
    }

    #[test]
    fn shares_must_be_usable_and_strata_known() {
        let observation = Observation { cluster: 0, stratum: 1, value: Some(5), count: 1 };
        assert!(StandardisedSample::new(&[1.0], vec![observation]).is_none());
        assert!(StandardisedSample::new(&[1.0, -1.0], vec![observation]).is_none());
        assert!(StandardisedSample::new(&[0.0, 0.0], vec![observation]).is_none());
        assert!(StandardisedSample::new(&[0.0, 1.0], vec![observation]).is_some());
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_value_at_its_rank_in_the_list_written_out(
            mut cells in prop::collection::vec((0_u64..50, 0_u64..6), 1..20),
            beyond in 0_u64..6,
            percent in 1_u64..=100,
        ) {
            cells.sort_unstable();
            let weights = |&(value, weight): &(u64, u64)| (0..weight).map(move |_| Some(value));
            let mut list: Vec<Option<u64>> = cells.iter().flat_map(weights).collect();
            list.extend((0..beyond).map(|_| None));
            let rank = usize::try_from((percent * list.len() as u64).div_ceil(100).max(1)).unwrap();
            let expected = list.get(rank - 1).copied().flatten();
            let q = f64::from(u32::try_from(percent).unwrap()) / 100.0;
            prop_assert_eq!(quantile(&cells, beyond, q), expected);
        }

        #[test]
        fn counting_a_cluster_twice_is_having_it_twice(
            rows in prop::collection::vec((0_usize..4, 0_usize..2, 0_u64..99, 1_u32..4), 8..40),
            times in prop::collection::vec(0_u32..3, 4), q in 0.05_f64..1.0,
        ) {
            let observe = |&(cluster, stratum, value, count): &(usize, usize, u64, u32)| {
                Observation { cluster, stratum, value: (value < 95).then_some(value), count }
            };
            let rows: Vec<Observation> = rows.iter().map(observe).collect();
            let repeat = |o: &Observation| vec![*o; usize::try_from(times[o.cluster]).unwrap()];
            let repeated: Vec<Observation> = rows.iter().flat_map(repeat).collect();
            let drawn = StandardisedSample::new(&[3.0, 1.0], rows).unwrap();
            let written = StandardisedSample::new(&[3.0, 1.0], repeated).unwrap();
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            prop_assert!(close(drawn.drawn(&times).mean(), written.drawn(&[1; 4]).mean()));
            prop_assert!(close(drawn.drawn(&times).quantile(q), written.drawn(&[1; 4]).quantile(q)));
            let within = [drawn.drawn(&times).share_within(50), written.drawn(&[1; 4]).share_within(50)];
            prop_assert!(close(Some(within[0]), Some(within[1])));
        }
    }
}

mod bootstrap {
    use super::*;

    #[test]
    fn the_draws_of_a_seed_are_those_of_the_published_generator() {
        let mut seen = Vec::new();
        plan(8, 3).interval(|times| {
            seen.push(times.to_vec());
            None
        });
        let expected: [[u32; 8]; 4] =
            [[1; 8], [2, 1, 0, 1, 1, 1, 0, 2], [1, 1, 1, 1, 1, 3, 0, 0], [1, 3, 3, 0, 1, 0, 0, 0]];
        assert_eq!(seen, expected);
    }

    #[test]
    fn one_statistic_among_many_has_the_interval_that_it_has_alone() {
        let values: Vec<f64> = (0..20).map(|x| f64::from(x * x)).collect();
        let together = plan(20, 200).intervals(2, |times, results| {
            results[0] = Some(1.0);
            results[1] = Some(mean(&values, times));
        });
        assert_eq!(together[1], plan(20, 200).interval(|times| Some(mean(&values, times))));
        assert_eq!(together[0].estimate(), Some(Estimate { value: 1.0, low: 1.0, high: 1.0, n: 20 }));
    }

    #[test]
    fn a_figure_beyond_the_limit_opens_the_upper_end_only() {
        // The last cluster is a failure: as soon as it is drawn twice, the figure lies beyond.
        let figure = plan(30, 500).interval(|times| (times[29] < 2).then(|| mean(&[1.0; 30], times)));
        assert_eq!((figure.value, figure.low, figure.high), (Some(1.0), Some(1.0), None));
        assert!(figure.beyond > 100 && figure.undefined == 0);
        assert_eq!(figure.estimate(), None);
    }

    #[test]
    fn an_undefined_figure_opens_both_ends_and_a_rare_one_neither() {
        let with = |bad: u32| {
            let mut calls = 0;
            plan(30, 999).interval(|times| {
                calls += 1;
                Some(if (2..2 + bad).contains(&calls) { f64::NAN } else { mean(&[1.0; 30], times) })
            })
        };
        let rare = with(10);
        assert_eq!((rare.low, rare.high, rare.undefined), (Some(1.0), Some(1.0), 10));
        let common = with(100);
        assert_eq!((common.value, common.low, common.high, common.undefined), (Some(1.0), None, None, 100));
    }

    #[test]
    fn a_difference_below_every_limit_opens_the_lower_end() {
        let figure = plan(30, 500).interval(|times| Some(if times[29] < 2 { 3.0 } else { f64::NEG_INFINITY }));
        assert_eq!((figure.low, figure.high), (None, Some(3.0)));
    }

    #[test]
    fn five_clusters_carry_a_figure_but_no_interval() {
        let figure = plan(5, 500).interval(|times| Some(mean(&[1.0, 2.0, 3.0, 4.0, 5.0], times)));
        assert_eq!((figure.value, figure.low, figure.high), (Some(3.0), None, None));
        let figure = plan(6, 500).interval(|times| Some(mean(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], times)));
        assert!(figure.low.is_some() && figure.high.is_some());
        assert_eq!(plan(0, 500).interval(|_| None).value, None);
        assert_eq!(plan(20, 0).interval(|_| Some(1.0)).low, None, "without a draw nothing is known");
    }

    #[test]
    fn few_clusters_widen_the_interval_about_as_student_does() {
        let values: Vec<f64> = (0..8).map(f64::from).collect();
        let figure = plan(8, 4_000).interval(|times| Some(mean(&values, times)));
        let student = ratio_interval(Sums { numerators: &values, denominators: &[1.0; 8] }, LEVEL).unwrap();
        let width = figure.high.unwrap() - figure.low.unwrap();
        let ratio = width / (student.high - student.low);
        assert!((0.85..1.1).contains(&ratio), "{ratio}");
    }

    proptest! {
        #[test]
        fn a_monotone_scale_moves_the_ends_with_it(values in prop::collection::vec(1.0_f64..1e4, 6..30)) {
            let plan = plan(values.len(), 99);
            let raw = plan.interval(|times| Some(mean(&values, times)));
            let log = plan.interval(|times| Some(libm::log(mean(&values, times))));
            prop_assert_eq!(raw.low.map(libm::log), log.low);
            prop_assert_eq!(raw.high.map(libm::log), log.high);
            prop_assert!(raw.low <= raw.high);
        }
    }
}

mod paired {
    use super::*;

    #[test]
    fn twenty_thousand_differences_have_an_exact_centre() {
        let symmetric: Vec<f64> = (0..20_000).map(f64::from).collect();
        assert_eq!(hodges_lehmann(&symmetric), Some(9_999.5));
    }

    #[test]
    fn equal_differences_in_any_number_are_their_own_centre() {
        assert_eq!(hodges_lehmann(&[0.25; 500]), Some(0.25));
        assert_eq!(hodges_lehmann(&[-0.0, 0.0, -0.0]).map(f64::to_bits), Some(0));
    }

    #[test]
    fn no_difference_but_one_has_its_centre_half_way() {
        assert_eq!(hodges_lehmann(&[0.0, 1.0]), Some(0.5));
    }

    #[test]
    fn without_a_finite_difference_there_is_no_centre() {
        for differences in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY], &[f64::NEG_INFINITY, 1.0], &[f64::MAX]] {
            assert_eq!(hodges_lehmann(differences), None, "{differences:?}");
        }
    }

    #[test]
    fn one_wild_answer_hardly_moves_the_centre() {
        let mut differences: Vec<f64> = (0..99).map(f64::from).collect();
        differences.push(1e12);
        assert!((hodges_lehmann(&differences).unwrap() - 49.5).abs() < 1.0);
    }

    #[test]
    fn rounds_that_move_together_widen_the_interval() {
        let steady: Vec<Vec<f64>> = (0..20).map(|_| (0..20).map(f64::from).collect()).collect();
        let moving: Vec<Vec<f64>> = (0..20).map(|round| vec![f64::from(round); 20]).collect();
        let width = |blocks: &[Vec<f64>]| {
            let figure = hodges_lehmann_interval(blocks, &plan(20, 99));
            assert_eq!(figure.value, Some(9.5));
            figure.high.unwrap() - figure.low.unwrap()
        };
        assert_eq!(width(&steady), 0.0);
        assert!(width(&moving) > 4.0);
    }

    #[test]
    fn twelve_rounds_that_all_agree_have_the_smallest_possible_probability() {
        let test = sign_flip_test(&[1.0; 12], 0, 0).unwrap();
        assert_eq!((test.p, test.exact, test.patterns), (2.0 / 4_096.0, true, 4_096));
    }

    #[test]
    fn five_rounds_can_never_reach_five_percent() {
        assert_eq!(sign_flip_test(&[3.0, 1.0, 2.0, 5.0, 9.0], 0, 0).unwrap().p, 0.0625);
    }

    #[test]
    fn drawn_patterns_come_close_to_all_of_them_and_never_reach_zero() {
        let blocks: Vec<f64> = (0..16).map(|x| f64::from(x % 5) - 1.2).collect();
        let exact = sign_flip_test(&blocks, 0, 0).unwrap();
        assert!(exact.exact);
        // A block of zero doubles the patterns and changes no probability.
        let longer: Vec<f64> = blocks.iter().copied().chain([0.0]).collect();
        let drawn = sign_flip_test(&longer, 20_000, 1).unwrap();
        assert!(!drawn.exact && (drawn.p - exact.p).abs() < 0.01, "{} and {}", drawn.p, exact.p);
        assert_eq!(sign_flip_test(&[1.0; 100], 999, 1).unwrap().p, 0.001);
    }

    #[test]
    fn no_difference_at_all_is_certain_chance() {
        assert_eq!(sign_flip_test(&[0.0; 9], 0, 0).unwrap().p, 1.0);
        assert_eq!(sign_flip_test(&[0.0; 40], 99, 0).unwrap().p, 1.0);
        assert_eq!(sign_flip_test(&[], 99, 0), None);
        assert_eq!(sign_flip_test(&[f64::NAN], 99, 0), None);
    }

    proptest! {
        #[test]
        fn the_centre_is_the_median_of_all_averages(
            coarse in prop::collection::vec(-20_i32..20, 1..90), fine in prop::collection::vec(-20.0_f64..20.0, 0..60),
        ) {
            // Coarse numbers give many equal averages, fine ones few.
            let x: Vec<f64> = coarse.into_iter().map(f64::from).chain(fine).collect();
            let pairs = (0..x.len()).flat_map(|i| (i..x.len()).map(move |j| (i, j)));
            let mut averages: Vec<f64> = pairs.map(|(i, j)| f64::midpoint(x[i], x[j])).collect();
            averages.sort_by(f64::total_cmp);
            let n = averages.len();
            let expected = f64::midpoint(averages[(n - 1) / 2], averages[n / 2]);
            prop_assert!((hodges_lehmann(&x).unwrap() - expected).abs() < 1e-12);
        }

        #[test]
        fn swapping_the_vendors_turns_the_sign(x in prop::collection::vec(-1e3_f64..1e3, 1..300)) {
            let turned: Vec<f64> = x.iter().map(|d| -d).collect();
            prop_assert!((hodges_lehmann(&x).unwrap() + hodges_lehmann(&turned).unwrap()).abs() < 1e-9);
            let (one, other) = (sign_flip_test(&x, 50, 3).unwrap(), sign_flip_test(&turned, 50, 3).unwrap());
            prop_assert_eq!(one, other);
        }
    }
}

mod duels {
    use super::*;

    fn duel(participant: usize, first: usize, second: usize, outcome: Outcome) -> Match {
        Match { participant, first, second, outcome }
    }

    /// `wins` duels that the first of two models wins and `losses` that it loses, one participant each.
    fn record(from: usize, pair: (usize, usize), wins: usize, losses: usize) -> Vec<Match> {
        let outcome = |i| if i < wins { Outcome::First } else { Outcome::Second };
        (0..wins + losses).map(|i| duel(from + i, pair.0, pair.1, outcome(i))).collect()
    }

    fn scores(ranking: &Ranking) -> Vec<f64> {
        ranking.models.iter().map(|model| model.score.value.unwrap()).collect()
    }

    #[test]
    fn ties_are_reported_and_decide_nothing() {
        let votes = |first, second, ties| Votes { first, second, ties };
        let preference = preference_share(&[votes(1, 0, 3), votes(0, 1, 0), votes(1, 0, 0), votes(0, 0, 2)], LEVEL);
        let share = preference.share.unwrap();
        assert_eq!(share.interval(), wilson(2.0, 3.0, LEVEL).unwrap());
        assert_eq!((share.n, preference.method), (3, Method::Wilson));
        assert_eq!((preference.decisive, preference.ties, preference.participants), (3, 5, 4));
    }

    #[test]
    fn several_votes_of_one_person_are_clustered() {
        let votes = |first, second| Votes { first, second, ties: 0 };
        let preference = preference_share(&[votes(9, 0), votes(0, 1), votes(1, 1)], LEVEL);
        assert_eq!(preference.method, Method::Clustered);
        assert_eq!(preference.share, clustered_share(&[9.0, 0.0, 1.0], &[9.0, 1.0, 2.0], LEVEL));
        assert_eq!(preference_share(&[votes(9, 3)], LEVEL).share, None, "one person is no sample");
        assert_eq!(preference_share(&[], LEVEL).share, None);
    }

    #[test]
    fn two_models_differ_by_the_logarithm_of_their_odds() {
        let ranking = bradley_terry(2, &record(0, (0, 1), 30, 10), &plan(40, 0)).unwrap();
        let scores = scores(&ranking);
        assert!((scores[0] - scores[1] - 400.0 * libm::log10(3.0)).abs() < 1e-3);
        assert!((scores[0] + scores[1] - 2_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_tie_counts_half_for_each_side() {
        let ties: Vec<Match> = (0..20).map(|i| duel(i, 0, 1, Outcome::Tie)).collect();
        let tied = bradley_terry(2, &ties, &plan(20, 0)).unwrap();
        assert_eq!(tied, bradley_terry(2, &record(0, (0, 1), 10, 10), &plan(20, 0)).unwrap());
        assert!(tied.models.iter().all(|model| model.rank.value == Some(1.0)), "equal scores share a rank");
    }

    #[test]
    fn models_that_never_met_are_not_compared() {
        let mut matches = record(0, (0, 1), 5, 5);
        matches.extend(record(10, (2, 3), 5, 5));
        assert_eq!(bradley_terry(4, &matches, &plan(20, 9)), Err(NotComparable::NotConnected { groups: 2 }));
        assert_eq!(bradley_terry(5, &matches, &plan(20, 9)), Err(NotComparable::NotConnected { groups: 3 }));
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = bradley_terry(3, &record(0, (0, 1), 5, 5), &plan(10, 9)).unwrap_err();
        assert_eq!(refused.to_string(), "the models form 2 groups that never met");
    }

    #[test]
    fn a_duel_with_oneself_or_of_a_stranger_is_refused() {
        let refused = |m: Match| bradley_terry(2, &[m], &plan(3, 9)) == Err(NotComparable::InvalidMatch);
        assert!(refused(duel(0, 1, 1, Outcome::First)));
        assert!(refused(duel(0, 0, 2, Outcome::First)));
        assert!(refused(duel(3, 0, 1, Outcome::First)));
        assert_eq!(bradley_terry(1, &[], &plan(3, 9)), Err(NotComparable::TooFewModels));
    }

    #[test]
    fn a_model_that_never_loses_is_first_with_a_score_that_the_data_do_not_bound() {
        let mut matches = record(0, (0, 1), 12, 0);
        matches.extend(record(12, (0, 2), 12, 0));
        matches.extend(record(24, (1, 2), 9, 3));
        let ranking = bradley_terry(3, &matches, &plan(36, 200)).unwrap();
        assert!(!ranking.bounded);
        let ranks: Vec<Option<f64>> = ranking.models.iter().map(|model| model.rank.value).collect();
        assert_eq!(ranks, [Some(1.0), Some(2.0), Some(3.0)]);
        assert!(scores(&ranking).iter().all(|score| score.is_finite()));
        assert_eq!(ranking.models[0].rank.high, Some(1.0));
        matches.push(duel(35, 2, 0, Outcome::Tie));
        assert!(bradley_terry(3, &matches, &plan(36, 0)).unwrap().bounded, "half a win closes the circle");
    }

    #[test]
    fn one_participant_who_votes_all_day_widens_the_intervals() {
        let fair = |i: usize| if i.is_multiple_of(2) { Outcome::First } else { Outcome::Second };
        let spread: Vec<Match> = (0..120).map(|i| duel(i / 3, i % 3, (i + 1) % 3, fair(i / 3))).collect();
        let width = |matches: &[Match]| {
            let score = bradley_terry(3, matches, &plan(40, 200)).unwrap().models[0].score;
            score.high.unwrap() - score.low.unwrap()
        };
        let mut zealous = spread.clone();
        zealous.extend(
            (0..60).map(|i| duel(0, i % 3, (i + 1) % 3, if i % 3 == 0 { Outcome::First } else { Outcome::Second })),
        );
        let narrow: f64 = width(&spread);
        assert!(width(&zealous) > 1.2 * narrow, "{} and {narrow}", width(&zealous));
    }

    #[test]
    fn a_draw_that_loses_the_only_bridge_is_undefined() {
        let mut matches = record(0, (0, 1), 5, 5);
        matches.push(duel(10, 1, 2, Outcome::First));
        matches.push(duel(10, 2, 1, Outcome::First));
        let model = bradley_terry(3, &matches, &plan(11, 300)).unwrap().models[2];
        assert!(model.score.undefined > 50, "a third of the draws have no such participant");
        assert!(model.score.value.is_some() && model.score.low.is_none() && model.score.high.is_none());
        assert_eq!(model.matches, 2);
    }

    proptest! {
        #[test]
        fn names_do_not_matter(results in prop::collection::vec((0_usize..3, 0_usize..2, 0_u8..3), 12..60)) {
            let outcome = |code| [Outcome::First, Outcome::Second, Outcome::Tie][usize::from(code)];
            let of = |&(first, step, code): &(usize, usize, u8)| duel(0, first, (first + 1 + step) % 3, outcome(code));
            let matches: Vec<Match> = results.iter().map(of).collect();
            let rename = |m: &Match| Match { first: 2 - m.first, second: 2 - m.second, ..*m };
            let renamed: Vec<Match> = matches.iter().map(rename).collect();
            let rate = |matches: &[Match]| bradley_terry(3, matches, &plan(1, 0));
            if let (Ok(one), Ok(other)) = (rate(&matches), rate(&renamed)) {
                for (a, b) in scores(&one).iter().zip(scores(&other).iter().rev()) {
                    prop_assert!((a - b).abs() < 1e-3, "{} and {}", a, b);
                }
            }
        }
    }
}
