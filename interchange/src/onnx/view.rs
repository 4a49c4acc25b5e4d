//! Maps as exporters turn them: split into more dimensions, these put in another order, and some joined again. What results is a
//! pixel shuffle, its inverse, or channels in another order.

use asasr_core::graph::ops::{PixelShuffle, PixelUnshuffle};
use asasr_core::graph::{Kind, ValueType};

use super::constant::Num;
use crate::net::Net;
use crate::{Error, Result};

/// Most dimensions of a view, and most parts of all of them.
const MOST: usize = 32;

/// Which index of a map a part of a dimension counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    Channel,
    Row,
    Column,
}

/// Part of a dimension: every step of it goes `stride` further in channels, rows or columns; nowhere with a stride of 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) of: Index,
    pub(super) size: Num,
    pub(super) stride: usize,
}

/// Dimensions, each of the product of its parts, the outer ones first; a dimension of one has none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View(pub(super) Vec<Vec<Part>>);

impl View {
    /// `[1, channels, rows, columns]` of a value.
    pub(super) fn plain(kind: ValueType, sides: [Option<usize>; 2]) -> Self {
        let part = |of, size| Part { of, size, stride: 1 };
        let one = |part: Part| if part.size == Num::ONE { vec![] } else { vec![part] };
        let channels = one(part(Index::Channel, Num::of(kind.channels as f64)));
        if kind.kind == Kind::Vector {
            return Self(vec![vec![], channels, vec![], vec![]]);
        }
        let (num, den) = kind.scale.terms();
        let (scale, margin) = (num as f64 / den as f64, 2.0 * kind.margin as f64);
        let side = |which: usize| match sides[which] {
            Some(n) => Num::of(n as f64 * scale + margin),
            None => Num::side(which, scale, margin),
        };
        let map = [one(part(Index::Row, side(0))), one(part(Index::Column, side(1)))];
        let [rows, columns] = map;
        Self(vec![vec![], channels, rows, columns])
    }

    /// The size of every dimension.
    pub(super) fn sizes(&self) -> Result<Vec<Num>> {
        self.0.iter().map(|parts| product(parts)).collect()
    }

    pub(super) fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimension that a number, negative from the last, means.
    pub(super) fn axis(&self, axis: i64) -> Result<usize> {
        self::axis(axis, self.rank())
    }

    /// The dimension that all channels, and nothing else, make up.
    pub(super) fn channel_axis(&self, channels: usize) -> Option<usize> {
        let all = Part {
            of: Index::Channel,
            size: Num::of(channels as f64),
            stride: 1,
        };
        self.0.iter().position(|parts| merged(parts) == [all])
    }

    /// Whether its only dimension counts through all of `plain` in order.
    pub(super) fn is_row_of(&self, plain: &Self) -> bool {
        self.rank() == 1 && merged(&self.0[0]) == merged(&plain.0.concat())
    }

    /// The same numbers, in rows, in dimensions of other sizes: 0 keeps that of the same place, -1 is what is left.
    pub(super) fn reshaped(&self, sizes: &[Num], keep_zero: bool) -> Result<Self> {
        let odd = || Error::damaged("it turns a map in an odd way");
        if sizes.len() > MOST {
            return Err(odd());
        }
        let own = self.sizes()?;
        let mut wanted = Vec::new();
        let mut rest = None;
        for (i, size) in sizes.iter().enumerate() {
            wanted.push(match size.constant() {
                Some(0.0) if keep_zero => *own.get(i).ok_or_else(odd)?,
                Some(-1.0) if rest.is_none() => {
                    rest = Some(i);
                    Num::ONE
                }
                _ => *size,
            });
        }
        if let Some(i) = rest {
            let all = own.iter().try_fold(Num::ONE, |n, size| n.times(*size));
            let others = wanted.iter().try_fold(Num::ONE, |n, size| n.times(*size));
            wanted[i] = all
                .zip(others)
                .and_then(|(all, others)| all.over(others))
                .ok_or_else(odd)?;
        }
        let mut left: Vec<Part> = self.0.iter().flatten().rev().copied().collect();
        let mut made = Vec::new();
        for size in wanted {
            let (mut need, mut parts) = (size, Vec::new());
            while need != Num::ONE {
                let part = left.pop().ok_or_else(odd)?;
                if let Some(rest) = need.over(part.size).and_then(Num::whole) {
                    parts.push(part);
                    need = rest;
                    continue;
                }
                // The dimension ends within this part.
                let inner = part.size.over(need).and_then(Num::count).filter(|n| *n > 1);
                let inner = inner.ok_or_else(odd)?;
                let stride = part.stride.checked_mul(inner).ok_or_else(odd)?;
                parts.push(Part {
                    size: need,
                    stride,
                    ..part
                });
                left.push(Part {
                    size: Num::of(inner as f64),
                    ..part
                });
                need = Num::ONE;
            }
            made.push(parts);
        }
        if !left.is_empty() || made.iter().map(Vec::len).sum::<usize>() > MOST {
            return Err(odd());
        }
        Ok(Self(made))
    }

