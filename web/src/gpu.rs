//! The WebGPU module; see the library.

use asasr_web as _;

fn main() {}
