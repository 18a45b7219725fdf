//! Energy and carbon in units that people know.
//!
//! It must not know models or zones.

use serde::{Deserialize, Serialize};

use super::{Impact, Range};

/// Power of the bulb, in watts.
const LED_WATTS: f64 = 5.0;
/// Hours of HD video for a kilogram of CO2 equivalent: ADEME's Impact CO2, as compar:IA uses it.
const HD_VIDEO_HOURS_PER_KG: f64 = 10_000.0 / 317.0;
const MINUTES_PER_HOUR: f64 = 60.0;

/// The equivalents of an [`Impact`] that compar:IA shows too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Everyday {
    /// Minutes that a LED bulb of 5 W burns on the same electricity.
    pub led_bulb_minutes: Range,
    /// Minutes of HD video with the same carbon, usage and share of making.
    pub hd_video_minutes: Range,
}

impl Everyday {
    pub(super) fn of(impact: &Impact) -> Self {
        Self {
            led_bulb_minutes: impact.energy_wh.scaled(MINUTES_PER_HOUR / LED_WATTS),
            hd_video_minutes: impact.total_gco2e.scaled(HD_VIDEO_HOURS_PER_KG * MINUTES_PER_HOUR / 1000.0),
        }
    }
}
