//! Training pairs: crops of photographs and what a degradation makes of them, a pure function of (seed, step).

use std::path::Path;

use asasr_core::{Planes, Rect, Size, metrics, random::SplitMix64, resample};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::clips::{Clips, Source};
use crate::degrade::{Protocol, Recipe, carry_out, degrade, filter, reach};
use crate::drawn::Artist;
use crate::error::{Error, Result};
use crate::eval::{self, ResultFolder};

/// Deviations in pixels of the Gaussians that blur crops, drawn evenly by their logarithm.
const BLUR: (f64, f64) = (1.0, 6.0);

/// One photograph in 8 bits, `[3, h * scale, w * scale]`, and its input where that is the same for every crop: a given one, or the clean
/// reduction.
struct Photo {
    hq: Vec<u8>,
    lq: Option<Vec<u8>>,
    /// Of the input.
    size: Size,
}

/// Where low-quality images come from.
#[derive(Clone, Copy)]
pub(crate) enum Inputs<'a> {
    Made(Protocol),
    /// Given for the photographs; of what is drawn they are made.
    Given(&'a ResultFolder, Protocol),
}

impl Inputs<'_> {
    fn protocol(self) -> Protocol {
        match self {
            Self::Made(protocol) | Self::Given(_, protocol) => protocol,
        }
    }
}

/// Photographs held in memory.
pub(crate) struct Dataset {
    photos: Vec<Photo>,
    scale: usize,
    protocol: Protocol,
    /// Share of the crops that are blurred first.
    blurred: f64,
    /// Shares of [`Protocol::Real`]'s three parts, where they are no thirds.
    shares: Option<[f64; 3]>,
    /// Who draws crops that are no photographs, and their share.
    drawn: Option<(Artist, f64)>,
    /// How crops move, where they are frames of a video.
    clips: Option<Clips>,
}

/// Pairs of a step, `n` of them. Of a clip the frames lie one below the other.
pub(crate) struct Batch {
    /// `[n, 3, patch, patch]`
    pub(crate) low: Tensor<4>,
    /// Its bicubic enlargement, `[n, 3, patch * scale, patch * scale]`.
    pub(crate) skip: Tensor<4>,
    /// The truth, of that size.
    pub(crate) high: Tensor<4>,
}

/// The same before it is on a device.
pub(crate) struct Crops {
    low: TensorData,
    skip: TensorData,
    high: TensorData,
}

