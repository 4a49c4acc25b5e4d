//! Constants folded into convolutions: what is linear in a row, or beside each other, is one.
//!
//! | before | after | where |
//! |---|---|---|
//! | convolution of a convolution | one | it costs no more, and the outer one reads nothing beyond the inner one's result, or only zeros that the inner one makes too |
//! | convolution of a padded map | padded convolution | always |
//! | convolution of an affine map | convolution | nothing is added, or the convolution is not padded: zeros would be added to as well |
//! | affine map of a convolution or of a linear map | one | always |
//! | sum of two convolutions of one value | one | they differ in kernel and padding at most |
//!
//! Values that something else reads stay as they are. Everything is computed in `f64`.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use super::without_unused;
use crate::Result;
use crate::graph::ops::{Affine, Constants, Conv, Linear};
use crate::graph::{Graph, Node, Op, TypedGraph, limits};
use crate::model::{Tensor, Weights};

/// The same function with constants folded, and its weights: those that are new are named `{node}.folded.weight` and `.bias`.
///
/// # Errors
/// [`Error::Weights`](crate::Error::Weights) when `weights` are not the graph's.
pub fn fold(graph: &TypedGraph, mut weights: Weights) -> Result<(TypedGraph, Weights)> {
    weights.check(graph.parameters())?;
    let mut folder = Folder::new(graph, &weights);
    for node in &graph.graph().nodes {
        folder.add(node)?;
    }
    let Folder {
        nodes, mut tensors, ..
    } = folder;
    let folded = without_unused(Graph {
        inputs: graph.graph().inputs.clone(),
        nodes: nodes.into_iter().flatten().collect(),
        outputs: graph.graph().outputs.clone(),
        halo: graph.graph().halo,
    })
    .check()?;
    let mut left = Weights::default();
    for p in folded.parameters() {
        let tensor = match tensors.remove(&p.name) {
            Some(values) => Tensor {
                shape: p.shape.clone(),
                values: values.iter().map(|v| *v as f32).collect(),
            },
            None => weights.take(&p.name)?,
        };
        left.insert(p.name.clone(), tensor);
    }
    Ok((folded, left))
}

/// The nodes so far, rewritten as they come.
struct Folder<'a> {
    weights: &'a Weights,
    /// What became part of a later node is none.
    nodes: Vec<Option<Node>>,
    place: BTreeMap<&'a str, usize>,
    /// For each value of the graph, how many read it, and its channels.
    uses: BTreeMap<&'a str, (usize, usize)>,
    /// What is new, not rounded yet.
    tensors: BTreeMap<String, Vec<f64>>,
}

impl<'a> Folder<'a> {
    fn new(graph: &'a TypedGraph, weights: &'a Weights) -> Self {
        let counted = graph.uses().into_iter().zip(graph.types()).enumerate();
        Self {
            weights,
            nodes: Vec::new(),
            place: BTreeMap::new(),
            uses: counted
                .map(|(v, (uses, kind))| (graph.name(v), (uses, kind.channels)))
                .collect(),
            tensors: BTreeMap::new(),
        }
    }

    fn add(&mut self, node: &'a Node) -> Result<()> {
        let kept = match &node.op {
            Op::Conv(conv) => {
                let (mut conv, mut read) = (conv.clone(), node.inputs[0].clone());
                // What was folded into this one may itself be read of one that folds.
                while let Some((folded, from)) = self.conv(node, &conv, &read)? {
                    (conv, read) = (folded, from);
                }
                Node {
                    op: conv.into(),
                    inputs: vec![read],
                    ..node.clone()
                }
            }
            Op::Affine(affine) => self.affine(node, affine)?.unwrap_or_else(|| node.clone()),
            Op::Add(_) => self.sum(node)?.unwrap_or_else(|| node.clone()),
            _ => node.clone(),
        };
        self.place.insert(&node.name, self.nodes.len());
        self.nodes.push(Some(kept));
        Ok(())
    }

    /// The node that makes a value which nothing else reads.
    fn maker(&self, value: &str) -> Option<(usize, &Node)> {
        let (uses, _) = self.uses.get(value)?;
        let at = *self.place.get(value)?;
        let node = self.nodes[at].as_ref()?;
        (*uses == 1).then_some((at, node))
    }

    fn channels(&self, value: &str) -> usize {
        self.uses.get(value).map_or(0, |(_, channels)| *channels)
    }

