//! The graph in plain `f64`, node by node: slow, and right. Executors are tested against it.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use super::{Fault, Input, Places, Scale, Shape, Size, TypedGraph};
use crate::model::Weights;
use crate::{Error, Planes, Result};

/// A value with its numbers.
///
/// Layout: of a map, `data[(c * height + y) * width + x]`; of tokens, `data[(window * tokens + token) * channels + c]`, windows and
/// tokens row by row; of a vector, `data[c]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Vec<f64>,
}

impl Tensor {
    /// Wraps `data` of the layout above.
    ///
    /// # Errors
    /// [`Error::Graph`] when it has another length.
    pub fn new(shape: Shape, data: Vec<f64>) -> Result<Self> {
        if data.len() == shape.numbers() {
            return Ok(Self { shape, data });
        }
        let why = format!("{} values do not make {shape}", data.len());
        Err(Fault::Size(why).whole().into())
    }

    /// The map of an image.
    pub fn of_planes(planes: &Planes) -> Self {
        Self {
            shape: Shape {
                channels: planes.channels(),
                places: Places::Map(Size::new(planes.width(), planes.height())),
            },
            data: planes.data().iter().map(|v| f64::from(*v)).collect(),
        }
    }

    /// A vector.
    pub fn vector(data: Vec<f64>) -> Self {
        Self {
            shape: Shape {
                channels: data.len(),
                places: Places::Vector,
            },
            data,
        }
    }

    /// The image of a map.
    ///
    /// # Errors
    /// [`Error::Graph`] for tokens or a vector.
    pub fn to_planes(&self) -> Result<Planes> {
        let Places::Map(size) = self.shape.places else {
            return Err(Fault::Size("only a map is an image".into()).whole().into());
        };
        let data = self.data.iter().map(|v| *v as f32).collect();
        Planes::new(self.shape.channels, size.height, size.width, data)
    }

    /// The same with what `f` makes of every number and its index.
    pub(super) fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        let data = self.data.iter().enumerate().map(|(i, x)| f(i, *x)).collect();
        let shape = self.shape;
        Self { shape, data }
    }

    /// Its dimensions.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its numbers, in the layout above.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// Channel `c` at place `p`.
    pub(super) fn at(&self, c: usize, p: usize) -> f64 {
        self.data[self.index(c, p)]
    }

    pub(super) fn set(&mut self, c: usize, p: usize, value: f64) {
        let at = self.index(c, p);
        self.data[at] = value;
    }

    /// [`at`](Self::at) of the only channel or place where there is one.
    pub(super) fn broadcast(&self, c: usize, p: usize) -> f64 {
        let c = if self.shape.channels == 1 { 0 } else { c };
        let p = if self.shape.places == Places::Vector { 0 } else { p };
        self.at(c, p)
    }

    /// Channel `c` at a pixel of a map.
    pub(super) fn pixel(&self, c: usize, x: usize, y: usize) -> f64 {
        self.at(c, y * self.map_size().width + x)
    }

    /// The size of a map, which the types were checked to be.
    pub(super) fn map_size(&self) -> Size {
        map_size(self.shape)
    }

    fn index(&self, c: usize, p: usize) -> usize {
        match self.shape.places {
            Places::Map(size) => c * size.pixels() + p,
            Places::Tokens(_) => p * self.shape.channels + c,
            Places::Vector => c,
        }
    }

    /// The tensor of `f(channel, place)`.
    pub(super) fn build(shape: Shape, f: impl Fn(usize, usize) -> f64) -> Self {
        let mut all = Self {
            shape,
            data: vec![0.0; shape.numbers()],
        };
        for c in 0..shape.channels {
            for p in 0..shape.places.count() {
                all.set(c, p, f(c, p));
            }
        }
        all
    }

    /// The map of `f(channel, x, y)`.
    pub(super) fn build_map(shape: Shape, f: impl Fn(usize, usize, usize) -> f64) -> Self {
        let width = map_size(shape).width;
        Self::build(shape, |c, p| f(c, p % width, p / width))
    }
}

fn map_size(shape: Shape) -> Size {
    match shape.places {
        Places::Map(size) => size,
        Places::Tokens(_) | Places::Vector => unreachable!("the types were checked"),
    }
}

