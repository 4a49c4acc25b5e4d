//! The program as a user runs it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(
    clippy::too_many_lines,
    reason = "a test tells one story from beginning to end"
)]

#[cfg(target_os = "linux")]
#[path = "cli/batches.rs"]
mod batches;
#[path = "cli/chosen.rs"]
mod chosen;
#[path = "cli/graphs.rs"]
mod graphs;
#[path = "cli/held.rs"]
mod held;
#[path = "cli/saved.rs"]
mod saved;
#[path = "cli/told.rs"]
mod told;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use asasr_core::model::{Manifest, Role};
use image::{
    DynamicImage, GenericImageView as _, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage,
};

fn asasr(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asasr"))
        .args(args)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (x * 255 / width) as u8,
            ((x / 5 + y / 7) % 2 * 180) as u8,
            (y * 255 / height) as u8,
        ])
    })
}

/// Of the frames of a video the warping error tells what flickers, and not what moves.
#[test]
fn frames_of_a_video_are_measured_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    let whole = image::imageops::resize(&photo(40, 40), 160, 160, image::imageops::FilterType::CatmullRom);
    for sub in ["data", "flicker"] {
        fs::create_dir(path(sub)).unwrap();
    }
    for i in 0..3 {
        let frame = whole.view(8 * i, 4 * i, 128, 128).to_image();
        frame.save(path(&format!("data/{i}.png"))).unwrap();
        let brighter = |v: &u8| v.saturating_add(6 * (i as u8 % 2));
        let flicker = RgbImage::from_raw(128, 128, frame.iter().map(brighter).collect()).unwrap();
        flicker.save(path(&format!("flicker/{i}.png"))).unwrap();
    }
    let run = line(
        folder.path(),
        "eval --video --data @/data --results truth=@/data --results flicker=@/flicker --json @/e.json",
    );
    assert!(run.status.success(), "{}", text(&run));
    assert!(String::from_utf8(run.stdout).unwrap().contains(" warp"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path("e.json")).unwrap()).unwrap();
    let method = |name: &str| {
        let all = json["methods"].as_array().unwrap();
        all.iter().find(|m| m["name"] == name).unwrap().clone()
    };
    let (truth, flicker) = (method("truth"), method("flicker"));
    assert!(
        truth["images"][0]["warping"].is_null(),
        "there is none before the first"
    );
    let of = |m: &serde_json::Value| m["means"]["warping"].as_f64().unwrap();
    assert!(of(&truth) < 1.5, "{}", of(&truth));
    assert!(
        (of(&flicker) - 6.0 * 219.0 / 255.0).abs() < 1.5,
        "{}",
        of(&flicker)
    );
}

/// A file where a command is expected: the command is told.
#[test]
fn a_file_alone_is_met_with_the_command() {
    let folder = tempfile::tempdir().unwrap();
    photo(8, 8).save(folder.path().join("my cat.png")).unwrap();
    fs::write(folder.path().join("film.MP4"), b"").unwrap();
    fs::write(folder.path().join("bob's.png"), b"").unwrap();
    fs::write(folder.path().join("model.pth"), b"").unwrap();
    let told = |given: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
        let output = command.current_dir(folder.path()).arg(given).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{given}");
        text(&output)
    };
    for (given, command) in [
        ("my cat.png", "asasr upscale 'my cat.png'"),
        ("bob's.png", "asasr upscale 'bob'\\''s.png'"),
        ("film.MP4", "asasr video film.MP4"),
        (".", "asasr upscale -r . -o larger/"),
    ] {
        let told = told(given);
        assert!(told.ends_with(&format!("To enlarge it: {command}\n")), "{told}");
    }
    for given in ["none.png", "model.pth"] {
        let told = told(given);
        assert!(
            told.contains("unrecognized subcommand") && !told.contains("To enlarge"),
            "{told}"
        );
    }
}

#[test]
fn several_images_at_every_scale() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    photo(30, 20).save(path("a.png")).unwrap();
    photo(17, 41).save(path("b.jpg")).unwrap();
    for scale in [2, 3, 4, 6, 8] {
        let out = path(&format!("out{scale}"));
        let scale_text = scale.to_string();
        let run = asasr(&[
            "upscale",
            &path("a.png"),
            &path("b.jpg"),
            "-o",
            &out,
            "--scale",
            &scale_text,
            "--tile",
            "16",
            "--device",
            "cpu",
        ]);
        assert!(run.status.success(), "{}", text(&run));
        assert_eq!(
            names(Path::new(&out)),
            [format!("a-x{scale}.png"), format!("b-x{scale}.png")]
        );
        let size = image::open(format!("{out}/a-x{scale}.png")).unwrap().dimensions();
        assert_eq!(size, (30 * scale, 20 * scale));
    }
}

#[test]
fn layouts_and_depths_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    let images: [(&str, DynamicImage); 4] = [
        (
            "grey",
            GrayImage::from_fn(9, 9, |x, _| Luma([x as u8 * 20])).into(),
        ),
        (
            "alpha",
            RgbaImage::from_fn(9, 9, |x, y| Rgba([200, 10, 10, (x * y) as u8])).into(),
        ),
        (
            "deep",
            ImageBuffer::from_fn(9, 9, |x, y| Rgb([x as u16 * 7000, y as u16 * 7000, 500])).into(),
        ),
        ("dot", photo(1, 1).into()),
    ];
    for (name, image) in images {
        image.save(path("in.png")).unwrap();
        let out = path(&format!("{name}.png"));
        let run = asasr(&["upscale", &path("in.png"), "-o", &out, "--device", "cpu"]);
        assert!(run.status.success(), "{name}: {}", text(&run));
        let result = image::open(&out).unwrap();
        assert_eq!(result.color(), image.color(), "{name}");
        assert_eq!(
            result.dimensions(),
            (image.width() * 4, image.height() * 4),
            "{name}"
        );
    }
}

