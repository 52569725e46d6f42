//! Order statistics of measured numbers.
//!
//! Invariant: never of nothing; an empty list is a bug of the benchmark and panics.

/// The value below or at which `share` (0 to 1) of `values` lie (nearest rank).
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The smallest one.
pub(crate) fn least(values: &[f64]) -> f64 {
    quantile(values, 0.0)
}

/// The middle one and the smallest one, in words.
pub(crate) fn spread(values: &[f64], unit: &str) -> String {
    format!(
        "median {:.3}{unit}, least {:.3}{unit}, most {:.3}{unit} of {}",
        median(values),
        least(values),
        quantile(values, 1.0),
        values.len()
    )
}
