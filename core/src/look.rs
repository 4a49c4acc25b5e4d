//! What an image looks like, by a few statistics of its own pixels: which network suits it. Thresholds were chosen on photographs of
//! training, as they are and degraded, and on drawings, screenshots and sprites.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::{Raster, Rect, Samples, Size};

/// Side of a piece that is looked at, in pixels.
const SIDE: usize = 256;
/// Side of JPEG's blocks.
const BLOCK: usize = 8;
/// How far chance alone moves the mean of one difference over a block's border, as a share of the others.
const CHANCE: f64 = 0.7;
/// Grey levels within which a block is quiet.
const QUIET: f32 = 12.0;
/// The least rise over two pixels, in grey levels, that may be an edge.
const RISE: f32 = 4.0;
/// Most colours of pixel art, and its longest side.
const FEW: usize = 64;
const LONGEST: usize = 512;

/// A piece of an image: RGBA of 8 bits, row by row. Where the image has JPEG's blocks, its first pixel begins one.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    size: Size,
    rgba: &'a [u8],
}

/// What a piece told of its image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks {
    /// The size of the whole image.
    pub size: Size,
    /// The mean absolute difference of neighbours, in grey levels.
    pub slope: f64,
    /// How much of a strong edge's rise over two pixels is over one of them: 1/2 to 1.
    pub edge: f64,
    /// The mean absolute Laplacian as a share of the slope.
    pub laplacian_share: f64,
    /// Differences over the borders of JPEG's blocks as a share of the others, less what chance does to so few.
    pub blocks: f64,
    /// The share of blocks within twelve grey levels: noise and compression leave drawings that.
    pub quiet: f64,
    /// The share of pixels in the eight most frequent colours, told apart by the upper four bits of each channel.
    pub main_share: f64,
    /// Gradients over two pixels above 60 grey levels, for one of 3 to 60.
    pub hard_ratio: f64,
    /// The share of neighbours of one colour.
    pub same_share: f64,
    /// How many colours there are, up to one more than pixel art has.
    pub colours: usize,
}

impl<'a> Piece<'a> {
    /// A piece of that size; none of other than four samples a pixel, or without pixels.
    pub fn new(size: Size, rgba: &'a [u8]) -> Option<Self> {
        let is_whole = size.pixels() > 0 && rgba.len() == size.pixels().saturating_mul(4);
        is_whole.then_some(Self { size, rgba })
    }

    /// The mean absolute difference of neighbours, in grey levels.
    pub fn slope(&self) -> f64 {
        self.grey().slope()
    }

    fn grey(&self) -> Grey {
        let luma = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        Grey {
            size: self.size,
            values: self.rgba.chunks_exact(4).map(luma).collect(),
        }
    }

    fn colours(&self) -> &'a [[u8; 4]] {
        self.rgba.as_chunks().0
    }
}

impl Looks {
    /// What a piece tells of an image of `size`.
    pub fn of(piece: Piece<'_>, size: Size) -> Self {
        let grey = piece.grey();
        let slope = grey.slope();
        let colours = piece.colours();
        Self {
            size,
            slope,
            edge: grey.edge(),
            laplacian_share: grey.laplacian() / (slope + 0.1),
            blocks: grey.blocks(size),
            quiet: grey.quiet(),
            main_share: main_colours(colours),
            hard_ratio: grey.hard(),
            same_share: same_neighbours(colours, piece.size.width),
            colours: count_colours(colours),
        }
    }

    /// What the most detailed piece of an image tells of it.
    pub fn of_image(image: &Raster) -> Self {
        let mut best = (-1.0, Size::new(0, 0), vec![]);
        for rect in pieces(image.size, SIDE) {
            let (size, rgba) = (rect.size(), image.rgba(rect));
            let slope = Piece { size, rgba: &rgba }.slope();
            if slope > best.0 {
                best = (slope, size, rgba);
            }
        }
        let (_, size, rgba) = &best;
        Self::of(Piece { size: *size, rgba }, image.size)
    }

    /// Whether the image is sharp to the pixel and without noise and compression, as what a larger photo was reduced to.
    pub fn is_clean(&self) -> bool {
        self.edge >= 0.7 && self.laplacian_share >= 1.2 && self.blocks <= 0.98
    }

