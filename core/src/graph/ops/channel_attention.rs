use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Extent, Operation, Reference, count, map, map_at, parameter, params::params};
use crate::exec::lanes::{self, vectorised};
use crate::exec::shade::{Code, Shade, Shader, Stage, Work};
use crate::exec::{self, Compute, Run, Value, for_each};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Attention of channels to channels over all pixels (Zamir et al. 2022), in `heads` equal parts: with the rows of `q` and `k` divided
/// by their length, `softmax(temperature q k^T) v`.
///
/// Reads the queries, keys and values, maps of one type, which it keeps. It sees the whole image, so that tiles are not exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelAttention {
    /// Parts of the channels.
    pub heads: usize,
    /// Name of the temperatures, `[heads]`.
    pub temperature: String,
}

params!(ChannelAttention { heads, temperature });

/// A row is divided by this at least.
const SHORTEST: f64 = 1e-12;

impl Operation for ChannelAttention {
    fn reads(&self) -> RangeInclusive<usize> {
        3..=3
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let first = map_at(inputs, 0)?;
        if let Some(other) = inputs.iter().find(|v| **v != first) {
            return Err(Fault::Inputs(format!("maps of one type are needed, not {other}")));
        }
        super::heads(self.heads, first.channels)?;
        Ok(first)
    }

    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Global
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        // Lengths, scores and mixture, of every channel with every one of its head.
        let per_head = (output.channels / self.heads) as u64;
        count(output).saturating_mul(2 * per_head + 2)
    }

    fn parameters(&self, _inputs: &[ValueType]) -> Vec<ParameterShape> {
        [parameter(&self.temperature, &[self.heads])].into()
    }
}

impl Reference for ChannelAttention {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |heads, channels| {
            let temperature = "temperature".into();
            (Self { heads, temperature }, vec![map(channels); 3])
        };
        vec![case(1, 3), case(2, 4), case(1, 1)]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let places = output.places.count();
        let per_head = output.channels / self.heads;
        let dot = |a: (usize, usize), b: (usize, usize)| -> f64 {
            (0..places)
                .map(|p| inputs[a.0].at(a.1, p) * inputs[b.0].at(b.1, p))
                .sum()
        };
        let length = |input: usize, c: usize| libm::sqrt(dot((input, c), (input, c))).max(SHORTEST);
        let mut out = Tensor::build(output, |_, _| 0.0);
        for q in 0..output.channels {
            let head = q / per_head;
            let channels = head * per_head..(head + 1) * per_head;
            let scores = channels
                .clone()
                .map(|k| parameters[0][head] * dot((0, q), (1, k)) / (length(0, q) * length(1, k)));
            let shares = super::softmax(scores.collect());
            for p in 0..places {
                let values = channels.clone().zip(&shares);
                out.set(q, p, values.map(|(c, share)| share * inputs[2].at(c, p)).sum());
            }
        }
        out
    }
}

#[cfg(feature = "burn")]
impl OnBurn for ChannelAttention {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::{Tensor, activation};

        let (inputs, learned) = given.take::<3>();
        let [query, key, value] = inputs.map(Batch::into_planes);
        let [n, c, h, w] = query.dims();
        let parts = [n, self.heads, c / self.heads, h * w];
        let unit = |x: Tensor<4>| {
            let x = x.reshape(parts);
            // The square's bound, below the root: so its derivative is finite too.
            let length = x
                .clone()
                .square()
                .sum_dim(3)
                .clamp_min(SHORTEST * SHORTEST)
                .sqrt();
            x / length
        };
        let scores = unit(query).matmul(unit(key).swap_dims(2, 3));
        let temperature = learned[0].clone().reshape([1, self.heads, 1, 1]);
        let mixed = activation::softmax(scores * temperature, 3).matmul(value.reshape(parts));
        Batch::map(mixed.reshape([n, c, h, w]))
    }
}

impl Compute for ChannelAttention {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        out.data.fill(0.0);
        let (places, per_head) = (out.places(), out.channels() / self.heads);
        let plane = |input: usize, c: usize| &inputs[input].data[c * places..][..places];
        let dot = |a, b| vectorised(|| lanes::dot(a, b));
        let length = |input, c| libm::sqrt(dot(plane(input, c), plane(input, c))).max(SHORTEST);
        let keys: Vec<f64> = (0..out.channels()).map(|k| length(1, k)).collect();
        let queries = out.data.chunks_exact_mut(places).enumerate();
        for_each(queries.collect(), |(q, mixed): (usize, &mut [f32])| {
            let (head, own) = (q / per_head, length(0, q));
            let channels = head * per_head..(head + 1) * per_head;
            let score = |k: usize| {
                let cosine = dot(plane(0, q), plane(1, k)) / (own * keys[k]);
                parameters[0][head] * cosine as f32
            };
            let mut scores: Vec<f32> = channels.clone().map(score).collect();
            lanes::shares(&mut scores);
            for (c, share) in channels.zip(&scores) {
                exec::zip(mixed, Run::Each(plane(2, c)), |m, v| m + share * v);
            }
        });
    }
}

