//! Batches made ahead of the steps that take them, so that no device waits for photographs.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rayon::ThreadPoolBuilder;

use super::config::Common;
use super::data::{Crops, Dataset};
use crate::error::{Error, Result};

/// Batches that wait at most.
const AHEAD: usize = 3;

/// The batches of a run, in their order.
pub(super) struct Feed(Receiver<Result<Crops>>);

/// The batches of one step, for whoever takes each.
pub(super) struct Step(Vec<Mutex<Option<Crops>>>);

/// Calls `train` with the batches numbered `draws`.
pub(super) fn fed<T>(
    dataset: &Dataset,
    common: &Common,
    draws: Range<u64>,
    train: impl FnOnce(&Feed) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = sync_channel(AHEAD);
    let (n, patch) = (common.batch.into(), common.patch.into());
    // Threads of its own: those of the others may all wait for what it makes.
    let pool = ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .build();
    let pool = pool.map_err(|e| Error::new(format!("no threads to make crops on: {e}")))?;
    thread::scope(|scope| {
        scope.spawn(move || {
            for draw in draws {
                // Whoever took them has ended.
                if sender
                    .send(pool.install(|| dataset.crops(common.seed, draw, n, patch)))
                    .is_err()
                {
                    break;
                }
            }
        });
        // Ends with `train`, so that a sender that waits does not wait for ever.
        let feed = Feed(receiver);
        train(&feed)
    })
}

impl Feed {
    /// The next batches, as many as a step takes.
    pub(super) fn step(&self, parts: u64) -> Result<Step> {
        let next = |_| {
            let crops = self.0.recv().map_err(|_| lost())??;
            Ok(Mutex::new(Some(crops)))
        };
        (0..parts).map(next).collect::<Result<_>>().map(Step)
    }
}

impl Step {
    /// The batch `part`, once.
    pub(super) fn take(&self, part: u64) -> Result<Crops> {
        let crops = self.0[part as usize].lock().map_err(|_| lost())?.take();
        crops.ok_or_else(lost)
    }
}

fn lost() -> Error {
    Error::new("crops could not be made: see the message above")
}
