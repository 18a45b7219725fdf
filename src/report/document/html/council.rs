//! The first page, for the council: three sentences, one table, one figure.

use maud::{Markup, html};

use crate::report::document::grids::council;
use crate::report::document::summary;
use crate::report::document::view::View;
use crate::report::document::words::{prose, terms};

use super::{figures, parts};

/// The first page.
pub(super) fn page(view: &View<'_>) -> Markup {
    let lang = view.lang;
    html! {
        section.council aria-labelledby="council-title" {
            h2 id="council-title" { (terms::council(lang)) }
            ol.sentences { @for sentence in summary::three(view) { li { (sentence) } } }
            (parts::table(view, &council::glance(view)))
            p.note { (prose::council_source(lang)) " " (prose::legend_text(lang)) }
            (figures::council(view))
        }
    }
}
