//! From a video's colours to the red, green and blue that networks take, and back to the same.

use asasr_core::Size;

use super::probe::{Colours, Pixels};

/// How colours are told, and by which filters of ffmpeg they are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversion {
    /// Options of the filter that makes RGB.
    pub(super) from: String,
    /// Options of the filter that makes brightness and colours again.
    pub(super) to: String,
    /// What the result says of its colours.
    pub(super) told: Colours,
}

/// What a matrix is called by the filter; none of those that it cannot compute.
fn matrix(name: &str) -> Option<&'static str> {
    match name {
        "bt709" => Some("bt709"),
        "smpte170m" | "bt470bg" => Some("smpte170m"),
        "fcc" => Some("fcc"),
        "smpte240m" => Some("smpte240m"),
        "bt2020nc" => Some("bt2020"),
        _ => None,
    }
}

/// What players take the matrix for where a file does not say it.
fn guessed(size: Size) -> &'static str {
    if size.width >= 1280 || size.height > 576 {
        "bt709"
    } else {
        "smpte170m"
    }
}

impl Conversion {
    /// For pictures of a size, enlarged to another one.
    ///
    /// # Errors
    /// Where ffmpeg's filter does not know the matrix.
    pub(super) fn new(given: Size, size: Size, pixels: Pixels, colours: &Colours) -> Result<Self, String> {
        // Exact arithmetic, and colours at every pixel.
        let flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
        if pixels.rgb || colours.matrix.as_deref() == Some("gbr") {
            let or = |told: &Option<String>, otherwise: &str| Some(told.clone().unwrap_or(otherwise.into()));
            return Ok(Self {
                from: flags.into(),
                to: format!("out_color_matrix=bt709:out_range=tv:{flags}"),
                told: Colours {
                    range: Some("tv".into()),
                    matrix: Some("bt709".into()),
                    primaries: or(&colours.primaries, "bt709"),
                    transfer: or(&colours.transfer, "iec61966-2-1"),
                },
            });
        }
        let meant = colours.matrix.as_deref().unwrap_or(guessed(given));
        let name = matrix(meant).ok_or_else(|| {
            format!(
                "has colours of the kind {meant}, which ffmpeg does not convert: convert it to bt709 first"
            )
        })?;
        let range = colours.range.as_deref().unwrap_or("tv");
        let mut told = colours.clone();
        // The result may be so large that players would take it for something else.
        if told.matrix.is_none() && guessed(given) != guessed(size) {
            told.matrix = Some(meant.into());
        }
        Ok(Self {
            from: format!("in_color_matrix={name}:in_range={range}:{flags}"),
            to: format!("out_color_matrix={name}:out_range={range}:{flags}"),
            told,
        })
    }
}

impl Colours {
    /// The filter that puts what is known on frames.
    pub(super) fn filter(&self) -> Option<String> {
        let all = [
            ("range", &self.range),
            ("color_primaries", &self.primaries),
            ("color_trc", &self.transfer),
            ("colorspace", &self.matrix),
        ];
        let known: Vec<String> = all
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect();
        (!known.is_empty()).then(|| format!("setparams={}", known.join(":")))
    }

    /// Options of an encoder for the same.
    pub(super) fn options(&self) -> Vec<String> {
        let all = [
            ("-color_range", &self.range),
            ("-color_primaries", &self.primaries),
            ("-color_trc", &self.transfer),
            ("-colorspace", &self.matrix),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, value)| Some([name.to_owned(), value.clone()?]));
        known.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    const YUV: Pixels = Pixels {
        bits: 8,
        alpha: false,
        rgb: false,
    };

    fn of(width: usize, height: usize, scale: usize, colours: &Colours) -> Conversion {
        let given = Size::new(width, height);
        Conversion::new(given, given.times(scale), YUV, colours).unwrap()
    }

    #[test]
    fn what_is_not_told_stays_so_unless_size_would_change_what_it_means() {
        let none = Colours::default();
        let same = of(320, 240, 2, &none);
        assert_eq!((same.told.matrix, same.told.range), (None, None));
        assert!(same.from.contains("in_color_matrix=smpte170m:in_range=tv"));
        let grown = of(640, 360, 4, &none);
        assert_eq!(grown.told.matrix.as_deref(), Some("smpte170m"));
        let large = of(1280, 720, 2, &none);
        assert!(large.told.matrix.is_none() && large.to.contains("out_color_matrix=bt709"));
    }

    #[test]
    fn what_is_told_is_kept() {
        let colours = Colours {
            range: Some("pc".into()),
            matrix: Some("bt2020nc".into()),
            primaries: Some("bt2020".into()),
            transfer: Some("smpte2084".into()),
        };
        let kept = of(64, 48, 2, &colours);
        assert_eq!(kept.told, colours);
        assert!(kept.to.starts_with("out_color_matrix=bt2020:out_range=pc"));
        let filter = kept.told.filter().unwrap();
        assert_eq!(
            filter,
            "setparams=range=pc:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
        );
        assert_eq!(kept.told.options().len(), 8);
        assert!(Colours::default().filter().is_none());
    }

    #[test]
    fn what_cannot_be_converted_is_refused() {
        let colours = Colours {
            matrix: Some("ictcp".into()),
            ..Colours::default()
        };
        let size = Size::new(64, 48);
        let why = Conversion::new(size, size, YUV, &colours).unwrap_err();
        assert!(why.contains("ictcp") && why.contains("bt709"), "{why}");
        let rgb = Pixels { rgb: true, ..YUV };
        let made = Conversion::new(size, size, rgb, &Colours::default()).unwrap();
        assert_eq!(made.told.transfer.as_deref(), Some("iec61966-2-1"));
    }
}
