use alloc::{format, string::String, vec, vec::Vec};

use serde::Serialize;

use crate::fields::{Fields, Misfit, Object};
use crate::{Error, Result};

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
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
    /// Feature-wise modulation by the time, then an activation: `y_c = x_c (1 + gamma_c) + beta_c` (Perez et al.
    /// 2018) with `(gamma, beta)` a linear map of the time embedding. Only velocity fields have a time.
    ///
    /// Parameters `{name}.weight` of shape `[2 * channels, time_features]` and `{name}.bias` of `[2 * channels]`,
    /// all `gamma` before all `beta`.
    Film {
        /// Prefix of the parameter names.
        name: String,
        /// Channels of input and output.
        channels: usize,
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

impl Object for Layer {
    fn take(fields: &mut Fields) -> core::result::Result<Self, Misfit> {
        let op: String = fields.take("op")?;
        match op.as_str() {
            "conv" => Ok(Self::Conv {
                name: fields.take("name")?,
                inputs: fields.take("inputs")?,
                outputs: fields.take("outputs")?,
                kernel: fields.take("kernel")?,
                activation: fields.take("activation")?,
            }),
            "film" => Ok(Self::Film {
                name: fields.take("name")?,
                channels: fields.take("channels")?,
                activation: fields.take("activation")?,
            }),
            "add" => Ok(Self::Add {
                with: fields.take("with")?,
            }),
            _ => Err(Misfit::unknown("op", &op, &["conv", "film", "add"])),
        }
    }
}

impl Layer {
    /// Prefix of its parameters' names, where it has parameters.
    pub fn name(&self) -> Option<&String> {
        match self {
            Self::Conv { name, .. } | Self::Film { name, .. } => Some(name),
            Self::Add { .. } => None,
        }
    }
}

/// A point-wise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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

impl Object for Activation {
    fn take(fields: &mut Fields) -> core::result::Result<Self, Misfit> {
        let kind: String = fields.take("kind")?;
        match kind.as_str() {
            "none" => Ok(Self::None),
            "leaky_relu" => Ok(Self::LeakyRelu {
                slope: fields.take("slope")?,
            }),
            "prelu" => Ok(Self::Prelu),
            _ => Err(Misfit::unknown("kind", &kind, &["none", "leaky_relu", "prelu"])),
        }
    }
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
    pub(super) fn new(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bounds that keep a hostile manifest from asking for absurd amounts of memory.
pub(super) const MAX_CHANNELS: usize = 1024;
const MAX_LAYERS: usize = 1024;

pub(super) fn fail<T>(why: String) -> Result<T> {
    Err(Error::Architecture(why))
}

/// Checks that `layers` turn `inputs` channels into `outputs`, with modulation only where there is a time.
///
/// # Errors
/// [`Error::Architecture`], naming the layer.
pub(super) fn check_layers(layers: &[Layer], inputs: usize, outputs: usize, timed: bool) -> Result<()> {
    if layers.is_empty() || layers.len() > MAX_LAYERS {
        return fail(format!(
            "{} layers are not within 1 to {MAX_LAYERS}",
            layers.len()
        ));
    }
    let named = |name: &String, activation: &Activation| {
        if let Activation::LeakyRelu { slope } = activation
            && !(0.0..1.0).contains(slope)
        {
            return fail(format!("layer {name} has the slope {slope}, not within 0 to 1"));
        }
        if name.is_empty() || layers.iter().filter(|l| l.name() == Some(name)).count() != 1 {
            return fail(format!("the layer name {name:?} is empty or used twice"));
        }
        Ok(())
    };
    let mut widths = vec![inputs];
    for (i, layer) in layers.iter().enumerate() {
        let before = widths[i];
        widths.push(match layer {
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
                named(name, activation)?;
                *outputs
            }
            Layer::Film {
                name,
                channels,
                activation,
            } => {
                if !timed {
                    return fail(format!(
                        "layer {name} is modulated by a time, which a restorer has not"
                    ));
                }
                if *channels != before {
                    return fail(format!(
                        "layer {name} modulates {channels} channels where there are {before}"
                    ));
                }
                named(name, activation)?;
                before
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
                before
            }
        });
    }
    let last = widths[layers.len()];
    if last != outputs {
        return fail(format!(
            "the last layer makes {last} channels; {outputs} are needed"
        ));
    }
    Ok(())
}

/// Every parameter of `layers` in order; `time_features` is the length of the time embedding.
pub(super) fn layer_parameters(layers: &[Layer], time_features: usize) -> Vec<ParameterShape> {
    let mut all = Vec::new();
    for layer in layers {
        let (name, weight, outputs, activation) = match layer {
            Layer::Conv {
                name,
                inputs,
                outputs,
                kernel,
                activation,
            } => (
                name,
                vec![*outputs, *inputs, *kernel, *kernel],
                *outputs,
                activation,
            ),
            Layer::Film {
                name,
                channels,
                activation,
            } => (name, vec![2 * channels, time_features], 2 * channels, activation),
            Layer::Add { .. } => continue,
        };
        all.push(ParameterShape::new(format!("{name}.weight"), weight));
        all.push(ParameterShape::new(format!("{name}.bias"), vec![outputs]));
        if *activation == Activation::Prelu {
            let channels = if let Layer::Film { channels, .. } = layer {
                *channels
            } else {
                outputs
            };
            all.push(ParameterShape::new(format!("{name}.slope"), vec![channels]));
        }
    }
    all
}

/// How far an output pixel of `layers` can see.
pub(super) fn layer_radius(layers: &[Layer]) -> usize {
    let mut radius = vec![0];
    for (i, layer) in layers.iter().enumerate() {
        radius.push(match layer {
            Layer::Conv { kernel, .. } => radius[i] + kernel / 2,
            Layer::Film { .. } => radius[i],
            Layer::Add { with } => radius[i].max(radius[*with]),
        });
    }
    radius[layers.len()]
}
