//! Words of closed sets (reasons, criteria, formulas, sources) as a reader would say them. A word that is not known
//! here is shown as it is: nothing is ever hidden.

use crate::report::comparison::Metric;
use crate::report::document::Lang;

use super::terms;

/// A metric.
pub(crate) fn metric(lang: Lang, metric: Metric) -> &'static str {
    match metric {
        Metric::FirstText => terms::first_text(lang),
        Metric::FirstTextP95 => terms::first_text_p95(lang),
        Metric::Duration => terms::duration(lang),
        Metric::DurationP95 => terms::duration_p95(lang),
        Metric::Answered => terms::answered(lang),
        Metric::Prompt => terms::prompt(lang),
        Metric::Cost => lang.pick("Coût d’une réponse", "Cost of an answer"),
        Metric::Checks => terms::checks(lang),
        Metric::Preference => terms::preference(lang),
    }
}

/// A metric in the open table of figures.
pub(crate) fn metric_key(metric: Metric) -> &'static str {
    match metric {
        Metric::FirstText => "first_text_median",
        Metric::FirstTextP95 => "first_text_p95",
        Metric::Duration => "duration_median",
        Metric::DurationP95 => "duration_p95",
        Metric::Answered => "answered_share",
        Metric::Prompt => "prompt_share",
        Metric::Cost => "cost_per_answer",
        Metric::Checks => "checks_passed_share",
        Metric::Preference => "preference_share",
    }
}

/// Why there is no comparison, or no scorecard.
pub(crate) fn refusal(lang: Lang, reason: &str) -> String {
    let (fr, en) = match reason {
        "none" => ("Rien n’a été mesuré dans cette période.", "Nothing was measured in this period."),
        "one_model" => (
            "Un seul modèle a été utilisé\u{a0}: il n’y a rien à comparer.",
            "Only one model was in use: there is nothing to compare.",
        ),
        "two_baskets" => (
            "Le jeu de questions a changé pendant la période\u{a0}: les mesures ne se comparent pas.",
            "The basket of questions changed in the period: figures cannot be compared.",
        ),
        "too_few_rounds" => {
            ("Trop peu de séries de questions pour comparer.", "Too few rounds of questions for a comparison.")
        }
        "no_overlap" => (
            "Les modèles n’ont pas reçu les mêmes sortes de questions\u{a0}: comparer serait trompeur.",
            "The models were not given the same kinds of questions: to compare would mislead.",
        ),
        "too_few_people" => (
            "Moins de onze personnes\u{a0}: rien n’est montré, pour protéger leur vie privée.",
            "Fewer than eleven people: nothing is shown, to protect their privacy.",
        ),
        "too_few_groups" => (
            "Trop peu de personnes pour calculer un intervalle\u{a0}: il en faudrait au moins huit groupes de onze. Les chiffres sont montrés, sans comparaison.",
            "Too few people for an interval: at least eight groups of eleven are needed. Figures are shown, without a comparison.",
        ),
        "one_offer" => ("Une seule offre\u{a0}: rien à classer.", "One offer only: nothing to rank."),
        "no_price" => ("Le prix d’une offre n’est pas connu.", "The price of an offer is not known."),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}

/// Why a model is left out.
pub(crate) fn left_out(lang: Lang, reason: &str) -> String {
    let (fr, en) = match reason {
        "too_few" => ("trop peu de questions", "too few questions"),
        "no_overlap" => {
            ("pas les mêmes sortes de questions que les autres", "not the same kinds of questions as the others")
        }
        "too_few_people" => ("moins de 11 personnes", "fewer than 11 people"),
        "nothing_to_compare_with" => ("aucun autre modèle à qui le comparer", "no other model to compare it with"),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}

/// A criterion of the scorecard.
pub(crate) fn criterion(lang: Lang, criterion: &str) -> String {
    let (fr, en) = match criterion {
        "price" => ("Prix", "Price"),
        "latency" => ("Rapidité", "Speed"),
        "quality" => ("Qualité mesurée des réponses", "Measured quality of answers"),
        "ease_of_use" => ("Facilité d’usage", "Ease of use"),
        "data_protection" => ("Protection des données", "Data protection"),
        "environment" => ("Environnement", "Environment"),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}

/// Where marks come from.
pub(crate) fn marks_from(lang: Lang, source: &str) -> String {
    let (fr, en) = match source {
        "probes" => ("sondes", "probes"),
        "duels" => ("duels", "duels"),
        "catalogue" => ("catalogue et contrats", "catalogue and contracts"),
        "energy" => ("énergie estimée", "estimated energy"),
        "not_scored" => ("non noté", "not scored"),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}

/// A formula that marks prices.
pub(crate) fn formula(lang: Lang, formula: &str) -> String {
    let (fr, en) = match formula {
        "classic" => ("classique (prix le plus bas ÷ prix)", "classic (lowest price ÷ price)"),
        "linear" => ("linéaire (du moins cher au plus cher)", "linear (from cheapest to dearest)"),
        "average" => ("moyenne des offres", "average of offers"),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}

/// Parts of a stratum's or a length class's name, between points.
pub(crate) fn slice(lang: Lang, name: &str) -> String {
    let part = |part: &str| {
        let (fr, en) = match part {
            "short" => ("courtes", "short"),
            "medium" => ("moyennes", "medium"),
            "long" => ("longues", "long"),
            "general" => ("générales", "general"),
            "local" => ("avec passages locaux", "with local passages"),
            "night" => ("nuit", "night"),
            "morning" => ("matin", "morning"),
            "afternoon" => ("après-midi", "afternoon"),
            "evening" => ("soir", "evening"),
            other => return other.to_owned(),
        };
        lang.pick(fr, en).to_owned()
    };
    name.split(" · ").map(part).collect::<Vec<_>>().join(" · ")
}

/// What residents may say of an answer.
pub(crate) fn qualifier(lang: Lang, word: &str) -> String {
    let (fr, en) = match word {
        "useful" => ("utile", "useful"),
        "complete" => ("complète", "complete"),
        "creative" => ("créative", "creative"),
        "clear" | "clear_formatting" => ("mise en forme claire", "clearly laid out"),
        "incorrect" => ("inexacte", "incorrect"),
        "superficial" => ("superficielle", "superficial"),
        "instructions_not_followed" => ("consigne non suivie", "instructions not followed"),
        other => return other.to_owned(),
    };
    lang.pick(fr, en).to_owned()
}
