//! What every target shares.

pub mod lowered_features {
    //! What a device offers.

    use cubecl_core::ir::DeviceProperties;

    /// The target whose features are narrowed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum GpuTarget {
        /// NVIDIA's PTX.
        Nvptx,
    }

    /// Nothing to narrow: only the LLVM backend lowers less than the device offers.
    pub fn restrict_features(_: &mut DeviceProperties, _: GpuTarget) {}
}
