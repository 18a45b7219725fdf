use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

/// A euro.
const EURO: i64 = 1_000_000_000;

/// Days from `from` on that cost what is given.
fn days(from: Date, costs: impl IntoIterator<Item = i64>) -> Vec<DaySpend> {
    let mut date = from;
    let day = |nanos| {
        let day = DaySpend { date, nanos };
        date = date.tomorrow().unwrap();
        day
    };
    costs.into_iter().map(day).collect()
}

fn at(month: i8, day: i8) -> Date {
    date(2026, month, day)
}

fn known(days: &[DaySpend], envelope: Option<i64>) -> Forecast {
    forecast(days, envelope).unwrap().unwrap()
}

#[test]
fn a_constant_euro_a_day_makes_the_days_of_the_year_without_any_width() {
    let forecast = known(&days(at(1, 1), [EURO; 59]), Some(365 * EURO));
    assert_eq!((forecast.through, forecast.weeks), (at(2, 28), 8));
    assert_eq!((forecast.spent_nanos, forecast.year_nanos), (59 * EURO, 365 * EURO));
    assert_eq!((forecast.low_nanos, forecast.high_nanos), (365 * EURO, 365 * EURO));
    let envelope = forecast.envelope.unwrap();
    assert_eq!((envelope.used_basis_points, envelope.year_basis_points), (1617, 10_000), "16.164 % is rounded up");
    assert_eq!(envelope.spent_on, Some(at(12, 31)));
    assert_eq!(forecast.limits, [Limit::WeeksAlike, Limit::PricesUnchanged]);
}

#[test]
fn two_full_weeks_are_needed() {
    assert_eq!(forecast(&[], None), Ok(None));
    assert_eq!(forecast(&days(at(5, 4), [EURO; 13]), Some(EURO)), Ok(None));
    let rough = known(&days(at(5, 4), [EURO; 14]), None);
    assert_eq!(rough.limits, [Limit::WeeksAlike, Limit::PricesUnchanged, Limit::FewWeeks]);
    assert_eq!(rough.envelope, None);
}

#[test]
fn remaining_days_cost_the_mean_of_their_weekday() {
    // Only Mondays cost. After Sunday 20 December there remain the Mondays 21 and 28.
    let monday_only = [[7 * EURO, 0, 0, 0, 0, 0, 0], [9 * EURO, 0, 0, 0, 0, 0, 0]].concat();
    let forecast = known(&days(at(12, 7), monday_only), Some(30 * EURO));
    assert_eq!(forecast.year_nanos, 16 * EURO + 2 * 8 * EURO);
    assert_eq!(forecast.envelope.unwrap().spent_on, Some(at(12, 28)), "24 euros on the 21st, 32 on the 28th");
}

#[test]
fn the_interval_is_the_one_computed_by_hand() {
    // Weeks of 70, 140 and 105 euros: mean 105, standard deviation 35; 2 degrees of freedom. 21 days remain.
    let weeks = [[10 * EURO; 7], [20 * EURO; 7], [15 * EURO; 7]].concat();
    let forecast = known(&days(at(11, 20), weeks), None);
    assert_eq!((forecast.through, forecast.year_nanos), (at(12, 10), (315 + 315) * EURO));
    let half = 3.0 * 4.303 * 35.0 * (2.0_f64 / 3.0).sqrt();
    assert!((forecast.high_nanos as f64 / 1e9 - (630.0 + half)).abs() < 1e-6, "{forecast:?}");
    assert_eq!(forecast.low_nanos, 315 * EURO, "the year cannot cost less than what is spent");
    assert!(half > 315.0);
}

#[test]
fn days_before_the_full_weeks_count_as_spent_and_not_for_the_future() {
    let opening = [1000 * EURO, 1000 * EURO].into_iter();
    let forecast = known(&days(at(12, 8), opening.chain([EURO; 14])), None);
    assert_eq!((forecast.weeks, forecast.through), (2, at(12, 23)));
    assert_eq!(forecast.year_nanos, 2014 * EURO + 8 * EURO);
}

