use alloc::format;

use burn::tensor::{Device, Tensor, TensorData};

use super::graph::{GraphNetwork, GraphValue, Kernels, only_map, run_with};
use super::{Parameters, download};
use crate::graph::nets;
use crate::model::{Architecture, Layer, Skip, Weights};
use crate::random::SplitMix64;
use crate::{Error, Executor, OnStep, Planes, Rect, Result, model, resample};

/// A network of [`Architecture`] on a burn device.
///
/// Parameters are flat tensors by name, so that optimisers, averages and checkpoints treat all alike.
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    /// The layers; the skip is added to what they give, in the image's own planes.
    layers: GraphNetwork,
}

impl Network {
    /// Loads `weights` onto `device`.
    ///
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when the two do not fit.
    pub fn new(architecture: &Architecture, weights: &Weights, device: &Device) -> Result<Self> {
        let layers = Architecture {
            skip: Skip::None,
            ..architecture.clone()
        };
        let layers = nets::restorer(&layers)?.check()?;
        Ok(Self {
            architecture: architecture.clone(),
            layers: GraphNetwork::new(&layers, weights, device)?,
        })
    }

    /// The network's description.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The flat parameter tensors by name.
    pub fn parameters(&self) -> &Parameters {
        self.layers.parameters()
    }

    /// The flat parameter tensors by name, to replace.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        self.layers.parameters_mut()
    }

    /// The parameters read back from the device.
    ///
    /// # Errors
    /// [`Error::Device`] when they cannot be read.
    pub fn weights(&self) -> Result<Weights> {
        download(self.parameters(), &self.architecture.parameters())
    }

    /// What the layers add to the skip image: `[n, 3, h, w]` in, `[n, 3, h * scale, w * scale]` out.
    ///
    /// # Panics
    /// When a parameter is missing, or the input is not of that shape.
    pub fn residual(&self, input: Tensor<4>) -> Tensor<4> {
        self.run(input, Kernels::Fastest)
    }

    /// The same by burn's own operations, which on the CPU are not what [`Self::residual`] uses: for comparisons.
    ///
    /// # Panics
    /// As [`Self::residual`].
    pub fn residual_by_burn(&self, input: Tensor<4>) -> Tensor<4> {
        self.run(input, Kernels::Burns)
    }

    fn run(&self, input: Tensor<4>, kernels: Kernels) -> Tensor<4> {
        let inputs = [GraphValue::Map(input)];
        only_map(run_with(self.layers.graph(), self.parameters(), &inputs, kernels))
    }

    /// The enlargement of `images`, `[3, h, w]` each and all of one size; not clamped.
    ///
    /// # Errors
    /// [`Error::Device`] when the result cannot be read.
    pub async fn enlarge(&self, image: &Planes) -> Result<Planes> {
        let (h, w, r) = (image.height(), image.width(), self.architecture.scale);
        let data = TensorData::new(image.data().to_vec(), [1, 3, h, w]);
        let input = Tensor::from_data(data, self.layers.device());
        let data = self
            .residual(input)
            .into_data_async()
            .await
            .map_err(|e| Error::Device(format!("{e}")))?;
        let values = data
            .try_into_vec::<f32>()
            .map_err(|e| Error::Device(format!("{e}")))?;
        let mut out = Planes::new(3, h * r, w * r, values)?;
        if self.architecture.skip == Skip::Bicubic {
            let skip = resample::enlarge(image, r);
            for (o, s) in out.data_mut().iter_mut().zip(skip.data()) {
                *o += s;
            }
        }
        Ok(out)
    }
}

/// Fresh weights: He-normal convolutions (He et al. 2015), zero biases and a zero last layer, so that training
/// starts at the skip image. A pure function of `seed`.
pub fn init_weights(architecture: &Architecture, seed: u64) -> Weights {
    let mut random = SplitMix64::new(seed);
    let last = architecture.layers.iter().rev().find_map(|l| match l {
        Layer::Conv { name, .. } => Some(format!("{name}.weight")),
        Layer::Film { .. } | Layer::Add { .. } => None,
    });
    let mut weights = Weights::default();
    for parameter in architecture.parameters() {
        let n = parameter.len();
        let kind = parameter.name.rsplit('.').next();
        let values = if kind == Some("slope") {
            alloc::vec![0.25; n]
        } else if kind == Some("weight") && Some(&parameter.name) != last.as_ref() {
            let fan_in: usize = parameter.shape[1..].iter().product();
            let std = libm::sqrt(2.0 / fan_in as f64);
            (0..n).map(|_| (std * random.normal()) as f32).collect()
        } else {
            alloc::vec![0.0; n]
        };
        weights.insert(
            parameter.name,
            model::Tensor {
                shape: parameter.shape,
                values,
            },
        );
    }
    weights
}

/// Runs a [`Network`] tile by tile.
#[derive(Debug)]
pub struct BurnExecutor {
    network: Network,
}

impl BurnExecutor {
    /// An executor of `network`.
    pub fn new(network: Network) -> Self {
        Self { network }
    }

    /// What it runs.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Executor for BurnExecutor {
    fn scale(&self) -> usize {
        self.network.architecture.scale
    }

