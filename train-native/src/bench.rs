//! `asasr bench train`: what a training step of a flow costs, and where the time goes.

use std::time::{Duration, Instant};

use asasr_core::model::VelocityArchitecture;
use asasr_core::nn::{Conditioning, Parameters, init_velocity, upload, velocity_field};
use asasr_core::objective::{PathPoint, SobolevMetric, flow_loss};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{Laplacian, Spectrum};
use asasr_core::{Planes, Size};
use burn::optim::{Adam, AdamConfig, AdamState, Optimizer as _};
use burn::tensor::{Device, Tensor};

use crate::cli::BenchTrain;
use crate::device::{Precision, burn_device};
use crate::error::{Error, Result};
use crate::memory;
use crate::train::config::Backbone;
use crate::train::{Batch, Dataset, scalar};

const SCALE: usize = 4;
/// Side of the drawn photograph that crops are taken from.
const PHOTO: usize = 1024;

/// Time spent in the parts of a step.
#[derive(Clone, Copy, Default)]
struct Parts {
    data: Duration,
    forward: Duration,
    backward: Duration,
    update: Duration,
}

impl Parts {
    fn all(&self) -> Duration {
        self.data + self.forward + self.backward + self.update
    }
}

/// Runs the command.
pub(crate) fn train(args: &BenchTrain) -> Result<()> {
    let device = burn_device(args.device)?;
    args.precision.check(&device)?;
    let (channels, blocks) = (args.channels.into(), args.blocks.into());
    let architecture = match args.backbone {
        Backbone::Conv => VelocityArchitecture::conv(SCALE, channels, blocks),
        Backbone::Dit => VelocityArchitecture::dit(SCALE, channels, blocks),
    };
    architecture.validate()?;
    let photos = Dataset::of(&[drawn()], SCALE, args.protocol)?;
    say!(
        "{} parameters, protocol {}, {}, medians of {} steps; GFLOP/s by the definition of a convolution",
        architecture.parameter_count(),
        args.protocol.name(),
        args.precision.name(),
        args.rounds
    );
    say!(
        "{:>5} {:>5} {:>9} {:>10} {:>6} {:>8} {:>9} {:>7} {:>9} {:>12}",
        "batch",
        "patch",
        "ms/step",
        "crops/s",
        "data",
        "forward",
        "backward",
        "update",
        "GFLOP/s",
        "us/pixel"
    );
    let (batch, patch): (usize, usize) = (args.batch.into(), args.patch.into());
    // Twice the batch, and twice the side: both should cost in proportion to the pixels.
    for (batch, patch) in [(batch, patch), (2 * batch, patch), (batch, 2 * patch)] {
        let parts = steps(
            &architecture,
            &photos,
            (batch, patch),
            (args.rounds.into(), args.precision),
            &device,
        )?;
        let seconds = parts.all().as_secs_f64();
        let share = |part: Duration| format!("{:.0} %", 100.0 * part.as_secs_f64() / seconds);
        let pixels = batch * patch * patch;
        // A multiplication and an addition per weight and pixel, once forward and twice backward.
        let work = 6.0 * per_pixel(&architecture) as f64 * pixels as f64;
        say!(
            "{batch:>5} {patch:>5} {:>9.1} {:>10.2} {:>6} {:>8} {:>9} {:>7} {:>9.1} {:>12.3}",
            1e3 * seconds,
            batch as f64 / seconds,
            share(parts.data),
            share(parts.forward),
            share(parts.backward),
            share(parts.update),
            work / seconds / 1e9,
            1e6 * seconds / pixels as f64
        );
    }
    if let Some(peak) = memory::peak() {
        say!("peak memory of the process: {peak} MB");
    }
    Ok(())
}

/// Weights that every low-quality pixel is multiplied by; attention's own products are left out.
fn per_pixel(architecture: &VelocityArchitecture) -> usize {
    let each_image = ["time.", "film", "modulation"];
    architecture
        .parameters()
        .iter()
        .filter(|p| p.shape.len() >= 2 && p.name.ends_with(".weight"))
        .filter(|p| !each_image.iter().any(|part| p.name.contains(part)))
        .map(asasr_core::model::ParameterShape::len)
        .sum()
}

/// The median step of `rounds`, after two to warm up.
fn steps(
    architecture: &VelocityArchitecture,
    photos: &Dataset,
    (batch, patch): (usize, usize),
    (rounds, precision): (usize, Precision),
    device: &Device,
) -> Result<Parts> {
    let field = velocity_field(architecture)?;
    let side = patch * SCALE;
    let metric = SobolevMetric::new(
        Size::new(side, side),
        Spectrum::default(),
        Laplacian::default(),
        device,
    )?;
    let mut parameters = upload(&init_velocity(architecture, 1), device);
    let adam: Adam = AdamConfig::new().build();
    let mut moments: std::collections::BTreeMap<String, AdamState<1>> = std::collections::BTreeMap::new();
    let mut measured = Vec::new();
    for step in 0..rounds as u64 + 2 {
        let mut parts = Parts::default();
        let start = Instant::now();
        let Batch { low, skip, high } = photos.crops(1, step, batch, patch)?.on(device);
        parts.data = start.elapsed();

        let start = Instant::now();
        let tracked: Parameters = parameters
            .iter()
            .map(|(n, p)| (n.clone(), p.clone().autodiff().require_grad()))
            .collect();
        let t: Tensor<1> = Tensor::full([batch], 0.5, device);
        let point = PathPoint::new(&skip, &high, &t);
        let condition = Conditioning {
            low,
            mean: Some(skip),
        };
        let v = field.velocity(&precision.of(&tracked), point.x_t.clone(), t, &condition);
        let loss = flow_loss(&metric, point.residual(v), 0.5) * precision.loss_scale();
        // Reading the value waits for the device.
        scalar(loss.clone().inner())?;
        parts.forward = start.elapsed();

        let start = Instant::now();
        let mut gradients = loss.backward();
        let gradients: Vec<(String, Tensor<1>)> = tracked
            .into_iter()
            .filter_map(|(n, p)| p.grad_remove(&mut gradients).map(|g| (n, g)))
            .collect();
        if let Some((_, last)) = gradients.last() {
            scalar(last.clone().sum())?;
        }
        parts.backward = start.elapsed();

        let start = Instant::now();
        for (name, gradient) in gradients {
            let old = parameters[&name].clone();
            let (new, state) = adam.step(1e-4, old, gradient, moments.remove(&name));
            parameters.insert(name.clone(), new);
            moments.extend(state.map(|s| (name, s)));
        }
        let last = parameters
            .values()
            .next_back()
            .ok_or_else(|| Error::new("no parameters"))?;
        scalar(last.clone().sum())?;
        parts.update = start.elapsed();
        if step >= 2 {
            measured.push(parts);
        }
    }
    measured.sort_by_key(Parts::all);
    Ok(measured[measured.len() / 2])
}

/// A photograph's stand-in.
fn drawn() -> Planes {
    let mut image = Planes::zeros(3, PHOTO, PHOTO);
    let mut random = SplitMix64::new(1);
    for v in image.data_mut() {
        *v = random.unit() as f32;
    }
    image
}
