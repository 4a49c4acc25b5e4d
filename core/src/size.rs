use core::fmt;

/// Columns and rows of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// So many columns and rows.
    pub const fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }

    /// How many pixels; saturates.
    pub const fn pixels(self) -> usize {
        self.width.saturating_mul(self.height)
    }

    /// The longer side.
    pub fn longest(self) -> usize {
        self.width.max(self.height)
    }

    /// The least size that is not smaller and whose sides are multiples of `grid`.
    #[must_use]
    pub fn on_grid(self, grid: usize) -> Self {
        Self::new(
            self.width.next_multiple_of(grid),
            self.height.next_multiple_of(grid),
        )
    }

    /// As many times wider and higher.
    #[must_use]
    pub const fn times(self, scale: usize) -> Self {
        Self::new(self.width * scale, self.height * scale)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
