//! The text of kernels, put together from the pieces that operations [give](asasr_core::exec::shade).
//!
//! A module has the functions of one kernel: those of its operation, of the steps behind it, and of the kernels within it. Their names
//! begin with `p0_`, `p1_`, .. in the order in which they are met, and values with their place in the kernel, so that layers that do
//! the same have the same text, and one pipeline. `p0_value4` is what an operation makes, `p0_finish` adds the steps, `p0_at4` is
//! both; `put` writes.

use std::fmt::Write as _;

use asasr_core::exec::shade::{By, Code, Shader, Stage, Work, operand};
use asasr_core::graph::passes::{Kernel, Step};
use asasr_core::graph::{Kind, TypedGraph, ValueType};
use asasr_core::model::Weights;
use asasr_core::{Error, Result};

use super::plan::Store;
use crate::pack;
use crate::tuning::{Convolution, Precision, Tuning};

const DENSE: &str = include_str!("../../shader/dense.wgsl");
const CONV1X1: &str = include_str!("../../shader/conv1x1.wgsl");
const CONV3X3: &str = include_str!("../../shader/conv3x3.wgsl");
const WINOGRAD: &str = include_str!("../../shader/conv3x3_winograd.wgsl");
/// Arguments of functions of four channels, and of one.
const FOUR: &str = "(g: u32, x: u32, y: u32) -> vec4<f32>";
const ONE: &str = "(c: u32, x: u32, y: u32) -> f32";
/// Sides of the work-groups of kernels that are called a number of times.
const LINE: (usize, usize) = (64, 1);

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Sizes.
    Frame,
    /// The kernel's result.
    Output,
    /// A value that is read.
    Value(usize),
    /// Numbers of channels: biases, slopes and the like.
    Parameters,
    /// Blocks of a dense layer.
    Weights,
    /// Memory that stages share.
    Scratch,
}

/// How often a module is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) work: Work,
    /// Sides of a work-group.
    pub(crate) group: (usize, usize),
    /// Places of a row that one call does.
    pub(crate) places: usize,
}

/// A kernel as text, and what it is bound to.
#[derive(Debug)]
pub(crate) struct KernelText {
    /// The modules, one after the other.
    pub(crate) stages: Vec<(String, Calls)>,
    pub(crate) bound: Vec<Bound>,
    /// The values whose sizes the frame holds, the result first.
    pub(crate) sizes: Vec<usize>,
    pub(crate) parameters: Vec<f32>,
    /// Of a dense layer, in the precision of the [network](KernelText::precision).
    pub(crate) weights: Vec<f32>,
    pub(crate) precision: Precision,
    /// Bytes of scratch memory.
    pub(crate) scratch: u64,
}

