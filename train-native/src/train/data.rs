//! Training pairs: crops of photographs and what a degradation makes of them, a pure function of (seed, step).

use std::path::Path;

use asasr_core::{Planes, metrics, random::SplitMix64, resample};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::degrade::{Protocol, degrade, filter};
use crate::error::{Error, Result};
use crate::eval;

/// Deviations in pixels of the Gaussians that blur crops, drawn evenly by their logarithm.
const BLUR: (f64, f64) = (1.0, 6.0);

/// One photograph in 8 bits, `[3, h * scale, w * scale]`, and, where that is the protocol, its clean reduction.
struct Photo {
    hq: Vec<u8>,
    lq: Option<Vec<u8>>,
    /// Size of the reduction.
    width: usize,
    height: usize,
}

/// Photographs held in memory.
pub(crate) struct Dataset {
    photos: Vec<Photo>,
    scale: usize,
    protocol: Protocol,
    /// Share of the crops that are blurred first.
    blurred: f64,
}

/// Pairs of a step, `n` of them.
pub(crate) struct Batch {
    /// `[n, 3, patch, patch]`
    pub(crate) low: Tensor<4>,
    /// Its bicubic enlargement, `[n, 3, patch * scale, patch * scale]`.
    pub(crate) skip: Tensor<4>,
    /// The truth, of that size.
    pub(crate) high: Tensor<4>,
}

/// A pair on the host.
struct Sample {
    low: Planes,
    skip: Planes,
    high: Planes,
}

/// What a cache of a given size holds of a list.
pub(super) struct Cached<T> {
    pub(super) kept: Vec<T>,
    /// Bytes taken.
    pub(super) used: usize,
    /// Items that could not be used.
    pub(super) skipped: usize,
    /// Items that did not fit any more.
    pub(super) beyond: usize,
}

/// Reads a list in parallel and in order until the cache is full. What cannot be used is named and left out.
pub(super) fn cached<P: Sync, T: Send>(
    list: &[P],
    cache_mb: usize,
    read: impl Fn(&P) -> Result<T> + Sync,
    size: impl Fn(&T) -> usize,
) -> Cached<T> {
    let mut cache = Cached {
        kept: Vec::new(),
        used: 0,
        skipped: 0,
        beyond: 0,
    };
    for chunk in list.chunks(16) {
        if cache.beyond > 0 {
            cache.beyond += chunk.len();
            continue;
        }
        let done: Vec<Result<T>> = chunk.par_iter().map(&read).collect();
        for item in done {
            match item {
                Ok(item) => {
                    let bytes = size(&item);
                    if cache.beyond > 0 || cache.used + bytes > cache_mb << 20 {
                        cache.beyond += 1;
                        continue;
                    }
                    cache.used += bytes;
                    cache.kept.push(item);
                }
                Err(why) => {
                    note!("left out: {why}");
                    cache.skipped += 1;
                }
            }
        }
    }
    cache
}

/// Values in 8 bits.
pub(super) fn bytes(planes: &Planes) -> Vec<u8> {
    planes.data().iter().map(|v| metrics::to_u8(*v)).collect()
}

impl Dataset {
    /// Decodes `paths` in parallel until the cache is full. Files that cannot be used are named and left out.
    pub(crate) fn load(
        paths: &[impl AsRef<Path> + Sync],
        scale: usize,
        patch: usize,
        cache_mb: usize,
        protocol: Protocol,
    ) -> Result<Self> {
        let Cached {
            kept: photos,
            used,
            skipped,
            beyond,
        } = cached(
            paths,
            cache_mb,
            |path| Photo::read(path.as_ref(), scale, patch, protocol),
            |photo| photo.hq.len() + photo.lq.as_ref().map_or(0, Vec::len),
        );
        if beyond > 0 {
            note!(
                "{beyond} images did not fit into the cache of {cache_mb} MB: raise --cache-mb to use them"
            );
        }
        note!("{} images in {} MB, {skipped} left out", photos.len(), used >> 20);
        if photos.is_empty() && beyond > 0 {
            return Err(Error::new(format!(
                "not one image fits into --cache-mb {cache_mb}: raise it"
            )));
        }
        if photos.is_empty() {
            return Err(Error::new(format!(
                "no image can be used for training: give others, or a --patch smaller than {patch}"
            )));
        }
        Ok(Self {
            photos,
            scale,
            protocol,
            blurred: 0.0,
        })
    }

