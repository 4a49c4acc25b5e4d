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

/// In place of looks: the model that is used where no other suits better.
const USUAL: &str = "";
/// Images that are drawn to see where they differ, where nobody says how many.
const SAMPLES: u8 = 4;

/// Models for what is asked of them.
pub(super) struct Models<'a> {
    args: &'a Upscale,
    usual: Graphs,
    /// Those that ran, by the looks that they suit.
    ready: BTreeMap<&'static str, ExecutorMaker>,
    /// The user knows that these run, and where.
    told: BTreeSet<String>,
}

impl<'a> Models<'a> {
    pub(super) fn new(args: &'a Upscale, usual: Graphs) -> Self {
        Self {
            args,
            usual,
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
        let mut choice = USUAL;
        if self.args.how.weights.is_none() {
            let looks = Looks::of_image(image);
            if looks.is_pixel_art() {
                let text = "looks like pixel art, whose steps a network smooths: the page can make each pixel a square";
                notes.push(Remark::new("pixel-art", text));
            }
            if let Some(suited) = model::suited(&looks) {
                let (note, is_able) = self.suit(suited)?;
                notes.push(note);
                choice = if is_able { suited.looks } else { USUAL };
            }
        }
        if choice == USUAL && !self.ready.contains_key(USUAL) {
            self.ready.insert(USUAL, maker(self.args, self.usual.clone())?);
        }
        let maker = self.ready.get_mut(choice).expect("it was made ready");
        let described = maker.describe();
        if self.told.insert(described.clone()) {
            note!("{described}");
        }
        Ok((maker, notes))
    }

    /// Makes a model ready that suits an image, if it can do what is asked; says which model enlarges the image.
    fn suit(&mut self, Suited { model, looks }: Suited) -> Result<(Remark, bool)> {
        let remark = |text| Remark::new("model-chosen", text);
        if let Some(maker) = self.ready.get(looks) {
            return Ok((remark(chosen(looks, maker.id())), true));
        }
        let model = Graphs::built_in(model)?;
        let id = model.id().to_owned();
        if super::check_model(self.args, &model).is_err() {
            let (mode, usual) = (self.args.mode().name(), self.usual.id());
            let text = format!("{looks}, but {id} has no mode {mode}: {usual} enlarges it");
            return Ok((remark(text), false));
        }
        self.ready.insert(looks, maker(self.args, model)?);
        Ok((remark(chosen(looks, &id)), true))
    }
}

fn chosen(looks: &str, id: &str) -> String {
    format!("{looks}, so {id} enlarges it: --weights chooses another")
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
