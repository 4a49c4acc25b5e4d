//! The networks of [`crate::model`] on burn tensors: the native and WASM CPU executor, and what is trained.

mod network;

pub use network::{BurnExecutor, Network, init_weights};