#[test]
fn on_the_last_day_the_forecast_is_what_was_spent() {
    let costs = (0..20).map(|day| day * EURO);
    let forecast = known(&days(at(12, 12), costs), Some(EURO));
    assert_eq!(forecast.year_nanos, 190 * EURO);
    assert_eq!((forecast.low_nanos, forecast.high_nanos), (190 * EURO, 190 * EURO));
    assert_eq!(forecast.envelope.unwrap().spent_on, Some(at(12, 13)), "a day that was seen");
}

#[test]
fn an_envelope_that_lasts_the_year_is_spent_on_no_day() {
    let envelope = known(&days(at(1, 1), [EURO; 30]), Some(366 * EURO)).envelope.unwrap();
    assert_eq!((envelope.spent_on, envelope.year_basis_points), (None, 9_973));
    let free = known(&days(at(1, 1), [0; 30]), Some(1)).envelope.unwrap();
    assert_eq!((free.spent_on, free.used_basis_points), (None, 0));
}

#[test]
fn a_gap_is_unknown_and_not_zero() {
    let mut gap = days(at(3, 1), [EURO; 20]);
    gap.remove(7);
    assert_eq!(forecast(&gap, None), Err(ForecastError::DayExpected(at(3, 8))));
    let mut twice = days(at(3, 1), [EURO; 20]);
    twice[5] = twice[4];
    assert_eq!(forecast(&twice, None), Err(ForecastError::DayExpected(at(3, 6))));
    let past = days(at(12, 20), [EURO; 20]);
    assert_eq!(forecast(&past, None), Err(ForecastError::OtherYear(date(2027, 1, 1))));
    assert_eq!(forecast(&days(at(3, 1), [-1; 20]), None), Err(ForecastError::Amount));
    assert_eq!(forecast(&days(at(3, 1), [1; 20]), Some(0)), Err(ForecastError::Amount));
    assert_eq!(forecast(&days(at(3, 1), [i64::MAX; 20]), None), Err(ForecastError::Overflow));
}

#[test]
fn the_towns_envelope_buys_34_seats_and_a_seat_month_thousands_of_questions() {
    // 20,000 questions a month at 9.30 euros.
    let measured = AnsweredCost { nanos: 9_300_000_000, answered: 20_000 };
    let bought = seats(10_000 * EURO, SEAT_MONTH_NANOS, measured).unwrap();
    assert_eq!((bought.seats, bought.year_nanos), (34, 34 * 288 * EURO));
    assert_eq!(bought.questions_per_seat_month, Some(51_612));
    let nothing = AnsweredCost { nanos: 0, answered: 0 };
    assert_eq!(seats(10_000 * EURO, SEAT_MONTH_NANOS, nothing).unwrap().questions_per_seat_month, None);
    assert_eq!(seats(10_000 * EURO, 0, measured), None);
    assert_eq!(seats(-1, SEAT_MONTH_NANOS, measured), None);
}

#[test]
fn a_measured_cost_is_set_against_two_and_three_cents() {
    let measured = AnsweredCost { nanos: 10 * EURO, answered: 20_000 };
    let [two, three] = CENTS_ASSUMED_NANOS.map(|cents| against_estimate(measured, cents).unwrap());
    assert_eq!((two.measured_nanos, two.share_basis_points, two.saved_nanos), (500_000, 250, 390 * EURO));
    assert_eq!((three.share_basis_points, three.saved_nanos), (167, 590 * EURO), "1.667 % is rounded up");
    let dear = AnsweredCost { nanos: 10 * EURO, answered: 100 };
    assert_eq!(against_estimate(dear, CENTS_ASSUMED_NANOS[0]).unwrap().saved_nanos, -8 * EURO);
    assert_eq!(against_estimate(AnsweredCost { nanos: 5, answered: 0 }, 1), None);
    assert_eq!(against_estimate(measured, 0), None);
}

