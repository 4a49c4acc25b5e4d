//! What options hold, with its bounds: the same on the command line, in a recipe and in a checkpoint's record.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use asasr_core::flow::ColourAnchor;
use serde::{Deserialize, Serialize, Serializer};

/// A whole number from `LOW` to `HIGH`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub(crate) struct Whole<const LOW: u64, const HIGH: u64>(u64);

impl<const LOW: u64, const HIGH: u64> Whole<LOW, HIGH> {
    /// A constant; one beyond the bounds does not compile.
    pub(crate) const fn of(value: u64) -> Self {
        assert!(LOW <= value && value <= HIGH, "beyond its bounds");
        Self(value)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    fn refusal() -> String {
        if HIGH == u64::MAX {
            format!("not a whole number of at least {LOW}")
        } else {
            format!("not a whole number from {LOW} to {HIGH}")
        }
    }
}

impl<const LOW: u64, const HIGH: u64> TryFrom<u64> for Whole<LOW, HIGH> {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        if (LOW..=HIGH).contains(&value) {
            return Ok(Self(value));
        }
        Err(Self::refusal())
    }
}

impl<const LOW: u64, const HIGH: u64> FromStr for Whole<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u64>()
            .map_or_else(|_| Err(Self::refusal()), Self::try_from)
    }
}

impl<const LOW: u64, const HIGH: u64> From<Whole<LOW, HIGH>> for u64 {
    fn from(value: Whole<LOW, HIGH>) -> Self {
        value.0
    }
}

impl<const LOW: u64, const HIGH: u64> From<Whole<LOW, HIGH>> for usize {
    fn from(value: Whole<LOW, HIGH>) -> Self {
        value.0 as Self
    }
}

/// A number with a check of its own.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(into = "f64", try_from = "f64")]
        pub(crate) struct $name(f64);

        #[allow(dead_code, reason = "not every kind of number has constants, or is read as it is")]
        impl $name {
            /// A constant, which tests check.
            pub(crate) const fn of(value: f64) -> Self {
                Self(value)
            }

            pub(crate) const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = String;

            fn try_from(value: f64) -> Result<Self, String> {
                let check: fn(f64) -> Result<(), String> = $check;
                check(value).map(|()| Self(value))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                // What is no number at all is told as one beyond the bounds is.
                text.parse().unwrap_or(f64::NAN).try_into()
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

fn within(value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!("not a number from {low} to {high}"))
    }
}

number!(
    /// A part of a whole.
    Share,
    |v| within(v, 0.0, 1.0)
);
number!(
    /// A learning rate.
    Rate,
    |v| within(v, 1e-9, 1.0)
);
number!(
    /// A number above nothing.
    Positive,
    |v| within(v, 1e-9, 1e9)
);
number!(
    /// A number that is not negative.
    Weight,
    |v| within(v, 0.0, 1e9)
);
number!(
    /// How much of an adapter; more than 1 is more than it was trained for, less than 0 its opposite.
    Strength,
    |v| within(v, -2.0, 2.0)
);
number!(
    /// The deviation of a source's noise.
    Sigma,
    |v| within(v, 0.001, 10.0)
);
number!(
    /// A local source's deviation for each unit of the input's gradient.
    Slope,
    |v| within(v, 0.01, 100.0)
);
number!(
    /// The truth's deviation around the posterior mean, or 0.
    Rho,
    |v| match within(v, 0.0, 1.0) {
        Ok(()) if v > 0.0 && v < 0.001 => Err("0, or a number from 0.001 to 1".into()),
        other => other,
    }
);
number!(
    /// The width of a colour anchor, or 0 for none.
    Anchor,
    |v| match within(v, 0.0, 16.0) {
        Ok(()) if v > 0.0 => ColourAnchor::new(v).map(drop).map_err(|e| e.to_string()),
        other => other,
    }
);

/// Sources are in single precision.
macro_rules! single {
    ($($name:ident),*) => {
        $(impl From<$name> for f32 {
            fn from(value: $name) -> Self {
                value.0 as Self
            }
        })*
    };
}
single!(Sigma, Slope);

/// Shares of clean, mildly and fully degraded crops, as they are given: their sum need not be 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 3]", try_from = "GivenShares")]
pub(crate) struct Shares([f64; 3]);

