//! What the page is made of, as its `index.html` lists it for Trunk: `<link data-trunk rel="KIND" ...>`.

use crate::shell::Result;

/// One part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A file, by its path from `index.html`, and its name beside it.
    File { from: String, name: String },
    /// A folder, by its path from `index.html`, and where it goes.
    Folder { from: String, to: String },
    /// A WebAssembly module of the crate `web`.
    Module(Module),
}

/// How a module is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// The crate's program.
    pub(crate) name: String,
    pub(crate) features: String,
    pub(crate) profile: String,
    /// What `wasm-opt` is told.
    pub(crate) optimise: Vec<String>,
}

const OPENING: &str = "<link data-trunk ";

/// The page without its list, and the parts in the list.
///
/// # Errors
/// A link that is not understood, with its text.
pub(crate) fn parts(html: &str) -> Result<(String, Vec<Part>)> {
    let mut pieces = html.split(OPENING);
    let mut page = pieces.next().unwrap_or_default().trim_end_matches(' ').to_owned();
    let mut parts = Vec::new();
    for piece in pieces {
        let odd = || format!("index.html: this is no part of a page: {OPENING}{}", piece.trim());
        let (link, after) = piece.split_once('>').ok_or_else(odd)?;
        parts.push(part(link).ok_or_else(odd)?);
        let after = after.strip_prefix('\n').unwrap_or(after);
        // What stands before the next link on its line.
        let indent = after.trim_matches(' ').is_empty();
        page.push_str(if indent { "" } else { after });
    }
    Ok((page, parts))
}

fn part(link: &str) -> Option<Part> {
    let value = |name: &str| {
        let (_, after) = link.split_once(&format!("{name}=\""))?;
        after.split_once('"').map(|(value, _)| value.to_owned())
    };
    match value("rel")?.as_str() {
        "copy-file" => {
            let from = value("href")?;
            let name = from.rsplit('/').next().unwrap_or(&from).to_owned();
            Some(Part::File { from, name })
        }
        "copy-dir" => Some(Part::Folder {
            from: value("href")?,
            to: value("data-target-path")?,
        }),
        "rust" => {
            let mut optimise = vec![format!("-O{}", value("data-wasm-opt")?)];
            optimise.extend(
                value("data-wasm-opt-params")?
                    .split_whitespace()
                    .map(str::to_owned),
            );
            Some(Part::Module(Module {
                name: value("data-bin")?,
                features: value("data-cargo-features")?,
                profile: value("data-cargo-profile")?,
                optimise,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_parted_from_its_list() {
        let html = "<head>\n  <title>A</title>\n  <link data-trunk rel=\"copy-file\" href=\"../o/a.js\">\n  <link data-trunk \
                    rel=\"copy-dir\" href=\"../b\" data-target-path=\"c/b\">\n  <link data-trunk rel=\"rust\" href=\"../web\" \
                    data-bin=\"gpu\" data-cargo-features=\"g\" data-cargo-profile=\"small\"\n data-wasm-opt=\"z\" \
                    data-wasm-opt-params=\"--a --b\">\n  <script></script>\n</head>";
        let (page, found) = parts(html).expect("it is understood");
        assert_eq!(page, "<head>\n  <title>A</title>\n  <script></script>\n</head>");
        let module = Module {
            name: "gpu".into(),
            features: "g".into(),
            profile: "small".into(),
            optimise: ["-Oz", "--a", "--b"].map(String::from).to_vec(),
        };
        let file = Part::File {
            from: "../o/a.js".into(),
            name: "a.js".into(),
        };
        let folder = Part::Folder {
            from: "../b".into(),
            to: "c/b".into(),
        };
        assert_eq!(found, [file, folder, Part::Module(module)]);
        assert!(parts("<link data-trunk rel=\"scss\" href=\"a\">").is_err());
        assert!(parts("<link data-trunk rel=\"copy-file\" href=\"a\"").is_err());
    }
}
