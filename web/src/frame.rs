//! A video's frames: from a decoder's planes to red, green and blue, and back to planes of 8 bits.
//!
//! Nothing is converted between colours but by the frame's own matrix and range (ITU-T H.273), there and back, so primaries and
//! transfer stay what they are. Where colours have half the columns, each lies on the left one of its two, as most videos have it.

use asasr_core::{Error, Planes, Result, Size};

/// How brightness and colour differences are made of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colours {
    /// The weights of red and blue in the brightness.
    weights: (f32, f32),
    /// Whether samples use their whole range.
    full: bool,
}

impl Colours {
    /// By the name of a matrix in `WebCodecs`; none of one that is no matrix of weights.
    pub(crate) fn new(matrix: &str, full: bool) -> Option<Self> {
        let weights = match matrix {
            "bt709" => (0.2126, 0.0722),
            "bt470bg" | "smpte170m" => (0.299, 0.114),
            "bt2020-ncl" => (0.2627, 0.0593),
            _ => return None,
        };
        Some(Self { weights, full })
    }

    /// What is taken off samples of so many bits, and the factors that make brightness `0..=1` and differences `-0.5..=0.5` of the rest.
    fn scaled(self, bits: u32) -> [(f32, f32); 2] {
        let (most, unit) = (((1u32 << bits) - 1) as f32, (1u32 << (bits - 8)) as f32);
        let middle = 128.0 * unit;
        if self.full {
            [(0.0, 1.0 / most), (middle, 1.0 / most)]
        } else {
            [
                (16.0 * unit, 1.0 / (219.0 * unit)),
                (middle, 1.0 / (224.0 * unit)),
            ]
        }
    }
}

/// How a frame's samples lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Three planes, of which colours have a share of the columns and rows; samples of so many bits, in two bytes above 8.
    Planar { across: usize, down: usize, bits: u32 },
    /// Brightness, and colours of half the columns and rows, blue and red in turn.
    Turns,
    /// Four bytes a pixel, of which red is at this place and blue opposite.
    Packed { red: usize },
}

impl Layout {
    /// By the name of a pixel format in `WebCodecs`; alpha is not looked at.
    fn new(format: &str) -> Option<Self> {
        let planar = |across, down, bits| Some(Self::Planar { across, down, bits });
        match format {
            "NV12" => return Some(Self::Turns),
            "RGBA" | "RGBX" => return Some(Self::Packed { red: 0 }),
            "BGRA" | "BGRX" => return Some(Self::Packed { red: 2 }),
            _ => {}
        }
        let (kind, rest) = format.split_at_checked(4)?;
        let bits = match rest.trim_start_matches('A') {
            "" => 8,
            "P10" => 10,
            "P12" => 12,
            _ => return None,
        };
        match kind {
            "I420" => planar(2, 2, bits),
            "I422" => planar(2, 1, bits),
            "I444" => planar(1, 1, bits),
            _ => None,
        }
    }
}

