//! JPEG against libjpeg-turbo, which browsers use: every file that its tools make is read as it reads it, or refused by
//! the name of its kind; and what is missing of a file is told.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::f64::consts::PI;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use asasr_codec::{Error, Note, Options, Picture, decode, decode_with};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;
use tempfile::TempDir;

const MAX: u64 = 1_000_000;
/// Least agreement with libjpeg-turbo, in dB.
const LEAST: f64 = 40.0;

/// The samples of a picture, a pixel after another.
fn samples(picture: &Picture, channels: usize) -> Vec<u8> {
    let planes = picture.all_planes();
    let area = picture.width() * picture.height();
    let sample = |i: usize| (255.0 * planes.plane(i % channels)[i / channels]).round() as u8;
    (0..area * channels).map(sample).collect()
}

/// Runs one of libjpeg-turbo's tools; none where it refuses.
fn tool(name: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(name);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = match command.spawn() {
        Err(e) if e.kind() == ErrorKind::NotFound => panic!(
            "{name} of libjpeg-turbo is not here: apt-get install libjpeg-turbo-progs, or `cargo xtask test`, which does"
        ),
        child => child.unwrap(),
    };
    // One that refuses its input may not read it to the end.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

/// A file of libjpeg-turbo's as its own decoder shows it: width, height, samples of a pixel and the samples.
fn shown(jpeg: &[u8]) -> Option<(usize, usize, usize, Vec<u8>)> {
    let pnm = tool("djpeg", &[], jpeg)?;
    let fields: Vec<&[u8]> = pnm.splitn(4, u8::is_ascii_whitespace).collect();
    let [kind, width, height, rest] = fields[..] else {
        panic!("djpeg wrote no PNM")
    };
    let number = |field: &[u8]| std::str::from_utf8(field).unwrap().parse::<usize>().unwrap();
    let samples = rest.splitn(2, u8::is_ascii_whitespace).nth(1).unwrap();
    Some((
        number(width),
        number(height),
        if kind == b"P5" { 1 } else { 3 },
        samples.to_vec(),
    ))
}

/// A smooth picture as PPM.
fn drawn(width: usize, height: usize) -> Vec<u8> {
    let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
    let wave = |at: f64| (255.0 * (0.5 + 0.45 * at.sin())) as u8;
    for i in 0..width * height {
        let (u, v) = (
            (i % width) as f64 / width.max(24) as f64,
            (i / width) as f64 / height.max(24) as f64,
        );
        ppm.extend([
            wave(2.2 * u + 1.1 * v),
            wave(PI / 2.0 - 1.7 * u + 2.0 * v),
            wave(3.1 * v + 0.4),
        ]);
    }
    ppm
}

/// Scan scripts: separate, in any order, in pairs, and progressive in several ways.
const SCRIPTS: [(&str, &str); 7] = [
    ("separate", "0;\n1;\n2;\n"),
    ("colour-first", "2;\n0;\n1;\n"),
    ("one-two", "0;\n1 2;\n"),
    ("two-one", "0 1;\n2;\n"),
    (
        "bands",
        "0 1 2: 0-0,0,0;\n0: 1-63,0,0;\n1: 1-63,0,0;\n2: 1-63,0,0;\n",
    ),
    (
        "means",
        "0: 0-0,0,0;\n1 2: 0-0,0,0;\n2: 1-63,0,0;\n1: 1-63,0,0;\n0: 1-63,0,0;\n",
    ),
    (
        "bits",
        "0: 0-0,0,1;\n1: 0-0,0,1;\n2: 0-0,0,1;\n0: 1-5,0,2;\n2: 1-63,0,1;\n1: 1-63,0,1;\n0: 6-63,0,2;\n\
         0: 1-63,2,1;\n0 1 2: 0-0,1,0;\n2: 1-63,1,0;\n1: 1-63,1,0;\n0: 1-63,1,0;\n",
    ),
];

/// The scripts as files, which is how cjpeg takes them.
fn scripts() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in SCRIPTS {
        fs::write(folder.path().join(name), script).unwrap();
    }
    folder
}

/// How often each outcome came.
#[derive(Debug, Default)]
struct Tally {
    read: usize,
    named: usize,
    /// Those that libjpeg-turbo does not read or make either.
    none: usize,
}

