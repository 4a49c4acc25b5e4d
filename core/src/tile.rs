//! Cutting an image into tiles and putting their enlargements together.
//!
//! Every tile owns a *core*; it is computed with a *halo* around it so that its pixels see what they would see in
//! the whole image, and its outermost `feather` pixels are cross-faded with the neighbour's. Cores cover the image
//! without gaps, and at every output pixel the weights sum to one.

use alloc::{format, vec, vec::Vec};

use crate::{Error, Planes, Rect, Result, Size, resample};

/// One tile, in input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// What the network is given: the area that counts and the halo around it, clipped to the image, or to the [grid](TilePlan::on_grid).
    pub input: Rect,
    /// Where the result counts: the core and the feather around it, clipped to the image.
    pub counted: Rect,
    /// The area this tile owns.
    pub core: Rect,
}

impl Tile {
    /// Where the result counts, within the input.
    pub fn inner(&self) -> Rect {
        Rect {
            x0: self.counted.x0 - self.input.x0,
            y0: self.counted.y0 - self.input.y0,
            x1: self.counted.x1 - self.input.x0,
            y1: self.counted.y1 - self.input.y0,
        }
    }
}

/// How an image is cut, in raster order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TilePlan {
    /// Of the whole image.
    image: Size,
    /// What of it is cut.
    area: Rect,
    columns: Vec<usize>,
    rows: Vec<usize>,
    halo: usize,
    feather: usize,
    /// Inputs begin and end at multiples of it, beyond the image's right and lower edge where that ends elsewhere.
    grid: usize,
}

/// Boundaries of near-equal parts from `start` to `end`, none longer than `core`.
fn boundaries(start: usize, end: usize, core: usize) -> Vec<usize> {
    let length = end - start;
    let parts = length.div_ceil(core);
    (0..=parts).map(|i| start + i * length / parts).collect()
}

impl TilePlan {
    /// Cuts an image into cores of at most `core` pixels a side.
    ///
    /// # Errors
    /// [`Error::Size`] for an empty image or a core shorter than four feathers.
    pub fn new(image: Size, core: usize, halo: usize, feather: usize) -> Result<Self> {
        Self::within(image.whole(), image, core, (halo, feather))
    }

    /// Cuts an area of an image. Halos reach beyond the area, as far as the image does.
    ///
    /// # Errors
    /// [`Error::Size`] for an empty area or a core shorter than four feathers.
    pub fn within(area: Rect, image: Size, core: usize, (halo, feather): (usize, usize)) -> Result<Self> {
        if area.width() == 0 || area.height() == 0 {
            return Err(Error::Size(format!(
                "an image of {}x{} pixels has nothing to enlarge",
                area.width(),
                area.height()
            )));
        }
        // Near-equal parts are at least half a core long, and two feathers must fit into one part.
        if core == 0 || core < 4 * feather {
            return Err(Error::Size(format!(
                "tiles of {core} pixels are too small for a feather of {feather}"
            )));
        }
        Ok(Self {
            image,
            area,
            columns: boundaries(area.x0, area.x1, core),
            rows: boundaries(area.y0, area.y1, core),
            halo,
            feather,
            grid: 1,
        })
    }

    /// The same with inputs that begin and end at multiples of `grid` input pixels. Those at the right and the lower edge may then reach
    /// beyond the image.
    #[must_use]
    pub fn on_grid(self, grid: usize) -> Self {
        let grid = grid.max(1);
        Self { grid, ..self }
    }

    /// Which of `sides` is the best for a core: with it, `lanes` workers that take tiles in turn are done first, when a
    /// tile costs its pixels with a halo of `halo`. Of equal ones the first.
    pub fn quickest(image: Size, halo: usize, lanes: usize, sides: &[usize]) -> Option<usize> {
        let time = |side: &usize| -> Option<usize> {
            let plan = Self::new(image, *side, halo, 0).ok()?;
            let mut free_at = vec![0; lanes.max(1)];
            for tile in plan.tiles() {
                if let Some(first) = free_at.iter_mut().min() {
                    *first += tile.input.width() * tile.input.height();
                }
            }
            free_at.into_iter().max()
        };
        sides
            .iter()
            .copied()
            .min_by_key(|side| time(side).unwrap_or(usize::MAX))
    }

    /// What is cut.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Which part counts of a tile that is enlarged `scale` times: 1 inside, a linear cross-fade of two feathers where
    /// there is a neighbour.
    pub fn part(&self, tile: &Tile, scale: usize) -> Part {
        let ramp = 2 * self.feather * scale;
        let fade = |length: usize, before: bool, after: bool| {
            let mut weights = vec![1.0; length * scale];
            let n = weights.len();
            for i in 0..ramp {
                let w = (i as f32 + 0.5) / ramp as f32;
                if before {
                    weights[i] = w;
                }
                if after {
                    weights[n - 1 - i] = w;
                }
            }
            weights
        };
        let (core, whole) = (tile.core, self.area);
        Part {
            whole: tile.input.size().times(scale),
            inner: tile.inner().scaled(scale),
            columns: fade(tile.counted.width(), core.x0 > whole.x0, core.x1 < whole.x1),
            rows: fade(tile.counted.height(), core.y0 > whole.y0, core.y1 < whole.y1),
        }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        (self.columns.len() - 1) * (self.rows.len() - 1)
    }

