//! Training pairs: crops of photographs and of their reductions, a pure function of (seed, step).

use std::path::Path;

use asasr_core::{Planes, metrics, random::SplitMix64, resample};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::eval;

/// One photograph in 8 bits, `[3, h, w]`, and its reduction.
struct Photo {
    hq: Vec<u8>,
    lq: Vec<u8>,
    /// Size of the reduction.
    width: usize,
    height: usize,
}

/// Photographs held in memory.
pub(crate) struct Dataset {
    photos: Vec<Photo>,
    scale: usize,
}

/// Inputs and what the network should add to their bicubic enlargement.
pub(crate) struct Batch {
    /// `[n, 3, patch, patch]`
    pub(crate) input: Tensor<4>,
    /// `[n, 3, patch * scale, patch * scale]`
    pub(crate) residual: Tensor<4>,
}

fn bytes(planes: &Planes) -> Vec<u8> {
    planes.data().iter().map(|v| metrics::to_u8(*v)).collect()
}

impl Dataset {
    /// Decodes `paths` in parallel until the cache is full. Files that cannot be used are named and left out.
    pub(crate) fn load(
        paths: &[impl AsRef<Path> + Sync],
        scale: usize,
        patch: usize,
        cache_mb: usize,
    ) -> Result<Self> {
        let mut photos = Vec::new();
        let (mut used, mut skipped, mut beyond) = (0usize, 0usize, 0usize);
        for chunk in paths.chunks(16) {
            if used > cache_mb << 20 {
                beyond += chunk.len();
                continue;
            }
            let read: Vec<Result<Photo>> = chunk
                .par_iter()
                .map(|path| {
                    let path = path.as_ref();
                    let pair = eval::clean_pair(path, scale)?;
                    let (width, height) = (pair.lq.width(), pair.lq.height());
                    if width < patch || height < patch {
                        let side = patch * scale;
                        return Err(Error::at(
                            path,
                            format!("smaller than a crop of {side}x{side} pixels"),
                        ));
                    }
                    Ok(Photo {
                        hq: bytes(&pair.hq),
                        lq: bytes(&pair.lq),
                        width,
                        height,
                    })
                })
                .collect();
            for photo in read {
                match photo {
                    Ok(photo) => {
                        used += photo.hq.len() + photo.lq.len();
                        photos.push(photo);
                    }
                    Err(why) => {
                        eprintln!("left out: {why}");
                        skipped += 1;
                    }
                }
            }
        }
        if beyond > 0 {
            eprintln!(
                "{beyond} images did not fit into the cache of {cache_mb} MB: raise --cache-mb to use them"
            );
        }
        eprintln!("{} images in {} MB, {skipped} left out", photos.len(), used >> 20);
        if photos.is_empty() {
            return Err(Error::new("no image can be used for training"));
        }
        Ok(Self { photos, scale })
    }

    /// Number of photographs.
    pub(crate) fn len(&self) -> usize {
        self.photos.len()
    }

    /// The batch of step `step`.
    pub(crate) fn batch(&self, seed: u64, step: u64, n: usize, patch: usize, device: &Device) -> Batch {
        let crops: Vec<(Planes, Planes)> = (0..n as u64)
            .into_par_iter()
            .map(|i| {
                let mut draw = SplitMix64::of([seed, step, i]);
                self.crop(&mut draw, patch)
            })
            .collect();
        let side = patch * self.scale;
        let collect =
            |f: fn(&(Planes, Planes)) -> &Planes| crops.iter().flat_map(|c| f(c).data()).copied().collect();
        let (input, residual): (Vec<f32>, Vec<f32>) = (collect(|c| &c.0), collect(|c| &c.1));
        Batch {
            input: Tensor::from_data(TensorData::new(input, [n, 3, patch, patch]), device),
            residual: Tensor::from_data(TensorData::new(residual, [n, 3, side, side]), device),
        }
    }

    /// A random crop in one of eight orientations, and its residual.
    fn crop(&self, draw: &mut SplitMix64, patch: usize) -> (Planes, Planes) {
        let photo = &self.photos[draw.below(self.photos.len())];
        let x = draw.below(photo.width - patch + 1);
        let y = draw.below(photo.height - patch + 1);
        let turn = draw.below(8);
        let s = self.scale;
        let lq = oriented(&photo.lq, (photo.width, photo.height), (x, y), patch, turn);
        let mut residual = oriented(
            &photo.hq,
            (photo.width * s, photo.height * s),
            (x * s, y * s),
            patch * s,
            turn,
        );
        let skip = resample::enlarge(&lq, s);
        for (r, b) in residual.data_mut().iter_mut().zip(skip.data()) {
            *r -= b;
        }
        (lq, residual)
    }
}

/// The square of `side` pixels at `(x0, y0)`: bit 0 of `turn` mirrors columns, bit 1 rows, bit 2 transposes.
fn oriented(
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

    /// The reduction commutes with mirroring and turning, so input and residual stay a pair.
    #[test]
    fn input_and_residual_are_turned_alike() {
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
                lq,
                width: w,
                height: h,
            }],
            scale: s,
        };
        for i in 0..40 {
            let (input, mut residual) = dataset.crop(&mut SplitMix64::of([1, 2, i]), 8);
            for (r, b) in residual
                .data_mut()
                .iter_mut()
                .zip(resample::enlarge(&input, s).data())
            {
                *r += b;
            }
            // Away from the crop's border, where the reduction sees pixels outside it.
            let again = resample::shrink(&residual, s).expect("large enough");
            for y in 2..6 {
                for x in 2..6 {
                    assert!((again.row(0, y)[x] - input.row(0, y)[x]).abs() < 0.003);
                }
            }
        }
    }
}
