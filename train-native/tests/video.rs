//! Videos as a user enlarges them, made and measured by ffmpeg.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn asasr(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asasr"));
    command
        .args(["video", "--device", "cpu"])
        .args(args)
        .env_remove("ASASR_FFMPEG");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Enlarges, which has to succeed; what was said.
fn enlarge(args: &[&str]) -> String {
    let run = asasr(args).output().unwrap();
    assert!(run.status.success(), "{args:?}: {}", said(&run));
    said(&run)
}

fn ffmpeg(args: &str) -> Vec<u8> {
    let words = shlex::split(args).unwrap();
    let mut command = Command::new("ffmpeg");
    let run = command
        .args(["-hide_banner", "-nostdin", "-v", "error", "-y"])
        .args(words)
        .output();
    let run = run.expect("ffmpeg has to be installed for these tests");
    assert!(run.status.success(), "{args}: {}", said(&run));
    run.stdout
}

fn ffprobe(path: &str, args: &str) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json"]);
    let run = command
        .args(shlex::split(args).unwrap())
        .arg(path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{path}: {}", said(&run));
    serde_json::from_slice(&run.stdout).unwrap()
}

/// Times of all frames of the first video stream, in microseconds.
fn times(path: &str) -> Vec<i64> {
    let told = ffprobe(path, "-select_streams v:0 -show_entries frame=pts_time");
    let frames = told["frames"].as_array().unwrap().iter();
    let time = |f: &Value| f["pts_time"].as_str().unwrap().parse::<f64>().unwrap();
    frames.map(|f| (time(f) * 1e6).round() as i64).collect()
}

fn stream(path: &str, which: &str) -> Value {
    ffprobe(path, &format!("-show_streams -select_streams {which}"))["streams"][0].clone()
}

fn duration(path: &str) -> f64 {
    let told = ffprobe(path, "-show_format");
    told["format"]["duration"].as_str().unwrap().parse().unwrap()
}

/// A hash of the packets of a kind of streams as they are.
fn packets(path: &str, which: &str) -> String {
    let told = ffmpeg(&format!("-i '{path}' -map 0:{which} -c copy -f streamhash -"));
    String::from_utf8(told).unwrap()
}

/// A hash of every decoded frame.
fn frames(path: &str) -> String {
    let told = ffmpeg(&format!(
        "-i '{path}' -map 0:v:0 -fps_mode passthrough -f framemd5 -"
    ));
    String::from_utf8(told).unwrap()
}

/// The mean red, green and blue of all frames, of 0 to 255.
fn colours(path: &str) -> [f64; 3] {
    let bytes = ffmpeg(&format!(
        "-i '{path}' -map 0:v:0 -fps_mode passthrough -vf scale=flags=accurate_rnd+full_chroma_int -f rawvideo -pix_fmt rgb24 -"
    ));
    let mut sums = [0.0; 3];
    for pixel in bytes.chunks_exact(3) {
        sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += f64::from(*v));
    }
    sums.map(|s| s / (bytes.len() / 3) as f64)
}

