//! The page: one HTML file with its style inside, to read on a screen of any width, by ear or on paper. It needs no
//! script and no other file.

mod council;
mod evidence;
mod figures;
mod method;
mod parts;
mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::report::comparison::Comparison;

use super::Lang;
use super::numbers::day;
use super::view::View;
use super::words::{sentences, terms};

const STYLE: &str = include_str!("page.css");

/// The page of a comparison.
#[must_use]
pub fn render(comparison: &Comparison, lang: Lang) -> String {
    let view = View { comparison, lang };
    page(&view).into_string()
}

fn page(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let period = period(view);
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light";
                title { (terms::title(lang)) " – " (period) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { (terms::skip(lang)) }
                header {
                    h1 { (terms::title(lang)) }
                    p.period { (terms::subject(lang)) ". " (period) "." }
                    (bands(view))
                }
                main id="content" tabindex="-1" {
                    (council::page(view))
                    (contents(lang))
                    (evidence::page(view))
                    (sections::page(view))
                    (method::page(view))
                }
                footer { p { (terms::title(lang)) ". " (period) "." } }
            }
        }
    }
}

/// The period in words.
fn period(view: &View<'_>) -> String {
    let (from, to) = (&view.comparison.from, &view.comparison.to);
    sentences::period(view.lang, &day(view.lang, from), &day(view.lang, to))
}

/// Warnings that stand before everything else.
fn bands(view: &View<'_>) -> Markup {
    html! {
        @for warning in view.warnings() { p.band { strong { (warning) } } }
    }
}

fn contents(lang: Lang) -> Markup {
    let entries = [
        ("evidence", terms::evidence(lang)),
        ("euros", terms::euros(lang)),
        ("scorecard", terms::scorecard(lang)),
        ("data-protection", terms::data_protection(lang)),
        ("energy", terms::energy(lang)),
        ("method", terms::method(lang)),
        ("limits", terms::limits(lang)),
        ("open", terms::open_questions(lang)),
        ("proofs", terms::proof(lang)),
    ];
    html! {
        nav aria-labelledby="contents-title" {
            h2 id="contents-title" { (terms::contents(lang)) }
            ul { @for (id, title) in entries { li { a href={ "#" (id) } { (title) } } } }
        }
    }
}