/// One clear sentence, a failing exit code, nothing left behind, and the good images done all the same.
#[test]
fn bad_images_are_named_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    photo(40, 30).save(path("good.png")).unwrap();
    photo(40, 30).save(path("cut.jpg")).unwrap();
    let jpeg = fs::read(path("cut.jpg")).unwrap();
    fs::write(path("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    fs::write(path("empty.png"), b"").unwrap();
    fs::write(path("text.png"), b"not an image at all").unwrap();
    fs::copy("../codec/tests/claims-60000.png", path("huge.png")).unwrap();
    let cases = [
        ("cut.jpg", "cut short"),
        ("empty.png", "empty"),
        ("text.png", "not an image"),
        ("huge.png", "60000x60000"),
        ("absent.png", "absent.png"),
    ];
    let out = path("out");
    let mut args = vec!["upscale".to_owned()];
    args.extend(cases.iter().map(|(n, _)| path(n)));
    args.extend([
        path("good.png"),
        "-o".into(),
        out.clone(),
        "--device".into(),
        "cpu".into(),
    ]);
    let run = asasr(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(run.status.code(), Some(1));
    let said = text(&run);
    for (name, why) in cases {
        assert!(
            said.lines().any(|l| l.contains(name) && l.contains(why)),
            "{name}: {said}"
        );
    }
    assert!(said.contains("5 of 6"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(names(Path::new(&out)), ["good-x4.png"]);
}

#[test]
fn places_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    photo(12, 12).save(path("a.png")).unwrap();
    photo(12, 12).save(path("a.bmp")).unwrap();
    let a = path("a.png");
    for (args, why) in [
        (
            vec!["upscale", &a, "-o", "/proc/none/out.png"],
            "cannot be written",
        ),
        (vec!["upscale", &a, "-o", &a], "would replace"),
        (vec!["upscale", &a, "-o", &path("out.pdf")], "PNG"),
        (
            vec!["upscale", &a, &path("a.bmp"), "-o", &path("one.png")],
            "folder",
        ),
        (
            vec!["upscale", &a, "-o", &path("x.png"), "--width", "9000"],
            "wide, not 9000",
        ),
        (vec!["upscale", &a, "-o", &path("x.png"), "--scale", "9"], "9"),
    ] {
        let run = asasr(&args);
        assert!(!run.status.success(), "{args:?}");
        assert!(text(&run).contains(why), "{args:?}: {}", text(&run));
    }
    assert_eq!(names(folder.path()), ["a.bmp", "a.png"]);
}

#[test]
fn damaged_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    photo(12, 12).save(path("a.png")).unwrap();
    let shipped = asasr_weights::DEFAULT;
    let manifest = String::from_utf8(shipped.manifest.to_vec()).unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    let cases: [(&str, &[u8], &str); 3] = [
        (&manifest, &shipped.weights[..5000], "sha256"),
        (
            &manifest.replace("\"sha256\": \"", "\"sha256\": \"0"),
            shipped.weights,
            "sha256",
        ),
        (&manifest[..200], shipped.weights, "manifest"),
    ];
    for (manifest, weights, why) in cases {
        fs::write(model.join("manifest.json"), manifest).unwrap();
        fs::write(model.join("restorer.safetensors"), weights).unwrap();
        let run = asasr(&[
            "upscale",
            &path("a.png"),
            "-o",
            &path("x.png"),
            "--weights",
            &path("model"),
        ]);
        assert_eq!(run.status.code(), Some(1));
        assert!(text(&run).contains(why), "{}", text(&run));
    }
    let run = asasr(&[
        "upscale",
        &path("a.png"),
        "-o",
        &path("x.png"),
        "--weights",
        &path("nowhere"),
    ]);
    assert!(text(&run).contains("nowhere"), "{}", text(&run));
    assert!(!Path::new(&path("x.png")).exists());
}

/// Ten steps, or five and five more: the same weights to the last bit. And what comes out enlarges images.
#[test]
fn training_resumes_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    fs::create_dir_all(path("data/deep")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(80, 130).save(path("data/deep/two.png")).unwrap();
    fs::write(path("data/broken.jpg"), b"no").unwrap();
    fs::create_dir(path("val")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    let train_by = |optimiser: &str, out: &str, steps: &str, resume: bool| {
        let (data, val, out) = (path("data"), path("val"), path(out));
        let mut args = vec!["train", "restorer", "--data", &data, "--val", &val, "--out", &out];
        args.extend(["--optimiser", optimiser]);
        args.extend([
            "--stop-after",
            steps,
            "--steps",
            "10",
            "--val-every",
            "5",
            "--batch",
            "2",
            "--patch",
            "8",
        ]);
        args.extend(["--channels", "8", "--blocks", "1"]);
        if resume {
            args.push("--resume");
        }
        asasr(&args)
    };
    let train = |out: &str, steps: &str, resume: bool| train_by("adam", out, steps, resume);
    let whole = train("whole", "10", false);
    assert!(whole.status.success(), "{}", text(&whole));
    assert!(
        text(&whole).contains("broken.jpg"),
        "damaged files are named: {}",
        text(&whole)
    );
    assert!(train("parts", "5", false).status.success());
    let again = train("parts", "10", false);
    assert!(
        text(&again).contains("--resume"),
        "a run is not overwritten: {}",
        text(&again)
    );
    let rest = train("parts", "10", true);
    assert!(rest.status.success(), "{}", text(&rest));
    let read = |n: &str| fs::read(path(&format!("{n}/checkpoint.safetensors"))).unwrap();
    assert_eq!(read("whole"), read("parts"));
    for (out, steps, resume) in [
        ("muon", "10", false),
        ("muon-parts", "5", false),
        ("muon-parts", "10", true),
    ] {
        let run = train_by("muon", out, steps, resume);
        assert!(run.status.success(), "{}", text(&run));
    }
    assert_eq!(read("muon"), read("muon-parts"));
    assert_ne!(read("muon"), read("whole"));
    // From one optimiser to the other, and on from there.
    for (out, stops) in [("mixed", &["10"][..]), ("mixed-parts", &["7", "10"])] {
        for (i, (optimiser, steps)) in [("muon", "5")]
            .into_iter()
            .chain(stops.iter().map(|s| ("adam", *s)))
            .enumerate()
        {
            let run = train_by(optimiser, out, steps, i > 0);
            assert!(run.status.success(), "{}", text(&run));
        }
    }
    assert_eq!(read("mixed"), read("mixed-parts"));

    let run = asasr(&[
        "upscale",
        &path("val/v.png"),
        "-o",
        &path("v4.png"),
        "--weights",
        &path("whole/best"),
        "--device",
        "cpu",
    ]);
    assert!(run.status.success(), "{}", text(&run));
    let other = asasr(&[
        "train",
        "restorer",
        "--data",
        &path("data"),
        "--out",
        &path("whole"),
        "--resume",
        "--channels",
        "16",
        "--patch",
        "8",
    ]);
    assert!(
        !other.status.success()
            && text(&other).contains("--channels 16 instead of 8")
            && text(&other).contains("resume with --channels 8"),
        "{}",
        text(&other)
    );
}

/// Runs with the words of a line as arguments; paths in it have no spaces.
fn line(folder: &Path, words: &str) -> Output {
    let words: Vec<String> = words
        .split_whitespace()
        .map(|w| w.replace('@', folder.to_str().unwrap()))
        .collect();
    asasr(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Given inputs are what is learned from: those of a protocol lead to the weights that the protocol leads to.
#[test]
fn inputs_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("photos")).unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        photo(120, 90).save(at.join("photos").join(name)).unwrap();
    }
    let done = |words: &str| {
        let run = line(at, words);
        assert!(run.status.success(), "{}", text(&run));
    };
    done("degrade --data @/photos --out @/pairs");
    let sizes = "--steps 3 --val-every 3 --batch 2 --patch 8 --channels 4 --blocks 1";
    done(&format!("train restorer --data @/photos --out @/made {sizes}"));
    done(&format!(
        "train restorer --data @/pairs/hq --inputs @/pairs/lq --protocol real-full --out @/given {sizes}"
    ));
    let read = |run: &str| fs::read(at.join(run).join("best/restorer.safetensors")).unwrap();
    assert_eq!(read("made"), read("given"));

    fs::rename(at.join("pairs/lq/c.png"), at.join("pairs/lq/d.png")).unwrap();
    fs::copy(at.join("pairs/hq/b.png"), at.join("pairs/lq/b.png")).unwrap();
    for (words, why) in [
        ("", "a 4 times smaller"),
        ("--blurred 0.5", "--inputs cannot be used with --blurred"),
    ] {
        let run = line(
            at,
            &format!("train restorer --data @/pairs/hq --inputs @/pairs/lq --out @/no {sizes} {words}"),
        );
        let told = text(&run);
        assert!(told.contains(why), "{words}: {told}");
    }
}

/// Drawn crops and shares of a protocol are the same again after a stop, and the model says how it was trained.
#[test]
fn drawn_crops_and_shares_join_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for place in ["data", "val"] {
        fs::create_dir(at.join(place)).unwrap();
        photo(120, 90).save(at.join(place).join("one.png")).unwrap();
    }
    let train = |words: &str| {
        let sizes = "--steps 4 --val-every 2 --batch 4 --patch 8 --channels 4 --blocks 1";
        line(
            at,
            &format!("train restorer --data @/data --val @/val {sizes} {words}"),
        )
    };
    let done = |words: &str| {
        let run = train(words);
        assert!(run.status.success(), "{}", text(&run));
    };
    let mixed = "--protocol real --shares 0.2,0.4,0.2 --drawn 0.5 --loss l2";
    done(&format!("{mixed} --out @/whole"));
    done(&format!("{mixed} --out @/parts --stop-after 2"));
    done(&format!("{mixed} --out @/parts --resume"));
    done("--protocol real --drawn 0.5 --loss l2 --out @/thirds");
    done("--protocol real --shares 0.2,0.4,0.2 --loss l2 --out @/photos");
    let read = |run: &str| fs::read(at.join(run).join("checkpoint.safetensors")).unwrap();
    assert_eq!(read("whole"), read("parts"));
    assert_ne!(read("whole"), read("thirds"));
    assert_ne!(read("whole"), read("photos"));
    let manifest = fs::read_to_string(at.join("whole/best/manifest.json")).unwrap();
    assert!(
        manifest.contains("--shares '0.2,0.4,0.2' --drawn 0.5"),
        "{manifest}"
    );

    for (words, why) in [
        ("--shares 0.2,0.4,0.4", "give that protocol too"),
        ("--protocol real --shares 0.2,0.4", "three numbers"),
        ("--protocol real --shares 0,0,0", "above 0"),
        ("--drawn 0.5 --fonts @/data", "no .ttf or .otf file"),
        ("--fonts @/data", "--drawn"),
    ] {
        let run = train(&format!("{words} --out @/refused"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
    }
}

/// The command that a checkpoint or a manifest has of its run makes the same run again, to the last bit.
#[cfg(unix)]
#[test]
fn a_printed_command_trains_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    for place in ["it's mine", "val"] {
        fs::create_dir(path(place)).unwrap();
        photo(120, 90).save(path(place).join("one.png")).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_asasr"));
    let shell = |at: &Path, command: &str| {
        let run = Command::new("/bin/sh")
            .args(["-c", command])
            .env("PATH", program.parent().unwrap())
            .current_dir(at)
            .output()
            .unwrap();
        assert!(run.status.success(), "{command}: {}", text(&run));
        String::from_utf8(run.stdout).unwrap()
    };
    for (stage, options) in [
        (
            "restorer",
            "--channels 8 --blocks 1 --optimiser muon --learning-rate 0.00123 --relative-rates",
        ),
        (
            "flow",
            "--channels 8 --blocks 1 --restorer restorer/best --sigma 0.07 --s 0.3 --times logit-normal",
        ),
        ("adversary", "--model flow/best --rank 2 --schedule constant"),
        (
            "align",
            "--model flow/best --rank 2 --negatives learned --adapter adversary/best --lambda 0.1 --drawn 0.3",
        ),
        (
            "distill",
            "--model align/best --to 2 --teacher-steps 2 --mix 0.3333333333333333",
        ),
    ] {
        let words = format!(
            "asasr train {stage} --data \"it's mine\" --val val --out {stage} --steps 3 --val-every 2 --batch 2 --patch 8 --seed 7 \
             --id {stage}-7 {options}"
        );
        shell(folder.path(), &words);
        let checkpoint = fs::read(path(&format!("{stage}/checkpoint.safetensors"))).unwrap();
        let manifest = path(&format!("{stage}/best/manifest.json"));
        let printed = shell(folder.path(), &format!("asasr train command {stage}"));
        let mut commands = vec![(elsewhere.path(), printed)];
        if stage != "adversary" {
            let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
            let part = match stage {
                "restorer" => &manifest["networks"]["restorer"],
                "distill" => &manifest["networks"]["few_steps"],
                _ => &manifest["networks"]["field"],
            };
            let published = part["training"]["command"].as_str().unwrap();
            assert!(
                !published.contains(folder.path().to_str().unwrap()),
                "{published}"
            );
            commands.push((folder.path(), published.to_owned()));
        }
        for (i, (at, command)) in commands.iter().enumerate() {
            let before = path(&format!("{stage}-{i}"));
            fs::rename(path(stage), &before).unwrap();
            shell(at, command);
            let again = fs::read(path(&format!("{stage}/checkpoint.safetensors"))).unwrap();
            assert!(again == checkpoint, "{stage}: {command}");
            for file in names(&before.join("best"))
                .iter()
                .filter(|n| n.ends_with(".safetensors"))
            {
                let [old, new] =
                    [&before, &path(stage)].map(|run| fs::read(run.join("best").join(file)).unwrap());
                assert!(old == new, "{stage}: {file}: {command}");
            }
        }
    }
    let other = line(folder.path(), "train command @/val");
    assert!(
        !other.status.success() && text(&other).contains("no checkpoint is here"),
        "{}",
        text(&other)
    );
    // A run whose options changed on the way says so.
    shell(
        folder.path(),
        "asasr train restorer --data val --val val --out restorer --steps 5 --batch 2 --patch 8 --channels 8 --blocks 1 --resume",
    );
    let changed = line(folder.path(), "train command @/restorer/checkpoint.safetensors");
    assert!(changed.status.success(), "{}", text(&changed));
    for part in [
        "from step 3 on",
        "--steps 5 instead of 3",
        "--seed 0 instead of 7",
    ] {
        assert!(text(&changed).contains(part), "{}", text(&changed));
    }
    let manifest = fs::read_to_string(path("restorer/best/manifest.json")).unwrap();
    assert!(
        !manifest.contains("\"steps\": 5") || manifest.contains("; from step 3 on"),
        "{manifest}"
    );
}

#[test]
fn degraded_pairs_are_whole_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data/deep")).unwrap();
    photo(151, 133).save(path("data/one.png")).unwrap();
    photo(64, 40).save(path("data/deep/two.tiff")).unwrap();
    fs::write(path("data/broken.jpg"), b"no").unwrap();
    for protocol in ["clean", "real-mild", "real-full"] {
        let command = |out: &str, rest: &str| {
            let words = format!("degrade --data @/data --out @/{out} --protocol {protocol} {rest}");
            let run = line(folder.path(), &words);
            assert!(run.status.success(), "{}", text(&run));
            assert!(text(&run).contains("broken.jpg"));
            let lq = |n: &str| fs::read(path(&format!("{out}/lq/{n}.png"))).unwrap();
            (lq("one"), lq("two"))
        };
        let (one, two) = command("a", "--sheet @/sheet.png");
        assert_eq!(command("b", ""), (one.clone(), two));
        let image = image::load_from_memory(&one).unwrap();
        assert_eq!((image.width(), image.height()), (37, 33));
        assert_eq!(image::open(path("a/hq/one.png")).unwrap().width(), 148);
        // A row of nine crops of the one image that is large enough.
        assert_eq!(image::open(path("sheet.png")).unwrap().width(), 9 * 132 + 4);
        if protocol != "clean" {
            assert_ne!(command("c", "--seed 1").0, one);
            assert_ne!(command("c", "--step 1").0, one);
        }
    }
    fs::create_dir(path("data/again")).unwrap();
    photo(64, 40).save(path("data/again/one.png")).unwrap();
    let twice = line(folder.path(), "degrade --data @/data --out @/d");
    assert!(text(&twice).contains("one.png"), "{}", text(&twice));
    assert!(!path("d").exists());
}

/// A flow is trained on the built-in restorer, resumes bit for bit, and its model enlarges in every mode.
#[test]
fn a_flow_trains_resumes_and_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    fs::create_dir_all(path("val")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    for (backbone, channels) in [("conv", 8), ("dit", 32)] {
        let train = |out: &str, rest: &str| {
            let words = format!(
                "train flow --data @/data --val @/val --out @/{backbone}-{out} --steps 4 --val-every 2 --batch 2 \
                 --patch 8 --protocol real-mild --backbone {backbone} --channels {channels} --blocks 1 {rest}"
            );
            let run = line(folder.path(), &words);
            assert!(run.status.success(), "{}", text(&run));
        };
        train("whole", "");
        train("parts", "--stop-after 2");
        train("parts", "--resume");
        let read = |n: &str| fs::read(path(&format!("{backbone}-{n}/checkpoint.safetensors"))).unwrap();
        assert_eq!(read("whole"), read("parts"));
        let log = fs::read_to_string(path(&format!("{backbone}-whole/metrics.jsonl"))).unwrap();
        assert!(
            log.lines().count() == 2 && log.contains("\"lsd_restorer\""),
            "{log}"
        );

        let upscale = |out: &str, rest: &str| {
            let words = format!("upscale @/val/v.png -o @/{out} --device cpu --tile 16 {rest}");
            let run = line(folder.path(), &words);
            assert!(run.status.success(), "{}", text(&run));
            image::open(path(out)).unwrap().to_rgb8()
        };
        let model = format!("--weights @/{backbone}-whole/best");
        let instant = upscale("i.png", &model);
        assert_eq!(instant, upscale("b.png", ""));
        let fast = upscale("f.png", &format!("{model} --mode fast"));
        assert_eq!(fast.dimensions(), (256, 192));
        assert_eq!(fast, upscale("g.png", &format!("{model} --mode fast")));
        assert_ne!(fast, upscale("h.png", &format!("{model} --mode fast --seed 1")));
        assert_ne!(fast, instant);
    }
    let eval = line(
        folder.path(),
        "eval --data @/val --weights @/conv-whole/best --mode fast --protocol real-mild --device cpu",
    );
    assert!(eval.status.success(), "{}", text(&eval));
    restorer_alone(&folder.path().join("alone"));
    let none = line(
        folder.path(),
        "upscale @/val/v.png -o @/n.png --weights @/alone --mode quality",
    );
    assert!(
        !none.status.success() && text(&none).contains("has no flow"),
        "{}",
        text(&none)
    );
    let wrong = line(folder.path(), "train flow --data @/data --out @/w --s 7");
    assert!(
        !wrong.status.success() && text(&wrong).contains("s = 7"),
        "{}",
        text(&wrong)
    );
}

/// Adversary, alignment against every kind of negative, distillation: each resumes bit for bit, and the models that come
/// out enlarge images.
#[test]
fn a_flow_is_aligned_and_distilled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    fs::create_dir_all(path("val")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    let train = |stage: &str, out: &str, rest: &str| {
        let words = format!(
            "train {stage} --data @/data --val @/val --out @/{out} --steps 4 --val-every 2 --batch 2 --patch 8 {rest}"
        );
        line(folder.path(), &words)
    };
    let good = |stage: &str, out: &str, rest: &str| {
        let run = train(stage, out, rest);
        assert!(run.status.success(), "{}", text(&run));
        let whole = fs::read(path(&format!("{out}/checkpoint.safetensors"))).unwrap();
        for part in ["--stop-after 2", "--resume"] {
            let run = train(stage, &format!("{out}-parts"), &format!("{rest} {part}"));
            assert!(run.status.success(), "{}", text(&run));
        }
        let parts = fs::read(path(&format!("{out}-parts/checkpoint.safetensors"))).unwrap();
        assert_eq!(whole, parts, "{stage} resumes");
        fs::read_to_string(path(&format!("{out}/metrics.jsonl"))).unwrap()
    };
    good("flow", "accumulated", "--channels 8 --blocks 1 --accumulate 3");
    good("flow", "flow", "--channels 8 --blocks 1");
    let read = |n: &str| fs::read(path(&format!("{n}/checkpoint.safetensors"))).unwrap();
    assert_ne!(read("accumulated"), read("flow"));
    good("adversary", "adversary", "--model @/flow/best --rank 2");
    for (out, rest) in [
        ("none", "--negatives none"),
        ("riesz", "--negatives riesz --s 0"),
        ("learned", "--negatives learned --adapter @/adversary/best"),
        (
            "mixed",
            "--negatives learned --adapter @/adversary/best --lambda 0.1",
        ),
    ] {
        let log = good("align", out, &format!("--model @/flow/best --rank 2 {rest}"));
        assert_eq!(log.contains("riesz_cosine"), rest.contains("learned"), "{log}");
        assert!(log.contains("accuracy") && log.contains("loser_energy"), "{log}");
    }
    good(
        "distill",
        "fast",
        "--model @/learned/best --to 2 --teacher-steps 2",
    );
    let upscale = |out: &str, mode: &str| {
        let words =
            format!("upscale @/val/v.png -o @/{out} --device cpu --weights @/fast/best --mode {mode}");
        let run = line(folder.path(), &words);
        assert!(run.status.success(), "{}", text(&run));
        fs::read(path(out)).unwrap()
    };
    assert_ne!(upscale("f.png", "fast"), upscale("q.png", "quality"));

    for (stage, rest, why) in [
        ("align", "--model @/flow/best --negatives learned", "--adapter"),
        (
            "align",
            "--model @/flow/best --negatives none --lambda 0.1",
            "--lambda",
        ),
        (
            "align",
            "--model @/flow/best --eps 3 --lambda 0.1",
            "cannot be used with",
        ),
        ("align", "--model @/nowhere", "nowhere"),
        (
            "align",
            "--model @/flow/best --negatives learned --adapter @/flow/best",
            "adapter_config.json",
        ),
        ("distill", "--model @/flow/best --to 5", "5"),
    ] {
        let run = train(stage, "bad", rest);
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{}",
            text(&run)
        );
    }
    let restorer = line(
        folder.path(),
        "train restorer --data @/data --val @/val --out @/r --steps 1 --batch 1 --patch 8 --channels 4 --blocks 1",
    );
    assert!(restorer.status.success(), "{}", text(&restorer));
    let run = train("align", "bad", "--model @/r/best");
    assert!(text(&run).contains("has no flow"), "{}", text(&run));
}

/// All stages from one file: a model comes out, what is finished is passed over, mistakes are named before any work.
#[test]
fn one_file_trains_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    let sizes = "channels = 8\nblocks = 1\n";
    let config = format!(
        "[common]\nsteps = 2\nval-every = 2\nbatch = 2\npatch = 8\n[restorer]\n{sizes}[flow]\n{sizes}sigma = 0.05\n\
         [adversary]\nrank = 2\n[align]\nnegatives = \"learned\"\nrank = 2\n[distill]\nto = 1\nsteps = 3\n\
         [export]\nid = \"mine\"\ncolour-anchor = 2\n"
    );
    let all = |config: &str, rest: &str| {
        fs::write(path("config.toml"), config).unwrap();
        line(
            folder.path(),
            &format!("train all --config @/config.toml --data @/data --out @/run {rest}"),
        )
    };
    for (from, to, why) in [
        (
            "val-every",
            "val-evry",
            "val-evry is not known here; is val-every meant?",
        ),
        ("[flow]", "[flwo]", "[flwo]"),
        ("rank = 2\n[distill]", "rank = [2]\n[distill]", "rank"),
        ("steps = 3", "steps = \"many\"", "many"),
        ("steps = 3", "perceptual = \"nowhere.pth\"", "nowhere.pth"),
        (
            "sigma = 0.05",
            "s = 2.99\nsigma = 0.05\ndevice = \"cuda\"",
            "[flow]",
        ),
        ("sigma = 0.05", "s = 9", "[flow] s = 9"),
        (
            "negatives = \"learned\"",
            "negatives = \"none\"\nlambda = 0.1",
            "[align]",
        ),
        (
            "rank = 2\n[align]",
            "rank = 2\nartefacts = \"data\"\n[align]",
            "data",
        ),
        ("[adversary]\nrank = 2\n", "", "[adversary]"),
        ("[restorer]", "[restorer", "config.toml"),
        ("colour-anchor = 2", "colour-anchor = 99", "[export]"),
        ("colour-anchor = 2", "output = \"data\"", "[export] output"),
    ] {
        let run = all(&config.replace(from, to), "");
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{why}: {}",
            text(&run)
        );
        assert!(!path("run").exists(), "{why}: nothing was begun");
    }
    for (stages, why) in [
        ("[adversary]\nmodel = \"asasr-x4-clean\"", "[export] needs"),
        ("[restorer]", "needs a section [flow]"),
    ] {
        let run = all(&format!("{stages}\nsteps = 2\n[export]\ncolour-anchor = 2\n"), "");
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{}",
            text(&run)
        );
    }
    let run = all(&config, "");
    assert!(run.status.success(), "{}", text(&run));
    let again = all(&config, "--resume");
    assert!(
        again.status.success() && text(&again).matches("done before").count() == 5,
        "{}",
        text(&again)
    );
    let changed = all(&config.replace("sigma = 0.05", "sigma = 0.06"), "--resume");
    assert!(
        !changed.status.success() && text(&changed).contains("--sigma 0.06 instead of 0.05"),
        "{}",
        text(&changed)
    );
    let model = fs::read_to_string(path("run/model/manifest.json")).unwrap();
    let model: serde_json::Value = serde_json::from_str(&model).unwrap();
    assert_eq!(
        (
            &model["id"],
            &model["networks"]["field"]["sampling"]["colour_anchor"]
        ),
        (&"mine".into(), &2.0.into())
    );
    // What stands on a flow that is another now is not taken for done.
    let flow = fs::read(path("run/flow/best/manifest.json")).unwrap();
    fs::write(path("run/flow/best/manifest.json"), [&flow[..], b"\n"].concat()).unwrap();
    let other = all(&config, "--resume");
    assert!(
        !other.status.success()
            && text(&other).contains("on another model")
            && text(&other).contains("run/adversary"),
        "{}",
        text(&other)
    );
    fs::write(path("run/flow/best/manifest.json"), flow).unwrap();
    for stage in ["restorer", "flow", "adversary", "align", "distill"] {
        let report = fs::read_to_string(path(&format!("run/{stage}/report.html"))).unwrap();
        assert!(
            report.contains("<svg") && report.contains("data:image/png;base64,"),
            "{stage}"
        );
        assert!(
            !report.contains("http"),
            "{stage}: the report needs nothing from elsewhere"
        );
    }
    photo(20, 16).save(path("p.png")).unwrap();
    for mode in ["instant", "fast", "quality"] {
        let words =
            format!("upscale @/p.png -o @/{mode}.png --device cpu --weights @/run/model --mode {mode}");
        let run = line(folder.path(), &words);
        assert!(run.status.success(), "{}", text(&run));
        assert_eq!(image::open(path(&format!("{mode}.png"))).unwrap().width(), 80);
    }
    // Back to the restorer's answer, whole or half the way.
    let at = |fidelity: &str| {
        let words = format!(
            "upscale @/p.png -o @/f{fidelity}.png --device cpu --weights @/run/model --mode fast --fidelity {fidelity}"
        );
        let run = line(folder.path(), &words);
        assert!(run.status.success(), "{}", text(&run));
        image::open(path(&format!("f{fidelity}.png"))).unwrap().to_rgb8()
    };
    let read = |name: &str| image::open(path(name)).unwrap().to_rgb8();
    let (mean, sample) = (read("instant.png"), read("fast.png"));
    assert_eq!((&at("1"), &at("0")), (&mean, &sample));
    assert_ne!(mean, sample);
    for ((m, s), half) in mean.iter().zip(sample.iter()).zip(at("0.5").iter()) {
        let between = f64::midpoint((*m).into(), (*s).into());
        // Beyond the range of eight bits a sample is cut off only after the mixing.
        assert!(
            (f64::from(*half) - between).abs() <= 1.0 || [0, 255].contains(s),
            "{m} {s} {half}"
        );
    }
}