/// Writes the text of `kernel`.
///
/// # Errors
/// [`Error::Weights`] when a tensor is missing.
pub(crate) fn kernel_text(
    graph: &TypedGraph,
    stores: &[Store],
    kernel: &Kernel,
    weights: &Weights,
    tuning: Tuning,
) -> Result<KernelText> {
    let made = graph.made_by(kernel.last());
    let kind = graph.types()[made];
    // Of single numbers, few as they are, rounding would be seen everywhere.
    let precision = if kind.kind == Kind::Vector {
        Precision::Full
    } else {
        tuning.precision
    };
    let mut writer = Writer {
        graph,
        stores,
        weights,
        texts: String::new(),
        helpers: Vec::new(),
        bound: vec![Bound::Frame, Bound::Output],
        sizes: vec![made],
        parameters: Vec::new(),
        kernels: 0,
    };
    let own = writer.kernel(kernel)?;
    let node = &graph.graph().nodes[kernel.root];
    let inputs = graph.input_types(kernel.root);
    let mut stages = Vec::new();
    let (mut blocks, mut scratch) = (Vec::new(), 0);
    let channels = kind.channels;
    let each = |places| Calls {
        work: Work::each(channels),
        group: tuning.group,
        places,
    };
    match node
        .op
        .shade()
        .shader(&inputs, &graph.types()[graph.made_by(kernel.root)])
    {
        Shader::Pointwise(_) | Shader::Values { .. } => {
            let main = format!(
                "fn {own}main(id: vec3<u32>) {{ put(id.z, id.x, id.y, {own}value4(id.z, id.x, id.y)); }}\n"
            );
            stages.push((main, each(1)));
        }
        Shader::Dense { kernel: side } => {
            let name = &node.op.operation().parameters(&inputs)[0].name;
            let values = &weights.get(name)?.values;
            let size = (channels, inputs[0].channels);
            let (text, calls);
            (blocks, text, calls) = dense(values, size, side, tuning);
            writer.bound.push(Bound::Weights);
            let head = format!(
                "const GROUPS_IN: u32 = {}u;\nconst GROUPS_OUT: u32 = {}u;\n",
                pack::groups(size.1),
                pack::groups(size.0)
            );
            let given = writer.given(graph.reads(kernel.root)[0]);
            stages.push(([head.as_str(), &given, DENSE, &text].concat(), calls));
        }
        Shader::Stages {
            stages: all,
            scratch: held,
        } => {
            if held > 0 {
                writer.bound.push(Bound::Scratch);
                scratch = (held * 16) as u64;
            }
            for Stage { code, work } in all {
                writer.helpers(&code);
                let group = match work {
                    Work::Places(_) => tuning.group,
                    Work::Count(..) => LINE,
                };
                let calls = Calls {
                    work,
                    group,
                    places: 1,
                };
                stages.push((code.text.replace('$', &own), calls));
            }
        }
    }
    if !writer.parameters.is_empty() {
        writer.bound.push(Bound::Parameters);
    }
    let shared = writer.shared((tuning.precision, precision), made, &own);
    let stages = stages.into_iter().map(|(text, calls)| {
        let main = if text.contains("@compute") {
            let (wide, high) = calls.group;
            format!("const WIDE: u32 = {wide}u;\nconst HIGH: u32 = {high}u;\n")
        } else {
            main(&own, calls)
        };
        ([shared.as_str(), &text, &main].concat(), calls)
    });
    Ok(KernelText {
        stages: stages.collect(),
        bound: writer.bound,
        sizes: writer.sizes,
        parameters: writer.parameters,
        weights: blocks,
        precision,
        scratch,
    })
}

/// The blocks of a dense layer, the text of its kernel, and how it is called.
fn dense(values: &[f32], size: (usize, usize), side: usize, tuning: Tuning) -> (Vec<f32>, String, Calls) {
    let groups = pack::groups(size.0);
    let calls = |depth| Calls {
        work: Work::Places(depth),
        group: tuning.group,
        places: 4,
    };
    if side == 1 {
        return (pack::weights(values, size, 1), CONV1X1.into(), calls(groups));
    }
    let (blocks, text) = match tuning.convolution {
        Convolution::Direct => (pack::weights(values, size, 3), CONV3X3),
        Convolution::Winograd => (pack::winograd(values, size), WINOGRAD),
    };
    let text = format!("const TALL: u32 = {}u;\n{text}", tuning.tall);
    (blocks, text, calls(groups.div_ceil(tuning.tall)))
}

/// The entry of a module, which calls the kernel's function within its bounds.
fn main(own: &str, Calls { work, group, .. }: Calls) -> String {
    let bounds = match work {
        Work::Places(depth) => format!("vec3<u32>(frame.size.xy, {depth}u)"),
        Work::Count(across, down) => format!("vec3<u32>({across}u, {down}u, 1u)"),
    };
    format!(
        "@compute @workgroup_size({}, {}, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
    if (all(id < {bounds})) {{ {own}main(id); }}
}}
",
        group.0, group.1
    )
}

struct Writer<'a> {
    graph: &'a TypedGraph,
    stores: &'a [Store],
    weights: &'a Weights,
    texts: String,
    helpers: Vec<&'static str>,
    bound: Vec<Bound>,
    sizes: Vec<usize>,
    parameters: Vec<f32>,
    kernels: usize,
}

