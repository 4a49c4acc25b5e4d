//! TIFF 6.0 of packed strips, with EXIF, XMP and a profile.
//!
//! EXIF data is a TIFF structure, in whose directories places are counted from its beginning. So the file begins with it as it is,
//! and what its first directory has goes into that of the image: whatever is inside, a maker's own notes too, stays where it says.

use std::io::Write;

use asasr_core::Size;

use super::{exif_of, failed};
use crate::ifd::{BYTE, LONG, SHORT, Tiff, UNDEFINED};
use crate::tiff_tags::{DESCRIPTIVE, DIRECTORIES, ICC, XMP};
use crate::{Error, Layout, Metadata};

/// Bytes of a strip before it is packed.
const STRIP: usize = 1 << 18;
/// Tags that tell the resolution.
const RESOLUTION: [u16; 3] = [282, 283, 296];
/// zlib, of what the predictor left: the differences of neighbours.
const DEFLATE: u32 = 8;
const DIFFERENCES: u32 = 2;
/// An extra sample that is alpha, by which colours are not multiplied.
const ALPHA: u32 = 2;

/// A file whose strips are packed as their rows come.
pub(super) struct Strips<W> {
    out: W,
    size: Size,
    layout: Layout,
    bits: u8,
    /// EXIF data or the header alone.
    head: Vec<u8>,
    little: bool,
    icc: Option<Vec<u8>>,
    xmp: Option<String>,
    /// Rows of a strip.
    rows: usize,
    /// The strip at work.
    strip: Vec<u8>,
    packed: Vec<Vec<u8>>,
}

/// An entry of the directory: its tag, type, count and values.
type Entry = (u16, u16, usize, Vec<u8>);

impl<W: Write> Strips<W> {
    pub(super) fn new(out: W, size: Size, (layout, bits): (Layout, u8), metadata: &Metadata) -> Self {
        let told = |exif: &[u8]| Tiff::open(exif).is_some_and(|t| !t.is_big() && t.first().is_some());
        let exif = metadata.exif.clone().filter(|exif| told(exif));
        let head = exif.or_else(|| metadata.resolution.map(exif_of));
        let mut head = head.unwrap_or_else(|| b"II*\0\0\0\0\0".to_vec());
        head.resize(head.len() + head.len() % 2, 0);
        let row = size.width * layout.samples() * usize::from(bits / 8);
        Self {
            out,
            size,
            layout,
            bits,
            little: head.starts_with(b"II"),
            head,
            icc: metadata.icc.clone(),
            xmp: metadata.xmp.clone(),
            rows: (STRIP / row.max(1)).clamp(1, size.height.max(1)),
            strip: Vec::new(),
            packed: Vec::new(),
        }
    }

    /// Appends a row; samples of 16 bits have the high byte first.
    pub(super) fn append(&mut self, row: &[u8]) {
        let n = self.layout.samples();
        if self.bits == 16 {
            let samples: Vec<u16> = row
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            for (i, sample) in samples.iter().enumerate() {
                let before = if i < n { 0 } else { samples[i - n] };
                let difference = self.short(sample.wrapping_sub(before));
                self.strip.extend(difference);
            }
        } else {
            let before = |i: usize| if i < n { 0 } else { row[i - n] };
            let differences = row.iter().enumerate().map(|(i, s)| s.wrapping_sub(before(i)));
            self.strip.extend(differences);
        }
        if self.strip.len() >= self.rows * row.len() {
            self.pack();
        }
    }

    fn pack(&mut self) {
        if !self.strip.is_empty() {
            self.packed.push(fdeflate::compress_to_vec(&self.strip));
            self.strip.clear();
        }
    }

    fn short(&self, n: u16) -> [u8; 2] {
        if self.little {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        }
    }

    fn long(&self, n: u32) -> [u8; 4] {
        if self.little {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        }
    }

    fn shorts(&self, tag: u16, values: &[u32]) -> Entry {
        let bytes = values.iter().flat_map(|n| self.short(*n as u16)).collect();
        (tag, SHORT, values.len(), bytes)
    }

