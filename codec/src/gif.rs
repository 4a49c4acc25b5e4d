//! What a GIF holds, without decoding it.

use std::borrow::Cow;

/// The bytes after a chain of blocks that each begin with their length; none where the file ends within it.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

/// Bytes of a table of colours, as its flags tell.
fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// Where the header of the frame that comes first at or after `at` begins, and where what follows the frame does, which is behind
/// the file's end where that is cut short.
fn next_frame(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    loop {
        match bytes.get(at)? {
            0x21 => at = after_blocks(bytes, at + 2)?,
            0x2C => {
                let data = at + 10 + table(*bytes.get(at + 9)?) + 1;
                return Some((at, after_blocks(bytes, data).unwrap_or(bytes.len() + 1)));
            }
            _ => return None,
        }
    }
}

/// Where the first frame's header begins, and where what follows the frame does.
fn first_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    next_frame(bytes, 13 + table(*bytes.get(10)?))
}

/// Whether the file ends before its first frame does.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    first_frame(bytes).is_none_or(|(_, after)| after > bytes.len())
}

/// Whether there is a second frame.
pub(crate) fn is_animated(bytes: &[u8]) -> bool {
    first_frame(bytes).is_some_and(|(_, after)| next_frame(bytes, after).is_some())
}

/// The file with a screen that holds its first frame wholly: as browsers do, and without an area there is nothing to see.
pub(crate) fn with_screen(bytes: &[u8]) -> Cow<'_, [u8]> {
    let number = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let edge = |offset: usize, at: usize| number(at + offset)?.checked_add(number(at + 4 + offset)?);
    let frame = first_frame(bytes).and_then(|(at, _)| edge(1, at).zip(edge(3, at)));
    let (Some((right, bottom)), Some((width, height))) = (frame, number(6).zip(number(8))) else {
        return Cow::Borrowed(bytes);
    };
    if right <= width && bottom <= height {
        return Cow::Borrowed(bytes);
    }
    let mut mended = bytes.to_vec();
    mended[6..8].copy_from_slice(&width.max(right).to_le_bytes());
    mended[8..10].copy_from_slice(&height.max(bottom).to_le_bytes());
    Cow::Owned(mended)
}
