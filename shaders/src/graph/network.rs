//! A graph with its weights on a device.

use std::sync::{Arc, Mutex};

use asasr_core::exec::Value;
use asasr_core::exec::shade::Work;
use asasr_core::graph::passes::{Kernel, Slots, fold, place};
use asasr_core::graph::{Fault, Places, Shape, Size, TypedGraph};
use asasr_core::model::Weights;
use asasr_core::{Error, Result};
use wgpu::{Buffer, BufferBinding, BufferUsages};

use super::plan::{self, Ends, SIZES, Store};
use super::text::{Bound, Calls, kernel_text};
use crate::gpu::{Gpu, Pass, Pipeline, READ, STORAGE, unknown};
use crate::pack;
use crate::pool::Pooled;
use crate::tuning::Precision;

/// Usage of what goes in and out.
pub(crate) const END: BufferUsages = BufferUsages::STORAGE
    .union(BufferUsages::COPY_DST)
    .union(BufferUsages::COPY_SRC);
/// Bytes of a kernel's sizes.
const FRAME: usize = SIZES * 16;
/// Sizes of images whose plans are remembered: of tiles in the middle, at two edges, and in the corner.
const REMEMBERED: usize = 4;

/// A graph with its weights on a device, ready to run.
#[derive(Debug)]
pub struct WgslNetwork {
    gpu: Gpu,
    graph: TypedGraph,
    stores: Vec<Store>,
    kernels: Vec<Kernel>,
    ready: Vec<Ready>,
    /// The values of the outputs, each once, inputs apart.
    made: Vec<usize>,
    precision: Precision,
    planned: Mutex<Vec<Arc<Planned>>>,
}

/// A kernel on the device.
#[derive(Debug)]
struct Ready {
    stages: Vec<(Pipeline, Calls)>,
    bound: Vec<Bound>,
    sizes: Vec<usize>,
    parameters: Option<Buffer>,
    weights: Option<Buffer>,
    scratch: u64,
}

/// What is known for one size of images.
#[derive(Debug)]
pub(crate) struct Planned {
    size: Size,
    shapes: Vec<Shape>,
    slots: Slots,
    /// The sizes that kernels know, [`FRAME`] bytes each.
    frames: Buffer,
    /// Work-groups of every stage of every kernel.
    groups: Vec<Vec<[u32; 3]>>,
    scratch: u64,
}

/// Memory between the kernels of one run.
#[derive(Debug)]
pub(crate) struct Held {
    slots: Vec<Pooled>,
    scratch: Option<Pooled>,
}

/// A value on the device.
#[derive(Debug)]
pub struct DeviceValue {
    buffer: Pooled,
    shape: Shape,
}

impl DeviceValue {
    /// Its dimensions.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

impl WgslNetwork {
    /// Whether the device runs a graph, whatever the size of images.
    ///
    /// # Errors
    /// [`Error::NotTaken`], naming the first node that it does not, and why.
    pub fn supports(gpu: &Gpu, graph: &TypedGraph) -> Result<()> {
        plan::supports(graph, &gpu.device.limits())
    }

    /// Folds and fuses the graph, uploads the weights and compiles the kernels, in the precision that the device is tuned to.
    ///
    /// # Errors
    /// [`Error::Weights`] when a tensor is missing or is none of the graph's; as [`Self::supports`]; [`Error::Device`] when the device
    /// refuses.
    pub fn new(gpu: &Gpu, graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        Self::supports(gpu, graph)?;
        let (graph, weights) = fold(graph, weights.clone())?;
        Self::unfolded(gpu, graph, &weights, Ends::Planes)
    }

    /// The same for a graph that has nothing to fold, as those of format 1, where inputs and outputs may lie otherwise.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn unfolded(gpu: &Gpu, graph: TypedGraph, weights: &Weights, ends: Ends) -> Result<Self> {
        weights.check(graph.parameters())?;
        Self::supports(gpu, &graph)?;
        let stores = plan::stores(&graph, ends);
        let kernels = plan::kernels(&graph, &gpu.device.limits());
        let tuning = gpu.tuning;
        let ready = kernels.iter().map(|kernel| {
            let text = kernel_text(&graph, &stores, kernel, weights, tuning)?;
            let bound = text.bound;
            let written = |i: usize| bound[i] == Bound::Scratch;
            let compiled = |(text, calls): &(String, Calls)| {
                let pipeline = gpu.pipeline(text, bound.len(), written);
                (pipeline, *calls)
            };
            let some = |values: &[f32], precision| {
                let upload = || gpu.upload_in(precision, "learned", values);
                (!values.is_empty()).then(upload)
            };
            Ok(Ready {
                stages: text.stages.iter().map(compiled).collect(),
                sizes: text.sizes,
                parameters: some(&text.parameters, Precision::Full),
                weights: some(&text.weights, text.precision),
                scratch: text.scratch,
                bound,
            })
        });
        let ready = ready.collect::<Result<_>>()?;
        gpu.check()?;
        let mut made = Vec::new();
        for value in graph.outputs() {
            if graph.maker(*value).is_some() && !made.contains(value) {
                made.push(*value);
            }
        }
        Ok(Self {
            gpu: gpu.clone(),
            stores,
            kernels,
            ready,
            made,
            precision: tuning.precision,
            planned: Mutex::default(),
            graph,
        })
    }

