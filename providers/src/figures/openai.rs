//! OpenAI's pages of usage and costs.
//!
//! `input_tokens` includes what came from the cache, what was written to it and what stands for sound: taken apart here.
//! It must not know how pages are fetched.

use super::json::{NANO_DECIMALS, Node};
use super::{CostLine, FiguresError, UsageBucket, UsageLine, VendorFigures, day_of};

const COSTS: &str = "organization.costs.result";
const USAGE: &str = "organization.usage.";

/// Reads one page.
pub(super) fn page(page: &Node<'_>, figures: &mut VendorFigures) -> Result<(), FiguresError> {
    for bucket in page.need("data")?.list()? {
        let (start, end) = (bucket.need("start_time")?.time()?, bucket.need("end_time")?.time()?);
        if end <= start {
            return Err(bucket.wrong("ends before it begins"));
        }
        for result in bucket.need("results")?.list()? {
            let object = result.need("object")?;
            match object.text()? {
                COSTS => figures.costs.extend(cost(&result, day_of(start))?),
                name if name.starts_with(USAGE) => {
                    let line = UsageLine {
                        start,
                        end,
                        model: result.optional_text("model")?,
                        service_tier: result.optional_text("service_tier")?,
                        zone: None,
                        bucket: UsageBucket::Requests,
                        quantity: 0,
                    };
                    usage(&result, &line, figures)?;
                }
                other => return Err(object.wrong(&format!("`{other}` is neither usage nor costs"))),
            }
        }
    }
    Ok(())
}

fn usage(result: &Node<'_>, line: &UsageLine, figures: &mut VendorFigures) -> Result<(), FiguresError> {
    let (input, cached) = (result.count("input_tokens")?, result.count("input_cached_tokens")?);
    let (written, audio) = (result.count("input_cache_write_tokens")?, result.count("input_audio_tokens")?);
    let parts = [cached, written, audio].into_iter().try_fold(0_u64, u64::checked_add);
    let uncached = parts
        .and_then(|parts| input.checked_sub(parts))
        .ok_or_else(|| result.wrong("has more cached, written and audio tokens than input tokens"))?;
    let seconds = result.get("seconds").map_or(Ok(0), |seconds| {
        seconds.whole(3)?.try_into().map_err(|_| seconds.wrong("is below zero or too long"))
    })?;
    figures.count(line, UsageBucket::Requests, result.count("num_model_requests")?);
    figures.count(line, UsageBucket::InputUncached, uncached);
    figures.count(line, UsageBucket::InputCached, cached);
    figures.count(line, UsageBucket::CacheWrite, written);
    figures.count(line, UsageBucket::InputAudio, audio);
    figures.count(line, UsageBucket::Output, result.count("output_tokens")?);
    figures.count(line, UsageBucket::AudioMillis, seconds);
    Ok(())
}

fn cost(result: &Node<'_>, day: jiff::civil::Date) -> Result<Option<CostLine>, FiguresError> {
    let Some(amount) = result.get("amount") else { return Ok(None) };
    let value = amount.need("value")?;
    let nanos = i64::try_from(value.whole(NANO_DECIMALS)?).map_err(|_| value.wrong("is out of range"))?;
    let currency = amount.need("currency")?;
    let code = currency.text()?.to_uppercase();
    let currency = code.parse().map_err(|_| currency.wrong(&format!("`{code}` is no currency known here")))?;
    let line_item = result.optional_text("line_item")?;
    // Words such as `gpt-4.1-mini-2025-04-14, cached input`.
    let model = line_item.as_deref().and_then(|item| item.rsplit_once(", ")).map(|(model, _)| model.to_owned());
    Ok(Some(CostLine { day, model, line_item, nanos, currency }))
}

/// Where the next page is, if there is one.
pub(super) fn next_page(page: &Node<'_>) -> Result<Option<String>, FiguresError> {
    page.optional_text("next_page")
}
