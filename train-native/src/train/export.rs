//! `asasr train export`: a model's folder, put together of what the stages made.

use std::path::Path;

use asasr_core::model::{Dtype, Mode, NetworkPart, Role, Weights};

use super::adversary::read_adapter;
use super::config::options::{self, Options as _, Paths};
use super::config::{Anchor, Export, Share, Stored, Strength};
use super::source;
use crate::error::{Error, Result};
use crate::graphs::Graphs;

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
    let mut made = Graphs::open(Some(&args.model))?;
    let command = format!("; {}", options::printed(args, Paths::Published)?);
    if args.flow.is_some() || args.adapter.is_some() {
        // It was distilled from the flow as it was.
        made.take(Role::FewSteps);
    }
    if let Some(folder) = &args.flow {
        let own = made.take(Role::Field);
        let flow = named(&made, folder, Role::Field)?;
        let share = args.share.map_or(1.0, Share::get);
        let flow = if share < 1.0 {
            interpolated(flow, own, (args, share))?
        } else {
            flow
        };
        made.put(Role::Field, flow);
    }
    if let Some(folder) = &args.adapter {
        let flow = made.take(Role::Field);
        let why = "has no flow for the adapter: name one with --flow";
        let (part, mut weights) = flow.ok_or_else(|| Error::at(&args.model, why))?;
        let adapter = read_adapter(folder, part.graph.parameters())?;
        adapter.merge(&mut weights, args.strength.map_or(1.0, Strength::get))?;
        made.put(Role::Field, (part, weights));
    }
    let source = &args.finish.source;
    let anchor = args.finish.colour_anchor.map(Anchor::get);
    if anchor.is_some() || source.given().is_some() {
        let why = match anchor {
            Some(_) => "has no flow to anchor: name one with --flow",
            None => "has no flow whose source could be another: name one with --flow",
        };
        let part = made.part_mut(Role::Field);
        let part = part.ok_or_else(|| Error::at(&args.model, why))?;
        let mut sampling = part.require_sampling()?;
        if let Some(deviation) = anchor {
            sampling.colour_anchor = Some(deviation).filter(|d| *d > 0.0);
        }
        if source.given().is_some() {
            sampling.source = source::of(source, Some(sampling.source))?;
        }
        part.sampling = Some(sampling);
    }
    // Its flow is another than the one that was trained.
    let another = args.adapter.is_some() || args.share.is_some() || source.given().is_some();
    let flow = made.part_mut(Role::Field).filter(|_| another);
    if let Some(training) = flow.and_then(|part| part.training.as_mut()) {
        training.command += &command;
    }
    if let Some(folder) = &args.fast {
        let why = match (made.network(Role::Field), made.network(Role::OneStep)) {
            (None, _) => Some("has no flow beside the distilled one: name one with --flow"),
            (_, Some(_)) => Some("samples in one step in its mode fast: a distilled flow would not be used"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Error::at(&args.model, why));
        }
        let fast = named(&made, folder, Role::FewSteps)?;
        made.put(Role::FewSteps, fast);
    }
    if let Some(id) = &args.finish.id {
        made.manifest.id = id.clone().into();
    }
    if let Some(licence) = &args.finish.licence {
        made.manifest.licence = licence.clone().into();
    }
    let has = |role| made.network(role).is_some();
    let fast = match (has(Role::OneStep), has(Role::FewSteps)) {
        (true, _) => "fast (in one step)",
        (false, true) => "fast (distilled)",
        (false, false) => "fast",
    };
    let modes = made.manifest.modes().map(|mode| match mode {
        Mode::Fast => fast,
        other => other.name(),
    });
    let modes = modes.collect::<Vec<_>>().join(", ");
    let dtype = match args.finish.dtype {
        Stored::F16 => Dtype::F16,
        Stored::F32 => Dtype::F32,
    };
    let id = made.manifest.id.clone();
    made.write(&args.output, dtype)?;
    say!("{id}: {modes} in {}", args.output.display());
    Ok(())
}

/// A flow between the model's own and another.
fn interpolated(
    (mut part, mut weights): (NetworkPart, Weights),
    own: Option<(NetworkPart, Weights)>,
    (args, share): (&Export, f64),
) -> Result<(NetworkPart, Weights)> {
    let why = "has no flow of its own: leave --share out";
    let (own, from) = own.ok_or_else(|| Error::at(&args.model, why))?;
    let begins = |part: &NetworkPart| part.sampling.map(|sampling| (sampling.source, sampling.s));
    if own.graph != part.graph || begins(&own) != begins(&part) {
        return Err(Error::at(
            &args.model,
            "its flow has another network or source than the one of --flow: leave --share out",
        ));
    }
    weights.interpolate(&from, (1.0 - share) as f32)?;
    if let (Some(training), Some(before)) = (&mut part.training, &own.training) {
        let note = format!("; the model's own flow by {}", before.command);
        training.command.push_str(&note);
    }
    Ok((part, weights))
}

/// The network of a role in another model on the same restorer.
fn named(model: &Graphs, folder: &Path, role: Role) -> Result<(NetworkPart, Weights)> {
    let mut other = Graphs::open(Some(folder))?;
    let ((part, weights), (own, own_weights)) = (other.restorer()?, model.restorer()?);
    if part.graph != own.graph || weights != own_weights {
        return Err(Error::at(
            folder,
            "its flow starts from another restorer than the model's: train it with --restorer naming that one",
        ));
    }
    let what = if role == Role::Field {
        "flow"
    } else {
        "distilled flow"
    };
    let taken = other.take(role);
    taken.ok_or_else(|| Error::at(folder, format!("this model has no {what}")))
}
