//! Planes with zeros around them, so that a kernel reads each of its taps at a constant distance.
//!
//! ```text
//! r zeros | r rows of zeros | row 0, r zeros | row 1, r zeros | … | r rows of zeros | TAIL
//! ```
//!
//! Rows lie `pitch = width + r` apart: the zeros after a row are those before the next. The result at `(y, x)` sits at
//! `q = y * pitch + x`, and its tap `(ky, kx)` at `q + ky * pitch + kx`. So a run of consecutive `q` is a run of
//! consecutive taps, across the ends of rows too; what falls on the zeros between rows is thrown away.

use alloc::vec::Vec;
use core::iter::repeat_n;
use core::ops::Range;

/// Values after a plane that whole vectors may read: the longest vector, and the kernel's side.
const TAIL: usize = 32;

/// The layout of a band of rows of a plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded {
    width: usize,
    rows: usize,
    radius: usize,
}

impl Padded {
    pub(super) fn new(width: usize, rows: usize, radius: usize) -> Self {
        Self { width, rows, radius }
    }

    /// Distance between rows.
    pub(super) fn pitch(&self) -> usize {
        self.width + self.radius
    }

    /// Results from the first to the last, those between rows included.
    pub(super) fn span(&self) -> usize {
        self.rows * self.pitch()
    }

    /// Length of a plane.
    pub(super) fn plane(&self) -> usize {
        self.radius + (self.rows + 2 * self.radius) * self.pitch() + TAIL
    }

    /// Where the value at row 0, column 0 stands.
    pub(super) fn origin(&self) -> usize {
        self.radius * self.pitch() + self.radius
    }

    /// Appends the band of `plane` that begins at row `first`; rows beyond the plane are zeros.
    pub(super) fn push(&self, plane: &[f32], first: usize, out: &mut Vec<f32>) {
        let height = plane.len() / self.width;
        out.extend(repeat_n(0.0, self.radius));
        for y in first..first + self.rows + 2 * self.radius {
            match y.checked_sub(self.radius).filter(|y| *y < height) {
                Some(y) => out.extend_from_slice(&plane[y * self.width..][..self.width]),
                None => out.extend(repeat_n(0.0, self.width)),
            }
            out.extend(repeat_n(0.0, self.radius));
        }
        out.extend(repeat_n(0.0, TAIL));
    }

    /// The parts of `q..q + n` that are results, and where each lies in the rows without zeros between them.
    pub(super) fn runs(&self, q: usize, n: usize) -> impl Iterator<Item = (Range<usize>, usize)> + use<> {
        let Self { width, rows, .. } = *self;
        let pitch = self.pitch();
        (q / pitch..rows)
            .map(move |y| (y, y * pitch))
            .take_while(move |(_, start)| *start < q + n)
            .filter_map(move |(y, start)| {
                let (from, to) = (start.max(q), (start + width).min(q + n));
                (from < to).then(|| (from - q..to - q, y * width + from - start))
            })
    }
}
