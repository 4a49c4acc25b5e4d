use asasr_core::nn::{Parameters, cast};
use burn::tensor::{DType, Device, FloatDType};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeviceChoice {
    /// The first GPU this build can use, else the CPU
    #[default]
    Auto,
    /// The processor
    Cpu,
    /// Any GPU through wgpu (Vulkan, Metal, Direct3D 12)
    Wgpu,
    /// An NVIDIA GPU
    Cuda,
}

/// The type that networks compute in while they learn; parameters, averages and losses are always `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Precision {
    /// 32 bits
    #[default]
    F32,
    /// 16 bits with the range of 32
    Bf16,
    /// 16 bits of IEEE half precision; gradients are scaled so that small ones survive
    F16,
}

impl Precision {
    /// What a loss is multiplied by, and its gradient divided by.
    pub(crate) fn loss_scale(self) -> f32 {
        if self == Self::F16 { 1024.0 } else { 1.0 }
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Parameters as a network computes with them.
    pub(crate) fn of(self, parameters: &Parameters) -> Parameters {
        match self {
            Self::F32 => parameters.clone(),
            Self::Bf16 => cast(parameters, FloatDType::BF16),
            Self::F16 => cast(parameters, FloatDType::F16),
        }
    }

    /// Refuses what a device cannot compute in.
    pub(crate) fn check(self, device: &Device) -> Result<()> {
        let dtype = match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        };
        if device.supports_dtype(dtype) {
            return Ok(());
        }
        Err(Error::new(format!(
            "this device does not compute in {}: choose another --precision",
            self.name()
        )))
    }
}

/// `count` burn devices for training: so many GPUs, or workers that share the processor.
pub(crate) fn burn_devices(choice: DeviceChoice, count: usize) -> Result<Vec<Device>> {
    let first = burn_device(choice)?;
    if count == 1 {
        return Ok(vec![first]);
    }
    if first == Device::flex() {
        return Ok(vec![first; count]);
    }
    several_gpus(choice, count)
}

#[cfg(feature = "cuda")]
fn several_gpus(choice: DeviceChoice, count: usize) -> Result<Vec<Device>> {
    if choice == DeviceChoice::Wgpu {
        return Err(Error::new("--devices is for --device cuda or cpu"));
    }
    let mut all = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    if all.len() < count {
        return Err(Error::new(format!(
            "--devices {count}, but this machine has {} NVIDIA GPUs",
            all.len()
        )));
    }
    all.truncate(count);
    Ok(all)
}

#[cfg(not(feature = "cuda"))]
fn several_gpus(_: DeviceChoice, _: usize) -> Result<Vec<Device>> {
    Err(Error::new("--devices is for --device cuda or cpu"))
}

/// A burn device for training. `auto` is CUDA, else wgpu, where this build has it and the machine a GPU.
pub(crate) fn burn_device(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::flex()),
        DeviceChoice::Auto => Ok(cuda().or_else(|_| burn_wgpu()).unwrap_or_else(|_| Device::flex())),
        DeviceChoice::Cuda => cuda(),
        DeviceChoice::Wgpu => burn_wgpu(),
    }
}

#[cfg(feature = "train-wgpu")]
fn burn_wgpu() -> Result<Device> {
    let found = Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec();
    found
        .into_iter()
        .next()
        .ok_or_else(|| Error::new("wgpu finds no GPU on this machine: choose --device cpu"))
}

#[cfg(not(feature = "train-wgpu"))]
fn burn_wgpu() -> Result<Device> {
    Err(Error::new(
        "this build does not train through wgpu: build with --features train-wgpu, or choose --device cpu",
    ))
}

#[cfg(feature = "cuda")]
pub(crate) fn cuda() -> Result<Device> {
    // burn panics where the driver is missing; the driver's device file tells first.
    if cfg!(target_os = "linux") && !std::path::Path::new("/dev/nvidiactl").exists() {
        return Err(Error::new(
            "no NVIDIA driver is running on this machine: choose --device cpu",
        ));
    }
    Ok(Device::cuda(0))
}

#[cfg(not(feature = "cuda"))]
pub(crate) fn cuda() -> Result<Device> {
    Err(Error::new(
        "this build has no CUDA: build with --features cuda, or choose --device cpu",
    ))
}
