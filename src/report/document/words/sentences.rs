//! Sentences with figures. Each is written out in both languages; none is put together from pieces of grammar.

use crate::report::document::Lang;
use crate::report::document::numbers::{NO_BREAK, integer};

/// Observations.
pub(crate) fn n(lang: Lang, count: u64) -> String {
    format!("n{NO_BREAK}={NO_BREAK}{}", integer(lang, count))
}

/// An interval.
pub(crate) fn from_to(lang: Lang, low: &str, high: &str) -> String {
    match lang {
        Lang::Fr => format!("de {low} à {high}"),
        Lang::En => format!("{low} to {high}"),
    }
}

/// A time beyond the limit.
pub(crate) fn beyond(lang: Lang, seconds: u64) -> String {
    match lang {
        Lang::Fr => format!("plus de {}{NO_BREAK}s", integer(lang, seconds)),
        Lang::En => format!("over {}{NO_BREAK}s", integer(lang, seconds)),
    }
}

/// The period.
pub(crate) fn period(lang: Lang, from: &str, to: &str) -> String {
    match lang {
        Lang::Fr => format!("Période du {from} au {to}"),
        Lang::En => format!("Period from {from} to {to}"),
    }
}

/// Warning: simulated vendors.
pub(crate) fn simulated(lang: Lang) -> &'static str {
    lang.pick(
        "Fournisseurs simulés\u{a0}: aucun chiffre de ce document ne dit quoi que ce soit de vrais fournisseurs.",
        "Simulated vendors: no figure of this document says anything about real ones.",
    )
}

/// Warning: nothing is claimed, and why.
pub(crate) fn exploratory(lang: Lang, declared: Option<(&str, &str, Option<&str>)>) -> String {
    let why = match (lang, declared) {
        (Lang::Fr, None) => "aucune période d’évaluation n’a été déclarée à l’avance".to_owned(),
        (Lang::En, None) => "no evaluation period was declared beforehand".to_owned(),
        (Lang::Fr, Some((from, to, Some(on)))) => format!(
            "la période déclarée (du {from} au {to}, déclarée le {on}) n’est pas celle-ci, n’est pas terminée, ou a \
            été \
             déclarée après son début"
        ),
        (Lang::En, Some((from, to, Some(on)))) => format!(
            "the declared period ({from} to {to}, declared on {on}) is not this one, is not over, or was declared \
            after it \
             began"
        ),
        (Lang::Fr, Some((from, to, None))) => {
            format!(
                "la période du {from} au {to} n’a pas été déclarée telle quelle avant son début, ou a changé depuis"
            )
        }
        (Lang::En, Some((from, to, None))) => {
            format!("the period from {from} to {to} was not declared as such before it began, or was changed since")
        }
    };
    match lang {
        Lang::Fr => format!("Document exploratoire\u{a0}: {why}. Les chiffres sont montrés, sans aucune conclusion."),
        Lang::En => format!("Exploratory document: {why}. Figures are shown, and nothing is claimed."),
    }
}

/// Draws of more than one experiment.
pub(crate) fn disturbed(lang: Lang) -> &'static str {
    lang.pick(
        "Une règle de tirage (route, époque ou modèles comparés) a changé pendant la période\u{a0}: rien n’en est conclu.",
        "A rule of the draws (a route, the epoch or the models compared) changed in the period: nothing is claimed.",
    )
}

/// The period that was declared beforehand.
pub(crate) fn declared(lang: Lang, from: &str, to: &str, on: Option<&str>) -> String {
    match (lang, on) {
        (Lang::Fr, Some(on)) => format!("La période d’évaluation, du {from} au {to}, a été déclarée le {on}."),
        (Lang::Fr, None) => {
            format!("Une période d’évaluation, du {from} au {to}, a été déclarée\u{a0}; le jour n’en est pas connu.")
        }
        (Lang::En, Some(on)) => format!("The evaluation period, {from} to {to}, was declared on {on}."),
        (Lang::En, None) => format!("An evaluation period, {from} to {to}, was declared; on which day is not known."),
    }
}

