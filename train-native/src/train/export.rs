//! `asasr train export`: a model's folder, put together of what the stages made.

use std::path::Path;

use asasr_core::model::{Dtype, FlowPart, Weights};

use super::adversary::read_adapter;
use super::config::options::{self, Options as _, Paths};
use super::config::{Export, Share, Stored, Strength};
use super::source;
use crate::error::{Error, Result};
use crate::model::{self, Model};

/// Runs the command.
pub(crate) fn run(args: &Export) -> Result<()> {
    args.consistent()?;
    if args.output.join("manifest.json").exists() {
        return Err(Error::at(
            &args.output,
            "a model is here already: name another folder",
        ));
    }
    write(args)
}

/// Writes the model over what is there.
pub(super) fn write(args: &Export) -> Result<()> {
    let mut made = model::open(Some(&args.model))?;
    let command = format!("; {}", options::printed(args, Paths::Published)?);
    if args.flow.is_some() || args.adapter.is_some() {
        // It was distilled from the flow as it was.
        (made.manifest.fast, made.fast) = (None, None);
    }
    if let Some(folder) = &args.flow {
        let other = beside(&made, folder)?;
        let own = (made.manifest.flow.take(), made.flow.take());
        (made.manifest.flow, made.flow) = named(folder, "flow", other.manifest.flow, other.flow)?;
        let share = args.share.map_or(1.0, Share::get);
        if share < 1.0 {
            interpolate(&mut made, own, (args, share))?;
        }
    }
    if let Some(folder) = &args.adapter {
        let (Some(part), Some(weights)) = (&mut made.manifest.flow, &mut made.flow) else {
            return Err(Error::at(
                &args.model,
                "has no flow for the adapter: name one with --flow",
            ));
        };
        let adapter = read_adapter(folder, &part.architecture.parameters())?;
        adapter.merge(weights, args.strength.map_or(1.0, Strength::get))?;
    }
    if let Some(deviation) = args.finish.colour_anchor {
        let Some(part) = &mut made.manifest.flow else {
            return Err(Error::at(
                &args.model,
                "has no flow to anchor: name one with --flow",
            ));
        };
        part.colour_anchor = Some(deviation.get()).filter(|d| *d > 0.0);
    }
    let source = &args.finish.source;
    if source.given().is_some() {
        let Some(part) = &mut made.manifest.flow else {
            return Err(Error::at(
                &args.model,
                "has no flow whose source could be another: name one with --flow",
            ));
        };
        part.source = source::of(source, Some(part.source))?;
    }
    // Its flow is another than the one that was trained.
    let another = args.adapter.is_some() || args.share.is_some() || source.given().is_some();
    if let Some(part) = made.manifest.flow.as_mut().filter(|_| another) {
        part.training.command += &command;
    }
    if let Some(folder) = &args.fast {
        if made.flow.is_none() {
            return Err(Error::at(
                &args.model,
                "has no flow beside the distilled one: name one with --flow",
            ));
        }
        let other = beside(&made, folder)?;
        (made.manifest.fast, made.fast) = named(folder, "distilled flow", other.manifest.fast, other.fast)?;
    }
    if let Some(id) = &args.finish.id {
        made.manifest.id = id.clone().into();
    }
    if let Some(licence) = &args.finish.licence {
        made.manifest.licence = licence.clone().into();
    }
    let modes = match (&made.flow, &made.fast) {
        (None, _) => "instant",
        (Some(_), None) => "instant, fast, quality",
        (Some(_), Some(_)) => "instant, fast (distilled), quality",
    };
    let dtype = match args.finish.dtype {
        Stored::F16 => Dtype::F16,
        Stored::F32 => Dtype::F32,
    };
    let id = made.manifest.id.clone();
    made.write(&args.output, dtype)?;
    say!("{id}: {modes} in {}", args.output.display());
    Ok(())
}

/// Puts the model's flow between `own` and what it is now.
fn interpolate(
    made: &mut Model,
    own: (Option<FlowPart>, Option<Weights>),
    (args, share): (&Export, f64),
) -> Result<()> {
    let (Some(part), Some(weights)) = (&mut made.manifest.flow, &mut made.flow) else {
        return Ok(());
    };
    let (Some(own), Some(from)) = own else {
        return Err(Error::at(
            &args.model,
            "has no flow of its own: leave --share out",
        ));
    };
    if (&own.architecture, &own.source, own.s) != (&part.architecture, &part.source, part.s) {
        return Err(Error::at(
            &args.model,
            "its flow has another network or source than the one of --flow: leave --share out",
        ));
    }
    weights.interpolate(&from, (1.0 - share) as f32)?;
    let note = format!("; the model's own flow by {}", own.training.command);
    part.training.command.push_str(&note);
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
