use alloc::vec::Vec;

use crate::random::SplitMix64;

/// How training draws its times in `(0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeSampling {
    /// Each time on its own, uniform.
    Uniform,
    /// One uniform time in each of `n` equal intervals, in random order: less variance at the same mean.
    Stratified,
    /// `sigmoid(mean + deviation * normal)`: more times where the logistic's mass is (Esser et al. 2024).
    LogitNormal {
        /// Of the logit; zero is the middle.
        mean: f64,
        /// Of the logit, zero or more; 1 is common.
        deviation: f64,
    },
}

impl TimeSampling {
    /// Draws `n` times.
    pub fn draw(&self, n: usize, random: &mut SplitMix64) -> Vec<f64> {
        match self {
            Self::Uniform => (0..n).map(|_| random.unit()).collect(),
            Self::Stratified => {
                let mut times: Vec<f64> = (0..n).map(|i| (i as f64 + random.unit()) / n as f64).collect();
                for i in (1..n).rev() {
                    times.swap(i, random.below(i + 1));
                }
                times
            }
            Self::LogitNormal { mean, deviation } => (0..n)
                .map(|_| 1.0 / (1.0 + libm::exp(-(mean + deviation * random.normal()))))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(sampling: TimeSampling) -> (f64, f64) {
        let times = sampling.draw(40_000, &mut SplitMix64::new(1));
        assert!(times.iter().all(|t| *t > 0.0 && *t < 1.0));
        let mean = times.iter().sum::<f64>() / 40_000.0;
        let variance = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / 40_000.0;
        (mean, variance)
    }

    #[test]
    fn times_have_the_moments_of_their_law() {
        for sampling in [TimeSampling::Uniform, TimeSampling::Stratified] {
            let (mean, variance) = moments(sampling);
            assert!((mean - 0.5).abs() < 0.008 && (variance - 1.0 / 12.0).abs() < 0.003);
        }
        // The variance of a standard logit-normal is 0.043379 (numerical integration).
        let (mean, variance) = moments(TimeSampling::LogitNormal {
            mean: 0.0,
            deviation: 1.0,
        });
        assert!(
            (mean - 0.5).abs() < 0.006 && (variance - 0.0434).abs() < 0.002,
            "{mean} {variance}"
        );
        // The median of a logit-normal is the sigmoid of its mean.
        let mut times = TimeSampling::LogitNormal {
            mean: 1.0,
            deviation: 0.5,
        }
        .draw(10_001, &mut SplitMix64::new(2));
        times.sort_by(f64::total_cmp);
        assert!((times[5000] - 0.731).abs() < 0.01);
    }

    #[test]
    fn stratified_times_fill_every_stratum_in_random_order() {
        let mut random = SplitMix64::new(3);
        let times = TimeSampling::Stratified.draw(16, &mut random);
        let mut strata: Vec<usize> = times.iter().map(|t| (t * 16.0) as usize).collect();
        assert_ne!(strata, (0..16).collect::<Vec<_>>());
        strata.sort_unstable();
        assert_eq!(strata, (0..16).collect::<Vec<_>>());
    }
}
