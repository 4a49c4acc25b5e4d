use alloc::{vec, vec::Vec};

use burn::tensor::{DType, Tensor as BurnTensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::graph::nets::{self, Compact, Rrdb, Span, SpanInput};
use crate::graph::{Graph, Places, Size, Tensor, arbitrary, conformance, reference};
use crate::model::{Architecture, GaussianSkip, VelocityArchitecture};
use crate::nn::cast;

/// A batch of the values that each of `given` is.
fn batch(given: &[&Tensor], device: &Device) -> GraphValue {
    let n = given.len();
    let numbers: Vec<f32> = given.iter().flat_map(|x| x.data()).map(|v| *v as f32).collect();
    let shape = given[0].shape();
    match shape.places {
        Places::Map(size) => GraphValue::Map(BurnTensor::from_data(
            TensorData::new(numbers, [n, shape.channels, size.height, size.width]),
            device,
        )),
        Places::Vector => GraphValue::Vector(BurnTensor::from_data(
            TensorData::new(numbers, [n, shape.channels]),
            device,
        )),
        Places::Tokens(_) => panic!("no input is tokens"),
    }
}

fn ones(given: &[Tensor]) -> Vec<GraphValue> {
    given.iter().map(|x| batch(&[x], &Device::flex())).collect()
}

fn numbers(value: &GraphValue) -> Vec<f32> {
    let data = match value.clone() {
        GraphValue::Map(x) => x.into_data(),
        GraphValue::Vector(x) => x.into_data(),
    };
    data.try_into_vec().expect("f32")
}

/// How far numbers are from those of the definition at most, in parts of its largest.
fn distance(got: &GraphValue, expected: &Tensor) -> f64 {
    assert_eq!(got.shape(), (1, expected.shape()));
    let largest = expected.data().iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    let pairs = numbers(got).into_iter().zip(expected.data());
    let distances = pairs.map(|(a, b)| (f64::from(a) - b).abs() / largest);
    distances.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

#[test]
fn every_operation_gives_its_definitions_numbers() {
    for case in conformance::cases().expect("they fit") {
        let network = GraphNetwork::new(&case.graph, &case.weights, &Device::flex()).expect("fits");
        let got = network.run(&ones(&case.inputs)).expect("runs");
        let far = distance(&got[0], &case.expected);
        assert!(far < 1e-5 + case.rounding, "{}: {far}", case.name);
    }
}

/// Two of a case at once are each what it is alone: nothing is mixed between images.
#[test]
fn a_batch_of_two_is_two_runs() {
    for case in conformance::cases().expect("they fit") {
        let network = GraphNetwork::new(&case.graph, &case.weights, &Device::flex()).expect("fits");
        let other = conformance::inputs(&case.graph, case.size, 77).expect("a size that fits");
        let both: Vec<GraphValue> = case
            .inputs
            .iter()
            .zip(&other)
            .map(|(a, b)| batch(&[a, b], &Device::flex()))
            .collect();
        let both = numbers(&network.run(&both).expect("runs")[0]);
        let (first, second) = both.split_at(both.len() / 2);
        for (inputs, own) in [(&case.inputs, first), (&other, second)] {
            let alone = numbers(&network.run(&ones(inputs)).expect("runs")[0]);
            let largest = alone.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
            for (a, b) in own.iter().zip(&alone) {
                assert!((a - b).abs() <= 1e-5 * largest, "{}: {a} {b}", case.name);
            }
        }
    }
}

/// The gradients with respect to every input and every learned tensor, each along a direction.
#[cfg(feature = "autodiff")]
#[test]
fn gradients_are_the_definitions_derivatives() {
    use crate::graph::conformance::Along;

    let device = Device::flex().autodiff();
    for case in conformance::cases().expect("they fit") {
        let slopes = case.slopes(5).expect("no case has a kink");
        let leaf = |numbers: Vec<f32>| -> BurnTensor<1> {
            let n = numbers.len();
            BurnTensor::from_data(TensorData::new(numbers, [n]), &device).require_grad()
        };
        let narrow = |x: &[f64]| x.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let leaves: Vec<BurnTensor<1>> = case.inputs.iter().map(|x| leaf(narrow(x.data()))).collect();
        let given: Vec<GraphValue> = case
            .inputs
            .iter()
            .zip(&leaves)
            .map(|(x, leaf)| match (x.shape().channels, x.shape().places) {
                (c, Places::Map(size)) => {
                    GraphValue::Map(leaf.clone().reshape([1, c, size.height, size.width]))
                }
                (c, _) => GraphValue::Vector(leaf.clone().reshape([1, c])),
            })
            .collect();
        let weights = case.weights.iter();
        let parameters: Parameters = weights
            .map(|(name, t)| (name.clone(), leaf(t.values.clone())))
            .collect();
        let made = run_graph(&case.graph, &parameters, &given).expect("runs");
        let GraphValue::Map(made) = made[0].clone() else {
            panic!("a map")
        };
        let n = slopes.functional.len();
        let functional: BurnTensor<1> =
            BurnTensor::from_data(TensorData::new(narrow(&slopes.functional), [n]), &device);
        let gradients = (made.reshape([n]) * functional).sum().backward();
        for slope in &slopes.all {
            let leaf = match &slope.along {
                Along::Input(i) => &leaves[*i],
                Along::Learned(name) => &parameters[name],
            };
            let gradient = leaf.grad(&gradients).expect("reaches the result");
            let gradient: Vec<f32> = gradient.into_data().try_into_vec().expect("f32");
            let parts = gradient
                .iter()
                .zip(&slope.direction)
                .map(|(g, d)| f64::from(*g) * d);
            let (sum, size) = parts.fold((0.0, 1.0), |(sum, size), x| (sum + x, size + x.abs()));
            let far = (sum - slope.derivative).abs() / size;
            // Waves cancel each other in a sum, and their rounding does not.
            assert!(
                far < 1e-5 + 8.0 * case.rounding,
                "{} along {:?}: {sum} {}",
                case.name,
                slope.along,
                slope.derivative
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_give_the_references_numbers(seed: u64) {
        let graph = arbitrary::graph(seed, 12, |_| true);
        let multiple = graph.size_multiple();
        let size = Size::new(3 * multiple, 2 * multiple);
        prop_assume!(graph.shapes(size).is_ok());
        let weights = conformance::weights(&graph, seed);
        let inputs = conformance::inputs(&graph, size, seed).expect("a size that fits");
        let expected = reference::run(&graph, &weights, &inputs).expect("runs");
        let network = GraphNetwork::new(&graph, &weights, &Device::flex()).expect("fits");
        let got = network.run(&ones(&inputs)).expect("runs");
        // Norms of what hardly differs make rounding large.
        for (got, expected) in got.iter().zip(&expected) {
            let far = distance(got, expected);
            prop_assert!(far < 5e-3, "{}", far);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    let graph = nets::velocity(&VelocityArchitecture::conv(2, 4, 1)).expect("a field");
    let graph = graph.check().expect("fits");
    let weights = conformance::weights(&graph, 1);
    let mut network = GraphNetwork::new(&graph, &weights, &Device::flex()).expect("fits");
    assert_eq!(network.weights().expect("reads"), weights);
    let inputs = conformance::inputs(&graph, Size::new(4, 3), 1).expect("a size that fits");
    let good = ones(&inputs);
    assert!(network.run(&good).is_ok());
    let fault = |network: &GraphNetwork, inputs: &[GraphValue]| match network.run(inputs) {
        Err(Error::Graph(why)) => why,
        other => panic!("{other:?}"),
    };

    assert_eq!(fault(&network, &good[1..]).node, None);
    assert_eq!(fault(&network, &[&good[..], &good[..1]].concat()).node, None);
    let small = conformance::inputs(&graph, Size::new(3, 3), 1).expect("a size that fits");
    let mut other = good.clone();
    other[1] = batch(&[&small[1]], &Device::flex());
    assert_eq!(fault(&network, &other).node.as_deref(), Some("low"));
    let mut more = good.clone();
    more[3] = batch(&[&inputs[3], &inputs[3]], &Device::flex());
    assert_eq!(fault(&network, &more).node.as_deref(), Some("time"));
    more[3] = good[1].clone();
    assert_eq!(fault(&network, &more).node.as_deref(), Some("time"));

    let refused = |network: &GraphNetwork, name: &str| match network.run(&good) {
        Err(Error::Weights(why)) => assert!(why.contains(name), "{why}"),
        other => panic!("{other:?}"),
    };
    let head = network.parameters_mut().remove("head.bias").expect("has one");
    refused(&network, "head.bias");
    let short = head.clone().narrow(0, 0, 1);
    network.parameters_mut().insert("head.bias".into(), short);
    refused(&network, "head.bias");
    network.parameters_mut().insert("head.bias".into(), head);
    assert!(network.run(&good).is_ok());

    let mut missing = Weights::default();
    for (name, tensor) in weights.iter().skip(1) {
        missing.insert(name.clone(), tensor.clone());
    }
    assert!(matches!(
        GraphNetwork::new(&graph, &missing, &Device::flex()),
        Err(Error::Weights(_))
    ));
}

/// The community's networks and our own, small.
fn networks() -> Vec<Graph> {
    let (colours, features, scale) = (3, 6, 2);
    let span = |gain, input| Span {
        colours,
        features,
        scale,
        gain,
        input,
    };
    let rrdb = |doublings, unshuffle| Rrdb {
        colours,
        features,
        growth: 3,
        blocks: 2,
        doublings,
        unshuffle,
        plus: doublings == 1,
    };
    let compact = Compact {
        colours,
        features,
        convs: 3,
        scale,
    };
    vec![
        compact.graph(),
        span(None, Some(SpanInput::of_authors())).graph(),
        span(Some(2), None).graph(),
        rrdb(2, 1).graph(),
        rrdb(1, 2).graph(),
        nets::restorer(&Architecture::restorer(4, 6, 2)).expect("a network"),
        nets::velocity(&VelocityArchitecture::conv(4, 6, 2)).expect("a field"),
        nets::velocity(&VelocityArchitecture::dit(2, 64, 2)).expect("a field"),
    ]
}

#[test]
fn networks_give_the_definitions_numbers() {
    for (i, graph) in networks().into_iter().enumerate() {
        let graph = graph.check().expect("fits");
        let weights = conformance::weights(&graph, i as u64);
        let network = GraphNetwork::new(&graph, &weights, &Device::flex()).expect("fits");
        for size in [Size::new(14, 10), Size::new(2, 6)] {
            let inputs = conformance::inputs(&graph, size, 5).expect("a size that fits");
            let expected = reference::run(&graph, &weights, &inputs).expect("runs");
            let got = network.run(&ones(&inputs)).expect("runs");
            let far = distance(&got[0], &expected[0]);
            assert!(far < 1e-5, "{i} {size:?}: {far}");
        }
    }
}

/// Weights of half precision make a network of half precision, but for those that stay as they are.
#[test]
fn a_network_computes_in_the_type_of_its_weights() {
    let skip = GaussianSkip {
        sigma: 0.3,
        rho: 0.05,
    };
    for architecture in [
        VelocityArchitecture::conv(2, 8, 1).with_skip(skip),
        VelocityArchitecture::dit(2, 32, 1),
    ] {
        let graph = nets::velocity(&architecture)
            .expect("a field")
            .check()
            .expect("fits");
        let weights = conformance::weights(&graph, 1);
        let single = upload(&weights, &Device::flex());
        let half = cast(&single, FloatDType::BF16);
        assert_eq!(half["head.weight"].dtype(), DType::BF16);
        assert_eq!(half["time.0.weight"].dtype(), DType::F32);
        let inputs = ones(&conformance::inputs(&graph, Size::new(8, 8), 1).expect("a size that fits"));
        let [exact, rounded] = [&single, &half].map(|parameters| {
            let made = run_graph(&graph, parameters, &inputs).expect("runs");
            assert_eq!(made[0].dtype(), FloatDType::F32);
            numbers(&made[0])
        });
        let worst = exact
            .iter()
            .zip(&rounded)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        let largest = exact.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(
            worst > 1e-5 * largest && worst < 0.05 * largest,
            "{worst} of {largest}"
        );
    }
}