impl Tally {
    /// Makes a file and holds it to the rule.
    fn check(&mut self, size: (usize, usize), options: &str, folder: &Path) {
        // A script's name becomes its path.
        let paths: Vec<String> = options
            .split_whitespace()
            .map(|o| match o.strip_prefix('@') {
                Some(name) => folder.join(name).display().to_string(),
                None => o.to_owned(),
            })
            .collect();
        let args: Vec<&str> = paths.iter().map(String::as_str).collect();
        let Some(jpeg) = tool("cjpeg", &args, &drawn(size.0, size.1)) else {
            self.none += 1;
            return;
        };
        self.hold(&jpeg, &format!("{size:?} {options}"));
    }

    fn hold(&mut self, jpeg: &[u8], name: &str) {
        let Some((width, height, channels, expected)) = shown(jpeg) else {
            self.none += 1;
            return;
        };
        match decode(jpeg, MAX) {
            Ok(picture) => {
                assert_eq!((picture.width(), picture.height()), (width, height), "{name}");
                assert_eq!(picture.layout().samples(), channels, "{name}");
                let found = samples(&picture, channels);
                let squares = found
                    .iter()
                    .zip(&expected)
                    .map(|(f, e)| (f64::from(*f) - f64::from(*e)).powi(2));
                let error = squares.sum::<f64>() / expected.len() as f64;
                let psnr = 10.0 * (255.0 * 255.0 / error.max(1e-9)).log10();
                assert!(psnr >= LEAST, "{name}: {psnr:.1} dB");
                assert!(
                    picture.notes().iter().all(|n| *n == Note::Cmyk),
                    "{name}: {:?}",
                    picture.notes()
                );
                self.read += 1;
            }
            Err(Error::UnreadKind(kind)) => {
                assert!(kind.to_string().contains("arithmetic"), "{name}: {kind}");
                self.named += 1;
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

const SIZES: [(usize, usize); 7] = [(1, 1), (7, 9), (15, 17), (16, 16), (33, 31), (70, 53), (47, 70)];

#[test]
fn every_sampling_is_read_as_libjpeg_turbo_reads_it() {
    let samplings = [
        "1x1",
        "2x1",
        "1x2",
        "2x2",
        "4x1",
        "1x4",
        "4x2",
        "2x4",
        "3x1",
        "1x3",
        "3x2",
        "2x1,1x2",
        "1x2,2x1,1x1",
        "2x2,2x1,1x2",
        "2x2,2x1,2x1",
        "1x1,2x2,2x2",
        "4x1,2x1,2x1",
        "2x2,1x1,2x2",
        "3x1,1x1,3x1",
        "4x1,1x1,2x1",
        "2x1,2x1,2x1",
        "2x2,2x2,2x2",
    ];
    let folder = scripts();
    let mut tally = Tally::default();
    for (i, sampling) in samplings.iter().enumerate() {
        for (j, size) in SIZES.iter().enumerate() {
            let other = ["@colour-first", "@bits", "@one-two"][(i + j) % 3];
            for scans in ["", "-progressive", "-scans @separate", &format!("-scans {other}")] {
                tally.check(
                    *size,
                    &format!("-quality 90 -sample {sampling} {scans}"),
                    folder.path(),
                );
            }
        }
    }
    assert!(tally.read >= 500, "{tally:?}");
    assert_eq!(tally.named, 0);
}

#[test]
fn every_way_of_coding_is_read_as_libjpeg_turbo_reads_it_or_named() {
    let folder = scripts();
    let mut tally = Tally::default();
    for (script, _) in SCRIPTS {
        for sampling in ["1x1", "2x2"] {
            for restart in ["1", "1B", "5B"] {
                for coding in ["", "-arithmetic"] {
                    let options = format!(
                        "-quality 85 -sample {sampling} -restart {restart} {coding} -scans @{script}"
                    );
                    tally.check((61, 45), &options, folder.path());
                }
            }
        }
    }
    for quality in [1, 5, 30, 75, 100] {
        for kind in [
            "",
            "-optimize",
            "-progressive",
            "-baseline",
            "-arithmetic",
            "-rgb",
            "-rgb -sample 2x2",
        ] {
            tally.check((50, 41), &format!("-quality {quality} {kind}"), folder.path());
        }
    }
    for size in SIZES {
        for kind in [
            "",
            "-progressive",
            "-restart 1",
            "-arithmetic",
            "-sample 2x2 -restart 1B",
            "-sample 1x2",
        ] {
            tally.check(size, &format!("-grayscale -quality 90 {kind}"), folder.path());
        }
    }
    assert!(tally.read >= 100, "{tally:?}");
    assert!(tally.named >= 50, "{tally:?}");
}

#[test]
fn inks_are_read_as_libjpeg_turbo_reads_them() {
    let mut tally = Tally::default();
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for sampling in [SamplingFactor::F_1_1, SamplingFactor::F_2_2] {
            for progressive in [false, true] {
                let inks: Vec<u8> = drawn(37, 29)[13..]
                    .chunks(3)
                    .flat_map(|p| [p[0], p[1], p[2], 200])
                    .collect();
                let mut jpeg = Vec::new();
                let mut encoder = Encoder::new(&mut jpeg, 90);
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                encoder.encode(&inks, 37, 29, kind).unwrap();
                tally.hold(&jpeg, &format!("{kind:?} {sampling:?}"));
            }
        }
    }
    assert_eq!(tally.read, 8);
}

/// Red, green and blue at a place, from 0 to 255.
fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let all = samples(picture, 3);
    let at = 3 * (y * picture.width() + x);
    [all[at], all[at + 1], all[at + 2]]
}

#[track_caller]
fn assert_near(found: [u8; 3], expected: [u8; 3]) {
    let near = found.iter().zip(expected).all(|(f, e)| f.abs_diff(e) <= 2);
    assert!(near, "{found:?} in place of {expected:?}");
}

#[test]
fn separate_scans_keep_their_colours() {
    let picture = decode(include_bytes!("cases/separate-420.jpg"), MAX).unwrap();
    assert_eq!((picture.width(), picture.height()), (100, 76));
    assert_near(pixel(&picture, 6, 5), [215, 31, 31]);
    assert_near(pixel(&picture, 90, 5), [32, 197, 41]);
    assert_near(pixel(&picture, 6, 58), [67, 101, 103]);
    let picture = decode(include_bytes!("cases/separate-444.jpg"), MAX).unwrap();
    assert_near(pixel(&picture, 6, 5), [224, 28, 29]);
}

#[test]
fn the_marker_of_jfif_wins_over_adobes() {
    let bytes = include_bytes!("cases/jfif-and-adobe.jpg");
    let picture = decode(bytes, MAX).unwrap();
    assert_near(pixel(&picture, 6, 5), [221, 28, 31]);
    assert_near(pixel(&picture, 90, 5), [28, 201, 47]);
    // Without it the samples are red, green and blue.
    let at = bytes.windows(5).position(|w| w == b"JFIF\0").unwrap();
    let mut other = *bytes;
    other[at] = b'X';
    assert_ne!(decode(&other, MAX).unwrap(), picture);
}

#[test]
fn a_whole_file_without_its_end_marker_is_taken() {
    let bytes = include_bytes!("cases/no-end.jpg");
    let picture = decode(bytes, MAX).unwrap();
    assert_eq!((picture.height(), picture.notes()), (64, &[][..]));
    assert_near(pixel(&picture, 6, 58), [31, 40, 221]);
}

#[test]
fn half_a_file_with_an_end_marker_is_cut_short_and_taken_on_request() {
    let bytes = include_bytes!("cases/half.jpg");
    let Err(Error::CutShort { rows, of: 64 }) = decode(bytes, MAX) else {
        panic!("half a file was taken for a whole one");
    };
    assert!((8..=56).contains(&rows), "{rows}");
    let options = Options {
        max_pixels: MAX,
        shortened: true,
    };
    let picture = decode_with(bytes, options).unwrap();
    assert_eq!(picture.notes(), [Note::CutShort { rows, of: 64 }]);
    assert_eq!(
        picture.notes()[0].to_string(),
        format!("the file is cut short: {rows} of its 64 rows are there, the others are grey")
    );
    assert_near(pixel(&picture, 6, 5), [221, 28, 31]);
    assert_near(pixel(&picture, 6, 58), [128, 128, 128]);
}

/// Components in scans of their own: what is there without the last of them is a picture, but not in its colours.
#[test]
fn missing_scans_of_colours_are_told_and_taken_on_request() {
    let bytes = include_bytes!("cases/separate-420.jpg");
    let whole = decode(bytes, MAX).unwrap();
    let scans: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w == b"\xFF\xDA")
        .map(|(i, _)| i)
        .collect();
    assert_eq!(scans.len(), 3);
    let options = Options {
        max_pixels: MAX,
        shortened: true,
    };
    for end in &scans[1..] {
        let cut = [&bytes[..*end], &[0xFF, 0xD9]].concat();
        assert_eq!(decode(&cut, MAX), Err(Error::Truncated));
        let part = decode_with(&cut, options).unwrap();
        assert_eq!(part.notes(), [Note::from(asasr_codec::phrase::NO_COLOUR)]);
        assert_eq!(part.size(), whole.size());
        // Their brightness is the same.
        let brightness = |p: &Picture, x, y| {
            let [r, g, b] = pixel(p, x, y).map(f64::from);
            0.299 * r + 0.587 * g + 0.114 * b
        };
        for (x, y) in [(20, 70), (50, 70), (80, 70)] {
            let (a, b) = (brightness(&whole, x, y), brightness(&part, x, y));
            assert!((a - b).abs() < 12.0, "{x} {y}: {a} {b}");
        }
    }
}

/// Some files of each way of coding, and whether it is progressive.
fn some() -> Vec<(Vec<u8>, bool)> {
    let folder = scripts();
    let script = |name: &str| format!("-scans {}", folder.path().join(name).display());
    let kinds = [
        (String::new(), false),
        ("-restart 1".into(), false),
        ("-sample 1x1 -restart 3B".into(), false),
        (script("separate"), false),
        ("-grayscale".into(), false),
        ("-progressive".into(), true),
        (script("bits"), true),
    ];
    let make = |(kind, progressive): (String, bool)| {
        let args: Vec<&str> = kind.split_whitespace().collect();
        (tool("cjpeg", &args, &drawn(40, 37)).unwrap(), progressive)
    };
    kinds.into_iter().map(make).collect()
}

#[test]
fn a_file_cut_anywhere_is_told_from_a_whole_one() {
    let shortened = Options {
        max_pixels: MAX,
        shortened: true,
    };
    for (jpeg, progressive) in some() {
        let whole = decode(&jpeg, MAX).unwrap();
        let channels = whole.layout().samples();
        let row = whole.width() * channels;
        let expected = samples(&whole, channels);
        let (mut refused, mut partly) = (0, 0);
        for end in 3..jpeg.len() {
            for end_marker in [false, true] {
                let mut cut = jpeg[..end].to_vec();
                if end_marker {
                    cut.extend([0xFF, 0xD9]);
                }
                match decode(&cut, MAX) {
                    // Scans that are missing altogether may never have been there.
                    Ok(p) if p.notes() == [Note::Coarse] => assert!(progressive && end_marker, "{end}"),
                    Ok(p) => assert_eq!(p, whole, "{end} of {} bytes were taken for all", jpeg.len()),
                    Err(Error::CutShort { of, .. }) => {
                        assert_eq!(of, whole.height());
                        refused += 1;
                    }
                    Err(Error::Truncated) => refused += 1,
                    Err(other) => assert!(end_marker, "{end}: {other}"),
                }
                let Ok(part) = decode_with(&cut, shortened) else {
                    continue;
                };
                if let [Note::CutShort { rows, .. }] = *part.notes() {
                    partly += 1;
                    assert!(rows > 0 && rows < whole.height());
                    // The last of them may take its colour from the next.
                    let there = if progressive { 0 } else { (rows - 1) * row };
                    assert_eq!(samples(&part, channels)[..there], expected[..there], "{end}");
                }
            }
        }
        assert!(refused > jpeg.len() / 4, "{refused}");
        assert!(partly > 0);
    }
}

#[test]
fn data_that_is_missing_before_a_restart_marker_is_damage() {
    let (jpeg, _) = &some()[1];
    let marker = jpeg.windows(2).position(|w| w == [0xFF, 0xD0]).unwrap();
    let mut holed = jpeg.clone();
    holed.drain(marker - 40..marker);
    assert!(matches!(decode(&holed, MAX), Err(Error::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn damage_never_panics(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        shortened: bool,
    ) {
        let files: [&[u8]; 3] = [
            include_bytes!("cases/separate-420.jpg"),
            include_bytes!("cases/progressive.jpg"),
            include_bytes!("cases/half.jpg"),
        ];
        let mut bytes = files[which].to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = decode_with(&bytes, Options { max_pixels: MAX, shortened });
    }
}
