//! `asasr bench kernels`: our kernels beside the device's peak, and a convolution and a restorer beside burn's.

use std::time::Instant;

use asasr_core::nn::{GraphNetwork, GraphValue, image_of};
use asasr_core::random::SplitMix64;
use asasr_core::{Executor, Planes, Rect, Size};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use crate::cli::{BenchKernels, Draw, Mode};
use crate::device::{DeviceChoice, burn_device};
use crate::error::{Error, Result};
use crate::executor::{AnyExecutor, ExecutorMaker};
use crate::graphs::Graphs;

/// Channels of the convolution.
const CHANNELS: usize = 48;
/// Runs of which the fastest counts, after one to warm up.
const RUNS: usize = 3;

/// Runs the command.
pub(crate) fn run(args: &BenchKernels) -> Result<()> {
    let side = usize::from(args.side);
    let ours = ours(side)?;
    say!(
        "\nA 3x3 convolution of {CHANNELS} to {CHANNELS} channels, {side}x{side} pixels, by its definition:\n"
    );
    say!("| | GFLOP/s | ours: times |\n|---|---:|---:|");
    let operations = (2 * 9 * CHANNELS * CHANNELS * side * side) as f64;
    for (name, device) in burns() {
        match burn(&device, side) {
            Ok(seconds) => {
                let speed = operations / seconds;
                say!("| burn, {name} | {:.1} | {:.1} |", speed / 1e9, ours / speed);
            }
            Err(why) => say!("| burn, {name} | none: {why} | |"),
        }
    }
    say!("| ours, the fastest of the above | {:.1} | 1.0 |", ours / 1e9);
    networks(side)
}

/// Prints how fast the default model's restorer is, by our operations and by burn's.
fn networks(side: usize) -> Result<()> {
    let graphs = Graphs::open(None)?;
    let (part, weights) = graphs.restorer()?;
    let scale = graphs.scale()?;
    let mut random = SplitMix64::new(1);
    let pixels = (0..3 * side * side).map(|_| random.unit() as f32).collect();
    let image = Planes::new(3, side, side, pixels)?;
    let run = |executor: &AnyExecutor| -> Result<Planes> {
        let place = Rect::whole(side, side);
        Ok(pollster::block_on(executor.run(&image, place, &|_, _| true))?)
    };
    let by_burn = |device: &Device| -> Result<(f64, Vec<f32>)> {
        let network = GraphNetwork::new(&part.graph, weights, device)?;
        best(|| {
            let given = TensorData::new(image.data().to_vec(), [1, 3, side, side]);
            let given = GraphValue::Map(Tensor::from_data(given, device));
            read(image_of(network.run_by_burn(&[given])?)?)
        })
    };
    say!(
        "\nThe restorer of {}, {side}x{side} pixels, from pixels in memory to pixels in memory:\n",
        graphs.id()
    );
    say!("| | ms | output MP/s | GFLOP/s |\n|---|---:|---:|---:|");
    let print = |name: &str, seconds: f64| {
        let inputs = (side * side) as f64;
        let outputs = inputs * (scale * scale) as f64;
        say!(
            "| {name} | {:.1} | {:.3} | {:.1} |",
            seconds * 1e3,
            outputs / seconds / 1e6,
            2.0 * part.graph.parameter_count() as f64 * inputs / seconds / 1e9
        );
    };
    let maker = |choice| ExecutorMaker::new(graphs.clone(), choice, Mode::Instant, Draw::default());
    let mut cpu = maker(DeviceChoice::Cpu)?;
    let [executor, _] = cpu.for_image(Size::new(side, side))?;
    let (seconds, want) = best(|| run(executor))?;
    print("ours, CPU", seconds);
    let mut gpu = maker(DeviceChoice::Wgpu)?;
    let name = gpu.device().to_owned();
    let [executor, _] = gpu.for_image(Size::new(side, side))?;
    let (seconds, got) = best(|| run(executor))?;
    agree(&name, got.data(), want.data())?;
    print(&format!("ours, {name}"), seconds);
    for (name, device) in burns() {
        match by_burn(&device) {
            Ok((seconds, got)) => {
                agree(name, &got, want.data())?;
                print(&format!("burn's kernels, {name}"), seconds);
            }
            Err(why) => say!("| burn's kernels, {name} | none: {why} | | |"),
        }
    }
    Ok(())
}

/// A device that computes nothing would be the fastest.
fn agree(name: &str, got: &[f32], want: &[f32]) -> Result<()> {
    let near = |(got, want): (&f32, &f32)| (got - want).abs() < 1e-2;
    if got.len() == want.len() && got.iter().zip(want).all(near) {
        return Ok(());
    }
    Err(Error::new(format!("{name} computes another image")))
}

