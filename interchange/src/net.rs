//! A graph that is written while another's description is read, operation by operation, with the type of every value at hand.

use std::collections::{BTreeMap, BTreeSet};

use asasr_core::graph::ops::{
    Add, Affine, Concat, Constants, Conv, Interpolation, Leaky, Linear, Mul, Prelu, Repeat, Resize, Sigmoid,
    Slice, Sub,
};
use asasr_core::graph::{Builder, Fault, Graph, Kind, Op, Scale, ValueType, limits};
use asasr_core::model::{Tensor, Weights};

use crate::{Error, Model, Result, structure};

/// What images are called in graphs.
const IMAGE: &str = "image";
/// The factor before `x + 0.044715 x^3` of the approximate GELU, `2 sqrt(2 / pi)`.
const GELU: f64 = 1.595_769_121_605_730_8;

/// A graph so far, with its weights.
#[derive(Debug)]
pub(crate) struct Net {
    builder: Builder,
    weights: Weights,
    types: BTreeMap<String, ValueType>,
    /// Names that are taken, of values and of what tensors belong to.
    modules: BTreeSet<String>,
    nodes: usize,
    /// Numbers that may still be held: a file may use one tensor any number of times.
    left: usize,
}

/// Numbers that a network may hold beyond those of its file.
const MORE: usize = 1 << 24;

/// Two values that go together number by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pair {
    Add,
    Sub,
    Mul,
}

/// A convolution that keeps the size, or that pads with `padding` zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) groups: usize,
    pub(crate) padding: usize,
}

impl Net {
    /// An empty one that reads a map of `channels`, for a file of `bytes`, and the map's name.
    pub(crate) fn new(channels: usize, bytes: usize) -> (Self, String) {
        let mut builder = Builder::new();
        let image = builder.map(IMAGE, channels, Scale::ONE);
        let net = Self {
            builder,
            weights: Weights::default(),
            types: BTreeMap::from([(image.clone(), ValueType::map(channels, Scale::ONE))]),
            modules: BTreeSet::from([image.clone()]),
            nodes: 0,
            left: bytes.saturating_add(MORE),
        };
        (net, image)
    }

    /// The type of a value of this graph.
    pub(crate) fn kind(&self, value: &str) -> ValueType {
        let none = ValueType::vector(1);
        self.types.get(value).copied().unwrap_or(none)
    }

    pub(crate) fn channels(&self, value: &str) -> usize {
        self.kind(value).channels
    }

