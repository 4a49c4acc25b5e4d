use asasr_core::graph::nets::Dat;
use asasr_core::model::{ParameterShape, Tensor};

use super::transformer::{Names, frame};
use super::{Known, Taking};
use crate::Result;
use crate::tensors::Tensors;

/// What keeps the roots of the authors' normalisations from zero.
const EPSILON: f64 = 1e-5;
/// Convolutions that a batch normalisation follows, and the places of both.
const NORMALISED: [(&str, &str, &str); 3] = [
    ("dwconv", "0", "1"),
    ("channel_interaction", "1", "2"),
    ("spatial_interaction", "0", "1"),
];

/// DAT: residual groups of blocks that attend to pixels and to channels by turns.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    let marks = [
        "layers.0.blocks.0.attn.attns.0.rpe_biases",
        "layers.0.blocks.0.attn.spatial_interaction.0.weight",
        "layers.0.blocks.0.ffn.sg.norm.weight",
        "before_RG.1.weight",
    ];
    // RGT has these too.
    let relative = tensors.has("layers.0.blocks.0.gamma");
    let there = |mark: &&str| tensors.has(mark);
    (marks.iter().all(there) && !relative).then(|| whole(tensors))
}

fn whole(tensors: &Tensors<'_>) -> Result<Known> {
    let mut taking = Taking::new("DAT", tensors);
    let frame = frame(
        &taking,
        &Names {
            blocks: ".blocks",
            first: "conv_first",
            unshuffle: 1,
            range: 1.0,
        },
    )?;
    let heads = frame.depths.iter().enumerate().map(|(group, depth)| {
        let block = |i: usize, name: &str| format!("layers.{group}.blocks.{i}.attn.{name}");
        if *depth > 1 {
            let [heads, ..] = taking.shape::<3>(&block(1, "temperature"))?;
            return Ok(heads);
        }
        let [half, _] = taking.shape(&block(0, "attns.0.pos.pos3.2.weight"))?;
        Ok(2 * half)
    });
    let heads = heads.collect::<Result<_>>()?;
    let [hidden, _] = taking.shape("layers.0.blocks.0.ffn.fc1.weight")?;
    let window = window(&mut taking)?;
    let blocks: usize = frame.depths.iter().sum();
    let sizes = format!("{}dim {blocks}nb {}x{}", frame.features, window[0], window[1]);
    let net = Dat {
        frame,
        heads,
        window,
        hidden,
        qkv_bias: tensors.has("layers.0.blocks.0.attn.qkv.bias"),
    };
    let spare = |name: &str| {
        let kind = name.rsplit('.').next().unwrap_or(name);
        [
            "attn_mask_0",
            "attn_mask_1",
            "num_batches_tracked",
            "relative_position_index",
            "rpe_biases",
        ]
        .contains(&kind)
    };
    let make = |taking: &mut Taking<'_, '_>, parameter: &ParameterShape| {
        let name = &parameter.name;
        if let Some(module) = name.strip_suffix(".position") {
            let standing = module.ends_with("attns.1");
            let [rows, columns] = window;
            let window = if standing { [columns, rows] } else { window };
            return positions(taking, &format!("{module}.pos"), window, parameter.shape[0]);
        }
        for (part, conv, norm) in NORMALISED {
            let mark = format!(".{part}.{conv}.");
            if let Some((block, kind)) = name.split_once(&mark) {
                let part = format!("{block}.{part}");
                return folded(taking, &part, [conv, norm], kind, parameter);
            }
        }
        let reshaped = name.ends_with(".temperature") || name.contains(".channel_interaction.");
        let tensor = taking.tensor(name)?;
        Ok(if reshaped {
            as_shaped(tensor, parameter)
        } else {
            tensor
        })
    };
    taking.made(&sizes, net.graph(), make, spare)
}

/// Rows and columns of the first windows: the last of all distances is that of their corners.
fn window(taking: &mut Taking<'_, '_>) -> Result<[usize; 2]> {
    let name = "layers.0.blocks.0.attn.attns.0.rpe_biases";
    let distances = taking.tensor(name)?;
    if let [.., down, across] = *distances.values {
        let window = [down, across].map(|far| (far as usize).saturating_add(1));
        let count = window.map(|side| 2 * side - 1);
        if distances.shape == [count[0].saturating_mul(count[1]), 2] {
            return Ok(window);
        }
    }
    Err(taking.wrong(format!("{name} is no table of distances")))
}

/// The same numbers in a shape without dimensions of one.
fn as_shaped(tensor: Tensor, parameter: &ParameterShape) -> Tensor {
    let bare: Vec<usize> = tensor.shape.iter().copied().filter(|n| *n != 1).collect();
    let needed: Vec<usize> = parameter.shape.iter().copied().filter(|n| *n != 1).collect();
    if bare != needed {
        return tensor;
    }
    Tensor {
        shape: parameter.shape.clone(),
        values: tensor.values,
    }
}

