use alloc::{format, string::String, vec, vec::Vec};

use serde::Serialize;

use super::Weights;
use super::architecture::{COLOURS, check_scale};
use super::layer::{
    Activation, Layer, MAX_CHANNELS, ParameterShape, check_layers, fail, layer_parameters, layer_radius,
};
use crate::Result;
use crate::fields::{Fields, Misfit, Object, fields, names};
use crate::graph::ops::Sinusoidal;

/// A velocity field `v(x_t, t, c)` of the flow, at low-quality resolution.
///
/// `x_t`, `[3, h * scale, w * scale]`, is pixel-unshuffled to `3 * scale^2` channels of `h` by `w` pixels and the
/// condition is put behind it; the backbone makes `3 * scale^2` channels of it, which are shuffled back into the
/// velocity. The two backbones read and write the same, so that whatever trains or samples one does the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "backbone", rename_all = "snake_case")]
pub enum VelocityArchitecture {
    /// Convolutions modulated by the time.
    Conv(ConvVelocity),
    /// A transformer with attention in windows.
    Dit(DitVelocity),
}

impl Object for VelocityArchitecture {
    fn take(fields: &mut Fields) -> core::result::Result<Self, Misfit> {
        let backbone: String = fields.take("backbone")?;
        match backbone.as_str() {
            "conv" => ConvVelocity::take(fields).map(Self::Conv),
            "dit" => DitVelocity::take(fields).map(Self::Dit),
            _ => Err(Misfit::unknown("backbone", &backbone, &["conv", "dit"])),
        }
    }
}

/// What the velocity is conditioned on, besides `x_t` and `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The low-quality image `c`, `[3, h, w]`.
    LowQuality,
    /// `c` and the restorer's posterior mean `m(c)`, `[3, h * scale, w * scale]`, pixel-unshuffled.
    LowQualityAndMean,
}

names!(Condition { "low_quality" = LowQuality, "low_quality_and_mean" = LowQualityAndMean });

impl Condition {
    fn channels(self, scale: usize) -> usize {
        match self {
            Self::LowQuality => COLOURS,
            Self::LowQualityAndMean => COLOURS + COLOURS * scale * scale,
        }
    }
}

/// A velocity field of convolutions: a list of layers at low-quality resolution.
///
/// The time embedding that modulates [`Layer::Film`] is `silu(W2 silu(W1 f(t)))` of `time_features` values, with
/// `f` the sines and cosines of [`VelocityArchitecture::time_frequencies`]; parameters `time.0` and `time.2`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvVelocity {
    /// Enlargement factor.
    pub scale: usize,
    /// What follows `x_t` in the input.
    pub condition: Condition,
    /// Length of the time embedding, even.
    pub time_features: usize,
    /// What is added to the layers' output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<GaussianSkip>,
    /// The layers in order.
    pub layers: Vec<Layer>,
}

fields!(ConvVelocity {
    scale,
    condition,
    time_features,
    skip,
    layers
});

/// The velocity a flow would have if the truth were Gaussian around the posterior mean, added to the network's output so
/// that the network need not carry the noise through its channels: `k(t) (x_t - m(c))` with
/// `k = (t rho^2 - (1 - t) sigma^2) / (t^2 rho^2 + (1 - t)^2 sigma^2)`, the exact field from `N(m, sigma^2)` to
/// `N(m, rho^2)`. (The linear part of Karras et al. 2022's preconditioning, for velocities.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GaussianSkip {
    /// Deviation of the source around the posterior mean, the largest where it is local, 0.001 to 10. Only its ratio to `rho` counts.
    pub sigma: f64,
    /// Deviation of the truth around the posterior mean, 0.001 to 10.
    pub rho: f64,
}

fields!(GaussianSkip { sigma, rho });

impl GaussianSkip {
    /// `k(t)` for `t` in `[0, 1]`: -1 at 0, 1 at 1.
    pub fn gain(&self, t: f64) -> f64 {
        let (truth, noise) = (self.rho * self.rho, self.sigma * self.sigma);
        let left = 1.0 - t;
        (t * truth - left * noise) / (t * t * truth + left * left * noise)
    }
}

