//! `asasr train export`: a model's folder, put together of what the stages made.

use std::path::Path;

use asasr_core::model::{Dtype, FlowPart, Weights};

use super::adversary::read_adapter;
use crate::cli::{Export, Stored};
use crate::error::{Error, Result};
use crate::model::{self, Model};

/// Runs the command.
pub(crate) fn run(args: &Export) -> Result<()> {
    let mut made = model::open(Some(&args.model))?;
    if let Some(folder) = &args.flow {
        let other = beside(&made, folder)?;
        (made.manifest.flow, made.flow) = named(folder, "flow", other.manifest.flow, other.flow)?;
    }
    if let Some(folder) = &args.adapter {
        let (Some(part), Some(weights)) = (&mut made.manifest.flow, &mut made.flow) else {
            return Err(Error::at(
                &args.model,
                "has no flow for the adapter: name one with --flow",
            ));
        };
        let adapter = read_adapter(folder, &part.architecture.parameters())?;
        adapter.merge(weights, args.strength)?;
    }
    if let Some(folder) = &args.fast {
        let other = beside(&made, folder)?;
        (made.manifest.fast, made.fast) = named(folder, "distilled flow", other.manifest.fast, other.fast)?;
    }
    if let Some(id) = &args.id {
        made.manifest.id.clone_from(id);
    }
    if let Some(licence) = &args.licence {
        made.manifest.licence.clone_from(licence);
    }
    let modes = ["instant"]
        .into_iter()
        .chain(made.fast.is_some().then_some("fast (distilled)"))
        .chain(made.flow.is_some().then_some("fast and quality"));
    let modes: Vec<&str> = modes.collect();
    let dtype = match args.dtype {
        Stored::F16 => Dtype::F16,
        Stored::F32 => Dtype::F32,
    };
    let id = made.manifest.id.clone();
    made.write(&args.output, dtype)?;
    println!("{id}: {} in {}", modes.join(", "), args.output.display());
    Ok(())
}

/// Another model on the same restorer.
fn beside(model: &Model, folder: &Path) -> Result<Model> {
    let other = model::open(Some(folder))?;
    if other.restorer != model.restorer {
        return Err(Error::at(
            folder,
            "its flow starts from another restorer than the model's: train it with --restorer naming that one",
        ));
    }
    Ok(other)
}

/// A flow that must be there, and keeps its name.
fn named(
    folder: &Path,
    what: &str,
    part: Option<FlowPart>,
    weights: Option<Weights>,
) -> Result<(Option<FlowPart>, Option<Weights>)> {
    if part.is_none() || weights.is_none() {
        return Err(Error::at(folder, format!("this model has no {what}")));
    }
    Ok((part, weights))
}