/// Red, green and blue of a frame in `[0, 1]`, a fraction beyond it where its colours are no screen's. `data` are its planes, without
/// gaps, of the format of that name in `WebCodecs`.
///
/// # Errors
/// A format that is not known, or fewer samples than the size tells.
pub(crate) fn planes(data: &[u8], format: &str, size: Size, colours: Colours) -> Result<Planes> {
    let other = || {
        Error::Size(format!(
            "a frame of {size} pixels has other samples than {format}"
        ))
    };
    let Size { width, height } = size;
    let layout = Layout::new(format).ok_or_else(other)?;
    let mut out = Planes::zeros(3, height, width);
    let (across, down, bits) = match layout {
        Layout::Packed { red } => {
            let pixels = data.get(..4 * width * height).ok_or_else(other)?;
            for (channel, place) in [red, 1, 2 - red].into_iter().enumerate() {
                let values = pixels.iter().skip(place).step_by(4);
                for (to, from) in out.plane_mut(channel).iter_mut().zip(values) {
                    *to = f32::from(*from) / 255.0;
                }
            }
            return Ok(out);
        }
        Layout::Turns => (2, 2, 8),
        Layout::Planar { across, down, bits } => (across, down, bits),
    };
    let (columns, rows) = (width.div_ceil(across), height.div_ceil(down));
    let bytes = if bits > 8 { 2 } else { 1 };
    let all = bytes * (width * height + 2 * columns * rows);
    if columns == 0 || rows == 0 || data.len() < all {
        return Err(other());
    }
    let [luma, chroma] = colours.scaled(bits);
    let turns = layout == Layout::Turns;
    // A row of one plane, each sample after so many others.
    let read = |to: &mut [f32], first: usize, step: usize, (offset, factor): (f32, f32)| {
        if bits > 8 {
            for (i, v) in to.iter_mut().enumerate() {
                let at = 2 * (first + i * step);
                *v = (f32::from(u16::from_le_bytes([data[at], data[at + 1]])) - offset) * factor;
            }
        } else {
            for (v, sample) in to.iter_mut().zip(data[first..].iter().step_by(step)) {
                *v = (f32::from(*sample) - offset) * factor;
            }
        }
    };
    let begin = width * height;
    let read_chroma = |to: &mut [f32], plane: usize, row: usize| {
        if turns {
            read(to, begin + 2 * row * columns + plane, 2, chroma);
        } else {
            read(to, begin + (plane * rows + row) * columns, 1, chroma);
        }
    };
    let (red, blue) = colours.weights;
    let green = 1.0 - red - blue;
    let mut brightness = vec![0.0; width];
    let [mut near, mut far] = [(); 2].map(|()| vec![0.0; columns]);
    let mut wide = [vec![0.0; width], vec![0.0; width]];
    for y in 0..height {
        read(&mut brightness, y * width, 1, luma);
        for (plane, wide) in wide.iter_mut().enumerate() {
            read_chroma(&mut near, plane, y / down);
            if down == 2 {
                // Colours lie between two rows: three quarters of the nearer, a quarter of the other.
                let other = if y % 2 == 0 {
                    (y / 2).saturating_sub(1)
                } else {
                    (y / 2 + 1).min(rows - 1)
                };
                read_chroma(&mut far, plane, other);
                near.iter_mut()
                    .zip(&far)
                    .for_each(|(n, f)| *n = 0.75 * *n + 0.25 * f);
            }
            spread(&near, wide, across);
        }
        // Of blue and red differences in red, green and blue.
        let (of_blue, of_red) = (2.0 * (1.0 - blue), 2.0 * (1.0 - red));
        let factors = [
            (0.0, of_red),
            (-blue * of_blue / green, -red * of_red / green),
            (of_blue, 0.0),
        ];
        let [cb, cr] = &wide;
        for (channel, (by_blue, by_red)) in factors.into_iter().enumerate() {
            let to = out.row_mut(channel, y).iter_mut();
            for (((to, y), cb), cr) in to.zip(&brightness).zip(cb).zip(cr) {
                *to = y + by_blue * cb + by_red * cr;
            }
        }
    }
    Ok(out)
}

/// A row of colours, one for each pixel.
fn spread(from: &[f32], to: &mut [f32], across: usize) {
    if across == 1 {
        to.copy_from_slice(from);
        return;
    }
    for (x, v) in to.iter_mut().enumerate() {
        let at = x / 2;
        *v = if x % 2 == 0 {
            from[at]
        } else {
            0.5 * (from[at] + from[(at + 1).min(from.len() - 1)])
        };
    }
}

/// A frame of the format I420 that is made row by row.
#[derive(Debug)]
pub(crate) struct Frame {
    size: Size,
    colours: Colours,
    data: Vec<u8>,
    rows: usize,
    /// How far blue and red of a row are from its brightness.
    differences: [Vec<f32>; 2],
    /// The same of each second column, of a row whose partner is not there yet.
    waiting: [Vec<f32>; 2],
}

impl Frame {
    /// Begins a frame.
    pub(crate) fn new(size: Size, colours: Colours) -> Self {
        let (columns, rows) = (size.width.div_ceil(2), size.height.div_ceil(2));
        Self {
            size,
            colours,
            data: vec![0; size.pixels() + 2 * columns * rows],
            rows: 0,
            differences: [(); 2].map(|()| vec![0.0; size.width]),
            waiting: [(); 2].map(|()| vec![0.0; columns]),
        }
    }

    /// Appends rows of red, green and blue.
    ///
    /// # Errors
    /// When these are not of the frame, or too many.
    pub(crate) fn add(&mut self, rows: &Planes) -> Result<()> {
        let Size { width, height } = self.size;
        if rows.width() != width || rows.channels() < 3 || self.rows + rows.height() > height {
            return Err(Error::Size(format!(
                "these are no rows of a frame of {} pixels",
                self.size
            )));
        }
        for y in 0..rows.height() {
            self.add_row([0, 1, 2].map(|channel| rows.row(channel, y)));
        }
        Ok(())
    }