    /// Whether the image is a drawing, a screenshot or text: a few colours, quiet between hard edges; letters may be blurred.
    pub fn is_drawn(&self) -> bool {
        self.quiet >= 0.2
            && self.main_share >= 0.5
            && self.hard_ratio >= if self.main_share >= 0.95 { 0.05 } else { 0.25 }
    }

    /// Whether the image is pixel art, which a network would smooth: small, of few colours for its size, with hard steps; of very few,
    /// with any.
    pub fn is_pixel_art(&self) -> bool {
        let most = |few: usize, share: usize| self.colours <= few.min(self.size.pixels() / share);
        let is_hard = self.edge >= 0.85 && self.same_share >= 0.3 && self.slope >= 2.0;
        self.size.longest() <= LONGEST && (is_hard && most(FEW, 8) || self.slope >= 6.0 && most(FEW / 4, 16))
    }
}

/// The places of pieces of at most that side, on JPEG's grid: the middle and, where there is room, the middles of the quarters.
pub fn pieces(size: Size, most: usize) -> Vec<Rect> {
    let along = |length: usize| {
        let side = most.min(length);
        // In quarters of the length.
        let at = |quarters: usize| {
            ((length * quarters / 4).saturating_sub(side / 2) / BLOCK * BLOCK).min(length - side)
        };
        let starts = if length > 2 * most {
            vec![at(2), at(1), at(3)]
        } else {
            vec![at(2)]
        };
        starts.into_iter().map(move |start| (start, start + side))
    };
    let rows: Vec<_> = along(size.height).collect();
    let rect = |((x0, x1), (y0, y1))| Rect { x0, y0, x1, y1 };
    rows.into_iter()
        .flat_map(|rows| along(size.width).map(move |columns| rect((columns, rows))))
        .collect()
}

impl Raster {
    /// A part of the image as RGBA of 8 bits.
    fn rgba(&self, rect: Rect) -> Vec<u8> {
        let samples = self.layout.samples();
        let at = |i: usize| match &self.samples {
            Samples::Eight(values) => values[i],
            Samples::Sixteen(values) => (values[i] >> 8) as u8,
        };
        let has_alpha = self.layout.has_alpha();
        let pixel = |i: usize| {
            let alpha = if has_alpha { at(i + samples - 1) } else { 255 };
            let [r, g, b] = if samples < 3 {
                [at(i); 3]
            } else {
                [at(i), at(i + 1), at(i + 2)]
            };
            // What is not seen has no colour.
            if alpha == 0 { [0; 4] } else { [r, g, b, alpha] }
        };
        let row = |y: usize| (rect.x0..rect.x1).map(move |x| samples * (y * self.size.width + x));
        (rect.y0..rect.y1).flat_map(row).flat_map(pixel).collect()
    }
}

/// Grey levels as people see them (BT.601), 0 to 255.
struct Grey {
    size: Size,
    values: Vec<f32>,
}

impl Grey {
    /// All pixels but those at the borders.
    fn inner(&self) -> impl Iterator<Item = (usize, usize)> {
        let Size { width, height } = self.size;
        (1..height.saturating_sub(1)).flat_map(move |y| (1..width.saturating_sub(1)).map(move |x| (x, y)))
    }

    fn inner_pixels(&self) -> f64 {
        let Size { width, height } = self.size;
        (width.saturating_sub(2) * height.saturating_sub(2)).max(1) as f64
    }

    fn at(&self, (x, y): (usize, usize)) -> f32 {
        self.values[y * self.size.width + x]
    }

    /// From a pixel to the next one in its row, and in its column.
    fn steps(&self, (x, y): (usize, usize)) -> [f32; 2] {
        let own = self.at((x, y));
        [(x + 1, y), (x, y + 1)].map(|next| (self.at(next) - own).abs())
    }

    fn slope(&self) -> f64 {
        let sum: f64 = self.inner().flat_map(|at| self.steps(at)).map(f64::from).sum();
        sum / 2.0 / self.inner_pixels()
    }

