use asasr_core::graph::nets::Rrdb;

use super::{Known, Taking, none};
use crate::Result;
use crate::tensors::Tensors;

/// Networks that enlarge more are none of images.
const MOST_DOUBLINGS: usize = 4;

/// How a file names the network's parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// By places in a row (`ESRGAN`'s first code).
    Old,
    /// `RRDB_trunk` (`RealSR`, `BSRGAN`).
    Trunk,
    /// `body` (`Real-ESRGAN`), as our graph has it.
    Body,
}

/// ESRGAN's RRDB in its three namings; ESRGAN+ among them.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    let naming = [
        (Naming::Old, "model.1.sub.0.RDB1.conv1.0.weight"),
        (Naming::Trunk, "RRDB_trunk.0.RDB1.conv1.weight"),
        (Naming::Body, "body.0.rdb1.conv1.weight"),
    ];
    let (naming, _) = naming.iter().find(|(_, mark)| tensors.has(mark))?;
    Some(whole(tensors, *naming))
}

fn whole(tensors: &Tensors<'_>, naming: Naming) -> Result<Known> {
    let taking = Taking::new("ESRGAN", tensors);
    let doublings = match naming {
        // First, blocks, three places a doubling, and a convolution, its rectifier and the last.
        Naming::Old => tensors.count("model.").saturating_sub(5) / 3,
        Naming::Trunk | Naming::Body => {
            let there = |i: &usize| tensors.has(&format!("{}.weight", doubling(naming, *i)));
            (1..=MOST_DOUBLINGS).take_while(there).count()
        }
    };
    let blocks = match naming {
        Naming::Old => tensors.count("model.1.sub.").saturating_sub(1),
        Naming::Trunk => tensors.count("RRDB_trunk."),
        Naming::Body => tensors.count("body."),
    };
    let of = |name: &str| named(name, naming, doublings, blocks);
    let [features, inputs, ..] = taking.shape::<4>(&of("conv_first.weight"))?;
    let [colours, ..] = taking.shape::<4>(&of("conv_last.weight"))?;
    let [growth, ..] = taking.shape::<4>(&of("body.0.rdb1.conv1.weight"))?;
    let unshuffle = [1, 2, 4].into_iter().find(|n| colours * n * n == inputs);
    let unshuffle =
        unshuffle.ok_or_else(|| taking.wrong(format!("it makes {colours} colours of {inputs}")))?;
    let net = Rrdb {
        colours,
        features,
        growth,
        blocks,
        doublings,
        unshuffle,
        plus: tensors.names().any(|name| name.contains(".conv1x1.")),
    };
    let plus = if net.plus { "+" } else { "" };
    let sizes = format!("{plus} {features}nf {blocks}nb");
    taking.weights(sizes.trim_start(), net.graph(), of, none)
}

/// The `i`th convolution after a doubling, from 1.
fn doubling(naming: Naming, i: usize) -> String {
    match naming {
        Naming::Old => format!("model.{}", 3 * i),
        Naming::Trunk => format!("upconv{i}"),
        Naming::Body => format!("conv_up{i}"),
    }
}

/// What the file calls a tensor of the graph.
fn named(name: &str, naming: Naming, doublings: usize, blocks: usize) -> String {
    let (module, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let module = match (naming, module) {
        (Naming::Body, module) => module.into(),
        (naming, module) if module.starts_with("conv_up") => {
            let i = module.trim_start_matches("conv_up").parse().unwrap_or(0);
            doubling(naming, i)
        }
        (Naming::Trunk, "conv_body") => "trunk_conv".into(),
        (Naming::Trunk, "conv_hr") => "HRconv".into(),
        (Naming::Trunk, module) => module.replace("body.", "RRDB_trunk.").replace("rdb", "RDB"),
        (Naming::Old, "conv_first") => "model.0".into(),
        (Naming::Old, "conv_body") => format!("model.1.sub.{blocks}"),
        (Naming::Old, "conv_hr") => format!("model.{}", 3 * doublings + 2),
        (Naming::Old, "conv_last") => format!("model.{}", 3 * doublings + 4),
        (Naming::Old, module) => {
            let place = module.replace("body.", "model.1.sub.").replace("rdb", "RDB");
            // Each is the first of a convolution and its rectifier; the plain one of ESRGAN+ stands alone.
            if place.ends_with("conv1x1") {
                place
            } else {
                format!("{place}.0")
            }
        }
    };
    format!("{module}.{kind}")
}
