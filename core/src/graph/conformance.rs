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
//!
//! One that has gradients holds them to [`Case::slopes`] as well.
//!
//! In parts of a result's largest number, or of 1 where that is less, ours promise to be as near as this: the processor's 2e-5, shaders
//! 5e-5, burn on a processor 1e-5 and [`Case::rounding`] more.

use alloc::{format, string::String, vec::Vec};

use super::ops::{Conv, Mul, Pad, WindowMerge, WindowPartition};
use super::{Builder, Fault, Kind, Op, Scale, Size, Tensor, TypedGraph, ValueType, reference};
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
    /// How far from that rounding of what is computed on the way to `f32` may bring a result, beside what every executor is allowed:
    /// see [`Reference::rounding`](super::ops::Reference::rounding).
    pub rounding: f64,
}

/// What the derivatives of a case's result are, along directions in what is given: what an executor's gradients are held to.
#[derive(Debug, Clone)]
pub struct Slopes {
    /// A number for each of the result, exact in `f32`: derivatives are those of the sum of their products.
    pub functional: Vec<f64>,
    /// One along each input and each learned tensor by itself.
    pub all: Vec<Slope>,
}

/// A derivative.
#[derive(Debug, Clone)]
pub struct Slope {
    /// What is varied.
    pub along: Along,
    /// A number for each of that.
    pub direction: Vec<f64>,
    /// The sum of their products with the gradient.
    pub derivative: f64,
}

/// What the numbers of a [`Slope`] are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Along {
    /// The input of this index.
    Input(usize),
    /// The learned tensor of this name.
    Learned(String),
}

/// How far to either side a derivative looks, in directions whose numbers are about one.
const STEP: f64 = 1e-5;

impl Case {
    /// Derivatives by central differences of the definition, a pure function of the seed.
    ///
    /// # Errors
    /// [`Error::Graph`](crate::Error::Graph) where the result has a kink: the case needs other numbers.
    pub fn slopes(&self, seed: u64) -> Result<Slopes> {
        let mut r = SplitMix64::of([seed, 3, 0]);
        let mut normal = |n: usize| -> Vec<f64> { (0..n).map(|_| f64::from(r.normal() as f32)).collect() };
        let functional = normal(self.expected.data().len());
        let inputs = self.inputs.iter().enumerate();
        let mut along: Vec<(Along, usize)> = inputs.map(|(i, x)| (Along::Input(i), x.data().len())).collect();
        let learned = self.graph.parameters().iter();
        along.extend(learned.map(|p| (Along::Learned(p.name.clone()), p.len())));
        let slope = |(along, n): (Along, usize)| {
            let direction = normal(n);
            let derivative = self.derivative(&functional, &along, &direction)?;
            Ok(Slope {
                along,
                direction,
                derivative,
            })
        };
        let all = along.into_iter().map(slope).collect::<Result<_>>()?;
        Ok(Slopes { functional, all })
    }

    fn derivative(&self, functional: &[f64], along: &Along, direction: &[f64]) -> Result<f64> {
        let learned = reference::learned(&self.weights);
        let value = |step: f64| -> Result<f64> {
            let (mut inputs, mut learned) = (self.inputs.clone(), learned.clone());
            match along {
                Along::Input(i) => inputs[*i] = inputs[*i].map(|at, x| x + step * direction[at]),
                Along::Learned(name) => {
                    for (x, d) in learned.entry(name.clone()).or_default().iter_mut().zip(direction) {
                        *x += step * d;
                    }
                }
            }
            let made = reference::run_with(&self.graph, &learned, &inputs)?;
            let products = made[0].data().iter().zip(functional).map(|(x, f)| x * f);
            Ok(products.sum())
        };
        let here = value(0.0)?;
        // The slopes to either side of here: where it is smooth, they are half as far apart at half the step.
        let sides = |step: f64| -> Result<(f64, f64)> {
            Ok(((value(step)? - here) / step, (here - value(-step)?) / step))
        };
        let ((a, b), (c, d)) = (sides(STEP)?, sides(0.5 * STEP)?);
        if ((a - b) - 2.0 * (c - d)).abs() > 1e-4 * (1.0 + c.abs()) {
            let why = format!("it has a kink along {along:?}: give the case other numbers");
            return Err(Fault::Inputs(why).at(&self.name).into());
        }
        // What the step's square is part of falls out of these.
        Ok((4.0 * f64::midpoint(c, d) - f64::midpoint(a, b)) / 3.0)
    }
}

/// Odd sides, one row, one column, one pixel, and more than a tile of any kernel.
const SIZES: [Size; 5] = [
    Size::new(7, 5),
    Size::new(9, 1),
    Size::new(1, 6),
    Size::new(1, 1),
    Size::new(37, 18),
];

/// How large the numbers are of what pointwise operations read in their wide cases: beyond where exponentials overflow.
const WIDE: f64 = 100.0;

