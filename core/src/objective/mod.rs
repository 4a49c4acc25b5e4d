//! What training minimises, on burn tensors (arXiv 2605.23264).
//!
//! 1. [`SobolevMetric`] is the tensor twin of [`SobolevOperator`](crate::spectral::SobolevOperator): `H^s` energies of
//!    residuals, with gradients.
//! 2. [`flow_loss`] fits a velocity field, in a mix of L2 and `H^s`.
//! 3. [`Preference`] is S-DPO: a policy learns to prefer a winner to a loser, both measured in `H^s` against a frozen
//!    reference. With the adversary's losers it is AS-DPO ([`align`]).
//! 4. [`negative`], from a learned adversary, and [`riesz_step`], in closed form, make those losers: wrong answers inside a
//!    Sobolev ball around the truth.
//!
//! [`Diagnostics`] and [`sobolev_cosine`] say whether it works.
//!
//! Images are `[n, 3, height, width]`, times `[n]`, energies `[n]`, losses `[1]`.

mod adversary;
mod flow;
mod metric;
mod preference;
mod relativistic;

pub use adversary::{mix, negative, project, riesz_step, sobolev_cosine};
pub use flow::{PathPoint, flow_loss};
pub use metric::SobolevMetric;
pub use preference::{Diagnostics, Energies, Preference, align};
pub use relativistic::relativistic;
