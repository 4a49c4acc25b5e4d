//! The licences of what our programs and the page's WebAssembly modules are made of, which go wherever these go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Result, cargo, output, root};
use crate::tools;

/// The files, of which all but the last are the project's own.
pub(crate) const FILES: [&str; 4] = ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "THIRD-PARTY-NOTICES"];

/// What is compiled, and handed on.
pub(crate) struct Product<'a> {
    /// As the notices call it, in the plural.
    pub(crate) name: &'a str,
    /// Our crates.
    pub(crate) packages: &'a [&'a str],
    pub(crate) target: &'a str,
    /// Of these crates.
    pub(crate) features: &'a str,
}

/// The page's modules.
pub(crate) const MODULES: Product<'_> = Product {
    name: "The WebAssembly modules (asasr-*_bg.wasm)",
    packages: &["asasr-web"],
    target: tools::WASM,
    features: "gpu,cpu,files,models",
};

/// A crate inside a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    /// SPDX expression.
    licence: String,
    repository: String,
}

/// Writes [`FILES`] into `folder`, which is made where it is missing.
pub(crate) fn write(product: &Product<'_>, folder: &Path) -> Result<()> {
    let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    fs::create_dir_all(folder).map_err(|e| at(folder, e))?;
    let [own @ .., notices] = FILES;
    for name in own {
        let from = root().join(name);
        fs::copy(&from, folder.join(name)).map_err(|e| at(&from, e))?;
    }
    let crates = crates(product)?;
    let mut texts = BTreeMap::<String, Text>::new();
    for each in &crates {
        for (file, text) in licences(each)? {
            // Copies that differ in their line breaks only are one text.
            let words: Vec<&str> = text.split_whitespace().collect();
            let known = texts.entry(words.join(" ")).or_insert_with(|| Text {
                text,
                of: BTreeSet::new(),
            });
            known
                .of
                .insert(format!("{} {} ({file})", each.name, each.version));
        }
    }
    let path = folder.join(notices);
    fs::write(&path, document(product, &crates, texts.into_values())).map_err(|e| at(&path, e))
}

/// A text and whose it is.
struct Text {
    text: String,
    of: BTreeSet<String>,
}

fn document(product: &Product<'_>, crates: &BTreeSet<Crate>, texts: impl Iterator<Item = Text>) -> String {
    let mut out = format!(
        "{} are compiled from the project's own source, under MIT or Apache-2.0 (LICENSE-MIT, LICENSE-APACHE), from Rust's standard library (https://github.com/rust-lang/rust, MIT or \
         Apache-2.0, copyright The Rust Project Developers), and from the crates below. Their source is at the address \
         beside each and at https://crates.io/crates/NAME/VERSION.\n\n",
        product.name
    );
    for each in crates {
        let Crate {
            name,
            version,
            licence,
            repository,
        } = each;
        let _ = writeln!(out, "{name} {version}: {licence}; {repository}");
    }
    for Text { text, of } in texts {
        let of: Vec<String> = of.into_iter().collect();
        let _ = write!(
            out,
            "\n{}\n{}\n\n{}\n",
            "-".repeat(100),
            of.join(", "),
            text.trim()
        );
    }
    out
}

/// What is compiled into a product, without what only runs while it is built.
fn crates(product: &Product<'_>) -> Result<BTreeSet<Crate>> {
    let mut tree = cargo(&["tree", "--locked", "--target", product.target]);
    for package in product.packages {
        tree.args(["--package", package]);
    }
    tree.args(["--features", product.features])
        .args([
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--no-dedupe",
        ])
        .args(["--format", "{p}\t{l}\t{r}"]);
    let lines = output(&mut tree).ok_or_else(|| {
        format!(
            "`cargo tree` does not tell what {} are made of",
            product.packages.join(" and ")
        )
    })?;
    Ok(listed(&lines))
}

/// Crates of the registry in what `cargo tree` prints; our own have a path behind their version.
fn listed(lines: &str) -> BTreeSet<Crate> {
    let read = |line: &str| {
        let mut parts = line.split('\t');
        let (name, version) = parts.next()?.split_once(" v")?;
        let (licence, repository) = (parts.next()?, parts.next()?);
        (!version.contains(' ')).then(|| Crate {
            name: name.into(),
            version: version.into(),
            licence: licence.into(),
            repository: repository.into(),
        })
    };
    lines.lines().filter_map(read).collect()
}

/// Where cargo unpacked a crate's source.
fn source(each: &Crate) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let registries = home.unwrap_or_default().join("registry").join("src");
    let folder = format!("{}-{}", each.name, each.version);
    let found = fs::read_dir(&registries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|registry| registry.path().join(&folder))
        .find(|path| path.is_dir());
    found.ok_or_else(|| {
        format!(
            "{folder} is not in {}: `cargo fetch` gets it",
            registries.display()
        )
    })
}

