#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Extent, Operation, Reference, count, parameter, params::params, tokens};
use crate::exec::lanes::{self, LANES, vectorised};
use crate::exec::shade::{Code, Shade, Shader, Stage, Work};
use crate::exec::{Compute, Value, for_each};
use crate::graph::types::{Kind, Windows};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Attention of every token to those of its window (Vaswani et al. 2017; Liu et al. 2021), in `heads` equal parts of the channels:
/// `softmax(q k^T / sqrt(d) + position) v` for parts of `d` channels. Tokens beyond the map's edge are not attended to.
///
/// Reads the queries, keys and values, tokens of one type, which it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// Parts of the channels.
    pub heads: usize,
    /// Name of what is added to the score of two tokens by how far the query is below and right of the key, where it is given:
    /// `[heads, (2 rows - 1) * (2 columns - 1)]` for windows of so many rows and columns, the distance `(0, 0)` in the middle.
    pub position: Option<String>,
}

params!(Attention { heads, position });

/// The windows of checked tokens.
fn windows(inputs: &[ValueType]) -> Windows {
    match inputs[0].kind {
        Kind::Tokens(windows) => windows,
        Kind::Map | Kind::Vector => unreachable!("the tokens were checked"),
    }
}

impl Operation for Attention {
    fn reads(&self) -> RangeInclusive<usize> {
        3..=3
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let first = inputs[0];
        if let Some(other) = inputs
            .iter()
            .find(|v| !matches!(v.kind, Kind::Tokens(_)) || **v != first)
        {
            return Err(Fault::Inputs(format!(
                "tokens of one type are needed, not {other}"
            )));
        }
        super::heads(self.heads, first.channels)?;
        Ok(first)
    }

    fn extent(&self, inputs: &[ValueType]) -> Extent {
        Extent::Window(windows(inputs).window)
    }

    fn multiply_adds(&self, inputs: &[Shape], output: &Shape) -> u64 {
        // Scores and mixture, of every token with every one of its window.
        let tokens = super::grid(&inputs[0]).tokens() as u64;
        count(output).saturating_mul(2 * tokens)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        let [rows, columns] = windows(inputs).window;
        let distances = (2 * rows - 1) * (2 * columns - 1);
        let position = self.position.iter();
        position
            .map(|name| parameter(name, &[self.heads, distances]))
            .collect()
    }
}

impl Reference for Attention {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |heads, position: bool, window, shift| {
            let position = position.then(|| "position".into());
            (Self { heads, position }, vec![tokens(4, window, shift); 3])
        };
        vec![
            case(1, false, [4, 4], [0, 0]),
            case(2, true, [4, 4], [2, 2]),
            case(4, true, [2, 8], [1, 0]),
        ]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let grid = super::grid(&output);
        let ([rows, columns], tokens) = (grid.windows.window, grid.tokens());
        let per_head = output.channels / self.heads;
        let scale = 1.0 / libm::sqrt(per_head as f64);
        let position = |head: usize, q: usize, k: usize| {
            let down = q / columns + rows - 1 - k / columns;
            let across = q % columns + columns - 1 - k % columns;
            let distances = (2 * rows - 1) * (2 * columns - 1);
            let at = head * distances + down * (2 * columns - 1) + across;
            parameters.first().map_or(0.0, |p| p[at])
        };
        let mut out = Tensor::build(output, |_, _| 0.0);
        for window in 0..output.places.count() / tokens {
            let seen: Vec<usize> = (0..tokens).filter(|k| grid.pixel(window, *k).is_some()).collect();
            for (head, q) in (0..self.heads).flat_map(|head| (0..tokens).map(move |q| (head, q))) {
                let channels = head * per_head..(head + 1) * per_head;
                let place = |token: usize| window * tokens + token;
                let scores = seen.iter().map(|k| {
                    let products = channels
                        .clone()
                        .map(|c| inputs[0].at(c, place(q)) * inputs[1].at(c, place(*k)));
                    scale * products.sum::<f64>() + position(head, q, *k)
                });
                let shares = super::softmax(scores.collect());
                for c in channels.clone() {
                    let values = seen.iter().zip(&shares);
                    let mixed = values.map(|(k, share)| share * inputs[2].at(c, place(*k))).sum();
                    out.set(c, place(q), mixed);
                }
            }
        }
        out
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Attention {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::{Tensor, TensorData, activation};

        let (inputs, learned) = given.take::<3>();
        let places = inputs[0].places;
        let [n, windows, tokens, c] = inputs[0].tensor.dims();
        let (heads, each) = (self.heads, c / self.heads);
        let grid = super::grid(&Shape { channels: c, places });
        // `[n * windows, heads, tokens, each]`; a product of matrices takes them as they lie.
        let [query, key, value] = inputs.map(|x| -> Tensor<4> {
            let parts = x.tensor.reshape([n * windows, tokens, heads, each]);
            parts.permute([0, 2, 1, 3])
        });
        let scale = 1.0 / libm::sqrt(each as f64);
        let scores = query.matmul(key.swap_dims(2, 3)).mul_scalar(scale);
        let mut scores = scores.reshape([n, windows, heads, tokens, tokens]);
        let options = (&scores.device(), scores.dtype());
        if let Some(table) = learned.into_iter().next() {
            scores = scores + self.positions(grid.windows.window, table);
        }
        let seen = (0..windows * tokens).map(|at| grid.pixel(at / tokens, at % tokens).is_some());
        let edge: Vec<f32> = seen.map(|seen| if seen { 0.0 } else { NEVER }).collect();
        if edge.contains(&NEVER) {
            let edge: Tensor<5> =
                Tensor::from_data(TensorData::new(edge, [1, windows, 1, 1, tokens]), options);
            scores = scores + edge;
        }
        let shares = activation::softmax(scores, 4).reshape([n * windows, heads, tokens, tokens]);
        let mixed = shares.matmul(value);
        Batch::rows(
            mixed.permute([0, 2, 1, 3]).reshape([n, windows, tokens, c]),
            places,
        )
    }
}

