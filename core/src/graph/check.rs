use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use super::tiling::{Tiling, tiling};
use super::{Fault, Graph, GraphError, Node, Shape, Size, ValueType, limits, ops};
use crate::model::ParameterShape;

/// A graph that fits together: every value has a type, and every learned tensor a shape.
///
/// Values are counted, the inputs first and then what each node makes: value `inputs + i` is that of node `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedGraph {
    graph: Graph,
    types: Vec<ValueType>,
    /// For each node, the values it reads.
    reads: Vec<Vec<usize>>,
    /// For each output, its value.
    outputs: Vec<usize>,
    parameters: Vec<ParameterShape>,
    pub(super) tiling: Tiling,
}

type Checked<T> = Result<T, GraphError>;

impl TypedGraph {
    pub(super) fn new(graph: Graph) -> Checked<Self> {
        counts(&graph)?;
        let (mut types, mut places) = (Vec::new(), BTreeMap::new());
        for input in &graph.inputs {
            let name = input.name.as_str();
            named(name)?;
            if places.insert(name, types.len()).is_some() {
                return Err(Fault::Duplicate.at(name));
            }
            ops::channels(input.channels as u64).map_err(|fault| fault.at(name))?;
            types.push(input.value_type());
        }
        let mut later = BTreeMap::new();
        for (i, node) in graph.nodes.iter().enumerate() {
            named(&node.name)?;
            if places.contains_key(node.name.as_str()) || later.insert(node.name.as_str(), i).is_some() {
                return Err(Fault::Duplicate.at(&node.name));
            }
        }
        let (mut reads, mut learned) = (Vec::new(), Learned::default());
        for node in &graph.nodes {
            let at = |fault: Fault| fault.at(&node.name);
            let find = |name: &String| {
                places.get(name.as_str()).copied().ok_or_else(|| {
                    let fault = if later.contains_key(name.as_str()) {
                        Fault::Forward
                    } else {
                        Fault::UnknownValue
                    };
                    at(fault(name.chars().take(limits::NAME).collect()))
                })
            };
            number(node)?;
            let read: Vec<usize> = node.inputs.iter().map(find).collect::<Checked<_>>()?;
            let inputs: Vec<ValueType> = read.iter().map(|v| types[*v]).collect();
            let op = node.op.operation();
            let made = op.check(&inputs).map_err(at)?;
            learned.add(op.parameters(&inputs)).map_err(at)?;
            places.insert(&node.name, types.len());
            types.push(made);
            reads.push(read);
        }
        let outputs = outputs(&graph, &places, &types)?;
        used(&graph, &reads, &outputs)?;
        let tiling = tiling(&graph, &types, &reads, &outputs)?;
        let parameters = learned.all;
        Ok(Self {
            graph,
            types,
            reads,
            outputs,
            parameters,
            tiling,
        })
    }

    /// The description.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The type of every value.
    pub fn types(&self) -> &[ValueType] {
        &self.types
    }

    /// The values that node `i` reads.
    pub fn reads(&self, i: usize) -> &[usize] {
        &self.reads[i]
    }

    /// The value that node `i` makes.
    pub fn made_by(&self, i: usize) -> usize {
        self.graph.inputs.len() + i
    }

    /// The node that makes a value; none for an input.
    pub fn maker(&self, value: usize) -> Option<usize> {
        value.checked_sub(self.graph.inputs.len())
    }

    /// The value of each output.
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// The types of what node `i` reads.
    pub fn input_types(&self, i: usize) -> Vec<ValueType> {
        self.reads[i].iter().map(|v| self.types[*v]).collect()
    }

    /// Every learned tensor once, in the order in which nodes name them.
    pub fn parameters(&self) -> &[ParameterShape] {
        &self.parameters
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> u64 {
        self.parameters.iter().map(numbers).sum()
    }

    /// How many nodes and outputs read each value.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.types.len()];
        for value in self.reads.iter().flatten().chain(&self.outputs) {
            uses[*value] += 1;
        }
        uses
    }

    /// The shape of every value for an image of `size` at scale 1.
    ///
    /// # Errors
    /// [`Error::Graph`](crate::Error::Graph), naming the value that has none at that size, or too many numbers.
    pub fn shapes(&self, size: Size) -> crate::Result<Vec<Shape>> {
        let shape = |(v, t): (usize, &ValueType)| t.shape(size).map_err(|fault| fault.at(self.name(v)));
        Ok(self.types.iter().enumerate().map(shape).collect::<Checked<_>>()?)
    }

