//! Results in other formats, of whole folders, and beside those that are there.

use super::{asasr, line, names, photo, text};

use std::fs;
use std::path::Path;
use std::process::Output;

use image::{
    DynamicImage, GenericImageView as _, ImageDecoder as _, ImageReader, RgbImage, Rgba, RgbaImage, metadata,
};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with soft images, which come near in lossy formats.
fn folder(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        soft(24, 18).save(path).unwrap();
    }
    folder
}

fn soft(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(50 + 5 * x) as u8, (40 + 8 * y) as u8, 120])
    })
}

fn upscale(folder: &Path, words: &str) -> Output {
    line(folder, &format!("upscale --scale 2 --device cpu {words}"))
}

/// The codes of notes and failures.
fn codes(run: &Output) -> Vec<String> {
    let lines = String::from_utf8(run.stdout.clone()).unwrap();
    let events = lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    events
        .filter_map(|e| e["code"].as_str().map(str::to_owned))
        .collect()
}

/// Grey levels by which two images differ on average.
fn apart(a: &DynamicImage, b: &DynamicImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let (a, b) = (a.to_rgb8(), b.to_rgb8());
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn every_format_is_read_back() {
    let folder = folder(&["a.png"]);
    let path = |name: &str| folder.path().join(name);
    for name in ["r.png", "r.tiff", "r.jpg", "r.webp", "r.jxl"] {
        let run = upscale(folder.path(), &format!("@/a.png -o @/{name}"));
        assert!(run.status.success(), "{name}: {}", text(&run));
    }
    let open = |name: &str| image::open(path(name)).unwrap();
    let expected = open("r.png");
    assert_eq!(expected.dimensions(), (48, 36));
    assert_eq!(open("r.tiff"), expected);
    for name in ["r.jpg", "r.webp"] {
        let off = apart(&open(name), &expected);
        assert!(off > 0.0 && off < 2.0, "{name}: {off}");
    }
    // Lossless, and smaller than the samples; its numbers are checked beside its encoder.
    let jxl = fs::read(path("r.jxl")).unwrap();
    assert!(jxl.starts_with(&[0xFF, 0x0A]) && jxl.len() < 48 * 36 * 3);
    // In a folder and through standard output the option says which.
    let run = upscale(folder.path(), "@/a.png -o @/out --format jpeg --quality 40");
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(names(&path("out")), ["a-x2.jpg"]);
    let [coarse, fine] = ["out/a-x2.jpg", "r.jpg"].map(|name| fs::metadata(path(name)).unwrap().len());
    assert!(coarse < fine);
    let run = upscale(folder.path(), "@/a.png -o - --format webp");
    assert!(run.status.success() && run.stdout == fs::read(path("r.webp")).unwrap());
    let run = upscale(folder.path(), "@/a.png -o @/r.avif");
    assert_eq!(run.status.success(), cfg!(feature = "avif"), "{}", text(&run));
    if cfg!(feature = "avif") {
        assert_eq!(fs::read(path("r.avif")).unwrap()[4..12], *b"ftypavif");
    } else {
        assert!(text(&run).contains("--features avif"), "{}", text(&run));
    }
}

/// The photo is turned once, its EXIF data says so, and its preview, which is not, is left out.
#[test]
fn metadata_goes_along() {
    let folder = folder(&[]);
    let path = |name: &str| folder.path().join(name);
    fs::copy("../codec/tests/rotated.jpg", path("a.jpg")).unwrap();
    let (width, height) = image::image_dimensions(path("a.jpg")).unwrap();
    for name in ["r.png", "r.jpg", "r.webp", "r.tif"] {
        let run = upscale(folder.path(), &format!("@/a.jpg -o @/{name}"));
        assert!(run.status.success(), "{name}: {}", text(&run));
        let mut decoder = ImageReader::open(path(name)).unwrap().into_decoder().unwrap();
        assert_eq!(decoder.dimensions(), (2 * height, 2 * width), "{name}");
        assert_eq!(
            decoder.orientation().unwrap(),
            metadata::Orientation::NoTransforms
        );
        if name == "r.tif" {
            // Its reader gives none away.
            continue;
        }
        assert!(decoder.exif_metadata().unwrap().is_some(), "{name}");
        let bare = upscale(folder.path(), &format!("@/a.jpg -o @/bare-{name} --strip"));
        assert!(bare.status.success(), "{name}: {}", text(&bare));
        let reader = ImageReader::open(path(&format!("bare-{name}"))).unwrap();
        let mut decoder = reader.into_decoder().unwrap();
        assert!(decoder.exif_metadata().unwrap().is_none(), "{name}");
    }
}

#[test]
fn what_a_format_cannot_hold_is_told() {
    let folder = folder(&["a.png"]);
    let path = |name: &str| folder.path().join(name);
    RgbaImage::from_fn(24, 18, |x, _| Rgba([20, 30, 40, if x < 12 { 0 } else { 255 }]))
        .save(path("clear.png"))
        .unwrap();
    DynamicImage::from(soft(24, 18))
        .to_rgb16()
        .save(path("deep.png"))
        .unwrap();
    soft(9000, 1).save(path("long.png")).unwrap();
    let run = upscale(folder.path(), "@/clear.png -o @/clear.jpg --progress json");
    assert!(
        run.status.success() && codes(&run) == ["jpeg-opaque"],
        "{}",
        text(&run)
    );
    let laid = image::open(path("clear.jpg")).unwrap().to_rgb8();
    assert!(laid.get_pixel(2, 18).0.iter().all(|v| *v > 245) && laid.get_pixel(46, 18).0[2] < 60);
    let run = upscale(folder.path(), "@/deep.png -o @/deep.webp --progress json");
    assert!(
        run.status.success() && codes(&run) == ["bits-lost"],
        "{}",
        text(&run)
    );
    let run = upscale(folder.path(), "@/deep.png -o @/deep.tif --progress json");
    assert!(run.status.success() && codes(&run).is_empty(), "{}", text(&run));
    assert_eq!(
        image::open(path("deep.tif")).unwrap().color(),
        image::ColorType::Rgb16
    );
    // Too long for one format: the others in the batch are made, and no network runs for this one.
    let run = upscale(
        folder.path(),
        "@/long.png @/a.png -o @/out --format webp --progress json",
    );
    assert_eq!(
        (run.status.code(), codes(&run)),
        (Some(1), vec!["too-long".into()])
    );
    assert!(
        text(&run).contains("holds 16383 a side: save it as PNG"),
        "{}",
        text(&run)
    );
    assert_eq!(names(&path("out")), ["a-x2.webp"]);
    for (words, why) in [
        (
            "-o @/r.gif",
            "what is written is PNG, JPEG, WebP, AVIF, TIFF or JPEG XL",
        ),
        ("-o @/r.png --format jpeg", "name a .jpg file"),
        ("-o @/r.png --quality 80", "--quality is for JPEG, WebP and AVIF"),
        ("-o @/r.jpg --quality 0", "1..=100"),
        (
            "-o @/r --format bmp",
            "possible values: png, jpeg, webp, avif, tiff, jxl",
        ),
        ("-o @/r.jpg --consistency @/map.jpg", "name a .png file"),
    ] {
        let run = upscale(folder.path(), &format!("@/a.png {words}"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
        assert!(!text(&run).contains("on CPU"), "{words}");
    }
    soft(1, 9).save(path("thin.png")).unwrap();
    let run = line(folder.path(), "upscale @/thin.png -o @/thin.jxl --scale 1");
    assert!(
        text(&run).contains("save it as PNG") && !text(&run).contains("on CPU"),
        "{}",
        text(&run)
    );
}

#[test]
fn folders_keep_their_structure() {
    let photos = [
        "p/a.png",
        "p/sub/a.png",
        "p/sub/deep/b.jpg",
        "q/a.png",
        "q/sub/c.png",
    ];
    let folder = folder(&photos);
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("p/empty")).unwrap();
    fs::write(path("p/sub/notes.txt"), "no photo").unwrap();
    fs::write(path("p/sub/broken.png"), "no photo").unwrap();
    let below = |name: &str| {
        let mut found = Vec::new();
        let mut open = vec![path(name)];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at).unwrap() {
                let entry = entry.unwrap().path();
                if entry.is_dir() {
                    open.push(entry.clone());
                } else {
                    let entry = entry.strip_prefix(path(name)).unwrap();
                    found.push(entry.to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        found.sort();
        found
    };
    // One folder alone, with the results inside: they are not found again.
    for round in 0..2 {
        let run = upscale(
            folder.path(),
            "-r @/p -o @/p/out --format jpeg --consistency @/p/maps",
        );
        let said = text(&run);
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert!(
            said.contains("broken.png: ") && said.contains("1 of 4 images"),
            "{round}: {said}"
        );
        assert!(said.contains("1 (txt)"), "{said}");
        assert_eq!(below("p/out"), ["a-x2.jpg", "sub/a-x2.jpg", "sub/deep/b-x2.jpg"]);
        assert_eq!(below("p/maps"), ["a-x2.png", "sub/a-x2.png", "sub/deep/b-x2.png"]);
        assert!(!path("p/out/empty").exists());
    }
    fs::remove_dir_all(path("p/out")).unwrap();
    fs::remove_dir_all(path("p/maps")).unwrap();
    fs::remove_file(path("p/sub/broken.png")).unwrap();
    // Several inputs: a folder of each one's name.
    let run = upscale(folder.path(), "-r @/p @/q @/p/sub/deep/b.jpg -o @/out");
    assert!(run.status.success(), "{}", text(&run));
    let expected = [
        "p/a-x2.png",
        "p/sub/a-x2.png",
        "p/sub/deep/b-x2.png",
        "q/a-x2.png",
        "q/sub/c-x2.png",
    ];
    assert_eq!(below("out"), expected);
    assert!(text(&run).contains("named twice"), "{}", text(&run));
    // A remedy for what was most likely meant; and nothing is made.
    for (words, why) in [
        ("@/p -o @/no", "add -r"),
        ("-r @/p -o @/no.png", "several images need a folder"),
        ("-r @/p -o -", "standard output takes one image"),
        ("-r @/p -o @/p", "name another folder as output"),
        ("-r @/p/empty -o @/no", "no images in it"),
    ] {
        let run = upscale(folder.path(), words);
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
    }
    assert!(!path("no").exists() && !path("no.png").exists());
}

#[test]
fn results_that_are_there_are_kept() {
    let folder = folder(&["a.png", "b.png"]);
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("out")).unwrap();
    fs::write(path("out/a-x2.png"), "mine").unwrap();
    let run = upscale(
        folder.path(),
        "@/a.png @/b.png -o @/out --no-clobber --progress json",
    );
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(codes(&run), ["kept"]);
    assert!(text(&run).contains("1 of 2 results were there"), "{}", text(&run));
    assert_eq!(fs::read(path("out/a-x2.png")).unwrap(), b"mine");
    assert!(image::open(path("out/b-x2.png")).is_ok());
    // All of them, and one file: nothing is computed.
    for output in ["out", "out/a-x2.png"] {
        let run = upscale(folder.path(), &format!("@/a.png -o @/{output} --no-clobber"));
        assert!(
            run.status.success() && !text(&run).contains("on CPU"),
            "{}",
            text(&run)
        );
    }
    assert_eq!(fs::read(path("out/a-x2.png")).unwrap(), b"mine");
    // Without the option a result takes the place of an older file.
    let run = upscale(folder.path(), "@/a.png -o @/out");
    assert!(run.status.success() && image::open(path("out/a-x2.png")).is_ok());
}

/// As the program gets them where the shell does not know patterns.
#[test]
fn patterns_are_expanded() {
    let folder = folder(&["a.png", "b.png", "[c].png", "c.jpg"]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let of = |pattern: &str, out: &str| {
        let run = asasr(&[
            "upscale",
            &path(pattern),
            "-o",
            &path(out),
            "--scale",
            "2",
            "--device",
            "cpu",
        ]);
        (run.status.success(), text(&run))
    };
    assert!(of("*.png", "all").0);
    assert_eq!(
        names(Path::new(&path("all"))),
        ["[c]-x2.png", "a-x2.png", "b-x2.png"]
    );
    // A file of that name comes before the pattern, which means another one.
    photo(9, 9).save(path("c.png")).unwrap();
    assert!(of("[c].png", "one").0);
    assert_eq!(names(Path::new(&path("one"))), ["[c]-x2.png"]);
    let (done, said) = of("*.gif", "none");
    assert!(!done && said.contains("*.gif: "), "{said}");
}
