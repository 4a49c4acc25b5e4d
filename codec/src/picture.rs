use asasr_core::{Planes, Rect};

use crate::{Metadata, Note};

/// Which samples a pixel has, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Luminance.
    Grey,
    /// Luminance and alpha.
    GreyAlpha,
    /// Red, green and blue.
    Rgb,
    /// Red, green, blue and alpha.
    Rgba,
}

impl Layout {
    /// The layout of a PNG's samples; none for a palette's.
    pub(crate) fn of(colours: png::ColorType) -> Option<Self> {
        match colours {
            png::ColorType::Grayscale => Some(Self::Grey),
            png::ColorType::GrayscaleAlpha => Some(Self::GreyAlpha),
            png::ColorType::Rgb => Some(Self::Rgb),
            png::ColorType::Rgba => Some(Self::Rgba),
            png::ColorType::Indexed => None,
        }
    }

    /// Samples of a pixel.
    pub fn samples(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Whether the last sample is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// Interleaved samples, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) layout: Layout,
    pub(crate) samples: Samples,
    pub(crate) notes: Vec<Note>,
    pub(crate) metadata: Metadata,
}

impl Picture {
    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Which samples a pixel has.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bits of a sample: 8 or 16.
    pub fn bits(&self) -> u8 {
        match self.samples {
            Samples::Eight(_) => 8,
            Samples::Sixteen(_) => 16,
        }
    }

    /// Whether no pixel is transparent, with an alpha channel or without.
    pub fn is_opaque(&self) -> bool {
        let n = self.layout.samples();
        !self.layout.has_alpha()
            || match &self.samples {
                Samples::Eight(s) => s.iter().skip(n - 1).step_by(n).all(|a| *a == u8::MAX),
                Samples::Sixteen(s) => s.iter().skip(n - 1).step_by(n).all(|a| *a == u16::MAX),
            }
    }

    /// What decoding changed or left out.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What the file tells about the image.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The picture without metadata. What describes colours that are not sRGB is kept: without the feature `colour` they are
    /// not converted.
    #[cfg(not(feature = "colour"))]
    #[must_use]
    pub fn stripped(mut self) -> Self {
        self.metadata = if self.metadata.is_srgb() {
            Metadata::default()
        } else {
            self.metadata.colours()
        };
        self
    }

    /// The pixels of `rect` as red, green and blue planes (grey three times) and, where there is one, alpha; in
    /// `[0, 1]`.
    ///
    /// # Panics
    /// When `rect` reaches outside the picture.
    pub fn planes(&self, rect: Rect) -> Planes {
        let n = self.layout.samples();
        let sources: &[usize] = match self.layout {
            Layout::Grey => &[0, 0, 0],
            Layout::GreyAlpha => &[0, 0, 0, 1],
            Layout::Rgb => &[0, 1, 2],
            Layout::Rgba => &[0, 1, 2, 3],
        };
        let mut out = Planes::zeros(sources.len(), rect.height(), rect.width());
        for (c, sample) in sources.iter().enumerate() {
            for y in 0..rect.height() {
                let start = ((rect.y0 + y) * self.width + rect.x0) * n + sample;
                let end = start + (rect.width() - 1) * n + 1;
                let row = out.row_mut(c, y).iter_mut();
                match &self.samples {
                    Samples::Eight(s) => {
                        row.zip(s[start..end].iter().step_by(n))
                            .for_each(|(o, v)| *o = f32::from(*v) / 255.0);
                    }
                    Samples::Sixteen(s) => {
                        row.zip(s[start..end].iter().step_by(n))
                            .for_each(|(o, v)| *o = f32::from(*v) / 65535.0);
                    }
                }
            }
        }
        out
    }

    /// The whole picture as planes, see [`Self::planes`].
    pub fn all_planes(&self) -> Planes {
        self.planes(Rect::whole(self.width, self.height))
    }
}