    fn tensor(&self, name: &str) -> Result<Vec<f64>> {
        match self.tensors.get(name) {
            Some(values) => Ok(values.clone()),
            None => Ok(self
                .weights
                .get(name)?
                .values
                .iter()
                .map(|v| f64::from(*v))
                .collect()),
        }
    }

    /// The numbers of an affine map for `channels`.
    fn constants(&self, given: Option<&Constants>, or: f64, channels: usize) -> Result<Vec<f64>> {
        let Some(given) = given else {
            return Ok(vec![or; channels]);
        };
        let learned = given.tensor().map_or(Ok(Vec::new()), |name| self.tensor(name))?;
        Ok((0..channels).map(|c| given.of(c, &learned)).collect())
    }

    fn filter(&self, conv: &Conv, inputs: usize) -> Result<Filter> {
        Ok(Filter {
            outputs: conv.outputs,
            inputs: inputs / conv.groups,
            kernel: conv.kernel,
            groups: conv.groups,
            padding: conv.padding(),
            weight: self.tensor(&conv.weight)?,
            bias: conv.bias.as_ref().map(|name| self.tensor(name)).transpose()?,
        })
    }

    /// A name for a new tensor of `node`.
    fn keep(&mut self, node: &str, kind: &str, values: Vec<f64>) -> String {
        let mut name = format!("{node}.folded.{kind}");
        // Those that the node had before are replaced; the file's are not.
        while self.weights.get(&name).is_ok() {
            name.push('_');
        }
        self.tensors.insert(name.clone(), values);
        name
    }

    fn conv_of(&mut self, node: &str, filter: Filter) -> Conv {
        Conv {
            weight: self.keep(node, "weight", filter.weight),
            bias: filter.bias.map(|bias| self.keep(node, "bias", bias)),
            outputs: filter.outputs,
            kernel: filter.kernel,
            groups: filter.groups,
            padding: None,
        }
        .padded(filter.padding)
    }

    /// A convolution together with what makes the value that it reads, and what that reads.
    fn conv(&mut self, node: &Node, outer: &Conv, read: &str) -> Result<Option<(Conv, String)>> {
        let Some((at, maker)) = self.maker(read) else {
            return Ok(None);
        };
        let from = maker.inputs[0].clone();
        let folded = match &maker.op {
            Op::Pad(pad) => {
                let padding = outer.padding() + pad.pixels;
                (padding <= limits::KERNEL).then(|| outer.clone().padded(padding))
            }
            Op::Affine(affine) => {
                let channels = self.channels(&from);
                let scale = self.constants(affine.scale.as_ref(), 1.0, channels)?;
                let shift = self.constants(affine.shift.as_ref(), 0.0, channels)?;
                let filter = self.filter(outer, channels)?.after_affine(&scale, &shift);
                filter.map(|filter| self.conv_of(&node.name, filter))
            }
            Op::Conv(inner) => {
                let inner = self.filter(inner, self.channels(&from))?;
                let filter = self.filter(outer, inner.outputs)?.after(&inner);
                filter.map(|filter| self.conv_of(&node.name, filter))
            }
            _ => None,
        };
        Ok(folded.map(|conv| {
            self.nodes[at] = None;
            (conv, from)
        }))
    }

    /// An affine map together with the convolution or linear map that makes what it reads.
    fn affine(&mut self, node: &Node, affine: &Affine) -> Result<Option<Node>> {
        let Some((at, maker)) = self.maker(&node.inputs[0]) else {
            return Ok(None);
        };
        let maker = maker.clone();
        let (weight, bias, outputs) = match &maker.op {
            Op::Conv(conv) => (&conv.weight, &conv.bias, conv.outputs),
            Op::Linear(linear) => (&linear.weight, &linear.bias, linear.outputs),
            _ => return Ok(None),
        };
        let scale = self.constants(affine.scale.as_ref(), 1.0, outputs)?;
        let shift = self.constants(affine.shift.as_ref(), 0.0, outputs)?;
        let mut rows = self.tensor(weight)?;
        let mut bias = match bias {
            Some(name) => self.tensor(name)?,
            None => vec![0.0; outputs],
        };
        let row = rows.len() / outputs;
        for (o, row) in rows.chunks_exact_mut(row).enumerate() {
            row.iter_mut().for_each(|w| *w *= scale[o]);
            bias[o] = scale[o] * bias[o] + shift[o];
        }
        let weight = self.keep(&node.name, "weight", rows);
        let bias = Some(self.keep(&node.name, "bias", bias));
        let op = match maker.op {
            Op::Conv(conv) => Conv { weight, bias, ..conv }.into(),
            _ => Linear {
                weight,
                bias,
                outputs,
            }
            .into(),
        };
        self.nodes[at] = None;
        Ok(Some(Node {
            name: node.name.clone(),
            op,
            inputs: maker.inputs,
        }))
    }

