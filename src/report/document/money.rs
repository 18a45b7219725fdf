//! Nano-euros in words, by integer arithmetic alone. It knows no price and no currency but the euro.

use super::Lang;
use super::numbers::{NO_BREAK, group, sign};

const NANOS_PER_EURO: u32 = 9;
const NANOS_PER_CENT: u32 = 7;

/// Euros with so many decimals (9 at most), rounded half away from zero: `1 234,50 €`, `€1,234.50`.
pub(crate) fn euros(lang: Lang, nanos: i64, decimals: u32) -> String {
    let amount = fixed(lang, nanos.unsigned_abs(), NANOS_PER_EURO, decimals);
    let sign = sign(nanos < 0 && amount.bytes().any(|byte| (b'1'..=b'9').contains(&byte)));
    lang.pick(format!("{sign}{amount}{NO_BREAK}€"), format!("{sign}€{amount}"))
}

/// Cents of a euro without the word, rounded half away from zero: three decimals below ten cents, two above.
pub(crate) fn cents(lang: Lang, nanos: i64) -> String {
    let decimals = if nanos.unsigned_abs() < 10 * 10_u64.pow(NANOS_PER_CENT) { 3 } else { 2 };
    let amount = fixed(lang, nanos.unsigned_abs(), NANOS_PER_CENT, decimals);
    format!("{}{amount}", sign(nanos < 0))
}

/// The same without zeros at the end: `2`, `2,5`.
pub(crate) fn cents_short(lang: Lang, nanos: i64) -> String {
    let mark = lang.pick(',', '.');
    let text = cents(lang, nanos);
    text.trim_end_matches('0').trim_end_matches(mark).to_owned()
}

/// Euros with all nine decimals and a point, for machines.
pub(crate) fn exact(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let unit = 10_u64.pow(NANOS_PER_EURO);
    format!("{sign}{}.{:09}", nanos.unsigned_abs() / unit, nanos.unsigned_abs() % unit)
}

fn fixed(lang: Lang, nanos: u64, unit_digits: u32, decimals: u32) -> String {
    let dropped = 10_u64.pow(unit_digits.saturating_sub(decimals));
    let rounded = nanos / dropped + u64::from(nanos % dropped >= dropped.div_ceil(2) && dropped > 1);
    let scale = 10_u64.pow(decimals.min(unit_digits));
    let whole = group(lang, &(rounded / scale).to_string());
    if decimals == 0 {
        return whole;
    }
    let width = usize::try_from(decimals).unwrap_or_default();
    format!("{whole}{}{:0width$}", lang.pick(',', '.'), rounded % scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn euros_follow_the_typography_of_the_language() {
        assert_eq!(euros(Lang::Fr, 1_234_567_890_000, 2), "1\u{202f}234,57\u{a0}€");
        assert_eq!(euros(Lang::En, 1_234_567_890_000, 2), "€1,234.57");
        assert_eq!(euros(Lang::Fr, -500_000_000, 0), "\u{2212}1\u{a0}€");
        assert_eq!(euros(Lang::En, -1, 2), "€0.00");
    }

    #[test]
    fn small_amounts_keep_three_decimals_of_a_cent() {
        assert_eq!(cents(Lang::Fr, 350_000), "0,035");
        assert_eq!(cents(Lang::En, 20_000_000), "2.000");
        assert_eq!(cents(Lang::En, 1_234_567_890), "123.46");
        assert_eq!(cents_short(Lang::Fr, 20_000_000), "2");
        assert_eq!(cents_short(Lang::Fr, 25_000_000), "2,5");
    }

    proptest! {
        #[test]
        fn the_exact_form_reads_back(nanos in any::<i64>()) {
            let text = exact(nanos).replace('.', "");
            prop_assert_eq!(text.parse::<i64>().unwrap(), nanos);
        }
    }
}
