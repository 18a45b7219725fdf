//! Times of day in folded text: `8 h 30`, `08:30`, `8.30 am`, `6 pm`, `de 14 à 18 heures`, `midi`.
//!
//! It must not know dates.

use super::text::Token;

/// Words for the hour of a clock.
const HOUR_WORDS: &[&str] = &["h", "hr", "hrs", "hs", "heure", "heures", "hora", "horas"];
/// What stands between the two ends of a span of time.
const SPAN: &[&str] = &["a", "et", "to", "and", "y", "e", "as", "until"];
/// Most pieces looked at for the half of the day.
const REACH: usize = 5;

/// A time as it is written.
struct Found {
    hour: u8,
    minute: u8,
    /// The half of the day, where it is said.
    half: Option<Half>,
}

/// Half of the day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Before noon.
    Morning,
    /// After it.
    Afternoon,
}

/// Whether the text names that time.
pub(super) fn holds(tokens: &[Token], hour: u8, minute: u8) -> bool {
    let wanted = (hour, minute);
    (0..tokens.len()).any(|at| {
        let (before, from) = tokens.split_at(at);
        if named(before, from) == Some(wanted) {
            return true;
        }
        let Some(time) = clock(from) else { return false };
        if time_of(time.hour, time.minute, time.half) == Some(wanted) {
            return true;
        }
        // `de 14 à 18 heures` names 14 hours too.
        span_start(before).and_then(|start| time_of(start, 0, time.half)) == Some(wanted)
    })
}

/// Noon and midnight.
fn named(before: &[Token], from: &[Token]) -> Option<(u8, u8)> {
    let word = |token: Option<&Token>| token.and_then(Token::word).map(str::to_owned);
    let previous = before.iter().rev().find_map(Token::word);
    match (word(from.first())?.as_str(), word(from.get(1)).as_deref()) {
        ("midi", _) if !matches!(previous, Some("apres")) => Some((12, 0)),
        ("minuit" | "midnight" | "medianoche", _) | ("meia", Some("noite")) => Some((0, 0)),
        ("noon" | "mediodia", _) | ("meio", Some("dia")) => Some((12, 0)),
        _ => None,
    }
}

/// The time that `tokens` begins with.
fn clock(tokens: &[Token]) -> Option<Found> {
    let hour = tokens.first()?.small().filter(|hour| *hour <= 24)?;
    let second = tokens.get(1)?;
    let minute = |index: usize| match tokens.get(index) {
        Some(Token::Digits(digits)) if digits.len() == 2 => digits.parse::<u8>().ok().filter(|minute| *minute < 60),
        _ => None,
    };
    if second.is(':') {
        return Some(with_half(tokens, hour, minute(2)?, 3));
    }
    if second.is('.') {
        let found = with_half(tokens, hour, minute(2)?, 3);
        let marked = found.half.is_some() || tokens.get(3).and_then(Token::word).is_some_and(is_hour_word);
        return marked.then_some(found);
    }
    if second.word().is_some_and(is_hour_word) {
        if let Some(minute) = minute(2) {
            return Some(with_half(tokens, hour, minute, 3));
        }
        let word = |index: usize| tokens.get(index).and_then(Token::word);
        return Some(match (word(2), word(3)) {
            (Some("et"), Some("demie")) => with_half(tokens, hour, 30, 4),
            (Some("et"), Some("quart")) => with_half(tokens, hour, 15, 4),
            _ => with_half(tokens, hour, 0, 2),
        });
    }
    let oclock = second.word() == Some("o") && tokens.get(2).and_then(Token::word) == Some("clock");
    let found = with_half(tokens, hour, 0, if oclock { 3 } else { 1 });
    (oclock || found.half.is_some()).then_some(found)
}

fn is_hour_word(word: &str) -> bool {
    HOUR_WORDS.contains(&word)
}

fn with_half(tokens: &[Token], hour: u8, minute: u8, length: usize) -> Found {
    let rest = tokens.get(length..).unwrap_or_default();
    let words: Vec<&str> = rest.iter().take(REACH).filter(|token| !token.is('.')).map_while(Token::word).collect();
    let half = match words.as_slice() {
        ["am", ..]
        | ["a", "m", ..]
        | ["du", "matin", ..]
        | ["in", "the", "morning", ..]
        | ["de", "la", "manana", ..]
        | ["da", "manha", ..] => Some(Half::Morning),
        ["pm", ..]
        | ["p", "m", ..]
        | ["du", "soir", ..]
        | ["de", "l", "apres", ..]
        | ["in", "the", "afternoon" | "evening", ..]
        | ["at", "night", ..]
        | ["de", "la", "tarde" | "noche", ..]
        | ["da", "tarde" | "noite", ..] => Some(Half::Afternoon),
        _ => None,
    };
    Found { hour, minute, half }
}

/// The time on a clock of 24 hours.
fn time_of(hour: u8, minute: u8, half: Option<Half>) -> Option<(u8, u8)> {
    let hour = match (hour, half) {
        (24, _) | (12, Some(Half::Morning)) => 0,
        (1..=11, Some(Half::Afternoon)) => hour + 12,
        _ => hour,
    };
    (hour < 24 && minute < 60).then_some((hour, minute))
}

/// The hour that begins a span which ends with the time after `before`.
fn span_start(before: &[Token]) -> Option<u8> {
    let mut back = before.iter().rev();
    let joint = back.next()?;
    if !(joint.is('-') || joint.word().is_some_and(|word| SPAN.contains(&word))) {
        return None;
    }
    let start = back.next()?.small().filter(|hour| *hour <= 24)?;
    // Digits after a colon are minutes.
    let minutes =
        back.next().is_some_and(|token| token.is(':') || token.is('.') || token.word().is_some_and(is_hour_word));
    (!minutes).then_some(start)
}
