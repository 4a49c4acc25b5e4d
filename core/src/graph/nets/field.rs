//! What the velocity fields of format 1 have in common: their inputs, the time's embedding and the skip.

use alloc::{format, string::String, vec, vec::Vec};

use super::{conv_field, dit_field};
use crate::graph::ops::{
    Add, Concat, GaussianGain, Linear, Mul, PixelShuffle, PixelUnshuffle, Silu, Sinusoidal, Sub,
};
use crate::graph::{Builder, Graph, Scale};
use crate::model::{Condition, VelocityArchitecture};
use crate::{Error, Result};

/// The graph of a velocity field: `state` (`x_t`, 3 channels at the field's scale), `low` (the small image, 3 channels), `mean` (as
/// `state`) where the condition asks for it, and `time` (a vector of one channel) to `velocity` (as `state`).
///
/// # Errors
/// [`Error::Architecture`] when the description is none, or when nothing is modulated by the time.
pub fn velocity(architecture: &VelocityArchitecture) -> Result<Graph> {
    architecture.validate()?;
    let factor = architecture.scale();
    let scale = Scale::new(factor, 1)
        .ok_or_else(|| Error::Architecture(format!("scale {factor} is beyond what a graph has")))?;
    let mut b = Builder::new();
    let state = b.map("state", 3, scale);
    let low = b.map("low", 3, Scale::ONE);
    let mean = (architecture.condition() == Condition::LowQualityAndMean).then(|| b.map("mean", 3, scale));
    let time = b.vector("time", 1);

    let embedding = embedding(&mut b, architecture.time_features(), &time);
    let mut parts = vec![b.node("state.blocks", PixelUnshuffle { factor }, &[&state]), low];
    if let Some(mean) = &mean {
        parts.push(b.node("mean.blocks", PixelUnshuffle { factor }, &[mean]));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let input = b.node("input", Concat {}, &parts);
    let tail = match architecture {
        VelocityArchitecture::Conv(own) => conv_field::backbone(&mut b, own, &input, &embedding)?,
        VelocityArchitecture::Dit(own) => dit_field::backbone(&mut b, own, &input, &embedding),
    };
    let mut velocity = b.node("larger", PixelShuffle { factor }, &[&tail]);
    if let (Some(skip), Some(mean)) = (architecture.skip(), &mean) {
        let (sigma, rho) = (skip.sigma, skip.rho);
        let gain = b.node("gain", GaussianGain { sigma, rho }, &[&time]);
        let away = b.node("away", Sub {}, &[&state, mean]);
        let pull = b.node("pull", Mul {}, &[&away, &gain]);
        velocity = b.node("sum", Add {}, &[&velocity, &pull]);
    }
    Ok(b.output("velocity", &velocity))
}

/// `silu(W2 silu(W1 f(t)))`.
fn embedding(b: &mut Builder, features: usize, time: &str) -> String {
    let mut x = b.after("time", Sinusoidal::of_time(features), &[time]);
    for module in ["time.0", "time.2"] {
        x = b.node(module, Linear::new(module, features), &[&x]);
        x = b.after(module, Silu {}, &[&x]);
    }
    x
}
