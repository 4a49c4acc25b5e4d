//! What a JPEG says of itself before its scans.

use super::damaged;
use crate::phrase::{
    ARITHMETIC, ARITHMETIC_OTHER, HIERARCHICAL, JPEG_12, JPEG_BITS, JPEG_COLOURS, JPEG_FRACTION, JPEG_HEIGHT,
    JPEG_LS, LOSSLESS,
};
use crate::{Error, Phrase, check_size};

/// What the components of a frame stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    /// Brightness and two colour differences.
    Ycc,
    Cmyk,
    /// As [`Self::Ycc`], of the three inks, and black.
    Ycck,
}

impl Colours {
    /// As libjpeg and browsers tell them: the marker of JFIF wins over Adobe's, and that over the components' names.
    fn of(names: &[u8], jfif: bool, adobe: Option<u8>) -> Option<Self> {
        match (names, adobe) {
            ([_], _) => Some(Self::Grey),
            ([_, _, _], Some(0)) | (b"RGB", None) if !jfif => Some(Self::Rgb),
            ([_, _, _], _) => Some(Self::Ycc),
            ([_, _, _, _], None | Some(0)) => Some(Self::Cmyk),
            ([_, _, _, _], _) => Some(Self::Ycck),
            _ => None,
        }
    }
}

/// One component of a frame.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: u8,
    /// Blocks of it in a unit that holds all components, across and down.
    pub(super) sampling: (usize, usize),
    /// Number of its quantisation table.
    pub(super) table: usize,
    /// The steps of its quantisation, as they were when its first scan began.
    pub(super) steps: Option<[u16; 64]>,
    /// Samples across and down.
    pub(super) size: (usize, usize),
    /// Blocks across and down that hold them.
    pub(super) blocks: (usize, usize),
    /// Samples from row to row.
    pub(super) stride: usize,
    /// The samples, mid-grey where none were decoded.
    pub(super) samples: Vec<u8>,
    /// Coefficients of a progressive frame, a block after another, in rows of `stride / 8` blocks.
    pub(super) coefficients: Vec<i16>,
    /// For each coefficient how many of its lowest bits are still to come; 255 before the first scan with it.
    pub(super) to_come: [u8; 64],
    /// The rows of the image, from the top, for which it is there.
    pub(super) rows: usize,
}

/// A frame: the size and kind of an image, and what is decoded of it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) size: (usize, usize),
    pub(super) progressive: bool,
    pub(super) colours: Colours,
    /// The greatest sampling factors.
    pub(super) most: (usize, usize),
    /// Units across and down that hold all components.
    pub(super) units: (usize, usize),
    pub(super) components: Vec<Component>,
}

/// The kind of JPEG that a frame's marker tells, where it is none that is read.
pub(super) fn unread(marker: u8) -> Option<Phrase> {
    match marker {
        0xC3 => Some(LOSSLESS),
        0xC5..=0xC7 => Some(HIERARCHICAL),
        0xC9 | 0xCA => Some(ARITHMETIC),
        0xCB | 0xCD..=0xCF => Some(ARITHMETIC_OTHER),
        0xF7 => Some(JPEG_LS),
        _ => None,
    }
}

impl Frame {
    /// A frame from its header's segment.
    ///
    /// # Errors
    /// When the image is larger than `max_pixels`, its kind is not read, or the header makes no sense.
    pub(super) fn new(
        segment: &[u8],
        progressive: bool,
        (jfif, adobe): (bool, Option<u8>),
        max_pixels: u64,
    ) -> Result<Self, Error> {
        let Some(([bits, y1, y0, x1, x0, count], rest)) = segment.split_first_chunk::<6>() else {
            return Err(damaged());
        };
        let (width, height) = (u16::from_be_bytes([*x1, *x0]), u16::from_be_bytes([*y1, *y0]));
        let unread = |kind| Err(Error::UnreadKind(kind));
        match bits {
            8 => {}
            12 => return unread(JPEG_12),
            _ => return unread(JPEG_BITS),
        }
        if height == 0 {
            return unread(JPEG_HEIGHT);
        }
        let described = rest.get(..3 * usize::from(*count)).ok_or_else(damaged)?;
        let described = described.as_chunks::<3>().0;
        if width == 0 || described.is_empty() {
            return Err(damaged());
        }
        check_size((width.into(), height.into()), max_pixels)?;
        let names: Vec<u8> = described.iter().map(|d| d[0]).collect();
        let Some(colours) = Colours::of(&names, jfif, adobe) else {
            return unread(JPEG_COLOURS);
        };
        let sampling: Vec<(usize, usize)> = described
            .iter()
            .map(|d| ((d[1] >> 4).into(), (d[1] & 15).into()))
            .collect();
        let sound = |(h, v): &(usize, usize)| (1..=4).contains(h) && (1..=4).contains(v);
        if !sampling.iter().all(sound) || described.iter().any(|d| d[2] > 3) {
            return Err(damaged());
        }
        let most = sampling.iter().fold((1, 1), |m, s| (m.0.max(s.0), m.1.max(s.1)));
        if sampling.iter().any(|s| most.0 % s.0 != 0 || most.1 % s.1 != 0) {
            return unread(JPEG_FRACTION);
        }
        let size = (usize::from(width), usize::from(height));
        let units = (size.0.div_ceil(8 * most.0), size.1.div_ceil(8 * most.1));
        let component = |(d, sampling): (&[u8; 3], &(usize, usize))| {
            let own = (
                (size.0 * sampling.0).div_ceil(most.0),
                (size.1 * sampling.1).div_ceil(most.1),
            );
            let stride = 8 * sampling.0 * units.0;
            let samples = stride * 8 * sampling.1 * units.1;
            Component {
                name: d[0],
                sampling: *sampling,
                table: d[2].into(),
                steps: None,
                size: own,
                blocks: (own.0.div_ceil(8), own.1.div_ceil(8)),
                stride,
                samples: vec![128; samples],
                coefficients: vec![0; if progressive { samples } else { 0 }],
                to_come: [u8::MAX; 64],
                rows: 0,
            }
        };
        Ok(Self {
            size,
            progressive,
            colours,
            most,
            units,
            components: described.iter().zip(&sampling).map(component).collect(),
        })
    }

    /// Whether every bit of every coefficient is there: what may follow is no part of the image.
    pub(super) fn is_complete(&self) -> bool {
        let all = |c: &Component| c.to_come.iter().all(|bits| *bits == 0);
        self.components.iter().all(all)
    }
}