/// How shares are written down: as on the command line, or as three numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenShares {
    Text(String),
    Numbers([f64; 3]),
}

impl Shares {
    /// The shares, their sum made one.
    pub(crate) fn parts(self) -> [f64; 3] {
        let sum: f64 = self.0.iter().sum();
        self.0.map(|v| v / sum)
    }
}

impl TryFrom<GivenShares> for Shares {
    type Error = String;

    fn try_from(given: GivenShares) -> Result<Self, String> {
        let numbers = match given {
            GivenShares::Text(text) => return text.parse(),
            GivenShares::Numbers(numbers) => numbers,
        };
        for number in numbers {
            within(number, 0.0, 1.0)?;
        }
        if numbers.iter().sum::<f64>() > 0.0 {
            Ok(Self(numbers))
        } else {
            Err("at least one of the shares is above 0".into())
        }
    }
}

impl FromStr for Shares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text.split(',').map(|v| v.parse().unwrap_or(f64::NAN));
        let three: [f64; 3] = all
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| "three numbers with commas between them: of clean, mild and full".to_string())?;
        GivenShares::Numbers(three).try_into()
    }
}

impl From<Shares> for [f64; 3] {
    fn from(shares: Shares) -> Self {
        shares.0
    }
}

/// A text with a check of its own.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $holds:expr, $why:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub(crate) struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let holds: fn(&str) -> bool = $holds;
                if holds(&text) { Ok(Self(text)) } else { Err($why.into()) }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text!(
    /// A model's name, which is part of addresses.
    Id,
    |text| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
    },
    "letters, digits, '.', '_' and '-' only, a letter or digit first"
);
text!(
    /// A licence, which readers of the manifest are shown.
    Licence,
    |text| !text.trim().is_empty() && !text.chars().any(char::is_control),
    "a licence is one line of text, such as \"MIT OR Apache-2.0\""
);

/// A path. What is not Unicode in it is lost where it is written down.
macro_rules! place {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(PathBuf);

        impl From<OsString> for $name {
            fn from(path: OsString) -> Self {
                Self(path.into())
            }
        }

        impl Deref for $name {
            type Target = Path;

            fn deref(&self) -> &Path {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.to_string_lossy())
            }
        }
    };
}

place!(
    /// A file or a folder.
    Place
);
place!(
    /// A model's folder, or a built-in model's id.
    ModelPlace
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_wherever_a_number_comes_from() {
        type Small = Whole<4, 256>;
        for (text, fits) in [
            ("4", true),
            ("256", true),
            ("3", false),
            ("257", false),
            ("x", false),
        ] {
            assert_eq!(text.parse::<Small>().is_ok(), fits, "{text}");
            assert_eq!(serde_json::from_str::<Small>(text).is_ok(), fits, "{text}");
        }
        for (text, fits) in [
            ("0", true),
            ("0.0005", false),
            ("0.03", true),
            ("1.1", false),
            ("x", false),
        ] {
            assert_eq!(text.parse::<Rho>().is_ok(), fits, "{text}");
            assert_eq!(serde_json::from_str::<Rho>(text).is_ok(), fits, "{text}");
        }
        assert!("nan".parse::<Share>().is_err() && "inf".parse::<Positive>().is_err());
        assert!("0.5".parse::<Anchor>().is_err_and(|e| e.contains("0.8")));
        assert!("-2".parse::<Strength>().is_ok());
        assert!("a/b".parse::<Id>().is_err() && " ".parse::<Licence>().is_err());
    }

    #[test]
    fn shares_are_read_as_text_and_as_numbers() {
        let text: Shares = serde_json::from_str("\"0.2,0.4,0.2\"").expect("reads");
        let numbers: Shares = serde_json::from_str("[0.2, 0.4, 0.2]").expect("reads");
        assert_eq!(text, numbers);
        assert_eq!(text.parts(), [0.25, 0.5, 0.25]);
        for wrong in ["\"0.2,0.4\"", "[0, 0, 0]", "\"0,0,0\"", "[2, 0, 0]", "\"a,b,c\""] {
            assert!(serde_json::from_str::<Shares>(wrong).is_err(), "{wrong}");
        }
    }
}
