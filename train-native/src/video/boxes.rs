//! Boxes of MP4 and `QuickTime` files, as ISO/IEC 14496-12 has them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Where a box's content begins and ends.
pub(super) type Inside = (u64, u64);

/// The boxes between two places of a file, with their kinds.
fn boxes(file: &mut File, (mut at, end): Inside) -> io::Result<Vec<([u8; 4], Inside)>> {
    let mut found = Vec::new();
    while at + 8 <= end {
        let [s0, s1, s2, s3, kind @ ..]: [u8; 8] = read(file, at)?;
        let (size, begins) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (end - at, 8),
            1 if at + 16 <= end => (u64::from_be_bytes(read(file, at + 8)?), 16),
            size => (u64::from(size), 8),
        };
        if size < begins || size > end - at {
            return Ok(found);
        }
        found.push((kind, (at + begins, at + size)));
        at += size;
    }
    Ok(found)
}

/// So many bytes at a place.
pub(super) fn read<const N: usize>(file: &mut File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The first box of a kind between two places.
pub(super) fn find(file: &mut File, within: Inside, kind: [u8; 4]) -> io::Result<Option<Inside>> {
    let all = boxes(file, within)?;
    Ok(all.iter().find(|(k, _)| *k == kind).map(|(_, inside)| *inside))
}

/// A box in a box in a box.
fn dig(file: &mut File, within: Inside, kinds: &[[u8; 4]]) -> io::Result<Option<Inside>> {
    let mut inside = within;
    for kind in kinds {
        match find(file, inside, *kind)? {
            Some(found) => inside = found,
            None => return Ok(None),
        }
    }
    Ok(Some(inside))
}

/// The video tracks of a file.
pub(super) fn video_tracks(file: &mut File) -> io::Result<Vec<Inside>> {
    let end = file.metadata()?.len();
    let Some(movie) = find(file, (0, end), *b"moov")? else {
        return Ok(Vec::new());
    };
    let mut tracks = Vec::new();
    for (kind, track) in boxes(file, movie)? {
        if &kind == b"trak"
            && let Some((handler, _)) = dig(file, track, &[*b"mdia", *b"hdlr"])?
            // Version and flags, four bytes of nothing, and what handles it.
            && &read::<4>(file, handler + 8)? == b"vide"
        {
            tracks.push(track);
        }
    }
    Ok(tracks)
}

/// Whether the pictures of a file are encrypted (ISO/IEC 23001-7), which ffprobe does not tell.
pub(super) fn are_encrypted(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    for track in video_tracks(&mut file)? {
        let table = dig(&mut file, track, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
        // Version and flags, how many there are, and the first one's size and kind.
        if let Some((table, _)) = table
            && &read::<4>(&mut file, table + 12)? == b"encv"
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it begins as such files do.
pub(super) fn begins_as_one(path: &Path) -> bool {
    let kind = File::open(path).and_then(|mut file| read(&mut file, 4));
    kind.is_ok_and(|kind: [u8; 4]| &kind == b"ftyp")
}
