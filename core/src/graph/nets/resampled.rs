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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::nets::Compact;
    use crate::graph::{Size, Tensor, conformance, reference};

    /// The mean of the result over the area of each new pixel, on the finest grid that both have.
    #[test]
    fn a_result_is_averaged_over_the_area_of_a_pixel() {
        let net = Compact {
            colours: 3,
            features: 2,
            convs: 1,
            scale: 4,
        };
        let graph = net.graph().check().expect("fits");
        let weights = conformance::weights(&graph, 5);
        let given = conformance::inputs(&graph, Size::new(3, 2), 5).expect("a size that fits");
        let run = |graph: &TypedGraph| -> Tensor {
            let mut made = reference::run(graph, &weights, &given).expect("runs");
            made.remove(0)
        };
        let whole = run(&graph);
        for scale in [1, 2, 3] {
            let made = run(&resampled(&graph, scale).expect("fits"));
            let size = Size::new(3 * scale, 2 * scale);
            assert_eq!(made.map_size(), size);
            let finest = common_grid(4, scale);
            let (fine, coarse) = (finest / 4, finest / scale);
            for i in 0..3 * size.pixels() {
                let (c, x, y) = (i / size.pixels(), i % size.width, i / size.width % size.height);
                let parts = (0..coarse * coarse).map(|k| {
                    let at = |place: usize, k: usize| (place * coarse + k) / fine;
                    whole.pixel(c, at(x, k % coarse), at(y, k / coarse))
                });
                let expected = parts.sum::<f64>() / (coarse * coarse) as f64;
                assert!((made.pixel(c, x, y) - expected).abs() < 1e-9, "{scale}: {x} {y}");
            }
        }
        assert_eq!(run(&resampled(&graph, 4).expect("fits")), whole);
        let larger = run(&resampled(&graph, 8).expect("fits"));
        assert_eq!(larger.map_size(), Size::new(24, 16));
    }
}
