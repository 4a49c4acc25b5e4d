//! The kernels that stand around a network, each by its file's name.

use crate::gpu::{Cover, Gpu, Kernel};

/// Planes of an image.
const PLANES: usize = 3;
/// Elements of a side of the result that a work-group of `transform.wgsl` computes.
const SIDE: usize = 32;

/// A kernel with an invocation for each pixel of `depth` planes.
fn of_planes(gpu: &Gpu, label: &str, text: &str, constants: &[(&str, f64)], depth: usize) -> Kernel {
    gpu.kernel(label, &gpu.module(label, text), constants, Cover::planes(depth))
}

pub(crate) fn step(gpu: &Gpu) -> Kernel {
    of_planes(gpu, "step", include_str!("../shader/step.wgsl"), &[], PLANES)
}

pub(crate) fn part(gpu: &Gpu) -> Kernel {
    of_planes(gpu, "part", include_str!("../shader/part.wgsl"), &[], PLANES)
}

pub(crate) fn white_noise(gpu: &Gpu) -> Kernel {
    let text = include_str!("../shader/white_noise.wgsl");
    of_planes(gpu, "white noise", text, &[], PLANES)
}

pub(crate) fn transform(gpu: &Gpu, weighted: bool) -> Kernel {
    let cover = Cover {
        group: (SIDE, SIDE),
        pixels: 1,
        depth: PLANES,
    };
    let module = gpu.module("transform", include_str!("../shader/transform.wgsl"));
    let constants = [("WEIGHTED", f64::from(u8::from(weighted)))];
    gpu.kernel("transform", &module, &constants, cover)
}

pub(crate) fn source(gpu: &Gpu) -> Kernel {
    of_planes(gpu, "source", include_str!("../shader/source.wgsl"), &[], PLANES)
}

/// A pass of a filter, along columns or else rows.
pub(crate) fn resample(gpu: &Gpu, along_columns: bool, difference: bool, add: bool) -> Kernel {
    let flag = |on: bool| f64::from(u8::from(on));
    let constants = [
        ("ALONG_COLUMNS", flag(along_columns)),
        ("DIFFERENCE", flag(difference)),
        ("ADD", flag(add)),
    ];
    let text = include_str!("../shader/resample.wgsl");
    of_planes(gpu, "resample", text, &constants, PLANES)
}
