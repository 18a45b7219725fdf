//! Days of the year in folded text: `30 novembre`, `30/11`, `November 30th`, `2026-11-30`, `du 6 au 17 octobre`.
//!
//! It must not know the year.

use super::text::Token;

/// Names of the months and their usual short forms, folded, in French, English, Spanish and Portuguese.
const MONTHS: [&[&str]; 12] = [
    &["janvier", "janv", "jan", "january", "enero", "ene", "janeiro"],
    &["fevrier", "fevr", "fev", "february", "feb", "febrero", "fevereiro"],
    &["mars", "march", "mar", "marzo", "marco"],
    &["avril", "avr", "april", "apr", "abril", "abr"],
    &["mai", "may", "mayo", "maio"],
    &["juin", "june", "jun", "junio", "junho"],
    &["juillet", "juil", "july", "jul", "julio", "julho"],
    &["aout", "august", "aug", "agosto", "ago"],
    &["septembre", "sept", "sep", "september", "septiembre", "setembro", "set"],
    &["octobre", "oct", "october", "octubre", "outubro", "out"],
    &["novembre", "nov", "november", "noviembre", "novembro"],
    &["decembre", "dec", "december", "diciembre", "dic", "dezembro", "dez"],
];
/// English names and short forms, which stand before the day as well as after it.
const ENGLISH_MONTHS: [&[&str]; 12] = [
    &["january", "jan"],
    &["february", "feb"],
    &["march", "mar"],
    &["april", "apr"],
    &["may"],
    &["june", "jun"],
    &["july", "jul"],
    &["august", "aug"],
    &["september", "sept", "sep"],
    &["october", "oct"],
    &["november", "nov"],
    &["december", "dec"],
];
/// Days of the months in a leap year.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// What may stand between a day and its month, besides other days.
const BETWEEN: &[&str] = &[
    "er", "e", "eme", "re", "st", "nd", "rd", "th", "o", "de", "of", "do", "del", "the", "le", "au", "et", "ou", "a",
    "to", "and", "or", "y", "ao", "al", "inclus", "through", "lundi", "mardi", "mercredi", "jeudi", "vendredi",
    "samedi", "dimanche",
];
/// Most pieces between a day and its month.
const REACH: usize = 10;

/// Whether some year has that day.
pub(super) fn exists(day: u8, month: u8) -> bool {
    let last = month.checked_sub(1).and_then(|index| DAYS.get(usize::from(index)));
    last.is_some_and(|last| (1..=*last).contains(&day))
}

/// Whether the text names that day.
pub(super) fn holds(tokens: &[Token], day: u8, month: u8) -> bool {
    let names = |table: &[&'static [&'static str]; 12]| {
        let index = month.checked_sub(1).map(usize::from);
        index.and_then(|index| table.get(index)).copied().unwrap_or_default()
    };
    let (any, english) = (names(&MONTHS), names(&ENGLISH_MONTHS));
    (0..tokens.len()).any(|at| {
        let (before, from) = tokens.split_at(at);
        if numeric(before, from, day, month) {
            return true;
        }
        let Some((first, after)) = from.split_first() else { return false };
        let named = first.small() == Some(day) || (day == 1 && matches!(first.word(), Some("premier" | "primero")));
        named && (reaches(after.iter(), any) || reaches(before.iter().rev(), english))
    })
}

/// Whether one of `months` comes next, with nothing but other days and words of a date between.
fn reaches<'a>(tokens: impl Iterator<Item = &'a Token>, months: &[&str]) -> bool {
    for token in tokens.take(REACH) {
        match token {
            Token::Word(word) if months.contains(&word.as_str()) => return true,
            Token::Word(word) if BETWEEN.contains(&word.as_str()) => {}
            Token::Digits(digits) if digits.len() <= 2 => {}
            Token::Sign('.' | ',' | '-') => {}
            Token::Word(_) | Token::Digits(_) | Token::Sign(_) => return false,
        }
    }
    false
}

/// Whether a date in numbers begins with `from`: `30/11`, `30/11/2026`, `30.11.2026`, `2026-11-30`, and `11/30`, which
/// can only be English.
fn numeric(before: &[Token], from: &[Token], day: u8, month: u8) -> bool {
    let sign = |token: Option<&Token>| token.is_some_and(|token| token.is('/') || token.is('-') || token.is('.'));
    if sign(before.last()) && matches!(before.iter().rev().nth(1), Some(Token::Digits(_))) {
        return false;
    }
    let (Some(first), Some(joint), Some(second)) = (from.first(), from.get(1), from.get(2)) else { return false };
    if !sign(Some(joint)) {
        return false;
    }
    let year = |token: Option<&Token>| matches!(token, Some(Token::Digits(digits)) if digits.len() == 4);
    let dated = from.get(3) == Some(joint) && year(from.get(4));
    if year(Some(first)) {
        return second.small() == Some(month)
            && from.get(3) == Some(joint)
            && from.get(4).and_then(Token::small) == Some(day);
    }
    let pair = (first.small(), second.small());
    (joint.is('/') || dated) && (pair == (Some(day), Some(month)) || (day > 12 && pair == (Some(month), Some(day))))
}