/// The products of a four of queries with one of keys, in 64 parts; and zeros for the shares of other heads.
const PRODUCTS: &str = "
fn $main(id: vec3<u32>) {
    let g = id.y / $keys;
    let k = $first(g) + id.y % $keys;
    var rows = mat4x4<f32>();
    for (var y = id.x / 8u; y < $a_size().y; y += 8u) {
        for (var x = id.x % 8u; x < $a_size().x; x += 8u) {
            let q = $a4(g, x, y);
            let other = $b4(k, x, y);
            rows += mat4x4<f32>(q.x * other, q.y * other, q.z * other, q.w * other);
        }
    }
    for (var i = 0u; i < 4u; i++) { scratch[(id.y * 64u + id.x) * 4u + i] = rows[i]; }
    if (id.x < 4u && g * 4u + id.x < $channels) {
        scratch[$shares + (g * 4u + id.x) * $keys + id.y % $keys] = vec4<f32>();
    }
}
";
/// The squares of queries and keys, in 64 parts.
const SQUARES: &str = "
fn $main(id: vec3<u32>) {
    var sum = vec4<f32>();
    for (var y = id.x / 8u; y < $a_size().y; y += 8u) {
        for (var x = id.x % 8u; x < $a_size().x; x += 8u) {
            var v = vec4<f32>();
            if (id.y < $groups) { v = $a4(id.y, x, y); } else { v = $b4(id.y - $groups, x, y); }
            sum += v * v;
        }
    }
    scratch[$squares + id.y * 64u + id.x] = sum;
}
";
const LENGTHS: &str = "
fn $main(id: vec3<u32>) {
    var sum = vec4<f32>();
    for (var i = 0u; i < 64u; i++) { sum += scratch[$squares + id.x * 64u + i]; }
    scratch[$lengths + id.x] = max(sqrt(sum), vec4<f32>($shortest));
}
";
/// The shares of all keys for a query.
const SHARES: &str = "
fn $main(id: vec3<u32>) {
    let g = id.x / 4u;
    let head = id.x / $each;
    let own = $shares + id.x * $keys - $first(g);
    let end = (head + 1u) * $each;
    var highest = -1e30;
    for (var k = head * $each; k < end; k++) {
        let pair = g * $keys + k / 4u - $first(g);
        var product = 0.0;
        for (var i = 0u; i < 64u; i++) { product += scratch[(pair * 64u + i) * 4u + id.x % 4u][k % 4u]; }
        let length = scratch[$lengths + g][id.x % 4u] * scratch[$lengths + $groups + k / 4u][k % 4u];
        let score = $t0_at(head) * (product / length);
        scratch[own + k / 4u][k % 4u] = score;
        highest = max(highest, score);
    }
    var sum = 0.0;
    for (var k = head * $each; k < end; k++) {
        let share = exp(scratch[own + k / 4u][k % 4u] - highest);
        scratch[own + k / 4u][k % 4u] = share;
        sum += share;
    }
    for (var k = head * $each; k < end; k++) { scratch[own + k / 4u][k % 4u] /= sum; }
}
";
const MIXTURE: &str = "
fn $main(id: vec3<u32>) {
    let first = $first(id.z);
    var mixed = vec4<f32>();
    for (var k = 0u; k < $keys; k++) {
        let v = $c4(first + k, id.x, id.y);
        for (var i = 0u; i < 4u; i++) {
            let q = min(id.z * 4u + i, $channels - 1u);
            mixed[i] += dot(scratch[$shares + q * $keys + k], v);
        }
    }
    put(id.z, id.x, id.y, mixed);
}
";

impl Shade for ChannelAttention {
    fn shader(&self, _inputs: &[ValueType], output: &ValueType) -> Shader {
        let (channels, each) = (output.channels, output.channels / self.heads);
        let groups = channels.div_ceil(4);
        // Fours of keys that a four of queries meets, and the first of them: a head's, where heads are whole fours, else all.
        let whole = each.is_multiple_of(4);
        let keys = if whole { each / 4 } else { groups };
        let first = if whole { "g / $keys * $keys" } else { "0u" };
        let squares = groups * keys * 64 * 4;
        let lengths = squares + 2 * groups * 64;
        let shares = lengths + 2 * groups;
        let known = [
            ("channels", channels),
            ("each", each),
            ("groups", groups),
            ("keys", keys),
            ("squares", squares),
            ("lengths", lengths),
            ("shares", shares),
        ];
        let known = known
            .map(|(name, n)| format!("const ${name}: u32 = {n}u;\n"))
            .concat();
        let head = format!(
            "{known}const $shortest: f32 = {SHORTEST:?};\nfn $first(g: u32) -> u32 {{ return {first}; }}"
        );
        let stage = |text, work| Stage {
            code: Code::new([head.as_str(), text].concat()),
            work,
        };
        Shader::Stages {
            stages: vec![
                stage(PRODUCTS, Work::Count(64, groups * keys)),
                stage(SQUARES, Work::Count(64, 2 * groups)),
                stage(LENGTHS, Work::Count(2 * groups, 1)),
                stage(SHARES, Work::Count(channels, 1)),
                stage(MIXTURE, Work::each(channels)),
            ],
            scratch: shares + channels * keys,
        }
    }
}
