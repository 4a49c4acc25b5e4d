use alloc::format;

use crate::graph::ops::{AveragePool, Interpolation, Resize};
use crate::graph::{Fault, Node, Op, TypedGraph, common_grid};
use crate::{Error, Result};

/// The network with its one image at another enlargement: repeated and averaged, which is its mean over the area of each pixel, or
/// interpolated where it becomes larger by a whole factor.
///
/// # Errors
/// [`Error::Graph`] where the network has not one result that is a whole number of times larger.
pub fn resampled(graph: &TypedGraph, scale: usize) -> Result<TypedGraph> {
    let (own, divisor) = graph.output_scale(0).terms();
    if divisor != 1 || graph.outputs().len() != 1 {
        let why = format!("a network that enlarges {own}/{divisor} times has no mean at {scale}");
        return Err(Error::Graph(Fault::Inputs(why).whole()));
    }
    let finer = common_grid(own, scale);
    let by = if finer == scale {
        Interpolation::Bicubic
    } else {
        Interpolation::Nearest
    };
    let enlarged = Resize {
        factor: finer / own,
        by,
    };
    let averaged = AveragePool {
        factor: finer / scale,
    };
    let mut made = graph.graph().clone();
    let steps: [(usize, Op); 2] = [
        (enlarged.factor, enlarged.into()),
        (averaged.factor, averaged.into()),
    ];
    for (_, op) in steps.into_iter().filter(|(factor, _)| *factor > 1) {
        let mut name = format!("mean.{}", op.name());
        while made.nodes.iter().any(|n| n.name == name) || made.inputs.iter().any(|i| i.name == name) {
            name.push('_');
        }
        let Some(output) = made.outputs.first_mut() else {
            break;
        };
        let inputs = [core::mem::replace(&mut output.value, name.clone())].into();
        made.nodes.push(Node { name, op, inputs });
    }
    made.check()
}
