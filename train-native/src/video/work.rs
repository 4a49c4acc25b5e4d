//! What was done of a video: a hidden folder beside the result, with a file for every finished stretch.
//!
//! A stretch's file is written under another name and renamed when it is whole; what is known of it is written before. So whatever
//! bears its name can be gone on from.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::clock::TimeBase;
use crate::error::{Error, Result, code, shown};
use crate::files;

/// What decides over the bytes of stretches, by name.
pub(super) type Record = BTreeMap<String, String>;

const RECORD: &str = "work.json";
const LOCK: &str = "lock";

/// What is known of a finished stretch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// None where there is nothing in that time.
    pub(super) frames: u64,
    /// Ticks of the first frame and of the last two; the last one's twice where there is one alone.
    pub(super) first: i64,
    pub(super) before: i64,
    pub(super) last: i64,
    /// Whether the video ends in it.
    pub(super) ends: bool,
}

impl Done {
    /// A stretch without frames.
    pub(super) const NOTHING: Self = Self {
        frames: 0,
        first: 0,
        before: 0,
        last: 0,
        ends: false,
    };

    /// A stretch of one frame.
    pub(super) fn of(tick: i64) -> Self {
        Self {
            frames: 1,
            first: tick,
            before: tick,
            last: tick,
            ends: false,
        }
    }

    /// The same with a frame more.
    pub(super) fn and(self, tick: i64) -> Self {
        Self {
            frames: self.frames + 1,
            before: self.last,
            last: tick,
            ..self
        }
    }
}

/// The folder.
#[derive(Debug)]
pub(super) struct Work {
    folder: PathBuf,
    /// Held while this process lives.
    lock: Option<File>,
}

/// Times of stretches, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretches {
    /// The first tick of all; none takes what there is.
    pub(super) from: Option<i64>,
    /// The first tick after all.
    pub(super) to: Option<i64>,
    /// Where the second one would begin if the first began at its time zero.
    origin: i64,
    length: i64,
}

impl Stretches {
    /// Of so many seconds, between two times in microseconds; `origin` is where the clock begins.
    pub(super) fn new(base: TimeBase, seconds: u16, origin: i64, [from, to]: [Option<i64>; 2]) -> Self {
        let tick = |micros| base.first_from(micros);
        let begin = from.unwrap_or(origin);
        Self {
            from: from.map(tick),
            to: to.map(tick),
            origin: tick(begin),
            length: (tick(begin + i64::from(seconds) * 1_000_000) - tick(begin)).max(1),
        }
    }

    /// The first tick of a stretch; none where it takes what comes before, too.
    pub(super) fn begin(&self, index: usize) -> Option<i64> {
        match index {
            0 => self.from,
            n => Some(self.origin + n as i64 * self.length),
        }
    }

    /// The first tick after a stretch.
    pub(super) fn end(&self, index: usize) -> i64 {
        let end = self.origin + (index as i64 + 1) * self.length;
        self.to.map_or(end, |to| end.min(to))
    }

    /// Whether it lies behind all that is asked for.
    pub(super) fn is_beyond(&self, index: usize) -> bool {
        self.to
            .is_some_and(|to| self.begin(index).is_some_and(|begin| begin >= to))
    }
}

