//! Graphs from anywhere: what does not fit is refused, what fits is within its bounds, and none takes the program down.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::graph::nets::{Compact, Rrdb, Span, SpanInput, restorer, velocity};
use asasr_core::graph::{Graph, Size, Tensor, limits, reference};
use asasr_core::model::{self, Architecture, VelocityArchitecture, Weights};
use proptest::prelude::*;
use serde_json::Value;

const CASES: u32 = 3000;

/// Small networks with every kind of value between them.
fn networks() -> Vec<Graph> {
    let (colours, features, scale) = (3, 4, 2);
    let input = Some(SpanInput::of_authors());
    vec![
        restorer(&Architecture::restorer(2, 4, 1)).unwrap(),
        velocity(&VelocityArchitecture::conv(2, 4, 1)).unwrap(),
        velocity(&VelocityArchitecture::dit(2, 32, 1)).unwrap(),
        Compact {
            colours,
            features,
            convs: 1,
            scale,
        }
        .graph(),
        Span {
            colours,
            features,
            scale,
            gain: Some(2),
            input,
        }
        .graph(),
        Rrdb {
            colours,
            features,
            growth: 2,
            blocks: 1,
            doublings: 1,
            unshuffle: 2,
            plus: false,
        }
        .graph(),
    ]
}

/// Whatever is accepted answers every question, within its bounds, and small ones run.
fn is_sound(json: &[u8]) -> bool {
    let Ok(graph) = Graph::from_json(json) else {
        return false;
    };
    let Ok(graph) = graph.check() else {
        return false;
    };
    assert!(graph.parameter_count() <= limits::PARAMETERS);
    assert!(
        graph.alignment() as u64 <= limits::ALIGNMENT
            && graph.alignment().is_multiple_of(graph.size_multiple())
    );
    assert!(graph.reach().radius as u64 <= limits::REACH + 2);
    for size in [
        Size::new(1 << 24, 1 << 24),
        Size::new(3, 1),
        Size::new(usize::MAX, 0),
    ] {
        if let Ok(shapes) = graph.shapes(size) {
            assert!(shapes.iter().all(|s| s.numbers() as u64 <= limits::VALUES));
            graph.cost(size).unwrap();
        }
    }
    let side = graph.size_multiple();
    let small = Size::new(side, side);
    if let Ok(cost) = graph.cost(small)
        && cost.multiply_adds < 1_000_000
        && cost.bytes < 10_000_000
    {
        run(&graph, small);
    }
    assert_eq!(
        Graph::from_json(graph.graph().to_json().unwrap().as_bytes()).unwrap(),
        *graph.graph()
    );
    true
}

fn run(graph: &asasr_core::graph::TypedGraph, size: Size) {
    let mut weights = Weights::default();
    for p in graph.parameters() {
        let values = vec![0.1; p.len()];
        let shape = p.shape.clone();
        weights.insert(p.name.clone(), model::Tensor { shape, values });
    }
    let shapes = graph.shapes(size).unwrap();
    let inputs: Vec<Tensor> = graph
        .graph()
        .inputs
        .iter()
        .zip(&shapes)
        .map(|(_, s)| Tensor::new(*s, vec![0.5; s.numbers()]).unwrap())
        .collect();
    // A graph of vectors only has no size.
    if let Ok(made) = reference::run(graph, &weights, &inputs) {
        assert_eq!(made.len(), graph.outputs().len());
    }
}

#[test]
fn the_networks_themselves_are_sound() {
    for graph in networks() {
        assert!(is_sound(graph.to_json().unwrap().as_bytes()));
    }
}

/// One place in a JSON value: the how-manieth of all.
fn change(value: &mut Value, left: &mut usize, with: &Value) -> bool {
    if *left == 0 {
        *value = with.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|v| change(v, left, with)),
        Value::Object(items) => items.values_mut().any(|v| change(v, left, with)),
        _ => false,
    }
}

fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(items) => items.values().map(places).sum(),
        _ => 0,
    }
}

fn odd() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 11] = [
        "image",
        "head",
        "tail",
        "conv",
        "add",
        "concat",
        "pixel_shuffle",
        "window_merge",
        "vector",
        "map",
        "slice",
    ];
    prop_oneof![
        4 => prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 32), Just(1 << 62), any::<u64>(), 0..70_u64].prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => prop_oneof![Just(0.0), Just(-1.5), Just(1e308), Just(f64::MIN_POSITIVE), any::<f64>()].prop_map(Value::from),
        4 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => "\\PC{0,12}".prop_map(Value::from),
        1 => prop_oneof![Just(Value::Null), Just(Value::Bool(true)), Just(Value::Array(Vec::new())), Just(serde_json::json!({}))],
        1 => prop::collection::vec(1..20_u64, 2).prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn graphs_with_other_values(which in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..4)) {
        let networks = networks();
        let mut json: Value = serde_json::from_str(&which.get(&networks).to_json().unwrap()).unwrap();
        for (place, with) in changes {
            let place = place.index(places(&json));
            change(&mut json, &mut place.clone(), &with);
        }
        is_sound(json.to_string().as_bytes());
    }

    #[test]
    fn graphs_with_other_nodes(which in any::<prop::sample::Index>(), swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3), 1..4)) {
        let networks = networks();
        let mut graph = which.get(&networks).clone();
        for (a, b, how) in swaps {
            let (a, b) = (a.index(graph.nodes.len()), b.index(graph.nodes.len()));
            match how {
                0 => graph.nodes.swap(a, b),
                1 => graph.nodes[a].op = graph.nodes[b].op.clone(),
                _ => graph.nodes[a].inputs = graph.nodes[b].inputs.clone(),
            }
        }
        is_sound(graph.to_json().unwrap().as_bytes());
    }

    #[test]
    fn graphs_with_other_bytes(which in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let networks = networks();
        let mut json = which.get(&networks).to_json().unwrap().into_bytes();
        for (place, byte) in changes {
            let at = place.index(json.len());
            json[at] = byte;
        }
        if !whole {
            json.truncate(cut.index(json.len()));
        }
        is_sound(&json);
    }
}
