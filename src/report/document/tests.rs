//! What holds for every form of the document: both languages, careful words, nothing that breaks out.

use std::collections::BTreeSet;

use crate::report::comparison::{Claim, Comparison, Figure, Metric, Verdict};

use super::grid::{Cell, Unit};
use super::view::View;
use super::words::verdicts;
use super::{Lang, csv, grids, html, sample, summary, table, xlsx};

const LANGS: [Lang; 2] = [Lang::Fr, Lang::En];

fn samples() -> [Comparison; 3] {
    [sample::rich(), sample::sparse(), sample::long_names()]
}

/// A page as a tree. HTML differs from XML in the doctype and in elements without an end.
fn parsed(page: &str) -> String {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let metas = body.matches("<meta ").count();
    let mut text = body.to_owned();
    for _ in 0..metas {
        let start = text.find("<meta ").unwrap();
        let end = start + text[start..].find('>').unwrap();
        text.replace_range(start..=end, "");
    }
    text
}

fn claim(verdict: Verdict) -> Claim {
    Claim {
        first: "openai/gpt-6-luna".into(),
        second: "mistral/mistral-small-2603".into(),
        metric: Metric::FirstText,
        primary: true,
        length: None,
        is_ratio: true,
        effect: Figure { value: Some(0.5), low: Some(0.4), high: Some(0.8), n: 320 },
        p_value: None,
        verdict,
    }
}

#[test]
fn every_page_is_well_formed_in_both_languages() {
    for comparison in &samples() {
        for lang in LANGS {
            let text = parsed(&html::render(comparison, lang));
            let tree = roxmltree::Document::parse(&text).unwrap();
            assert_eq!(tree.root_element().attribute("lang"), Some(lang.tag()));
            let count = |name: &str| tree.descendants().filter(|node| node.has_tag_name(name)).count();
            assert_eq!((count("h1"), count("main"), count("script"), count("link"), count("img")), (1, 1, 0, 0, 0));
        }
    }
}

#[test]
fn every_id_is_given_once_and_every_reference_leads_somewhere() {
    for comparison in &samples() {
        let text = parsed(&html::render(comparison, Lang::Fr));
        let tree = roxmltree::Document::parse(&text).unwrap();
        let mut ids = BTreeSet::new();
        for id in tree.descendants().filter_map(|node| node.attribute("id")) {
            assert!(ids.insert(id.to_owned()), "{id} is given twice");
        }
        let named = tree.descendants().filter_map(|node| node.attribute("aria-labelledby"));
        let linked = tree.descendants().filter_map(|node| node.attribute("href")?.strip_prefix('#'));
        for id in named.flat_map(str::split_whitespace).chain(linked) {
            assert!(ids.contains(id), "{id} is not on the page");
        }
    }
}

#[test]
fn headings_never_skip_a_level() {
    for comparison in &samples() {
        let text = parsed(&html::render(comparison, Lang::En));
        let tree = roxmltree::Document::parse(&text).unwrap();
        let level = |name: &str| name.strip_prefix('h').and_then(|level| level.parse::<u8>().ok());
        let levels: Vec<u8> = tree.descendants().filter_map(|node| level(node.tag_name().name())).collect();
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    }
}

#[test]
fn every_table_has_a_caption_and_heads_with_a_scope_and_every_drawing_a_title() {
    let text = parsed(&html::render(&sample::rich(), Lang::Fr));
    let tree = roxmltree::Document::parse(&text).unwrap();
    for table in tree.descendants().filter(|node| node.has_tag_name("table")) {
        assert!(table.children().any(|child| child.has_tag_name("caption")));
        assert!(table.descendants().filter(|node| node.has_tag_name("th")).all(|head| head.has_attribute("scope")));
        let columns = table.descendants().filter(|node| node.attribute("scope") == Some("col")).count();
        for row in table.descendants().filter(|node| node.has_tag_name("tr")) {
            assert_eq!(row.children().filter(roxmltree::Node::is_element).count(), columns);
        }
    }
    let drawings: Vec<_> = tree.descendants().filter(|node| node.has_tag_name("svg")).collect();
    assert_eq!(drawings.len(), 7);
    for drawing in drawings {
        assert_eq!(drawing.attribute("role"), Some("img"));
        for name in ["title", "desc"] {
            assert!(drawing.children().any(|child| child.has_tag_name(name)));
        }
    }
}

#[test]
fn a_name_of_a_model_never_becomes_markup() {
    let text = html::render(&sample::long_names(), Lang::Fr);
    assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains("<i>"));
    assert!(text.contains("&lt;b&gt;&amp;&quot;"));
}

#[test]
fn the_page_asks_for_no_other_file() {
    for address in ["src=", "url(http", "@import", "@font-face", "<link"] {
        assert!(!html::render(&sample::rich(), Lang::En).contains(address), "{address}");
    }
}

