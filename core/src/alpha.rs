//! Colour is weighed by alpha wherever pixels are summed, so that what is not seen does not colour what is.
//!
//! With `C` the colours, `A` alpha, `b` bicubic enlargement and `N C` a network's result, the enlarged picture over any background `B`
//! ought to be near `b(A C + (1 - A) B)`. Colour and alpha enlarged apart miss the covariance of both under the kernel: a dark seam
//! where an opaque edge meets a shadow. So the weighed colour is `b(A C) + g b(A) (N C - b C)`, which is `b(A) N C` where alpha stays the
//! same, with `g` 1 there and 0 where it changes, for a network knows nothing of alpha; colours are that over `b(A)`.
//!
//! A network sees the colours of what is hardly seen beside those of what is: black that is a shadow's at full strength, say, beside a
//! white card, and it draws specks into the card as deep as it reaches. So near a change of alpha `N C` stays within the colours of the
//! pixels around it whose alpha is alike.

use alloc::vec::Vec;
use core::ops::Range;

use crate::{Part, Planes, resample};

/// Channels of an image's colours.
pub(crate) const COLOURS: usize = 3;
/// How far alpha may change within [`REACH`] for a network's detail to count in full, and from where on it does not count.
const CHANGE: [f32; 2] = [0.02, 0.1];
/// Input pixels to either side.
const REACH: usize = 2;
/// Input pixels to either side of a change of alpha within which a network's detail stays within the colours that are there.
const NEAR: usize = 5;
/// Input pixels around a tile that its weighing looks at, one more for interpolation.
pub(crate) const HALO: usize = NEAR + 1;
/// How far it may leave them: what a network sharpens it sharpens beyond them.
const SLACK: f32 = 8.0 / 255.0;
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
    /// Where alpha changes somewhere.
    bounds: Option<Bounds>,
}

/// Within what a network's result stays.
struct Bounds {
    /// How near a change of alpha is, 0 to 1.
    near: Planes,
    /// The least and the greatest colours, times the part's weights.
    low: Planes,
    high: Planes,
}

impl Bounds {
    fn new(colours: &Planes, alpha: &Planes, part: &Part) -> Option<Self> {
        let mut near = steadiness(alpha, NEAR);
        near.data_mut().iter_mut().for_each(|v| *v = 1.0 - *v);
        if near.data().iter().all(|v| *v == 0.0) {
            return None;
        }
        let (w, h) = (alpha.width(), alpha.height());
        let (mut low, mut high) = (colours.clone(), colours.clone());
        for y in 0..h {
            for x in (0..w).filter(|x| near.row(0, y)[*x] > 0.0) {
                let own = alpha.row(0, y)[x];
                for (i, j) in around(y, h, REACH).flat_map(|j| around(x, w, REACH).map(move |i| (i, j))) {
                    if (alpha.row(0, j)[i] - own).abs() > CHANGE[0] {
                        continue;
                    }
                    for c in 0..COLOURS {
                        let v = colours.row(c, j)[i];
                        let (low, high) = (&mut low.row_mut(c, y)[x], &mut high.row_mut(c, y)[x]);
                        (*low, *high) = (low.min(v), high.max(v));
                    }
                }
            }
        }
        low.data_mut().iter_mut().for_each(|v| *v -= SLACK);
        high.data_mut().iter_mut().for_each(|v| *v += SLACK);
        let enlarged = |image: &Planes| part.cut(&resample::linear(image, part.whole));
        Some(Self {
            near: resample::linear(&near, part.whole).crop(part.inner),
            low: enlarged(&low),
            high: enlarged(&high),
        })
    }

    fn apply(&self, image: &mut Planes) {
        for c in 0..COLOURS.min(image.channels()) {
            let range = self.low.plane(c).iter().zip(self.high.plane(c));
            let pixels = image.plane_mut(c).iter_mut().zip(range).zip(self.near.plane(0));
            pixels.for_each(|((v, (low, high)), near)| *v += near * (v.max(*low).min(*high) - *v));
        }
    }
}

impl Weighing {
    /// Of a tile of colours, `[3, h, w]`, and of alpha, `[1, h, w]`.
    pub(crate) fn new(colours: &Planes, alpha: &Planes, part: &Part) -> Self {
        let enlarge = |image: &Planes| resample::bicubic(image, part.whole);
        let mut weighed = colours.clone();
        weigh(&mut weighed, alpha.plane(0));
        let mut share = resample::linear(&steadiness(alpha, REACH), part.whole).crop(part.inner);
        let opacity = enlarge(alpha).crop(part.inner);
        let pairs = share.data_mut().iter_mut().zip(opacity.data());
        pairs.for_each(|(g, a)| *g *= a.clamp(0.0, 1.0));
        Self {
            weighed: part.cut(&enlarge(&weighed)),
            plain: part.cut(&enlarge(colours)),
            share,
            bounds: Bounds::new(colours, alpha, part),
        }
    }

