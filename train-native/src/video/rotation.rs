//! How a video is turned when it is shown: the display matrix, and where MP4 files have it.
//!
//! ffmpeg 5 writes it of a tag, and ffmpeg 6 of an option, each without what else a matrix says; so it is put into the finished file.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::boxes;
use crate::error::{Error, Result};

/// A display matrix `a b u c d v x y w`: 16.16 fixed point, and 2.30 for u, v and w.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation([i32; 9]);

const ONE: i32 = 1 << 16;

impl Rotation {
    /// Reads rows of three numbers, each after its place and a colon, as ffprobe prints them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rows = text.lines().filter_map(|line| line.split_once(':'));
        let numbers: Vec<i32> = rows
            .flat_map(|(_, row)| row.split_whitespace())
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()
            .ok()?;
        Some(Self(numbers.try_into().ok()?))
    }

    /// Whether it leaves everything as it is.
    pub(super) fn is_none(self) -> bool {
        let [a, b, _, c, d, ..] = self.0;
        (a, b, c, d) == (ONE, 0, 0, ONE)
    }

    /// Whether columns become rows.
    pub(super) fn swaps(self) -> bool {
        self.0[0] == 0 && self.0[1] != 0
    }

    /// Whether it turns by quarters alone and mirrors nothing, so that pixels can be turned instead.
    pub(super) fn is_quarters(self) -> bool {
        let [a, b, _, c, d, ..] = self.0.map(i64::from);
        let one = i64::from(ONE);
        (a * d - b * c) == one * one && [a, b].map(i64::abs).iter().all(|n| [0, one].contains(n))
    }

    /// The same for a picture so many times wider and higher.
    pub(super) fn times(self, (x, y): (f64, f64)) -> Self {
        let mut matrix = self.0;
        // What it moves by is counted in pixels of the picture as it is shown.
        let (x, y) = if self.swaps() { (y, x) } else { (x, y) };
        matrix[6] = (f64::from(matrix[6]) * x).round() as i32;
        matrix[7] = (f64::from(matrix[7]) * y).round() as i32;
        Self(matrix)
    }

    /// Puts it into the first video track of an MP4 or `QuickTime` file.
    pub(super) fn put(self, path: &Path) -> Result<()> {
        let put = || -> io::Result<bool> {
            let mut file = OpenOptions::new().read(true).write(true).open(path)?;
            let Some(place) = matrix_place(&mut file)? else {
                return Ok(false);
            };
            file.seek(SeekFrom::Start(place))?;
            let bytes: Vec<u8> = self.0.iter().flat_map(|n| n.to_be_bytes()).collect();
            file.write_all(&bytes)?;
            Ok(true)
        };
        match put() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::at(
                path,
                "how it is turned finds no place in the file: name a .mkv file",
            )),
            Err(e) => Err(Error::of(path, &e)),
        }
    }
}

/// Where the matrix of the first video track is.
fn matrix_place(file: &mut File) -> io::Result<Option<u64>> {
    for track in boxes::video_tracks(file)? {
        let Some((header, _)) = boxes::find(file, track, *b"tkhd")? else {
            continue;
        };
        let [version] = boxes::read(file, header)?;
        // Times and durations have 64 bits in version 1.
        return Ok(Some(header + if version == 1 { 52 } else { 40 }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    fn of(text: &str) -> Rotation {
        Rotation::parse(text).unwrap()
    }

    #[test]
    fn matrices_are_read_and_told_apart() {
        let turned = of(
            "\n00000000:            0       65536           0\n00000001:       -65536           0           0\n\
                         00000002:      3145728           0  1073741824\n",
        );
        assert!(turned.swaps() && turned.is_quarters() && !turned.is_none());
        assert_eq!(
            turned.times((2.0, 3.0)).0[6],
            3 * 3_145_728,
            "that many rows become columns"
        );
        let plain = of("0: 65536 0 0\n1: 0 65536 0\n2: 0 0 1073741824");
        assert!(plain.is_none() && plain.is_quarters() && !plain.swaps());
        let mirrored = of("0: -65536 0 0\n1: 0 65536 0\n2: 0 0 1073741824");
        assert!(!mirrored.is_quarters());
        assert!(Rotation::parse("0: 1 2").is_none() && Rotation::parse("0: 1 2 x").is_none());
    }

    /// A box of that kind.
    fn a_box(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = (content.len() as u32 + 8).to_be_bytes();
        [&size[..], &kind, content].concat()
    }

    #[test]
    fn the_matrix_goes_to_the_video_track() {
        let track = |handles: &[u8; 4], version: u8| {
            let header = [&[version][..], &[0; 100]].concat();
            let handler = [&[0; 8][..], handles, &[0; 12]].concat();
            let media = a_box(*b"mdia", &a_box(*b"hdlr", &handler));
            a_box(*b"trak", &[a_box(*b"tkhd", &header), media].concat())
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        let matrix = of("0: 1 2 3\n1: 4 5 6\n2: 7 8 9");
        let wanted: Vec<u8> = (1..10i32).flat_map(i32::to_be_bytes).collect();
        for (version, place) in [(0, 40), (1, 52)] {
            let sound = track(b"soun", 0);
            let movie = a_box(*b"moov", &[sound.clone(), track(b"vide", version)].concat());
            let before = a_box(*b"ftyp", &[0; 12]);
            std::fs::write(&path, [before.clone(), movie].concat()).unwrap();
            matrix.put(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let at = before.len() + 8 + sound.len() + 16 + place;
            assert_eq!(bytes[at..at + 36], wanted);
        }
        std::fs::write(&path, [1, 2, 3]).unwrap();
        assert!(matrix.put(&path).is_err());
    }
}
