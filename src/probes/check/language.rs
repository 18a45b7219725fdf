//! The language of an answer, among those that residents write in.
//!
//! The detector compares frequencies of letter triples: it needs a sentence, and a word or two can mislead it. It must
//! not know what the answer says.

use serde::Deserialize;
use whatlang::{Detector, Lang};

/// A language, by its code of ISO 639-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// French.
    Fr,
    /// English.
    En,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
    /// Arabic.
    Ar,
}

/// Frequent words of the languages in Latin letters. They decide where the triples of a short answer do not.
const FREQUENT: [(Lang, &[&str]); 4] = [
    (
        Lang::Fra,
        &[
            "le", "la", "les", "des", "du", "un", "une", "vous", "est", "sont", "et", "il", "elle", "ne", "pas", "que",
            "qui", "dans", "pour", "avec", "sur", "votre", "au", "aux", "ce", "cette", "oui", "non",
        ],
    ),
    (
        Lang::Eng,
        &[
            "the", "is", "are", "you", "your", "and", "of", "to", "in", "it", "for", "on", "at", "can", "until", "may",
            "from", "with", "not", "have", "this", "be", "yes", "no",
        ],
    ),
    (
        Lang::Spa,
        &[
            "el", "la", "los", "las", "del", "un", "una", "usted", "es", "son", "y", "no", "que", "en", "para", "con",
            "su", "puede", "hasta", "por", "como", "sí", "se", "al", "de",
        ],
    ),
    (
        Lang::Por,
        &[
            "o", "os", "as", "do", "da", "dos", "das", "um", "uma", "é", "são", "e", "não", "que", "em", "para", "com",
            "por", "até", "pode", "no", "na", "se", "ao", "de", "sim",
        ],
    ),
];

/// The language of `text`; `None` for a text without letters, or of another script.
pub(super) fn detect(text: &str) -> Option<Language> {
    let letters = letters_of(text);
    let known = vec![Lang::Fra, Lang::Eng, Lang::Spa, Lang::Por, Lang::Ara];
    let found = Detector::with_allowlist(known).detect(&letters)?;
    let lang = if found.is_reliable() { found.lang() } else { by_frequent_words(&letters).unwrap_or(found.lang()) };
    match lang {
        Lang::Fra => Some(Language::Fr),
        Lang::Eng => Some(Language::En),
        Lang::Spa => Some(Language::Es),
        Lang::Por => Some(Language::Pt),
        Lang::Ara => Some(Language::Ar),
        _ => None,
    }
}

/// The language with most frequent words in `letters`; `None` when there is none, or two have as many.
fn by_frequent_words(letters: &str) -> Option<Lang> {
    let lowercase = letters.to_lowercase();
    let words: Vec<&str> = lowercase.split([' ', '\'', '’', '-']).collect();
    let mut counts: Vec<(usize, Lang)> = FREQUENT
        .iter()
        .map(|(lang, frequent)| (words.iter().filter(|word| frequent.contains(word)).count(), *lang))
        .collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match counts.as_slice() {
        [(most, lang), (next, _), ..] if most > next => Some(*lang),
        _ => None,
    }
}

/// Words with one plain space between: figures, Markdown and thin spaces would count as letters of an unknown language.
fn letters_of(text: &str) -> String {
    let kept = |letter: char| if letter.is_alphabetic() || "'’-¿¡".contains(letter) { letter } else { ' ' };
    let letters: String = text.chars().map(kept).collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}
