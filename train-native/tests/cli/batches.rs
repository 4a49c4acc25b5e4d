//! Many images at once, and places that do not take them: what is wrong is told before the work, and ends nothing else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::{line, names, photo, text};

/// A line before which nothing is computed.
const BEGINS: &str = " on CPU";

fn command(folder: &Path, inputs: &[&OsStr], output: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
    command
        .current_dir(folder)
        .arg("upscale")
        .args(["--device", "cpu", "--scale", "2", "-o", output]);
    command.arg("--").args(inputs);
    command
}

fn upscale(folder: &Path, inputs: &[&str], output: &str) -> Output {
    let inputs: Vec<&OsStr> = inputs.iter().map(OsStr::new).collect();
    command(folder, &inputs, output).output().unwrap()
}

/// A folder with small photos.
fn photos(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        photo(12, 9).save(folder.path().join(name)).unwrap();
    }
    folder
}

/// What compresses to nothing smaller.
fn noise(side: u32) -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(side, side, |_, _| {
        Rgb([(); 3].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    })
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A command whose text has no reader.
fn unread(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn text_that_nobody_takes_ends_nothing() {
    let inputs = ["a.png", "b.png", "c.png"];
    let results = ["a-x2.png", "b-x2.png", "c-x2.png"];
    let folder = photos(&inputs);
    let path = |n: &str| folder.path().join(n);
    let inputs = inputs.map(OsStr::new);
    let run = unread(&mut command(folder.path(), &inputs, "pipe"));
    assert!(
        run.status.success() && !text(&run).contains("panicked"),
        "{}",
        text(&run)
    );
    assert_eq!(names(&path("pipe")), results);
    let run = command(folder.path(), &inputs, "full")
        .stdout(full())
        .output()
        .unwrap();
    assert!(
        run.status.success() && !text(&run).contains("panicked"),
        "{}",
        text(&run)
    );
    assert_eq!(names(&path("full")), results);
    let run = command(folder.path(), &inputs, "mute")
        .stderr(full())
        .output()
        .unwrap();
    assert!(run.status.success(), "{:?}", run.status);
    assert_eq!(names(&path("mute")), results);

    // The other commands, with files to write and without.
    fs::create_dir(path("data")).unwrap();
    photo(64, 48).save(path("data/one.png")).unwrap();
    let asasr = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
        command.current_dir(folder.path()).args(words.split_whitespace());
        command
    };
    for words in [
        "degrade --data data --out pairs",
        "pack data -o pack.tar",
        "eval --data data --results mine=data --csv eval.csv",
    ] {
        let run = asasr(words).stdout(full()).output().unwrap();
        assert!(run.status.success(), "{words}: {}", text(&run));
        let run = unread(&mut asasr(words));
        assert!(run.status.success(), "{words}: {}", text(&run));
    }
    // Here the text is all there is.
    for words in ["eval --data data --results mine=data", "weights list store"] {
        fs::create_dir_all(path("store")).unwrap();
        let run = asasr(words).stdout(full()).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{words}: {}", text(&run));
        assert!(
            text(&run).contains("standard output could not be written"),
            "{}",
            text(&run)
        );
        let run = unread(&mut asasr(words));
        assert!(run.status.success(), "{words}: {}", text(&run));
    }
}

#[test]
fn places_are_checked_before_the_work() {
    let long = format!("{}.png", "x".repeat(250));
    let folder = photos(&["a.png", "good.png", &long]);
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("way/a-x2.png")).unwrap();
    fs::write(path("file"), "a file").unwrap();
    fifo(&path("pipe.png"));
    for (input, output, why) in [
        (long.as_str(), "new/in/another", "too long"),
        ("a.png", "way", "a folder is in the way"),
        ("a.png", "file/", "the folder cannot be made"),
        ("a.png", "file", "name a .png file, or a folder with / at its end"),
        ("a.png", "/proc/self", "no file can be written here"),
        ("a.png", "good.png/x.png", "cannot be written"),
        ("a.png", "none/x.png", "its folder does not exist"),
        ("a.png", "", "--output"),
        ("a.png", "pipe.png", "a pipe or a device is in the way"),
    ] {
        let run = upscale(folder.path(), &[input], output);
        let said = text(&run);
        assert!(!run.status.success() && said.contains(why), "{output}: {said}");
        assert!(!said.contains(BEGINS), "{output}: {said}");
    }
    assert!(!path("new").exists(), "a folder into which nothing came goes");

    // In company of one that can be done.
    let run = upscale(folder.path(), &[&long, "a.png", "good.png"], "way");
    let said = text(&run);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(names(&path("way")), ["a-x2.png", "good-x2.png"]);
    let begins = said.find(BEGINS).unwrap();
    assert!(
        said.find("too long").unwrap() < begins && said.find("in the way").unwrap() < begins,
        "{said}"
    );
    assert!(said.contains("2 of 3"), "{said}");
}

