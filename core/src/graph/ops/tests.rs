//! The definitions against what is known of them, apart from their own loops.

use alloc::{vec, vec::Vec};

use super::*;
use crate::graph::{Builder, Scale, Size, conformance, reference};
use crate::model::Weights;
use crate::random::SplitMix64;

/// What `op` makes of values of these types at an image of 7 by 6 pixels, and those values.
fn run(op: impl Into<Op>, types: &[ValueType], weights: &Weights) -> (Tensor, Vec<Tensor>) {
    let op = op.into();
    let mut random = SplitMix64::new(11);
    let given: Vec<Tensor> = types
        .iter()
        .map(|t| {
            let shape = t.shape(Size::new(7, 6)).expect("fits");
            Tensor::new(shape, (0..shape.numbers()).map(|_| random.normal()).collect()).expect("fits")
        })
        .collect();
    let made = apply(&op, types, weights, &given);
    (made, given)
}

fn apply(op: &Op, types: &[ValueType], weights: &Weights, given: &[Tensor]) -> Tensor {
    let made = op.operation().check(types).expect("fits");
    let tensors = op.operation().parameters(types);
    let values = |p: &ParameterShape| {
        let tensor = weights.get(&p.name).expect("present");
        assert_eq!(tensor.shape, p.shape);
        tensor.values.iter().map(|v| f64::from(*v)).collect()
    };
    let parameters: Vec<Vec<f64>> = tensors.iter().map(values).collect();
    let given: Vec<&Tensor> = given.iter().collect();
    let shape = made.shape(Size::new(7, 6)).expect("fits");
    op.reference().run(&given, &parameters, shape)
}

fn weights(tensors: &[(&str, &[usize], &[f32])]) -> Weights {
    let mut weights = Weights::default();
    for (name, shape, values) in tensors {
        let (shape, values) = (shape.to_vec(), values.to_vec());
        weights.insert((*name).into(), crate::model::Tensor { shape, values });
    }
    weights
}

fn close(a: &Tensor, b: &Tensor) {
    assert_eq!(a.shape(), b.shape());
    for (a, b) in a.data().iter().zip(b.data()) {
        assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} {b}");
    }
}

#[test]
fn functions_have_their_tabulated_values() {
    let none = Weights::default();
    let at = |op: Op, x: f64| {
        let types = [ValueType::vector(1)];
        apply(&op, &types, &none, &[Tensor::vector(vec![x])]).data()[0]
    };
    for (op, x, y) in [
        (Op::from(Gelu {}), 1.0, 0.841_344_746_068_543),
        (Gelu {}.into(), -2.0, -0.045_500_263_896_358),
        (Mish {}.into(), 1.0, 0.865_098_388_267_310),
        (Mish {}.into(), -1.0, -0.303_401_461_374_109),
        (Mish {}.into(), 1000.0, 1000.0),
        (Mish {}.into(), -1000.0, 0.0),
        (Silu {}.into(), 1.0, 0.731_058_578_630_005),
        (Silu {}.into(), -1000.0, 0.0),
        (Sigmoid {}.into(), -1.0, 0.268_941_421_369_995),
        (Leaky { slope: 0.1 }.into(), -3.0, -0.3),
        (Leaky { slope: 0.1 }.into(), 3.0, 3.0),
        (GaussianGain { sigma: 0.3, rho: 0.1 }.into(), 0.0, -1.0),
        (GaussianGain { sigma: 0.3, rho: 0.1 }.into(), 1.0, 1.0),
    ] {
        assert!(
            (at(op.clone(), x) - y).abs() < 1e-14,
            "{op:?} {x}: {} {y}",
            at(op.clone(), x)
        );
    }
}

#[test]
fn a_grouped_convolution_is_a_dense_one_with_zeros_between_the_groups() {
    let mut random = SplitMix64::new(1);
    let grouped: Vec<f32> = (0..4 * 3 * 9).map(|_| random.normal() as f32).collect();
    let mut dense = vec![0.0; 4 * 6 * 9];
    for o in 0..4 {
        for i in 0..3 {
            let to = (o * 6 + o / 2 * 3 + i) * 9;
            dense[to..to + 9].copy_from_slice(&grouped[(o * 3 + i) * 9..][..9]);
        }
    }
    let weights = weights(&[
        ("a.weight", &[4, 3, 3, 3], &grouped),
        ("b.weight", &[4, 6, 3, 3], &dense),
    ]);
    let conv = |name: &str, groups| Conv {
        bias: None,
        groups,
        ..Conv::new(name, 4, 3)
    };
    let a = run(conv("a", 2), &[map(6)], &weights).0;
    close(&a, &run(conv("b", 1), &[map(6)], &weights).0);
}

