use burn::tensor::{FloatDType, Tensor};

use super::cpu::convolve;
use super::layers::{pixel_shuffle, run_layers};
use super::parameters::dtype_of;
use super::velocity::{add_skip, network_input, time_embedding};
use super::{Conditioning, Parameters, VelocityField};
use crate::model::{ConvVelocity, VelocityArchitecture};

/// The convolutional velocity field: layers at low-quality resolution, modulated by the time.
#[derive(Debug)]
pub(super) struct ConvField {
    whole: VelocityArchitecture,
    own: ConvVelocity,
}

impl ConvField {
    pub(super) fn new(own: ConvVelocity) -> Self {
        Self {
            whole: VelocityArchitecture::Conv(own.clone()),
            own,
        }
    }
}

impl VelocityField for ConvField {
    fn architecture(&self) -> VelocityArchitecture {
        self.whole.clone()
    }

    fn velocity(
        &self,
        parameters: &Parameters,
        x_t: Tensor<4>,
        t: Tensor<1>,
        condition: &Conditioning,
    ) -> Tensor<4> {
        let time = time_embedding(&self.whole, parameters, t.clone());
        let input = network_input(&self.whole, x_t.clone(), condition);
        let own = FloatDType::from(x_t.dtype());
        let dtype = dtype_of(parameters).unwrap_or(own);
        let output = run_layers(
            &self.own.layers,
            parameters,
            input.cast(dtype),
            Some(&time.cast(dtype)),
            convolve,
        );
        add_skip(
            &self.whole,
            pixel_shuffle(output.cast(own), self.own.scale),
            (x_t, &t),
            condition,
        )
    }
}
