//! The configuration: what it warns of, whether it keeps its secrets, how old its prices are, the town's calendar.

use jiff::tz::TimeZone;

use super::{Doctor, Finding};

/// Days after which somebody should look at the vendors' price lists again.
const PRICES_OLD_DAYS: i32 = 92;

pub(super) fn look(doctor: &Doctor<'_>, findings: &mut Vec<Finding>) {
    let config = &doctor.loaded.config;
    findings.push(if doctor.has_keys {
        Finding::ok("configuration", "it can be used")
    } else {
        Finding::warning(
            "configuration",
            "vendors' keys are missing here",
            "run this with the environment of the service, or the keys are not tried",
        )
    });
    for warning in &doctor.loaded.warnings {
        let (what, text) = warning.split_once(": ").unwrap_or(("", warning));
        findings.push(Finding::warning("configuration", text, format!("see {what}")));
    }
    let today = doctor.now().to_zoned_datetime(TimeZone::UTC).date();
    for catalogue in config.catalogue.providers() {
        let age = today.since(catalogue.as_of).map_or(0, |span| span.get_days());
        let found = format!("prices of {} are as of {}", catalogue.id, catalogue.as_of);
        findings.push(if age > PRICES_OLD_DAYS {
            let advice =
                "compare them with the vendor's list, and give a newer catalogue (providers.NAME.catalogue) or program";
            Finding::warning("prices", format!("{found}, {age} days ago"), advice)
        } else {
            Finding::ok("prices", found)
        });
    }
    let month = config.calendar.windows(doctor.now()).month;
    let end = format!("it is {} in the town; the month ends at {}", config.calendar.local(doctor.now()), month.end);
    findings.push(Finding::ok("calendar", end));
}
