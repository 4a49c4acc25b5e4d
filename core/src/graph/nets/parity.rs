//! The graphs of format 1 against the executors that run it.

use alloc::{format, vec, vec::Vec};

use burn::tensor::{Device, Tensor as BurnTensor, TensorData};

use super::{restorer, velocity};
use crate::Planes;
use crate::graph::{Reach, Size, Tensor, TypedGraph, conformance, reference};
use crate::model::{
    Activation, Architecture, Condition, DitVelocity, GaussianSkip, Layer, ParameterShape, Skip,
    VelocityArchitecture, Weights,
};
use crate::nn::{Conditioning, Network, upload, velocity_field};

fn sorted(parameters: &[ParameterShape]) -> Vec<(&str, &[usize])> {
    let mut all: Vec<_> = parameters
        .iter()
        .map(|p| (p.name.as_str(), &p.shape[..]))
        .collect();
    all.sort_unstable();
    all
}

fn reach(radius: usize) -> Reach {
    Reach { radius, exact: true }
}

/// Through JSON and back, as a file would give it.
fn checked(graph: &crate::graph::Graph) -> TypedGraph {
    let json = graph.to_json().expect("writes");
    let again = crate::graph::Graph::from_json(json.as_bytes()).expect("reads");
    assert_eq!(again, *graph);
    again.check().expect("fits")
}

fn close(got: &Tensor, expected: &[f32], what: &str) {
    assert_eq!(got.data().len(), expected.len(), "{what}");
    for (a, b) in got.data().iter().zip(expected) {
        assert!(
            (a - f64::from(*b)).abs() < 1e-5 * (1.0 + a.abs()),
            "{what}: {a} {b}"
        );
    }
}

#[test]
fn restorers_are_what_the_executor_runs() {
    let mut rectified = Architecture::restorer(3, 6, 2);
    if let Layer::Conv {
        activation, kernel, ..
    } = &mut rectified.layers[1]
    {
        (*activation, *kernel) = (Activation::Prelu, 1);
    }
    rectified.skip = Skip::None;
    for (i, architecture) in [
        Architecture::restorer(4, 8, 3),
        Architecture::restorer(2, 4, 0),
        rectified,
    ]
    .iter()
    .enumerate()
    {
        let graph = checked(&restorer(architecture).expect("a network"));
        assert_eq!(sorted(graph.parameters()), sorted(&architecture.parameters()));
        assert_eq!(graph.reach(), reach(architecture.receptive_radius()));
        assert_eq!((graph.alignment(), graph.size_multiple()), (1, 1));
        assert_eq!(graph.output_scale(0).terms(), (architecture.scale, 1));
        let weights = conformance::weights(&graph, i as u64);
        let network = Network::new(architecture, &weights, &Device::flex()).expect("fits");
        for size in [Size::new(9, 7), Size::new(5, 1), Size::new(1, 1)] {
            let image = conformance::inputs(&graph, size, 5).expect("a size that fits");
            let got = reference::run(&graph, &weights, &image).expect("runs");
            let planes = image[0].to_planes().expect("a map");
            let expected = pollster::block_on(network.enlarge(&planes)).expect("runs");
            close(&got[0], expected.data(), &format!("{i} {size:?}"));
        }
    }
}

fn tensor(planes: &Planes) -> BurnTensor<4> {
    let shape = [1, planes.channels(), planes.height(), planes.width()];
    BurnTensor::from_data(TensorData::new(planes.data().to_vec(), shape), &Device::flex())
}

/// What burn's executor makes of the inputs of `graph`.
fn by_burn(
    architecture: &VelocityArchitecture,
    weights: &Weights,
    graph: &TypedGraph,
    inputs: &[Tensor],
) -> Vec<f32> {
    let given = |name: &str| {
        let at = graph.graph().inputs.iter().position(|input| input.name == name)?;
        Some(&inputs[at])
    };
    let image = |name| given(name).map(|x| tensor(&x.to_planes().expect("a map")));
    let condition = Conditioning {
        low: image("low").expect("given"),
        mean: image("mean"),
    };
    let t = given("time").expect("given").data()[0] as f32;
    let t = BurnTensor::from_data(TensorData::new(vec![t], [1]), &Device::flex());
    let field = velocity_field(architecture).expect("a field");
    let parameters = upload(weights, &Device::flex());
    let made = field.velocity(&parameters, image("state").expect("given"), t, &condition);
    made.into_data().try_into_vec().expect("reads")
}

fn fields() -> Vec<VelocityArchitecture> {
    let skip = GaussianSkip {
        sigma: 0.3,
        rho: 0.05,
    };
    let dit = |scale, condition, channels, blocks, heads, window| {
        VelocityArchitecture::Dit(DitVelocity {
            scale,
            condition,
            time_features: 8,
            skip: None,
            channels,
            blocks,
            heads,
            window,
        })
    };
    let mut without_mean = VelocityArchitecture::conv(2, 5, 1);
    if let VelocityArchitecture::Conv(own) = &mut without_mean {
        own.condition = Condition::LowQuality;
        own.time_features = 6;
        for layer in &mut own.layers {
            match layer {
                Layer::Conv { name, inputs, .. } if name == "head" => *inputs = 15,
                Layer::Film { activation, .. } => *activation = Activation::Prelu,
                _ => {}
            }
        }
    }
    vec![
        VelocityArchitecture::conv(4, 6, 2),
        VelocityArchitecture::conv(2, 6, 1).with_skip(skip),
        without_mean,
        dit(2, Condition::LowQuality, 8, 3, 2, 4),
        dit(4, Condition::LowQualityAndMean, 6, 2, 1, 2).with_skip(skip),
    ]
}

#[test]
fn velocity_fields_are_what_the_executor_runs() {
    for (i, architecture) in fields().iter().enumerate() {
        architecture.validate().expect("a field");
        let graph = checked(&velocity(architecture).expect("a field"));
        assert_eq!(sorted(graph.parameters()), sorted(&architecture.parameters()));
        assert_eq!(graph.reach(), reach(architecture.receptive_radius()), "{i}");
        assert_eq!(graph.alignment(), architecture.alignment(), "{i}");
        let weights = conformance::weights(&graph, i as u64);
        for size in [Size::new(8, 4), Size::new(9, 7), Size::new(3, 1)] {
            let inputs = conformance::inputs(&graph, size, 7).expect("a size that fits");
            let got = reference::run(&graph, &weights, &inputs).expect("runs");
            let expected = by_burn(architecture, &weights, &graph, &inputs);
            close(&got[0], &expected, &format!("{i} {size:?}"));
        }
    }
}
