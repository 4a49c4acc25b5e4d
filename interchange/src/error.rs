use std::fmt;

use asasr_core::Message;

/// Why a file is no model that runs here, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The file is of none of the kinds that are read.
    NotAModel,
    /// The file ends before what it speaks of.
    CutShort,
    /// The file contradicts itself.
    Damaged(String),
    /// The pickle asks for something that no weights need, which may be a program.
    Unsafe(String),
    /// `TorchScript`: a program with its weights.
    Program,
    /// A tensor that is of none of the types that are read.
    Type {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        is: String,
    },
    /// The file is compressed or larger in a way that is not taken.
    TooLarge(String),
    /// The tensors are those of a network that is known, and does not run here.
    Unsupported {
        /// The architecture's name.
        architecture: &'static str,
    },
    /// The tensors are those of no known network.
    Unknown {
        /// Names of some of them.
        tensors: String,
    },
    /// The network is known by its names, and a tensor is missing, of another shape, or too many.
    Tensor {
        /// The architecture's name.
        architecture: &'static str,
        /// What is wrong with which tensor.
        why: String,
    },
    /// An operator of a graph that no operation here computes.
    Operator {
        /// The operator, with what of it is not taken.
        operator: String,
    },
    /// Only one of ncnn's two files is there.
    Partner(&'static str),
    /// The network reads or makes something else than an image of three colours.
    Colours(String),
    /// What was read is no network after all.
    Core(asasr_core::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl From<asasr_core::Error> for Error {
    fn from(error: asasr_core::Error) -> Self {
        Self::Core(error)
    }
}

impl From<asasr_core::graph::GraphError> for Error {
    fn from(error: asasr_core::graph::GraphError) -> Self {
        Self::Core(error.into())
    }
}

impl Error {
    /// The codes of all [messages](Self::message) that are this crate's own.
    pub const CODES: [&str; 13] = [
        "model-none",
        "model-cut-short",
        "model-damaged",
        "model-unsafe",
        "model-program",
        "model-type",
        "model-too-large",
        "model-unsupported",
        "model-unknown",
        "model-tensor",
        "model-operator",
        "model-partner",
        "model-colours",
    ];

    /// A contradiction in words.
    pub(crate) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    /// What it says, without words.
    pub fn message(&self) -> Message {
        let because = |code, why: &String| Message::new(code).with("why", &shown(why));
        match self {
            Self::NotAModel => Message::new("model-none"),
            Self::CutShort => Message::new("model-cut-short"),
            Self::Damaged(why) => because("model-damaged", why),
            Self::Unsafe(name) => Message::new("model-unsafe").with("name", &shown(name)),
            Self::Program => Message::new("model-program"),
            Self::Type { tensor, is } => Message::new("model-type")
                .with("tensor", &shown(tensor))
                .with("is", &shown(is)),
            Self::TooLarge(why) => because("model-too-large", why),
            Self::Unsupported { architecture } => {
                Message::new("model-unsupported").with("architecture", architecture)
            }
            Self::Unknown { tensors } => Message::new("model-unknown").with("tensors", &shown(tensors)),
            Self::Tensor { architecture, why } => {
                because("model-tensor", why).with("architecture", architecture)
            }
            Self::Operator { operator } => Message::new("model-operator").with("operator", &shown(operator)),
            Self::Partner(missing) => Message::new("model-partner").with("missing", missing),
            Self::Colours(why) => because("model-colours", why),
            Self::Core(error) => error.message(),
        }
    }
}

/// A file's own words, short and without what would act where they are shown.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut out: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('\u{2026}');
    }
    out
}

/// What to open instead.
const KINDS: &str = "choose a .pth, .safetensors or .onnx file, or ncnn's .param and .bin together";
/// What runs here.
const NETWORKS: &str = "ESRGAN, Compact, SPAN, PLKSR, RealPLKSR, SwinIR and DAT run here, and others as ONNX";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAModel => write!(f, "this is no model: {KINDS}"),
            Self::CutShort => write!(f, "the model's file is cut short: download it again"),
            Self::Damaged(why) => write!(f, "the model's file is damaged: {}", shown(why)),
            Self::Unsafe(name) => write!(
                f,
                "the model's file asks for {}, which no weights need: it may hold a program, and was not opened; take the model as \
                 .safetensors",
                shown(name)
            ),
            Self::Program => write!(
                f,
                "this is TorchScript, a program with its weights, and was not opened: take the model as the .pth or .safetensors of its \
                 weights alone"
            ),
            Self::Type { tensor, is } => write!(
                f,
                "the tensor {} has the type {}: weights are read in half, bfloat16, single and double precision",
                shown(tensor),
                shown(is)
            ),
            Self::TooLarge(why) => write!(f, "the model's file is not taken: {}", shown(why)),
            Self::Unsupported { architecture } => {
                write!(
                    f,
                    "this is a {architecture} model, which does not run here: {NETWORKS}"
                )
            }
            Self::Unknown { tensors } => write!(
                f,
                "these are weights of no network that is known here ({}): {NETWORKS}",
                shown(tensors)
            ),
            Self::Tensor { architecture, why } => write!(
                f,
                "this looks like a {architecture} model of a kind that is not known here: {}",
                shown(why)
            ),
            Self::Operator { operator } => {
                write!(
                    f,
                    "the model needs {}, which is not computed here",
                    shown(operator)
                )
            }
            Self::Partner(missing) => write!(
                f,
                "a model of ncnn is two files: give the {missing} beside this one"
            ),
            Self::Colours(why) => write!(
                f,
                "the model is not one from an image of three colours to a larger one: {}",
                shown(why)
            ),
            Self::Core(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