#[test]
fn padding_is_padding() {
    let mut random = SplitMix64::new(2);
    let values: Vec<f32> = (0..2 * 25).map(|_| random.normal() as f32).collect();
    let weights = weights(&[
        ("a.weight", &[2, 1, 5, 5], &values),
        ("a.bias", &[2], &[0.5, -0.25]),
    ]);
    let conv = Conv::new("a", 2, 5);
    let (same, x) = run(conv.clone(), &[map(1)], &weights);
    let padded = apply(&Pad { pixels: 2 }.into(), &[map(1)], &weights, &x);
    let around = Pad { pixels: 2 }.check(&[map(1)]).expect("fits");
    close(
        &same,
        &apply(&conv.padded(0).into(), &[around], &weights, &[padded]),
    );
}

#[test]
fn repeated_channels_shuffled_are_the_nearest_enlargement() {
    let none = Weights::default();
    let (repeated, x) = run(Repeat { times: 9 }, &[map(2)], &none);
    let shuffled = apply(&PixelShuffle { factor: 3 }.into(), &[map(18)], &none, &[repeated]);
    let resize = Resize {
        factor: 3,
        by: Interpolation::Nearest,
    };
    close(&shuffled, &apply(&resize.into(), &[map(2)], &none, &x));
    let larger = PixelShuffle { factor: 3 }.check(&[map(18)]).expect("fits");
    let back = apply(
        &PixelUnshuffle { factor: 3 }.into(),
        &[larger],
        &none,
        &[shuffled],
    );
    close(&back, &apply(&Repeat { times: 9 }.into(), &[map(2)], &none, &x));
}

#[test]
fn enlargements_are_those_of_images() {
    let mut b = Builder::new();
    let image = b.map("image", 3, Scale::ONE);
    let by = |by| Resize { factor: 3, by };
    let cubic = b.node("cubic", by(Interpolation::Bicubic), &[&image]);
    let graph = b.output("image", &cubic).check().expect("fits");
    let inputs = conformance::inputs(&graph, Size::new(5, 4), 1).expect("a size that fits");
    let got = reference::run(&graph, &Weights::default(), &inputs).expect("runs");
    let planes = inputs[0].to_planes().expect("a map");
    let expected = Tensor::of_planes(&crate::resample::enlarge(&planes, 3));
    for (a, b) in got[0].data().iter().zip(expected.data()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let linear = apply(
        &by(Interpolation::Bilinear).into(),
        &[map(3)],
        &Weights::default(),
        &{
            let shape = map(3).shape(Size::new(7, 6)).expect("fits");
            [Tensor::build_map(shape, |_, x, y| (x + 2 * y) as f64)]
        },
    );
    // The pixel (4, 7) lies at (4 + 1/2) / 3 - 1/2 = 1 across and 2 down.
    assert!((linear.pixel(0, 4, 7) - 5.0).abs() < 1e-6);
    assert!((linear.pixel(0, 5, 7) - (5.0 + 1.0 / 3.0)).abs() < 1e-6);
    assert_eq!(linear.pixel(0, 0, 0), 0.0);
}

#[test]
fn concatenated_slices_are_the_whole() {
    let none = Weights::default();
    let (first, x) = run(
        Slice {
            first: 0,
            channels: 2,
        },
        &[map(5)],
        &none,
    );
    let rest = apply(
        &Slice {
            first: 2,
            channels: 3,
        }
        .into(),
        &[map(5)],
        &none,
        &x,
    );
    close(
        &apply(&Concat {}.into(), &[map(2), map(3)], &none, &[first, rest]),
        &x[0],
    );
}

#[test]
fn windows_come_together_again() {
    let none = Weights::default();
    for (window, shift) in [
        ([2, 3], [0, 0]),
        ([4, 4], [2, 2]),
        ([3, 8], [2, 7]),
        ([6, 7], [0, 0]),
    ] {
        let partition = WindowPartition { window, shift };
        let tokens = partition.check(&[map(3)]).expect("fits");
        let (cut, x) = run(partition, &[map(3)], &none);
        close(&apply(&WindowMerge {}.into(), &[tokens], &none, &[cut]), &x[0]);
    }
}

#[test]
fn normalised_values_have_no_mean_and_unit_variance() {
    let none = Weights::default();
    let moments = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (
            mean,
            values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n,
        )
    };
    let unit = |(mean, variance): (f64, f64)| {
        assert!(
            mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-6,
            "{mean} {variance}"
        );
    };
    let norm = LayerNorm {
        epsilon: 1e-12,
        weight: None,
        bias: None,
    };
    let (y, _) = run(norm, &[map(5)], &none);
    for p in 0..42 {
        unit(moments(&(0..5).map(|c| y.at(c, p)).collect::<Vec<_>>()));
    }
    let weights = weights(&[
        ("w", &[4], &[1.0, 1.0, 2.0, 2.0]),
        ("b", &[4], &[0.0, 0.0, 3.0, 3.0]),
    ]);
    let norm = GroupNorm {
        groups: 2,
        epsilon: 1e-12,
        weight: "w".into(),
        bias: "b".into(),
    };
    let (y, _) = run(norm, &[map(4)], &weights);
    unit(moments(&y.data()[..84]));
    let (mean, variance) = moments(&y.data()[84..]);
    assert!((mean - 3.0).abs() < 1e-9 && (variance - 4.0).abs() < 1e-6);
    let learned = LayerNorm {
        epsilon: 1e-12,
        weight: Some("w".into()),
        bias: Some("b".into()),
    };
    let plain = LayerNorm {
        epsilon: 1e-12,
        weight: None,
        bias: None,
    };
    let ((y, x), tensors) = (run(learned, &[map(4)], &weights), &weights);
    let plain = apply(&plain.into(), &[map(4)], tensors, &x);
    assert!((y.at(2, 5) - (2.0 * plain.at(2, 5) + 3.0)).abs() < 1e-9);
}

