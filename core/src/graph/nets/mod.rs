//! Networks written down as graphs, one file a network: those of format 1 of the manifest, from its own descriptions and with its
//! tensors' names, and the community's.

mod compact;
mod conv_field;
mod dat;
mod discriminator;
mod dit_field;
mod field;
mod layers;
mod noise;
mod plksr;
mod recurrent;
mod resampled;
mod restorer;
mod rrdb;
mod span;
mod swinir;
mod transformer;

pub use compact::Compact;
pub use dat::Dat;
pub use discriminator::Discriminator;
pub use field::velocity;
pub use noise::{NOISE, NOISE_WEIGHT, field_of, with_noise};
pub use plksr::{Mixer, Plksr, PlksrNorm};
pub use recurrent::{PREVIOUS, Recurrent};
pub use resampled::resampled;
pub use restorer::restorer;
pub use rrdb::Rrdb;
pub use span::{Span, SpanInput};
pub use swinir::SwinIr;
pub use transformer::{TransformerFrame, Upsampler};

/// The name of a network's input and output where it has one of each.
const IMAGE: &str = "image";

#[cfg(all(test, feature = "burn"))]
mod parity;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, Reach, Size, conformance, reference};
    use crate::model::{Architecture, DitVelocity, Layer, VelocityArchitecture, Weights};
    use alloc::{format, vec::Vec};

    fn millions(graph: Graph) -> f64 {
        (graph.check().expect("fits").parameter_count() as f64 / 1e4).round() / 100.0
    }

    #[test]
    fn networks_of_the_community_have_their_published_sizes() {
        let compact = Compact {
            colours: 3,
            features: 64,
            convs: 16,
            scale: 4,
        };
        let graph = compact.graph().check().expect("fits");
        assert_eq!(
            graph.reach(),
            Reach {
                radius: 18,
                exact: true
            }
        );
        // Real-ESRGAN's animevideov3: 0.62 million.
        assert_eq!(millions(compact.graph()), 0.62);

        let mut span = Span {
            colours: 3,
            features: 48,
            scale: 4,
            gain: None,
            input: Some(SpanInput::of_authors()),
        };
        let graph = span.graph().check().expect("fits");
        assert_eq!(
            graph.reach(),
            Reach {
                radius: 21,
                exact: true
            }
        );
        // Twenty 3x3 convolutions, of which the first reads 3 channels, one 1x1 of four parts, and the last.
        assert_eq!(
            graph.parameter_count(),
            (27 + 19 * 432) * 48 + 20 * 48 + 4 * 48 * 48 + 48 + 433 * 48
        );
        span.gain = Some(2);
        let graph = span.graph().check().expect("fits");
        assert_eq!(
            graph.reach(),
            Reach {
                radius: 21,
                exact: true
            }
        );

        let rrdb = Rrdb {
            colours: 3,
            features: 64,
            growth: 32,
            blocks: 23,
            doublings: 2,
            unshuffle: 1,
            plus: false,
        };
        assert_eq!(millions(rrdb.graph()), 16.7);
        let graph = rrdb.graph().check().expect("fits");
        assert_eq!(
            graph.reach(),
            Reach {
                radius: 349,
                exact: true
            }
        );
        assert_eq!(graph.output_scale(0).terms(), (4, 1));
        let half = Rrdb {
            unshuffle: 2,
            blocks: 1,
            ..rrdb
        }
        .graph()
        .check()
        .expect("fits");
        assert_eq!(half.output_scale(0).terms(), (2, 1));
        assert_eq!((half.alignment(), half.size_multiple()), (2, 2));
    }

    /// A convolution of one pixel: the middle of its kernel.
    fn middle(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
        let get = |kind: &str| &weights.get(&format!("{name}.{kind}")).expect("present").values;
        let (w, b) = (get("weight"), get("bias"));
        let taps = w.len() / b.len() / x.len();
        let tap = |o: usize, i: usize| f64::from(w[(o * x.len() + i) * taps + taps / 2]);
        (0..b.len())
            .map(|o| f64::from(b[o]) + (0..x.len()).map(|i| tap(o, i) * x[i]).sum::<f64>())
            .collect()
    }

    /// Compact and RRDB written out from their published descriptions, on one pixel, where a convolution is its middle.
    #[test]
    fn one_pixel_goes_through_as_published() {
        let compact = Compact {
            colours: 1,
            features: 2,
            convs: 1,
            scale: 2,
        };
        let graph = compact.graph().check().expect("fits");
        let weights = conformance::weights(&graph, 3);
        let input = conformance::inputs(&graph, Size::new(1, 1), 3).expect("a size that fits");
        let conv = |name: &str, x: &[f64]| middle(&weights, name, x);
        let prelu = |name: &str, x: Vec<f64>| -> Vec<f64> {
            let slope = &weights.get(&format!("{name}.weight")).expect("present").values;
            x.iter()
                .zip(slope)
                .map(|(x, s)| if *x > 0.0 { *x } else { f64::from(*s) * x })
                .collect()
        };
        let x = input[0].data().to_vec();
        let y = conv(
            "body.4",
            &prelu("body.3", conv("body.2", &prelu("body.1", conv("body.0", &x)))),
        );
        let got = reference::run(&graph, &weights, &input).expect("runs");
        for (got, y) in got[0].data().iter().zip(&y) {
            assert!((got - (y + x[0])).abs() < 1e-9);
        }

        let rrdb = Rrdb {
            colours: 1,
            features: 2,
            growth: 1,
            blocks: 1,
            doublings: 0,
            unshuffle: 1,
            plus: false,
        };
        let graph = rrdb.graph().check().expect("fits");
        let weights = conformance::weights(&graph, 4);
        let conv = |name: &str, x: &[f64]| middle(&weights, name, x);
        let leaky = |x: Vec<f64>| x.into_iter().map(|x| if x > 0.0 { x } else { 0.2 * x });
        let add = |x: &[f64], y: &[f64], by: f64| -> Vec<f64> {
            x.iter().zip(y).map(|(x, y)| x + by * y).collect()
        };
        let first = conv("conv_first", input[0].data());
        let mut y = first.clone();
        for j in 1..=3 {
            let mut all = y.clone();
            for k in 1..=4 {
                let more = conv(&format!("body.0.rdb{j}.conv{k}"), &all);
                all.extend(leaky(more));
            }
            y = add(&y, &conv(&format!("body.0.rdb{j}.conv5"), &all), 0.2);
        }
        let body = add(&first, &conv("conv_body", &add(&first, &y, 0.2)), 1.0);
        let hr: Vec<f64> = leaky(conv("conv_hr", &body)).collect();
        let got = reference::run(&graph, &weights, &input).expect("runs");
        assert!((got[0].data()[0] - conv("conv_last", &hr)[0]).abs() < 1e-9);
    }

    /// SPAN likewise: the first convolution's result of the last block goes on activated.
    #[test]
    fn one_pixel_goes_through_span_as_published() {
        let input = SpanInput {
            mean: [0.5].into(),
            range: 2.0,
        };
        let span = Span {
            colours: 1,
            features: 3,
            scale: 1,
            gain: None,
            input: Some(input),
        };
        let graph = span.graph().check().expect("fits");
        let weights = conformance::weights(&graph, 9);
        let given = conformance::inputs(&graph, Size::new(1, 1), 9).expect("a size that fits");
        let conv = |name: &str, x: &[f64]| middle(&weights, name, x);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let silu = |x: Vec<f64>| -> Vec<f64> { x.iter().map(|x| x * sigmoid(*x)).collect() };
        let block = |i: usize, x: &[f64]| -> (Vec<f64>, Vec<f64>) {
            let name = |k: usize| format!("block_{i}.c{k}_r.eval_conv");
            let a = silu(conv(&name(1), x));
            let c = conv(&name(3), &silu(conv(&name(2), &a)));
            let gated = c.iter().zip(x).map(|(c, x)| (c + x) * (sigmoid(*c) - 0.5));
            (gated.collect(), a)
        };
        let first = conv("conv_1.eval_conv", &[(given[0].data()[0] - 0.5) * 2.0]);
        let (one, _) = block(1, &first);
        let mut last = (one.clone(), Vec::new());
        for i in 2..=6 {
            last = block(i, &last.0);
        }
        let all = [first, conv("conv_2.eval_conv", &last.0), one, last.1].concat();
        let expected = conv("upsampler.0", &conv("conv_cat", &all))[0];
        let got = reference::run(&graph, &weights, &given).expect("runs");
        assert!((got[0].data()[0] - expected).abs() < 1e-9, "{got:?} {expected}");
    }

    /// With a weight of zeros the noise is not seen; with another it is, and the rest stays what it is.
    #[test]
    fn noise_enters_where_its_weight_lets_it() {
        let compact = Compact {
            colours: 3,
            features: 4,
            convs: 1,
            scale: 2,
        };
        let plain = compact.graph().check().expect("fits");
        let noisy = with_noise(&plain, 3, 2).expect("fits");
        assert!(with_noise(&noisy, 3, 2).is_err());
        let size = Size::new(5, 4);
        let given = conformance::inputs(&noisy, size, 1).expect("a size that fits");
        let mut weights = conformance::weights(&noisy, 2);
        let run = |graph, weights: &Weights, n: usize| {
            let made = reference::run(graph, weights, &given[..n]).expect("runs");
            made[0].data().to_vec()
        };
        let seen = run(&noisy, &weights, 2);
        let mut none = weights.get(NOISE_WEIGHT).expect("present").clone();
        none.values.fill(0.0);
        weights.insert(NOISE_WEIGHT.into(), none);
        let unseen = run(&noisy, &weights, 2);
        let mut own = Weights::default();
        for p in plain.parameters() {
            own.insert(p.name.clone(), weights.get(&p.name).expect("present").clone());
        }
        assert_eq!(unseen, run(&plain, &own, 1));
        assert!(seen.iter().zip(&unseen).any(|(a, b)| (a - b).abs() > 1e-3));
    }

    #[test]
    fn recurrent_networks_cost_the_same_at_every_scale() {
        for (scale, frame) in [(1, 48), (2, 12), (4, 3)] {
            let graph = Recurrent {
                features: 16,
                blocks: 2,
                scale,
            };
            let graph = graph.graph().check().expect("fits");
            assert_eq!(graph.output_scale(0).terms(), (scale, 1));
            assert_eq!(graph.size_multiple(), 4 / scale);
            let kernels = 9 * 16 * ((frame + 48) + 6 * 16 + 48);
            assert_eq!(graph.parameter_count(), kernels + 7 * 16 + 48);
            let cost = graph
                .cost(Size::new(64 / scale, 64 / scale))
                .expect("a size that fits");
            let skip = 16 * 3 * 64 * 64; // at most
            let conv = 16 * 16 * kernels;
            assert!(
                (conv..conv + skip).contains(&cost.multiply_adds),
                "{scale}: {}",
                cost.multiply_adds
            );
        }
    }

    #[test]
    fn a_discriminator_judges_blocks_of_four_pixels() {
        let graph = Discriminator {
            inputs: 6,
            features: 8,
        }
        .graph()
        .check()
        .expect("fits");
        assert_eq!(graph.output_scale(0).terms(), (1, 4));
        assert_eq!(graph.graph().outputs.len(), 6);
    }

    /// Whatever format 1 takes is a graph, at its bounds too.
    #[test]
    fn the_conversions_are_total() {
        let mut odd = Architecture::restorer(8, 1024, 2);
        for (i, layer) in odd.layers.iter_mut().enumerate() {
            if let Layer::Conv { name, .. } = layer {
                *name = ["image", "larger", "sum", "\u{e4} \n", "image.leaky", "skip"][i.min(5)].into();
                name.push_str(&"x".repeat(i * 200 * usize::from(i > 5)));
            }
        }
        restorer(&odd).expect("a network").check().expect("fits");
        let deep = Architecture::restorer(2, 1, 340);
        restorer(&deep).expect("a network").check().expect("fits");
        let wide = VelocityArchitecture::Dit(DitVelocity {
            scale: 8,
            condition: crate::model::Condition::LowQualityAndMean,
            time_features: 1024,
            skip: None,
            channels: 1024,
            blocks: 64,
            heads: 1024,
            window: 32,
        });
        velocity(&wide).expect("a field").check().expect("fits");
        let film = |i: usize| Layer::Film {
            name: format!("f{i}"),
            channels: 4,
            activation: crate::model::Activation::Prelu,
        };
        let mut long = VelocityArchitecture::conv(2, 4, 1);
        if let VelocityArchitecture::Conv(own) = &mut long {
            let tail = own.layers.pop().expect("a tail");
            let left = 1024 - own.layers.len() - 1;
            own.layers.extend((0..left).map(film));
            own.layers.push(tail);
        }
        velocity(&long).expect("a field").check().expect("fits");
        // A field that does not know the time is none.
        let mut timeless = VelocityArchitecture::conv(2, 4, 1);
        if let VelocityArchitecture::Conv(own) = &mut timeless {
            own.layers.retain(|layer| !matches!(layer, Layer::Film { .. }));
        }
        assert!(velocity(&timeless).is_err());
    }
}
