//! Community models: files of weights that others published.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::model::{Manifest, Weights};
use asasr_interchange::{File, Imported, MOST_BYTES, OwnFile, Stated};

use crate::cli;
use crate::error::{Error, Result};
use crate::files;

/// The model in a file, or in ncnn's two, beside the default model's restorer.
pub(crate) fn import(file: &Path, stated: &Stated) -> Result<Imported> {
    if file.file_name().is_some_and(|name| name == "manifest.json") {
        return Err(Error::at(file, "a model is the folder of its manifest.json"));
    }
    let mean = Manifest::from_json(asasr_weights::DEFAULT.manifest)?;
    asasr_interchange::import(read(file)?, stated, &mean).map_err(|e| Error::at(file, e))
}

/// The tensors of a file, whatever network they are of.
pub(crate) fn tensors(file: &Path) -> Result<Weights> {
    let OwnFile { name, bytes } = whole(file)?;
    asasr_interchange::tensors(File {
        name: &name,
        bytes: &bytes,
    })
    .map_err(|e| Error::at(file, e))
}

/// A file with its name, and the other one of ncnn's two where it is one of them and that is there.
fn read(file: &Path) -> Result<Vec<OwnFile>> {
    let mut files = vec![whole(file)?];
    let kind = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let other = match kind.to_ascii_lowercase().as_str() {
        "param" => Some("bin"),
        "bin" => Some("param"),
        _ => None,
    };
    let partner = other
        .map(|kind| file.with_extension(kind))
        .filter(|p| p.is_file());
    files.extend(partner.map(|p: PathBuf| whole(&p)).transpose()?);
    Ok(files)
}

fn whole(file: &Path) -> Result<OwnFile> {
    let at = |e| Error::at(file, e);
    let size = fs::metadata(file).map_err(at)?.len();
    if size > MOST_BYTES as u64 {
        let why = format!(
            "it has {} MB, and models of at most {} MB are read",
            size >> 20,
            MOST_BYTES >> 20
        );
        return Err(Error::at(file, why));
    }
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bytes = fs::read(file).map_err(at)?;
    Ok(OwnFile { name, bytes })
}

/// Runs `asasr weights import`.
pub(crate) fn run(args: &cli::Import) -> Result<()> {
    if args.output.join("manifest.json").exists() {
        return Err(Error::at(
            &args.output,
            "there is a model already: name another folder",
        ));
    }
    if let Some(licence) = &args.licence {
        asasr_store::check_licence(licence).map_err(Error::new)?;
    }
    let stated = Stated {
        id: args.name.clone(),
        licence: args.licence.clone(),
        author: args.author.clone(),
        source: args.source.clone(),
    };
    let Imported { manifest, weights } = import(&args.file, &stated)?;
    let json = manifest.to_json()?;
    files::make_folder(&args.output)?;
    let write = |name: &str, bytes: &[u8]| files::write(&args.output.join(name), bytes);
    write(asasr_interchange::WEIGHTS, &weights)?;
    write(&manifest.restorer()?.file, asasr_weights::DEFAULT.weights)?;
    // Last: with it the folder is a model.
    write("manifest.json", json.as_bytes())?;
    let network = manifest.network(asasr_core::model::Role::Community)?;
    let told = network
        .provenance
        .as_ref()
        .and_then(|p| p.architecture.as_deref());
    say!(
        "{}: {}, x{}, {}",
        args.output.display(),
        told.unwrap_or_default(),
        manifest.scale()?,
        manifest.licence
    );
    Ok(())
}
