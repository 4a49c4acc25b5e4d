//! How a graphics processor computes an operation, as data: pieces of WGSL, and what they are bound to.
//!
//! This crate knows no device: an executor puts the pieces together, and compiles and runs what comes of it. Every value lies packed
//! by four channels, those beyond the last zero, and its places are columns and rows: of a map; of tokens the tokens of a window and
//! the windows; of a vector one.
//!
//! An executor gives each operation names of its own: `$` in a text stands for what they begin with. A text may use
//!
//! | name | what |
//! |---|---|
//! | `$size()` | columns and rows of the result, then those of its map (of tokens the map under them): `vec4<u32>` |
//! | `$a_size()`, `$b_size()`, .. | the same of each value that is read |
//! | `$a4(g, x, y)`, .. | channels `4g` to `4g + 3` of it at a place: `vec4<f32>` |
//! | `$a1(c, x, y)`, .. | channel `c` of it at a place: `f32` |
//! | `$t0(i)`, `$t1(i)`, .. | four numbers of a tensor of [`Shade::tensors`]: `vec4<f32>` |
//! | `$t0_at(i)`, .. | one of them: `f32` |
//!
//! and in [`Shader::Stages`] also
//!
//! | name | what |
//! |---|---|
//! | `scratch` | memory that the stages share: `array<vec4<f32>>` |
//! | `put(g, x, y, v)` | writes four channels of the result, of which the last stage writes all |

use alloc::{borrow::Cow, format, string::String, vec, vec::Vec};

use crate::graph::ValueType;

/// How a graphics processor computes an operation.
pub trait Shade {
    /// Its kernel, for checked inputs and what it makes of them.
    fn shader(&self, inputs: &[ValueType], output: &ValueType) -> Shader;

    /// What a kernel reads beside values, as it lies: the learned tensors that
    /// [`Operation::parameters`](crate::graph::Operation::parameters) names, unless the kernel wants them otherwise. Each is filled
    /// up with zeros to a multiple of four.
    fn tensors(&self, _inputs: &[ValueType], parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        parameters.iter().map(|p| p.to_vec()).collect()
    }
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shader {
    /// Of a [pointwise](crate::graph::Operation::is_pointwise) operation: an expression of `a`, `b`, .., four channels of what it
    /// reads, broadcast, and `t0`, `t1`, .., those of its tensors, which have a number for each channel.
    Pointwise(Code),
    /// A convolution with a kernel of side 1 or 3 that keeps the size, or a linear map of the channels at every place, which is one
    /// of side 1: what executors have their fastest kernels for. Its parameters are the weight and, where there is one, the bias.
    Dense {
        /// Side of the kernel.
        kernel: usize,
    },
    /// Every number of the result by itself.
    Values {
        /// A function named by [`by`](Self::Values::by).
        code: Code,
        /// What the function gives.
        by: By,
        /// How it reads.
        reads: Reads,
    },
    /// Kernels one after the other.
    Stages {
        /// The kernels; the last of them writes the result.
        stages: Vec<Stage>,
        /// Vectors of four that `scratch` holds.
        scratch: usize,
    },
}

/// What the function of [`Shader::Values`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Four channels: `fn $value4(g: u32, x: u32, y: u32) -> vec4<f32>`; what it gives beyond the last is of no meaning.
    Four,
    /// One channel: `fn $value1(c: u32, x: u32, y: u32) -> f32`.
    One,
}

/// How often the function of [`Shader::Values`] reads a number, for those who compute what it reads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// For many of its own.
    Often,
    /// For one or two.
    Once,
    /// The same, and all that it does is to read four channels at another place: it may be read through, however often.
    Through,
}

/// A kernel of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `fn $main(id: vec3<u32>)`.
    pub code: Code,
    /// The ids it is called with.
    pub work: Work,
}

/// For what a kernel is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// For every column and row of the result, and so many times each.
    Places(usize),
    /// So many times across and down.
    Count(usize, usize),
}

impl Work {
    /// For every four channels of every place of a result of so many.
    pub const fn each(channels: usize) -> Self {
        Self::Places(channels.div_ceil(4))
    }
}

/// A piece of WGSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The text, as [the module](self) describes it.
    pub text: Cow<'static, str>,
    /// Functions that it calls, under their own names: each is there once, however many texts call it.
    pub helpers: &'static [&'static str],
}

impl Code {
    /// A text that calls nothing.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            helpers: &[],
        }
    }

    /// The same, which calls a function.
    #[must_use]
    pub fn with(self, helpers: &'static [&'static str]) -> Self {
        Self { helpers, ..self }
    }
}

/// A pointwise operation that reads no tensor.
pub(crate) fn pointwise(text: impl Into<Cow<'static, str>>, helpers: &'static [&'static str]) -> Shader {
    Shader::Pointwise(Code::new(text).with(helpers))
}

/// An operation whose function gives one channel and reads what it reads once.
pub(crate) fn moved(by: By, text: impl Into<Cow<'static, str>>) -> Shader {
    Shader::Values {
        code: Code::new(text),
        by,
        reads: Reads::Once,
    }
}

/// `a`, `b`, ..: the letters of what is read, at most as many as an operation reads.
pub fn operand(i: usize) -> String {
    let letter = char::from(b'a' + (i % 26) as u8);
    match i / 26 {
        0 => letter.into(),
        more => format!("{letter}{more}"),
    }
}

/// `[outputs, inputs, taps]` as blocks `[outputs / 4][inputs / 4][taps]` of 4x4, a column for each input channel; missing channels are
/// zero.
pub fn blocks(values: &[f32], (outputs, inputs): (usize, usize), taps: usize) -> Vec<f32> {
    let across = inputs.div_ceil(4);
    let mut out = vec![0.0; outputs.div_ceil(4) * across * taps * 16];
    for (at, value) in values.iter().enumerate() {
        let (o, i, t) = (at / taps / inputs, at / taps % inputs, at % taps);
        let block = (o / 4 * across + i / 4) * taps + t;
        out[block * 16 + i % 4 * 4 + o % 4] = *value;
    }
    out
}
