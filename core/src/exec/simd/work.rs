//! Memory that kernels work in, kept by each thread for the next: new pages cost the system more time than they are worked on.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};
use core::cell::RefCell;
use core::ops::{Deref, DerefMut};

use pulp::{Arch, Simd, WithSimd};

std::thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Numbers in a line of the cache: a vector that begins at a multiple of it is read at once.
pub(super) const CACHE_LINE: usize = 16;

/// Numbers in a vector of this processor.
pub(super) fn vector_lanes(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}

/// So many numbers, of no meaning at first, from the beginning of a line of the cache on.
pub(crate) struct Work {
    memory: Vec<f32>,
    start: usize,
    count: usize,
}

impl Work {
    pub(crate) fn take(count: usize) -> Self {
        let needed = count + CACHE_LINE;
        let mut memory = FREE.with_borrow_mut(|free| {
            // The smallest that is large enough, or the largest, which grows.
            let pieces = free.iter().enumerate();
            let best = pieces.min_by_key(|(_, piece)| {
                let has = piece.len();
                if has >= needed {
                    (false, has)
                } else {
                    (true, usize::MAX - has)
                }
            });
            best.map(|(at, _)| at)
                .map(|at| free.swap_remove(at))
                .unwrap_or_default()
        });
        if memory.len() < needed {
            // Before it is replaced it goes.
            drop(memory);
            memory = vec![0.0; needed];
        }
        let start = memory.as_ptr().align_offset(CACHE_LINE * size_of::<f32>());
        Self {
            memory,
            start: start.min(CACHE_LINE),
            count,
        }
    }

    pub(crate) fn zeros(count: usize) -> Self {
        let mut work = Self::take(count);
        work.fill(0.0);
        work
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let memory = core::mem::take(&mut self.memory);
        FREE.with_borrow_mut(|free| free.push(memory));
    }
}

impl Deref for Work {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..][..self.count]
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..][..self.count]
    }
}
