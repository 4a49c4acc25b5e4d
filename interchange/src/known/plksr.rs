use asasr_core::graph::nets::{Mixer, Plksr, PlksrNorm};

use super::{Known, Taking, none};
use crate::Result;
use crate::tensors::Tensors;

/// PLKSR and RealPLKSR: blocks with one large kernel each, in a row named `feats`.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    tensors.has("feats.1.lk.conv.weight").then(|| whole(tensors))
}

fn whole(tensors: &Tensors<'_>) -> Result<Known> {
    let real = tensors.has("feats.1.channel_mixer.0.weight");
    let taking = Taking::new(if real { "RealPLKSR" } else { "PLKSR" }, tensors);
    if tensors.has("to_img.init_pos") {
        return Err(taking.wrong("it samples with DySample, which does not run here"));
    }
    let [features, colours, ..] = taking.shape::<4>("feats.0.weight")?;
    let last = tensors.count("feats.").saturating_sub(1);
    let [outputs, ..] = taking.shape::<4>(&format!("feats.{last}.weight"))?;
    let [partial, _, kernel, _] = taking.shape("feats.1.lk.conv.weight")?;
    // The real one has a place without tensors before the last.
    let blocks = last.saturating_sub(if real { 2 } else { 1 });
    let mixer = if real { "channel_mixer" } else { "channe_mixer" };
    let side = |place: usize| -> Result<usize> {
        let [_, _, side, _] = taking.shape(&format!("feats.1.{mixer}.{place}.weight"))?;
        Ok(side)
    };
    let norm = match (real, tensors.has("feats.1.layer_norm.weight")) {
        (false, _) => PlksrNorm::None,
        (true, true) => PlksrNorm::Layer,
        (true, false) => PlksrNorm::Group,
    };
    let net = Plksr {
        colours,
        features,
        blocks,
        kernel,
        partial,
        scale: taking.scale(outputs, colours)?,
        mixer: if real { Mixer::Mish } else { Mixer::Gelu },
        mixer_kernels: [side(0)?, side(2)?],
        attention: tensors.has("feats.1.attn.f.0.weight"),
        norm,
        last,
    };
    let sizes = format!("{features}dim {blocks}nb {kernel}ks");
    taking.weights(&sizes, net.graph(), str::to_owned, none)
}
