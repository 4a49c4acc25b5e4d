//! What a checked graph is asked: what it sees, where its tiles must lie, and what it costs.

use alloc::vec::Vec;

use super::tiling::Reach;
use super::{Scale, Size, TypedGraph, check};
use crate::Result;

/// What it takes to run a graph once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiplications with an addition.
    pub multiply_adds: u64,
    /// Bytes that its nodes read and write, one after the other, in `f32`: values and learned tensors.
    pub bytes: u64,
}

impl TypedGraph {
    /// How far an output pixel can see.
    pub fn reach(&self) -> Reach {
        self.tiling.reach
    }

    /// The grid, in pixels of the image, that the origins of tiles must lie on: whole windows, and whole pixels of every map.
    pub fn alignment(&self) -> usize {
        self.tiling.alignment
    }

    /// What the sides of an image and of a tile must be multiples of.
    pub fn size_multiple(&self) -> usize {
        self.tiling.multiple
    }

    /// How many times larger than the image the output `i` is.
    ///
    /// # Panics
    /// When there is no such output.
    pub fn output_scale(&self, i: usize) -> Scale {
        self.types()[self.outputs()[i]].scale
    }

    /// What it takes to run it on an image of `size` at scale 1, every node by itself; counts that overflow stay at the highest.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn cost(&self, size: Size) -> Result<Cost> {
        let shapes = self.shapes(size)?;
        let mut cost = Cost::default();
        for i in 0..self.graph().nodes.len() {
            let one = self.node_cost(i, &shapes);
            cost.multiply_adds = cost.multiply_adds.saturating_add(one.multiply_adds);
            cost.bytes = cost.bytes.saturating_add(one.bytes);
        }
        Ok(cost)
    }

    /// What it takes to run node `i` once, for the [`shapes`](Self::shapes) of all values.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node_cost(&self, i: usize, shapes: &[super::Shape]) -> Cost {
        let op = self.graph().nodes[i].op.operation();
        let inputs: Vec<_> = self.reads(i).iter().map(|v| shapes[*v]).collect();
        let output = &shapes[self.made_by(i)];
        let learned = op.parameters(&self.input_types(i));
        let values = inputs.iter().chain([output]).map(|s| s.numbers() as u64);
        let numbers = values.chain(learned.iter().map(check::numbers));
        Cost {
            multiply_adds: op.multiply_adds(&inputs, output),
            bytes: numbers.fold(0, |bytes: u64, n| bytes.saturating_add(n.saturating_mul(4))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Kind, Places, ValueType};
    use crate::graph::{Tensor, arbitrary, conformance, reference};
    use crate::random::SplitMix64;

    /// The part of `x` under the image's pixels from `first` on, of `size`.
    fn crop(x: &Tensor, value: &ValueType, first: Size, size: Size) -> Tensor {
        if value.kind == Kind::Vector {
            return x.clone();
        }
        let (num, den) = value.scale.terms();
        let shape = value.shape(size).expect("fits");
        let (left, top) = (first.width / den * num, first.height / den * num);
        Tensor::build_map(shape, |c, px, py| x.pixel(c, left + px, top + py))
    }

    /// A tile with its halo gives what the whole image does: extents, scales and alignment are right together.
    #[test]
    fn tiles_of_random_graphs_make_the_same_image_as_the_whole() {
        let (mut tried, mut tight) = (0, 0);
        for seed in 0..600 {
            let graph = arbitrary::graph(seed, 14, |_| true);
            let (reach, grid) = (graph.reach(), graph.alignment());
            if !reach.exact || reach.radius + grid > 20 || graph.size_multiple() > 4 {
                continue;
            }
            let mut r = SplitMix64::of([seed, 3, 0]);
            // The tile lies within, begins on the grid and ends anywhere that its sides may.
            let multiple = graph.size_multiple();
            let side = |r: &mut SplitMix64| (2 * reach.radius + 1 + r.below(6)).next_multiple_of(multiple);
            let tile = Size::new(side(&mut r), side(&mut r));
            let first = Size::new(grid, grid * r.below(2));
            let size = Size::new(
                (first.width + tile.width + 3).next_multiple_of(multiple),
                (first.height + tile.height + r.below(4)).next_multiple_of(multiple),
            );
            let weights = conformance::weights(&graph, seed);
            let inputs = conformance::inputs(&graph, size, seed).expect("a size that fits");
            let whole = &reference::run(&graph, &weights, &inputs).expect("runs")[0];
            let types = graph.types().iter();
            let part: Vec<Tensor> = inputs
                .iter()
                .zip(types)
                .map(|(x, t)| crop(x, t, first, tile))
                .collect();
            let part = &reference::run(&graph, &weights, &part).expect("runs")[0];

            let value = &graph.types()[graph.outputs()[0]];
            let expected = crop(whole, value, first, tile);
            let Places::Map(made) = expected.shape().places else {
                panic!("a map")
            };
            let (num, den) = value.scale.terms();
            let halo = (reach.radius * num).div_ceil(den);
            let differs = |x: usize, y: usize| {
                (0..value.channels).any(|c| {
                    let (a, b) = (part.pixel(c, x, y), expected.pixel(c, x, y));
                    let same = (a - b).abs() <= 1e-9 * (1.0 + b.abs()) || a.is_nan() && b.is_nan();
                    !same
                })
            };
            let above = if first.height == 0 { 0 } else { halo };
            let rows = above..made.height.saturating_sub(halo);
            let columns = halo..made.width.saturating_sub(halo);
            for (x, y) in rows.clone().flat_map(|y| columns.clone().map(move |x| (x, y))) {
                assert!(
                    !differs(x, y),
                    "{seed}: {x},{y} of {made:?}, {reach:?}\n{graph:?}"
                );
            }
            tried += usize::from(!rows.is_empty() && !columns.is_empty());
            // One pixel further out something may be missing: the reach is no larger than it must be, nor the test blind.
            let further = rows.clone().any(|y| halo > 0 && differs(halo - 1, y));
            tight += usize::from(further);
        }
        assert!(tried > 200 && tight > 60, "{tried} {tight}");
    }
}
