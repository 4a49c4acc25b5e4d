//! From the planes of a frame to rows of pixels: colour enlarged as libjpeg and browsers do, and turned into RGB.

use super::frame::{Colours, Component, Frame};

/// How a component becomes as large as the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enlargement {
    /// Each sample is repeated so often across and down; once is as it is.
    Repeated(usize, usize),
    /// Twice as wide, three quarters of the nearer sample.
    Wider,
    /// Twice as high.
    Higher,
    /// Twice both.
    Both,
}

impl Enlargement {
    fn of(component: &Component, frame: &Frame) -> Self {
        let (across, down) = (
            frame.most.0 / component.sampling.0,
            frame.most.1 / component.sampling.1,
        );
        match (across, down) {
            (2, 1) if component.size.0 > 2 => Self::Wider,
            (1, 2) => Self::Higher,
            (2, 2) if component.size.0 > 2 => Self::Both,
            _ => Self::Repeated(across, down),
        }
    }
}

/// The row `y` of a component, as wide as the image or a little wider.
fn row<'a>(
    component: &'a Component,
    enlargement: Enlargement,
    y: usize,
    out: &'a mut Vec<u8>,
    sums: &mut Vec<u16>,
) -> &'a [u8] {
    let (width, height) = component.size;
    let line = |y: usize| &component.samples[y * component.stride..][..width];
    // The nearer row of a doubled one, and the farther.
    let pair = |y: usize| {
        let near = y / 2;
        let far = if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(height - 1)
        };
        (line(near).iter(), line(far).iter())
    };
    out.clear();
    match enlargement {
        Enlargement::Repeated(1, down) => return line(y / down),
        Enlargement::Repeated(across, down) => {
            out.extend(
                line(y / down)
                    .iter()
                    .flat_map(|s| std::iter::repeat_n(*s, across)),
            );
        }
        Enlargement::Wider => {
            let line = line(y);
            out.resize(2 * width, 0);
            let three = |x: usize| 3 * u16::from(line[x]);
            for x in 1..width - 1 {
                out[2 * x] = ((three(x) + u16::from(line[x - 1]) + 1) >> 2) as u8;
                out[2 * x + 1] = ((three(x) + u16::from(line[x + 1]) + 2) >> 2) as u8;
            }
            out[0] = line[0];
            out[1] = ((three(0) + u16::from(line[1]) + 2) >> 2) as u8;
            out[2 * width - 2] = ((three(width - 1) + u16::from(line[width - 2]) + 1) >> 2) as u8;
            out[2 * width - 1] = line[width - 1];
        }
        Enlargement::Higher => {
            let (near, far) = pair(y);
            let bias = 1 + (y % 2) as u16;
            out.extend(
                near.zip(far)
                    .map(|(n, f)| ((3 * u16::from(*n) + u16::from(*f) + bias) >> 2) as u8),
            );
        }
        Enlargement::Both => {
            let (near, far) = pair(y);
            sums.clear();
            sums.extend(near.zip(far).map(|(n, f)| 3 * u16::from(*n) + u16::from(*f)));
            out.resize(2 * width, 0);
            for x in 1..width - 1 {
                out[2 * x] = ((3 * sums[x] + sums[x - 1] + 8) >> 4) as u8;
                out[2 * x + 1] = ((3 * sums[x] + sums[x + 1] + 7) >> 4) as u8;
            }
            out[0] = ((4 * sums[0] + 8) >> 4) as u8;
            out[1] = ((3 * sums[0] + sums[1] + 7) >> 4) as u8;
            out[2 * width - 2] = ((3 * sums[width - 1] + sums[width - 2] + 8) >> 4) as u8;
            out[2 * width - 1] = ((4 * sums[width - 1] + 7) >> 4) as u8;
        }
    }
    out
}

/// Pixels that are turned into RGB at a time, in loops that become instructions for many numbers at once.
const AT_ONCE: usize = 32;

/// Red, green and blue of brightness and two colour differences, with libjpeg's factors (of 65536) less what is whole
/// in them: so the products fit such instructions.
fn rgb(ycc: [&[u8]; 3], mut out: impl FnMut(usize, [u8; 3])) {
    let width = ycc[0].len();
    for start in (0..width).step_by(AT_ONCE) {
        let end = width.min(start + AT_ONCE);
        let mut numbers = [[0i16; AT_ONCE]; 3];
        for (numbers, samples) in numbers.iter_mut().zip(ycc) {
            numbers
                .iter_mut()
                .zip(&samples[start..end])
                .for_each(|(n, s)| *n = i16::from(*s));
        }
        let [y, cb, cr] = numbers;
        let mut lines = [[0u8; AT_ONCE]; 3];
        for i in 0..AT_ONCE {
            let (y, cb, cr) = (y[i], cb[i] - 128, cr[i] - 128);
            let part = |b: i32, r: i32| ((b * i32::from(cb) + r * i32::from(cr) + (1 << 15)) >> 16) as i16;
            lines[0][i] = (y + cr + part(0, 26_345)).clamp(0, 255) as u8;
            lines[1][i] = (y - cr + part(-22_554, 18_734)).clamp(0, 255) as u8;
            lines[2][i] = (y + 2 * cb + part(-14_942, 0)).clamp(0, 255) as u8;
        }
        let [red, green, blue] = lines;
        for (i, x) in (start..end).enumerate() {
            out(x, [red[i], green[i], blue[i]]);
        }
    }
}

/// What is left of the light: inks are stored as what they leave of it.
fn inked(light: u8, black: u8) -> u8 {
    ((u16::from(light) * u16::from(black) + 127) / 255) as u8
}

/// The pixels of a frame: a sample each where it is grey, else red, green and blue.
pub(super) fn pixels(frame: &Frame) -> Vec<u8> {
    let (width, height) = frame.size;
    let grey = frame.colours == Colours::Grey;
    let mut pixels = vec![0; width * height * if grey { 1 } else { 3 }];
    let ways: Vec<Enlargement> = frame
        .components
        .iter()
        .map(|c| Enlargement::of(c, frame))
        .collect();
    let mut buffers = [const { Vec::new() }; 4];
    let mut sums = Vec::new();
    let length = pixels.len() / height;
    for (y, out) in pixels.chunks_exact_mut(length).enumerate() {
        let mut lines: [&[u8]; 4] = [&[]; 4];
        let components = frame.components.iter().zip(&ways);
        for ((line, buffer), (component, way)) in lines.iter_mut().zip(&mut buffers).zip(components) {
            *line = &row(component, *way, y, buffer, &mut sums)[..width];
        }
        let [first, second, third, fourth] = lines;
        let colours = [first, second, third];
        if grey {
            out.copy_from_slice(first);
            continue;
        }
        let out = out.as_chunks_mut::<3>().0;
        match frame.colours {
            Colours::Ycc => rgb(colours, |x, v| out[x] = v),
            Colours::Ycck => rgb(colours, |x, v| out[x] = v.map(|v| inked(255 - v, fourth[x]))),
            Colours::Cmyk => {
                let inks = out.iter_mut().zip(fourth).enumerate();
                inks.for_each(|(x, (o, black))| *o = colours.map(|c| inked(c[x], *black)));
            }
            Colours::Grey | Colours::Rgb => {
                let out = out.iter_mut().enumerate();
                out.for_each(|(x, o)| *o = colours.map(|c| c[x]));
            }
        }
    }
    pixels
}