/// A small diffusion transformer (Peebles and Xie 2023): adaLN-zero modulation by the time, attention within windows
/// whose grid moves by half a window in every other block, and a relative position bias (Liu et al. 2021).
///
/// Parameters, with `C = channels`, `E = time_features`: `embed` and `head` are 3x3 convolutions; `time.0`, `time.2`
/// make the time embedding as in [`ConvVelocity`]; block `i` has `blocks.{i}.modulation` `[6 C, E]`,
/// `blocks.{i}.qkv` `[3 C, C]`, `blocks.{i}.position` `[heads, (2 window - 1)^2]`, `blocks.{i}.proj` `[C, C]`,
/// `blocks.{i}.mlp.0` `[4 C, C]` and `blocks.{i}.mlp.2` `[C, 4 C]`; `head_modulation` is `[2 C, E]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DitVelocity {
    /// Enlargement factor.
    pub scale: usize,
    /// What follows `x_t` in the input.
    pub condition: Condition,
    /// Length of the time embedding, even.
    pub time_features: usize,
    /// What is added to the head's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<GaussianSkip>,
    /// Length of a token.
    pub channels: usize,
    /// Number of transformer blocks.
    pub blocks: usize,
    /// Attention heads; they divide the channels.
    pub heads: usize,
    /// Side of an attention window in low-quality pixels, even.
    pub window: usize,
}

fields!(DitVelocity {
    scale,
    condition,
    time_features,
    skip,
    channels,
    blocks,
    heads,
    window
});

impl VelocityArchitecture {
    /// A convolutional field of `blocks` residual blocks (convolution, modulation with leaky rectifier, convolution,
    /// addition) between a head and a tail, conditioned on the low-quality image and the posterior mean.
    ///
    /// `conv(4, 96, 8)` has 1.8 million parameters, `conv(4, 128, 16)` 5.6 million.
    pub fn conv(scale: usize, channels: usize, blocks: usize) -> Self {
        let condition = Condition::LowQualityAndMean;
        let patch = COLOURS * scale * scale;
        let conv = |name: String, inputs, outputs, activation| Layer::Conv {
            name,
            inputs,
            outputs,
            kernel: 3,
            activation,
        };
        let leaky = Activation::LeakyRelu { slope: 0.1 };
        let inputs = patch + condition.channels(scale);
        let mut layers = vec![conv("head".into(), inputs, channels, leaky)];
        for b in 0..blocks {
            let start = layers.len();
            let inner = |i| format!("blocks.{b}.conv{i}");
            layers.push(conv(inner(1), channels, channels, Activation::None));
            layers.push(Layer::Film {
                name: format!("blocks.{b}.film"),
                channels,
                activation: leaky,
            });
            layers.push(conv(inner(2), channels, channels, Activation::None));
            layers.push(Layer::Add { with: start });
        }
        layers.push(conv("body".into(), channels, channels, leaky));
        layers.push(Layer::Add { with: 1 });
        layers.push(conv("tail".into(), channels, patch, Activation::None));
        Self::Conv(ConvVelocity {
            scale,
            condition,
            time_features: 128,
            skip: None,
            layers,
        })
    }

    /// A transformer of `blocks` blocks with tokens of `channels` values, a multiple of 32, heads of 32 and windows of 8
    /// by 8, conditioned on the low-quality image and the posterior mean.
    ///
    /// `dit(4, 128, 8)` has 2.6 million parameters.
    pub fn dit(scale: usize, channels: usize, blocks: usize) -> Self {
        Self::Dit(DitVelocity {
            scale,
            condition: Condition::LowQualityAndMean,
            time_features: 128,
            skip: None,
            channels,
            blocks,
            heads: (channels / 32).max(1),
            window: 8,
        })
    }

    /// The same field with a skip added to its output.
    #[must_use]
    pub fn with_skip(mut self, skip: GaussianSkip) -> Self {
        match &mut self {
            Self::Conv(a) => a.skip = Some(skip),
            Self::Dit(a) => a.skip = Some(skip),
        }
        self
    }

    /// What is added to the network's output.
    pub fn skip(&self) -> Option<GaussianSkip> {
        match self {
            Self::Conv(a) => a.skip,
            Self::Dit(a) => a.skip,
        }
    }

    /// Enlargement factor.
    pub fn scale(&self) -> usize {
        match self {
            Self::Conv(a) => a.scale,
            Self::Dit(a) => a.scale,
        }
    }

    /// What the velocity is conditioned on.
    pub fn condition(&self) -> Condition {
        match self {
            Self::Conv(a) => a.condition,
            Self::Dit(a) => a.condition,
        }
    }

    /// Length of the time embedding.
    pub fn time_features(&self) -> usize {
        match self {
            Self::Conv(a) => a.time_features,
            Self::Dit(a) => a.time_features,
        }
    }

    /// The angular frequencies of the time's features, `time_features / 2` of them: `1000 * 10000^(-i / n)`, as
    /// diffusion transformers take them for times in `[0, 1]`. All cosines come before all sines.
    pub fn time_frequencies(&self) -> Vec<f64> {
        Sinusoidal::of_time(self.time_features()).frequencies()
    }

