use super::broadcast::binary;
use super::params::params;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// `a + b`; `b` may be broadcast: of one channel, a vector, or both.
///
/// Reads `a` and `b`; the result has the type of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add {}

params!(Add {});

binary!(Add, core::ops::Add::add);

impl Shade for Add {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("a + b", &[])
    }
}
