//! What `asasr-core` computes without a standard library: built for `wasm32v1-none`, which has none, it is run by an
//! interpreter and compared with the same code on the host.
//!
//! On the host this is an ordinary library; on the bare target it brings the two things a program without `std` must:
//! an allocator and a panic handler.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{boxed::Box, vec, vec::Vec};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use asasr_core::flow::{Field, Schedule, Source, clean_estimate, integrate};
use asasr_core::model::{
    Architecture, Dtype, LoraAdapter, LoraConfig, Tensor, VelocityArchitecture, Weights, sha256_hex,
};
use asasr_core::pipeline::{self, Options, OutputScale};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{
    ColouredNoise, Laplacian, SobolevOperator, Spectrum, estimate_s, log_spectral_distance, radial_power,
};
use asasr_core::{Executor, OnStep, Planes, Rect, Result, metrics, resample};

#[cfg(target_os = "none")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(target_os = "none")]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// How many parts of the mathematics [`compute`] knows.
pub const PARTS: u32 = 6;

/// Computes a part and returns where its values lie: first their number, then the values. A part that fails is empty.
#[expect(
    unsafe_code,
    reason = "the symbol must keep its name to be called from outside"
)]
#[unsafe(no_mangle)]
pub extern "C" fn asasr_compute(part: u32) -> *const f32 {
    let values = compute(part).unwrap_or_default();
    let mut all = vec![values.len() as f32];
    all.extend(values);
    Box::leak(all.into_boxed_slice()).as_ptr()
}

/// The values of one part.
///
/// # Errors
/// None that a working build would give.
pub fn compute(part: u32) -> Result<Vec<f32>> {
    match part {
        0 => coloured_noise(),
        1 => operators(),
        2 => flow(),
        3 => tiled_upscale(),
        4 => measures(),
        _ => models(),
    }
}

const WHOLE: Rect = Rect::whole(24, 20);

fn coloured_noise() -> Result<Vec<f32>> {
    let noise = ColouredNoise::new(7, WHOLE.size(), Spectrum::default())?;
    Ok(noise.tile(3, WHOLE)?.into_data())
}

/// A photograph's stand-in: smooth, in `[0, 1]`.
fn image() -> Result<Planes> {
    let mut image = ColouredNoise::new(3, WHOLE.size(), Spectrum::sobolev(2.0)?)?.tile(3, WHOLE)?;
    image
        .data_mut()
        .iter_mut()
        .for_each(|v| *v = (0.5 + 0.15 * *v).clamp(0.0, 1.0));
    Ok(image)
}

fn operators() -> Result<Vec<f32>> {
    let operator = SobolevOperator::new(WHOLE.size(), Spectrum::sobolev(1.5)?, Laplacian::default())?;
    let image = image()?.into_data();
    let mut values = vec![
        operator.energy(&image)? as f32,
        operator.norm_squared(&image)? as f32,
    ];
    let mut step = image.clone();
    values.push(operator.riesz_step(&mut step, 0.5)? as f32);
    values.extend(step);
    let mut inside = image.clone();
    operator.project(&mut inside, 1.0)?;
    values.push(operator.cosine(&inside, &image)? as f32);
    Ok(values)
}

/// A field that leads to an image: what a network that has learned one image by heart would answer.
struct Towards(Planes);

impl Field<Planes> for Towards {
    async fn velocity(&mut self, x: &Planes, t: f64) -> Result<Planes> {
        Ok(asasr_core::flow::velocity_towards(x, &self.0, t.min(0.99)))
    }
}

fn flow() -> Result<Vec<f32>> {
    let mean = image()?;
    let noise = ColouredNoise::new(1, WHOLE.size(), Spectrum::default())?;
    let x0 = Source::default().sample((&mean, &mean), &noise, WHOLE)?;
    let mut field = Towards(mean);
    let schedule = Schedule::four().shifted(1.5)?;
    let x1 = finish(integrate(&mut field, x0.clone(), &schedule, |_| true))?;
    let sooner = finish(integrate(&mut field, x0, &Schedule::two(), |_| true))?;
    Ok(clean_estimate(&x1, &sooner, 0.5).into_data())
}

/// An executor without a network.
struct Bicubic;

impl Executor for Bicubic {
    fn scale(&self) -> usize {
        4
    }

    fn halo(&self) -> usize {
        2
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        Ok(resample::enlarge(tile, 4))
    }
}

fn tiled_upscale() -> Result<Vec<f32>> {
    let mut image = image()?;
    // As photos are: whether two pixels are alike must not hang on the last bit.
    metrics::quantise(&mut image);
    let options = Options::new(OutputScale::new(3)?, 8);
    Ok(finish(pipeline::whole(&Bicubic, &image, &options))?.into_data())
}

fn measures() -> Result<Vec<f32>> {
    let image = image()?;
    let blurred = resample::bicubic(&resample::shrink(&image, 2)?, image.size());
    let lsd = log_spectral_distance(blurred.plane(0), image.plane(0), image.size(), 4)?;
    let mut values = vec![
        metrics::psnr_y(&blurred, &image, 2)? as f32,
        lsd.total as f32,
        estimate_s(&image, 1.0)? as f32,
    ];
    values.extend(lsd.bands.iter().map(|v| *v as f32));
    let bands = radial_power(image.plane(1), image.size(), 5)?;
    values.extend(bands.power.iter().chain(&bands.frequency).map(|v| *v as f32));
    Ok(values)
}

fn models() -> Result<Vec<f32>> {
    let field = VelocityArchitecture::conv(2, 4, 1);
    field.validate()?;
    let restorer = Architecture::restorer(4, 8, 1);
    restorer.validate()?;
    let mut random = SplitMix64::new(2);
    let mut weights = Weights::default();
    for p in field.parameters() {
        let values = (0..p.len()).map(|_| random.normal() as f32).collect();
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    let mut adapter = LoraAdapter::new(&LoraConfig::new(2), &field.parameters(), 5)?;
    for module in adapter.modules_mut() {
        module.b_mut().fill(0.25);
    }
    let (config, bytes) = adapter.to_peft(Dtype::F16)?;
    LoraAdapter::from_peft(&config, &bytes, &field.parameters())?.merge(&mut weights, 0.5)?;
    let file = weights.to_safetensors(Dtype::F32)?;
    let again = Weights::from_safetensors(&file)?;
    again.check(&field.parameters())?;
    let hash = sha256_hex(config.as_bytes());
    let mut values: Vec<f32> = hash.bytes().map(f32::from).collect();
    values.extend(again.iter().flat_map(|(_, t)| t.values.iter().take(3)));
    values.push(restorer.parameter_count() as f32);
    Ok(values)
}

/// Runs a future that never waits.
fn finish<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(asasr_core::Error::Device(
            "a computation waits for nothing".into(),
        )),
    }
}
