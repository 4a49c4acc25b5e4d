//! Networks on burn tensors: what is trained, and the native executor on any of burn's devices.
//!
//! A network is a [graph](crate::graph) as a function of its [`Parameters`], which are flat tensors by name. So an optimiser, an
//! average, a checkpoint and an [`AdapterSet`] treat all networks alike, and one backbone serves as policy and as reference
//! by being handed other parameters.

pub(crate) mod cpu;
mod filter;
pub(crate) mod graph;
mod graph_executor;
mod graph_field;
mod graph_flow;
mod lora;
mod network;
mod parameters;
mod perceptual;
mod spectral_norm;
mod velocity;

pub use filter::Filter;
pub use graph::{GraphNetwork, GraphValue, run_graph};
pub use graph_executor::GraphExecutor;
pub use graph_field::{graph_field, velocity_field};
pub use graph_flow::{GraphFlow, image_of};
pub use lora::AdapterSet;
pub use network::{BurnExecutor, Network, init_weights};
pub use parameters::{Parameters, cast, download, upload};
pub use perceptual::{Backbone, Embedding, PerceptualDistance, TextureDistance};
pub use spectral_norm::spectrally_normalised;
pub use velocity::{ConditionedField, Conditioning, Held, VelocityField, init_velocity};
