use alloc::{format, string::String, vec, vec::Vec};

use burn::tensor::Tensor;

use super::Parameters;
use crate::model::{Layer, ParameterShape, VelocityArchitecture, Weights};
use crate::random::SplitMix64;
use crate::{Error, Result, flow, model};

/// A velocity field as a function of its parameters. Training, alignment and sampling know this trait only.
pub trait VelocityField: core::fmt::Debug + Send + Sync {
    /// How many times larger the state is than the low-quality image.
    fn scale(&self) -> usize;

    /// Whether it is conditioned on the posterior mean too.
    fn reads_mean(&self) -> bool;

    /// The velocity `v(x_t, t, c)`, `[n, 3, h * scale, w * scale]` as `x_t`; `t` is `[n]` in `[0, 1]`.
    ///
    /// # Panics
    /// When a parameter is missing or sizes do not fit.
    fn velocity(
        &self,
        parameters: &Parameters,
        x_t: Tensor<4>,
        t: Tensor<1>,
        condition: &Conditioning,
    ) -> Tensor<4>;
}

/// What a velocity is conditioned on.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// The low-quality image `c`, `[n, 3, h, w]`.
    pub low: Tensor<4>,
    /// The restorer's posterior mean `m(c)`, `[n, 3, h * scale, w * scale]`, where the architecture asks for it.
    pub mean: Option<Tensor<4>>,
}

/// Fresh weights, a pure function of `seed`: normal weights of variance `2 / fan_in` for convolutions (He et al.
/// 2015) and `1 / fan_in` for linear layers, zero biases; zero modulation, position biases and head, so that the
/// field is zero and the flow is the identity on its source.
pub fn init_velocity(architecture: &VelocityArchitecture, seed: u64) -> Weights {
    let mut random = SplitMix64::new(seed);
    let mut weights = Weights::default();
    let (head, modulations) = zero_modules(architecture);
    for parameter in architecture.parameters() {
        let (module, kind) = parameter.name.rsplit_once('.').unwrap_or_default();
        let drawn = kind == "weight" && module != head && !modulations.iter().any(|m| m == module);
        let values: Vec<f32> = if kind == "slope" {
            vec![0.25; parameter.len()]
        } else if drawn {
            let gain = if parameter.shape.len() == 4 { 2.0 } else { 1.0 };
            let deviation = libm::sqrt(gain / fan_in(&parameter) as f64);
            (0..parameter.len())
                .map(|_| (deviation * random.normal()) as f32)
                .collect()
        } else {
            vec![0.0; parameter.len()]
        };
        let shape = parameter.shape.clone();
        weights.insert(parameter.name, model::Tensor { shape, values });
    }
    weights
}

/// The modules that start at zero: the last one and those that modulate.
fn zero_modules(architecture: &VelocityArchitecture) -> (String, Vec<String>) {
    match architecture {
        VelocityArchitecture::Conv(a) => {
            let named = |conv: bool| {
                let hit = move |l: &&Layer| matches!(l, Layer::Conv { .. }) == conv;
                a.layers.iter().filter(hit).filter_map(|l| l.name().cloned())
            };
            (
                named(true).next_back().unwrap_or_default(),
                named(false).collect(),
            )
        }
        VelocityArchitecture::Dit(a) => {
            let blocks = (0..a.blocks).map(|b| format!("blocks.{b}.modulation"));
            ("head".into(), blocks.chain(["head_modulation".into()]).collect())
        }
    }
}

fn fan_in(parameter: &ParameterShape) -> usize {
    parameter.shape[1..].iter().product()
}

/// A velocity field with its parameters and condition: what [`flow::integrate`] moves a tensor along.
#[derive(Debug)]
pub struct ConditionedField<'a> {
    field: &'a dyn VelocityField,
    parameters: &'a Parameters,
    condition: Conditioning,
}

impl<'a> ConditionedField<'a> {
    /// The field given `condition`.
    ///
    /// # Errors
    /// [`Error::Size`] when the posterior mean is missing or not `scale` times the size of the low-quality image.
    pub fn new(
        field: &'a dyn VelocityField,
        parameters: &'a Parameters,
        condition: Conditioning,
    ) -> Result<Self> {
        let [n, c, h, w] = condition.low.dims();
        let r = field.scale();
        if c != 3 {
            return Err(Error::Size(format!(
                "a low-quality image of {c} channels; 3 are needed"
            )));
        }
        let mean = condition.mean.as_ref().map(Tensor::dims);
        if field.reads_mean() && mean != Some([n, 3, h * r, w * r]) {
            return Err(Error::Size(format!(
                "the field needs a posterior mean of {:?} and was given {}",
                [n, 3, h * r, w * r],
                mean.map_or("none".into(), |m| format!("{m:?}"))
            )));
        }
        Ok(Self {
            field,
            parameters,
            condition,
        })
    }
}

impl flow::Field<Tensor<4>> for ConditionedField<'_> {
    async fn velocity(&mut self, x: &Tensor<4>, t: f64) -> Result<Tensor<4>> {
        let [n, _, height, width] = x.dims();
        let [batch, _, h, w] = self.condition.low.dims();
        let r = self.field.scale();
        if (n, height, width) != (batch, h * r, w * r) {
            return Err(Error::Size(format!(
                "a state of {n} images, {width}x{height}, does not fit {batch} low-quality images of {w}x{h}"
            )));
        }
        let t = Tensor::full([n], t, (&x.device(), x.dtype()));
        Ok(self
            .field
            .velocity(self.parameters, x.clone(), t, &self.condition))
    }
}

/// A field whose estimate of the end, `x + (1 - t) v`, is held to `[0, 1]`, as images are: what [`flow::FlowDevice::integrate`]
/// asks for.
#[derive(Debug)]
pub struct Held<F>(pub F);

impl<F: flow::Field<Tensor<4>>> flow::Field<Tensor<4>> for Held<F> {
    async fn velocity(&mut self, x: &Tensor<4>, t: f64) -> Result<Tensor<4>> {
        let v = self.0.velocity(x, t).await?;
        let left = 1.0 - t;
        let end = (x.clone() + v.mul_scalar(left)).clamp(0.0, 1.0);
        Ok((end - x.clone()).div_scalar(left))
    }
}
