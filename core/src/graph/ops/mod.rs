//! The operations of a graph, one a file: what it computes and where that is from, what it takes and makes, how far it sees and
//! what it costs, its parameters, a plain kernel in `f64` that every other one is tested against, and the cases of that test.
//!
//! To add one, write its file and name it twice below: in the list of modules, and in the registry. `mish.rs` is an example. The random
//! graphs that passes and executors are tested on take it from its own cases; one whose parameters must fit what it reads, or that has
//! learned values, has an arm in `arbitrary.rs` beside.

mod add;
mod affine;
mod attention;
mod average_pool;
mod broadcast;
mod channel_attention;
mod concat;
mod conv;
mod gaussian_gain;
mod gelu;
mod group_norm;
mod layer_norm;
mod leaky;
mod linear;
mod mean;
mod mish;
mod modulate;
mod mul;
mod pad;
mod params;
mod pixel_shuffle;
mod pixel_unshuffle;
mod pointwise;
mod prelu;
mod repeat;
mod resize;
mod sigmoid;
mod silu;
mod sinusoidal;
mod slice;
mod sub;
mod window_merge;
mod window_partition;

use alloc::{format, string::String, vec::Vec};
use core::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::types::{Grid, Kind, Places, Windows};
use super::{Fault, Scale, Shape, Tensor, ValueType, limits};
use crate::exec::{Compute, Shade};
use crate::fields::{Fields, Misfit, Object, Take};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::OnBurn;

use params::Params;

pub use affine::Constants;
pub use resize::Interpolation;

/// What an operation is, apart from how a device runs it.
pub trait Operation {
    /// How many values it reads.
    fn reads(&self) -> RangeInclusive<usize>;

    /// Checks its own parameters and what it reads, as many values as [`reads`](Self::reads) says; returns the type of what it makes.
    ///
    /// # Errors
    /// [`Fault::Params`] or [`Fault::Inputs`].
    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault>;

    /// How far a place of its result sees in the maps and tokens that it reads.
    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Local(0)
    }

    /// Multiplications with an addition, for checked inputs; of operations that have none, what is computed for a number counts as one.
    fn multiply_adds(&self, inputs: &[Shape], output: &Shape) -> u64;

    /// The tensors of its learned values, for checked inputs.
    fn parameters(&self, _inputs: &[ValueType]) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// Whether each number of the result depends on what is at its own channel and place only, and on whole vectors and single
    /// channels broadcast there: it can then be computed where another operation writes its result.
    fn is_pointwise(&self) -> bool {
        false
    }
}

/// The plain definition of an operation in numbers.
pub trait Reference {
    /// Operations and the types of what they read on which every executor is [tested](super::conformance).
    fn cases() -> Vec<(Self, Vec<ValueType>)>
    where
        Self: Sized;

    /// Its result, of the shape `output`, for checked inputs and the tensors that [`Operation::parameters`] names.
    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor;

    /// How far off an executor's numbers may be because it rounds what it computes on the way to `f32`, where that is more than
    /// parts of the result: an absolute difference.
    fn rounding(&self) -> f64 {
        0.0
    }
}

/// How far a place of a result sees in what an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many pixels of what it reads in every direction.
    Local(usize),
    /// The window that it lies in, of so many pixels, `[rows, columns]`: tiles must begin where a window does.
    Window([usize; 2]),
    /// All of the image: tiles are not exact.
    Global,
}

/// Makes the enumeration of all operations from the list of their names and types.
macro_rules! registry {
    ($($name:literal = $module:ident::$Op:ident,)*) => {
        $(pub use $module::$Op;)*

        /// Every operation that a graph may have.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(
                #[doc = concat!("`", $name, "`: see [`", stringify!($Op), "`](struct@", stringify!($Op), ").")]
                $Op($Op),
            )*
        }

        $(impl From<$Op> for Op {
            fn from(op: $Op) -> Self {
                Self::$Op(op)
            }
        })*

        impl Op {
            /// The names of all operations.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Its name in a description.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Op(_) => $name,)*
                }
            }

            /// What it is.
            pub fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }

            /// Its definition in numbers.
            pub fn reference(&self) -> &dyn Reference {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }

            /// How burn computes it.
            #[cfg(feature = "burn")]
            pub(crate) fn on_burn(&self) -> &dyn OnBurn {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }

            /// How the processor computes it.
            pub fn compute(&self) -> &dyn Compute {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }

            /// How a graphics processor computes it.
            pub fn shade(&self) -> &dyn Shade {
                match self {
                    $(Self::$Op(op) => op,)*
                }
            }

            /// The cases of all operations.
            pub(super) fn cases() -> Vec<(Self, Vec<ValueType>)> {
                let mut all = Vec::new();
                $(all.extend(<$Op as Reference>::cases().into_iter().map(|(op, types)| (Self::$Op(op), types)));)*
                all
            }

            /// The operation `name` with `params`.
            pub(super) fn read(name: &str, params: Map<String, Value>) -> Result<Self, Fault> {
                let take: Take<Self> = match name {
                    $($name => |fields| Object::take(fields).map(Self::$Op),)*
                    _ => return Err(Fault::UnknownOp(name.chars().take(limits::NAME).collect())),
                };
                Fields::of(params, take).map_err(|Misfit(why)| Fault::Params(why))
            }

            /// What [`read`](Self::read) reads; numbers that are not finite become null.
            pub(super) fn params(&self) -> Map<String, Value> {
                let mut params = Map::new();
                match self {
                    $(Self::$Op(op) => Params::put(op, &mut params),)*
                }
                params
            }
        }
    };
}

