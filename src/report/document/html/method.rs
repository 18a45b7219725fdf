//! Method, limits, open questions and proof.

use maud::{Markup, html};

use crate::report::document::grids;
use crate::report::document::numbers::{day, percent};
use crate::report::document::view::View;
use crate::report::document::words::{prose, sentences, terms};

use super::parts;

/// The last part of the page.
pub(super) fn page(view: &View<'_>) -> Markup {
    html! { (method(view)) (limits(view)) (open_questions(view)) (proof(view)) }
}

fn method(view: &View<'_>) -> Markup {
    let (lang, comparison) = (view.lang, view.comparison);
    let failures = sentences::failures(lang, comparison.limit_seconds);
    let margin = sentences::margin(lang, &percent(lang, comparison.margin, 0));
    let declared = comparison.declared.as_ref().map(|(from, to, on)| {
        let on = on.as_ref().map(|on| day(lang, on));
        sentences::declared(lang, &day(lang, from), &day(lang, to), on.as_deref())
    });
    let points = [
        prose::method_kinds(lang),
        prose::method_assigned(lang),
        prose::method_standardised(lang),
        prose::method_intervals(lang),
        &failures,
        prose::method_primary(lang),
        prose::method_words(lang),
        &margin,
        prose::method_privacy(lang),
    ];
    html! {
        section.method id="method" aria-labelledby="method-title" {
            h2 id="method-title" { (terms::method(lang)) }
            ol { @for point in points { li { (point) } } }
            @if let Some(declared) = declared { p { (declared) } }
            (parts::table(view, &grids::council::models(view)))
        }
    }
}

fn limits(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let points = [
        prose::limit_one_town(lang),
        prose::limit_prices(lang),
        prose::limit_quality(lang),
        prose::limit_tokens(lang),
        prose::limit_energy(lang),
        prose::limit_advice(lang),
    ];
    html! {
        section id="limits" aria-labelledby="limits-title" {
            h2 id="limits-title" { (terms::limits(lang)) }
            ul { @for point in points { li { (point) } } }
        }
    }
}

fn open_questions(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let (changes, retirements) = (grids::changes(view), grids::retirements(view));
    html! {
        section id="open" aria-labelledby="open-title" {
            h2 id="open-title" { (terms::open_questions(lang)) }
            @if changes.is_empty() { p { (prose::no_changes(lang)) } }
            (parts::table(view, &changes))
            @if retirements.is_empty() { p { (prose::no_retirements(lang)) } }
            (parts::table(view, &retirements))
        }
    }
}

fn proof(view: &View<'_>) -> Markup {
    let lang = view.lang;
    html! {
        section id="proofs" aria-labelledby="proofs-title" {
            h2 id="proofs-title" { (terms::proof(lang)) }
            p { (prose::proof_intro(lang)) }
            p { (prose::proof_command(lang)) " " code { (prose::command(lang)) } }
            (parts::table(view, &grids::proof(view)))
        }
    }
}
