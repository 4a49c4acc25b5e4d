//! What a whole graph sees, and where its tiles must lie.

use alloc::{vec, vec::Vec};

use super::types::{Kind, gcd};
use super::{Extent, Fault, Graph, GraphError, Scale, ValueType, limits};

/// How far an output pixel can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// In pixels of the image at scale 1: the halo with which a tile computes what the whole image would, if its origin is a multiple
    /// of [`TypedGraph::alignment`](super::TypedGraph::alignment).
    pub radius: usize,
    /// Whether that is all. It is not where something depends on the whole image, or where the graph's own [`Graph::halo`] is less: tiles
    /// are then not exact.
    pub exact: bool,
}

/// What is known of a graph's tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) reach: Reach,
    pub(super) alignment: usize,
    pub(super) multiple: usize,
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
) -> Result<Tiling, GraphError> {
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

fn most(what: &'static str, count: u64, most: u64) -> Result<(), GraphError> {
    if count <= most {
        return Ok(());
    }
    Err(Fault::TooMany { what, count, most }.whole())
}

/// The coarsest of the grids of which two [alignments](super::TypedGraph::alignment) are: the least common multiple.
pub fn common_grid(a: usize, b: usize) -> usize {
    common(a as u64, b as u64) as usize
}

/// Least common multiple.
fn common(a: u64, b: u64) -> u64 {
    a / gcd(a, b) * b
}
