//! What a TIFF holds, without decoding it.

/// Directories that are looked at; more are a loop or a joke.
const MOST_DIRECTORIES: usize = 1000;

const NEW_SUBFILE_TYPE: u64 = 254;
const SUBFILE_TYPE: u64 = 255;

/// A file's numbers, in its order of bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    little: bool,
    /// Offsets have 64 bits (`BigTIFF`).
    big: bool,
}

impl Reader<'_> {
    fn number(&self, at: u64, length: u64) -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let end = usize::try_from(at.checked_add(length)?).ok()?;
        let bytes = self.bytes.get(start..end)?.iter();
        let next = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little {
            bytes.rev().fold(0, next)
        } else {
            bytes.fold(0, next)
        })
    }

    /// Whether the directory at `at` is a page of its own, no smaller copy and no mask; and where the next one is.
    fn directory(&self, at: u64) -> Option<(bool, u64)> {
        let (head, entry, offset) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let entries = self.number(at, head)?.min(10_000);
        let start = at.checked_add(head)?;
        let mut is_page = true;
        for i in 0..entries {
            let at = start.checked_add(i * entry)?;
            let value = || {
                self.number(
                    at + entry - offset,
                    if self.number(at + 2, 2)? == 3 { 2 } else { 4 },
                )
            };
            match self.number(at, 2)? {
                NEW_SUBFILE_TYPE => is_page &= value()? & 0b101 == 0,
                SUBFILE_TYPE => is_page &= value()? != 2,
                _ => {}
            }
        }
        Some((
            is_page,
            self.number(start.checked_add(entries * entry)?, offset)
                .unwrap_or(0),
        ))
    }
}

/// Pages of a file: its first directory, and those after it that are neither smaller copies nor masks.
pub(crate) fn pages(bytes: &[u8]) -> usize {
    let reader = Reader {
        bytes,
        little: bytes.starts_with(b"II"),
        big: is_big(bytes),
    };
    let first = if reader.big {
        reader.number(8, 8)
    } else {
        reader.number(4, 4)
    };
    let mut next = first.unwrap_or(0);
    let mut pages = 0;
    for i in 0..MOST_DIRECTORIES {
        if next == 0 {
            break;
        }
        let Some((is_page, after)) = reader.directory(next) else {
            break;
        };
        pages += usize::from(i == 0 || is_page);
        next = after;
    }
    pages
}

/// Whether the file is a TIFF, with offsets of 32 or of 64 bits.
pub(crate) fn is_tiff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*") || is_big(bytes)
}

/// Whether the file is a `BigTIFF`, with offsets of 64 bits.
fn is_big(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+")
}