    /// The sum of two convolutions of one value.
    fn sum(&mut self, node: &Node) -> Result<Option<Node>> {
        let [a, b] = [&node.inputs[0], &node.inputs[1]];
        let (Some((at_a, a)), Some((at_b, b))) = (self.maker(a), self.maker(b)) else {
            return Ok(None);
        };
        let (Op::Conv(conv_a), Op::Conv(conv_b)) = (&a.op, &b.op) else {
            return Ok(None);
        };
        if a.inputs != b.inputs || at_a == at_b {
            return Ok(None);
        }
        let inputs = a.inputs.clone();
        let channels = self.channels(&inputs[0]);
        let Some(filter) = self
            .filter(conv_a, channels)?
            .beside(&self.filter(conv_b, channels)?)
        else {
            return Ok(None);
        };
        (self.nodes[at_a], self.nodes[at_b]) = (None, None);
        Ok(Some(Node {
            name: node.name.clone(),
            op: self.conv_of(&node.name, filter).into(),
            inputs,
        }))
    }
}

/// Multiplications that one fold may take, a few seconds: those of known networks take a few millions.
const MOST_WORK: u64 = 1 << 32;

/// A convolution with its numbers, `weight[((o * inputs + i) * kernel + y) * kernel + x]` for `inputs` channels of a group.
struct Filter {
    outputs: usize,
    inputs: usize,
    kernel: usize,
    groups: usize,
    padding: usize,
    weight: Vec<f64>,
    bias: Option<Vec<f64>>,
}

impl Filter {
    fn at(&self, o: usize, i: usize, tap: usize) -> f64 {
        self.weight[(o * self.inputs + i) * self.kernel * self.kernel + tap]
    }

    /// The sum over a kernel, which is what it makes of a constant.
    fn total(&self, o: usize, i: usize) -> f64 {
        (0..self.kernel * self.kernel).map(|tap| self.at(o, i, tap)).sum()
    }

    fn bias(&self, o: usize) -> f64 {
        self.bias.as_ref().map_or(0.0, |bias| bias[o])
    }

    /// This of `scale x + shift`; none where zeros around the map would be shifted too.
    fn after_affine(mut self, scale: &[f64], shift: &[f64]) -> Option<Self> {
        let shifts = shift.iter().any(|s| *s != 0.0);
        if shifts && self.padding > 0 {
            return None;
        }
        let (taps, outputs) = (self.kernel * self.kernel, self.outputs / self.groups);
        let input = |o: usize, i: usize| o / outputs * self.inputs + i;
        if shifts {
            let added = |o: usize| {
                (0..self.inputs)
                    .map(|i| self.total(o, i) * shift[input(o, i)])
                    .sum::<f64>()
            };
            self.bias = Some((0..self.outputs).map(|o| self.bias(o) + added(o)).collect());
        }
        for (at, w) in self.weight.iter_mut().enumerate() {
            let (o, i) = (at / taps / self.inputs, at / taps % self.inputs);
            *w *= scale[o / outputs * self.inputs + i];
        }
        Some(self)
    }