impl Work {
    /// The place for a result's work.
    pub(super) fn place(target: &Path) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".asasr-video");
        files::folder_of(target).join(name)
    }

    /// Opens the folder for a result, and tells which stretches are done.
    ///
    /// # Errors
    /// Where another run is at it, where an earlier one's work is there and not to be gone on with, or was made in another way.
    pub(super) fn open(
        target: &Path,
        record: &Record,
        resume: bool,
    ) -> Result<(Self, BTreeMap<usize, Done>)> {
        let folder = Self::place(target);
        let refused = |why: String| Error::at(target, why).coded(code::UNFINISHED);
        let at = |e: std::io::Error| {
            Error::at(target, format!("its work cannot be kept beside it: {e}")).coded(code::FILE)
        };
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(at(e)),
            _ => {}
        }
        let lock = File::create(folder.join(LOCK)).map_err(at)?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(refused("another run is at work on it: wait for it".into()));
        }
        let mut work = Self {
            folder,
            lock: Some(lock),
        };
        work.tidy();
        let done = work.done();
        let earlier = fs::read(work.folder.join(RECORD)).ok();
        let earlier: Option<Record> = earlier.and_then(|json| serde_json::from_slice(&json).ok());
        match earlier {
            Some(earlier) if frames(&done) > 0 => {
                let folder = shown(&work.folder);
                if !resume {
                    work.lock = None;
                    return Err(refused(format!(
                        "an earlier run was ended before it was whole: go on with --resume, or delete {folder}"
                    )));
                }
                let differing = differing(&earlier, record);
                if !differing.is_empty() {
                    return Err(refused(format!(
                        "the earlier run differs in {}: resume with what it was begun with, or delete {folder}",
                        differing.join(", ")
                    )));
                }
                Ok((work, done))
            }
            _ => {
                work.clear();
                let json = serde_json::to_vec_pretty(record).map_err(|e| Error::new(e.to_string()))?;
                files::write(&work.folder.join(RECORD), &json)?;
                Ok((work, BTreeMap::new()))
            }
        }
    }

    /// Deletes what was being written when a run was ended.
    fn tidy(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(".part.") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Deletes all stretches.
    fn clear(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name() != LOCK {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The stretches that are whole.
    pub(super) fn done(&self) -> BTreeMap<usize, Done> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let index = name.to_str().and_then(|n| n.strip_suffix(".json")?.parse().ok());
            let told = fs::read(entry.path()).ok();
            let told: Option<Done> = told.and_then(|json| serde_json::from_slice(&json).ok());
            if let (Some(index), Some(done)) = (index, told)
                && (done.frames == 0 || self.file(index).is_file())
            {
                all.insert(index, done);
            }
        }
        all
    }

    /// A finished stretch's file.
    pub(super) fn file(&self, index: usize) -> PathBuf {
        self.folder.join(Self::name(index))
    }

    /// Its name in the folder.
    pub(super) fn name(index: usize) -> String {
        format!("{index:06}.mp4")
    }

    /// Where a stretch is written until it is whole.
    pub(super) fn unfinished(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:06}.part.mp4"))
    }

    /// A file for something else.
    pub(super) fn other(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Keeps a stretch whose file is whole, or that has no frames.
    pub(super) fn keep(&self, index: usize, done: &Done) -> Result<()> {
        let json = serde_json::to_vec(done).map_err(|e| Error::new(e.to_string()))?;
        files::write(&self.folder.join(format!("{index:06}.json")), &json)?;
        if done.frames > 0 {
            let file = self.file(index);
            fs::rename(self.unfinished(index), &file).map_err(|e| Error::of(&file, &e))?;
        }
        Ok(())
    }

    /// The result is whole: nothing of the work is needed any more.
    pub(super) fn remove(mut self) {
        self.lock = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Where nothing was done there is nothing to go on from.
        if self.lock.take().is_some() && frames(&self.done()) == 0 {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// How many frames stretches have.
pub(super) fn frames(done: &BTreeMap<usize, Done>) -> u64 {
    done.values().map(|d| d.frames).sum()
}

/// The names under which two records differ.
fn differing<'a>(one: &'a Record, other: &'a Record) -> Vec<&'a str> {
    let mut names: Vec<&str> = one.keys().chain(other.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| one.get(*name) != other.get(*name));
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    fn record(crf: &str) -> Record {
        Record::from([("crf".into(), crf.into()), ("model".into(), "m".into())])
    }

    const DONE: Done = Done {
        frames: 3,
        first: 0,
        before: 1,
        last: 2,
        ends: false,
    };

    #[test]
    fn a_run_goes_on_where_another_was_ended() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let open = |crf: &str, resume| Work::open(&target, &record(crf), resume);
        let (work, done) = open("18", false).unwrap();
        assert!(done.is_empty());
        let busy = open("18", true).unwrap_err().to_string();
        assert!(busy.contains("another run"), "{busy}");
        fs::write(work.unfinished(0), "frames").unwrap();
        work.keep(0, &DONE).unwrap();
        // As a run that is killed leaves it.
        fs::write(work.unfinished(1), "half").unwrap();
        drop(work);
        let why = open("18", false).unwrap_err();
        assert!(why.to_string().contains("--resume"), "{why}");
        let why = open("20", true).unwrap_err().to_string();
        assert!(why.contains("differs in crf:"), "{why}");
        let (work, done) = open("18", true).unwrap();
        assert_eq!(done, BTreeMap::from([(0, DONE)]));
        assert!(!work.unfinished(1).exists() && work.file(0).exists());
        work.remove();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_done_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let (work, _) = Work::open(&target, &record("18"), false).unwrap();
        fs::write(work.unfinished(0), "half").unwrap();
        drop(work);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn stretches_follow_each_other() {
        let base = TimeBase::parse("1/1000").unwrap();
        let all = Stretches::new(base, 10, 0, [None, None]);
        assert_eq!(
            (all.begin(0), all.end(0), all.begin(1)),
            (None, 10_000, Some(10_000))
        );
        let cut = Stretches::new(base, 10, 0, [Some(2_500_000), Some(14_000_000)]);
        assert_eq!((cut.begin(0), cut.end(0)), (Some(2500), 12_500));
        assert_eq!((cut.begin(1), cut.end(1)), (Some(12_500), 14_000));
        assert!(cut.is_beyond(2) && !cut.is_beyond(1) && !all.is_beyond(9));
    }
}