/// What every result has of its video. Matroska counts in milliseconds.
fn check(video: &str, result: &str, (width, height): (u64, u64)) {
    let made = stream(result, "v:0");
    let size = (made["width"].as_u64().unwrap(), made["height"].as_u64().unwrap());
    assert_eq!(size, (width, height), "{result}");
    let fine = Path::new(result)
        .extension()
        .is_some_and(|e| e == "mp4" || e == "mov");
    let slack = if fine { 1 } else { 500 };
    let (wanted, got) = (times(video), times(result));
    assert_eq!(wanted.len(), got.len(), "{result}: other frames");
    for (wanted, got) in wanted.iter().zip(&got) {
        assert!((wanted - got).abs() <= slack, "{result}: {got} and not {wanted}");
    }
    let (wanted, got) = (duration(video), duration(result));
    assert!(
        (wanted - got).abs() < 0.002,
        "{result}: {got} seconds, not {wanted}"
    );
    for (wanted, got) in colours(video).iter().zip(colours(result)) {
        assert!(
            (wanted - got).abs() <= 1.0,
            "{result}: a colour is {got:.2} on the whole, not {wanted:.2}"
        );
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What lies there, hidden or not.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const FILM: &str = "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=0.6";
const SOUND: &str = "-f lavfi -i sine=d=0.6";
/// Gaps of one, two and seven frames.
const UNEVEN: &str = "-vf \"setpts='round((N+floor(N/3)+6*gte(N,8))*1001/24000/TB)'\" -fps_mode passthrough";

/// H.264 with sound, subtitles, chapters and a title; stretches shorter than its groups of frames.
#[test]
fn a_film_keeps_all_that_it_has() {
    let at = Folder::new();
    let (film, out) = (at.path("film.mp4"), at.path("out.mp4"));
    fs::write(at.path("s.srt"), "1\n00:00:00,100 --> 00:00:00,400\nHello\n").unwrap();
    let chapters = ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=One\n";
    fs::write(at.path("m.txt"), chapters).unwrap();
    let (srt, meta) = (at.path("s.srt"), at.path("m.txt"));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=2.2 -f lavfi -i sine=d=2.2 -i '{srt}' -i '{meta}' -map 0 -map 1 -map 2 \
         -map_metadata 3 -c:v libx264 -c:a aac -c:s mov_text -metadata:s:a:0 language=deu '{film}'"
    ));
    enlarge(&[&film, "-o", &out, "--scale", "2", "--stretch", "1"]);
    check(&film, &out, (128, 96));
    assert_eq!(packets(&film, "a"), packets(&out, "a"));
    assert_eq!(packets(&film, "s"), packets(&out, "s"));
    assert_eq!(stream(&out, "a:0")["tags"]["language"], "deu");
    let told = ffprobe(&out, "-show_format -show_chapters");
    assert_eq!(told["format"]["tags"]["title"], "A film");
    assert_eq!(told["chapters"][0]["tags"]["title"], "One");
    assert_eq!(stream(&out, "v:0")["codec_name"], "h264");
    assert_eq!(
        at.names(),
        ["film.mp4", "m.txt", "out.mp4", "s.srt"],
        "nothing is left"
    );
}

#[test]
fn codecs_and_uneven_times() {
    let at = Folder::new();
    let cases = [
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
            "vp9.webm",
            "vp9",
        ),
        (
            "av1.mkv",
            "-c:v libaom-av1 -cpu-used 8 -usage realtime -c:a flac",
            "av1.mkv",
            "av1",
        ),
        ("uneven.mp4", "-c:v libx264 -c:a aac", "uneven.mp4", "hevc"),
    ];
    for (name, how, out, codec) in cases {
        let (film, out) = (at.path(name), at.path(&format!("out-{out}")));
        ffmpeg(&format!("{FILM} {SOUND} {UNEVEN} {how} '{film}'"));
        enlarge(&[&film, "-o", &out, "--scale", "2", "--codec", codec]);
        check(&film, &out, (128, 96));
        assert_eq!(packets(&film, "a"), packets(&out, "a"), "{name}");
        assert_eq!(stream(&out, "v:0")["codec_name"], codec, "{name}");
    }
}

#[test]
fn shapes_turns_and_colours_are_kept() {
    let at = Folder::new();
    let film = at.path("film.mp4");
    // Odd sides, long pixels, full range, and turned.
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=52x36:r=25:d=0.4 -vf scale=51:35:out_range=pc:out_color_matrix=bt709,format=yuv444p,setsar=8/9 \
         -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:v libx264 '{}'",
        at.path("flat.mp4")
    ));
    ffmpeg(&format!(
        "-i '{}' -c copy -metadata:s:v rotate=90 '{film}'",
        at.path("flat.mp4")
    ));
    let out = at.path("out.mp4");
    let said = enlarge(&[&film, "-o", &out, "--scale", "3"]);
    assert!(said.contains("152x104 pixels") && said.contains("even"), "{said}");
    check(&film, &out, (152, 104));
    let (given, made) = (stream(&film, "v:0"), stream(&out, "v:0"));
    for name in [
        "color_range",
        "color_space",
        "color_primaries",
        "color_transfer",
        "sample_aspect_ratio",
    ] {
        assert!(given[name].is_string(), "{name}");
        assert_eq!(given[name], made[name], "{name}");
    }
    let rotation = |s: &Value| s["side_data_list"][0]["rotation"].as_i64();
    assert!(rotation(&given).is_some_and(|r| r.abs() == 90));
    assert_eq!(rotation(&given), rotation(&made));
    // A file that does not tell it has the pixels turned.
    let upright = at.path("out.mkv");
    let said = enlarge(&[&film, "-o", &upright, "--height", "153", "--codec", "av1"]);
    assert!(said.contains("turned"), "{said}");
    let made = stream(&upright, "v:0");
    assert_eq!(
        (made["width"].as_u64(), made["height"].as_u64()),
        (Some(105), Some(153))
    );
    // Matroska has whole pixels of the size that is shown.
    let aspect = made["sample_aspect_ratio"]
        .as_str()
        .unwrap()
        .split_once(':')
        .unwrap();
    let aspect = aspect.0.parse::<f64>().unwrap() / aspect.1.parse::<f64>().unwrap();
    assert!((aspect - 9.0 / 8.0).abs() < 0.01, "{aspect}");
}

