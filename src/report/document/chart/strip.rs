//! Strips from 0 to 100 %, cut where the winner changes: a pattern a model, and a mark where the weight stands.

use maud::{Markup, html};

use super::{WIDTH, units};
use crate::report::document::Lang;
use crate::report::document::numbers;

const LEFT: f64 = 28.0;
const STRIP: f64 = 26.0;
const ROW: f64 = 70.0;
/// Width of a character of a label.
const CHARACTER: f64 = 8.6;

/// A strip.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    /// What it is about.
    pub(crate) label: String,
    /// Where the mark stands, in percent.
    pub(crate) mark: Option<f64>,
    /// From, to (percent), and place in the key.
    pub(crate) parts: Vec<(f64, f64, usize)>,
}

/// Strips with their key; `key` holds the names, by place.
pub(crate) fn strips(lang: Lang, id: &str, strips: &[Strip], key: &[String]) -> (f64, Markup) {
    let mut y = 0.0;
    let mut rows = Vec::new();
    for strip in strips {
        rows.push(draw(lang, id, strip, key, y));
        y += ROW;
    }
    let top = y;
    let drawing = html! {
        defs { @for place in 0..4_usize { (pattern(id, place)) } }
        @for row in &rows { (row) }
        @for (place, (line, name)) in (0_u8..).zip(key).enumerate() {
            (swatch(id, place, LEFT, top + f64::from(line) * 26.0, 34.0, 18.0))
            text x=(units(LEFT + 44.0)) y=(units(top + f64::from(line) * 26.0 + 14.0)) { (place + 1) " = " (name) }
        }
    };
    let lines = u8::try_from(key.len()).unwrap_or(u8::MAX);
    (top + f64::from(lines) * 26.0 + 6.0, drawing)
}

fn x(percent: f64) -> f64 {
    LEFT + percent.clamp(0.0, 100.0) / 100.0 * (WIDTH - 2.0 * LEFT)
}

fn draw(lang: Lang, id: &str, strip: &Strip, key: &[String], top: f64) -> Markup {
    let y = top + 22.0;
    let foot = y + STRIP;
    let triangle = |x: f64| {
        [(x - 7.0, foot + 13.0), (x + 7.0, foot + 13.0), (x, foot + 1.0)]
            .map(|(x, y)| format!("{},{}", units(x), units(y)))
            .join(" ")
    };
    html! {
        text x=(units(LEFT)) y=(units(top + 16.0)) { (strip.label) }
        @if let Some(mark) = strip.mark {
            text x=(units(WIDTH - LEFT)) y=(units(top + 16.0)) text-anchor="end" {
                "▲ " (numbers::percent(lang, mark / 100.0, 0))
            }
        }
        @for (from, to, place) in &strip.parts {
            (swatch(id, *place, x(*from), y, x(*to) - x(*from), STRIP))
            (name(key, *place, x(*from), x(*to), y))
        }
        @if let Some(mark) = strip.mark {
            polygon.solid points=(triangle(x(mark))) {}
        }
    }
}

/// The name on a part where it fits, and else its number in the key; on a part too narrow for a number, nothing.
fn name(key: &[String], place: usize, from: f64, to: f64, y: f64) -> Markup {
    let number = (place + 1).to_string();
    let fits = |text: &str| f64::from(u16::try_from(text.chars().count()).unwrap_or(u16::MAX)) * CHARACTER + 8.0;
    let full = key.get(place).map_or(number.as_str(), String::as_str);
    let text = if fits(full) + 4.0 <= to - from { full } else { number.as_str() };
    let width = fits(text);
    let middle = f64::midpoint(from, to);
    html! {
        @if width <= to - from {
            rect.paper x=(units(middle - width / 2.0)) y=(units(y + 4.0))
                width=(units(width)) height=(units(STRIP - 8.0)) {}
            text x=(units(middle)) y=(units(y + 18.5)) text-anchor="middle" { (text) }
        }
    }
}

fn swatch(id: &str, place: usize, x: f64, y: f64, width: f64, height: f64) -> Markup {
    html! {
        rect.part x=(units(x)) y=(units(y)) width=(units(width.max(0.0))) height=(units(height))
            fill={ "url(#" (id) "-p" (place % 4) ")" } {}
    }
}

fn pattern(id: &str, place: usize) -> Markup {
    html! {
        pattern id={ (id) "-p" (place) } width="8" height="8" patternUnits="userSpaceOnUse" {
            rect.paper width="8" height="8" {}
            @match place {
                0 => {},
                1 => path.hatch d="M-2 2l4 -4M0 8l8 -8M6 10l4 -4" {},
                2 => circle.solid cx="4" cy="4" r="1.6" {},
                _ => path.hatch d="M0 4h8M4 0v8" {},
            }
        }
    }
}
