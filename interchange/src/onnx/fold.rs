//! Operators of numbers that no pixel changes: what exporters compute sizes, indices and weights with.

use super::constant::{Constant, Data, Num, few};
use super::proto::{Node, count};
use super::view::axis;
use crate::{Error, Result};

/// What a node without inputs holds.
pub(super) fn constant<'a>(node: &Node<'a>) -> Result<Constant<'a>> {
    if let Some(constant) = node.tensor("value")? {
        return Ok(constant);
    }
    let one = |n: f64, integer| Constant::of_numbers(vec![], vec![Num::of(n)], integer);
    if node.has("value_int") {
        return one(node.int("value_int", 0) as f64, true);
    }
    if node.has("value_float") {
        return one(node.float("value_float", 0.0), false);
    }
    if let Some(ints) = node.ints("value_ints").filter(|all| !all.is_empty()) {
        return Constant::row(ints.iter().map(|n| Num::of(*n as f64)).collect());
    }
    if let Some(floats) = node.floats("value_floats") {
        let numbers = floats.iter().map(|n| Num::of(f64::from(*n))).collect();
        return Constant::of_numbers(vec![floats.len()], numbers, false);
    }
    Err(node.refused(" of another kind than numbers"))
}

/// What a node makes of constants.
pub(super) fn made<'a>(node: &Node<'a>, inputs: &[Constant<'a>]) -> Result<Vec<Constant<'a>>> {
    let first = || inputs.first().ok_or(Error::CutShort);
    let second = || inputs.get(1).ok_or(Error::CutShort);
    let integer = |a: &Constant<'_>, b: &Constant<'_>| a.integer && b.integer;
    let pair = |f: fn(Num, Num) -> Option<Num>| -> Result<Constant<'a>> {
        let (a, b) = (first()?, second()?);
        a.with(b, integer(a, b), f)
    };
    let each = |f: fn(f64) -> f64| first()?.each(first()?.integer, |n| n.constant().map(|n| Num::of(f(n))));
    let one = match node.kind {
        "Identity" | "Dropout" => first()?.clone(),
        "Cast" | "CastLike" => cast(node, first()?)?,
        "Shape" => {
            let shape = &first()?.shape;
            let (start, end) = part(node, shape.len());
            Constant::row(shape[start..end].iter().map(|n| Num::of(*n as f64)).collect())?
        }
        "Size" => Constant::of_numbers(vec![], vec![Num::of(first()?.count() as f64)], true)?,
        "Add" => pair(Num::add)?,
        "Sub" => pair(|a, b| a.add(b.times(Num::of(-1.0))?))?,
        "Mul" => pair(Num::times)?,
        "Div" => {
            let (a, b) = (first()?, second()?);
            let whole = integer(a, b);
            a.with(b, whole, |a, b| {
                let quotient = a.over(b)?;
                Some(match quotient.constant().filter(|_| whole) {
                    Some(n) => Num::of(n.trunc()),
                    None => quotient,
                })
            })?
        }
        "Pow" => pair(|a, b| Some(Num::of(a.constant()?.powf(b.constant()?))))?,
        "Mod" => pair(|a, b| Some(Num::of(a.constant()?.rem_euclid(b.constant()?))))?,
        "Min" => pair(|a, b| Some(Num::of(a.constant()?.min(b.constant()?))))?,
        "Max" => pair(|a, b| Some(Num::of(a.constant()?.max(b.constant()?))))?,
        // A size of the image is no number that a shape is compared with.
        "Equal" => pair(|a, b| Some(Num::of(f64::from(u8::from(a == b)))))?,
        "Neg" => first()?.each(first()?.integer, |n| n.times(Num::of(-1.0)))?,
        "Sqrt" => each(f64::sqrt)?,
        "Abs" => each(f64::abs)?,
        "Exp" => each(f64::exp)?,
        "Reciprocal" => each(|n| 1.0 / n)?,
        // Sizes are multiples of what they are divided by.
        "Floor" => first()?.each(false, |n| Some(n.constant().map_or(n, |n| Num::of(n.floor()))))?,
        "Ceil" => first()?.each(false, |n| Some(n.constant().map_or(n, |n| Num::of(n.ceil()))))?,
        "Round" => first()?.each(false, |n| {
            Some(n.constant().map_or(n, |n| Num::of(n.round_ties_even())))
        })?,
        "Where" => {
            let (yes, no) = (second()?, inputs.get(2).ok_or(Error::CutShort)?);
            let (yes, no) = (
                yes.with(no, yes.integer, |a, _| Some(a))?,
                no.with(yes, no.integer, |a, _| Some(a))?,
            );
            // The choice is a number for each of a pair, and the pair is taken apart again.
            let chosen = first()?.with(&yes, yes.integer, |c, a| {
                if c == Num::of(0.0) { Some(NEITHER) } else { Some(a) }
            })?;
            chosen.with(&no, yes.integer, |a, b| Some(if a == NEITHER { b } else { a }))?
        }
        _ => return arranged(node, inputs),
    };
    Ok(vec![one])
}

