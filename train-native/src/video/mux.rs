//! The result: stretches joined, beside everything else of the video, which is copied as it is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::clock::TimeBase;
use super::encode::write_error;
use super::format::Container;
use super::lanes::Made;
use super::probe::{Kind, Source, Stream, begin, named};
use super::tools::{Tools, file, text_of};
use super::work::{Done, Work};
use crate::error::{Error, Result, code};
use crate::upscale::tell::Remark;

/// What becomes of a stream that is not enlarged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    /// In the video.
    index: usize,
    kind: Kind,
    /// The encoder of subtitles that are written anew.
    anew: Option<&'static str>,
    /// By how many microseconds ffmpeg writes it too early: in Matroska files, what begins before time zero, as Opus does.
    early: i64,
}

/// Which part of the video the result has, in microseconds of the video's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    /// What is taken off all times.
    pub(super) shift: i64,
}

/// What the result's own stream is.
pub(super) struct Enlarged<'a> {
    pub(super) made: &'a Made,
    pub(super) base: TimeBase,
    /// Ticks for which the last frame is shown.
    pub(super) last: i64,
    /// Whether packets come in the order of display.
    pub(super) in_order: bool,
}

/// What the file takes of the other streams: it is tried, for only the installed ffmpeg knows.
///
/// # Errors
/// Where sound has no place in it.
pub(super) fn others(
    source: &Source,
    container: Container,
    tools: &Tools,
    work: &Work,
) -> Result<(Vec<Other>, Vec<Remark>)> {
    let ending = container.ending();
    let (mut all, mut notes) = (Vec::new(), Vec::new());
    for stream in source.streams.iter().filter(|s| s.index != source.pictures.index) {
        if stream.kind == Kind::Data && stream.tag == "text" {
            // Titles of chapters, which are copied as chapters.
            continue;
        }
        let other = |anew| Other {
            index: stream.index,
            kind: stream.kind,
            anew,
            early: 0,
        };
        let tried = |other: &Other| try_out(source, (stream, other), container, tools, work);
        let what = named(stream);
        let same = other(None);
        // ffmpeg leaves attached files out of such files without a word.
        let tried_same = match (container, stream.kind) {
            (Container::WebM, Kind::Attachment) => Err("not taken".into()),
            _ => tried(&same),
        };
        let why = match tried_same {
            Ok(early) => {
                all.push(Other { early, ..same });
                continue;
            }
            Err(why) => why,
        };
        let anew = other(Some(container.text()));
        if stream.kind == Kind::Subtitle && tried(&anew).is_ok() {
            let note = format!(
                "{what} are written as {}: .{ending} files do not take them as they are",
                container.text()
            );
            notes.push(Remark::new("subtitles-anew", note));
            all.push(anew);
        } else if stream.kind == Kind::Audio {
            let why = format!(
                "{what} does not go into a .{ending} file as it is ({why}): name a .mkv file, which takes it"
            );
            return Err(Error::at(&source.path, why).coded(code::FORMAT));
        } else {
            let note = format!("{what} does not go into a .{ending} file, and is left out");
            notes.push(Remark::new("stream-left-out", note));
        }
    }
    Ok((all, notes))
}

/// Writes a file with that stream alone; by how many microseconds it is too early there.
fn try_out(
    source: &Source,
    (stream, other): (&Stream, &Other),
    container: Container,
    tools: &Tools,
    work: &Work,
) -> std::result::Result<i64, String> {
    let place = work.other("trial.part.tmp");
    let mut command = tools.ffmpeg();
    command.args([
        "-nostdin",
        "-v",
        "error",
        "-itsoffset",
        &seconds(source.start),
        "-i",
    ]);
    command.arg(file(&source.path));
    command.args([
        "-map",
        &format!("0:{}", other.index),
        "-c",
        other.anew.unwrap_or("copy"),
    ]);
    // Some codecs tell in their packets what the file's head has.
    command.args(["-t", if other.kind == Kind::Audio { "1" } else { "0" }]);
    if !container.has_boxes() {
        command.args(["-avoid_negative_ts", "disabled"]);
    }
    command.args(["-f", container.muxer()]).arg(file(&place));
    let tried = text_of(&mut command);
    let early = match stream.begin {
        Some(wanted)
            if tried.is_ok() && stream.kind == Kind::Audio && wanted < 0.0 && !container.has_boxes() =>
        {
            begin(&place, tools).map_or(0.0, |begins| wanted - begins)
        }
        _ => 0.0,
    };
    let _ = fs::remove_file(&place);
    tried.map(|_| (early * 1e6).round() as i64)
}

