//! Sobolev geometry of images: Sobolev Spectral Rectification (arXiv 2605.23264).
//!
//! An image plane is expanded in the eigenvectors of a discrete Laplacian, by default the one with reflecting
//! (Neumann) boundaries, whose eigenvectors are the cosines of the DCT-II. A [`Spectrum`] gives each eigenvalue
//! `lambda` a weight `w(lambda)`, by default `(1 + kappa * lambda)^s`. With `T` the orthonormal [`Transform2`]:
//!
//! | name | formula | here |
//! |---|---|---|
//! | precision operator | `T^-1 diag(w) T` | [`SobolevOperator::precision`] |
//! | covariance `Sigma_s` | `T^-1 diag(1/w) T` | [`SobolevOperator::covariance`] |
//! | its root | `T^-1 diag(w^-1/2) T` | [`SobolevOperator::covariance_sqrt`] |
//! | `H^s` norm, squared | `sum w * T(r)^2` | [`SobolevOperator::norm_squared`] |
//! | projection on the ball, Riesz step | see [`SobolevOperator::riesz_step`] | [`SobolevOperator::project`] |
//! | coloured noise | `Sigma_s^{1/2} eps`, scaled to variance 1 | [`ColouredNoise`] |
//!
//! [`estimate_s`] reads `s` off an image's own spectral slope; [`radial_power`] and [`log_spectral_distance`] measure spectra.

mod adaptive;
mod ball;
mod distance;
mod noise;
mod operator;
mod spectrum;
mod transform;

pub use adaptive::estimate_s;
pub use distance::{LogSpectralDistance, RadialBands, log_spectral_distance, radial_power};
pub use noise::{ColouredNoise, NoiseBlock, white_noise};
pub use operator::SobolevOperator;
pub use spectrum::{Boundary, Laplacian, Spectrum, Stencil};
pub use transform::Transform2;
#[cfg(any(test, feature = "burn"))]
pub(crate) use transform::basis;

/// A number an image plane is stored in; arithmetic is always in `f64`.
pub trait Sample: Copy + sealed::Sealed {
    /// The value.
    fn to_f64(self) -> f64;
    /// The nearest representable value.
    fn from_f64(value: f64) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Sample for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Sample for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}