    fn add_row(&mut self, [r, g, b]: [&[f32]; 3]) {
        let Size { width, height } = self.size;
        let (columns, rows, row) = (width.div_ceil(2), height.div_ceil(2), self.rows);
        let (red, blue) = self.colours.weights;
        let green = 1.0 - red - blue;
        let [(black, luma), (middle, chroma)] = self.colours.scaled(8);
        let to_u8 = |v: f32| (v + 0.5) as u8;
        let [blues, reds] = &mut self.differences;
        let to = &mut self.data[row * width..][..width];
        for x in 0..width {
            // What no screen shows may stand in a video all the same: only its samples have ends.
            let (r, g, b) = (r[x], g[x], b[x]);
            let y = red * r + green * g + blue * b;
            to[x] = to_u8(black + y / luma);
            blues[x] = b - y;
            reds[x] = r - y;
        }
        let (first, last) = (row % 2 == 0, row + 1 == height);
        let factors = [blue, red].map(|weight| 0.5 / (1.0 - weight) / chroma);
        for (plane, (from, factor)) in self.differences.iter().zip(factors).enumerate() {
            let waiting = &mut self.waiting[plane];
            for (i, sum) in waiting.iter_mut().enumerate() {
                // Of each second column, as it is with its neighbours.
                let x = 2 * i;
                let beside = from[x.saturating_sub(1)] + from[(x + 1).min(width - 1)];
                let value = 0.25 * beside + 0.5 * from[x];
                *sum = if first { value } else { 0.5 * (*sum + value) };
            }
            if !first || last {
                let to = &mut self.data[width * height + (plane * rows + row / 2) * columns..][..columns];
                for (to, sum) in to.iter_mut().zip(waiting) {
                    *to = to_u8(middle + factor * *sum);
                }
            }
        }
        self.rows += 1;
    }