    /// The name of a value.
    pub fn name(&self, value: usize) -> &str {
        match self.maker(value) {
            None => &self.graph.inputs[value].name,
            Some(i) => &self.graph.nodes[i].name,
        }
    }
}

/// Nothing is made before there are few enough of all.
fn counts(graph: &Graph) -> Checked<()> {
    for (what, n, most) in [
        ("inputs", graph.inputs.len(), limits::ENDS),
        ("nodes", graph.nodes.len(), limits::NODES),
        ("outputs", graph.outputs.len(), limits::ENDS),
    ] {
        most_of(what, n as u64, most as u64).map_err(Fault::whole)?;
        if n == 0 {
            return Err(Fault::Form(alloc::format!("it has no {what}")).whole());
        }
    }
    Ok(())
}

fn most_of(what: &'static str, count: u64, most: u64) -> Result<(), Fault> {
    if count <= most {
        return Ok(());
    }
    Err(Fault::TooMany { what, count, most })
}

/// Whether a node reads as many values as its operation does.
fn number(node: &Node) -> Checked<()> {
    let takes = node.op.operation().reads();
    if takes.contains(&node.inputs.len()) {
        return Ok(());
    }
    let (first, last) = (takes.start(), takes.end());
    let takes = if first == last {
        alloc::format!("{first}")
    } else {
        alloc::format!("{first} to {last}")
    };
    let n = node.inputs.len();
    Err(Fault::Inputs(alloc::format!(
        "{} takes {takes} values and is given {n}",
        node.op.name()
    ))
    .at(&node.name))
}

/// Whether a value may have this name.
pub(super) fn plain(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    (1..=limits::NAME).contains(&name.len()) && name.bytes().all(fits)
}

fn named(name: &str) -> Checked<()> {
    if plain(name) {
        return Ok(());
    }
    // What is too long to be a name is too long to be shown.
    Err(Fault::Name.at(&name.chars().take(limits::NAME).collect::<String>()))
}

/// The learned tensors so far; several nodes may share one.
#[derive(Default)]
struct Learned {
    all: Vec<ParameterShape>,
    place: BTreeMap<String, usize>,
    numbers: u64,
}

impl Learned {
    fn add(&mut self, tensors: Vec<ParameterShape>) -> Result<(), Fault> {
        for tensor in tensors {
            // Weights files name their tensors as they like.
            if tensor.name.is_empty() {
                return Err(Fault::Params(
                    "a tensor has no name: give it that of the weights file".into(),
                ));
            }
            if let Some(at) = self.place.get(&tensor.name) {
                let known = &self.all[*at].shape;
                if *known != tensor.shape {
                    return Err(Fault::Params(alloc::format!(
                        "the tensor {} has the shape {:?} here and {known:?} before: name another",
                        tensor.name,
                        tensor.shape
                    )));
                }
                continue;
            }
            let n = numbers(&tensor);
            most_of("learned values of a tensor", n, limits::TENSOR)?;
            self.numbers += n;
            most_of("learned values", self.numbers, limits::PARAMETERS)?;
            self.place.insert(tensor.name.clone(), self.all.len());
            self.all.push(tensor);
        }
        Ok(())
    }
}

/// Numbers of a tensor, which on small machines are more than it can count.
pub(super) fn numbers(tensor: &ParameterShape) -> u64 {
    tensor
        .shape
        .iter()
        .fold(1, |n, side| n.saturating_mul(*side as u64))
}

fn outputs(graph: &Graph, places: &BTreeMap<&str, usize>, types: &[ValueType]) -> Checked<Vec<usize>> {
    let mut values = Vec::new();
    for (i, output) in graph.outputs.iter().enumerate() {
        named(&output.name)?;
        if graph.outputs[..i].iter().any(|o| o.name == output.name) {
            return Err(Fault::Duplicate.at(&output.name));
        }
        let at = |fault: Fault| fault.at(&output.name);
        let unknown = || {
            at(Fault::UnknownValue(
                output.value.chars().take(limits::NAME).collect(),
            ))
        };
        let value = *places.get(output.value.as_str()).ok_or_else(unknown)?;
        let made = types[value];
        if made != ValueType::map(made.channels, made.scale) {
            return Err(at(Fault::Inputs(alloc::format!(
                "an output is a map without a margin, not {made}"
            ))));
        }
        values.push(value);
    }
    Ok(values)
}

