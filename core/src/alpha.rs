//! Colour is weighed by alpha wherever pixels are summed, so that what is not seen does not colour what is.
//!
//! With `C` the colours, `A` alpha, `b` bicubic enlargement and `N C` a network's result, the enlarged picture over any background `B`
//! ought to be near `b(A C + (1 - A) B)`. Colour and alpha enlarged apart miss the covariance of both under the kernel: a dark seam
//! where an opaque edge meets a shadow. So the weighed colour is `b(A C) + g b(A) (N C - b C)`, which is `b(A) N C` where alpha stays the
//! same, with `g` 1 there and 0 where it changes, for a network knows nothing of alpha; colours are that over `b(A)`.

use alloc::vec::Vec;

use crate::{Part, Planes, resample};

/// Channels of an image's colours.
pub(crate) const COLOURS: usize = 3;
/// How far alpha may change within [`REACH`] for a network's detail to count in full, and from where on it does not count.
const CHANGE: [f32; 2] = [0.02, 0.1];
/// Input pixels to either side.
const REACH: usize = 2;
/// The weight of the colour of what is not seen.
const UNSEEN: f32 = 1.0 / 1024.0;

/// Times alpha, colour by colour; `alpha` has as many pixels as a plane.
pub(crate) fn weigh(colours: &mut Planes, alpha: &[f32]) {
    for plane in colours.data_mut().chunks_exact_mut(alpha.len().max(1)) {
        plane.iter_mut().zip(alpha).for_each(|(v, a)| *v *= a);
    }
}

/// Takes alpha's weight off again; where nothing is seen the colour is the one that `unseen` gives for a pixel.
pub(crate) fn unweigh(colour: &mut [f32], alpha: &[f32], unseen: impl Fn(usize) -> f32) {
    for (i, (v, a)) in colour.iter_mut().zip(alpha).enumerate() {
        let a = a.clamp(0.0, 1.0);
        let e = UNSEEN * (1.0 - a);
        *v = (v.clamp(0.0, a) + e * unseen(i)) / (a + e);
    }
}

/// What alpha makes of a tile's colours.
pub(crate) struct Weighing {
    /// `b(A C)` and `b C`, the part that counts of each, times its weights.
    weighed: Planes,
    plain: Planes,
    /// `g b(A)`.
    share: Planes,
}

impl Weighing {
    /// Of a tile of colours, `[3, h, w]`, and of alpha, `[1, h, w]`.
    pub(crate) fn new(colours: &Planes, alpha: &Planes, part: &Part) -> Self {
        let enlarge = |image: &Planes| resample::bicubic(image, part.whole);
        let mut weighed = colours.clone();
        weigh(&mut weighed, alpha.plane(0));
        let mut share = resample::linear(&steadiness(alpha), part.whole).crop(part.inner);
        let opacity = enlarge(alpha).crop(part.inner);
        let pairs = share.data_mut().iter_mut().zip(opacity.data());
        pairs.for_each(|(g, a)| *g *= a.clamp(0.0, 1.0));
        Self {
            weighed: part.cut(&enlarge(&weighed)),
            plain: part.cut(&enlarge(colours)),
            share,
        }
    }

    /// The weighed colours of a network's result, the part of it that counts, times its weights.
    pub(crate) fn apply(&self, mut image: Planes) -> Planes {
        for c in 0..COLOURS.min(image.channels()) {
            let given = self.weighed.plane(c).iter().zip(self.plain.plane(c));
            let pixels = image.plane_mut(c).iter_mut().zip(given).zip(self.share.plane(0));
            pixels.for_each(|((v, (weighed, plain)), share)| *v = weighed + share * (*v - plain));
        }
        image
    }
}

/// Rows of colours and alpha, `[4, h, w]`, with the weighed colours after them, for a linear filter that [`settled`] comes after.
///
/// # Panics
/// When there are fewer planes.
#[must_use]
pub fn doubled(rows: &Planes) -> Planes {
    let (mut weighed, alpha) = rows.clone().split_channels(COLOURS);
    let alpha = alpha.map(|a| a.split_channels(1).0);
    let alpha = alpha.as_ref().map_or(&[][..], |a| a.plane(0));
    weigh(&mut weighed, alpha);
    rows.clone().with_channels(weighed)
}

/// What a filter made of [`doubled`] rows, `[7, h, w]`, as `[4, h, w]` again: the colour of what is seen, or of all where nothing is.
#[must_use]
pub fn settled(rows: Planes) -> Planes {
    let (mut plain, weighed) = rows.split_channels(COLOURS + 1);
    let Some(weighed) = weighed else { return plain };
    let alpha = plain.plane(COLOURS).to_vec();
    for c in 0..COLOURS {
        let unseen = plain.plane(c).to_vec();
        let colour = plain.plane_mut(c);
        colour.copy_from_slice(weighed.plane(c));
        unweigh(colour, &alpha, |i| unseen[i]);
    }
    plain
}

