//! The demo with the real vendors: their keys, what it may cost at most, and the consent of who pays.
//!
//! It must not know how the questions are played.

use std::io::{IsTerminal, Write};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::chat::ChatRequest;
use providers::money::Money;

use super::play::{Ready, ready};
use crate::cli::Failure;
use crate::cli::output::complain;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Environment, load};
use crate::ledger::LengthClass;
use crate::probes::basket::Basket;

/// Questions put to the real vendors.
pub(super) const QUESTIONS: usize = 6;
/// Longest answer of a real vendor, in tokens.
pub(super) const MAX_OUTPUT_TOKENS: u64 = 300;
/// What a live demo's file adds: an envelope that nothing passes.
pub(super) const LIVE_TOML: &str = r#"
[town]
euros_per_month = "0.50"
euros_per_year = "0.50"

[telemetry]
log_level = "warn"

[providers.openai]
hosts = ["global"]

[providers.mistral_ai]
hosts = ["global"]

[plans.resident]
requests_per_minute = 60
burst = 20
simultaneous = 6
max_output_tokens = 300
"#;

/// The vendors' variables and nothing else: what the environment says of an installation's ledger must not reach a
/// demo.
///
/// # Errors
/// [`ConfigError`] that names every missing variable.
pub(super) fn environment(process: &Environment) -> Result<Environment, ConfigError> {
    let value = |name: &str| process.get(name).unwrap_or_default();
    let mistakes: Vec<String> = ["OPENAI_API_KEY", "MISTRAL_API_KEY"]
        .into_iter()
        .filter(|name| value(name).is_empty())
        .map(|name| format!("{name}: is not set; demo --live calls the real vendors and needs the keys of both"))
        .collect();
    if !mistakes.is_empty() {
        return Err(ConfigError { mistakes });
    }
    let names = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "MISTRAL_API_KEY", "MISTRAL_BASE_URL"];
    Ok(Environment::from_pairs(names.map(|name| (name, value(name)))))
}

/// The questions of a live demo.
pub(super) fn questions(basket: &Basket) -> Vec<Ready> {
    ready(basket, LengthClass::Short, QUESTIONS, Some(MAX_OUTPUT_TOKENS))
}

/// The most that `questions` can cost: for each, the dearest model of the route it asks for. `None` when one of them
/// has no price.
pub(super) fn ceiling(config: &Config, questions: &[Ready], today: Date) -> Option<Money> {
    let mut sum: Option<Money> = None;
    for (_, body) in questions {
        let request = ChatRequest::parse(body).ok()?;
        let route = config.routes.get(&request.model)?;
        let mut dearest: Option<Money> = None;
        for target in &route.targets {
            let found = config.catalogue.resolve(&target.model, today)?;
            let uplift = found.provider.hosts.iter().map(|host| host.uplift_for(&found.model)).max().unwrap_or(0);
            let price = found.model.price_at(today)?;
            let bound = request.bound(&found.model, MAX_OUTPUT_TOKENS).ok()?;
            let cost = price.ceiling(&bound, uplift).ok()?;
            if dearest.is_none_or(|known| known.nanos() < cost.nanos()) {
                dearest = Some(cost);
            }
        }
        sum = Some(match sum {
            Some(sum) => sum.checked_add(dearest?).ok()?,
            None => dearest?,
        });
    }
    sum
}

/// Says what a live demo costs at most and asks whether to go on.
///
/// # Errors
/// [`Failure`] when a key is missing, a price is not known, or nobody agreed.
pub(super) fn consent(environment: &Environment, basket: &Basket, clock: &Clock, yes: bool) -> Result<(), Failure> {
    let config = load(None, environment)?.config;
    let today = clock.now().to_zoned_datetime(TimeZone::UTC).date();
    let most = ceiling(&config, &questions(basket), today)
        .ok_or_else(|| Failure::Usage("the price of a model of the route `auto` is not known today".to_owned()))?;
    complain(&format!(
        "{QUESTIONS} questions go to the real vendors, over the network and on your keys. They cost at most {most} \
         (list prices, {MAX_OUTPUT_TOKENS} tokens an answer)."
    ));
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask on: add --yes to agree to that cost".to_owned()));
    }
    let _closed = write!(std::io::stderr(), "Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "o" | "oui") {
        Ok(())
    } else {
        Err(Failure::Usage("nothing was asked and nothing spent".to_owned()))
    }
}
