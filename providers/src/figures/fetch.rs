//! Asking a vendor for its figures, page after page.
//!
//! It must not know HTTP beyond an address and a key.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use secrecy::SecretString;
use serde_json::Value;

use super::json::Node;
use super::{FiguresError, VendorFigures, mistral, openai};
use crate::Dialect;
use crate::transport::{AdminKey, Getter};

/// More pages than any period has.
const MOST_PAGES: usize = 10_000;
const USAGE_KINDS: [&str; 4] = ["completions", "embeddings", "moderations", "audio_transcriptions"];
/// Mistral's zones, each with prices of its own.
const ZONES: [&str; 3] = ["global", "eu", "us"];

/// Whose figures are asked for, and of which days.
#[derive(Clone, Debug)]
pub struct FiguresRequest {
    /// Whose endpoints.
    pub dialect: Dialect,
    /// The vendor's address, ending in `/v1`.
    pub base_url: String,
    /// The key of an administrator; never printed.
    pub admin_key: SecretString,
    /// First day (UTC).
    pub from: Date,
    /// Last day (UTC).
    pub to: Date,
}

/// Asks for usage and costs, following every page; `progress` hears what is asked next.
///
/// # Errors
/// [`FiguresError`]: the vendor cannot be reached, refuses the key, or says what cannot be understood.
pub async fn fetch(
    request: &FiguresRequest,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<VendorFigures, FiguresError> {
    let getter = Getter::new().map_err(|error| FiguresError::Refused(error.message))?;
    let asking = Asking { request, getter, progress };
    let mut figures = VendorFigures::default();
    match request.dialect {
        Dialect::Openai => {
            for kind in USAGE_KINDS {
                let groups = if kind == "completions" { &["model", "service_tier"][..] } else { &["model"] };
                asking.pages(&format!("organization/usage/{kind}"), ("1h", "168"), groups, &mut figures).await?;
            }
            asking.pages("organization/costs", ("1d", "180"), &["line_item"], &mut figures).await?;
        }
        Dialect::Mistral => {
            let mut month = request.from.first_of_month();
            while month <= request.to {
                for zone in ZONES {
                    asking.month(month, zone, &mut figures).await?;
                }
                month = month.saturating_add(1.month());
            }
        }
        Dialect::Compatible => {
            return Err(FiguresError::Refused("A compatible host has no usage endpoint; give a file.".to_owned()));
        }
    }
    figures.retain_days(request.from, request.to);
    Ok(figures)
}

struct Asking<'a> {
    request: &'a FiguresRequest,
    getter: Getter,
    progress: &'a (dyn Fn(&str) + Send + Sync),
}

impl Asking<'_> {
    async fn pages(
        &self,
        path: &str,
        (width, limit): (&str, &str),
        groups: &[&str],
        figures: &mut VendorFigures,
    ) -> Result<(), FiguresError> {
        let start = midnight(self.request.from)?;
        let end = midnight(self.request.to.saturating_add(1.day()))?;
        let mut page: Option<String> = None;
        for number in 1..=MOST_PAGES {
            (self.progress)(&format!("{path}, page {number}"));
            let (start, end) = (start.as_second().to_string(), end.as_second().to_string());
            let mut query =
                vec![("start_time", &*start), ("end_time", &*end), ("bucket_width", width), ("limit", limit)];
            query.extend(groups.iter().map(|group| ("group_by[]", *group)));
            query.extend(page.as_deref().map(|page| ("page", page)));
            let document = self.get(path, &query).await?;
            let node = Node::root(&document);
            openai::page(&node, figures)?;
            let next = openai::next_page(&node)?;
            if next.is_none() {
                return Ok(());
            }
            if next == page {
                return Err(FiguresError::Refused(format!("{path}: the vendor's pages go round in a circle.")));
            }
            page = next;
        }
        Err(FiguresError::Refused(format!("{path}: more than {MOST_PAGES} pages.")))
    }

    async fn month(&self, month: Date, zone: &str, figures: &mut VendorFigures) -> Result<(), FiguresError> {
        (self.progress)(&format!("admin/usage, {} in zone {zone}", month.strftime("%Y-%m")));
        let (number, year) = (month.month().to_string(), month.year().to_string());
        let query = [("month", &*number), ("year", &*year), ("api_zone", zone)];
        let document = self.get("admin/usage", &query).await?;
        mistral::month(&Node::root(&document), Some(zone), figures)
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, FiguresError> {
        let url = format!("{}/{path}", self.request.base_url.trim_end_matches('/'));
        let key = match self.request.dialect {
            Dialect::Mistral => AdminKey::Header("x-api-key", &self.request.admin_key),
            Dialect::Openai | Dialect::Compatible => AdminKey::Bearer(&self.request.admin_key),
        };
        let body = self.getter.get(&url, query, &key).await.map_err(|error| {
            let status = error.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
            FiguresError::Refused(format!("{path}{status}: {}", error.message))
        })?;
        serde_json::from_slice(&body).map_err(|error| FiguresError::Malformed {
            place: path.to_owned(),
            message: format!("is no JSON: {error}"),
        })
    }
}

fn midnight(day: Date) -> Result<Timestamp, FiguresError> {
    Offset::UTC
        .to_timestamp(day.at(0, 0, 0, 0))
        .map_err(|_| FiguresError::Refused(format!("{day} is beyond what can be asked for.")))
}
