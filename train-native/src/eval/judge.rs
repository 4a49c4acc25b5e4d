//! The metrics.

use std::collections::BTreeMap;
use std::path::Path;

use asasr_core::model::Weights;
use asasr_core::nn::{Backbone, Embedding, PerceptualDistance, TextureDistance};
use asasr_core::spectral::log_spectral_distance;
use asasr_core::{Planes, metrics, resample};
use burn::tensor::{Device, Tensor, TensorData};

use super::dataset::{BEST, Pair};
use super::reading::{self, Reader};
use crate::cli::MetricNetworks;
use crate::community;
use crate::degrade::Protocol;
use crate::error::{Error, Result};

/// Values by the name of their metric.
pub(crate) type Scores = BTreeMap<&'static str, f64>;

/// A metric in the table.
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) decimals: usize,
    pub(crate) lower_is_better: bool,
    /// What it says.
    pub(crate) meaning: &'static str,
}

const fn metric(
    key: &'static str,
    title: &'static str,
    decimals: usize,
    lower_is_better: bool,
    meaning: &'static str,
) -> Metric {
    Metric {
        key,
        title,
        decimals,
        lower_is_better,
        meaning,
    }
}

/// Radial bands in which the spectral distance is told apart.
const BANDS: [&str; 8] = [
    "lsd_band_0",
    "lsd_band_1",
    "lsd_band_2",
    "lsd_band_3",
    "lsd_band_4",
    "lsd_band_5",
    "lsd_band_6",
    "lsd_band_7",
];

/// The metrics in the order of the table.
pub(crate) const METRICS: [Metric; 28] = [
    metric(
        "psnr_y",
        "PSNR-Y",
        3,
        false,
        "peak signal-to-noise ratio of the luma in dB, without a border of the scale's width",
    ),
    metric(
        "psnr_y_gain",
        "gain",
        3,
        false,
        "PSNR-Y above that of bicubic on the same image, in dB",
    ),
    metric(
        "ssim_y",
        "SSIM-Y",
        4,
        false,
        "structural similarity of the luma, without that border",
    ),
    metric(
        "psnr_rgb",
        "PSNR",
        3,
        false,
        "peak signal-to-noise ratio over red, green and blue in dB, without that border",
    ),
    metric("lsd", "LSD", 3, true, "log-spectral distance of the luma in dB"),
    metric(
        BANDS[0],
        "LSD 0",
        2,
        true,
        "LSD in the first eighth of the radial frequencies",
    ),
    metric(BANDS[1], "LSD 1", 2, true, "in the second"),
    metric(BANDS[2], "LSD 2", 2, true, "in the third"),
    metric(BANDS[3], "LSD 3", 2, true, "in the fourth"),
    metric(BANDS[4], "LSD 4", 2, true, "in the fifth"),
    metric(BANDS[5], "LSD 5", 2, true, "in the sixth"),
    metric(BANDS[6], "LSD 6", 2, true, "in the seventh"),
    metric(BANDS[7], "LSD 7", 2, true, "in the last"),
    metric(
        "hs_-1",
        "H^-1",
        3,
        true,
        "luma error in grey levels, weighed towards coarse structure",
    ),
    metric(
        "hs_0",
        "H^0",
        3,
        true,
        "root mean square error of the luma in grey levels",
    ),
    metric(
        "hs_1",
        "H^1",
        3,
        true,
        "luma error in grey levels, weighed towards fine structure",
    ),
    metric(
        "consistency",
        "consist.",
        2,
        false,
        "PSNR in dB between the input and the result reduced as the input was; protocol clean only",
    ),
    metric(
        "st_lpips_alex",
        "ST-LPIPS-A",
        4,
        true,
        "shift-tolerant LPIPS on AlexNet",
    ),
    metric(
        "st_lpips_vgg",
        "ST-LPIPS-V",
        4,
        true,
        "shift-tolerant LPIPS on VGG-16",
    ),
    metric("lpips_alex", "LPIPS-A", 4, true, "LPIPS on AlexNet"),
    metric("lpips_vgg", "LPIPS-V", 4, true, "LPIPS on VGG-16"),
    metric("dists", "DISTS", 4, true, "DISTS, at the images' own size"),
    metric(
        "warping",
        "warp",
        3,
        true,
        "warping error: change of the luma in grey levels from the frame before, moved as the truth moves",
    ),
    metric(
        "ocr_characters",
        "chars",
        3,
        false,
        "share of the characters of the text that tesseract reads in the truth, and reads here",
    ),
    metric("ocr_words", "words", 3, false, "F1 of its words"),
    metric(
        "worst_gain",
        "worst",
        3,
        false,
        "the least gain over bicubic on one image, in dB",
    ),
    metric("seconds", "seconds", 3, true, "time for an image"),
    metric("mp_per_s", "MP/s", 3, false, "megapixels of output per second"),
];

