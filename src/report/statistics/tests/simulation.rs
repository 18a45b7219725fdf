//! Simulated periods whose truth is known: do the intervals hold what they promise?
//!
//! Times are log-normal in milliseconds. Each person has an effect of their own on all their questions, so that the
//! questions of one person are not independent, and each vendor gets its own mix of short and long questions.

use rand::RngExt as _;
use rand_distr::{Beta, Distribution as _, StandardNormal};
use rand_pcg::Pcg64;

use super::super::distribution::{binomial_cdf, normal_cdf};
use super::super::number::ceiling;
use super::super::ratio::Sums;
use super::super::{
    Estimate, Level, Observation, Resampled, Resampling, StandardisedSample, Votes, hodges_lehmann_interval,
    preference_share, ratio_interval, sample_size, wilson,
};

const LEVEL: Level = Level::NINETY_FIVE;
/// Medians of the two strata, in milliseconds.
const MEDIANS: [f64; 2] = [1_500.0, 4_000.0];
/// Common shares of the two strata.
const SHARES: [f64; 2] = [0.6, 0.4];
/// Standard deviation of the logarithm between persons.
const PERSON: f64 = 0.3;
/// Standard deviation of the logarithm between persons with one vendor, beyond what they have with both: their hours.
const HOURS: f64 = 0.3;
/// Standard deviation of the logarithm within a person.
const WITHIN: f64 = 0.4;

fn generator(seed: u64) -> Pcg64 {
    Pcg64::new(u128::from(seed), 77)
}

fn normal(random: &mut Pcg64) -> f64 {
    StandardNormal.sample(random)
}

fn observation(cluster: usize, stratum: usize, milliseconds: f64) -> Observation {
    Observation { cluster, stratum, value: ceiling(milliseconds), count: 1 }
}

/// One period: two vendors over the same persons; the second takes `ratio` times as long.
fn period(random: &mut Pcg64, persons: usize, ratio: f64) -> [StandardisedSample; 2] {
    let mut observations = [Vec::new(), Vec::new()];
    for person in 0..persons {
        let effect = PERSON * normal(random);
        for (vendor, slow) in [1.0, ratio].into_iter().enumerate() {
            let effect = effect + HOURS * normal(random);
            for _ in 0..random.random_range(8..=16) {
                // The second vendor gets more of the long questions.
                let stratum = usize::from(random.random_bool([0.35, 0.5][vendor]));
                let time = slow * MEDIANS[stratum] * libm::exp(effect + WITHIN * normal(random));
                observations[vendor].push(observation(person, stratum, time));
            }
        }
    }
    observations.map(|observations| StandardisedSample::new(&SHARES, observations).unwrap())
}

/// Difference of standardised medians and ratio of standardised means, second against first.
fn figures(vendors: &[StandardisedSample; 2], plan: &Resampling) -> Vec<Resampled> {
    plan.intervals(2, |times, results| {
        let [first, second] = [vendors[0].drawn(times), vendors[1].drawn(times)];
        results[0] = Some(second.quantile(0.5).unwrap() - first.quantile(0.5).unwrap());
        results[1] = Some(second.mean().unwrap() / first.mean().unwrap());
    })
}

/// The standardised median of the population of the first vendor.
fn true_median() -> f64 {
    let sigma = PERSON.hypot(HOURS).hypot(WITHIN);
    let below = |x: f64| SHARES.iter().zip(MEDIANS).map(|(w, m)| w * normal_cdf(libm::log(x / m) / sigma)).sum::<f64>();
    let (mut low, mut high) = (100.0, 100_000.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) < 0.5 { low = middle } else { high = middle }
    }
    low
}

fn covers(figure: &Resampled, truth: f64) -> bool {
    figure.low.unwrap() <= truth && truth <= figure.high.unwrap()
}

fn holds(estimate: &Estimate, truth: f64) -> bool {
    estimate.low <= truth && truth <= estimate.high
}

/// Share of `runs` periods in which something holds.
fn share(runs: u32, holds: impl FnMut(&u32) -> bool) -> f64 {
    f64::from(u32::try_from((0..runs).filter(holds).count()).unwrap()) / f64::from(runs)
}