    /// The graph as it is run.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// Bytes of a value.
    fn bytes(&self, value: usize, shape: &Shape) -> u64 {
        let numbers = match self.stores[value] {
            Store::Planes => shape.numbers(),
            Store::Single | Store::Real => pack::groups(shape.channels) * 4 * shape.places.count(),
        };
        let width = match self.stores[value] {
            Store::Planes | Store::Single => 4,
            Store::Real => self.precision.bytes(),
        };
        (numbers * width).next_multiple_of(4) as u64
    }

    /// Bytes of a value in a run.
    pub(crate) fn bytes_at(&self, planned: &Planned, value: usize) -> u64 {
        self.bytes(value, &planned.shapes[value])
    }

    /// What a run on images of a size needs.
    ///
    /// # Errors
    /// [`Error::Graph`] when the graph takes no such images; [`Error::Exhausted`] when a value is too large for the device.
    pub(crate) fn plan(&self, size: Size) -> Result<Arc<Planned>> {
        let mut kept = self.planned.lock().map_err(|_| unknown())?;
        if let Some(found) = kept.iter().find(|p| p.size == size) {
            return Ok(Arc::clone(found));
        }
        let shapes = self.graph.shapes(size)?;
        // Slots are counted in bytes; outputs have buffers of their own.
        let in_bytes = |(value, shape): (usize, &Shape)| Shape {
            channels: if self.made.contains(&value) {
                0
            } else {
                self.bytes(value, shape) as usize
            },
            places: Places::Vector,
        };
        let counted: Vec<Shape> = shapes.iter().enumerate().map(in_bytes).collect();
        let slots = place(&self.graph, &self.kernels, &counted, |_| None);
        let mut frames = Vec::with_capacity(self.ready.len() * FRAME / 4);
        let mut groups: Vec<Vec<[u32; 3]>> = Vec::with_capacity(self.ready.len());
        for ready in &self.ready {
            let made = &shapes[ready.sizes[0]];
            groups.push(ready.stages.iter().map(|(_, calls)| calls.groups(made)).collect());
            let words = ready.sizes.iter().flat_map(|v| frame(&shapes[*v]));
            frames.extend(words);
            frames.resize(frames.len().next_multiple_of(FRAME / 4), 0);
        }
        let most = self.gpu.device.limits().max_compute_workgroups_per_dimension;
        if let Some(n) = groups.iter().flatten().flatten().find(|n| **n > most) {
            return Err(Error::Exhausted(format!(
                "it takes {n} groups of places in a row, the GPU allows {most}"
            )));
        }
        let planned = Arc::new(Planned {
            size,
            slots,
            groups,
            frames: self.gpu.uniform("frames", &frames),
            scratch: self.ready.iter().map(|r| r.scratch).max().unwrap_or(0),
            shapes,
        });
        if kept.len() == REMEMBERED {
            kept.remove(0);
        }
        kept.push(Arc::clone(&planned));
        Ok(planned)
    }

    /// Memory for one run.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the device has none.
    pub(crate) async fn hold(&self, planned: &Planned) -> Result<Held> {
        let slots = planned.slots.numbers().iter().map(|bytes| (*bytes).max(4));
        let scratch = (planned.scratch > 0).then_some(planned.scratch);
        let wanted: Vec<_> = slots.chain(scratch).map(|bytes| (bytes, STORAGE)).collect();
        let mut slots = self.gpu.take_all(&wanted).await?;
        let scratch = scratch.and_then(|_| slots.pop());
        Ok(Held { slots, scratch })
    }

    /// Encodes all kernels; `inputs` are those of the graph, `outputs` the different values that it makes of them.
    pub(crate) fn encode(
        &self,
        pass: &mut Pass<'_>,
        planned: &Planned,
        held: &Held,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
    ) {
        let at = |value: usize| -> Option<&Buffer> {
            if let Some(i) = self.made.iter().position(|v| *v == value) {
                return Some(outputs[i]);
            }
            match planned.slots.of(value) {
                None => inputs.get(value).copied(),
                Some(slot) => Some(&held.slots[slot]),
            }
        };
        let whole = |buffer| BufferBinding {
            buffer,
            offset: 0,
            size: None,
        };
        for (i, ready) in self.ready.iter().enumerate() {
            let bound = ready.bound.iter().filter_map(|bound| match bound {
                Bound::Frame => Some(BufferBinding {
                    buffer: &planned.frames,
                    offset: (i * FRAME) as u64,
                    size: wgpu::BufferSize::new(FRAME as u64),
                }),
                Bound::Output => at(ready.sizes[0]).map(whole),
                Bound::Value(value) => at(*value).map(whole),
                Bound::Parameters => ready.parameters.as_ref().map(whole),
                Bound::Weights => ready.weights.as_ref().map(whole),
                Bound::Scratch => held.scratch.as_deref().map(whole),
            });
            let bound: Vec<BufferBinding<'_>> = bound.collect();
            for ((pipeline, _), groups) in ready.stages.iter().zip(&planned.groups[i]) {
                pass.run(pipeline, &bound, *groups);
            }
        }
    }