/// Checks that every value is part of an output.
fn used(graph: &Graph, reads: &[Vec<usize>], outputs: &[usize]) -> Checked<()> {
    let first = graph.inputs.len();
    let mut needed = vec![false; first + graph.nodes.len()];
    outputs.iter().for_each(|v| needed[*v] = true);
    for (i, reads) in reads.iter().enumerate().rev() {
        if needed[first + i] {
            reads.iter().for_each(|v| needed[*v] = true);
        }
    }
    let inputs = graph.inputs.iter().map(|input| &input.name);
    let names = inputs.chain(graph.nodes.iter().map(|node| &node.name));
    match names.zip(needed).find(|(_, needed)| !needed) {
        None => Ok(()),
        Some((name, _)) => Err(Fault::Unused.at(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ops::{Add, Conv, Leaky, PixelShuffle, Silu};
    use crate::graph::{Builder, Op, Scale, arbitrary};
    use alloc::{format, string::ToString as _};
    use proptest::prelude::*;

    fn two() -> Graph {
        let mut b = Builder::new();
        let image = b.map("image", 3, Scale::ONE);
        let x = b.node("conv", Conv::new("conv", 12, 3), &[&image]);
        let x = b.node("larger", PixelShuffle { factor: 2 }, &[&x]);
        b.output("image", &x)
    }

    /// The fault of the changed graph, and where it is said to be.
    fn fault(change: impl Fn(&mut Graph)) -> (Option<String>, Fault) {
        let mut graph = two();
        change(&mut graph);
        let crate::Error::Graph(why) = graph.check().expect_err("does not fit") else {
            panic!("a fault of the graph")
        };
        assert!(!why.to_string().is_empty());
        (why.node, why.fault)
    }

    fn conv(graph: &mut Graph) -> &mut Conv {
        match &mut graph.nodes[0].op {
            Op::Conv(conv) => conv,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        two().check().expect("fits");
        let at = |name: &str| Some(String::from(name));
        let twice = fault(|g| g.nodes[1].name = "conv".into());
        assert_eq!(twice, (at("conv"), Fault::Duplicate));
        let twice = fault(|g| g.nodes[1].name = "image".into());
        assert_eq!(twice, (at("image"), Fault::Duplicate));
        let twice = fault(|g| g.outputs.push(g.outputs[0].clone()));
        assert_eq!(twice, (at("image"), Fault::Duplicate));
        assert_eq!(fault(|g| g.nodes[0].name = "a b".into()).1, Fault::Name);
        assert_eq!(fault(|g| g.nodes[0].name = String::new()).1, Fault::Name);
        assert_eq!(fault(|g| g.outputs[0].name = "\n".into()).1, Fault::Name);
        let long = fault(|g| g.inputs[0].name = "\u{e4}".repeat(1000));
        assert_eq!(long.0.map(|name| name.chars().count()), Some(limits::NAME));

        let later = fault(|g| g.nodes[0].inputs[0] = "larger".into());
        assert_eq!(later, (at("conv"), Fault::Forward("larger".into())));
        let own = fault(|g| g.nodes[0].inputs[0] = "conv".into());
        assert_eq!(own, (at("conv"), Fault::Forward("conv".into())));
        let none = fault(|g| g.nodes[0].inputs[0] = "x".into());
        assert_eq!(none, (at("conv"), Fault::UnknownValue("x".into())));
        let none = fault(|g| g.outputs[0].value = "x".into());
        assert_eq!(none, (at("image"), Fault::UnknownValue("x".into())));
        assert_eq!(
            fault(|g| g.outputs[0].value = "image".into()),
            (at("conv"), Fault::Unused)
        );
        let unread = fault(|g| {
            g.inputs.push(crate::graph::Input {
                name: "more".into(),
                ..g.inputs[0].clone()
            });
        });
        assert_eq!(unread, (at("more"), Fault::Unused));

        let is_params = |f: (_, Fault)| matches!(f.1, Fault::Params(_));
        let is_inputs = |f: (_, Fault)| matches!(f.1, Fault::Inputs(_));
        assert!(is_params(fault(|g| conv(g).kernel = 4)));
        assert!(is_params(fault(|g| conv(g).kernel = usize::MAX)));
        assert!(is_params(fault(|g| conv(g).padding = Some(usize::MAX))));
        assert!(is_params(fault(|g| conv(g).weight = String::new())));
        assert!(is_params(fault(
            |g| g.nodes[1].op = Leaky { slope: f64::NAN }.into()
        )));
        // One tensor of two shapes.
        assert!(is_params(fault(|g| conv(g).bias = Some("conv.weight".into()))));
        assert!(is_inputs(fault(|g| conv(g).groups = 2)));
        assert!(is_inputs(fault(|g| conv(g).outputs = 13)));
        assert!(is_inputs(fault(|g| g.nodes[1].op = Add {}.into())));
        // Its output would be smaller than the image.
        assert!(is_inputs(fault(|g| conv(g).padding = Some(0))));

        let is_many = |f: (_, Fault)| matches!(f.1, Fault::TooMany { .. });
        assert!(is_many(fault(|g| conv(g).outputs = usize::MAX)));
        assert!(is_many(fault(|g| g.inputs[0].channels = usize::MAX)));
        assert!(is_params(fault(|g| g.inputs[0].channels = 0)));
        assert!(is_many(fault(|g| {
            let node = g.nodes[0].clone();
            g.nodes.resize(limits::NODES + 1, node);
        })));
        // 8192 by 8192 by 63 by 63.
        assert!(is_many(fault(|g| {
            g.inputs[0].channels = limits::CHANNELS;
            conv(g).outputs = limits::CHANNELS;
            conv(g).kernel = limits::KERNEL;
        })));
        assert!(matches!(fault(|g| g.nodes.clear()).1, Fault::Form(_)));
    }

    #[test]
    fn an_unread_description_is_told_by_its_node() {
        let read = |json: &str| match Graph::from_json(json.as_bytes()) {
            Err(crate::Error::Graph(why)) => why,
            other => panic!("{other:?}"),
        };
        let node = |node: &str| format!("{{\"inputs\":[],\"nodes\":[{node}],\"outputs\":[]}}");
        let why = read(&node("{\"name\":\"a\",\"op\":\"convolve\",\"inputs\":[]}"));
        assert_eq!(why, Fault::UnknownOp("convolve".into()).at("a"));
        let why = read(&node(
            "{\"name\":\"a\",\"op\":\"leaky\",\"inputs\":[],\"params\":{\"slope\":\"b\"}}",
        ));
        assert!(matches!(
            (why.node.as_deref(), &why.fault),
            (Some("a"), Fault::Params(_))
        ));
        let why = read(&node(
            "{\"name\":\"a\",\"op\":\"silu\",\"inputs\":[],\"params\":{\"slope\":1}}",
        ));
        assert!(matches!(why.fault, Fault::Params(_)), "{why:?}");
        let why = read(&node("{\"name\":\"a\",\"op\":\"silu\",\"inputs\":[],\"more\":1}"));
        assert!(matches!(why.fault, Fault::Form(_)), "{why:?}");
        let why = read("{\"inputs\":[],\"nodes\":[]}");
        assert!(matches!(why.fault, Fault::Form(_)), "{why:?}");
        // In a larger description too, such as a manifest.
        let json = node("{\"name\":\"a\",\"op\":\"convolve\",\"inputs\":[]}");
        let why = serde_json::from_str::<Graph>(&json)
            .expect_err("unknown")
            .to_string();
        assert!(
            why.contains("a: the operation \"convolve\" is not known"),
            "{why}"
        );
    }

    #[test]
    fn sizes_are_bounded_before_anything_is_made() {
        let graph = two().check().expect("fits");
        assert!(graph.shapes(Size::new(4, 4)).is_ok());
        for size in [
            Size::new(0, 4),
            Size::new(usize::MAX, 1),
            Size::new(1 << 24, 1 << 24),
        ] {
            assert!(
                matches!(graph.shapes(size), Err(crate::Error::Graph(_))),
                "{size:?}"
            );
        }
    }

    #[test]
    fn tensors_may_be_shared() {
        let mut b = Builder::new();
        let mut x = b.map("image", 3, Scale::ONE);
        for _ in 0..3 {
            x = b.node("again", Conv::new("conv", 3, 3), &[&x]);
            x = b.after("again", Silu {}, &[&x]);
        }
        let graph = b.output("image", &x).check().expect("fits");
        assert_eq!(graph.parameters().len(), 2);
        assert_eq!(graph.reach().radius, 3);
    }

    proptest! {
        #[test]
        fn random_graphs_come_back_from_json(seed: u64) {
            let graph = arbitrary::graph(seed, 25, |_| true);
            let json = graph.graph().to_json().expect("writes");
            let again = Graph::from_json(json.as_bytes()).expect("reads");
            prop_assert_eq!(&again, graph.graph());
            prop_assert_eq!(serde_json::from_str::<Graph>(&json).expect("reads"), again.clone());
            prop_assert_eq!(again.check().expect("fits"), graph);
        }
    }
}
