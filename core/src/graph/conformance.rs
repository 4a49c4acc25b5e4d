//! One test for every executor: cases of every operation, with what the [`reference`](mod@super::reference) makes of them.
//!
//! An executor runs each case whose graph it takes, and says which it does not:
//!
//! ```
//! use asasr_core::graph::conformance;
//! for case in conformance::cases()? {
//!     let largest = case.expected.data().iter().fold(1.0_f64, |m, v| m.max(v.abs()));
//!     assert!(largest.is_finite(), "{}", case.name);
//!     // Run case.graph with case.weights on case.inputs, and compare in parts of the largest.
//! }
//! # Ok::<(), asasr_core::Error>(())
//! ```

use alloc::{format, string::String, vec::Vec};

use super::ops::{Conv, Mul, Pad, WindowMerge, WindowPartition};
use super::{Builder, Kind, Op, Scale, Size, Tensor, TypedGraph, ValueType, reference};
use crate::Result;
use crate::model::{self, Weights};
use crate::random::SplitMix64;

/// An operation on numbers, and the result.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is tested, for messages.
    pub name: String,
    /// The operation, with what makes its inputs of maps and vectors and a map of its result.
    pub graph: TypedGraph,
    /// The size of the image at scale 1.
    pub size: Size,
    /// The learned values.
    pub weights: Weights,
    /// What is given, exact in `f32`.
    pub inputs: Vec<Tensor>,
    /// What comes out.
    pub expected: Tensor,
}

/// Odd sides, one row, one column, one pixel, and more than a tile of any kernel.
const SIZES: [Size; 5] = [
    Size::new(7, 5),
    Size::new(9, 1),
    Size::new(1, 6),
    Size::new(1, 1),
    Size::new(37, 18),
];

/// The cases of every operation at several sizes.
///
/// # Errors
/// None: an operation's cases fit it.
pub fn cases() -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (i, (op, types)) in Op::cases().into_iter().enumerate() {
        let graph = graph(&op, &types)?;
        for size in SIZES {
            let multiple = graph.size_multiple();
            let size = Size::new(size.width * multiple, size.height * multiple);
            // Without padding, little leaves nothing.
            if graph.shapes(size).is_err() {
                continue;
            }
            let seed = i as u64;
            let (weights, inputs) = (weights(&graph, seed), inputs(&graph, size, seed)?);
            let mut made = reference::run(&graph, &weights, &inputs)?;
            all.extend(made.pop().map(|expected| Case {
                name: format!("{op:?} of {types:?} at {}x{}", size.width, size.height),
                graph: graph.clone(),
                size,
                weights,
                inputs,
                expected,
            }));
        }
    }
    Ok(all)
}

/// The graph of one operation: tokens are cut from maps, and a map is made of what comes out.
fn graph(op: &Op, types: &[ValueType]) -> Result<TypedGraph> {
    let mut b = Builder::new();
    let mut given = Vec::new();
    for (i, value) in types.iter().enumerate() {
        given.push(match value.kind {
            Kind::Vector => b.vector(&format!("vector.{i}"), value.channels),
            Kind::Map => b.map(&format!("map.{i}"), value.channels, value.scale),
            Kind::Tokens(windows) => {
                let map = b.map(&format!("map.{i}"), value.channels, value.scale);
                let (window, shift) = (windows.window, windows.shift);
                b.after(&map, WindowPartition { window, shift }, &[&map])
            }
        });
    }
    let made = op.operation().check(types).map_err(|fault| fault.at(op.name()))?;
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let mut result = b.node("case", op.clone(), &given);
    if let Kind::Tokens(_) = made.kind {
        result = b.after("case", WindowMerge {}, &[&result]);
    }
    if made.kind == Kind::Vector {
        let ground = b.map("ground", made.channels, Scale::ONE);
        result = b.after("ground", Mul {}, &[&ground, &result]);
    }
    let beyond = made.margin.unsigned_abs() as usize;
    if made.margin < 0 {
        result = b.after("case", Pad { pixels: beyond }, &[&result]);
    }
    if made.margin > 0 {
        let within = Conv::new("within", 2, 2 * beyond + 1).padded(0);
        result = b.node("within", within, &[&result]);
    }
    b.output("image", &result).check()
}

/// Learned values for `graph`, a pure function of the seed; half of them are negative, and their rows are of length 1 in the mean.
pub fn weights(graph: &TypedGraph, seed: u64) -> Weights {
    let mut r = SplitMix64::of([seed, 1, 0]);
    let mut weights = Weights::default();
    for p in graph.parameters() {
        let fan_in: usize = p.shape[1..].iter().product();
        let deviation = 1.0 / libm::sqrt(fan_in as f64);
        let values = (0..p.len()).map(|_| (deviation * r.normal()) as f32).collect();
        let shape = p.shape.clone();
        weights.insert(p.name.clone(), model::Tensor { shape, values });
    }
    weights
}

/// Inputs within 0 to 1 for an image of `size`, a pure function of the seed and exact in `f32`.
///
/// # Errors
/// As [`TypedGraph::shapes`].
pub fn inputs(graph: &TypedGraph, size: Size, seed: u64) -> Result<Vec<Tensor>> {
    let mut r = SplitMix64::of([seed, 2, 0]);
    let shapes = graph.shapes(size)?;
    let shapes = &shapes[..graph.graph().inputs.len()];
    let values = |n: usize, r: &mut SplitMix64| (0..n).map(|_| f64::from(r.unit() as f32)).collect();
    shapes
        .iter()
        .map(|s| Tensor::new(*s, values(s.numbers(), &mut r)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_cases_and_they_say_something() {
        let all = cases().expect("they fit");
        for name in Op::NAMES {
            let own = |case: &&Case| {
                case.graph
                    .graph()
                    .nodes
                    .iter()
                    .any(|n| n.name == "case" && n.op.name() == *name)
            };
            let own: Vec<&Case> = all.iter().filter(own).collect();
            assert!(own.len() >= 4, "{name}");
            assert!(
                own.iter().any(|c| c.size.height == 1) && own.iter().any(|c| c.size.width == 1),
                "{name}"
            );
        }
        for case in &all {
            let values = case.expected.data();
            assert!(values.iter().all(|v| v.is_finite()), "{}", case.name);
            let flat = values.iter().all(|v| *v == values[0]);
            assert!(!flat || values.len() < 20, "{}", case.name);
        }
    }
}
