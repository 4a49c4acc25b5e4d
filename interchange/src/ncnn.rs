//! ncnn's two files: `.param`, a line of text for each layer, and `.bin`, the layers' numbers one after another.
//!
//! Forms and defaults are those of ncnn's `paramdict.cpp`, `modelbin.cpp` and `layer/*.cpp`.

use std::collections::{BTreeMap, BTreeSet};

use asasr_core::graph::limits;
use asasr_core::graph::ops::{
    Constants, Gelu, GroupNorm, Interpolation, Mean, Mish, Mul, Pad, PixelShuffle, PixelUnshuffle, Sigmoid,
    Silu,
};
use half::f16;

use crate::net::{Convolution, Net, Pair};
use crate::{COLOURS, Error, File, Model, Result, pytorch};

/// How a `.param` begins.
const MAGIC: &str = "7767517";
/// Most bytes of a `.param`.
const MOST_TEXT: usize = 1 << 22;
/// What arrays' numbers begin below.
const ARRAYS: i64 = -23300;
/// What stands for "the same size" among paddings, and for "the rest" among slices.
const SAME: [i64; 2] = [-233, -234];
/// The mark of a blob in half precision.
const HALF: u32 = 0x0130_6b47;

/// The `.param` and the `.bin` of a model, when that is what the files are.
///
/// # Errors
/// [`Error::Partner`] when one is alone.
pub(crate) fn files<'a>(files: &[File<'a>]) -> Result<Option<[&'a [u8]; 2]>> {
    match files {
        [a, b] if is_param(a) => Ok(Some([a.bytes, b.bytes])),
        [a, b] if is_param(b) => Ok(Some([b.bytes, a.bytes])),
        [one] if is_param(one) => Err(Error::Partner(".bin file")),
        [one] if named(one, ".bin") && !pytorch::is_pytorch(one.bytes) => Err(Error::Partner(".param file")),
        _ => Ok(None),
    }
}

fn named(file: &File<'_>, end: &str) -> bool {
    file.name.to_ascii_lowercase().ends_with(end)
}

fn is_param(file: &File<'_>) -> bool {
    named(file, ".param") || file.bytes.trim_ascii_start().starts_with(MAGIC.as_bytes())
}