    /// Never: a plan has at least one tile.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tiles, row by row from the top left.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let whole = self.image.whole();
        let grow = |r: Rect, by: usize, limit: Rect| Rect {
            x0: r.x0.saturating_sub(by).max(limit.x0),
            y0: r.y0.saturating_sub(by).max(limit.y0),
            x1: (r.x1 + by).min(limit.x1),
            y1: (r.y1 + by).min(limit.y1),
        };
        self.rows.windows(2).flat_map(move |y| {
            self.columns.windows(2).map(move |x| {
                let core = Rect {
                    x0: x[0],
                    y0: y[0],
                    x1: x[1],
                    y1: y[1],
                };
                let counted = grow(core, self.feather, self.area);
                let input = grow(counted, self.halo, whole);
                Tile {
                    input: Rect {
                        x0: input.x0 / self.grid * self.grid,
                        y0: input.y0 / self.grid * self.grid,
                        x1: input.x1.next_multiple_of(self.grid),
                        y1: input.y1.next_multiple_of(self.grid),
                    },
                    counted,
                    core,
                }
            })
        })
    }
}

/// Which part of an enlarged tile counts, and how much of it beside its neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Of the enlarged tile.
    pub whole: Size,
    /// The pixels that count, within the enlarged tile.
    pub inner: Rect,
    /// The weight of each of their columns.
    pub columns: Vec<f32>,
    /// The weight of each of their rows; a pixel's weight is the product of both.
    pub rows: Vec<f32>,
}

impl Part {
    /// Multiplies the weights by those of a larger part, in which this one begins at column and row `at`.
    pub(crate) fn weigh(&mut self, whole: &Self, at: (usize, usize)) {
        let columns = self.columns.iter_mut().zip(&whole.columns[at.0..]);
        columns.for_each(|(own, w)| *own *= w);
        let rows = self.rows.iter_mut().zip(&whole.rows[at.1..]);
        rows.for_each(|(own, w)| *own *= w);
    }

    /// Whether a tile that is now of a size was enlarged more than the one that this is part of.
    ///
    /// # Panics
    /// When it was enlarged less, or is another tile.
    pub fn is_of_less(&self, size: Size) -> bool {
        let whole = self.whole;
        assert!(
            size.width >= whole.width && size.width * whole.height == size.height * whole.width,
            "a tile of {size} pixels is none of {whole}"
        );
        size.width > whole.width
    }

    /// The part of an enlarged tile, times its weights. One that was enlarged more is first reduced by [`resample::bicubic`].
    ///
    /// # Panics
    /// When the tile was enlarged less, or is another one.
    #[must_use]
    pub fn cut(&self, enlarged: &Planes) -> Planes {
        let mut part = if self.is_of_less(enlarged.size()) {
            resample::bicubic(enlarged, self.whole).crop(self.inner)
        } else {
            enlarged.crop(self.inner)
        };
        for c in 0..part.channels() {
            for (y, wy) in self.rows.iter().enumerate() {
                let row = part.row_mut(c, y).iter_mut();
                row.zip(&self.columns).for_each(|(v, wx)| *v *= wx * wy);
            }
        }
        part
    }
}

/// Rows that are handed out at a time.
const BAND: usize = 64;

/// Puts enlarged tiles together and hands out finished rows from the top, so that only one row of tiles is held.
#[derive(Debug)]
pub struct Mosaic {
    scale: usize,
    feather: usize,
    /// What is put together, in input pixels.
    area: Rect,
    /// Output row of the first row held in `strip`.
    first: usize,
    strip: Planes,
}

impl Mosaic {
    /// An empty mosaic of `channels` planes, `scale` times the plan's area.
    pub fn new(plan: &TilePlan, channels: usize, scale: usize) -> Self {
        let tallest = plan.tiles().map(|t| t.counted.height()).max().unwrap_or(0);
        Self {
            scale,
            feather: plan.feather,
            area: plan.area,
            first: plan.area.y0 * scale,
            strip: Planes::zeros(channels, tallest * scale, plan.area.width() * scale),
        }
    }

    /// Adds a tile. Tiles come in the plan's order; `result` covers `tile.counted` enlarged, times its weights, as
    /// [`Part::cut`] gives it.
    ///
    /// When `tile` ends a row of tiles, the rows that no later one touches go to `write`, some at a time, with the index of the
    /// first.
    ///
    /// # Errors
    /// [`Error::Size`] when `result` has another size than the tile; those of `write`.
    pub fn add(
        &mut self,
        tile: &Tile,
        result: &Planes,
        write: impl FnMut(usize, &Planes) -> Result<()>,
    ) -> Result<()> {
        let area = tile.counted.scaled(self.scale);
        if (result.width(), result.height(), result.channels())
            != (area.width(), area.height(), self.strip.channels())
        {
            return Err(Error::Size(format!(
                "a tile of {}x{} pixels was enlarged to {}x{}",
                tile.counted.width(),
                tile.counted.height(),
                result.width(),
                result.height()
            )));
        }
        let left = self.area.x0 * self.scale;
        for c in 0..result.channels() {
            for y in 0..area.height() {
                let row = self.strip.row_mut(c, area.y0 + y - self.first);
                let target = &mut row[area.x0 - left..area.x1 - left];
                target.iter_mut().zip(result.row(c, y)).for_each(|(t, v)| *t += v);
            }
        }
        if tile.core.x1 == self.area.x1 {
            self.finish_row(tile, write)?;
        }
        Ok(())
    }

