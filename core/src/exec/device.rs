//! Models on the processor: restorers, flows, and networks that sample in one step.

use alloc::{rc::Rc, sync::Arc, vec, vec::Vec};
use core::cell::RefCell;

use super::{CpuNetwork, Scratch, Value};
use crate::flow::{ColourAnchor, Field, FieldInputs, FlowDevice, Schedule, Source, integrate};
use crate::graph::{Places, Shape, Size, TypedGraph, common_grid};
use crate::model::Weights;
use crate::spectral::ColouredNoise;
use crate::video::RecurrentExecutor;
use crate::{Error, Executor, OnStep, Part, Planes, Rect, Result};

/// Runs a restorer tile by tile. Copies share their weights, and their memory: one of them runs at a time.
#[derive(Debug, Clone)]
pub struct CpuExecutor {
    network: Arc<CpuNetwork>,
    scratch: Rc<RefCell<Scratch>>,
    scale: usize,
    radius: usize,
    grid: usize,
}

impl CpuExecutor {
    /// Of a graph from an image to one that is a whole number of times larger, with its weights, which it keeps.
    ///
    /// # Errors
    /// [`Error::Weights`] when the weights are not the graph's.
    pub fn new(graph: &TypedGraph, weights: Weights) -> Result<Self> {
        Ok(Self {
            network: Arc::new(CpuNetwork::new(graph, weights)?),
            scratch: Rc::default(),
            scale: graph.output_scale(0).terms().0,
            radius: graph.reach().radius,
            grid: graph.alignment(),
        })
    }

    fn enlarge(&self, tile: &Planes) -> Result<Planes> {
        self.given(tile, &[Value::from(tile)])
    }

    fn given(&self, tile: &Planes, inputs: &[Value]) -> Result<Planes> {
        let mut scratch = self.scratch.borrow_mut();
        image(self.network.run(tile.size(), inputs, &mut scratch)?)
    }
}

/// The image that a network of one output gave.
fn image(mut outputs: Vec<Value>) -> Result<Planes> {
    let made = outputs.pop();
    let made = made.ok_or_else(|| Error::Device("the network gave nothing".into()))?;
    let size = made.map_size();
    Planes::new(made.channels(), size.height, size.width, made.data)
}

impl Executor for CpuExecutor {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.radius
    }

    fn grid(&self) -> usize {
        self.grid
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        self.enlarge(tile)
    }
}

impl RecurrentExecutor for CpuExecutor {
    async fn run_after(&self, tile: &Planes, previous: &Planes) -> Result<Planes> {
        self.given(tile, &[tile, previous].map(Value::from))
    }
}

/// A restorer and what draws around it: a velocity field, or a network that samples in one step. Copies share their weights.
#[derive(Debug, Clone)]
pub struct CpuFlow {
    restorer: CpuExecutor,
    field: Arc<CpuNetwork>,
    reads: FieldInputs,
    radius: usize,
    grid: usize,
}

impl CpuFlow {
    /// Loads the weights of a network that draws, as [`Role`](crate::model::Role) has them, beside a restorer.
    ///
    /// # Errors
    /// [`Error::Graph`] when it is none, [`Error::Weights`] when `weights` are not those of `graph`.
    pub fn new(restorer: CpuExecutor, graph: &TypedGraph, weights: Weights) -> Result<Self> {
        let (field, reads) = FieldInputs::of(graph)?;
        Ok(Self {
            grid: common_grid(restorer.grid, field.alignment()),
            restorer,
            radius: field.reach().radius,
            field: Arc::new(CpuNetwork::new(&field, weights)?),
            reads,
        })
    }
}

impl FlowDevice for CpuFlow {
    type Image = Planes;

    fn scale(&self) -> usize {
        self.restorer.scale
    }

    fn halo(&self) -> usize {
        self.reads.halo(self.restorer.radius, self.radius)
    }

    fn grid(&self) -> usize {
        self.grid
    }

    fn draws(&self) -> bool {
        self.reads.draws()
    }

    async fn mean(&self, low: &Planes) -> Result<Planes> {
        self.restorer.enlarge(low)
    }

    async fn source(
        &self,
        source: &Source,
        given: (&Planes, &Planes),
        noise: &ColouredNoise,
        place: Rect,
    ) -> Result<Planes> {
        source.sample(given, noise, place)
    }

    async fn integrate(
        &self,
        (low, mean): (&Planes, &Planes),
        x0: Planes,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<Planes> {
        let mut field = Conditioned {
            network: &self.field,
            scratch: &self.restorer.scratch,
            reads: self.reads,
            low,
            mean,
        };
        let told = |s: crate::flow::Step<'_, Planes>| on_step(s.done, s.total);
        integrate(&mut field, x0, schedule, told).await
    }

    async fn anchor(&self, mut sample: Planes, mean: &Planes, anchor: ColourAnchor) -> Result<Planes> {
        anchor.apply(&mut sample, mean);
        Ok(sample)
    }

    async fn read(&self, image: Planes, part: Option<&Part>) -> Result<Planes> {
        Ok(match part {
            Some(part) => part.cut(&image),
            None => image,
        })
    }
}

/// A field with its condition, whose estimate of the end is held to `[0, 1]`, as [`FlowDevice::integrate`] asks for.
struct Conditioned<'a> {
    network: &'a CpuNetwork,
    scratch: &'a RefCell<Scratch>,
    reads: FieldInputs,
    low: &'a Planes,
    mean: &'a Planes,
}