#[test]
fn a_sweep_trains_and_scores_every_seed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    for sub in ["data", "val"] {
        fs::create_dir(path(sub)).unwrap();
    }
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    let config = "seeds = 2\nmode = \"fast\"\n[common]\nsteps = 2\nbatch = 2\npatch = 8\nval-every = 2\n\
        [[run]]\nname = \"base\"\nstage = \"flow\"\nscore = true\nonce = true\nchannels = 8\nblocks = 1\n\
        [[run]]\nname = \"enemy\"\nstage = \"adversary\"\nmodel = \"base\"\nrank = 2\n\
        [[run]]\nname = \"aligned\"\nstage = \"align\"\nscore = true\nmodel = \"base\"\nnegatives = \"learned\"\n\
        adapter = \"enemy\"\nboundary = \"periodic\"\nlearning-rate = 0.01\n\
        [[run]]\nname = \"supervised\"\nstage = \"align\"\nscore = true\nmodel = \"base\"\nnegatives = \"none\"\nbeta = 0\n\
        [[run]]\nname = \"white\"\nstage = \"flow\"\nscore = true\nsource-s = 0\nchannels = 8\nblocks = 1\n";
    fs::write(path("sweep.toml"), config).unwrap();
    let words = "train sweep --config @/sweep.toml --data @/data --val @/val --out @/out --commit 18b5445";
    let run = line(folder.path(), words);
    assert!(run.status.success(), "{}", text(&run));
    let read = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(path("out/sweep.json")).unwrap()).unwrap()
    };
    let report = read();
    assert_eq!(report["commit"], "18b5445");
    let names: Vec<&str> = report["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["base", "aligned", "supervised", "white"]);
    let of = |name: usize, what: &str| report["runs"][name][what]["psnr_y"].as_f64();
    assert_eq!(
        (
            report["runs"][0]["seeds"].as_array().unwrap().len(),
            of(0, "deviation")
        ),
        (1, None)
    );
    let seeds: Vec<f64> = (0..2)
        .map(|i| report["runs"][1]["seeds"][i]["means"]["psnr_y"].as_f64().unwrap())
        .collect();
    assert_ne!(seeds[0], seeds[1], "seeds differ");
    assert!((of(1, "mean").unwrap() - f64::midpoint(seeds[0], seeds[1])).abs() < 1e-9);
    assert!((of(1, "deviation").unwrap() - (seeds[0] - seeds[1]).abs() / 2f64.sqrt()).abs() < 1e-9);
    // The white source is another noise for the same field.
    let manifest = |run: &str| -> serde_json::Value {
        let text = fs::read(path(&format!("out/{run}/seed-0/best/manifest.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(
        (
            &manifest("white")["networks"]["field"]["sampling"]["s"],
            &manifest("base")["networks"]["field"]["sampling"]["s"]
        ),
        (&0.0.into(), &1.5.into())
    );
    assert!(
        manifest("aligned")["networks"]["field"]["training"]["command"]
            .to_string()
            .contains("--boundary periodic")
    );

    // Nothing is done twice; what was lost is done again.
    fs::remove_file(path("out/white/seed-1/scores.json")).unwrap();
    let again = line(folder.path(), &format!("{words} --resume"));
    assert!(again.status.success(), "{}", text(&again));
    assert_eq!(text(&again).matches("done before").count(), 1 + 4 * 2);
    assert_eq!(text(&again).matches("is scored").count(), 1);
    assert_eq!(read()["runs"], report["runs"]);

    for (from, to, why) in [
        ("name = \"white\"", "name = \"base\"", "two runs are named"),
        ("name = \"white\"", "name = \"../white\"", "names a folder"),
        ("model = \"base\"", "model = \"bass\"", "asasr-x4-clean"),
        ("seeds = 2", "seeds = 0", "at least 1"),
        (
            "rank = 2",
            "rank = 2\nscore = true",
            "no model that could be scored",
        ),
        ("source-s = 0", "source-s = 9", "not within"),
        ("once = true", "once = 1", "neither true nor false"),
        ("[[run]]", "[run]", "sweep.toml"),
    ] {
        fs::write(path("sweep.toml"), config.replacen(from, to, 1)).unwrap();
        let run = line(folder.path(), &words.replace("@/out", "@/other"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{to}: {}",
            text(&run)
        );
    }
    assert!(!path("other").exists(), "what is refused leaves nothing");
}

#[test]
fn the_documented_recipes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("empty")).unwrap();
    for recipe in ["small", "full"] {
        let config = format!("{}/../docs/recipes/{recipe}.toml", env!("CARGO_MANIFEST_DIR"));
        let run = line(
            folder.path(),
            &format!("train all --config {config} --data @/empty --out @/run"),
        );
        // Every key is known; it is the empty folder, or the missing CUDA, that stops them.
        assert!(
            text(&run).contains("no images here")
                || text(&run).contains("CUDA")
                || text(&run).contains("NVIDIA"),
            "{}",
            text(&run)
        );
    }
    // Sweeps build on models that ship.
    for recipe in ["ablation", "alignment"] {
        let config = format!("{}/../docs/recipes/{recipe}.toml", env!("CARGO_MANIFEST_DIR"));
        let run = line(
            folder.path(),
            &format!("train sweep --config {config} --data @/empty --val @/empty --out @/run"),
        );
        assert!(text(&run).contains("no images here"), "{}", text(&run));
    }
}

#[test]
fn models_and_results_are_scored_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    for sub in ["data", "exact", "small", "few"] {
        fs::create_dir(path(sub)).unwrap();
    }
    for (name, w, h) in [("one", 120, 96), ("two", 97, 130)] {
        photo(w, h).save(path(&format!("data/{name}.png"))).unwrap();
        let truth = photo(w, h).view(0, 0, w / 4 * 4, h / 4 * 4).to_image();
        truth.save(path(&format!("exact/{name}-x4.png"))).unwrap();
        photo(w / 2, h / 2)
            .save(path(&format!("small/{name}.png")))
            .unwrap();
    }
    photo(120, 96).save(path("few/one.png")).unwrap();

    let outputs = "--csv @/e.csv --json @/e.json --html @/e.html --sheet @/e.png";
    let run = line(
        folder.path(),
        &format!(
            "eval --data @/data --results Truth=@/exact --weights asasr-x4-clean --mode instant --device cpu {outputs}"
        ),
    );
    assert!(run.status.success(), "{}", text(&run));
    let table = String::from_utf8(run.stdout).unwrap();
    for word in [
        "2 images", "bicubic", "Truth", "instant", "PSNR-Y", "SSIM-Y", "LSD", "consist.",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path("e.json")).unwrap()).unwrap();
    assert_eq!(json["images"], serde_json::json!(["one.png", "two.png"]));
    let mean = |method: usize, key: &str| json["methods"][method]["means"][key].as_f64().unwrap();
    // The truth itself is met in every metric, and bicubic gains nothing over itself.
    for (key, best) in [
        ("psnr_y", 100.0),
        ("ssim_y", 1.0),
        ("lsd", 0.0),
        ("hs_1", 0.0),
        ("consistency", 100.0),
    ] {
        assert!((mean(1, key) - best).abs() < 1e-9, "{key}: {}", mean(1, key));
    }
    assert_eq!(mean(0, "psnr_y_gain"), 0.0);
    assert!(mean(2, "psnr_y") > mean(0, "psnr_y") && mean(2, "mp_per_s") > 0.0);
    assert_eq!(json["methods"][2]["model"]["mode"], "instant");
    let of_images: f64 = (0..2)
        .map(|i| json["methods"][2]["images"][i]["psnr_y"].as_f64().unwrap())
        .sum();
    assert!((of_images / 2.0 - mean(2, "psnr_y")).abs() < 1e-9);
    assert!(
        !json.to_string().contains(folder.path().to_str().unwrap()),
        "no folder is published"
    );
    let csv = fs::read_to_string(path("e.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 3);
    assert!(csv.starts_with("image,method,psnr_y,"));
    let page = fs::read_to_string(path("e.html")).unwrap();
    assert_eq!(page.matches("<h3>").count(), 2);
    assert_eq!(page.matches("<img").count(), 2 * (2 + 3 + 3));
    // Input, truth, bicubic, the results of truths, instant.
    let sheet = image::open(path("e.png")).unwrap().to_rgb8();
    assert_eq!(sheet.dimensions(), (4 + 5 * 100, 4 + 2 * 100));
    let column = |i: u32| sheet.view(4 + i * 100, 4, 96, 96).to_image();
    // The input's pixels, each four by four.
    let (input, truth) = (column(0), column(1));
    assert!((0..96).all(|i| input.get_pixel(i, 5) == input.get_pixel(i / 4 * 4, 4)));
    assert_ne!(input, truth);
    assert_eq!(truth, column(3));
    assert_ne!(column(2), column(4));

    // A page is made of it, with goals, a comment and a chart; and tables of other pages are renewed.
    fs::create_dir(path("results")).unwrap();
    fs::copy(path("e.json"), path("results/clean.json")).unwrap();
    fs::write(path("results/clean.md"), "A remark.\n").unwrap();
    let goal = |metric: &str, rest: &str| {
        format!(
            "[[goal]]\ntext = \"{metric} {rest}\"\nresults = \"clean\"\nmetric = \"{metric}\"\nof = \"bicubic\"\n{rest}\n"
        )
    };
    let goals = [
        goal("psnr_y", "than = 'Truth'\nreason = 'nothing is'")
            .replace("\nreason = 'nothing is'\"", "\"")
            .replace("text = \"psnr_y than = 'Truth'\"", "text = \"as the truth\""),
        goal("lsd", "value = 1000").replace("lsd value", "a low LSD, value"),
        goal("lsd", "value = 1000\nby = 999").replace("\"lsd value = 1000\nby = 999\"", "\"lower by far\""),
    ];
    let name = json["images"][1].as_str().unwrap();
    let some = format!("[some]\ntitle = \"One alone\"\nimages = [{name:?}]\n");
    fs::write(path("results/goals.toml"), some + &goals.concat()).unwrap();
    fs::write(
        path("page.md"),
        "Before.\n<!-- results clean: Truth; bicubic -->\nold\n<!-- end -->\nAfter.\n",
    )
    .unwrap();
    let run = line(
        folder.path(),
        "results @/results -o @/RESULTS.md --insert @/page.md",
    );
    assert!(run.status.success(), "{}", text(&run));
    let page = fs::read_to_string(path("RESULTS.md")).unwrap();
    let bicubic = format!("{:.3}", mean(0, "psnr_y"));
    for part in [
        "## clean: protocol clean",
        "One alone:\n\n|",
        &format!(
            "| bicubic | {:.3} |",
            json["methods"][0]["images"][1]["psnr_y"].as_f64().unwrap()
        ),
        "2 images. asasr ",
        "| Truth | **100.000** |",
        &format!("| as the truth | {bicubic} against 100.000; 0 of 2 images | missed: nothing is |"),
        "against 1000.000; 2 of 2 images | met |",
        "against 1000.000 - 999.000; 0 of 2 images | missed |",
        "on so many of the 2 images: 0 (0) beside Truth, 0 (0) beside asasr-x4-clean instant.",
        "A remark.",
        "(images/results-clean.svg)",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        fs::read_to_string(path("images/results-clean.svg"))
            .unwrap()
            .contains("polyline")
    );
    let page = fs::read_to_string(path("page.md")).unwrap();
    assert!(
        page.contains("| Truth | **100.000** |")
            && page.contains("| bicubic | ")
            && !page.contains("instant"),
        "{page}"
    );
    assert!(
        page.starts_with("Before.\n") && page.ends_with("<!-- end -->\nAfter.\n") && !page.contains("old")
    );
    fs::create_dir(path("wrong")).unwrap();
    fs::copy(path("e.json"), path("wrong/clean.json")).unwrap();
    let misspelt = "[some]\ntitle = \"One\"\nimages = [\"won.png\"]\n[[goal]]\ntext = \"any\"\nresults = \"clean\"\nmetric = \"lsd\"\nof = \"bicubic\"\nvalue = 1\n";
    fs::write(path("wrong/goals.toml"), misspelt).unwrap();
    for (words, why) in [
        ("results @/wrong -o @/R.md", "all images of [some]: won.png"),
        ("results @/data -o @/R.md", "no results are here"),
        (
            "results @/results -o @/R.md --insert @/RESULTS.md",
            "it has no mark",
        ),
    ] {
        let run = line(folder.path(), words);
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
    }

    // Folders alone run no model; inputs may be given.
    let pairs = line(
        folder.path(),
        "degrade --data @/data --out @/pairs --protocol real-mild",
    );
    assert!(pairs.status.success(), "{}", text(&pairs));
    let given = "eval --data @/pairs/hq --inputs @/pairs/lq --protocol real-mild --results @/exact";
    let run = line(folder.path(), given);
    let table = String::from_utf8(run.stdout).unwrap();
    assert!(table.contains("exact") && !table.contains("instant"), "{table}");
    assert!(
        !table.contains("consist."),
        "not of a protocol whose reduction is unknown: {table}"
    );

    restorer_alone(&folder.path().join("alone"));
    for (words, why) in [
        ("eval --data @/data --results @/few", "no image named two"),
        ("eval --data @/data --results @/small", "60x48 pixels"),
        ("eval --data @/data --inputs @/exact", "120x96 pixels"),
        ("eval --data @/data --lpips @/e.csv", "e.csv"),
        ("eval --data @/data --json @/none/e.json", "does not exist"),
        (
            "eval --data @/data --weights @/alone --mode quality",
            "has no flow",
        ),
        (
            "eval --data @/data --weights asasr-x4-none",
            "nor a folder, nor a built-in model",
        ),
        (
            "eval --data @/data --weights @/alone/manifest.json",
            "the folder of its manifest.json",
        ),
        ("eval --data @/none", "no such folder"),
        ("eval --data @/e.csv", "not a folder"),
        ("eval --data @/data --inputs @/none", "no such folder"),
        ("eval --data @/data --results @/none", "no such folder"),
        (
            "eval --data @/data --results @/exact --speed other=1",
            "no --results are named other",
        ),
    ] {
        let run = line(folder.path(), words);
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{words}: {}",
            text(&run)
        );
    }
}

#[test]
fn a_pack_keeps_its_size_and_trains_like_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data/deep")).unwrap();
    // Noise, which JPEG cannot make small.
    let noisy = RgbImage::from_fn(800, 600, |x, y| {
        let hash = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761);
        Rgb([(hash >> 24) as u8, (hash >> 16) as u8, (hash >> 8) as u8])
    });
    for name in ["data/one.png", "data/two.png", "data/deep/one.png"] {
        noisy.save(path(name)).unwrap();
    }
    let pack = |size: u32| {
        let run = line(
            folder.path(),
            &format!("pack @/data -o @/p{size}.tar --max-size {size}"),
        );
        assert!(run.status.success(), "{}", text(&run));
        let bytes = fs::metadata(path(&format!("p{size}.tar"))).unwrap().len();
        assert!(bytes <= u64::from(size) * 1_000_000, "{bytes}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    assert!(pack(10).starts_with("3 of 3"));
    assert!(pack(1).contains("of 3"));
    let train = |data: &str, out: &str| {
        let words = format!(
            "train restorer --data @/{data} --out @/{out} --steps 2 --batch 2 --patch 8 --channels 4 --blocks 1"
        );
        line(folder.path(), &words)
    };
    let run = train("p10.tar", "run");
    assert!(run.status.success(), "{}", text(&run));
    fs::write(
        path("broken.tar"),
        b"not an archive at all, but long enough to look for a header",
    )
    .unwrap();
    let run = train("broken.tar", "bad");
    assert!(
        !run.status.success() && text(&run).contains("broken.tar"),
        "{}",
        text(&run)
    );
}

#[test]
fn the_benchmark_prints_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let run = line(
        folder.path(),
        "bench train --channels 8 --blocks 1 --batch 1 --patch 8 --rounds 1 --protocol real-mild",
    );
    assert!(run.status.success(), "{}", text(&run));
    let out = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(out.contains("GFLOP/s") && out.lines().count() >= 5, "{out}");
}