/// The weight or the bias of a convolution and the batch normalisation after it, as one convolution.
fn folded(
    taking: &mut Taking<'_, '_>,
    part: &str,
    [conv, norm]: [&str; 2],
    kind: &str,
    parameter: &ParameterShape,
) -> Result<Tensor> {
    let mut of = |place: &str, kind: &str| taking.tensor(&format!("{part}.{place}.{kind}"));
    let mut folded = of(conv, kind)?;
    let (gain, shift) = (of(norm, "weight")?, of(norm, "bias")?);
    let (mean, variance) = (of(norm, "running_mean")?, of(norm, "running_var")?);
    let outputs = parameter.shape[0];
    let all = [&gain, &shift, &mean, &variance];
    if folded.shape.first() != Some(&outputs) || all.iter().any(|t| t.shape != [outputs]) {
        return Err(taking.wrong(format!("{part}.{norm} is no normalisation of {part}.{conv}")));
    }
    let each = (folded.values.len() / outputs).max(1);
    for (o, values) in folded.values.chunks_exact_mut(each).enumerate() {
        let [gain, shift, mean, variance] = all.map(|t| f64::from(t.values[o]));
        let scale = gain / (variance + EPSILON).sqrt();
        for value in values {
            let wide = f64::from(*value);
            *value = match kind {
                "bias" => (wide - mean).mul_add(scale, shift),
                _ => wide * scale,
            } as f32;
        }
    }
    Ok(as_shaped(folded, parameter))
}

/// What a small network makes of every distance in a window: `[heads, distances]`. Four linear maps, and before each but the first a
/// normalisation and a rectifier.
fn positions(
    taking: &mut Taking<'_, '_>,
    module: &str,
    [rows, columns]: [usize; 2],
    heads: usize,
) -> Result<Tensor> {
    let first = Affine::read(taking, &format!("{module}.pos_proj"), None)?;
    let mut inner = first.outputs();
    let mut rest = Vec::new();
    for place in 1..=3 {
        let norm = format!("{module}.pos{place}.0");
        let (weight, bias) = (format!("{norm}.weight"), format!("{norm}.bias"));
        let norm = [taking.tensor(&weight)?, taking.tensor(&bias)?];
        if norm.iter().any(|t| t.shape != [inner]) {
            return Err(taking.wrong(format!("{weight} does not go with {inner} channels")));
        }
        let next = Affine::read(taking, &format!("{module}.pos{place}.2"), Some(inner))?;
        inner = next.outputs();
        rest.push((norm, next));
    }
    let sides = [rows, columns].map(|side| side as i64);
    let distances =
        (1 - sides[0]..sides[0]).flat_map(|down| (1 - sides[1]..sides[1]).map(move |x| [down, x]));
    let (count, mut values) = ((2 * rows - 1) * (2 * columns - 1), Vec::new());
    for distance in distances {
        let mut x = first.of(&distance.map(|d| d as f64));
        for (norm, next) in &rest {
            x = next.of(&rectified(&x, norm));
        }
        values.extend(x);
    }
    if inner != heads || first.inputs() != 2 {
        return Err(taking.wrong(format!(
            "{module} makes {inner} numbers of a distance, not {heads}"
        )));
    }
    let by_head = |i: usize| values[i % count * heads + i / count] as f32;
    Ok(Tensor {
        shape: vec![heads, count],
        values: (0..heads * count).map(by_head).collect(),
    })
}

/// What is above zero of `x`, normalised.
fn rectified(x: &[f64], [weight, bias]: &[Tensor; 2]) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let root = (variance + EPSILON).sqrt();
    let learned = weight.values.iter().zip(&bias.values);
    let numbers = x.iter().zip(learned);
    numbers
        .map(|(x, (weight, bias))| ((x - mean) / root).mul_add(f64::from(*weight), f64::from(*bias)))
        .map(|x| x.max(0.0))
        .collect()
}

/// A linear map.
struct Affine {
    weight: Tensor,
    bias: Tensor,
}

impl Affine {
    /// That of `module`, of `inputs` numbers where they are known.
    fn read(taking: &mut Taking<'_, '_>, module: &str, inputs: Option<usize>) -> Result<Self> {
        let (name, bias) = (format!("{module}.weight"), format!("{module}.bias"));
        let [outputs, own] = taking.shape(&name)?;
        let (weight, bias) = (taking.tensor(&name)?, taking.tensor(&bias)?);
        if bias.shape != [outputs] || inputs.is_some_and(|n| n != own) {
            return Err(taking.wrong(format!("{name} has the shape {:?}", weight.shape)));
        }
        Ok(Self { weight, bias })
    }

    fn inputs(&self) -> usize {
        self.weight.values.len() / self.outputs()
    }

    fn outputs(&self) -> usize {
        self.bias.values.len()
    }

    fn of(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.weight.values.chunks_exact(self.inputs().max(1));
        rows.zip(&self.bias.values)
            .map(|(row, bias)| {
                let products = row.iter().zip(x).map(|(w, x)| f64::from(*w) * x);
                f64::from(*bias) + products.sum::<f64>()
            })
            .collect()
    }
}
