//! Every text of the document, in both languages. It knows no table and no page; figures come to it as values.

pub(crate) mod closed;
pub(crate) mod prose;
pub(crate) mod sentences;
pub(crate) mod terms;
pub(crate) mod verdicts;

/// Texts without figures: one function each, that takes the language.
macro_rules! texts {
    ($($name:ident: $fr:literal, $en:literal;)*) => {
        $(
            #[doc = $en]
            pub(crate) fn $name(lang: super::super::Lang) -> &'static str {
                lang.pick($fr, $en)
            }
        )*

        /// Name, French and English of each.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $fr, $en)),*];
    };
}
use texts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_exists_in_both_languages() {
        for (name, fr, en) in terms::ALL.iter().chain(prose::ALL) {
            assert!(!fr.trim().is_empty() && !en.trim().is_empty(), "{name} is empty");
            // A text that is the same in both was forgotten, unless it is one word that both languages have.
            assert!(fr != en || !fr.contains(' ') || fr.starts_with("passerelle "), "{name} is not translated");
        }
    }

    #[test]
    fn french_texts_keep_their_marks_with_the_word_before() {
        for (name, fr, _) in terms::ALL.iter().chain(prose::ALL) {
            for mark in [" :", " ;", " ?", " !", " %", " »", "« ", " €"] {
                assert!(!fr.contains(mark), "{name} can break at '{mark}'");
            }
            assert!(!fr.contains('\''), "{name} has a typewriter apostrophe");
        }
    }
}
