use burn::tensor::{Tensor, activation::softplus};

/// The relativistic pairing loss (Jolicoeur-Martineau 2019): `softplus(D(other) - D(favoured))`, averaged over places and images,
/// `[1]`; `ln 2` where the discriminator sees no difference.
///
/// The discriminator favours truths, the generator its own results. Both logits, `[n, 1, h, w]`, are of the same input, place by
/// place, so that what the two images share counts for nothing.
pub fn relativistic(favoured: Tensor<4>, other: Tensor<4>) -> Tensor<1> {
    softplus(other - favoured, 1.0).mean()
}
