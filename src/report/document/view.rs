//! A comparison with the language it is shown in, and how models are named. It knows no form of output.

use crate::report::comparison::{Claim, Comparison, Verdict};

use super::Lang;
use super::numbers::day;
use super::words::sentences;

/// What every part of a document is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The comparison.
    pub(crate) comparison: &'a Comparison,
    /// The language.
    pub(crate) lang: Lang,
}

impl View<'_> {
    /// A model's name with its vendor's. The part before the slash is left out where no other model has the same name.
    pub(crate) fn name(&self, id: &str) -> String {
        let models = &self.comparison.models;
        let Some((_, vendor)) = models.iter().find(|(model, _)| model == id) else { return id.to_owned() };
        let short = short(id);
        let namesakes = models.iter().filter(|(model, _)| self::short(model) == short).count();
        format!("{} ({vendor})", if namesakes == 1 { short } else { id })
    }

    /// A model's name alone, for charts and headings of columns.
    pub(crate) fn short_name(&self, id: &str) -> String {
        let namesakes = self.comparison.models.iter().filter(|(model, _)| short(model) == short(id)).count();
        if namesakes > 1 { id.to_owned() } else { short(id).to_owned() }
    }

    /// Place of a model among those compared; others come after them. It chooses a marker, so that a model has the same
    /// one in every chart.
    pub(crate) fn place(&self, id: &str) -> usize {
        let models = &self.comparison.models;
        models.iter().position(|(model, _)| model == id).unwrap_or(models.len())
    }

    /// Warnings that stand before everything else, in every form of the document.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let comparison = self.comparison;
        let mut warnings = Vec::new();
        if comparison.simulated {
            warnings.push(sentences::simulated(self.lang).to_owned());
        }
        if !comparison.claims {
            let declared = comparison.declared.as_ref().map(|(from, to, on)| {
                let words = |iso: &String| day(self.lang, iso);
                (words(from), words(to), on.as_ref().map(words))
            });
            let declared = declared.as_ref().map(|(from, to, on)| (from.as_str(), to.as_str(), on.as_deref()));
            warnings.push(sentences::exploratory(self.lang, declared));
        }
        if comparison.disturbed {
            warnings.push(sentences::disturbed(self.lang).to_owned());
        }
        warnings
    }

    /// What may be said of a claim: nothing is claimed when the comparison makes no claims, whatever the claim says.
    pub(crate) fn verdict(&self, claim: &Claim) -> Verdict {
        match claim.verdict {
            Verdict::TooFew => Verdict::TooFew,
            _ if !self.comparison.claims => Verdict::Exploratory,
            other => other,
        }
    }
}

fn short(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, model)| model)
}
