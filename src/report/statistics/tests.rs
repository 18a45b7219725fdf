//! The estimators against their references, against themselves, and against simulated data of known truth.

mod behaviour;
mod reference;
mod simulation;
mod sizes;