/// Workers that share a step, low precision, checkpoints by count and by score, and going on from an older one.
#[test]
fn work_is_shared_and_checkpoints_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    fs::create_dir_all(path("val")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    let train = |out: &str, rest: &str| {
        let words = format!(
            "train flow --data @/data --val @/val --out @/{out} --steps 6 --val-every 1 --batch 2 --patch 8 --channels 8 \
             --blocks 1 {rest}"
        );
        line(folder.path(), &words)
    };
    let good = |out: &str, rest: &str| {
        let run = train(out, rest);
        assert!(run.status.success(), "{}", text(&run));
        fs::read(path(&format!("{out}/checkpoint.safetensors"))).unwrap()
    };
    let log = |out: &str| fs::read_to_string(path(&format!("{out}/metrics.jsonl"))).unwrap();

    // Two workers with a batch each are one with two batches.
    let alone = good("alone", "--accumulate 2 --keep 3");
    let tensors = |bytes: &[u8]| -> Vec<_> {
        let file = asasr_core::model::Weights::from_safetensors(bytes).unwrap();
        file.iter().map(|(n, t)| (n.clone(), t.clone())).collect()
    };
    assert_eq!(tensors(&alone), tensors(&good("shared", "--devices 2")));
    let constant = good("constant", "--devices 2 --schedule constant --warm-up 2");
    assert_ne!(tensors(&alone), tensors(&constant));
    assert!(log("alone").contains("loss_sobolev") && log("alone").contains("memory_mb"));
    let last = |n: u64| format!("step-{n:08}.safetensors");
    assert_eq!(
        names(&path("alone/checkpoints")),
        ["best.safetensors".to_owned(), last(4), last(5), last(6)]
    );
    assert_eq!(names(&path("shared/checkpoints")).len(), 3);
    let again = good(
        "alone",
        &format!(
            "--accumulate 2 --keep 3 --resume --from @/alone/checkpoints/{}",
            last(4)
        ),
    );
    assert_eq!(alone, again, "an older checkpoint leads to the same end");
    // What came after the one gone back to is forgotten, though its numbers are higher.
    good(
        "alone",
        &format!(
            "--accumulate 2 --keep 1 --resume --stop-after 5 --from @/alone/checkpoints/{}",
            last(4)
        ),
    );
    assert_eq!(
        names(&path("alone/checkpoints")),
        ["best.safetensors".to_owned(), last(5)]
    );
    let steps: Vec<u64> = log("alone")
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["step"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    // One thread is enough for several workers.
    let words = "train flow --data @/data --val @/val --out @/thread --steps 1 --batch 2 --patch 8 --channels 8 --blocks 1 \
                 --devices 2"
        .replace('@', folder.path().to_str().unwrap());
    let run = Command::new(env!("CARGO_BIN_EXE_asasr"))
        .args(words.split_whitespace())
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run));

    // A file of another version, and other options, are told.
    let file = asasr_core::model::Weights::from_safetensors(&alone).unwrap();
    let mut old = asasr_core::model::Weights::default();
    file.iter().for_each(|(n, t)| old.insert(n.clone(), t.clone()));
    fs::write(
        path("old.safetensors"),
        old.to_safetensors(asasr_core::model::Dtype::F32).unwrap(),
    )
    .unwrap();
    let run = train("alone", "--resume --from @/old.safetensors");
    assert!(
        !run.status.success() && text(&run).contains("format 1"),
        "{}",
        text(&run)
    );
    let run = train("alone", "--accumulate 2 --seed 9 --resume");
    assert!(
        run.status.success() && text(&run).contains("--seed 9 instead of 0"),
        "{}",
        text(&run)
    );

    let final_loss = |out: &str| -> f64 {
        let log = log(out);
        let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        line["loss"].as_f64().unwrap()
    };
    // Steps that are long enough for the network to have its say.
    let fast = "--devices 2 --warm-up 0 --learning-rate 0.01";
    good("full", fast);
    let full = final_loss("full");
    for precision in ["bf16", "f16"] {
        good(precision, &format!("{fast} --precision {precision}"));
        let low = final_loss(precision);
        assert!(
            low != full && (low - full).abs() < 0.02 * full,
            "{precision}: {low} {full}"
        );
        let dit = line(
            folder.path(),
            &format!(
                "train flow --data @/data --val @/val --out @/dit-{precision} --steps 2 --batch 1 --patch 8 --backbone dit \
                 --channels 32 --blocks 1 --precision {precision}"
            ),
        );
        assert!(dit.status.success(), "{}", text(&dit));
        let export = fs::read_to_string(path(&format!("{precision}/best/manifest.json"))).unwrap();
        let options = format!("--learning-rate 0.01 --warm-up 0 --devices 2 --precision {precision}");
        assert!(export.contains(&options), "{export}");
    }
    for (rest, why) in [
        ("--from @/alone/checkpoints/best.safetensors", "--resume"),
        ("--perceptual @/nowhere.pth", "nowhere.pth"),
        ("--perceptual @/data/one.png", "one.png"),
        ("--perceptual-weight 1", "--perceptual"),
        ("--device wgpu", "train-wgpu"),
        ("--resume", "no checkpoint"),
    ] {
        let run = train("bad", rest);
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{rest}: {}",
            text(&run)
        );
        assert!(!text(&run).contains("panicked"), "{}", text(&run));
    }
}

