//! The module for community models; see the library.

use asasr_web as _;

fn main() {}
