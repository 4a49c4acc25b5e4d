use asasr_core::graph::nets::SwinIr;
use asasr_core::model::{ParameterShape, Tensor};

use super::transformer::{Names, frame};
use super::{Known, Taking};
use crate::Result;
use crate::tensors::Tensors;

const TABLE: &str = "attn.relative_position_bias_table";
/// A tensor that only SwinIR's relatives have.
const RELATIVES: [&str; 2] = [
    "layers.0.residual_group.overlap_attn.relative_position_bias_table",
    "layers.0.residual_group.blocks.0.attn.aligned_relative_position_index",
];

/// SwinIR: residual groups of blocks with a table of relative positions.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    let marks = [
        "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
        "layers.0.residual_group.blocks.0.mlp.fc1.weight",
        "conv_first",
    ];
    let there = |mark: &&str| tensors.names().any(|name| name.starts_with(mark));
    let relative = RELATIVES.iter().any(|mark| tensors.has(mark));
    (marks.iter().all(there) && !relative).then(|| whole(tensors))
}

fn whole(tensors: &Tensors<'_>) -> Result<Known> {
    let taking = Taking::new("SwinIR", tensors);
    // After a place without tensors, which makes channels of pixels.
    let unshuffled = tensors.has("conv_first.1.weight");
    let first = if unshuffled { "conv_first.1" } else { "conv_first" };
    let unshuffle = if unshuffled {
        let [_, inputs, ..] = taking.shape::<4>("conv_first.1.weight")?;
        taking.scale(inputs, COLOURS)?
    } else {
        1
    };
    let block = |group: usize, name: &str| format!("layers.{group}.residual_group.blocks.0.{name}");
    let [distances, _] = taking.shape(&block(0, TABLE))?;
    let window = distances.isqrt().div_ceil(2);
    let frame = frame(
        &taking,
        &Names {
            blocks: ".residual_group.blocks",
            first,
            unshuffle,
            // Only networks for JPEG have windows of 7, and only they read 0 to 255.
            range: if window == 7 { 255.0 } else { 1.0 },
        },
    )?;
    let heads = (0..frame.depths.len()).map(|group| {
        let [_, heads] = taking.shape(&block(group, TABLE))?;
        Ok(heads)
    });
    let [hidden, _] = taking.shape(&block(0, "mlp.fc1.weight"))?;
    let blocks: usize = frame.depths.iter().sum();
    let sizes = format!("{}dim {blocks}nb {window}ws", frame.features);
    let net = SwinIr {
        heads: heads.collect::<Result<_>>()?,
        window,
        hidden,
        qkv_bias: tensors.has(&block(0, "attn.qkv.bias")),
        embed_norm: tensors.has("patch_embed.norm.weight"),
        frame,
    };
    let make = |taking: &mut Taking<'_, '_>, parameter: &ParameterShape| {
        let name = &parameter.name;
        if let Some(module) = name.strip_suffix("attn.position") {
            return taking
                .tensor(&format!("{module}{TABLE}"))
                .map(|table| transposed(&table));
        }
        match name.strip_prefix("conv_first.") {
            Some(kind) => taking.tensor(&format!("{first}.{kind}")),
            None => taking.tensor(name),
        }
    };
    let spare = |name: &str| name.ends_with(".attn_mask") || name.ends_with(".relative_position_index");
    taking.made(&sizes, net.graph(), make, spare)
}

/// Colours of the networks that make channels of pixels.
const COLOURS: usize = 3;

/// A table of two dimensions, the other way round. Distances are counted as we count them: down from the top, then to the right.
fn transposed(table: &Tensor) -> Tensor {
    let [rows, columns] = *table.shape.as_slice() else {
        return table.clone();
    };
    let at = |i: usize| table.values[i % rows * columns + i / rows];
    Tensor {
        shape: vec![columns, rows],
        values: (0..rows * columns).map(at).collect(),
    }
}