#[test]
fn more_than_eight_bits_are_kept() {
    let at = Folder::new();
    let (film, out) = (at.path("hdr.mkv"), at.path("out.mkv"));
    ffmpeg(&format!(
        "{FILM} -pix_fmt yuv420p10le -color_range tv -colorspace bt2020nc -color_primaries bt2020 -color_trc smpte2084 \
         -c:v libx265 -x265-params log-level=error '{film}'"
    ));
    enlarge(&[&film, "-o", &out, "--scale", "2"]);
    check(&film, &out, (128, 96));
    let (given, made) = (stream(&film, "v:0"), stream(&out, "v:0"));
    for name in [
        "pix_fmt",
        "color_range",
        "color_space",
        "color_primaries",
        "color_transfer",
    ] {
        assert_eq!(given[name], made[name], "{name}");
    }
}

#[test]
fn animations_are_videos() {
    let at = Folder::new();
    let (film, out) = (at.path("a.gif"), at.path("out.mp4"));
    ffmpeg(&format!(
        "-f lavfi -i gradients=s=40x30:r=10:d=0.5:c0=0x805030:c1=0x4080a0:nb_colors=2:seed=1 '{film}'"
    ));
    let said = enlarge(&[&film, "-o", &out, "--scale", "2"]);
    assert!(said.contains("white"), "{said}");
    check(&film, &out, (80, 60));
}

/// Other containers, and what they do not take: it is told, and everything else is there.
#[test]
fn containers_take_what_they_can() {
    let at = Folder::new();
    let film = at.path("film.mkv");
    fs::write(at.path("s.srt"), "1\n00:00:00,100 --> 00:00:00,400\nHello\n").unwrap();
    let srt = at.path("s.srt");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=32x24:r=25:d=0.4 -f lavfi -i sine=d=0.4 -i '{srt}' -attach '{srt}' -metadata:s:t mimetype=text/plain \
         -c:v libx264 -c:a libopus -c:s copy '{film}'"
    ));
    let starts = |path: &str| {
        ["v:0", "a:0"].map(|which| {
            let told = ffprobe(
                path,
                &format!("-select_streams {which} -show_entries packet=pts_time"),
            );
            let first = told["packets"][0]["pts_time"].as_str().unwrap();
            first.parse::<f64>().unwrap()
        })
    };
    for (name, notes) in [("same.mkv", 0), ("other.mp4", 2), ("other.webm", 2)] {
        let out = at.path(name);
        let said = enlarge(&[&film, "-o", &out, "--scale", "2"]);
        assert_eq!(
            said.lines().filter(|l| l.starts_with("note: ")).count(),
            notes,
            "{said}"
        );
        assert_eq!(packets(&film, "a"), packets(&out, "a"), "{name}");
        assert_eq!(times(&film).len(), times(&out).len(), "{name}");
        let words = ffmpeg(&format!("-i '{out}' -map 0:s -f srt -"));
        assert!(String::from_utf8_lossy(&words).contains("Hello"), "{name}");
        // Opus begins before its first sample is heard.
        for (wanted, got) in starts(&film).iter().zip(starts(&out)) {
            assert!((wanted - got).abs() <= 0.001, "{name}: {wanted} {got}");
        }
    }
    let attached = |path: &str| ffprobe(path, "-show_streams -select_streams t")["streams"][0].clone();
    assert_eq!(attached(&film)["tags"], attached(&at.path("same.mkv"))["tags"]);
}

/// Fields become frames, one for two, and a broadcast's clock begins at zero.
#[test]
fn broadcasts_are_read() {
    let at = Folder::new();
    let (film, out) = (at.path("film.ts"), at.path("out.mp4"));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=32x24:r=50:d=0.6 -vf tinterlace=interleave_top,fieldorder=tff -flags +ilme+ildct -c:v libx264 \
         -x264-params tff=1 '{film}'"
    ));
    let said = enlarge(&[&film, "-o", &out, "--scale", "2"]);
    assert!(said.contains("interlaced"), "{said}");
    let (given, made) = (times(&film), times(&out));
    let from_zero: Vec<i64> = given.iter().map(|t| t - given[0]).collect();
    assert_eq!(from_zero, made);
    assert_eq!(stream(&out, "v:0")["field_order"], "progressive");
}

