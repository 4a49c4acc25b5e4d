//! Operators of maps, each to operations of ours.

use asasr_core::graph::ops::{
    Gelu, GroupNorm, Interpolation, LayerNorm, Mean, Mish, Mul, Pad, PixelShuffle, PixelUnshuffle, Sigmoid,
    Silu,
};
use asasr_core::graph::{Kind, limits};

use super::constant::{Constant, Num};
use super::proto::Node;
use super::view::{Index, Part, View};
use super::{Function, Map, Translation, Value, fold};
use crate::ncnn::{columns_first, pixels_first};
use crate::net::{Convolution, Pair};
use crate::{Error, Result};

/// What a node makes of maps, and of constants beside them.
pub(super) fn made<'a>(own: &mut Translation<'a>, node: &Node<'a>) -> Result<Vec<Value<'a>>> {
    let one = match node.kind {
        "Identity" | "Cast" | "CastLike" | "Dropout" => own.lazy(node, 0)?,
        "Shape" => {
            let sizes = Translation::sizes(&own.lazy(node, 0)?)?;
            let (start, end) = fold::part(node, sizes.len());
            return Ok(vec![Value::Constant(Constant::row(sizes[start..end].to_vec())?)]);
        }
        "Size" => return Err(node.refused(" of a map")),
        "Reshape" | "Transpose" | "Unsqueeze" | "Squeeze" | "Expand" | "Tile" | "Flatten" => {
            own.another_view(node)?
        }
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => own.arithmetic(node)?,
        "Neg" => own.lazy(node, 0)?.line(&[-1.0], &[0.0]),
        "Sum" => own.sum(node)?,
        "Sqrt" => own.root(node)?,
        "Conv" => own.conv(node)?,
        "MatMul" => own.product(node)?,
        "BatchNormalization" => own.batch_norm(node)?,
        "InstanceNormalization" | "GroupNormalization" => own.group_norm(node)?,
        "LayerNormalization" => own.layer_norm(node)?,
        "ReduceMean" | "GlobalAveragePool" => own.mean(node)?,
        "Split" => return own.split(node),
        "Slice" => own.slice(node)?,
        "Gather" => own.gather(node)?,
        "Concat" => own.concat(node)?,
        "ScatterND" => own.scatter(node)?,
        "DepthToSpace" | "SpaceToDepth" => own.blocks(node)?,
        "Resize" | "Upsample" => own.resize(node)?,
        "Pad" => own.pad(node)?,
        _ => own.function(node)?,
    };
    Ok(vec![Value::Map(one)])
}