    /// A name of this graph's own for what the file calls `name`.
    pub(crate) fn module(&mut self, name: &str) -> String {
        const LONGEST: usize = limits::NAME / 2;
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        };
        let trimmed = name.trim_matches(['/', '.', ' ']);
        let mut own: String = trimmed.chars().take(LONGEST).map(plain).collect();
        if own.is_empty() {
            own.push('n');
        }
        // Any number but a small one may be free: nothing is counted through.
        let counted = (self.modules.len()..).map(|i| format!("{own}.{i}"));
        let mut free = std::iter::once(own.clone())
            .chain(counted)
            .filter(|n| !self.modules.contains(n));
        let own = free.next().unwrap_or_default();
        self.modules.insert(own.clone());
        own
    }

    /// A node of `op`; returns the value's name.
    ///
    /// # Errors
    /// What does not fit, by the name that the file gives it.
    pub(crate) fn node(&mut self, name: &str, op: impl Into<Op>, inputs: &[&str]) -> Result<String> {
        let own = self.module(name);
        self.named(&own, op.into(), inputs)
    }

    fn named(&mut self, own: &str, op: Op, inputs: &[&str]) -> Result<String> {
        let at = |fault: Fault| Error::from(fault.at(own));
        self.nodes += 1;
        if self.nodes > limits::NODES {
            let (count, most) = (self.nodes as u64, limits::NODES as u64);
            let what = "nodes";
            return Err(at(Fault::TooMany { what, count, most }));
        }
        let types: Vec<ValueType> = inputs.iter().map(|v| self.kind(v)).collect();
        if !op.operation().reads().contains(&types.len()) {
            let why = format!("{} does not take {} values", op.name(), types.len());
            return Err(at(Fault::Inputs(why)));
        }
        let made = op.operation().check(&types).map_err(at)?;
        let value = self.builder.node(own, op, inputs);
        self.types.insert(value.clone(), made);
        Ok(value)
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) -> Result<String> {
        self.hold(values.len())?;
        self.weights.insert(name.clone(), Tensor { shape, values });
        Ok(name)
    }

    /// Accounts for `count` numbers.
    fn hold(&mut self, count: usize) -> Result<()> {
        let left = self.left.checked_sub(count);
        self.left = left.ok_or_else(|| Error::TooLarge("it uses its tensors again and again".into()))?;
        Ok(())
    }

    /// A convolution with the weight `[outputs, inputs / groups, kernel, kernel]` and a bias; of a vector, with a kernel of one, a
    /// linear map.
    pub(crate) fn conv(
        &mut self,
        name: &str,
        x: &str,
        conv: Convolution,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
    ) -> Result<String> {
        let Convolution {
            outputs,
            kernel,
            groups,
            padding,
        } = conv;
        let inputs = self.channels(x) / groups.max(1);
        let count = [outputs, inputs, kernel, kernel]
            .iter()
            .try_fold(1usize, |n, side| n.checked_mul(*side));
        let biased = bias.as_ref().is_none_or(|b| b.len() == outputs);
        if count != Some(weight.len()) || !biased {
            return Err(Error::damaged(format!(
                "{name} has {} weights for {outputs} channels of {inputs}",
                weight.len()
            )));
        }
        let own = self.module(name);
        let vector = self.kind(x).kind == Kind::Vector;
        let flat = vector && kernel == 1 && groups == 1 && padding == 0;
        let shape = if flat {
            vec![outputs, inputs]
        } else {
            vec![outputs, inputs, kernel, kernel]
        };
        let weight = self.tensor(format!("{own}.weight"), shape, weight)?;
        let bias = bias.map(|b| self.tensor(format!("{own}.bias"), vec![outputs], b));
        let bias = bias.transpose()?;
        let op: Op = if flat {
            Linear {
                weight,
                bias,
                outputs,
            }
            .into()
        } else {
            let conv = Conv {
                weight,
                bias,
                outputs,
                kernel,
                groups,
                padding: None,
            };
            conv.padded(padding).into()
        };
        self.named(&own, op, &[x])
    }

    /// `scale x + shift`.
    pub(crate) fn affine(
        &mut self,
        name: &str,
        x: &str,
        scale: Option<Constants>,
        shift: Option<Constants>,
    ) -> Result<String> {
        for numbers in [&scale, &shift].into_iter().flatten() {
            if let Constants::Each(all) = numbers {
                self.hold(2 * all.len())?;
            }
        }
        self.node(name, Affine { scale, shift }, &[x])
    }

    /// `scale x + shift` with the same numbers for all channels.
    fn line(&mut self, name: &str, x: &str, scale: f64, shift: f64) -> Result<String> {
        let given = |v: f64, none: f64| (v != none).then_some(Constants::One(v));
        self.affine(name, x, given(scale, 1.0), given(shift, 0.0))
    }

    /// The rectifier with a slope.
    pub(crate) fn leaky(&mut self, name: &str, x: &str, slope: f64) -> Result<String> {
        self.node(name, Leaky { slope }, &[x])
    }

    /// The rectifier with a slope for each channel, or one for all.
    pub(crate) fn prelu(&mut self, name: &str, x: &str, mut slopes: Vec<f32>) -> Result<String> {
        let channels = self.channels(x);
        if let [slope] = slopes[..] {
            slopes = vec![slope; channels];
        }
        if slopes.len() != channels {
            return Err(Error::damaged(format!(
                "{name} has {} slopes for {channels} channels",
                slopes.len()
            )));
        }
        let own = self.module(name);
        let slope = self.tensor(format!("{own}.weight"), vec![channels], slopes)?;
        self.named(&own, Prelu { slope }.into(), &[x])
    }

    /// A tensor of `values` for an operation of its own name.
    pub(crate) fn learned(&mut self, module: &str, kind: &str, values: Vec<f32>) -> Result<String> {
        let shape = vec![values.len()];
        self.tensor(format!("{module}.{kind}"), shape, values)
    }

    /// What is below `low` or above `high` becomes these.
    pub(crate) fn clamp(&mut self, name: &str, x: &str, low: f64, high: f64) -> Result<String> {
        let mut y = x.to_string();
        // Two rectifiers: that of x - low, and that of what is left to high.
        if low > f64::from(f32::MIN) {
            y = self.line(name, &y, 1.0, -low)?;
            y = self.leaky(name, &y, 0.0)?;
            if high >= f64::from(f32::MAX) {
                return self.line(name, &y, 1.0, low);
            }
            y = self.line(name, &y, -1.0, high - low)?;
        } else if high < f64::from(f32::MAX) {
            y = self.line(name, &y, -1.0, high)?;
        } else {
            return Ok(y);
        }
        y = self.leaky(name, &y, 0.0)?;
        self.line(name, &y, -1.0, high)
    }

    /// `alpha x + beta` within 0 and 1.
    pub(crate) fn hard_sigmoid(&mut self, name: &str, x: &str, alpha: f64, beta: f64) -> Result<String> {
        let y = self.line(name, x, alpha, beta)?;
        self.clamp(name, &y, 0.0, 1.0)
    }

    /// The hyperbolic tangent, `2 sigmoid(2 x) - 1`.
    pub(crate) fn tanh(&mut self, name: &str, x: &str) -> Result<String> {
        let y = self.line(name, x, 2.0, 0.0)?;
        let y = self.node(name, Sigmoid {}, &[&y])?;
        self.line(name, &y, 2.0, -1.0)
    }

    /// The approximate GELU of Hendrycks and Gimpel 2016, `x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`.
    pub(crate) fn gelu_by_tanh(&mut self, name: &str, x: &str) -> Result<String> {
        let square = self.node(name, Mul {}, &[x, x])?;
        let slope = self.line(name, &square, 0.044_715 * GELU, GELU)?;
        let y = self.node(name, Mul {}, &[x, &slope])?;
        let gate = self.node(name, Sigmoid {}, &[&y])?;
        self.node(name, Mul {}, &[x, &gate])
    }

    /// The channels of `of` in their order, any of them any number of times.
    pub(crate) fn select(&mut self, name: &str, x: &str, of: &[usize]) -> Result<String> {
        let channels = self.channels(x);
        if of.is_empty() || of.len() > limits::CHANNELS || of.iter().any(|c| *c >= channels) {
            return Err(Error::damaged(format!(
                "{name} takes channels that are not there"
            )));
        }
        if of.len() == channels && of.iter().enumerate().all(|(i, c)| i == *c) {
            return Ok(x.into());
        }
        let first = of[0];
        if of.iter().enumerate().all(|(i, c)| first + i == *c) {
            let channels = of.len();
            return self.node(name, Slice { first, channels }, &[x]);
        }
        let times = of.len() / channels;
        if times * channels == of.len() && of.iter().enumerate().all(|(i, c)| i / times == *c) {
            return self.node(name, Repeat { times }, &[x]);
        }
        // No operation orders channels; a convolution with one weight of one for each channel does.
        self.hold(of.len() * channels)?;
        let mut weight = vec![0.0; of.len() * channels];
        for (row, c) in weight.chunks_exact_mut(channels).zip(of) {
            row[*c] = 1.0;
        }
        let outputs = of.len();
        let conv = Convolution {
            outputs,
            kernel: 1,
            groups: 1,
            padding: 0,
        };
        self.conv(name, x, conv, weight, None)
    }

    /// Two values number by number, of which either may have one channel, or be a vector, in place of the other's map.
    pub(crate) fn pair(&mut self, name: &str, pair: Pair, a: &str, b: &str) -> Result<String> {
        let [left, right] = [self.kind(a), self.kind(b)];
        // An operation takes what is broadcast second.
        let swap = left != right
            && ((left.kind == Kind::Vector && right.kind == Kind::Map)
                || (left.channels == 1 && right.channels > 1 && left.kind == right.kind));
        match (pair, swap) {
            (Pair::Add, false) => self.node(name, Add {}, &[a, b]),
            (Pair::Add, true) => self.node(name, Add {}, &[b, a]),
            (Pair::Mul, false) => self.node(name, Mul {}, &[a, b]),
            (Pair::Mul, true) => self.node(name, Mul {}, &[b, a]),
            (Pair::Sub, false) => self.node(name, Sub {}, &[a, b]),
            (Pair::Sub, true) => {
                let b = self.line(name, b, -1.0, 0.0)?;
                self.node(name, Add {}, &[&b, a])
            }
        }
    }

    /// The channels of all, one value's after the other's.
    pub(crate) fn concat(&mut self, name: &str, parts: &[&str]) -> Result<String> {
        match parts {
            [one] => Ok((*one).into()),
            parts => self.node(name, Concat {}, parts),
        }
    }

    /// The map `factor` times larger.
    pub(crate) fn resize(&mut self, name: &str, x: &str, factor: usize, by: Interpolation) -> Result<String> {
        match factor {
            1 => Ok(x.into()),
            factor => self.node(name, Resize { factor, by }, &[x]),
        }
    }

    /// The model whose result is `output`, without what no result depends on; `otherwise` is what it is called where its structure is
    /// that of no network that has a name.
    pub(crate) fn model(self, output: &str, otherwise: &str) -> Result<Model> {
        if self.nodes == 0 {
            return Err(Error::damaged("it computes nothing"));
        }
        let mut graph = self.builder.output(IMAGE, output);
        prune(&mut graph);
        let graph = graph.check()?;
        let mut given = self.weights;
        let mut weights = Weights::default();
        for parameter in graph.parameters() {
            // What is left is dropped, and nothing is held twice.
            let tensor = std::mem::replace(
                given.get_mut(&parameter.name)?,
                Tensor {
                    shape: Vec::new(),
                    values: Vec::new(),
                },
            );
            weights.insert(parameter.name.clone(), tensor);
        }
        for (name, tensor) in weights.iter() {
            if tensor.values.iter().any(|v| !v.is_finite()) {
                return Err(Error::damaged(format!("{name} holds a value that is not finite")));
            }
        }
        weights.check(graph.parameters())?;
        Ok(Model {
            architecture: structure::name(&graph).unwrap_or_else(|| otherwise.into()),
            graph,
            weights,
        })
    }
}

/// Takes out the nodes that no output depends on.
fn prune(graph: &mut Graph) {
    let mut needed: BTreeSet<String> = graph.outputs.iter().map(|o| o.value.clone()).collect();
    for node in graph.nodes.iter().rev() {
        if needed.contains(&node.name) {
            needed.extend(node.inputs.iter().cloned());
        }
    }
    graph.nodes.retain(|node| needed.contains(&node.name));
}
