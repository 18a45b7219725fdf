//! What may be said of a pair of models. A model is only ever called better in the words of the measure, and only when
//! the verdict says so.

use crate::report::comparison::{Claim, Figure, Metric, Verdict};
use crate::report::document::Lang;
use crate::report::document::grid::{self, Shown, Unit};
use crate::report::document::numbers::{NOT_KNOWN, percent};
use crate::report::document::view::View;

use super::sentences;

/// Unit of a claim's effect.
pub(crate) fn unit(claim: &Claim) -> Unit {
    match (claim.is_ratio, claim.metric) {
        (true, _) => Unit::Ratio,
        (false, Metric::FirstText | Metric::FirstTextP95 | Metric::Duration | Metric::DurationP95) => Unit::Time,
        (false, Metric::Cost) => Unit::Cost,
        (false, _) => Unit::Points,
    }
}

/// The verdict on a claim, in words, with its observations.
pub(crate) fn verdict(view: &View<'_>, claim: &Claim) -> String {
    let n = sentences::n(view.lang, claim.effect.n);
    let words = match view.verdict(claim) {
        Verdict::FirstBetter => advantage(view, claim.metric, &claim.first, &claim.second),
        Verdict::SecondBetter => advantage(view, claim.metric, &claim.second, &claim.first),
        other => words(view.lang, other).to_owned(),
    };
    format!("{words} ({n})")
}

/// A shown difference with its size, as the winner sees it: `A fait moins attendre que B (29 % de moins, de 23 % à 34
/// % ; n = 320)`.
pub(crate) fn shown_difference(view: &View<'_>, claim: &Claim) -> Option<String> {
    let (words, effect) = match view.verdict(claim) {
        Verdict::FirstBetter => (advantage(view, claim.metric, &claim.first, &claim.second), claim.effect),
        Verdict::SecondBetter => (advantage(view, claim.metric, &claim.second, &claim.first), turned(claim)),
        _ => return None,
    };
    let size = match unit(claim) {
        Unit::Ratio => less(view.lang, &effect),
        other => grid::figure(view, &effect, other),
    };
    let ends = size.interval.map(|ends| format!(", {ends}")).unwrap_or_default();
    let n = size.n.map(|n| format!("{}{n}", view.lang.pick("\u{a0}; ", "; "))).unwrap_or_default();
    Some(format!("{words} ({}{ends}{n})", size.main))
}

/// The effect of the second over the first.
fn turned(claim: &Claim) -> Figure {
    let turn = |value: Option<f64>| value.map(|value| if claim.is_ratio { value.recip() } else { -value });
    let Figure { value, low, high, n } = claim.effect;
    Figure { value: turn(value), low: turn(high), high: turn(low), n }
}

/// A ratio below one as so much less.
fn less(lang: Lang, ratio: &Figure) -> Shown {
    let percent = |ratio: f64| percent(lang, 1.0 - ratio, 0);
    let interval = ratio.low.zip(ratio.high).map(|(low, high)| sentences::from_to(lang, &percent(high), &percent(low)));
    let main = ratio.value.map_or_else(|| NOT_KNOWN.to_owned(), |ratio| sentences::less(lang, &percent(ratio)));
    Shown { main, interval, n: Some(sentences::n(lang, ratio.n)) }
}

/// A verdict that claims no advantage, in words.
pub(crate) fn words(lang: Lang, verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::FirstBetter | Verdict::SecondBetter => lang.pick("différence démontrée", "difference shown"),
        Verdict::NoPracticalDifference => lang.pick("aucune différence qui compte", "no difference that matters"),
        Verdict::Uncertain => lang.pick(
            "différence démontrée, peut-être trop petite pour compter",
            "difference shown, perhaps too small to matter",
        ),
        Verdict::NoDifferenceShown => lang.pick("aucune différence démontrée", "no difference shown"),
        Verdict::TooFew => lang.pick("trop peu d’observations", "too few observations"),
        Verdict::Exploratory => lang.pick("chiffres sans conclusion", "figures without a claim"),
    }
}

fn advantage(view: &View<'_>, metric: Metric, winner: &str, loser: &str) -> String {
    let (winner, loser) = (view.short_name(winner), view.short_name(loser));
    let (fr, en) = match metric {
        Metric::FirstText => ("fait moins attendre que", "keeps people waiting less than"),
        Metric::FirstTextP95 => {
            ("fait moins attendre, dans les cas lents, que", "keeps people waiting less, in slow cases, than")
        }
        Metric::Duration => ("termine ses réponses plus tôt que", "ends its answers sooner than"),
        Metric::DurationP95 => {
            ("termine ses réponses plus tôt, dans les cas lents, que", "ends its answers sooner, in slow cases, than")
        }
        Metric::Answered => ("répond à plus de questions que", "answers more questions than"),
        Metric::Prompt => ("répond à temps à plus de questions que", "answers more questions in time than"),
        Metric::Cost => ("coûte moins par réponse que", "costs less an answer than"),
        Metric::Checks => ("passe plus de vérifications que", "passes more checks than"),
        Metric::Preference => ("est plus souvent préféré que", "is preferred more often than"),
    };
    format!("{winner} {} {loser}", view.lang.pick(fr, en))
}
