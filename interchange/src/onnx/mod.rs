//! `.onnx`: a graph of operators, each to an operation of ours; those that only compute sizes and weights are computed while it is read.
//!
//! | file | what |
//! |---|---|
//! | `proto` | the messages of `onnx.proto` |
//! | `constant` | numbers that no pixel changes, some of them in terms of the image's size |
//! | `fold` | operators of those alone |
//! | `view` | reshaped and transposed maps |
//! | `operators` | operators of maps |
//!
//! Operators are those of ONNX's documentation, opsets 7 to 24.

mod constant;
mod fold;
mod operators;
mod proto;
mod view;

use std::collections::BTreeMap;

use asasr_core::graph::ops::Constants;

use crate::net::Net;
use crate::{COLOURS, Error, File, Model, Result};
use constant::{Constant, Num};
use proto::Node;
use view::View;

/// Whether a file is named as one, or begins as every writer's do: with the version of the format, a small number.
pub(crate) fn is_onnx(file: &File<'_>) -> bool {
    let begins = matches!(file.bytes, [0x08, 1..=31, 0x12..=0xff, ..]);
    // A picture is none, whatever its name is.
    let picture = [&b"\xff\xd8\xff"[..], b"\x89PNG", b"GIF8", b"RIFF", b"BM"];
    if picture.iter().any(|magic| file.bytes.starts_with(magic)) {
        return false;
    }
    // The length of a safetensors header may begin so too.
    let begins = begins && file.bytes.get(8) != Some(&b'{');
    begins || file.name.to_ascii_lowercase().ends_with(".onnx")
}

/// Reads a model.
///
/// # Errors
/// [`Error::Operator`] for an operator that no operation computes, [`Error::Damaged`] and [`Error::CutShort`].
pub(crate) fn read(bytes: &[u8]) -> Result<Model> {
    let graph = proto::model(bytes)?;
    let mut inputs = graph
        .inputs
        .iter()
        .filter(|(name, _)| !graph.constants.contains_key(name));
    let (input, sides) = inputs.next().ok_or_else(|| Error::damaged("it reads nothing"))?;
    if inputs.next().is_some() {
        return Err(Error::Colours("it reads several images".into()));
    }
    let (channels, sides) = match sides.as_slice() {
        [_, channels, rows, columns] => (channels.unwrap_or(COLOURS), [*rows, *columns]),
        [] => (COLOURS, [None; 2]),
        other => return Err(Error::Colours(format!("it reads {} dimensions", other.len()))),
    };
    if channels != COLOURS {
        return Err(Error::Colours(format!("it reads {channels} channels")));
    }
    let [output] = graph.outputs[..] else {
        return Err(Error::Colours("it makes several results".into()));
    };
    let (net, image) = Net::new(channels, bytes.len());
    let mut all = Translation {
        net,
        sides,
        values: BTreeMap::new(),
        sigmoids: BTreeMap::new(),
        clamped: BTreeMap::new(),
        folded: 0,
        output,
    };
    for (name, constant) in graph.constants {
        all.values.insert(name, Value::Constant(constant));
    }
    let image = all.plain(image);
    all.values.insert(input, Value::Map(image));
    for bytes in graph.nodes {
        let node = Node::read(bytes)?;
        let made = all.made(&node)?;
        for (name, value) in node.outputs.iter().zip(made) {
            if !name.is_empty() {
                all.values.insert(name, value);
            }
        }
    }
    let end = Node::reading(output);
    let value = all.map(&end, 0)?;
    // Results are held within 0 and 1 wherever they are shown.
    let value = all.clamped.get(&value).cloned().unwrap_or(value);
    all.net.model(&value, "ONNX network")
}

/// A value of the file.
#[derive(Debug, Clone)]
enum Value<'a> {
    Map(Map),
    Constant(Constant<'a>),
}

