//! Recurrent networks for video: what they read beside a frame is their last result, moved to that frame.
//!
//! Where the frame does not look like the last one moved, something was uncovered, or another scene began. There the plain enlargement
//! of the frame stands in its place, so that nothing of before is dragged along.

use alloc::vec::Vec;

use crate::metrics::luma;
use crate::motion::{CELL, Motion};
use crate::pipeline::{self, Options, OutputScale};
use crate::{Executor, OnStep, Planes, Rect, Result, Size, resample};

/// Grey levels by which a square may differ in the mean, where it is flat.
const APART: f32 = 5.0;
/// The same as a share of how far its pixels are from their mean, where it is textured.
const SHARE: f32 = 0.6;
/// Share of the squares beyond which it is another scene.
const CUT: f32 = 0.6;

/// The memory of a recurrent network: the last frame and its result.
#[derive(Debug, Clone)]
pub struct Recurrence {
    scale: usize,
    last: Option<(Planes, Planes)>,
}

/// What comes before a frame.
#[derive(Debug)]
pub struct Before {
    /// The last result as the frame would have it, `scale` times the frame's size.
    pub previous: Planes,
    /// Whether a scene begins: nothing of the last result is in it.
    pub begins: bool,
}

impl Recurrence {
    /// Nothing is remembered yet; results are `scale` times as large as frames.
    pub fn new(scale: usize) -> Self {
        Self { scale, last: None }
    }

    /// A scene begins.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// Remembers a frame and its result.
    pub fn keep(&mut self, frame: Planes, result: Planes) {
        self.last = Some((frame, result));
    }

    /// What the network reads beside `frame`, RGB in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) when the last frame had another size, or its result is not `scale` times as large.
    pub fn before(&self, frame: &Planes) -> Result<Before> {
        let scale = self.scale;
        let anew = || Before {
            previous: resample::enlarge(frame, scale),
            begins: true,
        };
        let Some((last, result)) = &self.last else {
            return Ok(anew());
        };
        let motion = Motion::quick(last, frame)?;
        let followed = followed(&motion.carry(&grey(last), 1)?, &grey(frame));
        let lost = followed.iter().filter(|f| !**f).count();
        if lost as f32 > CUT * followed.len() as f32 {
            return Ok(anew());
        }
        let mut previous = motion.carry(result, scale)?;
        let columns = frame.width().div_ceil(CELL);
        for (row, squares) in followed.chunks(columns).enumerate() {
            if !squares.iter().all(|f| *f) {
                replace(&mut previous, row, frame, scale, squares);
            }
        }
        Ok(Before {
            previous,
            begins: false,
        })
    }
}

/// The luma in grey levels, as an image of one plane.
fn grey(frame: &Planes) -> Planes {
    let mut out = Planes::zeros(1, frame.height(), frame.width());
    let values = luma(frame).into_iter();
    out.data_mut()
        .iter_mut()
        .zip(values)
        .for_each(|(o, v)| *o = v as f32);
    out
}

/// Runs a recurrent network, of [`nets::Recurrent`](crate::graph::nets::Recurrent)'s inputs, on one tile.
#[expect(async_fn_in_trait, reason = "as of executors")]
pub trait RecurrentExecutor: Executor {
    /// As [`Executor::run`], with what comes before the tile, as large as its result.
    ///
    /// # Errors
    /// As there.
    async fn run_after(&self, tile: &Planes, previous: &Planes) -> Result<Planes>;
}

/// The network, for one frame.
struct Framed<'a, E> {
    network: &'a E,
    previous: &'a Planes,
    size: Size,
}

impl<E: RecurrentExecutor> Executor for Framed<'_, E> {
    fn scale(&self) -> usize {
        self.network.scale()
    }

    fn halo(&self) -> usize {
        self.network.halo()
    }

    fn grid(&self) -> usize {
        self.network.grid()
    }

    fn lanes(&self) -> usize {
        self.network.lanes()
    }

    async fn run(&self, tile: &Planes, place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        let scale = self.scale();
        let previous = self.previous.crop(place.within(self.size).scaled(scale));
        self.network
            .run_after(tile, &previous.reflected(tile.size().times(scale)))
            .await
    }
}

