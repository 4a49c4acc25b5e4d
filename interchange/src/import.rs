use asasr_core::model::{Manifest, NetworkPart, Provenance, Role, sha256_hex};

use crate::{Error, File, Model, OwnFile, Result, read};

/// The weights file of an imported network.
pub const WEIGHTS: &str = "community.safetensors";
/// The licence of a model about which nothing is stated.
pub const UNKNOWN: &str = "LicenseRef-unknown";

/// What somebody says about a model, which its file does not.
#[derive(Debug, Clone, Default)]
pub struct Stated {
    /// Its name in addresses and on the command line; otherwise made of the file's name.
    pub id: Option<String>,
    /// SPDX expression.
    pub licence: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// Where it is from.
    pub source: Option<String>,
}

/// A model as it is kept and published.
#[derive(Debug)]
pub struct Imported {
    /// Its manifest, of the network and the restorer to whose mean it is held.
    pub manifest: Manifest,
    /// The bytes of [`WEIGHTS`].
    pub weights: Vec<u8>,
}

/// Reads a model as [`read`] does, and puts it beside a restorer of ours; `mean` is that model's manifest. The weights are in memory
/// twice at most: in the files, whose memory ends with the call, or in the result, and as numbers.
///
/// # Errors
/// As [`read`]; for a name that cannot be one, and a licence that cannot be shown.
pub fn import(files: Vec<OwnFile>, stated: &Stated, mean: &Manifest) -> Result<Imported> {
    let lent: Vec<File<'_>> = files.iter().map(OwnFile::lend).collect();
    let Model {
        architecture,
        graph,
        weights,
    } = read(&lent)?;
    // Of two files the larger holds the weights.
    let file = files
        .into_iter()
        .max_by_key(|f| f.bytes.len())
        .ok_or(Error::NotAModel)?;
    let OwnFile { name: file, bytes } = file;
    let sha256 = sha256_hex(&bytes);
    // Before the weights are written.
    drop(bytes);
    let bytes = weights.to_safetensors(weights.narrowest())?;
    drop(weights);
    let licence = stated.licence.clone().unwrap_or_else(|| UNKNOWN.into());
    let unsaid = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    let part = NetworkPart {
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        provenance: Some(Provenance {
            source: unsaid(&stated.source),
            author: unsaid(&stated.author),
            licence: licence.clone(),
            sha256,
            file: Some(file.clone()),
            architecture: Some(architecture),
        }),
        ..NetworkPart::new(WEIGHTS, graph)
    };
    let restorer = mean.restorer()?;
    let manifest = Manifest {
        id: stated.id.clone().unwrap_or_else(|| id_of(&file)),
        licence: both(licence, &mean.licence),
        networks: [(Role::Community, part)].into(),
        measured: None,
    };
    Ok(Imported {
        manifest: manifest.held_to(restorer)?,
        weights: bytes,
    })
}

/// One expression of two.
fn both(one: String, other: &str) -> String {
    if one == other {
        return one;
    }
    let grouped = |text: &str| {
        if text.contains(" OR ") {
            format!("({text})")
        } else {
            text.into()
        }
    };
    format!("{} AND {}", grouped(&one), grouped(other))
}

/// A plain name out of a file's.
fn id_of(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let id: String = stem
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(64)
        .collect();
    let id = id.trim_matches(['.', '-', '_']);
    let id = if id.is_empty() { "model" } else { id };
    // Letters of other scripts tell models apart, and are no part of a plain name.
    if stem.is_ascii() {
        return id.into();
    }
    format!("{id}-{}", &sha256_hex(file.as_bytes())[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (file, id) in [
            ("4x-UltraSharp.pth", "4x-UltraSharp"),
            ("a b/c.safetensors", "a-b-c"),
            (".pth", "model"),
        ] {
            assert_eq!(id_of(file), id);
        }
        // Names that differ in letters of other scripts stay apart.
        let [a, b] = ["4xH\u{e4}user (v2).pth", "4xH\u{fc}user (v2).pth"].map(id_of);
        assert!(a.starts_with("4xH-user--v2-") && a != b, "{a} {b}");
    }

    #[test]
    fn licences_are_joined() {
        assert_eq!(both("MIT".into(), "MIT"), "MIT");
        assert_eq!(
            both("MIT OR Apache-2.0".into(), "BSD-3-Clause"),
            "(MIT OR Apache-2.0) AND BSD-3-Clause"
        );
    }
}
