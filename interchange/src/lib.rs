//! Community models: files of weights as others write them, to graphs and weights.
//!
//! | file | what |
//! |---|---|
//! | `pickle`, `pytorch` | `.pth` in its three containers, by an unpickler that can name nothing but tensors |
//! | `tensors` | named tensors where they lie in a file, of `.safetensors` too |
//! | `ncnn` | `.param` and `.bin`, layer by layer |
//! | `onnx`, `protobuf` | `.onnx`, operator by operator |
//! | `net`, `structure` | the graph that is written for these, and whose network it is |
//! | `known` | the networks that are recognised by their tensors |
//! | `import` | what was read as a model of ours: a manifest, and safetensors |
//!
//! Nothing here runs a network, reads a disk or asks a server.

mod error;
mod import;
mod known;
mod ncnn;
mod net;
mod onnx;
mod pickle;
mod protobuf;
mod pytorch;
mod structure;
mod tensors;

use asasr_core::graph::{Input, Scale, TypedGraph, ValueType};
use asasr_core::model::Weights;

use tensors::Tensors;

pub use error::{Error, Result};
pub use import::{Imported, Stated, UNKNOWN, WEIGHTS, import};

/// Most bytes of a file.
pub const MOST_BYTES: usize = 1 << 29;
/// Channels of images.
const COLOURS: usize = 3;
/// How far networks see in effect, in input pixels, whatever their layers could: a tile with this halo differs from the whole image by a
/// level of 255 at most, measured on RRDB of 6 and 23 blocks. Attention across the whole image, as in DAT, sees further.
const HALO: usize = 64;

/// A file as it was given.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name, which tells ncnn's two files apart, and nothing else.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// A file of its holder's own.
#[derive(Debug)]
pub struct OwnFile {
    /// Its name, as [`File`] has it.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl OwnFile {
    pub(crate) fn lend(&self) -> File<'_> {
        File {
            name: &self.name,
            bytes: &self.bytes,
        }
    }
}

/// A network from an image of three colours to one that is a whole number of times larger.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it is, with its sizes: `ESRGAN 64nf 23nb`.
    pub architecture: String,
    /// What is computed.
    pub graph: TypedGraph,
    /// Its tensors.
    pub weights: Weights,
}

/// Reads a model of one file, or of ncnn's two.
///
/// # Errors
/// What is wrong with it, in a sentence that names it and the remedy.
pub fn read(files: &[File<'_>]) -> Result<Model> {
    if files.iter().any(|file| file.bytes.len() > MOST_BYTES) {
        return Err(Error::TooLarge(format!(
            "it has more than {} MB",
            MOST_BYTES >> 20
        )));
    }
    if let Some(pair) = ncnn::files(files)? {
        return checked(ncnn::read(pair)?);
    }
    let [file] = files else {
        return Err(Error::NotAModel);
    };
    if onnx::is_onnx(file) {
        return checked(onnx::read(file.bytes)?);
    }
    let tensors = stored(file)?;
    let known::Known {
        architecture,
        graph,
        weights,
    } = known::recognise(&tensors)?;
    checked(Model {
        architecture,
        graph,
        weights,
    })
}

/// The weights in a file, whatever network they are of.
///
/// # Errors
/// As [`read`].
pub fn tensors(file: File<'_>) -> Result<Weights> {
    let stored = stored(&file)?;
    let mut weights = Weights::default();
    for name in stored.names() {
        if let Some(tensor) = stored.get(name).filter(|t| t.kind.is_real()) {
            weights.insert(name.into(), tensor.read(name)?);
        }
    }
    Ok(weights)
}

/// The tensors of a file where they lie.
fn stored<'a>(file: &File<'a>) -> Result<Tensors<'a>> {
    let bytes = file.bytes;
    if pytorch::is_pytorch(bytes) {
        return pytorch::tensors(bytes);
    }
    // A length of 64 bits and a JSON object.
    if bytes.get(8) == Some(&b'{') {
        return Tensors::of_safetensors(bytes);
    }
    Err(Error::NotAModel)
}

/// A model that enlarges images.
fn checked(model: Model) -> Result<Model> {
    let graph = &model.graph;
    let inputs: Vec<ValueType> = graph.graph().inputs.iter().map(Input::value_type).collect();
    let image = ValueType::map(COLOURS, Scale::ONE);
    if inputs != [image] {
        let channels = inputs.first().map_or(0, |v| v.channels);
        return Err(Error::Colours(format!("it reads {channels} channels")));
    }
    let [output] = graph.outputs() else {
        return Err(Error::Colours("it makes several results".into()));
    };
    let made = graph.types()[*output];
    if made.channels != COLOURS {
        return Err(Error::Colours(format!("it makes {} channels", made.channels)));
    }
    let mut measured = model.graph.graph().clone();
    measured.halo = Some(HALO);
    Ok(Model {
        graph: measured.check()?,
        ..model
    })
}