impl Writer<'_> {
    /// The functions of a kernel; returns what their names begin with.
    fn kernel(&mut self, kernel: &Kernel) -> Result<String> {
        let own = format!("p{}_", self.kernels);
        self.kernels += 1;
        let graph = self.graph;
        let root = kernel.root;
        let made = graph.types()[graph.made_by(root)];
        let inputs = graph.input_types(root);
        let shader = graph.graph().nodes[root].op.shade().shader(&inputs, &made);
        self.size(&format!("{own}size"), graph.made_by(kernel.last()));
        let mut finish = String::new();
        match shader {
            Shader::Pointwise(code) => {
                let value = self.pointwise(kernel, root, None, &format!("{own}r"), &code)?;
                self.put(&format!("fn {own}value4{FOUR} {{ return {value}; }}\n"));
            }
            Shader::Values { code, by, .. } => {
                self.operands(kernel, &own)?;
                self.tensors(root, &own)?;
                self.helpers(&code);
                self.put(&code.text.replace('$', &own));
                if by == By::One {
                    let lane = |i: usize| format!("{own}value1(4u * g + {i}u, x, y)");
                    let value = lanes(lane, made.channels);
                    self.put(&format!("fn {own}value4{FOUR} {{ return {value}; }}\n"));
                }
            }
            Shader::Dense { .. } => {
                if let Some(bias) = graph.graph().nodes[root]
                    .op
                    .operation()
                    .parameters(&inputs)
                    .get(1)
                {
                    let at = self.keep(self.weights.get(&bias.name)?.values.clone());
                    let _ = writeln!(finish, "v += parameters[{at}u + g];");
                }
            }
            Shader::Stages { .. } => {
                self.operands(kernel, &own)?;
                self.tensors(root, &own)?;
            }
        }
        for (i, step) in kernel.steps.iter().enumerate() {
            let node = &graph.graph().nodes[step.node];
            let types = graph.input_types(step.node);
            let made = &graph.types()[graph.made_by(step.node)];
            let Shader::Pointwise(code) = node.op.shade().shader(&types, made) else {
                return Err(Error::Device(format!("{} is no step", node.op.name())));
            };
            let value = self.pointwise(kernel, step.node, Some(*step), &format!("{own}s{i}"), &code)?;
            let _ = writeln!(finish, "v = {value};");
        }
        self.put(&format!(
            "fn {own}finish(sum: vec4<f32>, g: u32, x: u32, y: u32) -> vec4<f32> {{\nvar v = sum;\n{finish}return v;\n}}\n"
        ));
        Ok(own)
    }

    /// A pointwise operation as an expression, whose operand of the step is `v`; its functions' names begin with `own`.
    fn pointwise(
        &mut self,
        kernel: &Kernel,
        node: usize,
        step: Option<Step>,
        own: &str,
        code: &Code,
    ) -> Result<String> {
        let graph = self.graph;
        self.helpers(code);
        let made = graph.types()[graph.made_by(node)];
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (i, value) in graph.reads(node).iter().enumerate() {
            let letter = operand(i);
            if step.is_some_and(|s| s.operand == i) {
                values.push("v".into());
            } else {
                let name = format!("{own}{letter}");
                self.access(kernel, *value, &name)?;
                values.push(broadcast(&name, &graph.types()[*value], &made));
            }
            names.push(letter);
        }
        let op = graph.graph().nodes[node].op.shade();
        let tensors = op.tensors(&graph.input_types(node), &self.learned(node)?);
        for (i, tensor) in tensors.into_iter().enumerate() {
            let at = self.keep(tensor);
            names.push(format!("t{i}"));
            values.push(format!("parameters[{at}u + g]"));
        }
        let names: Vec<String> = names.iter().map(|n| format!("{n}: vec4<f32>")).collect();
        self.put(&format!(
            "fn {own}({}) -> vec4<f32> {{ return {}; }}\n",
            names.join(", "),
            code.text
        ));
        Ok(format!("{own}({})", values.join(", ")))
    }

    /// The functions that read what the kernel's root reads.
    fn operands(&mut self, kernel: &Kernel, own: &str) -> Result<()> {
        for (i, value) in self.graph.reads(kernel.root).iter().enumerate() {
            self.access(kernel, *value, &format!("{own}{}", operand(i)))?;
        }
        Ok(())
    }

    /// The functions that read a value, from memory or from a kernel within this one.
    fn access(&mut self, kernel: &Kernel, value: usize, name: &str) -> Result<()> {
        if let Some(within) = kernel.maker_within(self.graph, value) {
            let inner = self.kernel(within)?;
            let channels = self.graph.types()[value].channels;
            let whole = format!("{inner}finish({inner}value4(g, x, y), g, x, y)");
            let whole = kept(&whole, channels);
            self.put(&format!("fn {name}4{FOUR} {{ return {whole}; }}\n"));
            let root = self.graph.graph().nodes[within.root].op.shade();
            let types = self.graph.input_types(within.root);
            let single = match root.shader(&types, &self.graph.types()[value]) {
                Shader::Values { by: By::One, .. } if within.steps.is_empty() => {
                    format!("{inner}value1(c, x, y)")
                }
                _ => format!("{name}4(c / 4u, x, y)[c % 4u]"),
            };
            self.put(&format!("fn {name}1{ONE} {{ return {single}; }}\n"));
        } else {
            let (of, size) = (self.value(value), self.sized(value));
            let (four, one) = match self.stores[value] {
                Store::Planes => {
                    let channels = self.graph.types()[value].channels;
                    let at = |c: String| format!("{of}[({c} * {size}.y + y) * {size}.x + x]");
                    let lane = |i: usize| at(format!("(4u * g + {i}u)"));
                    (some(lane, channels), at("c".into()))
                }
                Store::Single | Store::Real => {
                    let at = |g: &str| format!("{of}[({g} * {size}.y + y) * {size}.x + x]");
                    (
                        format!("vec4<f32>({})", at("g")),
                        format!("f32({}[c % 4u])", at("c / 4u")),
                    )
                }
            };
            self.put(&format!("fn {name}4{FOUR} {{ return {four}; }}\n"));
            self.put(&format!("fn {name}1{ONE} {{ return {one}; }}\n"));
        }
        self.size(&format!("{name}_size"), value);
        Ok(())
    }

    /// What a dense kernel reads: four channels by their place in all fours of the value.
    fn given(&mut self, value: usize) -> String {
        let (of, size) = (self.value(value), self.sized(value));
        let body = match self.stores[value] {
            Store::Single | Store::Real => format!("return Real4({of}[i]);"),
            Store::Planes => {
                let channels = self.graph.types()[value].channels;
                let group = if channels <= 4 { "0u" } else { "i / area" };
                let lane = |i: usize| format!("{of}[at + {i}u * area]");
                format!(
                    "let area = {size}.x * {size}.y;\nlet g = {group};\nlet at = i + 3u * g * area;\nreturn Real4({});",
                    some(lane, channels)
                )
            }
        };
        format!("fn given(i: u32) -> Real4 {{\n{body}\n}}\n")
    }

    /// The functions that read a node's tensors.
    fn tensors(&mut self, node: usize, own: &str) -> Result<()> {
        let op = self.graph.graph().nodes[node].op.shade();
        let tensors = op.tensors(&self.graph.input_types(node), &self.learned(node)?);
        for (i, tensor) in tensors.into_iter().enumerate() {
            let at = self.keep(tensor);
            self.put(&format!(
                "fn {own}t{i}(i: u32) -> vec4<f32> {{ return parameters[{at}u + i]; }}
fn {own}t{i}_at(i: u32) -> f32 {{ return parameters[{at}u + i / 4u][i % 4u]; }}
"
            ));
        }
        Ok(())
    }

    fn learned(&self, node: usize) -> Result<Vec<&[f32]>> {
        let op = self.graph.graph().nodes[node].op.operation();
        let tensors = op.parameters(&self.graph.input_types(node));
        let values = |name: &str| Ok(self.weights.get(name)?.values.as_slice());
        tensors.iter().map(|p| values(&p.name)).collect()
    }

    /// Keeps numbers among the parameters; returns where, in vectors of four.
    fn keep(&mut self, tensor: Vec<f32>) -> usize {
        let at = self.parameters.len() / 4;
        self.parameters.extend(tensor);
        self.parameters
            .resize(self.parameters.len().next_multiple_of(4), 0.0);
        at
    }

    fn put(&mut self, text: &str) {
        self.texts.push_str(text);
    }

    fn helpers(&mut self, code: &Code) {
        for helper in code.helpers {
            if !self.helpers.contains(helper) {
                self.helpers.push(helper);
            }
        }
    }

    /// The name of a value in memory.
    fn value(&mut self, value: usize) -> String {
        let bound = Bound::Value(value);
        let at = self.bound.iter().position(|b| *b == bound).unwrap_or_else(|| {
            self.bound.push(bound);
            self.bound.len() - 1
        });
        format!("v{at}")
    }

    /// The size of a value.
    fn sized(&mut self, value: usize) -> String {
        let at = self.sizes.iter().position(|v| *v == value).unwrap_or_else(|| {
            self.sizes.push(value);
            self.sizes.len() - 1
        });
        if at == 0 {
            "frame.size".into()
        } else {
            format!("frame.s{at}")
        }
    }

    fn size(&mut self, name: &str, value: usize) {
        let size = self.sized(value);
        self.put(&format!("fn {name}() -> vec4<u32> {{ return {size}; }}\n"));
    }

    /// What all modules of the kernel have: bindings, functions, and `put`.
    /// The network's numbers have the first precision, the kernel's own the second.
    fn shared(&self, (network, own_precision): (Precision, Precision), made: usize, own: &str) -> String {
        let kind = |value: usize| match (self.stores[value], network) {
            (Store::Planes, _) => "f32",
            (Store::Real, Precision::Half) => "vec4<f16>",
            (Store::Single | Store::Real, _) => "vec4<f32>",
        };
        let mut text = String::from(if network == Precision::Half {
            "enable f16;\n"
        } else {
            ""
        });
        text += own_precision.aliases();
        text += "struct Frame {\nsize: vec4<u32>,\n";
        for i in 1..self.sizes.len() {
            let _ = writeln!(text, "s{i}: vec4<u32>,");
        }
        text += "}\n";
        for (i, bound) in self.bound.iter().enumerate() {
            let declared = match bound {
                Bound::Frame => "<uniform> frame: Frame".into(),
                Bound::Output => format!("<storage, read_write> output: array<{}>", kind(made)),
                Bound::Value(value) => format!("<storage, read> v{i}: array<{}>", kind(*value)),
                Bound::Parameters => "<storage, read> parameters: array<vec4<f32>>".into(),
                Bound::Weights => "<storage, read> weights: array<Block>".into(),
                Bound::Scratch => "<storage, read_write> scratch: array<vec4<f32>>".into(),
            };
            let _ = writeln!(text, "@group(0) @binding({i}) var{declared};");
        }
        self.helpers.iter().for_each(|helper| text += helper);
        text += &self.texts;
        let channels = self.graph.types()[made].channels;
        let _ = write!(
            text,
            "fn put(g: u32, x: u32, y: u32, v: vec4<f32>) {{\nlet w = {own}finish(v, g, x, y);\n"
        );
        if self.stores[made] == Store::Planes {
            for i in 0..channels.min(4) {
                let bounds = if channels.is_multiple_of(4) || channels < 4 {
                    String::new()
                } else {
                    format!("if (4u * g + {i}u < {channels}u) ")
                };
                let _ = writeln!(
                    text,
                    "{bounds}{{ output[((4u * g + {i}u) * frame.size.y + y) * frame.size.x + x] = w[{i}]; }}"
                );
            }
        } else {
            let _ = writeln!(
                text,
                "output[(g * frame.size.y + y) * frame.size.x + x] = {}({});",
                kind(made),
                kept("w", channels)
            );
        }
        text += "}\n";
        text
    }
}

