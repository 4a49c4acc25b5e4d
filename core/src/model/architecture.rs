use alloc::{format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A feed-forward super-resolution network that works at low-quality resolution.
///
/// `output = pixel_shuffle(layers(input)) + skip(input)`: each layer reads the output of the one before it, the
/// last layer makes `3 * scale^2` channels, which are shuffled into an image `scale` times larger. Convolutions
/// pad with zeros, so that width and height stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Enlargement factor.
    pub scale: usize,
    /// What is added to the shuffled output.
    pub skip: Skip,
    /// The layers in order.
    pub layers: Vec<Layer>,
}

/// The image added to the network's output, made from its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Nothing is added.
    None,
    /// The bicubic enlargement of [`crate::resample::enlarge`].
    Bicubic,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// A convolution with bias, stride 1 and zero padding, then an activation.
    ///
    /// Parameters `{name}.weight` of shape `[outputs, inputs, kernel, kernel]` and `{name}.bias` of `[outputs]`.
    Conv {
        /// Prefix of the parameter names.
        name: String,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// 1 or 3.
        kernel: usize,
        /// Applied to the result.
        activation: Activation,
    },
    /// Adds an earlier value: `with = 0` is the network's input, `with = i` the output of the `i`-th layer,
    /// counted from one.
    Add {
        /// Which value.
        with: usize,
    },
}

/// A point-wise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// `x`.
    None,
    /// `max(x, slope * x)`; a slope of zero is the rectifier.
    LeakyRelu {
        /// In `[0, 1)`.
        slope: f32,
    },
    /// `x` where positive, else `slope_c * x` with the learned parameter `{name}.slope` of shape `[outputs]`.
    Prelu,
}

/// The name and shape of one parameter tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterShape {
    /// As in the weights file.
    pub name: String,
    /// Row-major dimensions.
    pub shape: Vec<usize>,
}

impl ParameterShape {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Colour channels of input and output.
const COLOURS: usize = 3;
/// Bounds that keep a hostile manifest from asking for absurd amounts of memory.
const MAX_CHANNELS: usize = 1024;
const MAX_LAYERS: usize = 1024;

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
    /// [`Error::Architecture`], naming the layer.
    pub fn validate(&self) -> Result<()> {
        let fail = |why: String| Err(Error::Architecture(why));
        if !(2..=8).contains(&self.scale) {
            return fail(format!("scale {} is not within 2 to 8", self.scale));
        }
        if self.layers.is_empty() || self.layers.len() > MAX_LAYERS {
            return fail(format!(
                "{} layers are not within 1 to {MAX_LAYERS}",
                self.layers.len()
            ));
        }
        let mut widths = vec![COLOURS];
        for (i, layer) in self.layers.iter().enumerate() {
            let before = widths[i];
            match layer {
                Layer::Conv {
                    name,
                    inputs,
                    outputs,
                    kernel,
                    activation,
                } => {
                    if *inputs != before {
                        return fail(format!(
                            "layer {name} reads {inputs} channels where there are {before}"
                        ));
                    }
                    if *kernel != 1 && *kernel != 3 {
                        return fail(format!(
                            "layer {name} has a kernel of {kernel}; 1 and 3 are known"
                        ));
                    }
                    if *outputs == 0 || *outputs > MAX_CHANNELS {
                        return fail(format!(
                            "layer {name} makes {outputs} channels, not 1 to {MAX_CHANNELS}"
                        ));
                    }
                    if let Activation::LeakyRelu { slope } = activation
                        && !(0.0..1.0).contains(slope)
                    {
                        return fail(format!("layer {name} has the slope {slope}, not within 0 to 1"));
                    }
                    if name.is_empty() || self.conv_names().filter(|n| *n == name).count() != 1 {
                        return fail(format!("the layer name {name:?} is empty or used twice"));
                    }
                    widths.push(*outputs);
                }
                Layer::Add { with } => {
                    if *with >= i {
                        return fail(format!(
                            "layer {} adds value {with}, which is not before it",
                            i + 1
                        ));
                    }
                    if widths[*with] != before {
                        return fail(format!(
                            "layer {} adds {} channels to {before}",
                            i + 1,
                            widths[*with]
                        ));
                    }
                    widths.push(before);
                }
            }
        }
        let last = widths[self.layers.len()];
        let needed = COLOURS * self.scale * self.scale;
        if last != needed {
            return fail(format!(
                "the last layer makes {last} channels; scale {} needs {needed}",
                self.scale
            ));
        }
        Ok(())
    }

    fn conv_names(&self) -> impl Iterator<Item = &String> {
        self.layers.iter().filter_map(|l| match l {
            Layer::Conv { name, .. } => Some(name),
            Layer::Add { .. } => None,
        })
    }

    /// Every parameter tensor, in layer order.
    pub fn parameters(&self) -> Vec<ParameterShape> {
        let mut all = Vec::new();
        for layer in &self.layers {
            if let Layer::Conv {
                name,
                inputs,
                outputs,
                kernel,
                activation,
            } = layer
            {
                all.push(ParameterShape {
                    name: format!("{name}.weight"),
                    shape: vec![*outputs, *inputs, *kernel, *kernel],
                });
                all.push(ParameterShape {
                    name: format!("{name}.bias"),
                    shape: vec![*outputs],
                });
                if *activation == Activation::Prelu {
                    all.push(ParameterShape {
                        name: format!("{name}.slope"),
                        shape: vec![*outputs],
                    });
                }
            }
        }
        all
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(ParameterShape::len).sum()
    }

    /// How far an output pixel can see, in input pixels: the halo with which a tile computes exactly what the
    /// whole image would.
    pub fn receptive_radius(&self) -> usize {
        let mut radius = vec![0];
        for (i, layer) in self.layers.iter().enumerate() {
            radius.push(match layer {
                Layer::Conv { kernel, .. } => radius[i] + kernel / 2,
                Layer::Add { with } => radius[i].max(radius[*with]),
            });
        }
        let skip = match self.skip {
            Skip::None => 0,
            Skip::Bicubic => 2,
        };
        radius[self.layers.len()].max(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(serde_json::from_str::<Architecture>(&json).expect("reads"), net);
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
