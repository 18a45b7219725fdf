//! The formulas and constants of EcoLogits 0.11.3 (`impacts/llm.py`), step by step.
//!
//! Symbols of the method: `Pa` active and `Pt` total parameters in billions, `B` requests that a server works on at
//! once, `k` GPUs that hold the model. It must not know where the numbers come from.

use super::{Architecture, Impact, Mix, ProviderSettings, Range};

/// `Q`: bits of a parameter.
const QUANTIZATION_BITS: f64 = 16.0;
/// `B`: requests that a server works on at once.
const BATCH_SIZE: f64 = 64.0;

// Energy of one GPU for a token, Wh: alpha * exp(beta * B) * Pa + gamma. Fitted to ML.ENERGY on H100 of 80 GB.
const GPU_ENERGY_ALPHA: f64 = 1.166_527_317_045_191_4e-6;
const GPU_ENERGY_BETA: f64 = -0.011_205_921_025_579_175;
const GPU_ENERGY_GAMMA: f64 = 4.052_928_146_734_005e-5;

// Seconds for a token, where no speed was observed: alpha * Pa + beta * B + gamma.
const LATENCY_ALPHA: f64 = 6.785_088_094_353_663e-4;
const LATENCY_BETA: f64 = 3.119_310_311_688_259e-4;
const LATENCY_GAMMA: f64 = 0.019_473_717_579_473_387;

/// Memory beyond the parameters themselves.
const MEMORY_OVERHEAD: f64 = 1.2;
/// Memory of a GPU, GB.
const GPU_MEMORY_GB: f64 = 80.0;
/// GPUs in a server.
const SERVER_GPUS: f64 = 8.0;
/// Power of a server without its GPUs, kW.
const SERVER_POWER_KW: f64 = 1.2;
/// Three years, in seconds.
const HARDWARE_LIFESPAN_S: f64 = 3.0 * 365.0 * 24.0 * 3600.0;

/// What making a server without its GPUs caused.
const SERVER: Embodied = Embodied { gwp: 5700.0, adpe: 0.37, pe: 70_000.0 };
/// What making a GPU caused.
const GPU: Embodied = Embodied { gwp: 273.0, adpe: 0.008_95, pe: 3721.0 };

/// kgCO2e, kgSbe and MJ.
struct Embodied {
    gwp: f64,
    adpe: f64,
    pe: f64,
}

/// Answers of one model, added up.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) answers: f64,
    pub(super) tokens: f64,
    pub(super) seconds: Option<f64>,
}

/// One end of an [`Impact`], in the method's units: kWh, kgCO2e, litres, kgSbe, MJ.
struct Corner {
    energy: f64,
    usage_gwp: f64,
    embodied_gwp: f64,
    water: f64,
    adpe: f64,
    pe: f64,
}

/// The impact between the smallest and the largest architecture. Every formula grows with both counts of parameters.
pub(super) fn impact(architecture: &Architecture, site: &ProviderSettings, mix: &Mix, output: Sums) -> Impact {
    let corner = |active, total| {
        let seconds = generation_seconds(architecture, active, output);
        corner(active, gpus(total), site, mix, output.tokens, seconds)
    };
    let low = corner(architecture.active_b.low, architecture.total_b.low);
    let high = corner(architecture.active_b.high, architecture.total_b.high);
    let range = |of: fn(&Corner) -> f64, unit: f64| Range { low: of(&low), high: of(&high) }.scaled(unit);
    Impact {
        energy_wh: range(|end| end.energy, 1e3),
        usage_gco2e: range(|end| end.usage_gwp, 1e3),
        embodied_gco2e: range(|end| end.embodied_gwp, 1e3),
        total_gco2e: range(|end| end.usage_gwp + end.embodied_gwp, 1e3),
        water_ml: range(|end| end.water, 1e3),
        adpe_ugsbe: range(|end| end.adpe, 1e9),
        primary_energy_kj: range(|end| end.pe, 1e3),
    }
}

fn corner(active: f64, gpus: f64, site: &ProviderSettings, mix: &Mix, tokens: f64, seconds: f64) -> Corner {
    let gpu_wh = GPU_ENERGY_ALPHA * (GPU_ENERGY_BETA * BATCH_SIZE).exp() * active + GPU_ENERGY_GAMMA;
    let server_kwh = seconds / 3600.0 * SERVER_POWER_KW * (gpus / SERVER_GPUS) / BATCH_SIZE;
    let it_kwh = server_kwh + gpus * tokens * gpu_wh / 1000.0;
    let energy = site.pue * it_kwh;
    let share = seconds / (HARDWARE_LIFESPAN_S * BATCH_SIZE);
    let made = |of: fn(&Embodied) -> f64| share * (gpus / SERVER_GPUS * of(&SERVER) + gpus * of(&GPU));
    Corner {
        energy,
        usage_gwp: energy * mix.gwp,
        embodied_gwp: made(|kind| kind.gwp),
        // The site's water goes with IT energy, that of the electricity with all of it.
        water: it_kwh * (site.wue + site.pue * mix.water),
        adpe: energy * mix.adpe + made(|kind| kind.adpe),
        pe: energy * mix.pe + made(|kind| kind.pe),
    }
}

/// Seconds of generation: from the observed speed, else from the fit on active parameters; a first token's time for
/// each answer where it was observed; never above what was measured.
fn generation_seconds(architecture: &Architecture, active: f64, output: Sums) -> f64 {
    let fitted = LATENCY_ALPHA * active + LATENCY_BETA * BATCH_SIZE + LATENCY_GAMMA;
    let per_token = architecture.decode_tokens_per_s.map_or(fitted, f64::recip);
    let seconds = output.tokens * per_token + output.answers * architecture.ttft_s.unwrap_or(0.0);
    output.seconds.map_or(seconds, |measured| seconds.min(measured))
}

/// GPUs that hold a model of so many billion parameters: the next power of two.
fn gpus(total_b: f64) -> f64 {
    let memory_gb = MEMORY_OVERHEAD * total_b * QUANTIZATION_BITS / 8.0;
    (memory_gb / GPU_MEMORY_GB).ceil().log2().ceil().exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_just_fits_takes_one_gpu_and_no_power_of_two_is_doubled() {
        assert_eq!(gpus(33.0), 1.0);
        assert_eq!(gpus(34.0), 2.0);
        assert_eq!(gpus(66.0), 2.0);
        assert_eq!(gpus(119.0), 4.0);
        assert_eq!(gpus(675.0), 32.0);
        for power in 0..12_i32 {
            let full = f64::from(1_u32 << power) * 33.0;
            assert_eq!(gpus(full), f64::from(1_u32 << power), "{full} billion");
        }
    }
}
