//! A scan: the blocks of some components, or a part of their coefficients (ITU-T T.81, annexes F and G).

use super::frame::{Component, Frame};
use super::huffman::{Bits, Table, usual};
use super::{damaged, idct};
use crate::Error;

/// Where each coefficient of a block stands, by its place in the file.
const PLACES: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

type Block = [i16; 64];

/// Tables that hold from where they stand in the file.
#[derive(Debug, Default)]
pub(super) struct Tables {
    steps: [Option<[u16; 64]>; 4],
    means: [Option<Table>; 4],
    rests: [Option<Table>; 4],
    /// Units from a restart marker to the next; 0 without them.
    pub(super) interval: usize,
}

impl Tables {
    /// Takes quantisation tables from their segment.
    pub(super) fn take_steps(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        while let Some((head, rest)) = segment.split_first() {
            let wide = head >> 4 != 0;
            let length = if wide { 128 } else { 64 };
            let (values, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
            let mut steps = [0; 64];
            for (i, place) in PLACES.iter().enumerate() {
                steps[usize::from(*place)] = if wide {
                    u16::from_be_bytes([values[2 * i], values[2 * i + 1]])
                } else {
                    values[i].into()
                };
            }
            *self.steps.get_mut(usize::from(head & 15)).ok_or_else(damaged)? = Some(steps);
            segment = rest;
        }
        Ok(())
    }

    /// Takes Huffman codes from their segment.
    pub(super) fn take_codes(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        while let Some((head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_at_checked(16).ok_or_else(damaged)?;
            let count = counts.iter().map(|c| usize::from(*c)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or_else(damaged)?;
            let table = Table::new(counts, symbols)?;
            let tables = match head >> 4 {
                0 => &mut self.means,
                1 => &mut self.rests,
                _ => return Err(damaged()),
            };
            *tables.get_mut(usize::from(head & 15)).ok_or_else(damaged)? = Some(table);
            segment = rest;
        }
        Ok(())
    }

    /// Annex K's codes where a scan needs some and has none.
    fn complete(&mut self, part: &Part) {
        let Self { means, rests, .. } = self;
        if means[part.mean].is_none() {
            means[part.mean] = usual(part.mean).map(|[mean, _]| mean);
        }
        if rests[part.rest].is_none() {
            rests[part.rest] = usual(part.rest).map(|[_, rest]| rest);
        }
    }
}

/// A component of a scan.
#[derive(Debug)]
struct Part {
    component: usize,
    /// Number of the code of the mean.
    mean: usize,
    /// Number of the code of the other coefficients.
    rest: usize,
}

/// The header of a scan.
#[derive(Debug)]
pub(super) struct Scan {
    parts: Vec<Part>,
    /// Its coefficients, by their place in the file: the first and the last.
    band: (usize, usize),
    /// How many of the lowest bits of the coefficients were to come before it; 0 in the first scan.
    before: u8,
    /// How many still are after it.
    after: u8,
}

impl Scan {
    /// A scan from its header's segment.
    pub(super) fn new(segment: &[u8], frame: &Frame) -> Result<Self, Error> {
        let (count, rest) = segment.split_first().ok_or_else(damaged)?;
        let (parts, rest) = rest
            .split_at_checked(2 * usize::from(*count))
            .ok_or_else(damaged)?;
        let part = |[name, tables]: &[u8; 2]| {
            let component = frame.components.iter().position(|c| c.name == *name);
            let part = Part {
                component: component.ok_or_else(damaged)?,
                mean: usize::from(tables >> 4),
                rest: usize::from(tables & 15),
            };
            if part.mean > 3 || part.rest > 3 {
                Err(damaged())
            } else {
                Ok(part)
            }
        };
        let parts: Vec<Part> = parts.as_chunks().0.iter().map(part).collect::<Result<_, _>>()?;
        let twice = |p: &Part| parts.iter().filter(|q| q.component == p.component).count() > 1;
        if parts.is_empty() || parts.iter().any(twice) {
            return Err(damaged());
        }
        if !frame.progressive {
            // Some writers put nonsense here, which means nothing.
            return Ok(Self {
                parts,
                band: (0, 63),
                before: 0,
                after: 0,
            });
        }
        let [first, last, bits, ..] = *rest else {
            return Err(damaged());
        };
        let scan = Self {
            band: (first.into(), last.into()),
            before: bits >> 4,
            after: bits & 15,
            parts,
        };
        let band = match scan.band {
            (0, last) => last == 0,
            (first, last) => first <= last && last <= 63 && scan.parts.len() == 1,
        };
        let refines = scan.before == 0 || scan.before == scan.after + 1;
        if band && refines && scan.after <= 13 {
            Ok(scan)
        } else {
            Err(damaged())
        }
    }

    /// Decodes the scan; gives where the next marker is searched, and whether the scan is whole. [`Component::rows`]
    /// tells how far it came.
    ///
    /// # Errors
    /// When its data is damaged: no code, or the data goes on behind a gap.
    pub(super) fn decode(
        &self,
        frame: &mut Frame,
        tables: &mut Tables,
        bytes: &[u8],
        at: usize,
    ) -> Result<(usize, bool), Error> {
        for part in &self.parts {
            tables.complete(part);
            let component = &mut frame.components[part.component];
            if component.steps.is_none() {
                component.steps = tables.steps[component.table];
            }
        }
        let mut state = State {
            bits: Bits::new(bytes, at),
            means: [0; 4],
            run: 0,
        };
        let first_missing = self.units(frame, tables, &mut state)?;
        if first_missing.is_some() && state.bits.goes_on() {
            return Err(damaged());
        }
        for part in &self.parts {
            self.note(&mut frame.components[part.component], first_missing, frame.size.1);
        }
        Ok((state.bits.position(), first_missing.is_none()))
    }

    /// Notes in a component what the scan has brought, up to the first row of the image that it lacks.
    fn note(&self, component: &mut Component, first_missing: Option<usize>, height: usize) {
        let rows = first_missing.map_or(height, |row| row.min(height));
        if self.band.0 == 0 && self.before == 0 {
            component.rows = rows;
        }
        if rows == height {
            for place in &PLACES[self.band.0..=self.band.1] {
                let to_come = &mut component.to_come[usize::from(*place)];
                // Where a scan before this one is missing, its bits stay so.
                if self.before == 0 || *to_come == self.before {
                    *to_come = self.after;
                }
            }
        }
    }

    /// Decodes unit after unit; gives the first row of the image that the scan lacks.
    fn units(
        &self,
        frame: &mut Frame,
        tables: &Tables,
        state: &mut State<'_>,
    ) -> Result<Option<usize>, Error> {
        let alone = self.parts.len() == 1;
        let (across, down) = match &self.parts[..] {
            [part] => frame.components[part.component].blocks,
            _ => frame.units,
        };
        let height = match &self.parts[..] {
            [part] => 8 * frame.most.1 / frame.components[part.component].sampling.1,
            _ => 8 * frame.most.1,
        };
        let (mut left, mut number) = (tables.interval, 0);
        for y in 0..down {
            for x in 0..across {
                if tables.interval > 0 && left == 0 {
                    if !state.bits.restart(number)? {
                        return Ok(Some(y * height));
                    }
                    (state.means, state.run) = ([0; 4], 0);
                    (left, number) = (tables.interval, (number + 1) % 8);
                }
                left = left.saturating_sub(1);
                for part in &self.parts {
                    let component = &mut frame.components[part.component];
                    let (h, v) = if alone { (1, 1) } else { component.sampling };
                    for at in (0..h * v).map(|i| (x * h + i % h, y * v + i / h)) {
                        if !self.block(component, part, tables, state, at)? {
                            return Ok(Some(y * height));
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// Decodes the block that is `x`th and `y`th of its component; false where the data ended, which leaves it as it was.
    fn block(
        &self,
        component: &mut Component,
        part: &Part,
        tables: &Tables,
        state: &mut State<'_>,
        (x, y): (usize, usize),
    ) -> Result<bool, Error> {
        let mean = tables.means[part.mean].as_ref();
        let rest = tables.rests[part.rest].as_ref();
        let known = &mut state.means[part.component];
        if component.coefficients.is_empty() {
            let steps = component.steps.as_ref().ok_or_else(damaged)?;
            let mut block = [0; 64];
            let (mean, rest) = (mean.ok_or_else(damaged)?, rest.ok_or_else(damaged)?);
            whole(&mut state.bits, mean, rest, known, &mut block)?;
            if state.bits.is_over() {
                return Ok(false);
            }
            let start = 8 * (y * component.stride + x);
            idct::block(&block, steps, &mut component.samples[start..], component.stride);
            return Ok(true);
        }
        if state.run > 0 && self.before == 0 {
            state.run -= 1;
            return Ok(true);
        }
        let start = 64 * (y * (component.stride / 8) + x);
        let block = component
            .coefficients
            .get_mut(start..)
            .and_then(|c| c.first_chunk_mut());
        let block: &mut Block = block.ok_or_else(damaged)?;
        let kept = *block;
        let bits = &mut state.bits;
        match (self.band.0, self.before) {
            (0, 0) => {
                let mean = mean_after(bits, mean.ok_or_else(damaged)?, known)?;
                block[0] = (mean << self.after) as i16;
            }
            (0, _) => block[0] |= (bits.take(1) as i16) << self.after,
            (_, 0) => state.run = self.first_rest(bits, rest.ok_or_else(damaged)?, block)?,
            _ => self.refine(bits, rest.ok_or_else(damaged)?, &mut state.run, block)?,
        }
        if bits.is_over() {
            *block = kept;
            return Ok(false);
        }
        Ok(true)
    }

    /// The first bits of the coefficients of a band; gives how many blocks without any follow.
    fn first_rest(&self, bits: &mut Bits<'_>, table: &Table, block: &mut Block) -> Result<u32, Error> {
        let mut k = self.band.0;
        while k <= self.band.1 {
            let symbol = table.symbol(bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => k += 16,
                (zeros, 0) => return Ok((1 << zeros) - 1 + bits.take(zeros as u32) as u32),
                (zeros, size) => {
                    let place = PLACES.get(k + zeros).ok_or_else(damaged)?;
                    block[usize::from(*place)] = (bits.signed(size) << self.after) as i16;
                    k += zeros + 1;
                }
            }
        }
        Ok(0)
    }

    /// One more bit of the coefficients of a band, and those that begin with it.
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        table: &Table,
        run: &mut u32,
        block: &mut Block,
    ) -> Result<(), Error> {
        let one = 1i16 << self.after;
        let mut k = self.band.0;
        if *run == 0 {
            while k <= self.band.1 {
                let symbol = table.symbol(bits)?;
                let zeros = usize::from(symbol >> 4);
                let begins = match (zeros, symbol & 15) {
                    (15, 0) => 0,
                    (zeros, 0) => {
                        *run = (1 << zeros) + bits.take(zeros as u32) as u32;
                        break;
                    }
                    (_, 1) => {
                        if bits.take(1) == 1 {
                            one
                        } else {
                            -one
                        }
                    }
                    _ => return Err(damaged()),
                };
                k = self.refine_known(bits, block, k, Some(zeros));
                if begins != 0 && k <= self.band.1 {
                    block[usize::from(PLACES[k])] = begins;
                }
                k += 1;
            }
        }
        if *run > 0 {
            self.refine_known(bits, block, k, None);
            *run -= 1;
        }
        Ok(())
    }

    /// Refines what is not zero from `k` on, past so many zeros or to the end of the band; gives where it stopped.
    fn refine_known(
        &self,
        bits: &mut Bits<'_>,
        block: &mut Block,
        k: usize,
        mut zeros: Option<usize>,
    ) -> usize {
        let one = 1i16 << self.after;
        for k in k..=self.band.1 {
            let value = &mut block[usize::from(PLACES[k])];
            if *value != 0 {
                if bits.take(1) == 1 && *value & one == 0 {
                    *value = value.wrapping_add(if *value > 0 { one } else { -one });
                }
            } else if let Some(left) = &mut zeros {
                if *left == 0 {
                    return k;
                }
                *left -= 1;
            }
        }
        self.band.1 + 1
    }
}

/// What goes from unit to unit of a scan.
#[derive(Debug)]
struct State<'a> {
    bits: Bits<'a>,
    /// The last mean of each component.
    means: [i32; 4],
    /// Blocks to come in which a band has nothing new.
    run: u32,
}

/// The difference of a mean to the last one.
fn mean_after(bits: &mut Bits<'_>, table: &Table, known: &mut i32) -> Result<i32, Error> {
    let size = table.symbol(bits)?;
    if size > 15 {
        return Err(damaged());
    }
    *known = known.wrapping_add(bits.signed(size.into()));
    Ok(*known)
}

/// All coefficients of a block.
fn whole(
    bits: &mut Bits<'_>,
    mean: &Table,
    rest: &Table,
    known: &mut i32,
    block: &mut Block,
) -> Result<(), Error> {
    block[0] = mean_after(bits, mean, known)? as i16;
    let mut k = 1;
    while k < 64 {
        if let Some((number, zeros)) = rest.pair(bits) {
            let place = PLACES.get(k + zeros).ok_or_else(damaged)?;
            block[usize::from(*place)] = number;
            k += zeros + 1;
            continue;
        }
        let symbol = rest.symbol(bits)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => k += 16,
            (_, 0) => break,
            _ => {
                let place = PLACES.get(k + zeros).ok_or_else(damaged)?;
                block[usize::from(*place)] = bits.signed(size) as i16;
                k += zeros + 1;
            }
        }
    }
    Ok(())
}

/// The samples of a progressive frame, from all its scans.
pub(super) fn finish(frame: &mut Frame) {
    for component in frame.components.iter_mut().filter(|c| !c.coefficients.is_empty()) {
        let Some(steps) = component.steps else { continue };
        let across = component.stride / 8;
        let lines = component.samples.chunks_exact_mut(8 * component.stride);
        for (line, blocks) in lines.zip(component.coefficients.chunks_exact(64 * across)) {
            for (x, block) in blocks.as_chunks().0.iter().enumerate() {
                idct::block(block, &steps, &mut line[8 * x..], component.stride);
            }
        }
    }
}