/// The model of both.
///
/// # Errors
/// [`Error::Operator`] for a layer that no operation computes, [`Error::Damaged`] and [`Error::CutShort`].
pub(crate) fn read([param, bin]: [&[u8]; 2]) -> Result<Model> {
    if param.len() > MOST_TEXT {
        return Err(Error::TooLarge("its .param has more than 4 MB".into()));
    }
    let text = std::str::from_utf8(param).map_err(|_| Error::damaged("the .param is no text"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some(MAGIC) {
        return Err(Error::damaged(format!("the .param does not begin with {MAGIC}")));
    }
    let counts = lines.next().ok_or(Error::CutShort)?;
    let layers: Vec<Layer<'_>> = lines
        .take(limits::NODES + 1)
        .map(Layer::read)
        .collect::<Result<_>>()?;
    if layers.len() > limits::NODES {
        return Err(Error::TooLarge(format!(
            "it has more than {} layers",
            limits::NODES
        )));
    }
    let stated = counts.split_whitespace().next().and_then(|n| n.parse().ok());
    if stated.is_none_or(|n: usize| n > layers.len()) {
        return Err(Error::CutShort);
    }
    let (net, image) = Net::new(COLOURS, bin.len());
    let mut all = Translation {
        net,
        image,
        values: BTreeMap::new(),
        bin: Blobs { bytes: bin },
    };
    for layer in &layers {
        all.layer(layer)?;
    }
    if !all.bin.bytes.is_empty() {
        let left = all.bin.bytes.len();
        return Err(Error::damaged(format!(
            "the .bin has {left} bytes more than the .param speaks of; are they of one model?"
        )));
    }
    let read: BTreeSet<&str> = layers.iter().flat_map(|l| l.inputs.iter().copied()).collect();
    let mut made = layers.iter().rev().flat_map(|l| &l.outputs);
    let output = made.find(|blob| !read.contains(**blob));
    match output.and_then(|blob| all.values.get(blob)) {
        Some(Value::Map(output)) => all.net.model(output, "ncnn network"),
        _ => Err(Error::damaged("it makes no result")),
    }
}

/// A line of a `.param`.
#[derive(Debug)]
struct Layer<'a> {
    kind: &'a str,
    name: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    params: BTreeMap<i64, &'a str>,
}

impl<'a> Layer<'a> {
    fn read(line: &'a str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or(Error::CutShort);
        let (kind, name) = (next()?, next()?);
        let mut count = || -> Result<usize> {
            let n = next()?.parse();
            n.map_err(|_| Error::damaged(format!("the layer {name} has no number of blobs")))
        };
        let (inputs, outputs) = (count()?, count()?);
        // A count may be anything; the words are those of the line.
        let mut blobs = |n: usize| -> Result<Vec<&'a str>> {
            let blobs: Vec<&str> = words.by_ref().take(n).collect();
            if blobs.len() < n {
                return Err(Error::CutShort);
            }
            Ok(blobs)
        };
        let (inputs, outputs) = (blobs(inputs)?, blobs(outputs)?);
        let mut params = BTreeMap::new();
        for word in words {
            let (id, value) = split(word).ok_or_else(|| {
                let why = format!("the layer {name} has a parameter that is none: {word}");
                Error::Damaged(why)
            })?;
            params.insert(id, value);
        }
        Ok(Self {
            kind,
            name,
            inputs,
            outputs,
            params,
        })
    }

    /// The error that something of it is not computed.
    fn refused(&self, what: &str) -> Error {
        let (kind, name) = (self.kind, self.name);
        Error::Operator {
            operator: format!("the ncnn layer {kind} ({name}){what}"),
        }
    }

    fn numbers(&self, id: i64) -> Result<Vec<f64>> {
        let Some(text) = self.params.get(&id) else {
            return Ok(Vec::new());
        };
        let number = |n: &str| n.parse::<f64>().ok().filter(|n| n.is_finite());
        let numbers: Option<Vec<f64>> = text.split(',').filter(|n| !n.is_empty()).map(number).collect();
        numbers.ok_or_else(|| {
            let name = self.name;
            Error::Damaged(format!("the parameter {id} of the layer {name} is {text}"))
        })
    }

    fn number(&self, id: i64, otherwise: f64) -> Result<f64> {
        Ok(self.numbers(id)?.first().copied().unwrap_or(otherwise))
    }

    fn int(&self, id: i64, otherwise: i64) -> Result<i64> {
        Ok(self.number(id, otherwise as f64)? as i64)
    }

    fn ints(&self, id: i64) -> Result<Vec<i64>> {
        Ok(self.numbers(id)?.into_iter().map(|n| n as i64).collect())
    }

    /// A count; a negative one is none.
    fn count(&self, id: i64, otherwise: i64) -> Result<usize> {
        let n = self.int(id, otherwise)?;
        usize::try_from(n).map_err(|_| Error::damaged(format!("the layer {} counts {n}", self.name)))
    }

    /// Refuses a parameter that is not `only`.
    fn only(&self, id: i64, otherwise: f64, only: &[f64], what: &str) -> Result<()> {
        let value = self.number(id, otherwise)?;
        if only.contains(&value) {
            return Ok(());
        }
        Err(self.refused(&format!(" with {what} {value}")))
    }
}

