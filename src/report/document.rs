//! The comparison as a document: a page to read and print, a workbook, a table for a terminal, a table of figures.
//!
//! It shows a [`Comparison`](crate::report::comparison::Comparison) and computes no statistics: no estimate, no interval and no
//! verdict comes from here. It knows no ledger, no configuration and no clock.

pub mod csv;
pub mod html;
pub mod table;
pub mod xlsx;

mod chart;
mod grid;
mod grids;
mod money;
mod numbers;
mod summary;
mod view;
mod words;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

/// Language of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// French, with French typography.
    #[default]
    Fr,
    /// English.
    En,
}

impl Lang {
    /// The one of two values that is in this language. Both must be given, so that no translation is ever missing.
    pub(crate) fn pick<T>(self, fr: T, en: T) -> T {
        match self {
            Self::Fr => fr,
            Self::En => en,
        }
    }

    /// Language tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.pick("fr", "en")
    }
}
