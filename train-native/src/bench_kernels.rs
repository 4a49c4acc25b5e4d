//! `asasr bench kernels`: our kernels beside the device's peak, and a convolution beside burn's.

use std::time::Instant;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use crate::cli::BenchKernels;
use crate::device::{DeviceChoice, burn_device};
use crate::error::{Error, Result};

/// Channels of the convolution.
const CHANNELS: usize = 48;

/// Runs the command.
pub(crate) fn run(args: &BenchKernels) -> Result<()> {
    let side = usize::from(args.side);
    let ours = ours(side)?;
    println!(
        "\nA 3x3 convolution of {CHANNELS} to {CHANNELS} channels, {side}x{side} pixels, by its definition:\n"
    );
    println!("| | GFLOP/s | ours: times |\n|---|---:|---:|");
    let operations = (2 * 9 * CHANNELS * CHANNELS * side * side) as f64;
    for (name, device) in burns() {
        match burn(&device, side) {
            Ok(seconds) => {
                let speed = operations / seconds;
                println!("| burn, {name} | {:.1} | {:.1} |", speed / 1e9, ours / speed);
            }
            Err(why) => println!("| burn, {name} | none: {why} | |"),
        }
    }
    println!("| ours, the fastest of the above | {:.1} | 1.0 |", ours / 1e9);
    Ok(())
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
    let once = || -> Result<Vec<f32>> {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let y: Tensor<4> = conv2d(image.clone(), kernel.clone(), None, options);
        let read = y.try_into_data().map_err(|e| e.to_string());
        let read = read.and_then(|d| d.try_into_vec::<f32>().map_err(|e| e.to_string()));
        read.map_err(|e| Error::new(format!("burn's convolution failed: {e}")))
    };
    // A device that computes nothing would be the fastest.
    let got = once()?;
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
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        once()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
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
    println!(
        "{}: {:.1} GFLOP/s in single precision, {:.1} GB/s; tiles of {side}x{side} pixels\n",
        gpu.adapter(),
        peak.operations / 1e9,
        peak.bytes / 1e9
    );
    println!("| kernel | ms | GFLOP/s | GB/s | of the roofline |\n|---|---:|---:|---:|---:|");
    let mut fastest = 0.0f64;
    let mut print = |m: &asasr_shaders::measure::Measured| {
        println!(
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
