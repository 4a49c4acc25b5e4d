//! Colours of any description into sRGB, for what is saved without one.

use std::sync::Arc;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    Layout as Order, MatrixCoefficients, ToneReprCurve, TransferCharacteristics, TransformExecutor,
    TransformOptions, XyY,
};

use crate::metadata::is_srgb_gamma;
use crate::phrase::{HDR, KEPT};
use crate::{Layout, Metadata, Picture, Samples};

/// What the samples of a picture are.
enum Meaning {
    Srgb,
    Other(Box<ColorProfile>),
    /// Brighter than sRGB can be.
    Hdr,
    /// A profile that cannot be read.
    Unknown,
}

impl Metadata {
    /// What the samples of a grey or coloured picture are; what does not fit them, or has no meaning, tells nothing.
    fn meaning(&self, grey: bool) -> Meaning {
        // Browsers do not know samples of narrow range.
        if let Some([primaries, transfer, _, 1]) = self.cicp {
            match of_numbers(primaries, transfer) {
                Meaning::Unknown => {}
                known => return known,
            }
        }
        if let Some(icc) = &self.icc {
            return match ColorProfile::new_from_slice(icc) {
                Ok(p) if p.cicp.is_some_and(|c| is_hdr(c.transfer_characteristics)) => Meaning::Hdr,
                Ok(p) if p.color_space == DataColorSpace::Rgb => Meaning::Other(Box::new(p)),
                Ok(p) if p.color_space == DataColorSpace::Gray && grey => Meaning::Other(Box::new(p)),
                Ok(_) => Meaning::Srgb,
                Err(_) => Meaning::Unknown,
            };
        }
        match (self.srgb, self.gamma, self.chromaticities) {
            (None, Some(gamma), chromaticities) => of_gamma(gamma, chromaticities),
            _ => Meaning::Srgb,
        }
    }
}

fn is_hdr(transfer: TransferCharacteristics) -> bool {
    use TransferCharacteristics::{Hlg, Smpte2084};
    [Smpte2084, Hlg].contains(&transfer)
}