/// First sentence: use, and what a question cost, in cents; whether that is two cents or more.
pub(crate) fn use_and_cost(lang: Lang, questions: u64, cost: Option<(&str, bool)>, assumed: (&str, &str)) -> String {
    let count = integer(lang, questions);
    let (low, high) = assumed;
    let asked = match (lang, questions) {
        (Lang::Fr, 0 | 1) => format!("Les habitants ont posé {count} question"),
        (Lang::Fr, _) => format!("Les habitants ont posé {count} questions"),
        (Lang::En, 1) => format!("Residents asked {count} question"),
        (Lang::En, _) => format!("Residents asked {count} questions"),
    };
    let n = n(lang, questions);
    match (lang, cost) {
        (Lang::Fr, Some((cost, plural))) => {
            let cents = if plural { "centimes" } else { "centime" };
            format!(
                "{asked}\u{a0}; une question a coûté en moyenne {cost}{NO_BREAK}{cents} hors taxes ({n}), alors que la \
                 commune avait compté de {low} à {high} centimes."
            )
        }
        (Lang::En, Some((cost, _))) => format!(
            "{asked}; a question cost {cost} cents on average without VAT ({n}), where the town had assumed {low} to \
             {high} cents."
        ),
        (Lang::Fr, None) => format!(
            "{asked}\u{a0}; le coût d’une question n’est pas connu (la commune avait compté de {low} à {high} \
            centimes)."
        ),
        (Lang::En, None) => {
            format!("{asked}; the cost of a question is not known (the town had assumed {low} to {high} cents).")
        }
    }
}

/// Second sentence: price, waiting, reliability.
pub(crate) fn what_is_shown(lang: Lang, price: &str, waiting: &str, reliability: &str) -> String {
    match lang {
        Lang::Fr => format!(
            "La comparaison montre, pour le prix\u{a0}: {price}\u{a0}; pour l’attente\u{a0}: {waiting}\u{a0}; pour la \
             fiabilité\u{a0}: {reliability}."
        ),
        Lang::En => {
            format!("The comparison shows, on price: {price}; on waiting: {waiting}; on reliability: {reliability}.")
        }
    }
}

/// How many pairs have the same verdict, and the fewest observations of one.
pub(crate) fn other_pairs(lang: Lang, verdict: &str, pairs: usize, n: u64) -> String {
    let n = self::n(lang, n);
    match (lang, pairs) {
        (Lang::Fr, 1) => format!("{verdict} pour une paire ({n})"),
        (Lang::Fr, _) => format!("{verdict} pour {pairs} paires (au moins {n})"),
        (Lang::En, 1) => format!("{verdict} for one pair ({n})"),
        (Lang::En, _) => format!("{verdict} for {pairs} pairs (at least {n})"),
    }
}

/// Third sentence, first half: the forecast.
pub(crate) fn forecast(lang: Lang, forecast: Option<(&str, &str, &str)>, envelope: &str, spent: &str) -> String {
    match (lang, forecast) {
        (Lang::Fr, Some((value, low, high))) => format!(
            "À la fin de l’année, la dépense prévue est de {value} hors taxes (de {low} à {high}) pour une enveloppe de {envelope}"
        ),
        (Lang::En, Some((value, low, high))) => {
            format!(
                "At the end of the year, {value} without VAT is expected to be spent ({low} to {high}), of an envelope of \
                {envelope}"
            )
        }
        (Lang::Fr, None) => format!(
            "Il est trop tôt pour prévoir la dépense de l’année\u{a0}: {spent} ont été dépensés sur une enveloppe \
            de {envelope}"
        ),
        (Lang::En, None) => {
            format!("It is too early to forecast the year: {spent} of an envelope of {envelope} was spent so far")
        }
    }
}

/// So much less.
pub(crate) fn less(lang: Lang, percent: &str) -> String {
    match lang {
        Lang::Fr => format!("{percent} de moins"),
        Lang::En => format!("{percent} less"),
    }
}

