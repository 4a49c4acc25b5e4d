use alloc::boxed::Box;

use burn::tensor::{Device, Tensor, TensorData};

use super::{ConditionedField, Conditioning, Network, Parameters, VelocityField, upload, velocity_field};
use crate::flow::{Schedule, Solver, Source, integrate};
use crate::model::{FlowPart, Weights};
use crate::spectral::{ColouredNoise, Spectrum};
use crate::{Error, Executor, Planes, Rect, Result};

/// Samples a flow tile by tile: the restorer's estimate and the image's coloured noise make the source, the velocity
/// field leads it to an image.
///
/// The noise is the whole image's, so neighbouring tiles start alike; they differ only by what several steps could see
/// beyond the halo of one.
#[derive(Debug)]
pub struct FlowExecutor {
    restorer: Network,
    field: Box<dyn VelocityField>,
    parameters: Parameters,
    source: Source,
    noise: ColouredNoise,
    schedule: Schedule,
    solver: Solver,
    fidelity: f32,
    device: Device,
}

impl FlowExecutor {
    /// An executor for one image of `width` by `height` input pixels.
    ///
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when `weights` are not those of `flow`; [`Error::Size`] for an image
    /// without pixels.
    pub fn new(
        restorer: Network,
        flow: &FlowPart,
        weights: &Weights,
        (width, height): (usize, usize),
        seed: u64,
        (schedule, solver): (Schedule, Solver),
        device: &Device,
    ) -> Result<Self> {
        let field = velocity_field(&flow.architecture)?;
        weights.check(&flow.architecture.parameters())?;
        let r = flow.architecture.scale();
        Ok(Self {
            restorer,
            field,
            parameters: upload(weights, device),
            source: flow.source,
            noise: ColouredNoise::new(seed, height * r, width * r, Spectrum::sobolev(flow.s)?)?,
            schedule,
            solver,
            fidelity: 0.0,
            device: device.clone(),
        })
    }

    /// Takes results from the full sample, at 0, towards the posterior mean, at 1.
    #[must_use]
    pub fn with_fidelity(mut self, fidelity: f32) -> Self {
        self.fidelity = fidelity;
        self
    }
}

impl Executor for FlowExecutor {
    fn scale(&self) -> usize {
        self.restorer.architecture().scale
    }

    fn halo(&self) -> usize {
        self.restorer.architecture().receptive_radius() + self.field.architecture().receptive_radius()
    }

    async fn run(&mut self, tile: &Planes, place: Rect) -> Result<Planes> {
        let r = self.scale();
        let mean = self.restorer.enlarge(tile).await?;
        let x0 = self.source.sample(&mean, &self.noise, place.scaled(r))?;
        let upload = |p: &Planes| -> Tensor<4> {
            let shape = [1, 3, p.height(), p.width()];
            Tensor::from_data(TensorData::new(p.data().to_vec(), shape), &self.device)
        };
        let condition = Conditioning {
            low: upload(tile),
            mean: Some(upload(&mean)),
        };
        let mut field = ConditionedField::new(&*self.field, &self.parameters, condition)?;
        let x1 = integrate(&mut field, upload(&x0), &self.schedule, self.solver, |_| true).await?;
        let data = x1
            .into_data_async()
            .await
            .map_err(|e| Error::Device(alloc::format!("{e}")))?;
        let mut values = data
            .try_into_vec::<f32>()
            .map_err(|e| Error::Device(alloc::format!("{e}")))?;
        if self.fidelity != 0.0 {
            for (x, m) in values.iter_mut().zip(mean.data()) {
                *x += self.fidelity * (m - *x);
            }
        }
        Planes::new(3, mean.height(), mean.width(), values)
    }
}