#[test]
fn no_figure_is_shown_without_its_observations() {
    let comparison = sample::rich();
    for lang in LANGS {
        let view = View { comparison: &comparison, lang };
        let mut figures = 0;
        for grid in grids::all(&view) {
            for cell in grid.rows.iter().flatten().filter(|cell| matches!(cell, Cell::Figure(..))) {
                let shown = cell.show(&view);
                assert!(shown.n.unwrap().starts_with("n\u{a0}=\u{a0}"));
                figures += 1;
            }
        }
        assert!(figures > 80);
    }
}

#[test]
fn a_page_shows_as_many_observations_as_figures() {
    let comparison = sample::rich();
    let view = View { comparison: &comparison, lang: Lang::Fr };
    let cells: Vec<Cell> = grids::all(&view).into_iter().flat_map(|grid| grid.rows).flatten().collect();
    let figures = cells.iter().filter(|cell| matches!(cell, Cell::Figure(..))).count();
    let text = html::render(&comparison, Lang::Fr);
    assert!(text.matches("<span class=\"detail\">n\u{a0}=").count() >= figures);
}

#[test]
fn a_model_is_called_better_only_when_the_verdict_says_so() {
    let comparison = sample::rich();
    let view = |lang| View { comparison: &comparison, lang };
    let words = |verdict, lang| verdicts::verdict(&view(lang), &claim(verdict));
    let n = "(n\u{a0}=\u{a0}320)";
    assert_eq!(words(Verdict::NoDifferenceShown, Lang::Fr), format!("aucune différence démontrée {n}"));
    assert_eq!(words(Verdict::NoDifferenceShown, Lang::En), format!("no difference shown {n}"));
    assert_eq!(words(Verdict::TooFew, Lang::Fr), format!("trop peu d’observations {n}"));
    assert_eq!(words(Verdict::Exploratory, Lang::En), format!("figures without a claim {n}"));
    let first = words(Verdict::FirstBetter, Lang::Fr);
    assert_eq!(first, format!("gpt-6-luna fait moins attendre que mistral-small-2603 {n}"));
    let second = words(Verdict::SecondBetter, Lang::En);
    assert_eq!(second, format!("mistral-small-2603 keeps people waiting less than gpt-6-luna {n}"));
    for verdict in [
        Verdict::Uncertain,
        Verdict::NoPracticalDifference,
        Verdict::NoDifferenceShown,
        Verdict::TooFew,
        Verdict::Exploratory,
    ] {
        for lang in LANGS {
            let words = words(verdict, lang);
            assert!(!words.contains("gpt-6-luna") && !words.contains(lang.pick(" que ", " than ")), "{words}");
        }
    }
}

#[test]
fn a_comparison_without_claims_claims_nothing_whatever_its_verdicts() {
    let comparison = Comparison { claims: false, ..sample::rich() };
    for lang in LANGS {
        let text = html::render(&comparison, lang) + &table::render(&comparison, lang);
        for words in
            ["coûte moins par réponse que", "fait moins attendre que", "costs less an answer", "keeps people waiting"]
        {
            assert!(!text.contains(words), "{words}");
        }
        assert!(text.contains(lang.pick("Document exploratoire", "Exploratory document")));
    }
    assert!(!csv::render(&comparison).unwrap().contains("_better"));
}

#[test]
fn a_difference_is_told_as_the_winner_sees_it() {
    let comparison = sample::rich();
    let view = View { comparison: &comparison, lang: Lang::En };
    let first = verdicts::shown_difference(&view, &claim(Verdict::FirstBetter)).unwrap();
    assert!(first.ends_with("(50% less, 20% to 60%; n\u{a0}=\u{a0}320)"), "{first}");
    let turned = Claim {
        effect: Figure { value: Some(2.0), low: Some(1.25), high: Some(2.5), n: 320 },
        ..claim(Verdict::SecondBetter)
    };
    let second = verdicts::shown_difference(&view, &turned).unwrap();
    assert!(second.ends_with("(50% less, 20% to 60%; n\u{a0}=\u{a0}320)"), "{second}");
    assert_eq!(verdicts::shown_difference(&view, &claim(Verdict::NoDifferenceShown)), None);
}

#[test]
fn with_two_models_each_has_its_share_of_the_votes() {
    let mut comparison = sample::rich();
    comparison.duels.pairs.truncate(1);
    comparison.duels.ranking.clear();
    let view = View { comparison: &comparison, lang: Lang::En };
    let preferences: Vec<String> =
        grids::council::glance(&view).rows.iter().map(|row| row[5].show(&view).main).collect();
    assert_eq!(preferences, ["55.9%", "44.1%", "–"]);
    let interval = grids::council::glance(&view).rows[1][5].show(&view).interval;
    assert_eq!(interval.as_deref(), Some("34.1 to 54.1%"));
}