/// Every file is written whole beside the old one: when the disk is full, the old checkpoint is as it was.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    let words = "train restorer --data @/data --out @/run --steps 4 --val-every 2 --batch 2 --patch 8";
    let run = line(folder.path(), &format!("{words} --stop-after 2"));
    assert!(run.status.success(), "{}", text(&run));
    let checkpoint = || fs::read(path("run/checkpoint.safetensors")).unwrap();
    let before = checkpoint();
    // A limit on the size of files stands in for the full disk; the restorer's checkpoint is several megabytes.
    let program = env!("CARGO_BIN_EXE_asasr");
    let words = words.replace('@', folder.path().to_str().unwrap());
    let run = Command::new("sh")
        .args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f 1000; exec {program} {words} --resume"),
        ])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(
        text(&run).contains("checkpoint.safetensors") && text(&run).contains("cannot be written"),
        "{}",
        text(&run)
    );
    assert!(before == checkpoint(), "the old checkpoint is as it was");
    let run = line(
        folder.path(),
        &format!("{} --resume", words.replace(folder.path().to_str().unwrap(), "@")),
    );
    assert!(run.status.success(), "{}", text(&run));
    assert!(before != checkpoint());
    let left = names(&path("run"));
    assert!(!left.iter().any(|n| n.starts_with(".asasr")), "{left:?}");
}

