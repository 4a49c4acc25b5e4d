use asasr_core::graph::nets::{Span, SpanInput};
use asasr_core::model::{Tensor, Weights};

use super::{Known, Taking};
use crate::Result;
use crate::tensors::Tensors;

/// What the fold of a convolution is called, as the authors keep it.
const FOLDED: &str = "eval_conv";

/// SPAN: six blocks of three convolutions, each of several branches while it is trained.
pub(super) fn read(tensors: &Tensors<'_>) -> Option<Result<Known>> {
    let marks = [
        "block_1.c1_r.",
        "block_6.c3_r.",
        "conv_cat.",
        "upsampler.0.",
        "conv_1.",
    ];
    let mut marks = marks.iter();
    marks
        .all(|mark| tensors.names().any(|name| name.starts_with(mark)))
        .then(|| whole(tensors))
}

fn whole(tensors: &Tensors<'_>) -> Result<Known> {
    let mut taking = Taking::new("SPAN", tensors);
    let trained = tensors.has("conv_1.conv.0.weight");
    let [features, colours, ..] = if trained {
        taking.shape::<4>("conv_1.sk.weight")?
    } else {
        taking.shape("conv_1.eval_conv.weight")?
    };
    let [outputs, ..] = taking.shape::<4>("upsampler.0.weight")?;
    let net = Span {
        colours,
        features,
        scale: taking.scale(outputs, colours)?,
        gain: None,
        input: (!tensors.has("no_norm")).then(SpanInput::of_authors),
    };
    let graph = net.graph().check()?;
    let mut weights = Weights::default();
    for parameter in graph.parameters() {
        let name = &parameter.name;
        let folded = name.rsplit_once('.').and_then(|(module, kind)| {
            let module = module.strip_suffix(FOLDED)?;
            Some((module.trim_end_matches('.'), kind)).filter(|_| trained)
        });
        let tensor = match folded {
            // Both are made together, from the weight's turn.
            Some((_, "bias")) => continue,
            Some((module, _)) => {
                let [weight, bias] = fold(&mut taking, module)?;
                weights.insert(format!("{module}.{FOLDED}.bias"), bias);
                weight
            }
            None => taking.tensor(name)?,
        };
        weights.insert(name.clone(), taking.fitting(parameter, tensor)?);
    }
    // A fold that is kept beside the branches may be older than they are.
    let spare = |name: &str| name == "no_norm" || (trained && name.contains(FOLDED));
    taking.finish(&format!("{features}nf"), graph, weights, spare)
}

/// `conv.2` of `conv.1` of `conv.0` (1x1, 3x3, 1x1) and `sk` (1x1) beside them, as one 3x3 convolution: its weight and bias.
fn fold(taking: &mut Taking<'_, '_>, module: &str) -> Result<[Tensor; 2]> {
    let mut part = |name: &str| -> Result<(Vec<f64>, Vec<f64>, [usize; 4])> {
        let (weight, bias) = (format!("{module}.{name}.weight"), format!("{module}.{name}.bias"));
        let shape = taking.shape::<4>(&weight)?;
        let [_] = taking.shape(&bias)?;
        let wide = |tensor: Tensor| tensor.values.into_iter().map(f64::from).collect();
        Ok((wide(taking.tensor(&weight)?), wide(taking.tensor(&bias)?), shape))
    };
    let (first, first_bias, [inner, inputs, ..]) = part("conv.0")?;
    let (middle, middle_bias, [wider, inner_again, rows, columns]) = part("conv.1")?;
    let (last, last_bias, [outputs, wider_again, ..]) = part("conv.2")?;
    let (skip, skip_bias, skip_shape) = part("sk")?;
    let fits = inner == inner_again
        && wider == wider_again
        && (rows, columns) == (3, 3)
        && first.len() == inner * inputs
        && last.len() == outputs * wider
        && skip_shape == [outputs, inputs, 1, 1]
        && [&first_bias, &middle_bias, &last_bias, &skip_bias].map(Vec::len)
            == [inner, wider, outputs, outputs];
    if !fits {
        return Err(taking.wrong(format!("{module} does not fold into one convolution")));
    }
    // `[wider, inputs, 9]`: the middle of the first.
    let mut two = vec![0.0; wider * inputs * 9];
    let mut bias = middle_bias;
    for (w, (two, bias)) in two.chunks_exact_mut(inputs * 9).zip(&mut bias).enumerate() {
        for i in 0..inner {
            let taps = &middle[(w * inner + i) * 9..][..9];
            *bias += first_bias[i] * taps.iter().sum::<f64>();
            for (two, first) in two.chunks_exact_mut(9).zip(&first[i * inputs..]) {
                two.iter_mut()
                    .zip(taps)
                    .for_each(|(two, tap)| *two += first * tap);
            }
        }
    }
    let mut weight = vec![0.0; outputs * inputs * 9];
    let mut all = last_bias;
    for (o, (weight, all)) in weight.chunks_exact_mut(inputs * 9).zip(&mut all).enumerate() {
        *all += skip_bias[o];
        for w in 0..wider {
            let by = last[o * wider + w];
            *all += by * bias[w];
            let two = &two[w * inputs * 9..][..inputs * 9];
            weight
                .iter_mut()
                .zip(two)
                .for_each(|(weight, two)| *weight += by * two);
        }
        for (weight, skip) in weight.chunks_exact_mut(9).zip(&skip[o * inputs..]) {
            weight[4] += skip;
        }
    }
    let single = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
    Ok([
        Tensor {
            shape: vec![outputs, inputs, 3, 3],
            values: single(weight),
        },
        Tensor {
            shape: vec![outputs],
            values: single(all),
        },
    ])
}
