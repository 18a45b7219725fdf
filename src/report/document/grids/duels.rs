//! Tables of blind duels.

use crate::report::document::grid::{Cell, Grid, Unit};
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose, sentences, terms};

use super::measured;

/// Tables of duels.
pub(crate) fn all(view: &View<'_>) -> Vec<Grid> {
    vec![pairs(view), bias(view), ranking(view), measured::duel_claims(view), qualifiers(view)]
}

fn numbered(heads: &[String]) -> Vec<&str> {
    heads.iter().map(String::as_str).collect()
}

fn pairs(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads = [
        terms::pair(lang).to_owned(),
        format!("#{}", terms::first_wins(lang)),
        format!("#{}", terms::second_wins(lang)),
        format!("#{}", terms::ties(lang)),
        format!("#{}", terms::share_first(lang)),
    ];
    let rows = view.comparison.duels.pairs.iter().map(|pair| {
        vec![
            Cell::Head(measured::pair(view, &pair.first, &pair.second)),
            Cell::Count(Some(pair.first_wins)),
            Cell::Count(Some(pair.second_wins)),
            Cell::Count(Some(pair.ties)),
            Cell::Figure(pair.share, Unit::Share),
        ]
    });
    Grid::new("duels-pairs", "Duels", prose::duels_caption(lang).to_owned(), &numbered(&heads)).with_rows(rows)
}

fn bias(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads = [
        terms::pair(lang).to_owned(),
        format!("#{}", terms::left_share(lang)),
        format!("#{}", terms::longer_share(lang)),
        format!("#{}", terms::like_length(lang)),
    ];
    let rows = view.comparison.duels.pairs.iter().map(|pair| {
        vec![
            Cell::Head(measured::pair(view, &pair.first, &pair.second)),
            Cell::Value(pair.left_share, Unit::Share),
            Cell::Value(pair.longer_share, Unit::Share),
            Cell::Figure(pair.share_at_like_length, Unit::Share),
        ]
    });
    let sheet = lang.pick("Duels – côté et longueur", "Duels – side and length");
    Grid::new("duels-bias", sheet, prose::duels_bias_caption(lang).to_owned(), &numbered(&heads)).with_rows(rows)
}

fn ranking(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads =
        [terms::model(lang).to_owned(), format!("#{}", terms::score(lang)), format!("#{}", terms::rank_range(lang))];
    let rows = view.comparison.duels.ranking.iter().map(|rank| {
        let (best, worst) = rank.rank;
        vec![
            Cell::Head(view.name(&rank.model)),
            Cell::Figure(rank.score, Unit::Score),
            Cell::Text(sentences::ranks(lang, best, worst)),
        ]
    });
    let sheet = lang.pick("Duels – classement", "Duels – ranking");
    Grid::new("duels-ranking", sheet, prose::duels_ranking_caption(lang).to_owned(), &numbered(&heads)).with_rows(rows)
}

fn qualifiers(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads =
        [terms::model(lang).to_owned(), terms::qualifier(lang).to_owned(), format!("#{}", terms::share_of_duels(lang))];
    let rows = view.comparison.duels.qualifiers.iter().map(|(model, word, share)| {
        vec![
            Cell::Head(view.name(model)),
            Cell::Text(closed::qualifier(lang, word)),
            Cell::Value(Some(*share), Unit::Share),
        ]
    });
    let sheet = lang.pick("Duels – qualificatifs", "Duels – qualifiers");
    Grid::new("duels-qualifiers", sheet, prose::duels_qualifiers_caption(lang).to_owned(), &numbered(&heads))
        .with_rows(rows)
}
