//! Tables of probes and of conversations: results by model, by kind of question, and what may be said of pairs.

use crate::report::comparison::{Claim, ConversationSection, Figure, ModelFigures, Slice};
use crate::report::document::grid::{Cell, Grid, Unit};
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose, sentences, terms, verdicts};

/// Names of the tables of one kind of evidence.
struct Names {
    id: &'static str,
    sheet: &'static str,
    results: &'static str,
    costs: &'static str,
    slices: &'static str,
    claims: &'static str,
}

/// Tables of probes.
pub(crate) fn probes(view: &View<'_>) -> Vec<Grid> {
    let lang = view.lang;
    let names = Names {
        id: "probes",
        sheet: lang.pick("Sondes", "Probes"),
        results: prose::probes_caption(lang),
        costs: prose::probes_cost_caption(lang),
        slices: prose::probes_slices_caption(lang),
        claims: prose::probes_claims_caption(lang),
    };
    let section = &view.comparison.probes;
    vec![
        results(view, &names, &section.models),
        costs(view, &names, &section.models),
        slices(view, &names, &section.slices),
        claims(view, &names, &section.claims),
    ]
}

/// Tables of conversations.
pub(crate) fn conversations(view: &View<'_>) -> Vec<Grid> {
    let lang = view.lang;
    let names = Names {
        id: "conversations",
        sheet: "Conversations",
        results: prose::conversations_caption(lang),
        costs: prose::conversations_cost_caption(lang),
        slices: prose::conversations_slices_caption(lang),
        claims: prose::conversations_claims_caption(lang),
    };
    let section = &view.comparison.conversations;
    let mut grids = drawn(view, &names, section);
    grids.extend([left_out(view, section), chosen(view, section)]);
    grids
}

/// Tables of blocks of time, where there are some.
pub(crate) fn blocks(view: &View<'_>) -> Vec<Grid> {
    let lang = view.lang;
    let names = Names {
        id: "blocks",
        sheet: lang.pick("Tranches", "Blocks"),
        results: prose::blocks_caption(lang),
        costs: prose::blocks_cost_caption(lang),
        slices: prose::blocks_slices_caption(lang),
        claims: prose::blocks_claims_caption(lang),
    };
    view.comparison.blocks.as_ref().map(|section| drawn(view, &names, section)).unwrap_or_default()
}

/// What may be said of pairs in blind duels.
pub(crate) fn duel_claims(view: &View<'_>) -> Grid {
    let caption = prose::duels_claims_caption(view.lang);
    let names = Names { id: "duels", sheet: "Duels", results: "", costs: "", slices: "", claims: caption };
    claims(view, &names, &view.comparison.duels.claims)
}

fn drawn(view: &View<'_>, names: &Names, section: &ConversationSection) -> Vec<Grid> {
    vec![
        results(view, names, &section.models),
        costs(view, names, &section.models),
        slices(view, names, &section.slices),
        claims(view, names, &section.claims),
    ]
}

fn results(view: &View<'_>, names: &Names, models: &[ModelFigures]) -> Grid {
    let lang = view.lang;
    let with_checks = models.iter().any(|model| model.checks.is_some());
    let mut heads = vec![
        (terms::answered(lang), Unit::Share, (|model| model.answered) as fn(&ModelFigures) -> Figure),
        (terms::prompt(lang), Unit::Share, |model| model.prompt),
        (terms::first_text(lang), Unit::Time, |model| model.first_text),
        (terms::first_text_p95(lang), Unit::Time, |model| model.first_text_p95),
        (terms::duration(lang), Unit::Time, |model| model.duration),
        (terms::duration_p95(lang), Unit::Time, |model| model.duration_p95),
    ];
    if with_checks {
        heads.push((terms::checks(lang), Unit::Share, |model| model.checks.unwrap_or(UNKNOWN)));
    }
    figures_grid(view, (names.id, "results"), names.sheet, names.results, models, &heads)
}

fn costs(view: &View<'_>, names: &Names, models: &[ModelFigures]) -> Grid {
    let lang = view.lang;
    let heads: [Head<'_>; 3] = [
        (terms::cost_per_question(lang), Unit::Cost, |model| model.cost_per_question),
        (terms::cost_per_answer(lang), Unit::Cost, |model| model.cost_per_answer),
        (terms::cost_per_1000(lang), Unit::Cost, |model| model.cost_per_1000_chars),
    ];
    let sheet = format!("{} – {}", names.sheet, lang.pick("coûts", "costs"));
    figures_grid(view, (names.id, "costs"), &sheet, names.costs, models, &heads)
}

const UNKNOWN: Figure = Figure { value: None, low: None, high: None, n: 0 };

type Head<'a> = (&'a str, Unit, fn(&ModelFigures) -> Figure);

