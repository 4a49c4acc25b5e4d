use alloc::{format, vec, vec::Vec};

use burn::tensor::{FloatDType, Int, Tensor, TensorData, activation, ops::PadMode};

use super::cpu::convolve;
use super::layers::{linear, modulation, pixel_shuffle};
use super::parameters::dtype_of;
use super::velocity::{add_skip, network_input, time_embedding};
use super::{Conditioning, Parameters, VelocityField};
use crate::model::{Activation, DitVelocity, VelocityArchitecture};

const EPSILON: f64 = 1e-6;
/// Added to the score of a token beyond the image's edge; its exponential is zero in every type.
const NEVER: f32 = -1e4;

/// The transformer velocity field. Tokens are `[n, h, w, c]`, one per low-quality pixel.
#[derive(Debug)]
pub(super) struct DitField {
    whole: VelocityArchitecture,
    own: DitVelocity,
}

impl DitField {
    pub(super) fn new(own: DitVelocity) -> Self {
        Self {
            whole: VelocityArchitecture::Dit(own.clone()),
            own,
        }
    }

    /// `x + gate1 * attention(modulated x)`, then `x + gate2 * mlp(modulated x)`.
    fn block(&self, b: usize, parameters: &Parameters, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let name = |part: &str| format!("blocks.{b}.{part}");
        let [shift1, scale1, gate1, shift2, scale2, gate2] =
            modulation(parameters, &name("modulation"), time.clone());
        let attended = self.attention(b, parameters, modulate(x.clone(), shift1, scale1));
        let x = x + attended * per_image(gate1);
        let hidden = activation::gelu(per_token(
            parameters,
            &name("mlp.0"),
            modulate(x.clone(), shift2, scale2),
        ));
        x + per_token(parameters, &name("mlp.2"), hidden) * per_image(gate2)
    }

    /// Attention of every token to its window; in every other block the grid is half a window further.
    fn attention(&self, b: usize, parameters: &Parameters, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let side = self.own.window;
        let heads = self.own.heads;
        let offset = if b.is_multiple_of(2) { 0 } else { side / 2 };
        let grid = Grid::new(h, w, side, offset);
        let tokens = side * side;
        let windows = grid.rows * grid.columns;

        let qkv = per_token(parameters, &format!("blocks.{b}.qkv"), grid.cut(x));
        // [n * windows, side, side, 3c] to three of [n * windows * heads, tokens, c / heads]
        let qkv = qkv
            .reshape([n * windows, tokens, 3, heads, c / heads])
            .permute([2, 0, 3, 1, 4])
            .reshape([3, n * windows * heads, tokens, c / heads]);
        let part = |i: usize| -> Tensor<3> { qkv.clone().narrow(0, i, 1).squeeze_dim(0) };
        let (query, key, value) = (part(0), part(1), part(2));

        let scale = 1.0 / libm::sqrt((c / heads) as f64);
        let scores = query.matmul(key.swap_dims(1, 2)).mul_scalar(scale);
        let mut scores = scores.reshape([n, windows, heads, tokens, tokens]) + self.position(b, parameters);
        if let Some(edge) = grid.edge() {
            let edge: Tensor<5> = Tensor::from_data(
                TensorData::new(edge, [1, windows, 1, 1, tokens]),
                (&scores.device(), scores.dtype()),
            );
            scores = scores + edge;
        }
        let attention = activation::softmax(scores, 4).reshape([n * windows * heads, tokens, tokens]);
        let mixed = attention
            .matmul(value)
            .reshape([n * windows, heads, tokens, c / heads])
            .permute([0, 2, 1, 3])
            .reshape([n * windows, side, side, c]);
        per_token(parameters, &format!("blocks.{b}.proj"), grid.join(mixed, n))
    }

    /// The learned bias of every pair of tokens by their distance, `[1, 1, heads, tokens, tokens]`.
    fn position(&self, b: usize, parameters: &Parameters) -> Tensor<5> {
        let (side, heads) = (self.own.window, self.own.heads);
        let span = 2 * side - 1;
        let tokens = side * side;
        let mut index = Vec::with_capacity(tokens * tokens);
        for q in 0..tokens {
            for k in 0..tokens {
                let down = q / side + side - 1 - k / side;
                let across = q % side + side - 1 - k % side;
                index.push((down * span + across) as i32);
            }
        }
        let table = parameters[&format!("blocks.{b}.position")].clone();
        let index: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(index, [tokens * tokens]), &table.device());
        table
            .reshape([heads, span * span])
            .select(1, index)
            .reshape([1, 1, heads, tokens, tokens])
    }
}

