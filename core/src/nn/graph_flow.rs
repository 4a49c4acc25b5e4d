use alloc::{format, vec::Vec};

use burn::tensor::{Tensor, TensorData};

use super::{GraphNetwork, GraphValue, Held};
use crate::flow::{ColourAnchor, Field, FieldInputs, FlowDevice, Schedule, Source, integrate};
use crate::graph::{Fault, TypedGraph, common_grid};
use crate::model::Weights;
use crate::spectral::ColouredNoise;
use crate::{Error, OnStep, Part, Planes, Rect, Result};

/// A restorer and what draws around it on a burn device: a velocity field, or a network that samples in one step.
#[derive(Debug, Clone)]
pub struct GraphFlow {
    restorer: GraphNetwork,
    field: GraphNetwork,
    reads: FieldInputs,
}

impl GraphFlow {
    /// Loads the weights of a network that draws, as [`Role`](crate::model::Role) has them, beside a restorer.
    ///
    /// # Errors
    /// [`Error::Graph`] when it is none, [`Error::Weights`] when `weights` are not those of `graph`.
    pub fn new(restorer: GraphNetwork, graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        let (field, reads) = FieldInputs::of(graph)?;
        Ok(Self {
            field: GraphNetwork::new(&field, weights, restorer.device())?,
            restorer,
            reads,
        })
    }
}

/// An image as a batch of one.
pub(super) fn upload(image: &Planes, network: &GraphNetwork) -> Tensor<4> {
    let shape = [1, image.channels(), image.height(), image.width()];
    let data = TensorData::new(image.data().to_vec(), shape);
    Tensor::from_data(data, network.device())
}

/// The one map that a network of one output gave.
///
/// # Errors
/// [`Error::Graph`] when it is none.
pub fn image_of(made: Vec<GraphValue>) -> Result<Tensor<4>> {
    match made.into_iter().next() {
        Some(GraphValue::Map(made)) => Ok(made),
        _ => Err(Error::Graph(
            Fault::Inputs("its result is no image".into()).whole(),
        )),
    }
}

/// A batch of one as an image.
pub(super) async fn download(made: Tensor<4>) -> Result<Planes> {
    let [_, channels, height, width] = made.dims();
    let data = made.into_data_async().await;
    let values = data
        .map_err(|e| Error::Device(format!("{e}")))?
        .try_into_vec::<f32>();
    Planes::new(
        channels,
        height,
        width,
        values.map_err(|e| Error::Device(format!("{e}")))?,
    )
}

impl FlowDevice for GraphFlow {
    type Image = Planes;

    fn scale(&self) -> usize {
        self.restorer.graph().output_scale(0).terms().0
    }

    fn halo(&self) -> usize {
        let radius = |network: &GraphNetwork| network.graph().reach().radius;
        self.reads.halo(radius(&self.restorer), radius(&self.field))
    }

    fn grid(&self) -> usize {
        common_grid(self.restorer.graph().alignment(), self.field.graph().alignment())
    }

    fn draws(&self) -> bool {
        self.reads.draws()
    }

    async fn mean(&self, low: &Planes) -> Result<Planes> {
        let low = GraphValue::Map(upload(low, &self.restorer));
        download(image_of(self.restorer.run(&[low])?)?).await
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
        let [low, mean, x0] = [low, mean, &x0].map(|image| upload(image, &self.field));
        let mut field = Held(Conditioned {
            network: &self.field,
            reads: self.reads,
            low,
            mean,
        });
        let told = |s: crate::flow::Step<'_, Tensor<4>>| on_step(s.done, s.total);
        download(integrate(&mut field, x0, schedule, told).await?).await
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

/// A field with its condition.
struct Conditioned<'a> {
    network: &'a GraphNetwork,
    reads: FieldInputs,
    low: Tensor<4>,
    mean: Tensor<4>,
}

impl Field<Tensor<4>> for Conditioned<'_> {
    async fn velocity(&mut self, x: &Tensor<4>, t: f64) -> Result<Tensor<4>> {
        let time = Tensor::full([x.dims()[0], 1], t, (&x.device(), x.dtype()));
        let [state, low, mean] = [x, &self.low, &self.mean].map(|x| GraphValue::Map(x.clone()));
        let inputs = self.reads.order(state, low, mean, GraphValue::Vector(time));
        image_of(self.network.run(&inputs)?)
    }
}