#[test]
fn the_break_even_of_a_vendor_at_half_the_price_is_plus_100_percent() {
    let (half, full) = (AnsweredCost { nanos: 50, answered: 100 }, AnsweredCost { nanos: 200, answered: 200 });
    assert_eq!(break_even_basis_points(half, full), Some(10_000));
    assert_eq!(break_even_basis_points(full, half), Some(-5_000));
    assert_eq!(break_even_basis_points(full, full), Some(0));
    let third = AnsweredCost { nanos: 3, answered: 1 };
    assert_eq!(break_even_basis_points(third, AnsweredCost { nanos: 1, answered: 1 }), Some(-6_667), "rounded down");
    assert_eq!(break_even_basis_points(AnsweredCost { nanos: 0, answered: 5 }, full), None);
    assert_eq!(break_even_basis_points(full, AnsweredCost { nanos: 5, answered: 0 }), None);
}

#[test]
fn the_tax_is_shown_apart_and_rounded_up_once() {
    let taxed = vat(100 * EURO, VAT_BASIS_POINTS).unwrap();
    assert_eq!((taxed.vat_nanos, taxed.gross_nanos), (20 * EURO, 120 * EURO));
    assert_eq!(vat(1, VAT_BASIS_POINTS).unwrap().vat_nanos, 1);
    assert_eq!((vat(-1, VAT_BASIS_POINTS), vat(i64::MAX, VAT_BASIS_POINTS)), (None, None));
}

#[test]
fn prices_that_rise_and_fall_move_an_amount_rounded_up() {
    assert_eq!(price_changed(1_000, 1_000), Some(1_100));
    assert_eq!(price_changed(1_001, -5_000), Some(501));
    assert_eq!(price_changed(1_001, -10_000), Some(0));
    assert_eq!((price_changed(1, -10_001), price_changed(-1, 0), price_changed(i64::MAX, 1)), (None, None, None));
}

#[test]
fn every_limit_has_a_sentence_in_both_languages() {
    for limit in [Limit::WeeksAlike, Limit::FewWeeks, Limit::PricesUnchanged] {
        assert!(limit.english().ends_with('.') && limit.french().ends_with('.') && limit.english() != limit.french());
    }
}

