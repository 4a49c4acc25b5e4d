//! The module for other files than PNG; see the library.

use asasr_web as _;

fn main() {}
