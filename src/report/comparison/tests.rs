//! Comparisons of made-up towns.