#[test]
fn a_part_begins_and_ends_where_it_is_said() {
    let at = Folder::new();
    let (film, out) = (at.path("film.mp4"), at.path("out.mp4"));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=48x32:r=25:d=3 -f lavfi -i sine=d=3 -c:v libx264 -g 50 -c:a aac '{film}'"
    ));
    enlarge(&[
        &film,
        "-o",
        &out,
        "--scale",
        "2",
        "--from",
        "1.2",
        "--to",
        "0:02.2",
        "--stretch",
        "1",
    ]);
    let wanted: Vec<i64> = (0..25).map(|i| i * 40_000).collect();
    assert_eq!(times(&out), wanted);
    assert!((duration(&out) - 1.0).abs() < 0.03, "{}", duration(&out));
    // The frames are those of that time: the first is the video's thirtieth.
    let frame = |path: &str, n: usize| {
        let filter = format!("select='eq(n,{n})',scale=48:32:flags=area");
        ffmpeg(&format!(
            "-i '{path}' -vf \"{filter}\" -frames:v 1 -f rawvideo -pix_fmt gray -"
        ))
    };
    let apart = |a: &[u8], b: &[u8]| {
        let all: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        all as f64 / a.len() as f64
    };
    let first = frame(&out, 0);
    assert!(apart(&first, &frame(&film, 30)) < apart(&first, &frame(&film, 29)));
    assert!(apart(&first, &frame(&film, 30)) < apart(&first, &frame(&film, 31)));
}