/// The cases of every operation at several sizes, with numbers to either side of zero; of pointwise ones also with large numbers. Those
/// of an operation are the same whatever others there are.
///
/// # Errors
/// None: an operation's cases fit it.
pub fn cases() -> Result<Vec<Case>> {
    let mut all = Vec::new();
    let mut own = ("", 0);
    for (op, types) in Op::cases() {
        own = (op.name(), if own.0 == op.name() { own.1 + 1 } else { 0 });
        let graph = graph(&op, &types)?;
        let wide = op.operation().is_pointwise().then_some((SIZES[0], WIDE));
        for (size, largest) in SIZES.map(|size| (size, 1.0)).into_iter().chain(wide) {
            let multiple = graph.size_multiple();
            let size = Size::new(size.width * multiple, size.height * multiple);
            // Without padding, little leaves nothing.
            if graph.shapes(size).is_err() {
                continue;
            }
            let seed = seed(own);
            let weights = weights(&graph, seed);
            let inputs = inputs(&graph, size, seed)?;
            let inputs: Vec<Tensor> = inputs.iter().map(|x| off_zero(x, largest)).collect();
            let mut made = reference::run(&graph, &weights, &inputs)?;
            let about = if largest > 1.0 { ", wide" } else { "" };
            all.extend(made.pop().map(|expected| Case {
                name: format!("{op:?} of {types:?} at {}x{}{about}", size.width, size.height),
                graph: graph.clone(),
                size,
                weights,
                inputs,
                expected,
                rounding: op.reference().rounding(),
            }));
        }
    }
    Ok(all)
}

/// What the numbers of an operation's case of this index are drawn from.
fn seed((name, index): (&str, u64)) -> u64 {
    // FNV-1a.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    name.bytes().fold(0xCBF2_9CE4_8422_2325, hash) ^ index
}

/// Numbers within 0 to 1 as ones to either side of zero, where some operations have a kink, and not at it; `largest` at most.
fn off_zero(x: &Tensor, largest: f64) -> Tensor {
    let number = |x: f64| {
        let x = 2.0 * x - 1.0;
        largest * libm::copysign(0.0625 + 0.9375 * x.abs(), x)
    };
    x.map(|_, x| f64::from(number(x) as f32))
}

/// Channels of a value in a network, for timing.
const CHANNELS: usize = 48;

/// An operation of every kind alone in a graph, of as many channels as networks have where its parameters allow, to be timed.
///
/// # Errors
/// None: an operation's cases fit it.
pub fn typical() -> Result<Vec<(&'static str, TypedGraph)>> {
    let cases = Op::cases();
    let of = |name: &&'static str| {
        let (op, types) = cases.iter().find(|(op, _)| op.name() == *name)?;
        let first = types.first()?.channels;
        let widened =
            |t: &ValueType| t.with_channels(if t.channels == first { CHANNELS } else { t.channels });
        let wide: Vec<ValueType> = types.iter().map(widened).collect();
        let op = match op {
            Op::Conv(conv) => Conv {
                outputs: CHANNELS,
                groups: 1,
                ..conv.clone()
            }
            .into(),
            op => op.clone(),
        };
        Some((*name, graph(&op, &wide).or_else(|_| graph(&op, types))))
    };
    let all = Op::NAMES.iter().filter_map(of);
    all.map(|(name, graph)| Ok((name, graph?))).collect()
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

    /// Along what was found by hand: the square of a map, and a convolution's bias.
    #[test]
    fn slopes_are_derivatives_and_kinks_are_told() {
        let all = cases().expect("they fit");
        let find = |what: &str| {
            all.iter()
                .find(|c| c.name.starts_with(what))
                .expect("a case")
                .clone()
        };
        let mut squared = find("Mul(Mul) of [ValueType { channels: 3");
        squared.inputs[1] = squared.inputs[0].clone();
        let slopes = squared.slopes(1).expect("smooth");
        for slope in &slopes.all {
            let x = squared.inputs[0].data().iter().zip(&slope.direction);
            let sum: f64 = x.zip(&slopes.functional).map(|((x, d), f)| x * d * f).sum();
            assert!((slope.derivative - sum).abs() < 1e-8, "{slope:?} {sum}");
        }
        let conv = find("Conv(Conv");
        let slopes = conv.slopes(2).expect("smooth");
        let bias = slopes
            .all
            .iter()
            .find(|s| s.along == Along::Learned("conv.bias".into()));
        let bias = bias.expect("it has one");
        let places = conv.expected.data().len() / bias.direction.len();
        let sums = slopes
            .functional
            .chunks_exact(places)
            .map(|f| f.iter().sum::<f64>());
        let sum: f64 = sums.zip(&bias.direction).map(|(f, d)| f * d).sum();
        assert!((bias.derivative - sum).abs() < 1e-8, "{bias:?} {sum}");

        let mut bent = find("Leaky(Leaky { slope: 0.1");
        assert!(bent.slopes(3).is_ok());
        bent.inputs[0] = bent.inputs[0].map(|i, x| if i == 0 { 0.0 } else { x });
        assert!(bent.slopes(3).is_err());
    }

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
        let names: Vec<&str> = typical()
            .expect("they fit")
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names, Op::NAMES);
        for case in &all {
            let values = case.expected.data();
            assert!(values.iter().all(|v| v.is_finite()), "{}", case.name);
            let flat = values.iter().all(|v| *v == values[0]);
            assert!(!flat || values.len() < 20, "{}", case.name);
        }
    }

    /// A function is held where it is steep, where it has become flat, and where its exponentials would overflow.
    #[test]
    fn pointwise_operations_are_tested_far_from_zero() {
        let all = cases().expect("they fit");
        for (op, _) in Op::cases()
            .into_iter()
            .filter(|(op, _)| op.operation().is_pointwise())
        {
            let debug = format!("{op:?} of");
            let own = all.iter().filter(|case| case.name.starts_with(&debug));
            let numbers: Vec<f64> = own.flat_map(|case| case.inputs[0].data()).copied().collect();
            let among = |low: f64, high: f64| numbers.iter().any(|x| (low..high).contains(x));
            for (low, high) in [
                (-100.0, -50.0),
                (-50.0, -10.0),
                (-1.0, 0.0),
                (0.0, 1.0),
                (10.0, 50.0),
                (50.0, 100.0),
            ] {
                assert!(among(low, high), "{debug} nothing from {low} to {high}");
            }
        }
    }
}
