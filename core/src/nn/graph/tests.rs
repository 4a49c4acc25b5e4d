use alloc::vec::Vec;

use burn::tensor::{Tensor as BurnTensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::graph::{Places, Size, Tensor, arbitrary, conformance, nets, reference};
use crate::model::VelocityArchitecture;

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
        GraphValue::Map(x) | GraphValue::Tokens(x, _) => x.into_data(),
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
        if far > 2e-6 {
            std::println!("{far:e} {}", case.name);
        }
        assert!(far < 1e-4, "{}: {far}", case.name);
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