/// Largest image that the perceptual networks take in, in pixels: their features take a gigabyte and more.
const MAX_PERCEPTUAL: usize = 4_000_000;

/// Smallest side that they take in.
const SMALLEST: usize = 32;

enum Network {
    Lpips(PerceptualDistance),
    Dists(TextureDistance),
}

/// What measures.
pub(crate) struct Judge {
    protocol: Protocol,
    networks: Vec<(&'static str, Network)>,
    reader: Option<Reader>,
}

/// An image to measure against, and what need not be computed again for each result.
pub(super) struct Subject<'a> {
    pair: &'a Pair,
    scale: usize,
    bicubic: f64,
    text: Option<String>,
    /// What each LPIPS sees in the truth; nothing for DISTS.
    seen: Vec<Option<Embedding>>,
}

impl Judge {
    /// Loads the networks and looks for the reader that the options name.
    pub(crate) fn new(protocol: Protocol, args: &MetricNetworks, ocr: bool) -> Result<Self> {
        let backbones: Vec<Weights> = args
            .backbone
            .iter()
            .map(|p| community::tensors(p))
            .collect::<Result<_>>()?;
        let mut networks = Vec::new();
        for path in &args.lpips {
            let network = with_backbone(path, &backbones, PerceptualDistance::new)?;
            let key = match (network.is_shift_tolerant(), network.backbone()) {
                (true, Backbone::AlexNet) => "st_lpips_alex",
                (true, Backbone::Vgg16) => "st_lpips_vgg",
                (false, Backbone::AlexNet) => "lpips_alex",
                (false, Backbone::Vgg16) => "lpips_vgg",
            };
            networks.push((key, Network::Lpips(network)));
        }
        if let Some(path) = &args.dists {
            let network = with_backbone(path, &backbones, TextureDistance::new)?;
            networks.push(("dists", Network::Dists(network)));
        }
        Ok(Self {
            protocol,
            networks,
            reader: ocr.then(Reader::find).transpose()?,
        })
    }