/// Seconds with six digits, as ffmpeg takes them.
fn seconds(micros: i64) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The list of stretches. Each lasts until the next begins, by rounded times of both, so that nothing adds up.
fn list(made: &Made, base: TimeBase) -> String {
    let mut text = "ffconcat version 1.0\n".to_owned();
    let begins: Vec<(usize, i64)> = made
        .stretches
        .iter()
        .map(|(index, done)| (*index, base.micros(done.first)))
        .collect();
    for (i, (index, begin)) in begins.iter().enumerate() {
        // Writing into a text does not fail.
        let _ = writeln!(text, "file {}", Work::name(*index));
        if let Some((_, next)) = begins.get(i + 1) {
            let _ = writeln!(text, "duration {}us", next - begin);
        }
    }
    text
}

/// Durations of packets, by ffmpeg's filter setts: that the last frame, and so the whole, lasts as long as it should. Ticks are those of the
/// result, where they are known.
///
/// In files of boxes what is displayed last counts, and the sum over the order of decoding does. Elsewhere the unit of times
/// depends on ffmpeg's version, and the last packet's is told by the time that has passed; none where packets are not in the order of
/// display, which then have the usual durations.
fn durations(
    frames: u64,
    [first, before, last]: [i64; 3],
    lasts: i64,
    boxes: bool,
    in_order: bool,
) -> Option<String> {
    let at = frames.checked_sub(1)?;
    let span = last - first;
    let expression = if boxes {
        let end = span + lasts;
        format!(
            "if(eq(N,{at}),{end}+STARTDTS-DTS,if(gt(PTS-STARTPTS,{}),{lasts},DURATION))",
            before - first
        )
    } else if in_order && span > 0 {
        format!("if(eq(N,{at}),(PTS-STARTPTS)*{lasts}/{span},DURATION)")
    } else {
        return None;
    };
    Some(format!("setts=pts=PTS:dts=DTS:duration='{expression}'"))
}