/// The licence files of a crate, or the texts that its manifest names where it has none.
fn licences(each: &Crate) -> Result<Vec<(String, String)>> {
    let folder = source(each)?;
    let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|e| at(&folder, e))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_licence(&name) && entry.path().is_file() {
            let text = fs::read(entry.path()).map_err(|e| at(&entry.path(), e))?;
            files.push((name, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    if files.is_empty() {
        let text = stated(each).ok_or_else(|| {
            format!(
                "{} {} comes without the text of its licence, {}: add it to xtask/src/notices.rs",
                each.name, each.version, each.licence
            )
        })?;
        files.push(("stated in its manifest".into(), text));
    }
    files.sort();
    Ok(files)
}

fn is_licence(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let begins = [
        "license",
        "licence",
        "copying",
        "copyright",
        "notice",
        "unlicense",
    ];
    // Some keep a script of that name.
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    begins.iter().any(|b| name.starts_with(b)) && !matches!(ending, "rs" | "toml")
}

/// The text of a licence that a crate offers and comes without: ours is the same but for the holder.
fn stated(each: &Crate) -> Option<String> {
    let offers = |licence: &str| {
        let choices = each.licence.split("OR").flat_map(|c| c.split('/'));
        choices.map(str::trim).any(|c| c == licence)
    };
    if offers("Apache-2.0") {
        return Some(include_str!("../../LICENSE-APACHE").into());
    }
    let holder = format!("Copyright (c) the authors of {}", each.name);
    if offers("BSD-3-Clause") {
        return Some(format!("{holder}\n\n{}", include_str!("bsd-3-clause.txt")));
    }
    let mit = include_str!("../../LICENSE-MIT");
    let body = mit.split_once("Permission is hereby granted")?.1;
    offers("MIT").then(|| format!("{holder}\n\nPermission is hereby granted{body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_registry_are_listed_once() {
        let lines = "asasr-web v0.1.0 (/home/me/web)\tMIT OR Apache-2.0\t\n\
                     png v0.18.1\tMIT OR Apache-2.0\thttps://a.example\n\
                     png v0.18.1\tMIT OR Apache-2.0\thttps://a.example\n\
                     zip-like v2.0.0-rc.1\tMIT\t\n";
        let found: Vec<String> = listed(lines)
            .iter()
            .map(|c| format!("{} {}", c.name, c.version))
            .collect();
        assert_eq!(found, ["png 0.18.1", "zip-like 2.0.0-rc.1"]);
    }

    #[test]
    fn a_licence_without_its_text_is_looked_up_or_told() {
        let of = |licence: &str| {
            stated(&Crate {
                name: "lone".into(),
                version: "1.0.0".into(),
                licence: licence.into(),
                repository: String::new(),
            })
        };
        assert!(of("MIT OR Apache-2.0").is_some_and(|t| t.contains("Apache License")));
        assert!(of("Apache-2.0/MIT").is_some_and(|t| t.contains("Apache License")));
        let mit = of("MIT").unwrap_or_default();
        assert!(
            mit.contains("authors of lone") && mit.contains("WITHOUT WARRANTY"),
            "{mit}"
        );
        let bsd = of("BSD-3-Clause").unwrap_or_default();
        assert!(
            bsd.contains("authors of lone") && bsd.contains("Neither the name"),
            "{bsd}"
        );
        assert_eq!(of("MPL-2.0"), None);
        assert_eq!(of("MIT AND Unicode-3.0"), None);
    }

    /// Every crate that the modules are made of today has a text.
    #[test]
    fn the_notices_name_every_crate_and_have_its_text() {
        let folder = tempfile();
        write(&MODULES, &folder).expect("every licence is found");
        let text = fs::read_to_string(folder.join(FILES[3])).expect("written");
        let _ = fs::remove_dir_all(&folder);
        let crates = crates(&MODULES).expect("cargo tells");
        assert!(crates.len() > 50, "only {}", crates.len());
        for Crate { name, version, .. } in &crates {
            assert!(
                text.contains(&format!("\n{name} {version}: ")),
                "{name} is not listed"
            );
            let of = text.lines().any(|l| {
                l.split(", ")
                    .any(|o| o.starts_with(&format!("{name} {version} (")))
            });
            assert!(of, "{name} has no text");
        }
        for licence in ["Permission is hereby granted", "Apache License"] {
            assert!(text.contains(licence), "{licence}");
        }
    }

    fn tempfile() -> PathBuf {
        std::env::temp_dir().join(format!("asasr-notices-{}", std::process::id()))
    }
}