/// `id=value`, where arrays have their count before the first comma.
fn split(word: &str) -> Option<(i64, &str)> {
    let (id, value) = word.split_once('=')?;
    let id: i64 = id.parse().ok()?;
    if id > ARRAYS {
        return Some((id, value));
    }
    let (count, values) = value.split_once(',').unwrap_or((value, ""));
    let held = values.split(',').filter(|v| !v.is_empty()).count();
    (count.parse() == Ok(held)).then_some((ARRAYS.checked_sub(id)?, values))
}

/// What is left of a `.bin`.
struct Blobs<'a> {
    bytes: &'a [u8],
}

impl Blobs<'_> {
    fn take(&mut self, bytes: Option<usize>) -> Result<&[u8]> {
        let taken = bytes.and_then(|n| self.bytes.split_at_checked(n));
        let (taken, rest) = taken.ok_or(Error::CutShort)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// `count` numbers in single precision.
    fn raw(&mut self, count: usize) -> Result<Vec<f32>> {
        let (numbers, _) = self.take(count.checked_mul(4))?.as_chunks();
        Ok(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// `count` numbers after a mark that says how they are held.
    fn marked(&mut self, layer: &Layer<'_>, count: usize) -> Result<Vec<f32>> {
        let mark = self.take(Some(4))?.first_chunk().copied().unwrap_or_default();
        match u32::from_le_bytes(mark) {
            0 => self.raw(count),
            HALF => {
                let bytes = count.checked_mul(2).and_then(|n| n.checked_next_multiple_of(4));
                let (numbers, _) = self.take(bytes)?.as_chunks();
                let numbers = numbers.iter().take(count);
                Ok(numbers.map(|b| f16::from_le_bytes(*b).to_f32()).collect())
            }
            0x000d_4b38 => Err(layer.refused(" with weights of 8 bits")),
            0x0002_c056 => Err(layer.refused(" with scaled weights")),
            _ => Err(layer.refused(" with quantised weights")),
        }
    }
}

/// What a blob is.
#[derive(Debug, Clone)]
enum Value {
    /// A value of the graph.
    Map(String),
    /// Numbers of the file: one, or one for each channel.
    Constant(Vec<f32>),
}

struct Translation<'a> {
    net: Net,
    image: String,
    values: BTreeMap<&'a str, Value>,
    bin: Blobs<'a>,
}

impl<'a> Translation<'a> {
    fn layer(&mut self, layer: &Layer<'a>) -> Result<()> {
        let made = self.made(layer)?;
        // What one layer makes several of, all are the same, but for slices.
        for (i, blob) in layer.outputs.iter().enumerate() {
            let value = made.get(i).or(made.first());
            let value = value.ok_or_else(|| layer.refused(" without a result"))?;
            if self.values.insert(blob, value.clone()).is_some() {
                return Err(Error::damaged(format!("{blob} is made twice")));
            }
        }
        Ok(())
    }

    /// What it reads first.
    fn map(&self, layer: &Layer<'a>, i: usize) -> Result<String> {
        match self.value(layer, i)? {
            Value::Map(map) => Ok(map.clone()),
            Value::Constant(_) => Err(layer.refused(" of numbers of the file")),
        }
    }

    fn value(&self, layer: &Layer<'a>, i: usize) -> Result<&Value> {
        let blob = layer.inputs.get(i).copied().ok_or(Error::CutShort)?;
        let value = self.values.get(blob);
        value.ok_or_else(|| Error::damaged(format!("{} reads {blob}, which nothing makes", layer.name)))
    }

    fn made(&mut self, layer: &Layer<'a>) -> Result<Vec<Value>> {
        let one = match layer.kind {
            "Input" if !self.values.values().any(|v| matches!(v, Value::Map(_))) => self.image.clone(),
            "Input" => return Err(Error::Colours("it reads several images".into())),
            "MemoryData" => return self.memory(layer),
            "Split" | "Noop" => return Ok(vec![self.value(layer, 0)?.clone()]),
            "Dropout" => {
                layer.only(0, 1.0, &[1.0], "a scale of")?;
                self.map(layer, 0)?
            }
            "Slice" => return self.slice(layer),
            "Concat" => {
                channels_only(layer, 0)?;
                let parts: Vec<String> = (0..layer.inputs.len())
                    .map(|i| self.map(layer, i))
                    .collect::<Result<_>>()?;
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.net.concat(layer.name, &parts)?
            }
            "BinaryOp" => return self.binary(layer).map(|v| vec![v]),
            "Eltwise" => self.eltwise(layer)?,
            _ => {
                let x = self.map(layer, 0)?;
                self.of_one(layer, &x)?
            }
        };
        Ok(vec![Value::Map(one)])
    }

    /// Layers that read one map.
    fn of_one(&mut self, layer: &Layer<'a>, x: &str) -> Result<String> {
        let name = layer.name;
        let channels = self.net.channels(x);
        let own_channels = |n: usize| {
            if n == channels {
                return Ok(n);
            }
            Err(Error::damaged(format!(
                "{name} is of {n} channels and reads {channels}"
            )))
        };
        match layer.kind {
            "Convolution" | "ConvolutionDepthWise" => self.convolution(layer, x),
            "PReLU" => {
                let slopes = self.bin.raw(layer.count(0, 0)?)?;
                self.net.prelu(name, x, slopes)
            }
            "ReLU" => self.net.leaky(name, x, layer.number(0, 0.0)?),
            "Clip" => {
                let (low, high) = (f64::from(f32::MIN), f64::from(f32::MAX));
                self.net
                    .clamp(name, x, layer.number(0, low)?, layer.number(1, high)?)
            }
            "Sigmoid" => self.net.node(name, Sigmoid {}, &[x]),
            "Swish" => self.net.node(name, Silu {}, &[x]),
            "Mish" => self.net.node(name, Mish {}, &[x]),
            "TanH" => self.net.tanh(name, x),
            "GELU" if layer.int(0, 0)? == 0 => self.net.node(name, Gelu {}, &[x]),
            "GELU" => self.net.gelu_by_tanh(name, x),
            "HardSigmoid" | "HardSwish" => {
                let (alpha, beta) = (layer.number(0, 0.2)?, layer.number(1, 0.5)?);
                let gate = self.net.hard_sigmoid(name, x, alpha, beta)?;
                match layer.kind {
                    "HardSwish" => self.net.node(name, Mul {}, &[x, &gate]),
                    _ => Ok(gate),
                }
            }
            "UnaryOp" => match layer.int(0, 0)? {
                1 => self.affine(layer, x, Some(-1.0), None),
                4 => self.net.node(name, Mul {}, &[x, x]),
                16 => self.net.tanh(name, x),
                other => Err(layer.refused(&format!(" of kind {other}"))),
            },
            "Interp" => self.interp(layer, x),
            "PixelShuffle" => {
                let factor = layer.count(0, 1)?;
                let x = match layer.int(1, 0)? {
                    0 => x.to_string(),
                    // Blocks' pixels first, channels last.
                    _ => self.net.select(name, x, &columns_first(channels, factor))?,
                };
                self.net.node(name, PixelShuffle { factor }, &[&x])
            }
            "Reorg" => {
                let factor = layer.count(0, 1)?;
                let y = self.net.node(name, PixelUnshuffle { factor }, &[x])?;
                match layer.int(1, 0)? {
                    0 => Ok(y),
                    _ => self.net.select(name, &y, &pixels_first(channels, factor)),
                }
            }
            "Crop" => self.crop(layer, x),
            "Padding" => self.padding(layer, x),
            "Pooling" => {
                layer.only(0, 0.0, &[1.0], "the kind")?;
                layer.only(4, 0.0, &[1.0], "a window, global being")?;
                self.net.node(name, Mean {}, &[x])
            }
            "BatchNorm" => {
                let n = own_channels(layer.count(0, 0)?)?;
                let epsilon = layer.number(1, 0.0)?;
                let [slope, mean, variance, bias] = [
                    self.bin.raw(n)?,
                    self.bin.raw(n)?,
                    self.bin.raw(n)?,
                    self.bin.raw(n)?,
                ];
                let scale: Vec<f64> = (slope.iter().zip(&variance))
                    .map(|(slope, v)| f64::from(*slope) / (f64::from(*v) + epsilon).sqrt())
                    .collect();
                let shift = (scale.iter().zip(mean.iter().zip(&bias)))
                    .map(|(scale, (mean, bias))| f64::from(*bias) - scale * f64::from(*mean))
                    .collect();
                let (scale, shift) = (Constants::Each(scale), Constants::Each(shift));
                self.net.affine(name, x, Some(scale), Some(shift))
            }
            "Scale" => {
                let n = layer.int(0, 0)?;
                let n = usize::try_from(n).map_err(|_| layer.refused(" by another map"))?;
                let n = own_channels(n)?;
                let each = |values: Vec<f32>| Constants::Each(values.into_iter().map(f64::from).collect());
                let scale = each(self.bin.raw(n)?);
                let shift = (layer.int(1, 0)? != 0).then(|| self.bin.raw(n)).transpose()?;
                self.net.affine(name, x, Some(scale), shift.map(each))
            }
            "GroupNorm" => self.norm(layer, x, layer.count(0, 1)?, [1, 2, 3]),
            "InstanceNorm" => self.norm(layer, x, channels, [0, 1, 2]),
            _ => Err(layer.refused("")),
        }
    }

    fn convolution(&mut self, layer: &Layer<'a>, x: &str) -> Result<String> {
        let name = layer.name;
        let kernel = layer.count(1, 0)?;
        for (id, otherwise, only, what) in [
            (
                11,
                kernel as f64,
                kernel as f64,
                "an oblong kernel, its height being",
            ),
            (2, 1.0, 1.0, "a dilation of"),
            (12, 1.0, 1.0, "a dilation of"),
            (3, 1.0, 1.0, "a stride of"),
            (13, 1.0, 1.0, "a stride of"),
            (18, 0.0, 0.0, "a border of"),
            (8, 0.0, 0.0, "weights of 8 bits, scaled by"),
            (19, 0.0, 0.0, "weights that are computed:"),
        ] {
            layer.only(id, otherwise, &[only], what)?;
        }
        let left = layer.int(4, 0)?;
        let top = layer.int(14, left)?;
        let sides = [left, layer.int(15, left)?, top, layer.int(16, top)?];
        let padding = if SAME.contains(&left) {
            kernel / 2
        } else {
            let padding = usize::try_from(left).ok();
            let padding = padding.filter(|_| sides.iter().all(|side| *side == left));
            padding.ok_or_else(|| layer.refused(&format!(" with the padding {sides:?}")))?
        };
        let outputs = layer.count(0, 0)?;
        let groups = match layer.kind {
            "ConvolutionDepthWise" => layer.count(7, 1)?,
            _ => 1,
        };
        let weight = self.bin.marked(layer, layer.count(6, 0)?)?;
        let biased = layer.int(5, 0)? != 0;
        let bias = biased.then(|| self.bin.raw(outputs)).transpose()?;
        let conv = Convolution {
            outputs,
            kernel,
            groups,
            padding,
        };
        let y = self.net.conv(name, x, conv, weight, bias)?;
        self.activation(layer, &y)
    }

    /// What a convolution does to its result.
    fn activation(&mut self, layer: &Layer<'a>, y: &str) -> Result<String> {
        let (name, with) = (layer.name, layer.numbers(10)?);
        let given = |i: usize, otherwise: f64| with.get(i).copied().unwrap_or(otherwise);
        match layer.int(9, 0)? {
            0 => Ok(y.into()),
            1 => self.net.leaky(name, y, 0.0),
            2 => self.net.leaky(name, y, given(0, 0.0)),
            3 => self.net.clamp(name, y, given(0, f64::MIN), given(1, f64::MAX)),
            4 => self.net.node(name, Sigmoid {}, &[y]),
            5 => self.net.node(name, Mish {}, &[y]),
            6 => {
                let gate = self
                    .net
                    .hard_sigmoid(name, y, given(0, 1.0 / 6.0), given(1, 0.5))?;
                self.net.node(name, Mul {}, &[y, &gate])
            }
            other => Err(layer.refused(&format!(" with the activation {other}"))),
        }
    }

    fn affine(
        &mut self,
        layer: &Layer<'a>,
        x: &str,
        scale: Option<f64>,
        shift: Option<f64>,
    ) -> Result<String> {
        let one = |v: Option<f64>| v.map(Constants::One);
        self.net.affine(layer.name, x, one(scale), one(shift))
    }

    /// A map with numbers; `flipped` where the numbers stand before the operator.
    fn with_constant(
        &mut self,
        layer: &Layer<'a>,
        x: &str,
        kind: i64,
        numbers: &[f64],
        flipped: bool,
    ) -> Result<String> {
        let channels = self.net.channels(x);
        let each = |f: fn(f64) -> f64| match numbers {
            [one] => Ok(Constants::One(f(*one))),
            all if all.len() == channels => Ok(Constants::Each(all.iter().map(|v| f(*v)).collect())),
            all => Err(layer.refused(&format!(" of {channels} channels and {} numbers", all.len()))),
        };
        let minus = Some(Constants::One(-1.0));
        let (scale, shift) = match (kind, flipped) {
            (0, _) => (None, Some(each(|v| v)?)),
            (1, false) | (7, true) => (None, Some(each(|v| -v)?)),
            (1, true) | (7, false) => (minus, Some(each(|v| v)?)),
            (2, _) => (Some(each(|v| v)?), None),
            (3, false) | (8, true) => (Some(each(|v| 1.0 / v)?), None),
            (4, _) if numbers.len() == 1 => {
                return self.net.clamp(layer.name, x, numbers[0], f64::MAX);
            }
            (5, _) if numbers.len() == 1 => {
                return self.net.clamp(layer.name, x, f64::MIN, numbers[0]);
            }
            (6, false) if *numbers == [2.0] => return self.net.node(layer.name, Mul {}, &[x, x]),
            _ => return Err(layer.refused(&format!(" of kind {kind}"))),
        };
        self.net.affine(layer.name, x, scale, shift)
    }

    fn binary(&mut self, layer: &Layer<'a>) -> Result<Value> {
        let kind = layer.int(0, 0)?;
        if layer.int(1, 0)? != 0 {
            let x = self.map(layer, 0)?;
            let b = layer.number(2, 0.0)?;
            return Ok(Value::Map(self.with_constant(layer, &x, kind, &[b], false)?));
        }
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
        let made = match (self.value(layer, 0)?.clone(), self.value(layer, 1)?.clone()) {
            (Value::Map(x), Value::Constant(b)) => self.with_constant(layer, &x, kind, &wide(&b), false)?,
            (Value::Constant(b), Value::Map(x)) => self.with_constant(layer, &x, kind, &wide(&b), true)?,
            (Value::Constant(_), Value::Constant(_)) => return Err(layer.refused(" of numbers of the file")),
            (Value::Map(a), Value::Map(b)) => match kind {
                0 => self.net.pair(layer.name, Pair::Add, &a, &b)?,
                1 => self.net.pair(layer.name, Pair::Sub, &a, &b)?,
                2 => self.net.pair(layer.name, Pair::Mul, &a, &b)?,
                7 => self.net.pair(layer.name, Pair::Sub, &b, &a)?,
                other => return Err(layer.refused(&format!(" of kind {other}"))),
            },
        };
        Ok(Value::Map(made))
    }

    fn eltwise(&mut self, layer: &Layer<'a>) -> Result<String> {
        let pair = match layer.int(0, 0)? {
            0 => Pair::Mul,
            1 => Pair::Add,
            other => return Err(layer.refused(&format!(" of kind {other}"))),
        };
        let coefficients = layer.numbers(1)?;
        let mut sum: Option<String> = None;
        for i in 0..layer.inputs.len() {
            let mut x = self.map(layer, i)?;
            let coefficient = coefficients.get(i).copied().unwrap_or(1.0);
            if pair == Pair::Add && coefficient != 1.0 {
                x = self.affine(layer, &x, Some(coefficient), None)?;
            }
            sum = Some(match sum {
                None => x,
                Some(sum) => self.net.pair(layer.name, pair, &sum, &x)?,
            });
        }
        sum.ok_or(Error::CutShort)
    }

    fn interp(&mut self, layer: &Layer<'a>, x: &str) -> Result<String> {
        let by = match layer.int(0, 0)? {
            1 => Interpolation::Nearest,
            2 => Interpolation::Bilinear,
            3 => return Err(layer.refused(" with cubic interpolation")),
            other => return Err(layer.refused(&format!(" of kind {other}"))),
        };
        layer.only(3, 0.0, &[0.0], "a height of")?;
        layer.only(4, 0.0, &[0.0], "a width of")?;
        layer.only(5, 0.0, &[0.0], "the size of another map:")?;
        if by == Interpolation::Bilinear {
            layer.only(6, 0.0, &[0.0], "corners on corners:")?;
        }
        let (down, across) = (layer.number(1, 1.0)?, layer.number(2, 1.0)?);
        let whole = down == across && down.fract() == 0.0 && (1.0..=limits::SCALE as f64).contains(&down);
        if !whole {
            return Err(layer.refused(&format!(" by {down} and {across}")));
        }
        self.net.resize(layer.name, x, down as usize, by)
    }

    fn slice(&mut self, layer: &Layer<'a>) -> Result<Vec<Value>> {
        channels_only(layer, 1)?;
        let x = self.map(layer, 0)?;
        let channels = self.net.channels(&x);
        let indices = layer.ints(2)?;
        let parts = layer.ints(0)?;
        let mut from = 0;
        let mut made = Vec::new();
        for i in 0..layer.outputs.len() {
            let left = layer.outputs.len() - i;
            let to = if indices.is_empty() {
                match parts.get(i).copied().unwrap_or(SAME[0]) {
                    n if n == SAME[0] => Some(from + channels.saturating_sub(from) / left),
                    n => usize::try_from(n).ok().and_then(|n| from.checked_add(n)),
                }
            } else {
                match indices.get(i) {
                    None => Some(channels),
                    Some(to) if *to < 0 => channels.checked_add_signed(*to as isize),
                    Some(to) => usize::try_from(*to).ok(),
                }
            };
            let to = to.filter(|to| from < *to && *to <= channels);
            let to = to.ok_or_else(|| layer.refused(&format!(" of {channels} channels")))?;
            let all: Vec<usize> = (from..to).collect();
            made.push(Value::Map(self.net.select(layer.name, &x, &all)?));
            from = to;
        }
        Ok(made)
    }

    /// A slice with one part.
    fn crop(&mut self, layer: &Layer<'a>, x: &str) -> Result<String> {
        let channels = self.net.channels(x) as i64;
        let (starts, ends, axes) = (layer.ints(9)?, layer.ints(10)?, layer.ints(11)?);
        let channels_only = starts.len() == 1 && ends.len() == 1 && matches!(axes[..], [0 | -3] | []);
        if !channels_only {
            return Err(layer.refused(" of more than channels"));
        }
        let at = |n: i64| (if n < 0 { n.saturating_add(channels) } else { n }).clamp(0, channels) as usize;
        let end = if SAME.contains(&ends[0]) {
            channels as usize
        } else {
            at(ends[0])
        };
        let all: Vec<usize> = (at(starts[0])..end).collect();
        self.net.select(layer.name, x, &all)
    }

    fn padding(&mut self, layer: &Layer<'a>, x: &str) -> Result<String> {
        layer.only(4, 0.0, &[0.0], "the kind")?;
        layer.only(5, 0.0, &[0.0], "a border of")?;
        layer.only(6, 0.0, &[0.0], "a border of its own for each channel:")?;
        layer.only(7, 0.0, &[0.0], "channels more:")?;
        layer.only(8, 0.0, &[0.0], "channels more:")?;
        let pixels = layer.count(0, 0)?;
        for id in 1..=3 {
            layer.only(id, 0.0, &[pixels as f64], "an uneven padding, one side being")?;
        }
        match pixels {
            0 => Ok(x.into()),
            pixels => self.net.node(layer.name, Pad { pixels }, &[x]),
        }
    }

    /// `ids` are those of the channels, of epsilon, and of whether there are weights.
    fn norm(&mut self, layer: &Layer<'a>, x: &str, groups: usize, ids: [i64; 3]) -> Result<String> {
        let channels = self.net.channels(x);
        if layer.count(ids[0], 0)? != channels {
            return Err(Error::damaged(format!("{} is of other channels", layer.name)));
        }
        let epsilon = layer.number(ids[1], 0.001)?;
        let learned = layer.int(ids[2], 1)? != 0;
        let mut values = |otherwise| {
            if learned {
                return self.bin.raw(channels);
            }
            Ok(vec![otherwise; channels])
        };
        let (weight, bias) = (values(1.0)?, values(0.0)?);
        let own = self.net.module(layer.name);
        let norm = GroupNorm {
            groups,
            epsilon,
            weight: self.net.learned(&own, "weight", weight)?,
            bias: self.net.learned(&own, "bias", bias)?,
        };
        self.net.node(layer.name, norm, &[x])
    }

    /// Numbers of the file: one, or one for each channel.
    fn memory(&mut self, layer: &Layer<'a>) -> Result<Vec<Value>> {
        let (width, height, depth) = (layer.count(0, 0)?, layer.count(1, 0)?, layer.count(11, 0)?);
        let channels = layer.count(2, 0)?;
        let places = width.max(1).checked_mul(height.max(1));
        let places = places.and_then(|n| n.checked_mul(depth.max(1)));
        let count = places.and_then(|n| n.checked_mul(channels.max(1)));
        if places != Some(1) {
            return Err(layer.refused(" with numbers for each pixel"));
        }
        let count = count.ok_or(Error::CutShort)?;
        let values = match layer.int(21, 1)? {
            1 => self.bin.raw(count)?,
            _ => self.bin.marked(layer, count)?,
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::damaged(format!("{} is not finite", layer.name)));
        }
        Ok(vec![Value::Constant(values)])
    }
}

/// Refuses an axis that is not the channels.
fn channels_only(layer: &Layer<'_>, id: i64) -> Result<()> {
    layer.only(id, 0.0, &[0.0, -3.0], "the axis")
}

/// Where each channel of a pixel shuffle's order lies when blocks' pixels are the outer index: `c r^2 + p` is at `p channels + c`.
pub(crate) fn columns_first(channels: usize, factor: usize) -> Vec<usize> {
    let pixels = factor.saturating_mul(factor).max(1);
    let of = channels / pixels;
    (0..of)
        .flat_map(|c| (0..pixels).map(move |p| p * of + c))
        .collect()
}

/// The other way: where each channel of an order with the pixels outside lies in a pixel unshuffle's.
pub(crate) fn pixels_first(channels: usize, factor: usize) -> Vec<usize> {
    let pixels = factor * factor;
    (0..pixels)
        .flat_map(|p| (0..channels).map(move |c| c * pixels + p))
        .collect()
}
