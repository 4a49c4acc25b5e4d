use serde::{Deserialize, Serialize};

use super::broadcast::binary;

/// `a * b`; `b` may be broadcast: of one channel, a vector, or both.
///
/// Reads `a` and `b`; the result has the type of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mul {}

binary!(Mul, core::ops::Mul::mul);
