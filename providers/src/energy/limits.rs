//! What the method leaves out: the sentences under every figure.
//!
//! It must not know numbers.

use serde::{Deserialize, Serialize};

use super::{Architecture, Mix};

/// One known limit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Input is not counted.
    InputIgnored,
    /// Only text is counted.
    TextOnly,
    /// One load of the servers is assumed.
    FixedBatch,
    /// One kind of hardware is assumed.
    HardwareAssumed,
    /// Training is not counted.
    TrainingExcluded,
    /// The mix is a yearly average.
    AverageMix,
    /// The place is assumed.
    LocationAssumed,
    /// Other methods give other orders of magnitude.
    OneMethodOnly,
    /// The vendor publishes no architecture.
    ArchitectureGuessed,
    /// The water of the zone's electricity is the world's.
    WorldWater,
}

impl Limit {
    /// The limits that hold for every figure.
    pub const ALWAYS: [Self; 8] = [
        Self::InputIgnored,
        Self::TextOnly,
        Self::FixedBatch,
        Self::HardwareAssumed,
        Self::TrainingExcluded,
        Self::AverageMix,
        Self::LocationAssumed,
        Self::OneMethodOnly,
    ];

    /// A stable name: the key of exports and translations.
    pub fn key(self) -> &'static str {
        match self {
            Self::InputIgnored => "input_ignored",
            Self::TextOnly => "text_only",
            Self::FixedBatch => "fixed_batch",
            Self::HardwareAssumed => "hardware_assumed",
            Self::TrainingExcluded => "training_excluded",
            Self::AverageMix => "average_mix",
            Self::LocationAssumed => "location_assumed",
            Self::OneMethodOnly => "one_method_only",
            Self::ArchitectureGuessed => "architecture_guessed",
            Self::WorldWater => "world_water",
        }
    }

    /// The sentence in English.
    pub fn english(self) -> &'static str {
        match self {
            Self::InputIgnored => {
                "Input tokens and cache are not counted: a question with long passages uses more than is shown."
            }
            Self::TextOnly => "Only text is counted, not images or sound.",
            Self::FixedBatch => "Every server is assumed to work on 64 questions at once.",
            Self::HardwareAssumed => "The hardware is assumed to be Nvidia H100 of 80 GB.",
            Self::TrainingExcluded => "Training the model is not counted.",
            Self::AverageMix => "The electricity is an average of the country or region, not that of the hour.",
            Self::LocationAssumed => "The place of the data centre is assumed.",
            Self::OneMethodOnly => {
                "The figure compares models within this method only: a vendor's own assessment can be a hundred times higher."
            }
            Self::ArchitectureGuessed => {
                "The vendor does not publish the size of this model: it is a guess, made in part from its price."
            }
            Self::WorldWater => "No water figure exists for this electricity: the world average is taken.",
        }
    }

    /// The sentence in French.
    pub fn french(self) -> &'static str {
        match self {
            Self::InputIgnored => {
                "Les jetons d'entrée et le cache ne sont pas comptés : une question avec de longs passages consomme plus qu'indiqué."
            }
            Self::TextOnly => "Seul le texte est compté, ni les images ni le son.",
            Self::FixedBatch => "Chaque serveur est supposé traiter 64 questions à la fois.",
            Self::HardwareAssumed => "Le matériel est supposé être Nvidia H100 de 80 Go.",
            Self::TrainingExcluded => "L'entraînement du modèle n'est pas compté.",
            Self::AverageMix => "L'électricité est une moyenne du pays ou de la région, non celle de l'heure.",
            Self::LocationAssumed => "L'emplacement du centre de données est supposé.",
            Self::OneMethodOnly => {
                "Le chiffre ne compare les modèles qu'au sein de cette méthode : le bilan propre d'un fournisseur peut être cent fois plus élevé."
            }
            Self::ArchitectureGuessed => {
                "Le fournisseur ne publie pas la taille de ce modèle : elle est supposée, en partie d'après son prix."
            }
            Self::WorldWater => {
                "Aucun chiffre d'eau n'existe pour cette électricité : la moyenne mondiale est retenue."
            }
        }
    }
}

/// The limits of a figure for that model and mix.
pub(super) fn of(architecture: &Architecture, mix: &Mix) -> Vec<Limit> {
    let guessed = architecture.estimated.then_some(Limit::ArchitectureGuessed);
    let water = mix.world_water.then_some(Limit::WorldWater);
    Limit::ALWAYS.into_iter().chain(guessed).chain(water).collect()
}
