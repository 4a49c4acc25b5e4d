//! The messages of `onnx.proto` that a network is read from.

use std::collections::BTreeMap;
use std::rc::Rc;

use half::{bf16, f16};

use super::constant::{Constant, Data, Num};
use crate::pickle::Type;
use crate::protobuf::{Wire, fields};
use crate::tensors::Stored;
use crate::{Error, Result};

/// Most nodes, and most tensors, of a file: constants are nodes too.
const MOST: usize = 1 << 16;
/// Most values that a node reads or makes, and numbers of an attribute.
const MOST_OF_A_NODE: usize = 1 << 10;
/// Most numbers that are kept in a form that takes more memory than the file.
const MOST_WHOLE: usize = 1 << 16;

/// What is read of a model.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    /// Nodes in the file's order, each still a message.
    pub(super) nodes: Vec<&'a [u8]>,
    pub(super) constants: BTreeMap<&'a str, Constant<'a>>,
    /// Names and sides; a side that is not fixed is none.
    pub(super) inputs: Vec<(&'a str, Vec<Option<usize>>)>,
    pub(super) outputs: Vec<&'a str>,
}

/// Reads a `ModelProto`.
pub(super) fn model(bytes: &[u8]) -> Result<Graph<'_>> {
    let mut graph = None;
    for field in fields(bytes) {
        if let (7, wire) = field? {
            graph = Some(wire.bytes()?);
        }
    }
    self::graph(graph.ok_or(Error::CutShort)?)
}

fn graph(bytes: &[u8]) -> Result<Graph<'_>> {
    let mut graph = Graph::default();
    for field in fields(bytes) {
        match field? {
            (1, wire) => graph.nodes.push(wire.bytes()?),
            (5, wire) => {
                let (name, constant) = tensor(wire.bytes()?)?;
                graph.constants.insert(name, constant);
            }
            (11, wire) => graph.inputs.push(value(wire.bytes()?)?),
            (12, wire) => graph.outputs.push(value(wire.bytes()?)?.0),
            (15, _) => return Err(operator("sparse tensors")),
            _ => {}
        }
        let most = graph.nodes.len().max(graph.constants.len());
        if most.max(graph.inputs.len()).max(graph.outputs.len()) > MOST {
            return Err(Error::TooLarge(format!(
                "it has more than {MOST} nodes or tensors"
            )));
        }
    }
    Ok(graph)
}

fn operator(what: &str) -> Error {
    Error::Operator {
        operator: what.into(),
    }
}

/// A `ValueInfoProto`.
fn value(bytes: &[u8]) -> Result<(&str, Vec<Option<usize>>)> {
    let (mut name, mut sides) = ("", Vec::new());
    for field in fields(bytes) {
        match field? {
            (1, wire) => name = wire.text()?,
            // Type, tensor type, shape.
            (2, wire) => {
                let shape = inner(wire.bytes()?, 1)?;
                let shape = shape.map(|tensor| inner(tensor, 2)).transpose()?.flatten();
                for dimension in fields(shape.unwrap_or_default()) {
                    if let (1, wire) = dimension? {
                        if sides.len() == MOST_OF_A_NODE {
                            return Err(Error::TooLarge("a value has too many dimensions".into()));
                        }
                        sides.push(side(wire.bytes()?)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, sides))
}

/// The message in field `number`.
fn inner(bytes: &[u8], number: u32) -> Result<Option<&[u8]>> {
    for field in fields(bytes) {
        match field? {
            (n, wire) if n == number => return wire.bytes().map(Some),
            _ => {}
        }
    }
    Ok(None)
}

fn side(bytes: &[u8]) -> Result<Option<usize>> {
    for field in fields(bytes) {
        if let (1, wire) = field? {
            // Some write zero or less for what is not fixed.
            return Ok(usize::try_from(wire.int()?).ok().filter(|n| *n > 0));
        }
    }
    Ok(None)
}

/// A `NodeProto`.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    attributes: Vec<(&'a str, Attribute<'a>)>,
}

#[derive(Debug, Clone, Default)]
struct Attribute<'a> {
    float: Option<f32>,
    int: Option<i64>,
    text: Option<&'a [u8]>,
    tensor: Option<&'a [u8]>,
    floats: Vec<f32>,
    ints: Vec<i64>,
}

impl<'a> Node<'a> {
    /// One that only reads a value.
    pub(super) fn reading(value: &'a str) -> Self {
        Self {
            kind: "result",
            name: value,
            inputs: vec![value],
            ..Self::default()
        }
    }

    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut node = Self::default();
        let mut domain = "";
        for field in fields(bytes) {
            match field? {
                (1, wire) => node.inputs.push(wire.text()?),
                (2, wire) => node.outputs.push(wire.text()?),
                (3, wire) => node.name = wire.text()?,
                (4, wire) => node.kind = wire.text()?,
                (5, wire) => node.attributes.push(attribute(wire.bytes()?)?),
                (7, wire) => domain = wire.text()?,
                _ => {}
            }
            let most = node.inputs.len().max(node.outputs.len());
            if most.max(node.attributes.len()) > MOST_OF_A_NODE {
                return Err(Error::TooLarge(format!("the node {} is too large", node.name)));
            }
        }
        if node.name.is_empty() {
            node.name = node.outputs.first().copied().unwrap_or_default();
        }
        if !matches!(domain, "" | "ai.onnx") {
            return Err(node.refused(&format!(" of {domain}")));
        }
        Ok(node)
    }

    /// The error that something of it is not computed.
    pub(super) fn refused(&self, what: &str) -> Error {
        let (kind, name) = (self.kind, self.name);
        operator(&format!("the ONNX operator {kind}{what} (node {name})"))
    }

    fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        let mut all = self.attributes.iter();
        all.find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|a| a.int).unwrap_or(otherwise)
    }

    pub(super) fn float(&self, name: &str, otherwise: f32) -> f64 {
        let float = self.attribute(name).and_then(|a| a.float);
        f64::from(float.unwrap_or(otherwise))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub(super) fn text(&self, name: &str, otherwise: &'static str) -> &str {
        let text = self.attribute(name).and_then(|a| a.text);
        text.map_or(otherwise, |t| std::str::from_utf8(t).unwrap_or("?"))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Constant<'a>>> {
        let tensor = self.attribute(name).and_then(|a| a.tensor);
        tensor.map(|t| Ok(self::tensor(t)?.1)).transpose()
    }
}