/// An adversary learns from what real upscalers made, and what does not fit is named.
#[test]
fn an_adversary_learns_from_results_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    let sizes = "--steps 2 --val-every 2 --batch 2 --patch 8";
    for words in [
        format!("train flow --data @/data --out @/flow --channels 8 --blocks 1 {sizes}"),
        "degrade --data @/data --out @/pairs".to_owned(),
        "upscale @/pairs/lq/one.png @/pairs/lq/two.png -o @/made --device cpu".to_owned(),
    ] {
        let run = line(folder.path(), &words);
        assert!(run.status.success(), "{words}: {}", text(&run));
    }
    let train = |out: &str, rest: &str| {
        let words = format!(
            "train adversary --data @/data --out @/{out} --model @/flow/best --rank 2 {sizes} --artefacts @/pairs {rest}"
        );
        line(folder.path(), &words)
    };
    let run = train("none", "");
    assert!(
        !run.status.success() && text(&run).contains("hq and lq"),
        "{}",
        text(&run)
    );
    fs::create_dir_all(path("pairs/sharp")).unwrap();
    fs::copy(path("made/one-x4.png"), path("pairs/sharp/one.png")).unwrap();
    fs::copy(path("pairs/lq/two.png"), path("pairs/sharp/two.png")).unwrap();
    let run = train("adversary", "");
    assert!(run.status.success(), "{}", text(&run));
    assert!(
        text(&run).contains("1 results of 1 upscalers") && text(&run).contains("not 4 times the size"),
        "{}",
        text(&run)
    );
    let words = format!("train adversary --data @/data --out @/plain --model @/flow/best --rank 2 {sizes}");
    assert!(line(folder.path(), &words).status.success());
    let read = |n: &str| fs::read(path(&format!("{n}/checkpoint.safetensors"))).unwrap();
    assert_ne!(read("adversary"), read("plain"));
}

