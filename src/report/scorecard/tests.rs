use proptest::prelude::*;

use super::*;

fn criterion(key: &str, weight_percent: f64, rule: Rule) -> Criterion {
    Criterion { key: key.to_owned(), group: key.to_owned(), weight_percent, rule }
}

fn offer(label: &str, price_nanos: Option<i64>, values: &[(&str, f64)]) -> Offer {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
    Offer { label: label.to_owned(), price_nanos, values }
}

fn price_marks(prices: &[i64]) -> [Vec<f64>; 3] {
    let offers: Vec<_> =
        prices.iter().enumerate().map(|(at, price)| offer(&at.to_string(), Some(*price), &[])).collect();
    PriceFormula::ALL.map(|formula| marks::of(&criterion("price", 100.0, Rule::Price), formula, &offers))
}

/// A cheap and slow offer and a dear and quick one, with everything else alike.
fn two_offers() -> Vec<Offer> {
    let same = [("answer_quality", 0.8), ("ease_of_use", 0.9), ("data_protection", 0.5), ("environment", 0.1)];
    let mut offers = vec![offer("cheap", Some(100), &same), offer("quick", Some(200), &same)];
    offers[0].values.insert("latency".to_owned(), 8.0);
    offers[1].values.insert("latency".to_owned(), 2.0);
    offers
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

#[test]
fn the_three_formulas_mark_three_prices_as_computed_by_hand() {
    let [classic, linear, average] = price_marks(&[100, 150, 350]);
    assert!(close(classic[1], 2.0 / 3.0) && close(classic[2], 2.0 / 7.0));
    assert!(close(linear[1], 0.8) && close(linear[2], 0.0));
    // The mean price is 200.
    assert!(close(average[1], 0.875) && close(average[2], 0.375));
    assert_eq!([classic[0], linear[0], average[0]], [1.0; 3]);
}

#[test]
fn equal_prices_and_free_offers_have_marks_too() {
    assert_eq!(price_marks(&[7, 7, 7]), [[1.0; 3]; 3].map(|marks| marks.to_vec()));
    assert_eq!(price_marks(&[0, 0]), [[1.0; 2]; 3].map(|marks| marks.to_vec()));
    let [classic, linear, average] = price_marks(&[0, 5]);
    assert_eq!((classic[1], linear[1], average[1]), (0.0, 0.0, 0.0));
    let largest = price_marks(&[i64::MAX, i64::MAX - 1, 0]);
    assert!(largest.iter().flatten().all(|mark| (0.0..=1.0).contains(mark)), "{largest:?}");
}

#[test]
fn the_suggested_weights_make_a_whole_with_35_for_technical_value() {
    let criteria = suggested_criteria();
    let of = |group: &str| criteria.iter().filter(|row| row.group == group).map(|row| row.weight_percent).sum::<f64>();
    assert_eq!((of("price"), of("technical"), of("data_protection"), of("environment")), (40.0, 35.0, 15.0, 10.0));
    assert!(score(&criteria, &two_offers()).is_ok());
}

#[test]
fn two_offers_are_marked_ranked_and_the_formulas_compared() {
    let card = score(&suggested_criteria(), &two_offers()).unwrap();
    let [classic, linear, average] = &card.formulas[..] else { panic!("three formulas") };
    // Price 40 or 20; latency 2.5 or 10; quality 12, ease 9, data 7.5, environment 10 for both.
    assert!(close(classic.offers[0].total, 40.0 + 2.5 + 38.5) && close(classic.offers[1].total, 20.0 + 10.0 + 38.5));
    assert!(close(linear.offers[1].total, 0.0 + 10.0 + 38.5));
    assert!(close(average.offers[1].total, 40.0 * (1.0 - 100.0 / 300.0) + 10.0 + 38.5));
    for formula in &card.formulas {
        assert_eq!(formula.winners, ["cheap"]);
        assert_eq!((formula.offers[0].rank, formula.offers[1].rank), (1, 2));
    }
    assert_eq!((card.awarded_percent, card.not_awarded_percent, card.formulas_agree), (100.0, 0.0, Some(true)));
}

#[test]
fn the_formulas_can_disagree_and_the_card_says_so() {
    let criteria = [criterion("price", 50.0, Rule::Price), criterion("quality", 50.0, Rule::Share)];
    let offers = [offer("cheap", Some(100), &[("quality", 0.3)]), offer("good", Some(120), &[("quality", 0.9)])];
    let card = score(&criteria, &offers).unwrap();
    assert_eq!(card.formulas[0].winners, ["good"]);
    assert_eq!(card.formulas[1].winners, ["cheap"], "linear gives the dearer of two offers nothing");
    assert_eq!(card.formulas[2].winners, ["good"]);
    assert_eq!(card.formulas_agree, Some(false));
}

#[test]
fn a_criterion_unknown_for_one_offer_is_scored_for_none_and_its_weight_is_shown() {
    let mut offers = two_offers();
    offers[0].values.remove("environment");
    let card = score(&suggested_criteria(), &offers).unwrap();
    let environment = &card.criteria[5];
    assert!(!environment.scored);
    assert_eq!(environment.unknown_for, ["cheap"]);
    assert_eq!((card.awarded_percent, card.not_awarded_percent), (90.0, 10.0));
    for result in card.formulas.iter().flat_map(|formula| &formula.offers) {
        assert_eq!((result.marks[5], result.points[5]), (None, None), "absent is not zero");
    }
    for formula in &card.formulas {
        assert_eq!(formula.sensitivity[5].intervals, None);
    }
}

#[test]
fn nobody_wins_where_nothing_is_known() {
    let criteria = [criterion("price", 100.0, Rule::Price)];
    let card = score(&criteria, &[offer("a", None, &[]), offer("b", Some(1), &[])]).unwrap();
    assert_eq!(card.criteria[0].unknown_for, ["a"]);
    assert_eq!((card.awarded_percent, card.formulas_agree), (0.0, None));
    assert!(card.formulas.iter().all(|formula| formula.winners.is_empty()));
}

#[test]
fn equal_offers_share_the_first_rank_at_every_weight() {
    let criteria = [criterion("price", 60.0, Rule::Price), criterion("quality", 40.0, Rule::Share)];
    let same = |label| offer(label, Some(5), &[("quality", 0.5)]);
    let third = offer("third", Some(6), &[("quality", 0.1)]);
    let card = score(&criteria, &[same("a"), same("b"), third]).unwrap();
    for formula in &card.formulas {
        assert_eq!(formula.winners, ["a", "b"]);
        assert_eq!(formula.offers.iter().map(|row| row.rank).collect::<Vec<_>>(), [1, 1, 3]);
        let whole = Interval { from: 0.0, to: 100.0, winners: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(formula.sensitivity[0].intervals, Some(vec![whole]));
    }
}

#[test]
fn measured_values_are_marked_in_proportion_to_the_best() {
    let criteria = [criterion("seconds", 50.0, Rule::LowerIsBetter), criterion("speed", 50.0, Rule::HigherIsBetter)];
    let offers = [
        offer("a", None, &[("seconds", 2.0), ("speed", 30.0)]),
        offer("b", None, &[("seconds", 8.0), ("speed", 120.0)]),
    ];
    let card = score(&criteria, &offers).unwrap();
    let marks = |at: usize| card.formulas[0].offers[at].marks.clone();
    assert_eq!((marks(0), marks(1)), (vec![Some(1.0), Some(0.25)], vec![Some(0.25), Some(1.0)]));
    assert_eq!(card.formulas[0].winners, ["a", "b"]);
}

#[test]
fn the_break_point_of_two_offers_is_the_one_computed_by_hand() {
    let criteria = [criterion("price", 50.0, Rule::Price), criterion("quality", 50.0, Rule::Share)];
    let offers = [offer("cheap", Some(100), &[("quality", 0.3)]), offer("good", Some(200), &[("quality", 0.9)])];
    let card = score(&criteria, &offers).unwrap();
    // Classic: w + 0.3 (100 - w) = 0.5 w + 0.9 (100 - w) at w = 60 / 1.1.
    let intervals = card.formulas[0].sensitivity[0].intervals.as_ref().unwrap();
    assert_eq!(intervals.iter().map(|row| row.winners[0].as_str()).collect::<Vec<_>>(), ["good", "cheap"]);
    assert!(close(intervals[0].to, 60.0 / 1.1) && intervals[1].from == intervals[0].to);
    assert_eq!((intervals[0].from, intervals[1].to), (0.0, 100.0));
    let quality = card.formulas[0].sensitivity[1].intervals.as_ref().unwrap();
    assert!(close(quality[0].to, 100.0 - 60.0 / 1.1), "the same point, seen from the other criterion");
}

#[test]
fn a_criterion_that_alone_has_a_weight_has_no_sensitivity() {
    let criteria = [criterion("price", 100.0, Rule::Price), criterion("quality", 0.0, Rule::Share)];
    let offers = [offer("a", Some(1), &[("quality", 0.3)]), offer("b", Some(2), &[("quality", 0.9)])];
    let card = score(&criteria, &offers).unwrap();
    assert_eq!(card.formulas[0].sensitivity[0].intervals, None);
    let quality = card.formulas[0].sensitivity[1].intervals.as_ref().unwrap();
    assert_eq!(quality.len(), 2, "but a criterion without weight can be given one");
    assert_eq!(scaled_weights(&criteria, "price", 50.0), None);
}

#[test]
fn weights_and_values_that_make_no_sense_are_refused_with_a_sentence() {
    let error = |criteria: &[Criterion], offers: &[Offer]| score(criteria, offers).unwrap_err().to_string();
    let mut criteria = suggested_criteria();
    criteria[0].weight_percent = 45.0;
    let offers = two_offers();
    assert_eq!(error(&criteria, &offers), "The weights add up to 105 %, and must add up to 100 %.");
    assert_eq!(error(&[], &offers), "The weights add up to 0 %, and must add up to 100 %.");
    criteria[0].weight_percent = f64::NAN;
    assert_eq!(error(&criteria, &offers), "The weight of `price` must be between 0 and 100 %.");
    let twice = [criterion("price", 50.0, Rule::Price), criterion("price", 50.0, Rule::Share)];
    assert_eq!(error(&twice, &offers), "The criterion `price` comes twice.");
    let prices = [criterion("price", 50.0, Rule::Price), criterion("other", 50.0, Rule::Price)];
    assert_eq!(error(&prices, &offers), "Only one criterion can be the price.");
    let criteria = suggested_criteria();
    assert_eq!(error(&criteria, &offers[..1]), "A comparison needs at least two offers.");
    let mut wrong = two_offers();
    wrong[1].values.insert("answer_quality".to_owned(), 1.2);
    assert_eq!(error(&criteria, &wrong), "`answer_quality` of `quick` must be a share between 0 and 1.");
    wrong[1].values.insert("answer_quality".to_owned(), 1.0);
    wrong[1].values.insert("latency".to_owned(), f64::INFINITY);
    assert_eq!(error(&criteria, &wrong), "`latency` of `quick` must be a number that is not negative.");
    wrong[1].label = "cheap".to_owned();
    assert_eq!(error(&criteria, &wrong), "Two offers are called `cheap`.");
    let negative = [offer("a", Some(-1), &[]), offer("b", Some(1), &[])];
    assert_eq!(error(&criteria, &negative), "The price of `a` is negative.");
}

#[test]
fn thirds_make_a_whole() {
    let third = |key| criterion(key, 100.0 / 3.0, Rule::Share);
    let values = [("a", 0.1), ("b", 0.2), ("c", 0.3)];
    assert!(
        score(&[third("a"), third("b"), third("c")], &[offer("x", None, &values), offer("y", None, &values)]).is_ok()
    );
}

#[test]
fn a_card_is_the_same_after_a_trip_through_json() {
    let card = score(&suggested_criteria(), &two_offers()).unwrap();
    let text = serde_json::to_string(&card).unwrap();
    assert_eq!(serde_json::from_str::<Scorecard>(&text).unwrap(), card);
}

/// Any criteria that make a whole, and any offers with known values for most of them.
fn any_case() -> impl Strategy<Value = (Vec<Criterion>, Vec<Offer>)> {
    let parts = proptest::collection::vec(1_u32..50, 6);
    let row = (
        proptest::option::weighted(0.9, 1_i64..1_000_000_000_000),
        proptest::collection::vec(proptest::option::weighted(0.95, 0_u32..=100), 5),
    );
    (parts, proptest::collection::vec(row, 2..7)).prop_map(|(parts, rows)| {
        let whole = f64::from(parts.iter().sum::<u32>());
        let mut criteria = suggested_criteria();
        for (criterion, part) in criteria.iter_mut().zip(&parts) {
            criterion.weight_percent = f64::from(*part) * 100.0 / whole;
        }
        let offers = rows.into_iter().enumerate().map(|(at, (price, values))| {
            let keys = criteria[1..].iter().map(|criterion| criterion.key.clone());
            let known = keys.zip(values).filter_map(|(key, value)| Some((key, f64::from(value?) / 100.0)));
            Offer { label: format!("offer {at}"), price_nanos: price, values: known.collect() }
        });
        let offers = offers.collect();
        (criteria, offers)
    })
}

proptest! {
    #[test]
    fn the_lowest_price_has_the_full_mark_and_a_higher_price_never_more(
        prices in proptest::collection::vec(0_i64..=i64::MAX, 2..8),
    ) {
        let lowest = *prices.iter().min().unwrap();
        for marks in price_marks(&prices) {
            for (price, mark) in prices.iter().zip(&marks) {
                prop_assert!((0.0..=1.0).contains(mark));
                prop_assert!(*price != lowest || *mark == 1.0);
                for (other, other_mark) in prices.iter().zip(&marks) {
                    prop_assert!(price > other || mark >= other_mark);
                }
            }
        }
    }

    #[test]
    fn marks_do_not_change_when_every_price_and_value_does_by_the_same_factor(
        (criteria, offers) in any_case(), factor in 2_i64..1000,
    ) {
        let scaled: Vec<Offer> = offers.iter().map(|offer| {
            let mut scaled = offer.clone();
            scaled.price_nanos = offer.price_nanos.map(|price| price * factor);
            for criterion in criteria.iter().filter(|row| row.rule == Rule::LowerIsBetter) {
                if let Some(value) = scaled.values.get_mut(&criterion.key) {
                    *value *= factor as f64;
                }
            }
            scaled
        }).collect();
        let (one, other) = (score(&criteria, &offers).unwrap(), score(&criteria, &scaled).unwrap());
        for (one, other) in one.formulas.iter().zip(&other.formulas) {
            for (one, other) in one.offers.iter().zip(&other.offers) {
                prop_assert!(close(one.total, other.total), "{} {}", one.total, other.total);
            }
        }
    }

    #[test]
    fn totals_are_the_sums_of_the_points_and_never_above_the_awarded_weight((criteria, offers) in any_case()) {
        let card = score(&criteria, &offers).unwrap();
        prop_assert!(close(card.awarded_percent + card.not_awarded_percent, 100.0));
        for formula in &card.formulas {
            let best = formula.offers.iter().map(|row| row.total).fold(0.0, f64::max);
            for row in &formula.offers {
                prop_assert!(close(row.total, row.points.iter().flatten().sum()));
                prop_assert!(row.total <= card.awarded_percent + 1e-9);
                prop_assert_eq!(row.rank == 1, best - row.total <= TIE_POINTS);
            }
        }
    }

    #[test]
    fn scaled_weights_keep_the_whole_and_the_proportions_of_the_others(
        (criteria, _) in any_case(), weight in 0.0_f64..=100.0, at in 0_usize..6,
    ) {
        let key = criteria[at].key.clone();
        let scaled = scaled_weights(&criteria, &key, weight).unwrap();
        prop_assert!(close(scaled.iter().map(|row| row.weight_percent).sum(), 100.0));
        prop_assert_eq!(scaled[at].weight_percent, weight);
        let (one, other) = ((at + 1) % 6, (at + 2) % 6);
        prop_assert!(close(
            scaled[one].weight_percent * criteria[other].weight_percent,
            scaled[other].weight_percent * criteria[one].weight_percent,
        ));
        prop_assert_eq!(scaled_weights(&criteria, "nothing", weight), None);
    }

    #[test]
    fn the_stretches_are_those_that_a_grid_of_weights_finds((criteria, offers) in any_case()) {
        let card = score(&criteria, &offers).unwrap();
        for (at, criterion) in criteria.iter().enumerate() {
            for step in 0..=40_u32 {
                let weight = f64::from(step) * 2.5;
                let scaled = scaled_weights(&criteria, &criterion.key, weight).unwrap();
                let brute = score(&scaled, &offers).unwrap();
                for (formula, brute) in card.formulas.iter().zip(&brute.formulas) {
                    let Some(stretches) = &formula.sensitivity[at].intervals else {
                        prop_assert!(!card.criteria[at].scored);
                        continue;
                    };
                    let here: Vec<_> =
                        stretches.iter().filter(|row| row.from <= weight && weight <= row.to).collect();
                    prop_assert!(!here.is_empty());
                    // On a break point more offers may tie than win a stretch beside it.
                    for stretch in &here {
                        for winner in &stretch.winners {
                            let row = brute.offers.iter().find(|row| row.label == *winner).unwrap();
                            let best = brute.offers.iter().map(|row| row.total).fold(0.0, f64::max);
                            prop_assert!(best - row.total < 1e-7, "{weight}: {winner} {} {best}", row.total);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn stretches_are_contiguous_from_0_to_100_and_neighbours_have_other_winners((criteria, offers) in any_case()) {
        let card = score(&criteria, &offers).unwrap();
        for sensitivity in card.formulas.iter().flat_map(|formula| &formula.sensitivity) {
            let Some(stretches) = &sensitivity.intervals else { continue };
            prop_assert_eq!((stretches[0].from, stretches.last().unwrap().to), (0.0, 100.0));
            for pair in stretches.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
                prop_assert!(pair[0].winners.iter().all(|winner| !pair[1].winners.contains(winner)));
            }
            for stretch in stretches {
                prop_assert!(stretch.from < stretch.to && !stretch.winners.is_empty());
            }
        }
    }

    #[test]
    fn the_winner_at_the_buyers_own_weight_is_the_winner_of_its_stretch((criteria, offers) in any_case()) {
        let card = score(&criteria, &offers).unwrap();
        for formula in &card.formulas {
            for sensitivity in &formula.sensitivity {
                let Some(stretches) = &sensitivity.intervals else { continue };
                let weight = sensitivity.weight_percent;
                let inside = stretches.iter().find(|row| row.from + 1e-6 < weight && weight < row.to - 1e-6);
                if let Some(stretch) = inside {
                    prop_assert_eq!(&stretch.winners, &formula.winners);
                }
            }
        }
    }
}