#[test]
fn a_time_beyond_the_limit_is_said_to_be_so() {
    let comparison = sample::rich();
    let view = View { comparison: &comparison, lang: Lang::Fr };
    let beyond = |value| Cell::Figure(Figure { value, low: Some(2_300.0), high: None, n: 90 }, Unit::Time).show(&view);
    assert_eq!(beyond(None).main, "plus de 60\u{a0}s");
    assert_eq!(beyond(Some(2_900.0)).interval.unwrap(), "de 2,30\u{a0}s à plus de 60\u{a0}s");
    let never = Cell::Figure(Figure { value: None, low: None, high: None, n: 0 }, Unit::Time).show(&view);
    assert_eq!((never.main.as_str(), never.interval), ("–", None));
}

#[test]
fn suppressed_cells_show_no_figure_in_any_form() {
    let mut comparison = sample::rich();
    // Even if a suppressed cell carried a figure by mistake.
    for slice in comparison.conversations.slices.iter_mut().filter(|slice| slice.suppressed) {
        slice.questions = Some(7_777);
        slice.cost_per_answer = Some(77_770_000.0);
    }
    let text = html::render(&comparison, Lang::Fr) + &table::render(&comparison, Lang::Fr);
    assert!(text.contains("moins de 11 personnes"));
    assert!(!text.contains("7\u{202f}777") && !text.contains("7,777"));
    assert!(!csv::render(&comparison).unwrap().contains("7777"));
}

#[test]
fn warnings_stand_before_everything_else() {
    let text = html::render(&sample::long_names(), Lang::Fr);
    let band = text.find("Fournisseurs simulés").unwrap();
    assert!(band < text.find("<main").unwrap());
    assert!(!html::render(&sample::rich(), Lang::Fr).contains("Fournisseurs simulés"));
}

#[test]
fn the_three_sentences_give_cost_verdicts_and_forecast() {
    let comparison = sample::rich();
    let [cost, shown, forecast] = summary::three(&View { comparison: &comparison, lang: Lang::En });
    assert!(cost.contains("0.150 cents") && cost.contains("2 to 3 cents"), "{cost}");
    assert!(shown.contains("gpt-6-luna costs less an answer than gpt-6.1-terra (90% less, 89% to 91%;"), "{shown}");
    assert!(shown.contains("no difference shown for 2 pairs"), "{shown}");
    assert!(forecast.contains("€571") && forecast.contains("€10,000"), "{forecast}");
    assert!(forecast.contains("gpt-6-luna, but that changes with some weights"), "{forecast}");
}

#[test]
fn the_terminal_has_120_columns() {
    for comparison in &samples() {
        for lang in LANGS {
            for line in table::render(comparison, lang).lines() {
                assert!(line.chars().count() <= 120, "{line}");
            }
        }
    }
}

#[test]
fn the_long_table_has_a_line_a_figure_and_eleven_columns() {
    let text = csv::render(&sample::rich()).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap();
    assert_eq!(head, "section,model,other_model,metric,slice,value,low,high,n,unit,verdict");
    assert!(text.contains("probes,openai/gpt-6-luna,,cost_per_answer,,0.000372000,0.000360840,0.000383160,8960,EUR,"));
    let claim =
        "probes,openai/gpt-6-luna,mistral/mistral-small-2603,cost_per_answer,,0.74,0.7,0.78,8940,ratio,first_better";
    assert!(text.contains(claim));
    assert!(text.contains("medium · local · night,,,,,ms,suppressed"));
    assert!(lines.count() > 150);
}

#[test]
fn sheets_have_names_of_their_own_that_a_workbook_allows() {
    for comparison in &samples() {
        for lang in LANGS {
            let view = View { comparison, lang };
            let mut names = BTreeSet::new();
            for grid in grids::all(&view) {
                assert!(grid.sheet.chars().count() <= 31, "{}", grid.sheet);
                assert!(names.insert(grid.sheet.to_lowercase()), "{} is there twice", grid.sheet);
            }
        }
    }
}

#[test]
fn the_same_comparison_gives_the_same_workbook() {
    for comparison in &samples() {
        let book = || xlsx::render(comparison, Lang::Fr).unwrap();
        let first = book();
        assert!(first.starts_with(b"PK"));
        assert_eq!(first, book());
    }
}

#[test]
fn every_row_has_a_cell_a_column() {
    for comparison in &samples() {
        let view = View { comparison, lang: Lang::Fr };
        for grid in grids::all(&view) {
            assert!(grid.rows.iter().all(|row| row.len() == grid.columns.len()), "{}", grid.id);
        }
    }
}