impl Crops {
    /// Puts them on a device.
    pub(crate) fn on(self, device: &Device) -> Batch {
        let on = |data| Tensor::from_data(data, device);
        Batch {
            low: on(self.low),
            skip: on(self.skip),
            high: on(self.high),
        }
    }
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
        inputs: Inputs<'_>,
    ) -> Result<Self> {
        let Cached {
            kept: photos,
            used,
            skipped,
            beyond,
        } = cached(
            paths,
            cache_mb,
            |path| Photo::read(path.as_ref(), scale, patch, inputs),
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
            protocol: inputs.protocol(),
            blurred: 0.0,
            shares: None,
            drawn: None,
            clips: None,
        })
    }

    /// Photographs at hand, `[3, h, w]` each.
    pub(crate) fn of(images: &[Planes], scale: usize, protocol: Protocol) -> Result<Self> {
        let photos = images
            .iter()
            .map(|image| Photo::new(image, None, scale, protocol))
            .collect::<Result<_>>()?;
        Ok(Self {
            photos,
            scale,
            protocol,
            blurred: 0.0,
            shares: None,
            drawn: None,
            clips: None,
        })
    }

    /// The same photographs with that share of the crops out of focus.
    pub(crate) fn blurring(self, blurred: f64) -> Self {
        Self { blurred, ..self }
    }

    /// The same photographs with other shares of clean, mildly and fully degraded crops, where all three are mixed.
    pub(crate) fn mixing(self, shares: Option<[f64; 3]>) -> Self {
        Self { shares, ..self }
    }

    /// The same photographs, and in the place of a share of the crops what an artist draws.
    pub(crate) fn drawing(self, artist: Artist, share: f64) -> Self {
        let drawn = (share > 0.0).then_some((artist, share));
        Self { drawn, ..self }
    }

    /// The same photographs under a camera that moves.
    pub(crate) fn moving(self, clips: Option<Clips>) -> Self {
        Self { clips, ..self }
    }

    /// How a crop is degraded.
    fn recipe(&self, draw: &mut SplitMix64) -> Option<Recipe> {
        match (self.protocol, &self.shares) {
            (Protocol::Real, Some(shares)) => Recipe::draw_mixed(shares, draw),
            (protocol, _) => Recipe::draw(protocol, draw),
        }
    }

    /// Number of photographs.
    pub(crate) fn len(&self) -> usize {
        self.photos.len()
    }

    /// The pairs of step `step`.
    pub(crate) fn crops(&self, seed: u64, step: u64, n: usize, patch: usize) -> Result<Crops> {
        let samples: Vec<Sample> = (0..n as u64)
            .into_par_iter()
            .map(|i| self.sample(&mut SplitMix64::of([seed, step, i]), patch))
            .collect::<Result<_>>()?;
        Ok(Crops {
            low: data_of(samples.iter().map(|s| &s.low)),
            skip: data_of(samples.iter().map(|s| &s.skip)),
            high: data_of(samples.iter().map(|s| &s.high)),
        })
    }

    /// A random crop in one of eight orientations, blurred or not, or a drawing, and the input made of it.
    fn sample(&self, draw: &mut SplitMix64, patch: usize) -> Result<Sample> {
        if let Some(clips) = &self.clips {
            return self.clip(clips, draw, patch);
        }
        if let Some((artist, share)) = &self.drawn
            && draw.unit() < *share
        {
            let recipe = self.recipe(draw);
            let margin = reach(recipe.as_ref(), self.scale);
            let region = artist.picture((patch + 2 * margin) * self.scale, draw);
            return self.cut(recipe.as_ref(), &region, (margin, margin), patch, draw);
        }
        let photo = &self.photos[draw.below(self.photos.len())];
        let x = draw.below(photo.size.width - patch + 1);
        let y = draw.below(photo.size.height - patch + 1);
        let turn = draw.below(8);
        let s = self.scale;
        let whole = photo.size.times(s);
        let blur = (self.blurred > 0.0 && draw.unit() < self.blurred)
            .then(|| (BLUR.0.ln() + draw.unit() * (BLUR.1 / BLUR.0).ln()).exp());
        if let (Some(lq), None) = (&photo.lq, blur) {
            // Made of the whole photo, so that a crop's border is like its inside.
            let low = oriented(lq, photo.size, (x, y), patch, turn);
            return Ok(self.pair(low, oriented(&photo.hq, whole, (x * s, y * s), patch * s, turn)));
        }
        // So that it is here too, what is degraded is larger than the crop, as far as there is photo.
        let recipe = self.recipe(draw);
        let blurring = blur.map_or(0, |sigma| (2.0 * sigma / s as f64).ceil() as usize);
        let margin = reach(recipe.as_ref(), s) + blurring;
        let side = (patch + 2 * margin).min(photo.size.width).min(photo.size.height);
        let start = |at: usize, size: usize| at.saturating_sub((side - patch) / 2).min(size - side);
        let (left, top) = (start(x, photo.size.width), start(y, photo.size.height));
        let mut region = oriented(&photo.hq, whole, (left * s, top * s), side * s, turn);
        if let Some(sigma) = blur {
            region = filter::blur(&region, sigma);
        }
        let place = turned((x - left, y - top), side - patch, turn);
        self.cut(recipe.as_ref(), &region, place, patch, draw)
    }

    /// The frames of a clip, one below the other.
    fn clip(&self, clips: &Clips, draw: &mut SplitMix64, patch: usize) -> Result<Sample> {
        let recipe = self.recipe(draw);
        let margin = reach(recipe.as_ref(), self.scale);
        let side = (patch + 2 * margin) * self.scale;
        let frames = clips.truth(side, draw, |draw| {
            let photo = &self.photos[draw.below(self.photos.len())];
            Source {
                pixels: &photo.hq,
                size: photo.size.times(self.scale),
            }
        });
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for frame in &frames {
            let pair = self.cut(recipe.as_ref(), frame, (margin, margin), patch, draw)?;
            low.push(pair.low);
            high.push(pair.high);
        }
        let low = clips.coded(low, draw)?;
        let skip: Vec<Planes> = low.iter().map(|low| resample::enlarge(low, self.scale)).collect();
        Ok(Sample {
            low: tall(&low),
            skip: tall(&skip),
            high: tall(&high),
        })
    }

    /// The pair at `place`, in pixels of the input, of a degraded region.
    fn cut(
        &self,
        recipe: Option<&Recipe>,
        region: &Planes,
        place: (usize, usize),
        patch: usize,
        draw: &mut SplitMix64,
    ) -> Result<Sample> {
        let low = carry_out(recipe, region, self.scale, draw)?;
        let square = |scale: usize| Rect {
            x0: place.0 * scale,
            y0: place.1 * scale,
            x1: (place.0 + patch) * scale,
            y1: (place.1 + patch) * scale,
        };
        Ok(self.pair(low.crop(square(1)), region.crop(square(self.scale))))
    }

    fn pair(&self, low: Planes, high: Planes) -> Sample {
        Sample {
            skip: resample::enlarge(&low, self.scale),
            low,
            high,
        }
    }
}

