use alloc::{format, string::String, vec::Vec};

use super::IMAGE;
use super::layers::gated;
use crate::graph::ops::{Add, Affine, Concat, Constants, Conv, Pad, PixelShuffle, Silu};
use crate::graph::{Builder, Graph, Scale};

/// SPAN (Wan et al. 2023): six blocks whose result, less what it carries on, gates itself without parameters.
///
/// Tensors as in the field's files. `Conv3XC` is a 3x3 convolution that is trained as `conv.2` of `conv.1` of `conv.0` (1x1, 3x3 and
/// 1x1 through more channels) and `sk` (1x1) beside them; [folding](crate::graph::passes::fold) makes one of them again.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Channels of image and result, usually 3.
    pub colours: usize,
    /// Channels between them, usually 48 or 52.
    pub features: usize,
    /// Enlargement factor.
    pub scale: usize,
    /// How many times more channels a `Conv3XC` has inside, usually 2; none where the file has only its fold, `eval_conv`.
    pub gain: Option<usize>,
    /// What is done to the image first; none in files with the key `no_norm`.
    pub input: Option<SpanInput>,
}

/// `(x - mean) * range`.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanInput {
    /// For each colour.
    pub mean: Vec<f64>,
    /// Usually 255.
    pub range: f64,
}

impl SpanInput {
    /// That of the authors, for three colours.
    pub fn of_authors() -> Self {
        Self {
            mean: [0.4488, 0.4371, 0.4040].into(),
            range: 255.0,
        }
    }
}

impl Span {
    /// The graph: `image` to `image`, `scale` times larger.
    pub fn graph(&self) -> Graph {
        let mut b = Builder::new();
        let mut image = b.map(IMAGE, self.colours, Scale::ONE);
        if let Some(SpanInput { mean, range }) = &self.input {
            let shift = mean.iter().map(|mean| -range * mean).collect();
            let affine = Affine {
                scale: Some(Constants::One(*range)),
                shift: Some(Constants::Each(shift)),
            };
            image = b.node("input", affine, &[&image]);
        }
        let c = self.features;
        let first = self.conv3xc(&mut b, "conv_1", &image, self.colours);
        let (mut x, mut kept) = (first.clone(), [String::new(), String::new()]);
        for i in 1..=6 {
            let (y, inner) = self.block(&mut b, &format!("block_{i}"), &x);
            if i == 1 {
                kept[0].clone_from(&y);
            }
            (x, kept[1]) = (y, inner);
        }
        let last = self.conv3xc(&mut b, "conv_2", &x, c);
        let all = b.after("conv_cat", Concat {}, &[&first, &last, &kept[0], &kept[1]]);
        let x = b.node("conv_cat", Conv::new("conv_cat", c, 1), &[&all]);
        let outputs = self.colours * self.scale * self.scale;
        let x = b.node("upsampler.0", Conv::new("upsampler.0", outputs, 3), &[&x]);
        let factor = self.scale;
        let x = b.node("larger", PixelShuffle { factor }, &[&x]);
        b.output(IMAGE, &x)
    }

    /// `(c + x) (sigmoid(c) - 1/2)` for the convolutions' result `c`, and the first convolution's, activated.
    fn block(&self, b: &mut Builder, name: &str, x: &str) -> (String, String) {
        let part = |part: &str| format!("{name}.{part}");
        let convolved =
            |b: &mut Builder, module: &str, x: &str| self.conv3xc(b, &part(module), x, self.features);
        let y = convolved(b, "c1_r", x);
        let inner = b.after(&part("c1_r"), Silu {}, &[&y]);
        let y = convolved(b, "c2_r", &inner);
        let y = b.after(&part("c2_r"), Silu {}, &[&y]);
        let y = convolved(b, "c3_r", &y);
        (gated(b, name, &y, x), inner)
    }

    fn conv3xc(&self, b: &mut Builder, name: &str, x: &str, inputs: usize) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let outputs = self.features;
        let Some(gain) = self.gain else {
            return b.node(name, Conv::new(&part("eval_conv"), outputs, 3), &[x]);
        };
        // Zeros go round the image before the first convolution, whose bias reaches there.
        let mut y = b.after(name, Pad { pixels: 1 }, &[x]);
        for (module, outputs, kernel) in [
            ("conv.0", inputs * gain, 1),
            ("conv.1", outputs * gain, 3),
            ("conv.2", outputs, 1),
        ] {
            let conv = Conv::new(&part(module), outputs, kernel).padded(0);
            y = b.node(part(module), conv, &[&y]);
        }
        let skip = b.node(part("sk"), Conv::new(&part("sk"), outputs, 1), &[x]);
        b.node(name, Add {}, &[&y, &skip])
    }
}
