//! Money by day and model: the vendor's amount against what our entries come to as booked, and under every other way of
//! pricing that is known.
//!
//! It must not know spans: what they differ by comes with its cause.

use std::collections::BTreeSet;

use super::tally::{DAY, Terms};
use super::tally::{DayKey, Hypothesis, OurDay, Ours, TheirDay, Theirs};
use super::usage::{self, Span, Spans};
use super::{Cause, MoneyRow, Part, Question, Verdict};

/// Half a cent, for each line that is rounded to cents.
const HALF_CENT_NANOS: i128 = 5_000_000;

/// Compares every day and model that either side has.
pub(super) fn compare(question: &Question<'_>, ours: &Ours<'_>, theirs: &Theirs, spans: &Spans) -> Vec<MoneyRow> {
    let counted = spans.iter().map(|((_, model), span)| (span.day, model.clone()));
    let keys: BTreeSet<DayKey> = ours.days.keys().chain(theirs.days.keys()).cloned().chain(counted).collect();
    let mut spans_of: std::collections::BTreeMap<DayKey, Vec<&Span>> = std::collections::BTreeMap::new();
    for ((_, model), span) in spans.iter().filter(|(_, span)| span.cause.is_some()) {
        spans_of.entry((span.day, model.clone())).or_default().push(span);
    }
    let rows = keys.into_iter().map(|key| {
        let comparison = Comparison {
            nothing: OurDay::of_nothing(question, &key),
            ours: ours.days.get(&key),
            theirs: theirs.days.get(&key).copied().unwrap_or_default(),
            differing: spans_of.remove(&key).unwrap_or_default(),
            terms: usage::terms_of(question, ours, key.0, &key.1),
            whole_cents: theirs.whole_cents,
            billed: theirs.billed,
            counted: theirs.counted,
            young: is_young(question, &key),
        };
        comparison.row(key)
    });
    rows.collect()
}

/// Whether a day ended less than a day ago, or has not ended.
fn is_young(question: &Question<'_>, key: &DayKey) -> bool {
    let start = jiff::tz::Offset::UTC.to_timestamp(key.0.at(0, 0, 0, 0)).map_or(i64::MIN, |start| start.as_second());
    question.now.as_second() < start.saturating_add(2 * DAY)
}

impl OurDay {
    /// A day on which the ledger has nothing.
    fn of_nothing(question: &Question<'_>, (day, model): &DayKey) -> Self {
        let hypotheses =
            Hypothesis::all(question.catalogue, question.catalogue.resolve(model, *day).map(|model| &**model));
        Self {
            calls: 0,
            nanos: 0,
            under: vec![0; hypotheses.len()],
            hypotheses,
            terms: Vec::new(),
            interrupted: super::tally::Bounded::default(),
            unknown: super::tally::Bounded::default(),
        }
    }
}

struct Comparison<'s> {
    nothing: OurDay,
    ours: Option<&'s OurDay>,
    theirs: TheirDay,
    /// Spans of usage that differ, with their cause.
    differing: Vec<&'s Span>,
    terms: Vec<Terms>,
    whole_cents: bool,
    billed: bool,
    counted: bool,
    young: bool,
}