/// 1 where alpha stays the same, 0 where it changes.
fn steadiness(alpha: &Planes) -> Planes {
    let (w, h) = (alpha.width(), alpha.height());
    let mut out = Planes::zeros(1, h, w);
    let near = |i: usize, n: usize| i.saturating_sub(REACH)..n.min(i + REACH + 1);
    let range = |values: &mut dyn Iterator<Item = [f32; 2]>| {
        values.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], [l, h]| {
            [low.min(l), high.max(h)]
        })
    };
    let rows: Vec<Vec<[f32; 2]>> = (0..h)
        .map(|y| {
            let row = alpha.row(0, y);
            (0..w)
                .map(|x| range(&mut row[near(x, w)].iter().map(|v| [*v, *v])))
                .collect()
        })
        .collect();
    for y in 0..h {
        for (x, v) in out.row_mut(0, y).iter_mut().enumerate() {
            let [low, high] = range(&mut rows[near(y, h)].iter().map(|row| row[x]));
            *v = 1.0 - ((high - low - CHANGE[0]) / (CHANGE[1] - CHANGE[0])).clamp(0.0, 1.0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{self, Options, OutputScale};
    use crate::{Executor, OnStep, Rect, Result, Size};
    use alloc::vec;

    /// A white box with a soft black shadow, `[4, 32, 32]`, and the same composed over `background`.
    fn shadowed(background: f32) -> (Planes, Planes) {
        let (w, h) = (32, 32);
        let (mut image, mut composed) = (Planes::zeros(4, h, w), Planes::zeros(1, h, w));
        for y in 0..h {
            for x in 0..w {
                let inside = |low: usize, high: usize| (low..high).contains(&x) && (low..high).contains(&y);
                let away = |v: usize| (v as f32 - 17.5).abs() - 8.0;
                let shadow = 0.6 * (1.0 - away(x).max(away(y)).max(0.0) / 5.0).max(0.0);
                let (colour, alpha) = if inside(8, 22) { (1.0, 1.0) } else { (0.0, shadow) };
                for c in 0..COLOURS {
                    image.row_mut(c, y)[x] = colour;
                }
                image.row_mut(COLOURS, y)[x] = alpha;
                composed.row_mut(0, y)[x] = alpha * colour + (1.0 - alpha) * background;
            }
        }
        (image, composed)
    }

    /// A network that sharpens.
    struct Sharp;
    impl Executor for Sharp {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            4
        }
        async fn run(&self, tile: &Planes, _: Rect, _: OnStep<'_>) -> Result<Planes> {
            let mut out = resample::enlarge(tile, 4);
            let soft = resample::bicubic(
                &resample::bicubic(&out, Size::new(tile.width() / 2, tile.height() / 2)),
                out.size(),
            );
            for (v, s) in out.data_mut().iter_mut().zip(soft.data()) {
                *v += 0.5 * (*v - s);
            }
            Ok(out)
        }
    }

    fn enlarged(image: &Planes, scale: usize) -> Planes {
        let options = Options::new(OutputScale::new(scale).expect("offered"), 16);
        pollster::block_on(pipeline::whole(&Sharp, image, &options)).expect("runs")
    }

    #[test]
    fn a_shadow_has_no_dark_seam_over_any_background() {
        for background in [1.0, 0.0, 0.6] {
            let (image, composed) = shadowed(background);
            for scale in [2, 3, 4] {
                let result = enlarged(&image, scale);
                let wanted = resample::enlarge(&composed, scale);
                for (i, wanted) in wanted.plane(0).iter().enumerate() {
                    let (colour, alpha) = (result.plane(0)[i], result.plane(COLOURS)[i].clamp(0.0, 1.0));
                    let got = alpha * colour.clamp(0.0, 1.0) + (1.0 - alpha) * background;
                    let error = 255.0 * (got - wanted.clamp(0.0, 1.0));
                    assert!(
                        (-20.0..32.0).contains(&error),
                        "over {background}, {scale} times: {error} levels"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_seen_alike_everywhere_is_the_networks() {
        let opaque = |alpha: f32| {
            let mut image = Planes::zeros(4, 24, 24);
            for c in 0..COLOURS {
                for (i, v) in image.plane_mut(c).iter_mut().enumerate() {
                    *v = 0.3 + 0.4 * (((i % 24) / 3 + i / 72 + c) % 2) as f32;
                }
            }
            image.plane_mut(COLOURS).fill(alpha);
            enlarged(&image, 4)
        };
        let (whole, half) = (opaque(1.0), opaque(0.5));
        for c in 0..COLOURS {
            for (a, b) in whole.plane(c).iter().zip(half.plane(c)) {
                assert!((a - b).abs() < 2e-3, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_filter_sees_only_what_is_seen() {
        // Red that is seen beside green that is not: their mean is red.
        let rows = Planes::new(4, 1, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]).expect("sizes agree");
        let mean = settled(resample::bicubic(&doubled(&rows), Size::new(1, 1)));
        assert!(
            mean.plane(0)[0] > 0.99 && mean.plane(1)[0] < 0.01,
            "{:?}",
            mean.data()
        );
        assert!((mean.plane(3)[0] - 0.5).abs() < 1e-6);
        let nothing = Planes::new(4, 1, 1, vec![0.2, 0.4, 0.6, 0.0]).expect("sizes agree");
        let same = settled(doubled(&nothing));
        for (a, b) in same.data().iter().zip(nothing.data()) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