/// What the stages made becomes one model, with as much of the adapter as asked for.
#[test]
fn stages_are_exported_as_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    photo(20, 16).save(path("p.png")).unwrap();
    let good = |words: &str| {
        let run = line(folder.path(), words);
        assert!(run.status.success(), "{words}: {}", text(&run));
        run
    };
    let sizes = "--data @/data --steps 3 --val-every 3 --batch 2 --patch 8";
    good(&format!(
        "train flow {sizes} --out @/flow --channels 8 --blocks 1 --learning-rate 0.01"
    ));
    good(&format!(
        "train align {sizes} --out @/align --model @/flow/best --rank 2 --learning-rate 0.1"
    ));
    good(&format!(
        "train distill {sizes} --out @/fast --model @/flow/best --to 1 --teacher-steps 2"
    ));
    let export = |out: &str, rest: &str| {
        good(&format!(
            "train export --model @/flow/best -o @/{out} --id mine --licence CC0-1.0 {rest}"
        ));
        let words = format!("upscale @/p.png -o @/{out}.png --device cpu --weights @/{out} --mode quality");
        good(&words);
        fs::read(path(&format!("{out}.png"))).unwrap()
    };
    let whole = export("whole", "--adapter @/align/best/adapter --fast @/fast/best");
    let manifest = fs::read_to_string(path("whole/manifest.json")).unwrap();
    assert!(
        manifest.contains("\"mine\"")
            && manifest.contains("CC0-1.0")
            && manifest.contains("fast.safetensors")
    );
    good("upscale @/p.png -o @/f.png --device cpu --weights @/whole --mode fast");
    let without = export(
        "without",
        "--adapter @/align/best/adapter --strength 0 --dtype f32",
    );
    let plain = export("plain", "");
    assert_eq!(without, plain, "an adapter of strength 0 changes nothing");
    assert_ne!(whole, plain);
    good(&format!(
        "train flow {sizes} --out @/more-flow --init @/flow/best"
    ));
    let shares = [0.0, 0.5, 1.0].map(|share| {
        let rest = format!("--flow @/more-flow/best --share {share}");
        export(&format!("share{share}"), &rest)
    });
    assert_eq!(shares[0], plain, "nothing of the other flow");
    assert_ne!(shares[1], shares[0]);
    assert_ne!(shares[1], shares[2]);
    let anchored = export("anchored", "--colour-anchor 2");
    assert_ne!(anchored, plain);
    let stays = "train align --data @/data --steps 3 --val-every 3 --batch 2 --patch 8 --rank 2";
    good(&format!("{stays} --out @/on --model @/anchored"));
    let manifest = |n: &str| fs::read_to_string(path(&format!("{n}/manifest.json"))).unwrap();
    assert!(manifest("on/best").contains("\"colour_anchor\": 2.0"));
    good("train export --model @/anchored -o @/loose --colour-anchor 0");
    assert!(!manifest("loose").contains("colour_anchor"));
    let refused = line(
        folder.path(),
        "train export --model @/flow/best -o @/x --colour-anchor 0.1",
    );
    assert!(
        text(&refused).contains("not within 0.8 to 16"),
        "{}",
        text(&refused)
    );
    let bytes = |n: &str| {
        fs::metadata(path(&format!("{n}/flow.safetensors")))
            .unwrap()
            .len()
    };
    assert!(bytes("without") > 3 * bytes("plain") / 2);

    good(&format!(
        "train restorer {sizes} --out @/other --channels 8 --blocks 1"
    ));
    let refused = line(
        folder.path(),
        "train export --model @/other/best -o @/x --colour-anchor 1",
    );
    assert!(text(&refused).contains("no flow to anchor"), "{}", text(&refused));
    good(&format!(
        "train flow {sizes} --out @/stranger --restorer @/other/best --channels 8 --blocks 1"
    ));
    // A run may begin with the weights of another, and then has its architecture and source.
    good(&format!(
        "train restorer {sizes} --out @/more --init @/other/best"
    ));
    good(&format!(
        "train flow {sizes} --out @/flow-more --init @/stranger/best"
    ));
    let kept = |n: &str| fs::read(path(&format!("{n}/best/restorer.safetensors"))).unwrap();
    assert_eq!(kept("flow-more"), kept("stranger"));
    assert_ne!(kept("flow-more"), kept("flow"));
    for (rest, why) in [
        ("--init @/other/best", "has no flow"),
        ("--init @/flow/best --sigma 0.2", "--local-slope"),
        ("--init @/flow/best --least-sigma 0.01", "--local-slope"),
        ("--init @/flow/best --rho 0.1", "--rho"),
    ] {
        let run = line(folder.path(), &format!("train flow {sizes} --out @/bad {rest}"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{}",
            text(&run)
        );
    }
    good("train export --model @/flow/best --local-slope 0.6 -o @/local");
    let local = fs::read_to_string(path("local/manifest.json")).unwrap();
    for part in [
        "\"local_posterior_mean\"",
        "; asasr train export --model best --output local --local-slope 0.6\"",
    ] {
        assert!(local.contains(part), "{local}");
    }
    good(&format!(
        "train flow {sizes} --out @/flow-local --init @/local --sigma 0.2 --blurred 0.5"
    ));
    let local = fs::read_to_string(path("flow-local/best/manifest.json")).unwrap();
    for part in ["\"slope\": 0.6", "\"sigma\": 0.2", "--blurred 0.5"] {
        assert!(local.contains(part), "{local}");
    }
    let merged = fs::read_to_string(path("whole/manifest.json")).unwrap();
    assert!(
        merged.contains(
            "; asasr train export --model best --output whole --adapter adapter --fast best --id mine"
        ),
        "{merged}"
    );

    for (rest, why) in [
        ("--flow @/stranger/best", "another restorer"),
        ("--fast @/flow/best", "no distilled flow"),
        ("--flow @/flow", "flow/best meant"),
        ("--adapter @/whole", "no adapter is here"),
        ("--id a/b", "letters"),
        ("-o @/whole", "a model is here already"),
        ("--model @/other/best --fast @/fast/best", "no flow beside"),
        ("--model @/other/best --local-slope 0.6", "no flow whose source"),
        ("--strength 0.5", "--adapter"),
        ("--adapter @/flow/best", "adapter_config.json"),
    ] {
        let run = line(
            folder.path(),
            &if rest.contains("--model") {
                format!("train export -o @/bad {rest}")
            } else if rest.contains("-o ") {
                format!("train export --model @/flow/best {rest}")
            } else {
                format!("train export --model @/flow/best -o @/bad {rest}")
            },
        );
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{rest}: {}",
            text(&run)
        );
        assert!(!path("bad").exists());
    }
}

