//! The three sentences of the first page. They repeat figures of the comparison and claim what its verdicts claim.

use crate::report::comparison::{Claim, Metric, Verdict};

use super::grids::scorecard;
use super::money;
use super::numbers::NOT_KNOWN;
use super::view::View;
use super::words::{sentences, verdicts};

/// Use and cost; what the comparison shows; forecast and scorecard.
pub(crate) fn three(view: &View<'_>) -> [String; 3] {
    [use_and_cost(view), what_is_shown(view), forecast_and_winner(view)]
}

fn use_and_cost(view: &View<'_>) -> String {
    let (lang, euros) = (view.lang, &view.comparison.euros);
    let cost = euros.per_question_euro_nanos.map(|nanos| (money::cents(lang, nanos), nanos >= 20_000_000));
    let (low, high) = euros.assumed_euro_nanos;
    let assumed = (money::cents_short(lang, low), money::cents_short(lang, high));
    sentences::use_and_cost(
        lang,
        euros.questions,
        cost.as_ref().map(|(cost, plural)| (cost.as_str(), *plural)),
        (&assumed.0, &assumed.1),
    )
}

fn what_is_shown(view: &View<'_>) -> String {
    let theme = |metrics: &[Metric]| about(view, metrics);
    let price = theme(&[Metric::Cost]);
    let waiting = theme(&[Metric::FirstText, Metric::Duration]);
    let reliability = theme(&[Metric::Answered, Metric::Prompt]);
    sentences::what_is_shown(view.lang, &price, &waiting, &reliability)
}

/// What the claims on the first of these metrics say, over all questions: those named in advance, and else of probes before
/// those of conversations.
fn about(view: &View<'_>, metrics: &[Metric]) -> String {
    let comparison = view.comparison;
    let sections = [&comparison.probes.claims, &comparison.conversations.claims];
    let found = |primary: bool| {
        sections.into_iter().find_map(|claims| {
            metrics.iter().find_map(|metric| {
                let wanted =
                    |claim: &&Claim| claim.metric == *metric && claim.length.is_none() && (claim.primary || !primary);
                let claims: Vec<&Claim> = claims.iter().filter(wanted).collect();
                (!claims.is_empty()).then_some(claims)
            })
        })
    };
    let claims = found(true).or_else(|| found(false));
    claims.map_or_else(|| NOT_KNOWN.to_owned(), |claims| in_words(view, &claims))
}

fn in_words(view: &View<'_>, claims: &[&Claim]) -> String {
    let mut parts: Vec<String> = claims.iter().filter_map(|claim| verdicts::shown_difference(view, claim)).collect();
    for verdict in [
        Verdict::Uncertain,
        Verdict::NoPracticalDifference,
        Verdict::NoDifferenceShown,
        Verdict::TooFew,
        Verdict::Exploratory,
    ] {
        let alike: Vec<&&Claim> = claims.iter().filter(|claim| view.verdict(claim) == verdict).collect();
        let (Some(first), Some(fewest)) = (alike.first(), alike.iter().map(|claim| claim.effect.n).min()) else {
            continue;
        };
        parts.push(match (alike.len(), view.comparison.models.len()) {
            (1, 0..=2) => verdicts::verdict(view, first),
            (pairs, _) => sentences::other_pairs(view.lang, verdicts::words(view.lang, verdict), pairs, fewest),
        });
    }
    parts.join(", ")
}

fn forecast_and_winner(view: &View<'_>) -> String {
    let (lang, euros, scorecard) = (view.lang, &view.comparison.euros, &view.comparison.scorecard);
    let text = |nanos: i64| money::euros(lang, nanos, 0);
    let forecast = euros.forecast_euro_nanos.map(|(value, low, high)| (text(value), text(low), text(high)));
    let forecast = forecast.as_ref().map(|(value, low, high)| (value.as_str(), low.as_str(), high.as_str()));
    let spent = money::euros(lang, euros.spent_euro_nanos, 2);
    let money = sentences::forecast(lang, forecast, &text(euros.envelope_euro_nanos), &spent);
    let mut winners: Vec<String> = Vec::new();
    for formula in &scorecard.formulas {
        let winner = scorecard::winner(view, formula);
        if !winners.contains(&winner) {
            winners.push(winner);
        }
    }
    let winner = if winners.is_empty() {
        sentences::no_winner(lang).to_owned()
    } else if !view.comparison.claims {
        // A winner is a claim too.
        sentences::no_award(lang).to_owned()
    } else {
        let steady = scorecard.sensitivity.iter().all(|row| {
            row.winners.iter().all(|(_, _, winner)| row.winners.first().is_some_and(|(_, _, first)| first == winner))
        });
        sentences::winner(lang, &winners.join(", "), scorecard.formulas_agree, steady)
    };
    format!("{money}{}{winner}.", lang.pick("\u{a0}; ", "; "))
}
