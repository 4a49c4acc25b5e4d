//! The wire format of protocol buffers, read where it lies: fields of a message one after another, nothing kept and nothing nested.

use crate::{Error, Result};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::damaged("a field holds a number in place of a message")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map_err(|_| Error::damaged("a name is no text"))
    }

    pub(crate) fn int(self) -> Result<i64> {
        match self {
            // Negative numbers are written as their complement to 2^64.
            Self::Varint(n) => Ok(n as i64),
            _ => Err(Error::damaged("a field holds something else than a whole number")),
        }
    }

    pub(crate) fn float(self) -> Result<f32> {
        match self {
            Self::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(Error::damaged("a field holds something else than a number")),
        }
    }

    /// Whole numbers of a repeated field, of which a writer may pack any number into one.
    pub(crate) fn ints(self, into: &mut Vec<i64>, most: usize) -> Result<()> {
        match self {
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    few(into.len(), most)?;
                    into.push(varint(&mut bytes)? as i64);
                }
            }
            one => {
                few(into.len(), most)?;
                into.push(one.int()?);
            }
        }
        Ok(())
    }

    /// The same of numbers in single precision.
    pub(crate) fn floats(self, into: &mut Vec<f32>, most: usize) -> Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let (numbers, rest) = bytes.as_chunks();
                if !rest.is_empty() {
                    return Err(Error::CutShort);
                }
                few(into.len().saturating_add(numbers.len()), most)?;
                into.extend(numbers.iter().map(|b| f32::from_le_bytes(*b)));
            }
            one => {
                few(into.len(), most)?;
                into.push(one.float()?);
            }
        }
        Ok(())
    }
}

fn few(count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::TooLarge(format!("it has more than {most} of something")))
}

/// The fields of a message: number and content, in the file's order; ends after an error.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    left: &'a [u8],
}

/// Those of `bytes`.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { left: bytes }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let field = field(&mut self.left);
        if field.is_err() {
            self.left = &[];
        }
        Some(field)
    }
}

fn field<'a>(left: &mut &'a [u8]) -> Result<(u32, Wire<'a>)> {
    let tag = varint(left)?;
    let number = u32::try_from(tag >> 3).map_err(|_| Error::damaged("a field's number is too large"))?;
    let wire = match tag & 7 {
        0 => Wire::Varint(varint(left)?),
        1 => Wire::Eight(fixed(left)?),
        2 => {
            let length = usize::try_from(varint(left)?).map_err(|_| Error::CutShort)?;
            let (bytes, rest) = left.split_at_checked(length).ok_or(Error::CutShort)?;
            *left = rest;
            Wire::Bytes(bytes)
        }
        5 => Wire::Four(fixed(left)?),
        other => return Err(Error::damaged(format!("a field is of kind {other}"))),
    };
    Ok((number, wire))
}

fn fixed<const N: usize>(left: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, rest) = left.split_first_chunk().ok_or(Error::CutShort)?;
    *left = rest;
    Ok(*bytes)
}

/// Seven bits a byte, the lowest first.
fn varint(left: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = left.split_first().ok_or(Error::CutShort)?;
        *left = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::damaged("a number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_of_every_kind_are_read() {
        let bytes = [
            0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 1, 0, 0, 0, 0, 0, 0, 0,
        ];
        let all: Vec<_> = fields(&bytes).collect::<Result<_>>().expect("reads");
        assert_eq!(
            all,
            [
                (1, Wire::Varint(150)),
                (2, Wire::Bytes(b"hi")),
                (3, Wire::Four([0, 0, 0x80, 0x3f])),
                (4, Wire::Eight([1, 0, 0, 0, 0, 0, 0, 0])),
            ]
        );
        assert_eq!(all[2].1.float(), Ok(1.0));
        let mut numbers = Vec::new();
        let minus = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x05];
        Wire::Bytes(&minus).ints(&mut numbers, 2).expect("reads");
        assert_eq!(numbers, [-1, 5]);
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        for bytes in [
            &[0x08][..],
            &[0x0a, 0x05, 1],
            &[0x0d, 1, 2],
            &[0x0b, 1],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0x80; 12],
        ] {
            let mut read = fields(bytes);
            assert!(read.any(|f| f.is_err()), "{bytes:?}");
            assert!(read.next().is_none());
        }
        assert!(Wire::Bytes(&[1; 9]).ints(&mut Vec::new(), 4).is_err());
        assert!(Wire::Bytes(&[1; 9]).floats(&mut Vec::new(), 4).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
