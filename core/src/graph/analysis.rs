//! What a whole graph sees, where its tiles must lie, and what it costs.

use alloc::{vec, vec::Vec};

use super::types::{Kind, gcd};
use super::{Extent, Fault, Graph, GraphError, Scale, Size, TypedGraph, ValueType, check, limits};
use crate::Result;

/// How far an output pixel can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// In pixels of the image at scale 1: the halo with which a tile computes what the whole image would, if its origin is a multiple
    /// of [`TypedGraph::alignment`].
    pub radius: usize,
    /// Whether that is all. It is not where something depends on the whole image, or where the graph's own [`Graph::halo`] is less: tiles
    /// are then not exact.
    pub exact: bool,
}

/// What it takes to run a graph once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiplications with an addition.
    pub multiply_adds: u64,
    /// Bytes that its nodes read and write, one after the other, in `f32`: values and learned tensors.
    pub bytes: u64,
}

/// What is known of a graph's tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tiling {
    reach: Reach,
    alignment: usize,
    multiple: usize,
}

/// Distances are counted in these parts of a pixel, so that those at every [`Scale`] are whole numbers: the least common multiple of
/// all numbers up to [`limits::SCALE`].
const UNIT: u64 = 720_720;

/// Side of a pixel of a map, in [`UNIT`]s; of one within a pixel of the image, that one's, for it is read whole.
fn footprint(scale: Scale) -> u64 {
    let (num, den) = scale.terms();
    (UNIT / num as u64 * den as u64).max(UNIT)
}

/// How far a value's pixels see beyond themselves, in [`UNIT`]s, and whether that is all.
#[derive(Debug, Clone, Copy)]
struct Sight {
    distance: u64,
    exact: bool,
}

/// What `extent` adds to the sight of what is read.
fn through(extent: Extent, sight: Sight, from: &ValueType, to: &ValueType) -> Sight {
    let (num, den) = from.scale.terms();
    let pixel = UNIT / num as u64 * den as u64;
    let (pixels, exact) = match extent {
        Extent::Local(radius) => (radius, sight.exact),
        Extent::Window([rows, columns]) => (rows.max(columns) - 1, sight.exact),
        Extent::Global => (0, from.kind == Kind::Vector && sight.exact),
    };
    // A pixel of an enlarged map sees the whole one that it lies in.
    let within = footprint(from.scale).saturating_sub(footprint(to.scale));
    // A vector is the same everywhere: nothing is nearer or further.
    let local = if to.kind == Kind::Vector || from.kind == Kind::Vector {
        0
    } else {
        pixels as u64 * pixel + within
    };
    Sight {
        distance: sight.distance + local,
        exact,
    }
}

pub(super) fn tiling(
    graph: &Graph,
    types: &[ValueType],
    reads: &[Vec<usize>],
    outputs: &[usize],
) -> core::result::Result<Tiling, GraphError> {
    let start = Sight {
        distance: 0,
        exact: true,
    };
    let mut sights = vec![start; graph.inputs.len()];
    let (mut multiple, mut alignment) = (1, 1);
    for value in types {
        multiple = common(multiple, value.scale.terms().1 as u64);
        alignment = common(alignment, multiple);
        if let Kind::Tokens(windows) = value.kind {
            let (num, den) = value.scale.terms();
            for side in windows.window {
                // The least number of image pixels that is a whole number of windows.
                let side = (side * den) as u64;
                alignment = common(alignment, side / gcd(side, num as u64));
            }
        }
        // Each is bounded before the next, so that nothing overflows.
        most("pixels of alignment", alignment, limits::ALIGNMENT)?;
    }
    for (i, reads) in reads.iter().enumerate() {
        let made = &types[graph.inputs.len() + i];
        let inputs: Vec<ValueType> = reads.iter().map(|v| types[*v]).collect();
        let extent = graph.nodes[i].op.operation().extent(&inputs);
        let seen = reads
            .iter()
            .map(|v| through(extent, sights[*v], &types[*v], made));
        let sight = seen.fold(start, |a, b| Sight {
            distance: a.distance.max(b.distance),
            exact: a.exact && b.exact,
        });
        most("pixels of reach", sight.distance / UNIT, limits::REACH)?;
        sights.push(sight);
    }
    let distance = outputs
        .iter()
        .map(|v| sights[*v].distance)
        .max()
        .unwrap_or_default();
    // Where pixels do not lie within pixels, one may begin up to a pixel further out.
    let more = u64::from(!types.iter().all(|t| t.scale.is_nested()));
    let radius = (distance.div_ceil(UNIT) + more) as usize;
    let measured = graph.halo.filter(|halo| *halo < radius);
    Ok(Tiling {
        reach: Reach {
            radius: measured.unwrap_or(radius),
            exact: measured.is_none() && outputs.iter().all(|v| sights[*v].exact),
        },
        alignment: alignment as usize,
        multiple: multiple as usize,
    })
}

fn most(what: &'static str, count: u64, most: u64) -> core::result::Result<(), GraphError> {
    if count <= most {
        return Ok(());
    }
    Err(Fault::TooMany { what, count, most }.whole())
}

/// The coarsest of the grids of which two [alignments](TypedGraph::alignment) are: the least common multiple.
pub fn common_grid(a: usize, b: usize) -> usize {
    common(a as u64, b as u64) as usize
}

/// Least common multiple.
fn common(a: u64, b: u64) -> u64 {
    a / gcd(a, b) * b
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
    use crate::graph::{Kind, Places};
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
