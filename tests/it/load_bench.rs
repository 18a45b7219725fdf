//! The pure parts of the load bench: what it reads and how it counts.

#[path = "../../benches/load/events.rs"]
mod events;
#[path = "../../benches/load/figures.rs"]
mod figures;
#[path = "../../benches/load/histogram.rs"]
mod histogram;

use std::time::Duration;

use events::Events;
use figures::{Spread, cpu_seconds, intended_start, open_files, parent, resident_megabytes, times_fit};
use histogram::Times;

const STREAM: &str = "data: {\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}\n\n: alive\n\ndata: {\"delta\":{\"content\":\"Le\"}}\n\ndata: {\"delta\":{}}\n\ndata: [DONE]\n\n";

#[test]
fn wherever_a_stream_is_cut_it_reads_the_same() {
    for size in [1, 2, 7, 1000] {
        let mut events = Events::default();
        STREAM.as_bytes().chunks(size).for_each(|piece| events.feed(piece));
        assert_eq!((events.count, events.has_text, events.is_done), (3, true, true), "pieces of {size}");
    }
}

#[test]
fn an_opening_is_no_text_and_a_broken_stream_is_not_done() {
    let mut events = Events::default();
    events.feed(&STREAM.as_bytes()[..70]);
    assert_eq!((events.count, events.has_text, events.is_done), (1, false, false));
}

#[test]
fn a_spread_is_the_median_between_the_extremes() {
    assert_eq!(Spread::of(vec![]), None);
    assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
    let two = Spread::of(vec![4.0, 1.0]).unwrap();
    assert_eq!(two, Spread { median: 2.5, min: 1.0, max: 4.0 });
    assert_eq!(two.scaled(2.0), Spread { median: 5.0, min: 2.0, max: 8.0 });
}

#[test]
fn a_process_is_read_whatever_its_name() {
    let stat = "4211 (ngi) nx (x)) S 17 4211 1 0 -1 4194560 900 0 0 0 250 150 0 0 20 0 1 0 8 1 2";
    assert_eq!(cpu_seconds(stat), Some(4.0));
    assert_eq!(parent(stat), Some(17));
    assert_eq!(cpu_seconds("nonsense"), None);
    assert_eq!(resident_megabytes("Name:\tx\nVmRSS:\t   20000 kB\nThreads:\t3\n"), Some(20.48));
    assert_eq!(resident_megabytes("Name:\tx\n"), None);
}

#[test]
fn limits_of_open_files_are_read_with_and_without_a_number() {
    let text =
        "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited      files\n";
    assert_eq!(open_files(text), Some((1024, u64::MAX)));
}

#[test]
fn starts_are_evenly_spaced_however_late_the_answers_are() {
    assert_eq!(intended_start(0, 500), 0.0);
    assert_eq!(intended_start(750, 500), 1.5);
}

#[test]
fn times_are_kept_over_the_whole_range_that_a_load_sees() {
    let mut times = Times::default();
    assert_eq!((times.quantile_millis(0.5), times.mean_millis()), (None, None));
    for millis in 1..=1000 {
        times.record(Duration::from_millis(millis));
    }
    let near = |figure: Option<f64>, wanted: f64| (figure.unwrap() / wanted - 1.0).abs() < 0.002;
    assert!(near(times.quantile_millis(0.5), 500.0), "{:?}", times.quantile_millis(0.5));
    assert!(near(times.quantile_millis(0.99), 990.0), "{:?}", times.quantile_millis(0.99));
    assert!(near(times.mean_millis(), 500.5), "{:?}", times.mean_millis());
}

#[test]
fn times_that_the_throughput_contradicts_are_seen() {
    assert!(times_fit(64, 6_400.0, 10.0));
    // What a histogram that clamps everything to its first bucket would say.
    assert!(!times_fit(64, 6_400.0, 0.000_002));
    assert!(!times_fit(64, 6_400.0, 100.0));
}
