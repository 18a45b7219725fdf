//! Text made comparable: without accents, capitals and kinds of spaces, and cut into words, numbers and signs.
//!
//! It must not know what is looked for.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A piece of folded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, folded.
    Word(String),
    /// ASCII digits.
    Digits(String),
    /// `:`, `/`, `.`, `,` or `-`, or a line's end.
    Sign(char),
}

impl Token {
    /// The word, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Digits(_) | Self::Sign(_) => None,
        }
    }

    /// The value of one or two digits.
    pub(super) fn small(&self) -> Option<u8> {
        match self {
            Self::Digits(digits) if digits.len() <= 2 => digits.parse().ok(),
            Self::Digits(_) | Self::Word(_) | Self::Sign(_) => None,
        }
    }

    /// Whether it is that sign.
    pub(super) fn is(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }
}

/// Lowercase letters without accents, ASCII digits, one kind of space, and no marks that cannot be seen. Line ends stay.
pub(super) fn fold(text: &str) -> String {
    // LaTeX writes a decimal comma as `{,}` and a thin space as `\,`.
    let text = text.replace("{,}", ",").replace("\\,", " ");
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase) {
        match letter {
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            '’' | 'ʼ' | '‘' => folded.push('\''),
            '‐' | '‑' | '–' | '—' | '−' => folded.push('-'),
            // Arabic: decimal separator, thousands separator.
            '\u{066b}' => folded.push(','),
            '\u{066c}' => folded.push(' '),
            '\u{0660}'..='\u{0669}' => folded.push(digit(letter, '\u{0660}')),
            '\u{06f0}'..='\u{06f9}' => folded.push(digit(letter, '\u{06f0}')),
            // Zero width, direction marks.
            '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {}
            '\n' => folded.push('\n'),
            other if other.is_whitespace() => folded.push(' '),
            other => folded.push(other),
        }
    }
    folded
}

/// The ASCII digit of a digit of the block that begins at `zero`.
fn digit(letter: char, zero: char) -> char {
    char::from_digit(u32::from(letter).saturating_sub(u32::from(zero)), 10).unwrap_or(letter)
}

/// Cuts folded text. A change from digits to letters cuts too: `8h30` is three pieces.
pub(super) fn tokens(folded: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut joined = false;
    for letter in folded.chars() {
        if letter.is_ascii_digit() {
            match tokens.last_mut() {
                Some(Token::Digits(digits)) if joined => digits.push(letter),
                _ => tokens.push(Token::Digits(letter.to_string())),
            }
            joined = true;
        } else if letter.is_alphabetic() {
            match tokens.last_mut() {
                Some(Token::Word(word)) if joined => word.push(letter),
                _ => tokens.push(Token::Word(letter.to_string())),
            }
            joined = true;
        } else {
            if matches!(letter, ':' | '/' | '.' | ',' | '-' | '\n') {
                tokens.push(Token::Sign(letter));
            }
            joined = false;
        }
    }
    tokens
}
