use super::broadcast::binary;
use super::params::params;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// `a - b`; `b` may be broadcast: of one channel, a vector, or both.
///
/// Reads `a` and `b`; the result has the type of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sub {}

params!(Sub {});

binary!(Sub, core::ops::Sub::sub);

impl Shade for Sub {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("a - b", &[])
    }
}
