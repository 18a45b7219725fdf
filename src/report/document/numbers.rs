//! Numbers and days as a reader of each language writes them. It knows no figure of the comparison.

use super::Lang;

/// Holds a number and its unit together.
pub(crate) const NO_BREAK: char = '\u{a0}';
/// The same, thin: thousands, and the space before a percent sign, in French.
const THIN: char = '\u{202f}';
/// What stands for a value that is not known.
pub(crate) const NOT_KNOWN: &str = "–";

/// A minus sign where there is need of one.
pub(crate) fn sign(negative: bool) -> &'static str {
    if negative { "\u{2212}" } else { "" }
}

/// Groups digits by three.
pub(crate) fn group(lang: Lang, digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(lang.pick(THIN, ','));
        }
        text.push(digit);
    }
    text
}

/// A whole number.
pub(crate) fn integer(lang: Lang, value: u64) -> String {
    group(lang, &value.to_string())
}

/// A number with so many decimals.
pub(crate) fn decimal(lang: Lang, value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let negative = value < 0.0 && plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let text = match plain.split_once('.') {
        Some((whole, fraction)) => format!("{}{}{fraction}", group(lang, whole), lang.pick(',', '.')),
        None => group(lang, &plain),
    };
    format!("{}{text}", sign(negative))
}

/// A share as a percentage: `12,5 %`, `12.5%`.
pub(crate) fn percent(lang: Lang, share: f64, decimals: usize) -> String {
    let number = decimal(lang, share * 100.0, decimals);
    lang.pick(format!("{number}{THIN}%"), format!("{number}%"))
}

/// A percentage with a decimal only where it has one.
pub(crate) fn short_percent(lang: Lang, percentage: f64) -> String {
    let tenths = (percentage * 10.0).round();
    percent(lang, percentage / 100.0, usize::from(tenths % 10.0 != 0.0))
}

/// Milliseconds as a number of seconds: two decimals below ten, one above.
pub(crate) fn seconds(lang: Lang, millis: f64) -> String {
    let value = millis / 1_000.0;
    decimal(lang, value, if value.abs() < 10.0 { 2 } else { 1 })
}

/// An ISO day (`2026-10-01`) in words; what is no such day is left as it is.
pub(crate) fn day(lang: Lang, iso: &str) -> String {
    day_in_words(lang, iso).unwrap_or_else(|| iso.to_owned())
}

/// An ISO month (`2026-10`) in words.
pub(crate) fn month(lang: Lang, iso: &str) -> String {
    let name = iso.split_once('-').and_then(|(year, number)| Some((year, month_name(lang, number)?)));
    name.map_or_else(|| iso.to_owned(), |(year, name)| format!("{name} {year}"))
}

fn day_in_words(lang: Lang, iso: &str) -> Option<String> {
    let mut parts = iso.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let day: u8 = day.parse().ok()?;
    let month = month_name(lang, month)?;
    Some(match (lang, day) {
        (Lang::Fr, 1) => format!("1er{NO_BREAK}{month} {year}"),
        _ => format!("{day}{NO_BREAK}{month} {year}"),
    })
}

fn month_name(lang: Lang, number: &str) -> Option<&'static str> {
    const FR: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    const EN: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let index = number.parse::<usize>().ok()?.checked_sub(1)?;
    lang.pick(FR, EN).get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn french_numbers_have_a_comma_and_thin_spaces() {
        assert_eq!(integer(Lang::Fr, 1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(decimal(Lang::Fr, -1234.5, 1), "\u{2212}1\u{202f}234,5");
        assert_eq!(percent(Lang::Fr, 0.125, 1), "12,5\u{202f}%");
        assert_eq!(seconds(Lang::Fr, 840.0), "0,84");
    }

    #[test]
    fn english_numbers_have_a_point_and_commas() {
        assert_eq!(integer(Lang::En, 1_234_567), "1,234,567");
        assert_eq!(percent(Lang::En, 0.125, 1), "12.5%");
        assert_eq!(seconds(Lang::En, 12_340.0), "12.3");
    }

    #[test]
    fn nothing_is_less_than_zero_after_rounding() {
        assert_eq!(decimal(Lang::En, -0.001, 2), "0.00");
    }

    #[test]
    fn days_are_written_out() {
        assert_eq!(day(Lang::Fr, "2026-10-01"), "1er\u{a0}octobre 2026");
        assert_eq!(day(Lang::En, "2026-10-28"), "28\u{a0}October 2026");
        assert_eq!(month(Lang::Fr, "2026-08"), "août 2026");
        assert_eq!(day(Lang::Fr, "soon"), "soon");
        assert_eq!(month(Lang::En, "2026-13"), "2026-13");
    }
}
