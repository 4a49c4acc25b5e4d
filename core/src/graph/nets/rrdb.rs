use alloc::{format, string::String, vec, vec::Vec};
use core::iter;

use super::IMAGE;
use crate::graph::ops::{Add, Affine, Concat, Constants, Conv, Interpolation, Leaky, PixelUnshuffle, Resize};
use crate::graph::{Builder, Graph, Scale};

const LEAKY: Leaky = Leaky { slope: 0.2 };

/// ESRGAN's network of residual dense blocks in residuals (RRDB; Wang et al. 2018), as Real-ESRGAN names its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rrdb {
    /// Channels of image and result, usually 3.
    pub colours: usize,
    /// Channels between the blocks, usually 64.
    pub features: usize,
    /// Channels that each convolution of a block adds, usually 32.
    pub growth: usize,
    /// Blocks, usually 23; 6 for drawings.
    pub blocks: usize,
    /// How many times the map is doubled, usually 2.
    pub doublings: usize,
    /// Side of the blocks of pixels that become channels first: 1, or 2 and 4 in networks for smaller factors.
    pub unshuffle: usize,
    /// Whether a dense block adds its input to its second part by a 1x1 convolution without bias, and the second to the fourth (ESRGAN+,
    /// Rakotonirina and Rasoanaivo 2020).
    pub plus: bool,
}

impl Rrdb {
    /// The graph: `image` to `image`, `2^doublings / unshuffle` times larger.
    pub fn graph(&self) -> Graph {
        let mut b = Builder::new();
        let mut x = b.map(IMAGE, self.colours, Scale::ONE);
        if self.unshuffle > 1 {
            let factor = self.unshuffle;
            x = b.node("blocks", PixelUnshuffle { factor }, &[&x]);
        }
        let c = self.features;
        let first = b.node("conv_first", Conv::new("conv_first", c, 3), &[&x]);
        x.clone_from(&first);
        for i in 0..self.blocks {
            let name = format!("body.{i}");
            let mut y = x.clone();
            for j in 1..=3 {
                y = self.dense(&mut b, &format!("{name}.rdb{j}"), &y);
            }
            x = residual(&mut b, &name, &x, &y);
        }
        x = b.node("conv_body", Conv::new("conv_body", c, 3), &[&x]);
        x = b.after("conv_body", Add {}, &[&first, &x]);
        for i in 1..=self.doublings {
            let (name, by) = (format!("conv_up{i}"), Interpolation::Nearest);
            x = b.after(&name, Resize { factor: 2, by }, &[&x]);
            x = activated(&mut b, &name, c, &x);
        }
        x = activated(&mut b, "conv_hr", c, &x);
        x = b.node("conv_last", Conv::new("conv_last", self.colours, 3), &[&x]);
        b.output(IMAGE, &x)
    }

    /// Four convolutions that each read all before them, and one of all.
    fn dense(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let module = |k: usize| format!("{name}.conv{k}");
        let mut parts = vec![activated(b, &module(1), self.growth, x)];
        for k in 2..=4 {
            let all = concat(b, &module(k), x, &parts);
            let mut part = activated(b, &module(k), self.growth, &all);
            if self.plus && k == 2 {
                let module = format!("{name}.conv1x1");
                let conv = Conv {
                    bias: None,
                    ..Conv::new(&module, self.growth, 1)
                };
                let own = b.node(&module, conv, &[x]);
                part = b.after(&module, Add {}, &[&part, &own]);
            }
            if self.plus && k == 4 {
                part = b.after(&module(k), Add {}, &[&part, &parts[1]]);
            }
            parts.push(part);
        }
        let all = concat(b, &module(5), x, &parts);
        let y = b.node(module(5), Conv::new(&module(5), self.features, 3), &[&all]);
        residual(b, name, x, &y)
    }
}

fn concat(b: &mut Builder, module: &str, x: &str, parts: &[String]) -> String {
    let all: Vec<&str> = iter::once(x).chain(parts.iter().map(String::as_str)).collect();
    b.after(module, Concat {}, &all)
}

/// `x + 0.2 y`.
fn residual(b: &mut Builder, name: &str, x: &str, y: &str) -> String {
    let fifth = Affine {
        scale: Some(Constants::One(0.2)),
        shift: None,
    };
    let y = b.after(name, fifth, &[y]);
    b.after(name, Add {}, &[x, &y])
}

fn activated(b: &mut Builder, name: &str, outputs: usize, x: &str) -> String {
    let y = b.node(name, Conv::new(name, outputs, 3), &[x]);
    b.after(name, LEAKY, &[&y])
}
