//! Numbers that a file holds or that follow from them and from the image's size, which need not be known.

use std::rc::Rc;

use super::proto::count;
use crate::tensors::Stored;
use crate::{Error, Result};

/// Most numbers of a tensor that is computed while the file is read.
const MOST: usize = 1 << 20;

/// `factor h^a w^b + constant` for an image of `h` rows and `w` columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Num {
    factor: f64,
    powers: [u8; 2],
    constant: f64,
}

impl Num {
    pub(super) const ONE: Self = Self::of(1.0);

    pub(super) const fn of(constant: f64) -> Self {
        Self {
            factor: 0.0,
            powers: [0; 2],
            constant,
        }
    }

    /// `factor` times the rows (0) or columns (1) and a constant.
    pub(super) fn side(which: usize, factor: f64, constant: f64) -> Self {
        let powers = if which == 0 { [1, 0] } else { [0, 1] };
        Self {
            factor,
            powers,
            constant,
        }
    }

    /// Where it does not depend on the image's size.
    pub(super) fn constant(self) -> Option<f64> {
        (self.factor == 0.0).then_some(self.constant)
    }

    /// The same as a count.
    pub(super) fn count(self) -> Option<usize> {
        let n = self.constant()?;
        (n.fract() == 0.0 && (0.0..=1e9).contains(&n)).then_some(n as usize)
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let constant = self.constant + other.constant;
        let (factor, powers) = match (self.factor == 0.0, other.factor == 0.0) {
            (_, true) => (self.factor, self.powers),
            (true, false) => (other.factor, other.powers),
            _ if self.powers == other.powers => (self.factor + other.factor, self.powers),
            _ => return None,
        };
        Some(Self::reduced(factor, powers, constant))
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        match (self.constant(), other.constant()) {
            (_, Some(by)) => Some(Self::reduced(self.factor * by, self.powers, self.constant * by)),
            (Some(_), None) => other.times(self),
            _ if self.constant == 0.0 && other.constant == 0.0 => {
                let powers = [0, 1].map(|i| self.powers[i].saturating_add(other.powers[i]));
                Some(Self::reduced(self.factor * other.factor, powers, 0.0))
            }
            _ => None,
        }
    }

    /// The exact quotient; sizes are taken to be multiples of what they are divided by.
    pub(super) fn over(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(Self::ONE);
        }
        if let Some(by) = other.constant() {
            return (by != 0.0).then(|| Self::reduced(self.factor / by, self.powers, self.constant / by));
        }
        let fits = self.constant == 0.0 && other.constant == 0.0 && self.factor != 0.0;
        let less = |i: usize| self.powers[i].checked_sub(other.powers[i]);
        let powers = [less(0)?, less(1)?];
        let factor = self.factor / other.factor;
        fits.then(|| match powers {
            [0, 0] => Self::of(factor),
            powers => Self::reduced(factor, powers, 0.0),
        })
    }

    /// The same where it is a whole number, as far as can be known.
    pub(super) fn whole(self) -> Option<Self> {
        let whole = |n: f64| n.fract() == 0.0 && n >= 1.0;
        (self.constant().is_none_or(whole)).then_some(self)
    }

    fn reduced(factor: f64, powers: [u8; 2], constant: f64) -> Self {
        if factor == 0.0 {
            return Self::of(constant);
        }
        Self {
            factor,
            powers,
            constant,
        }
    }
}

/// What a constant's numbers are.
#[derive(Debug, Clone)]
pub(super) enum Data<'a> {
    /// Where they lie in the file.
    Stored(Stored<'a>),
    Singles(Rc<[f32]>),
    Numbers(Rc<[Num]>),
}

/// A tensor that no pixel changes.
#[derive(Debug, Clone)]
pub(super) struct Constant<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) data: Data<'a>,
    /// Whether a division of it is without a rest.
    pub(super) integer: bool,
}

impl<'a> Constant<'a> {
    pub(super) fn new(shape: Vec<usize>, data: Data<'a>, integer: bool) -> Result<Self> {
        let held = match &data {
            Data::Stored(stored) => stored.shape.iter().product(),
            Data::Singles(values) => values.len(),
            Data::Numbers(numbers) => numbers.len(),
        };
        if count(&shape) != Some(held) {
            return Err(Error::damaged(format!(
                "{held} numbers do not make a tensor of {shape:?}"
            )));
        }
        Ok(Self { shape, data, integer })
    }