/// An operand of a pointwise operation at the place of its result.
fn broadcast(name: &str, read: &ValueType, made: &ValueType) -> String {
    let place = if read.kind == Kind::Vector && made.kind != Kind::Vector {
        "0u, 0u"
    } else {
        "x, y"
    };
    if read.channels == 1 && made.channels > 1 {
        format!("vec4<f32>({name}1(0u, {place}))")
    } else {
        format!("{name}4(g, {place})")
    }
}

/// A vector of `lane(0)` to `lane(3)`, of which those of a value's only group that it has no channels for are zero; in later groups
/// they are of no meaning.
fn lanes(lane: impl Fn(usize) -> String, channels: usize) -> String {
    let lane = |i| if i < channels { lane(i) } else { "0.0".into() };
    format!("vec4<f32>({})", [0, 1, 2, 3].map(lane).join(", "))
}

/// The same, zero wherever there are no channels.
fn some(lane: impl Fn(usize) -> String, channels: usize) -> String {
    let all = lanes(lane, channels);
    if channels < 4 { all } else { kept(&all, channels) }
}

/// A vector without what lies beyond the last of so many channels, in the group `g`.
fn kept(v: &str, channels: usize) -> String {
    if channels.is_multiple_of(4) {
        return v.into();
    }
    let keep = format!("vec4<u32>(4u * g, 4u * g + 1u, 4u * g + 2u, 4u * g + 3u) < vec4<u32>({channels}u)");
    format!("select(vec4<f32>(), {v}, {keep})")
}