    fn halo(&self) -> usize {
        self.network.architecture.receptive_radius()
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        self.network.enlarge(tile).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::pipeline::{self, Options, OutputScale};
    use alloc::vec::Vec;

    /// Weights that do something in every layer, the last one included.
    fn lively(architecture: &Architecture) -> Weights {
        let mut random = SplitMix64::new(7);
        let mut weights = Weights::default();
        for p in architecture.parameters() {
            let values = (0..p.len()).map(|_| (0.1 * random.normal()) as f32).collect();
            weights.insert(
                p.name,
                model::Tensor {
                    shape: p.shape,
                    values,
                },
            );
        }
        weights
    }

    fn noise(c: usize, h: usize, w: usize) -> Planes {
        let mut random = SplitMix64::new(3);
        let data = (0..c * h * w)
            .map(|_| (random.next_u64() >> 40) as f32 / (1 << 24) as f32)
            .collect();
        Planes::new(c, h, w, data).expect("sizes agree")
    }

    /// The network written out as the definition says, pixel by pixel in f64, knowing nothing of burn.
    fn by_definition(a: &Architecture, weights: &Weights, image: &Planes) -> Vec<f64> {
        let (h, w) = (image.height(), image.width());
        let mut values = vec![image.data().iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()];
        for layer in &a.layers {
            let x = values.last().expect("has the input").clone();
            values.push(match layer {
                Layer::Film { .. } => panic!("a restorer has no time"),
                Layer::Add { with } => x.iter().zip(&values[*with]).map(|(a, b)| a + b).collect(),
                Layer::Conv {
                    name,
                    inputs,
                    outputs,
                    kernel,
                    activation,
                } => {
                    let get = |s: &str| {
                        weights
                            .get(&format!("{name}.{s}"))
                            .expect("present")
                            .values
                            .clone()
                    };
                    let (k, b) = (get("weight"), get("bias"));
                    let mut y = vec![0.0; outputs * h * w];
                    for o in 0..*outputs {
                        for py in 0..h {
                            for px in 0..w {
                                let mut sum = f64::from(b[o]);
                                for i in 0..*inputs {
                                    for ky in 0..*kernel {
                                        for kx in 0..*kernel {
                                            let (sy, sx) = (py + ky, px + kx);
                                            let r = kernel / 2;
                                            if sy >= r && sx >= r && sy - r < h && sx - r < w {
                                                let weight =
                                                    k[((o * inputs + i) * kernel + ky) * kernel + kx];
                                                sum += f64::from(weight) * x[(i * h + sy - r) * w + sx - r];
                                            }
                                        }
                                    }
                                }
                                let slope = match activation {
                                    Activation::None => 1.0,
                                    Activation::LeakyRelu { slope } => f64::from(*slope),
                                    Activation::Prelu => f64::from(get("slope")[o]),
                                };
                                y[(o * h + py) * w + px] = if sum > 0.0 { sum } else { slope * sum };
                            }
                        }
                    }
                    y
                }
            });
        }
        let (x, r) = (values.last().expect("has layers"), a.scale);
        let mut out: Vec<f64> = resample::enlarge(image, r)
            .data()
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        for c in 0..3 {
            for y in 0..h * r {
                for px in 0..w * r {
                    let channel = c * r * r + (y % r) * r + px % r;
                    out[(c * h * r + y) * w * r + px] += x[(channel * h + y / r) * w + px / r];
                }
            }
        }
        out
    }

    #[test]
    fn the_network_is_what_its_description_says() {
        let mut architecture = Architecture::restorer(4, 6, 2);
        if let Layer::Conv { activation, .. } = &mut architecture.layers[1] {
            *activation = Activation::Prelu;
        }
        let weights = lively(&architecture);
        let image = noise(3, 7, 9);
        let network = Network::new(&architecture, &weights, &Device::flex()).expect("fits");
        let got = pollster::block_on(network.enlarge(&image)).expect("runs");
        for (a, b) in got
            .data()
            .iter()
            .zip(by_definition(&architecture, &weights, &image))
        {
            assert!((f64::from(*a) - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn fresh_weights_give_the_bicubic_image() {
        let architecture = Architecture::restorer(4, 8, 1);
        let network =
            Network::new(&architecture, &init_weights(&architecture, 1), &Device::flex()).expect("fits");
        let image = noise(3, 6, 5);
        let got = pollster::block_on(network.enlarge(&image)).expect("runs");
        assert_eq!(got, resample::enlarge(&image, 4));
    }

    #[test]
    fn tiles_make_the_same_image_as_the_whole() {
        let architecture = Architecture::restorer(4, 8, 1);
        let network = Network::new(&architecture, &lively(&architecture), &Device::flex()).expect("fits");
        let image = noise(3, 40, 50);
        let executor = BurnExecutor::new(network);
        let by_tiles_of = |core: usize| {
            let options = Options::new(OutputScale::new(4).expect("offered"), core);
            pollster::block_on(pipeline::whole(&executor, &image, &options)).expect("runs")
        };
        let worst = by_tiles_of(64)
            .data()
            .iter()
            .zip(by_tiles_of(16).data())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn weights_survive_the_device() {
        let architecture = Architecture::restorer(4, 4, 1);
        let weights = lively(&architecture);
        let network = Network::new(&architecture, &weights, &Device::flex()).expect("fits");
        assert_eq!(network.weights().expect("reads"), weights);
    }
}