    pub(super) fn transposed(&self, perm: &[usize]) -> Result<Self> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.rank()) {
            return Err(Error::damaged(format!("{perm:?} is no order of dimensions")));
        }
        Ok(Self(perm.iter().map(|d| self.0[*d].clone()).collect()))
    }

    /// With dimensions of one at these places of the result.
    pub(super) fn unsqueezed(&self, axes: &[i64]) -> Result<Self> {
        let rank = self.rank() + axes.len();
        let axes: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
        let mut own = self.0.iter();
        let mut made = Vec::new();
        for d in 0..rank.min(MOST) {
            let parts = if axes.contains(&d) { None } else { own.next() };
            made.push(parts.cloned().unwrap_or_default());
        }
        if own.next().is_some() || rank > MOST {
            return Err(Error::damaged("it adds dimensions in an odd way"));
        }
        Ok(Self(made))
    }

    /// Without these dimensions of one; without any where none is named.
    pub(super) fn squeezed(&self, axes: Option<&[i64]>) -> Result<Self> {
        let axes = axes.map(|axes| axes.iter().map(|a| self.axis(*a)).collect::<Result<Vec<_>>>());
        let axes = axes.transpose()?;
        let goes = |d: &usize| self.0[*d].is_empty() && axes.as_ref().is_none_or(|all| all.contains(d));
        if axes.as_ref().is_some_and(|all| !all.iter().all(goes)) {
            return Err(Error::damaged("it takes out a dimension of more than one"));
        }
        let kept = (0..self.rank()).filter(|d| !goes(d));
        Ok(Self(kept.map(|d| self.0[d].clone()).collect()))
    }

    /// Every dimension so many times after itself.
    pub(super) fn tiled(&self, times: &[Num]) -> Result<Self> {
        let odd = || Error::damaged("it repeats a map in an odd way");
        if times.len() != self.rank() {
            return Err(odd());
        }
        let mut made = self.0.clone();
        for (parts, times) in made.iter_mut().zip(times) {
            let times = times.count().filter(|n| *n > 0).ok_or_else(odd)?;
            if times > 1 {
                parts.insert(
                    0,
                    Part {
                        of: Index::Channel,
                        size: Num::of(times as f64),
                        stride: 0,
                    },
                );
            }
        }
        Ok(Self(made))
    }

    /// Repeated to these sizes where a dimension is of one; sizes of one keep what is there.
    pub(super) fn expanded(&self, sizes: &[Num]) -> Result<Self> {
        let odd = || Error::damaged("it repeats a map in an odd way");
        if sizes.len() > MOST {
            return Err(odd());
        }
        let mut own = self.clone();
        while own.rank() < sizes.len() {
            own.0.insert(0, Vec::new());
        }
        let before = own.rank() - sizes.len();
        let given = own.sizes()?;
        let times = (0..own.rank()).map(|d| match d.checked_sub(before).map(|d| sizes[d]) {
            Some(size) if size != given[d] && size != Num::ONE => {
                (given[d] == Num::ONE).then_some(size).ok_or_else(odd)
            }
            _ => Ok(Num::ONE),
        });
        own.tiled(&times.collect::<Result<Vec<_>>>()?)
    }
}