impl Photo {
    fn read(path: &Path, scale: usize, patch: usize, inputs: Inputs<'_>) -> Result<Self> {
        let pair = match inputs {
            Inputs::Made(_) => None,
            Inputs::Given(folder, _) => Some(eval::pair_with(path, folder, scale)?),
        };
        let (hq, lq) = match pair {
            Some(pair) => (pair.hq, Some(pair.lq)),
            None => (eval::truth(path, scale)?, None),
        };
        let (width, height) = (hq.width() / scale, hq.height() / scale);
        if width < patch || height < patch {
            let side = patch * scale;
            return Err(Error::at(
                path,
                format!("smaller than a crop of {side}x{side} pixels"),
            ));
        }
        Self::new(&hq, lq.as_ref(), scale, inputs.protocol())
    }

    fn new(hq: &Planes, lq: Option<&Planes>, scale: usize, protocol: Protocol) -> Result<Self> {
        let lq = match (lq, protocol) {
            (Some(lq), _) => Some(bytes(lq)),
            (None, Protocol::Clean) => Some(bytes(&degrade(hq, scale, protocol, &mut SplitMix64::new(0))?)),
            (None, Protocol::RealMild | Protocol::RealFull | Protocol::Real) => None,
        };
        Ok(Self {
            hq: bytes(hq),
            lq,
            size: Size::new(hq.width() / scale, hq.height() / scale),
        })
    }
}

/// Images of one size, one below the other.
fn tall(images: &[Planes]) -> Planes {
    let size = images.first().map_or(Size::new(0, 0), Planes::size);
    let mut out = Planes::zeros(3, images.len() * size.height, size.width);
    for (i, image) in images.iter().enumerate() {
        out.put_rows(i * size.height, image);
    }
    out
}

/// Images of one size as a batch.
pub(super) fn stacked<'a>(images: impl IntoIterator<Item = &'a Planes>, device: &Device) -> Tensor<4> {
    Tensor::from_data(data_of(images), device)
}

fn data_of<'a>(images: impl IntoIterator<Item = &'a Planes>) -> TensorData {
    let (mut values, mut size, mut n) = (Vec::new(), (0, 0), 0);
    for image in images {
        values.extend_from_slice(image.data());
        size = (image.height(), image.width());
        n += 1;
    }
    TensorData::new(values, [n, 3, size.0, size.1])
}

