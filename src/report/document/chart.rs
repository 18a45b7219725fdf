//! Charts as SVG elements: intervals with a marker a model, and strips. They read without colour, name themselves to
//! screen readers, use the font of the page and know no comparison: only labels, numbers and texts already written.
//!
//! The elements are written with maud: the SVG back end of plotters fixes sizes in pixels and has no role, title,
//! description, dash or pattern.

pub(crate) mod strip;

use maud::{Markup, html};

use super::Lang;

/// Width of a chart in its own units; about 1.3 of them are a point on A4 paper.
pub(crate) const WIDTH: f64 = 640.0;
/// Room left and right of the axis, for half a label.
const SIDE: f64 = 28.0;
const LINE: f64 = 18.0;
/// Width of a marker.
const MARKER: f64 = 16.0;
const TITLE: f64 = 24.0;
const AXIS: f64 = 32.0;
/// Room between panels that stand beside each other.
const GAP: f64 = 20.0;
/// Width of a character, on average, with some to spare.
const CHARACTER: f64 = 8.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// What it is about.
    pub(crate) label: String,
    /// Which marker it has.
    pub(crate) place: usize,
    /// The estimate, if there is one.
    pub(crate) value: Option<f64>,
    /// Ends of its interval.
    pub(crate) low: Option<f64>,
    /// Upper end.
    pub(crate) high: Option<f64>,
    /// Whether the upper end, or the estimate, lies beyond what is measured.
    pub(crate) beyond: bool,
    /// The figure in words, with its interval.
    pub(crate) text: String,
    /// The estimate in words, for where there is little room.
    pub(crate) short: String,
}

/// A chart of points above one axis that begins at zero.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// What the axis measures, with its unit.
    pub(crate) title: String,
    /// Its lines.
    pub(crate) points: Vec<Point>,
    /// End of the axis, where it is fixed.
    pub(crate) end: Option<f64>,
    /// Where a dashed line stands, if there is one.
    pub(crate) reference: Option<f64>,
    /// Writes a value of the axis.
    pub(crate) tick: fn(Lang, f64) -> String,
}

/// A figure: caption, drawing, and the texts that stand for it.
pub(crate) fn figure(id: &str, title: &str, description: &str, height: f64, drawing: &Markup) -> Markup {
    let view_box = format!("0 0 {WIDTH} {}", units(height));
    let (title_id, description_id) = (format!("{id}-title"), format!("{id}-desc"));
    html! {
        figure id=(id) {
            figcaption id={ (id) "-caption" } { (title) }
            div.scroll role="region" tabindex="0" aria-labelledby={ (id) "-caption" } {
                svg role="img" aria-labelledby={ (title_id) " " (description_id) } viewBox=(view_box) {
                    title id=(title_id) { (title) }
                    desc id=(description_id) { (description) }
                    (drawing)
                }
            }
        }
    }
}

/// Panels one under the other, on axes of the same width.
pub(crate) fn panels(lang: Lang, panels: &[Panel]) -> (f64, Markup) {
    let mut top = 0.0;
    let mut drawings = Vec::new();
    for panel in panels {
        let (height, drawing) = draw(lang, panel, Place { left: 0.0, top, width: WIDTH });
        top += height;
        drawings.push(drawing);
    }
    (top, html! { @for drawing in &drawings { (drawing) } })
}

/// Two panels beside each other, to save paper.
pub(crate) fn beside(lang: Lang, first: &Panel, second: &Panel) -> (f64, Markup) {
    let width = (WIDTH - GAP) / 2.0;
    let (first_height, first) = draw(lang, first, Place { left: 0.0, top: 0.0, width });
    let (second_height, second) = draw(lang, second, Place { left: width + GAP, top: 0.0, width });
    (first_height.max(second_height), html! { (first) (second) })
}

/// Where a panel stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    left: f64,
    top: f64,
    width: f64,
}

impl Place {
    fn start(self) -> f64 {
        self.left + SIDE
    }

    fn end(self) -> f64 {
        self.left + self.width - SIDE
    }

    /// Characters that fit into a share of the width.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a width in characters is small and positive"
    )]
    fn characters(self, share: f64) -> usize {
        (self.width * share / CHARACTER) as usize
    }
}

fn draw(lang: Lang, panel: &Panel, place: Place) -> (f64, Markup) {
    let (end, step) = scale(panel);
    let x = |value: f64| place.start() + (value / end).clamp(0.0, 1.0) * (place.end() - place.start());
    let title = wrap(&panel.title, place.characters(0.95));
    let mut top = place.top + TITLE - LINE;
    let mut heading = Vec::new();
    for row in title {
        top += LINE;
        heading.push(html! { text.title x=(units(place.left)) y=(units(top - 7.0)) { (row) } });
    }
    let mut y = top;
    let mut lines = Vec::new();
    for point in &panel.points {
        let (height, line) = draw_point(point, place, y, &x);
        y += height;
        lines.push(line);
    }
    let ticks: Vec<f64> =
        (0..=20_u8).map(|index| f64::from(index) * step).take_while(|tick| *tick <= end * 1.001).collect();
    let foot = y + 4.0;
    let drawing = html! {
        @for row in &heading { (row) }
        @for tick in &ticks {
            line.grid x1=(units(x(*tick))) x2=(units(x(*tick))) y1=(units(top)) y2=(units(foot)) {}
            text.tick x=(units(x(*tick))) y=(units(y + 19.0)) text-anchor="middle" { ((panel.tick)(lang, *tick)) }
        }
        line.axis x1=(units(place.start())) x2=(units(place.end())) y1=(units(foot)) y2=(units(foot)) {}
        @if let Some(reference) = panel.reference {
            line.reference x1=(units(x(reference))) x2=(units(x(reference))) y1=(units(top)) y2=(units(foot)) {}
        }
        @for line in &lines { (line) }
    };
    (y - place.top + AXIS, drawing)
}