impl<'a> Translation<'a> {
    /// Functions of one number, whatever the dimensions are.
    fn function(&mut self, node: &Node<'a>) -> Result<Map> {
        let name = node.name;
        let first = self.lazy(node, 0)?;
        match node.kind {
            // x / sqrt(2), of which GELU takes the error function.
            "Erf" if first.function == Function::Identity && first.shift == [0.0] => {
                return match first.scale[..] {
                    [scale] if (scale - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-4 => Ok(Map {
                        scale: vec![1.0],
                        ..first.as_function(Function::Erf)
                    }),
                    _ => Err(node.refused(" alone")),
                };
            }
            "Tanh" if first.is(Function::Softplus) => return Ok(first.as_function(Function::TanhSoftplus)),
            _ => {}
        }
        let x = self.turned(node, 0)?;
        let (base, net) = (x.base.as_str(), &mut self.net);
        let limit = |i: usize, otherwise: f64| -> Result<f64> {
            match node.inputs.get(i).and_then(|input| self.values.get(input)) {
                Some(Value::Constant(limit)) => Ok(limit.reals()?.first().copied().unwrap_or(otherwise)),
                Some(Value::Map(_)) => Err(node.refused(" with limits that pixels change")),
                None => Ok(otherwise),
            }
        };
        let made = match node.kind {
            "Relu" => net.leaky(name, base, 0.0)?,
            "LeakyRelu" => net.leaky(name, base, node.float("alpha", 0.01))?,
            "PRelu" => {
                let slopes = self.needed(node, 1)?;
                let slopes = self.per_channel(node, &slopes, &x)?;
                let slopes = slopes.into_iter().map(|v| v as f32).collect();
                self.net.prelu(name, &x.base, slopes)?
            }
            "Sigmoid" => {
                let made = net.node(name, Sigmoid {}, &[base])?;
                self.sigmoids.insert(made.clone(), x.base.clone());
                made
            }
            "HardSigmoid" => {
                let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
                net.hard_sigmoid(name, base, alpha, beta)?
            }
            "HardSwish" => {
                let gate = net.hard_sigmoid(name, base, 1.0 / 6.0, 0.5)?;
                net.node(name, Mul {}, &[base, &gate])?
            }
            "Tanh" => net.tanh(name, base)?,
            "Mish" => net.node(name, Mish {}, &[base])?,
            "Swish" if node.float("alpha", 1.0) == 1.0 => net.node(name, Silu {}, &[base])?,
            "Gelu" if node.text("approximate", "none") == "none" => net.node(name, Gelu {}, &[base])?,
            "Gelu" => net.gelu_by_tanh(name, base)?,
            "Softplus" => return Ok(x.as_function(Function::Softplus)),
            "Clip" => {
                let low = limit(1, node.float("min", f32::MIN))?;
                let high = limit(2, node.float("max", f32::MAX))?;
                let made = net.clamp(name, base, low, high)?;
                if (low, high) == (0.0, 1.0) && node.outputs.contains(&self.output) {
                    self.clamped.insert(made.clone(), x.base.clone());
                }
                made
            }
            _ => return Err(node.refused("")),
        };
        Ok(Self::in_view(made, x.view))
    }

    /// The numbers of a constant that go with a map's channels, or the one for all.
    fn per_channel(&self, node: &Node<'a>, constant: &Constant<'a>, map: &Map) -> Result<Vec<f64>> {
        let channels = self.net.channels(&map.base);
        let rank = map.view.rank();
        let fits = if constant.count() == 1 {
            constant.shape.len() <= rank
        } else {
            // Dimensions are counted from the last.
            let axis = map.view.channel_axis(channels).map(|d| rank - d);
            let sides = constant.shape.iter().rev().zip(1..);
            let only = |(side, d): (&usize, usize)| *side == 1 || (Some(d) == axis && *side == channels);
            constant.shape.len() <= rank && sides.into_iter().all(only)
        };
        if !fits {
            let shape = &constant.shape;
            return Err(node.refused(&format!(" of {channels} channels and numbers of {shape:?}")));
        }
        let numbers = constant.reals()?;
        if numbers.iter().any(|n| !n.is_finite()) {
            return Err(Error::damaged(format!(
                "{} has numbers that are not finite",
                node.name
            )));
        }
        Ok(numbers)
    }

    fn arithmetic(&mut self, node: &Node<'a>) -> Result<Map> {
        let kind = node.kind;
        match (self.value(node, 0).cloned(), self.value(node, 1).cloned()) {
            (Some(Value::Map(x)), Some(Value::Constant(c))) => {
                let n = self.per_channel(node, &c, &x)?;
                self.spend(n.len())?;
                let each = |f: fn(f64) -> f64| -> Vec<f64> { n.iter().map(|n| f(*n)).collect() };
                match kind {
                    "Add" => Ok(x.line(&[1.0], &n)),
                    "Sub" => Ok(x.line(&[1.0], &each(|n| -n))),
                    "Mul" => Ok(x.line(&n, &[0.0])),
                    "Div" if !n.contains(&0.0) => Ok(x.line(&each(|n| 1.0 / n), &[0.0])),
                    "Pow" if n == [2.0] && x.is(Function::Centred) => Ok(x.as_function(Function::Square)),
                    "Pow" if n == [0.5] => self.root(node),
                    "Pow" if n == [2.0] => {
                        let x = self.turned(node, 0)?;
                        let made = self.net.node(node.name, Mul {}, &[&x.base, &x.base])?;
                        Ok(Self::in_view(made, x.view))
                    }
                    _ => Err(node.refused(" with such a number")),
                }
            }
            (Some(Value::Constant(c)), Some(Value::Map(x))) => {
                let n = self.per_channel(node, &c, &x)?;
                self.spend(n.len())?;
                match kind {
                    "Add" => Ok(x.line(&[1.0], &n)),
                    "Sub" => Ok(x.line(&[-1.0], &n)),
                    "Mul" => Ok(x.line(&n, &[0.0])),
                    _ => Err(node.refused(" by a map")),
                }
            }
            (Some(Value::Map(a)), Some(Value::Map(b))) => match self.known(node, &a, &b)? {
                Some(made) => Ok(made),
                None => self.pair(node),
            },
            _ => Err(Error::CutShort),
        }
    }

    /// Two values that are parts of a function that an operation computes.
    fn known(&mut self, node: &Node<'a>, a: &Map, b: &Map) -> Result<Option<Map>> {
        let (name, of_one) = (node.name, a.base == b.base && a.view == b.view);
        let both = |a_is: Function, b_is: Function| of_one && a.is(a_is) && b.is(b_is);
        let made = match node.kind {
            "Mul" => {
                for (x, f) in [(a, b), (b, a)] {
                    let plain = x.is(Function::Identity) && f.is(Function::Identity);
                    if plain && self.sigmoids.get(&f.base) == Some(&x.base) && x.view == f.view {
                        let made = self.net.node(name, Silu {}, &[&x.base])?;
                        return Ok(Some(Self::in_view(made, x.view.clone())));
                    }
                    if of_one && x.is(Function::Identity) && f.is(Function::TanhSoftplus) {
                        let made = self.net.node(name, Mish {}, &[&x.base])?;
                        return Ok(Some(Self::in_view(made, x.view.clone())));
                    }
                    // c x (a erf + a) is 2 a c times GELU.
                    let whole = x.function == Function::Identity && x.shift == [0.0] && x.scale.len() == 1;
                    let gate = f.function == Function::Erf && f.scale == f.shift && f.scale.len() == 1;
                    if of_one && whole && gate {
                        let made = self.net.node(name, Gelu {}, &[&x.base])?;
                        let made = Self::in_view(made, x.view.clone());
                        return Ok(Some(made.line(&[2.0 * f.scale[0] * x.scale[0]], &[0.0])));
                    }
                }
                return Ok(
                    both(Function::Centred, Function::Centred).then(|| a.as_function(Function::Square))
                );
            }
            "Sub" if both(Function::Identity, Function::Mean) => a.as_function(Function::Centred),
            "Div" => match b.function {
                Function::Deviation(epsilon) if both(Function::Centred, b.function) => {
                    let norm = LayerNorm {
                        epsilon,
                        weight: None,
                        bias: None,
                    };
                    Self::in_view(self.net.node(name, norm, &[&a.base])?, a.view.clone())
                }
                _ => return Err(node.refused(" of maps")),
            },
            _ => return Ok(None),
        };
        Ok(Some(made))
    }

    fn pair(&mut self, node: &Node<'a>) -> Result<Map> {
        let pair = match node.kind {
            "Add" | "Sum" => Pair::Add,
            "Sub" => Pair::Sub,
            "Mul" => Pair::Mul,
            _ => return Err(node.refused(" of maps")),
        };
        let (a, b) = (self.turned(node, 0)?, self.turned(node, 1)?);
        if a.view == b.view && self.net.kind(&a.base) == self.net.kind(&b.base) {
            let made = self.net.pair(node.name, pair, &a.base, &b.base)?;
            return Ok(Self::in_view(made, a.view));
        }
        let (a, b) = (self.map(node, 0)?, self.map(node, 1)?);
        let made = self.net.pair(node.name, pair, &a, &b)?;
        Ok(self.plain(made))
    }

    fn sum(&mut self, node: &Node<'a>) -> Result<Map> {
        match node.inputs.len() {
            1 => self.lazy(node, 0),
            2 => self.pair(node),
            n => Err(node.refused(&format!(" of {n} maps"))),
        }
    }

    /// The root of a variance and what keeps it from zero.
    fn root(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.lazy(node, 0)?;
        match x.shift[..] {
            [epsilon] if x.function == Function::Variance && x.scale == [1.0] => Ok(Map {
                shift: vec![0.0],
                ..x.as_function(Function::Deviation(epsilon))
            }),
            _ => Err(node.refused("")),
        }
    }

    fn another_view(&mut self, node: &Node<'a>) -> Result<Map> {
        let mut map = self.lazy(node, 0)?;
        let numbers =
            |own: &Self, i: usize| -> Result<Vec<Num>> { Ok(own.needed(node, i)?.numbers()?.to_vec()) };
        let view = match node.kind {
            "Reshape" => map
                .view
                .reshaped(&numbers(self, 1)?, node.int("allowzero", 0) == 0)?,
            "Transpose" => map.view.transposed(&fold::perm(node, map.view.rank()))?,
            "Unsqueeze" => {
                let axes = self.ints(node, "axes", 1)?;
                map.view.unsqueezed(&axes.ok_or(Error::CutShort)?)?
            }
            "Squeeze" => map.view.squeezed(self.ints(node, "axes", 1)?.as_deref())?,
            "Expand" => map.view.expanded(&numbers(self, 1)?)?,
            "Tile" => map.view.tiled(&numbers(self, 1)?)?,
            _ => return Err(node.refused("")),
        };
        // Numbers for each channel stay with their channels.
        map.view = view;
        Ok(map)
    }

    fn conv(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.map(node, 0)?;
        let weight = self.needed(node, 1)?;
        let [outputs, inputs, rows, columns] = weight.shape[..] else {
            return Err(node.refused(&format!(" with a weight of {:?}", weight.shape)));
        };
        for name in ["strides", "dilations"] {
            if let Some(other) = node.ints(name).filter(|all| all.iter().any(|n| *n != 1)) {
                return Err(node.refused(&format!(" with {name} of {other:?}")));
            }
        }
        if rows != columns {
            return Err(node.refused(&format!(" with an oblong kernel, {columns}x{rows}")));
        }
        let padding = match node.text("auto_pad", "NOTSET") {
            "SAME_UPPER" | "SAME_LOWER" => rows / 2,
            "VALID" => 0,
            _ => even(node, node.ints("pads").unwrap_or_default())?,
        };
        let groups = usize::try_from(node.int("group", 1)).unwrap_or(0).max(1);
        if self.net.channels(&x) != inputs.saturating_mul(groups) {
            return Err(Error::damaged(format!(
                "{} reads other channels than it has weights for",
                node.name
            )));
        }
        let conv = Convolution {
            outputs,
            kernel: rows,
            groups,
            padding,
        };
        let bias = self.constant(node, 2)?.map(|bias| bias.values()).transpose()?;
        let made = self.net.conv(node.name, &x, conv, weight.values()?, bias)?;
        Ok(self.plain(made))
    }

    /// A linear map of the channels, where they are the last dimension.
    fn product(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.turned(node, 0)?;
        let weight = self.needed(node, 1)?;
        let channels = self.net.channels(&x.base);
        let last = x.view.rank().saturating_sub(1);
        let fits = x.view.channel_axis(channels) == Some(last) && weight.shape.len() == 2;
        if !fits || weight.shape[0] != channels {
            return Err(node.refused(" of other dimensions than the channels"));
        }
        let outputs = weight.shape[1];
        let conv = Convolution {
            outputs,
            kernel: 1,
            groups: 1,
            padding: 0,
        };
        let weight = weight.transposed(&[1, 0])?.values()?;
        let made = self.net.conv(node.name, &x.base, conv, weight, None)?;
        Ok(Self::in_view(made, with_channels(x.view, last, outputs)))
    }

    fn batch_norm(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.map(node, 0)?;
        let x = self.plain(x);
        let epsilon = node.float("epsilon", 1e-5);
        let channels = self.net.channels(&x.base);
        let mut all = Vec::new();
        for i in 1..5 {
            let numbers = self.needed(node, i)?.reals()?;
            if numbers.len() != channels {
                return Err(Error::damaged(format!("{} is of other channels", node.name)));
            }
            all.push(numbers);
        }
        self.spend(2 * channels)?;
        let scale: Vec<f64> = all[0]
            .iter()
            .zip(&all[3])
            .map(|(s, v)| s / (v + epsilon).sqrt())
            .collect();
        let minus: Vec<f64> = scale.iter().zip(&all[2]).map(|(s, mean)| -s * mean).collect();
        if scale.iter().chain(&minus).any(|n| !n.is_finite()) {
            return Err(Error::damaged(format!(
                "{} has a variance that is none",
                node.name
            )));
        }
        Ok(x.line(&scale, &minus).line(&[1.0], &all[1]))
    }

    /// Means and variances of groups of channels over the image.
    fn group_norm(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.turned(node, 0)?;
        let channels = self.net.channels(&x.base);
        let groups = if node.kind == "GroupNormalization" {
            usize::try_from(node.int("num_groups", 0)).unwrap_or(0)
        } else {
            // What is normalised is all after the second dimension.
            let plain = self.plain(x.base.clone()).view;
            let whole = View(vec![x.view.0.concat()]).is_row_of(&plain);
            let parts = x.view.0.get(1).filter(|_| whole && x.view.0[0].is_empty());
            let only = |parts: &&Vec<Part>| parts.iter().all(|p| p.of == Index::Channel);
            let size = parts
                .filter(only)
                .map(|parts| View(vec![parts.clone()]).sizes())
                .transpose()?;
            size.and_then(|s| s.first()?.count()).unwrap_or(0)
        };
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(node.refused(" over other dimensions"));
        }
        let values = |own: &Self, i: usize| -> Result<Vec<f32>> {
            let given = own.needed(node, i)?.values()?;
            let times = channels / given.len().max(1);
            if given.is_empty() || given.len() * times != channels {
                return Err(Error::damaged(format!("{} is of other channels", node.name)));
            }
            Ok(given
                .iter()
                .flat_map(|v| std::iter::repeat_n(*v, times))
                .collect())
        };
        let (weight, bias) = (values(self, 1)?, values(self, 2)?);
        let module = self.net.module(node.name);
        let norm = GroupNorm {
            groups,
            epsilon: node.float("epsilon", 1e-5),
            weight: self.net.learned(&module, "weight", weight)?,
            bias: self.net.learned(&module, "bias", bias)?,
        };
        let made = self.net.node(node.name, norm, &[&x.base])?;
        Ok(Self::in_view(made, x.view))
    }

