//! The whole way from an image to its enlargement, for any executor.

use alloc::{boxed::Box, collections::VecDeque, format};
use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use crate::{Error, Mosaic, Planes, Rect, Result, Tile, TilePlan, resample};

/// Runs a super-resolution network on one tile.
#[expect(
    async_fn_in_trait,
    reason = "executors are used by static dispatch; browsers have no Send futures"
)]
pub trait Executor {
    /// Enlargement factor of the network.
    fn scale(&self) -> usize;

    /// Input pixels around a tile that its result depends on.
    fn halo(&self) -> usize;

    /// Enlarges `tile`, `[3, h, w]` in `[0, 1]`, to `[3 + n, h * scale, w * scale]`; values are not clamped. The `n` planes
    /// beside the image, the same number for every tile, are what the executor tells about it; most tell nothing. `place`
    /// is where the tile lies in the image, in input pixels: networks that draw noise draw it there. Executors that take
    /// several steps for a tile tell of each by `on_step`. Several tiles may be run at a time.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails; [`Error::Cancelled`] when `on_step` said so.
    async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes>;

    /// Tiles that are worth running at a time: with more than one, a tile is read and packed while another computes.
    fn lanes(&self) -> usize {
        1
    }
}

/// Is told how many steps of how many are taken, and stops the work by returning `false`.
pub type OnStep<'a> = &'a dyn Fn(usize, usize) -> bool;

/// How far an enlargement has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Tiles finished.
    pub done: usize,
    /// Tiles in all.
    pub total: usize,
    /// The tile just finished or, between its steps, the one at work, in input pixels.
    pub tile: Tile,
    /// Share of all the work that is done, in `(0, 1]`.
    pub fraction: f64,
}

/// Enlargement a user can ask for: 2, 3 or 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputScale(usize);

impl OutputScale {
    /// # Errors
    /// [`Error::Size`] for anything but 2, 3 and 4.
    pub fn new(scale: usize) -> Result<Self> {
        if (2..=4).contains(&scale) {
            Ok(Self(scale))
        } else {
            Err(Error::Size(format!(
                "a scale of {scale} is not offered: choose 2, 3 or 4"
            )))
        }
    }

    /// The factor.
    pub fn get(self) -> usize {
        self.0
    }
}

/// Pixels over which neighbouring tiles are cross-faded, in input pixels.
const FEATHER: usize = 2;

/// Enlarges an image tile by tile.
///
/// `read` gives the pixels of a rectangle: three colour planes and any number of further ones (alpha), which are
/// enlarged by bicubic interpolation. Finished rows go to `write` from the top, with the index of the first; the
/// output is never held whole. Scales below the network's are made by antialiased bicubic reduction of each tile.
/// What an executor tells beside the image comes as further planes, after those of `read`.
/// `progress` is called after every tile and every step of one, and stops the work by returning `false`.
///
/// # Errors
/// Those of the executor and of `write`; [`Error::Cancelled`] when `progress` said so.
pub async fn upscale<E: Executor>(
    executor: &E,
    (width, height): (usize, usize),
    core: usize,
    scale: OutputScale,
    read: impl Fn(Rect) -> Planes,
    mut write: impl FnMut(usize, &Planes) -> Result<()>,
    progress: impl FnMut(Progress) -> bool,
) -> Result<()> {
    let scale = scale.get();
    if scale > executor.scale() {
        return Err(Error::Size(format!(
            "the model enlarges {} times, not {scale}",
            executor.scale()
        )));
    }
    // Two pixels for the bicubic planes and the reduction's support.
    let halo = executor.halo().max(2) + if scale < executor.scale() { 2 } else { 0 };
    let plan = TilePlan::new(width, height, core, halo, FEATHER)?;
    let state = RefCell::new(State {
        progress,
        total: plan.len(),
        done: 0,
        shares: VecDeque::new(),
    });
    let (read, state) = (&read, &state);
    let run = async |index: usize, tile: Tile| {
        let (colour, extra) = read(tile.input).split_channels(3);
        let on_step =
            &|step: usize, steps: usize| state.borrow_mut().step(index, step as f64 / steps as f64, tile);
        let mut result = executor.run(&colour, tile.input, on_step).await?;
        if scale < executor.scale() {
            result = resample::bicubic(&result, colour.width() * scale, colour.height() * scale);
        }
        if let Some(extra) = extra {
            let (image, beside) = result.split_channels(3);
            result = image.with_channels(resample::enlarge(&extra, scale));
            if let Some(beside) = beside {
                result = result.with_channels(beside);
            }
        }
        Ok(result.crop(tile.inner().scaled(scale)))
    };
    let mut mosaic: Option<Mosaic> = None;
    let mut waiting = plan.tiles().enumerate();
    let mut flight = InOrder::default();
    let mut begun = VecDeque::new();
    loop {
        while flight.len() < executor.lanes().max(1)
            && let Some((index, tile)) = waiting.next()
        {
            state.borrow_mut().shares.push_back(0.0);
            begun.push_back(tile);
            flight.push(run(index, tile));
        }
        let (Some(result), Some(tile)) = (flight.next().await, begun.pop_front()) else {
            return Ok(());
        };
        let result = result?;
        let mosaic = mosaic.get_or_insert_with(|| Mosaic::new(&plan, result.channels(), scale));
        if let Some((first, rows)) = mosaic.add(&tile, &result)? {
            write(first, &rows)?;
        }
        if !state.borrow_mut().finish(tile) {
            return Err(Error::Cancelled);
        }
    }
}

