//! NVIDIA's target.

pub mod ptx_version {
    //! PTX versions.

    use core::fmt;

    /// A PTX version; none is chosen without LLVM.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PtxVersion(u32);

    impl PtxVersion {
        /// `None`: NVRTC chooses its own.
        pub fn for_driver(_: i32) -> Option<Self> {
            None
        }
    }

    impl fmt::Display for PtxVersion {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "ptx{}", self.0)
        }
    }
}
