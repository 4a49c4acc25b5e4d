//! Times of frames, which are whole numbers of ticks, and times that people write.

use std::fmt;

const MICROS: i128 = 1_000_000;

/// Seconds of a tick: `num / den`, both above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeBase {
    num: i64,
    den: i64,
}

impl TimeBase {
    /// Reads `1/12800`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (num, den) = fraction(text)?;
        Some(Self { num, den })
    }

    /// Ticks in a second of the base in which results keep the same times: `1 / den`.
    pub(super) fn rate(self) -> i64 {
        self.den
    }

    /// The same time in ticks of `1 / den`.
    pub(super) fn fine(self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.num)
    }

    /// The tick that is nearest to a time.
    pub(super) fn nearest(self, seconds: f64) -> i64 {
        (seconds * self.den as f64 / self.num as f64).round() as i64
    }

    /// To the nearest nanosecond.
    pub(super) fn nanos(self, ticks: i64) -> i64 {
        self.to(ticks, 1000 * MICROS)
    }

    /// To the nearest microsecond.
    pub(super) fn micros(self, ticks: i64) -> i64 {
        self.to(ticks, MICROS)
    }

    pub(super) fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 * self.num as f64 / self.den as f64
    }

    fn to(self, ticks: i64, units: i128) -> i64 {
        let (num, den) = (
            i128::from(ticks) * i128::from(self.num) * units,
            i128::from(self.den),
        );
        (num + den / 2).div_euclid(den) as i64
    }

    /// The first tick that is not before a time in microseconds.
    pub(super) fn first_from(self, micros: i64) -> i64 {
        let per_tick = MICROS * i128::from(self.num);
        let wanted = i128::from(micros) * i128::from(self.den);
        -((-wanted).div_euclid(per_tick)) as i64
    }
}

/// As ffmpeg reads it.
impl fmt::Display for TimeBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// Reads `NUM/DEN`, both above zero.
pub(super) fn fraction(text: &str) -> Option<(i64, i64)> {
    let (num, den) = text.split_once(['/', ':'])?;
    let both = (num.parse().ok()?, den.parse().ok()?);
    (both.0 > 0 && both.1 > 0).then_some(both)
}

/// A time in a video, in microseconds from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(super) i64);

impl Moment {
    /// Reads seconds, `MM:SS` or `HH:MM:SS`, with or without a fraction.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let why = || "say seconds, as in 90.5, or a time, as in 1:30 or 00:01:30.5".to_owned();
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let parts: Vec<&str> = text.split(':').collect();
        if parts.len() > 3 || !parts.iter().all(|part| plain(part)) {
            return Err(why());
        }
        let (last, others) = parts.split_last().ok_or_else(why)?;
        let seconds: f64 = last.parse().map_err(|_| why())?;
        let mut whole = 0u32;
        for part in others {
            let part: u32 = part.parse().map_err(|_| why())?;
            whole = (whole.checked_add(part))
                .and_then(|n| n.checked_mul(60))
                .ok_or_else(why)?;
        }
        if !others.is_empty() && seconds >= 60.0 || seconds > 1e9 {
            return Err(why());
        }
        Ok(Self(
            i64::from(whole) * 1_000_000 + (seconds * 1e6).round() as i64,
        ))
    }
}

/// As people read it: `1:02:03`, or `2:03` below an hour.
pub(super) fn shown(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn times_that_people_write() {
        let of = |text: &str| Moment::parse(text).map(|m| m.0).ok();
        assert_eq!(of("90.5"), Some(90_500_000));
        assert_eq!(of("1:30"), Some(90_000_000));
        assert_eq!(of("01:02:03.25"), Some(3_723_250_000));
        for wrong in ["", "-1", "1:60", "1:2:3:4", "a", "1.5:30", ":3", "nan", "1e3"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!((shown(123.4), shown(3723.0)), ("2:03".into(), "1:02:03".into()));
    }

    #[test]
    fn ticks_are_kept_exactly() {
        let film = TimeBase::parse("1001/24000").unwrap();
        assert_eq!((film.rate(), film.fine(3), film.nearest(0.125)), (24000, 3003, 3));
        assert_eq!((film.nanos(1), film.micros(-1)), (41_708_333, -41_708));
        assert_eq!(film.first_from(41_708), 1, "a tick is 41708 and a third");
        assert_eq!(
            (film.first_from(41_709), film.first_from(0), film.first_from(-1)),
            (2, 0, 0)
        );
        let fine = TimeBase::parse("1/90000").unwrap();
        for ticks in [-7i64, 0, 1, 12_345_678_901] {
            let back = (fine.nanos(ticks) as f64 * 9e-5).round() as i64;
            assert_eq!(back, ticks);
        }
        assert!(TimeBase::parse("0/1").is_none() && TimeBase::parse("x").is_none());
    }
}