/// The same pixels whether a run is whole, killed and resumed, or made by several at a time.
#[test]
fn what_was_done_is_not_done_again() {
    let at = Folder::new();
    let film = at.path("film.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=64x48:r=15:d=3.4 -c:v libx264 -g 20 '{film}'"
    ));
    let options = ["--scale", "2", "--stretch", "1"];
    let words = |out: &str, more: &[&str]| -> Vec<String> {
        let all = [&[film.as_str(), "-o", out][..], &options, more].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let run = |out: &str, more: &[&str]| {
        let words = words(out, more);
        asasr(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (whole, resumed, several) = (
        at.path("whole.mp4"),
        at.path("resumed.mp4"),
        at.path("several.mp4"),
    );
    let ok = |mut command: Command| {
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}", said(&run));
        String::from_utf8(run.stdout).unwrap()
    };
    ok(run(&whole, &[]));
    ok(run(&several, &["--jobs", "3"]));
    assert_eq!(frames(&whole), frames(&several));
    // Killed when the first stretch is whole.
    let work = PathBuf::from(at.path(".resumed.mp4.asasr-video"));
    let mut child = run(&resumed, &[])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !work.join("000000.mp4").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!Path::new(&resumed).exists(), "nothing half done bears its name");
    let refused = run(&resumed, &[]).output().unwrap();
    assert!(
        !refused.status.success() && said(&refused).contains("--resume"),
        "{}",
        said(&refused)
    );
    let differs = run(&resumed, &["--resume", "--crf", "30"]).output().unwrap();
    assert!(
        said(&differs).contains("differs in the codec"),
        "{}",
        said(&differs)
    );
    let told = ok(run(&resumed, &["--resume", "--progress", "json"]));
    let events: Vec<Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let begun = events.iter().find(|e| e["event"] == "begun").unwrap();
    assert!(begun["frames_done"].as_u64().unwrap() >= 15, "{begun}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["frames"]), (&"done".into(), &51.into()));
    let progress = events.iter().rfind(|e| e["event"] == "progress").unwrap();
    assert_eq!(progress["frames_done"], 51);
    assert_eq!(progress["fraction"], 1.0);
    assert!(progress["frames_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(frames(&whole), frames(&resumed));
    assert!(!work.exists());
}

/// PSNR of the luma of a video's frames, to those of another.
fn psnr_y(video: &str, truth: &str) -> f64 {
    let told = ffmpeg(&format!(
        "-i '{video}' -i '{truth}' -lavfi psnr=stats_file=- -f null -"
    ));
    let told = String::from_utf8(told).unwrap();
    let values = told
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("psnr_y:"));
    let values: Vec<f64> = values.map(|v| v.parse().unwrap()).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn the_model_for_videos_is_nearer_to_the_truth() {
    let at = Folder::new();
    let [truth, film, plain, made] = ["truth.mp4", "film.mp4", "plain.mp4", "made.mp4"].map(|n| at.path(n));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=256x192:r=15:d=1.2 -c:v libx264 -qp 0 -pix_fmt yuv420p '{truth}'"
    ));
    let scaled = |from: &str, to: &str, size: &str| {
        ffmpeg(&format!(
            "-i '{from}' -vf scale={size}:flags=bicubic -c:v libx264 -qp 0 '{to}'"
        ));
    };
    scaled(&truth, &film, "128:96");
    scaled(&film, &plain, "256:192");
    let told = enlarge(&[&film, "-o", &made, "--weights", "asasr-x2-video", "--crf", "0"]);
    assert!(told.contains("asasr-x2-video on CPU"), "{told}");
    check(&film, &made, (256, 192));
    let (ours, bicubic) = (psnr_y(&made, &truth), psnr_y(&plain, &truth));
    assert!(ours > bicubic + 0.5, "{ours} {bicubic}");
}

/// A network that looks back makes the same of stretches that are made apart, and each frame from those before it.
#[test]
fn a_recurrent_network_makes_stretches_that_fit() {
    let at = Folder::new();
    let (film, still) = (at.path("film.mp4"), at.path("still.mp4"));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=128x96:r=15:d=3.4 -c:v libx264 -g 20 '{film}'"
    ));
    ffmpeg(&format!(
        "-i '{film}' -vf \"select='gte(n,24)',trim=end_frame=1\" -fps_mode passthrough -c:v libx264 -qp 0 '{still}'"
    ));
    let model = "asasr-x2-video";
    let made = |film: &str, out: &str, more: &[&str]| {
        let out = at.path(out);
        let words = [&[film, "-o", &out, "--weights", model], more].concat();
        enlarge(&words);
        out
    };
    let whole = made(&film, "whole.mp4", &["--stretch", "1"]);
    check(&film, &whole, (256, 192));
    let several = made(&film, "several.mp4", &["--stretch", "1", "--jobs", "3"]);
    assert_eq!(frames(&whole), frames(&several));
    let wide = made(&film, "wide.mkv", &["--width", "192"]);
    check(&film, &wide, (192, 144));
    // The first frame of another video has nothing before it.
    let raw = |path: &str, frame: usize| {
        let filter = format!("\"select='eq(n,{frame})'\"");
        ffmpeg(&format!(
            "-i '{path}' -vf {filter} -fps_mode passthrough -f rawvideo -pix_fmt rgb24 -"
        ))
    };
    let alone = made(&still, "alone.mp4", &["--crf", "0"]);
    let within = made(&film, "within.mp4", &["--crf", "0"]);
    assert_eq!(raw(&film, 24), raw(&still, 0));
    assert_ne!(raw(&within, 24), raw(&alone, 0));
    for (more, why) in [
        (["--scale", "4"], "enlarges 2 times at most"),
        (["--width", "320"], "2 times at most"),
        (["--mode", "instant"], "for videos alone"),
    ] {
        let out = at.path("bad.mp4");
        let words = [&[film.as_str(), "-o", &out, "--weights", model], &more[..]].concat();
        let run = asasr(&words).output().unwrap();
        assert!(
            !run.status.success() && said(&run).contains(why),
            "{}",
            said(&run)
        );
    }
}