    /// This of the result of `inner`; none where that is another function at the edge, or would cost more.
    fn after(&self, inner: &Self) -> Option<Self> {
        let reads_zeros = inner.bias.is_none() && inner.padding + 1 >= inner.kernel;
        let (kernel, padding) = (self.kernel + inner.kernel - 1, self.padding + inner.padding);
        let (cost, taps) = (
            self.weight.len() as u64 + inner.weight.len() as u64,
            kernel * kernel,
        );
        let folded = (self.outputs as u64 * inner.inputs as u64).saturating_mul(taps as u64);
        if self.groups != 1
            || inner.groups != 1
            || (self.padding > 0 && !reads_zeros)
            || kernel > limits::KERNEL
            || padding > limits::KERNEL
            || folded > cost
            || folded.saturating_mul(self.inputs as u64) > MOST_WORK
        {
            return None;
        }
        let mut weight = vec![0.0; self.outputs * inner.inputs * taps];
        for (o, m) in (0..self.outputs).flat_map(|o| (0..self.inputs).map(move |m| (o, m))) {
            for tap in 0..self.kernel * self.kernel {
                let (outer, y, x) = (self.at(o, m, tap), tap / self.kernel, tap % self.kernel);
                for (i, tap) in
                    (0..inner.inputs).flat_map(|i| (0..inner.kernel * inner.kernel).map(move |t| (i, t)))
                {
                    let (y, x) = (y + tap / inner.kernel, x + tap % inner.kernel);
                    weight[(o * inner.inputs + i) * taps + y * kernel + x] += outer * inner.at(m, i, tap);
                }
            }
        }
        let added = |o: usize| {
            (0..self.inputs)
                .map(|m| self.total(o, m) * inner.bias(m))
                .sum::<f64>()
        };
        let has_bias = self.bias.is_some() || inner.bias.is_some();
        Some(Self {
            outputs: self.outputs,
            inputs: inner.inputs,
            kernel,
            groups: 1,
            padding,
            weight,
            bias: has_bias.then(|| (0..self.outputs).map(|o| self.bias(o) + added(o)).collect()),
        })
    }