fn draw_point(point: &Point, place: Place, top: f64, x: &dyn Fn(f64) -> f64) -> (f64, Markup) {
    let label = wrap(&point.label, place.characters(0.55));
    let mut text_y = top;
    let mut rows = Vec::new();
    for row in label {
        text_y += LINE - 2.0;
        rows.push((text_y, row));
    }
    let y = text_y + 12.5;
    let far = place.end();
    let low = point.low.or(point.value).map(x);
    let high = if point.beyond { Some(far) } else { point.high.or(point.value).map(x) };
    let corners = [(far, y - 6.0), (far + 10.0, y), (far, y + 6.0)];
    let arrow = corners.map(|(x, y)| format!("{},{}", units(x), units(y))).join(" ");
    // Ends of an interval that lies within its marker would only blur the marker.
    let has_ends = point.value.is_none() || low.zip(high).is_some_and(|(low, high)| high - low > MARKER);
    let drawing = html! {
        @for (row_y, row) in &rows { text x=(units(place.start())) y=(units(*row_y)) { (row) } }
        text x=(units(far)) y=(units(top + LINE - 2.0)) text-anchor="end" { (point.text) }
        @if let (Some(low), Some(high)) = (low, high) {
            line.whisker x1=(units(low)) x2=(units(high)) y1=(units(y)) y2=(units(y)) {}
            @if has_ends { (end_mark(low, y)) }
            @if point.beyond { polygon.solid points=(arrow) {} } @else if has_ends { (end_mark(high, y)) }
        }
        @if let Some(value) = point.value { (marker(point.place, x(value), y)) }
    };
    (y - top + 10.0, drawing)
}

/// The end of an interval.
fn end_mark(x: f64, y: f64) -> Markup {
    html! { line.whisker x1=(units(x)) x2=(units(x)) y1=(units(y - 5.0)) y2=(units(y + 5.0)) {} }
}

/// A marker a model: six shapes, that differ in outline and in filling.
pub(crate) fn marker(place: usize, x: f64, y: f64) -> Markup {
    let corners = |list: &[(f64, f64)]| {
        list.iter().map(|(dx, dy)| format!("{},{}", units(x + dx), units(y + dy))).collect::<Vec<_>>().join(" ")
    };
    let diamond = [(0.0, -8.0), (8.0, 0.0), (0.0, 8.0), (-8.0, 0.0)];
    let square = [(-6.0, -6.0), (6.0, -6.0), (6.0, 6.0), (-6.0, 6.0)];
    html! {
        @match place % 6 {
            0 => circle.solid cx=(units(x)) cy=(units(y)) r="6.5" {},
            1 => polygon.open points=(corners(&square)) {},
            2 => polygon.solid points=(corners(&[(0.0, -8.0), (8.0, 6.0), (-8.0, 6.0)])) {},
            3 => polygon.open points=(corners(&diamond)) {},
            4 => path.cross d={ "M" (units(x - 6.0)) " " (units(y - 6.0)) "l12 12m0 -12l-12 12" } {},
            _ => circle.open cx=(units(x)) cy=(units(y)) r="6.5" {},
        }
    }
}

/// End of the axis and distance of its marks: 1, 2 or 5 times a power of ten, at most six of them.
fn scale(panel: &Panel) -> (f64, f64) {
    let ends = panel.points.iter().flat_map(|point| [point.value, point.low, point.high]).flatten();
    let largest = panel.end.unwrap_or_else(|| ends.filter(|end| end.is_finite()).fold(0.0, f64::max));
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let power = 10_f64.powf((largest / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| largest / step <= 5.0);
    let step = step.unwrap_or(power * 10.0);
    (panel.end.unwrap_or_else(|| (largest / step).ceil() * step), step)
}

/// A length with one decimal, which is finer than a printer.
pub(crate) fn units(length: f64) -> String {
    format!("{length:.1}")
}

/// Breaks a label into lines: at spaces where there are some, and else anywhere.
fn wrap(label: &str, limit: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in label.split(' ') {
        let characters: Vec<char> = word.chars().collect();
        for piece in characters.chunks(limit.max(1)) {
            let Some(line) = lines.last_mut() else { continue };
            let (used, more) = (line.chars().count(), piece.len());
            if used == 0 {
                line.extend(piece);
            } else if used + 1 + more <= limit.max(1) {
                line.push(' ');
                line.extend(piece);
            } else {
                lines.push(piece.iter().collect());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[f64]) -> Panel {
        let point = |value: &f64| Point {
            label: String::new(),
            place: 0,
            value: Some(*value),
            low: None,
            high: None,
            beyond: false,
            text: String::new(),
            short: String::new(),
        };
        let points = values.iter().map(point).collect();
        Panel { title: String::new(), points, end: None, reference: None, tick: |_, value| value.to_string() }
    }

    #[test]
    fn an_axis_ends_at_a_round_number_beyond_the_largest_value() {
        assert_eq!(scale(&panel(&[3.0, 0.7])), (3.0, 1.0));
        assert_eq!(scale(&panel(&[820.0])), (1000.0, 200.0));
        assert_eq!(scale(&panel(&[])), (1.0, 0.2));
    }

    #[test]
    fn a_long_name_is_broken_and_loses_nothing() {
        let name = "x".repeat(100);
        let lines = wrap(&name, 44);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.concat(), name);
        assert_eq!(wrap("a b", 44), ["a b"]);
    }

    #[test]
    fn six_models_have_six_markers() {
        let markers: std::collections::BTreeSet<String> =
            (0..6).map(|place| marker(place, 10.0, 10.0).into_string()).collect();
        assert_eq!(markers.len(), 6);
    }
}
