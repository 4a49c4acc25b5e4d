//! Bits of entropy-coded data and Huffman codes (ITU-T T.81, annexes C and F).

use super::damaged;
use crate::Error;

/// Bits that are looked up at once.
const FAST: u32 = 9;

/// The bits of a scan. Past their end come zeros, which are counted.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the highest on.
    buffer: u64,
    count: u32,
    /// Zeros that stand behind the end of the data.
    made_up: u32,
}

impl<'a> Bits<'a> {
    /// Bits from the byte `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            made_up: 0,
        }
    }

    /// Where the search for the next marker goes on.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether more was taken than there is.
    pub(super) fn is_over(&self) -> bool {
        self.made_up > self.count
    }

    /// Makes at least 32 bits ready: a code and the bits after it.
    #[inline]
    fn fill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(four) = self.bytes.get(self.at..self.at + 4) {
            let word = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
            // No byte of it is 0xFF, which would stand for a marker or be followed by a zero.
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.buffer |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        self.fill_by_bytes();
    }

    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.count <= 56 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF) | None, _) => {
                    self.made_up += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// A number of up to 16 bits.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> i32 {
        if bits == 0 {
            return 0;
        }
        self.fill();
        let number = (self.buffer >> (64 - bits)) as i32;
        self.skip(bits);
        number
    }

    /// A number of up to 15 bits whose first bit tells its sign.
    #[inline]
    pub(super) fn signed(&mut self, bits: u32) -> i32 {
        with_sign(self.take(bits), bits)
    }

    /// Goes on behind the restart marker of that number; false where the data ends instead.
    ///
    /// # Errors
    /// When another restart marker comes: what lies between is lost.
    pub(super) fn restart(&mut self, number: u8) -> Result<bool, Error> {
        self.buffer = 0;
        self.count = 0;
        self.made_up = 0;
        match next_marker(self.bytes, self.at) {
            Some((marker, after)) if marker == 0xD0 + number => {
                self.at = after;
                Ok(true)
            }
            Some((0xD0..=0xD7, _)) => Err(damaged()),
            _ => Ok(false),
        }
    }

    /// Whether a restart marker follows: the data goes on.
    pub(super) fn goes_on(&self) -> bool {
        matches!(next_marker(self.bytes, self.at), Some((0xD0..=0xD7, _)))
    }
}

/// A number of so many bits, whose first tells its sign.
#[inline]
fn with_sign(number: i32, bits: u32) -> i32 {
    if bits > 0 && number < 1 << (bits - 1) {
        number - (1 << bits) + 1
    } else {
        number
    }
}

/// The next marker at or after `at`, and where what follows it begins.
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let found = bytes
        .get(at..)?
        .windows(2)
        .position(|w| w[0] == 0xFF && !matches!(w[1], 0 | 0xFF))?;
    Some((bytes[at + found + 1], at + found + 2))
}

/// A Huffman code.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What the next bits hold where that is a symbol and the number after it: the number, the zeros before it and the
    /// bits of both; 0 where it is longer.
    pairs: Vec<(i16, u8, u8)>,
    /// Length times 256 plus symbol of the code that the next bits begin with; 0 where it is longer.
    fast: Vec<u16>,
    /// For each length the first number, of 16 bits, that is too great for it.
    ends: [u32; 17],
    /// For each length the place of its symbols, less its first code.
    places: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// A code from how many symbols each length has, from 1 to 16, and the symbols in order.
    ///
    /// # Errors
    /// When there are more codes of a length than fit.
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Result<Self, Error> {
        let mut table = Self {
            pairs: vec![(0, 0, 0); 1 << FAST],
            fast: vec![0; 1 << FAST],
            ends: [0; 17],
            places: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, count) in (1u32..).zip(counts) {
            let first = code;
            table.places[length as usize] = place as i32 - code as i32;
            for _ in 0..*count {
                if code >= 1 << length {
                    return Err(damaged());
                }
                if length <= FAST {
                    let entry = (length as u16) << 8 | u16::from(symbols[place]);
                    let start = (code as usize) << (FAST - length);
                    table.fast[start..start + (1 << (FAST - length))].fill(entry);
                }
                code += 1;
                place += 1;
            }
            table.ends[length as usize] = if code > first { code << (16 - length) } else { 0 };
            code <<= 1;
        }
        for (next, pair) in table.pairs.iter_mut().enumerate() {
            let (length, symbol) = (u32::from(table.fast[next] >> 8), table.fast[next] as u8);
            let size = u32::from(symbol & 15);
            if length > 0 && size > 0 && length + size <= FAST {
                let number = (next >> (FAST - length - size)) as i32 & ((1 << size) - 1);
                *pair = (with_sign(number, size) as i16, symbol >> 4, (length + size) as u8);
            }
        }
        Ok(table)
    }

    /// What the next bits hold, where they are few: a number that is not zero, and the zeros before it.
    #[inline]
    pub(super) fn pair(&self, bits: &mut Bits<'_>) -> Option<(i16, usize)> {
        bits.fill();
        let (number, zeros, length) = self.pairs[(bits.buffer >> (64 - FAST)) as usize];
        bits.skip(u32::from(length));
        (length > 0).then_some((number, usize::from(zeros)))
    }

    /// The next symbol.
    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Error> {
        bits.fill();
        let entry = self.fast[(bits.buffer >> (64 - FAST)) as usize];
        if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            return Ok(entry as u8);
        }
        let next = (bits.buffer >> 48) as u32;
        let length = (FAST + 1..=16)
            .find(|l| next < self.ends[*l as usize])
            .ok_or_else(damaged)?;
        let place = self.places[length as usize] + (next >> (16 - length)) as i32;
        bits.skip(length);
        let symbol = usize::try_from(place).ok().and_then(|p| self.symbols.get(p));
        symbol.copied().ok_or_else(damaged)
    }
}

