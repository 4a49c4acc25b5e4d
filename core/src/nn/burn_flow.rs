use alloc::{format, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    ConditionedField, Conditioning, Held, Network, Parameters, VelocityField, upload, velocity_field,
};
use crate::flow::{ColourAnchor, FlowDevice, Schedule, Source, integrate};
use crate::model::{FlowPart, Weights};
use crate::spectral::ColouredNoise;
use crate::{Error, OnStep, Part, Planes, Rect, Result};

/// A restorer and a velocity field on a burn device. Copies share their weights.
#[derive(Debug, Clone)]
pub struct BurnFlow {
    restorer: Network,
    field: Arc<dyn VelocityField>,
    parameters: Parameters,
    device: Device,
}

impl BurnFlow {
    /// Loads the weights of `flow` beside a restorer on the same device.
    ///
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when `weights` are not those of `flow`.
    pub fn new(restorer: Network, flow: &FlowPart, weights: &Weights, device: &Device) -> Result<Self> {
        let field = velocity_field(&flow.architecture)?;
        weights.check(&flow.architecture.parameters())?;
        Ok(Self {
            restorer,
            field: field.into(),
            parameters: upload(weights, device),
            device: device.clone(),
        })
    }
}

impl FlowDevice for BurnFlow {
    type Image = Planes;

    fn scale(&self) -> usize {
        self.restorer.architecture().scale
    }

    fn halo(&self) -> usize {
        let given = self.restorer.architecture().receptive_radius().max(Source::REACH);
        given + self.field.architecture().receptive_radius()
    }

    async fn mean(&self, low: &Planes) -> Result<Planes> {
        self.restorer.enlarge(low).await
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

    async fn integrate(
        &self,
        (low, mean): (&Planes, &Planes),
        x0: Planes,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<Planes> {
        let upload = |p: &Planes| -> Tensor<4> {
            let shape = [1, p.channels(), p.height(), p.width()];
            Tensor::from_data(TensorData::new(p.data().to_vec(), shape), &self.device)
        };
        let condition = Conditioning {
            low: upload(low),
            mean: Some(upload(mean)),
        };
        let mut field = Held(ConditionedField::new(&*self.field, &self.parameters, condition)?);
        let told = |s: crate::flow::Step<'_, Tensor<4>>| on_step(s.done, s.total);
        let x1 = integrate(&mut field, upload(&x0), schedule, told).await?;
        let data = x1.into_data_async().await;
        let values = data
            .map_err(|e| Error::Device(format!("{e}")))?
            .try_into_vec::<f32>()
            .map_err(|e| Error::Device(format!("{e}")))?;
        Planes::new(3, mean.height(), mean.width(), values)
    }
}
