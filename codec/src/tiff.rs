//! The directories of a TIFF structure (TIFF 6.0, section 2), which EXIF data is too; and of `BigTIFF`.

use std::ops::Range;

/// Type of one byte.
pub(crate) const BYTE: u16 = 1;
/// Type of a number of 16 bits.
pub(crate) const SHORT: u16 = 3;
/// Type of a number of 32 bits.
pub(crate) const LONG: u16 = 4;
/// Type of two numbers of 32 bits, a numerator and a denominator.
const RATIONAL: u16 = 5;
/// Type of bytes that mean what the tag says.
#[cfg(feature = "tiff")]
pub(crate) const UNDEFINED: u16 = 7;

/// A TIFF structure.
#[derive(Clone, Copy)]
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    pub(crate) kind: u16,
    pub(crate) count: usize,
    /// Where it begins.
    pub(crate) at: usize,
    /// Where its values are: in the entry itself where there is room.
    pub(crate) values: Range<usize>,
}

/// A directory: its entries, and where the place of the next one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next: usize,
}

impl Directory {
    pub(crate) fn find(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|e| e.tag == tag)
    }
}

impl<'a> Tiff<'a> {
    /// None for what is no such structure.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        let (little, big) = match bytes.get(..4)? {
            b"II*\0" => (true, false),
            b"MM\0*" => (false, false),
            b"II+\0" => (true, true),
            b"MM\0+" => (false, true),
            _ => return None,
        };
        Some(Self { bytes, little, big })
    }

    /// Whether numbers begin with their low byte.
    pub(crate) fn is_little(self) -> bool {
        self.little
    }

    /// Whether places have 64 bits.
    pub(crate) fn is_big(self) -> bool {
        self.big
    }

    /// A number of so many bytes.
    pub(crate) fn number(self, at: usize, bytes: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(bytes)?)?.iter();
        let next = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let number = if self.little {
            bytes.rev().fold(0, next)
        } else {
            bytes.fold(0, next)
        };
        usize::try_from(number).ok()
    }

    /// The first directory.
    pub(crate) fn first(self) -> Option<Directory> {
        let at = if self.big {
            self.number(8, 8)?
        } else {
            self.number(4, 4)?
        };
        self.directory(at)
    }

    /// The directory at a place. Entries whose values are not in the file are left out.
    pub(crate) fn directory(self, at: usize) -> Option<Directory> {
        let (head, size, word) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        let first = at.checked_add(head)?;
        let next = first.checked_add(count.checked_mul(size)?)?;
        if next > self.bytes.len() {
            return None;
        }
        let entry = |at: usize| {
            let kind = self.number(at + 2, 2)? as u16;
            let count = self.number(at + 4, word)?;
            let length = count.checked_mul(match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16..=18 => 8,
                _ => return None,
            })?;
            let field = at + 4 + word;
            let start = if length <= word {
                field
            } else {
                self.number(field, word)?
            };
            let end = start.checked_add(length).filter(|e| *e <= self.bytes.len())?;
            Some(Entry {
                tag: self.number(at, 2)? as u16,
                kind,
                count,
                at,
                values: start..end,
            })
        };
        Some(Directory {
            entries: (0..count).filter_map(|i| entry(first + i * size)).collect(),
            next,
        })
    }

    /// The bytes of an entry.
    #[cfg(feature = "tiff")]
    pub(crate) fn bytes(self, entry: &Entry) -> &'a [u8] {
        &self.bytes[entry.values.clone()]
    }

    /// An entry's first whole number.
    pub(crate) fn integer(self, entry: &Entry) -> Option<usize> {
        let size = match entry.kind {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            16 => 8,
            _ => return None,
        };
        (entry.count > 0).then(|| self.number(entry.values.start, size))?
    }

    /// An entry's first number above 0.
    pub(crate) fn positive(self, entry: &Entry) -> Option<f64> {
        let number = if entry.kind == RATIONAL && entry.count > 0 {
            let at = entry.values.start;
            self.number(at, 4)? as f64 / self.number(at + 4, 4)? as f64
        } else {
            self.integer(entry)? as f64
        };
        (number.is_finite() && number > 0.0).then_some(number)
    }
}