    /// Photographs at hand, `[3, h, w]` each.
    pub(crate) fn of(images: &[Planes], scale: usize, protocol: Protocol) -> Result<Self> {
        let photos = images
            .iter()
            .map(|image| Photo::new(image, scale, protocol))
            .collect::<Result<_>>()?;
        Ok(Self {
            photos,
            scale,
            protocol,
            blurred: 0.0,
        })
    }

    /// The same photographs with that share of the crops out of focus.
    pub(crate) fn blurring(self, blurred: f64) -> Self {
        Self { blurred, ..self }
    }

    /// Number of photographs.
    pub(crate) fn len(&self) -> usize {
        self.photos.len()
    }

    /// The batch of step `step`.
    pub(crate) fn batch(
        &self,
        seed: u64,
        step: u64,
        n: usize,
        patch: usize,
        device: &Device,
    ) -> Result<Batch> {
        let samples: Vec<Sample> = (0..n as u64)
            .into_par_iter()
            .map(|i| self.sample(&mut SplitMix64::of([seed, step, i]), patch))
            .collect::<Result<_>>()?;
        Ok(Batch {
            low: stacked(samples.iter().map(|s| &s.low), device),
            skip: stacked(samples.iter().map(|s| &s.skip), device),
            high: stacked(samples.iter().map(|s| &s.high), device),
        })
    }

    /// A random crop in one of eight orientations, blurred or not, and the input made of it.
    fn sample(&self, draw: &mut SplitMix64, patch: usize) -> Result<Sample> {
        let photo = &self.photos[draw.below(self.photos.len())];
        let x = draw.below(photo.width - patch + 1);
        let y = draw.below(photo.height - patch + 1);
        let turn = draw.below(8);
        let s = self.scale;
        let whole = (photo.width * s, photo.height * s);
        let mut high = oriented(&photo.hq, whole, (x * s, y * s), patch * s, turn);
        let blurred = self.blurred > 0.0 && draw.unit() < self.blurred;
        if blurred {
            high = filter::blur(&high, (BLUR.0.ln() + draw.unit() * (BLUR.1 / BLUR.0).ln()).exp());
        }
        let low = match &photo.lq {
            // Made of the whole photo, so that a crop's border is like its inside.
            Some(lq) if !blurred => oriented(lq, (photo.width, photo.height), (x, y), patch, turn),
            _ => degrade(&high, s, self.protocol, draw)?,
        };
        Ok(Sample {
            skip: resample::enlarge(&low, s),
            low,
            high,
        })
    }
}

impl Photo {
    fn read(path: &Path, scale: usize, patch: usize, protocol: Protocol) -> Result<Self> {
        let hq = eval::truth(path, scale)?;
        let (width, height) = (hq.width() / scale, hq.height() / scale);
        if width < patch || height < patch {
            let side = patch * scale;
            return Err(Error::at(
                path,
                format!("smaller than a crop of {side}x{side} pixels"),
            ));
        }
        Self::new(&hq, scale, protocol)
    }

    fn new(hq: &Planes, scale: usize, protocol: Protocol) -> Result<Self> {
        let lq = match protocol {
            Protocol::Clean => Some(bytes(&degrade(hq, scale, protocol, &mut SplitMix64::new(0))?)),
            Protocol::RealMild | Protocol::RealFull | Protocol::Real => None,
        };
        Ok(Self {
            hq: bytes(hq),
            lq,
            width: hq.width() / scale,
            height: hq.height() / scale,
        })
    }
}

/// Images of one size as a batch.
pub(super) fn stacked<'a>(images: impl IntoIterator<Item = &'a Planes>, device: &Device) -> Tensor<4> {
    let (mut values, mut size, mut n) = (Vec::new(), (0, 0), 0);
    for image in images {
        values.extend_from_slice(image.data());
        size = (image.height(), image.width());
        n += 1;
    }
    Tensor::from_data(TensorData::new(values, [n, 3, size.0, size.1]), device)
}