#[test]
fn the_mean_is_the_mean() {
    let (y, x) = run(Mean {}, &[map(2)], &Weights::default());
    assert!((y.data()[1] - x[0].data()[42..].iter().sum::<f64>() / 42.0).abs() < 1e-12);
}

#[test]
fn vectors_and_single_channels_are_broadcast() {
    let none = Weights::default();
    for (other, at) in [
        (ValueType::vector(3), 1),
        (ValueType::vector(1), 0),
        (map(1), 5),
        (map(3), 42 + 5),
    ] {
        let (y, given) = run(Sub {}, &[map(3), other], &none);
        assert_eq!(y.at(1, 5), given[0].at(1, 5) - given[1].data()[at]);
    }
    for other in [
        ValueType::vector(2),
        map(2),
        ValueType::map(3, Scale::new(2, 1).expect("a scale")),
    ] {
        assert!(Mul {}.check(&[map(3), other]).is_err());
    }
    assert!(Add {}.check(&[ValueType::vector(3), map(3)]).is_err());
}

/// With equal scores everywhere, attention is the mean of what is seen: beyond the edge is nothing.
#[test]
fn attention_without_queries_is_the_mean_of_the_window() {
    let none = Weights::default();
    let partition = WindowPartition {
        window: [4, 4],
        shift: [2, 2],
    };
    let tokens = partition.check(&[map(4)]).expect("fits");
    let (v, x) = run(partition, &[map(4)], &none);
    let zero = Tensor::build(v.shape(), |_, _| 0.0);
    let attention = Attention {
        heads: 2,
        position: None,
    };
    let y = apply(&attention.into(), &[tokens; 3], &none, &[zero, v.clone(), v]);
    let y = apply(&WindowMerge {}.into(), &[tokens], &none, &[y]);
    for c in 0..4 {
        let corner = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(px, py)| x[0].pixel(c, px, py));
        assert!((y.pixel(c, 1, 0) - corner.iter().sum::<f64>() / 4.0).abs() < 1e-12);
    }
}

