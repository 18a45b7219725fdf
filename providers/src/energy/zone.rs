//! Where an answer is assumed to be made.
//!
//! A vendor promises at most a region, never a country: the zone is an assumption, and says so. It must not know
//! prices or addresses.

use serde::{Deserialize, Serialize};

use super::ProviderSettings;

/// Europe's average mix in the method.
const EUROPE: &str = "EEE";
/// The mix of the United States.
const UNITED_STATES: &str = "USA";

/// A zone, and why it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedZone<'a> {
    /// Three letters of the zone.
    pub zone: &'a str,
    /// Why this one.
    pub basis: LocationBasis,
}

/// Why a zone was taken for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationBasis {
    /// No region is promised: the method's assumption for the vendor.
    MethodDefault,
    /// The host promises Europe: its average.
    EuropeanHost,
    /// The host promises the United States: their average.
    AmericanHost,
}

impl LocationBasis {
    /// The sentence to print beside the figure, in English.
    pub fn english(self) -> &'static str {
        match self {
            Self::MethodDefault => {
                "The location is an assumption: this host promises no region, and the method assumes a country for the vendor."
            }
            Self::EuropeanHost => {
                "The location is an assumption: this host promises Europe but no country, so the European average mix is taken."
            }
            Self::AmericanHost => {
                "The location is an assumption: this host promises the United States but no state, so the national average mix is taken."
            }
        }
    }

    /// The sentence to print beside the figure, in French.
    pub fn french(self) -> &'static str {
        match self {
            Self::MethodDefault => {
                "La localisation est une hypothèse : cette adresse ne promet aucune région, et la méthode suppose un pays pour le fournisseur."
            }
            Self::EuropeanHost => {
                "La localisation est une hypothèse : cette adresse promet l'Europe sans préciser le pays ; le mix électrique moyen européen est retenu."
            }
            Self::AmericanHost => {
                "La localisation est une hypothèse : cette adresse promet les États-Unis sans préciser l'État ; le mix électrique moyen du pays est retenu."
            }
        }
    }
}

/// The zone for a host's region as in the catalogue: `global`, `eu` or `us`.
pub(super) fn of_host<'a>(provider: &'a ProviderSettings, region: &str) -> Option<AssumedZone<'a>> {
    let (zone, basis) = match region {
        "global" => (provider.default_zone.as_str(), LocationBasis::MethodDefault),
        "eu" => (EUROPE, LocationBasis::EuropeanHost),
        "us" => (UNITED_STATES, LocationBasis::AmericanHost),
        _ => return None,
    };
    Some(AssumedZone { zone, basis })
}