/// The symbols of annex K's codes of more than one coefficient, and of how many symbols each length has.
const BRIGHT: ([u8; 16], [u8; 162]) = (
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D],
    *b"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xA1\x08\x23\x42\xB1\xC1\
       \x15\x52\xD1\xF0\x24\x33\x62\x72\x82\x09\x0A\x16\x17\x18\x19\x1A\x25\x26\x27\x28\x29\x2A\x34\x35\x36\x37\x38\x39\
       \x3A\x43\x44\x45\x46\x47\x48\x49\x4A\x53\x54\x55\x56\x57\x58\x59\x5A\x63\x64\x65\x66\x67\x68\x69\x6A\x73\x74\x75\
       \x76\x77\x78\x79\x7A\x83\x84\x85\x86\x87\x88\x89\x8A\x92\x93\x94\x95\x96\x97\x98\x99\x9A\xA2\xA3\xA4\xA5\xA6\xA7\
       \xA8\xA9\xAA\xB2\xB3\xB4\xB5\xB6\xB7\xB8\xB9\xBA\xC2\xC3\xC4\xC5\xC6\xC7\xC8\xC9\xCA\xD2\xD3\xD4\xD5\xD6\xD7\xD8\
       \xD9\xDA\xE1\xE2\xE3\xE4\xE5\xE6\xE7\xE8\xE9\xEA\xF1\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xFA",
);
const COLOUR: ([u8; 16], [u8; 162]) = (
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
    *b"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xA1\xB1\xC1\x09\
       \x23\x33\x52\xF0\x15\x62\x72\xD1\x0A\x16\x24\x34\xE1\x25\xF1\x17\x18\x19\x1A\x26\x27\x28\x29\x2A\x35\x36\x37\x38\
       \x39\x3A\x43\x44\x45\x46\x47\x48\x49\x4A\x53\x54\x55\x56\x57\x58\x59\x5A\x63\x64\x65\x66\x67\x68\x69\x6A\x73\x74\
       \x75\x76\x77\x78\x79\x7A\x82\x83\x84\x85\x86\x87\x88\x89\x8A\x92\x93\x94\x95\x96\x97\x98\x99\x9A\xA2\xA3\xA4\xA5\
       \xA6\xA7\xA8\xA9\xAA\xB2\xB3\xB4\xB5\xB6\xB7\xB8\xB9\xBA\xC2\xC3\xC4\xC5\xC6\xC7\xC8\xC9\xCA\xD2\xD3\xD4\xD5\xD6\
       \xD7\xD8\xD9\xDA\xE2\xE3\xE4\xE5\xE6\xE7\xE8\xE9\xEA\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xFA",
);
const FIRST: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Annex K's codes, which frames of films leave out: of the mean and of the rest, for brightness (0) and colour (1).
pub(super) fn usual(number: usize) -> Option<[Table; 2]> {
    let (mean, (counts, symbols)) = match number {
        0 => ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &BRIGHT),
        1 => ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &COLOUR),
        _ => return None,
    };
    Some([Table::new(&mean, &FIRST).ok()?, Table::new(counts, symbols).ok()?])
}
