//! Stretches become files: one thread decodes, one enlarges, one encodes, and none runs further ahead than a few frames.
//!
//! Several lanes take one stretch after the other from a queue. What a stretch becomes does not depend on who makes it.

use std::collections::BTreeMap;
use std::panic;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use rayon::ThreadPoolBuilder;

use super::decode::{Decoder, Faults, Reading};
use super::encode::{Encoder, Writing};
use super::frames::Enlarge;
use super::tools::Tools;
use super::work::{Done, Stretches, Work};
use crate::error::{Error, Result, code};
use crate::interrupt;

/// Frames that wait before a thread.
const WAITING: usize = 2;

/// What is to be made of what.
pub(super) struct Task<'a> {
    pub(super) reading: &'a Reading,
    pub(super) writing: &'a Writing,
    pub(super) tools: &'a Tools,
    pub(super) stretches: Stretches,
    pub(super) work: &'a Work,
    /// The result, for messages.
    pub(super) target: &'a Path,
    /// How many lanes.
    pub(super) jobs: usize,
}

/// Makes what enlarges, for a lane of its own.
pub(super) type Maker<'a> = dyn Fn() -> Result<Box<dyn Enlarge>> + Sync + 'a;

/// Is told the seconds of every frame that is done, of the video's clock.
pub(super) type OnFrame<'a> = dyn Fn(f64) + Sync + 'a;

/// All stretches, and what was wrong on the way.
pub(super) struct Made {
    /// Those with frames, in order.
    pub(super) stretches: BTreeMap<usize, Done>,
    pub(super) faults: Faults,
}

/// What there is to do, for all lanes.
struct Queue {
    stretches: Stretches,
    state: Mutex<State>,
}

struct State {
    next: usize,
    done: BTreeMap<usize, Done>,
    faults: Faults,
    /// A lane came to the video's end.
    ended: bool,
    /// A lane failed: the others need not go on.
    failed: bool,
}

/// What goes from thread to thread.
enum Step {
    Begin(usize),
    /// Pixels of a frame before the stretch, to be looked at alone.
    Lead(Vec<u8>),
    /// A time and pixels.
    Frame(i64, Vec<u8>),
    /// The stretch is whole; whether the video ends in it.
    End(bool),
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next stretch to make.
    fn take(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            let index = state.next;
            let behind = state.done.range(..index).any(|(_, done)| done.ends);
            if behind || state.ended || state.failed || self.stretches.is_beyond(index) {
                return None;
            }
            state.next += 1;
            if !state.done.contains_key(&index) {
                return Some(index);
            }
        }
    }

    /// Whether to leave everything as it is.
    fn stops(&self) -> bool {
        interrupt::requested() || self.state().failed
    }

    fn add(&self, faults: Faults) {
        let all = &mut self.state().faults;
        all.told += faults.told;
        all.late += faults.late;
        all.first = all.first.take().or(faults.first);
    }
}

/// Makes all stretches that are not `done`.
///
/// # Errors
/// Of the first lane that fails; what was done stays.
pub(super) fn make(
    task: &Task<'_>,
    done: BTreeMap<usize, Done>,
    maker: &Maker<'_>,
    on_frame: &OnFrame<'_>,
) -> Result<Made> {
    let queue = Queue {
        stretches: task.stretches,
        state: Mutex::new(State {
            next: 0,
            done,
            faults: Faults::default(),
            ended: false,
            failed: false,
        }),
    };
    let run = || {
        let ran = maker().and_then(|mut enlarger| lane(task, &queue, enlarger.as_mut(), on_frame));
        if ran.is_err() {
            queue.state().failed = true;
        }
        ran
    };
    if task.jobs == 1 {
        run()?;
    } else {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let share = (cores / task.jobs).max(1);
        let pooled = || {
            let pool = ThreadPoolBuilder::new().num_threads(share).build();
            let pool =
                pool.map_err(|e| Error::new(format!("no threads can be started ({e}): choose fewer --jobs")));
            // A lane that ends so has the others end, too.
            pool.inspect_err(|_| queue.state().failed = true)?.install(run)
        };
        let all: Vec<Result<()>> = thread::scope(|scope| {
            let lanes: Vec<_> = (0..task.jobs).map(|_| scope.spawn(pooled)).collect();
            lanes.into_iter().map(joined).collect()
        });
        all.into_iter().collect::<Result<()>>()?;
    }
    if interrupt::requested() {
        return Err(stopped());
    }
    let State { mut done, faults, .. } = queue.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Where it ends is known at last; a lane may have looked behind that.
    if let Some(end) = done.iter().find(|(_, d)| d.ends).map(|(index, _)| *index) {
        done.retain(|index, _| *index <= end);
    }
    done.retain(|_, stretch| stretch.frames > 0);
    Ok(Made {
        stretches: done,
        faults,
    })
}