    fn longs(&self, tag: u16, values: &[u32]) -> Entry {
        let bytes = values.iter().flat_map(|n| self.long(*n)).collect();
        (tag, LONG, values.len(), bytes)
    }

    /// The entries that EXIF data has in its first directory and a TIFF too, each as it stands there.
    fn told(&self) -> Vec<(u16, [u8; 12])> {
        let Some(first) = Tiff::open(&self.head).and_then(Tiff::first) else {
            return Vec::new();
        };
        let own = |tag: &u16| {
            DESCRIPTIVE.contains(tag) || RESOLUTION.contains(tag) || DIRECTORIES[..2].contains(tag)
        };
        let entries = first.entries.iter().filter(|e| own(&e.tag));
        let whole = |at: usize| self.head.get(at..at + 12)?.try_into().ok();
        entries.filter_map(|e| Some((e.tag, whole(e.at)?))).collect()
    }

    /// The entries of the image; `strips` has the places and lengths of its strips.
    fn own(&self, strips: [&[u32]; 2], [width, height]: [u32; 2]) -> Vec<Entry> {
        let n = self.layout.samples();
        let coloured = n > 2;
        let mut entries = vec![
            self.longs(256, &[width]),
            self.longs(257, &[height]),
            self.shorts(258, &vec![u32::from(self.bits); n]),
            self.shorts(259, &[DEFLATE]),
            self.shorts(262, &[if coloured { 2 } else { 1 }]),
            self.longs(273, strips[0]),
            self.shorts(277, &[n as u32]),
            self.longs(278, &[self.rows as u32]),
            self.longs(279, strips[1]),
            self.shorts(284, &[1]),
            self.shorts(317, &[DIFFERENCES]),
        ];
        if self.layout.has_alpha() {
            entries.push(self.shorts(338, &[ALPHA]));
        }
        if let Some(xmp) = &self.xmp {
            entries.push((XMP, BYTE, xmp.len(), xmp.clone().into_bytes()));
        }
        if let Some(icc) = &self.icc {
            entries.push((ICC, UNDEFINED, icc.len(), icc.clone()));
        }
        entries
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.pack();
        let place = |n: usize| u32::try_from(n).map_err(|_| failed("a TIFF holds 4 GB: save it as PNG"));
        let sides = [place(self.size.width)?, place(self.size.height)?];
        let mut end = self.head.len();
        let [mut places, mut lengths] = [Vec::new(), Vec::new()];
        for strip in &self.packed {
            places.push(place(end)?);
            lengths.push(place(strip.len())?);
            end += strip.len();
        }
        end += end % 2;
        let mut values: Vec<u8> = Vec::new();
        let mut entries = self.told();
        for (tag, kind, count, bytes) in self.own([&places, &lengths], sides) {
            let mut entry = [self.short(tag), self.short(kind)].concat();
            entry.extend(self.long(place(count)?));
            if bytes.len() <= 4 {
                entry.extend(&bytes);
                entry.resize(12, 0);
            } else {
                entry.extend(self.long(place(end + values.len())?));
                values.extend(&bytes);
                values.resize(values.len().next_multiple_of(2), 0);
            }
            let entry: [u8; 12] = entry
                .try_into()
                .map_err(|_| failed("an entry of another length"))?;
            entries.push((tag, entry));
        }
        entries.sort_by_key(|(tag, _)| *tag);
        let directory = place(end + values.len())?;
        let place_of_it = self.long(directory);
        self.head[4..8].copy_from_slice(&place_of_it);
        values.extend(self.short(entries.len() as u16));
        values.extend(entries.iter().flat_map(|(_, entry)| entry));
        values.extend([0; 4]);
        self.out.write_all(&self.head).map_err(failed)?;
        let mut odd = self.head.len() % 2;
        for strip in &self.packed {
            self.out.write_all(strip).map_err(failed)?;
            odd ^= strip.len() % 2;
        }
        self.out.write_all(&vec![0; odd]).map_err(failed)?;
        self.out.write_all(&values).map_err(failed)?;
        self.out.flush().map_err(failed)
    }
}
