//! Videos as a person enlarges them on the page, made and measured by ffmpeg.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use asasr_tests::{Browser, Server};
use serde_json::{Value, json};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What ffmpeg writes; its arguments are parted by spaces.
fn ffmpeg(args: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    let run = command
        .args(["-hide_banner", "-nostdin", "-v", "error", "-y"])
        .args(args.split_whitespace())
        .output();
    let run = run.expect("ffmpeg has to be installed for these tests");
    assert!(run.status.success(), "{args}: {}", said(&run));
    run.stdout
}

fn ffprobe(path: &Path, args: &str) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json"]);
    let run = command.args(args.split_whitespace()).arg(path).output().unwrap();
    assert!(run.status.success(), "{}: {}", path.display(), said(&run));
    serde_json::from_slice(&run.stdout).unwrap()
}

/// Times of all frames of the first video stream, in microseconds.
fn times(path: &Path) -> Vec<i64> {
    let told = ffprobe(path, "-select_streams v:0 -show_entries frame=pts_time");
    let frames = told["frames"].as_array().unwrap().iter();
    let time = |f: &Value| f["pts_time"].as_str().unwrap().parse::<f64>().unwrap();
    frames.map(|f| (time(f) * 1e6).round() as i64).collect()
}

fn stream(path: &Path, which: &str) -> Value {
    ffprobe(path, &format!("-show_streams -select_streams {which}"))["streams"][0].clone()
}

fn duration(path: &Path) -> f64 {
    let told = ffprobe(path, "-show_format");
    told["format"]["duration"].as_str().unwrap().parse().unwrap()
}

/// A hash of the packets of sound as they are.
fn sound(path: &Path) -> String {
    let told = ffmpeg(&format!("-i {} -map 0:a -c copy -f streamhash -", path.display()));
    String::from_utf8(told).unwrap()
}

/// The mean of brightness and of both colour differences over all frames, of 0 to 255.
fn means(path: &Path) -> [f64; 3] {
    let told = stream(path, "v:0");
    let side = |name: &str| told[name].as_u64().unwrap() as usize;
    let (width, height) = (side("width"), side("height"));
    let bytes = ffmpeg(&format!(
        "-noautorotate -i {} -map 0:v:0 -fps_mode passthrough -pix_fmt yuv420p -f rawvideo -",
        path.display()
    ));
    let colours = width.div_ceil(2) * height.div_ceil(2);
    let sizes = [width * height, colours, colours];
    let mut sums = [0.0; 3];
    let frames = bytes.chunks_exact(sizes.iter().sum());
    let count = frames.len();
    for frame in frames {
        let mut rest = frame;
        for (sum, size) in sums.iter_mut().zip(sizes) {
            let (plane, after) = rest.split_at(size);
            *sum += plane.iter().map(|v| f64::from(*v)).sum::<f64>() / size as f64;
            rest = after;
        }
    }
    sums.map(|s| s / count as f64)
}

/// What every result has of its video: frames, their times, the length and the colours. Matroska counts in milliseconds.
fn check(video: &Path, result: &Path, (width, height): (u64, u64)) {
    let name = result.display();
    let made = stream(result, "v:0");
    let size = (made["width"].as_u64(), made["height"].as_u64());
    assert_eq!(size, (Some(width), Some(height)), "{name}");
    let fine = result.extension().is_some_and(|e| e == "mp4" || e == "mov");
    let slack = if fine { 1 } else { 1000 };
    let (wanted, got) = (times(video), times(result));
    assert_eq!(wanted.len(), got.len(), "{name}: other frames");
    for (wanted, got) in wanted.iter().zip(&got) {
        assert!((wanted - got).abs() <= slack, "{name}: {got} and not {wanted}");
    }
    let (wanted, got) = (duration(video), duration(result));
    assert!((wanted - got).abs() < 0.03, "{name}: {got} seconds, not {wanted}");
    // An encoder rounds, and leaves out what is fine: by less than a level on the whole.
    for (wanted, got) in means(video).iter().zip(means(result)) {
        assert!(
            (wanted - got).abs() <= 1.0,
            "{name}: a colour is {got:.2} on the whole, not {wanted:.2}"
        );
    }
}