fn stopped() -> Error {
    Error::new("stopped").coded(code::CANCELLED)
}

/// What a thread came to; its panic is this one's.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault))
}

/// Makes one stretch after the other.
fn lane(task: &Task<'_>, queue: &Queue, enlarger: &mut dyn Enlarge, on_frame: &OnFrame<'_>) -> Result<()> {
    thread::scope(|scope| {
        let (decoded, frames) = sync_channel(WAITING);
        let (enlarged, results) = sync_channel(WAITING);
        let reader = scope.spawn(move || read(task, queue, &decoded));
        let writer = scope.spawn(move || write(task, queue, &results, on_frame));
        // On this thread, which is one of the pool's.
        let made = enlarge(task.reading, enlarger, frames, &enlarged);
        drop(enlarged);
        // Who is cut off by another's failure has none of its own.
        [joined(writer), made, joined(reader)].into_iter().collect()
    })
}

/// Decodes the stretches that are to be made. One decoder goes on from a stretch to the next.
fn read(task: &Task<'_>, queue: &Queue, out: &SyncSender<Step>) -> Result<()> {
    let mut open: Option<(usize, Decoder<'_>)> = None;
    while let Some(index) = queue.take() {
        let mut decoder = match open.take() {
            Some((next, decoder)) if next == index => decoder,
            earlier => {
                earlier.into_iter().for_each(|(_, d)| queue.add(d.finish()));
                Decoder::from(task.reading, task.tools, task.stretches.begin(index))?
            }
        };
        // What comes before the stretch is known once its first frame is.
        decoder.peek()?;
        let lead = decoder.lead().map(Step::Lead);
        for step in [Step::Begin(index)].into_iter().chain(lead) {
            if out.send(step).is_err() {
                return Ok(());
            }
        }
        let end = task.stretches.end(index);
        let ends = loop {
            match decoder.peek()? {
                None => break true,
                Some(frame) if frame.tick >= end => break false,
                Some(_) => {}
            }
            let Some(frame) = decoder.take()? else { break true };
            if queue.stops() || out.send(Step::Frame(frame.tick, frame.pixels)).is_err() {
                return Ok(());
            }
        };
        if queue.stops() || out.send(Step::End(ends)).is_err() {
            return Ok(());
        }
        if ends {
            // Known before the files are written, so that nobody looks further.
            queue.state().ended = true;
        }
        open = Some((index + 1, decoder));
    }
    open.into_iter().for_each(|(_, d)| queue.add(d.finish()));
    Ok(())
}

/// Enlarges what is decoded.
fn enlarge(
    reading: &Reading,
    enlarger: &mut dyn Enlarge,
    frames: Receiver<Step>,
    out: &SyncSender<Step>,
) -> Result<()> {
    for step in frames {
        let step = match step {
            Step::Begin(index) => {
                enlarger.begin();
                Step::Begin(index)
            }
            Step::Lead(pixels) => {
                enlarger.enlarge(&reading.image(pixels))?;
                continue;
            }
            Step::Frame(tick, pixels) => Step::Frame(tick, enlarger.enlarge(&reading.image(pixels))?),
            Step::End(ends) => Step::End(ends),
        };
        if out.send(step).is_err() {
            break;
        }
    }
    Ok(())
}

/// Encodes what is enlarged; stretches that are not whole go.
fn write(task: &Task<'_>, queue: &Queue, results: &Receiver<Step>, on_frame: &OnFrame<'_>) -> Result<()> {
    let mut encoder: Option<Encoder<'_>> = None;
    let mut at = 0;
    let mut done: Option<Done> = None;
    for step in results {
        match step {
            Step::Begin(index) => (at, done) = (index, None),
            // Not handed on.
            Step::Lead(_) => {}
            Step::Frame(tick, pixels) => {
                let mut current = match encoder.take() {
                    Some(encoder) => encoder,
                    None => Encoder::start(task.writing, task.tools, &task.work.unfinished(at), task.target)?,
                };
                current.frame(tick, &pixels)?;
                encoder = Some(current);
                done = Some(match done {
                    None => Done::of(tick),
                    Some(done) => done.and(tick),
                });
                on_frame(task.reading.base.seconds(tick));
            }
            Step::End(ends) => {
                encoder.take().map(Encoder::finish).transpose()?;
                let done = Done {
                    ends,
                    ..done.take().unwrap_or(Done::NOTHING)
                };
                task.work.keep(at, &done)?;
                queue.state().done.insert(at, done);
            }
        }
    }
    Ok(())
}
