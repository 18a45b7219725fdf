//! How an answer looks: its length, its headings, its lists, its bold passages. It must not keep what it reads.

use pulldown_cmark::{Event, Parser, Tag};

use crate::ledger::Style;

/// Counts the markup of an answer, read as CommonMark.
pub(super) fn style_of(text: &str) -> Style {
    let mut style = Style { chars: u64::try_from(text.chars().count()).unwrap_or(u64::MAX), ..Style::default() };
    for event in Parser::new(text) {
        let count = match event {
            Event::Start(Tag::Heading { .. }) => &mut style.headings,
            Event::Start(Tag::Item) => &mut style.list_items,
            Event::Start(Tag::Strong) => &mut style.bold,
            _ => continue,
        };
        *count = count.saturating_add(1);
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_is_counted_as_a_reader_sees_it() {
        let text =
            "# Titre\n\n**Oui.** Voici :\n\n- un **justificatif**\n- une photo\n  1. récente\n\nSous-titre\n---\n";
        assert_eq!(style_of(text), Style { chars: 90, headings: 2, list_items: 3, bold: 2 });
    }

    #[test]
    fn what_only_looks_like_markup_is_none() {
        let text = "Le no #1 : 2 * 3 * 4 et `**code**`.\n\n    # du code\n";
        assert_eq!(style_of(text), Style { chars: 51, headings: 0, list_items: 0, bold: 0 });
        assert_eq!(style_of(""), Style::default());
    }

    proptest! {
        #[test]
        fn any_text_has_a_style_of_its_length(text: String) {
            prop_assert_eq!(style_of(&text).chars, u64::try_from(text.chars().count()).unwrap());
        }
    }
}