    fn finish_row(&mut self, tile: &Tile, mut write: impl FnMut(usize, &Planes) -> Result<()>) -> Result<()> {
        let first = self.first;
        let end = if tile.core.y1 == self.area.y1 {
            self.area.y1 * self.scale
        } else {
            (tile.core.y1 - self.feather) * self.scale
        };
        let rows = end - first;
        let (width, held) = (self.strip.width(), self.strip.height());
        // A copy of all would need as much memory again.
        for y in (0..rows).step_by(BAND) {
            let band = Rect {
                x0: 0,
                y0: y,
                x1: width,
                y1: rows.min(y + BAND),
            };
            write(first + y, &self.strip.crop(band))?;
        }
        for plane in self.strip.data_mut().chunks_mut(held * width) {
            plane.copy_within(rows * width.., 0);
            plane[(held - rows) * width..].fill(0.0);
        }
        self.first = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(w: usize, h: usize) -> Planes {
        let data = (0..3 * w * h)
            .map(|i| ((i * 2_654_435_761) % 1000) as f32 / 1000.0)
            .collect();
        Planes::new(3, h, w, data).expect("sizes agree")
    }

    /// Tiles enlarged one by one make what the whole image makes: nothing is lost, doubled or shifted.
    fn assemble(image: &Planes, plan: &TilePlan, scale: usize) -> Planes {
        let mut mosaic = Mosaic::new(plan, 3, scale);
        let mut out = Planes::zeros(3, image.height() * scale, image.width() * scale);
        let mut next = 0;
        for tile in plan.tiles() {
            let big = resample::enlarge(&image.crop(tile.input), scale);
            let result = plan.part(&tile, scale).cut(&big);
            let write = |first: usize, rows: &Planes| {
                assert_eq!(first, next);
                out.put_rows(first, rows);
                next = first + rows.height();
                Ok(())
            };
            mosaic.add(&tile, &result, write).expect("sizes agree");
        }
        assert_eq!(next, out.height(), "every row came out");
        out
    }

    proptest! {
        #[test]
        fn tiled_equals_whole(w in 1usize..40, h in 1usize..40, core in 8usize..20, feather in 0usize..3, scale in 2usize..5) {
            let image = noise(w, h);
            let plan = TilePlan::new(Size::new(w, h), core, 2, feather).expect("a valid plan");
            let whole = resample::enlarge(&image, scale);
            let tiled = assemble(&image, &plan, scale);
            for (a, b) in whole.data().iter().zip(tiled.data()) {
                prop_assert!((a - b).abs() < 1e-5);
            }
        }

        #[test]
        fn cores_cover_the_image_once(w in 1usize..300, h in 1usize..300, core in 8usize..64) {
            let plan = TilePlan::new(Size::new(w, h), core, 7, 2).expect("a valid plan");
            let area: usize = plan.tiles().map(|t| t.core.width() * t.core.height()).sum();
            prop_assert_eq!(area, w * h);
            prop_assert_eq!(plan.tiles().count(), plan.len());
            for t in plan.tiles() {
                prop_assert!(t.core.width() <= core && t.core.height() <= core);
                prop_assert!(t.input.x1 <= w && t.input.y1 <= h);
            }
        }
    }

    #[test]
    fn large_tiles_save_halos_and_small_ones_keep_all_workers_busy() {
        let sides = [128, 192, 256];
        let quickest =
            |(width, height), lanes| TilePlan::quickest(Size::new(width, height), 15, lanes, &sides);
        // One worker: the fewer halos the better, and no halo at all is best.
        assert_eq!(quickest((2000, 2000), 1), Some(256));
        assert_eq!(quickest((256, 256), 1), Some(256));
        // Four workers share what one tile would keep from three of them.
        assert_eq!(quickest((256, 256), 4), Some(128));
        assert_eq!(quickest((4000, 3000), 4), Some(256));
        assert_eq!(quickest((0, 0), 4), Some(128), "the plan itself refuses");
        assert_eq!(TilePlan::quickest(Size::new(9, 9), 2, 1, &[]), None);
    }

    #[test]
    fn nothing_to_cut_is_an_error() {
        assert!(matches!(
            TilePlan::new(Size::new(0, 5), 32, 4, 2),
            Err(Error::Size(_))
        ));
        assert!(matches!(
            TilePlan::new(Size::new(5, 5), 4, 4, 2),
            Err(Error::Size(_))
        ));
    }
}