/// The square of `side` pixels at `(x0, y0)`: bit 0 of `turn` mirrors columns, bit 1 rows, bit 2 transposes.
pub(super) fn oriented(
    data: &[u8],
    (w, h): (usize, usize),
    (x0, y0): (usize, usize),
    side: usize,
    turn: usize,
) -> Planes {
    let mut out = Planes::zeros(3, side, side);
    for c in 0..3 {
        for y in 0..side {
            for (x, o) in out.row_mut(c, y).iter_mut().enumerate() {
                let (mut sx, mut sy) = if turn & 4 == 0 { (x, y) } else { (y, x) };
                if turn & 1 != 0 {
                    sx = side - 1 - sx;
                }
                if turn & 2 != 0 {
                    sy = side - 1 - sy;
                }
                *o = f32::from(data[(c * h + y0 + sy) * w + x0 + sx]) / 255.0;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientations_are_the_eight_of_the_square() {
        let data: Vec<u8> = (0..3 * 16).map(|i| i as u8).collect();
        let mut seen: Vec<Vec<f32>> = (0..8)
            .map(|t| oriented(&data, (4, 4), (0, 0), 4, t).into_data())
            .collect();
        for s in &seen {
            let mut sorted = s.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, (0..48).map(|i| i as f32 / 255.0).collect::<Vec<_>>());
        }
        seen.sort_by(|a, b| a.partial_cmp(b).expect("finite"));
        seen.dedup();
        assert_eq!(seen.len(), 8);
    }

    /// What is out of focus is so in the truth, and the input is made of that.
    #[test]
    fn blurred_crops_are_pairs_and_leave_the_others_alone() {
        let (side, s) = (48, 4);
        let value = |i: usize| ((i * 7919) % 251) as f32 / 250.0;
        let photo = Planes::new(3, side, side, (0..3 * side * side).map(value).collect()).expect("fits");
        let made = |blurred: f64, key: u64| {
            let dataset = Dataset::of(std::slice::from_ref(&photo), s, Protocol::Clean)
                .expect("reduces")
                .blurring(blurred);
            dataset
                .sample(&mut SplitMix64::of([1, 2, key]), 8)
                .expect("degrades")
        };
        let spread = |p: &Planes| {
            let mean = p.data().iter().sum::<f32>() / p.data().len() as f32;
            p.data().iter().map(|v| (v - mean).powi(2)).sum::<f32>()
        };
        let mut blurred = 0;
        for key in 0..40 {
            let (sharp, soft, some) = (made(0.0, key), made(1.0, key), made(0.5, key));
            assert!(spread(&soft.high) < 0.5 * spread(&sharp.high));
            let again = degrade(&soft.high, s, Protocol::Clean, &mut SplitMix64::new(0)).expect("reduces");
            assert_eq!(again.data(), soft.low.data());
            if some.high.data() == sharp.high.data() {
                assert_eq!(some.low.data(), sharp.low.data());
            } else {
                blurred += 1;
            }
        }
        assert!((10..=30).contains(&blurred), "{blurred} of 40");
    }

    /// The reduction commutes with mirroring and turning, so input and truth stay a pair.
    #[test]
    fn input_and_truth_are_turned_alike() {
        let (w, h, s) = (12, 10, 4);
        let hq: Vec<u8> = (0..3 * w * h * s * s).map(|i| (i * 31 % 251) as u8).collect();
        let planes = Planes::new(
            3,
            h * s,
            w * s,
            hq.iter().map(|v| f32::from(*v) / 255.0).collect(),
        )
        .expect("fits");
        let lq = bytes(&resample::shrink(&planes, s).expect("large enough"));
        let dataset = Dataset {
            photos: vec![Photo {
                hq,
                lq: Some(lq),
                width: w,
                height: h,
            }],
            scale: s,
            protocol: Protocol::Clean,
            blurred: 0.0,
        };
        for i in 0..40 {
            let sample = dataset
                .sample(&mut SplitMix64::of([1, 2, i]), 8)
                .expect("degrades");
            // Away from the crop's border, where the reduction sees pixels outside it.
            let again = resample::shrink(&sample.high, s).expect("large enough");
            for y in 2..6 {
                for x in 2..6 {
                    assert!((again.row(0, y)[x] - sample.low.row(0, y)[x]).abs() < 0.003);
                }
            }
        }
    }
}