fn figures_grid(
    view: &View<'_>,
    (section, part): (&str, &str),
    sheet: &str,
    caption: &str,
    models: &[ModelFigures],
    heads: &[Head<'_>],
) -> Grid {
    let lang = view.lang;
    let mut names = vec![terms::model(lang).to_owned()];
    names.extend(heads.iter().map(|(head, _, _)| format!("#{head}")));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = models.iter().map(|model| {
        let mut row = vec![Cell::Head(view.name(&model.model))];
        row.extend(heads.iter().map(|(_, unit, pick)| Cell::Figure(pick(model), *unit)));
        row
    });
    Grid::new(&format!("{section}-{part}"), sheet, caption.to_owned(), &names).with_rows(rows)
}

fn slices(view: &View<'_>, names: &Names, slices: &[Slice]) -> Grid {
    let lang = view.lang;
    let heads = [
        terms::class(lang).to_owned(),
        terms::model(lang).to_owned(),
        format!("#{} (n)", terms::questions(lang)),
        format!("#{}", terms::answered(lang)),
        format!("#{}", terms::first_text(lang)),
        format!("#{}", terms::duration(lang)),
        format!("#{}", terms::cost_per_answer(lang)),
        format!("#{}", terms::interrupted(lang)),
    ];
    // The town leaves none of its own questions.
    let is_interruptible = slices.iter().any(|slice| slice.interrupted.is_some());
    let columns = heads.len() - usize::from(!is_interruptible);
    let heads: Vec<&str> = heads.iter().take(columns).map(String::as_str).collect();
    let rows = slices.iter().map(|slice| {
        let value =
            |value: Option<f64>, unit| if slice.suppressed { Cell::Suppressed } else { Cell::Value(value, unit) };
        let count = |count| if slice.suppressed { Cell::Suppressed } else { Cell::Count(count) };
        let mut row = vec![
            Cell::Head(closed::slice(lang, &slice.name)),
            Cell::Text(view.name(&slice.model)),
            count(slice.questions),
            value(slice.answered, Unit::Share),
            value(slice.first_text, Unit::Time),
            value(slice.duration, Unit::Time),
            value(slice.cost_per_answer, Unit::Cost),
            count(slice.interrupted),
        ];
        row.truncate(columns);
        row
    });
    let sheet = format!("{} – {}", names.sheet, lang.pick("groupes", "groups"));
    Grid::new(&format!("{}-slices", names.id), &sheet, names.slices.to_owned(), &heads).with_rows(rows)
}

fn claims(view: &View<'_>, names: &Names, claims: &[Claim]) -> Grid {
    let lang = view.lang;
    let heads = [
        terms::pair(lang).to_owned(),
        terms::measure(lang).to_owned(),
        format!("#{}", terms::effect(lang)),
        format!("#{}", terms::p_value(lang)),
        terms::announced(lang).to_owned(),
        terms::conclusion(lang).to_owned(),
    ];
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let rows = claims.iter().map(|claim| {
        let metric = closed::metric(lang, claim.metric);
        let measure =
            claim.length.as_ref().map(|length| sentences::of_class(lang, metric, &closed::slice(lang, length)));
        vec![
            Cell::Head(pair(view, &claim.first, &claim.second)),
            Cell::Text(measure.unwrap_or_else(|| metric.to_owned())),
            Cell::Figure(claim.effect, verdicts::unit(claim)),
            Cell::Number(claim.p_value, 3),
            Cell::Text((if claim.primary { terms::yes } else { terms::exploratory_metric })(lang).to_owned()),
            Cell::Text(verdicts::verdict(view, claim)),
        ]
    });
    let sheet = format!("{} – {}", names.sheet, lang.pick("conclusions", "claims"));
    Grid::new(&format!("{}-claims", names.id), &sheet, names.claims.to_owned(), &heads).with_rows(rows)
}

/// Two models in one heading.
pub(crate) fn pair(view: &View<'_>, first: &str, second: &str) -> String {
    format!("{} / {}", view.short_name(first), view.short_name(second))
}

fn left_out(view: &View<'_>, section: &ConversationSection) -> Grid {
    let lang = view.lang;
    let rows = section
        .models_left_out
        .iter()
        .map(|(model, reason)| vec![Cell::Head(view.name(model)), Cell::Text(closed::left_out(lang, reason))]);
    let sheet = lang.pick("Modèles écartés", "Models left out");
    let caption = prose::left_out_caption(lang).to_owned();
    Grid::new("left-out", sheet, caption, &[terms::model(lang), terms::reason(lang)]).with_rows(rows)
}

fn chosen(view: &View<'_>, section: &ConversationSection) -> Grid {
    let lang = view.lang;
    let rows =
        section.chosen.iter().map(|(model, questions)| vec![Cell::Head(view.name(model)), Cell::Persons(*questions)]);
    let sheet = lang.pick("Choix des habitants", "Residents’ choice");
    let questions = format!("#{}", terms::questions(lang));
    let caption = prose::chosen_caption(lang).to_owned();
    Grid::new("chosen", sheet, caption, &[terms::model(lang), &questions]).with_rows(rows)
}