/// What only puts numbers elsewhere, or makes them of a shape.
fn arranged<'a>(node: &Node<'a>, inputs: &[Constant<'a>]) -> Result<Vec<Constant<'a>>> {
    let first = || inputs.first().ok_or(Error::CutShort);
    let second = || inputs.get(1).ok_or(Error::CutShort);
    let axes = || match node.ints("axes") {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => inputs.get(1).map(Constant::ints).transpose(),
    };
    let one = match node.kind {
        "Gather" => {
            let (data, indices) = (first()?, second()?);
            let d = axis(node.int("axis", 0), data.shape.len())?;
            let side = data.shape[d];
            let of: Vec<usize> = indices
                .ints()?
                .into_iter()
                .map(|i| at(i, side))
                .collect::<Result<_>>()?;
            let mut shape = data.shape.clone();
            shape.splice(d..=d, indices.shape.iter().copied());
            data.taken(d, &of)?.reshaped(shape)?
        }
        "Slice" => slice(node, inputs)?,
        "Concat" => {
            let d = axis(node.int("axis", 0), first()?.shape.len())?;
            Constant::joined(&inputs.iter().collect::<Vec<_>>(), d)?
        }
        "Split" => return split(node, inputs),
        "Unsqueeze" => {
            let own = first()?;
            let axes = axes()?.ok_or(Error::CutShort)?;
            let rank = own.shape.len() + axes.len();
            let axes: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
            let mut sides = own.shape.iter();
            let side = |d: usize| {
                if axes.contains(&d) {
                    Some(1)
                } else {
                    sides.next().copied()
                }
            };
            let shape: Option<Vec<usize>> = (0..rank).map(side).collect();
            own.reshaped(shape.ok_or(Error::CutShort)?)?
        }
        "Squeeze" => {
            let own = first()?;
            let rank = own.shape.len();
            let axes: Option<Result<Vec<usize>>> =
                axes()?.map(|all| all.iter().map(|a| axis(*a, rank)).collect());
            let axes = axes.transpose()?;
            let goes = |d: &usize| own.shape[*d] == 1 && axes.as_ref().is_none_or(|all| all.contains(d));
            own.reshaped((0..rank).filter(|d| !goes(d)).map(|d| own.shape[d]).collect())?
        }
        "Reshape" => reshape(node, first()?, &second()?.ints()?)?,
        "Flatten" => {
            let own = first()?;
            let d = usize::try_from(node.int("axis", 1))
                .unwrap_or(0)
                .min(own.shape.len());
            let (rows, columns) = own.shape.split_at(d);
            own.reshaped(vec![rows.iter().product(), columns.iter().product()])?
        }
        "Transpose" => {
            let own = first()?;
            own.transposed(&perm(node, own.shape.len()))?
        }
        "Expand" => {
            let own = first()?;
            let shape = sides(second()?)?;
            // A size of one keeps what is there.
            let ones = Constant::of_numbers(shape.clone(), vec![Num::ONE; limited(&shape)?], true)?;
            own.with(&ones, own.integer, |a, _| Some(a))?
        }
        "ConstantOfShape" => {
            let shape = sides(first()?)?;
            let value = node.tensor("value")?;
            let integer = value.as_ref().is_some_and(|v| v.integer);
            let value = value.map(|v| v.numbers()).transpose()?;
            let value = value.and_then(|v| v.first().copied()).unwrap_or(Num::of(0.0));
            let numbers = vec![value; limited(&shape)?];
            Constant::of_numbers(shape, numbers, integer)?
        }
        "Range" => {
            let real = |i: usize| {
                let given = inputs.get(i).ok_or(Error::CutShort)?.reals()?;
                given.first().copied().ok_or(Error::CutShort)
            };
            let (start, limit, delta) = (real(0)?, real(1)?, real(2)?);
            let steps = ((limit - start) / delta).ceil().max(0.0);
            let steps = if steps.is_finite() {
                steps as usize
            } else {
                usize::MAX
            };
            few(steps)?;
            Constant::row((0..steps).map(|i| Num::of(start + i as f64 * delta)).collect())?
        }
        _ => return Err(node.refused("")),
    };
    Ok(vec![one])
}

/// A number that no file computes.
const NEITHER: Num = Num::of(f64::INFINITY);

/// The numbers of a shape, if there may be so many.
fn limited(shape: &[usize]) -> Result<usize> {
    let count = count(shape).ok_or(Error::CutShort)?;
    few(count)?;
    Ok(count)
}

fn sides(constant: &Constant<'_>) -> Result<Vec<usize>> {
    let side = |n: i64| usize::try_from(n).map_err(|_| Error::damaged(format!("a tensor has the side {n}")));
    constant.ints()?.into_iter().map(side).collect()
}

/// An index, negative from the end.
fn at(index: i64, side: usize) -> Result<usize> {
    axis(index, side)
}

/// `start` and `end` of a shape.
pub(super) fn part(node: &Node<'_>, rank: usize) -> (usize, usize) {
    let clamp = |n: i64| {
        let n = if n < 0 { n.saturating_add(rank as i64) } else { n };
        n.clamp(0, rank as i64) as usize
    };
    let start = clamp(node.int("start", 0));
    (start, clamp(node.int("end", i64::MAX)).max(start))
}

/// The order of dimensions; the other way round where none is given.
pub(super) fn perm(node: &Node<'_>, rank: usize) -> Vec<usize> {
    match node.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|d| usize::try_from(*d).unwrap_or(usize::MAX))
            .collect(),
        None => (0..rank).rev().collect(),
    }
}

