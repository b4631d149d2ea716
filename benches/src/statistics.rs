//! Statistics of repeated measurements: medians, and a test whether two samples differ.

use std::time::Duration;

/// Number of times that a measurement is repeated. The cases `backup of 1 GB` and `transfers` have their own numbers.
pub const REPETITIONS: usize = 5;

/// Returns the median. For an even number of values, this is the higher of the two middle values; without values, 0.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Returns the p50 and p99 whose ratio is the median of all ratios.
pub fn median_by_ratio(mut latencies: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    latencies.sort_unstable_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
    latencies.get(latencies.len() / 2).copied().unwrap_or_default()
}

/// Returns p99 / p50.
pub fn ratio((p50, p99): (Duration, Duration)) -> f64 {
    p99.as_secs_f64() / p50.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Returns the standard score of the Mann-Whitney test for whether the values of one sample tend to be larger than
/// those of the other. The score is not corrected for equal values, because measured times are rarely equal. Returns
/// `None` for an empty sample.
pub fn mann_whitney_z(a: &[f64], b: &[f64]) -> Option<f64> {
    let (m, n) = (a.len() as f64, b.len() as f64);
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let larger = |x: &f64| {
        b.iter()
            .map(|y| {
                if x > y {
                    1.0
                } else if x == y {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    let statistic: f64 = a.iter().map(larger).sum();
    Some((statistic - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_samples_score_zero_and_shifted_samples_score_high() {
        let sample = |shift: f64| (0..100).map(|i| f64::from(i) + shift).collect::<Vec<_>>();
        assert!(mann_whitney_z(&sample(0.0), &sample(0.0)).is_some_and(|z| z.abs() < 1e-9));
        assert!(mann_whitney_z(&sample(50.0), &sample(0.0)).is_some_and(|z| z > 8.0));
        assert!(mann_whitney_z(&sample(0.0), &sample(50.0)).is_some_and(|z| z < -8.0));
        assert!(mann_whitney_z(&[], &[1.0]).is_none());
    }
}