registry! {
    "add" = add::Add,
    "affine" = affine::Affine,
    "attention" = attention::Attention,
    "average_pool" = average_pool::AveragePool,
    "channel_attention" = channel_attention::ChannelAttention,
    "concat" = concat::Concat,
    "conv" = conv::Conv,
    "gaussian_gain" = gaussian_gain::GaussianGain,
    "gelu" = gelu::Gelu,
    "group_norm" = group_norm::GroupNorm,
    "layer_norm" = layer_norm::LayerNorm,
    "leaky" = leaky::Leaky,
    "linear" = linear::Linear,
    "mean" = mean::Mean,
    "mish" = mish::Mish,
    "modulate" = modulate::Modulate,
    "mul" = mul::Mul,
    "pad" = pad::Pad,
    "pixel_shuffle" = pixel_shuffle::PixelShuffle,
    "pixel_unshuffle" = pixel_unshuffle::PixelUnshuffle,
    "prelu" = prelu::Prelu,
    "repeat" = repeat::Repeat,
    "resize" = resize::Resize,
    "sigmoid" = sigmoid::Sigmoid,
    "silu" = silu::Silu,
    "sinusoidal" = sinusoidal::Sinusoidal,
    "slice" = slice::Slice,
    "sub" = sub::Sub,
    "window_merge" = window_merge::WindowMerge,
    "window_partition" = window_partition::WindowPartition,
}

/// A map at scale 1.
fn map(channels: usize) -> ValueType {
    ValueType::map(channels, Scale::ONE)
}

/// Tokens of such a map.
fn tokens(channels: usize, window: [usize; 2], shift: [usize; 2]) -> ValueType {
    ValueType {
        kind: Kind::Tokens(Windows { window, shift }),
        ..map(channels)
    }
}

/// The input `i`, which must be a map.
fn map_at(inputs: &[ValueType], i: usize) -> Result<ValueType, Fault> {
    match inputs[i].kind {
        Kind::Map => Ok(inputs[i]),
        _ => Err(Fault::Inputs(format!("a map is needed, not {}", inputs[i]))),
    }
}

/// The first input, a map whose blocks of `factor` by `factor` pixels each become one.
fn blocks(inputs: &[ValueType], factor: usize) -> Result<ValueType, Fault> {
    let x = map_at(inputs, 0)?;
    within("the factor", factor, 1..=limits::SCALE)?;
    if x.margin % factor as i64 != 0 {
        return Err(Fault::Inputs(format!(
            "{x} begins inside a block of {factor}x{factor} pixels"
        )));
    }
    Ok(ValueType {
        scale: x.scale.over(factor)?,
        margin: x.margin / factor as i64,
        ..x
    })
}

/// A number of the description that must lie in a range.
fn within(what: &str, n: usize, range: RangeInclusive<usize>) -> Result<(), Fault> {
    if range.contains(&n) {
        return Ok(());
    }
    Err(Fault::Params(format!(
        "{n} for {what} is not within {} to {}",
        range.start(),
        range.end()
    )))
}

/// A number of the description that must be finite and lie in a range.
fn real(what: &str, x: f64, range: RangeInclusive<f64>) -> Result<(), Fault> {
    if range.contains(&x) {
        return Ok(());
    }
    Err(Fault::Params(format!(
        "{x} for {what} is not within {} to {}",
        range.start(),
        range.end()
    )))
}

/// Channels that an operation makes.
pub(super) fn channels(n: u64) -> Result<usize, Fault> {
    let most = limits::CHANNELS as u64;
    match n {
        0 => Err(Fault::Params("a value has one channel at least".into())),
        n if n <= most => Ok(n as usize),
        count => Err(Fault::TooMany {
            what: "channels of a value",
            count,
            most,
        }),
    }
}

/// Numbers in `shape`.
fn count(shape: &Shape) -> u64 {
    shape.numbers() as u64
}

fn parameter(name: &str, shape: &[usize]) -> ParameterShape {
    ParameterShape {
        name: name.into(),
        shape: shape.into(),
    }
}

/// A weight and, where there is one, a bias of `shape[0]` values.
fn weight_and_bias(weight: &str, bias: Option<&String>, shape: &[usize]) -> Vec<ParameterShape> {
    let weight = parameter(weight, shape);
    let bias = bias.map(|bias| parameter(bias, &shape[..1]));
    core::iter::once(weight).chain(bias).collect()
}

/// A map whose margin a kernel or enlargement changed, if that is within bounds.
fn margin(value: ValueType) -> Result<ValueType, Fault> {
    if value.margin.unsigned_abs() <= limits::REACH {
        return Ok(value);
    }
    Err(Fault::TooMany {
        what: "pixels beyond the image",
        count: value.margin.unsigned_abs(),
        most: limits::REACH,
    })
}

/// Checks that `heads` are equal parts of `channels`.
fn heads(heads: usize, channels: usize) -> Result<(), Fault> {
    if heads > 0 && channels.is_multiple_of(heads) {
        return Ok(());
    }
    Err(Fault::Params(format!(
        "{heads} heads do not divide {channels} channels"
    )))
}

/// The grid of tokens, which the types were checked to be.
fn grid(shape: &Shape) -> Grid {
    match shape.places {
        Places::Tokens(grid) => grid,
        Places::Map(_) | Places::Vector => unreachable!("the types were checked"),
    }
}

/// The mean of `values` and the root of their variance and `epsilon`.
fn mean_and_root(values: impl Iterator<Item = f64> + Clone, epsilon: f64) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, libm::sqrt(variance + epsilon))
}

/// `e^score` of each, divided by their sum.
fn softmax(mut scores: Vec<f64>) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = libm::exp(*s - highest));
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
    scores
}

#[cfg(test)]
mod tests;
