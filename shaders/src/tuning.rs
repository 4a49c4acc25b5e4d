//! Which of several ways to compute the same is the fastest on an adapter.

use std::fmt;
use std::str::FromStr;

use asasr_core::{Error, Result, Size};
use wgpu::ErrorFilter;

use crate::gpu::Gpu;
use crate::graph::Ends;
use crate::trial::{self, Trial};

/// Numbers that features and weights of a network are kept in. Products of a row of taps are added up in them, all else in
/// single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits.
    #[default]
    Full,
    /// 16 bits, where the adapter has `shader-f16`.
    Half,
}

impl Precision {
    /// The names of its numbers.
    pub(crate) fn aliases(self) -> &'static str {
        match self {
            Self::Full => "alias Real = f32;\nalias Real4 = vec4<f32>;\nalias Block = mat4x4<f32>;\n",
            Self::Half => "alias Real = f16;\nalias Real4 = vec4<f16>;\nalias Block = mat4x4<f16>;\n",
        }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Full => 4,
            Self::Half => 2,
        }
    }
}

/// How a 3x3 convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convolution {
    /// By its definition.
    Direct,
    /// With half of the products, by Winograd's transform along rows.
    Winograd,
}

/// How kernels are run on an adapter. Its text, such as `winograd 2 16x4 half`, can be kept for the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// How 3x3 convolutions are computed.
    pub convolution: Convolution,
    /// Groups of four output channels that an invocation computes: 1, 2 or, by the definition only, 4.
    pub tall: usize,
    /// Sides of a network's work-groups.
    pub group: (usize, usize),
    /// Of features and weights.
    pub precision: Precision,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            convolution: Convolution::Direct,
            tall: 2,
            group: (8, 8),
            precision: Precision::Full,
        }
    }
}

/// Ways to compute a convolution.
const WAYS: [(Convolution, usize); 5] = [
    (Convolution::Direct, 2),
    (Convolution::Direct, 1),
    (Convolution::Direct, 4),
    (Convolution::Winograd, 1),
    (Convolution::Winograd, 2),
];
/// Sides of work-groups.
const GROUPS: [(usize, usize); 3] = [(8, 8), (16, 4), (4, 16)];

impl Tuning {
    /// Those that differ in the `step`-th respect: the way, the work-group, the precision.
    fn neighbours(self, step: usize, half: bool) -> Vec<Self> {
        let all = Self::all(half).into_iter();
        let ways = |t: &Self| (t.convolution, t.tall);
        all.filter(|t| {
            let same = [
                ways(t) == ways(&self),
                t.group == self.group,
                t.precision == self.precision,
            ];
            same.iter().enumerate().all(|(i, same)| *same == (i != step))
        })
        .collect()
    }

    /// All that an adapter may be tuned to, with half precision or without.
    pub fn all(half: bool) -> Vec<Self> {
        let mut all = Vec::new();
        for precision in [Precision::Full, Precision::Half] {
            for (convolution, tall) in WAYS {
                for group in GROUPS {
                    if half || precision == Precision::Full {
                        all.push(Self {
                            convolution,
                            tall,
                            group,
                            precision,
                        });
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let convolution = match self.convolution {
            Convolution::Direct => "direct",
            Convolution::Winograd => "winograd",
        };
        let precision = match self.precision {
            Precision::Full => "full",
            Precision::Half => "half",
        };
        let (wide, high) = self.group;
        write!(f, "{convolution} {} {wide}x{high} {precision}", self.tall)
    }
}

impl FromStr for Tuning {
    type Err = Error;

    /// # Errors
    /// [`Error::Device`] for a text that no tuning has.
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::all(true).into_iter().find(|t| t.to_string() == text);
        known.ok_or_else(|| Error::Device(format!("{text:?} is no tuning of its kernels")))
    }
}

/// Side of the tile that a convolution is tried on.
const SIDE: usize = 64;
/// Milliseconds that one convolution may take at most for a trial: a software adapter takes longer.
const PATIENCE: f64 = 25.0;
/// Milliseconds that each way is timed for at least.
const LEAST: f64 = 4.0;
/// Half precision must be worth its rounding.
const HALF_GAIN: f64 = 0.8;

impl Gpu {
    /// How its kernels run.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Sets how kernels run that are made from now on.
    ///
    /// # Errors
    /// [`Error::Device`] for half precision where the adapter has none.
    pub fn set_tuning(&mut self, tuning: Tuning) -> Result<()> {
        if tuning.precision == Precision::Half && !self.has_half() {
            return Err(Error::Device(format!("{} has no half precision", self.name())));
        }
        self.tuning = tuning;
        Ok(())
    }

    /// Tries ways on the device, for a fraction of a second, and keeps the fastest: first how a convolution is computed, then
    /// the work-group's sides, then the precision. `now` tells the time in milliseconds. An adapter on which even one trial
    /// takes long is left as it is.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn tune(&mut self, now: impl Fn() -> f64) -> Result<()> {
        let mut best = self.tuning;
        let Some(mut least) = self.cost(best, f64::MAX, &now).await? else {
            return Ok(());
        };
        for step in 0..3 {
            let kept = best;
            for tuning in kept.neighbours(step, self.has_half()) {
                let gain = if tuning.precision == kept.precision {
                    1.0
                } else {
                    HALF_GAIN
                };
                if let Some(cost) = self.cost(tuning, least, &now).await?
                    && cost < least * gain
                {
                    (best, least) = (tuning, cost);
                }
            }
        }
        self.tuning = best;
        self.forget_pipelines();
        Ok(())
    }

    /// Milliseconds of a convolution; none where one takes too long to find out. What is clearly above `limit` is not
    /// timed long.
    async fn cost(&self, tuning: Tuning, limit: f64, now: &impl Fn() -> f64) -> Result<Option<f64>> {
        let mut gpu = self.clone();
        gpu.tuning = tuning;
        // What a driver rejects is no choice, and no fault.
        let internal = gpu.device.push_error_scope(ErrorFilter::Internal);
        let validation = gpu.device.push_error_scope(ErrorFilter::Validation);
        let trial = Trial::new(&gpu, trial::convolution(3), Size::new(SIDE, SIDE), Ends::Features).await;
        let (validation, internal) = (validation.pop(), internal.pop());
        if validation.await.or(internal.await).is_some() {
            return Ok(None);
        }
        let trial = trial?;
        let time = async |count: u32| -> Result<f64> {
            let start = now();
            let last = gpu.submit_watched(|pass| (0..count).for_each(|_| trial.encode(pass)));
            gpu.done(last).await?;
            Ok(now() - start)
        };
        // The first run compiles.
        time(1).await?;
        let mut count = 1;
        loop {
            let time = time(count).await?;
            let each = time / f64::from(count);
            if each > PATIENCE {
                return Ok(None);
            }
            if time >= LEAST || (each > 2.0 * limit && time > 1.0) {
                return Ok(Some(each));
            }
            count *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_tunings() {
        for tuning in Tuning::all(true) {
            assert_eq!(tuning.to_string().parse(), Ok(tuning));
        }
        assert!("winograd 9 8x8 full".parse::<Tuning>().is_err());
        assert!(Tuning::all(false).contains(&Tuning::default()));
        let start = Tuning::default();
        assert_eq!(
            [0, 1, 2].map(|step| start.neighbours(step, true).len()),
            [4, 2, 1]
        );
        assert!(start.neighbours(2, false).is_empty());
        assert!(Tuning::all(false).iter().all(|t| t.precision == Precision::Full));
    }
}