/// Functions for the scripts below: a video of the list by its name, and its button by what stands on it.
const PARTS: &str = "const film = (name) => [...document.querySelectorAll('#video-list > li')].findLast((li) => li.querySelector('.name').textContent === name);
                     const button = (name, text) => [...film(name).querySelectorAll('.actions > :not([hidden])')].find((b) => b.textContent === text);";

/// A browser that lets nobody choose where files go, as most do: its own files are downloaded.
async fn opened(server: &Server) -> Browser {
    let browser = Browser::start().await;
    browser
        .before("delete window.showSaveFilePicker; delete window.showDirectoryPicker;")
        .await;
    browser
        .open(&format!("{}?device=cpu&lang=en", server.url()))
        .await;
    browser
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

async fn run(browser: &Browser, script: &str, args: Vec<Value>) -> Value {
    let told = browser.run(&format!("{PARTS}{script}"), args).await;
    assert!(
        !told.as_str().is_some_and(|t| t.starts_with("failed: ")),
        "{told}"
    );
    told
}

async fn wait(browser: &Browser, condition: &str, name: &str) {
    let name = json!(name);
    browser
        .wait_for(&format!(
            "(() => {{ {PARTS} const li = film({name}); return {condition}; }})()"
        ))
        .await;
}

/// Drops a file and waits until it is read or refused.
async fn given(browser: &Browser, path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    browser.drop_files(&[(&name, &fs::read(path).unwrap())]).await;
    let read = "Boolean(li) && (li.className === 'failed' || (li.className === 'ready' && li.querySelector('.hint').textContent !== ''))";
    wait(browser, read, &name).await;
    name
}

/// What the list says of a video.
async fn told(browser: &Browser, name: &str) -> String {
    let script = "const li = film(args[0]); return [li.className, ...[...li.querySelectorAll('.state, .notes li')].map((e) => e.textContent)].join('; ');";
    let told = run(browser, script, vec![name.into()]).await;
    told.as_str().unwrap().to_owned()
}

/// Chooses for a video what names of its settings stand for.
async fn choose(browser: &Browser, name: &str, choices: &[(&str, &str)]) {
    for (key, value) in choices {
        let script = "const control = film(args[0]).querySelector(`[name=${args[1]}]`);
                      control.value = args[2];
                      if (control.value !== args[2]) throw new Error(`${args[1]} has no ${args[2]}`);
                      control.dispatchEvent(new Event('change', { bubbles: true }));
                      await new Promise((resolve) => { setTimeout(resolve, 300); });";
        let args = vec![name.into(), (*key).into(), (*value).into()];
        run(browser, script, args).await;
    }
}

async fn press(browser: &Browser, name: &str, text: &str) {
    run(
        browser,
        "button(args[0], args[1]).click();",
        vec![name.into(), text.into()],
    )
    .await;
}

/// Results that were taken.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Downloads the result of a video, removes that from the list, and gives the file's place.
async fn taken(browser: &Browser, name: &str) -> PathBuf {
    // A person's click: a browser stops scripts that download again and again.
    let script = "return button(args[0], 'Download').download;";
    let file = run(browser, script, vec![name.into()]).await;
    let file = file.as_str().unwrap();
    browser.click("#video-list a[href]").await;
    browser.arrived(file).await;
    press(browser, name, "Remove").await;
    // The next one may have the same name.
    let folder = browser.downloaded(&format!("{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&folder).unwrap();
    let place = folder.join(file);
    fs::rename(browser.downloaded(file), &place).unwrap();
    place
}

/// Enlarges a video with these choices; gives its result and what was said of it.
async fn enlarged(browser: &Browser, path: &Path, choices: &[(&str, &str)]) -> (PathBuf, String) {
    let name = given(browser, path).await;
    choose(browser, &name, choices).await;
    press(browser, &name, "Enlarge the video").await;
    wait(
        browser,
        "['done', 'stopped', 'failed'].includes(li.className)",
        &name,
    )
    .await;
    let said = told(browser, &name).await;
    assert!(said.starts_with("done"), "{name}: {said}");
    (taken(browser, &name).await, said)
}

const FILM: &str = "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=0.5";
const SOUND: &str = "-f lavfi -i sine=d=0.5";
/// Gaps of one, two and seven frames.
const UNEVEN: &str = "-vf setpts='round((N+floor(N/3)+6*gte(N\\,8))*1001/24000/TB)' -fps_mode passthrough";

/// Each codec stays in its container, with its sound, frame for frame.
#[tokio::test]
async fn frames_times_sound_and_colours_are_kept() {
    let at = tempfile::tempdir().unwrap();
    let server = Server::start();
    let browser = opened(&server).await;
    let uneven = UNEVEN.replace('\'', "");
    let cases = [
        (
            "h264.mp4",
            "",
            "-c:v libx264 -pix_fmt yuv420p -c:a aac",
            "2",
            "h264",
        ),
        (
            "uneven.mov",
            &uneven,
            "-c:v libx264 -pix_fmt yuv420p -c:a pcm_s16le",
            "2",
            "h264",
        ),
        (
            "vp9.webm",
            &uneven,
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
            "3",
            "vp9",
        ),
        (
            "av1.mp4",
            "",
            "-c:v libaom-av1 -cpu-used 8 -usage realtime -c:a aac",
            "4",
            "h264",
        ),
        (
            "vp8.mkv",
            "",
            "-c:v libvpx -deadline realtime -cpu-used 8 -c:a flac",
            "2",
            "h264",
        ),
    ];
    for (name, timing, how, size, codec) in cases {
        let film = at.path().join(name);
        ffmpeg(&format!("{FILM} {SOUND} {timing} {how} {}", film.display()));
        let (result, _) = enlarged(&browser, &film, &[("size", size)]).await;
        let times = size.parse::<u64>().unwrap();
        check(&film, &result, (64 * times, 48 * times));
        assert_eq!(film.extension(), result.extension(), "{name}");
        assert_eq!(stream(&result, "v:0")["codec_name"], codec, "{name}");
        assert_eq!(sound(&film), sound(&result), "{name}");
    }
    // Any codec that the browser has may be chosen; the container follows where it has to.
    let film = at.path().join("h264.mp4");
    for (codec, called) in [("av1", "av1"), ("vp9", "vp9"), ("vp8", "vp8")] {
        let (result, _) = enlarged(&browser, &film, &[("codec", codec), ("quality", "best")]).await;
        check(&film, &result, (128, 96));
        assert_eq!(stream(&result, "v:0")["codec_name"], called);
        assert_eq!(sound(&film), sound(&result), "{codec}");
    }
    browser.close().await;
}

/// Odd sides, long pixels, the whole range, and turned; and what has more than 8 bits is told to be reduced.
#[tokio::test]
async fn shapes_turns_and_ranges_are_kept() {
    let at = tempfile::tempdir().unwrap();
    let path = |name: &str| at.path().join(name);
    let server = Server::start();
    let browser = opened(&server).await;
    let colours = "-color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709";
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=80x80:r=25:d=0.4 -vf scale=51:35:out_range=pc:out_color_matrix=bt709,format=yuv444p,setsar=8/9 \
         {colours} -c:v libx264 {}",
        path("flat.mp4").display()
    ));
    ffmpeg(&format!(
        "-i {} -c copy -metadata:s:v rotate=90 {}",
        path("flat.mp4").display(),
        path("film.mp4").display()
    ));
    let film = path("film.mp4");
    let given = stream(&film, "v:0");
    let rotation = |s: &Value| s["side_data_list"][0]["rotation"].as_i64();
    for (codec, width, height) in [("avc", 152, 104), ("vp9", 153, 105)] {
        let (result, _) = enlarged(&browser, &film, &[("size", "3"), ("codec", codec)]).await;
        check(&film, &result, (width, height));
        let made = stream(&result, "v:0");
        // Only H.264 tells of the whole range in its own bits.
        let range = if codec == "avc" { "pc" } else { "tv" };
        assert_eq!(made["color_range"], range, "{codec}");
        for name in [
            "color_space",
            "color_primaries",
            "color_transfer",
            "sample_aspect_ratio",
        ] {
            assert!(given[name].is_string(), "{name}");
            assert_eq!(given[name], made[name], "{codec}: {name}");
        }
        assert!(rotation(&given).is_some_and(|r| r.abs() == 90), "{given}");
        assert_eq!(rotation(&given), rotation(&made), "{codec}");
    }

    let deep = path("deep.mp4");
    ffmpeg(&format!(
        "{FILM} -c:v libaom-av1 -cpu-used 8 -usage realtime -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 \
         -colorspace bt2020nc {}",
        deep.display()
    ));
    let (result, said) = enlarged(&browser, &deep, &[("size", "2")]).await;
    check(&deep, &result, (128, 96));
    assert!(said.contains("more than 8 bits"), "{said}");
    assert_eq!(stream(&result, "v:0")["color_transfer"], "smpte2084");
    browser.close().await;
}

/// A part of a video begins and ends where it is said, and its sound with it; a box is met.
#[tokio::test]
async fn a_part_and_a_box_are_met() {
    let at = tempfile::tempdir().unwrap();
    let film = at.path().join("film.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=480x272:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -pix_fmt yuv420p -g 20 -c:a aac {}",
        film.display()
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    let (result, _) = enlarged(
        &browser,
        &film,
        &[("size", "1080p"), ("from", "1"), ("to", "1.12")],
    )
    .await;
    assert_eq!(times(&result), [0, 40_000, 80_000]);
    let made = stream(&result, "v:0");
    assert_eq!(
        (made["width"].as_u64(), made["height"].as_u64()),
        (Some(1904), Some(1080))
    );
    let heard = |path: &Path| {
        let told = ffprobe(path, "-select_streams a -show_entries packet=pts_time,size");
        let packets = told["packets"].as_array().unwrap().clone();
        let time = |p: &Value| p["pts_time"].as_str().unwrap().parse::<f64>().unwrap();
        let size = |p: &Value| p["size"].as_str().unwrap().to_owned();
        packets.iter().map(|p| (time(p), size(p))).collect::<Vec<_>>()
    };
    let wanted: Vec<_> = heard(&film)
        .into_iter()
        .filter(|(time, _)| (1.0..1.12).contains(time))
        .collect();
    let got = heard(&result);
    assert_eq!(wanted.len(), got.len());
    for ((at, bytes), (its, same)) in wanted.iter().zip(&got) {
        assert!(
            (at - 1.0 - its).abs() < 1e-4 && bytes == same,
            "{its} and not {at} - 1"
        );
    }
    browser.close().await;
}

/// Animated images are photos, and offered as videos too.
#[tokio::test]
async fn animated_images_are_videos_too() {
    let at = tempfile::tempdir().unwrap();
    let server = Server::start();
    let browser = opened(&server).await;
    for (name, how) in [
        ("a.gif", ""),
        ("a.png", "-plays 0 -f apng"),
        ("a.webp", "-loop 0"),
    ] {
        let film = at.path().join(name);
        ffmpeg(&format!(
            "-f lavfi -i testsrc2=s=40x30:r=10:d=0.6 {how} {}",
            film.display()
        ));
        let (result, _) = enlarged(&browser, &film, &[("size", "2")]).await;
        let made = stream(&result, "v:0");
        assert_eq!(
            (made["width"].as_u64(), made["height"].as_u64()),
            (Some(80), Some(60)),
            "{name}"
        );
        if name == "a.gif" {
            assert_eq!(times(&result), [0, 100_000, 200_000, 300_000, 400_000, 500_000]);
        }
        assert!(
            (duration(&result) - 0.6).abs() < 0.01,
            "{name}: {}",
            duration(&result)
        );
        browser.finished().await;
        browser.clear().await;
    }
    browser.close().await;
}

/// A pause lasts until it is ended; what is done when it is stopped is a video.
#[tokio::test]
async fn it_pauses_goes_on_and_stops() {
    let at = tempfile::tempdir().unwrap();
    let film = at.path().join("film.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=160x120:r=25:d=40 -f lavfi -i sine=d=40 -c:v libx264 -pix_fmt yuv420p -c:a aac {}",
        film.display()
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    let name = given(&browser, &film).await;
    press(&browser, &name, "Enlarge the video").await;
    wait(&browser, "li.querySelector('progress').value > 0", &name).await;
    press(&browser, &name, "Pause").await;
    let done = || async { told(&browser, &name).await };
    // Frames that were begun are done.
    let mut before = done().await;
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let now = done().await;
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before.contains("paused"), "{before}");
    press(&browser, &name, "Go on").await;
    let share = run(
        &browser,
        "return film(args[0]).querySelector('progress').value;",
        vec![name.as_str().into()],
    )
    .await;
    wait(
        &browser,
        &format!("li.querySelector('progress').value > {share}"),
        &name,
    )
    .await;
    press(&browser, &name, "Stop and keep").await;
    wait(&browser, "li.className === 'stopped'", &name).await;
    let result = taken(&browser, &name).await;
    let made = times(&result);
    let all = times(&film);
    assert!((2..all.len()).contains(&made.len()), "{} frames", made.len());
    assert_eq!(made, all[..made.len()]);
    assert!((duration(&result) - made.len() as f64 / 25.0).abs() < 0.05);
    browser.close().await;
}

/// A file that the person chose is written where it lies; several are made one after the other.
#[tokio::test]
async fn a_chosen_file_is_written_and_a_queue_is_worked_off() {
    let at = tempfile::tempdir().unwrap();
    let server = Server::start();
    let browser = Browser::start().await;
    // The dialogs of the system, as far as a script sees them.
    browser
        .before(
            "const root = () => navigator.storage.getDirectory();
             window.showSaveFilePicker = async ({ suggestedName }) => (await root()).getFileHandle(suggestedName, { create: true });
             window.showDirectoryPicker = async () => (await root()).getDirectoryHandle('chosen', { create: true });",
        )
        .await;
    browser
        .open(&format!("{}?device=cpu&lang=en", server.url()))
        .await;
    let names = ["a.mp4", "b.mp4"];
    for name in names {
        let film = at.path().join(name);
        ffmpeg(&format!(
            "{FILM} -c:v libx264 -pix_fmt yuv420p {}",
            film.display()
        ));
        given(&browser, &film).await;
    }
    browser.click("#start-all").await;
    for name in names {
        wait(&browser, "li.className === 'done'", name).await;
        let said = told(&browser, name).await;
        assert!(
            said.contains(&format!("saved as {}-x2.mp4", &name[..1])),
            "{said}"
        );
    }
    let read = "const root = await navigator.storage.getDirectory();
                const folder = await root.getDirectoryHandle('chosen');
                const file = await (await folder.getFileHandle(args[0])).getFile();
                return new Uint8Array(await file.arrayBuffer()).toBase64();";
    for name in names {
        use base64::Engine as _;
        let text = browser
            .run(read, vec![name.replace(".mp4", "-x2.mp4").into()])
            .await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap();
        let result = at.path().join(format!("made-{name}"));
        fs::write(&result, bytes).unwrap();
        check(&at.path().join(name), &result, (128, 96));
    }
    browser.close().await;
}

/// A frame is tried before the whole: it is compared like a photo.
#[tokio::test]
async fn a_frame_is_tried_first() {
    let at = tempfile::tempdir().unwrap();
    let film = at.path().join("film.mp4");
    ffmpeg(&format!(
        "{FILM} -c:v libx264 -pix_fmt yuv420p {}",
        film.display()
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    let name = given(&browser, &film).await;
    let script = "const li = film(args[0]);
                  const time = li.querySelector('[name=time]');
                  time.value = 0.3;
                  time.dispatchEvent(new Event('input'));";
    run(&browser, script, vec![name.as_str().into()]).await;
    wait(
        &browser,
        "li.querySelector('output').textContent === '0:00.3'",
        &name,
    )
    .await;
    let click = "[...film(args[0]).querySelectorAll('.film button')].find((b) => b.textContent === 'Try this frame').click();";
    for size in ["2", "1080p"] {
        choose(&browser, &name, &[("size", size)]).await;
        run(&browser, click, vec![name.as_str().into()]).await;
        browser.wait_for("document.querySelector('#list .running, #list .waiting') === null && !document.getElementById('result').hidden && document.getElementById('summary').textContent !== ''").await;
        browser.finished().await;
        let only = "return document.querySelectorAll('#list li').length;";
        assert_eq!(
            browser.run(only, vec![]).await,
            1,
            "one takes the place of the other"
        );
        if size == "2" {
            assert!(browser.text("summary").await.contains("128 × 96"));
        }
    }
    assert!(told(&browser, &name).await.starts_with("ready"));
    browser.close().await;
}

/// One sentence for what cannot be done, in both languages, at the video; the page goes on working.
#[tokio::test]
async fn what_cannot_be_done_is_told() {
    let at = tempfile::tempdir().unwrap();
    let path = |name: &str| at.path().join(name);
    let show = |name: &str| path(name).display().to_string();
    ffmpeg(&format!(
        "{FILM} -c:v libx264 -pix_fmt yuv420p {}",
        show("film.mp4")
    ));
    let bytes = fs::read(path("film.mp4")).unwrap();
    fs::write(path("cut.mp4"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(path("empty.mp4"), "").unwrap();
    fs::write(path("text.mp4"), "no video at all, but a text of some length").unwrap();
    ffmpeg(&format!("{SOUND} -c:a aac {}", show("sound.mp4")));
    ffmpeg(&format!("{FILM} -t 0 -c:v libx264 {}", show("none.mp4")));
    ffmpeg(&format!("{FILM} -c:v mpeg4 {}", show("old.mp4")));
    ffmpeg(&format!("{FILM} -c:v mpeg4 {}", show("old.avi")));
    let key = "000102030405060708090a0b0c0d0e0f";
    ffmpeg(&format!(
        "-i {} -c copy -encryption_scheme cenc-aes-ctr -encryption_key {key} -encryption_kid {key} {}",
        show("film.mp4"),
        show("locked.mp4")
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    for (name, english, german) in [
        ("cut.mp4", "cut short", "abgeschnitten"),
        ("empty.mp4", "the file is empty", "leer"),
        ("text.mp4", "no video that is read", "kein Video"),
        ("sound.mp4", "sound and no pictures", "Ton und keine Bilder"),
        ("none.mp4", "no frames", "keine Bilder"),
        ("old.mp4", "does not decode", "liest kein"),
        ("old.avi", "convert it to MP4", "in MP4"),
        ("locked.mp4", "encrypted", "verschlüsselt"),
    ] {
        let name = given(&browser, &path(name)).await;
        for (language, wanted) in [("de", german), ("en", english)] {
            browser.set("language", language).await;
            let said = told(&browser, &name).await;
            assert!(
                said.starts_with("failed") && said.contains(wanted),
                "{name}: {said}"
            );
        }
    }
    // What is there of a file without its end is made, and that is said.
    let whole = path("whole.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -c:v libx264 -g 5 -pix_fmt yuv420p -movflags +faststart {}",
        whole.display()
    ));
    let bytes = fs::read(&whole).unwrap();
    fs::write(path("half.mp4"), &bytes[..bytes.len() * 7 / 10]).unwrap();
    let (result, said) = enlarged(&browser, &path("half.mp4"), &[]).await;
    assert!(said.contains("cut short at second"), "{said}");
    let made = times(&result);
    assert!(
        made.len() > 5 && made[..] == times(&whole)[..made.len()],
        "{made:?}"
    );
    // Text goes no further, and that is said before the work.
    fs::write(path("s.srt"), "1\n00:00:00,100 --> 00:00:00,400\nHello\n").unwrap();
    for (name, codec) in [("text.mkv", "srt"), ("texts.mp4", "mov_text")] {
        ffmpeg(&format!(
            "-i {} -i {} -c copy -c:s {codec} {}",
            show("film.mp4"),
            show("s.srt"),
            show(name)
        ));
        let name = given(&browser, &path(name)).await;
        let said = told(&browser, &name).await;
        assert!(said.starts_with("ready") && said.contains("subtitles"), "{said}");
        press(&browser, &name, "Remove").await;
    }
    // A range without a frame is refused before the work.
    let name = given(&browser, &path("film.mp4")).await;
    choose(&browser, &name, &[("from", "0.4"), ("to", "0.2")]).await;
    press(&browser, &name, "Enlarge the video").await;
    let hint = run(
        &browser,
        "return film(args[0]).querySelector('.hint').textContent;",
        vec![name.as_str().into()],
    )
    .await;
    assert!(hint.as_str().unwrap().contains("end lies before"), "{hint}");
    browser.close().await;
}

/// What a reload interrupts goes on where it was, once the same file is given again.
#[tokio::test]
async fn an_interrupted_run_goes_on() {
    let at = tempfile::tempdir().unwrap();
    let film = at.path().join("film.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=96x64:r=25:d=6 -f lavfi -i sine=d=6 -c:v libx264 -pix_fmt yuv420p -c:a aac {}",
        film.display()
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    // A file as a disk has it: of a certain time.
    let encoded = base64(&fs::read(&film).unwrap());
    let drop = "const bytes = Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0));
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([bytes], 'film.mp4', { lastModified: 1e12 }));
                document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));";
    let read = "Boolean(li) && li.className === 'ready' && li.querySelector('.hint').textContent !== ''";
    run(&browser, drop, vec![encoded.clone().into()]).await;
    wait(&browser, read, "film.mp4").await;
    press(&browser, "film.mp4", "Enlarge the video").await;
    wait(&browser, "li.querySelector('progress').value > 0.3", "film.mp4").await;
    browser.reload().await;
    browser
        .wait_for("!document.getElementById('interrupted').hidden")
        .await;
    assert!(
        browser
            .text("interrupted")
            .await
            .contains("film.mp4 was interrupted")
    );
    run(&browser, drop, vec![encoded.into()]).await;
    wait(&browser, read, "film.mp4").await;
    press(&browser, "film.mp4", "Go on where it was interrupted").await;
    wait(&browser, "li.querySelector('progress').value > 0", "film.mp4").await;
    let share = "return film('film.mp4').querySelector('progress').value;";
    assert!(
        run(&browser, share, vec![]).await.as_f64().unwrap() > 0.3,
        "it began anew"
    );
    wait(
        &browser,
        "['done', 'stopped', 'failed'].includes(li.className)",
        "film.mp4",
    )
    .await;
    let said = told(&browser, "film.mp4").await;
    assert!(said.starts_with("done"), "{said}");
    let result = taken(&browser, "film.mp4").await;
    check(&film, &result, (192, 128));
    assert_eq!(sound(&film), sound(&result));
    browser.close().await;
}

/// A disk that gets full ends a video, and leaves one that plays.
#[tokio::test]
async fn a_full_disk_leaves_what_was_done() {
    let at = tempfile::tempdir().unwrap();
    let film = at.path().join("film.mp4");
    ffmpeg(&format!(
        "-f lavfi -i nullsrc=s=160x120:r=24:d=8,geq=random(1)*255:128:128 -c:v libx264 -qp 30 -pix_fmt yuv420p {}",
        film.display()
    ));
    let server = Server::start();
    let browser = opened(&server).await;
    let name = given(&browser, &film).await;
    choose(&browser, &name, &[("size", "4"), ("quality", "best")]).await;
    let used = "return (await navigator.storage.estimate()).usage;";
    let used = run(&browser, used, vec![]).await.as_f64().unwrap() as u64;
    // Four megabytes are kept free for the file's end.
    browser.quota(server.url(), used + 4_600_000).await;
    press(&browser, &name, "Enlarge the video").await;
    wait(
        &browser,
        "['done', 'stopped', 'failed'].includes(li.className)",
        &name,
    )
    .await;
    let said = told(&browser, &name).await;
    assert!(
        said.starts_with("stopped") && said.contains("disk is full"),
        "{said}"
    );
    let result = taken(&browser, &name).await;
    let (made, all) = (times(&result), times(&film));
    assert!((2..all.len()).contains(&made.len()), "{} frames", made.len());
    assert_eq!(made, all[..made.len()]);
    browser.close().await;
}