fn attribute(bytes: &[u8]) -> Result<(&str, Attribute<'_>)> {
    let (mut name, mut own) = ("", Attribute::default());
    for field in fields(bytes) {
        match field? {
            (1, wire) => name = wire.text()?,
            (2, wire) => own.float = Some(wire.float()?),
            (3, wire) => own.int = Some(wire.int()?),
            (4, wire) => own.text = Some(wire.bytes()?),
            (5, wire) => own.tensor = Some(wire.bytes()?),
            (7, wire) => wire.floats(&mut own.floats, MOST_OF_A_NODE)?,
            (8, wire) => wire.ints(&mut own.ints, MOST_OF_A_NODE)?,
            _ => {}
        }
    }
    Ok((name, own))
}

/// A `TensorProto`: its name, and what it holds where it lies.
fn tensor(bytes: &[u8]) -> Result<(&str, Constant<'_>)> {
    let (mut name, mut kind, mut dims) = ("", 0, Vec::new());
    let (mut raw, mut singles, mut doubles) = (None, None, None);
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => wire.ints(&mut dims, MOST_OF_A_NODE)?,
            2 => kind = wire.int()?,
            4 => packed(&mut singles, wire)?,
            5 => narrow.push(wire),
            7 => wide.push(wire),
            8 => name = wire.text()?,
            9 => raw = Some(wire.bytes()?),
            10 => packed(&mut doubles, wire)?,
            13 | 14 if number == 13 || wire.int()? != 0 => {
                return Err(operator(&format!(
                    "numbers of another file ({name}): the model as one file"
                )));
            }
            _ => {}
        }
        if narrow.len().max(wide.len()) > MOST_WHOLE {
            return Err(Error::damaged(format!("the numbers of {name} lie in pieces")));
        }
    }
    let shape: Vec<usize> = dims
        .iter()
        .map(|n| usize::try_from(*n))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::damaged(format!("{name} has the shape {dims:?}")))?;
    let is = match kind {
        1 => Type::F32,
        6 => Type::I32,
        7 => Type::I64,
        9 => return bools(shape, raw, &narrow).map(|c| (name, c)),
        10 => Type::F16,
        11 => Type::F64,
        16 => Type::Bf16,
        other => {
            let tensor = name.into();
            let is = format!("number {other} of ONNX");
            return Err(Error::Type { tensor, is });
        }
    };
    let held = raw.or(match is {
        Type::F32 => singles,
        Type::F64 => doubles,
        _ => None,
    });
    let count = count(&shape).ok_or(Error::CutShort)?;
    if held.is_some() || count == 0 {
        let stored = Stored::in_rows(is, shape.clone(), held.unwrap_or_default())?;
        return Ok((name, Constant::stored(stored)));
    }
    let data = match is {
        Type::F16 | Type::Bf16 => {
            let mut values = Vec::new();
            for wire in narrow {
                let most = match wire {
                    Wire::Bytes(bytes) => bytes.len(),
                    _ => MOST_WHOLE,
                };
                let mut numbers = Vec::new();
                wire.ints(&mut numbers, most.min(count))?;
                let half = |n: i64| match is {
                    Type::F16 => f16::from_bits(n as u16).to_f32(),
                    _ => bf16::from_bits(n as u16).to_f32(),
                };
                values.extend(numbers.into_iter().map(half));
            }
            Data::Singles(values.into())
        }
        _ => {
            let mut numbers = Vec::new();
            for wire in if is == Type::I32 { narrow } else { wide } {
                wire.ints(&mut numbers, MOST_WHOLE)?;
            }
            Data::Numbers(numbers.into_iter().map(|n| Num::of(n as f64)).collect())
        }
    };
    Ok((name, Constant::new(shape, data, !is.is_real())?))
}

pub(super) fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side))
}

/// Numbers of a fixed size, which every writer packs into one field.
fn packed<'a>(held: &mut Option<&'a [u8]>, wire: Wire<'a>) -> Result<()> {
    match (wire, &held) {
        (Wire::Bytes(bytes), None) => {
            *held = Some(bytes);
            Ok(())
        }
        _ => Err(Error::damaged("the numbers of a tensor lie in pieces")),
    }
}

fn bools<'a>(shape: Vec<usize>, raw: Option<&[u8]>, narrow: &[Wire<'_>]) -> Result<Constant<'a>> {
    let mut numbers = Vec::new();
    match raw {
        Some(raw) if raw.len() <= MOST_WHOLE => numbers.extend(raw.iter().map(|b| i64::from(*b))),
        Some(_) => return Err(Error::TooLarge("it has a large tensor of truth values".into())),
        None => {
            for wire in narrow {
                wire.ints(&mut numbers, MOST_WHOLE)?;
            }
        }
    }
    let numbers: Rc<[Num]> = numbers.into_iter().map(|n| Num::of(n as f64)).collect();
    Constant::new(shape, Data::Numbers(numbers), true)
}
