use alloc::string::String;

use super::layers::layers;
use crate::graph::Builder;
use crate::model::{ConvVelocity, Layer};
use crate::{Error, Result};

/// The convolutional backbone: layers at the small image's resolution, modulated by the time.
pub(super) fn backbone(b: &mut Builder, own: &ConvVelocity, input: &str, embedding: &str) -> Result<String> {
    if !own.layers.iter().any(|layer| matches!(layer, Layer::Film { .. })) {
        return Err(Error::Architecture(
            "nothing in the velocity field is modulated by the time: give it a layer that is".into(),
        ));
    }
    Ok(layers(b, &own.layers, input, embedding))
}
