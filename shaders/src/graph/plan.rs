//! Which kernels run for a graph, how its values lie, and whether a device takes it.

use asasr_core::exec::shade::{By, Reads, Shader, Stage, Work};
use asasr_core::graph::passes::{Kernel, Step, fuse, nest};
use asasr_core::graph::{Kind, TypedGraph};
use asasr_core::{Error, Result};
use wgpu::Limits;

/// How a value lies on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// Plane by plane in single precision, as images outside.
    Planes,
    /// Packed by four channels, in single precision.
    Single,
    /// Packed by four channels, in the network's precision.
    Real,
}

/// How the inputs and outputs of a network lie that are maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// As images do.
    Planes,
    /// As the values between kernels do.
    Features,
}

/// Values whose sizes a kernel may know: 16 vectors of four are 256 bytes, which every device lets uniform buffers begin at.
pub(crate) const SIZES: usize = 16;

/// How the values of a graph lie. What is only moved and combined from inputs keeps their precision, as an enlarged image does to
/// which features are added; vectors are few numbers and always have it.
pub(crate) fn stores(graph: &TypedGraph, ends: Ends) -> Vec<Store> {
    let types = graph.types();
    let mut stores: Vec<Store> = Vec::with_capacity(types.len());
    for (value, kind) in types.iter().enumerate() {
        let Some(node) = graph.maker(value) else {
            stores.push(match (kind.kind, ends) {
                (Kind::Vector, _) => Store::Single,
                (_, Ends::Planes) => Store::Planes,
                (_, Ends::Features) => Store::Real,
            });
            continue;
        };
        let op = graph.graph().nodes[node].op.operation();
        let learned = !op.parameters(&graph.input_types(node)).is_empty();
        let real = learned || graph.reads(node).iter().any(|v| stores[*v] == Store::Real);
        stores.push(if kind.kind == Kind::Vector || !real {
            Store::Single
        } else {
            Store::Real
        });
    }
    if ends == Ends::Planes {
        graph.outputs().iter().for_each(|v| stores[*v] = Store::Planes);
    }
    stores
}

fn shader(graph: &TypedGraph, node: usize) -> Shader {
    let op = graph.graph().nodes[node].op.shade();
    op.shader(&graph.input_types(node), &graph.types()[graph.made_by(node)])
}

/// The kernels of a graph: as many operations in one as the device has bindings for.
pub(crate) fn kernels(graph: &TypedGraph, limits: &Limits) -> Vec<Kernel> {
    let fits =
        |kernel: &Kernel| bindings(graph, kernel) <= limits.max_storage_buffers_per_shader_stage as usize;
    let joined = fuse(graph, |kernel, node| {
        let operand = graph.made_by(kernel.last());
        let operand = graph.reads(node).iter().position(|v| *v == operand);
        let mut longer = kernel.clone();
        longer.steps.extend(operand.map(|operand| Step { node, operand }));
        fits(&longer) && sizes(graph, &longer) <= SIZES
    });
    nest(graph, joined, |reader, read, value| {
        // What the root reads often, or with all its channels, is computed once before; where it makes one channel at a time, what
        // is read is only moved.
        let once = match shader(graph, reader.root) {
            Shader::Pointwise(_) => true,
            Shader::Values { reads, by, .. } => {
                let once = reads != Reads::Often && (by == By::Four || moves(graph, read));
                once || moved(graph, read) == Some(Reads::Through)
            }
            Shader::Stages { .. } => moved(graph, read) == Some(Reads::Through),
            Shader::Dense { .. } => false,
        };
        let by_root = graph.reads(reader.root).contains(&value);
        let alone = matches!(
            shader(graph, read.root),
            Shader::Pointwise(_) | Shader::Values { .. }
        );
        // A vector is made once for all places that read it, unless making it is nothing.
        let vector = graph.types()[value].kind == Kind::Vector && !moves(graph, read);
        let mut nested = reader.clone();
        nested.within.push(read.clone());
        (!by_root || once) && alone && !vector && fits(&nested) && sizes(graph, &nested) <= SIZES
    })
}

