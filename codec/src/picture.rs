use asasr_core::pipeline::Photo as _;
use asasr_core::{Layout, Planes, Raster, Rect, Samples, Size};

use crate::{Metadata, Note};

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub(crate) raster: Raster,
    pub(crate) notes: Vec<Note>,
    pub(crate) metadata: Metadata,
}

/// The layout of a PNG's samples; none for a palette's.
pub(crate) fn layout_of(colours: png::ColorType) -> Option<Layout> {
    match colours {
        png::ColorType::Grayscale => Some(Layout::Grey),
        png::ColorType::GrayscaleAlpha => Some(Layout::GreyAlpha),
        png::ColorType::Rgb => Some(Layout::Rgb),
        png::ColorType::Rgba => Some(Layout::Rgba),
        png::ColorType::Indexed => None,
    }
}

impl Picture {
    /// Samples of a drawing, without metadata or notes.
    pub fn new(raster: Raster) -> Self {
        Self {
            raster,
            notes: Vec::new(),
            metadata: Metadata::default(),
        }
    }

    /// Takes the samples out; from then on it has none, and its size is that of nothing.
    pub fn take_samples(&mut self) -> Samples {
        self.raster.size = Size::new(0, 0);
        match &mut self.raster.samples {
            Samples::Eight(s) => Samples::Eight(std::mem::take(s)),
            Samples::Sixteen(s) => Samples::Sixteen(std::mem::take(s)),
        }
    }

    /// Tells something else about the image.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = metadata;
    }

    /// Columns and rows.
    pub fn size(&self) -> Size {
        self.raster.size
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.raster.size.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.raster.size.height
    }

    /// Which samples a pixel has.
    pub fn layout(&self) -> Layout {
        self.raster.layout
    }

    /// Bits of a sample: 8 or 16.
    pub fn bits(&self) -> u8 {
        self.raster.samples.bits()
    }

    /// The pixels.
    pub fn raster(&self) -> &Raster {
        &self.raster
    }

    /// Whether no pixel is transparent, with an alpha channel or without.
    pub fn is_opaque(&self) -> bool {
        self.raster.is_opaque()
    }

    pub(crate) fn is_grey(&self) -> bool {
        matches!(self.layout(), Layout::Grey | Layout::GreyAlpha)
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

    /// A grey picture with a profile of three colours, in three colours: a PNG of grey cannot have such a profile.
    #[cfg(not(feature = "colour"))]
    pub(crate) fn with_fitting_profile(mut self) -> Self {
        // The space of a profile's samples (ICC.1:2022, 7.2.6).
        let of_colours = self.metadata.icc.as_deref().and_then(|icc| icc.get(16..20)) == Some(b"RGB ");
        if self.is_grey() && of_colours {
            self.raster = self.raster.coloured();
        }
        self
    }

    /// The pixels of `rect` as red, green and blue planes (grey three times) and, where there is one, alpha; in
    /// `[0, 1]`.
    ///
    /// # Panics
    /// When `rect` reaches outside the picture.
    pub fn planes(&self, rect: Rect) -> Planes {
        self.raster.planes(rect)
    }

    /// The whole picture as planes, see [`Self::planes`].
    pub fn all_planes(&self) -> Planes {
        self.planes(self.size().whole())
    }
}
