//! The processor's own kernels, vectorised for whatever it has: on slices, for any executor.
//!
//! | file | what |
//! |---|---|
//! | `transform` | Winograd's minimal filtering, which halves a convolution's products |
//! | `square` | the same along columns and rows at once, for convolutions of many channels |
//! | `square_gradient` | its gradient with respect to the weights, by the transpose |
//! | `lines` | the layout a convolution reads: combined rows with zeros between them |
//! | `convolution` | a convolution |
//! | `gradient` | its gradients |
//! | `activation` | activations, with their gradients |
//! | `modulation` | the same for the modulation by the time |
//! | `linear` | a linear map of rows |
//! | `work` | memory that they work in |
//! | `halving` | the pooling of a shift-tolerant distance, with its gradient |

#[cfg(feature = "burn")]
pub(crate) mod activation;
pub(crate) mod convolution;
#[cfg(feature = "autodiff")]
pub(crate) mod gradient;
#[cfg(feature = "burn")]
pub(crate) mod halving;
pub(crate) mod linear;
pub(crate) mod lines;
#[cfg(feature = "burn")]
pub(crate) mod modulation;
mod square;
#[cfg(feature = "autodiff")]
mod square_gradient;
mod transform;
mod work;