/// The outputs of `graph` with `weights` for `inputs`, in the order of the description.
///
/// # Errors
/// [`Error::Weights`] when a tensor is missing or is none of the graph's, and [`Error::Graph`] when the inputs are not those of one
/// image.
pub fn run(graph: &TypedGraph, weights: &Weights, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    weights.check(graph.parameters())?;
    run_with(graph, &learned(weights), inputs)
}

/// Learned values by the names of their tensors.
pub(super) type Learned = BTreeMap<String, Vec<f64>>;

pub(super) fn learned(weights: &Weights) -> Learned {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
    let tensors = weights.iter();
    tensors.map(|(name, t)| (name.clone(), wide(&t.values))).collect()
}

/// [`run`] with learned values that need not be exact in `f32`.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with(graph: &TypedGraph, learned: &Learned, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let given: Vec<Shape> = inputs.iter().map(Tensor::shape).collect();
    let shapes = shapes(graph, &given)?;
    let mut left = graph.uses();
    let mut values: Vec<Option<Tensor>> = inputs.iter().cloned().map(Some).collect();
    for i in 0..graph.graph().nodes.len() {
        let read: Vec<&Tensor> = graph
            .reads(i)
            .iter()
            .filter_map(|v| values[*v].as_ref())
            .collect();
        let made = run_node(graph, learned, i, &read, shapes[graph.made_by(i)])?;
        values.push(Some(made));
        for value in graph.reads(i) {
            left[*value] -= 1;
            if left[*value] == 0 {
                values[*value] = None;
            }
        }
    }
    Ok(graph
        .outputs()
        .iter()
        .filter_map(|v| values[*v].clone())
        .collect())
}

/// What node `i` makes of what it reads.
///
/// # Errors
/// [`Error::Weights`] when a tensor is missing.
pub(super) fn run_node(
    graph: &TypedGraph,
    learned: &Learned,
    i: usize,
    reads: &[&Tensor],
    made: Shape,
) -> Result<Tensor> {
    let op = &graph.graph().nodes[i].op;
    let tensors = op.operation().parameters(&graph.input_types(i));
    let values = |name: &String| {
        let found = learned.get(name).cloned();
        found.ok_or_else(|| Error::Weights(format!("{name} is missing")))
    };
    let parameters: Vec<Vec<f64>> = tensors.iter().map(|p| values(&p.name)).collect::<Result<_>>()?;
    Ok(op.reference().run(reads, &parameters, made))
}

/// The shapes of all values for inputs of the shapes `given`.
///
/// # Errors
/// [`Error::Graph`] when these are not the inputs of one image.
pub(crate) fn shapes(graph: &TypedGraph, given: &[Shape]) -> Result<Vec<Shape>> {
    let shapes = graph.shapes(image_size(graph, given)?)?;
    for ((input, given), shape) in graph.graph().inputs.iter().zip(given).zip(&shapes) {
        if given != shape {
            return Err(unfit(input, given));
        }
    }
    Ok(shapes)
}

/// The size at scale 1 that the inputs are of.
fn image_size(graph: &TypedGraph, given: &[Shape]) -> Result<Size> {
    let inputs = &graph.graph().inputs;
    if inputs.len() != given.len() {
        let why = format!("{} inputs are needed, not {}", inputs.len(), given.len());
        return Err(Fault::Size(why).whole().into());
    }
    for (input, given) in inputs.iter().zip(given) {
        if let Places::Map(size) = given.places {
            let base = |n| at_one(n, input.scale).ok_or_else(|| unfit(input, given));
            return Ok(Size::new(base(size.width)?, base(size.height)?));
        }
    }
    Err(Fault::Size("none of the inputs is a map".into()).whole().into())
}

fn at_one(n: usize, scale: Scale) -> Option<usize> {
    let (num, den) = scale.terms();
    n.is_multiple_of(num).then(|| n / num * den)
}

fn unfit(input: &Input, given: &Shape) -> Error {
    let why = format!("{} is needed, not {given}", input.value_type());
    Fault::Size(why).at(&input.name).into()
}
