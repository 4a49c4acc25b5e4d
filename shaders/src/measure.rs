//! How fast each kernel is, and how fast the device could be.

use asasr_core::flow::{ColourAnchor, Source};
use asasr_core::graph::ops::{
    Add, Concat, Interpolation, Leaky, Modulate, PixelShuffle, PixelUnshuffle, Resize,
};
use asasr_core::graph::{Builder, Graph, Scale};
use asasr_core::spectral::{ColouredNoise, Spectrum};
use asasr_core::{Part, Planes, Rect, Result, Size};
use wgpu::BufferUsages;

use crate::executor::part_words;
use crate::flow::step_words;
use crate::gpu::{Cover, Gpu, Pass, STORAGE};
use crate::graph::Ends;
use crate::image::GpuImage;
use crate::kernels;
use crate::noise::NoiseMaker;
use crate::resample::Resampler;
use crate::trial::{self, CHANNELS, Trial};
use crate::tuning::Tuning;

const PEAK: &str = include_str!("../shader/peak.wgsl");

const SCALE: usize = 4;
/// Milliseconds that each kernel is timed for at least.
const LEAST: f64 = 50.0;

/// A kernel's time, and the work that it cannot avoid.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The file's name, and how it ran.
    pub name: String,
    /// Seconds of one run.
    pub seconds: f64,
    /// Floating-point operations, of a convolution by its definition.
    pub operations: f64,
    /// Bytes that are read or written at least once.
    pub bytes: f64,
}

/// What a device is capable of.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// Operations a second of chains of multiply-adds in single precision.
    pub operations: f64,
    /// Bytes a second of copies between buffers, both ways counted.
    pub bytes: f64,
}

impl Measured {
    /// Share of the roofline: the least time that the work takes at the device's peak, over the time it took.
    pub fn share(&self, peak: Peak) -> f64 {
        (self.operations / peak.operations).max(self.bytes / peak.bytes) / self.seconds
    }
}

/// Measures kernels on a device.
#[derive(Debug)]
pub struct Meter<'a, F> {
    gpu: &'a Gpu,
    /// A tile's.
    size: Size,
    /// Tells the time in milliseconds.
    now: F,
}

impl<'a, F: Fn() -> f64> Meter<'a, F> {
    /// For tiles of `side` by `side` pixels.
    pub fn new(gpu: &'a Gpu, side: usize, now: F) -> Self {
        Self {
            gpu,
            size: Size::new(side, side),
            now,
        }
    }

    /// Seconds of what `work` encodes.
    async fn time(&self, work: impl Fn(&mut Pass<'_>)) -> Result<f64> {
        let mut count = 1;
        loop {
            let start = (self.now)();
            let last = self
                .gpu
                .submit_watched(|pass| (0..count).for_each(|_| work(pass)));
            self.gpu.done(last).await?;
            let time = (self.now)() - start;
            // The first run compiles.
            if time >= LEAST && count > 1 {
                return Ok(time / 1e3 / f64::from(count));
            }
            count *= 2;
        }
    }

    /// Seconds of what `work` submits, the least of `runs`.
    async fn least(&self, runs: usize, work: impl AsyncFn() -> Result<()>) -> Result<f64> {
        let mut least = f64::MAX;
        for _ in 0..runs {
            let start = (self.now)();
            work().await?;
            // Nothing, after all that.
            self.gpu.done(self.gpu.submit_watched(|_| {})).await?;
            least = least.min((self.now)() - start);
        }
        Ok(least / 1e3)
    }

    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn peak(&self) -> Result<Peak> {
        const INVOCATIONS: usize = 1 << 19;
        const ROUNDS: usize = 512;
        let gpu = self.gpu;
        let cover = Cover {
            group: (64, 1),
            pixels: 1,
            depth: 1,
        };
        let kernel = gpu.kernel(
            "peak",
            &gpu.module("peak", PEAK),
            &[("ROUNDS", ROUNDS as f64)],
            cover,
        );
        let out = gpu.buffer("peak", (INVOCATIONS * 16) as u64, STORAGE);
        let chains = self
            .time(|pass| pass.dispatch(&kernel, &[&out], Size::new(INVOCATIONS, 1)))
            .await?;
        let bytes = 64u64 << 20;
        let usage = BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let [a, b] = ["from", "to"].map(|label| gpu.buffer(label, bytes, usage));
        let copy = async || {
            gpu.submit(
                |_| {},
                |encoder| (0..4).for_each(|_| encoder.copy_buffer_to_buffer(&a, 0, &b, 0, bytes)),
            );
            Ok(())
        };
        let copied = self.least(4, copy).await? / 4.0;
        Ok(Peak {
            operations: (INVOCATIONS * ROUNDS * 8 * 4 * 2) as f64 / chains,
            bytes: 2.0 * bytes as f64 / copied,
        })
    }

    /// A layer of 48 to 48 channels, tuned in a way.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn convolution(&self, kernel: usize, tuning: Tuning) -> Result<Measured> {
        let products = CHANNELS * CHANNELS * kernel * kernel;
        let name = if kernel == 3 {
            format!("conv3x3, {tuning}")
        } else {
            format!("conv1x1, {}x{}", tuning.group.0, tuning.group.1)
        };
        self.graph(
            &name,
            trial::convolution(kernel),
            Ends::Features,
            tuning,
            2 * products,
        )
        .await
    }

