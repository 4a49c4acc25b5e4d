//! What the restoration transformers' files have in common.

use asasr_core::graph::limits;
use asasr_core::graph::nets::{TransformerFrame, Upsampler};

use super::Taking;
use crate::Result;

/// Where a file's groups and blocks are.
pub(super) struct Names {
    /// Between a group's name and its blocks' numbers.
    pub(super) blocks: &'static str,
    /// The first convolution.
    pub(super) first: &'static str,
    /// Side of the blocks of pixels that it reads.
    pub(super) unshuffle: usize,
    /// What the image is multiplied with.
    pub(super) range: f64,
}

/// What is around the blocks.
pub(super) fn frame(taking: &Taking<'_, '_>, names: &Names) -> Result<TransformerFrame> {
    let [features, inputs, ..] = taking.shape::<4>(&format!("{}.weight", names.first))?;
    let there = |name: &str| taking.tensors.has(name);
    let numbers = |name: &dyn Fn(usize) -> String| {
        let numbers = (0..limits::NODES).take_while(|i| there(&name(*i)));
        numbers.count()
    };
    let groups = numbers(&|i| format!("layers.{i}{}.0.norm1.weight", names.blocks));
    let blocks = |i: usize| numbers(&|j| format!("layers.{i}{}.{j}.norm1.weight", names.blocks));
    let depths: Vec<usize> = (0..groups).map(blocks).collect();
    if depths.iter().sum::<usize>() > limits::NODES {
        return Err(taking.wrong("it has more blocks than are run"));
    }
    let colours = inputs / (names.unshuffle * names.unshuffle);
    Ok(TransformerFrame {
        colours,
        features,
        depths,
        unshuffle: names.unshuffle,
        range: names.range,
        three_convs: there("conv_after_body.0.weight"),
        upsampler: upsampler(taking, colours)?,
    })
}

fn upsampler(taking: &Taking<'_, '_>, colours: usize) -> Result<Upsampler> {
    let there = |name: &str| taking.tensors.has(name);
    if there("conv_before_upsample.0.weight") {
        let [features, ..] = taking.shape::<4>("conv_before_upsample.0.weight")?;
        if there("conv_up1.weight") {
            let enlarging = (1..limits::NODES).take_while(|i| there(&format!("conv_up{i}.weight")));
            let doublings = enlarging.count();
            return Ok(Upsampler::Nearest { features, doublings });
        }
        let names = (0..limits::NODES).map(|i| format!("upsample.{}.weight", 2 * i));
        let factor = |name: String| {
            let [outputs, inputs, ..] = taking.shape::<4>(&name)?;
            taking.scale(outputs, inputs)
        };
        let factors = names.take_while(|name| there(name)).map(factor);
        let factors = factors.collect::<Result<_>>()?;
        return Ok(Upsampler::Shuffle { features, factors });
    }
    if there("upsample.0.weight") {
        let [outputs, ..] = taking.shape::<4>("upsample.0.weight")?;
        let factor = taking.scale(outputs, colours)?;
        return Ok(Upsampler::Direct { factor });
    }
    Ok(Upsampler::Residual)
}