    fn laplacian(&self) -> f64 {
        let laplacian = |(x, y): (usize, usize)| {
            let [above, own, below] = [y - 1, y, y + 1].map(|y| [x - 1, x, x + 1].map(|x| self.at((x, y))));
            let corners = above[0] + above[2] + below[0] + below[2];
            let sides = above[1] + own[0] + own[2] + below[1];
            f64::from((corners - 2.0 * sides + 4.0 * own[1]).abs())
        };
        self.inner().map(laplacian).sum::<f64>() / self.inner_pixels()
    }

    /// Of the strongest twentieth of all places, which are two for a pixel.
    fn edge(&self) -> f64 {
        // By whole grey levels of a rise: how many places have it, and the sum of their shares.
        let mut levels = [(0.0, 0.0); 256];
        for (x, y) in self.inner() {
            let own = self.at((x, y));
            for [before, next] in [[(x - 1, y), (x + 1, y)], [(x, y - 1), (x, y + 1)]] {
                let [before, next] = [before, next].map(|at| self.at(at));
                let rise = (next - before).abs();
                if rise >= RISE {
                    let (count, shares) = &mut levels[(rise as usize).min(255)];
                    *count += 1.0;
                    *shares += f64::from((next - own).abs().max((own - before).abs()) / rise);
                }
            }
        }
        let mut strongest = (0.0, 0.0);
        for (count, shares) in levels.into_iter().rev() {
            if strongest.0 >= self.inner_pixels() / 10.0 {
                break;
            }
            strongest = (strongest.0 + count, strongest.1 + shares);
        }
        if strongest.0 == 0.0 {
            0.5
        } else {
            strongest.1 / strongest.0
        }
    }

    /// JPEG counts its blocks from the corner where its rows and columns begin, and an image that was turned may have that corner anywhere.
    fn blocks(&self, whole: Size) -> f64 {
        // In rows and in columns, by the place in a block: the sum of steps, and how many.
        let mut steps = [[(0.0, 0.0); BLOCK]; 2];
        for (x, y) in self.inner() {
            for ((step, at), axis) in self.steps((x, y)).into_iter().zip([x, y]).zip(&mut steps) {
                let (sum, count) = &mut axis[at % BLOCK];
                *sum += f64::from(step);
                *count += 1.0;
            }
        }
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let mean = |(sum, count): (f64, f64)| sum / f64::max(count, 1.0);
        let all = steps
            .iter()
            .flatten()
            .fold((0.0, 0.0), |all, each| add(all, *each));
        let share = |column: usize, row: usize| {
            let borders = add(steps[0][column], steps[1][row]);
            let insides = (all.0 - borders.0, all.1 - borders.1);
            mean(borders) / (mean(insides) + 0.5) - CHANCE / libm::sqrt(borders.1 + 1.0)
        };
        // The last place before a border, counted from either end.
        let [columns, rows] = [whole.width, whole.height].map(|n| [BLOCK - 1, (n + BLOCK - 1) % BLOCK]);
        let shares = columns.iter().flat_map(|x| rows.iter().map(|y| share(*x, *y)));
        shares.fold(f64::MIN, f64::max)
    }

    fn quiet(&self) -> f64 {
        let Size { width, height } = self.size;
        let (columns, rows) = (width / BLOCK, height / BLOCK);
        let is_quiet = |column: usize, row: usize| {
            let ys = row * BLOCK..(row + 1) * BLOCK;
            let values = ys.flat_map(|y| &self.values[y * width + column * BLOCK..][..BLOCK]);
            let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
            high - low <= QUIET
        };
        let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let quiet = all.filter(|(column, row)| is_quiet(*column, *row)).count();
        quiet as f64 / (columns * rows).max(1) as f64
    }

    fn hard(&self) -> f64 {
        let [mut hard, mut soft] = [0.0, 0.0];
        for (x, y) in self.inner() {
            let [dx, dy] = [[(x + 1, y), (x - 1, y)], [(x, y + 1), (x, y - 1)]]
                .map(|[next, before]| self.at(next) - self.at(before));
            let square = dx * dx + dy * dy;
            if square > 60.0 * 60.0 {
                hard += 1.0;
            } else if square >= 3.0 * 3.0 {
                soft += 1.0;
            }
        }
        hard / f64::max(soft, 1.0)
    }
}