/// Of numbers of ITU-T H.273; unknown where they stand for nothing.
fn of_numbers(primaries: u8, transfer: u8) -> Meaning {
    let (Ok(color_primaries), Ok(transfer_characteristics)) = (
        CicpColorPrimaries::try_from(primaries),
        TransferCharacteristics::try_from(transfer),
    ) else {
        return Meaning::Unknown;
    };
    if is_hdr(transfer_characteristics) {
        return Meaning::Hdr;
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if profile.red_trc.is_some() {
        Meaning::Other(Box::new(profile))
    } else {
        Meaning::Unknown
    }
}

/// Of a gamma and chromaticities, both times 100000.
fn of_gamma(gamma: u32, chromaticities: Option<[u32; 8]>) -> Meaning {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    match chromaticities {
        None if is_srgb_gamma(gamma) => return Meaning::Srgb,
        None => {}
        Some(numbers) => {
            let [white, red, green, blue] =
                [0, 2, 4, 6].map(|i| [numbers[i], numbers[i + 1]].map(|n| f64::from(n) / 100_000.0));
            let at = |[x, y]: [f64; 2]| Chromaticity {
                x: x as f32,
                y: y as f32,
            };
            let primaries = ColorPrimaries {
                red: at(red),
                green: at(green),
                blue: at(blue),
            };
            let white = XyY {
                x: white[0],
                y: white[1],
                yb: 1.0,
            };
            profile.update_rgb_colorimetry(white, primaries);
            let colorants = [
                profile.red_colorant,
                profile.green_colorant,
                profile.blue_colorant,
            ];
            if colorants
                .iter()
                .any(|c| !(c.x.is_finite() && c.y.is_finite() && c.z.is_finite()))
            {
                return Meaning::Srgb;
            }
        }
    }
    let curve = ToneReprCurve::Parametric(vec![(100_000.0 / f64::from(gamma)) as f32]);
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    Meaning::Other(Box::new(profile))
}

impl Picture {
    /// The picture without metadata, its colours in sRGB. Of colours that sRGB cannot hold, or whose profile cannot be
    /// applied, what describes them is kept, and a note says so.
    #[must_use]
    pub fn stripped(mut self) -> Self {
        let colours = self.metadata.colours();
        match self.metadata.meaning(self.is_grey()) {
            Meaning::Srgb => self.metadata = Metadata::default(),
            Meaning::Other(profile) => {
                if self.convert(&profile).is_some() {
                    self.metadata = Metadata::default();
                } else {
                    self.metadata = colours;
                    self.notes.push(KEPT.into());
                }
            }
            Meaning::Hdr => {
                self.metadata = colours;
                self.notes.push(HDR.into());
            }
            Meaning::Unknown => {
                self.metadata = colours;
                self.notes.push(KEPT.into());
            }
        }
        self
    }

    /// A grey picture with a profile of three colours as one of sRGB: a PNG of grey cannot have such a profile.
    pub(crate) fn with_fitting_profile(mut self) -> Self {
        if self.is_grey()
            && let Meaning::Other(profile) = self.metadata.meaning(true)
            && profile.color_space == DataColorSpace::Rgb
            && self.metadata.icc.is_some()
            && self.convert(&profile).is_some()
        {
            self.metadata.icc = None;
        }
        self
    }

    /// Converts the samples to sRGB and tells whether that changed any; none for colours that sRGB cannot hold, and those whose
    /// profile cannot be applied.
    #[cfg(feature = "save")]
    pub(crate) fn colours_to_srgb(&mut self) -> Option<bool> {
        match self.metadata.meaning(self.is_grey()) {
            Meaning::Srgb => Some(false),
            Meaning::Other(profile) => self.convert(&profile),
            Meaning::Hdr | Meaning::Unknown => None,
        }
    }

    /// Converts the samples to sRGB and tells whether they were in another space; none where there is no way.
    fn convert(&mut self, from: &ColorProfile) -> Option<bool> {
        let options = TransformOptions {
            prefer_fixed_point: false,
            ..TransformOptions::default()
        };
        let mut srgb = ColorProfile::new_srgb();
        let of_grey = from.color_space == DataColorSpace::Gray;
        if of_grey {
            let curve = srgb.red_trc;
            srgb = ColorProfile::new_gray_with_gamma(2.2);
            srgb.gray_trc = curve;
        } else if is_srgb(from, &srgb, options)? {
            return Some(false);
        }
        // Grey in a space of three colours takes the way of a colour.
        let order = match self.layout() {
            Layout::Grey if of_grey => Order::Gray,
            Layout::GreyAlpha if of_grey => Order::GrayAlpha,
            Layout::Rgba => Order::Rgba,
            Layout::Grey | Layout::GreyAlpha | Layout::Rgb => Order::Rgb,
        };
        let n = self.layout().samples();
        let row = self.width() * n;
        let done = match &mut self.raster.samples {
            Samples::Eight(samples) => {
                let transform = from.create_transform_8bit(order, &srgb, order, options).ok()?;
                through(samples, (row, n), order, &transform)
            }
            Samples::Sixteen(samples) => {
                let transform = from.create_transform_16bit(order, &srgb, order, options).ok()?;
                through(samples, (row, n), order, &transform)
            }
        };
        done.map(|()| true)
    }
}

/// Whether a profile is sRGB by another name: nowhere more than a level of 255 apart.
fn is_srgb(profile: &ColorProfile, srgb: &ColorProfile, options: TransformOptions) -> Option<bool> {
    let transform = profile
        .create_transform_8bit(Order::Rgb, srgb, Order::Rgb, options)
        .ok()?;
    let steps = || (0..=255u8).step_by(15);
    let given: Vec<u8> = steps()
        .flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b])))
        .collect();
    let mut shown = vec![0; given.len()];
    transform.transform(&given, &mut shown).ok()?;
    Some(given.iter().zip(&shown).all(|(a, b)| a.abs_diff(*b) <= 1))
}

/// Sends rows of `row` samples, `n` a pixel, through a transform of pixels in `order`.
fn through<T: Copy + Default>(
    samples: &mut [T],
    (row, n): (usize, usize),
    order: Order,
    transform: &Arc<dyn TransformExecutor<T> + Send + Sync>,
) -> Option<()> {
    let triple = order == Order::Rgb && n < 3;
    let mut given = Vec::new();
    let mut shown = vec![T::default(); if triple { row / n * 3 } else { row }];
    for samples in samples.chunks_exact_mut(row) {
        given.clear();
        if triple {
            given.extend(samples.chunks_exact(n).flat_map(|pixel| [pixel[0]; 3]));
        } else {
            given.extend_from_slice(samples);
        }
        transform.transform(&given, &mut shown).ok()?;
        if triple {
            for (pixel, shown) in samples.chunks_exact_mut(n).zip(shown.chunks_exact(3)) {
                pixel[0] = shown[1];
            }
        } else {
            samples.copy_from_slice(&shown);
        }
    }
    Some(())
}