fn cast<'a>(node: &Node<'a>, own: &Constant<'a>) -> Result<Constant<'a>> {
    // Whole and unsigned numbers, and truth.
    let whole = matches!(node.int("to", 1), 2..=7 | 9 | 12 | 13);
    if whole == own.integer || matches!(own.data, Data::Stored(_) | Data::Singles(_)) && !whole {
        return Ok(own.clone());
    }
    let cut = |n: Num| {
        Some(
            n.constant()
                .map_or(n, |n| Num::of(if whole { n.trunc() } else { n })),
        )
    };
    own.each(whole, cut)
}

fn reshape<'a>(node: &Node<'a>, own: &Constant<'a>, sides: &[i64]) -> Result<Constant<'a>> {
    let keeps = node.int("allowzero", 0) == 0;
    let mut shape = Vec::new();
    let mut rest = None;
    for (d, side) in sides.iter().enumerate() {
        shape.push(match side {
            0 if keeps => *own.shape.get(d).ok_or(Error::CutShort)?,
            -1 if rest.is_none() => {
                rest = Some(d);
                1
            }
            n => {
                usize::try_from(*n).map_err(|_| Error::damaged("a tensor is reshaped to a negative side"))?
            }
        });
    }
    if let Some(d) = rest {
        let others = count(&shape).filter(|n| *n > 0).ok_or(Error::CutShort)?;
        shape[d] = own.count() / others;
    }
    own.reshaped(shape)
}

/// The indices that a slice takes of a dimension of `side`.
pub(super) fn range(start: i64, end: i64, step: i64, side: usize) -> Result<Vec<usize>> {
    let n = side as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (start, end) = (from_end(start), from_end(end));
    match step {
        1.. => {
            let (start, end) = (start.clamp(0, n), end.clamp(0, n));
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            Ok((start as usize..end as usize).step_by(step).collect())
        }
        0 => Err(Error::damaged("a slice goes in steps of nothing")),
        _ => {
            let (start, end) = (start.clamp(-1, n - 1), end.clamp(-1, n - 1));
            let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            let all = (end + 1..=start).rev().step_by(step);
            Ok(all.map(|i| i as usize).collect())
        }
    }
}

fn slice<'a>(node: &Node<'a>, inputs: &[Constant<'a>]) -> Result<Constant<'a>> {
    let given = |name: &str, i: usize| match node.ints(name) {
        Some(ints) => Ok(Some(ints.to_vec())),
        None => inputs.get(i).map(Constant::ints).transpose(),
    };
    let mut own = inputs.first().ok_or(Error::CutShort)?.clone();
    let (starts, ends) = (given("starts", 1)?, given("ends", 2)?);
    let (starts, ends) = starts.zip(ends).ok_or(Error::CutShort)?;
    let axes = given("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = if inputs.len() > 4 {
        inputs[4].ints()?
    } else {
        vec![1; starts.len()]
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Error::CutShort);
    }
    for (i, a) in axes.iter().enumerate() {
        let d = axis(*a, own.shape.len())?;
        own = own.taken(d, &range(starts[i], ends[i], steps[i], own.shape[d])?)?;
    }
    Ok(own)
}

/// The parts of a dimension of `side`.
pub(super) fn parts(node: &Node<'_>, sizes: Option<Vec<i64>>, side: usize) -> Result<Vec<usize>> {
    let n = node.outputs.len().max(1);
    let sizes = if let Some(sizes) = sizes {
        let size = |n: i64| usize::try_from(n).map_err(|_| Error::damaged("a part is of a negative size"));
        sizes.into_iter().map(size).collect::<Result<Vec<usize>>>()?
    } else {
        let each = side.div_ceil(n);
        (0..n).map(|i| each.min(side.saturating_sub(i * each))).collect()
    };
    let total = sizes.iter().try_fold(0usize, |sum, n| sum.checked_add(*n));
    if total != Some(side) || sizes.len() != n || sizes.contains(&0) {
        return Err(Error::damaged(format!("{side} are not split into {sizes:?}")));
    }
    Ok(sizes)
}

fn split<'a>(node: &Node<'a>, inputs: &[Constant<'a>]) -> Result<Vec<Constant<'a>>> {
    let own = inputs.first().ok_or(Error::CutShort)?;
    let d = axis(node.int("axis", 0), own.shape.len())?;
    let sizes = match node.ints("split") {
        Some(sizes) => Some(sizes.to_vec()),
        None => inputs.get(1).map(Constant::ints).transpose()?,
    };
    let mut from = 0;
    let mut made = Vec::new();
    for size in parts(node, sizes, own.shape[d])? {
        made.push(own.taken(d, &(from..from + size).collect::<Vec<_>>())?);
        from += size;
    }
    Ok(made)
}