    /// The time embedding at `t` in `[0, 1]`, `silu(W2 silu(W1 f(t)))` of the cosines and sines of `t`, and a linear map of
    /// it: the modulation of the layer `name`, `[2 * channels]`, all `gamma` before all `beta`.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) when a parameter is missing.
    pub fn modulation(&self, weights: &Weights, name: &str, t: f64) -> Result<Vec<f32>> {
        let linear = |name: &str, x: &[f64]| -> Result<Vec<f64>> {
            let get = |suffix: &str| weights.get(&format!("{name}.{suffix}"));
            let (weight, bias) = (&get("weight")?.values, &get("bias")?.values);
            let rows = weight.chunks_exact(x.len());
            let product = |row: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
            Ok(rows
                .zip(bias)
                .map(|(row, b)| product(row) + f64::from(*b))
                .collect())
        };
        let silu = |x: Vec<f64>| -> Vec<f64> { x.iter().map(|v| v / (1.0 + libm::exp(-v))).collect() };
        let angles: Vec<f64> = self.time_frequencies().iter().map(|f| f * t).collect();
        let cosines = angles.iter().map(|a| libm::cos(*a));
        let features: Vec<f64> = cosines.chain(angles.iter().map(|a| libm::sin(*a))).collect();
        let hidden = silu(linear("time.0", &features)?);
        let embedding = silu(linear("time.2", &hidden)?);
        Ok(linear(name, &embedding)?.iter().map(|v| *v as f32).collect())
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`Error::Architecture`](crate::Error::Architecture), naming the part.
    pub fn validate(&self) -> Result<()> {
        let scale = self.scale();
        check_scale(scale)?;
        let features = self.time_features();
        if features < 2 || !features.is_multiple_of(2) || features > MAX_CHANNELS {
            return fail(format!(
                "{features} time features are not an even number within 2 to {MAX_CHANNELS}"
            ));
        }
        if let Some(GaussianSkip { sigma, rho }) = self.skip() {
            let range = 0.001..=10.0;
            if !range.contains(&sigma) || !range.contains(&rho) {
                return fail(format!(
                    "a skip of sigma {sigma} and rho {rho} is not within 0.001 to 10"
                ));
            }
            if self.condition() != Condition::LowQualityAndMean {
                return fail("a skip needs the posterior mean as condition".into());
            }
        }
        match self {
            Self::Conv(a) => {
                let mut names = a.layers.iter().filter_map(Layer::name);
                if let Some(name) = names.find(|n| n.starts_with("time.")) {
                    return fail(format!("the layer name {name} is that of the time embedding"));
                }
                check_layers(&a.layers, self.inputs(), self.outputs(), true)
            }
            Self::Dit(a) => {
                if a.channels == 0 || a.channels > MAX_CHANNELS {
                    return fail(format!(
                        "tokens of {} channels are not within 1 to {MAX_CHANNELS}",
                        a.channels
                    ));
                }
                if a.blocks == 0 || a.blocks > 64 {
                    return fail(format!("{} blocks are not within 1 to 64", a.blocks));
                }
                if a.heads == 0 || !a.channels.is_multiple_of(a.heads) {
                    return fail(format!("{} heads do not divide {} channels", a.heads, a.channels));
                }
                if a.window < 2 || !a.window.is_multiple_of(2) || a.window > 32 {
                    return fail(format!(
                        "a window of {} is not an even number within 2 to 32",
                        a.window
                    ));
                }
                Ok(())
            }
        }
    }

    /// Channels of the backbone's input: `x_t` unshuffled and the condition.
    pub(crate) fn inputs(&self) -> usize {
        self.outputs() + self.condition().channels(self.scale())
    }

    /// Channels of the backbone's output.
    pub(crate) fn outputs(&self) -> usize {
        COLOURS * self.scale() * self.scale()
    }

    /// Every parameter tensor.
    pub fn parameters(&self) -> Vec<ParameterShape> {
        let features = self.time_features();
        let mut all = Vec::new();
        let mut module = |name: String, weight: Vec<usize>| {
            let outputs = weight[0];
            all.push(ParameterShape::new(format!("{name}.weight"), weight));
            all.push(ParameterShape::new(format!("{name}.bias"), vec![outputs]));
        };
        module("time.0".into(), vec![features, features]);
        module("time.2".into(), vec![features, features]);
        match self {
            Self::Conv(a) => all.extend(layer_parameters(&a.layers, features)),
            Self::Dit(a) => {
                let c = a.channels;
                module("embed".into(), vec![c, self.inputs(), 3, 3]);
                for b in 0..a.blocks {
                    let part = |part: &str| format!("blocks.{b}.{part}");
                    module(part("modulation"), vec![6 * c, features]);
                    module(part("qkv"), vec![3 * c, c]);
                    module(part("proj"), vec![c, c]);
                    module(part("mlp.0"), vec![4 * c, c]);
                    module(part("mlp.2"), vec![c, 4 * c]);
                }
                module("head_modulation".into(), vec![2 * c, features]);
                module("head".into(), vec![self.outputs(), c, 3, 3]);
                for b in 0..a.blocks {
                    let side = 2 * a.window - 1;
                    all.push(ParameterShape::new(
                        format!("blocks.{b}.position"),
                        vec![a.heads, side * side],
                    ));
                }
            }
        }
        all
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(ParameterShape::len).sum()
    }

