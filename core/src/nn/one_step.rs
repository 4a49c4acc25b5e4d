use alloc::{format, vec::Vec};

use burn::tensor::{Tensor, TensorData};

use super::{GraphNetwork, GraphValue};
use crate::flow::{ColourAnchor, FlowDevice, Schedule, Source};
use crate::graph::Fault;
use crate::spectral::ColouredNoise;
use crate::{Error, OnStep, Part, Planes, Rect, Result};

/// A restorer and a network that makes an image of a source sample in one step, on a burn device.
///
/// As a velocity field the network is `v = G(c, x0) - x0`, whatever the time: one Euler step leads to `G(c, x0)`.
#[derive(Debug, Clone)]
pub struct OneStepFlow {
    restorer: GraphNetwork,
    generator: GraphNetwork,
    scale: usize,
}

impl OneStepFlow {
    /// # Errors
    /// [`Error::Graph`] where the two do not enlarge a whole number of times, the same.
    pub fn new(restorer: GraphNetwork, generator: GraphNetwork) -> Result<Self> {
        let of = |network: &GraphNetwork| network.graph().output_scale(0).terms();
        let (scale, divisor) = of(&generator);
        if divisor != 1 || of(&restorer) != (scale, 1) {
            let why = format!(
                "its networks enlarge {:?} and {:?} times",
                of(&restorer),
                of(&generator)
            );
            return Err(Error::Graph(Fault::Inputs(why).whole()));
        }
        Ok(Self {
            restorer,
            generator,
            scale,
        })
    }
}

/// What a network makes of images.
async fn run(network: &GraphNetwork, inputs: &[&Planes]) -> Result<Planes> {
    let upload = |p: &&Planes| {
        let shape = [1, p.channels(), p.height(), p.width()];
        let data = TensorData::new(p.data().to_vec(), shape);
        GraphValue::Map(Tensor::from_data(data, network.device()))
    };
    let inputs: Vec<GraphValue> = inputs.iter().map(upload).collect();
    read(network.run(&inputs)?.pop()).await
}

/// The image that a network gave.
pub(super) async fn read(made: Option<GraphValue>) -> Result<Planes> {
    let Some(GraphValue::Map(made)) = made else {
        let why = "its result is no image".into();
        return Err(Error::Graph(Fault::Inputs(why).whole()));
    };
    let [_, channels, height, width] = made.dims();
    let failed = |e| Error::Device(format!("{e}"));
    let data = made.into_data_async().await;
    let values = data
        .map_err(|e| Error::Device(format!("{e}")))?
        .try_into_vec::<f32>();
    Planes::new(channels, height, width, values.map_err(failed)?)
}

impl FlowDevice for OneStepFlow {
    type Image = Planes;

    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        let radius = |network: &GraphNetwork| network.graph().reach().radius;
        radius(&self.restorer).max(radius(&self.generator))
    }

    async fn mean(&self, low: &Planes) -> Result<Planes> {
        run(&self.restorer, &[low]).await
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
        (low, _): (&Planes, &Planes),
        x0: Planes,
        _schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<Planes> {
        let inputs = [low, &x0];
        let given = self.generator.graph().graph().inputs.len().min(inputs.len());
        let mut image = run(&self.generator, &inputs[..given]).await?;
        image.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        if on_step(1, 1) {
            return Ok(image);
        }
        Err(Error::Cancelled)
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