    fn layer_norm(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.turned(node, 0)?;
        let channels = self.net.channels(&x.base);
        let axis = x.view.axis(node.int("axis", -1))?;
        if axis + 1 != x.view.rank() || x.view.channel_axis(channels) != Some(axis) {
            return Err(node.refused(" over other dimensions than the channels"));
        }
        let module = self.net.module(node.name);
        let mut learned = [None, None];
        for (i, (learned, kind)) in learned.iter_mut().zip(["weight", "bias"]).enumerate() {
            if let Some(values) = self.constant(node, i + 1)? {
                *learned = Some(self.net.learned(&module, kind, values.values()?)?);
            }
        }
        let [weight, bias] = learned;
        let norm = LayerNorm {
            epsilon: node.float("epsilon", 1e-5),
            weight,
            bias,
        };
        let made = self.net.node(node.name, norm, &[&x.base])?;
        Ok(Self::in_view(made, x.view))
    }

    /// The mean of each channel, or that of the channels as part of a normalisation.
    fn mean(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.lazy(node, 0)?;
        let rank = x.view.rank() as i64;
        let keeps = node.kind == "GlobalAveragePool" || node.int("keepdims", 1) == 1;
        let axes = match node.kind {
            "GlobalAveragePool" => vec![2, 3],
            _ => self.ints(node, "axes", 1)?.unwrap_or_else(|| (0..rank).collect()),
        };
        let axes: Vec<usize> = axes.iter().map(|a| x.view.axis(*a)).collect::<Result<_>>()?;
        let of_channels = x.view.channel_axis(self.net.channels(&x.base));
        if axes.len() == 1 && Some(axes[0]) == of_channels && keeps {
            if x.is(Function::Square) {
                return Ok(x.as_function(Function::Variance));
            }
            return Ok(self.turned(node, 0)?.as_function(Function::Mean));
        }
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        let base = self.map(node, 0)?;
        if sorted != [2, 3] || self.net.kind(&base).kind != Kind::Map {
            return Err(node.refused(&format!(" over the dimensions {axes:?}")));
        }
        let made = self.net.node(node.name, Mean {}, &[&base])?;
        let mut made = self.plain(made);
        if !keeps {
            made.view = made.view.squeezed(Some(&[2, 3]))?;
        }
        Ok(made)
    }