impl Comparison<'_> {
    fn ours(&self) -> &OurDay {
        self.ours.unwrap_or(&self.nothing)
    }

    fn row(&self, (day, model): DayKey) -> MoneyRow {
        let ours = self.ours().nanos;
        let parts = if self.billed { self.billed_parts() } else { self.quantities(self.terms.first()) };
        let gap: i64 = parts.iter().map(|part| part.nanos).fold(0, i64::saturating_add);
        let theirs = if self.billed { self.theirs.nanos } else { ours.saturating_add(gap) };
        MoneyRow {
            day,
            model: model.to_string(),
            ours_nanos: ours,
            theirs_nanos: theirs,
            verdict: Verdict::of(i128::from(theirs) - i128::from(ours)),
            parts: parts.into_iter().filter(|part| part.nanos != 0).collect(),
        }
    }

    /// The parts of theirs less ours.
    fn billed_parts(&self) -> Vec<Part> {
        let gap = i128::from(self.theirs.nanos) - i128::from(self.ours().nanos);
        if let Some((hypotheses, terms)) = self.fitting() {
            let quantities = self.quantities(terms);
            let rest = gap - sum(&quantities);
            return with(quantities, self.cause_of(&hypotheses), rest);
        }
        let quantities = self.quantities(self.terms.first());
        if let Some(cause) = self.between_terms(gap) {
            let rest = gap - sum(&quantities);
            return with(quantities, cause, rest);
        }
        let rest = gap - sum(&quantities);
        let cause = self.without_fit(rest);
        with(quantities, cause, rest)
    }

    /// The first way of pricing that gives exactly the vendor's amount, with all price rows that do, and the terms of
    /// what was counted differently.
    fn fitting(&self) -> Option<(Vec<&Hypothesis>, Option<&Terms>)> {
        let ours = self.ours();
        let alternatives: Vec<Option<&Terms>> =
            if self.differing.is_empty() { vec![None] } else { self.terms.iter().map(Some).collect() };
        let mut found: Option<(Vec<&Hypothesis>, Option<&Terms>)> = None;
        for (hypothesis, under) in ours.hypotheses.iter().zip(&ours.under) {
            for terms in &alternatives {
                let expected = i128::from(*under) + self.priced(hypothesis, *terms);
                if !self.reaches(expected) {
                    continue;
                }
                match &mut found {
                    None => found = Some((vec![hypothesis], *terms)),
                    Some((others, _)) if is_row(hypothesis) && others.iter().all(|other| is_row(other)) => {
                        others.push(hypothesis);
                    }
                    Some(_) => {}
                }
                break;
            }
            // What is booked needs no other explanation.
            if matches!(hypothesis, Hypothesis::Booked) && found.is_some() {
                break;
            }
        }
        found
    }

    /// Whether the vendor's amount is what is expected, but for roundings: ours of each call up to a nano, theirs of each
    /// line to the nearest nano or cent, and those of differences of usage.
    fn reaches(&self, expected: i128) -> bool {
        let lines = i128::from(self.theirs.lines).max(1);
        let theirs = if self.whole_cents { lines * HALF_CENT_NANOS } else { lines };
        let differing = self.differing.len() as i128;
        let gap = i128::from(self.theirs.nanos) - expected;
        let calls = i128::from(self.ours().calls);
        (-(calls + theirs + differing)..=theirs + differing).contains(&gap)
    }

    fn cause_of(&self, hypotheses: &[&Hypothesis]) -> Cause {
        let rows = hypotheses.iter().filter_map(|hypothesis| match hypothesis {
            Hypothesis::Row(row) => Some(row.id.to_string()),
            _ => None,
        });
        match hypotheses.first() {
            Some(Hypothesis::Row(_)) => Cause::PriceRow { rows: rows.collect() },
            Some(Hypothesis::Booked) | None if self.whole_cents => Cause::RoundingToCents,
            Some(other) => other.cause(),
            None => Cause::Rounding,
        }
    }

    /// What all differences of usage come to.
    fn priced(&self, hypothesis: &Hypothesis, terms: Option<&Terms>) -> i128 {
        let Some((row, uplift)) = terms else { return 0 };
        let (row, uplift, in_full) = hypothesis.terms(row, *uplift);
        self.differing.iter().map(|span| usage::price(row, uplift, in_full, &span.difference)).sum()
    }

    /// Each difference of usage at our price, with its cause.
    fn quantities(&self, terms: Option<&Terms>) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for span in &self.differing {
            let (Some((row, uplift)), Some(cause)) = (terms, &span.cause) else { continue };
            let nanos = clamped(usage::price(row, *uplift, false, &span.difference));
            match parts.iter_mut().find(|part| part.cause == *cause) {
                Some(part) => part.nanos = part.nanos.saturating_add(nanos),
                None => parts.push(Part { cause: cause.clone(), nanos }),
            }
        }
        parts
    }

    /// Where calls were made on several terms and differ in usage, the amount may lie between them: then the rest is of
    /// the cause of that usage, of one that does not explain if there is any.
    fn between_terms(&self, gap: i128) -> Option<Cause> {
        let (mut least, mut most) = (0, 0);
        for span in &self.differing {
            let each = self.terms.iter().map(|(row, uplift)| usage::price(row, *uplift, false, &span.difference));
            least += each.clone().min()?;
            most += each.max()?;
        }
        let ours = i128::from(self.ours().nanos);
        let within = (least..=most).contains(&gap) || self.reaches(ours + least) || self.reaches(ours + most);
        let causes = || self.differing.iter().filter_map(|span| span.cause.clone());
        let worst = causes().find(|cause| !cause.explains()).or_else(|| causes().next())?;
        within.then_some(worst)
    }

    /// What is left when no way of pricing reaches the amount.
    fn without_fit(&self, rest: i128) -> Cause {
        let ours = self.ours();
        let bound = |upper: i64| !self.counted && rest > 0 && rest <= i128::from(upper);
        match () {
            () if bound(ours.interrupted.upper_nanos) => Cause::Interrupted,
            () if bound(ours.interrupted.upper_nanos.saturating_add(ours.unknown.upper_nanos)) => Cause::Unknown,
            () if self.young && rest < 0 && -rest <= i128::from(ours.nanos) => Cause::Provisional,
            () => Cause::NotExplained,
        }
    }
}

fn is_row(hypothesis: &Hypothesis) -> bool {
    matches!(hypothesis, Hypothesis::Row(_))
}

fn sum(parts: &[Part]) -> i128 {
    parts.iter().map(|part| i128::from(part.nanos)).sum()
}

fn with(mut parts: Vec<Part>, cause: Cause, nanos: i128) -> Vec<Part> {
    let nanos = clamped(nanos);
    match parts.iter_mut().find(|part| part.cause == cause) {
        Some(part) => part.nanos = part.nanos.saturating_add(nanos),
        None => parts.push(Part { cause, nanos }),
    }
    parts
}

fn clamped(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
