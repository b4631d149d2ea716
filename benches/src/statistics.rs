//! Repetition of measurements, and their medians.

use std::time::Duration;

/// Number of times that each measurement is repeated.
pub const REPETITIONS: usize = 5;

/// Returns the median.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Returns the p50 and p99 whose ratio is the median.
pub fn median_by_ratio(mut latencies: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    latencies.sort_unstable_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
    latencies.get(latencies.len() / 2).copied().unwrap_or_default()
}

/// Returns p99 / p50.
pub fn ratio((p50, p99): (Duration, Duration)) -> f64 {
    p99.as_secs_f64() / p50.as_secs_f64().max(f64::MIN_POSITIVE)
}
