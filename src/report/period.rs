//! The days a report covers, as a person names them.
//!
//! It must not know the ledger or the clock: today is handed in.

use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

/// A range of local days, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Period {
    /// The first day.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
}

impl Period {
    /// Reads two days (`2026-11-24`). Without `to`, up to `today`; without `from`, from the first of the month in which
    /// the period ends. So without either: the current month so far.
    ///
    /// # Errors
    /// A sentence when a day cannot be read or `from` is after `to`.
    pub fn parse(from: Option<&str>, to: Option<&str>, today: Date) -> Result<Self, String> {
        let to = to.map_or(Ok(today), day)?;
        let from = from.map_or_else(|| Ok(to.first_of_month()), day)?;
        if from > to {
            return Err(format!("the period would start on {from}, after its end on {to}"));
        }
        Ok(Self { from, to })
    }
}

/// Reads one day, in the one form in which the ledger keeps days.
fn day(text: &str) -> Result<Date, String> {
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text && text.len() == 10);
    date.ok_or_else(|| format!("`{text}` is not a day: write it as 2026-11-24"))
}