    /// A map, and which of its dimensions the channels are, with the map in the usual order if they are none alone.
    fn by_channels(&mut self, node: &Node<'a>) -> Result<(Map, usize)> {
        let x = self.turned(node, 0)?;
        let channels = self.net.channels(&x.base);
        if let Some(axis) = x.view.channel_axis(channels) {
            return Ok((x, axis));
        }
        let base = self.map(node, 0)?;
        Ok((self.plain(base), 1))
    }

    fn split(&mut self, node: &Node<'a>) -> Result<Vec<Value<'a>>> {
        let (x, own) = self.by_channels(node)?;
        if x.view.axis(node.int("axis", 0))? != own {
            return Err(node.refused(" of other dimensions than the channels"));
        }
        let sizes = self.ints(node, "split", 1)?;
        let mut from = 0;
        let mut made = Vec::new();
        for size in fold::parts(node, sizes, self.net.channels(&x.base))? {
            let of: Vec<usize> = (from..from + size).collect();
            let part = self.net.select(node.name, &x.base, &of)?;
            made.push(Value::Map(Self::in_view(
                part,
                with_channels(x.view.clone(), own, size),
            )));
            from += size;
        }
        Ok(made)
    }

    fn slice(&mut self, node: &Node<'a>) -> Result<Map> {
        let numbers = |own: &Self, name: &str, i: usize| -> Result<Option<Vec<Num>>> {
            match node.ints(name) {
                Some(ints) => Ok(Some(ints.iter().map(|n| Num::of(*n as f64)).collect())),
                None => own
                    .constant(node, i)?
                    .map(|c| Ok(c.numbers()?.to_vec()))
                    .transpose(),
            }
        };
        let (starts, ends) = (numbers(self, "starts", 1)?, numbers(self, "ends", 2)?);
        let (starts, ends) = starts.zip(ends).ok_or(Error::CutShort)?;
        let axes = self.ints(node, "axes", 3)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self
            .ints(node, "steps", 4)?
            .unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(Error::CutShort);
        }
        let lazy = self.lazy(node, 0)?;
        let sizes = Self::sizes(&lazy)?;
        // What takes all of a dimension takes nothing away.
        let all = |i: usize, d: usize| {
            let far = |end: f64| end >= f64::from(i32::MAX) || sizes[d].constant().is_some_and(|n| end >= n);
            let whole = ends[i] == sizes[d] || ends[i].constant().is_some_and(far);
            starts[i] == Num::of(0.0) && steps[i] == 1 && whole
        };
        let mut cut = Vec::new();
        for (i, a) in axes.iter().enumerate() {
            let d = lazy.view.axis(*a)?;
            if !all(i, d) {
                cut.push((i, d));
            }
        }
        let [(i, d)] = cut[..] else {
            return if cut.is_empty() {
                Ok(lazy)
            } else {
                Err(node.refused(" of several dimensions"))
            };
        };
        let (x, own) = self.by_channels(node)?;
        let bounds = starts[i].constant().zip(ends[i].constant());
        let (start, end) = bounds
            .filter(|_| d == own)
            .ok_or_else(|| node.refused(" of other dimensions than the channels"))?;
        let of = fold::range(start as i64, end as i64, steps[i], self.net.channels(&x.base))?;
        self.spend(of.len())?;
        let made = self.net.select(node.name, &x.base, &of)?;
        Ok(Self::in_view(made, with_channels(x.view, own, of.len())))
    }

