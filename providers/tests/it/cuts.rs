//! Where the network cuts a stream must not matter.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::adapter::{self};
use crate::fixtures::{Transcript, transcripts};

/// Random cuts tried on every stream.
const CASES: u32 = 24;

fn cut(body: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| body[pair[0]..pair[1]].to_vec()).collect()
}

fn received(transcript: &Transcript, parts: Vec<Vec<u8>>) -> adapter::Received {
    let request = transcript.request().to_string();
    adapter::receive(transcript.vendor, &transcript.endpoint, request.as_bytes(), transcript.reply(parts))
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_bytes_and_facts() {
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    for transcript in transcripts().iter().filter(|it| it.stream) {
        let whole = received(transcript, vec![transcript.body.clone()]);
        let bytes: Vec<Vec<u8>> = transcript.body.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(received(transcript, bytes), whole, "{} byte by byte", transcript.label());
        let cuts = prop::collection::vec(any::<prop::sample::Index>(), 1..12);
        let outcome = runner.run(&cuts, |cuts| {
            prop_assert_eq!(&received(transcript, cut(&transcript.body, &cuts)), &whole);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", transcript.label()));
    }
}