#[test]
fn one_bad_item_does_not_end_the_others() {
    let folder = photos(&["a.png", "a.bmp", "b.png", "line\nfeed.png"]);
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("sub/deep")).unwrap();
    fs::create_dir_all(path("out")).unwrap();
    fs::copy(path("a.png"), path("sub/a.png")).unwrap();
    fs::copy(path("a.png"), path(".png")).unwrap();
    symlink("loop.png", path("loop.png")).unwrap();
    symlink("nothing", path("dangling.png")).unwrap();
    fs::write(path("text.png"), "not an image").unwrap();
    fifo(&path("pipe.png"));
    let bad = [
        "loop.png",
        "dangling.png",
        "text.png",
        "pipe.png",
        "/dev/zero",
        "",
        "absent.png",
    ];
    let good = [
        "a.png",
        "a.bmp",
        "sub/a.png",
        "./b.png",
        "b.png",
        ".png",
        "line\nfeed.png",
        "out",
        "sub",
    ];
    let none = [&b"\xff.png"[..], b"\xfe.png"].map(OsStr::from_bytes);
    for name in none {
        fs::copy(path("a.png"), folder.path().join(name)).unwrap();
    }
    let all: Vec<&OsStr> = bad.iter().chain(&good).map(OsStr::new).chain(none).collect();
    let run = command(folder.path(), &all, "out").output().unwrap();
    let said = text(&run);
    assert_eq!(run.status.code(), Some(1), "{said}");
    for name in bad {
        let name = if name.is_empty() { "\"\"" } else { name };
        let told = |l: &str| l.starts_with(&format!("error: {name}: "));
        assert!(said.lines().any(told), "{name}: {said}");
    }
    // One named twice counts once, and folders are passed over.
    assert!(said.contains("7 of 15 images"), "{said}");
    for note in ["b.png: named twice", "out: ", "sub: a folder"] {
        assert!(said.contains(&format!("note: {note}")), "{note}: {said}");
    }
    assert!(said.contains("this result is a.bmp-x2.png"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let mut made: Vec<OsString> = fs::read_dir(path("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    made.sort();
    let expected = [
        &b".png-x2.png"[..],
        b"a-x2.png",
        b"a.bmp-x2.png",
        b"a.png-x2.png",
        b"b-x2.png",
        b"line\nfeed-x2.png",
        b"\xfe-x2.png",
        b"\xff-x2.png",
    ];
    assert_eq!(made, expected.map(OsStr::from_bytes));
    assert!(String::from_utf8_lossy(&run.stdout).contains("line\\nfeed-x2.png (24x18)"));
    for (result, input) in [
        ("a-x2.png", "a.png"),
        ("a.bmp-x2.png", "a.bmp"),
        ("a.png-x2.png", "sub/a.png"),
    ] {
        let own = upscale(folder.path(), &[input], "own.png");
        assert!(own.status.success());
        assert!(
            fs::read(path("own.png")).unwrap() == fs::read(path("out").join(result)).unwrap(),
            "{input}"
        );
    }
}

#[test]
fn standard_input_and_output() {
    let folder = photos(&["a.png", "b.png"]);
    let path = |n: &str| folder.path().join(n);
    assert!(upscale(folder.path(), &["a.png"], "a-file.png").status.success());
    let file = fs::read(path("a-file.png")).unwrap();
    let run = upscale(folder.path(), &["a.png"], "-");
    assert!(run.status.success() && run.stdout == file, "{}", text(&run));
    let piped = |inputs: &[&str], output: &str| {
        let inputs: Vec<&OsStr> = inputs.iter().map(OsStr::new).collect();
        let mut child = command(folder.path(), &inputs, output)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(&fs::read(path("a.png")).unwrap())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let run = piped(&["-"], "-");
    assert!(run.status.success() && run.stdout == file, "{}", text(&run));
    let run = piped(&["b.png", "-"], "out");
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(names(&path("out")), ["b-x2.png", "stdin-x2.png"]);
    assert!(fs::read(path("out/stdin-x2.png")).unwrap() == file);
    // As a shell's <(command).
    let run = piped(&["/dev/stdin"], "stdin.png");
    assert!(
        run.status.success() && fs::read(path("stdin.png")).unwrap() == file,
        "{}",
        text(&run)
    );

    let run = upscale(folder.path(), &["a.png", "b.png"], "-");
    assert!(
        !run.status.success() && run.stdout.is_empty() && text(&run).contains("one image"),
        "{}",
        text(&run)
    );
    // The image itself is lost here, which is no success; that nobody reads it on is no fault.
    let a = OsStr::new("a.png");
    let run = command(folder.path(), &[a], "-").stdout(full()).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(
        text(&run).contains("standard output") && text(&run).contains("No space left"),
        "{}",
        text(&run)
    );
    let run = unread(&mut command(folder.path(), &[a], "-"));
    assert!(
        run.status.success() && !text(&run).contains("error"),
        "{}",
        text(&run)
    );
    assert!(!path("-").exists());
}

/// Names of unfinished files.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|e| e.unwrap().path());
    let unfinished = |p: &PathBuf| p.file_name().unwrap().as_bytes().starts_with(b".asasr-");
    paths.filter(unfinished).collect()
}

#[test]
fn a_killed_run_is_swept_and_a_living_one_is_not() {
    let folder = photos(&["small.png", "other.png"]);
    let path = |n: &str| folder.path().join(n);
    photo(200, 150).save(path("large.png")).unwrap();
    // A run whose unfinished result is there, and what it says from then on.
    let begin = || {
        let before = unfinished(&path("out"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
        command.current_dir(folder.path()).stderr(Stdio::piped());
        let words = "upscale large.png -o out --scale 2 --device cpu --tile 16";
        let mut child = command.args(words.split(' ')).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(BEGINS) {
            assert!(
                said.read_line(&mut line).unwrap() > 0,
                "ended before it began: {line}"
            );
        }
        while unfinished(&path("out")).iter().all(|p| before.contains(p)) {
            assert!(child.try_wait().unwrap().is_none(), "ended before it began");
            thread::sleep(Duration::from_millis(5));
        }
        (child, said)
    };
    let (mut killed, _) = begin();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(unfinished(&path("out")).len(), 1);
    let (mut living, mut said) = begin();
    assert_eq!(
        unfinished(&path("out")).len(),
        1,
        "what the killed one left is gone"
    );
    let run = upscale(folder.path(), &["small.png", "other.png"], "out");
    assert!(run.status.success(), "{}", text(&run));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(living.wait().unwrap().success(), "{rest}");
    assert_eq!(
        names(&path("out")),
        ["large-x2.png", "other-x2.png", "small-x2.png"]
    );
}

#[test]
fn inputs_are_never_written_over() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    let path = |n: &str| folder.path().join(n);
    fs::create_dir(path("out")).unwrap();
    fs::hard_link(path("b.png"), path("out/a-x2.png")).unwrap();
    symlink("../a.png", path("out/b-x2.png")).unwrap();
    let before = ["a.png", "b.png"].map(|n| fs::read(path(n)).unwrap());
    let run = upscale(folder.path(), &["a.png", "b.png", "c.png"], "out");
    let said = text(&run);
    assert_eq!(run.status.code(), Some(1));
    for (input, other) in [("a.png", "b.png"), ("b.png", "a.png")] {
        let why = format!("{input}: its result would replace {other}");
        assert!(said.contains(&why), "{said}");
    }
    assert_eq!(before, ["a.png", "b.png"].map(|n| fs::read(path(n)).unwrap()));
    assert!(path("out/c-x2.png").is_file());
    // Nor are those that cannot be read.
    fs::write(path("out/a-x2.png.new"), "not an image").unwrap();
    fs::rename(path("out/a-x2.png.new"), path("out/a-x2.png")).unwrap();
    let run = upscale(folder.path(), &["a.png", "out/a-x2.png"], "out");
    assert_eq!(run.status.code(), Some(1));
    assert!(
        text(&run).contains("would replace out/a-x2.png"),
        "{}",
        text(&run)
    );
    assert_eq!(fs::read(path("out/a-x2.png")).unwrap(), b"not an image");
    // An older result is replaced, as `cp` would.
    fs::write(path("out/c-x2.png"), "old").unwrap();
    assert!(upscale(folder.path(), &["c.png"], "out").status.success());
    assert!(image::open(path("out/c-x2.png")).is_ok());
}

#[test]
fn a_model_is_checked_before_images() {
    let folder = photos(&["a.png"]);
    let cases = [
        ("--weights @/nowhere", "nowhere"),
        ("--mode fast --weights @/alone", "has no flow"),
        ("--fidelity 0.5", "--fidelity"),
    ];
    super::restorer_alone(&folder.path().join("alone"));
    for (rest, why) in cases {
        let run = line(
            folder.path(),
            &format!("upscale @/absent.png @/a.png -o @/out {rest}"),
        );
        let said = text(&run);
        assert!(!run.status.success() && said.contains(why), "{said}");
        assert!(!said.contains("absent.png"), "{said}");
        assert!(!folder.path().join("out").exists(), "{rest}");
    }
}

/// Runs a command line of a shell in `folder`; the program is `$asasr`.
fn shell(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", script]);
    command
        .env("asasr", env!("CARGO_BIN_EXE_asasr"))
        .output()
        .unwrap()
}

/// A limit on the size of files stands in for a disk with little room: here it has room for the second.
#[test]
fn an_image_that_finds_no_room_does_not_end_the_others() {
    let folder = photos(&["small.png"]);
    noise(120).save(folder.path().join("large.png")).unwrap();
    let run = shell(
        folder.path(),
        "ulimit -f 16; $asasr upscale large.png small.png -o out --scale 2 --device cpu",
    );
    assert_eq!(run.status.code(), Some(1), "{:?}: {}", run.status, text(&run));
    assert!(
        text(&run).contains("large-x2.png") && text(&run).contains("1 of 2"),
        "{}",
        text(&run)
    );
    assert_eq!(names(&folder.path().join("out")), ["small-x2.png"]);
}

#[test]
fn an_image_that_finds_no_memory_does_not_end_the_others() {
    let folder = photos(&["small.png"]);
    let path = |n: &str| folder.path().join(n);
    fs::copy("../codec/tests/claims-60000.png", path("huge.png")).unwrap();
    // What cannot be enough is told before the work.
    let run = shell(
        folder.path(),
        "ulimit -v 4000000; $asasr upscale huge.png small.png -o out --scale 2 --device cpu --max-megapixels 4000",
    );
    let said = text(&run);
    assert_eq!(run.status.code(), Some(1), "{:?}: {said}", run.status);
    assert!(
        said.contains("huge.png: it needs") && said.contains("of memory"),
        "{said}"
    );
    assert!(
        said.find("of memory").unwrap() < said.find(BEGINS).unwrap(),
        "{said}"
    );
    assert_eq!(names(&path("out")), ["small-x2.png"]);

    // What turns out not to be enough ends no other image.
    photo(1500, 1500).save(path("large.png")).unwrap();
    let run = shell(
        folder.path(),
        "ulimit -v 1200000; $asasr upscale large.png small.png -o tight --scale 2 --device cpu --tile 4096",
    );
    let said = text(&run);
    let made = names(&path("tight"));
    assert!(
        made.contains(&"small-x2.png".to_owned()),
        "{:?}: {said}",
        run.status
    );
    assert_eq!(made.len() == 2, run.status.success(), "{said}");
    assert!(made.len() == 2 || said.contains("error: large.png: "), "{said}");
}

#[test]
fn the_other_commands_check_their_outputs_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    for sub in ["pairs/hq", "data", "way", "blocked"] {
        fs::create_dir_all(path(sub)).unwrap();
    }
    photo(61, 50).save(path("pairs/hq/one.png")).unwrap();
    photo(64, 48).save(path("data/two.png")).unwrap();
    photo(64, 48).save(path("data/v1.2.png")).unwrap();
    photo(64, 48).save(path("data/v1.3.png")).unwrap();
    fs::write(path("data/broken.jpg"), "no").unwrap();
    fifo(&path("data/pipe.png"));
    fs::write(path("blocked/best"), "a file").unwrap();
    fs::write(path("key.pub.pem"), "another's").unwrap();
    let eval = "eval --data @/data --mode instant --device cpu";
    for (words, why) in [
        (format!("{eval} --csv @/way"), "a folder is in the way"),
        (format!("{eval} --csv @/x --json @/way/../x"), "two outputs"),
        (format!("{eval} --sheet @/data/two.png"), "images that are read"),
        (format!("{eval} --csv @/{}", "x".repeat(300)), "too long"),
        (format!("{eval} --weights @/nowhere"), "nowhere"),
        (
            "degrade --data @/pairs/hq --out @/pairs".into(),
            "images that are read",
        ),
        (
            "degrade --data @/data --out @/d --sheet @/way".into(),
            "a folder is in the way",
        ),
        ("pack @/data -o @/data/two.png".into(), "images that are read"),
        ("pack @/data -o @/way".into(), "a folder is in the way"),
        (
            "train restorer --data @/data --out @/blocked --steps 1".into(),
            "best: a file is in the way",
        ),
        ("weights keygen -o @/key.pem".into(), "exists already"),
    ] {
        let run = line(folder.path(), &words);
        let said = text(&run);
        assert!(!run.status.success() && said.contains(why), "{words}: {said}");
        assert!(
            !said.contains("broken.jpg"),
            "{words}: before an image is read: {said}"
        );
    }
    assert_eq!(image::open(path("pairs/hq/one.png")).unwrap().width(), 61);
    assert!(!path("key.pem").exists() && !path("x").exists());
    // Names with dots are whole names.
    let run = line(folder.path(), "degrade --data @/data --out @/dots");
    assert!(run.status.success(), "{}", text(&run));
    assert!(text(&run).contains("a pipe or a device"), "{}", text(&run));
    assert_eq!(names(&path("dots/lq")), ["two.png", "v1.2.png", "v1.3.png"]);
}
