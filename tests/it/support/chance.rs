//! Chance that can be repeated: a seed of its own for each run, printed, or the one given in `PASSERELLE_SEED`; and how
//! often a proof is repeated.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// A number from the environment of the test run.
#[expect(clippy::disallowed_methods, reason = "how long a test run may take is not configuration of the gateway")]
pub fn wanted(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// A source of chance; its seed is printed, so that a failure can be repeated.
#[expect(clippy::print_stderr, reason = "shown when the test fails")]
pub fn seeded(test: &str) -> (u64, Xoshiro256PlusPlus) {
    let fresh = u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap());
    let seed = wanted("PASSERELLE_SEED", fresh);
    eprintln!("{test}: PASSERELLE_SEED={seed}");
    (seed, Xoshiro256PlusPlus::seed_from_u64(seed))
}