    fn gather(&mut self, node: &Node<'a>) -> Result<Map> {
        let (x, own) = self.by_channels(node)?;
        let indices = self.needed(node, 1)?;
        if x.view.axis(node.int("axis", 0))? != own || indices.shape.len() != 1 {
            return Err(node.refused(" of other dimensions than the channels"));
        }
        let channels = self.net.channels(&x.base);
        let of: Vec<usize> = indices
            .ints()?
            .into_iter()
            .map(|i| super::view::axis(i, channels))
            .collect::<Result<_>>()?;
        let made = self.net.select(node.name, &x.base, &of)?;
        Ok(Self::in_view(made, with_channels(x.view, own, of.len())))
    }

    fn concat(&mut self, node: &Node<'a>) -> Result<Map> {
        let n = node.inputs.len();
        let parts: Vec<Map> = (0..n).map(|i| self.turned(node, i)).collect::<Result<_>>()?;
        let first = parts.first().ok_or(Error::CutShort)?.view.clone();
        let axis = first.axis(node.int("axis", 1))?;
        let without = |view: &View| with_channels(view.clone(), axis, 1);
        let alike = parts.iter().all(|part| {
            let own = part.view.channel_axis(self.net.channels(&part.base));
            part.view.rank() > axis && own == Some(axis) && without(&part.view) == without(&first)
        });
        let (names, view) = if alike {
            (parts.into_iter().map(|part| part.base).collect(), Some(first))
        } else if axis == 1 {
            let names: Vec<String> = (0..n).map(|i| self.map(node, i)).collect::<Result<_>>()?;
            (names, None)
        } else {
            return Err(node.refused(" of other dimensions than the channels"));
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let made = self.net.concat(node.name, &names)?;
        match view {
            Some(view) => {
                let view = with_channels(view, axis, self.net.channels(&made));
                Ok(Self::in_view(made, view))
            }
            None => Ok(self.plain(made)),
        }
    }

    /// Channels in a row that others take the place of: how `x[:, :n] = y` is exported.
    fn scatter(&mut self, node: &Node<'a>) -> Result<Map> {
        let odd = || node.refused(" in another way than to channels in a row");
        let (x, y) = (self.turned(node, 0)?, self.turned(node, 2)?);
        let indices = self.needed(node, 1)?;
        let (rank, last) = (indices.shape.len(), indices.shape.last().copied().unwrap_or(0));
        let [channels, others] = [&x, &y].map(|m| self.net.channels(&m.base));
        let axis = x.view.channel_axis(channels).ok_or_else(odd)?;
        // An index for each dimension up to the channels; those before are of one.
        let fits = rank == last + 1
            && last == axis + 1
            && indices.count() == others.saturating_mul(last)
            && y.view.channel_axis(others) == Some(axis)
            && with_channels(x.view.clone(), axis, 1) == with_channels(y.view.clone(), axis, 1)
            && x.view.0[..axis].iter().all(Vec::is_empty)
            && node.text("reduction", "none") == "none";
        if !fits {
            return Err(odd());
        }
        let at = indices.ints()?;
        let first = usize::try_from(at.get(axis).copied().unwrap_or(-1)).map_err(|_| odd())?;
        let in_a_row = at
            .chunks_exact(last)
            .enumerate()
            .all(|(i, at)| at[axis] == (first + i) as i64 && at[..axis].iter().all(|at| *at == 0));
        let end = first
            .checked_add(others)
            .filter(|end| *end <= channels && in_a_row)
            .ok_or_else(odd)?;
        let mut parts = Vec::new();
        if first > 0 {
            let of: Vec<usize> = (0..first).collect();
            parts.push(self.net.select(node.name, &x.base, &of)?);
        }
        parts.push(y.base);
        if end < channels {
            let of: Vec<usize> = (end..channels).collect();
            parts.push(self.net.select(node.name, &x.base, &of)?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let made = self.net.concat(node.name, &parts)?;
        Ok(Self::in_view(made, x.view))
    }

    fn blocks(&mut self, node: &Node<'a>) -> Result<Map> {
        let mut x = self.map(node, 0)?;
        let factor = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
        let channels = self.net.channels(&x);
        if factor == 0 || factor > limits::SCALE {
            return Err(node.refused(&format!(" with blocks of {factor}")));
        }
        let made = if node.kind == "SpaceToDepth" {
            let blocks = self.net.node(node.name, PixelUnshuffle { factor }, &[&x])?;
            self.net
                .select(node.name, &blocks, &pixels_first(channels, factor))?
        } else {
            if node.text("mode", "DCR") == "DCR" {
                x = self.net.select(node.name, &x, &columns_first(channels, factor))?;
            }
            self.net.node(node.name, PixelShuffle { factor }, &[&x])?
        };
        Ok(self.plain(made))
    }

    fn resize(&mut self, node: &Node<'a>) -> Result<Map> {
        let x = self.map(node, 0)?;
        let sizes = self.plain(x.clone()).view.sizes()?;
        let given = |own: &Self, i: usize| -> Result<Option<Vec<Num>>> {
            let constant = own.constant(node, i)?.filter(|c| c.count() > 0);
            constant.map(|c| Ok(c.numbers()?.to_vec())).transpose()
        };
        // Upsample, and Resize before opset 11, have the factors second.
        let scales = match node.floats("scales") {
            Some(scales) => Some(scales.iter().map(|s| Num::of(f64::from(*s))).collect()),
            None => given(self, if node.inputs.len() == 2 { 1 } else { 2 })?,
        };
        let axes: Vec<usize> = match node.ints("axes") {
            Some(axes) => axes
                .iter()
                .map(|a| super::view::axis(*a, 4))
                .collect::<Result<_>>()?,
            None => (0..4).collect(),
        };
        let mut factors = [Num::ONE; 4];
        let from_sizes = given(self, 3)?;
        let numbers = scales.as_ref().or(from_sizes.as_ref()).ok_or(Error::CutShort)?;
        if numbers.len() != axes.len() {
            return Err(Error::CutShort);
        }
        for (d, n) in axes.into_iter().zip(numbers) {
            let factor = if scales.is_some() {
                Some(*n)
            } else {
                n.over(sizes[d])
            };
            factors[d] = factor.ok_or_else(|| node.refused(" to a size of its own"))?;
        }
        let factor = factors[2].count().filter(|n| (1..=limits::SCALE).contains(n));
        let whole = factors[..2] == [Num::ONE; 2] && factors[2] == factors[3];
        let factor = factor.filter(|_| whole).ok_or_else(|| {
            let [down, across] = [2, 3].map(|d| factors[d].constant().unwrap_or(0.0));
            node.refused(&format!(" by {down} and {across}"))
        })?;
        let old = node.kind == "Upsample" || node.inputs.len() == 2;
        let places = node.text(
            "coordinate_transformation_mode",
            if old { "asymmetric" } else { "half_pixel" },
        );
        let rounds = node.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" });
        let mode = node.text("mode", "nearest");
        let halves = matches!(
            places,
            "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric"
        );
        let by = match (mode, places, rounds) {
            // Each makes a pixel a block, for whole factors.
            ("nearest", "asymmetric" | "tf_half_pixel_for_nn", "floor") => Interpolation::Nearest,
            ("nearest", "asymmetric", "round_prefer_floor") if factor == 2 => Interpolation::Nearest,
            ("nearest", _, "round_prefer_floor" | "round_prefer_ceil") if halves => Interpolation::Nearest,
            ("linear", ..) if halves => Interpolation::Bilinear,
            _ if factor == 1 => Interpolation::Nearest,
            _ => return Err(node.refused(&format!(" of mode {mode} ({places}, {rounds})"))),
        };
        let made = self.net.resize(node.name, &x, factor, by)?;
        Ok(self.plain(made))
    }

    fn pad(&mut self, node: &Node<'a>) -> Result<Map> {
        let pads = self.ints(node, "pads", 1)?.ok_or(Error::CutShort)?;
        if pads.iter().all(|p| *p == 0) {
            return self.lazy(node, 0);
        }
        let value = match self.constant(node, 2)? {
            Some(value) => value.reals()?.first().copied().unwrap_or(0.0),
            None => node.float("value", 0.0),
        };
        let mode = node.text("mode", "constant");
        if mode != "constant" || value != 0.0 {
            return Err(node.refused(&format!(" of mode {mode} and value {value}")));
        }
        let x = self.map(node, 0)?;
        let [0, 0, top, left, 0, 0, bottom, right] = pads[..] else {
            return Err(node.refused(&format!(" of {pads:?}")));
        };
        let pixels = even(node, &[top, left, bottom, right])?;
        let made = self.net.node(node.name, Pad { pixels }, &[&x])?;
        Ok(self.plain(made))
    }
}

/// The same padding on all sides.
fn even(node: &Node<'_>, pads: &[i64]) -> Result<usize> {
    let first = pads.first().copied().unwrap_or(0);
    let padding = usize::try_from(first)
        .ok()
        .filter(|_| pads.iter().all(|p| *p == first));
    padding.ok_or_else(|| node.refused(&format!(" with an uneven padding, {pads:?}")))
}

/// The view of a value that has other channels there.
fn with_channels(mut view: View, axis: usize, channels: usize) -> View {
    if let Some(parts) = view.0.get_mut(axis) {
        *parts = match channels {
            1 => Vec::new(),
            n => vec![Part {
                of: Index::Channel,
                size: Num::of(n as f64),
                stride: 1,
            }],
        };
    }
    view
}