fn main_colours(pixels: &[[u8; 4]]) -> f64 {
    let mut counts = vec![0_usize; 4096];
    for [r, g, b, _] in pixels {
        counts[usize::from(r >> 4) << 8 | usize::from(g >> 4) << 4 | usize::from(b >> 4)] += 1;
    }
    counts.sort_unstable();
    let main: usize = counts.iter().rev().take(8).sum();
    main as f64 / pixels.len().max(1) as f64
}

/// In rows and in columns.
fn same_neighbours(pixels: &[[u8; 4]], width: usize) -> f64 {
    let [mut same, mut all] = [0.0, 0.0];
    for (i, pixel) in pixels.iter().enumerate() {
        let beside = pixels.get(i + 1).filter(|_| (i + 1) % width != 0);
        for next in beside.into_iter().chain(pixels.get(i + width)) {
            same += f64::from(u8::from(pixel == next));
            all += 1.0;
        }
    }
    if all == 0.0 { 1.0 } else { same / all }
}

fn count_colours(pixels: &[[u8; 4]]) -> usize {
    let mut seen = BTreeSet::new();
    for pixel in pixels {
        if seen.len() > FEW {
            break;
        }
        seen.insert(*pixel);
    }
    seen.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::random::SplitMix64;

    /// An image of so many pixels a side, each as `pixel` has it.
    fn image(side: usize, mut pixel: impl FnMut(usize, usize) -> [u8; 3]) -> Raster {
        let samples = (0..side * side).flat_map(|i| pixel(i % side, i / side)).collect();
        Raster {
            size: Size::new(side, side),
            layout: Layout::Rgb,
            samples: Samples::Eight(samples),
        }
    }

    fn noise(random: &mut SplitMix64, most: u8) -> u8 {
        (random.next_u64() % u64::from(most)) as u8
    }

    #[test]
    fn a_drawing_is_told_from_a_photo() {
        // Black bars on a white page, too large for pixel art.
        let page = image(600, |x, y| {
            [if x / 11 % 3 == 0 && y % 40 < 25 { 20 } else { 250 }; 3]
        });
        let looks = Looks::of_image(&page);
        assert!(looks.is_drawn() && !looks.is_pixel_art(), "{looks:?}");
        assert_eq!(looks.main_share, 1.0);
        // Grain over a slope of all greys.
        let mut random = SplitMix64::new(1);
        let photo = image(300, |x, y| [((x + y) / 3) as u8 + noise(&mut random, 40); 3]);
        let looks = Looks::of_image(&photo);
        assert!(!looks.is_drawn() && !looks.is_pixel_art(), "{looks:?}");
    }

    #[test]
    fn statistics_are_those_of_their_definitions() {
        // A step of 100 levels between columns 7 and 8, which is the border of a block.
        let step = image(16, |x, _| [if x < 8 { 50 } else { 150 }; 3]);
        let looks = Looks::of_image(&step);
        assert_eq!(looks.colours, 2);
        // One of the 14 inner columns has the step, in rows alone.
        assert!((looks.slope - 100.0 / 14.0 / 2.0).abs() < 1e-3, "{looks:?}");
        // All of a rise over two pixels is over one of them.
        assert!((looks.edge - 1.0).abs() < 1e-6);
        assert_eq!((looks.quiet, looks.main_share), (1.0, 1.0));
        // Steps at columns 7 and 8 are hard, and no other is any.
        assert!((looks.hard_ratio - 28.0).abs() < 1e-9, "{looks:?}");
        // Of 2 * 15 * 16 neighbours 16 differ.
        assert!((looks.same_share - (1.0 - 16.0 / 480.0)).abs() < 1e-9);
        // Borders: 14 steps of 100 among 14 in rows and 14 in columns; insides have none.
        let expected = 50.0 / 0.5 - CHANCE / libm::sqrt(29.0);
        assert!((looks.blocks - expected).abs() < 1e-3, "{looks:?} {expected}");
        // The Laplacian of a step is nothing along it and cancels across: -2 * 100 + 100 + 100.
        assert!(looks.laplacian_share.abs() < 1e-6, "{looks:?}");
    }

    #[test]
    fn a_sprite_is_pixel_art_and_a_large_one_is_not() {
        let mut random = SplitMix64::new(2);
        let cells: Vec<u8> = (0..64).map(|_| noise(&mut random, 5) * 60).collect();
        let sprite = |side: usize| image(side, |x, y| [cells[(x / 4 % 8) + 8 * (y / 4 % 8)]; 3]);
        assert!(Looks::of_image(&sprite(64)).is_pixel_art());
        assert!(!Looks::of_image(&sprite(LONGEST + 8)).is_pixel_art());
    }

    #[test]
    fn what_is_sharp_to_the_pixel_is_clean_and_what_is_blurred_or_noisy_is_not() {
        const SIDE: usize = 256;
        // Cells of three pixels a side, each of a level of its own.
        let mut random = SplitMix64::new(3);
        let levels: Vec<u8> = (0..86 * 86).map(|_| 90 + noise(&mut random, 60)).collect();
        let level = |x: usize, y: usize| levels[x / 3 + 86 * (y / 3)];
        assert!(Looks::of_image(&image(SIDE, |x, y| [level(x, y); 3])).is_clean());
        let blurred = image(SIDE, |x, y| {
            let near = |at: usize| [at.saturating_sub(1), at, (at + 1).min(SIDE - 1)];
            let row = |y: usize| near(x).map(|x| u32::from(level(x, y))).iter().sum::<u32>();
            let sum: u32 = near(y).map(row).iter().sum();
            [(sum / 9) as u8; 3]
        });
        assert!(!Looks::of_image(&blurred).is_clean());
        let noisy = image(SIDE, |_, _| [noise(&mut random, 255); 3]);
        assert!(!Looks::of_image(&noisy).is_clean());
    }

    #[test]
    fn blocks_are_found_however_the_image_was_turned() {
        // Blocks of one level each, under a little noise.
        let mut random = SplitMix64::new(5);
        let levels: Vec<u8> = (0..1600).map(|_| 100 + noise(&mut random, 40)).collect();
        for side in [296, 301] {
            let mut random = SplitMix64::new(6);
            let mut block = |x: usize, y: usize| [levels[x / 8 + 40 * (y / 8)] + noise(&mut random, 9); 3];
            let stored = Looks::of_image(&image(side, &mut block));
            let turned = Looks::of_image(&image(side, |x, y| block(side - 1 - x, y)));
            for looks in [stored, turned] {
                assert!(looks.blocks > 1.5, "{side}: {looks:?}");
            }
        }
    }

    #[test]
    fn the_piece_with_the_most_detail_counts() {
        // All but the last quarter's middle is flat.
        let mut random = SplitMix64::new(4);
        let corner = image(1000, |x, y| {
            [if x > 700 && y > 700 {
                noise(&mut random, 255)
            } else {
                90
            }; 3]
        });
        assert!(Looks::of_image(&corner).slope > 10.0);
        let places = pieces(corner.size, SIDE);
        assert_eq!(places.len(), 9);
        assert!(
            places
                .iter()
                .all(|r| r.x0 % 8 == 0 && r.size() == Size::new(SIDE, SIDE) && r.x1 <= 1000)
        );
    }

    #[test]
    fn images_of_all_kinds_can_be_looked_at() {
        for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
            for (width, height) in [(1, 1), (2, 1), (1, 700), (9, 3), (513, 2)] {
                let size = Size::new(width, height);
                let count = size.pixels() * layout.samples();
                for samples in [
                    Samples::Eight(vec![7; count]),
                    Samples::Sixteen(vec![7 << 8; count]),
                ] {
                    let looks = Looks::of_image(&Raster {
                        size,
                        layout,
                        samples,
                    });
                    assert_eq!((looks.size, looks.colours, looks.slope), (size, 1, 0.0));
                    assert!(
                        [
                            looks.edge,
                            looks.laplacian_share,
                            looks.blocks,
                            looks.main_share,
                            looks.same_share
                        ]
                        .iter()
                        .all(|v| v.is_finite())
                    );
                    assert!(!looks.is_clean() && !looks.is_drawn() && !looks.is_pixel_art());
                }
            }
        }
    }

    #[test]
    fn pieces_are_four_samples_a_pixel() {
        assert!(Piece::new(Size::new(2, 2), &[0; 16]).is_some());
        assert!(Piece::new(Size::new(2, 2), &[0; 15]).is_none());
        assert!(Piece::new(Size::new(0, 2), &[]).is_none());
    }
}