/// Most pixels of a frame that is enlarged at once; a larger one is cut into tiles, and takes less memory.
const AT_ONCE: usize = 1 << 20;
/// Side of those tiles.
const TILE: usize = 512;

/// The result of the next frame of a video, `[3, h, w]` in `[0, 1]`, at the network's scale. The memory is of this frame then.
///
/// # Errors
/// Those of the network, and of [`Recurrence::before`].
pub async fn enlarge<'a, E: RecurrentExecutor>(
    network: &E,
    memory: &'a mut Recurrence,
    frame: Planes,
) -> Result<&'a Planes> {
    let (size, scale) = (frame.size(), network.scale());
    let Before { previous, .. } = memory.before(&frame)?;
    let mut result = if size.pixels() <= AT_ONCE {
        let grid = network.grid();
        let whole = Size::new(
            size.width.next_multiple_of(grid),
            size.height.next_multiple_of(grid),
        );
        let filled = frame.clone().reflected(whole);
        let made = network
            .run_after(&filled, &previous.reflected(whole.times(scale)))
            .await?;
        let Size { width, height } = size.times(scale);
        if whole == size {
            made
        } else {
            made.crop(Rect::whole(width, height))
        }
    } else {
        let framed = Framed {
            network,
            previous: &previous,
            size,
        };
        let options = Options {
            hold: false,
            ..Options::new(OutputScale::new(scale)?, TILE)
        };
        pipeline::whole(&framed, &frame, &options).await?
    };
    result.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    let (_, result) = memory.last.insert((frame, result));
    Ok(result)
}

/// For each square of [`CELL`] pixels, whether the frame looks there like the last one moved. A square is judged with half of its
/// neighbours, and is lost with them.
fn followed(moved: &Planes, frame: &Planes) -> Vec<bool> {
    let Size { width, height } = frame.size();
    let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
    let (there, here) = (moved.plane(0), frame.plane(0));
    let near = |at: usize, most: usize| {
        let first = (at * CELL).saturating_sub(CELL / 2);
        first..(at * CELL + CELL + CELL / 2).min(most)
    };
    let mut out = Vec::with_capacity(columns * rows);
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let across = near(column, width);
        let lines = near(row, height).map(|y| y * width + across.start..y * width + across.end);
        let count = (lines.len() * across.len()) as f32;
        let (mut sum, mut apart, mut spread) = (0.0, 0.0, 0.0);
        for line in lines.clone() {
            for (there, here) in there[line.clone()].iter().zip(&here[line]) {
                sum += here;
                apart += (there - here).abs();
            }
        }
        for line in lines {
            spread += here[line]
                .iter()
                .map(|here| (here - sum / count).abs())
                .sum::<f32>();
        }
        out.push(apart <= APART * count + SHARE * spread);
    }
    out
}