    /// Uploads a value for an input of the graph.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the device has no room.
    pub async fn upload(&self, value: &Value) -> Result<DeviceValue> {
        let shape = value.shape;
        let bytes = match shape.places {
            Places::Map(_) => shape.numbers(),
            Places::Tokens(_) | Places::Vector => shape.channels.next_multiple_of(4),
        } * 4;
        let [buffer] = self.gpu.take([(bytes as u64, END)]).await?;
        let mut data = value.data.clone();
        data.resize(bytes / 4, 0.0);
        self.gpu.write(&buffer, &data);
        Ok(DeviceValue { buffer, shape })
    }

    /// The outputs for `inputs` of an image of `size`, in the order of the description; nothing leaves the device.
    ///
    /// # Errors
    /// [`Error::Graph`] when the inputs are not those of such an image; [`Error::Exhausted`] when the device has no room.
    pub async fn launch(&self, size: Size, inputs: &[&DeviceValue]) -> Result<Vec<DeviceValue>> {
        let planned = self.plan(size)?;
        let own = &planned.shapes[..self.graph.graph().inputs.len()];
        if !own.iter().eq(inputs.iter().map(|given| &given.shape)) {
            let why = "the inputs are not those of an image of that size".into();
            return Err(Fault::Size(why).whole().into());
        }
        let held = self.hold(&planned).await?;
        let wanted = self.graph.outputs().iter();
        let wanted = wanted.map(|v| (self.bytes(*v, &planned.shapes[*v]), END));
        let buffers = self.gpu.take_all(&wanted.collect::<Vec<_>>()).await?;
        let outputs = self.graph.outputs();
        let first = |value: usize| outputs.iter().position(|v| *v == value).map(|i| &*buffers[i]);
        let made: Vec<&Buffer> = self.made.iter().filter_map(|v| first(*v)).collect();
        let given: Vec<&Buffer> = inputs.iter().map(|input| &*input.buffer).collect();
        self.gpu.submit(
            |pass| self.encode(pass, &planned, &held, &given, &made),
            |encoder| {
                // An input that is an output, and a value that is two.
                for (value, buffer) in outputs.iter().zip(&buffers) {
                    let from = given.get(*value).copied().or_else(|| first(*value));
                    if let Some(from) = from.filter(|from| **from != **buffer) {
                        let bytes = self.bytes(*value, &planned.shapes[*value]);
                        encoder.copy_buffer_to_buffer(from, 0, buffer, 0, bytes);
                    }
                }
            },
        );
        let shapes = outputs.iter().map(|v| planned.shapes[*v]);
        let all = buffers.into_iter().zip(shapes);
        Ok(all.map(|(buffer, shape)| DeviceValue { buffer, shape }).collect())
    }

    /// The numbers of an output.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn download(&self, value: DeviceValue) -> Result<Value> {
        let DeviceValue { buffer, shape } = value;
        let count = shape.numbers();
        let bytes = (count * 4) as u64;
        let [readback] = self.gpu.take([(bytes, READ)]).await?;
        let copied = self.gpu.submit(
            |_| {},
            |encoder| encoder.copy_buffer_to_buffer(&buffer, 0, &readback, 0, bytes),
        );
        let data = self.gpu.read(readback, count, copied).await?;
        Ok(Value { shape, data })
    }

    /// The outputs for `inputs`, in the order of the description, from here and back.
    ///
    /// # Errors
    /// As [`Self::launch`] and [`Self::download`].
    pub async fn run(&self, size: Size, inputs: &[Value]) -> Result<Vec<Value>> {
        let mut given = Vec::with_capacity(inputs.len());
        for input in inputs {
            given.push(self.upload(input).await?);
        }
        let given: Vec<&DeviceValue> = given.iter().collect();
        let mut outputs = Vec::new();
        for output in self.launch(size, &given).await? {
            outputs.push(self.download(output).await?);
        }
        Ok(outputs)
    }
}

impl Calls {
    /// Work-groups across, down and deep for a result.
    fn groups(&self, made: &Shape) -> [u32; 3] {
        let [width, height, ..] = frame(made).map(|n| n as usize);
        let (x, y, z) = match self.work {
            Work::Places(depth) => (width.div_ceil(self.places), height, depth),
            Work::Count(across, down) => (across, down, 1),
        };
        let (wide, high) = self.group;
        [x.div_ceil(wide), y.div_ceil(high), z].map(|n| n as u32)
    }
}

/// Columns and rows of a value's places, and of its map.
fn frame(shape: &Shape) -> [u32; 4] {
    match shape.places {
        Places::Map(map) => [map.width, map.height, map.width, map.height],
        Places::Tokens(grid) => {
            let [down, across] = grid.count();
            [grid.tokens(), down * across, grid.map.width, grid.map.height]
        }
        Places::Vector => [1; 4],
    }
    .map(|n| n as u32)
}
