use alloc::{vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Extent, Operation, Reference, count, map, map_at, params::params};
use crate::exec::lanes::{self, vectorised};
use crate::exec::shade::{Code, Shade, Shader, Stage, Work};
use crate::exec::{Compute, Value, for_each};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Layout, OnBurn};

/// The mean of each channel over all pixels of a map, a vector: what channel attention begins with (Hu et al. 2017).
///
/// It sees the whole image, so that tiles are not exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mean {}

params!(Mean {});

impl Operation for Mean {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        Ok(ValueType::vector(map_at(inputs, 0)?.channels))
    }

    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Global
    }

    fn multiply_adds(&self, inputs: &[Shape], _output: &Shape) -> u64 {
        count(&inputs[0])
    }
}

impl Reference for Mean {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        vec![(Self {}, vec![map(3)]), (Self {}, vec![map(1)])]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let places = inputs[0].shape().places.count();
        Tensor::build(output, |c, _| {
            (0..places).map(|p| inputs[0].at(c, p)).sum::<f64>() / places as f64
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Mean {
    fn on_burn(&self, given: Given) -> Batch {
        let x = given.one();
        let (n, c, places) = (x.len(), x.channels(), x.places.count());
        let mean = match x.layout {
            Layout::Planes => x.tensor.reshape([n, c, places]).mean_dim(2),
            Layout::Rows => x.tensor.reshape([n, places, c]).mean_dim(1),
        };
        Batch::vector(mean.reshape([n, c]))
    }
}

impl Compute for Mean {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let x = inputs[0];
        let planes = out.data.iter_mut().zip(x.data.chunks_exact(x.places()));
        for_each(planes.collect(), |(mean, plane)| {
            let sum = vectorised(|| lanes::sum(plane, |v| v));
            *mean = (sum / plane.len() as f64) as f32;
        });
    }
}

impl Shade for Mean {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        let groups = inputs[0].channels.div_ceil(4);
        let stage = |text: &'static str, work| Stage {
            code: Code::new(text),
            work,
        };
        Shader::Stages {
            stages: vec![
                stage(
                    "// Every invocation sums what lies 16 columns and rows apart.
fn $main(id: vec3<u32>) {
    var sum = vec4<f32>();
    for (var y = id.x / 16u; y < $a_size().y; y += 16u) {
        for (var x = id.x % 16u; x < $a_size().x; x += 16u) { sum += $a4(id.y, x, y); }
    }
    scratch[id.y * 256u + id.x] = sum;
}
",
                    Work::Count(256, groups),
                ),
                stage(
                    "fn $main(id: vec3<u32>) {
    var sum = vec4<f32>();
    for (var i = 0u; i < 256u; i++) { sum += scratch[id.z * 256u + i]; }
    put(id.z, 0u, 0u, sum / f32($a_size().x * $a_size().y));
}
",
                    Work::Places(groups),
                ),
            ],
            scratch: 256 * groups,
        }
    }
}