    pub(super) fn stored(stored: Stored<'a>) -> Self {
        Self {
            shape: stored.shape.clone(),
            integer: !stored.kind.is_real(),
            data: Data::Stored(stored),
        }
    }

    pub(super) fn of_numbers(shape: Vec<usize>, numbers: Vec<Num>, integer: bool) -> Result<Self> {
        Self::new(shape, Data::Numbers(numbers.into()), integer)
    }

    /// A row of numbers.
    pub(super) fn row(numbers: Vec<Num>) -> Result<Self> {
        Self::of_numbers(vec![numbers.len()], numbers, true)
    }

    pub(super) fn count(&self) -> usize {
        count(&self.shape).unwrap_or(usize::MAX)
    }

    /// Its numbers in rows, as they are computed with.
    pub(super) fn numbers(&self) -> Result<Rc<[Num]>> {
        few(self.count())?;
        match &self.data {
            Data::Numbers(numbers) => Ok(numbers.clone()),
            Data::Singles(values) => Ok(values.iter().map(|v| Num::of(f64::from(*v))).collect()),
            Data::Stored(stored) => {
                let wide = stored.wide();
                Ok(wide.into_iter().map(Num::of).collect())
            }
        }
    }

    /// Its numbers in rows, as weights.
    pub(super) fn values(&self) -> Result<Vec<f32>> {
        let values = match &self.data {
            Data::Singles(values) => values.to_vec(),
            Data::Stored(stored) => stored.read("a tensor")?.values,
            Data::Numbers(numbers) => {
                let all: Option<Vec<f32>> = numbers.iter().map(|n| Some(n.constant()? as f32)).collect();
                all.ok_or_else(|| Error::damaged("weights depend on the image's size"))?
            }
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::damaged("a tensor holds a value that is not finite"));
        }
        Ok(values)
    }

    /// Its numbers where there are few and none depends on the image's size.
    pub(super) fn reals(&self) -> Result<Vec<f64>> {
        let all: Option<Vec<f64>> = self.numbers()?.iter().map(|n| n.constant()).collect();
        all.ok_or_else(|| Error::damaged("a number depends on the image's size"))
    }

    /// The same as whole numbers.
    pub(super) fn ints(&self) -> Result<Vec<i64>> {
        Ok(self.reals()?.into_iter().map(|n| n as i64).collect())
    }

    /// The same numbers in another shape.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Result<Self> {
        let data = match &self.data {
            Data::Stored(stored) if stored.is_in_rows() => {
                let (kind, bytes) = (stored.kind, stored.bytes);
                Data::Stored(Stored::in_rows(kind, shape.clone(), bytes)?)
            }
            Data::Stored(_) => Data::Singles(self.values()?.into()),
            other => other.clone(),
        };
        Self::new(shape, data, self.integer)
    }

    /// With its dimensions in the order of `perm`.
    pub(super) fn transposed(&self, perm: &[usize]) -> Result<Self> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.shape.len()) {
            return Err(Error::damaged(format!("{perm:?} is no order of dimensions")));
        }
        let shape = perm.iter().map(|d| self.shape[*d]).collect();
        if let Data::Stored(stored) = &self.data {
            let stride = perm.iter().map(|d| stored.stride[*d]).collect();
            let stored = Stored {
                shape,
                stride,
                ..stored.clone()
            };
            return Ok(Self::stored(stored));
        }
        let strides = strides(&self.shape);
        let numbers = self.numbers()?;
        let taken = places(&shape).map(|at| {
            let from: usize = at.iter().zip(perm).map(|(i, d)| i * strides[*d]).sum();
            numbers[from]
        });
        Self::of_numbers(shape.clone(), taken.collect(), self.integer)
    }

    /// `f` of every pair, the one or the other repeated where it has one number in place of more.
    pub(super) fn with(
        &self,
        other: &Self,
        integer: bool,
        f: impl Fn(Num, Num) -> Option<Num>,
    ) -> Result<Self> {
        let shape = common(&self.shape, &other.shape)?;
        few(count(&shape).ok_or(Error::CutShort)?)?;
        let (a, b) = (self.numbers()?, other.numbers()?);
        let (left, right) = (broadcast(&self.shape, &shape)?, broadcast(&other.shape, &shape)?);
        let all: Option<Vec<Num>> = places(&shape).map(|at| f(a[left(&at)], b[right(&at)])).collect();
        let all = all.ok_or_else(|| Error::damaged("it computes with the image's size in an odd way"))?;
        Self::of_numbers(shape, all, integer)
    }

    /// `f` of every number.
    pub(super) fn each(&self, integer: bool, f: impl Fn(Num) -> Option<Num>) -> Result<Self> {
        let all: Option<Vec<Num>> = self.numbers()?.iter().map(|n| f(*n)).collect();
        let all = all.ok_or_else(|| Error::damaged("it computes with the image's size in an odd way"))?;
        Self::of_numbers(self.shape.clone(), all, integer)
    }

    /// The parts `of` of dimension `axis`, in that order.
    pub(super) fn taken(&self, axis: usize, of: &[usize]) -> Result<Self> {
        let side = self.shape.get(axis).copied().unwrap_or(0);
        if of.iter().any(|i| *i >= side) {
            return Err(Error::damaged("it takes numbers that are not there"));
        }
        let mut shape = self.shape.clone();
        shape[axis] = of.len();
        few(count(&shape).ok_or(Error::CutShort)?)?;
        let (numbers, strides) = (self.numbers()?, strides(&self.shape));
        let all = places(&shape).map(|mut at| {
            at[axis] = of[at[axis]];
            let from: usize = at.iter().zip(&strides).map(|(i, s)| i * s).sum();
            numbers[from]
        });
        Self::of_numbers(shape.clone(), all.collect(), self.integer)
    }

    /// All of these, one after another along `axis`.
    pub(super) fn joined(parts: &[&Self], axis: usize) -> Result<Self> {
        let first = parts.first().ok_or(Error::CutShort)?;
        let fits = |part: &&&Self| {
            let same = part.shape.iter().zip(&first.shape).enumerate();
            part.shape.len() == first.shape.len() && same.into_iter().all(|(d, (a, b))| d == axis || a == b)
        };
        if axis >= first.shape.len() || !parts.iter().all(|part| fits(&part)) {
            return Err(Error::damaged("it joins numbers of shapes that do not fit"));
        }
        let total = parts
            .iter()
            .try_fold(0usize, |n, part| n.checked_add(part.count()));
        few(total.ok_or(Error::CutShort)?)?;
        let mut shape = first.shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        let outer: usize = first.shape[..axis].iter().product();
        let numbers: Vec<Rc<[Num]>> = parts.iter().map(|part| part.numbers()).collect::<Result<_>>()?;
        let mut all = Vec::new();
        for row in 0..outer {
            for numbers in &numbers {
                let each = numbers.len() / outer;
                all.extend_from_slice(&numbers[row * each..][..each]);
            }
        }
        Self::of_numbers(shape, all, first.integer)
    }
}