/// The value whose dimensions are `[1, channels, rows, columns]` as `view` has them of `value`; none where no operation makes it.
pub(super) fn flat(
    net: &mut Net,
    name: &str,
    value: &str,
    view: &View,
    sides: [Option<usize>; 2],
) -> Result<Option<String>> {
    let kind = net.kind(value);
    if *view == View::plain(kind, sides) {
        return Ok(Some(value.into()));
    }
    if kind.kind == Kind::Vector {
        let mut parts = view.0.iter().filter(|parts| !parts.is_empty());
        let one = parts.next().map(|p| merged(p));
        let same = view.channel_axis(kind.channels).is_some() || kind.channels == 1;
        return Ok(
            (same && one.is_none_or(|p| p.len() == 1) && parts.next().is_none()).then(|| value.into()),
        );
    }
    let [none, channels, rows, columns] = view.0.as_slice() else {
        return Ok(None);
    };
    let (mut channels, rows, columns) = (merged(channels), merged(rows), merged(columns));
    let whole = View::plain(kind, sides);
    let is = |parts: &[Part], d: usize| merged(&whole.0[d]) == parts;
    if !none.is_empty() {
        return Ok(None);
    }
    if is(&rows, 2) && is(&columns, 3) {
        return selected(net, name, value, &channels);
    }
    // Channels after whole rows and columns are blocks of pixels.
    if let ([first @ .., down], [second @ .., across]) = (rows.as_slice(), columns.as_slice())
        && is(first, 2)
        && is(second, 3)
        && down.of == Index::Channel
        && across.of == Index::Channel
    {
        let factor = down.size.count();
        let Some(factor) = factor.filter(|_| down.size == across.size) else {
            return Ok(None);
        };
        channels.extend([*down, *across]);
        let Some(ordered) = selected(net, name, value, &channels)? else {
            return Ok(None);
        };
        return net.node(name, PixelShuffle { factor }, &[&ordered]).map(Some);
    }
    // Rows and columns in steps leave what lies between to the channels.
    if let ([down], [across]) = (rows.as_slice(), columns.as_slice())
        && down.of == Index::Row
        && across.of == Index::Column
        && down.stride == across.stride
        && down.stride > 1
    {
        let factor = down.stride;
        let block = |of: Index| {
            let mut all = channels.iter().filter(|p| p.of == of);
            let fits = |p: &Part| p.stride == 1 && p.size.count() == Some(factor);
            all.next().is_some_and(fits) && all.next().is_none()
        };
        let sized = |d: usize, part: &Part| {
            let times = part.size.times(Num::of(factor as f64));
            whole.0[d].first().map(|p| p.size) == times
        };
        if !block(Index::Row) || !block(Index::Column) || !sized(2, down) || !sized(3, across) {
            return Ok(None);
        }
        let blocks = net.node(name, PixelUnshuffle { factor }, &[value])?;
        for part in &mut channels {
            part.stride *= match part.of {
                Index::Channel => factor * factor,
                Index::Row => factor,
                Index::Column => 1,
            };
            part.of = Index::Channel;
        }
        return selected(net, name, &blocks, &channels);
    }
    Ok(None)
}

/// The channels that the parts count through.
fn selected(net: &mut Net, name: &str, value: &str, parts: &[Part]) -> Result<Option<String>> {
    let mut of = vec![0usize];
    for part in parts {
        let size = part.size.count().filter(|_| part.of == Index::Channel);
        let Some(size) = size.filter(|n| n.saturating_mul(of.len()) <= MOST_CHANNELS) else {
            return Ok(None);
        };
        let steps = |c: usize| (0..size).map(move |i| c.saturating_add(i.saturating_mul(part.stride)));
        of = of.into_iter().flat_map(steps).collect();
    }
    net.select(name, value, &of).map(Some)
}

/// As many as a graph may have.
const MOST_CHANNELS: usize = asasr_core::graph::limits::CHANNELS;

/// Parts that follow each other as one.
fn merged(parts: &[Part]) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        if let Some(outer) = all.last_mut() {
            let steps = part.size.count().and_then(|n| n.checked_mul(part.stride));
            let size = outer.size.times(part.size);
            if outer.of == part.of && part.stride > 0 && steps == Some(outer.stride) && size.is_some() {
                *outer = Part {
                    size: size.unwrap_or(part.size),
                    ..*part
                };
                continue;
            }
        }
        all.push(*part);
    }
    all
}

fn product(parts: &[Part]) -> Result<Num> {
    let size = parts.iter().try_fold(Num::ONE, |n, part| n.times(part.size));
    size.ok_or_else(|| Error::damaged("a map beyond the image is split"))
}

pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_end = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    let axis = usize::try_from(from_end).ok().filter(|d| *d < rank);
    axis.ok_or_else(|| Error::damaged(format!("it names the dimension {from_end} of {rank}")))
}
