//! What a vendor's answers tell beside their content: what is left of the account's rate limits, and what time it is
//! there.
//!
//! Every answer counts, a refusal too: the head of the last one that said something holds. It must not know what is
//! made of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::DATE;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::Instant;

use super::breaker::Breaker;

/// What is known of a vendor from its last answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VendorSigns {
    /// The share of its limit on requests that is left, 0 to 1; absent until an answer said so.
    pub requests_left: Option<f64>,
    /// The same of its limit on tokens.
    pub tokens_left: Option<f64>,
    /// What time it is at the vendor now, by its last `Date` header, which has whole seconds, and what has passed since.
    pub time: Option<Timestamp>,
    /// It failed so often that it is left alone; until a call to it succeeds.
    pub left_alone: bool,
}

/// Reads the signs of one vendor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignReader {
    heads: Arc<Heads>,
    breaker: Arc<Breaker>,
}

impl SignReader {
    pub(super) fn new(heads: Arc<Heads>, breaker: Arc<Breaker>) -> Self {
        Self { heads, breaker }
    }

    /// What is known now.
    pub fn read(&self) -> VendorSigns {
        let Latest { requests_left, tokens_left, date } = *self.heads.latest();
        let time = date.and_then(|(date, at)| date.checked_add(at.elapsed()).ok());
        VendorSigns { requests_left, tokens_left, time, left_alone: self.breaker.is_open() }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    requests_left: Option<f64>,
    tokens_left: Option<f64>,
    /// The vendor's time, and when it was heard.
    date: Option<(Timestamp, Instant)>,
}

/// The heads of a vendor's answers, of which only the last one counts.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<Latest>);

/// A limit and what is left of it, by the names that vendors give them.
type Pair = (HeaderName, HeaderName);

const fn pair(limit: &'static str, left: &'static str) -> Pair {
    (HeaderName::from_static(limit), HeaderName::from_static(left))
}

// Compatible hosts send OpenAI's; Mistral has renamed its own. The first pair that is whole is taken.
static REQUESTS: [Pair; 2] = [
    pair("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
    pair("x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute"),
];
static TOKENS: [Pair; 4] = [
    pair("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
    pair("x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute"),
    pair("x-ratelimitbysize-limit-minute", "x-ratelimitbysize-remaining-minute"),
    pair("ratelimitbysize-limit", "ratelimitbysize-remaining"),
];
static DATES: DateTimeParser = DateTimeParser::new();

impl Heads {
    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the head of an answer tells; what it does not tell stays as it was.
    pub(super) fn note(&self, headers: &HeaderMap, now: Instant) {
        let (requests, tokens) = (left(headers, &REQUESTS), left(headers, &TOKENS));
        let date = headers.get(DATE).and_then(|date| DATES.parse_timestamp(date.as_bytes()).ok());
        let mut latest = self.latest();
        latest.requests_left = requests.or(latest.requests_left);
        latest.tokens_left = tokens.or(latest.tokens_left);
        latest.date = date.map(|date| (date, now)).or(latest.date);
    }
}

/// The share of a limit that is left; `None` where no pair of headers is whole, or the limit is none.
fn left(headers: &HeaderMap, names: &[Pair]) -> Option<f64> {
    let number = |name: &HeaderName| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    names.iter().find_map(|(limit, left)| {
        let (left, limit) = (number(left)?, number(limit)?);
        let share = left / limit;
        share.is_finite().then(|| share.clamp(0.0, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn told(heads: &[&[(&'static str, &'static str)]]) -> (Option<f64>, Option<f64>) {
        let noted = Heads::default();
        heads.iter().for_each(|head| noted.note(&headers(head), Instant::now()));
        let latest = *noted.latest();
        (latest.requests_left, latest.tokens_left)
    }

    #[test]
    fn each_vendors_names_of_what_is_left_are_understood() {
        let openai: &[_] = &[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-limit-tokens", "200000"),
            ("x-ratelimit-remaining-tokens", "50000"),
        ];
        assert_eq!(told(&[openai]), (Some(0.998), Some(0.25)));
        let mistral: &[_] = &[
            ("x-ratelimit-limit-req-minute", "60"),
            ("x-ratelimit-remaining-req-minute", "45"),
            ("x-ratelimit-limit-tokens-minute", "500000"),
            ("x-ratelimit-remaining-tokens-minute", "0"),
            ("x-ratelimit-tokens-query-cost", "31"),
        ];
        assert_eq!(told(&[mistral]), (Some(0.75), Some(0.0)));
        let former: &[_] = &[("ratelimitbysize-limit", "500000"), ("ratelimitbysize-remaining", "250000")];
        assert_eq!(told(&[former]), (None, Some(0.5)));
    }

    #[test]
    fn what_is_not_said_or_makes_no_sense_is_absent_and_what_was_said_before_stays() {
        assert_eq!(told(&[&[]]), (None, None));
        assert_eq!(told(&[&[("x-ratelimit-remaining-requests", "4711")]]), (None, None), "of how many is not known");
        for (limit, left, expected) in [
            ("0", "0", None),
            ("10", "many", None),
            ("-1", "5", Some(0.0)),
            ("10", "20", Some(1.0)),
            ("NaN", "1", None),
        ] {
            let head: &[_] = &[("x-ratelimit-limit-requests", limit), ("x-ratelimit-remaining-requests", left)];
            assert_eq!(told(&[head]).0, expected, "{left} of {limit}");
        }
        let said: &[_] = &[("x-ratelimit-limit-tokens", "100"), ("x-ratelimit-remaining-tokens", "40")];
        assert_eq!(told(&[said, &[]]), (None, Some(0.4)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_time_goes_on_from_its_last_answer() {
        let heads = Arc::new(Heads::default());
        let reader = SignReader::new(Arc::clone(&heads), Arc::new(Breaker::never_open()));
        assert_eq!(reader.read(), VendorSigns::default());
        heads.note(&headers(&[("date", "Tue, 24 Nov 2026 09:00:00 GMT")]), Instant::now());
        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        assert_eq!(reader.read().time, Some("2026-11-24T09:01:30Z".parse().unwrap()));
        heads.note(&headers(&[("date", "yesterday")]), Instant::now());
        assert_eq!(
            reader.read().time,
            Some("2026-11-24T09:01:30Z".parse().unwrap()),
            "what is no date changes nothing"
        );
    }
}