pub(super) fn few(count: usize) -> Result<()> {
    if count <= MOST {
        return Ok(());
    }
    Err(Error::TooLarge(format!(
        "it computes a tensor of {count} numbers"
    )))
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d].max(1);
    }
    strides
}

/// Every index of a shape, in rows.
fn places(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let strides = strides(shape);
    let total = count(shape).unwrap_or(0);
    (0..total).map(move |i| {
        let of = strides.iter().zip(shape);
        of.map(|(stride, side)| i / stride % side).collect()
    })
}

/// The shape of two of which either is repeated to the other's.
fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let side = |s: &[usize], d: usize| (d + s.len()).checked_sub(rank).map_or(1, |d| s[d]);
    (0..rank)
        .map(|d| match (side(a, d), side(b, d)) {
            (1, n) | (n, 1) => Ok(n),
            (n, m) if n == m => Ok(n),
            _ => Err(Error::damaged(format!("{a:?} and {b:?} do not go together"))),
        })
        .collect()
}

/// From an index of `to` to the place in a tensor of `from`.
fn broadcast(from: &[usize], to: &[usize]) -> Result<impl Fn(&[usize]) -> usize + use<>> {
    let behind = to.len().checked_sub(from.len());
    let behind = behind.filter(|behind| from.iter().zip(&to[*behind..]).all(|(f, t)| f == t || *f == 1));
    let behind = behind.ok_or_else(|| Error::damaged(format!("{from:?} is not repeated to {to:?}")))?;
    let strides: Vec<usize> = (strides(from).iter().zip(from))
        .map(|(stride, side)| if *side == 1 { 0 } else { *stride })
        .collect();
    Ok(move |at: &[usize]| at[behind..].iter().zip(&strides).map(|(i, s)| i * s).sum())
}
