//! Which two models meet, and on which side each is shown. It must not know what they are asked.

/// Draws two of the models, uniformly and without putting the first back: each ordered pair is as likely as any other,
/// so the sides are shuffled too. `None` when there are fewer than two.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn pair<T: Copy>(models: &[T]) -> Result<Option<(T, T)>, getrandom::Error> {
    let Some(others) = models.len().checked_sub(1).filter(|others| *others > 0) else { return Ok(None) };
    let left = below(models.len(), getrandom::u64()?);
    let right = below(others, getrandom::u64()?);
    let right = right + usize::from(right >= left);
    Ok(models.get(left).copied().zip(models.get(right).copied()))
}

/// A number below `count`, from 64 random bits: multiply and shift, uniform to within 2⁻⁵⁰ for up to 16,384 models.
fn below(count: usize, chance: u64) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    usize::try_from((u128::from(chance) * u128::from(count)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_ordered_pair_is_drawn_as_often_as_any_other() {
        const DRAWS: u32 = 60_000;
        let mut counts: BTreeMap<(u8, u8), u32> = BTreeMap::new();
        for _ in 0..DRAWS {
            *counts.entry(pair(&[1, 2, 3]).unwrap().unwrap()).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        for ((left, right), count) in counts {
            assert_ne!(left, right);
            // Seven standard deviations of a binomial count: once in 10¹¹ runs by chance.
            assert!(count.abs_diff(DRAWS / 6) < 640, "{left} {right}: {count}");
        }
    }

    #[test]
    fn one_model_has_nobody_to_meet() {
        assert_eq!(pair::<u8>(&[]).unwrap(), None);
        assert_eq!(pair(&[1]).unwrap(), None);
    }

    #[test]
    fn the_largest_chance_stays_within() {
        assert_eq!((below(3, 0), below(3, u64::MAX), below(1, u64::MAX)), (0, 2, 0));
    }
}