/// The square of `side` pixels at `(x0, y0)`: bit 0 of `turn` mirrors columns, bit 1 rows, bit 2 transposes.
pub(super) fn oriented(
    data: &[u8],
    size: Size,
    (x0, y0): (usize, usize),
    side: usize,
    turn: usize,
) -> Planes {
    let Size { width: w, height: h } = size;
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

/// Where a smaller square at `(x, y)` of another, which is `room` pixels larger, lies once [`oriented`] has turned that.
fn turned((x, y): (usize, usize), room: usize, turn: usize) -> (usize, usize) {
    let x = if turn & 1 == 0 { x } else { room - x };
    let y = if turn & 2 == 0 { y } else { room - y };
    if turn & 4 == 0 { (x, y) } else { (y, x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientations_are_the_eight_of_the_square() {
        let data: Vec<u8> = (0..3 * 16).map(|i| i as u8).collect();
        let mut seen: Vec<Vec<f32>> = (0..8)
            .map(|t| oriented(&data, Size::new(4, 4), (0, 0), 4, t).into_data())
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
            // Away from the crop's border, where the reduction saw pixels outside it.
            for y in 2..6 {
                assert_eq!(again.row(1, y)[2..6], soft.low.row(1, y)[2..6]);
            }
            if some.high.data() == sharp.high.data() {
                assert_eq!(some.low.data(), sharp.low.data());
            } else {
                blurred += 1;
            }
        }
        assert!((10..=30).contains(&blurred), "{blurred} of 40");
    }

    #[test]
    fn a_share_of_the_crops_is_drawn_and_leaves_nothing_else_changed() {
        let mut grey = Planes::zeros(3, 160, 160);
        grey.data_mut().fill(0.5);
        let made = |share: f64, protocol, key: u64| {
            let artist = Artist::new(None).expect("needs no fonts");
            let dataset = Dataset::of(std::slice::from_ref(&grey), 4, protocol).expect("fits");
            let mut draw = SplitMix64::of([1, 2, key]);
            dataset
                .drawing(artist, share)
                .sample(&mut draw, 8)
                .expect("degrades")
        };
        let is_grey = |s: &Sample| s.high.data().iter().all(|v| (v - 0.5).abs() < 0.01);
        for protocol in [Protocol::Clean, Protocol::RealFull] {
            let drawn = (0..60).filter(|key| !is_grey(&made(0.5, protocol, *key))).count();
            assert!((15..=45).contains(&drawn), "{drawn} of 60");
            assert!((0..20).all(|key| is_grey(&made(0.0, protocol, key))));
        }
        // What was drawn is the truth, and the input is made of it.
        for key in 0..20 {
            let sample = made(1.0, Protocol::Clean, key);
            let again = resample::shrink(&sample.high, 4).expect("large enough");
            for y in 2..6 {
                for (a, b) in again.row(2, y)[2..6].iter().zip(&sample.low.row(2, y)[2..6]) {
                    assert!((a.clamp(0.0, 1.0) - b).abs() < 0.003);
                }
            }
        }
    }

    #[test]
    fn shares_say_how_many_crops_are_clean() {
        let mut grey = Planes::zeros(3, 160, 160);
        grey.data_mut().fill(0.5);
        let clean = |shares| {
            let dataset = Dataset::of(std::slice::from_ref(&grey), 4, Protocol::Real)
                .expect("fits")
                .mixing(shares);
            let none = |key: &u64| dataset.recipe(&mut SplitMix64::of([3, 1, *key])).is_none();
            (0..1000).filter(none).count()
        };
        assert!((280..390).contains(&clean(None)));
        assert!((60..140).contains(&clean(Some([0.1, 0.45, 0.45]))));
        assert_eq!(
            (clean(Some([0.0, 1.0, 0.0])), clean(Some([1.0, 0.0, 0.0]))),
            (0, 1000)
        );
    }

    #[test]
    fn a_place_is_turned_with_its_square() {
        let (side, inner) = (9, 4);
        let data: Vec<u8> = (0..3 * side * side).map(|i| (i * 89 % 251) as u8).collect();
        for turn in 0..8 {
            for at in [(0, 0), (5, 2), (3, 5)] {
                let whole = oriented(&data, Size::new(side, side), (0, 0), side, turn);
                let (x, y) = turned(at, side - inner, turn);
                let square = Rect {
                    x0: x,
                    y0: y,
                    x1: x + inner,
                    y1: y + inner,
                };
                let direct = oriented(&data, Size::new(side, side), at, inner, turn);
                assert_eq!(whole.crop(square), direct, "turn {turn} at {at:?}");
            }
        }
    }

    /// A blurred crop is what the blurred photo has there, to its border.
    #[test]
    fn what_lies_around_a_crop_counts() {
        let (side, s, patch) = (200, 4, 16);
        let value = |i: usize| ((i * 7919) % 251) as f32 / 250.0;
        let photo = Planes::new(3, side, side, (0..3 * side * side).map(value).collect()).expect("fits");
        let dataset = Dataset::of(std::slice::from_ref(&photo), s, Protocol::Clean)
            .expect("fits")
            .blurring(1.0);
        for key in 0..10 {
            let mut draw = SplitMix64::of([4, 2, key]);
            let sample = dataset.sample(&mut draw.clone(), patch).expect("degrades");
            // The same draws.
            draw.below(1);
            let room = side / s - patch + 1;
            let at = (draw.below(room), draw.below(room));
            let turn = draw.below(8);
            draw.unit();
            let sigma = (BLUR.0.ln() + draw.unit() * (BLUR.1 / BLUR.0).ln()).exp();
            let blurred = bytes(&filter::blur(&photo, sigma));
            let lq = bytes(&resample::shrink(&filter::blur(&photo, sigma), s).expect("large enough"));
            let small = Size::new(side / s, side / s);
            for (got, want) in [
                (&sample.low, oriented(&lq, small, at, patch, turn)),
                (
                    &sample.high,
                    oriented(
                        &blurred,
                        Size::new(side, side),
                        (at.0 * s, at.1 * s),
                        patch * s,
                        turn,
                    ),
                ),
            ] {
                for (got, want) in got.data().iter().zip(want.data()) {
                    assert!((got - want).abs() < 0.02, "sigma {sigma}: {got} {want}");
                }
            }
        }
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
                size: Size::new(w, h),
            }],
            scale: s,
            protocol: Protocol::Clean,
            blurred: 0.0,
            shares: None,
            drawn: None,
            clips: None,
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
