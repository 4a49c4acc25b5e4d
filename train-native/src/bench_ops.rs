//! `asasr bench ops`: what each operation of graphs costs on each executor.

use std::time::Instant;

use asasr_core::exec::{CpuNetwork, Scratch, Value};
use asasr_core::graph::{Size, TypedGraph, conformance};
use asasr_core::model::Weights;
use asasr_core::nn::{GraphNetwork, GraphValue};
use burn::tensor::{Device, Tensor, TensorData};

use crate::cli::BenchOps;
use crate::device::{DeviceChoice, burn_device};
use crate::error::{Error, Result};

/// Seconds that an operation is run for at least, after once to warm up.
const LEAST: f64 = 0.1;

/// Runs an operation again and again; returns when what was asked of it is done.
type Runner<'a> = Box<dyn FnMut(usize) -> Result<()> + 'a>;

/// Runs the command.
pub(crate) fn run(args: &BenchOps) -> Result<()> {
    let side = usize::from(args.side);
    say!(
        "Operations alone, about {side}x{side} pixels, 48 channels where their parameters allow it; what makes tokens of a map, and a map of"
    );
    say!("a result, counts with them. Billions of multiply-adds and of bytes a second.\n");
    say!("| operation | executor | ms | Gmac/s | GB/s |\n|---|---|---:|---:|---:|");
    #[cfg(feature = "wgpu")]
    let gpu = crate::gpu::open(true).ok();
    for (name, graph) in conformance::typical()? {
        let multiple = graph.size_multiple();
        let side = side.next_multiple_of(multiple);
        let size = Size::new(side, side);
        let cost = graph.cost(size)?;
        let weights = conformance::weights(&graph, 1);
        let inputs: Vec<Value> = conformance::inputs(&graph, size, 1)?
            .iter()
            .map(|t| Value {
                shape: t.shape(),
                data: t.data().iter().map(|v| *v as f32).collect(),
            })
            .collect();
        #[cfg_attr(not(feature = "wgpu"), expect(unused_mut, reason = "one device fewer"))]
        let mut all = runners(&graph, &weights, size, &inputs);
        #[cfg(feature = "wgpu")]
        if let Some(gpu) = &gpu {
            let name = format!("wgpu: {}", gpu.name());
            all.push((name, wgsl(gpu, &graph, &weights, size, &inputs)));
        }
        for (executor, runner) in all {
            let told = runner.and_then(|mut run| seconds(&mut run));
            match told {
                Ok(seconds) => say!(
                    "| {name} | {executor} | {:.3} | {:.2} | {:.2} |",
                    seconds * 1e3,
                    cost.multiply_adds as f64 / seconds / 1e9,
                    cost.bytes as f64 / seconds / 1e9
                ),
                Err(why) => say!("| {name} | {executor} | none: {why} | | |"),
            }
        }
    }
    Ok(())
}

/// The mean time of a run.
fn seconds(run: &mut Runner<'_>) -> Result<f64> {
    run(1)?;
    let mut times = 1;
    loop {
        let start = Instant::now();
        run(times)?;
        let taken = start.elapsed().as_secs_f64();
        if taken >= LEAST {
            return Ok(taken / times as f64);
        }
        times *= 2;
    }
}

/// The processor's executor and burn's, each with the operation made ready.
fn runners<'a>(
    graph: &'a TypedGraph,
    weights: &'a Weights,
    size: Size,
    inputs: &'a [Value],
) -> Vec<(String, Result<Runner<'a>>)> {
    let mut all = vec![("CPU".to_owned(), cpu(graph, weights, size, inputs))];
    let flex = ("burn, CPU", Ok(Device::flex()));
    let cuda = ("burn, CUDA", burn_device(DeviceChoice::Cuda));
    for (name, device) in [flex, cuda] {
        // A device that this build or machine has not is no line.
        if let Ok(device) = device {
            all.push((name.to_owned(), burn(graph, weights, inputs, &device)));
        }
    }
    all
}

fn cpu<'a>(graph: &TypedGraph, weights: &Weights, size: Size, inputs: &'a [Value]) -> Result<Runner<'a>> {
    let network = CpuNetwork::new(graph, weights.clone())?;
    let mut scratch = Scratch::default();
    Ok(Box::new(move |times| {
        let mut once = || network.run(size, inputs, &mut scratch).map(drop);
        Ok((0..times).try_for_each(|_| once())?)
    }))
}

fn burn<'a>(graph: &TypedGraph, weights: &Weights, inputs: &[Value], device: &Device) -> Result<Runner<'a>> {
    let network = GraphNetwork::new(graph, weights, device)?;
    let given: Vec<GraphValue> = inputs.iter().map(|value| on(value, device)).collect();
    Ok(Box::new(move |times| {
        let mut last = None;
        for _ in 0..times {
            last = network.run(&given)?.pop();
        }
        // Devices work on while the program does: the last result waits for all.
        let Some(GraphValue::Map(made)) = last else {
            return Err(Error::new("nothing was made"));
        };
        let read = made.try_into_vec_as::<f32>();
        read.map(drop)
            .map_err(|e| Error::new(format!("the device failed: {e}")))
    }))
}

/// A value as a batch of one.
fn on(value: &Value, device: &Device) -> GraphValue {
    use asasr_core::graph::Places;

    let (channels, data) = (value.shape.channels, value.data.clone());
    match value.shape.places {
        Places::Map(size) => {
            let shape = [1, channels, size.height, size.width];
            GraphValue::Map(Tensor::from_data(TensorData::new(data, shape), device))
        }
        // Inputs of graphs are maps and vectors.
        Places::Tokens(_) | Places::Vector => {
            GraphValue::Vector(Tensor::from_data(TensorData::new(data, [1, channels]), device))
        }
    }
}

#[cfg(feature = "wgpu")]
fn wgsl<'a>(
    gpu: &asasr_shaders::Gpu,
    graph: &TypedGraph,
    weights: &Weights,
    size: Size,
    inputs: &[Value],
) -> Result<Runner<'a>> {
    let network = asasr_shaders::WgslNetwork::new(gpu, graph, weights)?;
    let given: Vec<asasr_shaders::DeviceValue> = inputs
        .iter()
        .map(|value| pollster::block_on(network.upload(value)))
        .collect::<asasr_core::Result<_>>()?;
    Ok(Box::new(move |times| {
        let given: Vec<&asasr_shaders::DeviceValue> = given.iter().collect();
        let mut last = None;
        for _ in 0..times {
            last = pollster::block_on(network.launch(size, &given))?.pop();
        }
        let last = last.ok_or_else(|| Error::new("nothing was made"))?;
        Ok(pollster::block_on(network.download(last)).map(drop)?)
    }))
}