/// Added to the score of a token beyond the edge; its exponential is zero in every type.
#[cfg(feature = "burn")]
const NEVER: f32 = -1e4;

#[cfg(feature = "burn")]
impl Attention {
    /// What is added to the scores of every query and key, `[1, 1, heads, tokens, tokens]`.
    fn positions(
        &self,
        [rows, columns]: [usize; 2],
        table: burn::tensor::Tensor<1>,
    ) -> burn::tensor::Tensor<5> {
        use burn::tensor::{Int, Tensor, TensorData};

        let (tokens, across) = (rows * columns, 2 * columns - 1);
        let index: Vec<i32> = (0..tokens * tokens)
            .map(|pair| {
                let (q, k) = (pair / tokens, pair % tokens);
                let down = q / columns + rows - 1 - k / columns;
                (down * across + q % columns + columns - 1 - k % columns) as i32
            })
            .collect();
        let index: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(index, [tokens * tokens]), &table.device());
        table
            .reshape([self.heads, (2 * rows - 1) * across])
            .select(1, index)
            .reshape([1, 1, self.heads, tokens, tokens])
    }
}

impl Compute for Attention {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let (grid, n) = (super::grid(&out.shape), out.channels());
        let (area, tokens) = (grid.windows.window, grid.tokens());
        let windows = out.data.chunks_exact_mut(tokens * n).enumerate();
        for_each(windows.collect(), |(window, mixed)| {
            let own = window * tokens * n..(window + 1) * tokens * n;
            let seen = (0..tokens).filter(|k| grid.pixel(window, *k).is_some());
            let window = Window {
                given: [0, 1, 2].map(|i| &inputs[i].data[own.clone()]),
                seen: seen.collect(),
                area,
                positions: parameters.first().copied(),
                channels: n,
                heads: self.heads,
            };
            vectorised(|| window.mix(mixed));
        });
    }
}

/// A window on the processor.
struct Window<'a> {
    /// Queries, keys and values, a row for each token.
    given: [&'a [f32]; 3],
    /// The tokens that are pixels.
    seen: Vec<usize>,
    /// Rows and columns.
    area: [usize; 2],
    positions: Option<&'a [f32]>,
    channels: usize,
    heads: usize,
}

impl Window<'_> {
    /// Writes the mixture for every token.
    #[inline(always)]
    fn mix(&self, out: &mut [f32]) {
        let (n, seen) = (self.channels, self.seen.len());
        let (each, tokens) = (n / self.heads, out.len() / n);
        let scale = 1.0 / libm::sqrtf(each as f32);
        let positions = self.positions.map(|p| p.chunks_exact(p.len() / self.heads));
        let [rows, wide] = self.area;
        // Keys as columns and values as rows, filled up to whole blocks.
        let (columns, channels) = (seen.div_ceil(LANES), each.div_ceil(LANES));
        let mut keys = vec![[0.0; LANES]; each * columns];
        let mut values = vec![[0.0; LANES]; seen * channels];
        let mut scores = vec![[0.0; LANES]; columns];
        for head in 0..self.heads {
            let part = |token: usize| token * n + head * each..token * n + (head + 1) * each;
            for (at, k) in self.seen.iter().enumerate() {
                let (key, value) = (&self.given[1][part(*k)], &self.given[2][part(*k)]);
                for (i, key) in key.iter().enumerate() {
                    keys[i * columns + at / LANES][at % LANES] = *key;
                }
                values[at * channels..][..channels].as_flattened_mut()[..each].copy_from_slice(value);
            }
            let positions = positions.clone().and_then(|mut p| p.nth(head));
            for q in 0..tokens {
                let query = &self.given[0][part(q)];
                for (block, scores) in scores.iter_mut().enumerate() {
                    *scores = weighed(query, keys[block..].iter().step_by(columns));
                    scores.iter_mut().for_each(|s| *s *= scale);
                }
                let scores = &mut scores.as_flattened_mut()[..seen];
                if let Some(positions) = positions {
                    for (score, k) in scores.iter_mut().zip(&self.seen) {
                        let down = q / wide + rows - 1 - k / wide;
                        let across = q % wide + wide - 1 - k % wide;
                        *score += positions[down * (2 * wide - 1) + across];
                    }
                }
                lanes::shares(scores);
                for (block, mixed) in out[part(q)].chunks_mut(LANES).enumerate() {
                    let sums = weighed(scores, values[block..].iter().step_by(channels));
                    mixed.copy_from_slice(&sums[..mixed.len()]);
                }
            }
        }
    }
}

