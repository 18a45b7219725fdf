//! The three kinds of evidence, each in a part of its own.

use maud::{Markup, html};

use crate::report::comparison::ConversationSection;
use crate::report::document::grid::{Grid, Unit};
use crate::report::document::grids::{duels, measured};
use crate::report::document::numbers::percent;
use crate::report::document::view::View;
use crate::report::document::words::{prose, sentences, terms};

use super::{figures, parts};

/// How a section names blocks of time.
const BLOCK: &str = "block";

/// What was measured.
pub(super) fn page(view: &View<'_>) -> Markup {
    let lang = view.lang;
    html! {
        section id="evidence" aria-labelledby="evidence-title" {
            h2 id="evidence-title" { (terms::evidence(lang)) }
            p { (prose::evidence_intro(lang)) " " (prose::effect_note(lang)) }
            (probes(view))
            (conversations(view))
            @if let Some(section) = &view.comparison.blocks { (blocks(view, section)) }
            (blind_duels(view))
        }
    }
}

fn probes(view: &View<'_>) -> Markup {
    let (lang, section) = (view.lang, &view.comparison.probes);
    let grids = measured::probes(view);
    html! {
        h3 id="probes" { (terms::probes(lang)) }
        p { (prose::probes_intro(lang)) }
        p { (sentences::rounds(lang, section.rounds, section.rounds_left_out, section.questions)) }
        @if let Some((median, p99)) = section.lag {
            p { (sentences::lag(lang, &Unit::Time.text(lang, median), &Unit::Time.text(lang, p99))) }
        }
        (parts::refused(view, section.refused.as_deref()))
        (parts::nothing(view, &grids, section.refused.as_deref()))
        (parts::tables(view, grids.iter().take(2)))
        (figures::times(view, &section.models))
        (parts::tables(view, grids.iter().skip(2)))
    }
}

fn conversations(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let grids = measured::conversations(view);
    let by_block = view.comparison.conversations.drawn_for == BLOCK;
    html! {
        h3 id="conversations" { (terms::conversations(lang)) }
        p { (prose::conversations_intro(lang)) }
        @if by_block { p { (prose::blocks_intro(lang)) } }
        (drawn(view, &view.comparison.conversations, &grids))
        (parts::help("simpson", terms::simpson_title(lang), prose::simpson(lang)))
    }
}

fn blocks(view: &View<'_>, section: &ConversationSection) -> Markup {
    let lang = view.lang;
    html! {
        h3 id="blocks" { (terms::blocks(lang)) }
        p { (prose::blocks_intro(lang)) }
        (drawn(view, section, &measured::blocks(view)))
    }
}

fn drawn(view: &View<'_>, section: &ConversationSection, grids: &[Grid]) -> Markup {
    let lang = view.lang;
    let suppressed =
        section.slices.iter().any(|slice| slice.suppressed) || section.chosen.iter().any(|(_, count)| count.is_none());
    html! {
        p { (sentences::people(lang, section.groups, section.people, &percent(lang, section.share_left_out, 1))) }
        (parts::refused(view, section.refused.as_deref()))
        (parts::nothing(view, grids, section.refused.as_deref()))
        (parts::tables(view, grids))
        @if section.slices.iter().any(|slice| slice.interrupted.is_some()) { p.note { (prose::interrupted_note(lang)) } }
        @if suppressed { p.note { (prose::suppressed_note(lang)) } }
    }
}

fn blind_duels(view: &View<'_>) -> Markup {
    let (lang, section) = (view.lang, &view.comparison.duels);
    let grids = duels::all(view);
    let refused = section.refused.as_deref();
    html! {
        h3 id="duels" { (terms::duels(lang)) }
        p { (prose::duels_intro(lang)) }
        (parts::refused(view, refused))
        (parts::nothing(view, &grids, refused))
        @if grids.iter().any(|grid| !grid.is_empty()) {
            p { (sentences::votes(lang, section.votes, section.people)) }
            (parts::tables(view, grids.iter().take(1)))
            (figures::preference(view))
            (parts::tables(view, grids.iter().skip(1)))
            p.note { (prose::duels_bias_note(lang)) }
        }
    }
}
