//! Images as the networks see them.
//!
//! Layout: channel-major, `data[(c * height + y) * width + x]`, `f32`; sRGB-encoded values scaled to `[0, 1]`.

use alloc::{format, vec, vec::Vec};

use crate::{Error, Result, Size};

/// A rectangle of pixels, `x0 <= x < x1` and `y0 <= y < y1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x0: usize,
    /// First row.
    pub y0: usize,
    /// One past the last column.
    pub x1: usize,
    /// One past the last row.
    pub y1: usize,
}

impl Size {
    /// The rectangle of all its pixels.
    pub const fn whole(self) -> Rect {
        Rect::whole(self.width, self.height)
    }
}

impl Rect {
    /// All of an image of `width` by `height` pixels.
    #[must_use]
    pub const fn whole(width: usize, height: usize) -> Self {
        Self {
            x0: 0,
            y0: 0,
            x1: width,
            y1: height,
        }
    }

    /// Columns and rows covered.
    pub fn size(&self) -> Size {
        Size::new(self.width(), self.height())
    }

    /// Columns covered.
    pub fn width(&self) -> usize {
        self.x1 - self.x0
    }

    /// Rows covered.
    pub fn height(&self) -> usize {
        self.y1 - self.y0
    }

    /// What of it lies in an image.
    #[must_use]
    pub fn within(&self, image: Size) -> Self {
        Self {
            x1: self.x1.min(image.width),
            y1: self.y1.min(image.height),
            ..*self
        }
    }

    /// This rectangle on a grid `scale` times finer.
    #[must_use]
    pub fn scaled(&self, scale: usize) -> Self {
        Self {
            x0: self.x0 * scale,
            y0: self.y0 * scale,
            x1: self.x1 * scale,
            y1: self.y1 * scale,
        }
    }
}

/// An image of `channels` planes of `f32` values.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    channels: usize,
    height: usize,
    width: usize,
    data: Vec<f32>,
}

impl Planes {
    /// Wraps `data` of layout `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is zero or `data` has another length.
    pub fn new(channels: usize, height: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        if channels == 0 || height == 0 || width == 0 || data.len() != channels * height * width {
            return Err(Error::Size(format!(
                "{} values do not make an image of {channels} channels, {width}x{height} pixels",
                data.len()
            )));
        }
        Ok(Self {
            channels,
            height,
            width,
            data,
        })
    }

    /// An image of zeros.
    pub fn zeros(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            data: vec![0.0; channels * height * width],
        }
    }

    /// Number of planes.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Columns and rows of pixels.
    pub fn size(&self) -> Size {
        Size::new(self.width(), self.height())
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, `[channels, height, width]`.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All values, `[channels, height, width]`, to write.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The values themselves, `[channels, height, width]`.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// One plane, `[height, width]`.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let n = self.height * self.width;
        &self.data[channel * n..(channel + 1) * n]
    }

    /// One plane, to be changed.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn plane_mut(&mut self, channel: usize) -> &mut [f32] {
        let n = self.width * self.height;
        &mut self.data[channel * n..(channel + 1) * n]
    }

    /// Row `y` of `channel`.
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        let start = (channel * self.height + y) * self.width;
        &self.data[start..start + self.width]
    }

    /// Row `y` of `channel`, to write.
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let start = (channel * self.height + y) * self.width;
        &mut self.data[start..start + self.width]
    }

    /// Copies `rows` over these from row `first` on.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn put_rows(&mut self, first: usize, rows: &Self) {
        assert_eq!((self.channels, self.width), (rows.channels, rows.width));
        for c in 0..rows.channels {
            for y in 0..rows.height {
                self.row_mut(c, first + y).copy_from_slice(rows.row(c, y));
            }
        }
    }

    /// A copy of the pixels in `rect`.
    ///
    /// # Panics
    /// When `rect` reaches outside the image.
    #[must_use]
    pub fn crop(&self, rect: Rect) -> Self {
        let mut data = Vec::with_capacity(self.channels * rect.height() * rect.width());
        for c in 0..self.channels {
            for y in rect.y0..rect.y1 {
                data.extend_from_slice(&self.row(c, y)[rect.x0..rect.x1]);
            }
        }
        Self {
            channels: self.channels,
            height: rect.height(),
            width: rect.width(),
            data,
        }
    }

    /// The image with as many columns to its right and rows below as make it of `size`: its reflection in its last column and row, which are
    /// not repeated.
    ///
    /// # Panics
    /// When it is larger than `size`, or has no pixel.
    #[must_use]
    pub fn reflected(self, size: Size) -> Self {
        if self.size() == size {
            return self;
        }
        let at = |i: usize, n: usize| {
            let period = (2 * (n - 1)).max(1);
            let i = i % period;
            i.min(period - i)
        };
        let mut data = Vec::with_capacity(self.channels * size.pixels());
        for (c, y) in (0..self.channels).flat_map(|c| (0..size.height).map(move |y| (c, y))) {
            let row = self.row(c, at(y, self.height));
            data.extend_from_slice(row);
            data.extend((self.width..size.width).map(|x| row[at(x, self.width)]));
        }
        Self {
            channels: self.channels,
            height: size.height,
            width: size.width,
            data,
        }
    }

    /// The first `n` planes and the rest; the rest is `None` where there are no more.
    ///
    /// # Panics
    /// When the image has fewer than `n` planes.
    pub fn split_channels(mut self, n: usize) -> (Self, Option<Self>) {
        assert!(n <= self.channels, "{n} of {} channels", self.channels);
        let rest = self.data.split_off(n * self.height * self.width);
        let extra = self.channels - n;
        let (height, width) = (self.height, self.width);
        self.channels = n;
        (
            self,
            (extra > 0).then_some(Self {
                channels: extra,
                height,
                width,
                data: rest,
            }),
        )
    }

    /// Puts the planes of `other` behind these.
    ///
    /// # Panics
    /// When the sizes differ.
    #[must_use]
    pub fn with_channels(mut self, other: Self) -> Self {
        assert_eq!((self.height, self.width), (other.height, other.width));
        self.channels += other.channels;
        self.data.extend(other.data);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_an_image_is_its_reflection() {
        let image = Planes::new(1, 2, 3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].into()).expect("sizes agree");
        let larger = image.clone().reflected(Size::new(8, 4));
        let row = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0];
        let below: Vec<f32> = row.iter().map(|v| v + 3.0).collect();
        for (y, expected) in [&row[..], &below, &row, &below].into_iter().enumerate() {
            assert_eq!(larger.row(0, y), expected);
        }
        assert_eq!(image.clone().reflected(image.size()), image);
        let point = Planes::new(1, 1, 1, [0.5].into()).expect("sizes agree");
        assert_eq!(point.reflected(Size::new(2, 2)).data(), [0.5; 4]);
    }
}