    /// Refuses, before any is measured, images that the networks do not take.
    pub(crate) fn check(&self, pairs: &[Pair]) -> Result<()> {
        for pair in pairs.iter().filter(|_| !self.networks.is_empty()) {
            let (w, h) = (pair.hq.width(), pair.hq.height());
            if w * h > MAX_PERCEPTUAL || w.min(h) < SMALLEST {
                return Err(Error::at(
                    &pair.path,
                    format!(
                        "{w}x{h} pixels; perceptual distances take at least {SMALLEST} a side and at most {} megapixels: \
                         crop the image, or leave it out",
                        MAX_PERCEPTUAL / 1_000_000
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Prepares an image.
    pub(super) fn subject<'a>(&self, pair: &'a Pair) -> Result<Subject<'a>> {
        let scale = pair.hq.width() / pair.lq.width();
        let mut bicubic = resample::enlarge(&pair.lq, scale);
        metrics::quantise(&mut bicubic);
        let seen = |(_, network): &(_, Network)| match network {
            Network::Lpips(lpips) => lpips.embed(batch(&pair.hq)).map(Some),
            Network::Dists(_) => Ok(None),
        };
        let seen = self.networks.iter().map(seen).collect::<asasr_core::Result<_>>();
        let read = self.reader.as_ref().map(|r| r.read(&pair.hq)).transpose()?;
        Ok(Subject {
            pair,
            scale,
            bicubic: metrics::psnr_y(&bicubic, &pair.hq, scale)?.min(BEST),
            seen: seen.map_err(|e| Error::at(&pair.path, e))?,
            // Where nothing is written, nothing can be misread.
            text: read.filter(|text| reading::words(text).next().is_some()),
        })
    }

    /// The scores of an 8-bit result.
    pub(super) fn scores(&self, subject: &Subject, image: &Planes, seconds: Option<f64>) -> Result<Scores> {
        let (truth, scale) = (&subject.pair.hq, subject.scale);
        let mut scores = Scores::new();
        let psnr_y = metrics::psnr_y(image, truth, scale)?.min(BEST);
        scores.insert("psnr_y", psnr_y);
        scores.insert("psnr_y_gain", psnr_y - subject.bicubic);
        scores.insert("ssim_y", metrics::ssim_y(image, truth, scale)?);
        scores.insert("psnr_rgb", metrics::psnr_rgb(image, truth, scale)?.min(BEST));
        let lsd = log_spectral_distance(
            &metrics::luma(image),
            &metrics::luma(truth),
            truth.size(),
            BANDS.len(),
        )?;
        scores.insert("lsd", lsd.total);
        scores.extend(BANDS.into_iter().zip(lsd.bands));
        for (key, s) in [("hs_-1", -1.0), ("hs_0", 0.0), ("hs_1", 1.0)] {
            scores.insert(key, metrics::sobolev_error(image, truth, s)?);
        }
        if self.protocol == Protocol::Clean {
            scores.insert(
                "consistency",
                metrics::consistency(image, &subject.pair.lq)?.min(BEST),
            );
        }
        for ((key, network), seen) in self.networks.iter().zip(&subject.seen) {
            let distance = match (network, seen) {
                (Network::Lpips(lpips), Some(seen)) => lpips.distance_to(batch(image), seen)?,
                (Network::Lpips(lpips), None) => lpips.distance(batch(image), batch(truth))?,
                (Network::Dists(dists), _) => dists.distance(batch(image), batch(truth))?,
            };
            scores.insert(key, f64::from(crate::train::scalar(distance)?));
        }
        if let (Some(reader), Some(text)) = (&self.reader, &subject.text) {
            let read = reader.read(image)?;
            scores.insert("ocr_characters", reading::characters_met(&read, text));
            scores.insert("ocr_words", reading::words_met(&read, text));
        }
        if let Some(seconds) = seconds {
            scores.insert("seconds", seconds);
        }
        Ok(scores)
    }
}

/// A network of the weights in a file, or of those and one of the backbones.
fn with_backbone<T>(
    path: &Path,
    backbones: &[Weights],
    open: impl Fn(&Weights, &Device) -> asasr_core::Result<T>,
) -> Result<T> {
    let own = community::tensors(path)?;
    let device = Device::flex();
    let mut failed = match open(&own, &device) {
        Ok(network) => return Ok(network),
        Err(e) => e,
    };
    for backbone in backbones {
        let mut both = own.clone();
        for (name, tensor) in backbone.iter() {
            both.insert(name.clone(), tensor.clone());
        }
        match open(&both, &device) {
            Ok(network) => return Ok(network),
            Err(e) => failed = e,
        }
    }
    Err(Error::at(
        path,
        format!("{failed}; a file without the network's own weights needs --backbone with torchvision's"),
    ))
}

fn batch(image: &Planes) -> Tensor<4> {
    let shape = [1, 3, image.height(), image.width()];
    Tensor::from_data(TensorData::new(image.data().to_vec(), shape), &Device::flex())
}

/// The means over images; of a metric that only some images have, over those. The least gain and the speed are of all.
pub(crate) fn means(scores: &[Scores], pixels: f64) -> Scores {
    let mut means = Scores::new();
    for metric in &METRICS {
        let values: Vec<f64> = scores.iter().filter_map(|s| s.get(metric.key)).copied().collect();
        if !values.is_empty() {
            means.insert(metric.key, values.iter().sum::<f64>() / values.len() as f64);
        }
    }
    let least = scores
        .iter()
        .filter_map(|s| s.get("psnr_y_gain"))
        .copied()
        .reduce(f64::min);
    means.extend(least.map(|v| ("worst_gain", v)));
    if let Some(seconds) = means.get("seconds").filter(|s| **s > 0.0) {
        means.insert("mp_per_s", pixels / 1e6 / (seconds * scores.len() as f64));
    }
    means
}

/// The sample deviation; of fewer than two values there is none.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_takes_two_values() {
        assert_eq!(
            (deviation(&[2.0]), deviation(&[1.0, 2.0, 3.0])),
            (None, Some(1.0))
        );
    }
}