/// Puts the enlargement of a frame in the place of those squares of a row that are not followed.
fn replace(image: &mut Planes, row: usize, frame: &Planes, scale: usize, followed: &[bool]) {
    /// What the cubic kernel reaches.
    const MARGIN: usize = 3;
    let first = row * CELL;
    let above = first.min(MARGIN);
    let band = Rect {
        x0: 0,
        y0: first - above,
        x1: frame.width(),
        y1: (first + CELL + MARGIN).min(frame.height()),
    };
    let plain = resample::enlarge(&frame.crop(band), scale);
    let side = CELL * scale;
    let rows = (CELL.min(frame.height() - first)) * scale;
    for (c, y) in (0..image.channels()).flat_map(|c| (0..rows).map(move |y| (c, y))) {
        let (line, other) = (
            image.row_mut(c, first * scale + y),
            plain.row(c, above * scale + y),
        );
        let squares = line.chunks_mut(side).zip(other.chunks(side)).zip(followed);
        for ((line, other), _) in squares.filter(|(_, followed)| !**followed) {
            line.copy_from_slice(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rect;
    use crate::metrics::tests::noise;

    fn at(image: &Planes, x: usize, y: usize, size: Size) -> Planes {
        image.crop(Rect {
            x0: x,
            y0: y,
            x1: x + size.width,
            y1: y + size.height,
        })
    }

    /// Each frame follows the one before it, of any size.
    #[test]
    fn frames_follow_each_other() {
        use crate::exec::CpuExecutor;
        use crate::graph::{conformance, nets};
        let net = nets::Recurrent {
            features: 4,
            blocks: 1,
            scale: 2,
        };
        let graph = net.graph().check().expect("fits");
        let network = CpuExecutor::new(&graph, conformance::weights(&graph, 1)).expect("its own");
        let scene = resample::enlarge(&noise(5, 24, 24), 4);
        let size = Size::new(61, 45);
        let run = |forgets| {
            let mut memory = Recurrence::new(2);
            let mut results = Vec::new();
            for t in 0..3 {
                if forgets {
                    memory.forget();
                }
                let frame = at(&scene, 2 * t, t, size);
                let made = enlarge(&network, &mut memory, frame);
                results.push(pollster::block_on(made).expect("runs").clone());
            }
            results
        };
        let (whole, apart) = (run(false), run(true));
        assert_eq!(whole[2].size(), size.times(2));
        assert_eq!(whole[0], apart[0]);
        assert_ne!(whole[2], apart[2]);
        // In tiles it is the same.
        let mut memory = Recurrence::new(2);
        memory.keep(at(&scene, 2, 1, size), whole[1].clone());
        let frame = at(&scene, 4, 2, size);
        let previous = memory.before(&frame).expect("one size").previous;
        let framed = Framed {
            network: &network,
            previous: &previous,
            size,
        };
        let options = Options {
            hold: false,
            ..Options::new(OutputScale::new(2).expect("offered"), 16)
        };
        let tiled = pollster::block_on(pipeline::whole(&framed, &frame, &options)).expect("runs");
        for (a, b) in whole[2].data().iter().zip(tiled.data()) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    /// What moves is moved along, what is uncovered comes from the frame, and a cut forgets.
    #[test]
    fn results_are_moved_and_scenes_kept_apart() {
        let size = Size::new(64, 48);
        let scene = resample::enlarge(&noise(3, 24, 24), 8);
        let large = |x, y| at(&scene, x, y, size.times(2));
        let small = |image: &Planes| resample::shrink(image, 2).expect("whole");
        let (one, two) = (large(20, 20), large(26, 16));
        let mut recurrence = Recurrence::new(2);
        let begun = recurrence.before(&small(&one)).expect("one size");
        assert!(begun.begins);
        assert_eq!(begun.previous, resample::enlarge(&small(&one), 2));
        recurrence.keep(small(&one), one.clone());
        let before = recurrence.before(&small(&two)).expect("one size");
        assert!(!before.begins);
        for y in 24..72 {
            for x in 24..104 {
                let apart = (before.previous.row(1, y)[x] - two.row(1, y)[x]).abs();
                assert!(apart < 0.06, "{x} {y}: {apart}");
            }
        }
        // Something white comes in.
        let mut covered = two.clone();
        for c in 0..3 {
            (32..64).for_each(|y| covered.row_mut(c, y)[32..80].fill(1.0));
        }
        let frame = small(&covered);
        let before = recurrence.before(&frame).expect("one size");
        assert!(!before.begins);
        let plain = resample::enlarge(&frame, 2);
        for y in 40..56 {
            assert_eq!(before.previous.row(0, y)[40..72], plain.row(0, y)[40..72]);
        }
        // Another scene.
        let other = resample::enlarge(&noise(4, 24, 24), 8);
        let frame = small(&at(&other, 0, 0, size.times(2)));
        let before = recurrence.before(&frame).expect("one size");
        assert!(before.begins);
        assert_eq!(before.previous, resample::enlarge(&frame, 2));
        recurrence.forget();
        assert!(recurrence.before(&small(&two)).expect("one size").begins);
        recurrence.keep(frame, other);
        assert!(recurrence.before(&Planes::zeros(3, 8, 8)).is_err());
    }
}