impl Field<Planes> for Conditioned<'_> {
    async fn velocity(&mut self, x: &Planes, t: f64) -> Result<Planes> {
        let time = Value {
            shape: Shape {
                channels: 1,
                places: Places::Vector,
            },
            data: vec![t as f32],
        };
        let [state, low, mean] = [x, self.low, self.mean].map(Value::from);
        let inputs = self.reads.order(state, low, mean, time);
        let size = Size::new(self.low.width(), self.low.height());
        let mut v = image(self.network.run(size, &inputs, &mut self.scratch.borrow_mut())?)?;
        let left = (1.0 - t) as f32;
        for (v, x) in v.data_mut().iter_mut().zip(x.data()) {
            let end = (x + *v * left).clamp(0.0, 1.0);
            *v = (end - x) / left;
        }
        Ok(v)
    }
}

#[cfg(all(test, feature = "burn"))]
mod tests {
    use super::*;
    use crate::flow::{Drawing, Sampler, Sampling};
    use crate::graph::{Graph, conformance, nets};
    use crate::model::{Architecture, VelocityArchitecture};
    use crate::nn::{BurnExecutor, GraphFlow, GraphNetwork, Network};
    use crate::random::SplitMix64;
    use burn::tensor::Device;

    fn photo(height: usize, width: usize) -> Planes {
        let mut random = SplitMix64::new(9);
        let values = (0..3 * height * width).map(|_| random.unit() as f32);
        Planes::new(3, height, width, values.collect()).expect("sizes agree")
    }

    fn run(executor: &impl Executor, tile: &Planes) -> Planes {
        let place = Rect::whole(tile.width(), tile.height());
        pollster::block_on(executor.run(tile, place, &|_, _| true)).expect("runs")
    }

    #[test]
    fn a_restorer_gives_burns_numbers_to_the_bit() {
        let architecture = Architecture::restorer(4, 12, 2);
        let graph = nets::restorer(&architecture)
            .and_then(Graph::check)
            .expect("a network");
        let weights = conformance::weights(&graph, 1);
        let network = Network::new(&architecture, &weights, &Device::flex()).expect("fits");
        let (burn, own) = (
            BurnExecutor::new(network),
            CpuExecutor::new(&graph, weights).expect("fits"),
        );
        assert_eq!((own.scale(), own.halo()), (burn.scale(), burn.halo()));
        for (height, width) in [(33, 47), (1, 5), (2, 1)] {
            let tile = photo(height, width);
            assert_eq!(run(&own, &tile), run(&burn, &tile), "{width}x{height}");
        }
    }

    #[test]
    fn one_step_gives_burns_numbers() {
        let compact = nets::Compact {
            colours: 3,
            features: 6,
            convs: 1,
            scale: 4,
        };
        let plain = compact.graph().check().expect("fits");
        let graph = nets::with_noise(&plain, 3, 4).expect("fits");
        let (own, other) = (conformance::weights(&plain, 1), conformance::weights(&graph, 2));
        let burn = GraphNetwork::new(&plain, &own, &Device::flex()).expect("fits");
        let burn = GraphFlow::new(burn, &graph, &other).expect("fits");
        let cpu = CpuExecutor::new(&plain, own).expect("fits");
        let cpu = CpuFlow::new(cpu, &graph, other).expect("fits");
        assert_eq!(cpu.halo(), FlowDevice::halo(&burn));
        let tile = photo(24, 16);
        let sampling = Sampling::in_one_step(1.5, 3.0);
        let (a, b) = (
            Sampler::new(cpu, sampling, Drawing::new(3, 1), Size::new(16, 24)).expect("fits"),
            Sampler::new(burn, sampling, Drawing::new(3, 1), Size::new(16, 24)).expect("fits"),
        );
        let (a, b) = (run(&a, &tile), run(&b, &tile));
        let pairs = a.data().iter().zip(b.data());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn a_flow_gives_burns_numbers() {
        let architecture = Architecture::restorer(4, 8, 1);
        let of_restorer = nets::restorer(&architecture)
            .and_then(Graph::check)
            .expect("a network");
        let restorer = conformance::weights(&of_restorer, 2);
        for field in [
            VelocityArchitecture::conv(4, 8, 1),
            VelocityArchitecture::dit(4, 32, 1),
        ] {
            let graph = nets::velocity(&field).and_then(Graph::check).expect("a network");
            let weights = conformance::weights(&graph, 2);
            let sampling = Sampling {
                source: Source::PosteriorMean { sigma: 0.1 },
                s: 1.0,
                steps: 3,
                colour_anchor: Some(1.0),
            };
            let network = GraphNetwork::new(&of_restorer, &restorer, &Device::flex()).expect("fits");
            let burn = GraphFlow::new(network, &graph, &weights).expect("fits");
            let own = CpuExecutor::new(&of_restorer, restorer.clone()).expect("fits");
            let own = CpuFlow::new(own, &graph, weights).expect("fits");
            assert_eq!(own.halo(), FlowDevice::halo(&burn));
            let tile = photo(24, 16);
            let drawing = Drawing::new(3, 3);
            let size = Size::new(16, 24);
            let (own, burn) = (
                Sampler::new(own, sampling, drawing, size).expect("fits"),
                Sampler::new(burn, sampling, drawing, size).expect("fits"),
            );
            let (own, burn) = (run(&own, &tile), run(&burn, &tile));
            let pairs = own.data().iter().zip(burn.data());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{worst}");
        }
    }
}
