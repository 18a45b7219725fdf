//! Phone numbers in folded text.
//!
//! It must not know which of them are real.

/// Digits of an international number, after ITU-T E.164 (at most 15) and what is too short to be one.
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;
/// Digits of a French number with its first 0.
const NATIONAL: usize = 10;

/// A phone number and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    /// Ten digits for a French number, `+` and digits for another.
    pub(super) digits: String,
    /// First character, counted in characters.
    pub(super) start: usize,
    /// First character after it.
    pub(super) end: usize,
}

/// The phone numbers of a folded text: ten digits that begin with 0, or `+` (or 00) and 8 to 15 digits, in one run or with
/// single spaces, dots and hyphens between. The short numbers of emergency services are none.
pub(super) fn find(folded: &str) -> Vec<Phone> {
    let letters: Vec<char> = folded.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match phone_at(&letters, at) {
            Some(phone) => {
                at = phone.end;
                found.push(phone);
            }
            None => at += 1,
        }
    }
    found
}

fn phone_at(letters: &[char], start: usize) -> Option<Phone> {
    let first = *letters.get(start)?;
    let before = start.checked_sub(1).and_then(|before| letters.get(before));
    if !(first == '+' || first == '0') || before.is_some_and(|before| before.is_alphanumeric() || *before == ',') {
        return None;
    }
    let mut digits = String::new();
    let mut end = if first == '+' { start + 1 } else { start };
    let mut at = end;
    // `(0)` in +33 (0)5 is said for calls from inside the country only.
    while let Some(&letter) = letters.get(at) {
        // A French number is never parted after its 0, as a price such as 0.90 is.
        if first == '0' && digits.len() == 1 && !letter.is_ascii_digit() {
            return None;
        }
        if letter.is_ascii_digit() {
            digits.push(letter);
            at += 1;
            end = at;
            if first == '0' && digits.len() == NATIONAL && !digits.starts_with("00") {
                break;
            }
        } else if letters.get(at..at + 3) == Some(&['(', '0', ')'][..]) {
            at += 3;
        } else if matches!(letter, ' ' | '.' | '-')
            && letters.get(at + 1).is_some_and(|next| next.is_ascii_digit() || *next == '(')
        {
            at += 1;
        } else {
            break;
        }
    }
    if letters.get(end).is_some_and(char::is_ascii_digit) {
        return None;
    }
    Some(Phone { digits: normal(first == '+', &digits)?, start, end })
}

/// The number in its normal writing; `None` when it is no phone number.
fn normal(plus: bool, digits: &str) -> Option<String> {
    let international = if plus { Some(digits) } else { digits.strip_prefix("00") };
    match international {
        Some(rest) => match rest.strip_prefix("33") {
            Some(national) if national.len() == NATIONAL - 1 => Some(format!("0{national}")),
            _ => INTERNATIONAL.contains(&rest.len()).then(|| format!("+{rest}")),
        },
        None => (digits.len() == NATIONAL).then(|| digits.to_owned()),
    }
}