/// Third sentence, second half: the winner of the scorecard.
pub(crate) fn winner(lang: Lang, winner: &str, formulas_agree: bool, weights_agree: bool) -> String {
    let (formulas, weights) = match (lang, formulas_agree, weights_agree) {
        (Lang::Fr, true, true) => ("avec les trois formules de prix", "et quel que soit le poids d’un critère"),
        (Lang::Fr, true, false) => ("avec les trois formules de prix", "mais cela change avec certains poids"),
        (Lang::Fr, false, true) => ("selon la formule de prix", "quel que soit le poids d’un critère"),
        (Lang::Fr, false, false) => ("selon la formule de prix", "et cela change aussi avec certains poids"),
        (Lang::En, true, true) => ("with all three price formulas", "and whatever the weight of a criterion"),
        (Lang::En, true, false) => ("with all three price formulas", "but that changes with some weights"),
        (Lang::En, false, true) => ("depending on the price formula", "whatever the weight of a criterion"),
        (Lang::En, false, false) => ("depending on the price formula", "and that changes with some weights too"),
    };
    match lang {
        Lang::Fr => format!("premier du tableau de notation {formulas}\u{a0}: {winner}, {weights}"),
        Lang::En => format!("first in the scorecard {formulas}: {winner}, {weights}"),
    }
}

/// A scorecard from which nothing is concluded.
pub(crate) fn no_award(lang: Lang) -> &'static str {
    lang.pick(
        "le tableau de notation est montré plus loin, sans conclusion",
        "the scorecard is shown further on, without a conclusion",
    )
}

/// No scorecard.
pub(crate) fn no_winner(lang: Lang) -> &'static str {
    lang.pick("le tableau de notation ne peut pas être établi", "the scorecard cannot be drawn up")
}

/// Rounds of probes.
pub(crate) fn rounds(lang: Lang, rounds: u64, left_out: u64, questions: u64) -> String {
    let (rounds, left_out, questions) = (integer(lang, rounds), integer(lang, left_out), integer(lang, questions));
    match lang {
        Lang::Fr => format!(
            "{questions} questions de la commune, envoyées à tous les modèles dans la même minute, en {rounds} \
            séries\u{a0}; \
             {left_out} séries écartées parce qu’elles ont commencé trop tard ou qu’un modèle manquait."
        ),
        Lang::En => format!(
            "{questions} questions of the town’s own, sent to all models within the same minute, in {rounds} rounds; \
             {left_out} rounds left out because they began too late or a model was missing."
        ),
    }
}

/// How late probes started.
pub(crate) fn lag(lang: Lang, median: &str, p99: &str) -> String {
    match lang {
        Lang::Fr => {
            format!("Retard au départ des sondes\u{a0}: {median} en médiane, {p99} pour la plus lente de cent.")
        }
        Lang::En => {
            format!("Delay at the start of probes: {median} at the median, {p99} for the slowest of a hundred.")
        }
    }
}

/// Groups and people of conversations.
pub(crate) fn people(lang: Lang, groups: u64, people: Option<u64>, left_out: &str) -> String {
    let groups = integer(lang, groups);
    let at_least = people.map(|people| integer(lang, people));
    match (lang, at_least) {
        (Lang::Fr, Some(people)) => format!(
            "Au moins {people} personnes, en {groups} groupes d’au moins onze\u{a0}; {left_out} des questions sont \
            dans des \
             groupes de questions écartés, faute d’assez de questions pour chaque modèle."
        ),
        (Lang::En, Some(people)) => format!(
            "At least {people} people, in {groups} groups of at least eleven; {left_out} of the questions lie in \
            groups of \
             questions left out, for want of enough questions to each model."
        ),
        (Lang::Fr, None) => format!("Moins de 11 personnes\u{a0}: leur nombre n’est pas montré ({groups} groupes)."),
        (Lang::En, None) => format!("Fewer than 11 people: their number is not shown ({groups} groups)."),
    }
}

/// Votes and voters.
pub(crate) fn votes(lang: Lang, votes: Option<u64>, people: Option<u64>) -> String {
    let votes = votes.map_or_else(|| super::terms::suppressed(lang).to_owned(), |votes| integer(lang, votes));
    let people = people.map(|people| integer(lang, people));
    match (lang, people) {
        (Lang::Fr, Some(people)) => format!("{votes} votes d’au moins {people} personnes."),
        (Lang::En, Some(people)) => format!("{votes} votes by at least {people} people."),
        (Lang::Fr, None) => format!("{votes} votes\u{a0}; trop peu de votants pour en dire le nombre."),
        (Lang::En, None) => format!("{votes} votes; too few voters to tell how many."),
    }
}

