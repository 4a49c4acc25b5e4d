//! Models of format 1 on the processor: restorers and flows, as graphs.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{CpuNetwork, Value};
use crate::flow::{ColourAnchor, Field, FlowDevice, Schedule, Solver, Source, integrate};
use crate::graph::{Places, Shape, Size, nets};
use crate::model::{Architecture, Condition, FlowPart, Weights};
use crate::spectral::ColouredNoise;
use crate::{Error, Executor, OnStep, Part, Planes, Rect, Result};

/// Runs a restorer tile by tile. Copies share their weights.
#[derive(Debug, Clone)]
pub struct CpuExecutor {
    network: Arc<CpuNetwork>,
    scale: usize,
    radius: usize,
}

impl CpuExecutor {
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when the weights are not those of a restorer of that architecture.
    pub fn new(architecture: &Architecture, weights: &Weights) -> Result<Self> {
        let graph = nets::restorer(architecture)?.check()?;
        Ok(Self {
            network: Arc::new(CpuNetwork::new(&graph, weights)?),
            scale: architecture.scale,
            radius: architecture.receptive_radius(),
        })
    }

    fn enlarge(&self, tile: &Planes) -> Result<Planes> {
        let size = Size::new(tile.width(), tile.height());
        image(self.network.run(size, &[Value::from(tile)])?)
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

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        self.enlarge(tile)
    }
}

/// A restorer and a velocity field. Copies share their weights.
#[derive(Debug, Clone)]
pub struct CpuFlow {
    restorer: CpuExecutor,
    field: Arc<CpuNetwork>,
    /// Whether the field reads the posterior mean.
    with_mean: bool,
    radius: usize,
}

impl CpuFlow {
    /// Loads the weights of `flow` beside a restorer.
    ///
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when `weights` are not those of `flow`.
    pub fn new(restorer: CpuExecutor, flow: &FlowPart, weights: &Weights) -> Result<Self> {
        let architecture = &flow.architecture;
        let graph = nets::velocity(architecture)?.check()?;
        Ok(Self {
            restorer,
            field: Arc::new(CpuNetwork::new(&graph, weights)?),
            with_mean: architecture.condition() == Condition::LowQualityAndMean,
            radius: architecture.receptive_radius(),
        })
    }
}

impl FlowDevice for CpuFlow {
    type Image = Planes;

    fn scale(&self) -> usize {
        self.restorer.scale
    }

    fn halo(&self) -> usize {
        self.restorer.radius.max(Source::REACH) + self.radius
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
            low,
            mean: self.with_mean.then_some(mean),
        };
        let told = |s: crate::flow::Step<'_, Planes>| on_step(s.done, s.total);
        integrate(&mut field, x0, schedule, Solver::Euler, told).await
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
    low: &'a Planes,
    mean: Option<&'a Planes>,
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
        let mut inputs = vec![Value::from(x), Value::from(self.low)];
        inputs.extend(self.mean.map(Value::from));
        inputs.push(time);
        let size = Size::new(self.low.width(), self.low.height());
        let mut v = image(self.network.run(size, &inputs)?)?;
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
    use crate::flow::{Drawing, Sampler};
    use crate::graph::{Graph, conformance};
    use crate::model::{Training, VelocityArchitecture};
    use crate::nn::{BurnExecutor, BurnFlow, Network};
    use crate::random::SplitMix64;
    use alloc::string::String;
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
            CpuExecutor::new(&architecture, &weights).expect("fits"),
        );
        assert_eq!((own.scale(), own.halo()), (burn.scale(), burn.halo()));
        for (height, width) in [(33, 47), (1, 5), (2, 1)] {
            let tile = photo(height, width);
            assert_eq!(run(&own, &tile), run(&burn, &tile), "{width}x{height}");
        }
    }

    #[test]
    fn a_flow_gives_burns_numbers() {
        let architecture = Architecture::restorer(4, 8, 1);
        let graph = nets::restorer(&architecture)
            .and_then(Graph::check)
            .expect("a network");
        let restorer = conformance::weights(&graph, 2);
        for field in [
            VelocityArchitecture::conv(4, 8, 1),
            VelocityArchitecture::dit(4, 32, 1),
        ] {
            let graph = nets::velocity(&field).and_then(Graph::check).expect("a network");
            let weights = conformance::weights(&graph, 2);
            let part = FlowPart {
                file: "flow.safetensors".into(),
                bytes: 0,
                sha256: String::new(),
                parameters: 0,
                architecture: field,
                source: Source::PosteriorMean { sigma: 0.1 },
                s: 1.0,
                steps: 3,
                colour_anchor: Some(1.0),
                training: Training {
                    command: String::new(),
                    steps: 0,
                    images: 0,
                },
            };
            let network = Network::new(&architecture, &restorer, &Device::flex()).expect("fits");
            let burn = BurnFlow::new(network, &part, &weights, &Device::flex()).expect("fits");
            let own = CpuExecutor::new(&architecture, &restorer).expect("fits");
            let own = CpuFlow::new(own, &part, &weights).expect("fits");
            assert_eq!(own.halo(), FlowDevice::halo(&burn));
            let tile = photo(24, 16);
            let drawing = Drawing::new(3, 3);
            let size = (16, 24);
            let (own, burn) = (
                Sampler::new(own, &part, drawing, size).expect("fits"),
                Sampler::new(burn, &part, drawing, size).expect("fits"),
            );
            let (own, burn) = (run(&own, &tile), run(&burn, &tile));
            let pairs = own.data().iter().zip(burn.data());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{worst}");
        }
    }
}
