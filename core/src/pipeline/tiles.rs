//! From an image to its enlargement at the network's scale, tile by tile, for any executor.

use alloc::{boxed::Box, collections::VecDeque};
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use crate::alpha::{self, COLOURS, Weighing};
use crate::hold::{Hold, PlaneOrder};
use crate::{Error, Mosaic, Part, Planes, Rect, Result, Size, Tile, TilePlan, resample};

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

    /// Tiles begin and end at multiples of so many input pixels; what of a tile lies beyond the image is its reflection.
    fn grid(&self) -> usize {
        1
    }

    /// Enlarges `tile`, `[3, h, w]` in `[0, 1]`, to `[3 + n, h * scale, w * scale]`; values are not clamped. The `n` planes
    /// beside the image are those of [`Self::beside`]. `place`
    /// is where the tile lies in the image, in input pixels: networks that draw noise draw it there. Executors that take
    /// several steps for a tile tell of each by `on_step`. Several tiles may be run at a time.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails, [`Error::Exhausted`] where it may run a smaller tile;
    /// [`Error::Cancelled`] when `on_step` said so.
    async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes>;

    /// As [`Self::run`], but gives only the part of the result that counts, times its weights, and reduced where the part is of a
    /// tile that was enlarged less, as [`Part::cut`] does: a device need not hand out the rest.
    ///
    /// # Errors
    /// As [`Self::run`].
    async fn run_part(&self, tile: &Planes, place: Rect, part: &Part, on_step: OnStep<'_>) -> Result<Planes> {
        Ok(part.cut(&self.run(tile, place, on_step).await?))
    }

    /// What it tells beside the image.
    fn beside(&self) -> Beside {
        Beside::default()
    }

    /// Tiles that are worth running at a time: with more than one, a tile is read and packed while another computes.
    fn lanes(&self) -> usize {
        1
    }
}

