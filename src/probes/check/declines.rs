//! Whether an answer says that it does not know, or that it will not say: a heuristic.
//!
//! It looks for turns of phrase with which models decline in French and in English. An answer that declines in other words
//! fails, and one that invents a figure and then says that it cannot vouch for it passes; the basket combines it with
//! `absent` where that matters. It must not know the question.

use super::words::words;

/// Most words that `…` stands for.
const GAP: usize = 3;

/// Turns of phrase, folded. `…` stands for up to three words; `*` at the end of a word for any ending.
const MARKERS: &[&str] = &[
    // French: I do not know, I cannot, I have no access.
    "je ne sais … pas",
    "je ne peux … pas",
    "je ne peux … ni",
    "je ne pourrai* … pas",
    "je ne puis",
    "nous ne pouvons … pas",
    "je dois refuser",
    "je refuse",
    "je ne saurais",
    "je ne suis … pas en mesure",
    "je ne suis … pas autoris*",
    "je ne suis … pas habilit*",
    "je ne dispose … pas",
    "je ne dispose … d aucun*",
    "je ne possede … pas",
    "je ne connais … pas",
    "je ne trouve … pas",
    "je ne vois … pas",
    "je n ai … pas acces",
    "je n ai … aucun*",
    "je n ai … pas trouve",
    "je n ai … pas d information*",
    "je n ai … pas cette",
    "je n ai … pas ces",
    "je n ai … pas la",
    "je n ai … pas le",
    "je n ai … pas les",
    "je n ai … pas de",
    "je n ai … pas d",
    "je n ai … pas connaissance",
    "il m est … impossible",
    "il est … impossible",
    "il n est … pas possible",
    "impossible de",
    // French: the pages do not say.
    "ne precise* … pas",
    "ne mentionne* … pas",
    "ne mentionne* … ni",
    "n indique* … pas",
    "n indique* … ni",
    "ne donne* … pas",
    "ne donne* … ni",
    "ne disent … pas",
    "ne dit … pas",
    "ne contien* … pas",
    "ne contien* … aucun*",
    "ne fourni* … pas",
    "ne fourni* … aucun*",
    "ne comporte* … pas",
    "ne permet* … pas",
    "ne figure* … pas",
    "ne figure* … ni",
    "ne figure* dans aucun*",
    "n apparai* … pas",
    "n est … pas indique*",
    "n est … pas precise*",
    "n est … pas mentionne*",
    "n est … pas donne*",
    "n est … pas fourni*",
    "n est … pas disponible*",
    "n est … pas communique*",
    "ne sont … pas indique*",
    "ne sont … pas precise*",
    "ne sont … pas mentionne*",
    "ne sont … pas donne*",
    "ne sont … pas fourni*",
    "ne sont … pas disponible*",
    "ne sont … pas communique*",
    "ne sont … pas public*",
    "n est indique*",
    "n est precise*",
    "n est mentionne*",
    "n est donne*",
    "n est fourni*",
    "n est … fait mention",
    "n indique* rien",
    "n a … pas ete communique*",
    "n ont … pas ete communique*",
    "ne communique* … pas",
    "pas assez d information*",
    "aucune information",
    "aucune indication",
    "aucune mention",
    "pas d information*",
    // French: it is private.
    "est confidentiel*",
    "sont confidentiel*",
    "ne peu* etre communique*",
    "ne peu* … pas etre communique*",
    "ne peu* … pas etre divulgue*",
    // English.
    "i don t know",
    "i do not know",
    "i can t",
    "i cannot",
    "i can not",
    "i m … not able",
    "i am … not able",
    "i m … unable",
    "i am … unable",
    "i don t have",
    "i do not have",
    "i have no",
    "does not say",
    "do not say",
    "doesn t say",
    "don t say",
    "does not … mention",
    "do not … mention",
    "doesn t … mention",
    "don t … mention",
    "does not … specify",
    "do not … specify",
    "doesn t … specify",
    "don t … specify",
    "does not … provide",
    "do not … provide",
    "doesn t … provide",
    "don t … provide",
    "does not … include",
    "do not … include",
    "does not … contain",
    "do not … contain",
    "not … mentioned",
    "not … specified",
    "not … stated",
    "not … provided",
    "not … available",
    "no information",
    "is confidential",
    "are confidential",
];

/// Whether one of the turns of phrase stands in a folded text.
pub(super) fn holds(folded: &str) -> bool {
    let text = words(folded);
    MARKERS.iter().any(|marker| {
        let pattern: Vec<&str> = marker.split(' ').collect();
        (0..text.len()).any(|start| follows(text.get(start..).unwrap_or_default(), &pattern))
    })
}

/// Whether `text` begins with `pattern`.
fn follows(text: &[String], pattern: &[&str]) -> bool {
    let Some((wanted, rest)) = pattern.split_first() else { return true };
    if *wanted == "…" {
        return (0..=GAP).any(|gap| text.get(gap..).is_some_and(|text| follows(text, rest)));
    }
    let Some((found, text)) = text.split_first() else { return false };
    let fits = match wanted.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => found == wanted,
    };
    fits && follows(text, rest)
}

/// Whether every marker is written as folded text is.
#[cfg(test)]
pub(super) fn markers_are_folded() -> bool {
    MARKERS.iter().all(|marker| {
        let plain = marker.replace(['…', '*'], "");
        super::text::fold(&plain) == plain && !plain.contains('\'')
    })
}
