//! `asasr-bindgen OUT MODULE...`: of each compiled module `NAME.wasm` the page's `NAME_bg.wasm` and `NAME.js`, in the folder `OUT`.
//!
//! The tool `wasm-bindgen` does the same, and takes minutes more to build for what it also does.

use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((out, modules)) = args.split_first().filter(|(_, modules)| !modules.is_empty()) else {
        eprintln!("error: asasr-bindgen OUT MODULE...");
        return ExitCode::FAILURE;
    };
    for module in modules {
        if let Err(why) = bind(Path::new(module), Path::new(out)) {
            eprintln!("error: {module}: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn bind(module: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = Bindgen::new();
    // The page and the component load a module without saying where it lies.
    bindgen
        .input_path(module)
        .typescript(false)
        .omit_default_module_path(false)
        .web(true)?;
    bindgen.generate(out)?;
    Ok(())
}
