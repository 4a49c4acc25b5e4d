/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Most pixels taken.
    pub max_pixels: u64,
    /// Whether a JPEG that is cut short is taken, with a note of what is there; what is not is grey.
    pub shortened: bool,
}
