//! The networks that are recognised by their tensors' names and shapes, one file an architecture.
//!
//! To add one, write its graph in `asasr_core::graph::nets` and a file here whose function tells it from the others, reads its sizes and
//! says which tensor of the file is which of the graph; add that function to [`READERS`]. The structures are those of the authors' code.

mod compact;
mod dat;
mod esrgan;
mod foreign;
mod plksr;
mod span;
mod swinir;
mod transformer;

use std::collections::BTreeSet;

use asasr_core::graph::{Graph, TypedGraph};
use asasr_core::model::{ParameterShape, Tensor, Weights};

use crate::tensors::Tensors;
use crate::{Error, Result};

/// A network that was recognised, with its weights.
#[derive(Debug)]
pub(crate) struct Known {
    /// What it is, with its sizes: `ESRGAN 64nf 23nb`.
    pub(crate) architecture: String,
    pub(crate) graph: TypedGraph,
    pub(crate) weights: Weights,
}

/// Answers where the tensors are an architecture's.
type Reader = fn(&Tensors<'_>) -> Option<Result<Known>>;

/// One of each architecture; the first that answers is right.
const READERS: [Reader; 6] = [
    esrgan::read,
    span::read,
    plksr::read,
    swinir::read,
    dat::read,
    compact::read,
];
/// A side of a network's tensor is at most this; sizes that are made of a few of them do not overflow.
const LARGEST: usize = 1 << 14;

/// The network whose tensors these are.
///
/// # Errors
/// [`Error::Unsupported`], [`Error::Unknown`], [`Error::Tensor`].
pub(crate) fn recognise(tensors: &Tensors<'_>) -> Result<Known> {
    if let Some(known) = READERS.iter().find_map(|reader| reader(tensors)) {
        return known;
    }
    if let Some(architecture) = foreign::name(tensors) {
        return Err(Error::Unsupported { architecture });
    }
    let some: Vec<&str> = tensors.names().take(3).collect();
    if some.is_empty() {
        return Err(Error::NotAModel);
    }
    Err(Error::Unknown {
        tensors: some.join(", "),
    })
}

/// Takes a file's tensors into a graph's, and finds those that are left.
struct Taking<'t, 'a> {
    architecture: &'static str,
    tensors: &'t Tensors<'a>,
    taken: BTreeSet<String>,
}

impl<'t, 'a> Taking<'t, 'a> {
    fn new(architecture: &'static str, tensors: &'t Tensors<'a>) -> Self {
        Self {
            architecture,
            tensors,
            taken: BTreeSet::new(),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::Tensor {
            architecture: self.architecture,
            why: why.into(),
        }
    }

    /// The shape of a tensor of `N` dimensions.
    fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape = self.tensors.shape(name);
        let shape = shape.ok_or_else(|| self.wrong(format!("{name} is missing")))?;
        let sides = <[usize; N]>::try_from(shape).ok();
        let sides = sides.filter(|sides| sides.iter().all(|n| (1..=LARGEST).contains(n)));
        sides.ok_or_else(|| self.wrong(format!("{name} has the shape {shape:?}")))
    }

    /// A tensor of the file.
    fn tensor(&mut self, name: &str) -> Result<Tensor> {
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| self.wrong(format!("{name} is missing")))?;
        if !stored.kind.is_real() {
            let is = format!("{:?}", stored.kind);
            let tensor = name.into();
            return Err(Error::Type { tensor, is });
        }
        self.taken.insert(name.into());
        stored.read(name)
    }

    /// The scale of a network whose last convolution makes `outputs` channels for a pixel shuffle into `colours`.
    fn scale(&self, outputs: usize, colours: usize) -> Result<usize> {
        let each = outputs / colours.max(1);
        let scale = each.isqrt();
        if scale == 0 || colours * scale * scale != outputs {
            return Err(self.wrong(format!("{outputs} channels are no enlargement of {colours}")));
        }
        Ok(scale)
    }

    /// The weights of a graph whose tensor `name` is `of(name)` in the file; every tensor that is left must be one that `spare` knows to
    /// mean nothing.
    fn weights(
        self,
        sizes: &str,
        graph: Graph,
        of: impl Fn(&str) -> String,
        spare: impl Fn(&str) -> bool,
    ) -> Result<Known> {
        let taken = |taking: &mut Self, parameter: &ParameterShape| taking.tensor(&of(&parameter.name));
        self.made(sizes, graph, taken, spare)
    }

    /// The same where `make` takes each tensor, or makes it of several.
    fn made(
        mut self,
        sizes: &str,
        graph: Graph,
        make: impl Fn(&mut Self, &ParameterShape) -> Result<Tensor>,
        spare: impl Fn(&str) -> bool,
    ) -> Result<Known> {
        let graph = graph.check()?;
        let mut weights = Weights::default();
        for parameter in graph.parameters() {
            let tensor = make(&mut self, parameter)?;
            weights.insert(parameter.name.clone(), self.fitting(parameter, tensor)?);
        }
        self.finish(sizes, graph, weights, spare)
    }

    /// The tensor, when it has the parameter's shape.
    fn fitting(&self, parameter: &ParameterShape, tensor: Tensor) -> Result<Tensor> {
        if tensor.shape == parameter.shape {
            return Ok(tensor);
        }
        let (name, shape, needed) = (&parameter.name, &tensor.shape, &parameter.shape);
        Err(self.wrong(format!("{name} has the shape {shape:?}, not {needed:?}")))
    }

    /// The network, when no tensor is left that would change it.
    fn finish(
        self,
        sizes: &str,
        graph: TypedGraph,
        weights: Weights,
        spare: impl Fn(&str) -> bool,
    ) -> Result<Known> {
        let mut names = self.tensors.names();
        if let Some(left) = names.find(|name| !self.taken.contains(*name) && !spare(name)) {
            return Err(self.wrong(format!("it has a tensor {left} more")));
        }
        Ok(Known {
            architecture: format!("{} {sizes}", self.architecture),
            graph,
            weights,
        })
    }
}

/// That no tensor may be left.
fn none(_: &str) -> bool {
    false
}