    /// The weighed colours of a network's result, the part of it that counts, times its weights.
    pub(crate) fn apply(&self, mut image: Planes) -> Planes {
        if let Some(bounds) = &self.bounds {
            bounds.apply(&mut image);
        }
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

/// The places of a line of `n` within `reach` of one.
fn around(i: usize, n: usize, reach: usize) -> Range<usize> {
    i.saturating_sub(reach)..n.min(i + reach + 1)
}

/// 1 where alpha stays the same within `reach`, 0 where it changes.
fn steadiness(alpha: &Planes, reach: usize) -> Planes {
    let (w, h) = (alpha.width(), alpha.height());
    let mut out = Planes::zeros(1, h, w);
    let range = |values: &mut dyn Iterator<Item = [f32; 2]>| {
        values.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], [l, h]| {
            [low.min(l), high.max(h)]
        })
    };
    let rows: Vec<Vec<[f32; 2]>> = (0..h)
        .map(|y| {
            let row = alpha.row(0, y);
            (0..w)
                .map(|x| range(&mut row[around(x, w, reach)].iter().map(|v| [*v, *v])))
                .collect()
        })
        .collect();
    for y in 0..h {
        for (x, v) in out.row_mut(0, y).iter_mut().enumerate() {
            let [low, high] = range(&mut rows[around(y, h, reach)].iter().map(|row| row[x]));
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

    /// A network that draws specks where its tile has black near white, as deep as it reaches.
    struct Specks;
    impl Executor for Specks {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            6
        }
        async fn run(&self, tile: &Planes, _: Rect, _: OnStep<'_>) -> Result<Planes> {
            let mut out = resample::enlarge(tile, 4);
            let low = |x: usize, y: usize| {
                let near = around(y / 4, tile.height(), 4);
                near.flat_map(|j| tile.row(0, j)[around(x / 4, tile.width(), 4)].iter())
                    .copied()
                    .fold(1.0, f32::min)
            };
            for y in (0..out.height()).filter(|y| y % 4 == 1) {
                for x in (0..out.width()).filter(|x| x % 4 == 2) {
                    let low = low(x, y);
                    (0..COLOURS).for_each(|c| out.row_mut(c, y)[x] -= 0.4 * (1.0 - low));
                }
            }
            Ok(out)
        }
    }

    #[test]
    fn what_is_hardly_seen_draws_no_specks_into_what_is() {
        let (image, composed) = shadowed(1.0);
        let options = Options::new(OutputScale::new(4).expect("offered"), 16);
        let result = pollster::block_on(pipeline::whole(&Specks, &image, &options)).expect("runs");
        let wanted = resample::enlarge(&composed, 4);
        for (i, wanted) in wanted.plane(0).iter().enumerate() {
            let (colour, alpha) = (result.plane(0)[i], result.plane(COLOURS)[i].clamp(0.0, 1.0));
            let error = 255.0 * (alpha * colour.clamp(0.0, 1.0) + 1.0 - alpha - wanted.clamp(0.0, 1.0));
            assert!(error >= -20.0, "{error} levels at {i}");
        }
        // Where it is opaque they are the network's.
        let opaque = Planes::new(3, 32, 32, image.data()[..3 * 32 * 32].to_vec()).expect("sizes agree");
        let drawn = pollster::block_on(pipeline::whole(&Specks, &opaque, &options)).expect("runs");
        let least = |x: &Planes| x.row(0, 61)[36..44].iter().copied().fold(1.0, f32::min);
        assert!(least(&drawn) < 0.8, "{}", least(&drawn));
        assert!(least(&result) > 0.9, "{}", least(&result));
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
        let [whole, most, half] = [1.0, 0.75, 0.5].map(opaque);
        // What is wholly opaque is held as without alpha, to a level.
        for (other, within) in [(&most, 2e-3), (&whole, 4e-3)] {
            for c in 0..COLOURS {
                for (a, b) in other.plane(c).iter().zip(half.plane(c)) {
                    assert!((a - b).abs() < within, "{a} {b}");
                }
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