/// `scale f(base) + shift`, in the dimensions of `view`. What exporters write in several operators is held so until it is all there.
#[derive(Debug, Clone)]
struct Map {
    base: String,
    function: Function,
    /// For all channels, or for each.
    scale: Vec<f64>,
    shift: Vec<f64>,
    view: View,
}

/// A function that no operation computes alone, part of one that some operation does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Identity,
    /// `erf(x / sqrt(2))`, of GELU.
    Erf,
    /// `log(1 + e^x)`, of Mish.
    Softplus,
    /// `tanh(log(1 + e^x))`, of Mish.
    TanhSoftplus,
    /// The mean of the channels, of a normalisation.
    Mean,
    /// What is left without it.
    Centred,
    /// Its square.
    Square,
    /// The mean of that.
    Variance,
    /// The root of the variance and a number.
    Deviation(f64),
}

impl Function {
    /// What the file calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Erf => "Erf",
            Self::Softplus => "Softplus",
            Self::TanhSoftplus => "Tanh",
            Self::Mean | Self::Variance => "ReduceMean",
            Self::Centred => "Sub",
            Self::Square => "Pow",
            Self::Deviation(_) => "Sqrt",
        }
    }
}

impl Map {
    fn is_scaled(&self) -> bool {
        self.scale != [1.0] || self.shift != [0.0]
    }

    /// Whether it is `function` of its base and no more.
    fn is(&self, function: Function) -> bool {
        self.function == function && !self.is_scaled()
    }

    /// The same times `scale`, plus `shift`.
    fn line(mut self, scale: &[f64], shift: &[f64]) -> Self {
        let zip = |a: &[f64], b: &[f64], f: fn(f64, f64) -> f64| -> Vec<f64> {
            let at = |all: &[f64], i: usize| all[if all.len() == 1 { 0 } else { i }];
            (0..a.len().max(b.len())).map(|i| f(at(a, i), at(b, i))).collect()
        };
        self.scale = zip(&self.scale, scale, |a, b| a * b);
        self.shift = zip(&zip(&self.shift, scale, |a, b| a * b), shift, |a, b| a + b);
        self
    }

    /// The same with another function of its base.
    fn as_function(&self, function: Function) -> Self {
        Self {
            function,
            ..self.clone()
        }
    }
}

struct Translation<'a> {
    net: Net,
    /// Rows and columns of the image where the file fixes them, which binds nobody else.
    sides: [Option<usize>; 2],
    values: BTreeMap<&'a str, Value<'a>>,
    /// What each value is the logistic function of, where it is.
    sigmoids: BTreeMap<String, String>,
    /// What each value that lies within 0 and 1 is without that.
    clamped: BTreeMap<String, String>,
    /// Numbers that were computed so far.
    folded: usize,
    output: &'a str,
}

/// Most numbers that are computed while a file is read.
const MOST_FOLDED: usize = 1 << 23;

impl<'a> Translation<'a> {
    /// A value of the graph as it is.
    fn plain(&self, base: String) -> Map {
        let view = View::plain(self.net.kind(&base), self.sides);
        Self::in_view(base, view)
    }

    fn in_view(base: String, view: View) -> Map {
        Map {
            base,
            function: Function::Identity,
            scale: vec![1.0],
            shift: vec![0.0],
            view,
        }
    }