    /// Its planes.
    ///
    /// # Errors
    /// When rows are missing.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        if self.rows < self.size.height {
            return Err(Error::Size(format!("a frame of {} pixels lacks rows", self.size)));
        }
        Ok(self.data)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    const MATRICES: [&str; 4] = ["bt709", "bt470bg", "smpte170m", "bt2020-ncl"];

    fn of(matrix: &str, full: bool) -> Colours {
        Colours::new(matrix, full).unwrap()
    }

    fn flat(size: Size, [r, g, b]: [f32; 3]) -> Planes {
        let data = [r, g, b].map(|v| vec![v; size.pixels()]).concat();
        Planes::new(3, size.height, size.width, data).unwrap()
    }

    fn packed(rgb: &Planes, colours: Colours) -> Vec<u8> {
        let mut frame = Frame::new(rgb.size(), colours);
        frame.add(rgb).unwrap();
        frame.finish().unwrap()
    }

    /// Values that standards print, or that follow from their formulas by hand.
    #[test]
    fn known_colours_have_their_numbers() {
        let size = Size::new(2, 2);
        for (matrix, full, rgb, [y, cb, cr]) in [
            ("bt709", false, [1.0, 1.0, 1.0], [235, 128, 128]),
            ("bt709", false, [0.0, 0.0, 0.0], [16, 128, 128]),
            ("bt709", false, [1.0, 0.0, 0.0], [63, 102, 240]),
            ("bt709", false, [0.0, 0.0, 1.0], [32, 240, 118]),
            ("smpte170m", false, [1.0, 0.0, 0.0], [81, 90, 240]),
            ("bt470bg", true, [0.0, 0.0, 1.0], [29, 255, 107]),
            ("bt2020-ncl", true, [1.0, 1.0, 1.0], [255, 128, 128]),
        ] {
            let data = packed(&flat(size, rgb), of(matrix, full));
            assert_eq!(data, [y, y, y, y, cb, cr], "{matrix} {full} {rgb:?}");
            let back = planes(&data, "I420", size, of(matrix, full)).unwrap();
            for (channel, wanted) in rgb.into_iter().enumerate() {
                // Three roundings, of which colours weigh up to 2.2.
                let off = (back.plane(channel)[3] - wanted).abs();
                assert!(off < 1.5 / 219.0, "{matrix} {full} {rgb:?}: {off}");
            }
        }
        assert!(Colours::new("rgb", true).is_none());
    }

    /// What was smooth comes back as it was, by each format, with odd sides and rows in parts.
    #[test]
    fn there_and_back_is_the_same() {
        let size = Size::new(13, 9);
        let pixels = || (0..9usize).flat_map(|y| (0..13usize).map(move |x| (x, y)));
        for matrix in MATRICES {
            for full in [false, true] {
                let colours = of(matrix, full);
                // A slope in each plane.
                let sample =
                    |x: usize, y: usize, plane: usize| 90 + [4 * x + 2 * y, x + 3 * y, 40 - 2 * x - y][plane];
                let made = |across: usize, down: usize, bits: u32, turns: bool| {
                    let mut data = Vec::new();
                    let unit = 1usize << (bits - 8);
                    let mut put = |value: usize| match bits {
                        8 => data.push(value as u8),
                        _ => data.extend((value as u16).to_le_bytes()),
                    };
                    pixels().for_each(|(x, y)| put(unit * sample(x, y, 0)));
                    let (columns, rows) = (13usize.div_ceil(across), 9usize.div_ceil(down));
                    let at = |i: usize, planes: &[usize], put: &mut dyn FnMut(usize)| {
                        for plane in planes {
                            // A colour of two rows is their mean's.
                            let (x, y) = (i % columns * across, i / columns * down);
                            let next = if down == 2 { (y + 1).min(8) } else { y };
                            put(unit * (sample(x, y, *plane) + sample(x, next, *plane)) / 2);
                        }
                    };
                    if turns {
                        (0..columns * rows).for_each(|i| at(i, &[1, 2], &mut put));
                    } else {
                        for plane in [1, 2] {
                            (0..columns * rows).for_each(|i| at(i, &[plane], &mut put));
                        }
                    }
                    data
                };
                let want = made(2, 2, 8, false);
                for (format, across, down, bits) in [
                    ("I420", 2, 2, 8),
                    ("I420A", 2, 2, 8),
                    ("NV12", 2, 2, 8),
                    ("I422", 2, 1, 8),
                    ("I444", 1, 1, 8),
                    ("I420P10", 2, 2, 10),
                    ("I422P12", 2, 1, 12),
                ] {
                    let data = made(across, down, bits, format == "NV12");
                    let rgb = planes(&data, format, size, colours).unwrap();
                    let mut frame = Frame::new(size, colours);
                    let part = |y0, y1| asasr_core::Rect {
                        x0: 0,
                        y0,
                        x1: 13,
                        y1,
                    };
                    for (from, to) in [(0, 3), (3, 4), (4, 9)] {
                        frame.add(&rgb.crop(part(from, to))).unwrap();
                    }
                    let back = frame.finish().unwrap();
                    let off = back.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
                    // Edges repeat what the slope goes on with.
                    assert!(off <= Some(2), "{matrix} {full} {format}: {off:?}");
                }
            }
        }
    }

    #[test]
    fn packed_pixels_keep_their_order() {
        let size = Size::new(2, 1);
        let colours = of("bt709", false);
        for (format, pixel) in [
            ("RGBA", [255, 51, 0, 9]),
            ("RGBX", [255, 51, 0, 0]),
            ("BGRA", [0, 51, 255, 9]),
        ] {
            let rgb = planes(&[pixel, pixel].concat(), format, size, colours).unwrap();
            assert_eq!(rgb.data(), [1.0, 1.0, 0.2, 0.2, 0.0, 0.0], "{format}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let (size, colours) = (Size::new(4, 4), of("bt709", false));
        for (data, format) in [
            (vec![0; 23], "I420"),
            (vec![0; 24], "I420P10"),
            (vec![0; 64], "YUY2"),
            (vec![0; 63], "RGBA"),
        ] {
            assert!(
                matches!(planes(&data, format, size, colours), Err(Error::Size(_))),
                "{format}"
            );
        }
        assert!(planes(&[], "I420", Size::new(0, 0), colours).is_err());
        let mut frame = Frame::new(size, colours);
        assert!(frame.add(&Planes::zeros(3, 1, 5)).is_err());
        assert!(frame.add(&Planes::zeros(3, 5, 4)).is_err());
        frame.add(&Planes::zeros(3, 3, 4)).unwrap();
        assert!(frame.finish().is_err(), "a row is missing");
    }
}