impl VelocityField for DitField {
    fn architecture(&self) -> VelocityArchitecture {
        self.whole.clone()
    }

    fn velocity(
        &self,
        parameters: &Parameters,
        x_t: Tensor<4>,
        t: Tensor<1>,
        condition: &Conditioning,
    ) -> Tensor<4> {
        let own = FloatDType::from(x_t.dtype());
        let dtype = dtype_of(parameters).unwrap_or(own);
        let time = time_embedding(&self.whole, parameters, t.clone()).cast(dtype);
        let input = network_input(&self.whole, x_t.clone(), condition).cast(dtype);
        let mut x = convolve(
            parameters,
            "embed",
            (self.own.channels, 3),
            Activation::None,
            input,
        )
        .permute([0, 2, 3, 1]);
        for b in 0..self.own.blocks {
            x = self.block(b, parameters, x, &time);
        }
        let [shift, scale] = modulation(parameters, "head_modulation", time);
        let x = modulate(x, shift, scale).permute([0, 3, 1, 2]);
        let output = convolve(parameters, "head", (self.whole.outputs(), 3), Activation::None, x);
        add_skip(
            &self.whole,
            pixel_shuffle(output.cast(own), self.own.scale),
            (x_t, &t),
            condition,
        )
    }
}

/// Where the windows lie on an image.
struct Grid {
    h: usize,
    w: usize,
    side: usize,
    offset: usize,
    rows: usize,
    columns: usize,
}

impl Grid {
    fn new(h: usize, w: usize, side: usize, offset: usize) -> Self {
        Self {
            h,
            w,
            side,
            offset,
            rows: (h + offset).div_ceil(side),
            columns: (w + offset).div_ceil(side),
        }
    }

    /// `[n, h, w, c]` to `[n * windows, side, side, c]`, zeros beyond the edge.
    fn cut(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, _, _, c] = x.dims();
        let (rows, columns, side) = (self.rows, self.columns, self.side);
        let below = rows * side - self.h - self.offset;
        let right = columns * side - self.w - self.offset;
        let padding = vec![(0, 0), (self.offset, below), (self.offset, right), (0, 0)];
        x.pad(padding, PadMode::Constant(0.0))
            .reshape([n, rows, side, columns, side, c])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([n * rows * columns, side, side, c])
    }

    /// Undoes [`Self::cut`] for `n` images.
    fn join(&self, x: Tensor<4>, n: usize) -> Tensor<4> {
        let c = x.dims()[3];
        let (rows, columns, side) = (self.rows, self.columns, self.side);
        x.reshape([n, rows, columns, side, side, c])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([n, rows * side, columns * side, c])
            .slice([
                0..n,
                self.offset..self.offset + self.h,
                self.offset..self.offset + self.w,
                0..c,
            ])
    }

    /// What is added to the scores of each window's tokens, `[windows, tokens]`; none where all windows are full.
    fn edge(&self) -> Option<Vec<f32>> {
        let (rows, columns, side) = (self.rows, self.columns, self.side);
        if self.offset == 0 && rows * side == self.h && columns * side == self.w {
            return None;
        }
        let inside = |at: usize, n: usize| at >= self.offset && at < self.offset + n;
        let mut edge = Vec::with_capacity(rows * columns * side * side);
        for row in 0..rows {
            for column in 0..columns {
                for y in 0..side {
                    for x in 0..side {
                        let seen = inside(row * side + y, self.h) && inside(column * side + x, self.w);
                        edge.push(if seen { 0.0 } else { NEVER });
                    }
                }
            }
        }
        Some(edge)
    }
}

/// A linear layer on every token of `[n, h, w, c]`.
fn per_token(parameters: &Parameters, name: &str, x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let y = linear(parameters, name, x.reshape([n * h * w, c]));
    let c = y.dims()[1];
    y.reshape([n, h, w, c])
}

/// Layer normalisation over the channels without parameters of its own, then `x (1 + scale) + shift` per image.
fn modulate(x: Tensor<4>, shift: Tensor<2>, scale: Tensor<2>) -> Tensor<4> {
    let centred = x.clone() - x.mean_dim(3);
    let variance = centred.clone().square().mean_dim(3);
    let normal = centred / (variance + EPSILON).sqrt();
    normal * (per_image(scale) + 1.0) + per_image(shift)
}

/// `[n, c]` to `[n, 1, 1, c]`.
fn per_image(x: Tensor<2>) -> Tensor<4> {
    let [n, c] = x.dims();
    x.reshape([n, 1, 1, c])
}
