use alloc::{format, string::String, vec, vec::Vec};

use serde::Serialize;

use super::layer::{Activation, Layer, ParameterShape, check_layers, fail, layer_parameters, layer_radius};
use crate::Result;
use crate::fields::{fields, names};

/// A feed-forward super-resolution network that works at low-quality resolution.
///
/// `output = pixel_shuffle(layers(input)) + skip(input)`: each layer reads the output of the one before it, the
/// last layer makes `3 * scale^2` channels, which are shuffled into an image `scale` times larger. Convolutions
/// pad with zeros, so that width and height stay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Architecture {
    /// Enlargement factor.
    pub scale: usize,
    /// What is added to the shuffled output.
    pub skip: Skip,
    /// The layers in order.
    pub layers: Vec<Layer>,
}

fields!(Architecture { scale, skip, layers });

/// The image added to the network's output, made from its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Nothing is added.
    None,
    /// The bicubic enlargement of [`crate::resample::enlarge`].
    Bicubic,
}

names!(Skip { "none" = None, "bicubic" = Bicubic });

/// Colour channels of input and output.
pub(super) const COLOURS: usize = 3;

pub(super) fn check_scale(scale: usize) -> Result<()> {
    if (2..=8).contains(&scale) {
        Ok(())
    } else {
        fail(format!("scale {scale} is not within 2 to 8"))
    }
}

impl Architecture {
    /// The posterior-mean restorer: a head convolution, `blocks` residual blocks (convolution, leaky rectifier,
    /// convolution, addition), a body convolution with a long skip, and a tail of `3 * scale^2` channels.
    ///
    /// The residual block is that of EDSR (Lim et al. 2017) without its scaling.
    pub fn restorer(scale: usize, channels: usize, blocks: usize) -> Self {
        let conv = |name: String, inputs, outputs, activation| Layer::Conv {
            name,
            inputs,
            outputs,
            kernel: 3,
            activation,
        };
        let leaky = Activation::LeakyRelu { slope: 0.1 };
        let mut layers = vec![conv("head".into(), COLOURS, channels, leaky)];
        for b in 0..blocks {
            let start = layers.len();
            layers.push(conv(format!("blocks.{b}.conv1"), channels, channels, leaky));
            layers.push(conv(
                format!("blocks.{b}.conv2"),
                channels,
                channels,
                Activation::None,
            ));
            layers.push(Layer::Add { with: start });
        }
        layers.push(conv("body".into(), channels, channels, leaky));
        layers.push(Layer::Add { with: 1 });
        layers.push(conv(
            "tail".into(),
            channels,
            COLOURS * scale * scale,
            Activation::None,
        ));
        Self {
            scale,
            skip: Skip::Bicubic,
            layers,
        }
    }

    /// Checks that the layers fit each other.
    ///
    /// # Errors
    /// [`Error::Architecture`](crate::Error::Architecture), naming the layer.
    pub fn validate(&self) -> Result<()> {
        check_scale(self.scale)?;
        check_layers(&self.layers, COLOURS, COLOURS * self.scale * self.scale, false)
    }

    /// Every parameter tensor, in layer order.
    pub fn parameters(&self) -> Vec<ParameterShape> {
        layer_parameters(&self.layers, 0)
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(ParameterShape::len).sum()
    }

    /// How far an output pixel can see, in input pixels: the halo with which a tile computes exactly what the
    /// whole image would.
    pub fn receptive_radius(&self) -> usize {
        let skip = match self.skip {
            Skip::None => 0,
            Skip::Bicubic => 2,
        };
        layer_radius(&self.layers).max(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use alloc::string::ToString as _;

    #[test]
    fn the_restorer_is_a_valid_network() {
        let net = Architecture::restorer(4, 48, 6);
        net.validate().expect("valid");
        // head + 12 in blocks + body + tail
        assert_eq!(net.receptive_radius(), 15);
        let conv = |i: usize, o: usize| 9 * i * o + o;
        assert_eq!(net.parameter_count(), conv(3, 48) + 14 * conv(48, 48));
    }

    #[test]
    fn json_round_trips() {
        let net = Architecture::restorer(4, 8, 1);
        let json = serde_json::to_string(&net).expect("serialises");
        assert_eq!(
            crate::fields::from_json::<Architecture>(json.as_bytes()).expect("reads"),
            net
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut net = Architecture::restorer(4, 8, 1);
        let Layer::Conv { inputs, .. } = &mut net.layers[1] else {
            panic!("a convolution")
        };
        *inputs = 9;
        let message = net.validate().expect_err("invalid").to_string();
        assert!(message.contains("blocks.0.conv1"), "{message}");

        let mut forward = Architecture::restorer(4, 8, 1);
        forward.layers[3] = Layer::Add { with: 4 };
        assert!(matches!(forward.validate(), Err(Error::Architecture(_))));

        let mut wrong_scale = Architecture::restorer(4, 8, 1);
        wrong_scale.scale = 3;
        assert!(wrong_scale.validate().is_err());
    }
}
