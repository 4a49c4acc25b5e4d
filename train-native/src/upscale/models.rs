//! The model of each image: the one that was named, or of the built-in ones that which suits the image.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use asasr_core::Raster;
use asasr_core::look::Looks;

use super::tell::Remark;
use crate::cli::Upscale;
use crate::error::Result;
use crate::executor::ExecutorMaker;
use crate::graphs::Graphs;
use crate::model::{self, Suited};

/// Models that are ready, for what is asked of them.
pub(super) struct Models<'a> {
    args: &'a Upscale,
    /// That of all images, or of those that no other one suits better.
    usual: ExecutorMaker,
    /// The others that were wanted so far, by the looks that they suit; none where one cannot do what is asked.
    others: BTreeMap<&'static str, Option<ExecutorMaker>>,
    /// The user knows that these run, and where.
    told: BTreeSet<String>,
}

impl<'a> Models<'a> {
    /// With the model that was opened first.
    pub(super) fn new(args: &'a Upscale, usual: Graphs) -> Result<Self> {
        Ok(Self {
            args,
            usual: maker(args, usual)?,
            others: BTreeMap::new(),
            told: BTreeSet::new(),
        })
    }

    /// The same, begun anew: whatever a fault left of it, the next image does not meet.
    pub(super) fn again(self) -> Result<Self> {
        let fresh = Self::new(self.args, super::open_model(self.args)?)?;
        Ok(Self {
            told: self.told,
            ..fresh
        })
    }

    /// The model for an image, and what there is to say of that choice.
    pub(super) fn for_image(&mut self, image: &Raster) -> Result<(&mut ExecutorMaker, Option<Remark>)> {
        let suited = match self.args.how.weights {
            None => model::suited(&Looks::of_image(image)),
            Some(_) => None,
        };
        let mut chosen = (&mut self.usual, None);
        if let Some(Suited { model, looks }) = suited {
            let other = match self.others.entry(looks) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(able(self.args, Graphs::built_in(model)?)?),
            };
            if let Some(maker) = other {
                let text = format!(
                    "{looks}, so {} enlarges it: --weights chooses another",
                    maker.id()
                );
                chosen = (maker, Some(Remark::new("model-chosen", text)));
            }
        }
        let described = chosen.0.describe();
        if !self.args.alone && self.told.insert(described.clone()) {
            note!("{described}");
        }
        Ok(chosen)
    }
}

/// A model made ready, if it can do what is asked.
fn able(args: &Upscale, model: Graphs) -> Result<Option<ExecutorMaker>> {
    let is_able = super::check_model(args, &model).is_ok();
    is_able.then(|| maker(args, model)).transpose()
}

fn maker(args: &Upscale, model: Graphs) -> Result<ExecutorMaker> {
    // A map of what is invented is measured with the first sample beside another, or beside the mean.
    let samples = args.samples.max(1 + u8::from(args.spread.is_some()));
    let maker = ExecutorMaker::new(model, args.how.device, args.mode(), args.how.draw)?;
    Ok(maker.of_samples(samples).held(args.how.hold))
}
