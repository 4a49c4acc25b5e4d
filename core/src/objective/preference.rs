use alloc::vec::Vec;

use burn::tensor::{Tensor, activation::log_sigmoid};

use super::{PathPoint, SobolevMetric};

/// `H^s` energies of residuals, `[n]` each: of the policy and of the reference, at the winner and at the loser.
#[derive(Debug, Clone)]
pub struct Energies {
    /// `E_theta(x^w)`.
    pub winner: Tensor<1>,
    /// `E_ref(x^w)`.
    pub winner_reference: Tensor<1>,
    /// `E_theta(x^l)`.
    pub loser: Tensor<1>,
    /// `E_ref(x^l)`.
    pub loser_reference: Tensor<1>,
}

impl Energies {
    /// `dE(w) - dE(l)` with `dE = E_theta - E_ref`, `[n]`: negative where the policy moved towards the winner.
    pub fn difference(&self) -> Tensor<1> {
        (self.winner.clone() - self.winner_reference.clone())
            - (self.loser.clone() - self.loser_reference.clone())
    }
}

/// Sobolev direct preference optimisation, S-DPO (arXiv 2605.23264); with `s = 0` it is Diffusion-DPO (Wallace et al.
/// 2024) for flows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preference {
    /// Inverse temperature on mean-normalised energies; 500 to 5000.
    pub beta: f64,
    /// Weight of the winner's own energy, `eta`, zero or more: without it both energies may rise as long as their gap widens.
    pub anchor: f64,
}

impl Preference {
    /// `-log sigmoid(-beta (dE(w) - dE(l)))`, averaged over images, plus `eta E_theta(w)`.
    ///
    /// Without an anchor it is `ln 2` where policy and reference agree.
    pub fn loss(&self, energies: &Energies) -> Tensor<1> {
        let loss = log_sigmoid(energies.difference().mul_scalar(-self.beta))
            .mean()
            .neg();
        if self.anchor == 0.0 {
            return loss;
        }
        loss + energies.winner.clone().mean().mul_scalar(self.anchor)
    }
}

/// What to watch during alignment; means over images, `[1]` each.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// `E_theta(x^w)`: must not rise.
    pub winner_energy: Tensor<1>,
    /// `E_theta(x^l)`.
    pub loser_energy: Tensor<1>,
    /// The implicit reward margin, `-beta (dE(w) - dE(l))`.
    pub margin: Tensor<1>,
    /// Share of images whose margin is positive.
    pub accuracy: Tensor<1>,
}

impl Diagnostics {
    /// Of one pair; detached from the graph.
    pub fn of(energies: &Energies, beta: f64) -> Self {
        let margin = energies.difference().detach().mul_scalar(-beta);
        let dtype = margin.dtype();
        Self {
            winner_energy: energies.winner.clone().detach().mean(),
            loser_energy: energies.loser.clone().detach().mean(),
            accuracy: margin.clone().greater_elem(0.0).float().cast(dtype).mean(),
            margin: margin.mean(),
        }
    }
}

/// One step of AS-DPO (arXiv 2605.23264): the mean S-DPO loss of the pairs of `winner` with each of `losers`, which share the source
/// sample `x0` and the times `t`, so that only the images differ.
///
/// `policy` and `reference` are velocities as functions of a point; the reference is the same backbone with the
/// preference adapter off. The method's losers are the enlarged low-quality image and the
/// adversary's [`negative`](super::negative).
///
/// # Panics
/// When there is no loser.
pub fn align(
    preference: &Preference,
    metric: &SobolevMetric,
    policy: impl Fn(&PathPoint) -> Tensor<4>,
    reference: impl Fn(&PathPoint) -> Tensor<4>,
    (x0, t): (&Tensor<4>, &Tensor<1>),
    winner: &Tensor<4>,
    losers: &[Tensor<4>],
) -> (Tensor<1>, Vec<Diagnostics>) {
    let energies = |image: &Tensor<4>| {
        let point = PathPoint::new(x0, image, t);
        let of = |v: Tensor<4>| metric.energy(point.residual(v));
        (of(policy(&point)), of(reference(&point)).detach())
    };
    let (of_winner, of_winner_reference) = energies(winner);
    let mut diagnostics = Vec::with_capacity(losers.len());
    let mut losses = Vec::with_capacity(losers.len());
    for image in losers {
        let (loser, loser_reference) = energies(image);
        let pair = Energies {
            winner: of_winner.clone(),
            winner_reference: of_winner_reference.clone(),
            loser,
            loser_reference,
        };
        losses.push(preference.loss(&pair));
        diagnostics.push(Diagnostics::of(&pair, preference.beta));
    }
    (Tensor::cat(losses, 0).mean(), diagnostics)
}