/// Makes an enum an [`Executor`]: whichever one its variant holds.
#[macro_export]
macro_rules! executor_of_variants {
    ($any:ty, $name:ident { $($(#[$on:meta])* $variant:ident),+ $(,)? }) => {
        impl $crate::Executor for $any {
            fn scale(&self) -> usize {
                match self { $($(#[$on])* $name::$variant(executor) => executor.scale(),)+ }
            }

            fn halo(&self) -> usize {
                match self { $($(#[$on])* $name::$variant(executor) => executor.halo(),)+ }
            }

            fn grid(&self) -> usize {
                match self { $($(#[$on])* $name::$variant(executor) => executor.grid(),)+ }
            }

            fn lanes(&self) -> usize {
                match self { $($(#[$on])* $name::$variant(executor) => executor.lanes(),)+ }
            }

            fn beside(&self) -> $crate::Beside {
                match self { $($(#[$on])* $name::$variant(executor) => executor.beside(),)+ }
            }

            async fn run(
                &self,
                tile: &$crate::Planes,
                place: $crate::Rect,
                on_step: $crate::OnStep<'_>,
            ) -> $crate::Result<$crate::Planes> {
                match self { $($(#[$on])* $name::$variant(executor) => executor.run(tile, place, on_step).await,)+ }
            }

            async fn run_part(
                &self,
                tile: &$crate::Planes,
                place: $crate::Rect,
                part: &$crate::Part,
                on_step: $crate::OnStep<'_>,
            ) -> $crate::Result<$crate::Planes> {
                match self {
                    $($(#[$on])* $name::$variant(executor) => executor.run_part(tile, place, part, on_step).await,)+
                }
            }
        }
    };
}

/// What an executor tells beside an image, as further planes of its result, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beside {
    /// The posterior mean, three planes; it is held to the photo as the image is.
    pub mean: bool,
    /// What is invented in the image, one plane.
    pub invention: Option<Invention>,
}

/// How what is invented is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invention {
    /// By the [spread](crate::flow::spread) of several samples.
    Spread,
    /// By the [departure](crate::flow::departure) of the only sample there is from the posterior mean.
    Departure,
}

impl Beside {
    /// How many planes these are.
    pub fn planes(self) -> usize {
        3 * usize::from(self.mean) + usize::from(self.invention.is_some())
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
    /// Share of all the work that is done, in `(0, 1]`; 1 only when all tiles are finished.
    pub fraction: f64,
}

/// Pixels over which neighbouring tiles are cross-faded, in input pixels.
const FEATHER: usize = 2;
/// Side of the smallest tiles that are tried.
const LEAST: usize = 16;

/// How an image is enlarged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Side of the tiles' cores, in input pixels.
    pub(super) core: usize,
    /// How many times wider and higher the result is.
    pub(super) scale: usize,
    /// Whether it is held to the photo.
    pub(super) hold: bool,
}

/// Enlarges an image tile by tile.
///
/// `read` gives the pixels of a rectangle: three colour planes in `[0, 1]` and any number of further ones, which are
/// enlarged by bicubic interpolation. The first of these is alpha, by which colours are weighed (`alpha`). Where it is to be, the result
/// is held to the photo (`hold`); its colours are within `[0, 1]`. Finished rows go to `write` from the top, with the index of the first; the
/// output is never held whole. Scales below the network's are made by antialiased bicubic reduction of each tile.
/// What an executor tells beside the image comes as further planes, after those of `read`.
/// `progress` is called after every tile and every step of one, and stops the work by returning `false`. When the executor
/// is [exhausted](Error::Exhausted), tiles are cut into halves from there on; what is written stays.
///
/// # Errors
/// Those of the executor and of `write`; [`Error::Cancelled`] when `progress` said so.
pub(super) async fn enlarge<E: Executor>(
    executor: &E,
    image: Size,
    Asked { core, scale, hold }: Asked,
    read: impl Fn(Rect) -> Planes,
    mut write: impl FnMut(usize, &Planes) -> Result<()>,
    progress: impl FnMut(Progress) -> bool,
) -> Result<()> {
    // Some pixels for how alpha changes nearby, two for the reduction's support.
    let halo = executor.halo().max(alpha::HALO) + if scale < executor.scale() { 2 } else { 0 };
    let plan = TilePlan::new(image, core, halo, FEATHER)?.on_grid(executor.grid());
    let state = RefCell::new(State {
        progress,
        total: plan.len(),
        done: 0,
        shares: VecDeque::new(),
    });
    let areas = Areas {
        executor,
        image,
        scale,
        halo,
        most: Cell::new(core + 2 * FEATHER),
    };
    let (areas, plan, read, state) = (&areas, &plan, &read, &state);
    let run = async |index: usize, tile: Tile| {
        let on_share = &|share: f64| state.borrow_mut().step(index, share);
        let part = plan.part(&tile, scale);
        areas.enlarge(tile.counted, &part, read, on_share).await
    };
    let mut made: Option<(Mosaic, Hold)> = None;
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
        let (mosaic, hold) = made.get_or_insert_with(|| {
            let layout = PlaneOrder {
                extra: extra(read),
                images: 1 + usize::from(executor.beside().mean),
                planes: result.channels(),
            };
            (
                Mosaic::new(plan, result.channels(), scale),
                Hold::new(image, scale, layout, hold),
            )
        });
        mosaic.add(&tile, &result, |_, rows| hold.add(rows, read, &mut write))?;
        if !state.borrow_mut().finish() {
            return Err(Error::Cancelled);
        }
    }
}

/// Planes of an image beside its colours.
fn extra(read: &impl Fn(Rect) -> Planes) -> usize {
    let first = Rect {
        x0: 0,
        y0: 0,
        x1: 1,
        y1: 1,
    };
    read(first).channels().saturating_sub(COLOURS)
}

/// Enlarges areas of an image.
struct Areas<'a, E> {
    executor: &'a E,
    image: Size,
    scale: usize,
    halo: usize,
    /// Side of the largest area that the executor is given at once, without its halo.
    most: Cell<usize>,
}

impl<E: Executor> Areas<'_, E> {
    /// An area enlarged, times the weights of `whole`: at once, or in parts where the executor cannot otherwise.
    async fn enlarge(
        &self,
        area: Rect,
        whole: &Part,
        read: &impl Fn(Rect) -> Planes,
        on_share: &dyn Fn(f64) -> bool,
    ) -> Result<Planes> {
        loop {
            let most = self.most.get();
            match self.parts(area, most, whole, read, on_share).await {
                Err(Error::Exhausted(why)) => {
                    let side = most.min(area.width().max(area.height()));
                    if side <= LEAST {
                        return Err(Error::Exhausted(why));
                    }
                    let half = LEAST.max(side / 2);
                    // Another tile at work may have found the same already.
                    self.most.set(self.most.get().min(half));
                }
                done => return done,
            }
        }
    }

    /// The same in parts with sides of at most `most`.
    async fn parts(
        &self,
        area: Rect,
        most: usize,
        whole: &Part,
        read: &impl Fn(Rect) -> Planes,
        on_share: &dyn Fn(f64) -> bool,
    ) -> Result<Planes> {
        let plan = TilePlan::within(area, self.image, most, (self.halo, FEATHER))?;
        let plan = plan.on_grid(self.executor.grid());
        let count = plan.len() as f64;
        let mut made: Option<(Mosaic, Planes)> = None;
        for (i, tile) in plan.tiles().enumerate() {
            let on_step =
                &|step: usize, steps: usize| on_share((i as f64 + step as f64 / steps as f64) / count);
            let mut part = plan.part(&tile, self.scale);
            let (right, down) = (tile.counted.x0 - area.x0, tile.counted.y0 - area.y0);
            part.weigh(whole, (right * self.scale, down * self.scale));
            let result = self.tile(tile, &part, read, on_step).await?;
            if plan.len() == 1 {
                return Ok(result);
            }
            let (mosaic, out) = made.get_or_insert_with(|| {
                let (channels, place) = (result.channels(), area.scaled(self.scale));
                (
                    Mosaic::new(&plan, channels, self.scale),
                    Planes::zeros(channels, place.height(), place.width()),
                )
            });
            mosaic.add(&tile, &result, |first, rows| {
                out.put_rows(first - area.y0 * self.scale, rows);
                Ok(())
            })?;
            if !on_share((i + 1) as f64 / count) {
                return Err(Error::Cancelled);
            }
        }
        made.map(|(_, out)| out).ok_or(Error::Cancelled)
    }

    /// The part of a tile's result that counts, with what was read beside the colours.
    async fn tile(
        &self,
        tile: Tile,
        part: &Part,
        read: &impl Fn(Rect) -> Planes,
        on_step: OnStep<'_>,
    ) -> Result<Planes> {
        let there = tile.input.within(self.image);
        let (colour, extra) = read(there).reflected(tile.input.size()).split_channels(COLOURS);
        let result = self.executor.run_part(&colour, tile.input, part, on_step).await?;
        let Some(extra) = extra else {
            return Ok(result);
        };
        let weighing = Weighing::new(&colour, &extra.clone().split_channels(1).0, part);
        let (image, mut beside) = result.split_channels(COLOURS);
        let mut result = weighing
            .apply(image)
            .with_channels(part.cut(&resample::enlarge(&extra, self.scale)));
        for _ in 0..usize::from(self.executor.beside().mean) {
            let Some((image, rest)) = beside.map(|b| b.split_channels(COLOURS)) else {
                return Err(Error::Size("an executor told fewer images than it said".into()));
            };
            result = result.with_channels(weighing.apply(image));
            beside = rest;
        }
        Ok(match beside {
            Some(beside) => result.with_channels(beside),
            None => result,
        })
    }
}

/// Share of a tile that its network is at most: what it made still has to be fetched, joined and held to the photo.
const COMPUTED: f64 = 0.99;

/// How far the tiles at work are.
struct State<P> {
    progress: P,
    total: usize,
    done: usize,
    /// Share of each tile that is done, from the first unfinished one.
    shares: VecDeque<f64>,
}

impl<P: FnMut(Progress) -> bool> State<P> {
    fn tell(&mut self) -> bool {
        (self.progress)(Progress {
            done: self.done,
            total: self.total,
            fraction: (self.done as f64 + self.shares.iter().sum::<f64>()) / self.total as f64,
        })
    }

    fn step(&mut self, index: usize, share: f64) -> bool {
        if let Some(known) = self.shares.get_mut(index - self.done) {
            // A tile that begins anew, in parts, is not further back for it.
            *known = known.max(share.min(COMPUTED));
        }
        self.tell()
    }

    fn finish(&mut self) -> bool {
        self.done += 1;
        self.shares.pop_front();
        self.tell()
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

    fn asked(core: usize, scale: usize) -> Asked {
        let hold = true;
        Asked { core, scale, hold }
    }

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
        pollster::block_on(enlarge(
            &Bicubic,
            Size::new(41, 30),
            asked(core, scale),
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
        now: Cell<usize>,
        most: Cell<usize>,
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
        pollster::block_on(enlarge(
            &lanes,
            Size::new(41, 30),
            asked(11, 4),
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

    /// Runs small tiles only, and from the `after`-th on.
    struct Small {
        side: usize,
        after: usize,
        begun: Cell<usize>,
        refused: Cell<usize>,
    }
    impl Executor for Small {
        fn scale(&self) -> usize {
            4
        }
        fn halo(&self) -> usize {
            2
        }
        fn lanes(&self) -> usize {
            2
        }
        async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes> {
            self.begun.set(self.begun.get() + 1);
            if self.begun.get() > self.after && tile.width().max(tile.height()) > self.side {
                self.refused.set(self.refused.get() + 1);
                return Err(Error::Exhausted("no room".into()));
            }
            Telling.run(tile, place, on_step).await
        }
    }

    /// Runs it with tiles of 70; also gives the shares told, and how often it refused.
    fn run_small(side: usize, after: usize) -> (Result<Planes>, Vec<f64>, usize) {
        let (w, h) = (150, 90);
        let data = (0..3 * w * h)
            .map(|i| ((i * 7919) % 256) as f32 / 255.0)
            .collect();
        let image = Planes::new(3, h, w, data).expect("sizes agree");
        let small = Small {
            side,
            after,
            begun: Cell::new(0),
            refused: Cell::new(0),
        };
        let mut out = Planes::zeros(4, 2 * h, 2 * w);
        let (mut next, mut told) = (0, Vec::new());
        let done = pollster::block_on(enlarge(
            &small,
            Size::new(w, h),
            asked(70, 2),
            |rect| image.crop(rect),
            |first, rows| {
                assert_eq!(first, next, "no row twice, none left out");
                next += rows.height();
                out.put_rows(first, rows);
                Ok(())
            },
            |p| {
                told.push(p.fraction);
                true
            },
        ));
        (done.map(|()| out), told, small.refused.get())
    }

    #[test]
    fn an_exhausted_executor_goes_on_with_half_the_side() {
        let expected = run_small(usize::MAX, 0).0.expect("runs");
        for (side, after, refusals) in [(60, 0, 2), (60, 3, 2), (36, 1, 4)] {
            let (out, told, refused) = run_small(side, after);
            let out = out.expect("runs");
            for (a, b) in expected.data().iter().zip(out.data()) {
                assert!((a - b).abs() < 1e-5, "side {side}: {a} {b}");
            }
            assert!(told.is_sorted() && told.last() == Some(&1.0), "{told:?}");
            // Each of the two lanes finds it once for every halving; nothing is tried again in vain.
            assert!((1..=refusals).contains(&refused), "{refused} refusals");
        }
        let (out, ..) = run_small(5, 0);
        assert_eq!(out, Err(Error::Exhausted("no room".into())));
    }

    #[test]
    fn progress_can_stop_the_work() {
        assert_eq!(run(11, 4, 3), Err(Error::Cancelled));
    }

    #[test]
    fn what_an_executor_tells_comes_after_the_image_and_its_alpha() {
        let image = image();
        let red = resample::bicubic(&image.clone().split_channels(1).0, Size::new(82, 60));
        let mut fractions = Vec::new();
        pollster::block_on(enlarge(
            &Telling,
            Size::new(41, 30),
            asked(21, 2),
            |rect| image.crop(rect),
            |first, rows| {
                assert_eq!(rows.channels(), 5);
                // What is told is no image, and not held to the photo.
                for (i, told) in rows.plane(4).iter().enumerate() {
                    assert!((told - red.plane(0)[82 * first + i]).abs() < 0.2);
                }
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
            [(0, 4, 0.125), (0, 4, 0.2475), (1, 4, 0.25), (1, 4, 0.375)]
        );
        assert_eq!(fractions.last(), Some(&(4, 4, 1.0)));
    }
}
