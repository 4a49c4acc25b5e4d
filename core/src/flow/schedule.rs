use alloc::{format, vec::Vec};

use crate::{Error, Result};

/// The times a solver visits, from 0 to 1, strictly increasing.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    times: Vec<f64>,
}

impl Default for Schedule {
    /// 28 equal steps, the paper's (arXiv 2605.23264).
    fn default() -> Self {
        Self::equal(28)
    }
}

impl Schedule {
    /// One step: what a model distilled to a single evaluation takes.
    pub fn one() -> Self {
        Self::equal(1)
    }

    /// Two equal steps.
    pub fn two() -> Self {
        Self::equal(2)
    }

    /// Four equal steps.
    pub fn four() -> Self {
        Self::equal(4)
    }

    /// `steps` equal steps.
    ///
    /// # Errors
    /// [`Error::Schedule`] when `steps` is not within 1 to 1000.
    pub fn uniform(steps: usize) -> Result<Self> {
        if (1..=1000).contains(&steps) {
            Ok(Self::equal(steps))
        } else {
            Err(Error::Schedule(format!("{steps} steps are not within 1 to 1000")))
        }
    }

    /// Any times from 0 to 1.
    ///
    /// # Errors
    /// [`Error::Schedule`] when the first is not 0, the last not 1, or one is not above the one before it.
    pub fn from_times(times: Vec<f64>) -> Result<Self> {
        if times.len() < 2 || times[0] != 0.0 || times[times.len() - 1] != 1.0 {
            return Err(Error::Schedule(
                "the times of a schedule start with 0 and end with 1".into(),
            ));
        }
        for i in 1..times.len() {
            if times[i - 1].total_cmp(&times[i]).is_ge() {
                return Err(Error::Schedule(format!(
                    "the time {} of a schedule does not come after {}",
                    times[i],
                    times[i - 1]
                )));
            }
        }
        Ok(Self { times })
    }

    /// The same number of steps, moved by `t -> t / (t + shift (1 - t))`: a shift above 1 takes smaller steps near
    /// `t = 0`, below 1 near `t = 1` (Esser et al. 2024, with time running from noise to image).
    ///
    /// # Errors
    /// [`Error::Schedule`] when `shift` is not within 0.01 to 100.
    pub fn shifted(&self, shift: f64) -> Result<Self> {
        if !(0.01..=100.0).contains(&shift) {
            return Err(Error::Schedule(format!(
                "a shift of {shift} is not within 0.01 to 100"
            )));
        }
        Self::from_times(self.times.iter().map(|t| t / (t + shift * (1.0 - t))).collect())
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// All times, one more than there are steps.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    fn equal(steps: usize) -> Self {
        Self {
            times: (0..=steps).map(|i| i as f64 / steps as f64).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn the_named_schedules_have_their_steps() {
        let steps = [Schedule::one(), Schedule::two(), Schedule::four()].map(|s| s.steps());
        assert_eq!(steps, [1, 2, 4]);
        assert_eq!(Schedule::default().steps(), 28);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in [
            vec![],
            vec![0.0],
            vec![0.1, 1.0],
            vec![0.0, 0.9],
            vec![0.0, 0.5, 0.5, 1.0],
            vec![0.0, f64::NAN, 1.0],
        ] {
            assert!(matches!(Schedule::from_times(bad), Err(Error::Schedule(_))));
        }
        assert!(Schedule::uniform(0).is_err());
        assert!(Schedule::one().shifted(0.0).is_err());
    }

    proptest! {
        #[test]
        fn shifts_keep_ends_and_order(steps in 1usize..200, shift in 0.01f64..100.0) {
            let shifted = Schedule::uniform(steps).expect("in range").shifted(shift).expect("in range");
            prop_assert_eq!(shifted.steps(), steps);
            // Above one the first step is the smaller.
            let t = shifted.times();
            if steps > 1 && shift > 1.01 {
                prop_assert!(t[1] < 1.0 - t[steps - 1]);
            }
        }
    }
}
