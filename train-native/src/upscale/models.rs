//! The model of each image: the one that was named, or of the built-in ones that which suits the image.

use std::collections::{BTreeMap, BTreeSet};

use asasr_core::Raster;
use asasr_core::look::Looks;

use super::tell::Remark;
use crate::cli::Upscale;
use crate::error::Result;
use crate::executor::ExecutorMaker;
use crate::graphs::Graphs;
use crate::model::{self, Suited};

/// Images that are drawn to see where they differ, where nobody says how many.
const SAMPLES: u8 = 4;

/// Models for what is asked of them.
pub(super) struct Models<'a> {
    args: &'a Upscale,
    /// That of images which no other suits better, until it runs: weights are held once.
    first: Option<Graphs>,
    usual: String,
    /// Those that ran, by the looks that they suit, the usual one by none; nothing where one cannot do what is asked.
    ready: BTreeMap<Option<&'static str>, Option<ExecutorMaker>>,
    /// The user knows that these run, and where.
    told: BTreeSet<String>,
}

impl<'a> Models<'a> {
    /// With the model that was opened first.
    pub(super) fn new(args: &'a Upscale, usual: Graphs) -> Self {
        Self {
            args,
            usual: usual.id().to_owned(),
            first: Some(usual),
            ready: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Begins anew: whatever a fault left of what ran, the next image does not meet.
    pub(super) fn forget(&mut self) {
        self.ready.clear();
    }

    /// The model for an image, and what there is to say of that choice.
    pub(super) fn for_image(&mut self, image: &Raster) -> Result<(&mut ExecutorMaker, Vec<Remark>)> {
        let mut notes = Vec::new();
        let mut choice = None;
        if self.args.how.weights.is_none() {
            let looks = Looks::of_image(image);
            if looks.is_pixel_art() {
                let text = "looks like pixel art, whose steps a network smooths: the page can make each pixel a square";
                notes.push(Remark::new("pixel-art", text));
            }
            if let Some(suited) = model::suited(&looks) {
                let looks = suited.looks;
                let text = if let Some(maker) = self.suited(suited)? {
                    choice = Some(looks);
                    format!(
                        "{looks}, so {} enlarges it: --weights chooses another",
                        maker.id()
                    )
                } else {
                    let usual = &self.usual;
                    format!("{looks}, but the model for that cannot do what is asked: {usual} enlarges it")
                };
                notes.push(Remark::new("model-chosen", text));
            }
        }
        if choice.is_none() && !self.ready.contains_key(&None) {
            let model = self
                .first
                .take()
                .map_or_else(|| super::open_model(self.args), Ok)?;
            self.ready.insert(None, Some(maker(self.args, model)?));
        }
        let ready = self.ready.get_mut(&choice).and_then(Option::as_mut);
        let maker = ready.expect("it was made ready");
        let described = maker.describe();
        if self.told.insert(described.clone()) {
            note!("{described}");
        }
        Ok((maker, notes))
    }

    /// A built-in model, where it can do what is asked.
    fn suited(&mut self, Suited { model, looks }: Suited) -> Result<Option<&ExecutorMaker>> {
        if !self.ready.contains_key(&Some(looks)) {
            let model = Graphs::built_in(model)?;
            let is_able = super::check_model(self.args, &model).is_ok();
            let made = is_able.then(|| maker(self.args, model)).transpose()?;
            self.ready.insert(Some(looks), made);
        }
        Ok(self.ready.get(&Some(looks)).and_then(Option::as_ref))
    }
}

fn maker(args: &Upscale, model: Graphs) -> Result<ExecutorMaker> {
    let draws = model
        .sampler(args.mode())?
        .is_some_and(|((part, _), _)| part.draws());
    let has_map = args.spread.is_some();
    let samples = args.samples.unwrap_or(if has_map && draws { SAMPLES } else { 1 });
    let maker = ExecutorMaker::new(model, args.how.device, args.mode(), args.how.draw)?;
    // A map of what is invented is measured with the first sample beside another, or beside the mean.
    Ok(maker
        .of_samples(samples.max(1 + u8::from(has_map)))
        .held(args.how.hold))
}
