use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use serde_json::Value as Json;

use super::{Operation, Reference, count, map, parameter, params::params};
use crate::exec::shade::{self, Shade, Shader};
use crate::exec::{self, InPlace, Run};
use crate::fields::{Field, Misfit};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// `scale_c x + shift_c` for every channel `c`; what is not given is 1 and 0.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Affine {
    /// What is multiplied with.
    pub scale: Option<Constants>,
    /// What is added then.
    pub shift: Option<Constants>,
}

params!(Affine { scale, shift });

/// A number for each channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Constants {
    /// The same for all.
    One(f64),
    /// Those of the description, in order.
    Each(Vec<f64>),
    /// The learned tensor of this name, `[channels]`.
    Learned(String),
}

impl Field for Constants {
    fn read(value: Json, name: &str) -> Result<Self, Misfit> {
        match value {
            Json::String(tensor) => Ok(Self::Learned(tensor)),
            Json::Array(_) => Field::read(value, name).map(Self::Each),
            Json::Number(_) => Field::read(value, name).map(Self::One),
            _ => Err(Misfit::wrong(name, "a number, numbers or the name of a tensor")),
        }
    }
}

impl Constants {
    fn check(&self, what: &str, channels: usize) -> Result<(), Fault> {
        let all: &[f64] = match self {
            Self::One(one) => core::slice::from_ref(one),
            Self::Each(all) if all.len() != channels => {
                return Err(Fault::Params(format!(
                    "{} numbers for {what} do not go with {channels} channels",
                    all.len()
                )));
            }
            Self::Each(all) => all,
            Self::Learned(_) => &[],
        };
        all.iter().try_for_each(|x| super::real(what, *x, -1e30..=1e30))
    }

    /// That of the channel `c`; `learned` are the tensor's values.
    pub(in crate::graph) fn of(&self, c: usize, learned: &[f64]) -> f64 {
        match self {
            Self::One(one) => *one,
            Self::Each(all) => all[c],
            Self::Learned(_) => learned[c],
        }
    }

    /// The name of the learned tensor.
    pub(in crate::graph) fn tensor(&self) -> Option<&String> {
        match self {
            Self::Learned(name) => Some(name),
            Self::One(_) | Self::Each(_) => None,
        }
    }
}

impl Operation for Affine {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        for (what, constants) in [("the scale", &self.scale), ("the shift", &self.shift)] {
            if let Some(constants) = constants {
                constants.check(what, inputs[0].channels)?;
            }
        }
        Ok(inputs[0])
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        let given = self.scale.iter().chain(&self.shift);
        let names = given.filter_map(Constants::tensor);
        names.map(|name| parameter(name, &[inputs[0].channels])).collect()
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Reference for Affine {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let affine = |scale, shift| (Self { scale, shift }, vec![map(3)]);
        let each = |values: [f64; 3]| Some(Constants::Each(values.into()));
        let learned = |name: &str| Some(Constants::Learned(name.into()));
        vec![
            affine(Some(Constants::One(0.2)), None),
            affine(None, each([0.5, -0.25, 2.0])),
            affine(each([0.5, -0.25, 2.0]), Some(Constants::One(-0.5))),
            affine(learned("scale"), learned("shift")),
            affine(Some(Constants::One(255.0)), learned("shift")),
        ]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let learned_scale = matches!(self.scale, Some(Constants::Learned(_)));
        let scales = parameters.first().map_or(&[][..], |p| p);
        let shifts = parameters.get(usize::from(learned_scale)).map_or(&[][..], |p| p);
        Tensor::build(output, |c, p| {
            let scale = self.scale.as_ref().map_or(1.0, |s| s.of(c, scales));
            let shift = self.shift.as_ref().map_or(0.0, |s| s.of(c, shifts));
            scale * inputs[0].at(c, p) + shift
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Affine {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::{Tensor, TensorData};

        let ([mut x], learned) = given.take();
        let mut learned = learned.into_iter();
        for (constants, scales) in [(&self.scale, true), (&self.shift, false)] {
            let numbers = match constants {
                None => continue,
                Some(Constants::One(one)) => {
                    x = x.each(|x| {
                        if scales {
                            x.mul_scalar(*one)
                        } else {
                            x.add_scalar(*one)
                        }
                    });
                    continue;
                }
                Some(Constants::Each(all)) => {
                    let options = (&x.tensor.device(), x.tensor.dtype());
                    Tensor::from_data(TensorData::new(all.clone(), [all.len()]), options)
                }
                Some(Constants::Learned(_)) => match learned.next() {
                    Some(tensor) => tensor,
                    None => unreachable!("the operation named it"),
                },
            };
            let numbers = x.per_channel(numbers);
            x = x.each(|x| if scales { x * numbers } else { x + numbers });
        }
        x
    }
}

impl InPlace for Affine {
    fn on_run(&self, own: &mut [f32], _: usize, _: &[Run<'_>], numbers: &[Run<'_>]) {
        match (&self.scale, numbers) {
            (_, [scale, shift]) => exec::zip_two(own, [*scale, *shift], |x, scale, shift| scale * x + shift),
            (Some(_), [scale]) => exec::zip(own, *scale, |x, scale| scale * x),
            (None, [shift]) => exec::zip(own, *shift, |x, shift| x + shift),
            _ => {}
        }
    }

    fn numbers(&self, inputs: &[ValueType], parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        let mut learned = parameters.iter();
        let given = self.scale.iter().chain(&self.shift);
        given
            .map(|constants| match constants {
                Constants::One(one) => vec![*one as f32; inputs[0].channels],
                Constants::Each(all) => all.iter().map(|x| *x as f32).collect(),
                Constants::Learned(_) => learned.next().map_or_else(Vec::new, |p| p.to_vec()),
            })
            .collect()
    }
}

impl Shade for Affine {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise(
            match (&self.scale, &self.shift) {
                (Some(_), Some(_)) => "t0 * a + t1",
                (Some(_), None) => "t0 * a",
                (None, Some(_)) => "a + t0",
                (None, None) => "a",
            },
            &[],
        )
    }

    fn tensors(&self, inputs: &[ValueType], parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        self.numbers(inputs, parameters)
    }
}
