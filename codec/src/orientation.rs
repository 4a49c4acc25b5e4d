//! How a photo was held: EXIF's tag 274, from 1, upright, to 8.

use asasr_core::Size;

use crate::{Picture, Samples};

/// A column and a row, or a width and a height.
type Pair = (usize, usize);

/// An image of `n` samples a pixel, each from where `source` says.
fn gathered<T: Copy>(
    samples: &[T],
    n: usize,
    (width, height): Pair,
    source: impl Fn(Pair) -> usize,
) -> Vec<T> {
    let mut out = Vec::with_capacity(samples.len());
    for y in 0..height {
        for x in 0..width {
            let at = source((x, y));
            out.extend_from_slice(&samples[at..at + n]);
        }
    }
    out
}

impl Picture {
    /// Turned upright.
    pub(crate) fn turned(mut self, orientation: u8) -> Self {
        let (w, h, n) = (self.width(), self.height(), self.layout().samples());
        let from: fn(Pair, Pair) -> Pair = match orientation {
            2 => |(x, y), (w, _)| (w - 1 - x, y),
            3 => |(x, y), (w, h)| (w - 1 - x, h - 1 - y),
            4 => |(x, y), (_, h)| (x, h - 1 - y),
            5 => |(x, y), _| (y, x),
            6 => |(x, y), (_, h)| (y, h - 1 - x),
            7 => |(x, y), (w, h)| (w - 1 - y, h - 1 - x),
            8 => |(x, y), (w, _)| (w - 1 - y, x),
            _ => return self,
        };
        if orientation >= 5 {
            self.raster.size = Size::new(h, w);
        }
        let size = (self.width(), self.height());
        // Where each pixel of the result comes from.
        let source = |to| {
            let (x, y) = from(to, (w, h));
            (y * w + x) * n
        };
        self.raster.samples = match self.raster.samples {
            Samples::Eight(s) => Samples::Eight(gathered(&s, n, size, source)),
            Samples::Sixteen(s) => Samples::Sixteen(gathered(&s, n, size, source)),
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exif::take_orientation;
    use crate::{Layout, Metadata, Raster};
    use image::metadata::Orientation;
    use image::{DynamicImage, RgbImage};
    use proptest::prelude::*;

    /// EXIF data with two tags, the second of them an orientation.
    fn exif(little: bool, orientation: u16) -> Vec<u8> {
        let short = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut out = if little {
            b"II*\0".to_vec()
        } else {
            b"MM\0*".to_vec()
        };
        out.extend(long(8));
        out.extend(short(2));
        for (tag, value) in [(256, 77), (274, orientation)] {
            out.extend([short(tag), short(3)].concat());
            out.extend(long(1));
            out.extend([short(value), [0, 0]].concat());
        }
        out
    }

    #[test]
    fn it_is_read_once() {
        for little in [false, true] {
            for n in 1..=8 {
                let mut data = exif(little, n);
                assert_eq!(
                    Orientation::from_exif_chunk(&data).map(Orientation::to_exif),
                    Some(n as u8)
                );
                assert_eq!(take_orientation(&mut data), Some(n as u8));
                assert_eq!(data, exif(little, 1));
            }
            assert_eq!(take_orientation(&mut exif(little, 9)), None);
            // Three numbers would stand elsewhere, and this be their address.
            let mut three = exif(little, 6);
            three[26..30].copy_from_slice(&if little { [3, 0, 0, 0] } else { [0, 0, 0, 3] });
            assert_eq!(take_orientation(&mut three), None);
        }
    }

    #[test]
    fn it_turns_as_the_image_crate_does() {
        let image = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 7]));
        for n in 1..=8 {
            let mut expected = DynamicImage::from(image.clone());
            expected.apply_orientation(Orientation::from_exif(n).unwrap());
            for wide in [false, true] {
                let bytes = image.clone().into_raw();
                let samples = if wide {
                    Samples::Sixteen(bytes.iter().map(|b| u16::from(*b) * 257).collect())
                } else {
                    Samples::Eight(bytes)
                };
                let picture = Picture {
                    raster: Raster {
                        size: Size::new(5, 3),
                        layout: Layout::Rgb,
                        samples,
                    },
                    notes: Vec::new(),
                    metadata: Metadata::default(),
                };
                let turned = picture.turned(n);
                assert_eq!(
                    (turned.width(), turned.height()),
                    (expected.width() as usize, expected.height() as usize)
                );
                match turned.raster.samples {
                    Samples::Eight(s) => assert_eq!(s, expected.to_rgb8().into_raw()),
                    Samples::Sixteen(s) => assert_eq!(s, expected.to_rgb16().into_raw()),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..34, value: u8, end in 0usize..=34, little: bool) {
            let mut data = exif(little, 6);
            data[at] = value;
            data.truncate(end);
            take_orientation(&mut data);
        }
    }
}
