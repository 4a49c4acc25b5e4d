use asasr_core::graph::nets::Compact;

use super::{Known, Taking, none};
use crate::Result;
use crate::tensors::Tensors;

/// Compact (SRVGG): convolutions and rectifiers by turns, in a row named `body`.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    let shaped = |name: &str, n: usize| tensors.shape(name).is_some_and(|s| s.len() == n);
    (shaped("body.0.weight", 4) && shaped("body.1.weight", 1)).then(|| whole(tensors))
}

fn whole(tensors: &Tensors<'_>) -> Result<Known> {
    let taking = Taking::new("Compact", tensors);
    let [features, colours, _, _] = taking.shape("body.0.weight")?;
    let last = tensors.count("body.") - 1;
    let [outputs, ..] = taking.shape::<4>(&format!("body.{last}.weight"))?;
    let net = Compact {
        colours,
        features,
        convs: last.saturating_sub(2) / 2,
        scale: taking.scale(outputs, colours)?,
    };
    let sizes = format!("{features}nf {}nc", net.convs);
    taking.weights(&sizes, net.graph(), str::to_owned, none)
}
