//! How a value becomes a mark between 0 and 1.
//!
//! Every rule gives the best value the full mark, and never gives a worse value more: a method that does not give the
//! best mark to the lowest price is unlawful (Conseil d'État, 29 October 2013, n° 370789). It must not know weights.

use serde::{Deserialize, Serialize};

use super::{Criterion, Offer};

/// The rule of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The price of the reference basket, by the price formula.
    Price,
    /// A measured value of which less is better (seconds, watt-hours): best value divided by the offer's.
    LowerIsBetter,
    /// A measured value of which more is better (tokens per second): the offer's divided by the best value.
    HigherIsBetter,
    /// A share between 0 and 1 (answers judged right): the mark itself.
    Share,
}

impl Rule {
    /// What the rule takes, where it does not take `value`.
    pub(super) fn refuses(self, value: f64) -> Option<&'static str> {
        let (taken, range) = match self {
            Self::Price => (false, "given as the price of the offer"),
            Self::LowerIsBetter | Self::HigherIsBetter => {
                (value.is_finite() && value >= 0.0, "a number that is not negative")
            }
            Self::Share => ((0.0..=1.0).contains(&value), "a share between 0 and 1"),
        };
        (!taken).then_some(range)
    }
}

/// How a price becomes a mark: the three methods of the note of the ministry's legal directorate (DAJ, 2 January 2024,
/// <https://www.economie.gouv.fr/daj/methodes-notation-critere-prix-outil-pratique>) on marking the price. `P` is the offer's price, `Pmin`, `Pmax` and `Pmean` those of all offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceFormula {
    /// `Pmin / P`. Twice the price gives half the mark; the dearest never gets zero.
    Classic,
    /// `1 - (P - Pmin) / (Pmax - Pmin)`. The dearest always gets zero; with two offers that is all or nothing.
    Linear,
    /// `1 - (P - Pmin) / (2 * Pmean)`, not below zero. A price gap as large as the mean price costs half the mark. The
    /// ministry's page says in words that offers are set against the mean price of all offers; the note's own formula
    /// was not at hand. This form follows the words and gives the lowest price the full mark.
    AverageOfOffers,
}

impl PriceFormula {
    /// All three, in the note's order.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Linear, Self::AverageOfOffers];

    /// The formula as printed, for a weight of `Nmax`.
    pub fn formula(self) -> &'static str {
        match self {
            Self::Classic => "N = Nmax × Pmin / P",
            Self::Linear => "N = Nmax × (1 − (P − Pmin) / (Pmax − Pmin))",
            Self::AverageOfOffers => "N = Nmax × max(0 ; 1 − (P − Pmin) / (2 × Pmoy))",
        }
    }

    /// What a reader must know of it, in English.
    pub fn caution(self) -> &'static str {
        match self {
            Self::Classic => "Suits few offers of similar prices; gaps between high prices count for little.",
            Self::Linear => {
                "Unstable with few offers: the dearest gets zero whatever the gap, and a new offer moves all marks. Where the price weighs much, a judge may find that it leaves the other criteria without effect."
            }
            Self::AverageOfOffers => {
                "Flattens gaps. The form taken here follows the ministry's description in words: check it against the note before an award."
            }
        }
    }

    /// What a reader must know of it, in French.
    pub fn caution_french(self) -> &'static str {
        match self {
            Self::Classic => "Convient à peu d'offres de prix proches ; les écarts entre prix élevés comptent peu.",
            Self::Linear => {
                "Instable avec peu d'offres : la plus chère obtient zéro quel que soit l'écart, et une nouvelle offre déplace toutes les notes. Si le prix pèse lourd, le juge peut estimer qu'elle neutralise les autres critères."
            }
            Self::AverageOfOffers => {
                "Écrase les écarts. La forme retenue ici suit la description en mots du ministère : la vérifier dans la fiche avant une attribution."
            }
        }
    }

    /// The mark of `price` among `prices`, none of which is negative.
    fn mark(self, price: i64, prices: &[i64]) -> f64 {
        let (Some(lowest), Some(highest)) = (prices.iter().min(), prices.iter().max()) else { return 0.0 };
        if price == *lowest {
            return 1.0;
        }
        let gap = i128::from(price) - i128::from(*lowest);
        match self {
            Self::Classic => *lowest as f64 / price as f64,
            Self::Linear => 1.0 - gap as f64 / (i128::from(*highest) - i128::from(*lowest)) as f64,
            Self::AverageOfOffers => {
                // (P - Pmin) / (2 * sum / n), in whole numbers up to the one division.
                let sum: i128 = prices.iter().copied().map(i128::from).sum();
                (1.0 - (gap * prices.len() as i128) as f64 / (2 * sum) as f64).max(0.0)
            }
        }
    }
}

/// The marks of all offers in a criterion of which every value is known, in the offers' order.
pub(super) fn of(criterion: &Criterion, formula: PriceFormula, offers: &[Offer]) -> Vec<f64> {
    if criterion.rule == Rule::Price {
        let prices: Vec<_> = offers.iter().filter_map(|offer| offer.price_nanos).collect();
        return prices.iter().map(|price| formula.mark(*price, &prices)).collect();
    }
    let values: Vec<_> = offers.iter().filter_map(|offer| offer.values.get(&criterion.key).copied()).collect();
    let best = match criterion.rule {
        Rule::HigherIsBetter => values.iter().copied().reduce(f64::max),
        _ => values.iter().copied().reduce(f64::min),
    };
    let mark = |value: f64| match criterion.rule {
        Rule::Share => value,
        // Also where the best is zero, of which there are no proportions.
        _ if Some(value) == best => 1.0,
        Rule::HigherIsBetter => best.map_or(0.0, |best| value / best),
        Rule::Price | Rule::LowerIsBetter => best.map_or(0.0, |best| best / value),
    };
    values.into_iter().map(mark).collect()
}