/// How a kernel reads that computes nothing.
fn moved(graph: &TypedGraph, kernel: &Kernel) -> Option<Reads> {
    match shader(graph, kernel.root) {
        Shader::Values { reads, .. } if reads != Reads::Often && kernel.steps.is_empty() => Some(reads),
        _ => None,
    }
}

/// Whether a kernel computes nothing.
fn moves(graph: &TypedGraph, kernel: &Kernel) -> bool {
    moved(graph, kernel).is_some()
}

/// Storage buffers that a kernel is bound to.
fn bindings(graph: &TypedGraph, kernel: &Kernel) -> usize {
    let mut reads = Vec::new();
    for value in kernel.reads(graph) {
        if !reads.contains(&value) {
            reads.push(value);
        }
    }
    let (weights, scratch) = match shader(graph, kernel.root) {
        Shader::Dense { .. } => (1, 0),
        Shader::Stages { scratch, .. } => (0, usize::from(scratch > 0)),
        Shader::Pointwise(_) | Shader::Values { .. } => (0, 0),
    };
    // Its result, and numbers of channels, whether it has any or not.
    reads.len() + weights + scratch + 2
}

/// Values whose sizes a kernel knows.
fn sizes(graph: &TypedGraph, kernel: &Kernel) -> usize {
    let within = kernel.within.iter().map(|k| sizes(graph, k));
    1 + kernel.own_reads(graph).len() + within.sum::<usize>()
}

/// Says what of a graph the device does not take.
///
/// # Errors
/// [`Error::NotTaken`].
pub(crate) fn supports(graph: &TypedGraph, limits: &Limits) -> Result<()> {
    for (i, node) in graph.graph().nodes.iter().enumerate() {
        let refused = |why: String| Error::NotTaken {
            node: node.name.clone(),
            op: node.op.name(),
            why,
        };
        let alone = Kernel {
            root: i,
            steps: Vec::new(),
            within: Vec::new(),
        };
        let (needs, most) = (
            bindings(graph, &alone),
            limits.max_storage_buffers_per_shader_stage as usize,
        );
        if needs > most {
            return Err(refused(format!(
                "it takes {needs} buffers at a time, the device has {most}"
            )));
        }
        if sizes(graph, &alone) > SIZES {
            return Err(refused(format!("it reads more than {} values", SIZES - 1)));
        }
        let most = limits.max_storage_buffer_binding_size;
        // Winograd's blocks are twice as many.
        let inputs = graph.input_types(i);
        let learned = node.op.operation().parameters(&inputs);
        let numbers = learned.iter().map(|p| {
            let rows = p.shape.iter().take(2).map(|n| n.next_multiple_of(4) as u64);
            let taps = p.shape.iter().skip(2).map(|n| *n as u64);
            rows.chain(taps).fold(8, |n: u64, side| n.saturating_mul(side))
        });
        let bytes = numbers.max().unwrap_or(0);
        if bytes > most {
            return Err(refused(format!(
                "its weights take a buffer of {} MB, the device allows {} MB",
                bytes >> 20,
                most >> 20
            )));
        }
        if let Shader::Stages { stages, scratch } = shader(graph, i) {
            if (scratch * 16) as u64 > most {
                return Err(refused(format!(
                    "it takes a buffer of {} MB, the device allows {} MB",
                    scratch >> 16,
                    most >> 20
                )));
            }
            let most = limits.max_compute_workgroups_per_dimension as usize;
            let down = |stage: &Stage| match stage.work {
                Work::Count(_, down) | Work::Places(down) => down,
            };
            if let Some(down) = stages.iter().map(down).find(|down| *down > most) {
                return Err(refused(format!(
                    "it takes {down} groups in a row, the device allows {most}"
                )));
            }
        }
    }
    Ok(())
}
