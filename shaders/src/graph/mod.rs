//! Graphs on the device.
//!
//! [`plan`] decides which kernels run and how values lie, [`text`] writes them from the pieces that operations give, and
//! [`network`] uploads, compiles and runs them. Nothing here knows an operation by its name: what one is computed by stands in its own
//! file in `asasr_core::graph::ops`.
//!
//! | where | how it lies |
//! |---|---|
//! | inputs and outputs that are maps | plane by plane in single precision, as images outside |
//! | values between kernels | packed by four channels, those beyond the last zero: `data[(g * rows + y) * columns + x]` |
//! | tokens | the same, with a column for each token of a window and a row for each window |
//! | vectors | the same, of one place, always in single precision |
//!
//! So a linear map at every place is a convolution of one pixel whatever it reads, and all dense layers run the kernels that
//! `tuning` chose. What follows an operation pointwise is part of its kernel, and what only moves numbers, as a shuffle or a
//! concatenation does, is computed where it is read.

mod network;
mod plan;
mod text;

pub use network::{DeviceValue, WgslNetwork};
pub(crate) use network::{END, Held, Planned};
pub(crate) use plan::Ends;