/// With a low temperature each channel sees that which points its way: itself, where queries are keys.
#[test]
fn channels_attend_to_their_like() {
    let weights = weights(&[("t", &[2], &[1e6, 0.0])]);
    let attention = ChannelAttention {
        heads: 2,
        temperature: "t".into(),
    };
    let (_, x) = run(attention.clone(), &[map(4); 3], &weights);
    let given = [x[0].clone(), x[0].clone(), x[2].clone()];
    let y = apply(&attention.into(), &[map(4); 3], &weights, &given);
    for p in 0..42 {
        assert!((y.at(1, p) - x[2].at(1, p)).abs() < 1e-9);
        assert!((y.at(2, p) - f64::midpoint(x[2].at(2, p), x[2].at(3, p))).abs() < 1e-9);
    }
}

#[test]
fn every_operation_says_its_name_once() {
    let mut names = Op::NAMES.to_vec();
    names.dedup();
    assert_eq!(names.len(), Op::NAMES.len());
    assert!(names.is_sorted());
}

/// Parameters that need not be there.
const OPTIONAL: &[(&str, &str)] = &[
    ("affine", "scale"),
    ("affine", "shift"),
    ("attention", "position"),
    ("conv", "bias"),
    ("conv", "groups"),
    ("conv", "padding"),
    ("layer_norm", "bias"),
    ("layer_norm", "weight"),
    ("linear", "bias"),
    ("window_partition", "shift"),
];

/// What [`Op::read`] says of parameters that it refuses.
fn refusal(name: &str, params: Map<String, Value>) -> String {
    match Op::read(name, params) {
        Err(Fault::Params(why)) => why,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn parameters_are_read_as_they_were_written() {
    for (op, _) in Op::cases() {
        assert_eq!(Op::read(op.name(), op.params()), Ok(op));
    }
}

#[test]
fn a_parameter_that_is_missing_wrong_or_unknown_is_named() {
    let mut left_out = alloc::collections::BTreeSet::new();
    for (op, _) in Op::cases() {
        let (name, params) = (op.name(), op.params());
        for field in params.keys() {
            let said = format!("`{field}`");
            let mut without = params.clone();
            without.remove(field);
            if OPTIONAL.contains(&(name, field.as_str())) {
                left_out.insert((name, field.clone()));
                assert_ne!(Op::read(name, without).expect("reads"), op, "{field}");
            } else {
                let why = refusal(name, without);
                assert!(why.contains(&said) && why.contains("missing"), "{name}: {why}");
            }
            for wrong in [true.into(), Map::new().into(), serde_json::json!([[]])] {
                let mut params = params.clone();
                params.insert(field.clone(), wrong);
                let why = refusal(name, params);
                assert!(why.contains(&said) && why.contains("is not"), "{name}: {why}");
            }
        }
        let mut more = params.clone();
        more.insert("more".into(), 1.into());
        let why = refusal(name, more);
        assert!(why.contains("\"more\""), "{name}: {why}");
    }
    assert_eq!(left_out.len(), OPTIONAL.len(), "{left_out:?}");
}

#[test]
fn numbers_must_be_in_range_and_texts_known() {
    let with =
        |name: &str, field: &str, value: Value| Op::read(name, [(field.into(), value)].into_iter().collect());
    for wrong in [(-1).into(), 1.5.into(), 1.0.into(), "1".into(), Value::Null] {
        let read = with("repeat", "times", wrong);
        assert!(matches!(read, Err(Fault::Params(_))), "{read:?}");
    }
    assert_eq!(with("leaky", "slope", 1.into()), Ok(Leaky { slope: 1.0 }.into()));
    assert!(with("leaky", "slope", f64::NAN.into()).is_err());
    let none = Affine::default();
    assert_eq!(with("affine", "scale", Value::Null), Ok(none.into()));
    for (name, params) in [
        ("resize", serde_json::json!({"factor": 2, "by": "sinc"})),
        ("window_partition", serde_json::json!({"window": [4]})),
        ("window_partition", serde_json::json!({"window": [4, 4, 4]})),
        ("window_partition", serde_json::json!({"window": [4, -4]})),
        ("affine", serde_json::json!({"scale": [1, "x"]})),
    ] {
        let Value::Object(params) = params else { panic!() };
        let why = refusal(name, params);
        assert!(
            ["`by`", "`window`", "`scale`"].iter().any(|f| why.contains(f)),
            "{why}"
        );
    }
}
