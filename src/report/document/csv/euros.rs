//! Lines on money.

use crate::report::comparison::EuroSection;
use crate::report::document::grids::euros::share_of_basis_points;
use crate::report::document::money::exact;

use super::{EUR, Row, number};

fn row(model: &str, metric: &str, nanos: Option<i64>, n: Option<u64>) -> Row {
    Row {
        section: "euros",
        model: model.to_owned(),
        metric: metric.to_owned(),
        value: nanos.map(exact).unwrap_or_default(),
        n: n.map(|n| n.to_string()).unwrap_or_default(),
        unit: EUR,
        ..Row::default()
    }
}

/// Every amount of the section.
pub(super) fn rows(section: &EuroSection) -> Vec<Row> {
    let mut rows = vec![
        row("", "charged_residents", Some(section.residents_euro_nanos), Some(section.questions)),
        row("", "charged_probes", Some(section.probes_euro_nanos), None),
        row("", "charged_duels", section.duels_euro_nanos, None),
        row("", "cost_per_question", section.per_question_euro_nanos, Some(section.questions)),
        row("", "assumed_per_question_low", Some(section.assumed_euro_nanos.0), None),
        row("", "assumed_per_question_high", Some(section.assumed_euro_nanos.1), None),
        row("", "envelope_of_year", Some(section.envelope_euro_nanos), None),
        row("", "spent_this_year", Some(section.spent_euro_nanos), None),
    ];
    if let Some((value, low, high)) = section.forecast_euro_nanos {
        let forecast = row("", "forecast_end_of_year", Some(value), None);
        rows.push(Row { low: exact(low), high: exact(high), ..forecast });
    }
    rows.extend(section.per_resident.iter().map(|(month, residents, nanos)| Row {
        slice: month.clone(),
        verdict: (if residents.is_none() { "suppressed" } else { "" }).to_owned(),
        ..row("", "cost_per_resident", residents.and(*nanos), *residents)
    }));
    rows.extend(by_model(section));
    rows.extend(elsewhere(section));
    rows
}

fn by_model(section: &EuroSection) -> impl Iterator<Item = Row> {
    section.rows.iter().flat_map(|cost| {
        let model = cost.model.as_str();
        let share =
            |metric, value| Row { value: number(value, ""), unit: "share", ..row(model, metric, None, cost.answers) };
        [
            row(model, "cost_of_period", cost.cost_euro_nanos, cost.questions),
            row(model, "uncertain_cost_of_period", cost.uncertain_euro_nanos, cost.questions),
            row(model, "cost_per_question", cost.per_question_euro_nanos, cost.questions),
            row(model, "cost_per_answer", cost.per_answer_euro_nanos, cost.answers),
            row(model, "cost_per_1000_characters", cost.per_1000_chars_euro_nanos, cost.answers),
            share("reasoning_share", cost.reasoning_share),
            share("cached_share", cost.cached_share),
        ]
    })
}

fn elsewhere(section: &EuroSection) -> Vec<Row> {
    let mut rows = Vec::new();
    for priced in &section.repriced {
        let model = priced.model.as_str();
        rows.extend([
            row(model, "same_period_with_cache", Some(priced.euro_nanos), None),
            row(model, "same_period_without_cache", Some(priced.uncached_euro_nanos), None),
            row(model, "same_period_eu_host", priced.eu_euro_nanos, None),
            row(model, "same_period_with_vat", Some(priced.with_vat_euro_nanos), None),
            row(model, "same_period_per_answer", Some(priced.per_answer_euro_nanos), None),
            row(model, "same_period_own_lengths_per_answer", priced.own_tokens_euro_nanos, None),
        ]);
    }
    for case in &section.what_if {
        let model = case.model.as_str();
        rows.extend(case.raised.iter().map(|(rise, nanos)| Row {
            slice: format!("rise {rise}%"),
            ..row(model, "cost_per_answer_after_rise", Some(*nanos), None)
        }));
        rows.extend([
            row(model, "cost_per_answer_without_reasoning", case.without_reasoning_euro_nanos, None),
            row(model, "cost_per_answer_double_reasoning", case.double_reasoning_euro_nanos, None),
        ]);
        rows.extend(case.break_even.iter().map(|(other, change)| Row {
            other_model: other.clone(),
            value: share_of_basis_points(*change).to_string(),
            unit: "share",
            ..row(model, "break_even_price_change", None, None)
        }));
    }
    rows
}
