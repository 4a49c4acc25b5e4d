//! What results are told with: their width, maps of what was measured, and JSON for other programs.

use super::{line, text};

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::{Value, json};

/// A soft image with an edge.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let edge = if x > width / 2 { 90 } else { 0 };
        Rgb([(40 + 2 * x + edge).min(255) as u8, (60 + y) as u8, 120])
    })
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    photo(48, 32).save(folder.path().join("a.png")).unwrap();
    photo(30, 40).save(folder.path().join("b.png")).unwrap();
    folder
}

fn map(folder: &Path, name: &str) -> GrayImage {
    let image = image::open(folder.join(name)).unwrap();
    assert_eq!(image.color(), image::ColorType::L8);
    image.to_luma8()
}

fn events(run: &std::process::Output) -> Vec<Value> {
    let lines = String::from_utf8(run.stdout.clone()).unwrap();
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn any_width_is_made_and_others_are_refused() {
    let folder = folder();
    let run = line(
        folder.path(),
        "upscale @/a.png @/b.png -o @/out --width 100 --device cpu",
    );
    assert!(run.status.success(), "{}", text(&run));
    let size = |name: &str| image::image_dimensions(folder.path().join("out").join(name)).unwrap();
    assert_eq!(size("a-w100.png"), (100, 67));
    assert_eq!(size("b-w100.png"), (100, 133));
    // Too wide for one of them: the other is made all the same.
    let run = line(
        folder.path(),
        "upscale @/a.png @/b.png -o @/wide --width 250 --device cpu",
    );
    assert!(
        !run.status.success() && text(&run).contains("can be made 30 to 240 wide, not 250"),
        "{}",
        text(&run)
    );
    assert!(folder.path().join("wide/a-w250.png").is_file());
    assert!(!folder.path().join("wide/b-w250.png").exists());
    let both = line(folder.path(), "upscale @/a.png -o @/c.png --width 100 --scale 3");
    assert!(text(&both).contains("--scale"), "{}", text(&both));
}

#[test]
fn maps_show_what_was_measured() {
    let folder = folder();
    let run = line(
        folder.path(),
        "upscale @/a.png -o @/r.png --weights asasr-x4-clean --mode fast --samples 3 --spread @/s.png --consistency @/c.png --device cpu",
    );
    assert!(run.status.success(), "{}", text(&run));
    assert!(
        text(&run).contains("grey levels") && text(&run).contains(" dB"),
        "{}",
        text(&run)
    );
    let (spread, consistency) = (map(folder.path(), "s.png"), map(folder.path(), "c.png"));
    assert_eq!(
        (spread.dimensions(), consistency.dimensions()),
        ((48, 32), (48, 32))
    );
    // Samples are nowhere one, and differ by more than the result departs from the photo.
    let mean = |map: &GrayImage| map.pixels().map(|p| f64::from(p.0[0])).sum::<f64>() / f64::from(48 * 32);
    assert!(spread.pixels().any(|Luma([v])| *v > 8), "{}", mean(&spread));
    assert!(
        mean(&spread) > mean(&consistency),
        "{} {}",
        mean(&spread),
        mean(&consistency)
    );
    // The result is the first of the samples.
    let alone = line(
        folder.path(),
        "upscale @/a.png -o @/one.png --weights asasr-x4-clean --mode fast --device cpu",
    );
    assert!(alone.status.success(), "{}", text(&alone));
    let read = |name: &str| image::open(folder.path().join(name)).unwrap().to_rgb8();
    assert_eq!(read("r.png"), read("one.png"));
    // Of several images the maps lie in a folder, under the results' names.
    let run = line(
        folder.path(),
        "upscale @/a.png @/b.png -o @/out --scale 2 --consistency @/maps --device cpu",
    );
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(
        map(&folder.path().join("maps"), "b-x2.png").dimensions(),
        (30, 40)
    );
}

#[test]
fn the_only_sample_is_measured_by_its_departure() {
    let folder = folder();
    let run = line(
        folder.path(),
        "upscale @/a.png -o @/r.png --mode fast --spread @/s.png --progress json --device cpu",
    );
    assert!(run.status.success(), "{}", text(&run));
    let done = String::from_utf8(run.stdout).unwrap();
    let done = done.lines().find(|l| l.contains("\"done\"")).unwrap();
    let told: Value = serde_json::from_str(done).unwrap();
    assert!(told["departure_levels"].as_f64().unwrap() > 0.1 && told["spread_levels"].is_null());
    assert!(map(folder.path(), "s.png").pixels().any(|Luma([v])| *v > 8));
}

#[test]
fn maps_replace_nothing_and_need_samples() {
    let folder = folder();
    let before = fs::read(folder.path().join("a.png")).unwrap();
    for (words, why) in [
        ("-o @/r.png --consistency @/a.png", "would replace"),
        ("-o @/r.png --consistency @/r.png", "cannot be one file"),
        (
            "-o @/r.png --spread @/s.png --samples 1 --mode fast --weights asasr-x4-clean",
            "leave --samples 1 out",
        ),
        ("-o @/r.png --samples 3 --mode fast", "add --spread"),
        ("-o @/r.png --samples 3 --spread @/s.png", "--mode fast"),
        ("-o @/r.png --consistency -", "a map goes to a file"),
        ("-o @/r.png --consistency @/none/c.png", "none"),
        ("-o - --progress json", "standard output has the image"),
    ] {
        let run = line(folder.path(), &format!("upscale @/a.png {words}"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
        assert!(!folder.path().join("r.png").exists(), "{words}");
    }
    assert_eq!(fs::read(folder.path().join("a.png")).unwrap(), before);
}

#[test]
fn other_programs_are_told_in_json() {
    let folder = folder();
    fs::write(folder.path().join("c.png"), "no image").unwrap();
    let run = line(
        folder.path(),
        "upscale @/a.png @/b.png @/c.png -o @/out --scale 2 --tile 16 --progress json --device cpu",
    );
    assert!(!run.status.success(), "{}", text(&run));
    let events = events(&run);
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).collect::<Vec<_>>();
    assert_eq!(
        (of("begun").len(), of("done").len(), of("failed").len()),
        (2, 2, 1)
    );
    let failed = of("failed")[0];
    assert!(failed["text"].as_str().unwrap().contains("c.png"));
    assert!(failed["input"].as_str().unwrap().ends_with("c.png"));
    assert_eq!(
        (&failed["code"], &failed["args"]),
        (&"not-an-image".into(), &json!({}))
    );
    let done = of("done")[0];
    assert_eq!((&done["width"], &done["height"]), (&96.into(), &64.into()));
    assert!(done["input"].as_str().unwrap().ends_with("a.png"));
    assert!(Path::new(done["output"].as_str().unwrap()).is_file());
    assert!(done["consistency_db"].as_f64().unwrap() > 30.0, "{done}");
    let told: Vec<f64> = of("progress")
        .iter()
        .filter(|e| e["input"] == done["input"])
        .map(|e| e["fraction"].as_f64().unwrap())
        .collect();
    assert!(
        told.len() >= 6 && told.is_sorted() && told.last() == Some(&1.0),
        "{told:?}"
    );
    let whole = |e: &&&Value| e["fraction"] == 1.0;
    let end = of("progress").into_iter().filter(|e| whole(&e));
    assert!(end.clone().count() == 2 && end.into_iter().all(|e| e["tiles_done"] == e["tiles"]));
}

/// A program tells failures apart, fills their texts in its own language, and knows their images, before the work and in it.
#[test]
fn failures_and_notes_have_codes() {
    let folder = folder();
    let whole = fs::read(folder.path().join("a.png")).unwrap();
    fs::write(folder.path().join("cut.png"), &whole[..whole.len() - 20]).unwrap();
    for (words, kind, input, code, args) in [
        (
            "@/cut.png @/b.png -o @/out",
            "failed",
            Some("cut.png"),
            "truncated",
            json!({}),
        ),
        (
            "@/a.png -o @/out --width 1",
            "failed",
            Some("a.png"),
            "width",
            json!({"wanted": "1", "least": "48", "most": "384"}),
        ),
        ("@/a.png -o @/a.png", "failed", Some("a.png"), "place", json!({})),
        (
            "@/b.png @/b.png -o @/out",
            "note",
            Some("b.png"),
            "named-twice",
            json!({}),
        ),
        (
            "@/none.png -o @/out",
            "failed",
            Some("none.png"),
            "file",
            Value::Null,
        ),
        (
            "@/a.png -o @/out --weights @/none",
            "failed",
            None,
            "program",
            json!({}),
        ),
    ] {
        let run = line(
            folder.path(),
            &format!("upscale {words} --progress json --device cpu"),
        );
        let events = events(&run);
        let told = events.iter().find(|e| e["event"] == kind);
        let told = told.unwrap_or_else(|| panic!("{words}: {}", text(&run)));
        assert_eq!(told["code"], code, "{told}");
        match input {
            Some(name) => assert!(told["input"].as_str().unwrap().ends_with(name), "{told}"),
            None => assert_eq!(told["input"], Value::Null, "{told}"),
        }
        assert!(args.is_null() || told["args"] == args, "{told}");
        assert!(!told["text"].as_str().unwrap().is_empty());
    }
    assert_eq!(fs::read(folder.path().join("a.png")).unwrap(), whole);
}
