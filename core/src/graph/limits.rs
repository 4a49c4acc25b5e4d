//! What a graph may have at most: a description from anywhere is held to these before anything is allocated for it. Every network
//! that format 1 of the manifest describes is within them.

/// Inputs and outputs, each.
pub const ENDS: usize = 16;
/// Nodes.
pub const NODES: usize = 8192;
/// Values that one node reads.
pub const READS: usize = 64;
/// Bytes of a name.
pub const NAME: usize = 128;
/// Channels of a value.
pub const CHANNELS: usize = 8192;
/// Side of a kernel, and pixels of a padding.
pub const KERNEL: usize = 63;
/// Side of a window.
pub const WINDOW: usize = 64;
/// Above and below the line of a [`Scale`](super::Scale).
pub const SCALE: usize = 16;
/// The grid that tiles must lie on, in pixels.
pub const ALIGNMENT: u64 = 4096;
/// How far an output may see, in pixels.
pub const REACH: u64 = 1 << 20;
/// Learned values of one tensor.
pub const TENSOR: u64 = 1 << 31;
/// Learned values of all tensors.
pub const PARAMETERS: u64 = 1 << 34;
/// Numbers of one value at a size.
pub const VALUES: u64 = 1 << 31;
/// Pixels of a side of an image.
pub const SIDE: usize = 1 << 24;