/// The perceptual term is part of the loss, with weights from a safetensors file.
#[test]
fn a_perceptual_term_joins_the_loss() {
    use asasr_core::model::{Dtype, Tensor, Weights};

    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(90, 120).save(path("data/two.png")).unwrap();
    let mut weights = Weights::default();
    let mut put = |name: String, shape: Vec<usize>| {
        let n: usize = shape.iter().product();
        let values = (0..n)
            .map(|i| 0.05 + 0.1 * ((i * 37 % 19) as f32 / 19.0))
            .collect();
        weights.insert(name, Tensor { shape, values });
    };
    put("scaling_layer.shift".into(), vec![1, 3, 1, 1]);
    put("scaling_layer.scale".into(), vec![1, 3, 1, 1]);
    put("net.slice2.5.filt".into(), vec![4, 1, 3, 3]);
    let mut inputs = 3;
    for (slice, numbers) in [
        vec![0, 2],
        vec![6, 8],
        vec![12, 14, 16],
        vec![20, 22, 24],
        vec![28, 30, 32],
    ]
    .into_iter()
    .enumerate()
    {
        for number in numbers {
            put(
                format!("net.slice{}.{number}.weight", slice + 1),
                vec![4, inputs, 3, 3],
            );
            put(format!("net.slice{}.{number}.bias", slice + 1), vec![4]);
            inputs = 4;
        }
        put(format!("lin{slice}.model.1.weight"), vec![1, 4, 1, 1]);
    }
    fs::write(
        path("vgg.safetensors"),
        weights.to_safetensors(Dtype::F32).unwrap(),
    )
    .unwrap();
    let sizes = "--data @/data --steps 2 --val-every 2 --batch 2 --patch 8 --channels 8 --blocks 1";
    for (stage, out, rest) in [
        ("restorer", "restorer", ""),
        ("flow", "flow", ""),
        ("flow", "rollout", "--rollout 3"),
        ("distill", "distill", "--model @/flow/best"),
        ("align", "align", "--model @/flow/best --rollout 3"),
    ] {
        let sizes = if rest.contains("--model") {
            sizes.replace("--channels 8 --blocks 1", "")
        } else {
            sizes.into()
        };
        let words = format!(
            "train {stage} {sizes} --out @/{out} --perceptual @/vgg.safetensors --perceptual-weight 0.5 {rest}"
        );
        let run = line(folder.path(), &words);
        assert!(run.status.success(), "{}", text(&run));
        let log = fs::read_to_string(path(&format!("{out}/metrics.jsonl"))).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert!(line["loss_perceptual"].as_f64().unwrap() > 0.0, "{out}: {log}");
    }
    for out in ["rollout", "align"] {
        let manifest = fs::read_to_string(path(&format!("{out}/best/manifest.json"))).unwrap();
        assert!(
            manifest.contains("--rollout 3")
                && manifest.contains("--perceptual vgg.safetensors --perceptual-weight 0.5"),
            "{manifest}"
        );
    }
}

/// The shipped model without its flow, in a folder of its own.
fn restorer_alone(folder: &Path) {
    let shipped = asasr_weights::DEFAULT;
    let mut manifest = Manifest::from_json(shipped.manifest).unwrap();
    manifest.networks.retain(|role, _| *role == Role::Restorer);
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    let file = &manifest.restorer().unwrap().file;
    fs::write(folder.join(file), shipped.weights).unwrap();
}

#[test]
fn a_photo_that_is_cut_short_is_taken_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    photo(48, 64).save(path("whole.jpg")).unwrap();
    let bytes = fs::read(path("whole.jpg")).unwrap();
    fs::write(path("half.jpg"), &bytes[..bytes.len() * 2 / 3]).unwrap();
    let arguments =
        |name: &str| ["upscale", &path(name), "-o", &path("out.png"), "--device", "cpu"].map(String::from);
    let refused = arguments("half.jpg");
    let run = asasr(&refused.each_ref().map(String::as_str));
    assert!(
        !run.status.success() && text(&run).contains("of its 64 rows are there"),
        "{}",
        text(&run)
    );
    assert!(text(&run).contains("--shortened"), "{}", text(&run));
    let taken = [&refused[..], &["--shortened".into()]].concat();
    let run = asasr(&taken.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        run.status.success() && text(&run).contains("of its 64 rows are there"),
        "{}",
        text(&run)
    );
    assert_eq!(image::open(path("out.png")).unwrap().dimensions(), (192, 256));
}
