//! Money, scorecard, data protection, energy.

use maud::{Markup, html};

use crate::report::document::grids::{energy, euros, scorecard};
use crate::report::document::money;
use crate::report::document::numbers::{day, decimal};
use crate::report::document::view::View;
use crate::report::document::words::{prose, sentences, terms};

use super::{figures, parts};

/// The four sections.
pub(super) fn page(view: &View<'_>) -> Markup {
    html! { (euros_section(view)) (scorecard_section(view)) (energy_section(view)) }
}

fn euros_section(view: &View<'_>) -> Markup {
    let (lang, section) = (view.lang, &view.comparison.euros);
    let grids = euros::all(view);
    let seat = money::euros(lang, section.seat_euro_nanos, 2);
    html! {
        section id="euros" aria-labelledby="euros-title" {
            h2 id="euros-title" { (terms::euros(lang)) }
            p { (prose::euros_intro(lang)) }
            p { (sentences::seats(lang, &seat, section.seats_in_envelope, section.questions_per_seat)) }
            @if let Some(spent_on) = &section.envelope_spent_on {
                p { (sentences::envelope_spent(lang, &day(lang, spent_on))) }
            }
            @if let Some((currency, millionths, on)) = &section.rate {
                p { (sentences::rate(lang, currency, &rate(view, *millionths), &day(lang, on))) }
            }
            @if section.is_incomplete { p.note { (prose::incomplete(lang)) } }
            (parts::tables(view, grids.iter().take(4)))
            (figures::repriced(view))
            (parts::tables(view, grids.iter().skip(4).take(1)))
            @if !section.repriced.is_empty() { p.note { (prose::repriced_note(lang)) } }
            (parts::tables(view, grids.iter().skip(5)))
        }
    }
}

/// Units per euro, kept in millionths, with four decimals.
fn rate(view: &View<'_>, millionths: u64) -> String {
    let units = f64::from(u32::try_from(millionths).unwrap_or(u32::MAX)) / 1_000_000.0;
    decimal(view.lang, units, 4)
}

fn scorecard_section(view: &View<'_>) -> Markup {
    let (lang, section) = (view.lang, &view.comparison.scorecard);
    let grids = scorecard::all(view);
    let (cards, facts) = grids.split_at(grids.len() - 1);
    let not_scored = section.criteria.iter().any(|row| row.marks.iter().all(Option::is_none));
    html! {
        section id="scorecard" aria-labelledby="scorecard-title" {
            h2 id="scorecard-title" { (terms::scorecard(lang)) }
            p { (prose::scorecard_intro(lang)) }
            (parts::refused(view, section.refused.as_deref()))
            (parts::nothing(view, cards, section.refused.as_deref()))
            (parts::tables(view, cards.iter().take(2)))
            @if not_scored { p.note { (prose::not_scored_note(lang)) } }
            (figures::sensitivity(view))
            (parts::tables(view, cards.iter().skip(2)))
        }
        section id="data-protection" aria-labelledby="data-title" {
            h2 id="data-title" { (terms::data_protection(lang)) }
            p { (prose::data_intro(lang)) }
            (parts::nothing(view, facts, None))
            (parts::tables(view, facts))
        }
    }
}

fn energy_section(view: &View<'_>) -> Markup {
    let (lang, section) = (view.lang, &view.comparison.energy);
    let grids = energy::all(view);
    html! {
        section id="energy" aria-labelledby="energy-title" {
            h2 id="energy-title" { (terms::energy(lang)) }
            p { (prose::energy_intro(lang)) }
            @if !section.method.is_empty() { p { (terms::method_used(lang)) " " (section.method) "." } }
            (parts::nothing(view, &grids, None))
            (parts::tables(view, grids.iter().take(1)))
            (figures::energy(view))
            (parts::tables(view, grids.iter().skip(1)))
            p.note { (prose::energy_limits(lang)) }
            p.note { (prose::energy_guessed(lang)) }
            p.note { (prose::energy_not_mixed(lang)) }
        }
    }
}
