//! Numbers in folded text, as people write them: `1 234,50`, `1,234.50`, `1'234.5`.
//!
//! It must not know units.

use serde::Deserialize;
use thiserror::Error;

use super::phone;

/// Highest number taken for the numbering of a list, where it begins a line and a dot or bracket follows.
const LAST_ITEM: u32 = 20;
/// Digits of a group of thousands.
const GROUP: usize = 3;

/// Text that is no decimal.
#[derive(Debug, Error)]
#[error("`{0}` is not a number such as \"25\" or \"1.20\"")]
pub struct NotADecimal(String);

/// A number of zero or more, exact: compared by its digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Decimal {
    whole: String,
    fraction: String,
}

impl Decimal {
    fn new(whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        Self { whole: whole.to_owned(), fraction: fraction.trim_end_matches('0').to_owned() }
    }
}

impl TryFrom<String> for Decimal {
    type Error = NotADecimal;

    fn try_from(text: String) -> Result<Self, NotADecimal> {
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits(whole) && digits(fraction) { Ok(Self::new(whole, fraction)) } else { Err(NotADecimal(text)) }
    }
}

/// Whether a folded text holds `value`.
pub(super) fn holds(folded: &str, value: &Decimal) -> bool {
    find(folded).contains(value)
}

/// The numbers of a folded text. `1,234` is read both ways, for French and for English.
fn find(folded: &str) -> Vec<Decimal> {
    let letters: Vec<char> = folded.chars().collect();
    let phones = phone::find(folded);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        if let Some(phone) = phones.iter().find(|phone| phone.start == at) {
            at = phone.end;
        } else if letter.is_ascii_digit() {
            let numeral = Numeral::read(&letters, at);
            if !numeral.is_something_else(&letters) {
                found.extend(numeral.readings());
            }
            at = numeral.end;
        } else {
            at += 1;
        }
    }
    found
}

/// Digits with what stands between them.
struct Numeral {
    start: usize,
    end: usize,
    parts: Vec<String>,
    signs: Vec<char>,
}

impl Numeral {
    fn read(letters: &[char], start: usize) -> Self {
        let mut numeral = Self { start, end: start, parts: Vec::new(), signs: Vec::new() };
        numeral.read_part(letters);
        while let Some(&sign) = letters.get(numeral.end) {
            let digits = count_digits(letters, numeral.end + 1);
            let joins = match sign {
                // A space joins groups of thousands only: else it parts two numbers.
                ' ' | '\'' => digits == GROUP && numeral.is_grouped(),
                '.' | ',' => digits > 0,
                _ => false,
            };
            if !joins {
                break;
            }
            numeral.signs.push(sign);
            numeral.end += 1;
            numeral.read_part(letters);
        }
        numeral
    }

    fn read_part(&mut self, letters: &[char]) {
        let digits = count_digits(letters, self.end);
        let end = self.end + digits;
        self.parts.push(letters.get(self.end..end).unwrap_or_default().iter().collect());
        self.end = end;
    }

    /// Whether what was read are groups of thousands, or the first of them.
    fn is_grouped(&self) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        first.len() <= GROUP
            && !first.starts_with('0')
            && rest.iter().all(|part| part.len() == GROUP)
            && self.signs.windows(2).all(|pair| pair.first() == pair.last())
    }

    fn readings(&self) -> Vec<Decimal> {
        let mut readings = Vec::new();
        if self.is_grouped() || self.parts.len() == 1 {
            readings.push(Decimal::new(&self.parts.concat(), ""));
        }
        if let (Some((sign, before)), Some((fraction, whole))) = (self.signs.split_last(), self.parts.split_last()) {
            let grouped = before.first().is_none_or(|first| {
                first != sign
                    && before.iter().all(|other| other == first)
                    && whole.iter().skip(1).all(|part| part.len() == GROUP)
            });
            if matches!(sign, '.' | ',') && grouped {
                readings.push(Decimal::new(&whole.concat(), fraction));
            }
        }
        readings
    }

    /// Part of a word, of a numeric date, of a time, or the numbering of a list.
    fn is_something_else(&self, letters: &[char]) -> bool {
        let before = |back: usize| self.start.checked_sub(back).and_then(|at| letters.get(at)).copied();
        let after = |ahead: usize| letters.get(self.end + ahead).copied();
        let digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
        let joint = |letter: Option<char>| matches!(letter, Some('/' | ':'));
        before(1).is_some_and(char::is_alphabetic)
            || (joint(before(1)) && digit(before(2)))
            || (joint(after(0)) && digit(after(1)))
            || self.is_clock_hour(letters)
            || is_clock_minute(letters, self.start)
            || self.numbers_a_list(letters)
    }

    /// Followed by `h` and digits, as in `14 h 30`.
    fn is_clock_hour(&self, letters: &[char]) -> bool {
        let mut rest = letters.get(self.end..).unwrap_or_default().iter().filter(|letter| **letter != ' ');
        rest.next() == Some(&'h') && rest.next().is_some_and(char::is_ascii_digit)
    }

    fn numbers_a_list(&self, letters: &[char]) -> bool {
        let [only] = self.parts.as_slice() else { return false };
        let low = only.parse::<u32>().is_ok_and(|number| number <= LAST_ITEM);
        let mut back = letters.get(..self.start).unwrap_or_default().iter().rev();
        let begins = back.find(|letter| !matches!(letter, ' ' | '*' | '#' | '>' | '-')).is_none_or(|end| *end == '\n');
        let marked = matches!(letters.get(self.end), Some('.' | ')'));
        let mut line = letters.get(self.end + 1..).unwrap_or_default().iter().take_while(|letter| **letter != '\n');
        low && begins && marked && line.any(|letter| letter.is_alphanumeric())
    }
}

/// Preceded by digits and `h`.
fn is_clock_minute(letters: &[char], start: usize) -> bool {
    let mut back = letters.get(..start).unwrap_or_default().iter().rev().filter(|letter| **letter != ' ');
    back.next() == Some(&'h') && back.next().is_some_and(char::is_ascii_digit)
}

fn count_digits(letters: &[char], from: usize) -> usize {
    letters.get(from..).unwrap_or_default().iter().take_while(|letter| letter.is_ascii_digit()).count()
}