/// The sum of rows, each times its weight.
#[inline(always)]
fn weighed<'a>(weights: &[f32], rows: impl Iterator<Item = &'a [f32; LANES]>) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for (weight, row) in weights.iter().zip(rows) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
    }
    sums
}

/// Channels of a head that an invocation holds at most.
const HELD: usize = 128;

impl Shade for Attention {
    fn shader(&self, inputs: &[ValueType], output: &ValueType) -> Shader {
        let Windows {
            window: [rows, columns],
            shift: [down, right],
        } = windows(inputs);
        let each = output.channels / self.heads;
        let position = match self.position {
            None => String::new(),
            Some(_) => format!(
                "
        let away = vec2<u32>(id.x % {columns}u, id.x / {columns}u) + vec2<u32>({columns}u, {rows}u) - 1u - at;
        score += $t0_at((head * {tall}u + away.y) * {wide}u + away.x);",
                tall = 2 * rows - 1,
                wide = 2 * columns - 1,
            ),
        };
        // The keys one after the other, with what is mixed so far (Milakov and Gimelshein 2018).
        let keys = |kind: &str, score: &str, mix: &str| {
            format!(
                "
    let map = $a_size().zw;
    let across = (map.x + {right}u + {columns}u - 1u) / {columns}u;
    let corner = vec2<u32>(id.y % across * {columns}u, id.y / across * {rows}u);
    let shift = vec2<u32>({right}u, {down}u);
    var highest = -1e30;
    var sum = 0.0;
    for (var k = 0u; k < {tokens}u; k++) {{
        let at = vec2<u32>(k % {columns}u, k / {columns}u);
        if (any(corner + at < shift) || any(corner + at - shift >= map)) {{ continue; }}
        var score = 0.0;
        {score}
        score *= {scale:?}f;{position}
        let top = max(highest, score);
        let before = exp(highest - top);
        let share = exp(score - top);
        sum = sum * before + share;
        highest = top;
        {mix}
    }}
{kind}",
                tokens = rows * columns,
                scale = (1.0 / libm::sqrt(each as f64)) as f32,
            )
        };
        let stage = |text: String, work| Shader::Stages {
            stages: vec![Stage {
                code: Code::new(text),
                work,
            }],
            scratch: 0,
        };
        if each.is_multiple_of(4) && each <= HELD {
            // An invocation holds a head's query and mixture.
            let parts = each / 4;
            let all = |piece: &dyn Fn(usize) -> String| {
                (0..parts).map(piece).collect::<Vec<_>>().join("\n        ")
            };
            let of = |j: usize| format!("id.z * {parts}u + {j}u");
            let begin = all(&|j| format!("let q{j} = $a4({}, id.x, id.y); var m{j} = vec4<f32>();", of(j)));
            let score = all(&|j| format!("score += dot(q{j}, $b4({}, k, id.y));", of(j)));
            let mix = all(&|j| format!("m{j} = m{j} * before + share * $c4({}, k, id.y);", of(j)));
            let put = all(&|j| format!("put({}, id.x, id.y, m{j} / sum);", of(j)));
            let text = format!(
                "fn $main(id: vec3<u32>) {{
    let head = id.z;
    {begin}{}}}
",
                keys(&put, &score, &mix)
            );
            return stage(text, Work::Places(self.heads));
        }
        // A channel at a time, for which queries and keys are read again.
        let score = format!(
            "for (var i = head * {each}u; i < (head + 1u) * {each}u; i++) {{ score += $a1(i, id.x, id.y) * $b1(i, k, id.y); }}"
        );
        let mix = "mixed = mixed * before + share * $c1(c, k, id.y);";
        let text = format!(
            "fn $mixed(id: vec3<u32>, c: u32) -> f32 {{
    let head = c / {each}u;
    var mixed = 0.0;{}
    return mixed / sum;
}}
fn $main(id: vec3<u32>) {{
    var v = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {{ v[i] = $mixed(id, min(id.z * 4u + i, {last}u)); }}
    put(id.z, id.x, id.y, v);
}}
",
            keys("", &score, mix),
            last = output.channels - 1,
        );
        stage(text, Work::each(output.channels))
    }
}