#[test]
fn intervals_over_48_persons_cover_the_truth_in_93_to_97_percent_of_1000_periods() {
    const RUNS: u32 = 1_000;
    let (median, ratio) = (0.2 * true_median(), 1.2);
    let mut random = generator(1);
    let mut covered = [0.0, 0.0];
    for run in 0..RUNS {
        let vendors = period(&mut random, 48, ratio);
        let plan = Resampling { clusters: 48, draws: 199, seed: u64::from(run), level: LEVEL };
        let figures = figures(&vendors, &plan);
        covered[0] += f64::from(u8::from(covers(&figures[0], median)));
        covered[1] += f64::from(u8::from(covers(&figures[1], ratio)));
    }
    let [medians, means] = covered.map(|n| n / f64::from(RUNS));
    println!("coverage: difference of medians {medians:.4}, ratio of means {means:.4}");
    assert!((0.93..=0.97).contains(&medians), "medians {medians}");
    assert!((0.93..=0.97).contains(&means), "means {means}");
}

#[test]
fn two_identical_vendors_are_told_apart_no_more_often_than_the_level_allows() {
    const PERIODS: u32 = 200;
    let mut random = generator(2);
    let claims = share(PERIODS, |&run| {
        let vendors = period(&mut random, 48, 1.0);
        let plan = Resampling { clusters: 48, draws: 199, seed: u64::from(run), level: LEVEL };
        !covers(&figures(&vendors, &plan)[0], 0.0)
    }) * f64::from(PERIODS);
    let most = (0..=u64::from(PERIODS)).find(|&k| binomial_cdf(k, 200, 0.05).unwrap() >= 0.99).unwrap();
    println!("null: {claims} claims in {PERIODS} periods, at most {most} allowed");
    assert!(claims <= f64::from(u32::try_from(most).unwrap()), "{claims} claims");
    assert!(claims >= 1.0, "a test that never claims anything finds nothing");
}

#[test]
fn a_vendor_slower_by_20_percent_is_found_with_about_80_percent_power_at_the_planned_size() {
    const PERIODS: u32 = 200;
    let n = usize::try_from(sample_size::for_median_ratio(1.2, 0.6, LEVEL, 0.8).unwrap()).unwrap();
    let mut random = generator(3);
    let power = share(PERIODS, |&run| {
        // Unpaired: each request is a cluster of its own, the second vendor's after the first vendor's.
        let mut sample = |offset: usize, median: f64| {
            let times = (0..n).map(|i| observation(offset + i, 0, median * libm::exp(0.6 * normal(&mut random))));
            StandardisedSample::new(&[1.0], times.collect()).unwrap()
        };
        let vendors = [sample(0, 20_000.0), sample(n, 24_000.0)];
        let plan = Resampling { clusters: 2 * n, draws: 299, seed: u64::from(run), level: LEVEL };
        let log_ratio = plan.interval(|times| {
            let [first, second] = &vendors;
            Some(libm::log(second.drawn(times).quantile(0.5)? / first.drawn(times).quantile(0.5)?))
        });
        log_ratio.low.unwrap() > 0.0
    });
    println!("power at {n} per vendor: {power:.3}");
    assert!((0.7..=0.9).contains(&power), "power {power}");
}

#[test]
fn a_preference_of_60_percent_is_found_with_about_80_percent_power_at_the_planned_size() {
    let n = sample_size::for_preference(0.6, LEVEL, 0.8).unwrap();
    let mut random = generator(4);
    let power = share(2_000, |_| {
        let vote = |first: bool| Votes { first: u64::from(first), second: u64::from(!first), ties: 0 };
        let votes: Vec<Votes> = (0..n).map(|_| vote(random.random_bool(0.6))).collect();
        preference_share(&votes, LEVEL).share.unwrap().low > 0.5
    });
    println!("power at {n} votes: {power:.3}");
    assert!((0.7..=0.9).contains(&power), "power {power}");
}