    /// How far an output pixel can see, in low-quality pixels: the halo with which a tile computes what the whole
    /// image would, if its origin is a multiple of [`Self::alignment`].
    pub fn receptive_radius(&self) -> usize {
        match self {
            Self::Conv(a) => layer_radius(&a.layers),
            Self::Dit(a) => a.blocks * (a.window - 1) + 2,
        }
    }

    /// The grid in low-quality pixels that tile origins must lie on: the attention window.
    pub fn alignment(&self) -> usize {
        match self {
            Self::Conv(_) => 1,
            Self::Dit(a) => a.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn the_stated_sizes_are_right() {
        let millions = |a: VelocityArchitecture| {
            a.validate().expect("valid");
            (a.parameter_count() as f64 / 1e5).round() / 10.0
        };
        assert_eq!(millions(VelocityArchitecture::conv(4, 96, 8)), 1.8);
        assert_eq!(millions(VelocityArchitecture::conv(4, 128, 16)), 5.6);
        assert_eq!(millions(VelocityArchitecture::dit(4, 128, 8)), 2.6);
    }

    #[test]
    fn names_are_unique() {
        for a in [
            VelocityArchitecture::conv(4, 8, 2),
            VelocityArchitecture::dit(4, 32, 2),
        ] {
            let mut names: Vec<String> = a.parameters().into_iter().map(|p| p.name).collect();
            let n = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), n);
        }
    }

    #[test]
    fn json_round_trips_and_names_its_backbone() {
        for a in [
            VelocityArchitecture::conv(2, 8, 1),
            VelocityArchitecture::dit(3, 32, 1),
        ] {
            let json = serde_json::to_string(&a).expect("serialises");
            assert!(json.contains("\"backbone\":"));
            assert_eq!(
                crate::fields::from_json::<VelocityArchitecture>(json.as_bytes()).expect("reads"),
                a
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let broken = |change: &dyn Fn(&mut DitVelocity)| {
            let VelocityArchitecture::Dit(mut a) = VelocityArchitecture::dit(4, 64, 1) else {
                panic!("a transformer")
            };
            change(&mut a);
            VelocityArchitecture::Dit(a)
                .validate()
                .expect_err("invalid")
                .to_string()
        };
        assert!(broken(&|a| a.heads = 5).contains("5 heads"));
        assert!(broken(&|a| a.window = 7).contains("window of 7"));
        assert!(broken(&|a| a.time_features = 3).contains("3 time features"));
        assert!(broken(&|a| a.scale = 9).contains("scale 9"));
        assert!(broken(&|a| a.blocks = 0).contains("0 blocks"));

        let VelocityArchitecture::Conv(mut a) = VelocityArchitecture::conv(4, 8, 1) else {
            panic!("convolutions")
        };
        a.condition = Condition::LowQuality;
        let message = VelocityArchitecture::Conv(a.clone())
            .validate()
            .expect_err("invalid")
            .to_string();
        assert!(message.contains("head reads 99"), "{message}");
        let VelocityArchitecture::Conv(mut a) = VelocityArchitecture::conv(4, 8, 1) else {
            panic!("convolutions")
        };
        if let Layer::Conv { name, .. } = &mut a.layers[1] {
            *name = "time.0".into();
        }
        let message = VelocityArchitecture::Conv(a)
            .validate()
            .expect_err("invalid")
            .to_string();
        assert!(message.contains("time.0"), "{message}");
        let skip = GaussianSkip { sigma: 0.0, rho: 0.1 };
        let message = VelocityArchitecture::conv(4, 8, 1)
            .with_skip(skip)
            .validate()
            .expect_err("invalid")
            .to_string();
        assert!(message.contains("sigma 0"), "{message}");
        // A restorer has no time.
        let restorer = super::super::Architecture {
            scale: 4,
            skip: super::super::Skip::None,
            layers: vec![Layer::Film {
                name: "f".into(),
                channels: 3,
                activation: Activation::None,
            }],
        };
        assert!(
            restorer
                .validate()
                .expect_err("invalid")
                .to_string()
                .contains("time")
        );
    }
}
