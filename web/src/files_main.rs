//! The module for image files; see the library.

use asasr_web as _;

fn main() {}
