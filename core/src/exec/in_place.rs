//! Pointwise operations on the processor: done to a run of numbers where another operation has just written it, while the
//! processor's cache holds it.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::vec::Vec;

use super::lanes::vectorised;
use super::{Compute, Value, for_each};
use crate::graph::{Places, Shape, ValueType};

/// Numbers that go with a run: one for each of it, or the same for all.
#[derive(Debug, Clone, Copy)]
pub enum Run<'a> {
    /// As many as the run has.
    Each(&'a [f32]),
    /// One for all.
    All(f32),
}

/// How the processor computes a [pointwise](crate::graph::Operation::is_pointwise) operation.
pub trait InPlace: Sync {
    /// Puts the result over `own`, a run of the operand `operand`. The other operands' numbers there are `others`, in order; those
    /// of each of [`Self::numbers`] are `numbers`.
    fn on_run(&self, own: &mut [f32], operand: usize, others: &[Run<'_>], numbers: &[Run<'_>]);

    /// What it computes with beside its operands, a number for each channel. `parameters` are the tensors that
    /// [`Operation::parameters`](crate::graph::Operation::parameters) names.
    fn numbers(&self, _inputs: &[ValueType], parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        parameters.iter().map(|p| p.to_vec()).collect()
    }
}

/// Sets each number of a run to `f` of it.
#[inline(always)]
pub(crate) fn map(own: &mut [f32], f: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || own.iter_mut().for_each(|x| *x = f(*x)),
    );
}

/// Sets each number of a run to `f` of it and the other's.
#[inline(always)]
pub(crate) fn zip(own: &mut [f32], other: Run<'_>, f: impl Fn(f32, f32) -> f32) {
    match other {
        Run::All(y) => map(
            own,
            #[inline(always)]
            |x| f(x, y),
        ),
        Run::Each(other) => vectorised(
            #[inline(always)]
            || own.iter_mut().zip(other).for_each(|(x, y)| *x = f(*x, *y)),
        ),
    }
}

/// Sets each number of a run to `f` of it and the two others'.
#[inline(always)]
pub(crate) fn zip_two(own: &mut [f32], others: [Run<'_>; 2], f: impl Fn(f32, f32, f32) -> f32) {
    match others {
        [y, Run::All(z)] => zip(
            own,
            y,
            #[inline(always)]
            |x, y| f(x, y, z),
        ),
        [Run::All(y), z] => zip(
            own,
            z,
            #[inline(always)]
            |x, z| f(x, y, z),
        ),
        [Run::Each(y), Run::Each(z)] => vectorised(
            #[inline(always)]
            || {
                let others = y.iter().zip(z);
                own.iter_mut()
                    .zip(others)
                    .for_each(|(x, (y, z))| *x = f(*x, *y, *z));
            },
        ),
    }
}

/// What a kernel does to each number of its result, in order.
pub(crate) struct Steps<'a> {
    shape: Shape,
    steps: Vec<Step<'a>>,
}

/// A pointwise operation with what it reads.
pub(crate) struct Step<'a> {
    pub(crate) op: &'a dyn InPlace,
    /// Which of its operands the kernel's result is.
    pub(crate) operand: usize,
    /// The other operands, in order.
    pub(crate) others: Vec<&'a Value>,
    /// Those of [`InPlace::numbers`].
    pub(crate) numbers: &'a [Vec<f32>],
}

/// Numbers that a thread takes at a time: they stay in its first-level cache while all steps pass over them.
const AT_A_TIME: usize = 4 << 10;
/// What a step reads, at most: other operands, and numbers for each channel.
const MOST_READ: usize = 3;

impl<'a> Steps<'a> {
    /// Those of a kernel whose result has the shape `shape`.
    pub(crate) fn new(shape: Shape, steps: Vec<Step<'a>>) -> Self {
        Self { shape, steps }
    }

    /// Does all steps to a whole value.
    pub(crate) fn whole(&self, data: &mut [f32]) {
        if self.steps.is_empty() || data.is_empty() {
            return;
        }
        // A map's runs lie along its places, others' along their channels.
        let (long, at_a_time) = match self.shape.places {
            Places::Map(size) => (size.pixels(), AT_A_TIME),
            Places::Tokens(_) | Places::Vector => (self.shape.channels, usize::MAX),
        };
        if long >= AT_A_TIME {
            let lines = data.chunks_exact_mut(long).enumerate();
            let runs = lines.flat_map(|(i, line)| {
                let runs = line.chunks_mut(at_a_time).enumerate();
                runs.map(move |(j, run)| (i, j * at_a_time.min(long), run))
            });
            for_each(runs.collect(), |(i, start, run)| self.run(i, start, run));
        } else {
            let several = AT_A_TIME / long;
            let parts = data.chunks_mut(several * long).enumerate();
            for_each(parts.collect(), |(first, part): (usize, &mut [f32])| {
                for (i, run) in part.chunks_exact_mut(long).enumerate() {
                    self.run(first * several + i, 0, run);
                }
            });
        }
    }

    /// Does all steps to a run: for a map of its channel `at` from the place `start` on, for others the channels of the place `at`.
    #[inline]
    pub(crate) fn run(&self, at: usize, start: usize, own: &mut [f32]) {
        let is_map = matches!(self.shape.places, Places::Map(_));
        for step in &self.steps {
            let mut read = [Run::All(0.0); MOST_READ];
            let n = step.others.len();
            for (to, other) in read.iter_mut().zip(&step.others) {
                let lies_there = other.shape.places == self.shape.places;
                *to = match (is_map, lies_there) {
                    (true, true) => {
                        let channel = if other.channels() == 1 { 0 } else { at };
                        Run::Each(&other.data[channel * other.places() + start..][..own.len()])
                    }
                    (true, false) => Run::All(other.data[if other.channels() == 1 { 0 } else { at }]),
                    (false, lies_there) => {
                        let place = if lies_there { at } else { 0 };
                        match other.channels() {
                            1 => Run::All(other.data[place]),
                            channels => Run::Each(&other.data[place * channels..][..channels]),
                        }
                    }
                };
            }
            for (to, numbers) in read[n..].iter_mut().zip(step.numbers) {
                *to = if is_map {
                    Run::All(numbers[at])
                } else {
                    Run::Each(numbers)
                };
            }
            let (others, numbers) = read[..n + step.numbers.len()].split_at(n);
            step.op.on_run(own, step.operand, others, numbers);
        }
    }
}

/// A pointwise operation alone is done to a copy of its first operand.
impl<T: InPlace> Compute for T {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let types: Vec<ValueType> = inputs.iter().map(|x| ValueType::vector(x.channels())).collect();
        let numbers = self.numbers(&types, parameters);
        out.data.copy_from_slice(&inputs[0].data);
        let step = Step {
            op: self,
            operand: 0,
            others: inputs[1..].to_vec(),
            numbers: &numbers,
        };
        Steps::new(out.shape, Vec::from([step])).whole(&mut out.data);
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        Some(self)
    }
}