    /// A modulation of 48 channels.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn pointwise(&self) -> Result<Measured> {
        let mut b = Builder::new();
        let x = b.map("features", CHANNELS, Scale::ONE);
        let [gamma, beta] = ["gamma", "beta"].map(|name| b.vector(name, CHANNELS));
        let y = b.node("layer", Modulate {}, &[&x, &gamma, &beta]);
        let y = b.after("layer", Leaky { slope: 0.1 }, &[&y]);
        let graph = b.output("features", &y);
        self.graph("pointwise", graph, Ends::Features, self.gpu.tuning, 3 * CHANNELS)
            .await
    }

    /// A graph of so many operations for a pixel, tuned in a way.
    async fn graph(
        &self,
        name: &str,
        graph: Graph,
        ends: Ends,
        tuning: Tuning,
        operations: usize,
    ) -> Result<Measured> {
        let mut gpu = self.gpu.clone();
        gpu.set_tuning(tuning)?;
        let Size { width, height } = self.size;
        let trial = Trial::new(&gpu, graph, self.size, ends).await?;
        let seconds = self.time(|pass| trial.encode(pass));
        Ok(Measured {
            name: name.to_owned(),
            seconds: seconds.await?,
            operations: (operations * width * height) as f64,
            bytes: trial.bytes() as f64,
        })
    }

    /// What stands around a network: before it, after it, and a step of the solver.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn around(&self) -> Result<Vec<Measured>> {
        let gpu = self.gpu;
        let large = self.size.times(SCALE);
        let planes = 3 * large.pixels();
        let numbers = 3 * SCALE * SCALE;
        let gathered = self
            .graph("gather", gather(), Ends::Planes, gpu.tuning, 0)
            .await?;
        let words = gpu.uniform("frame", &step_words(large, 0.25, 1.0));
        let [velocity, state] =
            ["velocity", "state"].map(|label| gpu.buffer(label, (planes * 4) as u64, STORAGE));
        let step = kernels::step(gpu);
        let stepped = self
            .time(|pass| pass.dispatch(&step, &[&words, &velocity, &state], large))
            .await?;
        // Twenty multiply-adds for each value, and the cubic's weights for each pixel.
        let enlarged = self
            .graph(
                "enlarge",
                enlarge(),
                Ends::Planes,
                gpu.tuning,
                (40 + 10) * numbers,
            )
            .await?;
        Ok(vec![
            gathered,
            Measured {
                name: "step".into(),
                seconds: stepped,
                operations: (5 * planes) as f64,
                bytes: (4 * 3 * planes) as f64,
            },
            enlarged,
        ])
    }

    /// The colour anchor of an enlarged tile, one output pixel wide, and the part of it that counts.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn finishing(&self) -> Result<Vec<Measured>> {
        let gpu = self.gpu;
        let large = self.size.times(SCALE);
        let Size { width, height } = large;
        let numbers = 3 * width * height;
        let (sample, mean) = (GpuImage::new(gpu, large).await?, GpuImage::new(gpu, large).await?);
        let anchor = ColourAnchor::new(1.0)?;
        let resampler = Resampler::anchoring(gpu);
        let seconds = self.least(4, async || resampler.anchor(gpu, &sample, &mean, anchor).await);
        let seconds = seconds.await?;
        let taps = 2 * anchor.reach() + 1;
        let anchored = Measured {
            name: "resample, twice: the colour anchor".into(),
            seconds,
            operations: (numbers * (2 * 2 * taps + taps + 1)) as f64,
            bytes: (4 * 6 * numbers) as f64,
        };
        let part = Part {
            whole: large,
            inner: Rect::whole(width, height),
            columns: vec![1.0; width],
            rows: vec![1.0; height],
        };
        let words = gpu.uniform("part", &part_words(&part, large));
        let weights = gpu.upload("weights", &vec![1.0f32; width + height]);
        let kernel = kernels::part(gpu);
        let bound = [&words, &*sample.buffer, &weights, &*mean.buffer];
        let seconds = self.time(|pass| pass.dispatch(&kernel, &bound, large));
        let parted = Measured {
            name: "part".into(),
            seconds: seconds.await?,
            operations: (2 * numbers) as f64,
            bytes: (4 * 2 * numbers) as f64,
        };
        Ok(vec![anchored, parted])
    }

    /// A flow's source for an enlarged tile: its deviation, which the host computes, noise, transforms there and back, weights.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub async fn source(&self) -> Result<Measured> {
        let gpu = self.gpu;
        let large = self.size.times(SCALE);
        let Size { width, height } = large;
        let noise = ColouredNoise::new(1, large, Spectrum::sobolev(1.5)?)?;
        let place = Rect::whole(width, height);
        let maker = NoiseMaker::new(gpu);
        let mean = GpuImage::new(gpu, large).await?;
        let source = Source::LocalPosteriorMean {
            sigma: 0.1,
            least: 0.005,
            slope: 0.5,
        };
        let low = Planes::zeros(3, self.size.height, self.size.width);
        let make = async || {
            maker
                .source(gpu, &source, (&low, &mean), &noise, place)
                .await
                .map(drop)
        };
        let seconds = self.least(3, make).await?;
        let operations: usize = noise
            .blocks(place)
            .map(|b| b.seen.width() * b.seen.height() * (b.seen.width() + b.seen.height()) * 3 * 4)
            .sum();
        Ok(Measured {
            name: "white_noise, transform, source".into(),
            seconds,
            operations: operations as f64,
            bytes: (2 * 3 * width * height * 4) as f64,
        })
    }
}

/// What a velocity field begins with.
fn gather() -> Graph {
    let mut b = Builder::new();
    let low = b.map("low", 3, Scale::ONE);
    let scale = Scale::new(SCALE, 1).unwrap_or(Scale::ONE);
    let blocks = ["state", "mean"].map(|name| {
        let large = b.map(name, 3, scale);
        b.after(name, PixelUnshuffle { factor: SCALE }, &[&large])
    });
    let all = b.node("input", Concat {}, &[&blocks[0], &low, &blocks[1]]);
    b.output("input", &all)
}

/// What a restorer ends with.
fn enlarge() -> Graph {
    let mut b = Builder::new();
    let image = b.map("image", 3, Scale::ONE);
    let features = b.map("features", 3 * SCALE * SCALE, Scale::ONE);
    let larger = b.node("larger", PixelShuffle { factor: SCALE }, &[&features]);
    let by = Interpolation::Bicubic;
    let skip = b.node("skip", Resize { factor: SCALE, by }, &[&image]);
    let sum = b.node("sum", Add {}, &[&larger, &skip]);
    b.output("image", &sum)
}
