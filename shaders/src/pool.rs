//! Buffers that lie ready: a tile takes what an earlier one has left.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use wgpu::{Buffer, BufferUsages};

/// Buffers of one device that nobody uses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Buffer>>>);

impl Pool {
    /// The smallest that serves.
    pub(crate) fn take(&self, bytes: u64, usage: BufferUsages) -> Option<Pooled> {
        let mut free = self.0.lock().ok()?;
        let fits = |b: &Buffer| b.size() >= bytes && b.usage() == usage;
        let all = free.iter().enumerate().filter(|(_, b)| fits(b));
        let (best, _) = all.min_by_key(|(_, b)| b.size())?;
        let buffer = free.swap_remove(best);
        drop(free);
        Some(self.keep(buffer))
    }

    /// Will have the buffer when it is no longer used.
    pub(crate) fn keep(&self, buffer: Buffer) -> Pooled {
        Pooled {
            buffer,
            pool: self.clone(),
            goes_back: true,
        }
    }

    /// Takes a [lent](Pooled::lend) buffer back.
    pub(crate) fn put_back(&self, buffer: Buffer) {
        if let Ok(mut free) = self.0.lock() {
            free.push(buffer);
        }
    }

    /// Frees the memory of all that lie ready.
    pub(crate) fn clear(&self) {
        if let Ok(mut free) = self.0.lock() {
            free.clear();
        }
    }
}

/// A buffer in use, that goes back to its pool. What was submitted with it comes before all that a later user submits.
#[derive(Debug)]
pub(crate) struct Pooled {
    buffer: Buffer,
    pool: Pool,
    goes_back: bool,
}

impl Pooled {
    /// Takes it out of the pool for good, unless it is [put back](Pool::put_back).
    pub(crate) fn lend(mut self) -> Buffer {
        self.goes_back = false;
        self.buffer.clone()
    }

    /// Frees it where it would go back.
    pub(crate) fn discard(self) {
        drop(self.lend());
    }
}

impl Deref for Pooled {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if self.goes_back {
            self.pool.put_back(self.buffer.clone());
        }
    }
}
