//! The stop switch: the town, one vendor or one plan asks no vendor any more, from the next question on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopScope {
    /// Everything.
    Town,
    /// One vendor.
    Provider,
    /// One plan.
    Plan,
}

impl StopScope {
    /// The name used in the store, metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Town => "town",
            Self::Provider => "provider",
            Self::Plan => "plan",
        }
    }

    /// The scope of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Town, Self::Provider, Self::Plan].into_iter().find(|scope| scope.as_str() == name)
    }
}

/// One thing that is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// What kind of thing.
    pub scope: StopScope,
    /// Which provider or plan; empty for the town.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, for the mairie; residents do not read it.
    pub reason: String,
}

impl Stop {
    /// What is stopped, in words: `town`, `provider openai`, `plan visitor`.
    pub fn subject(&self) -> String {
        format!("{} {}", self.scope.as_str(), self.name).trim_end().to_owned()
    }
}

/// Everything that is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stops(pub Vec<Stop>);

impl Stops {
    /// Whether a resident of `plan` may ask anybody at all.
    ///
    /// # Errors
    /// The stop that is in the way.
    pub fn check_plan(&self, plan: &str) -> Result<(), Stop> {
        self.check(|stop| match stop.scope {
            StopScope::Town => true,
            StopScope::Plan => stop.name == plan,
            StopScope::Provider => false,
        })
    }

    /// Whether a vendor may be asked.
    ///
    /// # Errors
    /// The stop that is in the way.
    pub fn check_provider(&self, provider: &str) -> Result<(), Stop> {
        self.check(|stop| stop.scope == StopScope::Provider && stop.name == provider)
    }

    fn check(&self, concerns: impl Fn(&Stop) -> bool) -> Result<(), Stop> {
        self.0.iter().find(|stop| concerns(stop)).map_or(Ok(()), |stop| Err(stop.clone()))
    }
}