    /// The sum of this and `other` of the same value; none where they cannot be one.
    fn beside(&self, other: &Self) -> Option<Self> {
        let (large, small) = if self.kernel < other.kernel {
            (other, self)
        } else {
            (self, other)
        };
        // With the same result size, the middles of the kernels lie on the same pixel.
        let around = (large.kernel - small.kernel) / 2;
        if large.groups != small.groups
            || large.outputs != small.outputs
            || large.padding != small.padding + around
        {
            return None;
        }
        let mut weight = large.weight.clone();
        let (taps, side) = (large.kernel * large.kernel, small.kernel);
        for (at, w) in small.weight.iter().enumerate() {
            let (filter, tap) = (at / (side * side), at % (side * side));
            let (y, x) = (tap / side + around, tap % side + around);
            weight[filter * taps + y * large.kernel + x] += w;
        }
        let has_bias = large.bias.is_some() || small.bias.is_some();
        Some(Self {
            outputs: large.outputs,
            inputs: large.inputs,
            kernel: large.kernel,
            groups: large.groups,
            padding: large.padding,
            weight,
            bias: has_bias.then(|| {
                (0..large.outputs)
                    .map(|o| large.bias(o) + small.bias(o))
                    .collect()
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::nets::{Span, SpanInput};
    use crate::graph::ops::{Add, Pad};
    use crate::graph::{Builder, Scale, Size, arbitrary, conformance, reference};
    use proptest::prelude::*;

    fn count(graph: &TypedGraph, name: &str) -> usize {
        let nodes = graph.graph().nodes.iter();
        nodes.filter(|n| n.op.name() == name).count()
    }

    /// The largest difference between the graph and its fold, in parts of the largest number.
    fn difference(graph: &TypedGraph, size: Size, seed: u64) -> (TypedGraph, f64) {
        let weights = conformance::weights(graph, seed);
        let (folded, left) = fold(graph, weights.clone()).expect("folds");
        let inputs = conformance::inputs(graph, size, seed).expect("a size that fits");
        let run =
            |graph: &TypedGraph, weights: &Weights| reference::run(graph, weights, &inputs).expect("runs");
        let (before, after) = (run(graph, &weights), run(&folded, &left));
        let largest = before[0].data().iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        assert_eq!(before[0].shape(), after[0].shape());
        let pairs = before[0].data().iter().zip(after[0].data());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        (folded, worst / largest)
    }

    #[test]
    fn a_span_in_training_is_the_span_that_runs() {
        let span = |gain| Span {
            colours: 3,
            features: 6,
            scale: 2,
            gain,
            input: Some(SpanInput::of_authors()),
        };
        let trained = span(Some(2)).graph().check().expect("fits");
        let (folded, worst) = difference(&trained, Size::new(7, 5), 1);
        // Weights are rounded, and inputs reach to 255.
        assert!(worst < 1e-5, "{worst}");
        let shipped = span(None).graph().check().expect("fits");
        for op in ["conv", "affine", "pad", "add", "silu"] {
            assert_eq!(count(&folded, op), count(&shipped, op), "{op}");
        }
        assert_eq!(
            folded.cost(Size::new(8, 8)).expect("fits"),
            shipped.cost(Size::new(8, 8)).expect("fits")
        );
        assert_eq!(folded.reach(), shipped.reach());
        // The shift of the input stays before the padding.
        assert_eq!(count(&folded, "pad"), 0);
        assert_eq!(folded.graph().nodes[0].op.name(), "affine");
    }

    /// What is left of a graph after folding, by operation names.
    fn left(build: impl Fn(&mut Builder, &str) -> String) -> Vec<&'static str> {
        let mut b = Builder::new();
        let image = b.map("image", 2, Scale::ONE);
        let last = build(&mut b, &image);
        let graph = b.output("image", &last).check().expect("fits");
        let (folded, worst) = difference(&graph, Size::new(6, 5), 3);
        assert!(worst < 1e-6, "{worst}");
        folded.graph().nodes.iter().map(|n| n.op.name()).collect()
    }

    #[test]
    fn the_edge_decides_what_is_folded() {
        let conv = |name: &str, kernel, padding| Conv::new(name, 2, kernel).padded(padding);
        let plain = |name: &str, kernel, padding| Conv {
            bias: None,
            ..conv(name, kernel, padding)
        };
        let affine = |shift| Affine {
            scale: Some(Constants::One(0.2)),
            shift: Some(Constants::One(shift)),
        };
        // A bias does not reach the zeros beyond the edge, its absence does.
        let chain = |inner: Conv, outer: Conv| {
            left(|b, x| {
                let y = b.node("a", inner.clone(), &[x]);
                b.node("b", outer.clone(), &[&y])
            })
        };
        assert_eq!(chain(conv("a", 1, 0), conv("b", 3, 1)), ["conv", "conv"]);
        assert_eq!(chain(plain("a", 1, 0), conv("b", 3, 1)), ["conv"]);
        assert_eq!(chain(conv("a", 1, 1), conv("b", 3, 0)), ["conv"]);
        assert_eq!(chain(conv("a", 3, 1), conv("b", 1, 0)), ["conv"]);
        // Two of 9 taps are less than one of 25.
        assert_eq!(chain(plain("a", 3, 2), plain("b", 3, 0)), ["conv", "conv"]);

        let around = |inner: Op, outer: Op| {
            left(|b, x| {
                let y = b.node("a", inner.clone(), &[x]);
                b.node("b", outer.clone(), &[&y])
            })
        };
        assert_eq!(around(affine(0.0).into(), conv("b", 3, 1).into()), ["conv"]);
        assert_eq!(
            around(affine(0.5).into(), conv("b", 3, 1).into()),
            ["affine", "conv"]
        );
        assert_eq!(around(affine(0.5).into(), conv("b", 1, 0).into()), ["conv"]);
        assert_eq!(around(conv("a", 3, 1).into(), affine(0.5).into()), ["conv"]);
        assert_eq!(around(Linear::new("a", 3).into(), affine(0.5).into()), ["linear"]);
        assert_eq!(around(Pad { pixels: 1 }.into(), conv("b", 3, 0).into()), ["conv"]);

        // What else reads a value keeps it.
        let shared = left(|b, x| {
            let y = b.node("a", conv("a", 1, 0), &[x]);
            let z = b.node("b", conv("b", 1, 0), &[&y]);
            b.node("c", Add {}, &[&y, &z])
        });
        assert_eq!(shared, ["conv", "conv", "add"]);
        let twice = left(|b, x| {
            let y = b.node("a", conv("a", 1, 0), &[x]);
            b.node("c", Add {}, &[&y, &y])
        });
        assert_eq!(twice, ["conv", "add"]);
        let beside = left(|b, x| {
            let y = b.node("a", conv("a", 1, 0), &[x]);
            let z = b.node("b", conv("b", 5, 2), &[x]);
            b.node("c", Add {}, &[&y, &z])
        });
        assert_eq!(beside, ["conv"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_graphs_stay_the_same_function(seed: u64) {
            let linear = ["conv", "affine", "pad", "add", "linear", "concat", "silu", "slice"];
            let graph = arbitrary::graph(seed, 16, |name| linear.contains(&name));
            let size = Size::new(6, 5);
            let (folded, worst) = difference(&graph, size, seed);
            prop_assert!(worst < 1e-4, "{}", worst);
            prop_assert!(folded.graph().nodes.len() <= graph.graph().nodes.len());
        }
    }
}
