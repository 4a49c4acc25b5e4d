//! What nobody has to say: the model, and where results go.

use super::{line, text};

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::{Rgb, RgbImage};
use serde_json::Value;

/// Bars of ink on a page of that colour.
fn bars(page: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        let is_ink = x / 7 % 3 == 0 && y % 24 < 15;
        Rgb(if is_ink { [20; 3] } else { page(x, y) })
    })
}

/// Ink on paper that is not lit evenly.
fn drawing() -> RgbImage {
    bars(|x, y| [x / 8, y / 6, (x + y) / 12].map(|shade| 250 - shade as u8))
}

/// A soft slope without edges.
fn slope() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| Rgb([(40 + 2 * x) as u8, (60 + y) as u8, 120]))
}

/// The models that images were enlarged by, and the codes of notes.
fn told(run: &Output) -> (Vec<String>, Vec<String>) {
    assert!(run.status.success(), "{}", text(run));
    let lines = String::from_utf8(run.stdout.clone()).unwrap();
    let events: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |event: &str, field: &str| {
        let events = events.iter().filter(|e| e["event"] == event);
        events.map(|e| e[field].as_str().unwrap().to_owned()).collect()
    };
    (of("begun", "model"), of("note", "code"))
}

#[test]
fn the_model_is_chosen_by_looking_at_each_image() {
    let folder = tempfile::tempdir().unwrap();
    drawing().save(folder.path().join("drawing.png")).unwrap();
    slope().save(folder.path().join("slope.png")).unwrap();
    let run = |options: &str| {
        let words =
            format!("upscale @/drawing.png @/slope.png -o @/out --device cpu --progress json {options}");
        told(&line(folder.path(), &words))
    };
    let (models, notes) = run("");
    assert_eq!(models, ["asasr-x4-drawn", "asasr-x4-real"]);
    assert_eq!(notes, ["model-chosen"]);
    let chosen = fs::read(folder.path().join("out/drawing-x4.png")).unwrap();
    // What was named is used for all, and is another one.
    let (models, notes) = run("--weights asasr-x4-real");
    assert_eq!(models, ["asasr-x4-real"; 2]);
    assert!(notes.is_empty(), "{notes:?}");
    assert_ne!(
        fs::read(folder.path().join("out/drawing-x4.png")).unwrap(),
        chosen
    );
    let (models, _) = run("--weights asasr-x4-drawn");
    assert_eq!(models, ["asasr-x4-drawn"; 2]);
    assert_eq!(
        fs::read(folder.path().join("out/drawing-x4.png")).unwrap(),
        chosen
    );
    // A model that lacks the mode is not used, and that is said.
    let (models, notes) = run("--mode quality");
    assert_eq!(models, ["asasr-x4-real"; 2]);
    assert_eq!(notes, ["model-chosen"]);
    // What a network does to pixel art is said.
    bars(|_, _| [250; 3])
        .save(folder.path().join("sprite.png"))
        .unwrap();
    let words = "upscale @/sprite.png -o @/out --device cpu --progress json";
    let (_, notes) = told(&line(folder.path(), words));
    assert!(notes.contains(&"pixel-art".to_owned()), "{notes:?}");
    // A folder of its name is not it.
    fs::create_dir(folder.path().join("asasr-x4-drawn")).unwrap();
    let run = here(folder.path(), &["drawing.png"]).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
}

/// A map of what is invented is drawn of the same image, whichever model it suits.
#[test]
fn a_map_leaves_the_image_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    // Sharp to the pixel: for a model that draws many images.
    let sharp = RgbImage::from_fn(40, 32, |x, y| Rgb([(x * 37 + y * 101 + x * y * 13) as u8; 3]));
    sharp.save(folder.path().join("sharp.png")).unwrap();
    let run = |options: &str| {
        let words =
            format!("upscale @/sharp.png -o @/out/ --mode detail --device cpu --progress json {options}");
        let (models, _) = told(&line(folder.path(), &words));
        assert_eq!(models, ["asasr-x4-clean"]);
        fs::read(folder.path().join("out/sharp-x4.png")).unwrap()
    };
    let plain = run("");
    assert_eq!(run("--spread @/map.png"), plain);
    assert_eq!(run("--spread @/map.png --samples 2"), plain);
    assert!(folder.path().join("map.png").is_file());
}

fn here(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
    command.current_dir(folder).arg("upscale").args(words);
    command.args(["--device", "cpu", "--scale", "2"]);
    command
}

#[test]
fn without_a_place_results_lie_beside_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.png", "s/a.png", "t/a.png", "t/a.jpg"] {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        slope().save(path(name)).unwrap();
    }
    let run = here(folder.path(), &["a.png", "s/a.png", "t/a.png", "t/a.jpg"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run));
    for name in ["a-x2.png", "s/a-x2.png", "t/a-x2.png", "t/a.jpg-x2.png"] {
        assert_eq!(image::image_dimensions(path(name)).unwrap(), (128, 96), "{name}");
    }
    // The next run enlarges the same images, and not what the first one made.
    let names = [
        "a.png",
        "a-x2.png",
        "s/a.png",
        "s/a-x2.png",
        "t/a.png",
        "t/a.jpg",
        "t/a.jpg-x2.png",
    ];
    let run = here(folder.path(), &names).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(text(&run).matches("passed over").count(), 3, "{}", text(&run));
    assert!(!path("a-x2-x2.png").exists() && !path("t/a.jpg-x2-x2.png").exists());

    // Maps of several folders go to one, and none replaces another.
    let maps = ["a.png", "s/a.png", "--consistency", "maps"];
    let run = here(folder.path(), &maps).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(fs::read_dir(path("maps")).unwrap().count(), 2);

    // A filter answers on standard output.
    let given = fs::File::open(path("a.png")).unwrap();
    let run = here(folder.path(), &["-"])
        .stdin(given)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(run.stdout, fs::read(path("a-x2.png")).unwrap());

    let run = here(folder.path(), &["-r", "s"]).output().unwrap();
    assert!(
        !run.status.success() && text(&run).contains("-r needs -o"),
        "{}",
        text(&run)
    );
}