/// A measure of one class of questions.
pub(crate) fn of_class(lang: Lang, measure: &str, class: &str) -> String {
    match lang {
        Lang::Fr => format!("{measure}, questions {class}"),
        Lang::En => format!("{measure}, {class} questions"),
    }
}

/// What individual seats cost, and what would be had for the same money where it is known.
pub(crate) fn seats(lang: Lang, seat: &str, seats: Option<i64>, questions: Option<i64>) -> String {
    let count =
        |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).map(|value| integer(lang, value));
    let mut parts = vec![match lang {
        Lang::Fr => format!("Un abonnement individuel coûte {seat} par mois"),
        Lang::En => format!("An individual seat costs {seat} a month"),
    }];
    parts.extend(count(seats).map(|seats| match lang {
        Lang::Fr => format!("l’enveloppe de l’année en paierait {seats}"),
        Lang::En => format!("the envelope of the year would pay for {seats} of them"),
    }));
    parts.extend(count(questions).map(|questions| match lang {
        Lang::Fr => format!("le prix d’un mois d’abonnement paie ici {questions} questions"),
        Lang::En => format!("the price of a month’s seat pays for {questions} questions here"),
    }));
    format!("{}.", parts.join(lang.pick("\u{a0}; ", "; ")))
}

/// Day on which the envelope is spent.
pub(crate) fn envelope_spent(lang: Lang, day: &str) -> String {
    match lang {
        Lang::Fr => format!("À ce rythme, l’enveloppe serait épuisée le {day}."),
        Lang::En => format!("At this pace the envelope would be spent on {day}."),
    }
}

/// Rate applied to prices in another currency.
pub(crate) fn rate(lang: Lang, currency: &str, units: &str, day: &str) -> String {
    match lang {
        Lang::Fr => format!("Taux appliqué\u{a0}: 1\u{a0}€ = {units} {currency}, le {day}."),
        Lang::En => format!("Rate applied: €1 = {units} {currency}, on {day}."),
    }
}

/// Heading: price after a rise.
pub(crate) fn raised(lang: Lang, percent: u32) -> String {
    match lang {
        Lang::Fr => format!("+{percent}\u{202f}% (centimes HT)"),
        Lang::En => format!("+{percent}% (cents, no VAT)"),
    }
}

/// Margin below which a difference does not matter.
pub(crate) fn margin(lang: Lang, margin: &str) -> String {
    match lang {
        Lang::Fr => format!(
            "Une différence de moins de {margin} (un demi-point pour les parts de réponses et de vérifications) est dite trop petite pour compter."
        ),
        Lang::En => format!(
            "A difference of less than {margin} (half a point for shares of answers and of checks) is called too small to matter."
        ),
    }
}

/// Failures count as longer than the limit.
pub(crate) fn failures(lang: Lang, seconds: u64) -> String {
    let limit = beyond(lang, seconds);
    match lang {
        Lang::Fr => format!(
            "Une question restée sans réponse n’est pas oubliée\u{a0}: son attente compte comme {limit}. Quand un \
            autre \
             fournisseur a pris le relais, l’échec reste au compte de celui qui a échoué."
        ),
        Lang::En => format!(
            "A question without an answer is not forgotten: its wait counts as {limit}. When another vendor took \
            over, the \
             failure stays with the one that failed."
        ),
    }
}

/// Possible ranks.
pub(crate) fn ranks(lang: Lang, best: u32, worst: u32) -> String {
    match (lang, best == worst) {
        (Lang::Fr, true) => format!("rang {best}"),
        (Lang::Fr, false) => format!("rang {best} à {worst}"),
        (Lang::En, true) => format!("rank {best}"),
        (Lang::En, false) => format!("rank {best} to {worst}"),
    }
}

/// What a formula gives an offer.
pub(crate) fn marked(lang: Lang, price: &str, total: &str, rank: u32) -> String {
    match lang {
        Lang::Fr => format!("prix {price}\u{a0}; total {total}\u{a0}; rang {rank}"),
        Lang::En => format!("price {price}; total {total}; rank {rank}"),
    }
}