    fn made(&mut self, node: &Node<'a>) -> Result<Vec<Value<'a>>> {
        if node.kind == "Constant" {
            return Ok(vec![Value::Constant(fold::constant(node)?)]);
        }
        let given = node.inputs.iter().filter(|name| !name.is_empty());
        let mut constants = Some(Vec::new());
        for name in given {
            let value = self.values.get(name).ok_or_else(|| {
                let node = node.name;
                Error::damaged(format!("{node} reads {name}, which nothing makes"))
            })?;
            match value {
                Value::Constant(constant) => constants.iter_mut().for_each(|all| all.push(constant.clone())),
                Value::Map(_) => constants = None,
            }
        }
        let Some(constants) = constants else {
            return operators::made(self, node);
        };
        // What is only read takes time, and no memory.
        self.spend(
            constants
                .iter()
                .map(|c| c.count() / 32)
                .fold(0, usize::saturating_add),
        )?;
        let made = fold::made(node, &constants)?;
        for constant in &made {
            self.spend(constant.count())?;
        }
        Ok(made.into_iter().map(Value::Constant).collect())
    }

    /// Accounts for numbers that were computed.
    fn spend(&mut self, count: usize) -> Result<()> {
        self.folded = self.folded.saturating_add(count);
        if self.folded > MOST_FOLDED {
            return Err(Error::TooLarge(
                "too much of it is computed while it is read".into(),
            ));
        }
        Ok(())
    }

    /// The `i`th value that a node reads, where it reads so many.
    fn value(&self, node: &Node<'a>, i: usize) -> Option<&Value<'a>> {
        self.values.get(node.inputs.get(i)?)
    }

    /// The same, which must be numbers that no pixel changes.
    fn constant(&self, node: &Node<'a>, i: usize) -> Result<Option<Constant<'a>>> {
        match self.value(node, i) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant.clone())),
            Some(Value::Map(_)) => Err(node.refused(" with parameters that pixels change")),
        }
    }

    /// The same, which must be there.
    fn needed(&self, node: &Node<'a>, i: usize) -> Result<Constant<'a>> {
        self.constant(node, i)?.ok_or(Error::CutShort)
    }

    /// Whole numbers of an attribute, or of an input where newer opsets have them.
    fn ints(&self, node: &Node<'a>, attribute: &str, input: usize) -> Result<Option<Vec<i64>>> {
        match node.ints(attribute) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None => self.constant(node, input)?.map(|c| c.ints()).transpose(),
        }
    }

    /// The `i`th value as the file has it.
    fn lazy(&self, node: &Node<'a>, i: usize) -> Result<Map> {
        match self.value(node, i) {
            Some(Value::Map(map)) => Ok(map.clone()),
            Some(Value::Constant(_)) => Err(node.refused(" of numbers of the file")),
            None => Err(Error::CutShort),
        }
    }

    /// The `i`th value as a value of the graph, whose dimensions may be in another order.
    fn turned(&mut self, node: &Node<'a>, i: usize) -> Result<Map> {
        let map = self.lazy(node, i)?;
        if map.function != Function::Identity {
            let operator = format!(
                "the ONNX operator {} alone (before {})",
                map.function.name(),
                node.name
            );
            return Err(Error::Operator { operator });
        }
        if !map.is_scaled() {
            return Ok(map);
        }
        let given = |all: &[f64], none: f64| match all {
            [one] if *one == none => None,
            [one] => Some(Constants::One(*one)),
            all => Some(Constants::Each(all.to_vec())),
        };
        let (scale, shift) = (given(&map.scale, 1.0), given(&map.shift, 0.0));
        let base = self.net.affine(node.name, &map.base, scale, shift)?;
        let made = Self::in_view(base, map.view);
        self.keep(node, i, &made);
        Ok(made)
    }

    /// The name of the `i`th value of a node as one of the graph, `[1, channels, rows, columns]`.
    fn map(&mut self, node: &Node<'a>, i: usize) -> Result<String> {
        let map = self.turned(node, i)?;
        let flat = view::flat(&mut self.net, node.name, &map.base, &map.view, self.sides)?;
        let base = flat.ok_or_else(|| node.refused(" of a map that is split in another way"))?;
        if base != map.base {
            let made = self.plain(base.clone());
            self.keep(node, i, &made);
        }
        Ok(base)
    }

    /// Others that read the same value have it as it was made here.
    fn keep(&mut self, node: &Node<'a>, i: usize, made: &Map) {
        if let Some(name) = node.inputs.get(i) {
            self.values.insert(name, Value::Map(made.clone()));
        }
    }

    /// The sizes of a map's dimensions.
    fn sizes(map: &Map) -> Result<Vec<Num>> {
        map.view.sizes()
    }
}