/// How far the tiles at work are.
struct State<P> {
    progress: P,
    total: usize,
    done: usize,
    /// Share of each tile that is done, from the first unfinished one.
    shares: VecDeque<f64>,
}

impl<P: FnMut(Progress) -> bool> State<P> {
    fn tell(&mut self, tile: Tile) -> bool {
        (self.progress)(Progress {
            done: self.done,
            total: self.total,
            tile,
            fraction: (self.done as f64 + self.shares.iter().sum::<f64>()) / self.total as f64,
        })
    }

    fn step(&mut self, index: usize, share: f64, tile: Tile) -> bool {
        if let Some(known) = self.shares.get_mut(index - self.done) {
            *known = share;
        }
        self.tell(tile)
    }

    fn finish(&mut self, tile: Tile) -> bool {
        self.done += 1;
        self.shares.pop_front();
        self.tell(tile)
    }
}

/// Futures that run together and end in their order.
struct InOrder<F: Future> {
    all: VecDeque<Running<F>>,
}

enum Running<F: Future> {
    Pending(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Default for InOrder<F> {
    fn default() -> Self {
        Self { all: VecDeque::new() }
    }
}

impl<F: Future> InOrder<F> {
    fn len(&self) -> usize {
        self.all.len()
    }

    fn push(&mut self, future: F) {
        self.all.push_back(Running::Pending(Box::pin(future)));
    }

    /// What the first one comes to; none where there is none. Meanwhile all go on.
    async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| {
            for running in &mut self.all {
                if let Running::Pending(future) = running
                    && let Poll::Ready(output) = future.as_mut().poll(context)
                {
                    *running = Running::Done(output);
                }
            }
            match self.all.pop_front() {
                None => Poll::Ready(None),
                Some(Running::Done(output)) => Poll::Ready(Some(output)),
                Some(pending) => {
                    self.all.push_front(pending);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    struct Bicubic;
    impl Executor for Bicubic {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            2
        }
        async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
            Ok(resample::enlarge(tile, 4))
        }
    }

    /// Takes two steps and tells the image's red beside it.
    struct Telling;
    impl Executor for Telling {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            2
        }
        async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes> {
            if !(on_step(1, 2) && on_step(2, 2)) {
                return Err(Error::Cancelled);
            }
            let image = Bicubic.run(tile, place, on_step).await?;
            let red = image.clone().split_channels(1).0;
            Ok(image.with_channels(red))
        }
    }

    fn image() -> Planes {
        let data = (0..4 * 30 * 41)
            .map(|i| ((i * 7919) % 256) as f32 / 255.0)
            .collect();
        Planes::new(4, 30, 41, data).expect("sizes agree")
    }

    fn run(core: usize, scale: usize, stop_after: usize) -> Result<Vec<f32>> {
        let image = image();
        let mut out = Planes::zeros(4, 30 * scale, 41 * scale);
        pollster::block_on(upscale(
            &Bicubic,
            (41, 30),
            core,
            OutputScale::new(scale)?,
            |rect| image.crop(rect),
            |first, rows| {
                out.put_rows(first, rows);
                Ok(())
            },
            |p| p.done < stop_after,
        ))?;
        Ok(out.into_data())
    }

    #[test]
    fn small_tiles_make_the_same_image_as_one() {
        for scale in [2, 3, 4] {
            let whole = run(64, scale, usize::MAX).expect("runs");
            let tiled = run(11, scale, usize::MAX).expect("runs");
            for (a, b) in whole.iter().zip(&tiled) {
                assert!((a - b).abs() < 1e-5, "scale {scale}: {a} {b}");
            }
        }
    }

    /// Gives way before it answers, tiles of odd columns twice; counts how many are at work.
    struct Lanes {
        now: core::cell::Cell<usize>,
        most: core::cell::Cell<usize>,
    }
    impl Executor for Lanes {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            2
        }
        fn lanes(&self) -> usize {
            3
        }
        async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes> {
            self.now.set(self.now.get() + 1);
            self.most.set(self.most.get().max(self.now.get()));
            for _ in 0..=place.x0 % 2 {
                let mut waited = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if core::mem::replace(&mut waited, true) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
            self.now.set(self.now.get() - 1);
            if !on_step(1, 1) {
                return Err(Error::Cancelled);
            }
            Ok(resample::enlarge(tile, 4))
        }
    }

    #[test]
    fn tiles_that_run_together_make_the_same_image() {
        let image = image();
        let expected = run(11, 4, usize::MAX).expect("runs");
        let lanes = Lanes {
            now: 0.into(),
            most: 0.into(),
        };
        let mut out = Planes::zeros(4, 120, 164);
        let mut fractions = Vec::new();
        pollster::block_on(upscale(
            &lanes,
            (41, 30),
            11,
            OutputScale::new(4).expect("offered"),
            |rect| image.crop(rect),
            |first, rows| {
                out.put_rows(first, rows);
                Ok(())
            },
            |p| {
                fractions.push(p.fraction);
                true
            },
        ))
        .expect("runs");
        assert_eq!(out.into_data(), expected);
        assert_eq!(lanes.most.get(), 3);
        assert!(
            fractions.is_sorted() && fractions.last() == Some(&1.0),
            "{fractions:?}"
        );
    }

    #[test]
    fn progress_can_stop_the_work() {
        assert_eq!(run(11, 4, 3), Err(Error::Cancelled));
    }

    #[test]
    fn what_an_executor_tells_comes_after_the_image_and_its_alpha() {
        let image = image();
        let mut fractions = Vec::new();
        pollster::block_on(upscale(
            &Telling,
            (41, 30),
            21,
            OutputScale::new(2).expect("offered"),
            |rect| image.crop(rect),
            |_, rows| {
                assert_eq!(rows.channels(), 5);
                assert_eq!(rows.plane(4), rows.plane(0));
                assert_ne!(rows.plane(3), rows.plane(0));
                Ok(())
            },
            |p| {
                fractions.push((p.done, p.total, p.fraction));
                true
            },
        ))
        .expect("runs");
        assert_eq!(
            fractions[..4],
            [(0, 4, 0.125), (0, 4, 0.25), (1, 4, 0.25), (1, 4, 0.375)]
        );
        assert_eq!(fractions.last(), Some(&(4, 4, 1.0)));
    }

    #[test]
    fn other_scales_are_refused() {
        assert!(OutputScale::new(5).is_err() && OutputScale::new(1).is_err());
    }
}