#[test]
fn files_that_are_no_videos_are_named() {
    let at = Folder::new();
    let film = at.path("film.mp4");
    ffmpeg(&format!("{FILM} -c:v libx264 '{film}'"));
    let bytes = fs::read(&film).unwrap();
    fs::write(at.path("cut.mp4"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(at.path("empty.mp4"), "").unwrap();
    fs::write(at.path("text.mp4"), "no video at all, but a text of some length").unwrap();
    ffmpeg(&format!("{SOUND} -c:a aac '{}'", at.path("sound.mp4")));
    ffmpeg(&format!("{FILM} -frames:v 1 '{}'", at.path("image.png")));
    ffmpeg(&format!("{FILM} -t 0 -c:v libx264 '{}'", at.path("none.mp4")));
    let key = "000102030405060708090a0b0c0d0e0f";
    ffmpeg(&format!(
        "-i '{film}' -c copy -encryption_scheme cenc-aes-ctr -encryption_key {key} -encryption_kid {key} '{}'",
        at.path("locked.mp4")
    ));
    let cases = [
        ("cut.mp4", "cut short"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "is no video"),
        ("sound.mp4", "no moving pictures"),
        ("image.png", "asasr upscale"),
        ("none.mp4", "none.mp4: "),
        ("locked.mp4", "encrypted"),
        ("absent.mp4", "absent.mp4"),
    ];
    let out = at.path("out");
    let inputs: Vec<String> = cases.iter().map(|(name, _)| at.path(name)).collect();
    let mut args: Vec<&str> = inputs.iter().map(String::as_str).collect();
    args.extend([film.as_str(), "-o", &out, "--scale", "2"]);
    let run = asasr(&args).output().unwrap();
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    for (name, why) in cases {
        let lines = text
            .lines()
            .filter(|l| l.starts_with("error: ") && l.contains(name));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.len() == 1 && lines[0].contains(why), "{name}: {text}");
    }
    assert!(
        text.contains("8 of 9 videos") && !text.contains("panicked"),
        "{text}"
    );
    let made: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(made, ["film-x2.mp4"]);
}

/// A file without its end: what is there is enlarged, and it is said.
#[test]
fn a_cut_video_is_told() {
    let at = Folder::new();
    let (film, out) = (at.path("film.mkv"), at.path("out.mkv"));
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=48x32:r=25:d=2 -c:v libx264 -g 10 '{film}'"
    ));
    let bytes = fs::read(&film).unwrap();
    fs::write(&film, &bytes[..bytes.len() / 2]).unwrap();
    let said = enlarge(&[&film, "-o", &out, "--scale", "2"]);
    assert!(said.contains("cut short"), "{said}");
    assert_eq!(times(&film).len(), times(&out).len());
}

#[cfg(unix)]
fn program(path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_wrong_with_ffmpeg_or_the_place_is_told() {
    let at = Folder::new();
    let (film, out) = (at.path("film.mp4"), at.path("out.mp4"));
    ffmpeg(&format!("{FILM} {SOUND} -c:v libx264 -c:a aac '{film}'"));
    program(&at.path("old"), "echo ffmpeg version 4.4.2 Copyright");
    // The disk is full when stretches are written.
    let full =
        "case \"$*\" in *pipe:0*) cat >/dev/null; echo 'x.mp4: No space left on device' >&2; exit 1;; esac";
    program(&at.path("full"), &format!("{full}\nexec ffmpeg \"$@\""));
    let cases: [(&[&str], &str, &str); 8] = [
        (&["--ffmpeg", "/nowhere/ffmpeg"], "install ffmpeg", "ffmpeg"),
        (
            &["--ffmpeg", &at.path("old")],
            "version 4.4.2, which is too old",
            "ffmpeg",
        ),
        (&["--ffmpeg", &at.path("full")], "make room", "disk-full"),
        (
            &["--codec", "vp9", "-o", &at.path("x.mov")],
            "name a .mkv file",
            "format",
        ),
        (
            &["--crf", "60", "-o", &at.path("x.mkv")],
            "takes 0 to 51",
            "format",
        ),
        (&["-o", &at.path("x.webm")], "sound", "format"),
        (&["-o", &film], "would replace", "place"),
        (&["--from", "9"], "no frames there", "video"),
    ];
    for (more, why, code) in cases {
        let mut args = vec![film.as_str(), "--scale", "2", "--progress", "json"];
        if !more.contains(&"-o") {
            args.extend(["-o", if more[0] == "--from" { "x.mkv" } else { &out }]);
        }
        args.extend(more);
        let mut command = asasr(&args);
        let run = command.current_dir(at.0.path()).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{args:?}");
        assert!(said(&run).contains(why), "{args:?}: {}", said(&run));
        let events = String::from_utf8(run.stdout).unwrap();
        let failed = events.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        let failed: Vec<Value> = failed.filter(|e| e["event"] == "failed").collect();
        assert_eq!(failed[0]["code"], code, "{args:?}");
    }
    assert_eq!(at.names(), ["film.mp4", "full", "old"], "nothing is left");
}

#[test]
fn results_that_are_there_are_kept() {
    let at = Folder::new();
    let (film, out) = (at.path("film.mp4"), at.path("out.mp4"));
    ffmpeg(&format!("{FILM} -frames:v 2 -c:v libx264 '{film}'"));
    fs::write(&out, "older").unwrap();
    let said = enlarge(&[&film, "-o", &out, "--no-clobber"]);
    assert!(said.contains("is kept"), "{said}");
    assert_eq!(fs::read(&out).unwrap(), b"older");
    enlarge(&[&film, "-o", &out, "--width", "128"]);
    assert_eq!(stream(&out, "v:0")["height"], 96);
}