#[test]
fn a_clustered_share_covers_where_counting_votes_one_by_one_does_not() {
    let leaning = Beta::new(3.0, 2.0).unwrap();
    let mut random = generator(5);
    let mut naive = 0;
    let clustered = share(2_000, |_| {
        let votes: Vec<Votes> = (0..40)
            .map(|_| {
                // Most vote now and then, some every day.
                let count = if random.random_bool(0.2) { 30 } else { 4 };
                let p = leaning.sample(&mut random);
                let first = u64::try_from((0..count).filter(|_| random.random_bool(p)).count()).unwrap();
                Votes { first, second: count - first, ties: 0 }
            })
            .collect();
        let (wins, all) = votes.iter().fold((0, 0), |(w, n), v| (w + v.first, n + v.first + v.second));
        let real = |n: u64| f64::from(u32::try_from(n).unwrap());
        let one_by_one = wilson(real(wins), real(all), LEVEL).unwrap();
        naive += u32::from(one_by_one.low <= 0.6 && 0.6 <= one_by_one.high);
        holds(&preference_share(&votes, LEVEL).share.unwrap(), 0.6)
    });
    let naive = f64::from(naive) / 2_000.0;
    println!("coverage of a share: clustered {clustered:.4}, vote by vote {naive:.4}");
    assert!((0.93..=0.97).contains(&clustered), "{clustered}");
    assert!(naive < 0.8, "vote by vote {naive}");
}

#[test]
fn a_ratio_of_sums_covers_with_32_clusters_of_unequal_size() {
    let mut random = generator(6);
    let coverage = share(3_000, |_| {
        let denominators: Vec<f64> = (0..32).map(|_| f64::from(random.random_range(2_u8..=20))).collect();
        let numerators: Vec<f64> = denominators.iter().map(|n| n * (2.0 + 0.5 * normal(&mut random))).collect();
        let sums = Sums { numerators: &numerators, denominators: &denominators };
        holds(&ratio_interval(sums, LEVEL).unwrap(), 2.0)
    });
    println!("coverage of a ratio: {coverage:.4}");
    assert!((0.93..=0.97).contains(&coverage), "{coverage}");
}

#[test]
fn the_interval_of_paired_probes_covers_over_32_rounds() {
    let mut random = generator(7);
    let coverage = share(600, |&run| {
        let blocks: Vec<Vec<f64>> = (0..32)
            .map(|_| {
                let minute = 0.3 * normal(&mut random);
                (0..3).map(|_| 0.25 + minute + 0.4 * normal(&mut random)).collect()
            })
            .collect();
        let plan = Resampling { clusters: 32, draws: 99, seed: u64::from(run), level: LEVEL };
        covers(&hodges_lehmann_interval(&blocks, &plan), 0.25)
    });
    println!("coverage of paired probes: {coverage:.4}");
    assert!((0.93..=0.975).contains(&coverage), "{coverage}");
}

#[test]
fn simpsons_trap_names_the_wrong_vendor_until_strata_are_weighed_alike() {
    let answers = |short: (u64, u32), long: (u64, u32)| {
        let stratum = |stratum, (value, count)| Observation { cluster: 0, stratum, value: Some(value), count };
        vec![stratum(0, short), stratum(1, long)]
    };
    // X answers the short questions in 2.0 s and the long ones in 8.0 s; Y is faster in both.
    let (x, y) = (answers((2_000, 900), (8_000, 100)), answers((1_800, 300), (7_000, 700)));
    let plain = |sample: &[Observation]| {
        let one = sample.iter().map(|o| Observation { stratum: 0, ..*o }).collect();
        StandardisedSample::new(&[1.0], one).unwrap()
    };
    let pooled = [1_200.0, 800.0];
    let [plain_x, plain_y] = [&x, &y].map(|sample| plain(sample));
    let [x, y] = [x, y].map(|sample| StandardisedSample::new(&pooled, sample).unwrap());
    let close = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-6;

    assert!(
        close(plain_x.drawn(&[1]).mean(), 2_600.0) && close(plain_y.drawn(&[1]).mean(), 5_440.0),
        "plain means favour X"
    );
    assert!(
        close(x.drawn(&[1]).mean(), 4_400.0) && close(y.drawn(&[1]).mean(), 3_880.0),
        "standardised means favour Y"
    );
    for (q, plain, standardised) in
        [(0.5, [2_000.0, 7_000.0], [2_000.0, 1_800.0]), (0.9, [2_000.0, 7_000.0], [8_000.0, 7_000.0])]
    {
        assert_eq!(
            [plain_x.drawn(&[1]).quantile(q), plain_y.drawn(&[1]).quantile(q)],
            plain.map(Some),
            "plain quantile {q}"
        );
        assert_eq!(
            [x.drawn(&[1]).quantile(q), y.drawn(&[1]).quantile(q)],
            standardised.map(Some),
            "standardised quantile {q}"
        );
    }
}