/// Writes the result to `place`, a file that is there and will be `target`.
///
/// # Errors
/// Those of ffmpeg and the disk.
pub(super) fn join(
    source: &Source,
    (enlarged, others): (&Enlarged<'_>, &[Other]),
    (cut, container): (Cut, Container),
    (tools, work): (&Tools, &Work),
    (place, target): (&Path, &Path),
) -> Result<()> {
    let Enlarged {
        made,
        base,
        last,
        in_order,
    } = enlarged;
    let ends = made
        .stretches
        .values()
        .next()
        .zip(made.stretches.values().next_back());
    let Some((begin, end)) = ends else {
        let why = if cut.from.is_some() || cut.to.is_some() {
            "has no frames there: choose another --from or --to"
        } else {
            "has no frames: name a video that has"
        };
        return Err(Error::at(&source.path, why).coded(code::VIDEO));
    };
    let names = work.other("list.ffconcat");
    fs::write(&names, list(made, *base)).map_err(|e| Error::of(&names, &e))?;
    let mut command = tools.ffmpeg();
    command.args(["-nostdin", "-nostats", "-v", "error"]);
    let offset = base.micros(begin.first) - cut.shift;
    command.args(["-itsoffset", &seconds(offset), "-f", "concat", "-safe", "0", "-i"]);
    command.arg(file(&names));
    // The video, and once more for each of what comes too early.
    let mut early = vec![0];
    early.extend(others.iter().map(|o| o.early).filter(|e| *e != 0));
    early.dedup();
    for early in &early {
        match cut.from {
            // Its times then begin there.
            Some(from) => command.args([
                "-itsoffset",
                &seconds(*early),
                "-ss",
                &seconds(from - source.start),
            ]),
            None => command.args(["-itsoffset", &seconds(source.start - cut.shift + early)]),
        };
        if let Some(to) = cut.to {
            command.args(["-t", &seconds(to - cut.shift)]);
        }
        command.arg("-i").arg(file(&source.path));
    }
    let mut options: Vec<String> = ["-map_metadata", "1", "-map_chapters", "1", "-c", "copy"]
        .map(str::to_owned)
        .to_vec();
    let mut position = 0;
    for stream in &source.streams {
        let other = others.iter().find(|o| o.index == stream.index);
        if stream.index == source.pictures.index {
            options.extend(["-map".into(), "0:0".into()]);
            options.extend(of_enlarged(stream, position));
            let frames = made.stretches.values().map(|d| d.frames).sum();
            let ticks = [begin.first, before_last(made, end), end.last];
            let filter = durations(
                frames,
                ticks.map(|t| base.fine(t)),
                base.fine(*last),
                container.has_boxes(),
                *in_order,
            );
            options.extend(filter.into_iter().flat_map(|f| [format!("-bsf:{position}"), f]));
        } else if let Some(other) = other {
            let input = 1 + early.iter().position(|e| *e == other.early).unwrap_or(0);
            options.extend(["-map".into(), format!("{input}:{}", stream.index)]);
            if let Some(encoder) = other.anew {
                options.extend([format!("-c:{position}"), encoder.into()]);
            } else if cut.from.is_some() {
                options.extend([format!("-copypriorss:{position}"), "0".into()]);
            }
        } else {
            continue;
        }
        options.extend([
            format!("-map_metadata:s:{position}"),
            format!("1:s:{}", stream.index),
        ]);
        position += 1;
    }
    command.args(options);
    if container.has_boxes() {
        let rate = base.rate().to_string();
        // Edits, which say where streams begin, are counted in the whole file's clock.
        command.args(["-video_track_timescale", &rate, "-movie_timescale", &rate]);
        command.args(["-movflags", "+faststart"]);
    } else {
        command.args(["-avoid_negative_ts", "disabled"]);
    }
    command.args(["-f", container.muxer()]).arg(file(place));
    let said = text_of(&mut command);
    said.map(drop).map_err(|why| write_error(target, &[why], ""))
}

/// The time of the frame before the last one of all.
fn before_last(made: &Made, end: &Done) -> i64 {
    if end.frames > 1 {
        return end.before;
    }
    let earlier = made.stretches.values().rev().nth(1);
    earlier.map_or(end.last - 1, |done| done.last)
}

/// What is said of the enlarged stream besides what the video says: what it is for, and not how it was packed before.
fn of_enlarged(stream: &Stream, position: usize) -> Vec<String> {
    let packed = ["BPS", "NUMBER_OF_", "DURATION", "_STATISTICS_", "SOURCE_ID"];
    let is_old = |tag: &&String| {
        let name = tag.to_ascii_uppercase();
        name == "ENCODER"
            || name == "ROTATE"
            || name == "ALPHA_MODE"
            || packed.iter().any(|p| name.starts_with(p))
    };
    let mut options = Vec::new();
    for tag in stream.tags.iter().filter(is_old) {
        options.extend([format!("-metadata:s:{position}"), format!("{tag}=")]);
    }
    let all = stream.dispositions.join("+");
    let all = if all.is_empty() { "0".into() } else { all };
    options.extend([format!("-disposition:{position}"), all]);
    options
}

/// For how many ticks the last frame is shown: to the end that the video tells, or as long as the one before.
pub(super) fn last_lasts(source: &Source, made: &Made, cut: Cut, short: bool) -> i64 {
    let film = &source.pictures;
    let base = film.base;
    let Some(end) = made.stretches.values().next_back() else {
        return 0;
    };
    let all: u64 = made.stretches.values().map(|d| d.frames).sum();
    let usual = if all > 1 {
        end.last - before_last(made, end)
    } else {
        base.first_from((1e6 * film.rate.1 as f64 / film.rate.0 as f64).round() as i64)
    };
    let told = film.end.map(|end| base.nearest(end));
    match (told, cut.to.map(|to| base.first_from(to))) {
        // The next frame is cut off.
        (told, Some(to)) if told.is_none_or(|told| to < told) => usual.min(to - end.last),
        (Some(told), _) if told > end.last && !short => told - end.last,
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use std::collections::BTreeMap;

    use super::super::decode::Faults;
    use super::*;

    #[test]
    fn rounding_does_not_add_up() {
        let base = TimeBase::parse("1/24000").unwrap();
        let stretch = |first: i64| Done {
            frames: 7,
            first,
            last: first + 6 * 1001,
            before: first + 5 * 1001,
            ends: false,
        };
        let made = Made {
            stretches: BTreeMap::from([0, 1, 2, 3].map(|i| (i, stretch(1001 + i as i64 * 7007)))),
            faults: Faults::default(),
        };
        let text = list(&made, base);
        let sum: i64 = text
            .lines()
            .filter_map(|l| {
                l.strip_prefix("duration ")?
                    .strip_suffix("us")?
                    .parse::<i64>()
                    .ok()
            })
            .sum();
        assert_eq!(sum, base.micros(1001 + 3 * 7007) - base.micros(1001));
        assert!(text.contains("file 000003.mp4") && text.lines().count() == 8);
        assert_eq!(
            (seconds(-1_500_000), seconds(41)),
            ("-1.500000".into(), "0.000041".into())
        );
    }
}
