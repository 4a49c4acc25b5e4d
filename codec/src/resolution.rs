/// Pixels per metre, or only their shape.
///
/// An enlarged image keeps it, as it keeps it in image editors: the same dots per inch, on more paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// Along a row.
    pub x: u32,
    /// Along a column.
    pub y: u32,
    /// Whether the numbers are pixels per metre; else only their ratio means something.
    pub metre: bool,
}

impl Resolution {
    /// None for numbers that tell nothing.
    pub(crate) fn per_metre(x: f64, y: f64) -> Option<Self> {
        let whole = |n: f64| (0.5..f64::from(i32::MAX)).contains(&n).then(|| n.round() as u32);
        Some(Self {
            x: whole(x)?,
            y: whole(y)?,
            metre: true,
        })
    }

    /// None for numbers that tell nothing.
    pub(crate) fn per_inch(x: f64, y: f64) -> Option<Self> {
        Self::per_metre(x / 0.0254, y / 0.0254)
    }

    /// The shape of pixels, from numbers of any unit; none for squares.
    pub(crate) fn aspect(x: f64, y: f64) -> Option<Self> {
        let scale = if x.fract() == 0.0 && y.fract() == 0.0 {
            1.0
        } else {
            1000.0
        };
        Self::per_metre(x * scale, y * scale)
            .filter(|r| r.x != r.y)
            .map(|r| Self { metre: false, ..r })
    }
}
