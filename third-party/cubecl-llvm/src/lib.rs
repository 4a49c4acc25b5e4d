//! The part of cubecl-llvm's surface that `cubecl-cuda` names; see README.md.

pub mod nvptx;
pub mod shared;

use cubecl_core::ir::{amd::GfxArch, nvidia::SmArch};
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::{compiler::CompilationError, kernel::BufferIOAttr};

use nvptx::ptx_version::PtxVersion;

/// What kernels would be compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA's PTX.
    #[default]
    Nvptx,
}

/// The compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What for.
    pub target: LlvmTarget,
}

/// Its options.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// AMD architecture.
    pub arch: Option<GfxArch>,
    /// NVIDIA architecture.
    pub sm_arch: Option<SmArch>,
    /// PTX version.
    pub ptx_version: Option<PtxVersion>,
    /// Scalars in the parameter block.
    pub grid_constants: bool,
}

/// What it would make.
#[derive(Clone)]
pub enum PlironArtifact {
    /// PTX.
    NvptxCode(NvptxModule),
    /// Anything else.
    Other,
}

/// A module of PTX.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// NUL-terminated assembly.
    pub ptx: Vec<core::ffi::c_char>,
    /// Kernel name.
    pub entrypoint: String,
    /// Source for logs.
    pub ir: String,
    /// Bytes for each launch.
    pub shared_memory_size: usize,
    /// Buffer access modes.
    pub io: Vec<BufferIOAttr>,
}

impl PlironCompiler {
    /// # Errors
    /// Always: this backend is not part of the build.
    pub fn compile(
        &mut self,
        _: KernelDefinition,
        _: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this build compiles CUDA kernels with NVRTC; cubecl's LLVM backend is left out".into(),
            backtrace: BackTrace::capture(),
        })
    }

    /// The name of its language.
    pub fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