/// The least time of some work, in seconds, and what it makes.
fn best<T>(work: impl Fn() -> Result<T>) -> Result<(f64, T)> {
    let mut made = work()?;
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        made = work()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok((least, made))
}

fn read(tensor: Tensor<4>) -> Result<Vec<f32>> {
    let read = tensor.try_into_data().map_err(|e| e.to_string());
    let read = read.and_then(|d| d.try_into_vec::<f32>().map_err(|e| e.to_string()));
    read.map_err(|e| Error::new(format!("burn failed: {e}")))
}

/// burn's devices in this build and on this machine.
fn burns() -> Vec<(&'static str, Device)> {
    use DeviceChoice::{Cpu, Cuda, Wgpu};
    let all = [("flex", Cpu), ("wgpu", Wgpu), ("CUDA", Cuda)];
    all.into_iter()
        .filter_map(|(name, choice)| Some((name, burn_device(choice).ok()?)))
        .collect()
}

/// Seconds of burn's own convolution; the network's layers take ours in its place on the CPU.
fn burn(device: &Device, side: usize) -> Result<f64> {
    let value = |i: usize| ((i * 7919) % 2003) as f32 / 2003.0 - 0.5;
    let values = |n: usize| (0..n).map(value).collect::<Vec<f32>>();
    let (x, weight) = (values(CHANNELS * side * side), values(CHANNELS * CHANNELS * 9));
    let tensor = |values: &[f32], shape: [usize; 4]| -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let image = tensor(&x, [1, CHANNELS, side, side]);
    let kernel = tensor(&weight, [CHANNELS, CHANNELS, 3, 3]);
    let (seconds, got) = best(|| {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        read(conv2d(image.clone(), kernel.clone(), None, options))
    })?;
    for (o, at) in [
        (0, side + 1),
        (CHANNELS / 2, side * (side / 2) + side / 2),
        (CHANNELS - 1, side * (side - 1) - 2),
    ] {
        let mut want = 0.0;
        for (i, k) in (0..CHANNELS).flat_map(|i| (0..9).map(move |k| (i, k))) {
            let there = i * side * side + at + (k / 3) * side + k % 3 - side - 1;
            want += f64::from(x[there]) * f64::from(weight[(o * CHANNELS + i) * 9 + k]);
        }
        let found = got[o * side * side + at];
        if (f64::from(found) - want).abs() > 1e-2 {
            return Err(Error::new(format!(
                "burn's convolution is wrong: {found} where {want:.4} is right"
            )));
        }
    }
    Ok(seconds)
}

/// Prints all our kernels; the speed of the fastest convolution in operations a second.
#[cfg(feature = "wgpu")]
fn ours(side: usize) -> Result<f64> {
    use asasr_shaders::Tuning;
    use asasr_shaders::measure::Meter;

    let gpu = pollster::block_on(asasr_shaders::Gpu::request(true))?;
    let start = Instant::now();
    let meter = Meter::new(&gpu, side, || start.elapsed().as_secs_f64() * 1e3);
    let peak = pollster::block_on(meter.peak())?;
    say!(
        "{}: {:.1} GFLOP/s in single precision, {:.1} GB/s; tiles of {side}x{side} pixels\n",
        gpu.adapter(),
        peak.operations / 1e9,
        peak.bytes / 1e9
    );
    say!("| kernel | ms | GFLOP/s | GB/s | of the roofline |\n|---|---:|---:|---:|---:|");
    let mut fastest = 0.0f64;
    let mut print = |m: &asasr_shaders::measure::Measured| {
        say!(
            "| {} | {:.3} | {:.1} | {:.1} | {:.0} % |",
            m.name,
            m.seconds * 1e3,
            m.operations / m.seconds / 1e9,
            m.bytes / m.seconds / 1e9,
            100.0 * m.share(peak)
        );
    };
    for tuning in Tuning::all(gpu.has_half()) {
        let measured = pollster::block_on(meter.convolution(3, tuning))?;
        print(&measured);
        fastest = fastest.max(measured.operations / measured.seconds);
    }
    print(&pollster::block_on(meter.convolution(1, gpu.tuning()))?);
    print(&pollster::block_on(meter.pointwise())?);
    pollster::block_on(meter.around())?.iter().for_each(&mut print);
    print(&pollster::block_on(meter.source())?);
    pollster::block_on(meter.finishing())?.iter().for_each(&mut print);
    Ok(fastest)
}

#[cfg(not(feature = "wgpu"))]
fn ours(_: usize) -> Result<f64> {
    Err(Error::new("this build has no wgpu: build with --features wgpu"))
}