/// Two uniform draws to one that is normal.
fn normal(rng: &mut impl Rng) -> f64 {
    let mut uniform = || (f64::from(rng.next_u32()) + 0.5) / f64::from(u32::MAX);
    (-2.0 * uniform().min(1.0).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

/// A year from 1 March: a town's weekdays, a good or bad share of each whole week, and noise of each day.
fn simulated_year(rng: &mut impl Rng) -> Vec<DaySpend> {
    let weekdays = [5.0, 6.0, 5.0, 6.0, 5.0, 2.0, 1.0];
    let mut costs = Vec::new();
    for _week in 0..44 {
        let of_week = 1.0 + 0.25 * normal(rng);
        costs.extend(weekdays.map(|mean: f64| (mean * (of_week + 0.1 * normal(rng)).max(0.0) * 1e9).round() as i64));
    }
    days(at(3, 1), costs.into_iter().take(306))
}

#[test]
fn about_95_of_100_simulated_years_end_within_the_interval() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for seen in [3 * WEEK, 10 * WEEK, 30 * WEEK] {
        let years = 600;
        let within = (0..years).filter(|_year| {
            let days = simulated_year(&mut rng);
            let truth: i64 = days.iter().map(|day| day.nanos).sum();
            let forecast = known(&days[..seen], None);
            (forecast.low_nanos..=forecast.high_nanos).contains(&truth)
        });
        let share = within.count() as f64 / f64::from(years);
        println!("{seen} days seen: {:.1} % within", share * 100.0);
        assert!((0.925..=0.975).contains(&share), "{share} after {seen} days");
    }
}

fn any_days() -> impl Strategy<Value = Vec<DaySpend>> {
    (1_i8..=9, 1_i8..=28, proptest::collection::vec(0..100 * EURO, 14..90))
        .prop_map(|(month, day, costs)| days(at(month, day), costs))
}

proptest! {
    #[test]
    fn the_forecast_lies_in_its_interval_and_never_below_what_is_spent(days in any_days()) {
        let forecast = known(&days, None);
        prop_assert!(forecast.spent_nanos <= forecast.low_nanos);
        prop_assert!(forecast.low_nanos <= forecast.year_nanos && forecast.year_nanos <= forecast.high_nanos);
    }

    #[test]
    fn the_envelope_is_spent_within_the_year_exactly_when_the_forecast_reaches_it(
        days in any_days(), envelope in 1..20_000 * EURO,
    ) {
        let forecast = known(&days, Some(envelope));
        let used = forecast.envelope.unwrap();
        // The day is found on exact fractions, the forecast is rounded up by less than a nano-euro.
        if forecast.year_nanos < envelope {
            prop_assert_eq!(used.spent_on, None);
        } else if forecast.year_nanos > envelope {
            prop_assert!(used.spent_on.is_some());
        }
        prop_assert_eq!(used.spent_on.is_some_and(|day| day <= forecast.through), forecast.spent_nanos >= envelope);
        prop_assert_eq!(used.used_basis_points >= 10_000, i128::from(forecast.spent_nanos) * 10_000
            > i128::from(envelope) * 9_999);
    }

    #[test]
    fn twice_the_spend_makes_twice_the_forecast_and_interval(days in any_days()) {
        let doubled: Vec<_> = days.iter().map(|day| DaySpend { nanos: 2 * day.nanos, ..*day }).collect();
        let (one, two) = (known(&days, None), known(&doubled, None));
        for (one, two) in [
            (one.spent_nanos, two.spent_nanos),
            (one.year_nanos, two.year_nanos),
            (one.low_nanos, two.low_nanos),
            (one.high_nanos, two.high_nanos),
        ] {
            // Roundings up differ by a nano-euro each, floats by their last bits.
            prop_assert!((2 * one - two).abs() <= 4 + two / 1_000_000_000_000, "{one} {two}");
        }
    }

    #[test]
    fn a_week_seen_again_and_again_is_forecast_without_width(
        week in proptest::collection::vec(0..100 * EURO, 7), weeks in 2_usize..12,
    ) {
        let costs = week.iter().copied().cycle().take(7 * weeks);
        let forecast = known(&days(at(2, 3), costs), None);
        // Floats add the same week up the same way each time, but their mean may be off in the last bits.
        prop_assert!(forecast.high_nanos - forecast.year_nanos <= 1 + forecast.year_nanos / 1_000_000_000_000);
        let rest = (known(&days(at(2, 3), week.iter().copied().cycle().take(332)), None)).year_nanos;
        prop_assert_eq!(forecast.year_nanos, rest, "the year as it would be day by day");
    }

    #[test]
    fn at_the_break_even_the_vendor_is_not_dearer_and_one_basis_point_more_makes_it_so(
        cost in 1..1_000_000 * EURO, answered in 1_u64..1_000_000,
        other_cost in 1..1_000_000 * EURO, other_answered in 1_u64..1_000_000,
    ) {
        let vendor = AnsweredCost { nanos: cost, answered };
        let other = AnsweredCost { nanos: other_cost, answered: other_answered };
        // Where 128 bits do not hold the product there is no figure.
        let Some(change) = break_even_basis_points(vendor, other) else { return Ok(()) };
        let at = |change: i64| {
            (10_000 + i128::from(change)) * i128::from(cost) * i128::from(other_answered)
        };
        let wanted = 10_000 * i128::from(other_cost) * i128::from(answered);
        prop_assert!(at(change) <= wanted && wanted < at(change + 1));
    }

    #[test]
    fn net_and_tax_make_gross_and_the_tax_is_never_too_low(net in 0..i64::MAX / 2, rate in 0_u32..10_000) {
        let taxed = vat(net, rate).unwrap();
        prop_assert_eq!(taxed.net_nanos + taxed.vat_nanos, taxed.gross_nanos);
        let exact = i128::from(net) * i128::from(rate);
        let rounded = i128::from(taxed.vat_nanos) * 10_000;
        prop_assert!(rounded >= exact && rounded - exact < 10_000);
    }

    #[test]
    fn a_rise_and_the_tax_at_the_same_rate_are_the_same(net in 0..i64::MAX / 4, rate in 0_i32..10_000) {
        let taxed = vat(net, rate.unsigned_abs()).unwrap();
        prop_assert_eq!(price_changed(net, rate), Some(taxed.gross_nanos));
    }
}
