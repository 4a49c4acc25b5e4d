use alloc::string::String;
use core::fmt;

/// Everything that can go wrong in this crate, named after the input at fault and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A model's manifest cannot be read or contradicts itself.
    Manifest(String),
    /// An architecture description is not a network this crate can run.
    Architecture(String),
    /// A weights file is damaged or does not fit its architecture.
    Weights(String),
    /// The bytes of a file are not those its manifest describes.
    Hash {
        /// The file the manifest names.
        file: String,
        /// Lower-case hexadecimal sha256 of the manifest.
        expected: String,
        /// Lower-case hexadecimal sha256 of the bytes received.
        actual: String,
    },
    /// An image or tile whose size the operation does not take.
    Size(String),
    /// Parameters that describe no spectrum, or an image whose spectrum says nothing.
    Spectrum(String),
    /// Times that are not a schedule.
    Schedule(String),
    /// Adapters that do not fit their network, or a file that is none.
    Adapter(String),
    /// The device failed while it ran a network.
    Device(String),
    /// The device has no room for a tile of this size, or was lost while it computed one; it may run smaller ones.
    Exhausted(String),
    /// The consumer of the output rows failed.
    Output(String),
    /// The caller asked to stop.
    Cancelled,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(why) => write!(f, "the model's manifest is not usable: {why}"),
            Self::Architecture(why) => write!(f, "the model's architecture is not usable: {why}"),
            Self::Weights(why) => write!(f, "the weights are not usable: {why}"),
            Self::Hash {
                file,
                expected,
                actual,
            } => write!(
                f,
                "the weights file {file} is not the one its manifest describes (sha256 {actual}, expected \
                 {expected}): download it again"
            ),
            Self::Size(why) | Self::Spectrum(why) | Self::Schedule(why) => write!(f, "{why}"),
            Self::Adapter(why) => write!(f, "the LoRA adapter is not usable: {why}"),
            Self::Device(why) => write!(f, "the compute device failed: {why}"),
            Self::Exhausted(why) => {
                write!(
                    f,
                    "the compute device cannot go on, not even with small tiles: {why}; use the CPU"
                )
            }
            Self::Output(why) => write!(f, "the result could not be written: {why}"),
            Self::Cancelled => write!(f, "cancelled"),
        }
    }
}

impl core::error::Error for Error {}
